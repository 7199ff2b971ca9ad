"""The first lesson as a newcomer opens it: its player plays."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from harness import REPOSITORY, Player, Watched

pytestmark = pytest.mark.browser

LESSON = REPOSITORY / "course" / "00_start_here.ipynb"
CODE = """[...jupyterapp.shell.currentWidget.content.model.cells]
  .filter((c) => c.type === "code" && c.sharedModel.source.trim())"""
ALL_RUN = f"() => {CODE}.every((c) => c.executionCount)"
ERRORS = f"""() => {CODE}.flatMap((c) => c.sharedModel.outputs)
  .filter((o) => o.output_type === "error").map((o) => o.evalue)"""


@pytest.mark.slow
def test_the_player_of_lesson_00_plays(lab: Any, chromium: Any) -> None:
    if not LESSON.exists():
        pytest.skip("NEEDS LESSON 00: build course/00_start_here.ipynb with `make course`")
    shutil.copy(LESSON, lab.root)
    watched = Watched(chromium)
    try:
        lab.open(watched.page, LESSON.name)
        ready = "document.querySelector('.dl-player .dl-play:not(:disabled)')"
        watched.page.wait_for_function(ready, timeout=180_000)
        player = Player(watched.page)
        player.root.scroll_into_view_if_needed()
        assert abs(player.render()).max() > 0.01
        player.click("Play")
        player.wait("p.deck && p.position() > 0.5")
        watched.page.wait_for_function(ALL_RUN, timeout=300_000)
        assert watched.page.evaluate(ERRORS) == []
        assert watched.outside == []
    finally:
        watched.close()
