"""Inputs as the image processors of `transformers` 4.57.6 prepare them, the fast ones with torchvision: families after ViT.

    python make_processors.py          # needs pillow, numpy, torch, torchvision, transformers

Values are those before normalising, in grey levels: little-endian f32 `[3, height, width]`, listed in processors.json.
"""
import json
import warnings
from pathlib import Path

import numpy as np
import transformers
from PIL import Image

warnings.filterwarnings("ignore")
HERE = Path(__file__).parent
CLIP = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
STEPS = {"do_center_crop": True, "do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True}
# As on the hub: openai/clip-vit-base-patch32, google/siglip-base-patch16-224, facebook/dinov2-with-registers-base,
# facebook/dinov3-vits16-pretrain-lvd1689m, in small; then crops that reach beyond the image by odd numbers.
CASES = [
    {"image_processor_type": "CLIPImageProcessor", **STEPS, "crop_size": {"height": 14, "width": 14}, "resample": 3, "size": {"shortest_edge": 14}, **CLIP},
    {"image_processor_type": "CLIPFeatureExtractor", "crop_size": 14, "do_center_crop": True, "do_normalize": True, "do_resize": True, "resample": 3, "size": 14, **CLIP},
    {"image_processor_type": "CLIPImageProcessorFast", **STEPS, "crop_size": {"height": 14, "width": 14}, "resample": 3, "size": {"shortest_edge": 14}, **CLIP},
    {"image_processor_type": "SiglipImageProcessor", "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
     "rescale_factor": 1 / 255, "resample": 3, "size": {"height": 12, "width": 12}},
    {"image_processor_type": "SiglipImageProcessor", "resample": 2, "size": {"height": 9, "width": 16}},
    {"image_processor_type": "SiglipImageProcessorFast", "resample": 3, "size": {"height": 12, "width": 12}},
    {"image_processor_type": "BitImageProcessor", **STEPS, "crop_size": {"height": 14, "width": 14}, "resample": 3, "size": {"shortest_edge": 16}, **IMAGENET},
    {"image_processor_type": "BitImageProcessorFast", **STEPS, "crop_size": {"height": 14, "width": 14}, "resample": 3, "size": {"shortest_edge": 16}, **IMAGENET},
    {"image_processor_type": "DINOv3ViTImageProcessorFast", "do_normalize": True, "do_rescale": True, "do_resize": True, "resample": 2, "rescale_factor": 1 / 255,
     "size": {"height": 14, "width": 14}, **IMAGENET},
    {"image_processor_type": "DINOv3ViTImageProcessorFast", "size": {"height": 31, "width": 50}},
    {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 9}, "crop_size": {"height": 14, "width": 12}},
    {"image_processor_type": "CLIPImageProcessorFast", "size": {"shortest_edge": 9}, "crop_size": {"height": 14, "width": 12}},
    {"image_processor_type": "BitImageProcessorFast", "do_resize": False, "crop_size": {"height": 12, "width": 42}},
    {"image_processor_type": "ViTImageProcessorFast", "size": {"height": 12, "width": 12}, "resample": 2},
]

cases = []
for number, config in enumerate(CASES):
    name = config["image_processor_type"].replace("FeatureExtractor", "ImageProcessor")
    processor = getattr(transformers, name).from_dict(dict(config))
    mean, std = [np.array(x, dtype=np.float64)[:, None, None] for x in (processor.image_mean, processor.image_std)]
    for file in ["rgb.png", "tiny-5x3.png"]:
        hint = {} if name.endswith("Fast") else {"input_data_format": "channels_last"}
        pixels = np.asarray(processor(Image.open(HERE / file).convert("RGB"), return_tensors="pt", **hint)["pixel_values"][0], dtype=np.float64)
        levels = ((pixels * std + mean) * 255).astype("<f4")
        path = f"expected/processor-{number}-{Path(file).stem}.f32"
        (HERE / path).write_bytes(np.ascontiguousarray(levels).tobytes())
        cases.append({"file": file, "config": config, "shape": list(levels.shape), "mean": [float(x) for x in mean.ravel()], "std": [float(x) for x in std.ravel()], "expected": path})
(HERE / "processors.json").write_text(json.dumps({"transformers": transformers.__version__, "cases": cases}, indent=1) + "\n")
