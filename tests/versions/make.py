#!/usr/bin/env python3
"""Writes what a version of the program makes, so that later versions can show that they read it.

    tests/versions/make.py PROGRAM     makes the folder VERSION beside this file

Run once for each release, with its own program; `crates/cli/tests/versions.rs` reads all folders.
`base` is that of all of them: what `tests/tiny.py` makes of these words.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
WORDS = "good fine great bad poor awful the a film was is very so and it what , .".split()


def rows(n):
    """Texts whose first word decides."""
    for i in range(n):
        first = WORDS[i % 6]
        rest = [WORDS[6 + j % 9] for j in (i * 7 + 3, i * 5 + 1, i * 3)]
        yield " ".join([first, *rest]), "good" if i % 6 < 3 else "bad", i


def data(folder):
    """Files of each kind of task; for each its flags, a method, and inputs to answer."""
    texts = list(rows(60))
    (folder / "classes.csv").write_text("text,label\n" + "".join(f"{t},{l}\n" for t, l, _ in texts))
    (folder / "numbers.csv").write_text("text,label\n" + "".join(f"{t},{i % 6 + 0.5}\n" for t, _, i in texts))
    both = [{"text": t, "labels": [l, "long"] if i % 3 else [l]} for t, l, i in texts]
    (folder / "several.jsonl").write_text("".join(json.dumps(row) + "\n" for row in both))
    pairs = [f"{t},{u},{l}\n" for (t, l, _), (u, _, _) in zip(texts, texts[::-1])]
    (folder / "pairs.csv").write_text("text,text2,label\n" + "".join(pairs))
    tagged = ["\n".join(f"{w} {'B-X' if w in WORDS[:6] else 'O'}" for w in t.split()) for t, _, _ in texts]
    (folder / "tags.conll").write_text("\n\n".join(tagged) + "\n")
    asked = [
        {"id": str(i), "question": "what film", "context": t, "answers": {"text": [t.split()[0]], "answer_start": [0]}}
        for t, _, i in texts
    ]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    return {
        "adapter": ("classes.csv", []),
        "lora-int8": ("classes.csv", ["--method", "lora", "--base-precision", "int8"]),
        "seq_bn": ("several.jsonl", ["--method", "seq_bn", "--text-column", "text", "--label-column", "labels"]),
        "compacter": ("numbers.csv", ["--method", "compacter[reduction_factor=2]", "--task", "regression"]),
        "prefix": ("pairs.csv", ["--method", "prefix_tuning[bottleneck_size=8]"]),
        "mam": ("tags.conll", ["--method", "prefix_tuning[bottleneck_size=8]|par_bn"]),
        "dora": ("questions.jsonl", ["--method", "lora[dora=true]"]),
        "ia3": ("classes.csv", ["--method", "ia3", "--recipe", "auto"]),
    }


def main():
    program = os.path.abspath(sys.argv[1])
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    out = HERE / version
    if out.exists():
        sys.exit(f"{out} is there already: a version's files are made once")
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        shutil.copytree(HERE / "base", place / "base")

        def run(*words, stdin=None):
            done = subprocess.run([program, *words], cwd=place, capture_output=True, text=True, input=stdin)
            if done.returncode:
                sys.exit(f"{' '.join(words)}: {done.stderr}")
            return done.stdout

        for name, (file, flags) in data(place).items():
            if "--recipe" not in flags:
                flags = [*flags, "--recipe", "paper"]
            words = ["train", "--base", "base", "--data", file, "--name", name, "--out", f"adapters/{name}"]
            run(*words, "--store", "runs.db", "--epochs", "2", "--max-length", "16", "--lr", "0.003", "--pooling", "mean", *flags)
        inputs = {"mam": {"tokens": ["good", "film"]}, "prefix": {"text": "good film", "text2": "a bad film"}, "dora": {"question": "what film", "context": "good film was it"}}
        answers = {}
        for folder in sorted((place / "adapters").iterdir()):
            lines = [json.dumps(inputs[folder.name])] if folder.name in inputs else [
                json.dumps({"text": t}) for t in ("good film", "a bad film was it", "")
            ]
            (place / "ask.jsonl").write_text("\n".join(lines) + "\n")
            told = run("predict", "--adapter", f"adapters/{folder.name}", "--base", "base", "--input", "ask.jsonl", "--json")
            answers[folder.name] = {
                "ask": [json.loads(line) for line in lines],
                "answers": [json.loads(line) for line in told.splitlines()],
            }
        runs = json.loads(run("runs", "--store", "runs.db", "--json"))
        out.mkdir()
        shutil.copytree(place / "adapters", out / "adapters")
        shutil.copy(place / "runs.db", out / "runs.db")
        (out / "expected.json").write_text(json.dumps({"answers": answers, "runs": runs}, indent=1) + "\n")
    print(out, sum(f.stat().st_size for f in out.rglob("*") if f.is_file()), "bytes")


if __name__ == "__main__":
    main()
