#!/usr/bin/env bash
# Runs the model on a Vulkan device: the parity tests, the tests that need a GPU (tests/tests/gpu.rs, gpu_kernels.rs), and the program itself. Without a GPU the device is
# Mesa's software driver (Debian, Ubuntu: apt-get install mesa-vulkan-drivers libvulkan1). Its kernels are in WGSL, because
# burn's SPIR-V is invalid for a driver like Mesa's (docs/gpu.md).
#
#   scripts/vulkan.sh [ARGUMENT...]      with arguments for the tests, such as `--skip sixty_frames`
set -euo pipefail
cd "$(dirname "$0")/.."

cargo=${CARGO:-cargo}
build=(--release --workspace --locked --features "${FEATURES:-sam2-cli/vulkan-wgsl}")

# The driver needs its own folder, which a login creates and a bare container lacks.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [ -z "${XDG_RUNTIME_DIR:-}" ]; then
    export XDG_RUNTIME_DIR="$scratch/runtime"
    mkdir -m 700 "$XDG_RUNTIME_DIR"
fi

SAM2_TEST_DEVICE=vulkan $cargo test "${build[@]}" \
    --test gpu --test gpu_kernels --test parity_blocks --test parity_tracking -- --nocapture "$@"

$cargo build "${build[@]}" --bin sam2
sam2="${CARGO_TARGET_DIR:-target}/release/sam2"
clips=assets/clips
of_a_batch=(--keypoints "$clips/mouse-arenaDLC_synthetic_micro.csv" --bodyparts snout,body,tailbase --batch-size 12 --frames 0..12)
for device in vulkan cpu; do
    "$sam2" segment "$clips/mouse-arena.mp4" --device "$device" --precision f32 "${of_a_batch[@]}" -o "$scratch/$device.btf" 2>"$scratch/$device.log" || { cat "$scratch/$device.log" >&2; exit 1; }
    cat "$scratch/$device.log" >&2
done
# On a software driver, compiling kernels takes long enough for the progress line to appear; the CPU compiles none.
grep -Eq 'compiling GPU kernels( for the first time)?: [0-9]+ so far, [0-9]+ s' "$scratch/vulkan.log"
if grep -q 'compiling GPU kernels' "$scratch/cpu.log"; then
    echo "the CPU compiles no GPU kernels, and says it does" >&2
    exit 1
fi
printf 'The program on Vulkan, against itself on the CPU: '
"$sam2" score "$scratch/vulkan.btf" "$scratch/cpu.btf" | tee "$scratch/score.txt"
grep -Eq 'mean J (1\.0000|0\.99)' "$scratch/score.txt"
