# `sam2` ends with 3 where every output is complete but something is missing in the masks, such as a batch without a usable prompt.
# Snakemake takes any code but 0 for a failure and deletes the outputs, so 3 must become 0 here, and be seen elsewhere: in the job's
# log, in a status file and in summary.tsv. Every other code stays a failure.


def accepting_flawed(command):
    """The shell command, with exit code 3 as success. It needs `log` and an output `status`, which gets `done` or `flawed`."""
    return (
        f"code=0\n{command} || code=$?\n"
        'if [ "$code" = 0 ]; then echo done > {output.status:q}\n'
        'elif [ "$code" = 3 ]; then\n'
        "    echo flawed > {output.status:q}\n"
        "    echo 'exit code 3: the outputs are complete, but something is missing in the masks; the warnings above say what'"
        " | tee -a {log:q} >&2\n"
        'else exit "$code"; fi'
    )


def warnings(log):
    """The warnings of a job that ended with 3, of its last attempt."""
    lines = Path(log).read_text(errors="replace").splitlines() if Path(log).exists() else []
    attempts = [number for number, line in enumerate(lines) if line.startswith("exit code 3:")]
    first = attempts[-2] + 1 if len(attempts) > 1 else 0
    told = [line.partition("WARN ")[2] for line in lines[first:] if "WARN " in line]
    return [" ".join(line.split()) for line in told] if attempts else []


def logs_of(name):
    """The logs of the jobs whose warnings say what masks lack."""
    if name.startswith("legacy/"):
        return [f"{OUT}/logs/{name}.log"]
    return sorted(map(str, Path(f"{OUT}/logs/{name}/{settings(name)}").glob("*.log"))) + [f"{OUT}/logs/{name}/run.log"]


# The status file of everything that masks are made of.
STATUS_FILES = {name: f"{OUT}/runs/{name}.status" for name in RECORDINGS}
STATUS_FILES |= {f"legacy/{name}": f"{OUT}/legacy/{name}.status" for name in LEGACY}


def is_flawed(status):
    return Path(status).exists() and Path(status).read_text().strip() == "flawed"


def tell_flawed():
    """Names the recordings whose masks lack something, at the end of Snakemake's own messages."""
    flawed = [name for name, status in STATUS_FILES.items() if is_flawed(status)]
    if flawed:
        logger.warning(
            f"the masks of {', '.join(flawed)} are complete but lack something (exit code 3): see {OUT}/summary.tsv and {OUT}/logs"
        )


rule summary:
    input:
        list(STATUS_FILES.values()),
    output:
        f"{OUT}/summary.tsv",
    localrule: True
    run:
        with open(output[0], "w") as table:
            print("name", "result", "why", sep="\t", file=table)
            for name, status in STATUS_FILES.items():
                if is_flawed(status):
                    told = dict.fromkeys(line for log in logs_of(name) for line in warnings(log))
                    print(name, "flawed", "; ".join(told), sep="\t", file=table)
                else:
                    print(name, "done", "", sep="\t", file=table)
