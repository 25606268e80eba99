"""Adapters between Budwood and Python's libraries, in both directions, by their outputs.

    python tests/interop/run.py BUDWOOD [FOLDER]

Needs torch, transformers, peft and sentence-transformers, and, where its version of transformers is the one it asks for, adapters;
`tests/interop/run.sh` makes environments with them. For every family and method: the library makes an adapter from weights
that are not zero and saves it; Budwood answers with its folder (in), imports it, exports it, and the library loads what was
exported (out). Answers are compared as probabilities; the largest difference may be 1e-5. What a library itself cannot do,
and what the documentation says is refused, is printed with its reason. ONLY=WORD runs cases with that word; TRACE=1 shows
where errors come from.
"""
import json, math, os, shutil, subprocess, sys, tempfile, traceback, warnings

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
warnings.filterwarnings("ignore")
# A field that a configuration of theirs does not have.
warnings.filterwarnings("error", message="Unexpected keyword arguments")
import peft, torch, transformers
from families import FAMILIES, SINCE_5, TEXTS, WORDS, Family, noise
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

try:
    import adapters
    from adapters import (AutoAdapterModel, DoubleSeqBnConfig, SeqBnConfig, ParBnConfig, AdapterPlusConfig, CompacterConfig,
                          CompacterPlusPlusConfig, LoRAConfig, IA3Config, PrefixTuningConfig, PromptTuningConfig, MAMConfig,
                          UniPELTConfig, ConfigUnion)
    NO_HUB = None
except (ImportError, AttributeError) as e:
    NO_HUB = f"adapters does not load with transformers {transformers.__version__}: {str(e).splitlines()[0][:90]}"

BUDWOOD = os.path.abspath(sys.argv[1])
ROOT = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else tempfile.mkdtemp()
ONLY = os.environ.get("ONLY", "")
MOST = 1e-5
LABELS = ["no", "maybe", "yes"]
NUMBERED = [f"LABEL_{i}" for i in range(3)]
results, skipped = [], []

# What the documentation says is refused: a message is one of these, or a failure.
REFUSED = {
    "changes the base": "the adapter is for a base that PEFT changes when it loads it",
    "'bias' is": "trained biases are not read",
    "VeRA's of a module of several products": "its projections are shared by rows that are parted here",
    "first 'relative.norm": "the norm of DeBERTa's table of distances is not trained by `layer_norm`",
    "embedding_hidden_mapping_in": "the product that widens embeddings is not adapted here",
    "before the product that widens": "prompts stand behind that product here",
    "those of this encoder are one": "one layer cannot be left out of layers that are one",
    "the layers of this base are one": "prefixes of one layer each, where all layers are one",
    "has no place in this method": "AdapterHub's bottleneck after ALBERT's attention reads another value",
    "AdapterHub has no place": "the same, out",
    "AdapterHub adapts no": "there is no such place there",
    "PEFT's (IA)³ leaves out no layers": "PEFT has no such option",
}

class Refused(Exception):
    pass

def budwood(*words):
    out = subprocess.run([BUDWOOD, *words], capture_output=True, text=True, cwd=ROOT)
    if out.returncode:
        message = out.stderr.strip().splitlines()[-1]
        reason = next((why for words, why in REFUSED.items() if words in message), None)
        raise Refused(f"{reason}: {message}") if reason else RuntimeError(message)
    return out.stdout

def ours(adapter, family, labels):
    """Budwood's answers with a folder."""
    lines = budwood("predict", "--json", "--adapter", adapter, "--base", family.folder, *family.inputs).splitlines()
    return torch.tensor([[json.loads(line)["scores"][l] for l in labels] for line in lines])

def check(what, expected, got):
    difference = (expected - got).abs().max().item()
    results.append((what, difference if math.isfinite(difference) else 9.0))

def attempt(what, run):
    """Runs a check; what is refused as documented is skipped."""
    try:
        run()
        return True
    except Refused as e:
        skipped.append((what, str(e)))
    except Exception as e:
        if os.environ.get("TRACE"):
            traceback.print_exc()
        results.append((what, f"{type(e).__name__}: {e}"))
    return False

def made(what, make):
    """What a library makes; what it cannot make itself is skipped."""
    try:
        return make()
    except Exception as e:
        skipped.append((what, f"the library itself: {type(e).__name__}: {str(e).splitlines()[0][:160]}"))

def place(what):
    return f"{ROOT}/{''.join(c if c.isalnum() else '-' for c in what)}"

