#!/usr/bin/env bash
# The kernels on aarch64, by an emulator (QEMU): NEON, its dot products and i8mm. Takes Rust's
# target, a cross compiler and the emulator, which it installs where it may. About 2 minutes.
# Says nothing about speed.
set -euo pipefail
cd "$(dirname "$0")/.."
target=aarch64-unknown-linux-gnu
# The compiler comes without the library's files if nothing else was asked for.
crt=/usr/aarch64-linux-gnu/lib/crti.o
if ! command -v qemu-aarch64 > /dev/null || ! command -v aarch64-linux-gnu-gcc > /dev/null || [ ! -e $crt ]; then
    (apt-get update -qq && apt-get install -y -qq --no-install-recommends \
        qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross) > /dev/null 2>&1 || true
fi
if ! command -v qemu-aarch64 > /dev/null || ! command -v aarch64-linux-gnu-gcc > /dev/null; then
    echo "SKIPPED: no emulator or no cross compiler for aarch64"
    exit 0
fi
if ! rustup target add "$target" > /dev/null 2>&1; then
    echo "SKIPPED: Rust's target $target cannot be fetched"
    exit 0
fi
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
# A processor with everything, then one without products of bytes.
for processor in max cortex-a53; do
    echo "== $processor"
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu $processor"
    cargo test --locked -p budwood-kernels --lib --target "$target"
done
