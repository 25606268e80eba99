"""What people put in the place of a server of adapters, behind as little HTTP as there can be; for `serve.py`.

    serve_others.py torch|onnx BASE N FOLDER [--workers N]

`torch`: PyTorch `adapters` 1.3, N adapters of width 64 with heads in one model; a request makes its own the active one.
`onnx`: ONNX Runtime, a session of FOLDER/onnx/onnx/model_quantized.onnx for each of N tasks.
As many requests at a time as there are workers, which share the processors. Prints its address.
"""
import argparse, asyncio, concurrent.futures, json, os, pathlib, threading

os.environ["HF_HUB_OFFLINE"] = "1"
p = argparse.ArgumentParser()
p.add_argument("kind", choices=["torch", "onnx"])
p.add_argument("base")
p.add_argument("n", type=int)
p.add_argument("folder", type=pathlib.Path)
p.add_argument("--workers", type=int, default=1)
args = p.parse_args()
threads = max(1, os.cpu_count() // args.workers)


def tokenizer():
    from transformers import AutoTokenizer
    return AutoTokenizer.from_pretrained(args.base)


def torch_model():
    import torch
    from adapters import AutoAdapterModel, DoubleSeqBnConfig
    torch.set_num_threads(threads)
    tokens = tokenizer()
    model = AutoAdapterModel.from_pretrained(args.base)
    for i in range(args.n):
        model.add_adapter(f"a{i}", config=DoubleSeqBnConfig(reduction_factor=model.config.hidden_size / 64, non_linearity="gelu_new"))
        model.add_classification_head(f"a{i}", num_labels=2, layers=1)
    model.eval()
    # Which adapter is active is of the whole model: only the tokens are made meanwhile.
    one = threading.Lock()

    def answer(name, text):
        given = tokens(text, return_tensors="pt", truncation=True, max_length=128)
        with one, torch.inference_mode():
            model.set_active_adapters(name)
            model.active_head = name
            return torch.softmax(model(**given).logits[0], -1).tolist()
    return answer


def onnx_model():
    import numpy as np, onnxruntime as ort
    tokens = tokenizer()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    file = str(args.folder / "onnx/onnx/model_quantized.onnx")
    sessions = {f"a{i}": ort.InferenceSession(file, options, providers=["CPUExecutionProvider"]) for i in range(args.n)}
    names = {i.name for i in sessions["a0"].get_inputs()}

    def answer(name, text):
        given = tokens(text, return_tensors="np", truncation=True, max_length=128)
        logits = sessions[name].run(None, {k: v.astype(np.int64) for k, v in given.items() if k in names})[0][0]
        e = np.exp(logits - logits.max())
        return (e / e.sum()).tolist()
    return answer


answer = {"torch": torch_model, "onnx": onnx_model}[args.kind]()
workers = concurrent.futures.ThreadPoolExecutor(args.workers)


async def serve(reader, writer):
    loop = asyncio.get_running_loop()
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            asked = json.loads(await reader.readexactly(length))
            body = json.dumps(await loop.run_in_executor(workers, answer, asked["adapter"], asked["inputs"])).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()

asyncio.run(main())
