#!/usr/bin/env bash
# Builds one test and prints where its program is: scripts/test-program.sh TEST FEATURES. CARGO names another cargo.
set -euo pipefail
[ $# -eq 2 ] || { sed -n 2p "$0" >&2; exit 2; }
# Compiler errors go to stderr; only the list of built files is JSON.
"${CARGO:-cargo}" test --release --workspace --locked --features "$2" --test "$1" --no-run --message-format=json-render-diagnostics |
    sed -n 's/.*"executable":"\([^"]*'"$1"'-[^"]*\)".*/\1/p' | tail -n 1
