"""Settings of runs: names and defaults are those of the command line, asked of the library."""

from __future__ import annotations

import difflib
import inspect
import json
import math
import os
from functools import cache
from typing import Any, Iterable

from budwood import _budwood

#: What says where files are and how they are read.
OF_FILES = frozenset(
    "data name area dev_data test_data test text_column image_column image_root label_column "
    "encoding no_header tsv_quotes separator paragraphs label_names max_unpacked task skip_bad".split()
)
#: What has a meaning for images alone.
OF_IMAGES = frozenset("image_size flip random_crop image_cache".split())
#: What has a meaning for texts alone.
OF_TEXTS = frozenset("max_length doc_stride".split())
#: What has a meaning for masked language models alone.
OF_MASKS = frozenset("mask_share whole_words".split())


@cache
def _known() -> dict[str, tuple[Any, str, list[str]]]:
    def plain(text: str) -> Any:
        value = json.loads(text)
        return tuple(value) if isinstance(value, list) else value

    return {n: (plain(default), help, words) for n, default, help, words in _budwood.settings()}


def settings() -> dict[str, Any]:
    """All settings of a run with their defaults: those of ``budwood train``, with ``_`` for ``-``.

    >>> budwood.settings()["base"]
    'minilm'
    """
    return {name: default for name, (default, _, _) in _known().items()}


def without(*groups: Iterable[str]) -> dict[str, Any]:
    """The settings that are in none of some groups, with their defaults."""
    left_out = set().union(*groups)
    return {name: value for name, value in settings().items() if name not in left_out}


def check(given: Iterable[str], known: Iterable[str], of: str) -> None:
    """Refuses an argument that is no setting."""
    known = list(known)
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise TypeError(f"{of}() got an unexpected keyword argument '{name}'{hint}")


def signature(
    before: list[inspect.Parameter], names: dict[str, Any], returns: Any = inspect.Signature.empty
) -> inspect.Signature:
    """A signature of some parameters, and of settings by keyword."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    rest = [inspect.Parameter(n, keyword, default=value) for n, value in names.items()]
    return inspect.Signature([*before, *rest], return_annotation=returns)


def described(names: Iterable[str]) -> str:
    """The help of some settings, as a part of a docstring."""
    lines = []
    for name in names:
        default, help, words = _known()[name]
        usual = "" if "[default:" in help else f" [default: {default!r}]"
        one_of = f" One of {', '.join(words)}." if words else ""
        lines.append(f"    {name}: {help}{one_of}{usual}")
    return "\n".join(lines)


def _plain(name: str, value: Any) -> Any:
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name}={value} is no finite number")
    if name == "class_weights" and isinstance(value, dict):
        classes = _budwood.label_names(list(value))
        return [f"{label}={_plain(name, w)}" for label, w in zip(classes, value.values())]
    if isinstance(value, (list, tuple)) or hasattr(value, "tolist"):
        return [_plain(name, item) for item in value]
    return value


def encoded(given: dict[str, Any]) -> str:
    """Settings as the library takes them."""
    plain = {}
    for name, value in given.items():
        # One value in the place of a list of them.
        is_list = isinstance(_known()[name][0], tuple)
        plain[name] = _plain(name, [value] if is_list and isinstance(value, str) else value)
    for name, value in plain.items():
        try:
            json.dumps(value)
        except TypeError:
            kind = type(value).__name__
            raise TypeError(f"{name}={value!r}: {kind} is no value of a setting") from None
    return json.dumps(plain)
