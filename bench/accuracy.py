#!/usr/bin/env python3
"""Budwood's side of the accuracy table, and the table itself.

    python3 bench/accuracy.py --data DIR --out FILE [--binary PATH]        trains, one JSON line a run, restartable
    python3 bench/accuracy.py --table OURS THEIRS                          prints the table of two such files

DIR holds glue/CoLA, glue/STS-B, glue/RTE, glue/SST-2 and text/trec. The other file comes from bench/torch_accuracy.py, which
has the same settings. The score is that of the last epoch, without choosing among epochs.
"""
import argparse, json, os, statistics, subprocess, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TASKS = {  # layout and folder, epochs, further flags, metric
    "trec": ("trec=text/trec", 3, ["--dev-share", "0", "--test"], "accuracy"),
    "sts-b": ("glue:STS-B=glue/STS-B", 2, [], "spearman"),
    "cola": ("glue:CoLA=glue/CoLA", 3, [], "matthews"),
    "rte": ("glue:RTE=glue/RTE", 3, [], "accuracy"),
    "sst-2": ("glue:SST-2=glue/SST-2", 1, ["--train-rows", "20000"], "accuracy"),
}


def train(args):
    done = set()
    if os.path.exists(args.out):
        done = {(r["task"], r["seed"]) for r in map(json.loads, open(args.out))}
    for task, (data, epochs, flags, _) in TASKS.items():
        for seed in args.seeds:
            if (task, seed) in done:
                continue
            name, folder = data.split("=")
            with tempfile.TemporaryDirectory() as out:
                command = [args.binary, "train", "--json", "--base", args.base, "--data",
                           f"{name}={os.path.join(args.data, folder)}", "--method", args.method, "--epochs", str(epochs),
                           "--lr", str(args.lr), "--seed", str(seed), "--pooling", "mean", "--out", out + "/a", *flags, *args.flags]
                result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            last = (result["evaluations"][-1]["scores"] if result["evaluations"]
                    else {m["name"]: m["value"] for m in result["metrics"] if m["split"] == "test"})
            line = {"task": task, "seed": seed, "last": last, "seconds": result["seconds"], "trained": result["parameters_trained"]}
            print(line, flush=True)
            with open(args.out, "a") as f:
                f.write(json.dumps(line) + "\n")


def table(ours, theirs):
    read = lambda path: [json.loads(l) for l in open(path)]
    ours, theirs = read(ours), read(theirs)
    print("| task | metric | Budwood | PyTorch `adapters` | difference |\n|---|---|---|---|---|")
    for task, (_, _, _, metric) in TASKS.items():
        values = lambda rows: [100 * r["last"][metric] for r in rows if r["task"] == task]
        a, b = values(ours), values(theirs)
        if a and b:
            show = lambda v: f"{statistics.mean(v):.1f} ({', '.join(f'{x:.1f}' for x in v)})"
            print(f"| {task} | {metric} | {show(a)} | {show(b)} | {statistics.mean(a) - statistics.mean(b):+.1f} |")


if __name__ == "__main__":
    a = argparse.ArgumentParser()
    a.add_argument("--data")
    a.add_argument("--base", default="minilm")
    a.add_argument("--out")
    a.add_argument("--binary", default=os.path.join(HERE, "..", "target", "release", "budwood"))
    a.add_argument("--method", default="adapter")
    a.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    a.add_argument("--lr", type=float, default=3e-4)
    a.add_argument("--flags", nargs="*", default=[])
    a.add_argument("--table", nargs=2)
    args = a.parse_args()
    table(*args.table) if args.table else train(args)
