"""The project's own cases, beside those of make.py and in the same form: prefix tuning, mix-and-match, prompt tuning after the first token, and what trains
the model's own weights (BitFit, layer norms, top layers, all). The latter have a head's folder only: their other values begin as the base's.
Then DeiT and DINOv2, which AdapterHub does not have: bases of `transformers`, PEFT's LoRA on them, and all weights trained; and images of another size than
the positions were made for (`full_other_size`).

    python make_more.py            with adapters 1.3.0, peft 0.21, transformers 4.57.6 and torch installed; make.py's cases must be there
    python make_more.py images     only the cases of images
"""
import copy, glob, json, os, sys
os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from adapters import *
from transformers import *
from safetensors.torch import load_file, save_file
from recording import record

OUT = os.path.dirname(os.path.abspath(__file__))
MODELS = {"bert": BertAdapterModel, "roberta": RobertaAdapterModel, "distilbert": DistilBertAdapterModel, "vit": ViTAdapterModel}
if sys.argv[1:] == ["images"]:
    MODELS = {"vit": ViTAdapterModel}
METHODS = {
    "prefix_tuning": PrefixTuningConfig(prefix_length=3, bottleneck_size=6),
    "prefix_tuning_flat": PrefixTuningConfig(prefix_length=2, flat=True, leave_out=[0]),
    "mam": MAMConfig(PrefixTuningConfig(prefix_length=2, bottleneck_size=5), ParBnConfig(reduction_factor=4)),
    "unipelt": UniPELTConfig(PrefixTuningConfig(prefix_length=2, bottleneck_size=5, use_gating=True), SeqBnConfig(reduction_factor=4, use_gating=True), LoRAConfig(r=2, alpha=2, use_gating=True)),
    "prefix_tuning_gates": PrefixTuningConfig(prefix_length=2, bottleneck_size=5, use_gating=True, shared_gating=False),
    "prompt_tuning_whole": PromptTuningConfig(prompt_length=3),
    "prompt_tuning_after": PromptTuningConfig(prompt_length=2, combine="prefix_after_bos"),
}
NORM = ("LayerNorm", "layer_norm", "layernorm", "norm1", "norm2")
PRODUCTS = ("query", "key", "value", "dense", "q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2")
layer_of = lambda n: int(n.split("layer.")[1].split(".")[0]) if "layer." in n else None
is_norm = lambda n: any(x in n for x in NORM)
OWN = {
    "bitfit": lambda n: layer_of(n) is not None and n.endswith(".bias") and not is_norm(n),
    "layer_norm": is_norm,
    "top_k": lambda n: layer_of(n) == 1 or n == "vit.layernorm.weight" or n == "vit.layernorm.bias",
    "full": lambda n: "pooler" not in n and "mask_token" not in n,
}
OTHER_SIZE = torch.randn(3, 3, 24, 40, generator=torch.Generator().manual_seed(8))


def random(model, pick, seed):
    g = torch.Generator().manual_seed(seed)
    for n, p in sorted(model.named_parameters()):
        if pick(n):
            p.data = torch.randn(p.shape, generator=g) * 0.2 + (1.0 if n.endswith("scaling") else 0.0)


for family, cls in MODELS.items():
    config = AutoConfig.from_pretrained(f"{OUT}/base/{family}")
    weights = load_file(f"{OUT}/base/{family}/model.safetensors")
    case = load_file(f"{OUT}/adapters/{family}/seq_bn/io.safetensors")
    inputs = {k[6:]: v for k, v in case.items() if k.startswith("input.") and k != "input.labels"}
    images = family == "vit"
    own = {**OWN, "full_other_size": OWN["full"]} if images else OWN
    for name in [*METHODS, *own]:
        if images and name == "prompt_tuning_whole":
            continue  # As make.py's `prompt_tuning`: images have no padding.
        folder = f"{OUT}/adapters/{family}/{name}"
        os.makedirs(folder, exist_ok=True)
        torch.manual_seed(1)
        model = cls(copy.deepcopy(config))
        missing = model.load_state_dict(weights, strict=False)
        assert not missing.unexpected_keys, missing
        if name in METHODS:
            model.add_adapter("task", config=METHODS[name])
        if images:
            model.add_image_classification_head("task", num_labels=3)
        else:
            model.add_classification_head("task", num_labels=3, id2label={0: "no", 1: "maybe", 2: "yes"})
        if name in METHODS:
            model.train_adapter("task")
            model.set_active_adapters("task")
        else:
            for n, p in model.named_parameters():
                p.requires_grad = "heads." in n or own[name](n)
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
        if name == "full_other_size":
            given = {"pixel_values": OTHER_SIZE, "interpolate_pos_encoding": True}
        elif not images and (name.startswith("prompt") or name in ("unipelt", "prefix_tuning_gates") or family == "distilbert"):
            # With padding, the library lets prompts attend to it, and its gates average over it, so that a row's result depends
            # on its neighbours; in DistilBERT it adds 1 to the scores of a prefix.
            given = {k: v.clone() for k, v in inputs.items()}
            given["input_ids"][given["attention_mask"] == 0] = 7
            given["attention_mask"][:] = 1
        record(model, given, torch.tensor([0, 2, 1]), folder)
        print(family, name, sum(p.numel() for p in model.parameters() if p.requires_grad))


