"""One song: its stems, their mixture, and nothing loaded before it is used."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, overload

import torch
from torch import Tensor

from demucs_lab.audio import SOURCES

SPLITS = ("train", "valid", "test")
"""Songs to learn from, to choose by, and to report on."""

Loader = Callable[[str, int, int], Tensor]
"""`load(source, start, frames)` gives one stem from sample `start`, `[C, frames]` float32."""


class _Sources(Mapping[str, Tensor]):
    """The stems of a track by name, each read when it is first used."""

    def __init__(self, track: Track) -> None:
        self._track = track
        self._stems: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name not in SOURCES:
            raise KeyError(f"{self._track.name!r} has no source {name!r}: choose from {SOURCES}")
        if name not in self._stems:
            self._stems[name] = self._track.load(name, self._track.start, self._track.frames)
        return self._stems[name]

    def __iter__(self) -> Iterator[str]:
        return iter(SOURCES)

    def __len__(self) -> int:
        return len(SOURCES)


@dataclass(frozen=True)
class Track:
    """A song with its four stems (lesson 00).

    Attributes:
        name: what to call it on screen.
        samplerate: in Hz.
        frames: length in samples.
        load: reads a part of a stem; see `Loader`.
        load_mixture: reads a part of the mixture, where a data set ships its own (MUSDB18's
            differs from the sum by coding noise); None: the mixture is the sum.
        start: first sample of this excerpt within the file.
        score: what was played (LabSongs only), else None.
    """

    name: str
    samplerate: int
    frames: int
    load: Loader = field(repr=False)
    load_mixture: Callable[[int, int], Tensor] | None = field(default=None, repr=False)
    start: int = 0
    score: Any = field(default=None, repr=False)

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.frames / self.samplerate

    @cached_property
    def sources(self) -> Mapping[str, Tensor]:
        """The stems by name, `[C, T]` each, read on first use."""
        return _Sources(self)

    @property
    def stems(self) -> Tensor:
        """All stems in the order of `SOURCES`, `[S, C, T]`."""
        return torch.stack([self.sources[name] for name in SOURCES])

    @cached_property
    def mixture(self) -> Tensor:
        """The song itself, `[C, T]`: the data set's own mixture, or the sum of the stems."""
        if self.load_mixture is not None:
            return self.load_mixture(self.start, self.frames)
        return self.stems.sum(0)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the name and of a second of the stems: songs of one name still differ."""
        middle = max(0, (self.frames - self.samplerate) // 2)
        digest = hashlib.sha256(f"{self.name} {self.samplerate} {self.frames}".encode())
        for source in SOURCES:
            frames = min(self.samplerate, self.frames)
            digest.update(self.load(source, self.start + middle, frames).numpy().tobytes())
        return digest.hexdigest()[:20]

    def excerpt(self, start: float, duration: float) -> Track:
        """The part that begins at `start` seconds and lasts `duration` seconds, still unread."""
        first, count = round(start * self.samplerate), round(duration * self.samplerate)
        if first < 0 or count < 1 or first + count > self.frames:
            raise ValueError(
                f"{self.name!r} lasts {self.duration:.2f} s: it has no excerpt from {start:g} s "
                f"to {start + duration:g} s"
            )
        return Track(
            name=self.name,
            samplerate=self.samplerate,
            frames=count,
            load=self.load,
            load_mixture=self.load_mixture,
            start=self.start + first,
            score=self.score,
        )


class TrackList(Sequence[Track]):
    """Songs in order; a data set whose songs are all known fills `_tracks`."""

    _tracks: list[Track]

    def __len__(self) -> int:
        return len(self._tracks)

    @overload
    def __getitem__(self, index: int) -> Track: ...
    @overload
    def __getitem__(self, index: slice) -> list[Track]: ...
    def __getitem__(self, index: int | slice) -> Track | list[Track]:
        return self._tracks[index]
