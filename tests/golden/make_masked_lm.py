"""Cases of masked language models: models of `transformers` with random weights and their own heads for masked words.

    python make_masked_lm.py [NAME ...]      with transformers 4.57.6 and torch installed

families/masked-lm-NAME/base/     the model as `transformers` saves it, head included
families/masked-lm-NAME/full.safetensors, lora.safetensors, bottleneck.safetensors    as those of make_families.py

`input.labels` holds the token that belongs at each masked place, and -100 elsewhere; `out.logits` are those of the masked places. Heads have our names.
The last layer of each head is the table of words: all weights train it as both, the others leave it as it is.
"""
import copy, json, os, sys
import torch
from torch import nn
from transformers import *
from recording import learn, save, values
from make_families import BERT, BERT_SITES, D, DEBERTA, DEBERTA_SITES, MODERN, MODERN_SITES, OUT, VOCAB, at_outputs, inputs, modules, random

CLS = ["cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.bias"]
LM = ["lm_head.dense", "lm_head.layer_norm", "lm_head.bias"]
MPNET_SITES = {**BERT_SITES, "query": "attention.attn.q", "key": "attention.attn.k", "value": "attention.attn.v", "attention_out": "attention.attn.o"}

# Name: prefix, layer, sites, model, configuration, and the modules of the head: dense, norm, and the tensor of the bias.
ALL = {
    "bert": ("bert", "encoder.layer", BERT_SITES, BertForMaskedLM, BertConfig(max_position_embeddings=40, **BERT), CLS),
    "roberta": ("roberta", "encoder.layer", BERT_SITES, RobertaForMaskedLM, RobertaConfig(max_position_embeddings=42, type_vocab_size=1, **BERT), LM),
    "modernbert": ("model", "layers", MODERN_SITES, ModernBertForMaskedLM, ModernBertConfig(**MODERN), ["head.dense", "head.norm", "decoder.bias"]),
    "distilbert": ("distilbert", None, None, DistilBertForMaskedLM,
                   DistilBertConfig(vocab_size=VOCAB, dim=D, n_layers=2, n_heads=4, hidden_dim=36, max_position_embeddings=40, dropout=0.0, attention_dropout=0.0),
                   ["vocab_transform", "vocab_layer_norm", "vocab_projector.bias"]),
    "electra": ("electra", None, None, ElectraForMaskedLM, ElectraConfig(embedding_size=20, max_position_embeddings=40, **BERT),
                ["generator_predictions.dense", "generator_predictions.LayerNorm", "generator_lm_head.bias"]),
    "albert": ("albert", None, None, AlbertForMaskedLM, AlbertConfig(embedding_size=20, max_position_embeddings=40, **BERT),
               ["predictions.dense", "predictions.LayerNorm", "predictions.bias"]),
    "mpnet": ("mpnet", None, None, MPNetForMaskedLM, MPNetConfig(max_position_embeddings=42, layer_norm_eps=1e-5, **BERT), LM),
    "deberta-v2": ("deberta", None, None, DebertaV2ForMaskedLM,
                   DebertaV2Config(**{**DEBERTA, "max_position_embeddings": 40}, share_att_key=True, position_buckets=8, norm_rel_ebd="layer_norm", position_biased_input=False,
                                   type_vocab_size=0), CLS),
}


def head_of(model, names):
    dense, norm, bias = names
    found = [(f"head.dense.{n}", p) for n, p in model.get_submodule(dense).named_parameters()]
    found += [(f"head.norm.{n}", p) for n, p in model.get_submodule(norm).named_parameters()]
    return found + [("head.out.bias", model.get_parameter(bias))]


def masked(config, mask):
    given = inputs(config, (9, 6, 4))
    given.pop("token_type_ids", None)
    places = [(0, 1), (0, 4), (0, 7), (1, 2), (2, 1), (2, 2)]
    labels = torch.full_like(given["input_ids"], -100)
    for i, (row, place) in enumerate(places):
        labels[row, place] = given["input_ids"][row, place]
        given["input_ids"][row, place] = mask if i % 3 else given["input_ids"][row, place]
    return given, labels


def record(model, trained, given, labels, path, all_weights=False):
    model.eval()
    io = {f"input.{k}": v for k, v in given.items()}
    io["input.labels"] = labels
    io.update(values(trained, all_weights))
    asked = lambda: model(**given).logits[labels >= 0]
    io["out.logits"] = logits = asked()
    cross_entropy = lambda logits: nn.functional.cross_entropy(logits, labels[labels >= 0])
    learn(io, trained, cross_entropy(logits), lambda: cross_entropy(asked()), rows=3 if all_weights else None)
    save(io, path)


for name in sys.argv[1:] or ALL:
    prefix, layer, sites, cls, config, names = ALL[name]
    torch.manual_seed(1)
    eager = dict(attn_implementation="eager")
    base = cls._from_config(copy.deepcopy(config), **eager).eval()
    random(base.named_parameters(), 11)
    base.tie_weights()
    folder = f"{OUT}/families/masked-lm-{name}"
    os.makedirs(f"{folder}/base", exist_ok=True)
    base.save_pretrained(f"{folder}/base")
    if os.path.exists(f"{folder}/base/generation_config.json"):
        os.remove(f"{folder}/base/generation_config.json")
    given, labels = masked(config, 4)

    model = copy.deepcopy(base)
    heads = head_of(model, names)
    of_head = {id(p) for _, p in heads}
    own = [(n, p) for n, p in model.named_parameters() if id(p) not in of_head]
    record(model, own + heads, given, labels, f"{folder}/full.safetensors", all_weights=True)
    print(name, sum(p.numel() for p in model.parameters()))
    if layer is None:
        continue

    for case in ("lora", "bottleneck"):
        model = copy.deepcopy(base)
        for p in model.parameters():
            p.requires_grad = False
        trained = head_of(model, names)
        for _, p in trained:
            p.requires_grad = True
        encoder = model.get_submodule(prefix)
        for i in range(len(encoder.get_submodule(layer))):
            for site in sites if case == "lora" else ("attention_out", "ffn_out"):
                if case == "bottleneck":
                    down, up = nn.Linear(D, 8), nn.Linear(8, D)
                    roles = [f"layers.{i}.{site}.bottleneck.{n}" for n in ("down.weight", "down.bias", "up.weight", "up.bias")]
                    values = [down.weight, down.bias, up.weight, up.bias]
                    change = lambda y, x, down=down, up=up: up(nn.functional.silu(down(y)))
                else:
                    found, third = modules(encoder, layer, sites, site, i)
                    wide = sum(m.out_features for m in found) // (1 if third is None else 3)
                    a, b = nn.Parameter(torch.empty(2, found[0].in_features)), nn.Parameter(torch.empty(wide, 2))
                    roles, values = [f"layers.{i}.{site}.lora.{role}" for role in "ab"], [a, b]
                    change = lambda y, x, a=a, b=b: 2.0 * (x @ a.T @ b.T)
                random(zip(roles, values), 13 + i)
                trained += list(zip(roles, values))
                at_outputs(encoder, layer, sites, site, i, change)
        record(model, trained, given, labels, f"{folder}/{case}.safetensors")
