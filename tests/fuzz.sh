#!/usr/bin/env bash
# Damaged input for every reader: tests/fuzz.sh [SECONDS_PER_TARGET [SEED]].
# What failed is kept in crates/fuzz/found; add it to a test, then remove it there.
set -euo pipefail
cd "$(dirname "$0")/.."
exec cargo run --quiet --release --locked -p budwood-fuzz -- all "${1:-60}" "${2:-1}"
