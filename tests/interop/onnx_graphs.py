"""Exports to ONNX against ONNX Runtime, by their answers.

    python tests/interop/onnx_graphs.py BUDWOOD [--data FOLDER]

Needs numpy, onnx, onnxruntime, tokenizers and pillow; `tests/interop/onnx.sh` makes an environment with them. Small bases
of every family get adapters that are trained for a few steps at a high rate; Budwood and ONNX Runtime answer the same
texts of several lengths, which are padded there, and the same images. Answers are compared as probabilities; the largest
difference may be 1e-4. With `--data`, a folder that holds `glue/SST-2`, `text/trec` and `text/banking77`, the int8 form of MiniLM
with an adapter is compared on their test rows instead: its accuracy with that of f32, its speed with that of ONNX Runtime's own
dynamic quantisation. The variable FOLDER names a folder that is kept, with the adapters in it.
"""
import csv, json, os, shutil, subprocess, sys, tempfile, time

import numpy as np, onnx, onnxruntime
from PIL import Image
from tokenizers import Tokenizer

BUDWOOD = os.path.abspath(sys.argv[1])
DATA = os.path.abspath(sys.argv[3]) if "--data" in sys.argv else None
HERE = os.path.dirname(os.path.abspath(__file__))
BASES = os.path.join(HERE, "../golden/base")
ROOT = os.environ.get("FOLDER") or tempfile.mkdtemp()
MOST = 1e-4
WORDS = "the a film good bad very was not and of plot actor dull fine long short great poor story scene".split()
SPECIAL = "[PAD] [UNK] [CLS] [SEP] [MASK] <s> <pad> </s> <unk> <mask>".split()
TEXTS = ["the film was very good", "dull", "not a bad story and a very long scene of the plot", "a dull plot and actor"]
random = np.random.default_rng(1)
results = []

def run(*words):
    out = subprocess.run([BUDWOOD, *words], capture_output=True, text=True, cwd=ROOT)
    if out.returncode:
        raise RuntimeError(out.stderr.strip().splitlines()[-1])
    return out.stdout

def session(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)

def sigmoid(x):
    return 1 / (1 + np.exp(-x))

def encoded(folder, texts):
    t = Tokenizer.from_file(f"{folder}/tokenizer.json")
    config = json.load(open(f"{folder}/tokenizer_config.json"))
    t.enable_truncation(config["model_max_length"])
    # Padding of ids that are words: a graph must not look at them.
    t.enable_padding(pad_id=12, pad_token="the")
    return t.encode_batch(texts)

def text_feeds(folder, graph, texts):
    batch = encoded(folder, texts)
    all = {"input_ids": [e.ids for e in batch], "attention_mask": [e.attention_mask for e in batch],
           "token_type_ids": [e.type_ids for e in batch]}
    return batch, {i.name: np.array(all[i.name], np.int64) for i in graph.get_inputs()}

def image_feeds(folder, graph, paths):
    config = json.load(open(f"{folder}/preprocessor_config.json"))
    mean, std = [np.array(config.get(k) or [0.5] * 3, np.float32) for k in ("image_mean", "image_std")]
    read = lambda p: (np.asarray(Image.open(p).convert("RGB"), np.float32) / 255 - mean) / std
    return {"pixel_values": np.stack([read(p).transpose(2, 0, 1) for p in paths]).astype(np.float32)}

def base(family):
    """A golden base with a tokenizer of words, or with a configuration of images of its size."""
    folder = f"{ROOT}/{family}"
    shutil.copytree(f"{BASES}/{family}", folder)
    config = json.load(open(f"{folder}/config.json"))
    if "image_size" in config:
        size = config["image_size"]
        json.dump({"image_processor_type": "ViTImageProcessor", "size": {"height": size, "width": size}, "image_mean": [0.5] * 3,
                   "image_std": [0.5] * 3}, open(f"{folder}/preprocessor_config.json", "w"))
        return folder, size
    open(f"{folder}/vocab.txt", "w").write("\n".join(SPECIAL + WORDS) + "\n")
    return folder, None

