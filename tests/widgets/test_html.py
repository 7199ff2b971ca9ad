from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from demucs_lab.widgets import ABX, StemPlayer, to_html

RATE = 8000
BASS = (np.sin(np.arange(RATE) / 20)[None] * 0.5).astype(np.float32)


def content(page: str) -> dict[str, Any]:
    found = re.search(r'<script id="content" type="application/json">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found[1])


def make(path: Path, codec: str = "flac", **arguments: Any) -> str:
    player = StemPlayer({"bass": BASS}, RATE, systems={"half": {"bass": BASS / 2}}, **arguments)
    return to_html(player, path, codec=codec).read_text(encoding="utf-8")


def test_the_page_holds_every_track_and_asks_nobody_for_anything(tmp_path: Path) -> None:
    page = make(tmp_path / "player.html")
    sounds = content(page)["sounds"]
    assert list(sounds) == ["0:bass", "1:bass"]
    back, _ = soundfile.read(io.BytesIO(base64.b64decode(sounds["1:bass"])))
    assert np.abs(back - BASS[0] / 2).max() <= 0.5 / 32768
    assert not re.search(r"https?://|<link[^>]+href=\"(?!data:)|\bsrc=\"(?!data:)", page)


def test_ogg_is_smaller_and_codes_what_is_missing_by_itself(tmp_path: Path) -> None:
    noise = {"bass": np.random.default_rng(0).uniform(-0.5, 0.5, (2, 4 * RATE))}
    player = StemPlayer(noise, RATE, systems={"half": {"bass": noise["bass"] / 2}})
    flac = to_html(player, tmp_path / "flac.html")
    ogg = to_html(player, tmp_path / "ogg.html", codec="ogg")
    assert ogg.stat().st_size < flac.stat().st_size
    state = content(ogg.read_text(encoding="utf-8"))["state"]
    assert state["tracks"][-1]["system"] == "missing from half"
    assert len(player.tracks) == 2


def test_a_title_cannot_break_out_of_the_page(tmp_path: Path) -> None:
    title = "</script><script>alert(1)</script>"
    page = make(tmp_path / "player.html", title=title)
    assert "<script>alert" not in page
    assert content(page)["state"]["title"] == title


def test_a_blind_test_starts_afresh_and_does_not_carry_x(tmp_path: Path) -> None:
    test = ABX(BASS, BASS / 2, RATE, trials=3)
    test.answer("A")
    found = content(to_html(test, tmp_path / "abx.html").read_text(encoding="utf-8"))
    assert list(found["sounds"]) == ["A", "B"]
    assert found["state"]["abx_log"] == []
    assert len(test.abx_log) == 1


def test_an_existing_page_stays_whole_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "player.html"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(ValueError, match="codec 'flac' or 'ogg', got 'mp3'"):
        make(path, codec="mp3")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_only_our_widgets_become_pages(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a StemPlayer or an ABX, got str"):
        to_html("player", tmp_path / "x.html")  # type: ignore[arg-type]
