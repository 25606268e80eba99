#!/usr/bin/env python3
"""Times of the board's pages as a reader gets them, from boards that hold the same archive.

    bench/board_pages.py target/release/budwood BOARD BOARD [ROUNDS]

A board is a folder or postgres://USER@HOST/DATABASE. Each is served by a program of its own; one client with one connection asks
for each page of a kind in turn, first on one board and then on the other. Prints the median of a page's time in milliseconds, and the
second board's over the first's. Pages are packed with gzip, as browsers ask for them; their bodies are compared.

A board on a server remembers what it was asked while nothing is written. If the second board is on one, its pages are asked for a
second time with something written before each, so that nothing is remembered: the last three columns. That needs `psql`.
"""

import gzip
import re
import statistics
import subprocess
import sys

from serve import Client, Process


class Reader(Client):
    """A connection to a server of a board."""

    def get(self, path):
        """The body of a page and the seconds until it was there."""
        head, body, took = self.ask(f"GET {path}", {"Accept": "text/html", "Accept-Encoding": "gzip"})
        return gzip.decompress(body) if "content-encoding: gzip" in head else body, took


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


class Writer:
    """Ends the state of a database without changing anything in it."""

    def __init__(self, address):
        self.psql = subprocess.Popen(["psql", "-qAt", address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def write(self):
        print("SELECT pg_current_xact_id();", file=self.psql.stdin, flush=True)
        if not self.psql.stdout.readline().strip():
            sys.exit("psql does not answer")


def medians(readers, paths, rounds, before=lambda: None):
    """The median milliseconds of both readers, and how many bodies differ."""
    times, other = ([], []), 0
    for i in range(max(rounds * len(paths), 60)):
        path = paths[i % len(paths)]
        bodies = []
        before()
        for j in (0, 1) if i % 2 else (1, 0):
            body, took = readers[j].get(path)
            times[j].append(took * 1e3)
            bodies.append(body.replace(readers[j].host.encode(), b""))
        other += bodies[0] != bodies[1]
    return *map(statistics.median, times), other


def main(program, first, second, rounds=3):
    words = ["serve", "--port", "0", "--searches", "100000", "--json"]
    with Process(program, "board", "--board", first, *words) as one, Process(program, "board", "--board", second, *words) as two:
        readers = [Reader(server.port) for server in (one, two)]
        writer = Writer(second) if second.startswith("postgres") else None
        print(f"{'page':<14} {'pages':>5} {'first':>8} {'second':>8}  times" + "    first  written  times" * bool(writer))
        # Both are asked for these: large answers make later ones of a process faster, whose memory is then kept.
        found = [addresses(reader) for reader in readers][0]
        for kind, paths in found.items():
            if not paths:
                print(f"{kind:<14} none found")
                continue
            a, b, other = medians(readers, paths, rounds)
            line = f"{kind:<14} {len(paths):>5} {a:8.2f} {b:8.2f}  {b / a:5.2f}"
            if writer:
                a, b, more = medians(readers, paths, rounds, writer.write)
                line += f" {a:8.2f} {b:8.2f}  {b / a:5.2f}"
                other += more
            print(line + f"  ({other} differ)" * bool(other), flush=True)


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(*sys.argv[1:4], *(int(n) for n in sys.argv[4:]))
