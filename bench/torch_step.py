"""PyTorch `adapters` 1.3: seconds and peak memory of a training step or a forward pass, as JSON.

Random weights of the named shape, full-length sequences without padding or images of LENGTH x LENGTH pixels, adapters of width 64 with layer norms
trained or, with `--method full`, all weights and no adapter; dropout on in training (ViT has none); the optimizer's step is part of the step.
"""
import argparse, json, os, resource, time

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import adapters
from adapters import AutoAdapterModel, DoubleSeqBnConfig
from transformers import AutoModel, BertConfig, DebertaV2Config, ElectraConfig, ModernBertConfig, MPNetConfig, ViTConfig

SHAPES = {
    "bert-base": (BertConfig, {}),
    "minilm": (BertConfig, dict(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)),
    "vit-base": (ViTConfig, {}),
    "electra-base": (ElectraConfig, dict(embedding_size=768, hidden_size=768, num_attention_heads=12, intermediate_size=3072)),
    "deberta-v3-base": (DebertaV2Config, dict(
        vocab_size=128100, hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072, type_vocab_size=0,
        relative_attention=True, position_buckets=256, norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type=["p2c", "c2p"],
        position_biased_input=False, max_relative_positions=-1)),
    # `adapters` has neither: bottlenecks of the same form are put behind the two sub-layers here.
    "modernbert-base": (ModernBertConfig, dict(reference_compile=False)),
    "mpnet-base": (MPNetConfig, dict(vocab_size=30527)),
}
BEHIND = {"modernbert-base": ("attn.Wo", "mlp.Wo"), "mpnet-base": ("attention.attn.o", "output.dense")}
a = argparse.ArgumentParser()
a.add_argument("--shape", choices=SHAPES, default="minilm")
a.add_argument("--batch", type=int, default=32)
a.add_argument("--length", type=int)
a.add_argument("--mode", choices=["train", "forward"], default="train")
a.add_argument("--method", choices=["adapter", "full"], default="adapter")
a.add_argument("--pooling", choices=["cls", "mean"], default="mean", help="of heads that are made here; those of `adapters` read the first token")
a.add_argument("--steps", type=int, default=5)
a.add_argument("--threads", type=int, default=2)
args = a.parse_args()
torch.set_num_threads(args.threads)
torch.manual_seed(0)
images = args.shape == "vit-base"
length = args.length or (224 if images else 128)
kind, settings = SHAPES[args.shape]
config = kind(**settings, **(dict(image_size=length) if images else {}))


class Bottleneck(torch.nn.Module):
    """Down, GELU, up and the skip connection around them."""

    def __init__(self, inner, hidden):
        super().__init__()
        self.inner, self.down, self.up = inner, torch.nn.Linear(hidden, 64), torch.nn.Linear(64, hidden)

    def forward(self, x):
        x = self.inner(x)
        return x + self.up(torch.nn.functional.gelu(self.down(x), approximate="tanh"))


class Pooled(torch.nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.encoder, self.head = encoder, torch.nn.Linear(config.hidden_size, 2)

    def forward(self, ids):
        states = self.encoder(ids).last_hidden_state
        self.logits = self.head(states.mean(1) if args.pooling == "mean" else states[:, 0])
        return self


if args.method == "full":
    model = Pooled(AutoModel.from_config(config))
elif args.shape in BEHIND:
    model = AutoModel.from_config(config)
    for p in model.parameters():
        p.requires_grad = False
    for name, module in list(model.named_modules()):
        if name.endswith(BEHIND[args.shape]) and isinstance(module, torch.nn.Linear):
            outer, _, last = name.rpartition(".")
            setattr(model.get_submodule(outer), last, Bottleneck(module, config.hidden_size))
    model = Pooled(model)
else:
    model = AutoAdapterModel.from_config(config)
    model.add_adapter("t", config=DoubleSeqBnConfig(reduction_factor=config.hidden_size / 64, non_linearity="gelu_new"))
    if images:
        model.add_image_classification_head("t", num_labels=2, layers=1)
    else:
        model.add_classification_head("t", num_labels=2, layers=1)
    model.train_adapter("t")
    model.set_active_adapters("t")
for n, p in model.named_parameters():
    if "norm" in n.lower():
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
