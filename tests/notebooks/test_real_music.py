"""Lessons 01 and 02 on real music: one changed line, every cell to the end."""

from __future__ import annotations

import re
from types import ModuleType

import pytest

from .conftest import ROOT

LINE = re.compile(r'^# (songs = lab\.datasets\.MUSDB18\(split="train"\))  # real music$', re.M)


def printed_on_real_music(builder: ModuleType, lesson: str) -> str:
    notebook = builder.read_source(ROOT / "solutions" / f"{lesson}.py")
    changed = [cell for cell in notebook.cells if LINE.search(cell.source)]
    assert len(changed) == 1, "a lesson names one line to change, and what to change it to"
    changed[0].source = LINE.sub(r"\1", changed[0].source)
    outputs = [
        output for cell in builder.execute(notebook).cells for output in cell.get("outputs", [])
    ]
    return "\n".join(output.get("text", "") for output in outputs)


@pytest.mark.musdb
@pytest.mark.slow
@pytest.mark.usefixtures("musdb_root")
def test_lesson_01_runs_on_musdb18_by_changing_one_line(builder: ModuleType) -> None:
    shown = printed_on_real_music(builder, "01_listening_and_measuring")
    assert "Lesson 01: 4 of 4 solved" in shown


@pytest.mark.musdb
@pytest.mark.slow
@pytest.mark.usefixtures("musdb_root")
def test_lesson_02_runs_on_musdb18_by_changing_one_line(builder: ModuleType) -> None:
    shown = printed_on_real_music(builder, "02_masking_limit")
    assert "Lesson 02: 6 of 6 solved" in shown
    oracle = re.search(r"^irm1 +4096 +1024 +(\S+) +(\S+) +(\S+) +(\S+)", shown, re.M)
    assert oracle, "at 44.1 kHz the lesson's window of 93 ms has 4096 samples"
    # Measured with another's plain implementation; both figures are rounded to two digits.
    for ours, theirs in zip(oracle.groups(), (11.14, 9.15, 9.13, 13.83), strict=True):
        assert float(ours) == pytest.approx(theirs, abs=0.0151)