class Plain(torch.nn.Module):
    """A model of `transformers` with a linear head over the class token, under AdapterHub's names."""

    def __init__(self, family, model):
        super().__init__()
        setattr(self, family, model)
        self.family = family
        self.heads = torch.nn.ModuleDict({"task": torch.nn.Sequential(torch.nn.Dropout(0.0), torch.nn.Linear(32, 3))})

    def forward(self, pixel_values, output_hidden_states=True, **more):
        out = getattr(self, self.family)(pixel_values, output_hidden_states=True, **more)
        out["logits"] = self.heads["task"](out.last_hidden_state[:, 0])
        return out


def moved(model, seed):
    """Random values everywhere, around 1 in norms and layer scales."""
    random(model, lambda n: True, seed)
    for n, p in model.named_parameters():
        if n.endswith("lambda1") or (is_norm(n) and n.endswith("weight")):
            p.data += 1.0
    return model


def head_folder(model, folder):
    os.makedirs(folder, exist_ok=True)
    config = {"head_type": "image_classification", "num_labels": 3, "layers": 1, "activation_function": None, "use_pooler": False, "bias": True,
              "label2id": {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}}
    json.dump({"config": config, "hidden_size": 32, "name": "task"}, open(f"{folder}/head_config.json", "w"), indent=2)
    save_file({n: p.data.clone() for n, p in model.named_parameters() if n.startswith("heads.")}, f"{folder}/model_head.safetensors")


SIZES = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=8)
SAME_SIZE = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(7))
for family, (config, cls, with_head) in {
    "deit": (DeiTConfig(intermediate_size=64, **SIZES), DeiTModel, DeiTForImageClassification),
    "dinov2": (Dinov2Config(mlp_ratio=2, **SIZES), Dinov2Model, Dinov2ForImageClassification),
}.items():
    torch.manual_seed(1)
    base = moved(cls(copy.deepcopy(config)), 11)
    os.makedirs(f"{OUT}/base/{family}", exist_ok=True)
    config.save_pretrained(f"{OUT}/base/{family}")
    save_file({f"{family}.{k}": v.clone() for k, v in base.state_dict().items()}, f"{OUT}/base/{family}/model.safetensors", metadata={"format": "pt"})
    for name, pixels in {"full": SAME_SIZE, "full_other_size": OTHER_SIZE}.items():
        folder = f"{OUT}/adapters/{family}/{name}"
        model = Plain(family, copy.deepcopy(base))
        for n, p in model.named_parameters():
            p.requires_grad = OWN["full"](n)
        random(model, lambda n: n.startswith("heads."), 5)
        head_folder(model, f"{folder}/adapter")
        flag = {"interpolate_pos_encoding": True} if family == "deit" and name == "full_other_size" else {}
        record(model, {"pixel_values": pixels, **flag}, torch.tensor([0, 2, 1]), folder)
        print(family, name)
    import peft
    folder = f"{OUT}/peft/{family}/lora"
    labelled = copy.deepcopy(config)
    labelled.num_labels = 3
    model = moved(with_head(labelled), 11)
    model.save_pretrained(f"{OUT}/peft/{family}/base")
    targets = ["query", "value"]
    model = peft.get_peft_model(model, peft.LoraConfig(r=4, lora_alpha=8, target_modules=targets, modules_to_save=["classifier"]))
    random(model, lambda n: "lora_" in n or "modules_to_save" in n, 5)
    model.save_pretrained(f"{folder}/adapter")
    record(model, {"pixel_values": SAME_SIZE}, torch.tensor([0, 2, 1]), folder)
    print(family, "peft lora")


