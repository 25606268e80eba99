"""Windows of texts with answers, and words of sentences, as the tokenizers of transformers 4.57 cut them.

    python make.py        writes cases.json; the vocabularies are made up and stand in it
"""
import json, os, tempfile
from transformers import BertTokenizerFast, RobertaTokenizerFast
from tokenizers.pre_tokenizers import ByteLevel

OUT = os.path.dirname(os.path.abspath(__file__))
WORDPIECE = "[PAD] [UNK] [CLS] [SEP] [MASK] the cat ##s sat on mat , . ? ' cafe who was it ( ) 中 文 - 10 , 000 un ##able ##a ##b".split()
LETTERS = sorted(ByteLevel.alphabet())
MERGES = ["t h", "Ġ th", "Ġth e", "c a", "ca t", "Ġ cat", "s a", "sa t", "Ġ sat", "th e"]
BPE = {t: i for i, t in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<mask>"] + LETTERS + [m.replace(" ", "") for m in MERGES])}

with tempfile.TemporaryDirectory() as d:
    open(f"{d}/vocab.txt", "w").write("\n".join(dict.fromkeys(WORDPIECE)))
    json.dump(BPE, open(f"{d}/vocab.json", "w"))
    open(f"{d}/merges.txt", "w").write("#version: 0.2\n" + "\n".join(MERGES) + "\n")
    BERT = BertTokenizerFast(f"{d}/vocab.txt")
    # Texts begin without a space; words of a sentence begin with one, as the library asks for.
    ROBERTA = RobertaTokenizerFast(f"{d}/vocab.json", f"{d}/merges.txt")
    ROBERTA_WORDS = RobertaTokenizerFast(f"{d}/vocab.json", f"{d}/merges.txt", add_prefix_space=True)

CONTEXT = "The Cats sat on the mat, (café) 10,000.  It was 中文 unable - the cat's\u00a0mat. \tthe cat sat"
PARTS = [("Cats", 4), ("(café)", 25), ("10,000", 32), ("中文", 48), ("unable", 51), (" 10,000. ", 31), ("cat's\u00a0mat", 64), ("the cat sat", 76), ("The", 0), (CONTEXT, 0)]
questions = []
for family, tokenizer in [("bert", BERT), ("roberta", ROBERTA)]:
    for question in ["Who sat?", "the cat the cat", ""]:
        for length, stride in [(20, 4), (16, 3), (24, 100), (400, 128)]:
            special = 3 if family == "bert" else 4
            room = length - special - len(tokenizer(question, add_special_tokens=False)["input_ids"])
            if room <= 1:
                continue
            overlap = room - min(stride, room)
            e = tokenizer(question, CONTEXT, truncation="only_second", max_length=length, stride=overlap, return_overflowing_tokens=True, return_offsets_mapping=True)
            windows = []
            for i in range(len(e["input_ids"])):
                second = [s == 1 for s in e.sequence_ids(i)]
                types = e["token_type_ids"][i] if family == "bert" else [0] * len(second)
                windows.append({"ids": e["input_ids"][i], "types": types, "places": []})
                for text, start in PARTS:
                    text, start = text.strip(), start + len(text) - len(text.lstrip())
                    end = start + len(text)
                    assert CONTEXT[start:end] == text, (text, CONTEXT[start:end])
                    spans = [(t, o) for t, (o, s) in enumerate(zip(e["offset_mapping"][i], second)) if s]
                    # As in the library's example of question answering: the window holds the answer, or the first token of all does.
                    if spans and spans[0][1][0] <= start and spans[-1][1][1] >= end:
                        first = max(t for t, o in spans if o[0] <= start)
                        last = min(t for t, o in spans if o[1] >= end)
                        windows[-1]["places"].append([first, last])
                    else:
                        windows[-1]["places"].append([0, 0])
            questions.append({"family": family, "question": question, "max_length": length, "stride": stride, "windows": windows})

sentences = []
for family, tokenizer in [("bert", BERT), ("roberta", ROBERTA_WORDS)]:
    for words in [["The", "Cats", "sat"], ["unable", "cat's", "10,000", "(café)", "."], ["zzz", "the", "中文中"], ["the"]]:
        e = tokenizer(words, is_split_into_words=True)
        first = [e.word_ids().index(w) for w in range(len(words))]
        sentences.append({"family": family, "words": words, "ids": e["input_ids"], "first": first})
json.dump({"vocab.txt": "\n".join(dict.fromkeys(WORDPIECE)), "vocab.json": json.dumps(BPE), "merges.txt": "#version: 0.2\n" + "\n".join(MERGES) + "\n", "context": CONTEXT, "answers": PARTS,
           "questions": questions, "sentences": sentences}, open(f"{OUT}/cases.json", "w"), separators=(",", ":"))
print(len(questions), len(sentences))
