#!/usr/bin/env python3
"""Builds the wheel, installs it in an environment of its own, and runs what is beside this file.

    tests/python/run.py               the wheel in the release profile, all tests, types
    tests/python/run.py --wheel FILE  the same with a wheel that is there

The environment is made once: see tests/environment.py.
"""

import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))

import environment

# Versions are pinned: what these print is compared.
environment.enter(
    "python",
    [
        "maturin==1.16.0",
        "mypy==2.4.1",
        "numpy==2.4.6",
        "pandas==3.1.1",
        "pillow==13.0.0",
        "polars==2.1.0",
        "pyarrow==26.0.1",
        "pytest==9.2.0",
        "scikit-learn==1.9.1",
    ],
)


def run(*words, **more):
    print("$", *words, flush=True)
    subprocess.run([str(w) for w in words], check=True, cwd=ROOT, **more)


def wheel():
    """The wheel that was built, with the profile and the artefacts of `cargo build --release`."""
    if sys.argv[1:2] == ["--wheel"]:
        return pathlib.Path(sys.argv[2]).resolve()
    out = ROOT / "target" / "wheels"
    for old in out.glob("budwood-*.whl"):
        old.unlink()
    run(sys.executable, "-m", "maturin", "build", "--release", "--locked", "--out", out, "-i", sys.executable)
    (built,) = out.glob("budwood-*.whl")
    return built


def main():
    built = wheel()
    print(built.name, built.stat().st_size, "bytes")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--force-reinstall", "--no-index"]
    run(*pip, built)
    # Not from the sources: the package must not be found here but where it is installed.
    environment_of_tests = {**os.environ, "PYTHONSAFEPATH": "1"}
    run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", HERE, env=environment_of_tests)
    allowed = ["--allowlist", HERE / "stubtest.txt", "--ignore-unused-allowlist"]
    run(sys.executable, "-m", "mypy.stubtest", "budwood", "--concise", *allowed, env=environment_of_tests)
    run(sys.executable, "-m", "mypy", "--strict", HERE / "typed.py", env=environment_of_tests)


if __name__ == "__main__":
    main()
