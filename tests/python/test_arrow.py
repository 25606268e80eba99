"""Columns that only have the Arrow C interface: no way of any library is left."""

import ctypes
import datetime

import numpy as np
import pandas
import polars
import pyarrow
import pytest

import budwood
from budwood import _arrow, _columns
from conftest import SHORT, reviews

TEXTS, LABELS = reviews(60)
LONG = ["", "a", "twelve bytes", "thirteen byte", "a longer text than a view holds", "\u00e9\u4e2d\U0001f33f" * 9]


class Stream:
    """A column or table of which nothing but its stream is known."""

    def __init__(self, column):
        self._column = column

    def __arrow_c_stream__(self, requested_schema=None):
        return self._column.__arrow_c_stream__(requested_schema)


class Array:
    """The same of one array."""

    def __init__(self, column):
        self._column = column

    def __arrow_c_array__(self, requested_schema=None):
        return self._column.__arrow_c_array__(requested_schema)


def values(column):
    names, (only,) = _arrow.columns(column)
    assert names is None
    return only


ARRAYS = {
    "texts": pyarrow.array([*LONG, None]),
    "large texts": pyarrow.array([*LONG, None], pyarrow.large_string()),
    "views of texts": pyarrow.array([*LONG, None], pyarrow.string_view()),
    "bytes": pyarrow.array([b"", b"\xff\x00", None]),
    "large bytes": pyarrow.array([b"", b"\xff\x00", None], pyarrow.large_binary()),
    "views of bytes": pyarrow.array([b"", b"\xff" * 40, None], pyarrow.binary_view()),
    "categories": pyarrow.array(["x", "y", None, "x"]).dictionary_encode(),
    "truth": pyarrow.array([True, None, False] * 7),
    "nothing": pyarrow.nulls(3),
    "none": pyarrow.array([], pyarrow.string()),
    "lists": pyarrow.array([["a", "b"], [], None, ["c"]]),
    "large lists": pyarrow.array([["a", None], []], pyarrow.large_list(pyarrow.string())),
    "lists of lists": pyarrow.array([[[1], [2, 3]], [], [[]]]),
    **{
        str(kind): pyarrow.array([1, None, 100], kind)
        for kind in (
            pyarrow.int8(), pyarrow.uint8(), pyarrow.int16(), pyarrow.uint16(), pyarrow.int32(),
            pyarrow.uint32(), pyarrow.int64(), pyarrow.uint64(), pyarrow.float32(), pyarrow.float64(),
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("name", ARRAYS)
def test_values_are_those_of_pyarrow(name):
    array = ARRAYS[name]
    expected = array.to_pylist()
    assert values(Array(array)) == expected
    assert values(Stream(pyarrow.chunked_array([array, array[:1], array[1:]]))) == expected * 2
    # Pieces of a piece have offsets, in bits and in bytes.
    for begin in range(len(array)):
        for end in range(begin, len(array) + 1):
            assert values(Array(array[begin:end])) == expected[begin:end], (begin, end)


def test_tables():
    table = pyarrow.table({"a": LONG, "b": range(6)})
    assert _arrow.columns(Stream(table)) == (["a", "b"], [LONG, list(range(6))])
    assert _arrow.columns(Stream(table[:0])) == (["a", "b"], [[], []])
    assert _arrow.columns(Stream(table[2:4])) == (["a", "b"], [LONG[2:4], [2, 3]])
    batch = pyarrow.record_batch(table.to_batches()[0].slice(1, 3))
    assert _arrow.columns(Array(batch)) == (["a", "b"], [LONG[1:4], [1, 2, 3]])
    twice = pyarrow.Table.from_arrays([pyarrow.array(["x"]), pyarrow.array(["y"])], ["a", "a"])
    assert _arrow.columns(Stream(twice)) == (["a", "a"], [["x"], ["y"]])
    rows = pyarrow.array([{"a": "x"}, None, {"a": None}])
    assert _arrow.columns(Array(rows)) == (["a"], [["x", None, None]])
    assert _arrow.columns(Stream(polars.DataFrame({"a": LONG}))) == (["a"], [LONG])
    assert _arrow.columns(Stream(pandas.DataFrame({"a": LONG}))) == (["a"], [LONG])
    reader = pyarrow.RecordBatchReader.from_batches(table.schema, table.to_batches(2))
    assert _arrow.columns(reader)[1][0] == LONG


def test_what_has_no_meaning_is_refused():
    days = pyarrow.array([datetime.date(2026, 11, 26)])
    with pytest.raises(TypeError, match="Arrow's type 'tdD'"):
        _columns.to_list(Array(days), "y")
    with pytest.raises(TypeError, match="column 'day': .*'tdD'"):
        _columns.texts(pyarrow.table({"day": days}), "texts")
    # What its own library knows of it goes on.
    assert _columns.to_list(days, "y") == [datetime.date(2026, 11, 26)]

    ends = pyarrow.py_buffer(np.array([0, 2], np.int32))
    spoiled = pyarrow.Array.from_buffers(pyarrow.string(), 1, [None, ends, pyarrow.py_buffer(b"\xff\xfe")])
    with pytest.raises(ValueError, match="texts: a text is not in UTF-8"):
        _columns.texts(Array(spoiled), "texts")

    class Broken:
        def __arrow_c_stream__(self, requested_schema=None):
            def fail():
                raise RuntimeError("cut")
                yield

            schema = pyarrow.schema({"a": pyarrow.string()})
            return pyarrow.RecordBatchReader.from_batches(schema, fail()).__arrow_c_stream__()

    with pytest.raises(OSError, match="cut"):
        _arrow.columns(Broken())


def test_everything_is_released():
    """Memory that Arrow holds is what it was; the last piece of a stream too, and after an error."""
    import gc

    def read():
        big = pyarrow.chunked_array([pyarrow.array(["a film " * 100] * 1000)] * 4)
        assert len(values(Stream(big))) == 4000
        table = pyarrow.table({"a": big, "day": pyarrow.array([datetime.date.today()] * 4000)})
        with pytest.raises(TypeError):
            _arrow.columns(Stream(table))

    read()
    gc.collect()
    before = pyarrow.total_allocated_bytes()
    for _ in range(5):
        read()
    gc.collect()
    assert pyarrow.total_allocated_bytes() <= before


def test_texts_are_decoded_where_they_lie():
    """The buffer of the column itself is read: a change in it is seen."""
    own = bytearray(b"good film")
    ends = np.array([0, 4, 9], np.int32)
    array = pyarrow.Array.from_buffers(
        pyarrow.string(), 2, [None, pyarrow.py_buffer(ends), pyarrow.py_buffer(own)]
    )
    assert values(Array(array)) == ["good", " film"]
    (ctypes.c_char * 4).from_buffer(own).raw = b"poor"
    assert values(Array(array)) == ["poor", " film"]


def test_estimators_take_them(base):
    settings = {**SHORT, "base": base, "epochs": 2}
    expected = budwood.Classifier(**settings).fit(TEXTS, LABELS).predict_proba(TEXTS)
    texts, labels = pyarrow.array(TEXTS), pyarrow.array(LABELS)
    model = budwood.Classifier(**settings).fit(Array(texts), Array(labels.dictionary_encode()))
    assert (model.predict_proba(Stream(polars.Series(TEXTS))) == expected).all()
    table = pyarrow.table({"premise": TEXTS, "hypothesis": TEXTS[::-1]})
    pairs = budwood.Classifier(**settings).fit(Stream(table), labels)
    assert pairs.adapter_.info["task"]["text_columns"] == ["premise", "hypothesis"]
    once = pyarrow.RecordBatchReader.from_batches(table.schema, table.to_batches())
    assert (budwood.Classifier(**settings).fit(once, labels).predict_proba(table) == pairs.predict_proba(table)).all()
    with pytest.raises(ValueError, match="index 1: the text is missing"):
        model.predict(Array(pyarrow.array(["a", None])))
    words = [t.split() for t in TEXTS]
    tags = [["B-X" if w == "film" else "O" for w in s] for s in words]
    tagger = budwood.TokenClassifier(**settings).fit(Array(pyarrow.array(words)), Array(pyarrow.array(tags)))
    assert [len(t) for t in tagger.predict(Array(pyarrow.array(words)))] == [len(w) for w in words]
