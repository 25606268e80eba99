"""Cases of the families of texts that came after BERT, RoBERTa and DistilBERT: bases of `transformers` with random weights, and for each three cases.

    python make_families.py [NAME ...]      with transformers 4.57.6 and torch installed

base/FAMILY/                      the base, where nested tests find it; that of a variant is in families/NAME/base/
families/NAME/full.safetensors    all weights are trained, with a linear head over the first token; names of the checkpoint
families/NAME/lora.safetensors    updates of rank 2 at all six products; our names
families/NAME/bottleneck.safetensors   AdapterHub's double_seq_bn, by hooks on the sub-layers' last products; our names

Each holds `input.*` (with padding), `out.logits`, `out.last_hidden_state`, `loss`, `param.*` (initial values of what is not the base's), `grad.*`, and `step3.*`
after three AdamW steps, lr 1e-3, weight decay 0.01, without dropout. Cases of LoRA are long where a family's attention knows distances. To keep the files
small, states are those of tokens that are not padding, and `step3.*` of all weights holds each tensor's first three rows.

`transformers` has no `nomic_bert`: its reference is `Nomic` below, plain PyTorch after `modeling_hf_nomic_bert.py` of nomic-ai/nomic-bert-2048.
"""
import copy, json, math, os, sys
os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from torch import nn
from transformers import (
    AlbertConfig, AlbertModel, DebertaV2Config, DebertaV2Model, ElectraConfig, ElectraModel,
    MPNetConfig, MPNetModel, ModernBertConfig, ModernBertModel, PretrainedConfig,
    RobertaPreLayerNormConfig, RobertaPreLayerNormModel, XLMRobertaXLConfig, XLMRobertaXLModel,
)
from safetensors.torch import save_file
from recording import learn, save, values

OUT = os.path.dirname(os.path.abspath(__file__))
D, HEADS, FFN, VOCAB = 32, 4, 36, 97
BERT = dict(vocab_size=VOCAB, hidden_size=D, num_hidden_layers=2, num_attention_heads=HEADS, intermediate_size=FFN)
BERT_SITES = {"query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value",
              "attention_out": "attention.output.dense", "ffn_in": "intermediate.dense", "ffn_out": "output.dense"}
QKV = {s: (f"attn.Wqkv", i) for i, s in enumerate(["query", "key", "value"])}


class Nomic(nn.Module):
    """Nomic's BERT: norms after the sub-layers, rotary positions, a gated feed-forward network of two products side by side, no biases."""

    class Layer(nn.Module):
        def __init__(self, c):
            super().__init__()
            self.heads, self.theta = c.n_head, c.rotary_emb_base
            self.width = int(c.rotary_emb_fraction * c.n_embd // c.n_head)
            self.attn = nn.ModuleDict({"Wqkv": nn.Linear(c.n_embd, 3 * c.n_embd, bias=c.qkv_proj_bias), "out_proj": nn.Linear(c.n_embd, c.n_embd, bias=c.qkv_proj_bias)})
            self.mlp = nn.ModuleDict({"fc11": nn.Linear(c.n_embd, c.n_inner, bias=c.mlp_fc1_bias), "fc12": nn.Linear(c.n_embd, c.n_inner, bias=c.mlp_fc1_bias),
                                      "fc2": nn.Linear(c.n_inner, c.n_embd, bias=c.mlp_fc2_bias)})
            self.norm1, self.norm2 = [nn.LayerNorm(c.n_embd, eps=c.layer_norm_epsilon) for _ in range(2)]

        def turned(self, x):
            half = self.width // 2
            angle = torch.arange(x.shape[2], dtype=torch.float32)[:, None] / self.theta ** (torch.arange(half, dtype=torch.float32) * 2 / self.width)
            a, b, rest = x[..., :half], x[..., half:self.width], x[..., self.width:]
            return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin(), rest], -1)

        def forward(self, x, mask):
            n, t, d = x.shape
            q, k, v = self.attn["Wqkv"](x).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            scores = self.turned(q) @ self.turned(k).transpose(-1, -2) / math.sqrt(d // self.heads)
            scores = scores.masked_fill(mask[:, None, None, :] == 0, -1e30)
            context = (scores.softmax(-1) @ v).transpose(1, 2).reshape(n, t, d)
            x = self.norm1(self.attn["out_proj"](context) + x)
            return self.norm2(self.mlp["fc2"](self.mlp["fc11"](x) * nn.functional.silu(self.mlp["fc12"](x))) + x)

    def __init__(self, c):
        super().__init__()
        self.embeddings = nn.ModuleDict({"word_embeddings": nn.Embedding(c.vocab_size, c.n_embd), "token_type_embeddings": nn.Embedding(c.type_vocab_size, c.n_embd)})
        self.emb_ln = nn.LayerNorm(c.n_embd, eps=c.layer_norm_epsilon)
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList([Nomic.Layer(c) for _ in range(c.n_layer)])})

    def forward(self, input_ids, attention_mask, token_type_ids=None):
        types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        x = self.emb_ln(self.embeddings["word_embeddings"](input_ids) + self.embeddings["token_type_embeddings"](types))
        for layer in self.encoder["layers"]:
            x = layer(x, attention_mask)
        return x


