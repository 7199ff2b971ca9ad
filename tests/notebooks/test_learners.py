"""Lax nbval: a learner's copy runs to its end with nothing solved."""

from __future__ import annotations

import pytest

from .conftest import SMALL, each_lesson, kernel_env
from .nbval import run_nbval


@pytest.mark.slow
@each_lesson
def test_the_learners_copy_runs_to_its_end_unsolved(builder, lesson):
    path = builder.COURSE / f"{lesson.stem}.ipynb"
    run_nbval(path, "--nbval-lax", kernel_env(builder))


def test_nbval_notices_a_copy_that_breaks(workshop, builder):
    source = workshop.HERE / SMALL.name
    source.write_text(
        source.read_text(encoding="utf-8") + "\n# %%\nlen(choice)\n", encoding="utf-8"
    )
    workshop.main(["--students"])
    with pytest.raises(AssertionError, match="object of type 'NoneType' has no len"):
        run_nbval(workshop.COURSE / f"{SMALL.stem}.ipynb", "--nbval-lax", kernel_env(builder))
