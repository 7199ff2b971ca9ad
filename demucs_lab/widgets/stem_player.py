"""StemPlayer: a mixture and its stems in sync, and several systems at the same moment in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets as t

from demucs_lab.audio import SOURCES
from demucs_lab.plots.style import color_of
from demucs_lab.widgets._assets import css, esm
from demucs_lab.widgets._base import Sounding, level_note
from demucs_lab.widgets._sound import (
    Wave,
    check_lengths,
    check_rate,
    check_sound,
    encode,
    safe_gain,
)

ORIGINAL = "original"
MIXTURE_NAMES = ("mixture", "mix")


class StemPlayer(Sounding):
    """A mixture and its stems in sync: solo, mute, gain, loop, several systems (lesson 00).

    A fresh player plays the mixture. Solo plays exactly that stem, mute takes a stem away. With
    `systems`, the same stems as a separator estimated them play from the same position, and for
    each system also what is missing: reference minus estimate. One gain, the same for every track
    and stated in the player, is applied when something would clip; nothing else changes a level.

    Keys: space plays · 1–9 solo a stem, 0 the mixture · ←/→ seek · a/b original and last system ·
    l loop. Drag on the waveforms to set the loop.

    Args:
        tracks: name → sound `[C, T]` or `[T]` (float tensor or array, one or two channels, equal
            lengths), or a `Track`. `"mixture"` (or `"mix"`) is the whole; all others are stems.
        samplerate: in Hz; a `Track` brings its own.
        systems: name of the system → its stems, as a dict like `tracks` or one array `[S, C, T]` in
            the order of the stems in `tracks` (of `SOURCES`, if `tracks` has only the mixture).
        title: a line above the player; a `Track` brings its name.
        loop: `(start, end)` in seconds to play over and over.
        scores: SDR to show beside the stems, in dB: system → stem → value.

    Raises:
        ValueError: for sound that is empty, NaN, of unequal length, `[T, C]`, more than stereo, …

    >>> import numpy as np
    >>> StemPlayer({"mixture": np.zeros((2, 22050)), "bass": np.zeros((2, 22050))}, 22050)
    StemPlayer: mixture, bass · 1.0 s · 22050 Hz
    """

    files = "stem_player"
    _esm = esm(files)
    _css = css(files)

    title = t.Unicode().tag(sync=True)
    samplerate = t.Int().tag(sync=True)
    frames = t.Int().tag(sync=True)
    tracks: Any = t.List().tag(sync=True)
    systems: Any = t.List().tag(sync=True)
    scores = t.Dict().tag(sync=True)
    mixture = t.Unicode().tag(sync=True)
    complete = t.Bool().tag(sync=True)
    note = t.Unicode().tag(sync=True)

    system = t.Unicode().tag(sync=True)
    solo = t.List(t.Unicode()).tag(sync=True)
    mute = t.List(t.Unicode()).tag(sync=True)
    gain = t.Dict().tag(sync=True)
    loop = t.List(t.Float()).tag(sync=True)
    looping = t.Bool().tag(sync=True)
    position = t.Float().tag(sync=True)
    view = t.Enum(["waveform", "spectrogram"], "waveform").tag(sync=True)

    def __init__(
        self,
        tracks: Mapping[str, Any] | Any,
        samplerate: int | None = None,
        systems: Mapping[str, Any] | None = None,
        title: str | None = None,
        loop: Sequence[float] | None = None,
        scores: Mapping[str, Any] | None = None,
    ) -> None:
        named, rate, name = _unpack(tracks, samplerate)
        self._waves: dict[tuple[str, str], Wave] = {
            (ORIGINAL, row): check_sound(f"track {row!r}", sound) for row, sound in named.items()
        }
        mixture = next((row for row in MIXTURE_NAMES if row in named), "")
        stems = [row for row in named if row != mixture]
        for system, given in (systems or {}).items():
            for row, sound in _stems_of(system, given, stems).items():
                self._waves[system, row] = check_sound(f"track {row!r} of {system!r}", sound)
        frames = check_lengths((_label(key), wave) for key, wave in self._waves.items())
        self._versions = dict.fromkeys(self._waves, 1)
        self._gain = 1.0
        super().__init__(
            title=title if title is not None else name,
            samplerate=rate,
            frames=frames,
            mixture=mixture,
            systems=self._list_systems(),
            system=ORIGINAL,
            **_loop(loop, frames / rate),
        )
        self.scores = self._tidy_scores(scores or {})
        self._refresh()

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.frames / self.samplerate

    def replace(self, name: str, sound: Any, system: str = ORIGINAL) -> None:
        """Put another sound in place of one stem; only that stem is sent again.

        Raises:
            ValueError: if there is no such track, or the sound does not fit the others.
        """
        key = (system, name)
        if key not in self._waves:
            known = ", ".join(_label(k) for k in self._waves)
            raise ValueError(f"this player has no {_label(key)}; it has {known}")
        wave = check_sound(_label(key), sound)
        others = [(_label(k), w) for k, w in self._waves.items() if k != key]
        check_lengths([*others[:1], (_label(key), wave)])
        if not others and wave.shape[1] != self.frames:
            self.frames = wave.shape[1]
        self._waves[key] = wave
        self._versions[key] += 1
        self._refresh()

    def summary(self) -> str:
        """`StemPlayer: mixture, bass · 1.0 s · 22050 Hz`, with the systems if there are any."""
        rows = ", ".join(self._row_names())
        text = f"StemPlayer: {rows} · {self.duration:.1f} s · {self.samplerate} Hz"
        names = [s["name"] for s in self.systems if s["kind"] != "missing"]
        return text + (f" · systems: {', '.join(names)}" if len(names) > 1 else "")

    def rows(self) -> list[tuple[str, str, Wave]]:
        """`(name, colour, wave)` per row, of the first system that has the row."""
        found: dict[str, Wave] = {}
        for (_, row), wave in self._waves.items():
            found.setdefault(row, wave)
        return [(row, color_of(row, k), found[row]) for k, row in enumerate(self._row_names())]

    def audio_message(self, track: str, codec: str = "flac") -> tuple[dict[str, Any], bytes]:
        """`{"type": "audio", "id", "version"}` and the encoded sound of one track id."""
        keys = {self._id(key): key for key in self._waves}
        if track not in keys:
            raise ValueError(f"this player has no track {track!r}")
        key = keys[track]
        message = {"type": "audio", "id": track, "version": self._version(key)}
        return message, encode(self._waves[key], self.samplerate, self._gain, codec)

    def page(self, codec: str) -> tuple[dict[str, Any], dict[str, bytes]]:
        """As the widget, but with a lossy codec what is missing is coded as a track of its own.

        The page would else subtract two sounds with two different coding noises.
        """
        state, sounds = super().page(codec)
        if codec != "flac":
            for track in list(state["tracks"]):
                row, of = track["name"], track["system"]
                if of != ORIGINAL and (ORIGINAL, row) in self._waves:
                    missing = self._waves[ORIGINAL, row] - self._waves[of, row]
                    extra = {"id": f"missing {track['id']}", "system": f"missing from {of}"}
                    state["tracks"] = [*state["tracks"], {**track, **extra}]
                    sounds[extra["id"]] = encode(missing, self.samplerate, self._gain, codec)
        return state, sounds

    @t.validate("system")
    def _known_system(self, proposal: Any) -> str:
        names = [s["name"] for s in self.systems]
        if names and proposal["value"] not in names:
            raise t.TraitError(f"no system {proposal['value']!r}: choose from {', '.join(names)}")
        return proposal["value"]

    @t.validate("solo", "mute")
    def _known_rows(self, proposal: Any) -> list[str]:
        names = self._row_names()
        unknown = [row for row in proposal["value"] if row not in names]
        if unknown:
            raise t.TraitError(f"no track {unknown[0]!r}: choose from {', '.join(names)}")
        return proposal["value"]

    def _row_names(self) -> list[str]:
        names = list(dict.fromkeys(row for _, row in self._waves))
        return sorted(names, key=lambda row: row != self.mixture)

    def _system_names(self) -> list[str]:
        return list(dict.fromkeys([ORIGINAL, *(system for system, _ in self._waves)]))

    def _list_systems(self) -> list[dict[str, str]]:
        listed = [{"name": ORIGINAL, "kind": "reference", "of": ""}]
        for name in self._system_names()[1:]:
            listed.append({"name": name, "kind": "estimate", "of": ""})
            if any(s == name and (ORIGINAL, row) in self._waves for s, row in self._waves):
                listed.append({"name": f"missing from {name}", "kind": "missing", "of": name})
        return listed

    def _id(self, key: tuple[str, str]) -> str:
        return f"{self._system_names().index(key[0])}:{key[1]}"

    def _version(self, key: tuple[str, str]) -> str:
        return f"{self._versions[key]}@{self._gain:.6g}"

    def _refresh(self) -> None:
        """The common gain and the list of tracks, after a sound has come or changed."""
        self._gain = safe_gain(self._peak())
        self.note = level_note(self._gain)
        self.complete = self._adds_up()
        names = self._row_names()
        self.tracks = [
            {
                "id": self._id(key),
                "name": key[1],
                "system": key[0],
                "color": color_of(key[1], names.index(key[1])),
                "version": self._version(key),
            }
            for key in sorted(
                self._waves, key=lambda k: (self._system_names().index(k[0]), names.index(k[1]))
            )
        ]

    def _stem_sum(self, system: str) -> Wave | None:
        stems = [w for (s, row), w in self._waves.items() if s == system and row != self.mixture]
        return (
            None if not stems else np.sum([np.broadcast_to(w, (2, w.shape[1])) for w in stems], 0)
        )

    def _peak(self) -> float:
        """Highest level of a track, of all stems of a system together, or of what is missing."""
        peak = max(float(np.abs(wave).max()) for wave in self._waves.values())
        for system in self._system_names():
            whole = self._stem_sum(system)
            if whole is not None:
                peak = max(peak, float(np.abs(whole).max()))
        for (system, row), wave in self._waves.items():
            if system != ORIGINAL and (ORIGINAL, row) in self._waves:
                missing = self._waves[ORIGINAL, row] - wave
                peak = max(peak, float(np.abs(missing).max()))
        return peak

    def _adds_up(self) -> bool:
        """Whether the reference's stems make up its mixture (to 10 dB: coding noise may remain)."""
        whole = self._stem_sum(ORIGINAL)
        if not self.mixture or whole is None:
            return True
        mixture = np.broadcast_to(self._waves[ORIGINAL, self.mixture], whole.shape)
        return float(((mixture - whole) ** 2).sum()) <= 0.1 * float((mixture**2).sum())

    def _tidy_scores(self, scores: Mapping[str, Any]) -> dict[str, dict[str, float]]:
        systems, rows = self._system_names(), self._row_names()
        for system, values in scores.items():
            if system not in systems or not isinstance(values, Mapping):
                raise ValueError(
                    f"scores: expected {{system: {{stem: dB}}}} for {', '.join(systems)}; "
                    f"got {system!r}: {type(values).__name__}"
                )
            if unknown := [row for row in values if row not in rows]:
                raise ValueError(f"scores of {system!r}: no track {unknown[0]!r} in this player")
        return {s: {row: round(float(x), 3) for row, x in v.items()} for s, v in scores.items()}


