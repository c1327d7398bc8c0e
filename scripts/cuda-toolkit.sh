#!/usr/bin/env bash
# Runs Cargo with CUDA but without the LLVM that burn would download: NVRTC compiles the kernels on the machine that runs them. `make cuda` uses it to build the program. For tests:
#
#   scripts/cuda-toolkit.sh test --release --workspace --locked --features sam2-cli/cuda ...
#
# burn-cuda 0.22 always links both of its compilers, and the feature `cuda` chooses NVRTC at run time. So the build skips the download, as for docs.rs, and every
# linked function of LLVM gets a body that prints its name and ends the process. With NVRTC none is called.
set -euo pipefail

if [ "${0##*/}" != cc ]; then
    real=$(command -v cc) || { echo "cc is missing: install gcc or clang" >&2; exit 1; }
    front=$(mktemp -d)
    trap 'rm -rf "$front"' EXIT
    # This script under the linker's name.
    install -m 755 "$(readlink -f "$0")" "$front/cc"
    # CARGO may be this script, so that every build goes through it.
    cargo=${CARGO:-cargo}
    [ "${cargo##*/}" != "${0##*/}" ] || cargo=cargo
    DOCS_RS=1 SAM2_REAL_CC="$real" PATH="$front:$PATH" "$cargo" "$@"
    exit
fi

# From here on, the script acts as the linker. It gets rustc's arguments, or a file with them.
libraries=()
for argument in "$@"; do
    case "$argument" in
    @*) while IFS= read -r line; do libraries+=("${line//\"/}"); done <"${argument#@}" ;;
    *) libraries+=("$argument") ;;
    esac
done
callers=()
for library in "${libraries[@]}"; do
    case "${library##*/}" in
    libcubecl_llvm-*.rlib | libpliron_llvm-*.rlib | libllvm_sys-*.rlib) callers+=("$library") ;;
    esac
done
[ ${#callers[@]} -gt 0 ] || exec "$SAM2_REAL_CC" "$@"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{
    printf '#include <stdio.h>\n#include <stdlib.h>\n'
    printf 'static void missing(const char *name) { fprintf(stderr, "%%s: this build has no LLVM; build with the feature cuda-llvm\\n", name); abort(); }\n'
    # C names only: Rust's own symbols between these libraries are defined in one of them.
    nm --undefined-only --no-sort "${callers[@]}" 2>/dev/null | awk 'NF == 2 && $1 == "U" { print $2 }' |
        grep -E '^(LLVM|cubecl_|tracel_)[A-Za-z0-9_]*$' | sort -u |
        while IFS= read -r name; do printf 'void %s(void) { missing("%s"); }\n' "$name" "$name"; done
} >"$work/llvm.c"
"$SAM2_REAL_CC" -c -fPIC -O1 -ffunction-sections -o "$work/llvm.o" "$work/llvm.c"
"$SAM2_REAL_CC" "$@" "$work/llvm.o"
