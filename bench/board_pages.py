#!/usr/bin/env python3
"""Times of the board's pages as a reader gets them, from boards that hold the same archive.

    bench/board_pages.py target/release/budwood BOARD BOARD [ROUNDS]

A board is a folder or postgres://USER@HOST/DATABASE. Each is served by a program of its own; one client with one connection asks
for each page of a kind in turn, first on one board and then on the other. Prints the median of a page's time in milliseconds, and the
second board's over the first's. Pages are packed with gzip, as browsers ask for them; their bodies are compared.
"""

import gzip
import re
import socket
import statistics
import sys
import time

from serve import Process


class Reader:
    """A connection to a server of a board."""

    def __init__(self, server):
        self.host = f"127.0.0.1:{server.port}"
        self.socket = socket.create_connection(("127.0.0.1", int(server.port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, path):
        """The body of a page and the seconds until it was there."""
        ask = f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\nAccept: text/html\r\nAccept-Encoding: gzip\r\n\r\n".encode()
        begin = time.perf_counter()
        self.socket.sendall(ask)
        got = bytearray()
        while b"\r\n\r\n" not in got:
            got += self.socket.recv(1 << 18)
        end = got.index(b"\r\n\r\n") + 4
        head = bytes(got[:end]).decode().lower()
        length = re.search(r"content-length: (\d+)", head)
        if length:
            while len(got) < end + int(length[1]):
                got += self.socket.recv(1 << 18)
            body = bytes(got[end:])
        else:
            while not got.endswith(b"0\r\n\r\n"):
                got += self.socket.recv(1 << 18)
            body = chunks(bytes(got[end:]))
        took = time.perf_counter() - begin
        assert " 200 " in head.split("\r\n")[0], f"{path}: {head}"
        return gzip.decompress(body) if "content-encoding: gzip" in head else body, took


def chunks(body):
    out = b""
    while body:
        size, body = body.split(b"\r\n", 1)
        size = int(size, 16)
        out, body = out + body[:size], body[size + 2 :]
    return out


def links(reader, path, kind):
    body = reader.get(path)[0].decode()
    return sorted(set(re.findall(rf'href="(/{kind}/[^"?#]+)"', body)))


def addresses(reader):
    """Pages of each kind, as the first board has them."""
    areas = links(reader, "/tasks", "area")
    tasks = [t for a in areas for t in links(reader, a, "task")][:100]
    tables = sorted({s for t in tasks[:60] for s in links(reader, t, "sota")})[:100]
    results = sorted({r for s in tables[:40] for r in links(reader, s, "result")})[:100]
    papers = [p for page in range(1, 6) for p in links(reader, f"/papers?page={page}", "paper")][:100]
    names = [p.rsplit("/", 1)[1].replace("-", " ") for p in tasks]
    words = sorted({w for p in papers[:40] for w in re.findall(r">([a-z]{4,12})\b", reader.get(p)[0].decode())})
    return {
        "start": ["/"],
        "areas": ["/tasks"],
        "task": tasks,
        "leaderboard": tables,
        "paper": papers,
        "result": results,
        "data set": links(reader, "/datasets", "dataset")[:100],
        "method": links(reader, "/methods", "method")[:100],
        "data sets": ["/datasets"],
        "papers": ["/papers"],
        "methods": ["/methods"],
        "log": ["/log"],
        "search": [f"/search?q={w}" for w in (words or names)[:60]],
    }


def main(program, first, second, rounds=3):
    words = ["serve", "--port", "0", "--searches", "100000", "--json"]
    with Process(program, "board", "--board", first, *words) as one, Process(program, "board", "--board", second, *words) as two:
        readers = [Reader(server) for server in (one, two)]
        print(f"{'page':<14} {'pages':>5} {'first':>8} {'second':>8}  times")
        for kind, paths in addresses(readers[0]).items():
            if not paths:
                print(f"{kind:<14} none found")
                continue
            times, other = ([], []), 0
            for i in range(max(rounds * len(paths), 60)):
                path = paths[i % len(paths)]
                bodies = []
                for j in (0, 1) if i % 2 else (1, 0):
                    body, took = readers[j].get(path)
                    times[j].append(took * 1e3)
                    bodies.append(body.replace(readers[j].host.encode(), b""))
                other += bodies[0] != bodies[1]
            a, b = (statistics.median(t) for t in times)
            note = f"  ({other} differ)" if other else ""
            print(f"{kind:<14} {len(paths):>5} {a:8.2f} {b:8.2f}  {b / a:.2f}{note}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(*sys.argv[1:4], *(int(n) for n in sys.argv[4:]))
