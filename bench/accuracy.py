#!/usr/bin/env python3
"""Budwood's side of the accuracy tables, and the tables themselves.

    python3 bench/accuracy.py --data DIR --out FILE [--binary PATH]        trains, one JSON line a run, restartable
    python3 bench/accuracy.py --table Budwood=OURS PyTorch=THEIRS          prints the table of two such files

DIR holds glue/CoLA, glue/STS-B, glue/RTE, glue/SST-2, text/trec and text/banking77. PyTorch's file comes from
bench/torch_accuracy.py, which has the same settings; with `--flags="--base-precision int8"` there is a file for int8. The score
is that of the last epoch, without choosing among epochs.
"""
import argparse, json, os, shutil, statistics, subprocess, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TASKS = {  # layout and folder, epochs, further flags, metric
    "trec": ("trec=text/trec", 3, ["--dev-share", "0", "--test"], "accuracy"),
    "sts-b": ("glue:STS-B=glue/STS-B", 2, [], "spearman"),
    "cola": ("glue:CoLA=glue/CoLA", 3, [], "matthews"),
    "rte": ("glue:RTE=glue/RTE", 3, [], "accuracy"),
    "sst-2": ("glue:SST-2=glue/SST-2", 1, [], "accuracy"),
    "banking77": ("text/banking77/train.csv", 5, ["--dev-data", "{data}/text/banking77/test.csv"], "accuracy"),
}


FIRST = {"sst-2": 20000}  # rows that are trained on, as in torch_accuracy.py


def place_of(task, place, data, folder):
    """The data's folder, or a copy with the first rows only."""
    source = os.path.join(data, place)
    if task not in FIRST:
        return source
    with open(os.path.join(source, "train.tsv")) as whole, open(os.path.join(folder, "train.tsv"), "w") as part:
        part.writelines(line for _, line in zip(range(FIRST[task] + 1), whole))
    shutil.copy(os.path.join(source, "dev.tsv"), folder)
    return folder


def train(args):
    done = set()
    if os.path.exists(args.out):
        done = {(r["task"], r["seed"]) for r in map(json.loads, open(args.out))}
    for task in args.tasks:
        data, epochs, flags, _ = TASKS[task]
        flags = [f.format(data=args.data) for f in flags]
        for seed in args.seeds:
            if (task, seed) in done:
                continue
            layout, _, place = data.rpartition("=")
            with tempfile.TemporaryDirectory() as out:
                command = [args.binary, "train", "--json", "--recipe", "paper", "--base", args.base, "--data",
                           f"{layout}=".lstrip("=") + place_of(task, place, args.data, out), "--method", args.method, "--epochs", str(epochs),
                           "--lr", str(args.lr), "--seed", str(seed), "--pooling", "mean", "--out", out + "/a", *flags, *args.flags]
                result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            last = (result["evaluations"][-1]["scores"] if result["evaluations"]
                    else {m["name"]: m["value"] for m in result["metrics"] if m["split"] == "test"})
            line = {"task": task, "seed": seed, "last": last, "seconds": result["seconds"], "trained": result["parameters_trained"]}
            print(line, flush=True)
            with open(args.out, "a") as f:
                f.write(json.dumps(line) + "\n")


def table(ours, theirs):
    (our_name, ours), (their_name, theirs) = (named.split("=", 1) for named in (ours, theirs))
    read = lambda path: [json.loads(l) for l in open(path)]
    ours, theirs = read(ours), read(theirs)
    print(f"| task | metric | {our_name} | {their_name} | difference | standard error of each |\n|---|---|---|---|---|---|")
    differences = []
    for task, (_, _, _, metric) in TASKS.items():
        seeds = lambda rows: {r["seed"] for r in rows if r["task"] == task}
        common = seeds(ours) & seeds(theirs)
        values = lambda rows: [100 * r["last"][metric] for r in sorted(rows, key=lambda r: r["seed"])
                               if r["task"] == task and r["seed"] in common]
        a, b = values(ours), values(theirs)
        if len(a) > 1 and len(b) > 1:
            show = lambda v: f"{statistics.mean(v):.1f} ({', '.join(f'{x:.1f}' for x in v)})"
            error = lambda v: f"{statistics.stdev(v) / len(v) ** 0.5:.1f}"
            differences.append(statistics.mean(a) - statistics.mean(b))
            print(f"| {task} | {metric} | {show(a)} | {show(b)} | {differences[-1]:+.1f} | {error(a)}, {error(b)} |")
    if differences:
        print(f"| mean |  |  |  | {statistics.mean(differences):+.2f} |  |")


if __name__ == "__main__":
    a = argparse.ArgumentParser()
    a.add_argument("--data")
    a.add_argument("--base", default="minilm")
    a.add_argument("--out")
    a.add_argument("--binary", default=os.path.join(HERE, "..", "target", "release", "budwood"))
    a.add_argument("--method", default="adapter")
    a.add_argument("--tasks", nargs="*", choices=TASKS, default=list(TASKS))
    a.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    a.add_argument("--lr", type=float, default=3e-4)
    a.add_argument("--flags", type=str.split, default=[], help="further flags, as in --flags=\"--base-precision int8\"")
    a.add_argument("--table", nargs=2, metavar="NAME=FILE")
    args = a.parse_args()
    table(*args.table) if args.table else train(args)
