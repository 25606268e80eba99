"""Adapters: loading, predictions, other forms."""

from __future__ import annotations

import errno
import json
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from budwood import _budwood, _html
from budwood._base import Base, array, given, shared, warn
from budwood._explanation import Explanation


def load(
    path: str | os.PathLike[str],
    base: Base | str | os.PathLike[str] | None = None,
    *,
    base_precision: str | None = None,
    threads: int | None = None,
) -> Adapter:
    """Opens an adapter: ours, of AdapterHub or PEFT, or a tuned model with its head.

    Args:
        path: its folder, or ``OWNER/NAME`` or ``OWNER/NAME@REVISION`` of the Hugging Face hub. A
            folder goes before a name. What is not in the hub's cache is fetched.
        base: the base model, opened or by name [default: the one that the folder names]. Adapters
            whose bases are opened alike share one in memory.
        base_precision: ``"f32"``, ``"int8"`` or ``"auto"``: form of the frozen weights. ``"auto"`` is
            that of the adapter's training [default].
        threads: threads that one call computes with [default: all processors].

    Raises:
        FileNotFoundError: if nothing has that name, or there is no such base.
        budwood.Error: if it holds no adapter, was changed, or was trained on another base; or if the
            hub cannot be reached.
    """
    if os.path.exists(path) and not os.path.isdir(path):
        raise NotADirectoryError(errno.ENOTDIR, "no folder of an adapter", os.fspath(path))
    opened: list[Base] = []
    asked = None if base_precision == "auto" else base_precision

    def open_base(name: str, precision: str | None) -> Any:
        opened.append(shared(name, asked or precision, threads))
        return opened[0]._native

    if isinstance(base, Base):
        if base_precision is not None or threads is not None:
            raise TypeError("base_precision and threads are those of the base that is given")
        opened.append(base)
    own = base._native if isinstance(base, Base) else base
    adapter = Adapter._of(_budwood.Adapter.load(os.fspath(path), own, open_base), opened[0])
    for warning in adapter.warnings:
        warnings.warn(warning, UserWarning, stacklevel=2)
    return adapter


