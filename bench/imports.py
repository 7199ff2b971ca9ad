"""How long `import demucs_lab` takes in a fresh Python, beside what torch alone takes."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

STATEMENTS = {
    "nothing": "pass",
    "the package": "import demucs_lab",
    "torch alone": "import torch",
    "the package, all public names": "import demucs_lab as m; [getattr(m, n) for n in m.__all__]",
}
TIMES = 5


def seconds(statement: str) -> float:
    """One fresh process, from start to end."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - begin


def main() -> None:
    """Print the table and write results/imports.json."""
    for statement in STATEMENTS.values():
        seconds(statement)  # fills the file cache
    rounds = [{name: seconds(line) for name, line in STATEMENTS.items()} for _ in range(TIMES)]
    start = statistics.median(times["nothing"] for times in rounds)
    table = {
        name: round(statistics.median(times[name] for times in rounds) - start, 3)
        for name in STATEMENTS
        if name != "nothing"
    }
    print(f"{'import':<32} seconds (median of {TIMES}, without Python's own start)")
    for name, value in table.items():
        print(f"{name:<32} {value:7.3f}")
    result = Path(__file__).parent / "results" / "imports.json"
    result.parent.mkdir(exist_ok=True)
    result.write_text(json.dumps({"seconds": table}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
