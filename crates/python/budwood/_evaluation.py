"""Scores of adapters on data whose right answers are known."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from budwood import _columns, _html, _settings
from budwood._adapter import Adapter, load
from budwood._base import warn


class Evaluation:
    """The scores of an adapter on labelled rows.

    Attributes:
        scores: value by name; NaN where a score is undefined on these rows.
        rows: how many rows were scored.
        labels: names of the classes.
        predictions: for each row the expected and the given answer.
        confusion: rows by right class and by given class, ``int64 [classes, classes]``; or ``None``.
        probabilities: ``float32 [rows, classes]``, or ``None`` where there are no classes.
        calibration: how far probabilities can be trusted, or ``None``.
        coverage: the accuracy of the surest answers, or ``None``.
        notes: what was noticed in reading the data.
    """

    __module__ = "budwood"

    def __init__(self, told: dict[str, Any]) -> None:
        def matrix(rows: Any, kind: Any) -> np.ndarray[Any, Any] | None:
            return None if rows is None else np.array(rows, kind)

        self.scores: dict[str, float] = {
            name: float("nan") if value is None else value for name, value in told["scores"].items()
        }
        self.rows: int = told["rows"]
        self.labels: list[str] = told["labels"]
        self.predictions: list[dict[str, Any]] = told["predictions"]
        self.confusion = matrix(told["confusion"], np.int64)
        self.probabilities = matrix(told["probabilities"], np.float32)
        self.calibration: dict[str, Any] | None = told["calibration"]
        self.coverage: list[dict[str, Any]] | None = told["coverage"]
        self.notes: list[str] = told["notes"]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name} {value:.4f}" for name, value in self.scores.items())
        return f"<Evaluation of {self.rows} rows: {shown}>"

    def _repr_html_(self) -> str:
        scores = _html.table(["score", "value"], self.scores.items())
        if self.confusion is None or len(self.labels) > 30:
            return scores
        rows = [(label, *counts) for label, counts in zip(self.labels, self.confusion.tolist())]
        return scores + _html.table(["right \\ given", *self.labels], rows)


def evaluate(
    adapter: Adapter | str | os.PathLike[str],
    data: Any,
    *,
    split: str = "dev",
    **given: Any,
) -> Evaluation:
    """Scores an adapter, as ``budwood eval`` does.

    Args:
        adapter: an adapter, or its folder.
        data: a file, ``LAYOUT=FOLDER`` or the name of a data set; or ``(inputs, labels)``, which
            are columns as for :meth:`budwood.Classifier.fit`.
        split: of a layout with splits: ``"train"``, ``"dev"`` or ``"test"``.
        given: how files are read, such as ``text_column``, ``label_column``, ``separator``; see
            :func:`budwood.train`.

    Raises:
        TypeError: if there is no such setting.
        ValueError: if the data cannot be read, or are not of the adapter's kind.
        FileNotFoundError: if there are no such data.
    """
    own = adapter if isinstance(adapter, Adapter) else load(adapter)
    if isinstance(data, tuple):
        if given:
            raise TypeError(f"{next(iter(given))} is for files; columns are given")
        columns = labelled(own.kind, *pair(data))
        told = json.loads(own._native.evaluate_columns(columns))
    else:
        known = sorted(_settings.OF_FILES - {"data", "name", "area", "dev_data", "test_data", "test", "task"})
        _settings.check(given, [*known, "missing", "max_classes"], "evaluate")
        told = json.loads(own._native.evaluate(os.fspath(data), split, _settings.encoded(given)))
    if told["truncated"]:
        warn(f"{told['truncated']} of {told['rows']} rows are longer than the adapter reads", 2)
    return Evaluation(told)


#: As scikit-learn says it.
NO_LABELS = "this estimator requires y to be passed, but the target y is None: give the labels"


def pair(data: Any) -> tuple[Any, Any]:
    """Inputs and their labels, of one value."""
    if not isinstance(data, tuple) or len(data) != 2:
        raise TypeError(f"a pair (X, y) is expected, but {type(data).__name__} is given")
    return data


def labelled(kind: str, inputs: Any, labels: Any = None) -> list[tuple[str, list[Any]]]:
    """Columns of a table for a kind of task: of one or two texts, of words, or of images; and of labels."""
    images, words = kind == "image-classification", kind == "token-classification"
    names: list[str] | None = None
    if images:
        rows = _columns.images(inputs, "X")
    else:
        names, values = _columns.columns(inputs, "X")
        rows = _columns.rows_of(names, values, "X")
    if not rows:
        raise ValueError("X is empty")
    if labels is None:
        raise ValueError(NO_LABELS)
    right = _columns.to_list(labels, "y")
    right = [value.tolist() if isinstance(value, np.ndarray) else value for value in right]
    if len(right) != len(rows):
        raise ValueError(f"there are {len(rows)} rows in X, but {len(right)} labels in y")
    if images:
        return [("image", rows), ("label", right)]
    columns = [rows]
    if not words and any(isinstance(row, (list, tuple)) for row in rows):
        odd = next((i for i, r in enumerate(rows) if not _is_pair(r)), None)
        if odd is not None and not _columns.is_missing(rows[odd]):
            raise ValueError(f"X, index {odd}: two texts are expected, as in other rows")
        columns = [list(column) for column in zip(*(r if _is_pair(r) else (r, r) for r in rows))]
    if names is None or len({*names}) < len(columns):
        names = ["text", "text2"][: len(columns)]
    for column in columns:
        check_texts(column, "X", words)
    return [*zip(names, columns), ("label" if "label" not in names else "y", right)]


def _is_pair(row: object) -> bool:
    return isinstance(row, (list, tuple)) and len(row) == 2


def check_texts(rows: list[Any], name: str, words: bool) -> None:
    """Refuses what is no text, nor a list of words where they are read, by its index."""
    for i, row in enumerate(rows):
        if isinstance(row, (list, tuple) if words else str):
            continue
        if _columns.is_missing(row):
            raise ValueError(
                f"{name}, index {i}: the text is missing ({row!r}); leave such rows out, or give ''"
            )
        what = "not a list of words" if words else "not text"
        raise TypeError(f"{name}, index {i}: {type(row).__name__} is {what}")
