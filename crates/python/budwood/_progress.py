"""A bar in a notebook that shows how far a run is."""

from __future__ import annotations

import sys
import time
from html import escape
from typing import Any

#: Seconds between two pictures of it.
_PAUSE = 0.2


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook, which can show and change a picture."""
    # What is not loaded is not in use.
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


class Bar:
    """Shows each event of a run in the place of the one before it."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._shown = 0.0
        self._scores = ""

    def __call__(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "evaluated":
            scores = ", ".join(f"{n} {v:.4f}" for n, v in event["scores"].items() if v is not None)
            self._scores = f"step {event['step']}: {scores}"
        now = time.monotonic()
        last = kind == "step" and event["step"] == event["steps"]
        if now - self._shown < _PAUSE and not last and kind != "evaluated":
            return
        self._shown = now
        picture = _Picture(self._html(event))
        if self._handle is None:
            from IPython.display import display  # type: ignore[import-not-found,unused-ignore]

            self._handle = display(picture, display_id=True)
        else:
            self._handle.update(picture)

    def _html(self, event: dict[str, Any]) -> str:
        kind = event["event"]
        if kind == "step":
            done, of = event["step"], event["steps"]
            said = f"step {done} of {of}, epoch {event['epoch']}, loss {event['loss']:.4f}"
        elif kind == "vectors":
            done, of = event["done"], event["of"]
            said = f"vectors: {done} of {of}"
        elif kind == "fetching":
            done, of, said = None, 1, f"fetching {event['name']}"
        else:
            done, of, said = None, 1, kind
        place = "" if done is None else f' value="{done}"'
        bar = f'<progress max="{of}"{place} style="width:20em"></progress>'
        scores = f"<div>{escape(self._scores)}</div>" if self._scores else ""
        return f"<div>{bar} {escape(said)}</div>{scores}"


class _Picture:
    def __init__(self, html: str) -> None:
        self._html = html

    def _repr_html_(self) -> str:
        return self._html

    def __repr__(self) -> str:
        return "<progress of a run>"
