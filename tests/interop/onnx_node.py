"""Cases for onnx.mjs: python tests/interop/onnx_node.py BUDWOOD CASES.json

A text adapter on MiniLM (fetched by Budwood; a tokenizer of 30 thousand pieces) and an image adapter on a small ViT, with Budwood's own answers."""
import json, os, sys

out = sys.argv.pop(2)
os.environ.setdefault("FOLDER", os.path.splitext(os.path.abspath(out))[0])
os.makedirs(os.environ["FOLDER"], exist_ok=True)
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import onnx_graphs as suite

TEXTS = ["A film to see twice.", "Naïve, over-long & dull; the plot is a mess!", "good", "It isn't bad -- 東京 included."]

def text():
    path, _ = suite.data("minilm", None)
    suite.trained("minilm", path, "seq_bn[reduction_factor=16]", "text", "--train-rows", "24")
    folder = suite.exported("text", "minilm", "--precision", "f32,int8")
    labels = json.load(open(f"{folder}/config.json"))["id2label"]
    expected = [[row["scores"][labels[str(i)]] for i in range(3)] for row in suite.predicted("text", "minilm", TEXTS, False)]
    case = {"folder": folder, "texts": TEXTS, "expected": expected}
    return [{**case, "file": "model.onnx", "most": 1e-4}, {**case, "file": "model_quantized.onnx", "most": 0.1}]

def image():
    folder, size = suite.base("vit")
    path, inputs = suite.data("vit", size)
    suite.trained(folder, path, "prefix_tuning[prefix_length=3,bottleneck_size=6]", "image")
    to = suite.exported("image", folder)
    labels = json.load(open(f"{to}/config.json"))["id2label"]
    expected = [[row["scores"][labels[str(i)]] for i in range(3)] for row in suite.predicted("image", folder, inputs, True)]
    pixels = suite.image_feeds(to, None, inputs)["pixel_values"]
    return [{"folder": to, "file": "model.onnx", "pixels": pixels.flatten().tolist(), "dims": list(pixels.shape),
             "expected": expected, "most": 1e-4}]

json.dump(text() + image(), open(out, "w"))
