"""Adapters between Budwood and Python's libraries, in both directions, by their outputs.

    python tests/interop/run.py BUDWOOD [FOLDER]

Needs torch, transformers 4.57.6, adapters 1.3.0 and peft 0.21.2; `tests/interop/run.sh` makes an environment with them.
For every family and method: the library makes an adapter from weights that are not zero and saves it; Budwood answers
texts with its folder (in), imports it, exports it, and the library loads what was exported (out). Answers are
compared as probabilities; the largest difference may be 1e-5.
"""
import json, math, os, shutil, subprocess, sys, tempfile, traceback, warnings

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
warnings.filterwarnings("ignore")
import torch
import adapters, peft, transformers
from adapters import (AutoAdapterModel, DoubleSeqBnConfig, SeqBnConfig, ParBnConfig, AdapterPlusConfig, CompacterConfig,
                      LoRAConfig, IA3Config, PrefixTuningConfig, PromptTuningConfig, ConfigUnion, MAMConfig, UniPELTConfig)
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (AutoConfig, AutoModelForSequenceClassification, AutoModelForTokenClassification,
                          BertConfig, RobertaConfig, DistilBertConfig, PreTrainedTokenizerFast)

BUDWOOD = os.path.abspath(sys.argv[1])
ROOT = sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp()
WORDS = "the a film good bad very was not and of plot actor dull fine long short great poor story scene".split()
# Texts of one length: some references attend to padding.
TEXTS = ["the film was very good", "a dull plot and actor", "not a bad story scene"]
MOST = 1e-5
results = []

def tokenizer(folder, roberta):
    special = ["<s>", "<pad>", "</s>", "<unk>"] if roberta else ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocab = {w: i for i, w in enumerate(special + WORDS)}
    unk, begin, end, pad = ("<unk>", "<s>", "</s>", "<pad>") if roberta else ("[UNK]", "[CLS]", "[SEP]", "[PAD]")
    t = Tokenizer(models.WordLevel(vocab, unk_token=unk))
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    t.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}", pair=f"{begin} $A {end} $B {end}", special_tokens=[(begin, vocab[begin]), (end, vocab[end])])
    fast = PreTrainedTokenizerFast(tokenizer_object=t, unk_token=unk, cls_token=begin, sep_token=end, pad_token=pad)
    fast.save_pretrained(folder)
    return fast

def base(family):
    """A small model with random weights, norms and biases included."""
    torch.manual_seed(1)
    folder = f"{ROOT}/{family}"
    sizes = dict(vocab_size=40, num_labels=3)
    if family == "distilbert":
        config = DistilBertConfig(dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=40, **sizes)
    else:
        kind = BertConfig if family == "bert" else RobertaConfig
        config = kind(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
                      max_position_embeddings=40, **sizes)
    model = AutoModelForSequenceClassification.from_config(config)
    noise(model)
    model.eval().save_pretrained(folder)
    tok = tokenizer(folder, family == "roberta")
    return folder, tok

def noise(model, trained_only=False):
    with torch.no_grad():
        for p in model.parameters():
            if (p.requires_grad or not trained_only) and p.is_floating_point():
                p.add_(torch.randn_like(p) * 0.1)

def answers(model, tok, texts=TEXTS):
    model.eval()
    with torch.no_grad():
        logits = model(**{k: v for k, v in tok(texts, return_tensors="pt").items() if k != "token_type_ids" or "distil" not in model.config.model_type}).logits
    return torch.softmax(logits, -1)

def ours(adapter, base_folder):
    with open(f"{ROOT}/texts.csv", "w") as f:
        f.write("\n".join(["text", *TEXTS, ""]))
    out = subprocess.run([BUDWOOD, "predict", "--json", "--adapter", adapter, "--base", base_folder, "--input", f"{ROOT}/texts.csv"],
                         capture_output=True, text=True, cwd=ROOT)
    if out.returncode:
        raise RuntimeError(out.stderr.strip().splitlines()[-1])
    return [json.loads(line) for line in out.stdout.splitlines()]

