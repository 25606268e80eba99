"""What settings beside a tokenizer change, and special tokens around texts, as transformers 4.57 has them.

    python make_settings.py        writes settings.json; the vocabularies are made up and stand in it
"""
import json, os, tempfile
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from tokenizers.pre_tokenizers import ByteLevel
from transformers import AutoTokenizer, BertTokenizerFast, RobertaTokenizerFast

OUT = os.path.dirname(os.path.abspath(__file__))
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] the cat The Café cafe café foo ##bar x ( ) 中 文 中文 [ ] sep mask <s> </s> <pad> <unk>".split()
LETTERS = sorted(ByteLevel.alphabet())
BPE = {t: i for i, t in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<mask>"] + LETTERS + ["Ġthe", "the"])}
TEXTS = ["The Café 中文 foobar", "a [SEP] the [MASK]x [PAD] cat", "x [MASK] x", "the <mask> cat </s> <pad>", "", "xfoobarx foo bar <new>  the<new>cat"]
PAIRS = [("the cat", "foobar x"), ("", "cat"), ("the [SEP]", "")]

def read(folder):
    return {name: open(f"{folder}/{name}").read() for name in sorted(os.listdir(folder))}

def bert(folder):
    open(f"{folder}/vocab.txt", "w").write("\n".join(WORDS) + "\n")
    BertTokenizerFast(f"{folder}/vocab.txt", do_lower_case=True).save_pretrained(folder)

def roberta(folder):
    json.dump(BPE, open(f"{folder}/vocab.json", "w"))
    open(f"{folder}/merges.txt", "w").write("#version: 0.2\nt h\nth e\nĠ the\n".replace("t h\n", "").replace("th e\n", ""))
    RobertaTokenizerFast(f"{folder}/vocab.json", f"{folder}/merges.txt").save_pretrained(folder)

def unigram(folder):
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁the", "▁cat", "▁", "t", "h", "e", "c", "a", "f", "o", "b", "r", "x", "<mask>"]
    t = Tokenizer(models.Unigram([(p, -float(i)) for i, p in enumerate(pieces)], unk_id=3))
    t.normalizer, t.pre_tokenizer = normalizers.NFKC(), pre_tokenizers.Metaspace()
    t.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    t.save(f"{folder}/tokenizer.json")
    json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "mask_token": "<mask>", "cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>"}, open(f"{folder}/tokenizer_config.json", "w"))

def edit(name, change):
    def edit(folder):
        value = json.load(open(f"{folder}/{name}"))
        change(value)
        json.dump(value, open(f"{folder}/{name}", "w"))
    return edit

def without(*names):
    return lambda folder: [os.remove(f"{folder}/{name}") for name in names if os.path.exists(f"{folder}/{name}")]

def config(**fields):
    return edit("tokenizer_config.json", lambda value: value.update(fields))

def processor(value):
    return edit("tokenizer.json", lambda json: json.update(post_processor=value))

def token(content, **flags):
    return {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False, "special": False, **flags}

ADDED = {str(len(WORDS)): token("foobar"), str(len(WORDS) + 1): token("<new>", lstrip=True, special=True, normalized=False)}
OLD = ["tokenizer.json", "special_tokens_map.json"]
PAIR = lambda second: {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
    "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": second}}, {"SpecialToken": {"id": "[SEP]", "type_id": second}}],
    "special_tokens": {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in [("[CLS]", 2), ("[SEP]", 3)]}}
CASES = [
    ("as it is", "bert", bert, []),
    ("capitals of the settings", "bert", bert, [config(do_lower_case=False)]),
    ("accents of the settings", "bert", bert, [config(strip_accents=False)]),
    ("Chinese words of the settings", "bert", bert, [config(tokenize_chinese_chars=False)]),
    ("settings of a class without them", "bert", bert, [config(do_lower_case=False, tokenizer_class="PreTrainedTokenizerFast")]),
    ("tokens of the settings", "bert", bert, [config(added_tokens_decoder=ADDED)]),
    ("a special token by name", "bert", bert, [edit("tokenizer_config.json", lambda value: value.pop("added_tokens_decoder")),
        edit("tokenizer.json", lambda value: value.update(added_tokens=[t for t in value["added_tokens"] if t["content"] != "[MASK]"]))]),
    ("a special token found otherwise", "roberta", roberta, [edit("tokenizer_config.json", lambda value: value["added_tokens_decoder"]["4"].update(lstrip=False, rstrip=True))]),
    ("a vocabulary", "bert", bert, [without(*OLD)]),
    ("a vocabulary and tokens of the settings", "bert", bert, [without(*OLD), config(added_tokens_decoder=ADDED)]),
    ("a vocabulary and tokens of the older file", "bert", bert, [without(*OLD), edit("tokenizer_config.json", lambda value: value.pop("added_tokens_decoder")),
        lambda folder: json.dump({"foobar": len(WORDS)}, open(f"{folder}/added_tokens.json", "w"))]),
    ("two separators", "bert", bert, [processor({"type": "RobertaProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2], "trim_offsets": True, "add_prefix_space": False})]),
    ("one type", "bert", bert, [processor(PAIR(0))]),
    ("XLM-R's tokenizer", "bert", unigram, []),
    ("byte-level", "roberta", roberta, []),
    ("a space of the settings", "roberta", roberta, [config(add_prefix_space=True)]),
    ("byte-level vocabulary", "roberta", roberta, [without("tokenizer.json")]),
    ("byte-level vocabulary and a space", "roberta", roberta, [without("tokenizer.json"), config(add_prefix_space=True)]),
]

made = []
for name, family, start, changes in CASES:
    with tempfile.TemporaryDirectory() as folder:
        start(folder)
        json.dump({"model_type": family}, open(f"{folder}/config.json", "w"))
        for change in changes:
            change(folder)
        files = {n: text for n, text in read(folder).items() if n not in ["config.json", "special_tokens_map.json"]}
        tokenizer, given = AutoTokenizer.from_pretrained(folder), []
        for text in TEXTS:
            e = tokenizer(text)
            given.append({"texts": [text], "ids": e["input_ids"], "types": e.get("token_type_ids", [0] * len(e["input_ids"]))})
        for a, b in PAIRS:
            e = tokenizer([a], [b])
            given.append({"texts": [a, b], "ids": e["input_ids"][0], "types": e["token_type_ids"][0] if "token_type_ids" in e else [0] * len(e["input_ids"][0])})
        made.append({"name": name, "family": family, "files": files, "given": given})
json.dump(made, open(f"{OUT}/settings.json", "w"), separators=(",", ":"), ensure_ascii=False)
print(len(made))
