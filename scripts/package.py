#!/usr/bin/env python3
"""Packages every crate as `cargo publish` would, and checks that each package is complete: `make package`.

It fails if `cargo package` does, if a crate lacks something that crates.io shows, or if a source includes a file from outside of its package. With
`check` as argument it also has Cargo check all packages, unpacked, without the repository; that compiles burn's crates anew, in a target folder of its own.

`publish = false` keeps an accidental `cargo publish` from uploading anything. With it, `cargo package` does not find the crates of the workspace that others
depend on, so this script works on a copy of the repository without that line. `tests` and `benches` are left out: they are of no use without the repository.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Crates that are never published.
INTERNAL = ["sam2-tests", "sam2-benches"]
# What crates.io shows of a crate. A repository and a home page have to be added once there are any.
SHOWN = ["description", "keywords", "categories", "readme", "license", "rust_version"]
# Cargo's limit for the words of a crate, and the size that crates.io accepts.
MOST_KEYWORDS, MOST_BYTES = 5, 10 << 20
CARGO = os.environ.get("CARGO", "cargo")
# A target that lies outside of its package is left out, with a warning. This one runs the program on the repository's fixtures.
OUTSIDE = "ignoring test `end_to_end`"


def copy_to(folder: pathlib.Path) -> None:
    """Copies what git knows and does not ignore, ready to be packaged."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True
    ).stdout.decode()
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    manifest = folder / "Cargo.toml"
    text, count = re.subn(r"(?m)^publish = false$", "publish = true", manifest.read_text())
    if count != 1:
        sys.exit("package: Cargo.toml should say `publish = false` once, under [workspace.package]")
    manifest.write_text(text)


def published(folder: pathlib.Path) -> list[dict]:
    """Returns what Cargo knows of the crates that can be published, after checking it."""
    arguments = [CARGO, "metadata", "--no-deps", "--locked", "--format-version", "1"]
    metadata = json.loads(subprocess.run(arguments, cwd=folder, check=True, capture_output=True).stdout)
    crates = [crate for crate in metadata["packages"] if crate["name"] not in INTERNAL]
    for crate in crates:
        missing = [field for field in SHOWN if not crate[field]]
        if "docs" not in (crate["metadata"] or {}):
            missing.append("package.metadata.docs.rs")
        if missing or len(crate["keywords"]) > MOST_KEYWORDS:
            sys.exit(f"package: {crate['name']} lacks {', '.join(missing) or 'short lists'}: see the other crates' Cargo.toml")
    return crates


def package(folder: pathlib.Path, target: pathlib.Path) -> None:
    """Makes the packages of all crates that can be published."""
    arguments = [CARGO, "package", "--workspace", "--no-verify", "--allow-dirty", "--target-dir", str(target)]
    for name in INTERNAL:
        arguments += ["--exclude", name]
    # The index need not be asked again if it is here, which it is after a build.
    for more in (["--offline"], []):
        done = subprocess.run(arguments + more, cwd=folder, capture_output=True, text=True)
        if done.returncode == 0:
            break
    else:
        sys.exit(done.stderr)
    warnings = re.findall(r"(?m)^warning: (.*)$", done.stderr)
    # Until there is a repository, that is said of every crate.
    new = [text for text in warnings if OUTSIDE not in text and text != "manifest has no documentation, homepage or repository"]
    if new:
        sys.exit("package: " + "\npackage: ".join(new))


def check_includes(folder: pathlib.Path) -> None:
    """Fails if a source file includes a file that is not in its package."""
    include = re.compile(r'(?:include_(?:bytes|str)!|include!)\(\s*"([^"]+)"|#\[path = "([^"]+)"\]')
    for source in folder.rglob("*.rs"):
        for names in include.findall(source.read_text()):
            file = (source.parent / (names[0] or names[1])).resolve()
            if not file.is_relative_to(folder.resolve()) or not file.is_file():
                sys.exit(f"package: {source.relative_to(folder.parent)} includes {names[0] or names[1]}, which is not in the package")


def check_together(folder: pathlib.Path, target: pathlib.Path) -> None:
    """Has Cargo check the unpacked packages, which depend on each other as on crates of crates.io."""
    crates = {crate.name.rsplit("-", 1)[0]: crate.name for crate in sorted(folder.iterdir()) if crate.is_dir()}
    lines = ["[workspace]", 'resolver = "3"', f"members = {json.dumps(list(crates.values()))}", "[patch.crates-io]"]
    lines += [f'{name} = {{ path = "{path}" }}' for name, path in crates.items()]
    # The profile of the repository.
    profiles = (ROOT / "Cargo.toml").read_text().partition("[profile.")
    (folder / "Cargo.toml").write_text("\n".join(lines) + "\n" + profiles[1] + profiles[2])
    shutil.copy(ROOT / "Cargo.lock", folder)
    subprocess.run([CARGO, "check", "--workspace", "--target-dir", str(target)], cwd=folder, check=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        copy, target, unpacked = folder / "copy", folder / "target", folder / "packages"
        copy_to(copy)
        crates = published(copy)
        package(copy, target)
        for crate in crates:
            file = target / "package" / f"{crate['name']}-{crate['version']}.crate"
            if file.stat().st_size > MOST_BYTES:
                sys.exit(f"package: {file.name} is larger than the 10 MB that crates.io takes")
            with tarfile.open(file) as archive:
                # Not the argument `filter`, which Debian 12's Python 3.11.2 does not have.
                archive.extraction_filter = getattr(tarfile, "data_filter", None)
                archive.extractall(unpacked)
                count = len(archive.getmembers())
            check_includes(unpacked / file.stem)
            print(f"{file.stem}: {count} files, {file.stat().st_size / 1e6:.1f} MB")
        if sys.argv[1:] == ["check"]:
            build = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
            check_together(unpacked, build / "package-check")


if __name__ == "__main__":
    main()