# Checkpoints in other forms: ViT's base as its authors' code would hold it, stored and deflated, and a DINOv2 with a layer behind it, as PyTorch exports it.
import numpy as np
os.makedirs(f"{OUT}/convert", exist_ok=True)
vit = {k[4:]: v.numpy() for k, v in load_file(f"{OUT}/base/vit/model.safetensors").items() if k.startswith("vit.")}
heads = AutoConfig.from_pretrained(f"{OUT}/base/vit").num_attention_heads
arrays = {
    "cls": vit["embeddings.cls_token"],
    "embedding/kernel": vit["embeddings.patch_embeddings.projection.weight"].transpose(2, 3, 1, 0),
    "embedding/bias": vit["embeddings.patch_embeddings.projection.bias"],
    "Transformer/posembed_input/pos_embedding": vit["embeddings.position_embeddings"],
    "Transformer/encoder_norm/scale": vit["layernorm.weight"],
    "Transformer/encoder_norm/bias": vit["layernorm.bias"],
    "head/kernel": np.zeros((32, 5), np.float32),
    "head/bias": np.zeros(5, np.float32),
}
for i in range(2):
    ours, theirs = f"encoder.layer.{i}", f"Transformer/encoderblock_{i}"
    for norm, name in [("LayerNorm_0", "layernorm_before"), ("LayerNorm_2", "layernorm_after")]:
        arrays[f"{theirs}/{norm}/scale"], arrays[f"{theirs}/{norm}/bias"] = vit[f"{ours}.{name}.weight"], vit[f"{ours}.{name}.bias"]
    attention = f"{theirs}/MultiHeadDotProductAttention_1"
    for name in ["query", "key", "value"]:
        arrays[f"{attention}/{name}/kernel"] = vit[f"{ours}.attention.attention.{name}.weight"].T.reshape(32, heads, -1)
        arrays[f"{attention}/{name}/bias"] = vit[f"{ours}.attention.attention.{name}.bias"].reshape(heads, -1)
    arrays[f"{attention}/out/kernel"] = vit[f"{ours}.attention.output.dense.weight"].T.reshape(heads, -1, 32)
    arrays[f"{attention}/out/bias"] = vit[f"{ours}.attention.output.dense.bias"]
    for k, name in enumerate(["intermediate.dense", "output.dense"]):
        arrays[f"{theirs}/MlpBlock_3/Dense_{k}/kernel"] = vit[f"{ours}.{name}.weight"].T
        arrays[f"{theirs}/MlpBlock_3/Dense_{k}/bias"] = vit[f"{ours}.{name}.bias"]
arrays = {k: np.ascontiguousarray(v) for k, v in arrays.items()}
np.savez(f"{OUT}/convert/vit.npz", **arrays)
pooler = {f"pre_logits/{k}": load_file(f"{OUT}/peft/deit/base/model.safetensors")[v].numpy() for k, v in
          [("kernel", "deit.encoder.layer.0.attention.output.dense.weight"), ("bias", "deit.encoder.layer.0.attention.output.dense.bias")]}
np.savez_compressed(f"{OUT}/convert/vit_deflated.npz", **arrays, **pooler)


class Behind(torch.nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone, self.decoder = backbone, torch.nn.Linear(64, 1)

    def forward(self, pixels):
        return self.decoder(self.backbone(pixels).last_hidden_state)


torch.manual_seed(1)
small = Dinov2Config(mlp_ratio=1, **{**SIZES, "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1})
model = Behind(moved(Dinov2Model(small), 13)).eval()
with torch.no_grad():
    torch.onnx.export(model, (OTHER_SIZE,), f"{OUT}/convert/dinov2.onnx", dynamo=False, opset_version=17)
    states = model.backbone(OTHER_SIZE).last_hidden_state
save_file({"input.pixel_values": OTHER_SIZE, "out.last_hidden_state": states}, f"{OUT}/convert/dinov2.safetensors")

# Where the base was read from says nothing.
for path in glob.glob(f"{OUT}/adapters/*/*/adapter/*_config.json"):
    described = json.load(open(path))
    if described.get("model_name"):
        json.dump({**described, "model_name": ""}, open(path, "w"), indent=2)
# A set is written in any order.
for path in [f"{OUT}/peft/{family}/lora/adapter/adapter_config.json" for family in ("deit", "dinov2")]:
    described = json.load(open(path))
    json.dump({**described, "target_modules": sorted(described["target_modules"])}, open(path, "w"), indent=2)