NOMIC = PretrainedConfig(vocab_size=VOCAB, n_embd=D, n_head=HEADS, n_inner=FFN, n_layer=2, n_positions=512, type_vocab_size=2, rotary_emb_base=1000, rotary_emb_fraction=1.0,
                         rotary_emb_interleaved=False, rotary_emb_scale_base=None, rotary_scaling_factor=None, qkv_proj_bias=False, mlp_fc1_bias=False, mlp_fc2_bias=False,
                         activation_function="swiglu", prenorm=False, causal=False, use_rms_norm=False, parallel_block=False, layer_norm_epsilon=1e-12, scale_attn_weights=True,
                         embd_pdrop=0.0, resid_pdrop=0.0, attn_pdrop=0.0, pad_token_id=0)
NOMIC.model_type = "nomic_bert"
MODERN = dict(hidden_size=D, num_attention_heads=HEADS, intermediate_size=FFN, vocab_size=VOCAB, num_hidden_layers=3, global_attn_every_n_layers=2, local_attention=10,
              max_position_embeddings=512, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2, attn_implementation="eager", reference_compile=False)
MODERN_SITES = {**QKV, "attention_out": "attn.Wo", "ffn_in": "mlp.Wi", "ffn_out": "mlp.Wo"}
DEBERTA = dict(BERT, max_position_embeddings=512, relative_attention=True, pos_att_type=["p2c", "c2p"])
DEBERTA_SITES = {**BERT_SITES, **{s: f"attention.self.{s}_proj" for s in ("query", "key", "value")}}

