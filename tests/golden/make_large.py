"""A ViT of the shape of ViT-B/16 whose weights are a formula, so that nothing large is stored: a few rows of its last hidden states, for an
image of 224 x 224 and one of another size. `crates/train/tests/vit_b16.rs` computes the same formula.

    python make_large.py           with transformers 4.57.6 and torch installed
"""
import os
import numpy as np, torch
from transformers import ViTConfig, ViTModel
from safetensors.torch import save_file

OUT = os.path.dirname(os.path.abspath(__file__))


def numbers(name, shape):
    """Numbers in -1..1 that depend on the name and the place only: FNV-1a of the name, then a mix of 32 bits (Wellons' lowbias32)."""
    seed = 2166136261
    for byte in name.encode():
        seed = ((seed ^ byte) * 16777619) & 0xFFFFFFFF
    x = np.arange(int(np.prod(shape)), dtype=np.uint32) * np.uint32(2654435761) + np.uint32(seed)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    u = (x >> np.uint32(8)).astype(np.float32) / np.float32(1 << 23) - np.float32(1.0)
    return torch.from_numpy(u.reshape(shape))


model = ViTModel(ViTConfig(layer_norm_eps=1e-6), add_pooling_layer=False).eval()
with torch.no_grad():
    for name, p in model.named_parameters():
        u = numbers("vit." + name, tuple(p.shape))
        if "layernorm" in name and name.endswith("weight"):
            p.copy_(u * np.float32(0.2) + np.float32(1.0))
        else:
            p.copy_(u * np.float32(0.0625))
    saved = {}
    for height, width in [(224, 224), (160, 256)]:
        pixels = numbers(f"pixels {height} {width}", (1, 3, height, width))
        states = model(pixels, interpolate_pos_encoding=True).last_hidden_state[0]
        rows = [0, 1, len(states) // 2, len(states) - 1]
        saved[f"{height}x{width}"] = states[rows].contiguous()
        print(height, width, states.abs().max())
    os.makedirs(f"{OUT}/large", exist_ok=True)
    save_file(saved, f"{OUT}/large/vit_b16.safetensors")