def hub_configs():
    if NO_HUB:
        return {}
    return {
        "double_seq_bn": DoubleSeqBnConfig(reduction_factor=4),
        "seq_bn": SeqBnConfig(reduction_factor=4),
        "seq_bn by layer": SeqBnConfig(reduction_factor={"0": 2, "default": 8}),
        "seq_bn leave_out": SeqBnConfig(reduction_factor=4, leave_out=[0]),
        "par_bn": ParBnConfig(reduction_factor=4),
        "scaled_par_bn": ParBnConfig(reduction_factor=4, scaling="learned"),
        "adapter_plus": AdapterPlusConfig(reduction_factor=8, stochastic_depth=0.0),
        "compacter": CompacterConfig(reduction_factor=4),
        "compacter++": CompacterPlusPlusConfig(reduction_factor=4),
        "lora": LoRAConfig(r=4, alpha=8),
        "lora everywhere": LoRAConfig(r=4, alpha=8, attn_matrices=["q", "k", "v"], intermediate_lora=True, output_lora=True),
        "lora gated": LoRAConfig(r=4, alpha=8, use_gating=True),
        "ia3": IA3Config(),
        "prefix_tuning": PrefixTuningConfig(prefix_length=3, bottleneck_size=5),
        "prefix_tuning flat": PrefixTuningConfig(prefix_length=3, flat=True),
        "prompt_tuning": PromptTuningConfig(prompt_length=3),
        "prompt_tuning after": PromptTuningConfig(prompt_length=3, combine="prefix_after_bos"),
        "union seq_bn ia3": ConfigUnion(SeqBnConfig(reduction_factor=4, leave_out=[1]), IA3Config()),
        "union par_bn lora": ConfigUnion(ParBnConfig(reduction_factor=4), LoRAConfig(r=2, alpha=4, leave_out=[0])),
        "mam": MAMConfig(PrefixTuningConfig(prefix_length=3, bottleneck_size=5), ParBnConfig(reduction_factor=4)),
        "unipelt": UniPELTConfig(PrefixTuningConfig(prefix_length=3, bottleneck_size=5, use_gating=True),
                                 SeqBnConfig(reduction_factor=4, use_gating=True), LoRAConfig(r=2, alpha=2, use_gating=True)),
    }

HUB_FAMILIES = ["bert", "roberta", "distilbert", "electra", "xlm-roberta", "albert", "deberta-v2", "vit"]

def hub(family, name, config, safe):
    what = f"adapters {family.name} {name}{'' if safe else ' .bin'}"
    folder = place(what)
    def make():
        torch.manual_seed(2)
        model = AutoAdapterModel.from_pretrained(family.folder)
        model.add_adapter("task", config=config)
        labels = dict(enumerate(LABELS))
        if family.is_images:
            model.add_image_classification_head("task", num_labels=3, layers=2, id2label=labels)
        else:
            model.add_classification_head("task", num_labels=3, layers=2, id2label=labels)
        model.train_adapter("task")
        noise(model, trained_only=True)
        model.set_active_adapters("task")
        model.active_head = "task"
        answers = family.answers(model)
        # Shared memory keeps the library from writing some methods; `.bin` does it.
        try:
            model.save_adapter(folder, "task", use_safetensors=safe)
        except RuntimeError:
            shutil.rmtree(folder, ignore_errors=True)
            model.save_adapter(folder, "task", use_safetensors=False)
        return answers
    expected = made(what, make)
    if expected is None:
        return
    def out():
        budwood("import", folder, "--base", family.folder, "--out", folder + "-ours")
        check(what + ": imported", expected, ours(folder + "-ours", family, LABELS))
        budwood("export", folder + "-ours", folder + "-out", "--to", "adapterhub")
        fresh = AutoAdapterModel.from_pretrained(family.folder)
        info = {}
        loaded = fresh.load_adapter(folder + "-out", use_safetensors=True, loading_info=info, set_active=True)
        missing = info.get("missing_keys", []) + info.get("unexpected_keys", [])
        # Each layer's view of prefixes that all layers share.
        missing = [key for key in missing if ".prefix_tuning.pool." not in key]
        if missing:
            raise RuntimeError(f"missing or unexpected: {missing[:3]}")
        fresh.active_head = loaded
        check(what + ": out", expected, family.answers(fresh))
    read = attempt(what + ": in", lambda: check(what + ": in", expected, ours(folder, family, LABELS)))
    if safe and read:
        attempt(what + ": out", out)

