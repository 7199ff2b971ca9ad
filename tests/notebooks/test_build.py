"""`solutions/build.py`: one source, two notebooks, or a clear sentence and nothing written."""

from __future__ import annotations

import dataclasses
import re

import nbformat
import pytest

from demucs_lab.exercises.framework import all_exercises, all_predictions

from .conftest import SMALL, each_lesson

NAME = SMALL.stem


def rewrite(workshop, change):
    source = workshop.HERE / SMALL.name
    source.write_text(change(source.read_text(encoding="utf-8")), encoding="utf-8")
    return source


def one_cell(workshop, code, marks=""):
    """The small lesson with nothing in it but this cell, which becomes cell 002."""
    text = f"# %% [markdown]\n# # A lesson\n\n# %%{marks}\n{code}\n"
    return rewrite(workshop, lambda _: text)


def files(workshop):
    folders = (workshop.HERE, workshop.COURSE)
    return {path: path.read_bytes() for folder in folders for path in folder.glob("*.ipynb")}


def test_a_lesson_becomes_two_notebooks(workshop, capsys):
    assert workshop.main([]) == 0
    solved = nbformat.read(workshop.HERE / f"{NAME}.ipynb", as_version=4)
    student = nbformat.read(workshop.COURSE / f"{NAME}.ipynb", as_version=4)
    ids = [f"{NAME}-{number:03d}" for number in range(len(solved.cells))]
    assert [cell.id for cell in solved.cells] == ids
    assert [cell.id for cell in student.cells] == ids

    code = [cell for cell in solved.cells if cell.cell_type == "code"]
    shown = {cell.id: cell.outputs for cell in code}
    assert shown[f"{NAME}-006"][0].text.startswith("level: right.")
    figure = shown[f"{NAME}-008"][1].data
    assert {"image/png", "text/plain"} <= set(figure)
    assert not any("execution" in cell.metadata for cell in code), "timing was recorded"
    assert solved.metadata.kernelspec.language == "python"

    assert all(not cell.get("outputs") for cell in student.cells)
    text = "\n".join(cell.source for cell in student.cells)
    assert "SOLUTION" not in text
    assert "square()" not in text, "the solution is in the learner's copy"
    assert 'choice = None  # your guess\nlab.predict("level_of_a_sine", choice)' in text
    assert text.count("raise NotImplementedError()") == 1
    marks = {c.metadata.nbgrader.grade_id: c for c in student.cells if "nbgrader" in c.metadata}
    assert marks["level"].metadata.nbgrader.solution
    assert marks["level"].metadata.deletable is False
    assert marks["check-level"].metadata.nbgrader.points == 2
    assert marks["check-level"].metadata.editable is False

    before = files(workshop)
    assert workshop.main(["--check"]) == 0
    assert files(workshop) == before
    assert workshop.main(["--students"]) == 0
    assert files(workshop) == before, "two builds differ"


def test_check_names_each_notebook_that_is_old(workshop, capsys):
    assert workshop.main(["--check"]) == 1
    missing = capsys.readouterr().err
    assert f"course/{NAME}.ipynb is missing" in missing
    assert f"solutions/{NAME}.ipynb is missing" in missing

    workshop.main(["--students"])
    source = workshop.HERE / SMALL.name
    workshop.write(workshop.read_source(source), workshop.HERE / f"{NAME}.ipynb")
    assert workshop.main(["--check"]) == 0

    rewrite(workshop, lambda text: text.replace("How loud", "How very loud"))
    stray = workshop.COURSE / "91_gone.ipynb"
    stray.write_text("{}")
    before = files(workshop)
    capsys.readouterr()
    assert workshop.main(["--check"]) == 1
    old = capsys.readouterr().err
    assert f"course/{NAME}.ipynb is not what its source gives" in old
    assert f"solutions/{NAME}.ipynb is not what its source gives" in old
    assert "course/91_gone.ipynb has no source" in old
    assert "make course" in old
    assert files(workshop) == before


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import sys\nprint('careful', file=sys.stderr)", "writes to stderr"),
        ("import os\nprint(os.getcwd())", "shows a temporary path"),
        ("object()", "shows an address in memory"),
        ("from pathlib import Path\nprint(Path.home() / 'x')", "shows a path of this machine"),
        ("import os\nos._exit(1)", "the kernel stopped"),
    ],
)
def test_a_cell_that_must_not_be_published_is_named_and_nothing_is_written(
    workshop, cell, sentence, capsys
):
    one_cell(workshop, cell)
    workshop.main(["--students"])
    before = files(workshop)
    rewrite(workshop, lambda text: text.replace("A lesson", "Another lesson"))
    assert workshop.main([]) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert f"{NAME}-002" in said or sentence == "the kernel stopped"
    assert "\x1b" not in said
    assert files(workshop) == before


