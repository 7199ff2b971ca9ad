"""Run nbval on one notebook, in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat

SANITIZE = Path(__file__).with_name("sanitize.cfg")
TESTS = SANITIZE.parents[1]


def run_nbval(path: Path, how: str, env: dict[str, str]) -> None:
    """Every code cell runs, and nothing fails; cells tagged `nbval-skip` are the only ones left.

    Where results are compared, `last_digit` says how.
    """
    options = [how, f"--nbval-sanitize-with={SANITIZE}", "--nbval-cell-timeout=600"]
    options += ["-p", "notebooks.last_digit"]
    quiet = ["-q", "--color=no", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts="]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *quiet, f"--rootdir={path.parent}", str(path)],
        env={**env, "PYTHONPATH": os.pathsep.join([str(TESTS), env.get("PYTHONPATH", "")])},
        cwd=path.parent,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    skipped = sum("nbval-skip" in cell.metadata.get("tags", []) for cell in cells)
    count = {word: int(n) for n, word in re.findall(r"(\d+) (passed|skipped)", done.stdout)}
    assert count.get("passed", 0) == len(cells) - skipped, done.stdout[-1000:]
    assert count.get("skipped", 0) == skipped
