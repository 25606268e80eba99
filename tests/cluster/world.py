"""Writes a tiny base and made-up rows of two classes into the current folder."""
import pathlib, random, sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import tiny

GOOD, BAD, OTHER = ["good", "fine", "warm", "bright"], ["bad", "cold", "dull", "poor"], ["the", "a", "day", "film", "was", "very"]
tiny.base(".", [*GOOD, *BAD, *OTHER])
rng = random.Random(1)
with open("rows.csv", "w") as out:
    print("text,label", file=out)
    for i in range(600):
        words = [*rng.choices(OTHER, k=12), rng.choice((GOOD, BAD)[i % 2])]
        rng.shuffle(words)
        print(" ".join(words) + f",{('good', 'bad')[i % 2]}", file=out)
