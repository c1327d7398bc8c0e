#!/usr/bin/env bash
# Parity and speed on this machine's GPU, in one file to send in.
#
#   scripts/gpu-check.sh cuda|vulkan[:N] [MODEL...]      MODEL = micro, tiny, small, base-plus, large; default micro, tiny and large
#
# CUDA needs NVRTC and CUDA's headers where cudarc and cubecl look: LD_LIBRARY_PATH and CUDA_PATH. The tests say what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

device=${1:-}
case "$device" in
cuda | cuda:* | vulkan | vulkan:*) ;;
*)
    sed -n '2,6p' "$0" >&2
    exit 2
    ;;
esac
shift
scripts/setup.sh
features="sam2-cli/${device%%:*}"
cargo=cargo
case "$device" in
cuda*) cargo=scripts/cuda-toolkit.sh ;;
esac
{
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv 2>/dev/null || true
    vulkaninfo --summary 2>/dev/null | grep -E 'deviceName|driverInfo|apiVersion' || true
    printf '\n== parity tests on %s\n' "$device"
    # A failed test is a result as well: go on to the table.
    SAM2_TEST_DEVICE="$device" $cargo test --release --workspace --locked --features "$features" --no-fail-fast \
        --test gpu --test parity_blocks --test parity_tracking -- --nocapture --test-threads 1 2>&1 || true
    printf '\n== table\n'
    $cargo run --release --workspace --locked --features "$features" --bin gpu_table -- "$device" "$@" 2>&1 || true
} | tee gpu-check.txt
echo
echo "Please send gpu-check.txt in an issue."
