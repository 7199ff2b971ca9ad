"""The first lesson as a newcomer opens it: its player plays."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from harness import REPOSITORY, Player, Watched

pytestmark = pytest.mark.browser

LESSON = REPOSITORY / "course" / "00_start_here.ipynb"
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"


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
        assert [url for url in watched.outside if url != BADGE] == []
    finally:
        watched.close()
