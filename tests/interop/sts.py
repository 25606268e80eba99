#!/usr/bin/env python3
"""Spearman's correlation of STS-B's scores with the cosines of a model's vectors, as `budwood serve` gives them.

    tests/interop/sts.py PROGRAM MODEL STS-B/test.csv [flags of budwood serve]

Rows are two sentences and a score. Needs numpy and scipy. `vectors.py` says where all-mpnet-base-v2 is.
"""
import csv
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.request

import numpy as np
from scipy.stats import spearmanr


def main(program, model, data, *flags):
    with open(data, newline="", encoding="utf-8") as f:
        first, second, scores = zip(*csv.reader(f))
    with tempfile.TemporaryDirectory() as folder:
        words = [program, "serve", "--json", "--base", model, "--adapters", folder, "--port", "0", *flags]
        server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        try:
            told = ""
            while not (found := re.search(r"127\.0\.0\.1:(\d+)", told)):
                line = server.stdout.readline()
                assert line, "the server did not begin"
                told += line
            a, b = (np.array(embedded(found[1], texts)) for texts in (first, second))
        finally:
            server.terminate()
            server.wait(60)
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    print(f"{pathlib.Path(model).name}: {len(scores)} pairs, {spearmanr(cosines, list(map(float, scores))).statistic:.4f}")


def embedded(port, texts):
    found = []
    for start in range(0, len(texts), 200):
        body = json.dumps({"inputs": texts[start : start + 200]}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/embed", body, {"content-type": "application/json"})
        found += json.load(urllib.request.urlopen(request))
    return found


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
