"""ONNX Runtime's dynamic int8: seconds and peak memory of a forward pass of the plain encoder, as JSON.

Random weights of the named shape, full-length sequences without padding, no adapters: the model is exported from PyTorch and
quantised in a process of its own, so that the peak is that of inference.
"""
import argparse, json, os, resource, subprocess, sys, tempfile, time

SHAPES = {"bert-base": dict(), "minilm": dict(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)}
a = argparse.ArgumentParser()
a.add_argument("--shape", choices=SHAPES, default="minilm")
a.add_argument("--batch", type=int, default=32)
a.add_argument("--length", type=int, default=128)
a.add_argument("--mode", choices=["forward"], default="forward")
a.add_argument("--steps", type=int, default=5)
a.add_argument("--threads", type=int, default=2)
a.add_argument("--export", help="write the quantised model there and stop")
args = a.parse_args()


def export(path):
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    model = BertModel(BertConfig(**SHAPES[args.shape], attn_implementation="eager"), add_pooling_layer=False).eval()
    ids = torch.arange(1000, 1000 + args.length).repeat(args.batch, 1)
    plain = path + ".f32"
    torch.onnx.export(model, (ids,), plain, input_names=["ids"], output_names=["hidden"], opset_version=17, dynamo=False)
    quantize_dynamic(plain, path, weight_type=QuantType.QInt8, per_channel=True)


if args.export:
    export(args.export)
    sys.exit()
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "model.onnx")
    subprocess.run([sys.executable, *sys.argv, "--export", path], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    import numpy as np, onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = args.threads
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    ids = np.tile(np.arange(1000, 1000 + args.length, dtype=np.int64), (args.batch, 1))
    times = []
    for step in range(args.steps + 1):
        start = time.perf_counter()
        session.run(None, {"ids": ids})
        times.append(time.perf_counter() - start)
times = sorted(times[1:])
print(json.dumps({"seconds_per_step": times[len(times) // 2], "fastest": times[0],
                  "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
