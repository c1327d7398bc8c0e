#!/usr/bin/env bash
# Runs each fuzz target for SECONDS (default 20): scripts/fuzz.sh [SECONDS [TARGET...]]
#
# Fails on a crash, on an input that takes longer than 6 s, and on one that needs more than 500 MB (videos: 25 s, 2 GB); the input is then in the
# folder that the last lines name. Needs no nightly toolchain and no cargo-fuzz: the flags below are those of cargo-fuzz
# without the address sanitizer. Seeds are checked in (fuzz/seeds), except videos, which ffmpeg makes. The corpus that was found stays
# in the target folder for the next run.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds="${1:-20}"
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(index tiff_stack video_file run_file label_image)

crate=fuzz
# A separate target folder, because these flags would rebuild everything else.
build="${CARGO_TARGET_DIR:-target}/fuzz"
mkdir -p "$build"
build="$(cd "$build" && pwd)"
host="$(rustc -vV | sed -n 's/^host: //p')"

coverage=(
    -Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares
    --cfg=fuzzing
)
# With an explicit target, the flags do not apply to build scripts.
RUSTFLAGS="${coverage[*]}" CARGO_TARGET_DIR="$build" cargo build --release --locked \
    --manifest-path "$crate/Cargo.toml" --target "$host" --bins

films="$build/films"
if [ ! -e "$films/made" ]; then
    mkdir -p "$films"
    film() {
        ffmpeg -y -hide_banner -loglevel error -f lavfi -i testsrc2=size="$1":rate=10:duration="$2" "${@:4}" \
            "$films/$3" </dev/null
    }
    x264=(-c:v libx264 -preset ultrafast -threads 1 -bf 2 -g 6 -pix_fmt yuv420p)
    film 48x32 1.2 h264.mp4 "${x264[@]}"
    film 48x32 1.2 fragmented.mp4 "${x264[@]}" -movflags frag_keyframe+empty_moov
    film 48x32 1.2 h264.mkv "${x264[@]}"
    film 48x32 1.2 h264.ts "${x264[@]}"
    film 48x32 0.6 h264.h264 "${x264[@]}"
    film 48x32 0.6 mjpeg.avi -c:v mjpeg -q:v 20
    film 16x12 0.5 raw.avi -c:v rawvideo -pix_fmt bgr24
    film 16x12 0.5 gray16.mkv -c:v ffv1 -pix_fmt gray16le
    film 48x32 0.8 vp8.webm -c:v libvpx -deadline realtime -cpu-used 8 -g 4
    film 33x17 0.5 mpeg4.avi -c:v mpeg4 -bf 2 -g 4
    ffmpeg -y -hide_banner -loglevel error -i "$films/h264.mp4" -c copy -metadata:s:v rotate=90 \
        "$films/turned.mp4" </dev/null
    touch "$films/made"
fi

for target in "${targets[@]}"; do
    seeds=("$crate/seeds/$target")
    case "$target" in
    video_file) seeds=("$films") ;;
    label_image) seeds+=("$crate/seeds/tiff_stack") ;;
    esac
    # A small video may hold frames of 8192 x 8192, and FFmpeg decodes them.
    # The limit is two seconds on a machine like ours; some machines are three times as slow.
    limits=(-timeout=6 -rss_limit_mb=500)
    [ "$target" = video_file ] && limits=(-timeout=25 -rss_limit_mb=2048)
    corpus="$build/corpus/$target" found="$build/found/$target"
    mkdir -p "$corpus" "$found"
    printf '\n-- fuzzing %s for %s s\n' "$target" "$seconds"
    log="$build/$target.log"
    if ! "$build/$host/release/$target" "$corpus" "${seeds[@]}" -max_total_time="$seconds" "${limits[@]}" \
        -max_len=65536 -artifact_prefix="$found/" -print_final_stats=1 >"$log" 2>&1; then
        tail -n 40 "$log"
        echo "error: fuzzing $target found an input that fails; it is in $found" >&2
        exit 1
    fi
    # Prints one line with the coverage, and the cost.
    grep -E '^#[0-9]+.*(DONE|INITED)|^stat::(number_of_executed_units|average_exec_per_sec|peak_rss_mb)' "$log"
done
