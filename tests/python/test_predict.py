"""Adapters answer as the program does, whatever the texts stand in."""

import math
import threading
import warnings

import numpy as np
import pandas
import polars
import pyarrow
import pytest

import budwood
from conftest import SHORT, answers_of_program, reviews

TEXTS = reviews(31)[0]


@pytest.fixture(scope="module")
def adapter(trained):
    return budwood.load(trained)


def test_answers_are_those_of_the_program(adapter, trained):
    printed = answers_of_program("predict", "--adapter", trained, stdin="\n".join(TEXTS))
    assert [a.pop("text") for a in printed] == TEXTS
    assert adapter.answers(TEXTS) == printed
    assert adapter.predict(TEXTS).tolist() == [a["label"] for a in printed]
    given = adapter.predict_proba(TEXTS)
    assert given.shape == (31, 2) and given.dtype == np.float32 and given.flags.writeable
    shown = np.array([list(a["scores"].values()) for a in printed], np.float32)
    assert (given == shown).all()
    assert np.allclose(given.sum(axis=1), 1)
    assert len(set(map(tuple, given.tolist()))) > 3, "the texts differ: otherwise nothing is shown"


COLUMNS = {
    "tuple": tuple,
    "iterator": iter,
    "objects": lambda t: np.array(t, object),
    "strings": np.array,
    "one column": lambda t: np.array(t, object)[:, None],
    "pandas": pandas.Series,
    "pandas, other index": lambda t: pandas.Series(t, index=range(100, 100 + len(t))),
    "pandas frame": lambda t: pandas.DataFrame({"text": t}),
    "pandas string": lambda t: pandas.Series(t, dtype="string"),
    "polars": polars.Series,
    "polars frame": lambda t: polars.DataFrame({"text": t}),
    "arrow": pyarrow.array,
    "large arrow": lambda t: pyarrow.array(t, pyarrow.large_string()),
    "chunks of arrow": lambda t: pyarrow.chunked_array([t[:5], t[5:]]),
    "arrow table": lambda t: pyarrow.table({"text": t}),
    "dictionary of arrow": lambda t: pyarrow.array(t).dictionary_encode(),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_of_any_library(adapter, name):
    expected = adapter.predict_proba(TEXTS)
    assert (adapter.predict_proba(COLUMNS[name](TEXTS)) == expected).all()


@pytest.mark.parametrize(
    "texts, error, said",
    [
        ("a film", TypeError, r"give a list, \[texts\]"),
        (b"a film", TypeError, "give a list"),
        (["a", None], ValueError, "texts, index 1: the text is missing"),
        (["a", math.nan], ValueError, "texts, index 1: the text is missing"),
        (np.array(["a", np.nan], object), ValueError, "index 1"),
        (pandas.Series(["a", None]), ValueError, "index 1"),
        (pandas.Series(["a", pandas.NA], dtype="string"), ValueError, "index 1: the text is missing"),
        (pandas.Series(["a", pandas.NaT], dtype=object), ValueError, "index 1: the text is missing"),
        (polars.Series(["a", None]), ValueError, "index 1"),
        (["a", 3], TypeError, "index 1: int is not text"),
        (["a", b"b"], TypeError, "index 1: bytes is not text"),
        (["a", "\ud800"], ValueError, "index 1: .*surrogate"),
        ([["a", "b", "c"]], ValueError, "index 0: a pair has two texts"),
        (["a", ("b", "c")], ValueError, "index 1: this adapter reads one text"),
        ({"a": 1}, TypeError, "no order"),
        (3, TypeError, "list of values"),
        (np.array("a"), ValueError, "no dimension"),
        (pandas.DataFrame({"a": ["x"], "b": ["y"], "c": ["z"]}), ValueError, "3 columns"),
    ],
)
def test_what_is_no_column_of_texts_is_refused(adapter, texts, error, said):
    with pytest.raises(error, match=said):
        adapter.predict(texts)


def test_the_row_is_named_beyond_the_first_piece(adapter):
    with pytest.raises(ValueError, match="index 1500"):
        adapter.predict(["a film"] * 1500 + [("a", "b")])


def test_exactly_one_kind_of_input(adapter):
    with pytest.raises(TypeError, match="nothing is given"):
        adapter.predict()
    with pytest.raises(TypeError, match="texts and pairs is given"):
        adapter.predict(["a"], pairs=[("a", "b")])
    with pytest.raises(ValueError, match="index 0"):
        adapter.predict(pairs=[("a", "b")])
    with pytest.raises(TypeError, match="reads texts, but images are given"):
        adapter.predict(images=["a.png"])
    with pytest.raises(TypeError, match="reads texts, but images are given"):
        adapter.embed(images=["a.png"])
    assert adapter.predict([]).shape == (0,)
    assert adapter.predict_proba([]).shape == (0, 2)
    assert adapter.answers([]) == [] and adapter.embed([]).shape[0] == 0


def test_options_of_answers(adapter):
    assert adapter.answers(["a"], abstain_below=1.0)[0]["label"] == "none"
    assert len(adapter.answers(["a"], top=1)[0]["scores"]) == 1
    with pytest.raises(ValueError, match="top=0"):
        adapter.answers(["a"], top=0)
    with pytest.raises(ValueError, match="abstain_below"):
        adapter.answers(["a"], abstain_below=2)


def test_texts_that_are_cut_are_warned_of(adapter):
    with pytest.warns(UserWarning, match="1 of 2 texts are longer than 16 tokens"):
        adapter.predict(["a film", "a film " * 40])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        adapter.predict(["a film"])


def test_bases_are_shared(trained, base):
    a, b = budwood.load(trained), budwood.load(trained)
    assert a.base is b.base
    own = budwood.Base(base)
    c = own.load(trained)
    assert c.base is own and own is not a.base
    assert own.predict_mixed(TEXTS, [c] * len(TEXTS)) == a.answers(TEXTS)
    with pytest.raises(ValueError, match="index 0: .*another base"):
        own.predict_mixed(["a"], [a])
    with pytest.raises(ValueError, match="2 texts, but 1 adapters"):
        own.predict_mixed(["a", "b"], [c])
    with pytest.raises(TypeError, match="adapters, index 0: int"):
        own.predict_mixed(["a"], [3])
    assert own.predict_mixed([], []) == []


def test_vectors(adapter):
    alone, own = adapter.base.embed(TEXTS), adapter.embed(TEXTS)
    assert alone.shape == own.shape and alone.shape[0] == 31
    assert not np.allclose(alone, own), "the adapter changes them"
    assert (adapter.base.embed(TEXTS[:3]) == alone[:3]).all()


def test_the_head_sees_the_vectors(adapter, tmp_path):
    """Logits from the vectors and the head's own tensors are the probabilities."""
    adapter.save(tmp_path / "copy")
    tensors = read_safetensors(tmp_path / "copy" / "adapter.safetensors")
    weight, bias = tensors["head.out.weight"], tensors["head.out.bias"]
    logits = adapter.embed(TEXTS).astype(np.float64) @ weight.T + bias
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = powers / powers.sum(axis=1, keepdims=True)
    assert np.allclose(adapter.predict_proba(TEXTS), expected, atol=1e-5)


def read_safetensors(path):
    import json

    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    head = json.loads(content[8 : 8 + size])
    head.pop("__metadata__", None)
    body = content[8 + size :]
    return {
        name: np.frombuffer(body[slice(*t["data_offsets"])], np.float32).reshape(t["shape"])
        for name, t in head.items()
    }


def test_threads_share_an_adapter(adapter):
    expected, wrong = adapter.predict_proba(TEXTS), []

    def work():
        for _ in range(5):
            if not (adapter.predict_proba(TEXTS) == expected).all():
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong and not any(t.is_alive() for t in threads)


def test_what_is_no_adapter(tmp_path, trained, base):
    with pytest.raises(FileNotFoundError):
        budwood.load(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotADirectoryError):
        budwood.load(tmp_path / "file")
    with pytest.raises(budwood.Error, match="not a Budwood adapter"):
        budwood.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        budwood.Base("no-such-model")
    for threads in (0, -1):
        with pytest.raises(ValueError, match=f"threads={threads} is not"):
            budwood.Base(base, threads=threads)
    with pytest.raises(ValueError, match="base_precision='int4'"):
        budwood.Base(base, base_precision="int4")
    with pytest.raises(TypeError):
        budwood.Adapter()


def test_another_form_of_the_base_is_warned_of(trained):
    with pytest.warns(UserWarning, match="trained on weights in f32, but int8"):
        budwood.load(trained, base_precision="int8")


def test_auto_is_a_form_of_the_base(base, trained):
    assert budwood.Base(base, base_precision="auto").precision in ("f32", "int8")
    # That of the training, whatever is faster here.
    assert budwood.load(trained, base_precision="auto").base.precision == "f32"


def test_what_an_adapter_shows(adapter):
    assert adapter.labels == ["bad", "good"] and adapter.kind == "classification"
    assert any(m["name"] == "accuracy" for m in adapter.metrics)
    assert "reviews" in repr(adapter) and "<table>" in adapter._repr_html_()
    # As a record of the run says it, and as the command line reads it.
    from budwood._adapter import method_text

    said = method_text(adapter.info["method"])
    assert said.startswith("adapter[") and "width=64" in said and "layer_norm=true" in said
    assert said in adapter._repr_html_()
    assert "<table>" in adapter.base._repr_html_() and "base" in repr(adapter.base)


def test_saving_and_conversions(adapter, trained, base, tmp_path):
    copy = tmp_path / "copy"
    adapter.save(copy)
    assert (budwood.load(copy).predict_proba(TEXTS) == adapter.predict_proba(TEXTS)).all()
    with pytest.raises(FileExistsError):
        adapter.save(copy)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(Exception, match="thesis"):
        adapter.save(tmp_path / "mine")
    with pytest.raises(budwood.Error, match="With norms they|pooling='cls'"):
        adapter.to_adapterhub(tmp_path / "hub", name="x")
    assert not (tmp_path / "hub").exists()


@pytest.mark.parametrize(
    "method, export", [("seq_bn", "to_adapterhub"), ("lora", "to_peft"), ("lora", "to_transformers")]
)
def test_conversions_and_back(base, tmp_path, method, export):
    texts, labels = reviews(40)
    settings = {**SHORT, "method": method, "pooling": "pooler", "base": base}
    adapter = budwood.Classifier(**settings).fit(texts, labels).adapter_
    expected, out = adapter.predict_proba(TEXTS), tmp_path / "out"
    assert all(isinstance(line, str) for line in getattr(adapter, export)(out))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        back = budwood.load(out, base=None if export == "to_transformers" else base)
    assert np.allclose(back.predict_proba(TEXTS), expected, atol=1e-5)
    with pytest.raises(FileExistsError):
        getattr(adapter, export)(out)
    if export == "to_peft":
        assert adapter.to_peft(tmp_path / "since-5", transformers=5)
        with pytest.raises(ValueError, match="transformers=3"):
            adapter.to_peft(tmp_path / "none", transformers=3)
        assert not (tmp_path / "none").exists()
