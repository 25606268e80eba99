"""Stored scores that the project's own are compared with.

    python make.py        with seqeval 1.2.2 installed

entities.json: seqeval in its default mode, on hand-made and random sequences of tags, whole and broken.
squad.json: the definition of SQuAD 1.1's evaluation (Rajpurkar et al. 2016: lower case, punctuation, articles, white space; the best of all right answers), written
here once more because no package carries the script.
"""
import collections, json, os, random, re, string, warnings
from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities

warnings.simplefilter("ignore")
OUT = os.path.dirname(os.path.abspath(__file__))


def normalized(text):
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def f1(prediction, truth):
    p, t = normalized(prediction).split(), normalized(truth).split()
    same = sum((collections.Counter(p) & collections.Counter(t)).values())
    if same == 0:
        return 0
    precision, recall = same / len(p), same / len(t)
    return 2 * precision * recall / (precision + recall)


PAIRS = [
    ("", [""]), ("the", ["a"]), ("the", ["an apple", ""]), ("", ["x"]), ("x", [""]),
    ("The Cat.", ["cat", "dog"]), ("A.B.C.", ["abc"]), ("U.S.", ["US", "the U. S."]), ("US", ["U S"]),
    ("the the the cat", ["cat the"]), ("cat cat dog", ["cat dog dog"]), ("another", ["an other"]),
    ("anthem", ["the anthem"]), ("a", ["A"]), ("a-b", ["ab"]), ("a b", ["b"]), ("10,000", ["10000"]), ("$1.5 million", ["1.5 million dollars"]),
    ("\u201cthe cat\u201d", ["\u201ccat\u201d", "cat"]), ("the\u2014cat", ["cat"]), ("the\u00a0cat", ["cat"]), ("the\u3000cat\u2003sat", ["cat sat"]),
    ("\u0130stanbul", ["i\u0307stanbul", "istanbul"]), ("\u00c9COLE", ["\u00e9cole", "ecole"]), ("e\u0301cole", ["\u00e9cole"]),
    ("\u1f48\u03b4\u03c5\u03c3\u03c3\u03b5\u03cd\u03a3", ["\u1f40\u03b4\u03c5\u03c3\u03c3\u03b5\u03cd\u03c2"]), ("\u03a3", ["\u03c3"]),
    ("Stra\u00dfe", ["strasse", "stra\u00dfe"]), ("\u4e2d\u6587 the \u5b57", ["\u4e2d\u6587 \u5b57"]), ("a\u4e2d", ["\u4e2d"]), ("the\u0301 cat", ["cat"]),
    ("an\tapple\n", ["apple"]), ("x\x1cy", ["x y"]), ("x\x1fthe\x1ey", ["x y"]), ("x\x0by", ["x y"]), ("x\u200by", ["xy", "x y"]), ("x\u0085y", ["x y"]),
    ("_the_", [""]), ("the_cat", ["thecat"]), ("it's", ["its"]), ("a's", ["as"]), ("rock 'n' roll", ["rock n roll"]),
    ("\u2460 the", ["\u2460"]), ("the\u00b2", ["the\u00b2"]), ("\u00b2the", ["the"]), ("\u2160 a", ["\u2170"]), ("1a 2the", ["1a"]), ("\U0001f600 the", ["\U0001f600"]),
    ("Denver Broncos", ["Denver Broncos", "The Broncos", "Broncos"]), ("Santa Clara, California", ["Levi's Stadium", "in Santa Clara"]),
]
words = "the a an cat, dog. Cat it's U.S. 1,000 of- \u00e9t\u00e9 \u2019the the\u2019 -- and AND".split()
random.seed(0)
for _ in range(40):
    pick = lambda: " ".join(random.choices(words, k=random.randrange(0, 6)))
    PAIRS.append((pick(), [pick() for _ in range(random.randrange(1, 4))]))
squad = [
    {"prediction": p, "answers": a, "exact_match": max(float(normalized(p) == normalized(t)) for t in a), "f1": max(f1(p, t) for t in a), "normalized": normalized(p)}
    for p, a in PAIRS
]
json.dump(squad, open(f"{OUT}/squad.json", "w"), ensure_ascii=True, indent=0)

TAGS = ["O", "B-PER", "I-PER", "E-PER", "S-PER", "B-LOC", "I-LOC", "E-LOC", "S-LOC"]
SEQUENCES = [
    ([["B-PER", "I-PER", "O"]], [["B-PER", "I-PER", "O"]]),
    ([["I-PER", "I-PER", "B-PER", "O"]], [["I-PER", "I-PER", "I-PER", "O"]]),
    ([["B-PER", "E-PER", "S-LOC"]], [["B-PER", "I-PER", "S-LOC"]]),
    ([["B-PER", "I-LOC", "O"]], [["I-PER", "I-LOC", "O"]]),
    ([["O", "O"]], [["O", "O"]]),
    ([["O", "O"]], [["B-PER", "O"]]),
    ([["B-PER", "O"]], [["O", "O"]]),
    ([["B-PER"], ["I-PER"]], [["B-PER"], ["B-PER"]]),
    ([["B", "I", "O", "E", "S"]], [["B", "O", "I", "I", "S"]]),
    ([["PER", "PER", "O"]], [["PER", "LOC", "O"]]),
    ([["B-A-B", "I-A-B", "I-A"]], [["B-A-B", "I-A-B", "I-A-B"]]),
    ([["M-PER", "O", "."]], [["M-PER", ".", "O"]]),
    ([["NOUN", "VERB"]], [["NOUN", "NOUN"]]),
    ([["B-", "I-", "O"]], [["B-", "O", "O"]]),
]
for n in range(40):
    some = TAGS if n % 2 else ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    lengths = [random.randrange(1, 9) for _ in range(random.randrange(1, 5))]
    e = [random.choices(some, k=k) for k in lengths]
    SEQUENCES.append((e, [[t if random.random() < 0.6 else random.choice(some) for t in s] for s in e]))
entities = [
    {"expected": e, "predicted": p, "entities": [get_entities(s) for s in p], "f1": float(f1_score(e, p)), "precision": float(precision_score(e, p)),
     "recall": float(recall_score(e, p)), "accuracy": float(accuracy_score(e, p))}
    for e, p in SEQUENCES
]
json.dump(entities, open(f"{OUT}/entities.json", "w"), separators=(",", ":"))
print(len(squad), len(entities))
