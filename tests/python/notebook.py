#!/usr/bin/env python3
"""Runs the notebooks of `examples/` from top to bottom, and looks at the pictures in them.

    tests/python/notebook.py WHEEL            fails where a cell fails or shows nothing
    tests/python/notebook.py WHEEL --keep     also writes what the cells show into the notebooks

It needs the model `minilm`, which is fetched where it is not in the cache.
"""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES = HERE.parent.parent / "examples"
sys.path.insert(0, str(HERE.parent))

import environment

environment.enter("notebook", ["ipykernel==7.4.0", "nbclient==0.11.0", "nbformat==5.11.1", "numpy==2.4.6"])

import nbclient
import nbformat


def main():
    wheel = pathlib.Path(sys.argv[1]).resolve()
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--force-reinstall", "--no-index"]
    subprocess.run([*pip, wheel], check=True)
    for path in sorted(EXAMPLES.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        # Not from the folder of the sources.
        nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": "/"}}).execute()
        shown = [out.data.get("text/html", "") for cell in notebook.cells for out in cell.get("outputs", []) if "data" in out]
        said = [out for cell in notebook.cells for out in cell.get("outputs", []) if out.output_type == "stream"]
        assert any("<progress" in html for html in shown), "the bar of the training"
        assert any("background:rgba" in html for html in shown), "the words of an explanation"
        assert sum("<table" in html for html in shown) >= 3, "the run, the scores, the adapter"
        assert not said, said
        print(f"{path.name}: {len(notebook.cells)} cells, {len(shown)} pictures")
        if sys.argv[2:] == ["--keep"]:
            for cell in notebook.cells:
                cell.get("metadata", {}).pop("execution", None)
            nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
