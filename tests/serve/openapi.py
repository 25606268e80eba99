#!/usr/bin/env python3
"""What the server's description of itself promises, tried by schemathesis: thousands of requests made from it, and no 5xx.

    python3 tests/serve/openapi.py BUDWOOD [EXAMPLES]

Makes a virtual environment in the folder for temporary files, or where BUDWOOD_SCHEMATHESIS_VENV says. Talks to loopback only.
EXAMPLES of each operation; 200 unless another number is given.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent), str(pathlib.Path(__file__).resolve().parents[1])]
import environment  # noqa: E402
from world import Server, ask, make  # noqa: E402


def main(program, examples):
    place = pathlib.Path(tempfile.mkdtemp(prefix="budwood-openapi-"))
    server = None
    try:
        make(program, place, 1)
        server = Server(program, place, "--adapters", "adapters/a0")
        checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
        found = subprocess.run([pathlib.Path(sys.executable).parent / "schemathesis", "run", f"http://127.0.0.1:{server.port}/openapi.json",
                                "--checks", checks, "--max-examples", examples, "--phases", "examples,coverage,fuzzing", "--seed", "1",
                                "--workers", "2"], cwd=place)
        assert server.process.poll() is None, "the server ended"
        assert ask(server.port, "GET", "/health")[0] == 200
        return found.returncode
    finally:
        if server:
            server.end()
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    environment.enter("schemathesis", ["schemathesis"])
    sys.exit(main(os.path.abspath(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "200"))
