"""The project's own cases, beside those of make.py and in the same form: prefix tuning, mix-and-match, prompt tuning after the first token, and what trains
the model's own weights (BitFit, layer norms, top layers, all). The latter have a head's folder only: their other values begin as the base's.

    python make_more.py        with adapters 1.3.0, transformers 4.57.6 and torch installed; make.py's cases must be there
"""
import copy, glob, json, os, re
os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from adapters import *
from transformers import *
from safetensors.torch import load_file, save_file

OUT = os.path.dirname(os.path.abspath(__file__))
MODELS = {"bert": BertAdapterModel, "roberta": RobertaAdapterModel, "distilbert": DistilBertAdapterModel}
METHODS = {
    "prefix_tuning": PrefixTuningConfig(prefix_length=3, bottleneck_size=6),
    "prefix_tuning_flat": PrefixTuningConfig(prefix_length=2, flat=True, leave_out=[0]),
    "mam": MAMConfig(PrefixTuningConfig(prefix_length=2, bottleneck_size=5), ParBnConfig(reduction_factor=4)),
    "unipelt": UniPELTConfig(PrefixTuningConfig(prefix_length=2, bottleneck_size=5, use_gating=True), SeqBnConfig(reduction_factor=4, use_gating=True), LoRAConfig(r=2, alpha=2, use_gating=True)),
    "prefix_tuning_gates": PrefixTuningConfig(prefix_length=2, bottleneck_size=5, use_gating=True, shared_gating=False),
    "prompt_tuning_whole": PromptTuningConfig(prompt_length=3),
    "prompt_tuning_after": PromptTuningConfig(prompt_length=2, combine="prefix_after_bos"),
}
NORM = ("LayerNorm", "layer_norm")
PRODUCTS = ("query", "key", "value", "dense", "q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2")
layer_of = lambda n: int(n.split("layer.")[1].split(".")[0]) if "layer." in n else None
is_norm = lambda n: any(x in n for x in NORM)
OWN = {
    "bitfit": lambda n: layer_of(n) is not None and n.endswith(".bias") and not is_norm(n),
    "layer_norm": is_norm,
    "top_k": lambda n: layer_of(n) == 1,
    "full": lambda n: "pooler" not in n,
}


def random(model, pick, seed):
    g = torch.Generator().manual_seed(seed)
    for n, p in sorted(model.named_parameters()):
        if pick(n):
            p.data = torch.randn(p.shape, generator=g) * 0.2 + (1.0 if n.endswith("scaling") else 0.0)


def record(model, inputs, labels, folder):
    model.eval()
    io = {f"input.{k}": v for k, v in inputs.items()}
    io["input.labels"] = labels
    out = model(**inputs, output_hidden_states=True)
    io["out.logits"], io["out.last_hidden"] = out.logits, out.hidden_states[-1]
    loss = torch.nn.functional.cross_entropy(out.logits, labels)
    loss.backward()
    io["loss"] = loss.reshape(1)
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad and p.grad is not None]
    for n, p in trained:
        io[f"grad.{n}"] = p.grad.clone()
    optimizer = torch.optim.AdamW([p for _, p in trained], lr=1e-3, weight_decay=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(**inputs).logits, labels).backward()
        optimizer.step()
    for n, p in trained:
        io[f"step3.{n}"] = p.data
    # Prefixes are found by the layer that first asks for them; their own name is the model's.
    own = lambda k: re.sub(r"\.(encoder|transformer)\.layer\.\d+\..*?prefix_tuning\.pool\.", ".prefix_tuning.", k)
    save_file({own(k): v.detach().contiguous().clone() for k, v in io.items()}, f"{folder}/io.safetensors")


for family, cls in MODELS.items():
    config = AutoConfig.from_pretrained(f"{OUT}/base/{family}")
    weights = load_file(f"{OUT}/base/{family}/model.safetensors")
    case = load_file(f"{OUT}/adapters/{family}/seq_bn/io.safetensors")
    inputs = {k[6:]: v for k, v in case.items() if k.startswith("input.") and k != "input.labels"}
    for name in [*METHODS, *OWN]:
        folder = f"{OUT}/adapters/{family}/{name}"
        os.makedirs(folder, exist_ok=True)
        torch.manual_seed(1)
        model = cls(copy.deepcopy(config))
        missing = model.load_state_dict(weights, strict=False)
        assert not missing.unexpected_keys, missing
        if name in METHODS:
            model.add_adapter("task", config=METHODS[name])
        model.add_classification_head("task", num_labels=3, id2label={0: "no", 1: "maybe", 2: "yes"})
        if name in METHODS:
            model.train_adapter("task")
            model.set_active_adapters("task")
        else:
            for n, p in model.named_parameters():
                p.requires_grad = "heads." in n or OWN[name](n)
            model.active_head = "task"
        random(model, lambda n: ".task." in n, 5)
        if name in METHODS:
            # The library cannot write prefixes as safetensors: every layer holds the same tensors.
            model.save_adapter(f"{folder}/adapter", "task", use_safetensors=False)
            for there, here in [("pytorch_adapter.bin", "adapter"), ("pytorch_model_head.bin", "model_head")]:
                tensors = torch.load(f"{folder}/adapter/{there}", weights_only=True)
                tensors = {k: v.clone() for k, v in tensors.items() if ".pool." not in k}
                save_file(tensors, f"{folder}/adapter/{here}.safetensors")
                os.remove(f"{folder}/adapter/{there}")
        else:
            model.save_head(f"{folder}/adapter", "task", use_safetensors=True)
        given = inputs
        if name.startswith("prompt") or name in ("unipelt", "prefix_tuning_gates") or family == "distilbert":
            # With padding, the library lets prompts attend to it, and its gates average over it, so that a row's result depends
            # on its neighbours; in DistilBERT it adds 1 to the scores of a prefix.
            given = {k: v.clone() for k, v in inputs.items()}
            given["input_ids"][given["attention_mask"] == 0] = 7
            given["attention_mask"][:] = 1
        record(model, given, torch.tensor([0, 2, 1]), folder)
        print(family, name, sum(p.numel() for p in model.parameters() if p.requires_grad))

# Where the base was read from says nothing.
for path in glob.glob(f"{OUT}/adapters/*/*/adapter/*_config.json"):
    described = json.load(open(path))
    if described.get("model_name"):
        json.dump({**described, "model_name": ""}, open(path, "w"), indent=2)
