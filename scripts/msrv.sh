#!/usr/bin/env bash
# The minimum supported Rust version (MSRV): stated once, inherited by every crate, the same in the README, and not newer than
# the toolchain at hand. Says whether this toolchain is the MSRV itself, so that what is built with it tests the MSRV.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    echo "msrv: $1" >&2
    exit 1
}

stated=$(sed -n 's/^rust-version = "\([0-9.]*\)"$/\1/p' Cargo.toml)
[ -n "$stated" ] || fail "Cargo.toml states no rust-version under [workspace.package]"

# Cargo's own view of each member, so that a crate without the line shows too.
versions=$(cargo metadata --locked --no-deps --format-version 1 |
    grep -o '"rust_version":\("[^"]*"\|null\)' | sort -u)
[ "$versions" = "\"rust_version\":\"$stated\"" ] ||
    fail "not every crate inherits $stated (rust-version.workspace = true): ${versions//$'\n'/, }"

readme=$(sed -n 's/.*(\([0-9.]*\) or newer).*/\1/p' README.md | head -n 1)
[ "$readme" = "$stated" ] || fail "README.md says '${readme:-nothing}', Cargo.toml $stated"

used=$(${RUSTC:-rustc} --version | cut -d ' ' -f 2)
oldest=$(printf '%s\n' "$stated" "${used%%-*}" | sort -V | head -n 1)
[ "$oldest" = "$stated" ] || fail "this is Rust $used, at least $stated is needed: rustup update"

case "$used" in
"$stated" | "$stated".*) echo "msrv: Rust $used is the MSRV ($stated) itself: what is built here tests it" ;;
*) echo "msrv: Rust $used is newer than the MSRV ($stated), which is not tested here: cargo +$stated test" ;;
esac
