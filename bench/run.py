"""`make bench`: run every measurement in this folder, one after the other, and write them down.

A measurement is a script `bench/NAME.py` that prints a table and writes `bench/results/NAME.json`.
Names given as arguments run only those. Results are kept by the instruction set of the processor,
which decides much of what is fast: `bench/results/AVX2/NAME.json`, and `.txt` with the table. What
each printed last on each kind of processor becomes `bench/README.md`.
"""

from __future__ import annotations

import ast
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"


def scripts() -> list[Path]:
    """The measurements in this folder, by name."""
    return [path for path in sorted(HERE.glob("[!_]*.py")) if path.name != "run.py"]


def machine() -> dict[str, str | int]:
    """What the figures were measured on."""
    import torch

    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        processor = names[0] if names else processor
    return {
        "processor": processor,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count() or 1,
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def main(names: list[str]) -> int:
    """Run them; 0 if all went well."""
    known = {path.stem: path for path in scripts()}
    if unknown := [name for name in names if name not in known]:
        print(f"no measurement is named {unknown[0]!r}: choose from {', '.join(known)}")
        return 2
    facts = machine()
    kept = RESULTS / str(facts["instructions"])
    kept.mkdir(parents=True, exist_ok=True)
    print(" · ".join(f"{key} {value}" for key, value in facts.items()))
    failed = []
    for name in names or known:
        print(f"\n== {name}", flush=True)
        began = time.time()
        status, printed = _run(known[name])
        result = RESULTS / f"{name}.json"
        written = result.exists() and result.stat().st_mtime >= began - 2
        if status or not written:
            failed.append(name)
            why = f"exit code {status}" if status else f"no new {result.name}"
            print(f"== {name} FAILED: {why}")
        else:
            keep(result, kept, printed, facts)
    write_readme(known)
    print(
        f"\nresults are in {RESULTS.relative_to(HERE.parent)}"
        + f"; FAILED: {failed}" * bool(failed)
    )
    return int(bool(failed))


def keep(result: Path, folder: Path, printed: str, facts: dict[str, str | int]) -> None:
    """Keep what a measurement wrote and printed, unless it found nothing to compare with."""
    found = json.loads(result.read_text(encoding="utf-8"))
    result.unlink()
    if "skipped" in found:
        return
    text = json.dumps(found | {"machine": facts}, indent=1)
    (folder / result.name).write_text(text + "\n", encoding="utf-8")
    where = " · ".join(f"{key} {value}" for key, value in facts.items())
    table = printed.strip("\n")  # a header may begin with spaces
    (folder / f"{result.stem}.txt").write_text(f"{table}\n\n({where})\n", encoding="utf-8")


def _run(script: Path) -> tuple[int, str]:
    """Run a measurement, show what it prints as it prints it, and give that back too."""
    command = [sys.executable, "-u", str(script)]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(
        command, cwd=HERE.parent, stdout=subprocess.PIPE, encoding="utf-8", env=environment
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return process.returncode, "".join(lines)


def write_readme(known: dict[str, Path]) -> None:
    """Put what each measurement printed last, on each kind of processor, into `bench/README.md`."""
    parts = [
        "# Measurements",
        "`make bench` runs them all and writes this page; `make bench ARGS=NAME` runs one. Speed "
        "is a ratio to a peer that ran in turns with ours, in one run, on one machine.",
    ]
    for name, script in known.items():
        if tables := sorted(RESULTS.glob(f"*/{name}.txt")):
            about = (ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or "").strip()
            parts += [f"## {name}", about.split("\n\n")[0]]
            bodies = [path.read_text(encoding="utf-8").strip("\n") for path in tables]
            parts += [f"```text\n{body}\n```" for body in bodies]
    (HERE / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