def matrix(rows, labels):
    return torch.tensor([[row["scores"][l] for l in labels] for row in rows])

def budwood(*words):
    out = subprocess.run([BUDWOOD, *words], capture_output=True, text=True, cwd=ROOT)
    if out.returncode:
        raise RuntimeError(out.stderr.strip().splitlines()[-1])

def check(what, expected, got):
    difference = (expected - got).abs().max().item()
    results.append((what, difference if math.isfinite(difference) else 9.0))

def attempt(what, run):
    try:
        run()
    except Exception as e:
        if os.environ.get("TRACE"):
            traceback.print_exc()
        results.append((what, f"{type(e).__name__}: {e}"))

HUB = {
    "double_seq_bn": DoubleSeqBnConfig(reduction_factor=4),
    "seq_bn": SeqBnConfig(reduction_factor=4),
    "seq_bn by layer": SeqBnConfig(reduction_factor={"0": 2, "default": 8}),
    "seq_bn leave_out": SeqBnConfig(reduction_factor=4, leave_out=[0]),
    "par_bn": ParBnConfig(reduction_factor=4),
    "scaled_par_bn": ParBnConfig(reduction_factor=4, scaling="learned"),
    "adapter_plus": AdapterPlusConfig(reduction_factor=8, stochastic_depth=0.0),
    "compacter": CompacterConfig(reduction_factor=4),
    "lora": LoRAConfig(r=4, alpha=8),
    "lora everywhere": LoRAConfig(r=4, alpha=8, attn_matrices=["q", "k", "v"], intermediate_lora=True, output_lora=True),
    "ia3": IA3Config(),
    "prefix_tuning": PrefixTuningConfig(prefix_length=3, bottleneck_size=5),
    "prefix_tuning flat": PrefixTuningConfig(prefix_length=3, flat=True),
    "prompt_tuning": PromptTuningConfig(prompt_length=3),
    "mam": MAMConfig(PrefixTuningConfig(prefix_length=3, bottleneck_size=5), ParBnConfig(reduction_factor=4)),
    "unipelt": UniPELTConfig(PrefixTuningConfig(prefix_length=3, bottleneck_size=5, use_gating=True),
                             SeqBnConfig(reduction_factor=4, use_gating=True), LoRAConfig(r=2, alpha=2, use_gating=True)),
}
LABELS = ["no", "maybe", "yes"]

def hub(family, folder, tok, name, config, safe):
    what = f"adapters {family} {name}{'' if safe else ' .bin'}"
    torch.manual_seed(2)
    model = AutoAdapterModel.from_pretrained(folder)
    model.add_adapter("task", config=config)
    model.add_classification_head("task", num_labels=3, layers=2, id2label=dict(enumerate(LABELS)))
    model.train_adapter("task")
    noise(model, trained_only=True)
    model.set_active_adapters("task")
    model.active_head = "task"
    expected = answers(model, tok)
    place = f"{ROOT}/{what.replace(' ', '-').replace('.', '')}"
    if safe:
        # Shared memory keeps the library from writing some methods; `.bin` does it.
        try:
            model.save_adapter(place, "task", use_safetensors=True)
        except RuntimeError:
            shutil.rmtree(place, ignore_errors=True)
            model.save_adapter(place, "task", use_safetensors=False)
    else:
        model.save_adapter(place, "task", use_safetensors=False)
    attempt(what + ": in", lambda: check(what + ": in", expected, matrix(ours(place, folder), LABELS)))
    def out():
        budwood("import", place, "--base", folder, "--out", place + "-ours")
        check(what + ": imported", expected, matrix(ours(place + "-ours", folder), LABELS))
        budwood("export", place + "-ours", place + "-out", "--to", "adapterhub")
        fresh = AutoAdapterModel.from_pretrained(folder)
        info = {}
        loaded = fresh.load_adapter(place + "-out", use_safetensors=True, loading_info=info, set_active=True)
        missing = info.get("missing_keys", []) + info.get("unexpected_keys", [])
        # Each layer's view of prefixes that all layers share.
        missing = [key for key in missing if ".prefix_tuning.pool." not in key]
        if missing:
            raise RuntimeError(f"missing or unexpected: {missing[:3]}")
        fresh.active_head = loaded
        check(what + ": out", expected, answers(fresh, tok))
    if safe:
        attempt(what + ": out", out)

