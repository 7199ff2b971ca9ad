"""`make bench`: run every measurement in this folder, one after the other, and say where it is.

A measurement is a script `bench/NAME.py` that prints a table and writes `bench/results/NAME.json`.
Names given as arguments run only those.
"""

from __future__ import annotations

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
    RESULTS.mkdir(exist_ok=True)
    facts = machine()
    (RESULTS / "machine.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(" · ".join(f"{key} {value}" for key, value in facts.items()))
    failed = []
    for name in names or known:
        print(f"\n== {name}", flush=True)
        began = time.time()
        done = subprocess.run([sys.executable, str(known[name])], cwd=HERE.parent)
        result = RESULTS / f"{name}.json"
        written = result.exists() and result.stat().st_mtime >= began - 2
        if done.returncode or not written:
            failed.append(name)
            why = f"exit code {done.returncode}" if done.returncode else f"no new {result.name}"
            print(f"== {name} FAILED: {why}")
    print(
        f"\nresults are in {RESULTS.relative_to(HERE.parent)}"
        + f"; FAILED: {failed}" * bool(failed)
    )
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
