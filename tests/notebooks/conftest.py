"""The builder, a small lesson, and a classroom in which nbgrader grades it."""

from __future__ import annotations

import copy
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]
SMALL = Path(__file__).with_name("90_small_lesson.py")


def load_builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lesson_builder", ROOT / "solutions" / "build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LESSONS = load_builder().lessons([])
each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=[path.stem for path in LESSONS])


@pytest.fixture(scope="session")
def builder() -> ModuleType:
    """`solutions/build.py`, for the repository's own lessons."""
    return load_builder()


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`solutions/build.py` in a folder of its own that holds the small lesson only."""
    module = load_builder()
    for name in ("solutions", "course"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(module, "HERE", tmp_path / "solutions")
    monkeypatch.setattr(module, "COURSE", tmp_path / "course")
    (tmp_path / "solutions" / SMALL.name).write_bytes(SMALL.read_bytes())
    return module


class Classroom:
    """A teacher's course folder, with the settings that `solutions/nbgrader_config.py` advises."""

    def __init__(self, folder: Path) -> None:
        from nbgrader.apps import NbGraderAPI
        from traitlets.config import PyFileConfigLoader

        config = PyFileConfigLoader("nbgrader_config.py", str(ROOT / "solutions")).load_config()
        config.CourseDirectory.root = str(folder)
        config.CourseDirectory.db_url = f"sqlite:///{(folder / 'gradebook.db').as_posix()}"
        config.Application.log_level = "ERROR"
        self.folder, self.api = folder, NbGraderAPI(config=config)

    def release(self, solved: NotebookNode, assignment: str) -> NotebookNode:
        source = self.folder / "source" / assignment / f"{assignment}.ipynb"
        source.parent.mkdir(parents=True)
        nbformat.write(solved, source)
        done = self.api.generate_assignment(assignment)
        assert done["success"], done["log"]
        return nbformat.read(self.folder / "release" / assignment / source.name, as_version=4)

    def hand_in(self, student: str, notebook: NotebookNode, assignment: str) -> None:
        path = self.folder / "submitted" / student / assignment / f"{assignment}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(notebook, path)

    def grade(self, student: str, assignment: str) -> dict[str, float]:
        """Points by check cell, as the gradebook has them after autograde."""
        done = self.api.autograde(assignment, student)
        assert done["success"], done["log"]
        with self.api.gradebook as gradebook:
            notebook = gradebook.find_submission_notebook(assignment, assignment, student)
            return {grade.cell.name: grade.score for grade in notebook.grades}

    def feedback(self, student: str, assignment: str) -> str:
        done = self.api.generate_feedback(assignment, student)
        assert done["success"], done["log"]
        path = self.folder / "feedback" / student / assignment / f"{assignment}.html"
        return path.read_text(encoding="utf-8")


@pytest.fixture
def classroom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Classroom:
    pytest.importorskip("nbgrader")
    monkeypatch.setenv("DEMUCS_LAB_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.chdir(tmp_path)
    scripts = str(Path(sys.executable).parent)  # nbgrader calls alembic, which lies there
    monkeypatch.setenv("PATH", scripts + os.pathsep + os.environ.get("PATH", ""))
    return Classroom(tmp_path)


def with_answers(released: NotebookNode, answer: Callable[[str], str]) -> NotebookNode:
    """The released notebook with `answer(name)` written into the cell of each exercise."""
    notebook = copy.deepcopy(released)
    for cell in notebook.cells:
        marks = cell.metadata.get("nbgrader", {})
        if marks.get("solution"):
            cell.source = answer(marks["grade_id"])
    return notebook


def kernel_env(builder: ModuleType) -> dict[str, str]:
    return {**os.environ, **builder.KERNEL_ENV}
