#!/usr/bin/env bash
# Runs the tests of the CPU kernels (cpu-kernels/) for 64-bit ARM (NEON, and plain Rust) in QEMU, on a machine without ARM. Installs the emulator and a linker
# (Debian, Ubuntu), and Rust's library for ARM.
set -euo pipefail
cd "$(dirname "$0")/.."

target=aarch64-unknown-linux-gnu
# A separate target folder, because another target would rebuild everything else.
build="${CARGO_TARGET_DIR:-target}/tiers"
mkdir -p "$build"
export CARGO_TARGET_DIR="$(cd "$build" && pwd)"

if [ "$(uname -m)" != aarch64 ]; then
    scripts/setup.sh qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross
    rustup target list --installed | grep -qx "$target" || rustup target add "$target"
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
fi

# Optimised, as an emulator is slow enough, and with the checks that a release leaves out.
export CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true
# A test fails if another tier runs.
SAM2_CPU_TIER=neon "${CARGO:-cargo}" test --release --locked -p sam2-cpu-kernels --lib --tests --target "$target"
