#!/usr/bin/env bash
# The software CUDA device: tests/cuda-sim/README.md.
#
#   scripts/cuda-sim.sh                  install NVIDIA's compilers, build libcuda.so, run its tests and those of `program`
#   scripts/cuda-sim.sh program [quick]  run the engine's GPU tests on it, measure launches and host time; quick is the part that CI runs
#   scripts/cuda-sim.sh run COMMAND...   run a program built by `make cuda` on it
#   scripts/cuda-sim.sh missing PROGRAM  run the program that `make cuda` built with driver, NVRTC or headers missing or in other places
#   scripts/cuda-sim.sh failures PROGRAM run a job on a GPU that is lost or too small, and resume it
#
# Downloads go to .cuda-sim, which git ignores: half a gigabyte, from PyPI.
set -euo pipefail
cd "$(dirname "$0")/.."

kept="$PWD/.cuda-sim"
toolkit="$kept/toolkit"

# Installs the pinned compilers, unless they are installed already.
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

# The flags are not those of the workspace, so the build has its own target folder.
build="${CARGO_TARGET_DIR:-$PWD/target}/cuda-sim"
mkdir -p "$build"
build="$(cd "$build" && pwd)"

build_library() {
    (cd tests/cuda-sim && CARGO_TARGET_DIR="$build" "${CARGO:-cargo}" build --release --locked --lib)
    # Only under this name: if there is a `libcuda.so.1`, NVRTC opens it, calls functions that are not implemented here, and crashes.
    rm -rf "$kept/lib"
    mkdir -p "$kept/lib"
    cp "$build/release/libcuda.so" "$kept/lib/libcuda.so"
    ln -s "$toolkit/lib/libnvrtc.so.13" "$kept/lib/libnvrtc.so"
}

test_library() (
    cd tests/cuda-sim
    export CARGO_TARGET_DIR="$build" CUDA_SIM_NVRTC="$toolkit"
    "${CARGO:-cargo}" fmt --check
    "${CARGO:-cargo}" clippy --release --locked --all-targets -- -D warnings
    "${CARGO:-cargo}" test --release --locked
)

# Runs the engine's own tests through cubecl-cuda, NVRTC and the interpreter. Kernels are not saved, so the tests run the kernels just compiled.
test_program() {
    local quick=${1:-} dump check counts targets
    dump=$(mktemp -d)
    trap 'rm -rf "$dump"' RETURN
    program_of() { CARGO="$PWD/scripts/cuda-toolkit.sh" scripts/test-program.sh "$1" "${FEATURES:-sam2-cli/cuda}"; }
    check=$(program_of gpu_check)
    counts=$(program_of gpu_counts)
    targets=$([ -n "$quick" ] && echo 80 || echo 75 80 90)
    # The default is an A100.
    export CUDA_SIM_SM=80
    on_device() { SAM2_KERNEL_CACHE=0 SAM2_TEST_DEVICE=cuda "$PWD/scripts/cuda-sim.sh" run "$@"; }
    for sm in $targets; do
        echo "== kernels as sm_$sm"
        CUDA_SIM_SM=$sm CUDA_SIM_SUMMARY="$dump/kernels-$sm.json" on_device "$check" gpu_kernels::
    done
    echo "== the micro model, module by module, beside PyTorch"
    CUDA_SIM_SUMMARY="$dump/blocks.json" on_device "$check" parity_blocks::
    echo "== tracking beside PyTorch"
    CUDA_SIM_SUMMARY="$dump/tracking.json" on_device "$check" parity_tracking::$([ -n "$quick" ] && echo an_absent_object)
    echo "== what only a GPU shows"
    CUDA_SIM_SUMMARY="$dump/gpu.json" on_device "$check" $([ -n "$quick" ] && echo gpu::too_much_memory gpu::what_is_joined gpu::f16_stays || echo gpu::)
    echo "== a layer of each kind at the size that tiny has at 1024"
    CUDA_SIM_SUMMARY="$dump/full-size.json" on_device "$check" full_size::
    echo "== launches, copies and memory of a frame, and the host's time"
    for sm in $targets; do
        mkdir "$dump/ptx-$sm"
        CUDA_SIM_SM=$sm CUDA_SIM_DUMP="$dump/ptx-$sm" CUDA_SIM_MODE=count CUDA_SIM_LOG="$dump/log-$sm" on_device "$counts" launches --nocapture | tee "$dump/launches"
    done
    # The limit on host time is for an idle machine, so CI does not apply it. Run twice: the first run compiles.
    echo "host ms tiny (not measured)" >"$dump/host"
    if [ -z "$quick" ]; then
        for _ in 1 2; do CUDA_SIM_MODE=count on_device "$counts" milliseconds --nocapture | tee "$dump/host"; done
    fi
    echo "== registers, shared memory and loops of every kernel"
    "$kept/venv/bin/python" tests/cuda-sim/kernels.py "$toolkit" "$dump"/ptx-* --logs "$dump"/log-*
    local races='import json, sys; print(sum(n for path in sys.argv[1:] for kind, n in json.load(open(path))["findings"] if "race" in kind))'
    printf 'launches tiny %s large %s; host ms tiny %s; kernels %s; races %s; failures 0\n' \
        "$(sed -n 's/^launches tiny \([0-9]*\)$/\1/p' "$dump/launches")" \
        "$(sed -n 's/^launches large //p' "$dump/launches")" \
        "$(sed -n 's/^host ms tiny //p' "$dump/host")" \
        "$(find "$dump" -name '*.ptx' | wc -l)" "$("$kept/venv/bin/python" -c "$races" "$dump"/*.json)"
}

