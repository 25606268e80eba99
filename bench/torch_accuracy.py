"""The PyTorch side of the accuracy table: the paper's adapter on MiniLM with `adapters` 1.3.

Settings are those of `budwood train --method adapter` (see docs/results.md): two bottlenecks a layer of width 64 with
tanh-GELU and truncated normal initialisation (1e-3), all layer norms trained, mean pooling, dropout 0.1 and one
linear layer; the official code's Adam without bias correction, decay 0.01 on matrices, clipping at 1, warm-up over a
tenth of the steps, linear decay; batches of 32 of similar length.

Appends one JSON line for each finished run and skips runs that are there already.
"""
import argparse, csv, json, os, random, time

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy as np, torch
from adapters import BertAdapterModel, DoubleSeqBnConfig
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import matthews_corrcoef
from transformers import BertTokenizerFast

EPOCHS = {"trec": 3, "sts-b": 2, "cola": 3, "rte": 3, "sst-2": 1}


def lines(path, encoding="utf-8"):
    return [l for l in open(path, encoding=encoding).read().split("\n") if l.strip()]


def load(task, data, seed_rows=0):
    """(train, dev, labels): examples are (a, b or None, target)."""
    g = lambda *p: os.path.join(data, *p)
    if task == "trec":
        def read(name):
            rows = [l.split(" ", 1) for l in lines(g("text/trec", name), "latin-1")]
            return [(r[1], None, r[0].split(":")[0]) for r in rows]
        train, dev = read("TREC.train"), read("TREC.test")
    elif task == "cola":
        def read(name):
            rows = [l.split("\t") for l in lines(g("glue/CoLA", name))]
            return [(r[3], None, r[1]) for r in rows]
        train, dev = read("train.tsv"), read("dev.tsv")
    elif task == "sst-2":
        def read(name):
            rows = [l.split("\t") for l in lines(g("glue/SST-2", name))[1:]]
            return [(r[0], None, r[1]) for r in rows]
        train, dev = read("train.tsv")[:20000], read("dev.tsv")
    elif task == "rte":
        def read(name):
            rows = [l.split("\t") for l in lines(g("glue/RTE", name))[1:]]
            return [(r[1], r[2], r[3]) for r in rows]
        train, dev = read("train.tsv"), read("dev.tsv")
    else:
        def read(name):
            with open(g("glue/STS-B", name), encoding="utf-8", newline="") as f:
                return [(r[0], r[1], float(r[2])) for r in csv.reader(f) if r]
        train, dev = read("train.csv"), read("dev.csv")
        return train, dev, None
    labels = sorted({t for _, _, t in train})
    number = {l: i for i, l in enumerate(labels)}
    return [(a, b, number[t]) for a, b, t in train], [(a, b, number[t]) for a, b, t in dev], labels


def encode(tokenizer, rows, max_length=128):
    out = []
    for a, b, t in rows:
        a = tokenizer(a, add_special_tokens=False)["input_ids"]
        b = tokenizer(b, add_special_tokens=False)["input_ids"] if b is not None else None
        room = max_length - (2 if b is None else 3)
        while len(a) + len(b or []) > room:
            (a if b is None or len(a) > len(b) else b).pop()
        ids = [101] + a + [102] + (b + [102] if b is not None else [])
        types = [0] * (len(a) + 2) + [1] * (len(ids) - len(a) - 2)
        out.append((ids, types, t))
    return out


def collate(rows):
    n = max(len(r[0]) for r in rows)
    pad = lambda x: x + [0] * (n - len(x))
    ids = torch.tensor([pad(r[0]) for r in rows])
    types = torch.tensor([pad(r[1]) for r in rows])
    mask = torch.tensor([[1] * len(r[0]) + [0] * (n - len(r[0])) for r in rows])
    return ids, types, mask, [r[2] for r in rows]


def batches(rows, size, rng):
    """Length-grouped: sorted within windows of 50 batches of a random order, batches then shuffled."""
    order = list(range(len(rows)))
    rng.shuffle(order)
    window = size * 50
    out = []
    for i in range(0, len(order), window):
        part = sorted(order[i:i + window], key=lambda j: len(rows[j][0]))
        out += [part[j:j + size] for j in range(0, len(part), size)]
    rng.shuffle(out)
    return out


class OfficialAdam(torch.optim.Optimizer):
    """adapter-bert's AdamWeightDecayOptimizer: no bias correction."""

    def __init__(self, groups):
        super().__init__(groups, dict(lr=0.0, weight_decay=0.0))

    @torch.no_grad()
    def step(self):
        for g in self.param_groups:
            for p in g["params"]:
                if p.grad is None:
                    continue
                s = self.state[p]
                if not s:
                    s["m"], s["v"] = torch.zeros_like(p), torch.zeros_like(p)
                s["m"].mul_(0.9).add_(p.grad, alpha=0.1)
                s["v"].mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)
                u = s["m"] / (s["v"].sqrt() + 1e-6) + g["weight_decay"] * p
                p.add_(u, alpha=-g["lr"])


