"""Estimators by the rules of scikit-learn, which need not be installed."""

from __future__ import annotations

import inspect
import os
import sys
import tempfile
from typing import Any, ClassVar

import numpy as np

from budwood import _budwood, _columns, _evaluation, _html, _settings
from budwood._adapter import load
from budwood._evaluation import labelled, pair
from budwood._run import OnEvent, finished, listener


#: Columns by name.
_Table = list[tuple[str, list[Any]]]


class _Estimator:
    """Settings as parameters, and training on columns in memory."""

    _task: ClassVar[str]
    _defaults: ClassVar[dict[str, Any]]
    #: What scikit-learn before 1.6 asks for.
    _estimator_type: ClassVar[str]
    out: str | os.PathLike[str] | None
    on_event: OnEvent | None
    threads: int | None

    def __init_subclass__(cls, *, left_out: frozenset[str] | None = None, also: str = "") -> None:
        """Gives a class its parameters: the settings that fit it, ``out`` and ``on_event``.

        Classes of users inherit them.
        """
        super().__init_subclass__()
        if left_out is None:
            return
        own = _settings.without(_settings.OF_FILES, _settings.OF_MASKS, left_out)
        if also:
            own |= {name: value for name, value in _settings.settings().items() if name == also}
        cls._defaults = {**own, "out": None, "on_event": None}
        me = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)

        def __init__(self: _Estimator, **given: Any) -> None:
            _settings.check(given, cls._defaults, cls.__name__)
            for name, default in cls._defaults.items():
                setattr(self, name, given.get(name, default))

        __init__.__signature__ = _settings.signature([me], cls._defaults, None)  # type: ignore[attr-defined]
        __init__.__qualname__ = f"{cls.__qualname__}.__init__"
        cls.__init__ = __init__  # type: ignore[assignment, method-assign]
        cls.__module__ = "budwood"
        cls.__doc__ = f"""{cls.__doc__}

    Args:
{_settings.described(own)}
    out: Folder that the adapter is written to too; a fit that was stopped goes on from there.
    on_event: Is called with a dictionary for each event: see :func:`budwood.train` [default: a bar
        in a notebook, else nothing].
"""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """All parameters with their values."""
        return {name: getattr(self, name) for name in self._defaults}

    def set_params(self, **given: Any) -> Any:
        """Sets parameters; returns itself.

        Raises:
            ValueError: if there is no such parameter.
        """
        for name in given:
            if name not in self._defaults:
                known = ", ".join(self._defaults)
                raise ValueError(f"Invalid parameter {name!r} for {self!r}; the parameters are {known}")
        for name, value in given.items():
            setattr(self, name, value)
        return self

    def _fit(self, X: Any, y: Any, dev: Any, test: Any, names: list[str] | None) -> Any:
        """Trains. Nothing of this object changes if that fails."""
        images = self._task == "image-classification"

        def table(data: Any) -> _Table | None:
            return None if data is None else labelled(self._task, *pair(data))

        train = labelled(self._task, X, y)
        columns = [name for name, _ in train]
        given = {n: v for n, v in self.get_params().items() if n not in ("out", "on_event")}
        given |= {"task": self._kind(train[-1][1]), "label_column": columns[-1:]}
        given |= {"image_column": columns[0]} if images else {"text_column": columns[:-1]}
        arguments, others = _settings.encoded(given), (table(dev), table(test))

        def run_in(out: str) -> None:
            told = _budwood.fit(arguments, train, *others, names, out, listener(self.on_event))
            run = finished(told, None if self.out is None else out)
            adapter = load(out, threads=self.threads)
            self.run_, self.adapter_ = run, adapter

        if self.out is not None:
            run_in(os.fspath(self.out))
            return self
        # What a fit that was stopped has trained: the same fit goes on from there.
        what = (arguments, names, train, *others)
        kept, place = self.__dict__.pop("_kept", ("", None))
        if place is None or kept != _digest(what):
            place = tempfile.TemporaryDirectory(prefix="budwood-")
        try:
            run_in(os.path.join(place.name, "adapter"))
        except KeyboardInterrupt:
            self._kept = _digest(what), place
            raise
        except BaseException:
            place.cleanup()
            raise
        place.cleanup()
        return self

    def __getstate__(self) -> dict[str, Any]:
        # A folder is this object's alone.
        return {name: value for name, value in self.__dict__.items() if name != "_kept"}

    def _kind(self, labels: list[Any]) -> str:
        return self._task

    def _fitted(self) -> Any:
        if not hasattr(self, "adapter_"):
            name = type(self).__name__
            raise _not_fitted()(f"this {name} is not fitted yet: call fit first")
        return self.adapter_

    def _given(self, X: Any) -> dict[str, Any]:
        self._fitted()
        return {"images" if self._task == "image-classification" else "texts": X}

    def predict(self, X: Any) -> Any:
        """The answers to inputs: see :meth:`budwood.Adapter.predict`."""
        return self._fitted().predict(**self._given(X))

    def evaluate(self, X: Any, y: Any) -> _evaluation.Evaluation:
        """All scores on inputs whose right answers are known: see :func:`budwood.evaluate`."""
        return _evaluation.evaluate(self._fitted(), (X, y))

    def embed(self, X: Any) -> np.ndarray[Any, Any]:
        """The vectors that the adapter's head sees, ``float32 [n, width]``."""
        return self._fitted().embed(**self._given(X))  # type: ignore[no-any-return]

    def score(self, X: Any, y: Any) -> float:
        """The score of the kind of task on inputs whose right answers are known."""
        return float(self.evaluate(X, y).scores[self._fitted().info["task"]["metric"]])

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "adapter_")

    def __sklearn_tags__(self) -> Any:
        # Asked for by scikit-learn alone.
        from sklearn.utils import Tags, TargetTags  # type: ignore[import-untyped,import-not-found,unused-ignore]
        from sklearn.utils import ClassifierTags, InputTags, RegressorTags

        tags = Tags(
            estimator_type=self._estimator_type,
            target_tags=TargetTags(required=True),
            input_tags=InputTags(two_d_array=False, string=True),
            classifier_tags=ClassifierTags() if self._estimator_type == "classifier" else None,
            regressor_tags=RegressorTags() if self._estimator_type == "regressor" else None,
        )
        tags.no_validation = True
        return tags

    def __repr__(self) -> str:
        changed = ", ".join(
            f"{name}={getattr(self, name)!r}"
            for name, default in self._defaults.items()
            if not _same(getattr(self, name), default)
        )
        return f"{type(self).__name__}({changed})"

    def _repr_html_(self) -> str:
        told = self.run_._repr_html_() if hasattr(self, "run_") else "<p>not fitted</p>"
        return _html.table([], [(repr(self),)]) + told


