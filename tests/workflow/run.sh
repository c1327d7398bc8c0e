#!/usr/bin/env bash
# The workflow with the real Snakemake gives the bytes of one process: two recordings in six shards, one of which is killed once; one whose
# first batches have no prompt, so that `sam2` ends with 3; one that is prompted by a click; and the rule of workflow/README.md.
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
# No coordinates in the first shard's rows.
awk -F, -v OFS=, 'NR > 3 && NR <= 3 + 4 { for (i = 2; i <= NF; i++) $i = "" } { print }' one.csv > gap.csv
click=0:244,80

cat > my.yaml <<YAML
sam2: $root/tests/workflow/killed_once.sh
batch_size: $batch
shards: 3
threads: 1
retries: 1
device: cpu
outputs: ["{name}.btf", "tables/{name}.csv", "{name}.html", "davis:annotations/{name}"]
recordings:
  one: { recording: one.mkv, track: one.csv }
  two: { recording: two.mkv, track: two.csv, options: [--min-likelihood, 0.1, --ids, --compression, deflate, --stream, 0, --mixed-processors] }
  gap: { recording: one.mkv, track: gap.csv }
  click: { recording: one.mkv, points: ["$click"] }
legacy_pipeline:
  batch_size: $batch
  device: 0
  recordings:
    old: { video_path: one.mkv, DLC_csv_file_path: one.csv, column_names: [snout, body] }
    old_gap: { video_path: one.mkv, DLC_csv_file_path: gap.csv, column_names: [snout, body] }
YAML

echo "ten shards, one killed, one without a prompt"
run --configfile my.yaml --profile "$root/workflow/profiles/local" --cores 2 > snakemake.log 2>&1 || fail "snakemake ended with $?"
[ "$(cat killed/status)" = 137 ] || fail "no job was killed in the middle"
[ "$(grep -c "Trying to restart job" snakemake.log)" = 1 ] || fail "the killed job alone is started again"
killed=$(grep -l "are done already" results/logs/*/*/*.log) || fail "the killed job began from the start"
[ "$(echo "$killed" | wc -l)" = 1 ] || fail "more than one job was taken up again: $killed"
started=$(grep -c "^rule segment_part:\|^localrule segment_part:" snakemake.log) || true
[ "$started" = 11 ] || fail "three times three shards, one of the click and one retry are eleven jobs, not $started"
[ -z "$(find results/parts -name '*.sam2run*')" ] || fail "parts are left: $(find results/parts)"

echo "the same bytes as one process"
by_one() { # NAME EXIT_CODE RECORDING [OPTION...]
    local name=$1 expected=$2 code=0
    "$sam2" -q segment "${@:3}" --device cpu -o "$name.btf" -o "$name.table.csv" -o "$name.html" -o "davis:$name.davis" || code=$?
    [ "$code" = "$expected" ] || fail "$name by one process ended with $code, not $expected"
    cmp "$name.btf" "results/$name.btf" || fail "the masks of $name differ from one process"
    cmp "$name.table.csv" "results/tables/$name.csv" || fail "the table of $name differs from one process"
    cmp "$name.html" "results/$name.html" || fail "the report of $name differs from one process"
    diff -r -x '.snakemake*' "$name.davis" "results/annotations/$name" || fail "the images of $name differ from one process"
    [ -s "results/runs/$name.sam2run" ] || fail "the run file of $name was not kept"
}
by_one one 0 one.mkv --keypoints one.csv --batch-size "$batch"
by_one two 0 two.mkv --keypoints two.csv --batch-size "$batch" --min-likelihood 0.1 --ids --compression deflate --stream 0 \
    --mixed-processors
by_one gap 3 one.mkv --keypoints gap.csv --batch-size "$batch"
by_one click 0 one.mkv --point "$click"
for name in old old_gap; do
    track=one.csv expected=0
    if [ "$name" = old_gap ]; then track=gap.csv expected=3; fi
    code=0
    "$sam2" -q segment one.mkv --keypoints "$track" --batch-size "$batch" --device cpu --compression none -o "$name.btf" --bodyparts snout,body || code=$?
    [ "$code" = "$expected" ] || fail "$name by one process ended with $code, not $expected"
    cmp "$name.btf" "results/legacy/$name.btf" || fail "the drop-in differs for $name"
done

echo "exit code 3 keeps the masks and is told"
flawed=$(awk -F'\t' '$2 == "flawed" { print $1 }' results/summary.tsv | sort | paste -sd' ')
[ "$flawed" = "gap legacy/old_gap" ] || fail "flawed are '$flawed': $(cat results/summary.tsv)"
[ "$(grep -c "no usable prompt" results/summary.tsv)" = 2 ] || fail "the reason is not told: $(cat results/summary.tsv)"
grep -q "the masks of gap, legacy/old_gap are complete but lack something" snakemake.log || fail "Snakemake does not name them"

