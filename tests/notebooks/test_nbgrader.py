"""nbgrader from end to end: generate, submit, autograde, feedback; the scores are the promise."""

from __future__ import annotations

import copy
import inspect

import nbformat
import pytest

from demucs_lab.exercises.framework import all_exercises

from .conftest import LESSONS, SMALL, each_lesson, with_answers

RIGHT = """\
def level(wav):
    if wav.shape[-1] == 0:
        raise ValueError("silence")
    return (wav * wav).mean(dim=-1) ** 0.5
"""
WARNS = f"""\
import sys, warnings, logging
{RIGHT}
own = level
def level(wav):
    warnings.warn("be careful")
    logging.warning("logged")
    print("to stderr", file=sys.stderr)
    print("to stdout")
    return own(wav)
"""
ANSWERS = {
    "right": (RIGHT, 2),
    "blank": (None, 0),
    "wrong": ("level = lambda wav: wav.square().mean(-1)", 0),
    "warns": (WARNS, 2),
    "deleted": (RIGHT, 2),
    "cheats": ("from demucs_lab.exercises.example import level", 0),
    "endless": ("def level(wav):\n    while True:\n        try: wav + 1\n        except: pass", 0),
    "edited_check": (RIGHT.replace("** 0.5", ""), 0),
}


def test_every_kind_of_hand_in_gets_its_score_and_its_feedback(classroom, workshop):
    solved = workshop.read_source(workshop.HERE / SMALL.name)
    released = classroom.release(solved, "small")
    ours = workshop.student_copy(workshop.HERE / SMALL.name)
    assert [cell.source for cell in released.cells] == [cell.source for cell in ours.cells]
    assert [cell.metadata for cell in released.cells] == [cell.metadata for cell in ours.cells]

    check = next(i for i, c in enumerate(ours.cells) if c.metadata.get("nbgrader", {}).get("grade"))
    for student, (answer, _) in ANSWERS.items():
        text = answer
        notebook = with_answers(released, lambda name, text=text: text) if text else released
        notebook = copy.deepcopy(notebook)
        if student.startswith("deleted"):
            del notebook.cells[check]
        if student == "edited_check":
            notebook.cells[check].source = "pass"
        classroom.hand_in(student, notebook, "small")

    scores = {student: classroom.grade(student, "small") for student in ANSWERS}
    assert scores == {student: {"check-level": score} for student, (_, score) in ANSWERS.items()}

    pages = {student: classroom.feedback(student, "small") for student in ANSWERS}
    assert "level: not written yet." in pages["blank"]
    assert "That is the power: its root is the level." in pages["wrong"]
    assert "Your code warned: be careful" in pages["warns"]
    assert "stopped after 10 s" in pages["endless"]
    assert "this is the reference, handed back by an earlier check or imported" in pages["cheats"]
    reference = inspect.getsource(all_exercises()["level"].reference).splitlines()[-1].strip()
    assert reference == "return wav.square().mean(-1).sqrt()"
    for student, page in pages.items():
        assert reference not in page, f"the reference leaks into the feedback of {student}"
        assert "judging.py" not in page, f"the kit's own code is in the feedback of {student}"
    assert not (classroom.folder / "progress.json").exists()


@pytest.mark.slow
@each_lesson
def test_the_graded_cells_of_a_lesson(classroom, builder, lesson):
    """Its own solutions get every point, empty stubs none; the cells between are left out."""
    solved = builder.read_source(lesson)
    code = [cell for cell in solved.cells if cell.cell_type == "code"]
    marked = [cell for cell in code if "nbgrader" in cell.metadata]
    imports = nbformat.v4.new_code_cell(
        "\n".join(
            line
            for cell in code
            for line in cell.source.splitlines()
            if line.startswith(("import ", "from "))
        )
    )
    small = nbformat.v4.new_notebook(cells=[imports, *marked], metadata=solved.metadata)
    points = {
        cell.metadata.nbgrader.grade_id: float(cell.metadata.nbgrader.points)
        for cell in marked
        if cell.metadata.nbgrader.grade
    }
    answers = {c.metadata.nbgrader.grade_id: c.source for c in marked}

    released = classroom.release(small, lesson.stem)
    classroom.hand_in("solved", with_answers(released, answers.__getitem__), lesson.stem)
    assert classroom.grade("solved", lesson.stem) == points
    if lesson == LESSONS[-1]:  # one is enough: tests/exercises tries every exercise's stub
        classroom.hand_in("blank", released, lesson.stem)
        assert classroom.grade("blank", lesson.stem) == dict.fromkeys(points, 0)
