"""Base models, shared by all that are opened alike."""

from __future__ import annotations

import json
import os
import threading
import warnings
import weakref
from typing import TYPE_CHECKING, Any, Iterable

import numpy as np

from budwood import _budwood, _columns, _html

if TYPE_CHECKING:
    from budwood._adapter import Adapter


class Base:
    """A frozen base model in memory, which any number of adapters and threads share.

    Args:
        name: a folder, a name of ``budwood models``, or ``OWNER/NAME`` of the Hugging Face hub.
            What is not in a cache is fetched.
        base_precision: the form of the frozen weights: ``"f32"``, ``"int8"``, or ``"auto"``, the one
            that this processor multiplies faster [default: that in which the model is stored].
        threads: threads that one call computes with [default: all processors].

    Raises:
        FileNotFoundError: if nothing has that name.
        budwood.Error: if it is no model of a known family, or a damaged one.
    """

    __module__ = "budwood"

    def __init__(
        self,
        name: str | os.PathLike[str] = "minilm",
        *,
        base_precision: str | None = None,
        threads: int | None = None,
    ) -> None:
        self._native = _budwood.Base(os.fspath(name), base_precision, threads)
        self._threads = threads

    @property
    def name(self) -> str:
        """The name that it was opened by."""
        return str(self._native.name)

    @property
    def folder(self) -> str:
        """The folder of its files."""
        return str(self._native.folder)

    @property
    def precision(self) -> str:
        """The form of the frozen weights: ``"f32"`` or ``"int8"``."""
        return str(self._native.precision)

    @property
    def info(self) -> dict[str, Any]:
        """Name, parameters and the encoder's specification."""
        spec = json.loads(self._native.spec())
        return {"name": self.name, "parameters": self._native.parameters, "encoder": spec}

    def load(self, path: str | os.PathLike[str]) -> Adapter:
        """Opens the folder of an adapter that was trained on this base: see :func:`budwood.load`."""
        from budwood._adapter import load

        return load(path, base=self)

    def embed(self, texts: Any = None, *, images: Any = None) -> np.ndarray[Any, Any]:
        """The model's pooled vectors of texts (pairs as tuples) or images: ``float32 [n, width]``."""
        name, values = given(texts, None, images)
        return array(*self._native.embed(name, values))

    def predict_mixed(self, texts: Any, adapters: Iterable[Adapter]) -> list[dict[str, Any]]:
        """Answers texts of many adapters in shared batches, each as its adapter alone would.

        Args:
            texts: the texts, or what else each adapter takes.
            adapters: for each text its adapter, of this base.

        Returns:
            For each text the answer as a dictionary: see :meth:`Adapter.answers`.
        """
        from budwood._adapter import Adapter

        natives = []
        for i, adapter in enumerate(adapters):
            if not isinstance(adapter, Adapter):
                raise TypeError(f"adapters, index {i}: {type(adapter).__name__} is no adapter")
            natives.append(adapter._native)
        values = _columns.texts(texts, "texts")
        answers: list[dict[str, Any]] = json.loads(
            _budwood.predict_mixed(self._native, "texts", values, natives)
        )
        return answers

    def __repr__(self) -> str:
        return f"Base({self.name!r}, base_precision={self.precision!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # The model itself is large and on disk: what is pickled is its name.
        return shared, self._as_opened()

    def _as_opened(self) -> tuple[str, str | None, int | None]:
        return self.name, None if self.precision == "f32" else self.precision, self._threads

    def _repr_html_(self) -> str:
        spec = self.info["encoder"]
        rows = [
            ("base", self.name),
            ("folder", self.folder),
            ("parameters", f"{self.info['parameters']:,}"),
            ("layers", spec.get("layers")),
            ("width", spec.get("hidden")),
            ("weights in", self.precision),
        ]
        return _html.table([], rows)


_OPEN: weakref.WeakValueDictionary[tuple[str, str | None, int | None], Base] = (
    weakref.WeakValueDictionary()
)
_LOCK = threading.Lock()
if hasattr(os, "register_at_fork"):
    # A thread that is no longer there may have held it.
    os.register_at_fork(after_in_child=lambda: globals().update(_LOCK=threading.Lock()))


def shared(
    name: str | os.PathLike[str], precision: str | None = None, threads: int | None = None
) -> Base:
    """A base that is in memory already, if one was opened alike, else a new one."""
    name = os.fspath(name)
    key = (os.path.realpath(name) if os.path.isdir(name) else name, precision, threads)
    with _LOCK:
        base = _OPEN.get(key)
        if base is None:
            base = Base(name, base_precision=precision, threads=threads)
            _OPEN[key] = base
    return base


def given(texts: Any, pairs: Any, images: Any) -> tuple[str, list[Any]]:
    """The one column that was given, and what it is called."""
    columns = {"texts": texts, "pairs": pairs, "images": images}
    there = [name for name, column in columns.items() if column is not None]
    if len(there) != 1:
        said = " and ".join(there) if there else "nothing"
        raise TypeError(f"give one of texts, pairs and images; {said} is given")
    (name,) = there
    if name == "images":
        return name, _columns.images(images, name)
    values = _columns.texts(columns[name], name)
    if name == "pairs":
        for i, pair in enumerate(values):
            if not (isinstance(pair, (tuple, list)) and len(pair) == 2):
                raise ValueError(f"pairs, index {i}: give two texts, as list(zip(first, second))")
    return name, values


def array(data: bytearray, width: int) -> np.ndarray[Any, Any]:
    """Rows of ``float32`` numbers."""
    return np.frombuffer(data, np.float32).reshape(-1, width)


def warn(cut: str | None, depth: int = 3) -> None:
    """Warns of inputs that were cut."""
    if cut:
        warnings.warn(cut, UserWarning, stacklevel=depth + 1)
