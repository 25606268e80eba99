#!/usr/bin/env bash
# Damaged input for every reader: tests/fuzz.sh [SECONDS_PER_TARGET [SEED]].
# What failed is kept in crates/fuzz/found; add it to a test, then remove it there.
# FUZZ_PROFILE=dev checks arithmetic for overflow, too.
set -euo pipefail
cd "$(dirname "$0")/.."
profile="${FUZZ_PROFILE:-release}"
exec cargo run --quiet --profile "$profile" --locked -p budwood-fuzz -- all "${1:-60}" "${2:-1}"
