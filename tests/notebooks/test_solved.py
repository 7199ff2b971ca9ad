"""Strict nbval: a solved notebook, run again, shows what is committed."""

from __future__ import annotations

import nbformat
import pytest

from .conftest import SMALL, each_lesson, kernel_env
from .nbval import run_nbval


@pytest.mark.slow
@each_lesson
def test_the_solved_notebook_gives_the_same_results_again(builder, lesson):
    run_nbval(lesson.with_suffix(".ipynb"), "--nbval", kernel_env(builder))


def test_nbval_notices_another_result(workshop, builder):
    workshop.main([])
    path = workshop.HERE / f"{SMALL.stem}.ipynb"
    run_nbval(path, "--nbval", kernel_env(builder))
    notebook = nbformat.read(path, as_version=4)
    assert notebook.cells[-1].outputs[0].data["text/plain"] == "'0.496'"
    notebook.cells[-1].outputs[0].data["text/plain"] = "'0.497'"
    nbformat.write(notebook, path)
    with pytest.raises(AssertionError, match=r"0\.497"):
        run_nbval(path, "--nbval", kernel_env(builder))
