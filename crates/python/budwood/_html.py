"""Tables in HTML, for notebooks."""

from __future__ import annotations

from html import escape
from typing import Any, Iterable


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table; what stands in it is text."""
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape(_shown(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    heading = f"<thead><tr>{cells}</tr></thead>" if cells else ""
    return f"<table>{heading}<tbody>{lines}</tbody></table>"


def _shown(cell: Any) -> str:
    return f"{cell:.4f}" if isinstance(cell, float) else str(cell)
