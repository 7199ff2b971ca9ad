"""Strict nbval: a solved notebook, run again, shows what is committed, but for last digits."""

from __future__ import annotations

import nbformat
import pytest

from .conftest import SMALL, each_lesson, kernel_env
from .last_digit import Printed
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
    notebook.cells[-1].outputs[0].data["text/plain"] = "'0.498'"
    nbformat.write(notebook, path)
    with pytest.raises(AssertionError, match=r"0\.498"):
        run_nbval(path, "--nbval", kernel_env(builder))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("9.7 / 26.7 dB", "9.7 / 26.6 dB", True),
        ("loss −0.10", "loss −0.09", True),
        ("-0.0 dB", "0.0 dB", True),
        ("9.99", "10.00", True),
        ("26.7 dB", "26.5 dB", False),
        ("9.7", "9.70", False),
        ("12 songs", "13 songs", False),
        ("bass 8.2", "drums 8.2", False),
        ("8.2", "8.2 8.2", False),
    ],
)
def test_only_last_digits_may_differ(one, other, same):
    assert (Printed(one) == Printed(other)) is same
    assert (Printed(one) != Printed(other)) is not same
