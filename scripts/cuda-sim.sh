#!/usr/bin/env bash
# The software CUDA device: tests/cuda-sim/README.md.
#
#   scripts/cuda-sim.sh                  install NVIDIA's compilers, build libcuda.so, run its tests
#   scripts/cuda-sim.sh run COMMAND...   run a program that was built with sam2-cli/cuda-toolkit on it
#
# Everything is kept in .cuda-sim, which git ignores: a quarter of a gigabyte, from PyPI.
set -euo pipefail
cd "$(dirname "$0")/.."

kept="$PWD/.cuda-sim"
toolkit="$kept/toolkit"

# Installs the compilers, pinned; skipped when they are there.
install_compilers() {
    if ! cmp -s tests/cuda-sim/requirements.txt "$kept/requirements.txt"; then
        rm -rf "$kept"
        mkdir -p "$kept"
        python3 -m venv "$kept/venv"
        "$kept/venv/bin/pip" install -q -r tests/cuda-sim/requirements.txt
        ln -s "$(echo "$kept"/venv/lib/python3*/site-packages/nvidia/cu13)" "$toolkit"
        cp tests/cuda-sim/requirements.txt "$kept/requirements.txt"
    fi
    [ -e "$toolkit/lib/libnvrtc.so.13" ] || { echo "$toolkit/lib/libnvrtc.so.13 is missing: remove $kept and run this again" >&2; exit 1; }
}

# A folder of its own: the flags are not those of the workspace.
build="${CARGO_TARGET_DIR:-$PWD/target}/cuda-sim"
mkdir -p "$build"
build="$(cd "$build" && pwd)"

build_library() {
    (cd tests/cuda-sim && CARGO_TARGET_DIR="$build" "${CARGO:-cargo}" build --release --locked --lib)
    # Only under this name. NVRTC opens `libcuda.so.1` if there is one, asks it for functions that are not here, and crashes.
    rm -rf "$kept/lib"
    mkdir -p "$kept/lib"
    cp "$build/release/libcuda.so" "$kept/lib/libcuda.so"
    ln -s "$toolkit/lib/libnvrtc.so.13" "$kept/lib/libnvrtc.so"
}

case "${1:-test}" in
test)
    install_compilers
    build_library
    cd tests/cuda-sim
    export CARGO_TARGET_DIR="$build" CUDA_SIM_NVRTC="$toolkit"
    "${CARGO:-cargo}" fmt --check
    "${CARGO:-cargo}" clippy --release --locked --all-targets -- -D warnings
    "${CARGO:-cargo}" test --release --locked
    echo "libcuda.so: $kept/lib; a program on it: scripts/cuda-sim.sh run COMMAND..."
    ;;
run)
    shift
    [ -e "$kept/lib/libcuda.so" ] || { echo "libcuda.so is missing: make cuda-sim builds it" >&2; exit 1; }
    export LD_LIBRARY_PATH="$kept/lib:$toolkit/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" CUDA_PATH="$toolkit"
    exec "$@"
    ;;
*)
    echo "usage: scripts/cuda-sim.sh [test | run COMMAND...]" >&2
    exit 2
    ;;
esac