def test_widget_views_and_their_state_are_removed(workshop):
    cell = "import ipywidgets\nipywidgets.IntSlider(description='bars')"
    source = one_cell(workshop, cell)
    solved = workshop.execute(workshop.read_source(source))
    assert list(solved.cells[-1].outputs[0].data) == ["text/plain"]
    assert "widgets" not in solved.metadata


def test_a_gpu_cell_keeps_its_recorded_result(workshop, monkeypatch):
    source = one_cell(workshop, 'print("on a GPU")', ' tags=["gpu"]')
    monkeypatch.setattr(workshop, "_has_cuda", lambda: True)
    recorded = workshop.execute(workshop.read_source(source))
    monkeypatch.setattr(workshop, "_has_cuda", lambda: False)
    assert workshop.execute(workshop.read_source(source)).cells[-1].outputs == []
    kept = workshop.execute(workshop.read_source(source), recorded)
    assert kept.cells[-1].outputs[0].text == "on a GPU\n"
    assert "nbval-skip" in kept.cells[-1].metadata.tags


def recorded(workshop):
    """The small lesson built once, with a mark in an output that no run would give."""
    assert workshop.main([]) == 0
    path = workshop.HERE / f"{NAME}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].outputs[0].data["text/plain"] = "'recorded'"
    workshop.write(notebook, path)
    return path


def outputs_by_code(path):
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    return [(c.source, c.execution_count, c.outputs) for c in cells]


def refuse_to_run(*_):
    raise AssertionError("the lesson was executed")


def test_a_change_of_the_text_keeps_every_output_and_runs_nothing(workshop, monkeypatch, capsys):
    path = recorded(workshop)
    before = outputs_by_code(path)
    new = "# # A lesson for the tests\n\n# %% [markdown]\n# One cell more.\n"
    rewrite(workshop, lambda text: text.replace("# # A lesson for the tests\n", new, 1))
    rewrite(workshop, lambda text: text.replace("How loud", "How very loud"))
    assert workshop.main(["--check"]) == 1
    monkeypatch.setattr(workshop, "execute", refuse_to_run)
    assert workshop.main([]) == 0
    assert "its code has not changed, the outputs stay" in capsys.readouterr().out
    assert outputs_by_code(path) == before
    for folder in (workshop.HERE, workshop.COURSE):
        text = (folder / f"{NAME}.ipynb").read_text(encoding="utf-8")
        assert "How very loud" in text
        assert "One cell more." in text
    assert workshop.main(["--check"]) == 0
    kept = files(workshop)
    assert workshop.main([]) == 0
    assert files(workshop) == kept


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('print("before")', 'print("after")'),
        ('tags=["gpu"]', 'tags=["slow"]'),
        ("# %%\nf", "# %%\n1 + 1\n\n# %%\nf"),
    ],
)
def test_a_change_of_the_code_runs_the_whole_lesson(workshop, monkeypatch, old, new):
    path = recorded(workshop)
    run = []
    monkeypatch.setattr(workshop, "execute", lambda notebook, _: run.append(1) or notebook)
    assert old in (workshop.HERE / SMALL.name).read_text(encoding="utf-8")
    rewrite(workshop, lambda text: text.replace(old, new, 1))
    assert workshop.main([]) == 0
    assert run == [1]
    assert "'recorded'" not in path.read_text(encoding="utf-8")


def test_a_change_of_the_package_is_recorded_by_force(workshop, monkeypatch):
    path = recorded(workshop)
    assert workshop.main(["--run"]) == 0
    assert outputs_by_code(path)[-1][2][0].data["text/plain"] != "'recorded'"


def test_a_notebook_that_was_never_run_is_not_taken_for_a_record(workshop, monkeypatch):
    source = workshop.HERE / SMALL.name
    unrun = workshop.read_source(source)
    assert workshop.with_outputs(workshop.read_source(source), unrun) is None


def test_a_question_comes_from_its_prediction_alone(workshop, monkeypatch):
    path = recorded(workshop)
    known = all_predictions()
    asked = known["level_of_a_sine"]
    options = {**asked.options, "b": "about 0.707"}
    changed = dataclasses.replace(asked, question="How high is *this* sine?", options=options)
    monkeypatch.setitem(known, "level_of_a_sine", changed)
    assert workshop.main(["--check"]) == 1
    monkeypatch.setattr(workshop, "execute", refuse_to_run)
    assert workshop.main([]) == 0
    cells = nbformat.read(path, as_version=4).cells
    at = next(k for k, cell in enumerate(cells) if "predict" in cell.metadata)
    assert cells[at - 1].source.startswith("How high is *this* sine?\n\n- **a** 1\n- **b** about")
    assert cells[at].source == 'choice = "b"\nlab.predict("level_of_a_sine", choice)'
    assert cells[at].outputs[0].text.startswith("✓ b) about 0.707\n")


