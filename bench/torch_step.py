"""PyTorch `adapters` 1.3: seconds and peak memory of a training step or a forward pass, as JSON.

Random weights of the named shape, full-length sequences without padding or images of LENGTH x LENGTH pixels, adapters of width 64 with layer norms
trained, dropout on in training (ViT has none); the optimizer's step is part of the step.
"""
import argparse, json, os, resource, time

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from adapters import BertAdapterModel, DoubleSeqBnConfig, ViTAdapterModel
from transformers import BertConfig, ViTConfig

SHAPES = {"bert-base": dict(), "minilm": dict(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536), "vit-base": dict()}
a = argparse.ArgumentParser()
a.add_argument("--shape", choices=SHAPES, default="minilm")
a.add_argument("--batch", type=int, default=32)
a.add_argument("--length", type=int)
a.add_argument("--mode", choices=["train", "forward"], default="train")
a.add_argument("--steps", type=int, default=5)
a.add_argument("--threads", type=int, default=2)
args = a.parse_args()
torch.set_num_threads(args.threads)
torch.manual_seed(0)
images = args.shape == "vit-base"
length = args.length or (224 if images else 128)
config = ViTConfig(image_size=length) if images else BertConfig(**SHAPES[args.shape])
model = (ViTAdapterModel if images else BertAdapterModel)(config)
model.add_adapter("t", config=DoubleSeqBnConfig(reduction_factor=config.hidden_size / 64, non_linearity="gelu_new"))
if images:
    model.add_image_classification_head("t", num_labels=2, layers=1)
else:
    model.add_classification_head("t", num_labels=2, layers=1)
model.train_adapter("t")
model.set_active_adapters("t")
for n, p in model.named_parameters():
    if "layernorm" in n.lower():
        p.requires_grad = True
trained = [p for p in model.parameters() if p.requires_grad]
given = torch.randn(1, 3, length, length).repeat(args.batch, 1, 1, 1) if images else torch.arange(1000, 1000 + length).repeat(args.batch, 1)
labels = torch.arange(args.batch) % 2
times = []
if args.mode == "train":
    model.train()
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    for step in range(args.steps + 1):
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(given).logits, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        times.append(time.perf_counter() - start)
else:
    model.eval()
    with torch.inference_mode():
        for step in range(args.steps + 1):
            start = time.perf_counter()
            model(given)
            times.append(time.perf_counter() - start)
times = sorted(times[1:])
print(json.dumps({"seconds_per_step": times[len(times) // 2], "fastest": times[0],
                  "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                  "mode": args.mode, "trained": sum(p.numel() for p in trained)}))
