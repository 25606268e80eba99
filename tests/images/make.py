"""Makes the image files of this folder and what Pillow and transformers make of them.

    python make.py          # needs pillow, numpy, transformers, torch

Decoded pixels are PPM files, prepared inputs are little-endian f32; cases.json lists them all.
"""

import json
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import PIL
import transformers
from PIL import Image, ImageOps
from transformers import BitImageProcessor, CLIPImageProcessor, DeiTImageProcessor, ViTImageProcessor

warnings.filterwarnings("ignore")
HERE = Path(__file__).parent
RESULTS = HERE / "expected"
RESULTS.mkdir(exist_ok=True)


def picture(width, height, seed=0):
    """Smooth areas, edges and noise."""
    r = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    red = 127 + 120 * np.sin(x / 5 + y / 9)
    green = 255 * ((x // 7 + y // 5) % 2)
    blue = 255 * x / max(width - 1, 1) * 0.7 + r.normal(0, 20, (height, width)) + 30
    return np.clip(np.stack([red, green, blue], -1), 0, 255).astype(np.uint8)


def smooth(width, height):
    """What a photograph is like: no noise, no sharp edge in colour."""
    y, x = np.mgrid[0:height, 0:width]
    a = 127 + 100 * np.sin(x / 11 + y / 17)
    b = 127 + 90 * np.cos(x / 19 - y / 13)
    return np.stack([a, (a + b) / 2, b], -1).astype(np.uint8)


def png(path, color, depth, samples):
    """Writes a PNG that Pillow does not write: `samples` are rows of big-endian samples."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(data)


def ppm(name, pixels):
    height, width = pixels.shape[:2]
    head = f"P6\n{width} {height}\n255\n".encode()
    (RESULTS / name).write_bytes(head + np.ascontiguousarray(pixels, dtype=np.uint8).tobytes())
    return f"expected/{name}"


decoded = []


def decodes(name, tolerance=0, expected=None):
    image = ImageOps.exif_transpose(Image.open(HERE / name)).convert("RGB")
    pixels = np.array(image) if expected is None else expected
    decoded.append({"file": name, "expected": ppm(name + ".ppm", pixels), "tolerance": tolerance})


rgb = picture(37, 23)
image = Image.fromarray(rgb)
grey = image.convert("L")
alpha = Image.fromarray(np.linspace(0, 255, 37 * 23).reshape(23, 37).astype(np.uint8))
rgba = image.copy()
rgba.putalpha(alpha)
la = grey.copy()
la.putalpha(alpha)
palette = image.quantize(16)
clear = image.quantize(16)

for name, one, options in [
    ("rgb.png", image, {}),
    ("rgba.png", rgba, {}),
    ("grey.png", grey, {}),
    ("grey-alpha.png", la, {}),
    ("one-bit.png", image.convert("1"), {}),
    ("palette.png", palette, {}),
    ("palette-alpha.png", clear, {"transparency": bytes(range(0, 256, 16))}),
    ("rgb.bmp", image, {}),
    ("grey.bmp", grey, {}),
    ("palette.bmp", palette, {}),
    ("one-bit.bmp", image.convert("1"), {}),
    ("rgba.bmp", rgba, {}),
    ("rgb-lossless.webp", image, {"lossless": True}),
    ("rgba-lossless.webp", rgba, {"lossless": True, "exact": True}),
]:
    one.save(HERE / name, **options)
    decodes(name)

r = np.random.default_rng(1)
wide = r.integers(0, 65536, (11, 13, 3))
png(HERE / "rgb-16.png", 2, 16, wide)
decodes("rgb-16.png")
png(HERE / "grey-16.png", 0, 16, wide[:, :, :1])
# Pillow cuts these at 255; the upper bits are what is wanted.
decodes("grey-16.png", expected=np.repeat(wide[:, :, :1] >> 8, 3, 2))

photo = Image.fromarray(smooth(61, 43))
for name, one, options in [
    ("444.jpg", photo, {"subsampling": 0}),
    ("422.jpg", photo, {"subsampling": 1}),
    ("420.jpg", photo, {"subsampling": 2}),
    ("progressive.jpg", photo, {"progressive": True, "subsampling": 2}),
    ("restart.jpg", photo, {"subsampling": 0, "restart_marker_rows": 1}),
    ("grey.jpg", photo.convert("L"), {}),
    ("cmyk.jpg", photo.convert("CMYK"), {}),
]:
    one.save(HERE / name, quality=92, **options)
    decodes(name, tolerance=3)
photo.save(HERE / "lossy.webp", quality=90)
decodes("lossy.webp", tolerance=3)

small = Image.fromarray(smooth(24, 16))
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    name = f"orientation-{orientation}.jpg"
    small.save(HERE / name, quality=95, subsampling=0, exif=exif)
    decodes(name, tolerance=3)

resized = []
filters = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC,
           "lanczos": Image.Resampling.LANCZOS, "box": Image.Resampling.BOX,
           "hamming": Image.Resampling.HAMMING, "nearest": Image.Resampling.NEAREST}
sizes = [(18, 18), (37, 50), (64, 41), (7, 90), (1, 1), (36, 23)]
for filter, number in filters.items():
    for width, height in sizes if filter in ("bilinear", "bicubic") else sizes[:2]:
        out = np.array(image.resize((width, height), number))
        resized.append({"file": "rgb.png", "filter": filter, "width": width, "height": height,
                        "expected": ppm(f"rgb-{filter}-{width}x{height}.ppm", out)})
for width, height in [(1, 1), (5, 3), (40, 1)]:
    tiny = picture(width, height, 5)
    Image.fromarray(tiny).save(HERE / f"tiny-{width}x{height}.png")
    for filter in ("bilinear", "bicubic"):
        out = np.array(Image.fromarray(tiny).resize((16, 16), filters[filter]))
        resized.append({"file": f"tiny-{width}x{height}.png", "filter": filter, "width": 16, "height": 16,
                        "expected": ppm(f"tiny-{width}x{height}-{filter}.ppm", out)})

prepared = []
processors = {"ViTImageProcessor": ViTImageProcessor, "ViTFeatureExtractor": ViTImageProcessor,
              "DeiTImageProcessor": DeiTImageProcessor, "BitImageProcessor": BitImageProcessor,
              "CLIPImageProcessor": CLIPImageProcessor, None: ViTImageProcessor}
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
configs = [
    # The first form: what the original ViT checkpoints have.
    {"do_normalize": True, "do_resize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "size": 12},
    {"image_processor_type": "ViTFeatureExtractor", "do_normalize": True, "do_rescale": True, "do_resize": True,
     "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "resample": 2,
     "rescale_factor": 0.00392156862745098, "size": {"height": 12, "width": 12}},
    {"image_processor_type": "ViTImageProcessor", "size": {"height": 10, "width": 15}, "resample": 3, **IMAGENET},
    {"image_processor_type": "ViTImageProcessor", "size": {"height": 9, "width": 9}, "do_rescale": False,
     "image_mean": [127.5] * 3, "image_std": [64.0] * 3},
    {"image_processor_type": "ViTImageProcessor", "size": {"height": 9, "width": 9}, "do_normalize": False},
    {"image_processor_type": "DeiTImageProcessor", "size": 14, "crop_size": 12, "do_center_crop": True,
     "resample": 3, **IMAGENET},
    {"image_processor_type": "DeiTImageProcessor", "size": {"height": 8, "width": 9},
     "crop_size": {"height": 12, "width": 12}},
    # DINOv2's form.
    {"image_processor_type": "BitImageProcessor", "do_center_crop": True, "do_convert_rgb": True, "do_normalize": True,
     "do_rescale": True, "do_resize": True, "crop_size": {"height": 14, "width": 14}, "resample": 3,
     "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 16}, **IMAGENET},
    {"image_processor_type": "CLIPImageProcessor", "size": 13, "crop_size": 13},
    {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 9}, "crop_size": {"height": 12, "width": 11}},
    {"image_processor_type": "BitImageProcessor", "do_resize": False, "crop_size": 21},
]
for number, config in enumerate(configs):
    processor = processors[config.get("image_processor_type")].from_dict(dict(config))
    for file in ["rgb.png", "tiny-5x3.png"]:
        pixels = processor(Image.open(HERE / file), return_tensors="np", input_data_format="channels_last")["pixel_values"][0].astype("<f4")
        name = f"prepared-{number}-{Path(file).stem}.f32"
        (RESULTS / name).write_bytes(np.ascontiguousarray(pixels).tobytes())
        prepared.append({"file": file, "config": config, "shape": list(pixels.shape), "expected": f"expected/{name}"})

versions = {"pillow": PIL.__version__, "transformers": transformers.__version__}
cases = {"versions": versions, "decoded": decoded, "resized": resized, "prepared": prepared}
(HERE / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")
