"""The frame of a song, which its players share: tempo, form and chords."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

from .styles import SCALES, Style

LEAD_IN = 0.06
"""Seconds before the first beat, so that a player who rushes still starts inside the file."""


@dataclass(frozen=True)
class Plan:
    """What the players must know before they play: the frame of the song."""

    style: Style
    tempo: float
    swing: float
    tonic: int
    mode: str
    form: tuple[tuple[str, int], ...]
    chords: tuple[tuple[int, int, int, tuple[int, ...]], ...]
    """(bar, first step, steps, pitch classes from the root up)"""

    @property
    def steps(self) -> int:
        """Sixteenths in a bar."""
        return 4 * self.style.meter

    @property
    def bars(self) -> int:
        """Bars up to the final hit."""
        return sum(bars for _, bars in self.form)

    def time(self, bar: int, step: float) -> float:
        """When a sixteenth falls, in seconds; swing delays every second sixteenth."""
        whole = int(step)
        late = self.swing / 2 if whole % 2 else 0.0
        return LEAD_IN + (bar * self.steps + step + late) * 15.0 / self.tempo

    def chord_at(self, bar: int, step: int) -> tuple[int, ...]:
        """Pitch classes of the chord at a position; the last chord of the song is the tonic's."""
        position = bisect_right(self._chord_starts, bar * self.steps + step) - 1
        return self.chords[max(0, position)][3]

    @cached_property
    def _chord_starts(self) -> list[int]:
        return [bar * self.steps + step for bar, step, _, _ in self.chords]

    @property
    def scale(self) -> tuple[int, ...]:
        """Pitch classes of the key."""
        return tuple((self.tonic + step) % 12 for step in SCALES[self.mode])

    def sections(self) -> list[tuple[str, int, int]]:
        """(name, first bar, bars) of every section."""
        result, bar = [], 0
        for name, bars in self.form:
            result.append((name, bar, bars))
            bar += bars
        return result
