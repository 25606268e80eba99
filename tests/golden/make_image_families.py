"""Cases of the families of images after ViT, DeiT and DINOv2: random weights in `transformers` 4.57.6.

    python make_image_families.py [NAME ...]      # needs torch, transformers

As make_families.py, in the same folders: `base/NAME` (of variants `families/NAME/base`), and in `families/NAME`
`full.safetensors` (all weights, images of another size than the positions were made for), `lora.safetensors` (images of the
model's size) and `bottleneck.safetensors`. The head reads what the library calls `pooler_output`. `out.last_hidden_state` is
after the final norm, which CLIP applies to the class token alone. Tensors of weights have units in front left out, and the
projection of patches has two dimensions; `step3.*` are first rows.
"""
import copy, json, os, sys
os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from torch import nn
from transformers import (
    CLIPVisionConfig, CLIPVisionModel, DINOv3ViTConfig, DINOv3ViTModel, Dinov2Config, Dinov2Model,
    Dinov2WithRegistersConfig, Dinov2WithRegistersForImageClassification, Dinov2WithRegistersModel,
    SiglipConfig, SiglipForImageClassification, SiglipVisionConfig, SiglipVisionModel,
)
from safetensors.torch import save_file
from recording import learn, save, values

OUT = os.path.dirname(os.path.abspath(__file__))
D = 32
SIZES = dict(hidden_size=D, num_hidden_layers=2, num_attention_heads=4, image_size=9, patch_size=3)
BOTH = dict(SIZES, intermediate_size=36)
CLIP_SITES = {"query": "self_attn.q_proj", "key": "self_attn.k_proj", "value": "self_attn.v_proj", "attention_out": "self_attn.out_proj", "ffn_in": "mlp.fc1", "ffn_out": "mlp.fc2"}
DINO2_SITES = {s: f"attention.attention.{s}" for s in ("query", "key", "value")} | {"attention_out": "attention.output.dense"}
DINO3_SITES = {"query": "attention.q_proj", "key": "attention.k_proj", "value": "attention.v_proj", "attention_out": "attention.o_proj", "ffn_out": "mlp.down_proj"}

# Name: folder of the base, prefix, layer, sites, model, configuration, whether `full` is made.
ALL = {
    "clip": ("clip", "vision_model", "vision_model.encoder.layers", CLIP_SITES, CLIPVisionModel, CLIPVisionConfig(**BOTH), True),
    "siglip": ("siglip", "vision_model", "vision_model.encoder.layers", CLIP_SITES, SiglipVisionModel, SiglipVisionConfig(**BOTH), True),
    "dinov2_with_registers": ("dinov2_with_registers", "dinov2_with_registers", "encoder.layer", {**DINO2_SITES, "ffn_in": "mlp.fc1", "ffn_out": "mlp.fc2"},
                              Dinov2WithRegistersModel, Dinov2WithRegistersConfig(mlp_ratio=1.2, num_register_tokens=3, **SIZES), True),
    "dinov2_swiglu": ("dinov2_swiglu", "dinov2", "encoder.layer", {**DINO2_SITES, "ffn_in": "mlp.weights_in", "ffn_out": "mlp.weights_out"},
                      Dinov2Model, Dinov2Config(mlp_ratio=1.3, use_swiglu_ffn=True, **SIZES), False),
    "dinov2_with_registers_swiglu": ("dinov2_with_registers_swiglu", "dinov2_with_registers", "encoder.layer", {**DINO2_SITES, "ffn_in": "mlp.weights_in", "ffn_out": "mlp.weights_out"},
                                     Dinov2WithRegistersModel, Dinov2WithRegistersConfig(mlp_ratio=1.3, use_swiglu_ffn=True, num_register_tokens=1, **SIZES), False),
    "dinov3_vit": ("dinov3_vit", "dinov3_vit", "layer", {**DINO3_SITES, "ffn_in": "mlp.up_proj"}, DINOv3ViTModel, DINOv3ViTConfig(num_register_tokens=2, **BOTH), True),
    "dinov3_vit_gated": ("dinov3_vit_gated", "dinov3_vit", "layer", {**DINO3_SITES, "ffn_in": ("mlp.gate_proj", "mlp.up_proj")}, DINOv3ViTModel,
                         DINOv3ViTConfig(num_register_tokens=2, use_gated_mlp=True, hidden_act="silu", query_bias=False, value_bias=False, proj_bias=False, mlp_bias=False,
                                         **BOTH), False),
}


def random(named, seed):
    g = torch.Generator().manual_seed(seed)
    for n, p in sorted(named):
        p.data = torch.randn(p.shape, generator=g) * 0.2
        if "norm" in n.lower() and n.endswith("weight") or "lambda1" in n:
            p.data += 1.0


def images(height, width):
    return torch.randn(3, 3, height, width, generator=torch.Generator().manual_seed(7))


class Headed(nn.Module):
    def __init__(self, base, name):
        super().__init__()
        self.base, self.name, self.head = base, name, nn.Linear(D, 3)

    def forward(self, pixel_values):
        flag = {"interpolate_pos_encoding": True} if self.name in ("clip", "siglip") else {}
        out = self.base(pixel_values=pixel_values, **flag)
        states = self.base.vision_model.post_layernorm(out.last_hidden_state) if self.name == "clip" else out.last_hidden_state
        return states, self.head(out.pooler_output)


def at_outputs(base, layer, sites, site, own, change):
    """Replaces the results of a site by `change(result, input)`; of a site of two modules, rows one after another, those of the
    difference are shared out."""
    names = [sites[site]] if isinstance(sites[site], str) else sites[site]
    for i, name in enumerate(names):
        module = base.get_submodule(f"{layer}.{own}.{name}")
        if len(names) == 1:
            module.register_forward_hook(lambda m, x, y: change(y, x[0]))
        else:
            module.register_forward_hook(lambda m, x, y, i=i: y + change(0.0, x[0]).chunk(2, -1)[i])


