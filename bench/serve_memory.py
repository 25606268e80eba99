#!/usr/bin/env python3
"""What adapters take in a server's memory, and how long one takes that is read for its request.

    bench/serve_memory.py target/release/budwood BASE ADAPTERS

ADAPTERS is a folder of adapters of texts on BASE, of one size, at least 32. One client asks each of them once.
"""

import http.client
import json
import pathlib
import re
import statistics
import subprocess
import sys
import time

TEXT = "a film to see twice"


def main():
    program, base, folder = sys.argv[1:]
    names = sorted(path.parent.name for path in pathlib.Path(folder).glob("*/adapter.json"))
    size = (pathlib.Path(folder) / names[0] / "adapter.safetensors").stat().st_size
    words = [program, "serve", "--base", base, "--adapters", folder, "--port", "0", "--cache", "1000000", "--json"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        found = None
        while not found:
            line = server.stdout.readline()
            assert line, "the server did not begin"
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
        port = int(found[1])
        client = http.client.HTTPConnection("127.0.0.1", port)

        def ask(adapter):
            begin = time.perf_counter()
            body = json.dumps({"inputs": TEXT, "adapter": adapter})
            client.request("POST", "/predict", body, {"content-type": "application/json"})
            answer = client.getresponse()
            text = answer.read()
            assert answer.status == 200, text
            return 1000 * (time.perf_counter() - begin)

        def own():
            status = pathlib.Path(f"/proc/{server.pid}/status").read_text()
            return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * 1024

        ask(names[0])
        warm = statistics.median(ask(names[0]) for _ in range(30))
        before = own()
        cold = statistics.median(ask(name) for name in names[1:])
        share = (own() - before) / (len(names) - 1) / size
        print(f"{len(names)} adapters of {size / 1e6:.2f} MB take {share:.2f} times their files' bytes")
        print(f"an answer: {warm:.1f} ms in memory, {cold:.1f} ms where the adapter is read for it (medians)")
    finally:
        server.terminate()
        server.wait()


main()