def _label(key: tuple[str, str]) -> str:
    system, row = key
    return f"track {row!r}" if system == ORIGINAL else f"track {row!r} of {system!r}"


def _unpack(tracks: Any, samplerate: Any) -> tuple[dict[str, Any], int, str]:
    """`(name → sound, rate, title)` of a dict or of a `Track`."""
    if hasattr(tracks, "mixture") and hasattr(tracks, "sources"):
        own = check_rate(tracks.samplerate)
        if samplerate is not None and check_rate(samplerate) != own:
            raise ValueError(
                f"track {tracks.name!r} has a samplerate of {own} Hz, you gave {samplerate}; "
                "leave samplerate out"
            )
        return {"mixture": tracks.mixture, **dict(tracks.sources)}, own, str(tracks.name)
    if not isinstance(tracks, Mapping):
        raise ValueError(
            f"expected a dict of sounds such as {{'mixture': mix, 'bass': bass}} or a Track, "
            f"got {type(tracks).__name__}"
        )
    if not tracks:
        raise ValueError("expected at least one track, got an empty dict")
    if bad := [name for name in tracks if not isinstance(name, str) or not name]:
        raise ValueError(f"expected names of tracks as text, got {bad[0]!r}")
    if samplerate is None:
        raise ValueError("expected a samplerate in Hz as second argument, such as 44100")
    return dict(tracks), check_rate(samplerate), ""


