"""Runs a script again in a virtual environment of its own that has the packages it needs."""

import os
import pathlib
import subprocess
import sys
import tempfile
import venv


def enter(name, packages):
    """Returns in the environment: made once in the folder for temporary files, or where BUDWOOD_NAME_VENV says."""
    folder = pathlib.Path(os.environ.get(f"BUDWOOD_{name.upper()}_VENV", f"{tempfile.gettempdir()}/budwood-{name}"))
    # Set by this function alone: the script runs in the environment.
    mark = f"BUDWOOD_{name.upper()}"
    if os.environ.get(mark):
        return
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    os.environ[mark] = "1"
    os.execv(python, [str(python), *sys.argv])