# Name: family, prefix, layer, sites, model, configuration, the longest length of the LoRA case, and the id of padding.
ALL = {
    "electra": ("electra", "electra", "encoder.layer", BERT_SITES, ElectraModel, ElectraConfig(embedding_size=20, max_position_embeddings=40, **BERT), 9),
    "albert": ("albert", "albert", None, {"query": "attention.query", "key": "attention.key", "value": "attention.value", "attention_out": "attention.dense", "ffn_in": "ffn", "ffn_out": "ffn_output"},
               AlbertModel, AlbertConfig(embedding_size=20, max_position_embeddings=40, **{**BERT, "num_hidden_layers": 3}), 9),
    "roberta-prelayernorm": ("roberta-prelayernorm", "roberta_prelayernorm", "encoder.layer", BERT_SITES, RobertaPreLayerNormModel,
                             RobertaPreLayerNormConfig(max_position_embeddings=42, type_vocab_size=1, **BERT), 9),
    "xlm-roberta-xl": ("xlm-roberta-xl", "roberta", "encoder.layer", BERT_SITES, XLMRobertaXLModel, XLMRobertaXLConfig(max_position_embeddings=42, type_vocab_size=1, **BERT), 9),
    "mpnet": ("mpnet", "mpnet", "encoder.layer", {**BERT_SITES, "query": "attention.attn.q", "key": "attention.attn.k", "value": "attention.attn.v", "attention_out": "attention.attn.o"},
              MPNetModel, MPNetConfig(max_position_embeddings=310, layer_norm_eps=1e-5, **BERT), 300),
    "modernbert": ("modernbert", "model", "layers", MODERN_SITES, ModernBertModel, ModernBertConfig(**MODERN), 300),
    "modernbert-biases": ("modernbert", "model", "layers", MODERN_SITES, ModernBertModel,
                          ModernBertConfig(**MODERN, attention_bias=True, mlp_bias=True, norm_bias=True, hidden_activation="silu", local_rope_theta=500.0, global_rope_theta=2000.0), 40),
    "nomic_bert": ("nomic_bert", "bert", "encoder.layers", {**QKV, "attention_out": "attn.out_proj", "ffn_in": ("mlp.fc12", "mlp.fc11"), "ffn_out": "mlp.fc2"}, Nomic, NOMIC, 300),
    "deberta-v2": ("deberta-v2", "deberta", "encoder.layer", DEBERTA_SITES, DebertaV2Model,
                   DebertaV2Config(**DEBERTA, share_att_key=True, position_buckets=8, norm_rel_ebd="layer_norm", position_biased_input=False, type_vocab_size=0), 300),
    "deberta-v2-own": ("deberta-v2", "deberta", "encoder.layer", DEBERTA_SITES, DebertaV2Model,
                       DebertaV2Config(**{**DEBERTA, "max_position_embeddings": 40}, share_att_key=False, max_relative_positions=6, position_biased_input=True, type_vocab_size=2), 30),
    "deberta-v2-one": ("deberta-v2", "deberta", "encoder.layer", DEBERTA_SITES, DebertaV2Model,
                       DebertaV2Config(**{**DEBERTA, "pos_att_type": ["c2p"], "max_position_embeddings": 64}, share_att_key=True, position_buckets=4, position_biased_input=False, type_vocab_size=0), 50),
}


def random(named, seed):
    g = torch.Generator().manual_seed(seed)
    for n, p in sorted(named):
        # Sums that no norm follows stay small, so that finite differences meet little curvature.
        p.data = torch.randn(p.shape, generator=g) * (0.1 if n.endswith("Wo.weight") else 0.2)
        if "norm" in n.lower() or "emb_ln" in n:
            p.data += 1.0 if n.endswith("weight") else 0.0


def inputs(config, lengths):
    g = torch.Generator().manual_seed(7)
    ids = torch.randint(5, VOCAB, (3, max(lengths)), generator=g)
    mask = torch.zeros_like(ids)
    for row, length in zip(mask, lengths):
        row[:length] = 1
    ids[mask == 0] = config.pad_token_id
    given = {"input_ids": ids, "attention_mask": mask}
    if getattr(config, "type_vocab_size", 0) > 1:
        types = torch.zeros_like(ids)
        types[:, 5:] = 1
        given["token_type_ids"] = types * mask
    return given


class Headed(nn.Module):
    def __init__(self, base):
        super().__init__()
        self.base, self.head = base, nn.Linear(D, 3)

    def forward(self, **given):
        out = self.base(**given)
        states = out if torch.is_tensor(out) else out.last_hidden_state
        return states, self.head(states[:, 0])


def modules(base, layer, sites, site, own):
    """The modules of a site in a layer, and which third of the result is the site's."""
    place = sites[site]
    names = [place] if isinstance(place, str) else [place[0]] if isinstance(place[1], int) else place
    third = place[1] if not isinstance(place, str) and isinstance(place[1], int) else None
    start = "encoder.albert_layer_groups.0.albert_layers.0" if layer is None else f"{layer}.{own}"
    return [base.get_submodule(f"{start}.{name}") for name in names], third


def at_outputs(base, layer, sites, site, own, change):
    """Replaces the results of a site by `change(result, input)`."""
    found, third = modules(base, layer, sites, site, own)
    if len(found) == 2:
        # One product of ours is two modules: rows one after another.
        halves = lambda i: lambda m, x, y: y + change(None, x[0]).chunk(2, -1)[i]
        for i, module in enumerate(found):
            module.register_forward_hook(halves(i))
        return
    def hook(m, x, y):
        if third is None:
            return y + change(y, x[0])
        parts = list(y.chunk(3, -1))
        parts[third] = parts[third] + change(parts[third], x[0])
        return torch.cat(parts, -1)
    found[0].register_forward_hook(hook)