class Adapter:
    """A small set of trained parameters for one task, on its base: see :func:`budwood.load`.

    Any number of threads may use one at once. It is pickled by value, its base by name.
    """

    __module__ = "budwood"
    _native: Any
    _base: Base

    def __init__(self) -> None:
        raise TypeError("an adapter is opened by budwood.load, or made by budwood.train")

    @classmethod
    def _of(cls, native: Any, base: Base) -> Adapter:
        adapter = cls.__new__(cls)
        adapter._native, adapter._base = native, base
        return adapter

    @property
    def base(self) -> Base:
        """The base."""
        return self._base

    @property
    def info(self) -> dict[str, Any]:
        """What its description ``adapter.json`` says: method, task, labels, metrics and more."""
        info: dict[str, Any] = json.loads(self._native.meta())
        return info

    @property
    def labels(self) -> list[str]:
        """Names of the classes or tags, in the order of the columns of :meth:`predict_proba`."""
        return list(self.info["labels"])

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The scores of its training: split, name, value, rows."""
        return list(self.info["metrics"])

    @property
    def kind(self) -> str:
        """Kind of its task, such as ``"classification"``."""
        return str(self.info["task"]["kind"])

    @property
    def warnings(self) -> list[str]:
        """What should be known before its answers are relied on; mostly nothing."""
        return list(self._native.warnings())

    def predict(self, texts: Any = None, *, pairs: Any = None, images: Any = None) -> Any:
        """The answers, in the order of what is given: one of the three.

        Args:
            texts: a list, tuple, array, or column of pandas, polars or Arrow. For tags a sentence
                or a list of words each.
            pairs: two texts each; for questions the question and the text that holds its answer.
            images: paths, bytes of files, arrays ``uint8 [height, width(, 3)]`` or Pillow's images.

        Returns:
            By the kind of task: labels (``str [n]``), numbers (``float32 [n]``), or lists: of the
            labels that hold, of tags, of answers (empty where there is none), of texts whose masks are filled.

        Raises:
            TypeError: if it is one text, and no column of them.
            ValueError: if an input is missing or of another kind; its index is named.
        """
        name, values = given(texts, pairs, images)
        kind = self.info["head"]["kind"]
        if kind == "classification":
            classes, cut = self._native.classes(name, values)
            warn(cut)
            return np.array(self.labels)[np.asarray(classes, np.intp)]
        text, cut = self._native.answers_json(name, values, None, None, 20, 30)
        warn(cut)
        answers = json.loads(text)
        if kind == "regression":
            return np.array([a["value"] for a in answers], np.float32)
        part = next(p for p in ("labels", "tags", "answer", "filled") if not answers or p in answers[0])
        return [answer[part] for answer in answers]

    def predict_proba(
        self, texts: Any = None, *, pairs: Any = None, images: Any = None
    ) -> np.ndarray[Any, Any]:
        """The probability of each class or label, ``float32 [n, classes]``; inputs as for :meth:`predict`.

        Raises:
            TypeError: if the adapter gives no classes.
        """
        data, width, cut = self._native.probabilities(*given(texts, pairs, images))
        warn(cut)
        return array(data, width)

    def answers(
        self,
        texts: Any = None,
        *,
        pairs: Any = None,
        images: Any = None,
        top: int | None = None,
        abstain_below: float | None = None,
        n_best: int = 20,
        max_answer_length: int = 30,
    ) -> list[dict[str, Any]]:
        """All that is known of each answer: what ``budwood predict --json`` prints, but the input.

        Args:
            texts: inputs, as ``pairs`` and ``images``: see :meth:`predict`.
            top: show only so many of the likeliest classes.
            abstain_below: answer ``none`` where the likeliest class is less probable.
            n_best: answers to a question that are kept.
            max_answer_length: longest answer to a question, in tokens.
        """
        _options(abstain_below, top=top, n_best=n_best, max_answer_length=max_answer_length)
        text, cut = self._native.answers_json(
            *given(texts, pairs, images), top, abstain_below, n_best, max_answer_length
        )
        warn(cut)
        answers: list[dict[str, Any]] = json.loads(text)
        return answers

    def explain(
        self,
        texts: Any = None,
        *,
        pairs: Any = None,
        top: int | None = None,
        abstain_below: float | None = None,
    ) -> list[Explanation]:
        """The answers, and what each hangs on: it is given again without each word in turn.

        Args:
            texts: a column of texts, as ``pairs``: see :meth:`predict`.
            top: show only so many of the likeliest classes.
            abstain_below: answer ``none`` where the likeliest class is less probable.

        Returns:
            For each input what ``budwood predict --explain --json`` prints: the answer, and in
            ``"explained"`` for each number that is explained the words with their effects. A
            notebook shows the text with its words marked.

        Raises:
            ValueError: if the adapter answers questions, tags words or reads images, or an input
                has more than 2,000 words.
        """
        _options(abstain_below, top=top)
        name, values = given(texts, pairs, None)
        told = json.loads(self._native.explain(name, values, top, abstain_below))
        return [Explanation.of(value, explained) for value, explained in zip(values, told)]

    def embed(self, texts: Any = None, *, pairs: Any = None, images: Any = None) -> np.ndarray[Any, Any]:
        """The vectors that the adapter's head sees, ``float32 [n, width]``: the base's, changed by the adapter."""
        return array(*self._native.embed(*given(texts, pairs, images)))

    def save(self, out: str | os.PathLike[str]) -> None:
        """Writes its folder, which must be new or empty.

        Raises:
            FileExistsError: if there is an adapter already.
        """
        self._native.save(os.fspath(out))

    def to_peft(self, out: str | os.PathLike[str], *, transformers: int = 4) -> list[str]:
        """Writes a folder of ``peft``; returns what should be known of it.

        Args:
            out: a new folder.
            transformers: the version of ``transformers`` whose names of modules are written, 4 or
                5: image models have others since 5.

        Raises:
            ValueError: if ``transformers`` is another number.
            budwood.Error: if ``peft`` has no such method.
        """
        if transformers not in (4, 5):
            raise ValueError(f"transformers={transformers!r} is not 4 or 5")
        return self._export("peft", out, switches=["since_5"] if transformers == 5 else [])

    def to_adapterhub(
        self,
        out: str | os.PathLike[str],
        *,
        name: str = "task",
        norms: bool = False,
        headless: bool = False,
    ) -> list[str]:
        """Writes a folder of ``adapters``; returns what should be known of it.

        Args:
            out: a new folder.
            name: name of the adapter in it.
            norms: write trained layer norms as those of the base, which loading it changes.
            headless: write the head into ``head.safetensors``, which ``adapters`` does not load: it
                has no heads over the mean.
        """
        switches = {"norms": norms, "headless": headless}
        return self._export("adapterhub", out, name, [switch for switch, on in switches.items() if on])

    def to_transformers(self, out: str | os.PathLike[str]) -> list[str]:
        """Writes a whole model of ``transformers``, the adapter merged into it."""
        return self._export("transformers", out)

    def to_sentence_transformers(self, out: str | os.PathLike[str]) -> list[str]:
        """Writes a whole model of ``sentence-transformers``, the adapter merged into it.

        ``SentenceTransformer(out).encode(texts)`` gives the logits. It holds heads over the mean,
        which models of ``transformers`` have not. Returns what should be known of it.

        Raises:
            ValueError: if the adapter's method cannot be merged into weights.
            budwood.Error: if its head is not one over texts.
        """
        return self._export("sentence-transformers", out)

    def to_onnx(
        self, out: str | os.PathLike[str], *, precision: str | Sequence[str] = "f32"
    ) -> list[str]:
        """Writes the whole model with the adapter as a graph for ONNX Runtime, with its tokenizer.

        Args:
            out: a new folder.
            precision: ``"f32"`` for ``onnx/model.onnx``, ``"int8"`` for
                ``onnx/model_quantized.onnx``, or a list of both.

        Returns:
            What should be known of it.

        Raises:
            ValueError: if there is no such precision.
            budwood.Error: if something of the adapter has no form in ONNX.
        """
        precisions = [precision] if isinstance(precision, str) else list(precision)
        return self._export("onnx", out, precisions=precisions)

    def _export(
        self,
        to: str,
        out: str | os.PathLike[str],
        name: str = "task",
        switches: Sequence[str] = (),
        precisions: Sequence[str] = (),
    ) -> list[str]:
        given = (name, list(switches), list(precisions))
        return list(self._native.export(to, os.fspath(out), *given))

    def push(
        self,
        repository: str,
        *,
        form: str = "budwood",
        license: str | None = None,
        base_name: str | None = None,
        message: str | None = None,
        private: bool = False,
        dry_run: bool = False,
        name: str | None = None,
        norms: bool = False,
        headless: bool = False,
        transformers: int | None = None,
        precision: str | Sequence[str] = (),
    ) -> dict[str, Any]:
        """Sends it to the Hugging Face hub with a card, as ``budwood push`` does.

        The token is that of ``HF_TOKEN`` or of the file ``token`` in ``HF_HOME``.

        Args:
            repository: ``OWNER/NAME``; it is made if it is not there.
            form: ``"budwood"``, ``"adapterhub"``, ``"peft"``, ``"transformers"``,
                ``"sentence-transformers"`` or ``"onnx"``.
            license: the adapter's licence in the hub's words, such as ``"apache-2.0"``; needed.
            base_name: the base's name on the hub [default: the adapter's, where it is one].
            message: the commit's message.
            private: make the repository private; one that is there and public is refused.
            dry_run: send nothing.
            name: name of the adapter in AdapterHub's folder.
            norms: see :meth:`to_adapterhub`.
            headless: see :meth:`to_adapterhub`.
            transformers: see :meth:`to_peft`.
            precision: see :meth:`to_onnx`.

        Returns:
            ``address``, ``commit``, ``created`` and ``files``; of a dry run ``repository``,
            ``files`` and ``card``.

        Raises:
            ValueError: if an argument has no meaning.
            budwood.Error: if the hub refuses or cannot be reached.
        """
        from budwood import _program

        with tempfile.TemporaryDirectory(prefix="budwood-") as place:
            own = os.path.join(place, "adapter")
            self.save(own)
            precisions = [precision] if isinstance(precision, str) else list(precision)
            return _program.asked(
                ["push", own, repository],
                {
                    "form": form,
                    "license": license,
                    "base": None if form in ("budwood", "adapterhub", "peft") else self.base.folder,
                    "base_name": base_name,
                    "message": message,
                    "private": private,
                    "dry_run": dry_run,
                    "name": name,
                    "norms": norms,
                    "headless": headless,
                    "transformers": transformers,
                    "precision": ",".join(precisions) or None,
                },
            )

    def __repr__(self) -> str:
        info = self.info
        return f"<Adapter {info['task']['name']}: {info['task']['kind']} on {info['base']['name']}>"

    def _repr_html_(self) -> str:
        info = self.info
        labels = info["labels"]
        shown = ", ".join(labels[:10]) + (f", ... ({len(labels)})" if len(labels) > 10 else "")
        rows = [
            ("task", f"{info['task']['name']} ({info['task']['kind']})"),
            ("base", info["base"]["name"]),
            ("method", method_text(info["method"])),
            ("labels", shown),
            ("trained parameters", f"{info['parameters_trained']:,}"),
        ]
        scores = [(m["split"], m["name"], float(m["value"]), m["rows"]) for m in info["metrics"]]
        return _html.table([], rows) + _html.table(["split", "score", "value", "rows"], scores)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self._files(), *self._base._as_opened())

    def _files(self) -> dict[str, bytes]:
        with tempfile.TemporaryDirectory(prefix="budwood-") as place:
            self.save(Path(place, "adapter"))
            return {p.name: p.read_bytes() for p in Path(place, "adapter").iterdir()}


def _options(abstain_below: float | None, **numbers: int | None) -> None:
    """Refuses options of answers that have no meaning."""
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise ValueError(f"{name}={number} is not a whole number from 1")
    if abstain_below is not None and not 0 <= abstain_below <= 1:
        raise ValueError(f"abstain_below={abstain_below} is no probability from 0 to 1")


def method_text(method: Any) -> str:
    """A method as it is written on the command line."""

    def text(value: Any) -> str:
        return value if isinstance(value, str) else json.dumps(value)

    def one(part: dict[str, Any]) -> str:
        options = ",".join(f"{name}={text(value)}" for name, value in part["options"].items())
        return f"{part['name']}[{options}]" if options else str(part["name"])

    return text(method) if isinstance(method, str) else "|".join(map(one, method["parts"]))


def _restored(
    files: dict[str, bytes], base: str, precision: str | None, threads: int | None
) -> Adapter:
    """The adapter that was pickled."""
    with tempfile.TemporaryDirectory(prefix="budwood-") as place:
        for name, content in files.items():
            Path(place, Path(name).name).write_bytes(content)
        with warnings.catch_warnings():
            # Said when it was loaded first.
            warnings.simplefilter("ignore")
            return load(place, base=shared(base, precision, threads))
