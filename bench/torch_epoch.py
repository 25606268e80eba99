"""PyTorch `adapters` 1.3: one TREC epoch end to end at real lengths, with length-grouped batches and dynamic padding.

Timed: reading, tokenisation and training; loading the libraries and the model is not. Prints JSON.
"""
import argparse, json, random, resource, sys, time

a = argparse.ArgumentParser()
a.add_argument("--data", required=True, help="folder with TREC.train")
a.add_argument("--base", required=True)
a.add_argument("--threads", type=int, default=2)
args = a.parse_args()
import torch
import torch_accuracy as ours
from transformers import BertTokenizerFast

torch.set_num_threads(args.threads)
torch.manual_seed(0)
tokenizer = BertTokenizerFast.from_pretrained(args.base)
model = ours.Model(args.base, 6)
model.train()
trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
decay = [p for n, p in trained if "LayerNorm" not in n and not n.endswith("bias")]
rest = [p for n, p in trained if "LayerNorm" in n or n.endswith("bias")]
optimizer = ours.OfficialAdam([dict(params=decay, weight_decay=0.01), dict(params=rest)])
start = time.perf_counter()
rows = [l.split(" ", 1) for l in ours.lines(args.data + "/TREC.train", "latin-1")]
names = sorted({r[0].split(":")[0] for r in rows})
train = ours.encode(tokenizer, [(r[1], None, names.index(r[0].split(":")[0])) for r in rows])
plan = ours.batches(train, 32, random.Random(0))
for step, part in enumerate(plan):
    ids, types, mask, t = ours.collate([train[j] for j in part])
    loss = torch.nn.functional.cross_entropy(model(ids, types, mask), torch.tensor(t))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_([p for _, p in trained], 1.0)
    for g in optimizer.param_groups:
        g["lr"] = 3e-4
    optimizer.step()
print(json.dumps({"seconds": time.perf_counter() - start, "steps": len(plan),
                  "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
