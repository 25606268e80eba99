"""Training runs."""

from __future__ import annotations

import json
import os
import warnings
from typing import Any, Callable

from budwood import _budwood, _html, _progress, _settings
from budwood._adapter import Adapter, load

#: What is told of a run while it goes on: a dictionary whose ``"event"`` says what happens.
OnEvent = Callable[[dict[str, Any]], object]


class Run:
    """A finished training run: its record, scores and answers.

    Attributes:
        summary: the run as ``budwood train --json`` prints it.
        record: the run as a store keeps it; ``record["key"]`` is the same for equal settings.
        predictions: by split, for each row the expected and the given answer.
        account: what the recipe chose and why, in words; ``None`` for the paper's.
        folder: the adapter's folder; ``None`` where it was not asked for.
    """

    __module__ = "budwood"

    def __init__(self, told: dict[str, Any], folder: str | None) -> None:
        self.summary: dict[str, Any] = told["summary"]
        self.record: dict[str, Any] = told["record"]
        self.predictions: dict[str, list[dict[str, Any]]] = told["predictions"]
        self.account: str | None = told["account"]
        self.folder = folder

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The scores: split, name, value, rows."""
        return list(self.summary["metrics"])

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the adapter's weights: the same for equal settings, data and base."""
        return str(self.summary["weights_sha256"])

    def load(self) -> Adapter:
        """Opens the adapter that was trained."""
        if self.folder is None:
            raise _budwood.Error("the run's adapter is in no folder: it is the estimator's")
        return load(self.folder)

    def __repr__(self) -> str:
        scores = ", ".join(f"{m['split']} {m['name']} {m['value']:.4f}" for m in self.metrics[:4])
        return f"<Run {self.record['task']}: {scores}>"

    def _repr_html_(self) -> str:
        record = self.record
        rows = [
            ("task", f"{record['task']} ({record['kind']})"),
            ("base", record["base"]["name"]),
            ("method", record["method"]),
            ("seconds", float(record["seconds"])),
            ("adapter", self.folder or ""),
        ]
        scores = [(m["split"], m["name"], float(m["value"]), m["rows"]) for m in self.metrics]
        why = _html.table([], [(line,) for line in (self.account or "").splitlines()])
        return _html.table([], rows) + _html.table(["split", "score", "value", "rows"], scores) + why


def listener(on_event: OnEvent | None) -> Callable[[str], object] | None:
    """What the library calls with each event as JSON; in a notebook it shows a bar."""
    if on_event is None:
        if not _progress.in_notebook():
            return None
        on_event = _progress.Bar()
    if not callable(on_event):
        raise TypeError(f"on_event is a {type(on_event).__name__}, but a function is expected")
    return lambda text: on_event(json.loads(text))


def finished(told: str, folder: str | None) -> Run:
    """A run from what the library says; rows that were left out are warned of."""
    all_of_it = json.loads(told)
    skipped = all_of_it["skipped"]
    if skipped:
        shown = "; ".join(skipped[:5])
        warnings.warn(f"{len(skipped)} rows were left out: {shown}", UserWarning, stacklevel=4)
    return Run(all_of_it, folder)


def train(
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    on_event: OnEvent | None = None,
    **given: Any,
) -> Run:
    """Trains an adapter on files, as ``budwood train`` does, to the bit.

    Ctrl-C raises KeyboardInterrupt and keeps what is trained: the same call goes on from there. So
    does any exception of ``on_event``.

    Args:
        data: a file, ``LAYOUT=FOLDER``, or the name of a data set; see ``docs/data.md``.
        out: folder for the adapter, new or empty, or that of the same run when it was stopped.
        on_event: is called with a dictionary for each event; ``event["event"]`` is ``fetching``,
            ``ready``, ``vectors``, ``probe``, ``trial``, ``trying``, ``started``, ``step``,
            ``evaluated``, ``lost`` or ``saved`` [default: a bar in a notebook, else nothing].

    Raises:
        TypeError: if there is no such setting.
        ValueError: if a setting has no meaning, or the data cannot be read.
        FileNotFoundError: if there are no such data or base.
        FileExistsError: if ``out`` holds the adapter of another run.
        budwood.Error: if the folder cannot be used, or numbers run away.

    Settings:
"""
    _settings.check(given, _settings.without(["data"]), "train")
    if not isinstance(data, (str, os.PathLike)):
        kind = type(data).__name__
        raise TypeError(f"data is a {kind}, but a file is expected; for columns use Classifier.fit")
    arguments = _settings.encoded({"data": os.fspath(data), **given})
    folder = os.fspath(out)
    return finished(_budwood.train(arguments, folder, listener(on_event)), folder)


def _declare() -> None:
    import inspect

    own = list(inspect.signature(train).parameters.values())[:-1]
    names = _settings.without(["data"])
    train.__signature__ = _settings.signature(own, names, Run)  # type: ignore[attr-defined]
    train.__doc__ = (train.__doc__ or "") + _settings.described(names)


_declare()
