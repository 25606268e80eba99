"""The examples of the pages run, in their order, on a tiny base in the place of MiniLM."""

import doctest
import pathlib
import re

import budwood
from conftest import SHORT, reviews, write_csv

PAGE = pathlib.Path(__file__).parent.parent.parent / "docs" / "python.md"


def test_examples_of_the_page(base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("reviews.csv", "test.csv"):
        write_csv(name, *reviews(40))
    budwood.train("reviews.csv", "adapters/spam", base=base, **SHORT)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    assert len(blocks) >= 3
    names = {}
    for place, block in enumerate(blocks):
        here = block.replace('"minilm"', repr(base)).replace("Classifier()", f"Classifier(base={base!r})")
        here = here.replace("epochs=5", f"epochs=1, base={base!r}")
        # Each block stands for itself: what the one before it has written is in the way.
        here = here.replace("adapters/reviews", f"adapters/reviews{min(place, 1)}")
        exec(compile(here, f"{PAGE.name}, block {place}", "exec"), names)
    assert names["model"].predict(["a film"])[0] in ("good", "bad")


def test_docstrings():
    finder, runner = doctest.DocTestFinder(recurse=True), doctest.DocTestRunner()
    public = [(name, getattr(budwood, name)) for name in budwood.__all__]
    for name, value in [("budwood", budwood), *public]:
        if hasattr(value, "__doc__") and not isinstance(value, str):
            for test in finder.find(value, name, module=False, globs={"budwood": budwood}):
                runner.run(test)
    assert runner.failures == 0 and runner.tries >= 4
