"""What answers hang on."""

from __future__ import annotations

from html import escape
from typing import Any

#: The colours of words that make a number larger and smaller; both are read on white and on black.
_LARGER, _SMALLER = "38,110,190", "214,110,20"


class Explanation(dict[str, Any]):
    """An answer, and what it hangs on: what ``budwood predict --explain --json`` prints.

    ``["explained"]`` holds for each number that is explained its name ``of``, the ``number`` and
    its ``words``, each with its place in the text and its ``effect``: how much larger the number is
    with the word than without it.
    """

    __module__ = "budwood"

    @classmethod
    def of(cls, value: Any, told: dict[str, Any]) -> Explanation:
        """The explanation of an input, whose texts go before the answer."""
        texts = [value] if isinstance(value, str) else value
        return cls({**dict(zip(("text", "text2"), texts)), **told})

    def _repr_html_(self) -> str:
        return "".join(self._marked(explained) for explained in self["explained"])

    def _marked(self, explained: dict[str, Any]) -> str:
        of, number = explained["of"], explained["number"]
        title = f"{of} {number:.4g}" if of == "value" else f"{of}, probability {number:.3f}"
        largest = max((abs(word["effect"]) for word in explained["words"]), default=0.0) or 1.0
        out = f"<p><strong>{escape(title)}</strong></p>"
        for part in ("text", "text2"):
            if part not in self:
                continue
            text, at, shown = self[part], 0, ""
            for word in (w for w in explained["words"] if w["part"] == part):
                colour = _LARGER if word["effect"] >= 0 else _SMALLER
                share = abs(word["effect"]) / largest
                shown += escape(text[at : word["start"]])
                shown += (
                    f'<span style="background:rgba({colour},{0.6 * share:.2f})" '
                    f'title="{word["effect"]:+.4f}">{escape(word["word"])}</span>'
                )
                at = word["end"]
            out += f"<p>{shown}{escape(text[at:])}</p>"
        return out
