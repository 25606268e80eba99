"""Small bases of every family that a library has models of, with random weights, and what they are asked.

`Family(name, root)` makes one by the `transformers` at hand; `answers` are that library's, as probabilities.
"""
import csv, os

import numpy as np, torch
import transformers
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModelForImageClassification, AutoModelForSequenceClassification, PreTrainedTokenizerFast

WORDS = "the a film good bad very was not and of plot actor dull fine long short great poor story scene".split()
# Texts of one length: some references attend to padding.
TEXTS = ["the film was very good", "a dull plot and actor", "not a bad story scene"]
SIDE = 32

TEXT_SIZES = dict(vocab_size=40, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
                  max_position_embeddings=40, num_labels=3)
IMAGE_SIZES = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, image_size=SIDE,
                   patch_size=8, num_labels=3)
BERT = dict(Q="query", K="key", V="value", norms=["LayerNorm"])
# What a family's configuration has beside its sizes, and its modules by their names there.
FAMILIES = {
    "bert": ({}, BERT),
    "roberta": ({}, BERT),
    "distilbert": (dict(dim=32, n_layers=2, n_heads=4, hidden_dim=64), dict(
        Q="q_lin", K="k_lin", V="v_lin", norms=["LayerNorm", "sa_layer_norm", "output_layer_norm"])),
    "electra": (dict(embedding_size=32), BERT),
    "xlm-roberta": ({}, BERT),
    "camembert": ({}, BERT),
    "albert": (dict(embedding_size=32), dict(BERT, norms=["LayerNorm", "full_layer_layer_norm"])),
    "deberta-v2": (dict(relative_attention=True, pos_att_type=["c2p", "p2c"], position_biased_input=False, type_vocab_size=0,
                        share_att_key=True, norm_rel_ebd="layer_norm", position_buckets=8, max_relative_positions=-1),
                   dict(Q="query_proj", K="key_proj", V="value_proj", norms=["LayerNorm"])),
    "mpnet": ({}, dict(Q="q", K="k", V="v", norms=["LayerNorm"])),
    "roberta-prelayernorm": ({}, BERT),
    "xlm-roberta-xl": ({}, BERT),
    "modernbert": (dict(pad_token_id=0, bos_token_id=2, eos_token_id=3, cls_token_id=2, sep_token_id=3, local_attention=4,
                        global_rope_theta=5000.0, local_rope_theta=300.0),
                   dict(Q="Wqkv", K="Wqkv", V="Wo", norms=[])),
    "vit": ({}, dict(Q="query", K="key", V="value", norms=["layernorm_before", "layernorm_after", "vit.layernorm"])),
    "dinov2": ({}, dict(Q="query", K="key", V="value", norms=["norm1", "norm2", "dinov2.layernorm"])),
}
IMAGES = ["vit", "dinov2"]
SINCE_5 = not transformers.__version__.startswith("4.")
if SINCE_5:
    for family in IMAGES:
        FAMILIES[family][1].update(Q="q_proj", K="k_proj", V="v_proj")
FRAMES = {"roberta": 4, "xlm-roberta": 4, "camembert": 4, "roberta-prelayernorm": 4, "xlm-roberta-xl": 4}

def noise(model, trained_only=False):
    """Moves parameters away from their start: new adapters change nothing, which would hide faults."""
    with torch.no_grad():
        for p in model.parameters():
            if (p.requires_grad or not trained_only) and p.is_floating_point():
                p.add_(torch.randn_like(p) * 0.1)

class Family:
    def __init__(self, name, root):
        self.name, self.folder, self.is_images = name, f"{root}/{name}", name in IMAGES
        own, self.modules = FAMILIES[name]
        sizes = dict(IMAGE_SIZES if self.is_images else TEXT_SIZES)
        if name == "distilbert":
            sizes = {k: v for k, v in sizes.items() if k in ("vocab_size", "max_position_embeddings", "num_labels")}
        self.config = AutoConfig.for_model(name, **sizes, **own)
        self.auto = AutoModelForImageClassification if self.is_images else AutoModelForSequenceClassification
        torch.manual_seed(1)
        model = self.auto.from_config(self.config)
        noise(model)
        model.eval().save_pretrained(self.folder)
        if self.is_images:
            self.pictures(root)
        else:
            self.tokenizer = self.words()
            self.inputs = ["--input", f"{root}/texts.csv"]
            with open(self.inputs[1], "w", newline="") as f:
                csv.writer(f).writerows([["text"], *([text] for text in TEXTS)])
            kept = self.tokenizer(TEXTS, return_tensors="pt")
            self.feeds = {k: v for k, v in kept.items() if k in ("input_ids", "attention_mask")}

    def words(self):
        roberta = self.name in FRAMES
        begin, end, pad, unk = ("<s>", "</s>", "<pad>", "<unk>") if roberta else ("[CLS]", "[SEP]", "[PAD]", "[UNK]")
        special = [begin, pad, end, unk] if roberta else [pad, unk, begin, end]
        if self.name == "mpnet":
            begin, end, pad, unk = "<s>", "</s>", "<pad>", "[UNK]"
            special = [begin, pad, end, unk]
        if self.name == "albert":
            begin, end, pad, unk = "[CLS]", "[SEP]", "<pad>", "<unk>"
            special = [pad, unk, begin, end]
        vocab = {w: i for i, w in enumerate(special + WORDS)}
        t = Tokenizer(models.WordLevel(vocab, unk_token=unk))
        t.pre_tokenizer = pre_tokenizers.Whitespace()
        t.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A {end}", pair=f"{begin} $A {end} $B {end}",
            special_tokens=[(begin, vocab[begin]), (end, vocab[end])])
        fast = PreTrainedTokenizerFast(tokenizer_object=t, unk_token=unk, cls_token=begin, sep_token=end, pad_token=pad,
                                       model_input_names=["input_ids", "attention_mask"])
        fast.save_pretrained(self.folder)
        return fast

    def pictures(self, root):
        """Images of the model's own size, so that nothing is resized."""
        half = [0.5] * 3
        processor = transformers.ViTImageProcessor(size={"height": SIDE, "width": SIDE}, image_mean=half, image_std=half)
        processor.save_pretrained(self.folder)
        random = np.random.default_rng(3)
        images = [random.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8) for _ in range(3)]
        self.inputs = [f"{root}/{i}.png" for i in range(3)]
        for path, image in zip(self.inputs, images):
            Image.fromarray(image).save(path)
        pixels = (np.stack(images).astype(np.float32) / 255 - 0.5) / 0.5
        self.feeds = {"pixel_values": torch.tensor(pixels).permute(0, 3, 1, 2)}

    def model(self, folder=None, **more):
        return self.auto.from_pretrained(folder or self.folder, dtype=torch.float32, **more)

    def answers(self, model):
        model.eval()
        with torch.no_grad():
            return torch.softmax(model(**self.feeds).logits, -1)