Q = {"bert": "query", "roberta": "query", "distilbert": "q_lin"}
V = {"bert": "value", "roberta": "value", "distilbert": "v_lin"}
K = {"bert": "key", "roberta": "key", "distilbert": "k_lin"}
NORM = {"bert": ["LayerNorm"], "roberta": ["LayerNorm"], "distilbert": ["LayerNorm", "sa_layer_norm", "output_layer_norm"]}

def peft_configs(f):
    lora = lambda **more: peft.LoraConfig(**{**dict(task_type="SEQ_CLS", r=4, lora_alpha=8, target_modules=[Q[f], V[f]]), **more})
    configs = {
        "lora": lora(),
        "rslora dora": lora(use_rslora=True, use_dora=True),
        "patterns": lora(rank_pattern={Q[f]: 2}, alpha_pattern={f"layer.1.*{V[f]}": 3}),
        "expression": lora(target_modules=rf".*layer\.[01]\..*({Q[f]}|{K[f]})"),
        "uneven": lora(target_modules=rf".*(layer\.0\..*{Q[f]}|layer\.1\..*{V[f]})"),
        "layers": lora(layers_to_transform=[1]),
        "all-linear": lora(target_modules="all-linear"),
        "ia3": peft.IA3Config(task_type="SEQ_CLS", target_modules=[K[f], V[f]], feedforward_modules=[]),
        "vera": peft.VeraConfig(task_type="SEQ_CLS", r=8, target_modules=[Q[f], V[f]]),
        "adalora": peft.AdaLoraConfig(task_type="SEQ_CLS", init_r=6, target_r=3, total_step=10, target_modules=[Q[f], V[f]]),
        "ln_tuning": peft.LNTuningConfig(task_type="SEQ_CLS", target_modules=NORM[f]),
    }
    if f == "distilbert":
        # PEFT itself refuses: it would adapt the head's first layer, too.
        del configs["all-linear"]
    return configs

def pefted(family, folder, tok, name, config, safe):
    what = f"peft {family} {name}{'' if safe else ' .bin'}"
    torch.manual_seed(3)
    model = peft.get_peft_model(AutoModelForSequenceClassification.from_pretrained(folder), config)
    noise(model, trained_only=True)
    expected = answers(model, tok)
    place = f"{ROOT}/{what.replace(' ', '-').replace('.', '')}"
    model.save_pretrained(place, safe_serialization=safe)
    labels = [f"LABEL_{i}" for i in range(3)]
    attempt(what + ": in", lambda: check(what + ": in", expected, matrix(ours(place, folder), labels)))
    def imported():
        budwood("import", place, "--base", folder, "--out", place + "-ours")
        check(what + ": imported", expected, matrix(ours(place + "-ours", folder), labels))
    def out():
        if name == "all-linear" and family == "bert":
            return  # Its pooler is adapted, which becomes a layer of the head.
        budwood("export", place + "-ours", place + "-out", "--to", "peft")
        fresh = peft.PeftModel.from_pretrained(AutoModelForSequenceClassification.from_pretrained(folder), place + "-out")
        check(what + ": out", expected, answers(fresh, tok))
    def whole():
        budwood("export", place + "-ours", place + "-whole", "--to", "transformers")
        fresh = AutoModelForSequenceClassification.from_pretrained(place + "-whole")
        check(what + ": merged for transformers", expected, answers(fresh, tok))
        check(what + ": merged, back again", expected, matrix(ours(place + "-whole", place + "-whole"), labels))
    if safe:
        for step, run in [("imported", imported), ("out", out), ("merged for transformers", whole)]:
            attempt(f"{what}: {step}", run)

