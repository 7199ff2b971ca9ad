"""Bass, keys, plucked strings and pads: each pitch is made once per song, then remembered."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .synth import Array, Wavetable, band, exponential, fade, harmonics, hertz, noise, partials

Stereo = NDArray[np.float64]


class Bank:
    """Sounds of one instrument by (pitch, hard or soft), made when first played.

    Args:
        maker: `maker(rng, pitch, hard, seconds)` gives a sound that begins at its first sample,
            `[T]` or `[2, T]`.
        seconds: of the longest note: the length of every sound.
        sustain: True if held notes keep their level (organ, pad), so that a release must end them.
    """

    def __init__(
        self, maker: Callable, seed: int, rate: int, seconds: float, attack: float, release: float,
    ) -> None:  # fmt: skip
        self.maker, self.seed, self.rate, self.seconds = maker, seed, rate, seconds
        self.attack, self.release = attack, release
        self._sounds: dict[tuple[int, bool], NDArray] = {}

    def note(self, pitch: int, velocity: float, duration: float) -> NDArray:
        """One played note with its release, `[T]` or `[2, T]`."""
        key = (pitch, velocity > 0.68)
        if key not in self._sounds:
            rng = np.random.default_rng([self.seed, pitch, int(key[1])])
            self._sounds[key] = self.maker(rng, pitch, key[1], self.seconds)
        sound = self._sounds[key]
        size = min(sound.shape[-1], round((duration + self.release) * self.rate))
        wave = sound[..., :size] * velocity**1.3
        for row in np.atleast_2d(wave):
            fade(row, self.rate, self.attack, self.release)
        return wave


def _string_bass(
    rate: int, rng: np.random.Generator, pitch: int, hard: bool, seconds: float, *,
    tilt: float, decay: float, damping: float, pluck: float, knock: float,
) -> Array:  # fmt: skip
    """A bass string with the knock of finger, pick or thumb."""
    wave = harmonics(
        rate, seconds, hertz(pitch), rng, count=40, tilt=tilt - (0.2 if hard else 0.0), decay=decay,
        damping=damping, stiff=6e-5, pluck=pluck,
    )  # fmt: skip
    click = noise(rng, rate, 0.06, band(300, 3200))
    click *= exponential(rate, len(click), 0.001, 0.01)
    wave[: len(click)] += knock * click[: len(wave)]
    return wave


def bass_maker(patch: str, seed: int, rate: int) -> Callable:
    """How one note of a bass sounds."""
    vary = np.random.default_rng([seed, 7]).uniform(0.85, 1.15, 4)

    def strings(tilt: float, decay: float, damping: float, pluck: float, knock: float) -> Callable:
        return lambda rng, pitch, hard, seconds: _string_bass(
            rate, rng, pitch, hard, seconds, tilt=tilt * vary[0], decay=decay * vary[1],
            damping=damping * vary[2], pluck=pluck * vary[3], knock=knock,
        )  # fmt: skip

    def synth(rng: np.random.Generator, pitch: int, hard: bool, seconds: float) -> Array:
        k = np.arange(1, 61, dtype=float)
        f = hertz(pitch)
        cut = (7 if hard else 5) * vary[0]
        held = k**-1.0 / (1 + (k / (0.45 * cut)) ** 4)
        swept = k**-1.0 / (1 + (k / (2.2 * cut)) ** 4) - held
        phase = np.full(60, -np.pi / 2)
        body = partials(rate, seconds, f * k, held, np.full(60, 3.0), phase)
        return body + partials(rate, seconds, f * k, swept, 0.16 * vary[1] / k**0.3, phase)

    def sub(rng: np.random.Generator, pitch: int, hard: bool, seconds: float) -> Array:
        k = np.arange(1, 9, dtype=float)
        amplitude = np.array([1, 0.32, 0.2, 0.08, 0.06, 0.03, 0.03, 0.02]) * (1.2 if hard else 1.0)
        return partials(rate, seconds, hertz(pitch) * k, amplitude, 2.2 / k**0.5, np.zeros(8))

    return {
        "finger": strings(1.2, 1.3, 0.55, 0.22, 0.10),
        "pick": strings(1.15, 1.1, 0.35, 0.13, 0.22),
        "slap": strings(1.0, 0.9, 0.30, 0.10, 0.40),
        "upright": strings(1.5, 0.7, 0.5, 0.30, 0.16),
        "synth": synth,
        "sub": sub,
    }[patch]


def _two(left: Array, right: Array) -> Stereo:
    return np.stack([left, right])


def keys_maker(patch: str, seed: int, rate: int) -> Callable:
    """How one note of a keyboard sounds, in stereo (low notes left, high notes right)."""
    vary = np.random.default_rng([seed, 11]).uniform(0.85, 1.15, 4)
    organ = Wavetable(
        rate,
        lambda k: np.interp(k, range(1, 10), [1, 0.8, 0.6 * vary[0], 0.35, 0, 0.2, 0, 0.25, 0]),
        60, np.random.default_rng(5), 9000,
    )  # fmt: skip
    saw = Wavetable(
        rate, lambda k: k**-1.1 / (1 + (k / 14) ** 2), 60, np.random.default_rng(6), 11000
    )

    def place(wave: Array, pitch: int, late: float = 0.0) -> Stereo:
        angle = float(np.clip((pitch - 62) / 24, -1, 1)) * 0.5
        return _two(wave * np.cos(np.pi / 4 * (1 + angle)), wave * np.sin(np.pi / 4 * (1 + angle)))

    def piano(rng: np.random.Generator, pitch: int, hard: bool, seconds: float) -> Stereo:
        f, wave = hertz(pitch), np.zeros(max(1, round(seconds * rate)))
        for detune in (1.0, 2 ** (0.9 / 1200)):
            wave += harmonics(
                rate, seconds, f * detune, rng, count=24, tilt=(1.15 if hard else 1.5) * vary[0],
                decay=0.9 * (60 / pitch) ** 2, damping=0.16 * vary[1], stiff=2.5e-4, pluck=0.125,
            )  # fmt: skip
        hammer = noise(rng, rate, 0.08, band(250, 2500))
        hammer *= exponential(rate, len(hammer), 0.001, 0.012)
        wave[: len(hammer)] += 0.12 * hammer[: len(wave)]
        return place(wave, pitch)

    def electric(rng: np.random.Generator, pitch: int, hard: bool, seconds: float) -> Stereo:
        f = hertz(pitch)
        ratio = np.array([1, 2, 3, 4, 5, 7.1, 14.2])
        level = np.array([1, 0.30, 0.16, 0.07, 0.04, 0.05, 0.10 if hard else 0.03]) * vary[0]
        decay = np.array([1.4, 0.9, 0.6, 0.4, 0.3, 0.15, 0.05]) * vary[1]
        wave = partials(rate, seconds, f * ratio, level, decay, rng.uniform(0, 6.28, 7))
        t = np.arange(len(wave)) / rate
        sway = 0.3 * np.sin(2 * np.pi * 5.2 * vary[2] * t)
        return _two(wave * (0.7 + sway), wave * (0.7 - sway))

    def clavinet(rng: np.random.Generator, pitch: int, hard: bool, seconds: float) -> Stereo:
        wave = harmonics(
            rate, seconds, hertz(pitch), rng, count=36, tilt=0.75 if hard else 0.95, decay=0.5,
            damping=0.10, stiff=1e-4, pluck=0.09 * vary[0],
        )  # fmt: skip
        return place(wave, pitch)

    def organ_note(rng: np.random.Generator, pitch: int, hard: bool, seconds: float) -> Stereo:
        size = round(seconds * rate)
        t = np.arange(size) / rate
        spin = 2 * np.pi * 5.8 * vary[1] * t + rng.uniform(0, 6.28)
        wave = organ.play(hertz(pitch) * (1 + 0.0022 * np.sin(spin)), rng.uniform())
        return 0.4 * _two(wave * (1 + 0.2 * np.sin(spin)), wave * (1 + 0.2 * np.cos(spin)))

    def poly(rng: np.random.Generator, pitch: int, hard: bool, seconds: float) -> Stereo:
        size = round(seconds * rate)
        swell = exponential(rate, size, 0.01, 2.5)
        sides = [
            saw.steady(hertz(pitch) * 2 ** (cents / 1200), size, rng.uniform())
            for cents in (-7 * vary[0], 7 * vary[0])
        ]
        return 0.4 * _two(sides[0] + 0.35 * sides[1], sides[1] + 0.35 * sides[0]) * swell

    return {
        "piano": piano, "electric piano": electric, "clavinet": clavinet, "organ": organ_note,
        "poly": poly,
    }[patch]  # fmt: skip


def pluck_maker(patch: str, seed: int, rate: int) -> Callable:
    """How one plucked string sounds: two strings a hair apart, one to each side."""
    vary = np.random.default_rng([seed, 13]).uniform(0.85, 1.15, 4)
    count, tilt, decay, damping, stiff, comb = {
        "steel": (36, 0.85, 1.1, 0.13, 8e-5, 0.17),
        "nylon": (24, 1.25, 0.7, 0.22, 3e-5, 0.28),
        "muted": (28, 0.9, 0.14, 0.06, 8e-5, 0.13),
        "crunch": (40, 0.55, 1.6, 0.04, 4e-5, 0.21),
        "arp": (30, 0.8, 0.28, 0.10, 0.0, 0.0),
    }[patch]

    def make(rng: np.random.Generator, pitch: int, hard: bool, seconds: float) -> Stereo:
        sides = []
        for cents in (-2.5, 2.5):
            wave = harmonics(
                rate, seconds, hertz(pitch) * 2 ** (cents / 1200), rng, count=count,
                tilt=tilt * vary[0] + (0.0 if hard else 0.25), decay=decay * vary[1],
                damping=damping, stiff=stiff, pluck=comb,
            )  # fmt: skip
            pick = noise(rng, rate, 0.04, band(1200, 6000))
            pick *= exponential(rate, len(pick), 0.0005, 0.005)
            wave[: len(pick)] += (0.18 if hard else 0.1) * pick[: len(wave)]
            sides.append(wave)
        return _two(sides[0] + 0.3 * sides[1], sides[1] + 0.3 * sides[0])

    return make


def pad_maker(patch: str, seed: int, rate: int) -> Callable:
    """How one note of a pad sounds: detuned saws, or an organ, that swell and stay."""
    vary = np.random.default_rng([seed, 17]).uniform(0.85, 1.15, 4)
    cut, tilt, attack = {
        "strings": (12, 1.0, 0.12), "warm": (5, 1.15, 0.2), "bright": (22, 0.95, 0.05),
        "organ": (8, 1.3, 0.03),
    }[patch]  # fmt: skip
    saw = Wavetable(
        rate,
        lambda k: k**-tilt / (1 + (k / (cut * vary[0])) ** 3),
        100,
        np.random.default_rng(8),
        12000,
    )

    def make(rng: np.random.Generator, pitch: int, hard: bool, seconds: float) -> Stereo:
        size = round(seconds * rate)
        cents = np.array([-9, -2, 4, 10]) * vary[1]
        voices = [saw.steady(hertz(pitch) * 2 ** (c / 1200), size, rng.uniform()) for c in cents]
        rise = np.minimum(1.0, np.arange(size) / rate / attack + 0.02)
        left = voices[0] + voices[2] + 0.25 * voices[1]
        right = voices[1] + voices[3] + 0.25 * voices[2]
        return 0.3 * _two(left * rise, right * rise)

    return make