def _stems_of(system: str, given: Any, stems: list[str]) -> dict[str, Any]:
    """The stems of one system as a dict; an array `[S, C, T]` follows the order of `stems`."""
    if not isinstance(system, str) or not system or system == ORIGINAL:
        raise ValueError(f"expected a name for a system other than {ORIGINAL!r}, got {system!r}")
    if isinstance(given, Mapping):
        if not given:
            raise ValueError(f"system {system!r} has no tracks")
        return dict(given)
    shape = list(getattr(given, "shape", []))
    if not stems and shape[:1] == [len(SOURCES)]:
        stems = list(SOURCES)
    if len(shape) == 3 and shape[0] == len(stems):
        return dict(zip(stems, given, strict=True))
    raise ValueError(
        f"system {system!r}: expected a dict of stems or an array [{len(stems)}, channels, time] "
        f"in the order {', '.join(stems)}; got {shape or type(given).__name__}"
    )


def _loop(loop: Sequence[float] | None, duration: float) -> dict[str, Any]:
    if loop is None:
        return {}
    start, end = (float(x) for x in loop)
    if not 0 <= start < end <= duration:
        raise ValueError(
            f"expected a loop (start, end) in seconds within 0–{duration:.2f} s, got {tuple(loop)}"
        )
    return {"loop": [start, end], "looping": True}