class Model(torch.nn.Module):
    def __init__(self, base, outputs, width=64):
        super().__init__()
        self.m = BertAdapterModel.from_pretrained(base)
        d = self.m.config.hidden_size
        self.m.add_adapter("t", config=DoubleSeqBnConfig(reduction_factor=d / width, non_linearity="gelu_new"))
        self.m.train_adapter("t")
        self.m.set_active_adapters("t")
        for n, p in self.m.named_parameters():
            if ".adapters.t." in n and n.endswith("weight"):
                torch.nn.init.trunc_normal_(p, std=1e-3, a=-2e-3, b=2e-3)
            elif "LayerNorm" in n:
                p.requires_grad = True
        self.drop = torch.nn.Dropout(0.1)
        self.out = torch.nn.Linear(d, outputs)
        torch.nn.init.trunc_normal_(self.out.weight, std=0.02, a=-0.04, b=0.04)
        torch.nn.init.zeros_(self.out.bias)

    def forward(self, ids, types, mask):
        h = self.m.bert(ids, token_type_ids=types, attention_mask=mask).last_hidden_state
        w = mask.unsqueeze(-1).float()
        return self.out(self.drop((h * w).sum(1) / w.sum(1)))


def score(task, model, rows):
    model.eval()
    order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]))
    outs = [None] * len(rows)
    with torch.inference_mode():
        for i in range(0, len(order), 64):
            part = order[i:i + 64]
            ids, types, mask, _ = collate([rows[j] for j in part])
            for j, o in zip(part, model(ids, types, mask).tolist()):
                outs[j] = o
    model.train()
    target = [r[2] for r in rows]
    if task == "sts-b":
        y = [o[0] for o in outs]
        return {"spearman": float(spearmanr(y, target)[0]), "pearson": float(pearsonr(y, target)[0])}
    y = [int(np.argmax(o)) for o in outs]
    return {"accuracy": float(np.mean(np.array(y) == np.array(target))),
            "matthews": float(matthews_corrcoef(target, y))}


def run(task, seed, args):
    torch.manual_seed(seed)
    rng = random.Random(seed)
    tokenizer = BertTokenizerFast.from_pretrained(args.base)
    train, dev, labels = load(task, args.data)
    train, dev = encode(tokenizer, train), encode(tokenizer, dev)
    model = Model(args.base, len(labels) if labels else 1)
    model.train()
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    decay = [p for n, p in trained if "LayerNorm" not in n and not n.endswith("bias")]
    rest = [p for n, p in trained if "LayerNorm" in n or n.endswith("bias")]
    optimizer = OfficialAdam([dict(params=decay, weight_decay=0.01), dict(params=rest)])
    epochs = args.epochs or EPOCHS[task]
    per_epoch = (len(train) + 31) // 32
    total = per_epoch * epochs
    warm = total // 10
    step, start, each = 0, time.time(), []
    for epoch in range(epochs):
        for part in batches(train, 32, rng):
            ids, types, mask, t = collate([train[j] for j in part])
            y = model(ids, types, mask)
            loss = (torch.nn.functional.mse_loss(y[:, 0], torch.tensor(t)) if labels is None
                    else torch.nn.functional.cross_entropy(y, torch.tensor(t)))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_([p for _, p in trained], 1.0)
            lr = args.lr * (step / warm if step < warm else 1 - step / total)
            for g in optimizer.param_groups:
                g["lr"] = lr
            optimizer.step()
            step += 1
        each.append(score(task, model, dev))
        print(task, seed, epoch, each[-1], round(time.time() - start), flush=True)
    return {"task": task, "seed": seed, "epochs": epochs, "lr": args.lr, "steps": total, "train": len(train),
            "trained": sum(p.numel() for _, p in trained), "last": each[-1], "each": each,
            "seconds": time.time() - start}


if __name__ == "__main__":
    a = argparse.ArgumentParser()
    a.add_argument("--data", required=True)
    a.add_argument("--base", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--tasks", nargs="*", default=list(EPOCHS))
    a.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    a.add_argument("--lr", type=float, default=3e-4)
    a.add_argument("--epochs", type=int)
    args = a.parse_args()
    done = set()
    if os.path.exists(args.out):
        done = {(r["task"], r["seed"]) for r in map(json.loads, open(args.out))}
    for task in args.tasks:
        for seed in args.seeds:
            if (task, seed) not in done:
                result = run(task, seed, args)
                with open(args.out, "a") as f:
                    f.write(json.dumps(result) + "\n")
