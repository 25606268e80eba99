#!/usr/bin/env python3
"""Images a second that the input pipeline makes ready at 224 x 224, against what a training step of ViT-B/16 uses up, and
against Pillow with as many threads.

    VENV/bin/python bench/images.py [--images 200] [--rounds 5]

Build first: cargo build --release. VENV is one with Pillow and numpy (that of bench/compare.py has both). The images are
photographs' size, 500 x 375 pixels, JPEG of quality 90, smooth with noise. Run nothing else meanwhile.
"""
import argparse, concurrent.futures, json, os, statistics, subprocess, tempfile, time

import numpy as np
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
BUDWOOD = os.path.join(HERE, "..", "target", "release", "budwood")


def make(folder, n):
    random = np.random.default_rng(0)
    for i in range(n):
        coarse = Image.fromarray(random.integers(0, 256, (24, 32, 3), dtype=np.uint8)).resize((500, 375), Image.BICUBIC)
        noisy = np.asarray(coarse, dtype=np.int16) + random.integers(-12, 13, (375, 500, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(os.path.join(folder, f"{i:04}.jpg"), quality=90)


def bench(threads, *flags):
    out = subprocess.run([BUDWOOD, "bench", "--threads", threads, *flags], check=True, capture_output=True, text=True).stdout
    return json.loads(out)


def pillow(folder, threads):
    def one(name):
        image = Image.open(os.path.join(folder, name)).convert("RGB").resize((224, 224), Image.BILINEAR)
        pixels = np.asarray(image, dtype=np.float32) / 255
        return ((pixels - 0.5) / 0.5).transpose(2, 0, 1).copy()

    names = sorted(os.listdir(folder))
    with concurrent.futures.ThreadPoolExecutor(int(threads)) as pool:
        start = time.perf_counter()
        for _ in pool.map(one, names):
            pass
        return len(names) / (time.perf_counter() - start)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--images", type=int, default=200)
    a.add_argument("--rounds", type=int, default=5)
    a.add_argument("--threads", default=str(os.cpu_count()))
    args = a.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        make(folder, args.images)
        for _ in range(args.rounds):
            ours = bench(args.threads, "--mode", "input", "--data", folder, "--steps", "3")["images_per_second"]
            theirs = pillow(folder, args.threads)
            step = {form: 16 / bench(args.threads, "--shape", "vit-base", "--batch", "16", "--steps", "2", "--base-precision", form)["seconds_per_step"]
                    for form in ("f32", "int8")}
            rows.append((ours, theirs, step["f32"], step["int8"]))
    median = lambda f: statistics.median(map(f, rows))
    print(f"images a second at 224 x 224, {args.threads} threads, medians of {args.rounds} rounds")
    print(f"  Budwood's input pipeline {median(lambda r: r[0]):8.0f}")
    print(f"  Pillow                   {median(lambda r: r[1]):8.0f}   (ratio {median(lambda r: r[0] / r[1]):.2f})")
    for at, form in ((2, "f32"), (3, "int8")):
        print(f"  a ViT-B/16 step, {form:4}    {median(lambda r: r[at]):8.1f}   (the pipeline makes {median(lambda r: r[0] / r[at]):.0f} times as many; wanted: 3)")


main()