# Shows what a user sees when a GPU fails: program $1 runs a job that ends with an error and advice, and then resumes it.
test_failures() {
    local program=$1 work
    work=$(mktemp -d)
    trap 'rm -rf "$work"' RETURN
    local job=(segment assets/clips/mouse-arena.mp4 --keypoints assets/clips/mouse-arenaDLC_synthetic_micro.csv --bodyparts snout,body,tailbase
        --batch-size 3 --frames 0..9 --precision f32)
    sam2() { SAM2_KERNEL_CACHE=0 "$PWD/scripts/cuda-sim.sh" run "$program" "$@"; }
    # must_fail WORDS VARIABLE=VALUE...: checks that the job ends with an error that contains WORDS, and keeps its journal.
    must_fail() {
        local words=$1 status=0
        shift
        (
            export "$@"
            sam2 "${job[@]}" --device cuda -o "$work/masks.btf" --resume
        ) >"$work/said" 2>&1 || status=$?
        if [ "$status" -eq 0 ] || ! grep -q -- "$words" "$work/said" || [ -e "$work/masks.btf" ]; then
            echo "FAILED: expected '$words' of $*, got exit $status:"
            cat "$work/said"
            return 1
        fi
        echo "ok: $(grep -m 1 -- "$words" "$work/said")"
    }
    echo "== a GPU that is lost, or too small, and the job resumed"
    must_fail "the device was lost" CUDA_SIM_LOSE_AFTER=1500
    must_fail "error: the device is out of memory" CUDA_SIM_MEMORY=12M
    sam2 "${job[@]}" --device cuda -o "$work/masks.btf" --resume 2>&1 | tail -n 3
    "$program" "${job[@]}" --device cpu -o "$work/cpu.btf" 2>/dev/null
    "$program" score "$work/masks.btf" "$work/cpu.btf"
}

case "${1:-test}" in
test)
    install_compilers
    build_library
    test_library
    test_program
    ;;
program)
    install_compilers
    build_library
    test_program "${2:-}"
    ;;
run)
    shift
    [ -e "$kept/lib/libcuda.so" ] || { echo "libcuda.so is missing: make cuda-sim builds it" >&2; exit 1; }
    export LD_LIBRARY_PATH="$kept/lib:$toolkit/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" CUDA_PATH="$toolkit"
    exec "$@"
    ;;
missing)
    program=${2:-target/release/sam2}
    [ -e "$kept/lib/libcuda.so" ] || { echo "libcuda.so is missing: make cuda-sim builds it" >&2; exit 1; }
    [ -x "$program" ] || { echo "$program is missing: make cuda builds it" >&2; exit 1; }
    work=$(mktemp -d "$kept/missing.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work/driver" "$work/bare" "$work/home"
    cp "$kept/lib/libcuda.so" "$work/driver"
    # NVRTC without headers next to it. It is copied, because a link would lead to the headers.
    cp -L "$toolkit"/lib/libnvrtc.so.13 "$toolkit"/lib/libnvrtc-builtins.so.* "$work/bare"
    failed=0
    # expect WORDS VARIABLE=VALUE... -- ARGUMENTS...: checks that the program prints WORDS, with only these variables in its environment.
    expect() {
        local words="$1" variables=() output
        shift
        while [ "$1" != -- ]; do
            variables+=("$1")
            shift
        done
        shift
        output=$(env -i PATH="$PATH" HOME="$work/home" "${variables[@]}" "$program" "$@" 2>&1) || true
        if grep -qF -- "$words" <<<"$output"; then
            echo "ok: $words"
        else
            echo "FAILED: expected '$words' of: ${variables[*]} $program $*"
            echo "$output"
            failed=1
        fi
    }
    whole="LD_LIBRARY_PATH=$kept/lib:$toolkit/lib"
    driver="LD_LIBRARY_PATH=$work/driver"
    expect "there is no NVIDIA driver" -- bench --device cuda
    expect "the NVIDIA driver supports CUDA 11.0, too old for NVRTC 13" "$whole" "CUDA_PATH=$toolkit" CUDA_SIM_DRIVER=11000 -- bench --device cuda
    expect "'nvidia-cuda-nvrtc-cu12<12.5'" "$whole" "CUDA_PATH=$toolkit" CUDA_SIM_DRIVER=12040 -- bench --device cuda
    expect "NVRTC, which compiles the kernels, was not found" "$driver" -- bench --device cuda
    expect "CUDA's headers of that version are not" "$driver:$work/bare" -- bench --device cuda
    expect "CUDA device 7 is not there (1 found)" "$whole" "CUDA_PATH=$toolkit" -- bench --device cuda:7
    expect "the NVIDIA GPU is not used: NVRTC" "$driver" -- devices
    expect "cuda:0" "$whole" "CUDA_PATH=$toolkit" -- devices
    expect "cuda:0" "$driver" "VIRTUAL_ENV=$kept/venv" -- devices
    expect "(found by a Python environment)" "$driver" "VIRTUAL_ENV=$kept/venv" -- doctor
    expect "(found by CUDA_PATH)" "$whole" "CUDA_PATH=$toolkit" -- doctor
    exit "$failed"
    ;;
failures)
    program=${2:-target/release/sam2}
    [ -x "$program" ] || { echo "$program is missing: make cuda builds it" >&2; exit 1; }
    test_failures "$program"
    ;;
*)
    echo "usage: scripts/cuda-sim.sh [test | program [quick] | run COMMAND... | missing PROGRAM | failures PROGRAM]" >&2
    exit 2
    ;;
esac