def record(model, trained, given, path, all_weights=False):
    """`trained`: names and parameters."""
    model.eval()
    labels = torch.tensor([0, 2, 1])
    io = {f"input.{k}": v for k, v in given.items()}
    io["input.labels"] = labels
    io.update(values(trained, all_weights))
    states, logits = model(**given)
    io["out.logits"], io["out.last_hidden_state"] = logits, states[given["attention_mask"] == 1]
    cross_entropy = nn.functional.cross_entropy
    learn(io, trained, cross_entropy(logits, labels), lambda: cross_entropy(model(**given)[1], labels), rows=3 if all_weights else None)
    save(io, path)


def main():
    for name in sys.argv[1:] or ALL:
        family, prefix, layer, sites, cls, config, longest = ALL[name]
        torch.manual_seed(1)
        base = cls(config) if cls is Nomic else cls._from_config(copy.deepcopy(config), attn_implementation="eager") if cls is ModernBertModel else cls(copy.deepcopy(config))
        base = base.eval()
        if hasattr(base, "pooler"):
            base.pooler = None
        random(base.named_parameters(), 11)
        folder = f"{OUT}/families/{name}"
        os.makedirs(folder, exist_ok=True)
        at = f"{OUT}/base/{family}" if name == family else f"{folder}/base"
        os.makedirs(at, exist_ok=True)
        config.save_pretrained(at)
        if cls is Nomic:
            described = json.load(open(f"{at}/config.json"))
            json.dump({**described, "model_type": "nomic_bert"}, open(f"{at}/config.json", "w"), indent=2, sort_keys=True)
        save_file({f"{prefix}.{k}": v.clone() for k, v in base.state_dict().items() if v.is_floating_point()}, f"{at}/model.safetensors", metadata={"format": "pt"})
        own_layers = 1 if layer is None else len(base.get_submodule(layer))
        short, long = (9, 6, 4), (longest, max(2, longest * 2 // 7), 5)
        fresh = lambda: Headed(copy.deepcopy(base))
        def head(model):
            random([("head.out.weight", model.head.weight), ("head.out.bias", model.head.bias)], 5)
            return [("head.out.weight", model.head.weight), ("head.out.bias", model.head.bias)]

        model = fresh()
        own = [(f"{prefix}.{n}", p) for n, p in model.base.named_parameters()]
        heads = head(model)
        if name not in ("modernbert-biases", "deberta-v2-one"):
            record(model, own + heads, inputs(config, short), f"{folder}/full.safetensors", all_weights=True)

        model = fresh()
        for p in model.base.parameters():
            p.requires_grad = False
        trained = head(model)
        for i in range(own_layers):
            for site in sites:
                found, third = modules(model.base, layer, sites, site, i)
                wide = sum(m.out_features for m in found) // (1 if third is None else 3)
                a, b = nn.Parameter(torch.empty(2, found[0].in_features)), nn.Parameter(torch.empty(wide, 2))
                names = [f"layers.{i}.{site}.lora.{role}" for role in "ab"]
                random(zip(names, (a, b)), 13 + i)
                trained += list(zip(names, (a, b)))
                at_outputs(model.base, layer, sites, site, i, lambda y, x, a=a, b=b: 2.0 * (x @ a.T @ b.T))
        record(model, trained, inputs(config, long), f"{folder}/lora.safetensors")

        model = fresh()
        for p in model.base.parameters():
            p.requires_grad = False
        trained = head(model)
        for i in range(own_layers):
            for site in ("attention_out", "ffn_out"):
                down, up = nn.Linear(D, 8), nn.Linear(8, D)
                names = [f"layers.{i}.{site}.bottleneck.{n}" for n in ("down.weight", "down.bias", "up.weight", "up.bias")]
                values = [down.weight, down.bias, up.weight, up.bias]
                random(zip(names, values), 23 + i)
                trained += list(zip(names, values))
                at_outputs(model.base, layer, sites, site, i, lambda y, x, down=down, up=up: up(nn.functional.silu(down(y))))
        record(model, trained, inputs(config, short), f"{folder}/bottleneck.safetensors")
        print(name, sum(p.numel() for p in base.parameters()))


if __name__ == "__main__":
    main()