def test_mistakes_in_the_markers_are_named(workshop, capsys):
    source = SMALL.read_text(encoding="utf-8")
    for old, new, sentence in (
        ("### END SOLUTION\n", "\n", "ClearSolutions says"),
        ('exercise="level"', "", "ClearSolutions says"),
        ('predict="level_of_a_sine"', 'predict="level_of_a_sin"', "no prediction 'level_of_a_sin'"),
        ('"level_of_a_sine"\n', '"level_of_a_sine"\nchoice = 1\n', "leave it empty"),
        ("# %% [markdown]\n# The", '# %% exercise="level"\n# The', "two cells are marked 'level'"),
    ):
        assert old in source
        rewrite(workshop, lambda text, old=old, new=new: source.replace(old, new))
        assert workshop.main(["--students"]) == 1
        assert sentence in capsys.readouterr().err
    assert files(workshop) == {}


def test_an_unknown_lesson_is_named(workshop, capsys):
    assert workshop.main(["07"]) == 2
    assert f"no lesson 07; there are: {NAME}" in capsys.readouterr().err


def test_outside_colab_the_first_cell_does_nothing(builder):
    import sys

    before = set(sys.modules)
    code = builder.COLAB.replace("%pip", "pip")
    exec(compile(code.replace("pip install", "#"), "colab", "exec"), {})
    assert set(sys.modules) == before
    assert "--no-deps" in code
    assert " torch" not in code.replace("Colab's own torch and numpy stay", "")


# -- the lessons of the course --------------------------------------------------------------------


@each_lesson
def test_the_committed_notebooks_are_what_the_source_gives(builder, lesson):
    assert builder.out_of_date(lesson) == []


def test_every_notebook_has_a_source(builder):
    assert builder.orphans() == []


@each_lesson
def test_the_solved_notebook_can_be_published(builder, lesson):
    path = lesson.with_suffix(".ipynb")
    assert path.stat().st_size <= 2_000_000
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert "widgets" not in notebook.metadata
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source]
    run = [cell for cell in code if "gpu" not in cell.metadata.get("tags", [])]
    counts = [cell.execution_count for cell in run]
    assert counts == sorted(counts), "not executed from top to bottom"
    for cell in code:
        for output in builder._joined(cell.outputs):
            assert output.output_type != "error", cell.id
            builder._clean(cell, output)
            assert "text/plain" in output.get("data", {"text/plain": ""}), f"{cell.id}: no text"


@each_lesson
def test_every_exercise_is_in_its_lesson_and_passes_there(builder, lesson):
    number = lesson.stem[:2]
    notebook = nbformat.read(lesson.with_suffix(".ipynb"), as_version=4)
    names = [cell.metadata.get("nbgrader", {}).get("grade_id", "") for cell in notebook.cells]
    written = {name for name in names if name and not name.startswith("check-")}
    checked = {name.removeprefix("check-") for name in names if name.startswith("check-")}
    known = {name for name, exercise in all_exercises().items() if exercise.lesson == number}
    assert written == checked == known
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if name.startswith("check-"):
            name = name.removeprefix("check-")
            assert cell.source == f'{name} = lab.check("{name}", {name})'
            assert cell.outputs[0].text.startswith(f"{name}: right.")


@each_lesson
def test_every_prediction_is_in_its_lesson_and_written_once(lesson):
    """The marker names it; question, options and guess are the build's."""
    text = lesson.read_text(encoding="utf-8")
    marked = re.findall(r'^# %% predict="(\w+)"$', text, re.MULTILINE)
    own = {n: p for n, p in all_predictions().items() if p.lesson == lesson.stem[:2]}
    assert sorted(marked) == sorted(own)
    assert "lab.predict(" not in text
    assert "# - **a** " not in text
    words = plain(text)
    for name, prediction in own.items():
        assert plain(prediction.question) not in words, name
        for option in (prediction.options or {}).values():
            assert len(option) < 30 or plain(option) not in words, f"{name}: {option}"


def plain(text):
    """Words in a row, without line breaks, comment signs and emphasis."""
    return " ".join(re.sub(r"[#*]", " ", text).split())


@each_lesson
def test_no_line_of_code_runs_off_the_edge(builder, lesson):
    student = builder.COURSE / f"{lesson.stem}.ipynb"
    for path in (lesson.with_suffix(".ipynb"), student):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code":
                long = [line for line in cell.source.splitlines() if len(line) > 85]
                assert not long, f"{cell.id}: {long[0]}"