def data(family, size):
    if size is None:
        path = f"{ROOT}/train.csv"
        rows = ["text,label"]
        for i in range(48):
            text = " ".join(random.choice(WORDS, 3 + i % 7))
            rows.append(f"{text},{['no', 'maybe', 'yes'][i % 3]}")
        open(path, "w").write("\n".join(rows) + "\n")
        return path, TEXTS
    path = f"{ROOT}/images-{size}"
    if not os.path.isdir(path):
        for label in ["cat", "dog", "owl"]:
            os.makedirs(f"{path}/{label}")
            for i in range(8):
                pixels = random.integers(0, 256, (size, size, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(f"{path}/{label}/{i}.png")
    return path, [f"{path}/{label}/{i}.png" for label in ["cat", "dog", "owl"] for i in range(2)]

def trained(folder, path, method, name, *more):
    run("train", "--base", folder, "--data", path, "--method", method, "--out", name, "--recipe", "paper", "--epochs", "4",
        "--lr", "0.03", "--batch-size", "8", "--dev-share", "0.2", "--max-length", "24", *more)

def predicted(adapter, folder, inputs, image):
    if image:
        out = run("predict", "--json", "--adapter", adapter, "--base", folder, *inputs)
    else:
        with open(f"{ROOT}/texts.csv", "w", newline="") as f:
            csv.writer(f).writerows([["text"], *([text] for text in inputs)])
        out = run("predict", "--json", "--adapter", adapter, "--base", folder, "--input", f"{ROOT}/texts.csv")
    return [json.loads(line) for line in out.splitlines()]

def record(what, difference, most=MOST):
    results.append((what, float(difference), most))
    print(f"{'ok  ' if difference <= most else 'FAIL'} {difference:.1e} {what}", flush=True)

def exported(adapter, folder, *more):
    out = f"{adapter}-onnx"
    run("export", adapter, out, "--to", "onnx", "--base", folder, *more)
    return f"{ROOT}/{out}"

def checked(path):
    onnx.checker.check_model(path, full_check=True)
    return session(path)

def compare(family, folder, size, method):
    path, inputs = data(family, size)
    name = f"{family}-{len(results)}"
    trained(folder, path, method, name)
    out = exported(name, folder)
    graph = checked(f"{out}/onnx/model.onnx")
    labels = json.load(open(f"{out}/config.json"))["id2label"]
    expected = [[row["scores"][labels[str(i)]] for i in range(len(labels))] for row in predicted(name, folder, inputs, size)]
    feeds = image_feeds(out, graph, inputs) if size else text_feeds(out, graph, inputs)[1]
    got = softmax(graph.run(["logits"], feeds)[0])
    record(f"{family} {method}", np.abs(got - np.array(expected)).max())

def methods():
    told = json.loads(run("methods", "--json"))
    print(f"{len(told)} methods")
    return [
        "adapter[width=4]", "double_seq_bn[reduction_factor=4]", "seq_bn[reduction_factor=4]", "par_bn[reduction_factor=4]",
        "scaled_par_bn[reduction_factor=4]", "adapter_plus[reduction_factor=8]",
        "bottleneck[mh_adapter=true,reduction_factor=8,original_ln_before=true,residual_before_ln=false,scaling=channel,use_gating=true]",
        "compacter[reduction_factor=4]", "compacter++[reduction_factor=2,phm_dim=2,phm_rank=3]",
        "lora[r=4]", "lora[r=2,targets=[query,key,value,attention_out,ffn_in,ffn_out],rslora=true]",
        "lora[r=3,targets=[value,ffn_in],dora=true]", "lora[r=2,use_gating=true,targets=[key,ffn_out]]", "ia3", "vera[r=5]",
        "prefix_tuning[prefix_length=3,bottleneck_size=6]", "prefix_tuning[prefix_length=2,flat=true,use_gating=true,shared_gating=false]",
        "prompt_tuning[prompt_length=3]", "prompt_tuning[prompt_length=2,combine=prefix_after_bos]", "bitfit", "layer_norm", "linear",
        "top_k[layers=1]", "full", "mam[prefix_tuning.prefix_length=2,prefix_tuning.bottleneck_size=5,par_bn.reduction_factor=8]",
        "unipelt[lora.r=2,prefix_tuning.prefix_length=3,prefix_tuning.bottleneck_size=5,seq_bn.reduction_factor=4]",
    ]

SOME = ["adapter[width=4]", "lora[r=2,use_gating=true,targets=[key,ffn_out]]", "prefix_tuning[prefix_length=3,bottleneck_size=6]",
        "prompt_tuning[prompt_length=3]", "full", "lora[r=2,targets=[query,key,value,attention_out,ffn_in,ffn_out],dora=true]"]
WHOLE = ["bert", "roberta", "distilbert", "vit"]

def families():
    everything = methods()
    named = {method.split("[")[0] for method in everything}
    for told in json.loads(run("methods", "--json")):
        if told["name"] not in named:
            raise RuntimeError(f"no example of {told['name']} is tried here")
    for family in sorted(os.listdir(BASES), key=lambda f: (f not in WHOLE, f)):
        folder, size = base(family)
        for method in everything if family in WHOLE else SOME:
            try:
                compare(family, folder, size, method)
            except Exception as e:
                record(f"{family} {method}: {type(e).__name__}: {str(e)[:300]}", 9.0)

def heads():
    """Labels that hold together, numbers, tags and questions, on BERT."""
    folder = f"{ROOT}/bert"
    rows = [" ".join(random.choice(WORDS, 3 + i % 7)) for i in range(40)]
    open(f"{ROOT}/labels.csv", "w").write("text,good,bad\n" + "".join(f"{t},{i % 2},{i % 3 // 2}\n" for i, t in enumerate(rows)))
    trained(folder, f"{ROOT}/labels.csv", "lora[r=2]", "labels", "--label-column", "good", "--label-column", "bad")
    out = exported("labels", folder)
    graph = checked(f"{out}/onnx/model.onnx")
    expected = [[row["scores"][l] for l in ("good", "bad")] for row in predicted("labels", folder, TEXTS, False)]
    assert json.load(open(f"{out}/config.json"))["problem_type"] == "multi_label_classification"
    got = sigmoid(graph.run(["logits"], text_feeds(out, graph, TEXTS)[1])[0])
    record("bert several labels", np.abs(got - np.array(expected)).max())
    open(f"{ROOT}/numbers.csv", "w").write("text,score\n" + "".join(f"{t},{900 + 13.7 * (i % 7)}\n" for i, t in enumerate(rows)))
    trained(folder, f"{ROOT}/numbers.csv", "lora[r=2]", "numbers")
    out = exported("numbers", folder)
    graph = checked(f"{out}/onnx/model.onnx")
    expected = [row["value"] for row in predicted("numbers", folder, TEXTS, False)]
    got = graph.run(["logits"], text_feeds(out, graph, TEXTS)[1])[0][:, 0]
    record("bert numbers, relative", (np.abs(got - expected) / np.abs(expected)).max())

def answered(name, folder, *words):
    return json.loads(run("predict", "--json", "--adapter", name, "--base", folder, *words))

def kinds():
    """Pairs, tags of words, questions and masked words, on a family with token types and on one without."""
    texts = [" ".join(random.choice(WORDS, 4 + i % 6)) for i in range(48)]
    with open(f"{ROOT}/pairs.csv", "w") as f:
        f.write("a,b,label\n" + "".join(f"{t},{texts[i * 7 % 48]},{['no', 'yes'][i % 2]}\n" for i, t in enumerate(texts)))
    tagged = lambda t: "\n".join(f"{w} {'B-X' if w in ('film', 'plot', 'story') else 'O'}" for w in t.split())
    open(f"{ROOT}/tags.conll", "w").write("\n\n".join(map(tagged, texts)) + "\n")
    second = lambda t: {"text": t.split()[1], "answer_start": len(t.split()[0]) + 1}
    asked = lambda i, t: {"context": t, "qas": [{"id": str(i), "question": "the film", "answers": [second(t)]}]}
    paragraphs = [asked(i, t) for i, t in enumerate(texts)]
    json.dump({"version": "1.1", "data": [{"title": "t", "paragraphs": paragraphs}]}, open(f"{ROOT}/questions.json", "w"))
    open(f"{ROOT}/texts.txt", "w").write("\n".join(texts) + "\n")
    for family in ["bert", "distilbert"]:
        folder, method = f"{ROOT}/{family}", "lora[r=2]"
        def made(kind, data, *more):
            name = f"{family}-{kind}"
            trained(folder, f"{ROOT}/{data}", method, name, *more)
            out = exported(name, folder)
            return name, out, checked(f"{out}/onnx/model.onnx"), json.load(open(f"{out}/config.json"))
        name, out, graph, config = made("pairs", "pairs.csv", "--text-column", "a", "--text-column", "b")
        pairs = [("the film", "was very good"), ("a dull plot", "and actor")]
        logits = graph.run(["logits"], text_feeds(out, graph, pairs)[1])[0]
        expected = [answered(name, folder, *pair)["scores"] for pair in pairs]
        labels = [config["id2label"][str(i)] for i in range(2)]
        record(f"{family} pairs", max(abs(softmax(l)[i] - e[c]) for l, e in zip(logits, expected) for i, c in enumerate(labels)))

        name, out, graph, config = made("tags", "tags.conll")
        batch, feeds = text_feeds(out, graph, TEXTS)
        worst = 0
        for text, encoding, p in zip(TEXTS, batch, softmax(graph.run(["logits"], feeds)[0])):
            answer = answered(name, folder, text)
            for i, (tag, score) in enumerate(zip(answer["tags"], answer["scores"])):
                at = p[encoding.word_ids.index(i)]
                same = config["id2label"][str(at.argmax())] == tag
                worst = max(worst, abs(at.max() - score) if same else 9.0)
        record(f"{family} tags", worst)

        name, out, graph, config = made("questions", "questions.json")
        pairs = [("the film", text) for text in TEXTS]
        batch, feeds = text_feeds(out, graph, pairs)
        worst = 0
        for (_, text), encoding, *logits in zip(pairs, batch, *graph.run(["start_logits", "end_logits"], feeds)):
            own = [i for i, of in enumerate(encoding.sequence_ids) if of == 1]
            spans = {(i, j): logits[0][i] + logits[1][j] for i in own for j in own if i <= j}
            (i, j), best = max(spans.items(), key=lambda span: span[1])
            found = text[encoding.offsets[i][0]:encoding.offsets[j][1]]
            candidates = answered(name, folder, "the film", text)["candidates"]
            # The scores of a text's answers are of one softmax: their ratios are the graph's.
            for other in candidates[1:]:
                at = [k for k in spans if text[encoding.offsets[k[0]][0]:encoding.offsets[k[1]][1]] == other["answer"]
                      and encoding.offsets[k[0]][0] == other["start"]]
                ratio = np.exp(spans[at[0]] - best) if at else 9.0
                worst = max(worst, abs(other["score"] / candidates[0]["score"] - ratio))
            worst = max(worst, 0.0 if candidates[0]["answer"] == found else 9.0)
        record(f"{family} questions", worst)

        name, out, graph, config = made("words", "texts.txt", "--task", "masked-lm")
        run("export", name, f"{name}-int8", "--to", "onnx", "--base", folder, "--precision", "int8")
        small = checked(f"{ROOT}/{name}-int8/onnx/model_quantized.onnx")
        texts_with = ["the film was [MASK] good", "[MASK] plot and a dull actor [MASK]"]
        batch, feeds = text_feeds(out, graph, texts_with)
        token = Tokenizer.from_file(f"{out}/tokenizer.json").token_to_id
        for graph, what, most in [(graph, "", MOST), (small, " int8", 0.02)]:
            worst = 0
            for text, encoding, p in zip(texts_with, batch, softmax(graph.run(["logits"], feeds)[0])):
                places = [i for i, one in enumerate(encoding.ids) if one == token("[MASK]")]
                for at, words in zip(places, answered(name, folder, text)["places"], strict=True):
                    worst = max([worst, *(abs(p[at][token(w["word"])] - w["score"]) for w in words)])
            record(f"{family} masked words{what}", worst, most)

def other_sizes():
    """An adapter for images of another size than its base's."""
    folder, size = f"{ROOT}/vit", 48
    path, inputs = data("vit", size)
    trained(folder, path, "seq_bn[reduction_factor=4]", "larger", "--image-size", str(size))
    out = exported("larger", folder)
    graph = checked(f"{out}/onnx/model.onnx")
    labels = json.load(open(f"{out}/config.json"))["id2label"]
    expected = [[row["scores"][labels[str(i)]] for i in range(3)] for row in predicted("larger", folder, inputs, True)]
    assert json.load(open(f"{out}/preprocessor_config.json"))["size"] == {"height": size, "width": size}
    got = softmax(graph.run(["logits"], image_feeds(out, graph, inputs))[0])
    record("vit images of another size", np.abs(got - np.array(expected)).max())

def shared():
    """Graphs of several adapters beside one file of their base."""
    for family in ["bert", "deberta-v2", "vit"]:
        folder, size = f"{ROOT}/{family}", None
        if family == "vit":
            size = json.load(open(f"{folder}/config.json"))["image_size"]
        path, inputs = data(family, size)
        names = []
        for method in ["lora[r=2,targets=[query,key,ffn_in]]", "ia3", "seq_bn[reduction_factor=4]", "prompt_tuning[prompt_length=3]",
                       "lora[r=2,dora=true]"]:
            names.append(f"{family}-shared-{len(names)}")
            trained(folder, path, method, names[-1])
        also = [word for name in names[1:] for word in ("--also", name)]
        out = exported(names[0], folder, "--shared-base", *also)
        for name in names:
            graph = session(f"{out}/onnx/{name}.onnx")
            labels = json.load(open(f"{out}/{name}/config.json"))["id2label"]
            expected = [[row["scores"][labels[str(i)]] for i in range(3)] for row in predicted(name, folder, inputs, size)]
            feeds = image_feeds(f"{out}/{name}", graph, inputs) if size else text_feeds(f"{out}/{name}", graph, inputs)[1]
            got = softmax(graph.run(["logits"], feeds)[0])
            record(f"{name} beside its base", np.abs(got - np.array(expected)).max())

def rows(name):
    """Texts and labels of a task's test rows."""
    if name == "trec":
        lines = open(f"{DATA}/text/trec/TREC.test", encoding="latin-1").read().splitlines()
        return [line.split(" ", 1)[1] for line in lines], [line.split(":")[0] for line in lines]
    if name == "SST-2":
        lines = [line.rsplit("\t", 1) for line in open(f"{DATA}/glue/SST-2/dev.tsv").read().splitlines()[1:]]
        return [a for a, _ in lines], [b for _, b in lines]
    table = list(csv.reader(open(f"{DATA}/text/banking77/test.csv", newline="")))[1:]
    return [a for a, _ in table], [b for _, b in table]

def int8():
    """Accuracy and speed of int8 on three tasks, MiniLM with LoRA everywhere."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    tasks = {"trec": f"trec={DATA}/text/trec", "SST-2": f"glue:SST-2={DATA}/glue/SST-2", "banking77": f"{DATA}/text/banking77/train.csv"}
    for name, source in tasks.items():
        if not os.path.isdir(f"{ROOT}/{name}"):
            run("train", "--base", "minilm", "--data", source, "--method", "lora[targets=[query,key,value,attention_out,ffn_in,ffn_out]]",
                "--out", name, "--train-rows", "6000")
        out = exported(name, "minilm", "--precision", "f32,int8")
        full, small, theirs = [f"{out}/onnx/{f}.onnx" for f in ("model", "model_quantized", "theirs")]
        checked(small)
        # ONNX Runtime's own, of the same graph, with its defaults for bytes and columns.
        quantize_dynamic(full, theirs, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)
        texts, labels = rows(name)
        id2label = json.load(open(f"{out}/config.json"))["id2label"]
        accuracy, seconds = {}, {}
        for path in (full, small, theirs):
            graph = session(path)
            answers, best = [], 9e9
            for again in range(3):
                start = time.perf_counter()
                answers = []
                for i in range(0, len(texts), 16):
                    logits = graph.run(["logits"], text_feeds(out, graph, texts[i:i + 16])[1])[0]
                    answers += [id2label[str(k)] for k in logits.argmax(-1)]
                best = min(best, time.perf_counter() - start)
                if len(texts) > 1000:
                    break
            key = os.path.basename(path)
            accuracy[key] = np.mean([a == b for a, b in zip(answers, labels)])
            seconds[key] = best
            print(f"  {name} {key}: accuracy {accuracy[key]:.4f}, {len(texts) / best:.0f} texts/s, {os.path.getsize(path) / 1e6:.1f} MB")
        most = max(labels.count(label) for label in labels) / len(labels)
        record(f"{name}: one answer for all and 20 points, over the accuracy", (most + 0.2) / accuracy["model.onnx"], 1.0)
        record(f"{name} int8: points below f32, in hundredths", (accuracy["model.onnx"] - accuracy["model_quantized.onnx"]), 0.005)
        record(f"{name} int8: time over that of ONNX Runtime's own", seconds["model_quantized.onnx"] / seconds["theirs.onnx"], 1.1)

if __name__ == "__main__":
    if DATA:
        int8()
    else:
        families()
        heads()
        kinds()
        other_sizes()
        shared()
    failed = [what for what, difference, most in results if not difference <= most]
    worst = max((d, w) for w, d, m in results)
    print(f"worst: {worst[0]:.1e} {worst[1]}")
    if "FOLDER" not in os.environ:
        shutil.rmtree(ROOT)
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    sys.exit(bool(failed))
