#!/usr/bin/env python3
"""The Python package beside `transformers` with `adapters`: training and answering the same texts, time and memory.

    bench/package.py --python PYTHON --base FOLDER --data SST-2/train.tsv [--rounds 3] [--predict 10000] [--train 2000]

PYTHON is that of an environment with the package; the other side's is that of `compare.py`. Each run is a process of its own, in
turn; adapters of width 64 on the same model, one epoch in batches of 32. Answers of the other side are made in batches of 64
texts of like length. Seconds are of the call, and in brackets of the whole process with its imports. Run nothing else meanwhile.
"""
import argparse, csv, json, os, pathlib, random, resource, statistics, subprocess, sys, tempfile, time

VENV = pathlib.Path(os.environ.get("BUDWOOD_BENCH_VENV") or os.path.expanduser("~/.cache/budwood/bench-venv"))


def rows(path, n, seed):
    with open(path, newline="", encoding="utf-8") as f:
        found = [(r["sentence"].strip(), r["label"]) for r in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE)]
    random.Random(seed).shuffle(found)
    texts, labels = zip(*found[:n])
    return list(texts), list(labels)


def ours_train(base, texts, labels, out):
    import budwood
    model = budwood.Classifier(base=base, recipe="paper", base_precision="auto", method="adapter[width=64]", epochs=1, batch_size=32,
                               lr=3e-4, dev_share=0.0, max_length=128)
    begin = time.perf_counter()
    model.fit(texts, labels)
    took = time.perf_counter() - begin
    model.adapter_.save(out)
    return took, None


def ours_predict(base, texts, labels, out):
    import budwood
    begin = time.perf_counter()
    found = budwood.load(out, base=base).predict(texts)
    return time.perf_counter() - begin, sum(a == b for a, b in zip(map(str, found), labels)) / len(labels)


def theirs_model(base):
    import torch
    from adapters import AutoAdapterModel, DoubleSeqBnConfig
    from transformers import AutoTokenizer
    torch.manual_seed(0)
    torch.set_num_threads(os.cpu_count())
    model = AutoAdapterModel.from_pretrained(base)
    return torch, model, AutoTokenizer.from_pretrained(base), DoubleSeqBnConfig(reduction_factor=model.config.hidden_size / 64)


def theirs_train(base, texts, labels, out):
    torch, model, tokenizer, config = theirs_model(base)
    known = sorted(set(labels))
    model.add_adapter("t", config=config)
    model.add_classification_head("t", num_labels=len(known), layers=1)
    model.train_adapter("t")
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=3e-4)
    begin = time.perf_counter()
    for part in torch.randperm(len(texts)).split(32):
        given = tokenizer([texts[i] for i in part], return_tensors="pt", padding=True, truncation=True, max_length=128)
        loss = torch.nn.functional.cross_entropy(model(**given).logits, torch.tensor([known.index(labels[i]) for i in part]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    took = time.perf_counter() - begin
    model.save_adapter(out, "t", with_head=True)
    return took, None


def theirs_predict(base, texts, labels, out):
    torch, model, tokenizer, _ = theirs_model(base)
    begin = time.perf_counter()
    model.set_active_adapters(model.load_adapter(out))
    model.eval()
    order, found = sorted(range(len(texts)), key=lambda i: len(texts[i])), [None] * len(texts)
    with torch.inference_mode():
        for start in range(0, len(order), 64):
            part = order[start:start + 64]
            given = tokenizer([texts[i] for i in part], return_tensors="pt", padding=True, truncation=True, max_length=128)
            for i, answer in zip(part, model(**given).logits.argmax(-1).tolist()):
                found[i] = answer
    known = sorted(set(labels))
    return time.perf_counter() - begin, sum(known[a] == b for a, b in zip(found, labels)) / len(labels)


WORK = {("ours", "train"): ours_train, ("ours", "predict"): ours_predict, ("theirs", "train"): theirs_train, ("theirs", "predict"): theirs_predict}


def one(side, work, args, folder):
    python = args.python if side == "ours" else str(VENV / "bin/python")
    number = args.train if work == "train" else args.predict
    command = [python, __file__, "--run", side, work, "--base", args.base, "--data", args.data, "--number", str(number),
               "--out", str(folder / side)]
    begin = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    if done.returncode:
        sys.exit(done.stderr)
    return {**json.loads(done.stdout.splitlines()[-1]), "all": time.perf_counter() - begin}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--python")
    p.add_argument("--base", required=True)
    p.add_argument("--data", required=True)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--predict", type=int, default=10_000)
    p.add_argument("--train", type=int, default=2_000)
    p.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    p.add_argument("--number", type=int, help=argparse.SUPPRESS)
    p.add_argument("--out", help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.run:
        texts, labels = rows(args.data, args.number, args.run[1])
        took, right = WORK[tuple(args.run)](args.base, texts, labels, args.out)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        print(json.dumps({"seconds": took, "right": right, "memory": peak}))
        return
    print("| work | package | adapters | ratio | memory: package | adapters | ratio | right |\n|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for work in ["train", "predict"]:
            found = []
            for i in range(args.rounds):
                if work == "train":
                    subprocess.run(["rm", "-rf", folder / "ours", folder / "theirs"], check=True)
                found.append([one(side, work, args, folder) for side in ["ours", "theirs"]])
            middle = lambda of: statistics.median(map(of, found))
            time_of = lambda side: f"{middle(lambda r: r[side]['seconds']):.2f} s ({middle(lambda r: r[side]['all']):.2f} s)"
            right = "" if work == "train" else f"{found[0][0]['right']:.3f}, {found[0][1]['right']:.3f}"
            print(f"| {work} | {time_of(0)} | {time_of(1)} | {middle(lambda r: r[0]['seconds'] / r[1]['seconds']):.2f} | "
                  f"{middle(lambda r: r[0]['memory']):.0f} MB | {middle(lambda r: r[1]['memory']):.0f} MB | "
                  f"{middle(lambda r: r[0]['memory'] / r[1]['memory']):.2f} | {right} |", flush=True)


if __name__ == "__main__":
    main()
