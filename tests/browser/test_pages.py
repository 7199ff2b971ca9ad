"""Pages made by `to_html` play with no kernel and no network, opened as a file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from harness import Player, Watched

from demucs_lab.widgets import ABX, StemPlayer, to_html

pytestmark = pytest.mark.browser

RATE = 22050
NOISE = np.random.default_rng(3).uniform(-0.4, 0.4, (2, 2 * RATE)).astype(np.float32)
SONG = {"mixture": NOISE, "left": NOISE * [[1], [0]], "right": NOISE * [[0], [1]]}
STEP = 2 / 32768
READY = "!document.querySelector('.dl-play').disabled"


class SilentHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def watched(chromium: Any) -> Iterator[Watched]:
    watched = Watched(chromium, color_scheme="dark", offline=True)
    yield watched
    watched.close()
    assert watched.complaints == []
    assert watched.outside == []


def open_page(watched: Watched, path: Path) -> None:
    watched.page.goto(path.as_uri())
    watched.page.wait_for_function(READY)


def test_a_page_plays_exactly_what_the_widget_plays(watched: Watched, tmp_path: Path) -> None:
    systems = {"half": {"left": SONG["left"] / 2}}
    open_page(watched, to_html(StemPlayer(SONG, RATE, systems), tmp_path / "player.html"))
    player = Player(watched.page)
    assert np.abs(player.render() - NOISE).max() <= STEP
    player.click("Solo left (1)")
    player.click("Listen to half")
    assert np.abs(player.render() - SONG["left"] / 2).max() <= STEP
    player.click("Play")
    player.wait("p.deck && p.position() > 0.3")
    assert watched.page.evaluate("getComputedStyle(document.querySelector('.dl')).color") != (
        "rgb(31, 35, 40)"
    )


def test_a_page_in_ogg_keeps_the_tracks_in_step(watched: Watched, tmp_path: Path) -> None:
    tones = {n: 0.3 * np.sin(np.arange(2 * RATE) * w)[None] for n, w in (("a", 0.05), ("b", 0.2))}
    path = to_html(StemPlayer(tones, RATE), tmp_path / "player.html", codec="ogg")
    open_page(watched, path)
    player = Player(watched.page)
    for name in tones:
        player.get(f"p.set({{solo: ['{name}']}})")
        heard = player.render()[0]
        assert len(heard) > 2 * RATE - 256  # Chromium drops a part of Vorbis's last block
        assert np.corrcoef(heard, tones[name][0, : len(heard)])[0, 1] > 0.99


def test_a_blind_test_runs_in_a_page_and_hides_x(watched: Watched, tmp_path: Path) -> None:
    test = ABX(SONG["left"], SONG["right"], RATE, trials=5)
    open_page(watched, to_html(test, tmp_path / "abx.html"))
    player = Player(watched.page, name="dl-abx")
    for trial in range(5):
        player.wait(f"p.ready && p.get('abx_log').length === {trial}")
        assert '"truth"' not in player.get("JSON.stringify([p.model, p.supply.wanted])") or trial
        player.click(f"Answer: X is {'A' if player.render()[0].any() else 'B'}")
    player.wait("p.get('abx_log').length === 5")
    assert "5 of 5 right, p = 0.031" in player.root.inner_text()


def test_starting_a_player_pauses_those_in_other_frames(chromium: Any, tmp_path: Path) -> None:
    to_html(StemPlayer(SONG, RATE), tmp_path / "player.html")
    frame = '<iframe src="player.html" width="900" height="330"></iframe>'
    (tmp_path / "two.html").write_text(frame * 2, encoding="utf-8")
    handler = partial(SilentHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        watched = Watched(chromium)
        watched.page.goto(f"http://127.0.0.1:{server.server_port}/two.html")
        frames = watched.page.frames[1:]
        players = [Player(frame) for frame in frames]
        for frame, player in zip(frames, players, strict=True):
            frame.wait_for_function(READY)
            player.click("Play")
            player.wait("p.deck")
        players[0].wait("!p.deck")
        assert players[1].playing
        watched.close()
        server.shutdown()


def test_without_an_answer_the_player_says_so_after_three_seconds(
    watched: Watched, tmp_path: Path
) -> None:
    path = to_html(StemPlayer(SONG, RATE), tmp_path / "deaf.html")
    page = path.read_text(encoding="utf-8")
    path.write_text(page.replace("async deliver(id) {", "async deliver(id) { return;"), "utf-8")
    watched.page.goto(path.as_uri())
    status = watched.page.get_by_role("status")
    assert "Loading sound 0 of 3" in status.inner_text()
    watched.page.wait_for_function("document.querySelector('.dl-problem')", timeout=5000)
    assert "No answer from Python" in status.inner_text()
    assert watched.page.locator(".dl-play").is_disabled()
