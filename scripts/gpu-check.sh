#!/usr/bin/env bash
# Checks whether a GPU computes correctly and how fast it is, and writes one file to send in. docs/gpu.md explains each step.
#
#   scripts/gpu-check.sh cuda|vulkan[:N]       build, check this machine's GPU, and write the results to gpu-check.txt
#   scripts/gpu-check.sh pack                  build for CUDA, into gpu-check.tar.xz: with this repository, all that a machine without Rust and FFmpeg needs
#   scripts/gpu-check.sh run cuda [SECONDS]    on that machine: unpack it and check, for at most SECONDS (540)
#
# Results are written after every step, to the folder OUT (gpu-check-results): summary.txt has a line for each step, all.txt the output of each step.
#   SAM2_CHECK_GPU=H200|A100|T4    the GPU whose estimated times are compared
#   SAM2_CHECK_REHEARSAL=1         small sizes and few frames, for a rehearsal on the software device (scripts/cuda-sim.sh run scripts/gpu-check.sh run cuda)
set -euo pipefail
cd "$(dirname "$0")/.."

packed="$PWD/.gpu-check"
results="${OUT:-$PWD/gpu-check-results}"

usage() {
    sed -n '2,10p' "$0" >&2
    exit 2
}

# Builds the program of all tests for a device, and prints its path.
build() {
    local device=$1 cargo=${CARGO:-cargo}
    if [ "$device" = cuda ]; then cargo="$PWD/scripts/cuda-toolkit.sh"; fi
    CARGO="$cargo" scripts/test-program.sh gpu_check "${FEATURES:-sam2-cli/$device}"
}

# Makes stubs of FFmpeg's libraries. None of their functions is called, because the clips are packed as arrays.
make_stubs() {
    local program=$1 folder=$2 library names
    mkdir -p "$folder"
    readelf -d "$program" | sed -n 's/.*NEEDED.*\[\(lib\(av\|sw\)[a-z]*\.so\.[0-9]*\)\]/\1/p' | while IFS= read -r library; do
        names=$(nm -D --undefined-only "$program" | awk '{ print $NF }' | sed -n 's/@.*//; /^\(av\|sw\|avio\|avcodec\|avformat\)[A-Za-z0-9_]*$/p' | sort -u)
        {
            printf '#include <stdlib.h>\n'
            for name in $names; do printf 'void %s(void) { abort(); }\n' "$name"; done
        } | cc -x c -shared -fPIC -Wl,-soname,"$library" -o "$folder/$library" -
    done
}

pack() {
    local program site
    make python >/dev/null
    program=$(build cuda)
    rm -rf "$packed"
    mkdir -p "$packed/clips" "$packed/official"
    strip -o "$packed/gpu_check" "$program"
    make_stubs "$program" "$packed/lib"
    # The program runs on this machine with FFmpeg, and writes the decoded clips.
    SAM2_PACK_CLIPS="$packed/clips" "$program" clips_as_arrays >/dev/null
    site=$(echo "${VENV:-.venv}"/lib/python3*/site-packages)
    cp -r "$site"/{sam2,hydra,omegaconf,antlr4,iopath} "$packed/official"
    find "$packed" -name __pycache__ -prune -exec rm -r {} +
    tar -C "$packed" -cJf gpu-check.tar.xz .
    ls -l gpu-check.tar.xz
}

