#!/usr/bin/env python3
"""What a request takes that comes alone, beside the forward pass of as many tokens, in turn.

    bench/serve_lone.py PROGRAM [--base minilm] [--shape minilm] [--forms int8 f32] [--texts FILE] [--requests 3000] [--rounds 5]

PROGRAM is a release build of `budwood`. One client on one connection writes a request and reads its answer, and does nothing else. Of
each round the medians of all requests are printed; the last line has the medians of the rounds. FILE has a text on each line: the one
of median length is asked for. Run nothing else meanwhile.

`empty` is a server that does nothing but wait, without sleeping, as long as the forward pass takes: what it takes beyond that is the
machine's, to wake a process for a request and another for its answer.
"""
import argparse, json, os, pathlib, shutil, socket, statistics, sys, tempfile, time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent)]
from serve import Client, Process, first_adapter, run  # noqa: E402

TEXT = "a film that one would like to see"


class Asker(Client):
    """A client that asks for JSON."""

    def answer(self, path, body):
        _, answer, took = self.ask(f"POST {path}", {"Content-Type": "application/json"}, json.dumps(body).encode())
        return answer, took

    def median(self, requests, path, body):
        """Milliseconds of a request."""
        return statistics.median(self.answer(path, body)[1] for _ in range(requests)) * 1e3

    def tokens(self, text):
        return json.loads(self.answer("/v1/embeddings", {"input": text})[0])["usage"]["prompt_tokens"]


def empty(requests, seconds):
    """Milliseconds beyond `seconds` of a server that only waits so long."""
    door = socket.create_server(("127.0.0.1", 0))
    child = os.fork()
    if not child:
        one, _ = door.accept()
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while one.recv(4096):
            begin = time.perf_counter()
            while time.perf_counter() - begin < seconds:
                pass
            one.sendall(b"y" * 300)
        os._exit(0)
    times = []
    with socket.create_connection(door.getsockname()) as one:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(requests):
            begin = time.perf_counter()
            one.sendall(b"x" * 200)
            one.recv(4096)
            times.append(time.perf_counter() - begin - seconds)
    os.waitpid(child, 0)
    door.close()
    return statistics.median(times) * 1e3


def forward(args, form, tokens):
    words = ["--shape", args.shape, "--mode", "forward", "--batch", 1, "--length", tokens, "--steps", args.requests]
    return json.loads(run(args.program, "bench", *words, "--base-precision", form))["seconds_per_step"] * 1e3


def measure(args, form, folder):
    texts = sorted(pathlib.Path(args.texts).read_text().splitlines(), key=len) if args.texts else [TEXT]
    text = texts[len(texts) // 2]
    first_adapter(args.program, args.base, form, folder)
    rounds = []
    say = lambda what, row: print(f"| {what} | {' | '.join(f'{x:.3f}' for x in row)} |", flush=True)
    with Process(args.program, "serve", "--base", args.base, "--adapters", folder / "adapters", "--base-precision", form, "--port", 0) as server:
        tokens = Asker(server.port).tokens(text)
        print(f"| {form}, {tokens} tokens | forward | empty | without adapter | times | with adapter | times |\n|---|---|---|---|---|---|---|")
        for i in range(args.rounds):
            client = Asker(server.port)  # a connection that rests is closed by the server
            one = client.median(args.requests, "/predict", {"inputs": text, "adapter": "a0"})
            base = client.median(args.requests, "/embed", {"inputs": text})
            pure = forward(args, form, tokens)
            rounds.append((pure, empty(args.requests, pure / 1e3), base, base / pure, one, one / pure))
            say(f"round {i + 1}, ms", rounds[-1])
    say("medians", map(statistics.median, zip(*rounds)))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("program")
    p.add_argument("--base", default="minilm")
    p.add_argument("--shape", default="minilm", help="of `budwood bench`: that of the base")
    p.add_argument("--forms", nargs="+", choices=["int8", "f32"], default=["int8", "f32"])
    p.add_argument("--texts")
    p.add_argument("--requests", type=int, default=3000)
    p.add_argument("--rounds", type=int, default=5)
    args = p.parse_args()
    for form in args.forms:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="budwood-lone-"))
        try:
            measure(args, form, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
