from __future__ import annotations

import base64
import io
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import traitlets

from demucs_lab.widgets import StemPlayer

RATE = 8000
NAMES = ("drums", "bass", "other", "vocals")


def stems(level: float = 0.2, frames: int = RATE) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {n: level * (2 * torch.rand(2, frames, generator=generator) - 1) for n in NAMES}


def song(level: float = 0.2) -> dict[str, torch.Tensor]:
    parts = stems(level)
    return {"mixture": torch.stack(list(parts.values())).sum(0), **parts}


def ask(player: StemPlayer, monkeypatch: pytest.MonkeyPatch, ids: list[str]) -> list[Any]:
    """What Python answers to a page that wants these tracks."""
    sent: list[Any] = []
    with monkeypatch.context() as patch:
        patch.setattr(player, "send", lambda message, buffers: sent.append((message, buffers)))
        player._handle_custom_msg({"type": "want-audio", "ids": ids}, [])
    return sent


def test_each_track_asked_for_comes_in_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    tracks = song()
    player = StemPlayer(tracks, RATE)
    ids = [t["id"] for t in player.tracks]
    sent = ask(player, monkeypatch, ids)
    assert [message["id"] for message, _ in sent] == ids
    for (message, [flac]), track in zip(sent, player.tracks, strict=True):
        assert message == {"type": "audio", "id": track["id"], "version": track["version"]}
        back, rate = soundfile.read(io.BytesIO(flac), dtype="float32")
        assert rate == RATE
        assert np.abs(back.T - tracks[track["name"]].numpy()).max() <= 0.5 / 32768


def test_unknown_tracks_and_messages_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    player = StemPlayer(song(), RATE)
    assert ask(player, monkeypatch, ["0:cowbell"]) == []
    player._handle_custom_msg({"type": "hello"}, [])


def test_the_saved_state_is_small_and_holds_no_sound() -> None:
    long = {name: torch.randn(2, 30 * RATE) * 0.1 for name in ("mixture", *NAMES)}
    state = StemPlayer(long, RATE, systems={"IRM": stems(frames=30 * RATE)}).get_state()
    assert len(json.dumps(state)) < 100_000


def test_replacing_a_stem_changes_that_track_only(monkeypatch: pytest.MonkeyPatch) -> None:
    player = StemPlayer(song(), RATE)
    before = {t["id"]: t["version"] for t in player.tracks}
    player.replace("bass", torch.zeros(2, RATE))
    changed = [t["id"] for t in player.tracks if t["version"] != before[t["id"]]]
    assert changed == ["0:bass"]
    ((_, [flac]),) = ask(player, monkeypatch, changed)
    assert not soundfile.read(io.BytesIO(flac))[0].any()


def test_replacing_by_a_sound_that_clips_sends_all_again_at_the_new_level() -> None:
    player = StemPlayer(song(), RATE)
    before = [t["version"] for t in player.tracks]
    player.replace("bass", 3 * torch.ones(2, RATE))
    assert all(a != b for a, b in zip(before, (t["version"] for t in player.tracks), strict=True))
    assert "nothing clips" in player.note


def test_one_gain_for_all_and_the_player_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet, loud = torch.full((1, RATE), 0.5), torch.full((1, RATE), 2.0)
    player = StemPlayer({"quiet": quiet}, RATE, systems={"loud": {"quiet": loud}})
    assert player.note == "all levels −6.1 dB so that nothing clips"  # 0.99 / 2
    peaks = [
        soundfile.read(io.BytesIO(flac))[0].max()
        for _, [flac] in ask(player, monkeypatch, [t["id"] for t in player.tracks])
    ]
    assert peaks[1] / peaks[0] == pytest.approx(4, rel=1e-3)
    assert StemPlayer({"quiet": quiet}, RATE).note == ""


def test_stems_that_clip_only_together_are_turned_down_too() -> None:
    part = torch.full((1, RATE), 0.6)
    player = StemPlayer({"a": part, "b": part}, RATE)
    assert player.note.startswith("all levels −1.7 dB")  # 0.99 / 1.2


def test_every_system_with_a_known_stem_offers_what_is_missing() -> None:
    player = StemPlayer(song(), RATE, systems={"IRM": stems(), "own": {"choir": stems()["bass"]}})
    assert [(s["name"], s["kind"]) for s in player.systems] == [
        ("original", "reference"),
        ("IRM", "estimate"),
        ("missing from IRM", "missing"),
        ("own", "estimate"),
    ]


def test_a_system_may_be_an_array_in_the_order_of_the_stems() -> None:
    array = torch.stack(list(stems().values()))
    player = StemPlayer(song(), RATE, systems={"IRM": array})
    assert [t["name"] for t in player.tracks if t["system"] == "IRM"] == list(NAMES)


def test_a_mixture_alone_takes_systems_in_the_order_of_the_sources() -> None:
    array = torch.stack(list(stems().values()))
    player = StemPlayer({"mixture": array.sum(0)}, RATE, systems={"IRM": array})
    assert repr(player).startswith("StemPlayer: mixture, drums, bass, other, vocals ·")


