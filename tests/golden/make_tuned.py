"""Tuned models of `transformers` whose heads are of a form of their own: random weights, and the answers to some inputs.

    python make_tuned.py [NAME ...]      with transformers 4.57.6 and torch installed

tuned/NAME/                    the model as `transformers` saves it
tuned/NAME/tuned.safetensors   `input.*` (with padding), and `out.logits`: of heads over tokens those of all tokens that are not padding

Nomic's BERT is the one of make_families.py, with BERT's pooler and one layer, as its own code has them.
"""
import copy, json, os, sys
import torch
from torch import nn
from transformers import *
from safetensors.torch import save_file
from make_families import D, MODERN, NOMIC, OUT, Nomic, inputs, random

LABELS = {"id2label": {0: "a", 1: "b", 2: "c"}, "label2id": {"a": 0, "b": 1, "c": 2}}
BIASES = dict(classifier_pooling="mean", classifier_bias=True, norm_bias=True, classifier_activation="silu", norm_eps=1e-3)
CLIP = CLIPConfig(vision_config=dict(hidden_size=D, intermediate_size=36, num_hidden_layers=2, num_attention_heads=4, image_size=9, patch_size=3), text_config=dict(num_hidden_layers=1), **LABELS)


class TunedNomic(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config, self.bert, self.classifier = config, Nomic(config), nn.Linear(D, 3)
        self.bert.pooler = nn.ModuleDict({"dense": nn.Linear(D, D)})

    def forward(self, **given):
        return self.classifier(torch.tanh(self.bert.pooler["dense"](self.bert(**given)[:, 0])))


ALL = {
    "modernbert": lambda: ModernBertForSequenceClassification(ModernBertConfig(**MODERN, **LABELS)),
    "modernbert-mean": lambda: ModernBertForSequenceClassification(ModernBertConfig(**MODERN, **BIASES, **LABELS)),
    "modernbert-tokens": lambda: ModernBertForTokenClassification(ModernBertConfig(**MODERN, **LABELS)),
    "modernbert-answers": lambda: ModernBertForQuestionAnswering(ModernBertConfig(**MODERN)),
    "clip": lambda: CLIPForImageClassification(CLIP),
    "nomic_bert": lambda: TunedNomic(NOMIC),
}

for name in sys.argv[1:] or ALL:
    torch.manual_seed(1)
    model = ALL[name]().eval()
    random(model.named_parameters(), 11)
    folder = f"{OUT}/tuned/{name}"
    os.makedirs(folder, exist_ok=True)
    if name == "nomic_bert":
        config = {**NOMIC.to_dict(), "model_type": "nomic_bert", "architectures": ["NomicBertForSequenceClassification"]}
        config.update(id2label={str(i): l for i, l in LABELS["id2label"].items()}, label2id=LABELS["label2id"])
        json.dump(config, open(f"{folder}/config.json", "w"), indent=2, sort_keys=True)
        save_file({k: v.clone() for k, v in model.state_dict().items()}, f"{folder}/model.safetensors", metadata={"format": "pt"})
    else:
        model.save_pretrained(folder)
    if name == "clip":
        given = {"pixel_values": torch.randn(3, 3, 9, 9, generator=torch.Generator().manual_seed(7))}
    else:
        given = inputs(model.config, (9, 6, 4))
        if name.startswith("modernbert"):
            given.pop("token_type_ids", None)
    with torch.no_grad():
        out = model(**given)
    if torch.is_tensor(out):
        logits = out
    elif "start_logits" in out:
        logits = torch.stack([out.start_logits, out.end_logits], -1)
    else:
        logits = out.logits
    if logits.dim() == 3:
        logits = logits[given["attention_mask"] == 1]
    case = {**{f"input.{k}": v for k, v in given.items()}, "out.logits": logits}
    save_file({k: v.contiguous().clone() for k, v in case.items()}, f"{folder}/tuned.safetensors")
    print(name, tuple(logits.shape))
