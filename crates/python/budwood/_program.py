"""Commands of the program that a process of its own does."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from typing import Any, Mapping, Sequence

from budwood import _budwood


def asked(words: Sequence[str], flags: Mapping[str, Any]) -> dict[str, Any]:
    """What a command prints as JSON. What it says beside that are warnings.

    Args:
        words: the command and its arguments.
        flags: values by name, with ``_`` for ``-``; None and False are left out.

    Raises:
        ValueError: if the words have no meaning.
        budwood.Error: if it fails.
    """
    given = [sys.executable, "-m", "budwood", *words, "--json"]
    for name, value in flags.items():
        if value is None or value is False:
            continue
        flag = f"--{name.replace('_', '-')}"
        # Joined, so that no value is read as a flag.
        given.append(flag if value is True else f"{flag}={value}")
    done = subprocess.run(given, capture_output=True, text=True, encoding="utf-8")
    said = done.stderr.strip()
    if done.returncode == 0:
        for line in said.splitlines():
            warnings.warn(line, UserWarning, stacklevel=3)
        told: dict[str, Any] = json.loads(done.stdout)
        return told
    # How the words are used is of the command line alone.
    fault = _budwood.as_arguments(said.removeprefix("error: ").split("\n\n")[0])
    raise ValueError(fault) if done.returncode == 2 else _budwood.Error(fault)
