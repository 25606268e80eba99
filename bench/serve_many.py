#!/usr/bin/env python3
"""Many small adapters and little memory: each is asked for once, then some at random.

    bench/serve_many.py target/release/budwood [N] [CACHE-MB]

N copies (10,000) of a tiny adapter that it trains, and a cache of 64 MB. Prints the start, the memory, and what an adapter takes that
is read from the disk for its request. Fails if an answer is another than that of `budwood predict`.
"""

import os
import pathlib
import random
import shutil
import statistics
import sys
import tempfile
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "tests/serve")]
from world import Server, make, metric, offline, predict  # noqa: E402


def main(program, count=10_000, cache=64):
    place = pathlib.Path(tempfile.mkdtemp(prefix="budwood-many-"))
    server = None
    try:
        make(program, place, 1)
        wanted = offline(program, place, "adapters/a0", ["so good"])[0]
        one, many = place / "adapters/a0", place / "many"
        many.mkdir()
        for i in range(count):
            (many / f"n{i:05}").mkdir()
            for file in one.iterdir():
                if file.is_file():
                    os.link(file, many / f"n{i:05}" / file.name)
        begin = time.perf_counter()
        server = Server(program, place, "--adapters", "many", "--cache", str(cache))
        started, empty = time.perf_counter() - begin, server.memory()
        times, draw = [], random.Random(1)
        names = list(range(count)) + [draw.randrange(count) for _ in range(count // 10)]
        for i in names:
            begin = time.perf_counter()
            status, told, _ = predict(server.port, f"n{i:05}", "so good")
            times.append(time.perf_counter() - begin)
            assert status == 200 and told == wanted, (i, status, told)
        held = metric(server.port, "budwood_adapters_held_bytes") / 1e6
        print(f"{count} adapters: start {started:.2f} s; memory {empty:.0f} MB, then {server.memory():.0f} MB with {held:.0f} MB of adapters; "
              f"one that is read for its request {statistics.median(times[:count]) * 1e3:.1f} ms at the median, "
              f"{sorted(times)[int(len(times) * 0.99)] * 1e3:.1f} ms at the 99th percentile")
    finally:
        if server:
            server.end()
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3, 4):
        sys.exit(__doc__)
    main(os.path.abspath(sys.argv[1]), *map(int, sys.argv[2:]))
