"""Writes a tiny base and made-up rows of two classes into the current folder."""
import pathlib, random, shutil

golden = pathlib.Path(__file__).parent.parent / "golden" / "base" / "bert"
GOOD, BAD, OTHER = ["good", "fine", "warm", "bright"], ["bad", "cold", "dull", "poor"], ["the", "a", "day", "film", "was", "very"]
base = pathlib.Path("base")
base.mkdir()
for name in ["config.json", "model.safetensors"]:
    shutil.copy(golden / name, base / name)
(base / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD, *OTHER]))
rng = random.Random(1)
with open("rows.csv", "w") as out:
    print("text,label", file=out)
    for i in range(600):
        words = [*rng.choices(OTHER, k=12), rng.choice((GOOD, BAD)[i % 2])]
        rng.shuffle(words)
        print(" ".join(words) + f",{('good', 'bad')[i % 2]}", file=out)
