#!/usr/bin/env python3
"""What a request takes that comes alone, beside the forward pass of as many tokens, in turn.

    bench/serve_lone.py PROGRAM [--base minilm] [--shape minilm] [--forms int8 f32] [--requests 3000] [--rounds 5]

PROGRAM is a release build of `budwood`. One client on one connection writes a request and reads its answer, and does nothing else. Of
each round the medians of all requests are printed; the last line has the medians of the rounds. Run nothing else meanwhile.
"""
import argparse, json, pathlib, shutil, socket, statistics, sys, tempfile, time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent)]
from serve import Process, first_adapter, run  # noqa: E402

TEXT = "a film that one would like to see"  # 10 tokens of MiniLM, with those at its ends


class Client:
    def __init__(self, port):
        self.port, self.socket = port, socket.create_connection(("127.0.0.1", int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def median(self, requests, path, body=None):
        """Milliseconds of a request."""
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
        message = f"{head}Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data
        times = []
        for _ in range(requests):
            begin = time.perf_counter()
            self.socket.sendall(message)
            answer = self.whole()
            times.append(time.perf_counter() - begin)
            assert answer.startswith(b"HTTP/1.1 200 "), answer
        return statistics.median(times) * 1e3

    def whole(self):
        answer = self.socket.recv(1 << 16)
        head, _, body = answer.partition(b"\r\n\r\n")
        size = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        while len(body) < size:
            more = self.socket.recv(1 << 16)
            answer, body = answer + more, body + more
        return answer


def forward(args, form):
    words = ["--shape", args.shape, "--mode", "forward", "--batch", 1, "--length", 10, "--steps", args.requests]
    return json.loads(run(args.program, "bench", *words, "--base-precision", form))["seconds_per_step"] * 1e3


def measure(args, form, folder):
    first_adapter(args.program, args.base, form, folder)
    rounds = []
    print(f"| {form} | forward | /health | without adapter | times | with adapter | times |\n|---|---|---|---|---|---|---|")
    say = lambda what, row: print(f"| {what} | {' | '.join(f'{x:.3f}' for x in row)} |", flush=True)
    with Process(args.program, "serve", "--base", args.base, "--adapters", folder / "adapters", "--base-precision", form, "--port", 0) as server:
        client = Client(server.port)
        for i in range(args.rounds):
            health = client.median(args.requests, "/health")
            one = client.median(args.requests, "/predict", {"inputs": TEXT, "adapter": "a0"})
            base = client.median(args.requests, "/embed", {"inputs": TEXT})
            pure = forward(args, form)
            rounds.append((pure, health, base, base / pure, one, one / pure))
            say(f"round {i + 1}, ms", rounds[-1])
    say("medians", map(statistics.median, zip(*rounds)))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("program")
    p.add_argument("--base", default="minilm")
    p.add_argument("--shape", default="minilm", help="of `budwood bench`: that of the base")
    p.add_argument("--forms", nargs="+", choices=["int8", "f32"], default=["int8", "f32"])
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
