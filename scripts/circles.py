#!/usr/bin/env python3
"""Counts circles of files in each crate: files that use each other, directly or through others.

A file of a circle cannot be understood, tested or moved alone. `make circles` prints the largest circle of every
crate and its files. With `-v` it names all files of every circle, with `-e` who uses whom in them,
and with `--most N` it fails if a circle has more than N files. It reads `use`, `crate::` and `super::` paths, and leaves out tests: modules under
`#[cfg(test)]` and files whose name ends in `tests.rs`.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def modules(source: pathlib.Path) -> dict[tuple[str, ...], pathlib.Path]:
    """Maps each module path to its file."""
    found = {}
    for file in sorted(source.rglob("*.rs")):
        parts = list(file.relative_to(source).with_suffix("").parts)
        if parts[-1].endswith("tests") or parts == ["main"] or parts[0] == "bin":
            continue
        if parts[-1] in ("mod", "lib"):
            parts.pop()
        found[tuple(parts)] = file
    return found


def without_tests(text: str) -> str:
    """Cuts comments and everything from the first `#[cfg(test)] mod ... {` on."""
    text = re.sub(r"//[^\n]*", "", text)
    return re.split(r"#\[cfg\(test\)\]\s*(?:pub(?:\([a-z]+\))? )?mod \w+ \{", text)[0]


def expand(tree: str) -> list[str]:
    """Expands `a::{b, c::{d, e}}` into single paths."""
    tree = re.sub(r"\s+", "", tree)
    brace = tree.find("{")
    if brace < 0:
        return [tree]
    head, inner, depth, start, out = tree[:brace], tree[brace + 1 : tree.rfind("}")], 0, 0, []
    for at, char in enumerate(inner + ","):
        depth += (char == "{") - (char == "}")
        if char == "," and depth == 0:
            if inner[start:at]:
                out += [head + path for path in expand(inner[start:at])]
            start = at + 1
    return out


def re_exports(module, text, known):
    """Maps the names that a module re-exports to the module that defines them."""
    exports = {}
    for tree in re.findall(r"\bpub(?:\([a-z: ]+\))? use ([^;]+);", text):
        for path in expand(tree):
            parts = re.sub(r"\s*as .*", "", path).split("::")
            if parts[0] == "crate":
                parts = parts[1:]
            elif parts[0] == "self":
                parts = [*module, *parts[1:]]
            else:
                parts = [*module, *parts]
            if tuple(parts[:-1]) in known:
                exports[parts[-1]] = tuple(parts[:-1])
    return exports


def uses(module, text, known, exports):
    """Returns the modules that a file uses."""
    paths = []
    for tree in re.findall(r"\buse ((?:crate|super|self)::[^;]+);", text):
        paths += expand(tree)
    paths += re.findall(r"\b((?:crate|super)(?:::\w+)+)", text)
    found = set()
    for path in paths:
        parts = [part for part in re.sub(r"as\w*$", "", path).split("::")]
        at = list(module)
        if parts[0] == "crate":
            at, parts = [], parts[1:]
        elif parts[0] == "self":
            parts = parts[1:]
        while parts and parts[0] == "super":
            at, parts = at[:-1], parts[1:]
        full = tuple(at + parts)
        while full and full not in known:
            full = full[:-1]
        rest = tuple(at + parts)[len(full) :]
        # A name that a module only passes on belongs to the module below that defines it.
        seen = set()
        while rest and rest[0] in exports.get(full, {}) and full not in seen:
            seen.add(full)
            full = exports[full][rest[0]]
        if full in known and full != tuple(module):
            found.add(full)
    return found


def circles(graph):
    """Returns the strongly connected components with more than one file, by Tarjan's method."""
    index, low, stack, on, out, counter = {}, {}, [], set(), [], [0]

    def visit(node):
        index[node] = low[node] = counter[0]
        counter[0] += 1
        stack.append(node)
        on.add(node)
        for after in graph[node]:
            if after not in index:
                visit(after)
                low[node] = min(low[node], low[after])
            elif after in on:
                low[node] = min(low[node], index[after])
        if low[node] == index[node]:
            part = []
            while True:
                last = stack.pop()
                on.discard(last)
                part.append(last)
                if last == node:
                    break
            if len(part) > 1:
                out.append(sorted(part))

    sys.setrecursionlimit(10_000)
    for node in graph:
        if node not in index:
            visit(node)
    # In the same order each time, since ARCHITECTURE.md shows the list.
    return sorted(out, key=lambda circle: (-len(circle), circle))


def main():
    largest = 0
    for cargo in sorted(ROOT.glob("*/Cargo.toml")):
        source = cargo.parent / "src"
        if not source.is_dir():
            continue
        known = modules(source)
        texts = {module: without_tests(file.read_text()) for module, file in known.items()}
        exports = {module: re_exports(module, text, known) for module, text in texts.items()}
        graph = {module: uses(module, texts[module], known, exports) for module in known}
        # The root only lists the modules.
        graph.pop((), None)
        for targets in graph.values():
            targets.discard(())
        found = circles(graph)
        largest = max([largest, *map(len, found)])
        sizes = ", ".join(str(len(circle)) for circle in found) or "none"
        if "-e" in sys.argv:
            for circle in found:
                for node in circle:
                    print("    ", "/".join(node), "->", ", ".join("/".join(t) for t in sorted(graph[node]) if t in circle))
        print(f"{cargo.parent.name}: {len(known)} files, circles: {sizes}")
        if "-v" in sys.argv:
            for circle in found:
                print("   ", ", ".join("/".join(module) for module in circle))
    if "--most" in sys.argv and largest > (most := int(sys.argv[sys.argv.index("--most") + 1])):
        sys.exit(f"a circle has {largest} files, more than {most}: give one of them a room of its own")


main()
