#!/usr/bin/env bash
# Adapters between Budwood and Python's libraries: tests/interop/run.sh [FOLDER_OF_THE_ENVIRONMENT].
# Makes a virtual environment (several GB are fetched) where there is none. Says when it is skipped, and why.
set -euo pipefail
cd "$(dirname "$0")/../.."
environment=${1:-target/interop}
if [ ! -x "$environment/bin/python" ]; then
    python3 -m venv "$environment"
    if ! "$environment/bin/pip" install --quiet torch==2.15.0 transformers==4.57.6 adapters==1.3.0 peft==0.21.2; then
        rm -rf "$environment"
        echo "SKIPPED: the Python libraries cannot be fetched"
        exit 0
    fi
fi
cargo build --quiet --workspace --bin budwood
exec "$environment/bin/python" tests/interop/run.py target/debug/budwood