echo "nothing is left to do"
run --configfile my.yaml --cores 2 --dry-run > again.log 2>&1 || fail "dry run"
grep -q "Nothing to be done" again.log || fail "$(tail -n 20 again.log)"

echo "one more output is made of the run files"
sed 's|"{name}.html"|"{name}.html", "{name}.json"|' my.yaml > more.yaml
run --configfile more.yaml --cores 2 > more.log 2>&1 || fail "$(cat more.log)"
if grep -q "rule segment_part:" more.log; then fail "the model ran again"; fi
for name in one two gap click; do [ -s "results/$name.json" ] || fail "results/$name.json is missing"; done
cmp one.btf results/one.btf || fail "the masks have changed"

echo "other exit codes are failures"
for code in 1 2 4 130 143; do
    printf '#!/bin/sh\n[ "$1" = probe ] && exec "%s" "$@"\nexit %s\n' "$sam2" "$code" > failing.sh
    chmod +x failing.sh
    sed -e 's|^sam2:.*|sam2: ./failing.sh|' -e 's/^retries:.*/retries: 0/' my.yaml > failing.yaml
    if run --configfile failing.yaml --config output_folder=failed --cores 2 --keep-going > failing.log 2>&1; then
        fail "exit code $code was taken for success"
    fi
    [ -z "$(find failed -name '*.btf' -o -name '*.sam2run')" ] || fail "masks of a job that ended with $code"
    rm -rf failed
done

echo "the rule of the README"
mkdir rule
awk '/^    rule sam2_segment:/ { inside = 1 } inside && /^[^ ]/ { exit } inside { print substr($0, 5) }' "$root/workflow/README.md" |
    sed -e 's|avi="[^"]*"|avi="one.mkv"|; s|dlc_csv="[^"]*"|dlc_csv="gap.csv"|; s|mask="[^"]*"|mask="rule/masks.btf"|' \
        -e 's|log: "[^"]*"|log: "rule/log"|; s|\["pharynx"\]|["snout", "body"]|; s|batch_size=300|batch_size='"$batch"'|' \
        -e "s|\"sam2 legacy|\"$sam2 legacy|; s| -SAM2_path {params.model_path:q}||" > rule/Snakefile
grep -q "legacy-pipeline" rule/Snakefile || fail "the rule was not found in workflow/README.md"
CUDA_VISIBLE_DEVICES=0 "$snakemake" --snakefile rule/Snakefile --directory "$work" --cores 2 rule/masks.btf > rule.log 2>&1 ||
    fail "$(cat rule.log rule/log)"
cmp old_gap.btf rule/masks.btf || fail "the README's rule gives other masks"
[ "$(cat flawed.txt)" = rule/masks.btf ] || fail "flawed.txt does not name the masks"

refused() { # TOLD: what Snakemake says of wrong.yaml
    if run --configfile wrong.yaml --cores 1 --dry-run > wrong.log 2>&1; then fail "it was accepted: $(cat wrong.yaml)"; fi
    grep -qF -- "$1" wrong.log || fail "'$1' is not told: $(cat wrong.log)"
}
echo "configurations that make no sense are refused"
sed 's/^batch_size/batch_sise/' my.yaml > wrong.yaml
refused batch_sise
printf 'recordings:\n#  one: { recording: one.mkv }\n' > wrong.yaml
refused "the configuration names no recording"
echo 'recordings: { one: { recording: one.mkv } }' > wrong.yaml
refused "one: nothing says what to segment"
echo 'recordings: { one: { recording: one.mkv, track: one.csv, options: [--batch-size=4] } }' > wrong.yaml
refused 'use the key `batch_size:`'
printf 'outputs: [masks.btf]\nrecordings: { one: { recording: one.mkv, track: one.csv } }\n' > wrong.yaml
refused "masks.btf: each recording needs names of its own"
cp "$root/workflow/config.yaml" wrong.yaml
refused "the configuration names no recording"

echo "the profiles plan the same jobs"
rm -r results
for profile in local slurm slurm-gpu; do
    run --configfile my.yaml --profile "$root/workflow/profiles/$profile" --dry-run > plan.log 2>&1 || fail "$profile: $(cat plan.log)"
    asks=no
    if grep -q "gres=" plan.log; then asks=yes; fi
    case "$profile $asks" in
    "slurm-gpu yes" | "local no" | "slurm no") ;;
    *) fail "$profile asks for a GPU: $asks" ;;
    esac
done
echo "done"
