#!/usr/bin/env bash
# The software CUDA device: tests/cuda-sim/README.md.
#
#   scripts/cuda-sim.sh                  install NVIDIA's compilers, build libcuda.so, run its tests and those of `program`
#   scripts/cuda-sim.sh program [quick]  the engine's GPU tests on it, launches and the host's time; quick is CI's share
#   scripts/cuda-sim.sh run COMMAND...   run a program that was built by `make cuda` on it
#   scripts/cuda-sim.sh missing PROGRAM  what `make cuda` built, where driver, NVRTC or headers are missing or lie elsewhere
#   scripts/cuda-sim.sh ptxas FOLDER     registers, spills and shared memory of kernels whose PTX CUDA_SIM_DUMP has put there
#
# Everything is kept in .cuda-sim, which git ignores: half a gigabyte, from PyPI.
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

test_library() (
    cd tests/cuda-sim
    export CARGO_TARGET_DIR="$build" CUDA_SIM_NVRTC="$toolkit"
    "${CARGO:-cargo}" fmt --check
    "${CARGO:-cargo}" clippy --release --locked --all-targets -- -D warnings
    "${CARGO:-cargo}" test --release --locked
)

# A test of the engine on the device: its name, then arguments of the test.
on_device() {
    local test=$1
    shift
    SAM2_TEST_DEVICE=cuda "$PWD/scripts/cuda-sim.sh" run scripts/cuda-toolkit.sh test --release --workspace --locked \
        --features "${FEATURES:-sam2-cli/cuda}" --test "$test" -- --nocapture "$@"
}

# The engine's own tests, through cubecl-cuda, NVRTC and the interpreter.
test_program() {
    local quick=${1:-} dump
    dump=$(mktemp -d)
    trap 'rm -rf "$dump"' RETURN
    export CUDA_SIM_DUMP="$dump/ptx"
    mkdir -p "$dump/ptx"
    for sm in $([ -n "$quick" ] && echo 80 || echo 75 80 90); do
        echo "== kernels as sm_$sm"
        CUDA_SIM_SM=$sm CUDA_SIM_SUMMARY="$dump/kernels-$sm.json" on_device gpu_kernels
    done
    echo "== the micro model, module by module, beside PyTorch"
    CUDA_SIM_SUMMARY="$dump/blocks.json" on_device parity_blocks
    echo "== tracking beside PyTorch"
    CUDA_SIM_SUMMARY="$dump/tracking.json" on_device parity_tracking \
        $([ -n "$quick" ] && echo an_absent_object)
    echo "== what only a GPU shows"
    CUDA_SIM_SUMMARY="$dump/gpu.json" on_device gpu $([ -n "$quick" ] && echo too_much_memory what_is_joined)
    unset CUDA_SIM_DUMP
    echo "== launches, and the host's time"
    CUDA_SIM_MODE=count CUDA_SIM_LOG="$dump/log" on_device gpu_counts launches | tee "$dump/launches"
    CUDA_SIM_MODE=count on_device gpu_counts milliseconds | tee "$dump/host"
    echo "== registers and shared memory of every kernel"
    "$PWD/scripts/cuda-sim.sh" ptxas "$dump/ptx" >"$dump/table"
    # Registers are at most 255 in any case; a kernel that does not fit spills them.
    if awk -F '\t' 'NR > 1 && $3 != "0, 0"' "$dump/table" | grep .; then
        echo "these kernels spill registers" >&2
        return 1
    fi
    awk -F '\t' 'NR > 1 { if ($2 > r) r = $2; if ($4 > s) s = $4 } END { print "at most", r, "registers and", s, "bytes of shared memory" }' "$dump/table"
    local races='import json, sys; print(sum(n for path in sys.argv[1:] for kind, n in json.load(open(path))["findings"] if "race" in kind))'
    printf 'launches tiny %s large %s; host ms tiny %s; kernels %s; races %s; failures 0\n' \
        "$(sed -n 's/^launches tiny \([0-9]*\)$/\1/p' "$dump/launches")" \
        "$(sed -n 's/^launches large //p' "$dump/launches")" \
        "$(sed -n 's/^host ms tiny //p' "$dump/host")" \
        "$(find "$dump/ptx" -name '*.ptx' | wc -l)" "$("$kept/venv/bin/python" -c "$races" "$dump"/*.json)"
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
    # NVRTC without headers near it: not a link, which would lead to them.
    cp -L "$toolkit"/lib/libnvrtc.so.13 "$toolkit"/lib/libnvrtc-builtins.so.* "$work/bare"
    failed=0
    # expect WORDS VARIABLE=VALUE... -- ARGUMENTS...: the program, with nothing else in its environment, says so.
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
ptxas)
    [ -x "$toolkit/bin/ptxas" ] || { echo "ptxas is missing: make cuda-sim installs it" >&2; exit 1; }
    [ -d "${2:-}" ] || { echo "usage: scripts/cuda-sim.sh ptxas FOLDER" >&2; exit 2; }
    printf 'kernel\tregisters\tspilled bytes stored, loaded\tshared bytes\tfile\n'
    for file in "$2"/*.ptx; do
        target=$(sed -n 's/^\.target \(sm_[0-9a-z]*\).*/\1/p' "$file")
        "$toolkit/bin/ptxas" -v -arch="$target" "$file" -o /dev/null 2>&1 | awk -v file="${file##*/}" '
            /Compiling entry function/ { split($0, part, "\047"); kernel = part[2] }
            /bytes stack frame/ { stored = $5; loaded = $9 }
            /Used [0-9]+ registers/ {
                match($0, /Used [0-9]+/); registers = substr($0, RSTART + 5, RLENGTH - 5)
                shared = 0
                if (match($0, /[0-9]+ bytes smem/)) { shared = substr($0, RSTART, RLENGTH - 11) }
                printf "%s\t%s\t%s, %s\t%s\t%s\n", kernel, registers, stored, loaded, shared, file
            }
            /error|fatal/ { print; failed = 1 }
            END { exit failed }'
    done
    ;;
*)
    echo "usage: scripts/cuda-sim.sh [test | program [quick] | run COMMAND... | missing PROGRAM | ptxas FOLDER]" >&2
    exit 2
    ;;
esac
