"""Cases of AdapterHub and PEFT on the families of make_families.py that those libraries have, in the form of make.py's cases.

    python make_family_adapters.py      with adapters 1.3.0, peft 0.21, transformers 4.57.6 and torch installed; make_families.py's cases must be there

adapters/FAMILY/{double_seq_bn or seq_bn,lora,prefix_tuning_flat}/   on base/FAMILY
peft/FAMILY/{base,lora}/                                   over `...ForSequenceClassification`; base/tuned.safetensors holds what that model answers by itself
"""
import copy, json, os
os.environ["HF_HUB_OFFLINE"] = "1"
import peft, torch
from adapters import *
from transformers import *
from safetensors.torch import load_file, save_file
from recording import record

OUT = os.path.dirname(os.path.abspath(__file__))
HUB = {"electra": ElectraAdapterModel, "albert": AlbertAdapterModel, "deberta-v2": DebertaV2AdapterModel}
METHODS = {"seq_bn": SeqBnConfig(reduction_factor=4), "double_seq_bn": DoubleSeqBnConfig(reduction_factor=4), "lora": LoRAConfig(r=2, alpha=4, intermediate_lora=True, output_lora=True),
           "prefix_tuning_flat": PrefixTuningConfig(prefix_length=2, flat=True)}
PEFT = {"electra": (ElectraForSequenceClassification, ["query", "value"], ["classifier"]), "albert": (AlbertForSequenceClassification, ["query", "value"], ["classifier"]),
        "mpnet": (MPNetForSequenceClassification, ["attn.q", "attn.v"], ["classifier"]),
        "deberta-v2": (DebertaV2ForSequenceClassification, ["query_proj", "key_proj", "value_proj"], ["classifier", "pooler"])}
LABELS = torch.tensor([0, 2, 1])


def random(model, pick, seed):
    g = torch.Generator().manual_seed(seed)
    for n, p in sorted(model.named_parameters()):
        if pick(n):
            p.data = torch.randn(p.shape, generator=g) * 0.2


def inputs_of(family):
    case = load_file(f"{OUT}/families/{family}/full.safetensors")
    return {k[6:]: v for k, v in case.items() if k.startswith("input.") and k != "input.labels"}


for family, cls in HUB.items():
    config = AutoConfig.from_pretrained(f"{OUT}/base/{family}")
    weights = load_file(f"{OUT}/base/{family}/model.safetensors")
    for name, method in METHODS.items():
        # In ALBERT the library's bottleneck after attention reads that sub-layer's input.
        if name == ("double_seq_bn" if family == "albert" else "seq_bn"):
            continue
        folder = f"{OUT}/adapters/{family}/{name}"
        os.makedirs(folder, exist_ok=True)
        torch.manual_seed(1)
        model = cls(copy.deepcopy(config))
        loaded = model.load_state_dict(weights, strict=False)
        assert not loaded.unexpected_keys, loaded
        model.add_adapter("task", config=method)
        model.add_classification_head("task", num_labels=3, id2label={0: "no", 1: "maybe", 2: "yes"})
        model.train_adapter("task")
        model.set_active_adapters("task")
        random(model, lambda n: ".task." in n, 5)
        model.save_adapter(f"{folder}/adapter", "task", use_safetensors=name != "prefix_tuning_flat")
        if name == "prefix_tuning_flat":
            for there, here in [("pytorch_adapter.bin", "adapter"), ("pytorch_model_head.bin", "model_head")]:
                tensors = torch.load(f"{folder}/adapter/{there}", weights_only=True)
                save_file({k: v.clone() for k, v in tensors.items() if ".pool." not in k}, f"{folder}/adapter/{here}.safetensors")
                os.remove(f"{folder}/adapter/{there}")
        for file in ("adapter_config.json", "head_config.json"):
            described = json.load(open(f"{folder}/adapter/{file}"))
            json.dump({**described, "model_name": ""}, open(f"{folder}/adapter/{file}", "w"), indent=2)
        record(model, inputs_of(family), LABELS, folder)
        print(family, name)

for family, (cls, targets, saved) in PEFT.items():
    config = AutoConfig.from_pretrained(f"{OUT}/base/{family}")
    config.num_labels = 3
    torch.manual_seed(1)
    model = cls(config)
    weights = load_file(f"{OUT}/base/{family}/model.safetensors")
    assert not model.load_state_dict(weights, strict=False).unexpected_keys
    random(model, lambda n: n not in weights, 17)
    base, folder = f"{OUT}/peft/{family}/base", f"{OUT}/peft/{family}/lora"
    os.makedirs(folder, exist_ok=True)
    model.eval().save_pretrained(base)
    inputs = inputs_of(family)
    with torch.no_grad():
        save_file({**{f"input.{k}": v for k, v in inputs.items()}, "out.logits": model(**inputs).logits.contiguous()}, f"{base}/tuned.safetensors")
    model = peft.get_peft_model(model, peft.LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=8, target_modules=targets, modules_to_save=saved))
    random(model, lambda n: "lora_" in n or "modules_to_save" in n, 5)
    model.save_pretrained(f"{folder}/adapter")
    described = json.load(open(f"{folder}/adapter/adapter_config.json"))
    described.update(target_modules=sorted(described["target_modules"]), base_model_name_or_path=None)
    json.dump(described, open(f"{folder}/adapter/adapter_config.json", "w"), indent=2)
    if os.path.exists(f"{folder}/adapter/README.md"):
        os.remove(f"{folder}/adapter/README.md")
    record(model, inputs, LABELS, folder)
    print(family, "peft lora")
