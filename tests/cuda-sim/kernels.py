"""Compares the resources of the kernels that the tests compiled, as NVIDIA's assembler reports them, with the budgets in `budgets.tsv`.

    python kernels.py TOOLKIT FOLDER... [--logs FILE...] [--write]

TOOLKIT has bin/ptxas and bin/cuobjdump; FOLDERs have PTX (CUDA_SIM_DUMP); FILEs are logs of launches (CUDA_SIM_LOG), which give the shared memory that kernels request.

Fails if a kernel spills registers within a loop or is over its budget, if a kernel on matrix units has fewer products in its longest loop than its budget says, or if two kernels have the same name: CubeCL saves compiled kernels by the hash
in their name. `--write` writes new budgets from these kernels."""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

BUDGETS = Path(__file__).with_name("budgets.tsv")
HEAD = "kernel\ttarget\tregisters\tshared bytes\tproducts in its longest loop\tinstructions for each of them\n"


def family(name: str) -> str:
    """Returns the kernel's name without the hash of its compile-time settings."""
    return name.rsplit("_", 1)[0]


def loops(sass: str) -> tuple[int, int, int]:
    """Returns the numbers of matrix products and instructions of the loop with most products, and the number of stores and loads of spilled registers within loops. (A register that ptxas spills once before a loop and loads once after it costs nothing.)"""
    instructions = []
    for line in sass.splitlines():
        found = re.match(r"\s+/\*([0-9a-f]{4,})\*/\s+(.*?);", line)
        if found:
            instructions.append((int(found.group(1), 16), found.group(2)))
    products = [at for at, text in instructions if re.search(r"\bHMMA\b", text)]
    spills = [at for at, text in instructions if re.search(r"\b(LDL|STL)\b", text)]
    best, spilled = (0, 0), set()
    for at, text in instructions:
        jump = re.search(r"\bBRA\b.*?(0x[0-9a-f]+)", text)
        if jump and int(jump.group(1), 16) < at:
            start = int(jump.group(1), 16)
            count = sum(start <= product <= at for product in products)
            length = sum(start <= place <= at for place, _ in instructions)
            spilled.update(spill for spill in spills if start <= spill <= at)
            # Of two loops with the same number, the inner one counts.
            if count > best[0] or (count == best[0] and length < best[1]):
                best = (count, length)
    return (*best, len(spilled))


def assemble(toolkit: Path, file: Path) -> dict:
    text = file.read_text()
    name = re.search(r"\.entry (\w+)", text).group(1)
    target = re.search(r"\.target (\w+)", text).group(1)
    body = re.sub(r"\n\s*\.loc[^\n]*", "", text[text.index(".entry") :])
    with tempfile.NamedTemporaryFile(suffix=".cubin") as cubin:
        said = subprocess.run(
            [toolkit / "bin/ptxas", "-v", f"-arch={target}", file, "-o", cubin.name], capture_output=True, text=True
        )
        if said.returncode:
            sys.exit(f"{file}: {said.stderr}")
        number = lambda pattern: int((re.search(pattern, said.stderr) or [0, 0])[1])
        command = [toolkit / "bin/cuobjdump", "-sass", cubin.name]
        products, length, spilled = loops(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {
        "name": name,
        "target": target,
        "text": hashlib.sha256(body.encode()).hexdigest(),
        "registers": number(r"Used (\d+) registers"),
        "shared": number(r"(\d+) bytes smem"),
        "spilled": spilled,
        "parked": number(r"(\d+) bytes spill stores"),
        "products": products,
        "each": round(length / products, 1) if products else 0.0,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("toolkit", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--logs", type=Path, nargs="+", default=[])
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    files = {}
    for folder in args.folders:
        for file in folder.glob("*.ptx"):
            files.setdefault(file.read_bytes(), file)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        kernels = list(pool.map(lambda file: assemble(args.toolkit, file), files.values()))
    # Most shared memory is not in the PTX: CubeCL requests it with the launch.
    asked: dict[str, int] = {}
    for log in args.logs:
        for line in log.open():
            found = re.search(r"\tlaunch\t(\w+)\t.*\tshared (\d+)", line)
            if found:
                asked[found.group(1)] = max(asked.get(found.group(1), 0), int(found.group(2)))
    faults = []
    texts = collections.defaultdict(set)
    worst: dict[tuple[str, str], dict] = {}
    # burn generates random numbers when it creates a network, before the weights are read.
    kernels = [kernel for kernel in kernels if not kernel["name"].startswith("prng_kernel")]
    for kernel in kernels:
        texts[kernel["target"], kernel["name"]].add(kernel["text"])
        kernel["shared"] = max(kernel["shared"], asked.get(kernel["name"], 0))
        if kernel["spilled"]:
            faults.append(f"{kernel['name']} ({kernel['target']}) spills registers within a loop, {kernel['spilled']} times")
        of = worst.setdefault((family(kernel["name"]), kernel["target"]), dict(kernel))
        of["registers"] = max(of["registers"], kernel["registers"])
        of["shared"] = max(of["shared"], kernel["shared"])
        of["each"] = max(of["each"], kernel["each"])
        of["products"] = min(of["products"], kernel["products"])
    faults += [f"{len(of)} kernels have the name {name} ({target})" for (target, name), of in texts.items() if len(of) > 1]
    if args.write:
        with BUDGETS.open("w") as out:
            out.write(HEAD)
            for (name, target), of in sorted(worst.items()):
                out.write(f"{name}\t{target}\t{of['registers']}\t{of['shared']}\t{of['products']}\t{of['each']}\n")
    budgets = {}
    for line in BUDGETS.read_text().splitlines()[1:]:
        name, target, registers, shared, products, each = line.split("\t")
        budgets[name, target] = (int(registers), int(shared), int(products), float(each))
    for key, of in sorted(worst.items()):
        if key not in budgets:
            faults.append(f"{key[0]} ({key[1]}) has no budget in {BUDGETS.name}: {of['registers']} registers, {of['shared']} bytes")
            continue
        registers, shared, products, each = budgets[key]
        if of["registers"] > registers or of["shared"] > shared or of["products"] < products or of["each"] > each:
            faults.append(
                f"{key[0]} ({key[1]}): {of['registers']} registers of {registers}, {of['shared']} bytes of {shared}, "
                f"{of['products']} products in its loop ({products}), {of['each']} instructions each ({each})"
            )
    for fault in faults:
        print(fault)
    most = lambda what: max(kernel[what] for kernel in kernels)
    parked = sum(kernel["parked"] > 0 for kernel in kernels)
    print(
        f"{len(kernels)} kernels; at most {most('registers')} registers and {most('shared')} bytes of shared memory; "
        f"{sum(kernel['spilled'] > 0 for kernel in kernels)} spill registers within a loop, {parked} park some ({most('parked')} bytes at most) outside"
    )
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
