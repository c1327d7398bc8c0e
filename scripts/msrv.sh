#!/usr/bin/env bash
# Checks the minimum supported Rust version (MSRV): it is stated once, every crate inherits it, the README gives the same, and it is not newer
# than the current toolchain. Prints whether this toolchain is the MSRV itself, so that its builds test the MSRV.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    echo "msrv: $1" >&2
    exit 1
}

stated=$(sed -n 's/^rust-version = "\([0-9.]*\)"$/\1/p' Cargo.toml)
[ -n "$stated" ] || fail "Cargo.toml states no rust-version under [workspace.package]"

# Asks Cargo about each member, to find crates without the line as well.
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