def test_a_player_knows_whether_the_stems_make_up_the_mixture() -> None:
    tracks = song()
    assert StemPlayer(tracks, RATE).complete
    assert not StemPlayer({n: tracks[n] for n in ("mixture", "vocals")}, RATE).complete
    assert StemPlayer({"mixture": tracks["mixture"]}, RATE, systems={"IRM": stems()}).complete


def test_a_track_brings_its_rate_and_name() -> None:
    tracks = song()
    track = SimpleNamespace(
        name="Song 1", samplerate=RATE, mixture=tracks["mixture"], sources=stems()
    )
    player = StemPlayer(track)
    assert (player.title, player.samplerate) == ("Song 1", RATE)
    with pytest.raises(ValueError, match="leave samplerate out"):
        StemPlayer(track, 44100)


def test_a_mono_and_a_stereo_track_play_together() -> None:
    StemPlayer({"mixture": torch.zeros(2, 9), "bass": torch.zeros(9)}, RATE)


def test_repr_and_bundle_are_the_same_in_every_run() -> None:
    one, two = (StemPlayer(song(), RATE, systems={"IRM": stems()}) for _ in range(2))
    text = (
        "StemPlayer: mixture, drums, bass, other, vocals · 1.0 s · 8000 Hz · systems: original, IRM"
    )
    assert repr(one) == text
    (first, metadata), (second, _) = one._repr_mimebundle_(), two._repr_mimebundle_()
    assert metadata["image/png"] == {"alt": text}
    assert first["text/plain"] == text
    assert first["image/png"] == second["image/png"]
    assert "application/vnd.jupyter.widget-view+json" in first


def test_the_picture_is_a_small_png() -> None:
    rates = np.linspace(1, 40, RATE)
    busy = {n: np.sin(rates**2 + k)[None] * 0.2 for k, n in enumerate(("mixture", *NAMES))}
    png = base64.b64decode(StemPlayer(busy, RATE)._repr_mimebundle_()[0]["image/png"])
    assert png.startswith(b"\x89PNG")
    assert len(png) < 40_000


def test_old_ipywidgets_cannot_bypass_the_bundle() -> None:
    assert StemPlayer._ipython_display_ is None


def test_settings_from_python_are_checked() -> None:
    player = StemPlayer(song(), RATE, systems={"IRM": stems()}, loop=(0.25, 0.5))
    assert (player.loop, player.looping) == ([0.25, 0.5], True)
    player.solo, player.system = ["bass"], "missing from IRM"
    with pytest.raises(traitlets.TraitError, match="no track 'cowbell'"):
        player.solo = ["cowbell"]
    with pytest.raises(traitlets.TraitError, match="no system 'IBM'"):
        player.system = "IBM"


X = torch.zeros(2, RATE)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tracks": {}}, "at least one track"),
        ({"tracks": X}, "expected a dict of sounds"),
        ({"tracks": {3: X}}, "names of tracks as text"),
        ({"tracks": {"bass": X}, "samplerate": None}, "samplerate in Hz as second argument"),
        (
            {"tracks": {"bass": X, "drums": X[:, 1:]}},
            "8000 samples, track 'drums' has 7999",
        ),
        ({"tracks": {"bass": X.T}}, "transpose it"),
        ({"systems": {"IRM": {"bass": X[:, 1:]}}}, "track 'bass' of 'IRM' has 7999"),
        ({"systems": {"original": {"bass": X}}}, "other than 'original'"),
        ({"systems": {"IRM": {}}}, "has no tracks"),
        ({"systems": {"IRM": torch.zeros(3, 2, RATE)}}, r"array \[1, channels, time\]"),
        ({"systems": {"IRM": 3}}, "got int"),
        ({"loop": (0.5, 0.25)}, "expected a loop"),
        ({"loop": (0, 9)}, "within 0–1.00 s"),
        ({"scores": {"IBM": {"bass": 3.0}}}, "scores: expected"),
        ({"scores": {"original": {"cowbell": 3.0}}}, "no track 'cowbell'"),
    ],
)
def test_bad_arguments_get_one_sentence(arguments: dict[str, Any], words: str) -> None:
    good: dict[str, Any] = {"tracks": {"bass": X}, "samplerate": RATE}
    with pytest.raises(ValueError, match=words) as caught:
        StemPlayer(**{**good, **arguments})
    assert "\n" not in str(caught.value)


def test_replacing_what_is_not_there_names_what_is() -> None:
    with pytest.raises(ValueError, match="no track 'cowbell'; it has track 'bass'"):
        StemPlayer({"bass": X}, RATE).replace("cowbell", X)
    with pytest.raises(ValueError, match="'drums' has 8000 samples, track 'bass' has 7999"):
        StemPlayer({"drums": X, "bass": X}, RATE).replace("bass", X[:, 1:])