def _digest(what: tuple[Any, ...]) -> str:
    """The same for equal settings, names and tables alone."""
    # Slow to load, and used by who stops a fit.
    from hashlib import sha256

    arguments, names, *tables = what
    digest = sha256(repr((arguments, names)).encode())
    for table in tables:
        digest.update(b"table")
        for name, values in table or ():
            digest.update(repr((name, len(values))).encode())
            for value in values:
                digest.update(repr(value).encode(errors="backslashreplace"))
    return digest.hexdigest()


class NotFitted(ValueError, AttributeError):
    """An estimator is asked before it is fitted; scikit-learn's own error has these bases too."""


def _not_fitted() -> type[NotFitted]:
    """The exception for it: scikit-learn's own one too where that is in use."""
    theirs = getattr(sys.modules.get("sklearn.exceptions"), "NotFittedError", None)
    return NotFitted if theirs is None else type("NotFittedError", (NotFitted, theirs), {})


def _same(value: Any, default: Any) -> bool:
    if type(value) is not type(default):
        return False
    return bool(np.all(value == default)) if isinstance(value, np.ndarray) else bool(value == default)


class _Classes(_Estimator, left_out=frozenset()):
    """Labels of any type that come back as they are."""

    _estimator_type = "classifier"
    _task = "classification"

    def fit(self, X: Any, y: Any, *, dev: Any = None, test: Any = None) -> Any:
        """Trains on inputs and their labels.

        Args:
            X: inputs: a column, or a table of one or two columns of text.
            y: their labels: strings, whole numbers or truth values, all of one type; for several
                labels a row a list of lists, or an array of 0 and 1, ``[n, labels]``.
            dev: ``(X, y)`` that chooses the checkpoint [default: a share of the rows, or
                cross-validation].
            test: ``(X, y)`` that is scored at the end.

        Returns:
            Itself. ``classes_`` are the labels in the order of :meth:`predict_proba`'s columns,
            ``adapter_`` is the adapter, ``run_`` the run.

        Raises:
            ValueError: if a row or a setting cannot be used, or there are no labels.
            KeyboardInterrupt: on Ctrl-C. What is trained is kept, by this object or in ``out``: the
                same call goes on from there.
        """
        if y is None:
            raise ValueError(_evaluation.NO_LABELS)
        labels = _columns.to_list(y, "y")
        several = any(isinstance(v, (list, tuple, set, frozenset, np.ndarray)) for v in labels)
        if several:
            rows = [_plain_row(v) for v in labels]
            self._indicator = _are_flags(y, rows)
            self._fit(X, rows, dev, test, None)
            names = self.adapter_.labels
            self._order = np.arange(len(names))
            self._values = {} if self._indicator else _values_of(rows)
            self.classes_ = self._order if self._indicator else np.array([self._values.get(n, n) for n in names])
            return self
        classes, names = _classes_of(y, labels)
        self._fit(X, labels, dev, test, names)
        place = {name: i for i, name in enumerate(self.adapter_.labels)}
        self.classes_ = classes
        self._indicator, self._order = False, np.array([place[name] for name in names], np.intp)
        return self

    def _kind(self, labels: list[Any]) -> str:
        several = any(isinstance(v, (list, tuple)) for v in labels)
        return "multilabel" if several else self._task

    def predict(self, X: Any) -> Any:
        """The likeliest label of each input, of the type that ``fit`` was given: ``[n]``.

        For several labels a row lists of them, or an array of 0 and 1, as ``fit`` was given.
        """
        adapter, inputs = self._fitted(), self._given(X)
        if adapter.kind == "multilabel":
            given = adapter.predict(**inputs)
            if not self._indicator:
                return [[self._values.get(name, name) for name in held] for held in given]
            # The adapter knows above which probability each label holds.
            flags = [[name in held for name in adapter.labels] for held in given]
            return np.array(flags, np.int64).reshape(len(given), len(adapter.labels))
        return self.classes_[np.argmax(self.predict_proba(X), axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray[Any, Any]:
        """The probability of each class, ``float32 [n, classes]``, in the order of ``classes_``."""
        probabilities: np.ndarray[Any, Any] = self._fitted().predict_proba(**self._given(X))
        return probabilities[:, self._order]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of right answers; of several labels a row all must be right."""
        given = self.predict(X)
        right = [list(v) if isinstance(v, np.ndarray) else v for v in _columns.to_list(y, "y")]
        if len(right) != len(given):
            raise ValueError(f"there are {len(given)} rows in X, but {len(right)} labels in y")
        if isinstance(given, np.ndarray) and given.ndim == 1:
            hits = [a == b for a, b in zip(given.tolist(), right)]
        else:
            hits = [sorted(map(str, a)) == sorted(map(str, b)) for a, b in zip(given, right)]
            if self._indicator:
                hits = [list(a) == list(b) for a, b in zip(given, right)]
        return float(np.average(hits, weights=sample_weight))


def _kind_of(label: Any) -> str | None:
    """The type of a label; a truth value is a whole number too, but not here."""
    kinds = (bool, int, float, str, bytes)
    return next((kind.__name__ for kind in kinds if isinstance(label, kind)), None)


def _plain_row(row: Any) -> Any:
    """The labels of a row in an order."""
    if isinstance(row, np.ndarray):
        return row.tolist()
    return sorted(row, key=str) if isinstance(row, (set, frozenset)) else row


def _are_flags(y: Any, rows: list[Any]) -> bool:
    """Whether rows of labels are 0 and 1 with a place for each label, and no names."""
    lists = [row for row in rows if isinstance(row, (list, tuple))]
    numbers = all(isinstance(v, (bool, int, float)) and v in (0, 1) for row in lists for v in row)
    if getattr(y, "ndim", 1) == 2:
        if not numbers:
            raise ValueError("y has two dimensions, so that it holds 0 and 1 alone, a place for each label")
        return True
    width = {len(row) for row in lists}
    return numbers and len(width) == 1 and max(width) > 1


def _values_of(rows: list[Any]) -> dict[str, Any]:
    """What is no text among the labels of rows, by the name of its class."""
    values = list({v for row in rows if isinstance(row, (list, tuple)) for v in row if not isinstance(v, str)})
    return dict(zip(_budwood.label_names(values), values))


def _classes_of(y: Any, labels: list[Any]) -> tuple[np.ndarray[Any, Any], list[str]]:
    """The labels in their order, in the type that they have, and the names of their classes."""
    there = [v for v in labels if not _columns.is_missing(v)]
    kinds = {_kind_of(v) for v in there}
    if None in kinds:
        other = next(type(v).__name__ for v in there if _kind_of(v) is None)
        raise TypeError(f"labels of {other} are not read: give strings, whole numbers or truth values")
    if len(kinds) > 1 and not kinds <= {"int", "float"}:
        shown = ", ".join(sorted(map(str, kinds)))
        raise ValueError(f"the labels are of several types ({shown}): give all the same")
    for i, label in enumerate(labels):
        if isinstance(label, str) and not label.isascii():
            try:
                label.encode()
            except UnicodeEncodeError:
                raise ValueError(f"y, index {i}: the label {label!r} holds what is no character") from None
    fraction = next((v for v in there if isinstance(v, float) and not float(v).is_integer()), None)
    if fraction is not None:
        raise ValueError(
            f"Unknown label type: continuous. The label {fraction!r} has a fraction; for numbers as "
            "answers use Regressor"
        )
    values = np.asarray(y) if isinstance(y, np.ndarray) and len(there) == len(labels) else np.array(there)
    classes = np.unique(values.reshape(-1))
    names = list(_budwood.label_names(classes.tolist()))
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise ValueError(f"several labels count as one class, '{twice}': blanks at ends do not count")
    return classes, names


class Classifier(_Classes, left_out=_settings.OF_IMAGES):
    """One of several labels for a text or a pair of texts, or several labels for each.

    >>> model = budwood.Classifier(epochs=3, seed=1)
    >>> model.get_params()["epochs"]
    3
    """


class ImageClassifier(_Classes, left_out=_settings.OF_TEXTS, also="skip_bad"):
    """One of several labels for an image: a path, the bytes of a file, an array
    ``uint8 [height, width(, 3)]`` or an image of Pillow."""

    _task = "image-classification"


class Regressor(_Estimator, left_out=_settings.OF_IMAGES):
    """A number for a text or a pair of texts."""

    _estimator_type = "regressor"
    _task = "regression"

    def fit(self, X: Any, y: Any, *, dev: Any = None, test: Any = None) -> Any:
        """Trains on texts and their numbers: see :meth:`budwood.Classifier.fit`."""
        return self._fit(X, y, dev, test, None)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The coefficient of determination R²."""
        right = np.asarray(_columns.to_list(y, "y"), np.float64)
        given = np.asarray(self.predict(X), np.float64)
        if len(right) != len(given):
            raise ValueError(f"there are {len(given)} rows in X, but {len(right)} numbers in y")
        weights = np.ones_like(right) if sample_weight is None else np.asarray(sample_weight)
        mean = np.average(right, weights=weights)
        rest, all_of_it = (np.sum(weights * (right - x) ** 2) for x in (given, mean))
        if all_of_it == 0.0:
            return 1.0 if rest == 0.0 else 0.0
        return float(1.0 - rest / all_of_it)


class TokenClassifier(_Estimator, left_out=_settings.OF_IMAGES):
    """A tag for each word of a sentence; ``score`` is the F1 of entities, or accuracy of tags."""

    _estimator_type = "classifier"
    _task = "token-classification"

    def fit(self, X: Any, y: Any, *, dev: Any = None, test: Any = None) -> Any:
        """Trains on sentences, each a list of words, and a list of tags for each.

        See :meth:`budwood.Classifier.fit`. ``classes_`` are the tags.
        """
        self._fit(X, y, dev, test, None)
        self.classes_ = np.array(self.adapter_.labels)
        return self
