"""ABX: can you hear the difference without knowing which is which?"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import traitlets as t

from demucs_lab.plots.style import PAIR_COLORS
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


class ABXResult(NamedTuple):
    """Trials answered, how many were right, and the chance to do so well by guessing alone."""

    n: int
    correct: int
    p_value: float


def guessing(correct: int, n: int) -> float:
    """One-sided binomial p-value: the chance of at least `correct` heads in `n` fair tosses.

    >>> guessing(9, 10)
    0.0107421875
    """
    return sum(math.comb(n, k) for k in range(correct, n + 1)) / 2**n


class ABX(Sounding):
    """A blind test: in every trial X is A or B; say which (lesson 01).

    Every answer is logged in `abx_log`, with the running one-sided binomial p-value: the chance
    that guessing alone does at least as well. Python tosses the coin and sends the sound of X
    without a name, so the page does not know the truth before you answer.

    Keys: space plays · a/b/x switch · 1 "X is A", 2 "X is B" · ←/→ seek · l loop.

    Args:
        a, b: two sounds `[C, T]` or `[T]` of equal length, float.
        samplerate: in Hz.
        names: what A and B are called on the buttons.
        trials: how many answers make the test; decided beforehand, or p means nothing.
        seed: for a repeatable order; None tosses differently each time.

    Raises:
        ValueError: for sound that does not fit, or `trials` below one.

    >>> import numpy as np
    >>> ABX(np.zeros(22050), np.zeros(22050), 22050, names=("clean", "coded"), trials=12)
    ABX: A = clean, B = coded · 12 trials · 1.0 s · 22050 Hz
    """

    files = "abx"
    _esm = esm(files)
    _css = css(files)

    names = t.List(t.Unicode()).tag(sync=True)
    samplerate = t.Int().tag(sync=True)
    frames = t.Int().tag(sync=True)
    trials = t.Int().tag(sync=True)
    tracks: Any = t.List().tag(sync=True)
    note = t.Unicode().tag(sync=True)
    abx_log: Any = t.List().tag(sync=True)
    loop = t.List(t.Float()).tag(sync=True)
    looping = t.Bool().tag(sync=True)

    def __init__(
        self,
        a: Any,
        b: Any,
        samplerate: int,
        names: tuple[str, str] = ("A", "B"),
        trials: int = 10,
        seed: int | None = None,
    ) -> None:
        rate = check_rate(samplerate)
        if isinstance(trials, bool) or not isinstance(trials, int) or trials < 1:
            raise ValueError(f"expected a number of trials of at least 1, got {trials!r}")
        if isinstance(names, str) or len(names) != 2:
            raise ValueError(f"expected two names such as ('clean', 'coded'), got {names!r}")
        self._waves: dict[str, Wave] = {"A": check_sound("a", a), "B": check_sound("b", b)}
        frames = check_lengths((key.lower(), wave) for key, wave in self._waves.items())
        self._gain = safe_gain(max(float(np.abs(wave).max()) for wave in self._waves.values()))
        self._random = np.random.default_rng(seed)
        self._truth: list[str] = []
        self._round = 0
        super().__init__(
            names=[str(name) for name in names],
            samplerate=rate,
            frames=frames,
            trials=trials,
            note=" · ".join(filter(None, [level_note(self._gain), self._loudness_note()])),
        )
        self.restart()

    @property
    def results(self) -> ABXResult:
        """`(n, correct, p_value)` of the answers so far."""
        correct = sum(entry["correct"] for entry in self.abx_log)
        return ABXResult(len(self.abx_log), correct, guessing(correct, len(self.abx_log)))

    def answer(self, choice: str) -> None:
        """Record "X is `choice`" for the present trial and toss for the next.

        Raises:
            ValueError: if `choice` is neither "A" nor "B", or all trials are answered.
        """
        if choice not in ("A", "B"):
            raise ValueError(f"expected an answer 'A' or 'B', got {choice!r}")
        if len(self.abx_log) >= self.trials:
            raise ValueError(f"all {self.trials} trials are answered; call restart() for more")
        truth = self._truth[len(self.abx_log)]
        entry = {
            "trial": len(self.abx_log) + 1,
            "answer": choice,
            "truth": truth,
            "correct": choice == truth,
        }
        n, correct, _ = self.results
        entry["p_value"] = guessing(correct + (choice == truth), n + 1)
        self._record([*self.abx_log, entry])

    def restart(self) -> None:
        """Forget all answers and begin a new test."""
        self._truth = [str(x) for x in self._random.choice(["A", "B"], self.trials)]
        self._round += 1
        self._record([])

    def summary(self) -> str:
        """`ABX: A = clean, B = coded · 10 trials · 1.0 s · 22050 Hz`"""
        a, b = self.names
        pair = "A, B" if (a, b) == ("A", "B") else f"A = {a}, B = {b}"
        seconds = self.frames / self.samplerate
        return f"ABX: {pair} · {self.trials} trials · {seconds:.1f} s · {self.samplerate} Hz"

    def rows(self) -> list[tuple[str, str, Wave]]:
        """`(name, colour, wave)` of A and B."""
        return list(zip(self.names, PAIR_COLORS, self._waves.values(), strict=True))

    def audio_message(self, track: str, codec: str = "flac") -> tuple[dict[str, Any], bytes]:
        """The message with one of the sounds; that of X does not say which of the two it is."""
        versions = {entry["id"]: entry["version"] for entry in self.tracks}
        if track not in versions:
            raise ValueError(f"this test has no track {track!r}")
        key = track if track != "X" else self._truth[len(self.abx_log)]
        message = {"type": "audio", "id": track, "version": versions[track]}
        return message, encode(self._waves[key], self.samplerate, self._gain, codec)

    def page(self, codec: str) -> tuple[dict[str, Any], dict[str, bytes]]:
        """A fresh test: in a page of its own, the page tosses the coin."""
        state, sounds = super().page(codec)
        sounds.pop("X", None)
        return {**state, "abx_log": [], "tracks": []}, sounds

    def _on_message(self, widget: Any, content: dict[str, Any], buffers: Any) -> None:
        super()._on_message(widget, content, buffers)
        if content.get("type") == "answer" and content.get("trial") == len(self.abx_log) + 1:
            self.answer(str(content.get("choice")))
        elif content.get("type") == "restart":
            self.restart()

    def _record(self, answers: list[dict[str, Any]]) -> None:
        """In one message: whoever hears of an answer hears of the next X, too."""
        with self.hold_sync():
            self.abx_log = answers
            self._list_tracks()

    def _list_tracks(self) -> None:
        tracks = [{"id": key, "version": "1"} for key in ("A", "B")]
        if len(self.abx_log) < self.trials:
            tracks.append({"id": "X", "version": f"{self._round}.{len(self.abx_log) + 1}"})
        self.tracks = tracks

    def _loudness_note(self) -> str:
        """A warning where one sound is louder: an ear mistakes louder for better."""
        power = {
            key: float(np.mean(wave.astype(np.float64) ** 2)) for key, wave in self._waves.items()
        }
        if min(power.values()) <= 0:
            return ""
        louder = 10 * math.log10(power["B"] / power["A"])
        if abs(louder) < 0.3:
            return ""
        who, than = ("B", "A") if louder > 0 else ("A", "B")
        return f"{who} is {abs(louder):.1f} dB louder than {than}: you may be hearing just that"