# Methods that are trained here: where they go to, and the pooling that is there.
TRAINED = [
    ("bitfit", "transformers", "pooler"),
    ("vera[r=4]", "transformers", "pooler"),
    ("linear", "transformers", "pooler"),
    ("full", "transformers", "pooler"),
    ("lora[r=4,rslora=true,dora=true]", "peft", "pooler"),
    ("linear", "adapterhub", "cls"),
    ("seq_bn[reduction_factor=4]", "adapterhub", "cls"),
    ("adapter[width=5,layer_norm=false]", "adapterhub", "cls"),
    ("adapter[width=8]", "adapterhub --norms", "cls"),
]

def trained(family, folder, tok, method, to, pooling):
    what = f"trained here {family} {method} to {to}"
    place = f"{ROOT}/{''.join(c if c.isalnum() else '-' for c in what)}"
    random = torch.Generator().manual_seed(4)
    with open(f"{ROOT}/train.csv", "w") as f:
        f.write("text,label\n")
        for i in range(60):
            words = [WORDS[j] for j in torch.randint(len(WORDS), (6,), generator=random)]
            f.write(" ".join(words) + (" good,yes\n" if i % 2 else " bad,no\n"))
    budwood("train", "--data", f"{ROOT}/train.csv", "--base", folder, "--recipe", "paper", "--method", method, "--pooling",
            pooling, "--lr", "0.01", "--epochs", "3", "--out", place)
    library, *flags = to.split()
    budwood("export", place, place + "-out", "--to", library, *flags)
    if library == "transformers":
        model = AutoModelForSequenceClassification.from_pretrained(place + "-out")
    elif library == "peft":
        start = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2, ignore_mismatched_sizes=True)
        model = peft.PeftModel.from_pretrained(start, place + "-out")
    else:
        model = AutoAdapterModel.from_pretrained(folder)
        kept = dict(use_safetensors=True, set_active=True)
        if method == "linear":
            model.load_head(place + "-out", use_safetensors=True)
        else:
            model.load_adapter(place + "-out", **kept)
        model.active_head = "task"
    check(what, answers(model, tok), matrix(ours(place, folder), ["no", "yes"]))

def main():
    print("torch", torch.__version__, "transformers", transformers.__version__, "adapters", adapters.__version__, "peft", peft.__version__)
    only = os.environ.get("ONLY", "")
    for family in ["bert", "roberta", "distilbert"]:
        folder, tok = base(family)
        model = AutoModelForSequenceClassification.from_pretrained(folder)
        labels = [f"LABEL_{i}" for i in range(3)]
        what = f"transformers {family} tuned: in"
        attempt(what, lambda: check(what, answers(model, tok), matrix(ours(folder, folder), labels)))
        for name, config in HUB.items():
            for safe in [True, False] if name in ("seq_bn", "lora", "prefix_tuning") else [True]:
                if only in name:
                    attempt(f"adapters {family} {name}", lambda: hub(family, folder, tok, name, config, safe))
        for name, config in peft_configs(family).items():
            for safe in [True, False] if name == "lora" else [True]:
                if only in name:
                    attempt(f"peft {family} {name}", lambda: pefted(family, folder, tok, name, config, safe))
        for method, to, pooling in TRAINED:
            if only in method and (pooling == "cls" or family == "bert"):
                what = f"trained here {family} {method} to {to}"
                attempt(what, lambda: trained(family, folder, tok, method, to, pooling))
    failed = [r for r in results if not isinstance(r[1], float) or r[1] > MOST]
    for what, difference in results:
        print(f"{'FAIL' if (what, difference) in failed else 'ok  '} {what}: {difference}")
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    sys.exit(bool(failed))

main()
