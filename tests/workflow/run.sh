#!/usr/bin/env bash
# The workflow with the real Snakemake: two recordings in six shards, one of which is killed once, give the bytes of one process.
# Usage: tests/workflow/run.sh SAM2 SNAKEMAKE
set -euo pipefail
sam2=$(realpath "$1")
snakemake=$(realpath -s "$2")
root=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# Nothing of the user's own settings.
export XDG_CONFIG_HOME="$work/settings" XDG_CACHE_HOME="$work/cache"
export SAM2_UNDER_TEST="$sam2" KILL_MARK="$work/killed"
frames=12 batch=2

fail() {
    echo "FAILED: $*" >&2
    for log in snakemake.log results/logs/*/*.log results/logs/*/*/*.log; do
        if [ -s "$log" ]; then echo "--- $log" >&2; tail -n 20 "$log" >&2; fi
    done
    exit 1
}

run() { "$snakemake" --snakefile "$root/workflow/Snakefile" --directory "$work" "$@"; }

clip="$root/assets/clips/mouse-arena"
cut_clip() { # FIRST NAME: some frames, and the rows of the track that belong to them
    ffmpeg -loglevel error -y -i "$clip.mp4" -vf "trim=start_frame=$1:end_frame=$(($1 + frames)),setpts=PTS-STARTPTS" \
        -c:v ffv1 "$2.mkv"
    awk -F, -v OFS=, -v first="$1" -v frames="$frames" 'NR <= 3 { print; next }
        NR > 3 + first && NR <= 3 + first + frames { $1 = NR - 4 - first; print }' \
        "$clip"DLC_synthetic_micro.csv > "$2.csv"
}
cut_clip 0 one
cut_clip 30 two

cat > my.yaml <<YAML
sam2: $root/tests/workflow/killed_once.sh
batch_size: $batch
shards: 3
threads: 1
retries: 1
device: cpu
recordings:
  one: { recording: one.mkv, track: one.csv }
  two: { recording: two.mkv, track: two.csv, options: [--min-likelihood, "0.1"] }
legacy_pipeline:
  batch_size: $batch
  device: 0
  recordings:
    old:
      video_path: one.mkv
      DLC_csv_file_path: one.csv
      column_names: [snout, body]
YAML

echo "six shards, one killed"
run --configfile my.yaml --cores 2 > snakemake.log 2>&1 || fail "snakemake ended with $?"
[ "$(cat killed/status)" = 137 ] || fail "no job was killed in the middle"
grep -q "Trying to restart job" snakemake.log || fail "the killed job was not started again"
killed=$(grep -l "are done already" results/logs/*/*/*.log) || fail "the killed job began from the start"
[ "$(echo "$killed" | wc -l)" = 1 ] || fail "more than one job was taken up again: $killed"
started=$(grep -c "^rule segment_part:\|^localrule segment_part:" snakemake.log) || true
[ "$started" = 7 ] || fail "six shards and one retry are seven jobs, not $started"
[ -z "$(find results/parts -name '*.sam2run*')" ] || fail "parts are left: $(find results/parts)"

echo "the same bytes as one process"
for name in one two; do
    options=(--keypoints "$name.csv" --batch-size "$batch" --device cpu)
    [ "$name" = one ] || options+=(--min-likelihood 0.1)
    "$sam2" -q segment "$name.mkv" "${options[@]}" -o "$name.btf"
    cmp "$name.btf" "results/$name.btf" || fail "$name differs from one process"
done
"$sam2" -q segment one.mkv --keypoints one.csv --batch-size "$batch" --device cpu -o old.btf \
    --bodyparts snout,body
cmp old.btf results/legacy/old.btf || fail "the drop-in differs"

echo "nothing is left to do"
run --configfile my.yaml --cores 2 --dry-run > again.log 2>&1 || fail "dry run"
grep -q "Nothing to be done" again.log || fail "$(tail -n 20 again.log)"

echo "a configuration with an unknown key is refused"
sed 's/^batch_size/batch_sise/' my.yaml > wrong.yaml
if run --configfile wrong.yaml --cores 1 --dry-run > wrong.log 2>&1; then fail "it was accepted"; fi
grep -q "batch_sise" wrong.log || fail "the key is not named: $(cat wrong.log)"

echo "the profile for SLURM plans the same jobs"
rm -r results
run --configfile my.yaml --profile "$root/workflow/profiles/slurm" --dry-run > slurm.log 2>&1 || fail "$(cat slurm.log)"
grep -q "gres=" slurm.log || fail "no GPU is asked for: $(cat slurm.log)"
echo "done"
