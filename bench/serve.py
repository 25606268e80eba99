#!/usr/bin/env python3
"""Throughput, latency and memory of a server of many adapters, and of what people put in its place.

    bench/serve.py PROGRAM LOAD --base FOLDER --texts FILE [--form int8] [--adapters 1 10 100 1000] [--others] [--seconds 8] [--rounds 3]

PROGRAM is `budwood`, LOAD the example `load` of the crate `serve`, both of a release build; FILE has a text on each line. Server
and clients share this machine. With --others also a process of PyTorch `adapters` and one of ONNX Runtime with an int8 session a
task (`serve_others.py`), which need the virtual environment of `compare.py`. Run nothing else meanwhile.
"""
import argparse, json, os, pathlib, re, shutil, socket, statistics, subprocess, sys, tempfile, time

HERE = pathlib.Path(__file__).resolve().parent
VENV = pathlib.Path(os.environ.get("BUDWOOD_BENCH_VENV") or os.path.expanduser("~/.cache/budwood/bench-venv"))
ROWS = "text,label\n" + "".join(f"{a} {b},{label}\n" for a in ["a film", "a book", "this play", "the food", "her song"]
                                for label, words in {"good": ["I love", "is fine", "made me smile"], "bad": ["I hate", "is dull", "made me yawn"]}.items()
                                for b in words)


def run(*command):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr}")
    return done.stdout


class Process:
    """A server that prints its port, and what it takes."""

    def __init__(self, *command):
        self.process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True)
        self.port, told = None, ""
        while not (found := re.search(r"127\.0\.0\.1:(\d+)", told)):
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError(f"{command[0]} did not begin")
            told += line
        self.port = found[1]

    def memory(self):
        """Megabytes that it holds now."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1000

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)


class Client:
    """A connection that stays."""

    def __init__(self, port):
        self.host = f"127.0.0.1:{port}"
        self.socket = socket.create_connection(("127.0.0.1", int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, what, headers, body=b""):
        """The head of an answer, its body, and the seconds until it was there."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        message = f"{what} HTTP/1.1\r\nHost: {self.host}\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body
        begin = time.perf_counter()
        self.socket.sendall(message)
        got = bytearray()
        while b"\r\n\r\n" not in got:
            got += self.more()
        end = got.index(b"\r\n\r\n") + 4
        head = bytes(got[:end]).decode().lower()
        length = re.search(r"content-length: (\d+)", head)
        if length:
            while len(got) < end + int(length[1]):
                got += self.more()
        else:
            while not got.endswith(b"0\r\n\r\n"):
                got += self.more()
        took = time.perf_counter() - begin
        assert " 200 " in head.split("\r\n")[0], f"{what}: {head}"
        body = bytes(got[end:])
        return head, body if length else chunks(body), took

    def more(self):
        got = self.socket.recv(1 << 18)
        assert got, "the server hung up"
        return got


def chunks(body):
    out = b""
    while body:
        size, body = body.split(b"\r\n", 1)
        size = int(size, 16)
        out, body = out + body[:size], body[size + 2 :]
    return out


def load(args, server, n, law="uniform", clients=64, rate=None, texts=None, seconds=None):
    """Requests a second, and milliseconds at the median and at the 99th percentile."""
    told = run(args.load, server.port, texts or args.texts, n, law, clients, seconds or args.seconds, *([rate] if rate else []))
    found = re.search(r"([\d.]+) requests a second, p50 ([\d.]+) ms, p99 ([\d.]+) ms, (\d+) failed", told)
    if found[4] != "0":
        sys.exit(f"requests failed: {told}")
    return tuple(map(float, found.groups()[:3]))


def say(what, found, more=""):
    rates, medians, last = zip(*found)
    print(f"| {what} | {statistics.median(rates):.0f} | {statistics.median(medians):.1f} | {statistics.median(last):.1f} | {more} |", flush=True)
    return statistics.median(rates)


def rounds(args, *words, **more):
    return [load(args, *words, **more) for _ in range(args.rounds)]


def ours(args, folder):
    size = (folder / "adapters/a0/adapter.safetensors").stat().st_size / 1e6
    print(f"| Budwood, weights in {args.form}, adapters of {size:.2f} MB | requests a second | p50, ms | p99, ms | memory |\n|---|---|---|---|---|")
    serve = [args.program, "serve", "--json", "--base", args.base, "--adapters", folder / "adapters", "--port", 0, "--cache", 100_000, *args.flags]
    with Process(*serve) as server:
        say("none", rounds(args, server, 1, "base"), f"{server.memory():.0f} MB")
        most = 0
        for n in args.adapters:
            for law in ["uniform"] if n == 1 else ["uniform", "zipf"]:
                load(args, server, n, "each", clients=8)  # each is in memory
                rate = say(f"{n}, {law}", rounds(args, server, n, law), f"{server.memory():.0f} MB")
                most = rate if n == 10 else most
        for share in (0.5, 0.9):
            say(f"10, {share:.0%} of the requests", rounds(args, server, 10, rate=most * share))
        one = folder / "one.txt"
        one.write_text(pathlib.Path(args.texts).read_text().splitlines()[0] + "\n")
        say("1, one client, one text", rounds(args, server, 1, clients=1, texts=one))


def others(args, folder):
    python = VENV / "bin/python"
    # Graphs want a model that is whole; a graph of int8 for each task.
    run(args.program, "export", folder / "adapters/a0", folder / "onnx", "--to", "onnx", "--base", args.base, "--precision", "int8")
    print("| other | requests a second | p50, ms | p99, ms | memory |\n|---|---|---|---|---|")
    for kind, workers in [("torch", 1), ("torch", 2), ("onnx", 1), ("onnx", 2)]:
        for n in args.others_adapters:
            with Process(python, HERE / "serve_others.py", kind, args.base, n, folder, "--workers", workers) as server:
                load(args, server, n, "each", clients=4, seconds=2)
                say(f"{kind}, {n} tasks, {workers} at a time", rounds(args, server, n), f"{server.memory():.0f} MB")


def first_adapter(program, base, form, folder):
    """Makes `adapters/a0` of width 64 in a folder."""
    (folder / "rows.csv").write_text(ROWS)
    run(program, "train", "--base", base, "--data", folder / "rows.csv", "--recipe", "paper", "--base-precision", form, "--epochs", 1,
        "--method", "adapter[width=64]", "--pooling", "mean", "--max-length", 128, "--out", folder / "adapters/a0")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("program")
    p.add_argument("load")
    p.add_argument("--base", required=True)
    p.add_argument("--texts", required=True)
    p.add_argument("--form", choices=["int8", "f32"], default="int8", help="of the frozen weights")
    p.add_argument("--adapters", type=int, nargs="*", default=[1, 10, 100, 1000])
    p.add_argument("--flags", type=str.split, default=[], help="flags of budwood serve")
    p.add_argument("--others", action="store_true")
    p.add_argument("--others-adapters", type=int, nargs="+", default=[10, 100])
    p.add_argument("--seconds", type=int, default=8)
    p.add_argument("--rounds", type=int, default=3)
    args = p.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="budwood-serve-"))
    try:
        first_adapter(args.program, args.base, args.form, folder)
        for i in range(1, max([1, *args.adapters])):
            shutil.copytree(folder / "adapters/a0", folder / f"adapters/a{i}")
        if args.adapters:
            ours(args, folder)
        if args.others:
            others(args, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
