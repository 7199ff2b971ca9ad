"""Lesson 02 on real music: one changed line, every cell to the end."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("build", ROOT / "solutions" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.musdb
@pytest.mark.slow
def test_lesson_02_runs_on_musdb18_by_changing_one_line(build, musdb_root):
    lesson = build.read_source(ROOT / "solutions" / "02_masking_limit.py")
    line = re.compile(r'^songs = .*# real music: (lab\.datasets\.MUSDB18\(split="train"\))$', re.M)
    changed = [cell for cell in lesson.cells if line.search(cell.source)]
    assert len(changed) == 1, "the lesson names one line to change, and what to change it to"
    changed[0].source = line.sub(r"songs = \1", changed[0].source)

    ran = build.execute(lesson)

    shown = "\n".join(
        output.get("text", "") for cell in ran.cells for output in cell.get("outputs", [])
    )
    oracle = re.search(r"^irm1 +4096 +1024 +(\S+) +(\S+) +(\S+) +(\S+)", shown, re.M)
    assert oracle, "at 44.1 kHz the lesson's window of 93 ms has 4096 samples"
    # The whole excerpt by another's plain implementation; the lesson takes its middle ten seconds,
    # which are all of it.
    for ours, theirs in zip(oracle.groups(), (11.14, 9.15, 9.13, 13.83), strict=True):
        assert float(ours) == pytest.approx(theirs, abs=0.0151)
    assert "6 of 6 solved" in shown or "right." in shown