def peft_configs(family):
    q, k, v = (family.modules[letter] for letter in "QKV")
    kind = dict(task_type=None if family.is_images else "SEQ_CLS")
    if family.is_images:
        kind["modules_to_save"] = ["classifier"]
    lora = lambda **more: peft.LoraConfig(**{**kind, **dict(r=4, lora_alpha=8, target_modules=[q, v]), **more})
    layers = r"layer\.[01]|layers\.[01]"
    configs = {
        "lora": lambda: lora(),
        "rslora dora": lambda: lora(use_rslora=True, use_dora=True),
        "patterns": lambda: lora(rank_pattern={q: 2}, alpha_pattern={f"layers?.1.*{v}": 3}),
        "expression": lambda: lora(target_modules=rf".*({layers})\..*\.({q}|{k})"),
        "uneven": lambda: lora(target_modules=rf".*(layers?\.0\..*\.{q}|layers?\.1\..*\.{v})"),
        "layers": lambda: lora(layers_to_transform=[1]),
        "layers pattern": lambda: lora(layers_to_transform=[1], layers_pattern=["blocks", "layers?"]),
        "look-ahead": lambda: lora(target_modules=rf"(?!.*layers?\.0\.).*\.({q}|{v})"),
        "no head": lambda: lora(task_type=None, modules_to_save=None),
        "biases": lambda: lora(bias="lora_only"),
        "pissa": lambda: lora(init_lora_weights="pissa"),
        "orthogonal": lambda: lora(init_lora_weights="orthogonal"),
        "all-linear": lambda: lora(target_modules="all-linear"),
        "all-linear dora": lambda: lora(target_modules="all-linear", use_dora=True),
        "uneven dora": lambda: lora(target_modules=rf".*(layers?\.0\..*\.{q}|layers?\.1\..*\.{v})", use_dora=True),
        "ia3": lambda: peft.IA3Config(**kind, target_modules=[k, v], feedforward_modules=[]),
        "ia3 usual": lambda: peft.IA3Config(**kind),
        "ia3 feed-forward": lambda: peft.IA3Config(**kind, target_modules=[k, v, "output.dense"],
                                                   feedforward_modules=["output.dense"]),
        "vera": lambda: peft.VeraConfig(**kind, r=8, target_modules=[q, v]),
        "adalora": lambda: peft.AdaLoraConfig(**kind, init_r=6, target_r=3, total_step=10, target_modules=[q, v]),
        "adalora with ranks taken away": lambda: peft.AdaLoraConfig(
            **kind, init_r=6, target_r=2, tinit=1, tfinal=3, deltaT=1, total_step=12, target_modules=[q, v]),
        "vera all-linear": lambda: peft.VeraConfig(**kind, r=8, target_modules="all-linear"),
        "ln_tuning": lambda: peft.LNTuningConfig(**kind, target_modules=family.modules["norms"]),
    }
    if family.name in ("bert", "albert"):
        configs["pooler saved"] = lambda: lora(modules_to_save=["pooler", "classifier"])
    if not family.is_images:
        sizes = dict(task_type="SEQ_CLS", num_virtual_tokens=3, num_layers=2, token_dim=32, num_attention_heads=4)
        encoder = dict(sizes, encoder_hidden_size=8)
        configs.update({
            "prompt tuning": lambda: peft.PromptTuningConfig(**sizes),
            "p-tuning MLP": lambda: peft.PromptEncoderConfig(**encoder, encoder_reparameterization_type="MLP"),
            "p-tuning LSTM": lambda: peft.PromptEncoderConfig(**encoder, encoder_reparameterization_type="LSTM"),
            "prefix tuning": lambda: peft.PrefixTuningConfig(**sizes),
            "prefix tuning projected": lambda: peft.PrefixTuningConfig(**encoder, prefix_projection=True),
        })
    return configs

