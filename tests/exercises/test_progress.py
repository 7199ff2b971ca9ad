"""Progress survives the kernel, and never gets in the way."""

from __future__ import annotations

import dataclasses
import json

import pytest

import demucs_lab as lab
from demucs_lab import exercises
from demucs_lab.exercises import _progress, framework


@pytest.fixture
def two_lessons(monkeypatch):
    """Exercises that are not the course's, so that new lessons do not change this test."""
    level = framework.all_exercises()["level"]
    known = {
        name: dataclasses.replace(level, name=name, **more)
        for name, more in {
            "one": {"lesson": "01", "title": "First"},
            "two": {"lesson": "01", "title": "Second"},
            "three": {"lesson": "02", "title": "Third"},
        }.items()
    }
    monkeypatch.setattr(exercises, "all_exercises", lambda: known)
    monkeypatch.setattr(exercises, "_TRIED", set())
    return level.reference


def own(reference):
    def level(wav):
        if wav.shape[-1] == 0:
            raise ValueError
        return wav.square().mean(-1).sqrt()

    return level


def test_solved_is_shown_and_kept_for_the_next_kernel(
    two_lessons, own_progress_file, monkeypatch, capsys
):
    lab.progress()
    assert capsys.readouterr().out == "Nothing solved yet. Lesson 00 is where to start.\n"
    lab.check("one", own(two_lessons))
    lab.check("two", None)
    capsys.readouterr()
    lab.progress()
    shown = capsys.readouterr().out
    assert shown == "Lesson 01: 1 of 2 solved\n  ✓ First\n  · Second\n"
    assert json.loads(own_progress_file.read_text()) == {"solved": ["one"]}

    monkeypatch.setattr(_progress, "_HERE", set())
    monkeypatch.setattr(exercises, "_TRIED", set())
    lab.check("three", own(two_lessons))
    capsys.readouterr()
    lab.progress()
    assert capsys.readouterr().out == shown + "Lesson 02: 1 of 1 solved\n  ✓ Third\n"
    lab.progress("02")
    assert capsys.readouterr().out == "Lesson 02: 1 of 1 solved\n  ✓ Third\n"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"solved": 3}', b"\xff\xfe"])
def test_a_broken_file_is_replaced(two_lessons, own_progress_file, content):
    own_progress_file.write_bytes(content)
    lab.check("one", own(two_lessons))
    assert json.loads(own_progress_file.read_text()) == {"solved": ["one"]}


def test_a_file_that_cannot_be_written_is_silent(two_lessons, tmp_path, monkeypatch, capfd):
    blocked = tmp_path / "a file, not a folder"
    blocked.write_text("")
    monkeypatch.setenv("DEMUCS_LAB_PROGRESS", str(blocked / "progress.json"))
    lab.check("one", own(two_lessons))
    lab.progress()
    shown = capfd.readouterr()
    assert "✓ First" in shown.out
    assert shown.err == ""


@pytest.mark.parametrize("how", ["off", "nbgrader"])
def test_grading_and_building_write_nothing(two_lessons, own_progress_file, how, monkeypatch):
    if how == "off":
        monkeypatch.setenv("DEMUCS_LAB_PROGRESS", "off")
    else:
        monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    lab.check("one", own(two_lessons))
    assert not own_progress_file.exists()
    assert _progress.all_solved() == {"one"}
