#!/usr/bin/env bash
# Exports to ONNX against ONNX Runtime and, under Node, onnxruntime-web:
#     tests/interop/onnx.sh [FOLDER_OF_THE_ENVIRONMENT [FOLDER_OF_DATA]]
# Makes a virtual environment where there is none. Says what is skipped, and why. With a folder of data (see
# onnx_graphs.py) the accuracy and speed of int8 on MiniLM are measured instead, which needs a program built for release.
# The variable BUDWOOD names a program that is built already.
set -euo pipefail
cd "$(dirname "$0")/../.."
environment=${1:-target/onnx}
if [ ! -x "$environment/bin/python" ]; then
    python3 -m venv "$environment"
    if ! "$environment/bin/pip" install --quiet numpy onnx==1.23.2 onnxruntime==1.32.0 tokenizers==0.22.1 pillow sympy; then
        rm -rf "$environment"
        echo "SKIPPED: the Python libraries cannot be fetched"
        exit 0
    fi
fi
python="$environment/bin/python"
if [ $# -ge 2 ]; then
    [ -n "${BUDWOOD:-}" ] || cargo build --quiet --release
    exec "$python" tests/interop/onnx_graphs.py "${BUDWOOD:-target/release/budwood}" --data "$2"
fi
[ -n "${BUDWOOD:-}" ] || cargo build --quiet --workspace --bin budwood
budwood=${BUDWOOD:-target/debug/budwood}
"$python" tests/interop/onnx_graphs.py "$budwood"
if ! command -v npm > /dev/null; then
    echo "SKIPPED: without Node there is no onnxruntime-web"
    exit 0
fi
if [ ! -d "$environment/node/node_modules" ] && ! npm install --silent --no-audit --no-fund --ignore-scripts \
    --prefix "$environment/node" onnxruntime-web@1 @huggingface/transformers@4 > /dev/null; then
    echo "SKIPPED: onnxruntime-web cannot be fetched"
    exit 0
fi
cases=$(mktemp -d)
trap 'rm -rf "$cases"' EXIT
"$python" tests/interop/onnx_node.py "$budwood" "$cases/cases.json"
node tests/interop/onnx.mjs "$environment/node" "$cases/cases.json"
