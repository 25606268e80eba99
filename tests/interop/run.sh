#!/usr/bin/env bash
# Adapters between Budwood and Python's libraries:
#     tests/interop/run.sh [FOLDER_OF_ENVIRONMENTS]
# Twice: with transformers 4.57.6 and adapters 1.3.0, and with transformers 5, which adapters does not load with. Virtual
# environments are made in the folder where there are none (several GB are fetched). Says what is skipped, and why.
# INTEROP_4 and INTEROP_5 name environments that are there; BUDWOOD names a program that is built already.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:-target/interop}
[ -n "${BUDWOOD:-}" ] || cargo build --quiet --workspace --bin budwood
budwood=${BUDWOOD:-target/debug/budwood}
failed=0

# compare NAME ENVIRONMENT PACKAGE ...: with an environment, which is made from these packages.
compare() {
    local name=$1 environment=$2
    shift 2
    echo "== $name"
    if [ ! -x "$environment/bin/python" ]; then
        python3 -m venv "$environment"
        if ! "$environment/bin/pip" install --quiet pillow "$@"; then
            rm -rf "$environment"
            echo "SKIPPED: the Python libraries cannot be fetched"
            return
        fi
    fi
    "$environment/bin/python" tests/interop/run.py "$budwood" || failed=1
}

compare "transformers 4" "${INTEROP_4:-$folder/4}" torch==2.15.0 transformers==4.57.6 adapters==1.3.0 peft==0.21.2 sentence-transformers
compare "transformers 5" "${INTEROP_5:-$folder/5}" torch==2.15.0 transformers==5.24.0 peft==0.21.2 sentence-transformers
exit "$failed"