def flat(t):
    while t.dim() > 1 and t.shape[0] == 1:
        t = t[0]
    return t.flatten(1) if t.dim() > 2 else t


def record(model, trained, pixels, path, all_weights=False):
    model.eval()
    labels = torch.tensor([0, 2, 1])
    io = {"input.pixel_values": pixels, "input.labels": labels}
    io.update(values(trained, all_weights))
    states, logits = model(pixels)
    io["out.logits"], io["out.last_hidden_state"] = logits, states
    cross_entropy = nn.functional.cross_entropy
    learn(io, trained, cross_entropy(logits, labels), lambda: cross_entropy(model(pixels)[1], labels), flat, rows=3)
    save(io, path)


for name in [name for name in ALL if name in sys.argv[1:]] if sys.argv[1:] else ALL:
    family, prefix, layer, sites, cls, config, full = ALL[name]
    torch.manual_seed(1)
    base = cls(copy.deepcopy(config)).eval()
    random(base.named_parameters(), 11)
    folder = f"{OUT}/families/{name}"
    os.makedirs(folder, exist_ok=True)
    at = f"{OUT}/base/{family}"
    os.makedirs(at, exist_ok=True)
    config.save_pretrained(at)
    # Those of CLIP and SigLIP have it; files of DINOv3 lack it.
    start = "" if prefix == "vision_model" or family.startswith("dinov3") else f"{prefix}."
    save_file({f"{start}{k}": v.clone() for k, v in base.state_dict().items() if v.is_floating_point()}, f"{at}/model.safetensors", metadata={"format": "pt"})
    own_layers = len(base.get_submodule(layer))

    def headed():
        model = Headed(copy.deepcopy(base), family)
        random([("head.out.weight", model.head.weight), ("head.out.bias", model.head.bias)], 5)
        return model, [("head.out.weight", model.head.weight), ("head.out.bias", model.head.bias)]

    def frozen():
        model, heads = headed()
        for p in model.base.parameters():
            p.requires_grad = False
        return model, heads

    if full:
        model, heads = headed()
        start = "" if prefix == "vision_model" else f"{prefix}."
        own = [(f"{start}{n}", p) for n, p in model.base.named_parameters() if "mask_token" not in n]
        record(model, own + heads, images(6, 15), f"{folder}/full.safetensors", all_weights=True)

    model, trained = frozen()
    for i in range(own_layers):
        for site in sorted(sites):
            names = [sites[site]] if isinstance(sites[site], str) else sites[site]
            found = [model.base.get_submodule(f"{layer}.{i}.{n}") for n in names]
            a, b = nn.Parameter(torch.empty(2, found[0].in_features)), nn.Parameter(torch.empty(sum(m.out_features for m in found), 2))
            names = [f"layers.{i}.{site}.lora.{role}" for role in "ab"]
            random(zip(names, (a, b)), 13 + i)
            trained += list(zip(names, (a, b)))
            at_outputs(model.base, layer, sites, site, i, lambda y, x, a=a, b=b: y + 2.0 * (x @ a.T @ b.T))
    record(model, trained, images(9, 9), f"{folder}/lora.safetensors")

    model, trained = frozen()
    for i in range(own_layers):
        for site in ("attention_out", "ffn_out"):
            down, up = nn.Linear(D, 8), nn.Linear(8, D)
            names = [f"layers.{i}.{site}.bottleneck.{n}" for n in ("down.weight", "down.bias", "up.weight", "up.bias")]
            parts = [down.weight, down.bias, up.weight, up.bias]
            random(zip(names, parts), 23 + i)
            trained += list(zip(names, parts))
            scale = [m for n, m in model.base.get_submodule(f"{layer}.{i}").named_children() if n == ("layer_scale1" if site == "attention_out" else "layer_scale2")]
            change = lambda y, x, down=down, up=up: y + up(nn.functional.silu(down(y)))
            if scale:
                scale[0].register_forward_hook(lambda m, x, y, change=change: change(y, x))
            else:
                at_outputs(model.base, layer, sites, site, i, change)
    record(model, trained, images(12, 6), f"{folder}/bottleneck.safetensors")
    for path in [f"{at}/model.safetensors", *(f"{folder}/{f}" for f in os.listdir(folder))]:
        os.chmod(path, 0o644)
    print(name, sum(p.numel() for p in base.parameters()))


# Tuned models with a head, as the library saves them.
TUNED = {
    "siglip": SiglipForImageClassification(SiglipConfig(vision_config=dict(BOTH, num_hidden_layers=1, vision_use_head=False), text_config=dict(hidden_size=32, num_attention_heads=4))),
    "dinov2_with_registers": Dinov2WithRegistersForImageClassification(Dinov2WithRegistersConfig(mlp_ratio=1.2, num_register_tokens=3, **{**SIZES, "num_hidden_layers": 1}, num_labels=3)),
}
for family, model in TUNED.items():
    if sys.argv[1:] and "tuned" not in sys.argv[1:]:
        break
    if family == "siglip":
        model.classifier = nn.Linear(D, 3)
        model.config.num_labels = model.num_labels = 3
    model = model.eval()
    random(model.named_parameters(), 11)
    folder = f"{OUT}/peft/{family}/base"
    model.save_pretrained(folder)
    pixels = images(6, 15) if family != "siglip" else images(9, 9)
    save_file({"input.pixel_values": pixels, "out.logits": model(pixels).logits.detach()}, f"{folder}/tuned.safetensors")
    for file in os.listdir(folder):
        os.chmod(f"{folder}/{file}", 0o644)
