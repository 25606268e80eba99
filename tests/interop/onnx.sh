#!/usr/bin/env bash
# Exports to ONNX against ONNX Runtime: tests/interop/onnx.sh [FOLDER_OF_THE_ENVIRONMENT [FOLDER_OF_DATA]].
# Makes a virtual environment where there is none. Says what is skipped, and why. With a folder of data (see onnx_graphs.py) the
# accuracy of int8 is measured on MiniLM too, with the program built for release.
set -euo pipefail
cd "$(dirname "$0")/../.."
environment=${1:-target/onnx}
if [ ! -x "$environment/bin/python" ]; then
    python3 -m venv "$environment"
    if ! "$environment/bin/pip" install --quiet numpy==2.3.5 onnx==1.23.2 onnxruntime==1.32.0 tokenizers==0.22.1 pillow; then
        rm -rf "$environment"
        echo "SKIPPED: the Python libraries cannot be fetched"
        exit 0
    fi
fi
if [ $# -ge 2 ]; then
    cargo build --quiet --release
    exec "$environment/bin/python" tests/interop/onnx_graphs.py target/release/budwood --data "$2"
fi
cargo build --quiet --workspace --bin budwood
exec "$environment/bin/python" tests/interop/onnx_graphs.py target/debug/budwood
