#!/usr/bin/env bash
# The program under test, which loses its first segmenting process to SIGKILL in the middle of its work, as a cluster may kill a job.
# SAM2_UNDER_TEST is the program, KILL_MARK a folder that does not exist before.
set -euo pipefail

if [ "$1" != segment ] || [[ "$*" != *"--keypoints one.csv"* ]] || ! mkdir "$KILL_MARK" 2>/dev/null; then
    exec "$SAM2_UNDER_TEST" "$@"
fi
"$SAM2_UNDER_TEST" "$@" 2> "$KILL_MARK/messages" &
process=$!
# In its second batch, so that there is something to go on from.
until [ "$(grep -c "prompted on" "$KILL_MARK/messages")" -ge 2 ]; do
    kill -0 "$process"
    sleep 0.02
done
kill -KILL "$process"
status=0
wait "$process" || status=$?
cat "$KILL_MARK/messages" >&2
echo "$status" > "$KILL_MARK/status"
exit "$status"