def take_away(family, model):
    """A short training in which AdaLoRA takes ranks away."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.05)
    for step in range(12):
        model.train()
        model(**family.feeds, labels=torch.tensor([0, 1, 2])).loss.backward()
        optimizer.step()
        model.base_model.update_and_allocate(step)
        optimizer.zero_grad()

def pefted(family, name, config, safe):
    what = f"peft {family.name} {name}{'' if safe else ' .bin'}"
    folder = place(what)
    def make():
        torch.manual_seed(3)
        model = peft.get_peft_model(family.model(), config())
        noise(model, trained_only=True)
        if "taken away" in name:
            take_away(family, model)
        answers = family.answers(model)
        model.save_pretrained(folder, safe_serialization=safe)
        return answers
    expected = made(what, make)
    if expected is None:
        return
    def imported():
        budwood("import", folder, "--base", family.folder, "--out", folder + "-ours")
        check(what + ": imported", expected, ours(folder + "-ours", family, NUMBERED))
    def out():
        budwood("export", folder + "-ours", folder + "-out", "--to", "peft", *(["--transformers", "5"] if SINCE_5 else []))
        fresh = peft.PeftModel.from_pretrained(family.model(), folder + "-out")
        check(what + ": out", expected, family.answers(fresh))
    def whole():
        budwood("export", folder + "-ours", folder + "-whole", "--to", "transformers")
        check(what + ": merged for transformers", expected, family.answers(family.model(folder + "-whole")))
        again = Whole(family, folder + "-whole")
        check(what + ": merged, back again", expected, ours(again.folder, again, NUMBERED))
    if not attempt(what + ": in", lambda: check(what + ": in", expected, ours(folder, family, NUMBERED))):
        return
    steps = [("imported", imported), ("out", out)]
    if "tuning" not in name or "ln_" in name:
        steps.append(("merged for transformers", whole))
    for step, run in steps if safe else []:
        attempt(f"{what}: {step}", run)

class Whole:
    """A model that was exported, asked as its family is."""
    def __init__(self, family, folder):
        self.folder, self.inputs = folder, family.inputs

# Families with a head of two layers over the first token, in which ours of one layer is written.
TWO_LAYERS = ["bert", "albert", "roberta", "distilbert", "electra", "xlm-roberta", "camembert", "deberta-v2", "mpnet",
              "xlm-roberta-xl", "roberta-prelayernorm"]
ALL_TEXTS = [*TWO_LAYERS, "modernbert"]
# Methods that are trained here: where they go to, the pooling that is there, and the families.
TRAINED = [
    ("bitfit", "transformers", "pooler", ["bert"]),
    ("vera[r=4]", "transformers", "pooler", ["bert"]),
    ("linear", "transformers", "pooler", ["bert"]),
    ("full", "transformers", "pooler", ["bert"]),
    ("ia3", "transformers", "pooler", ["bert"]),
    ("lora[r=4,rslora=true,dora=true]", "peft", "pooler", ["bert"]),
    ("lora[r=4,targets=[ffn_out]]", "peft", "pooler", ["bert"]),
    ("ia3[targets=[key,value],inputs=[ffn_out]]", "peft", "pooler", ["bert"]),
    ("prompt_tuning[prompt_length=3,as_words=true]", "peft", "pooler", ["bert"]),
    ("prefix_tuning[prefix_length=3,flat=true,counted=true]", "peft", "pooler", ["bert"]),
    ("prompt_tuning[prompt_length=3,as_words=true]", "peft", "cls", ["roberta", "distilbert", "electra", "mpnet"]),
    ("lora[r=4]", "peft", "cls", TWO_LAYERS),
    ("ia3", "peft", "cls", TWO_LAYERS),
    ("lora[r=4]", "transformers", "cls", TWO_LAYERS),
    ("linear", "transformers", "cls", TWO_LAYERS),
    ("lora[r=4]", "sentence-transformers", "mean", ALL_TEXTS),
    ("linear", "sentence-transformers", "cls", ALL_TEXTS),
    ("bitfit", "sentence-transformers", "pooler", ["bert", "albert"]),
    ("lora[r=4]", "peft", "cls", ["vit"]),
    ("lora[r=4]", "peft", "cls-mean", ["dinov2"]),
    ("linear", "transformers", "cls", ["vit"]),
    ("linear", "transformers", "cls-mean", ["dinov2"]),
    ("linear", "adapterhub", "cls", ["bert", "roberta", "distilbert"]),
    ("seq_bn[reduction_factor=4]", "adapterhub", "cls", ["bert", "roberta", "distilbert"]),
    ("adapter[width=5,layer_norm=false]", "adapterhub", "cls", ["bert", "roberta", "distilbert"]),
    ("adapter[width=8]", "adapterhub --norms", "cls", ["bert", "roberta", "distilbert"]),
    ("adapter[width=8]", "adapterhub --norms --headless", "mean", ["bert", "roberta", "distilbert", "electra"]),
]

def written():
    """A table of texts."""
    random = torch.Generator().manual_seed(4)
    with open(f"{ROOT}/train.csv", "w") as f:
        f.write("text,label\n")
        for i in range(60):
            words = [WORDS[j] for j in torch.randint(len(WORDS), (6,), generator=random)]
            f.write(" ".join(words) + (" good,yes\n" if i % 2 else " bad,no\n"))
    return f.name

def pictured(family):
    """A folder of pictures in a folder for each class."""
    folder = f"{ROOT}/pictures"
    for label in ["no", "yes"]:
        os.makedirs(f"{folder}/{label}", exist_ok=True)
        for i, path in enumerate(family.inputs * 4):
            shutil.copy(path, f"{folder}/{label}/{i}.png")
    return folder

def trained(family, method, to, pooling):
    what = f"trained here {family.name} {method} over {pooling} to {to}"
    folder = place(what)
    budwood("train", "--data", pictured(family) if family.is_images else written(), "--base", family.folder, "--recipe", "paper", "--method", method, "--pooling",
            pooling, "--lr", "0.01", "--epochs", "3", "--out", folder)
    library, *flags = to.split()
    expected = ours(folder, family, ["no", "yes"])
    if library == "sentence-transformers":
        budwood("export", folder, folder + "-out", "--to", library)
        model = SentenceTransformer(folder + "-out", device="cpu")
        check(what, torch.softmax(model.encode(TEXTS, convert_to_tensor=True), -1), expected)
        return
    if library == "peft" and SINCE_5:
        flags = ["--transformers", "5"]
    budwood("export", folder, folder + "-out", "--to", library, *flags)
    def load():
        if library == "transformers":
            return family.model(folder + "-out")
        if library == "peft":
            start = family.model(num_labels=2, ignore_mismatched_sizes=True)
            return peft.PeftModel.from_pretrained(start, folder + "-out")
        model = AutoAdapterModel.from_pretrained(family.folder)
        if method == "linear":
            model.load_head(folder + "-out", use_safetensors=True)
        else:
            model.load_adapter(folder + "-out", use_safetensors=True, set_active=True)
        model.active_head = None if "--headless" in flags else "task"
        return model
    if method.startswith("prefix_tuning") and library == "peft" and SINCE_5:
        skipped.append((what, "the library itself: its models take no keys and values since transformers 5"))
        return
    if "--headless" in flags:
        head = load_file(folder + "-out/head.safetensors")
        with torch.no_grad():
            pooled = load().eval()(**family.feeds).last_hidden_state.mean(1)
        check(what, torch.softmax(pooled @ head["head.out.weight"].T + head["head.out.bias"], -1), expected)
        return
    check(what, family.answers(load()), expected)

def run(family):
    model = family.model()
    what = f"transformers {family.name} tuned: in"
    attempt(what, lambda: check(what, family.answers(model), ours(family.folder, family, NUMBERED)))
    for name, config in hub_configs().items() if family.name in HUB_FAMILIES else []:
        for safe in [True, False] if name in ("seq_bn", "lora", "prefix_tuning") else [True]:
            if ONLY in f"adapters {family.name} {name}":
                hub(family, name, config, safe)
    for name, config in peft_configs(family).items():
        for safe in [True, False] if name in ("lora", "prompt tuning") else [True]:
            if ONLY in f"peft {family.name} {name}":
                pefted(family, name, config, safe)
    for method, to, pooling, families in TRAINED:
        of_hub = to.startswith("adapterhub")
        here = family.name in families
        what = f"trained here {family.name} {method} over {pooling} to {to}"
        if ONLY in what and here and not (of_hub and NO_HUB):
            attempt(what, lambda: trained(family, method, to, pooling))

def main():
    hub_version = "none" if NO_HUB else adapters.__version__
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}, adapters {hub_version}")
    if NO_HUB:
        print(f"SKIPPED: adapters, as {NO_HUB}")
    for name in FAMILIES:
        run(Family(name, ROOT))
    failed = [r for r in results if not isinstance(r[1], float) or r[1] > MOST]
    for what, difference in results:
        print(f"{'FAIL' if (what, difference) in failed else 'ok  '} {what}: {difference}")
    for what, why in skipped:
        print(f"skip {what}: {why}")
    numbers = [difference for _, difference in results if isinstance(difference, float)]
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed, {len(skipped)} skipped; farthest {max(numbers):.1e}")
    if len(sys.argv) < 3:
        shutil.rmtree(ROOT)
    sys.exit(bool(failed))

main()
