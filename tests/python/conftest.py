"""A tiny base with random numbers, its reviews, and the program that the package holds."""

import csv
import json
import pathlib
import shutil
import subprocess
import sys

import pytest

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "base"
WORDS = "good fine great bad poor awful the a film was is very so and it".split()


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """The folder of a base for texts."""
    folder = tmp_path_factory.mktemp("world") / "base"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(GOLDEN / "bert" / name, folder / name)
    special = "[PAD] [UNK] [CLS] [SEP] [MASK]".split()
    (folder / "vocab.txt").write_text("\n".join(special + WORDS))
    return str(folder)


def reviews(rows):
    """Texts whose first word decides, and their labels."""
    texts, labels = [], []
    for row in range(rows):
        rest = [WORDS[6 + i % 9] for i in (row * 7 + 3, row * 5 + 1, row * 3)]
        texts.append(" ".join([WORDS[row % 6], *rest]))
        labels.append("good" if row % 6 < 3 else "bad")
    return texts, labels


def write_csv(path, texts, labels):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(zip(texts, labels))
    return str(path)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A file of reviews."""
    return write_csv(tmp_path_factory.mktemp("data") / "reviews.csv", *reviews(120))


#: Settings of short runs.
SHORT = {"recipe": "paper", "epochs": 3, "lr": 0.003, "max_length": 16, "pooling": "mean"}


def flags(settings):
    """Settings as the command line's flags."""
    return [word for n, v in settings.items() for word in (f"--{n.replace('_', '-')}", str(v))]


def program(*words, code=0, stdin=None):
    """What the program prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "budwood", *map(str, words)], capture_output=True, text=True, input=stdin
    )
    assert done.returncode == code, done.stderr
    return done


def answers_of_program(*words, stdin=None):
    return [json.loads(line) for line in program(*words, "--json", stdin=stdin).stdout.splitlines()]


@pytest.fixture(scope="session")
def trained(base, data, tmp_path_factory):
    """The folder of an adapter that the program trained."""
    out = tmp_path_factory.mktemp("adapters") / "reviews"
    program("train", "--base", base, "--data", data, "--out", out, *flags(SHORT))
    return str(out)
