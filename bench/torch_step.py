"""PyTorch `adapters` 1.3: seconds and peak memory of a training step or a forward pass, as JSON.

Random weights of the named shape, full-length sequences without padding, adapters of width 64 with layer norms trained,
dropout on in training; the optimizer's step is part of the step.
"""
import argparse, json, os, resource, time

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from adapters import BertAdapterModel, DoubleSeqBnConfig
from transformers import BertConfig

SHAPES = {"bert-base": dict(), "minilm": dict(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)}
a = argparse.ArgumentParser()
a.add_argument("--shape", choices=SHAPES, default="minilm")
a.add_argument("--batch", type=int, default=32)
a.add_argument("--length", type=int, default=128)
a.add_argument("--mode", choices=["train", "forward"], default="train")
a.add_argument("--steps", type=int, default=5)
a.add_argument("--threads", type=int, default=2)
args = a.parse_args()
torch.set_num_threads(args.threads)
torch.manual_seed(0)
config = BertConfig(**SHAPES[args.shape])
model = BertAdapterModel(config)
model.add_adapter("t", config=DoubleSeqBnConfig(reduction_factor=config.hidden_size / 64, non_linearity="gelu_new"))
model.add_classification_head("t", num_labels=2, layers=1)
model.train_adapter("t")
model.set_active_adapters("t")
for n, p in model.named_parameters():
    if "LayerNorm" in n:
        p.requires_grad = True
trained = [p for p in model.parameters() if p.requires_grad]
ids = torch.arange(1000, 1000 + args.length).repeat(args.batch, 1)
labels = torch.arange(args.batch) % 2
times = []
if args.mode == "train":
    model.train()
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    for step in range(args.steps + 1):
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(ids).logits, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        times.append(time.perf_counter() - start)
else:
    model.eval()
    with torch.inference_mode():
        for step in range(args.steps + 1):
            start = time.perf_counter()
            model(ids)
            times.append(time.perf_counter() - start)
times = sorted(times[1:])
print(json.dumps({"seconds_per_step": times[len(times) // 2], "fastest": times[0],
                  "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                  "mode": args.mode, "trained": sum(p.numel() for p in trained)}))