run() {
    local device=$1 seconds=$2 program=$3 started=$SECONDS said
    said=$(mktemp)
    mkdir -p "$results"
    export SAM2_TEST_DEVICE="$device" SAM2_TEST_REPOSITORY="$PWD" PYTHONUNBUFFERED=1

    # step NAME MOST COMMAND...: runs for at most MOST seconds, and no longer than the time left. Its output is always kept.
    step() {
        local name=$1 most=$2 left=$((seconds - (SECONDS - started))) status=0
        shift 2
        [ "$left" -gt 5 ] || { echo "$name: no time left" | tee -a "$results/summary.txt"; return 0; }
        [ "$most" -lt "$left" ] || most=$left
        local before=$SECONDS
        timeout -k 5 "$most" "$@" >"$said" 2>&1 || status=$?
        { printf '\n== %s\n' "$name" && cat "$said"; } >>"$results/all.txt"
        printf '%s: exit %s after %s s%s\n' "$name" "$status" "$((SECONDS - before))" "$(sed -n 's/^test result: [a-zA-Z]*\. \([0-9]* passed; [0-9]* failed\).*/, \1/p' "$said" | tail -n 1)" |
            tee -a "$results/summary.txt"
        grep -E '^\|' "$said" || true
        return 0
    }
    check() { "$program" --test-threads 1 --nocapture "$@"; }
    export -f check
    export program

    : >"$results/summary.txt"
    : >"$results/all.txt"
    step machine 60 bash -c '
        nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm --format=csv || true
        vulkaninfo --summary 2>/dev/null | grep -E "deviceName|driverInfo|apiVersion" || true
        echo "CUDA_PATH=${CUDA_PATH:-} LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}"
        "$program" --exact gpu::the_tests_run_on_a_gpu_or_its_driver --nocapture
        python3 - <<PYTHON || true
import time
import torch
print(torch.__version__, torch.cuda.get_device_name())
def timed(step, count=20):
    step(); torch.cuda.synchronize(); begun = time.perf_counter()
    for _ in range(count): step()
    torch.cuda.synchronize()
    return (time.perf_counter() - begun) / count
a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.float16) for _ in range(2))
print("ceiling, products in f16:", 2 * 8192 ** 3 / timed(lambda: a @ b) / 1e12, "TFLOP/s")
x, y = (torch.empty(1 << 30, device="cuda", dtype=torch.uint8) for _ in range(2))
print("ceiling, copies:", 2 * (1 << 30) / timed(lambda: y.copy_(x)) / 1e12, "TB/s")
PYTHON'
    step kernels 120 bash -c "check gpu_kernels::"
    step times 60 bash -c "check speed::"
    step parity 120 bash -c "check parity_blocks:: parity_tracking::"
    step gpu 60 bash -c "check gpu::"
    step models 180 bash -c "check table::"
    step tiny 60 bash -c "check parity_tiny::"
    if command -v compute-sanitizer >/dev/null; then
        step memcheck 30 compute-sanitizer --tool memcheck "$program" --test-threads 1 gpu_kernels::attentions gpu_kernels::linear_layers
        step racecheck 30 compute-sanitizer --tool racecheck "$program" --test-threads 1 gpu_kernels::attentions gpu_kernels::linear_layers
    fi
    if [ "${device%%:*}" = cuda ] && PYTHONPATH="$packed/official" python3 -c 'import sam2, torch; assert torch.cuda.is_available()' 2>/dev/null; then
        export PYTHONPATH="$packed/official"
        for model in ${SAM2_CHECK_OFFICIAL:-tiny large}; do
            step "pytorch-$model" 60 python3 benches/compare/official.py "$model" 1 40 --device cuda --autocast --no-steps
            step "pytorch-$model-8-objects" 60 python3 benches/compare/official.py "$model" 8 40 --device cuda --autocast --no-steps
            step "pytorch-$model-compiled" 150 python3 benches/compare/official.py "$model" 1 40 --device cuda --autocast --no-steps --compile
        done
    else
        echo "PyTorch on this GPU: not there" | tee -a "$results/summary.txt"
    fi
    if command -v ncu >/dev/null; then
        for name in "memory attention to memories" "third stage, perceptron in" "norm of rows"; do
            SAM2_CHECK_ONLY="$name" step "counters-${name// /-}" 40 ncu --clock-control none --launch-skip 2 --launch-count 1 \
                --section SpeedOfLight --section WarpStateStats --section Occupancy "$program" --test-threads 1 speed::
        done
    fi
    rm -f "$said"
}

# Sets the paths where cudarc and cubecl look for CUDA, unless they are set already.
find_toolkit() {
    local nvcc
    [ -z "${CUDA_PATH:-}" ] || return 0
    if nvcc=$(command -v nvcc); then
        CUDA_PATH=$(dirname "$(dirname "$(readlink -f "$nvcc")")")
    elif [ -d /usr/local/cuda ]; then
        CUDA_PATH=/usr/local/cuda
    else
        echo "Neither nvcc nor /usr/local/cuda is there: set CUDA_PATH to CUDA's folder, and LD_LIBRARY_PATH to NVRTC's" >&2
        return 0
    fi
    export CUDA_PATH LD_LIBRARY_PATH="$CUDA_PATH/lib64${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
}

if [ -n "${SAM2_CHECK_REHEARSAL:-}" ]; then
    export SAM2_CHECK_DIVISOR=64 SAM2_CHECK_MODELS=micro SAM2_CHECK_FRAMES=2
fi

case "${1:-}" in
cuda | cuda:* | vulkan | vulkan:*)
    scripts/setup.sh
    program=$(build "${1%%:*}")
    case "$1" in cuda*) find_toolkit ;; esac
    run "$1" 3600 "$program"
    cat "$results/summary.txt" "$results/all.txt" >gpu-check.txt
    echo
    echo "Please send gpu-check.txt in an issue."
    ;;
pack) pack ;;
run)
    [ $# -ge 2 ] || usage
    [ -e gpu-check.tar.xz ] || { echo "gpu-check.tar.xz is missing: scripts/gpu-check.sh pack makes it, on a machine with Rust" >&2; exit 1; }
    # Always unpack, so that an older program is not mistaken for the packed one.
    rm -rf "$packed"
    mkdir -p "$packed"
    tar -C "$packed" -xJf gpu-check.tar.xz
    export SAM2_TEST_CLIPS="$packed/clips"
    find_toolkit
    if ldd "$packed/gpu_check" | grep -q 'not found'; then
        export LD_LIBRARY_PATH="$packed/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    fi
    run "$2" "${3:-540}" "$packed/gpu_check"
    ;;
*) usage ;;
esac
