"""The drum kit: skins, wires and metal, struck once or twice each and then played from memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .styles import GM_DRUMS
from .synth import Array, band, exponential, fade, noise, partials, swept_sine

Hit = tuple[Array, float, float]
"""A sound, its position from −1 (left) to 1 (right), and how much of it goes to the room."""


@dataclass(frozen=True)
class Kit:
    """What makes one kit differ from the next."""

    kick: tuple[float, float, float, float]
    """start Hz, end Hz, decay seconds, click level"""
    snare: tuple[float, float, float, float]
    """skin Hz, skin decay, wire decay, wire level"""
    hat: tuple[float, float]
    """brightness Hz, decay"""
    metal: float
    """level of the cymbals' ringing partials against their noise"""
    soft: float = 0.0
    """1: brushes"""


KITS = {
    "studio": Kit((150, 54, 0.15, 0.35), (190, 0.10, 0.13, 0.9), (7000, 0.035), 0.35),
    "tight": Kit((170, 60, 0.11, 0.5), (220, 0.07, 0.09, 1.0), (8000, 0.028), 0.3),
    "rock": Kit((140, 50, 0.16, 0.6), (175, 0.12, 0.18, 1.1), (6000, 0.05), 0.5),
    "machine": Kit((180, 46, 0.22, 0.2), (180, 0.09, 0.12, 0.8), (8500, 0.030), 0.7),
    "gated": Kit((160, 52, 0.15, 0.4), (185, 0.14, 0.30, 1.2), (7500, 0.032), 0.5),
    "brush": Kit((120, 58, 0.14, 0.12), (210, 0.06, 0.16, 0.7), (6000, 0.045), 0.3, 1.0),
}
_METAL = np.array([2.0, 3.0, 4.16, 5.43, 6.79, 8.21, 9.7, 11.3, 13.9, 17.2, 21.1, 25.7])


class DrumKit:
    """The hits of one song's kit at one rate; each is made when first played."""

    VARIANTS = 2

    def __init__(self, name: str, seed: int, rate: int) -> None:
        self.kit, self.seed, self.rate = KITS[name], seed, rate
        rng = np.random.default_rng([seed, 0])
        self.tune = float(rng.uniform(0.92, 1.1))
        self.ring = float(rng.uniform(0.8, 1.3))
        self.bright = float(rng.uniform(0.85, 1.2))
        self.side = float(rng.choice([-1.0, 1.0]))
        self._hits: dict[tuple[str, int, bool], Hit] = {}

    def hit(self, drum: str, velocity: float, turn: int) -> tuple[Array, float, float]:
        """The sound of a stroke, its pan and its send to the room."""
        key = (drum, turn % self.VARIANTS, velocity < 0.4)
        if key not in self._hits:
            rng = np.random.default_rng([self.seed, GM_DRUMS[drum], key[1]])
            make = getattr(self, "_" + drum.replace(" ", "_"))
            wave, pan, send = make(rng, key[2])
            self._hits[key] = (
                fade(wave, self.rate, 0.0, 0.2 * len(wave) / self.rate),
                pan * self.side,
                send,
            )
        wave, pan, send = self._hits[key]
        return wave * (0.15 * velocity + 0.85 * velocity**1.7), pan, send

    def _skin(self, start: float, end: float, fall: float, decay: float, seconds: float) -> Array:
        return swept_sine(self.rate, seconds, start * self.tune, end * self.tune, fall, decay)

    def _burst(
        self, rng: np.random.Generator, seconds: float, low: float, high: float, decay: float,
        attack: float = 0.001,
    ) -> Array:  # fmt: skip
        wave = noise(rng, self.rate, seconds, band(low, high))
        wave *= exponential(self.rate, len(wave), attack, decay)
        return wave

    def _kick(self, rng: np.random.Generator, soft: bool) -> Hit:
        start, end, decay, click = self.kit.kick
        decay *= self.ring
        wave = self._skin(start * (0.8 if soft else 1.0), end, 0.028, decay, min(0.7, 4.5 * decay))
        thud = self._skin(start * 2.2, end * 1.7, 0.012, 0.035, 0.2)
        wave[: len(thud)] += 0.4 * thud
        wave = np.tanh(1.3 * wave)
        beater = self._burst(rng, 0.05, 900, 5000 * self.bright, 0.006)
        wave[: len(beater)] += (0.25 if soft else 0.6) * click * beater
        return 1.25 * wave, 0.0, 0.15

    def _snare(self, rng: np.random.Generator, soft: bool) -> Hit:
        skin, ring, wires, level = self.kit.snare
        wires = wires * self.ring * (0.6 if soft else 1.0)
        seconds = min(0.9, 5 * max(ring, wires))
        wave = 0.5 * self._skin(skin * 1.25, skin, 0.02, ring, seconds)
        wave += 0.25 * self._skin(skin * 1.9, skin * 1.62, 0.02, ring * 0.7, seconds)
        for low, high, part, share in (
            (250, 900, 0.7, 0.45), (900, 3500, 1.0, 0.55), (3500, 12000 * self.bright, 0.8, 0.5),
        ):  # fmt: skip
            attack = 0.012 if self.kit.soft else 0.001
            burst = self._burst(rng, seconds, low, high, wires * part, attack)
            wave += level * share * (0.7 if soft else 1.0) * burst[: len(wave)]
        return wave, 0.06, 0.5

    def _rim(self, rng: np.random.Generator, soft: bool) -> Hit:
        f = np.array([480.0, 1130, 1720, 2600]) * self.tune
        wave = partials(
            self.rate, 0.12, f, np.array([0.5, 0.8, 0.7, 0.4]), np.full(4, 0.018), np.zeros(4)
        )
        click = self._burst(rng, 0.12, 1500, 9000, 0.006)
        return wave * 0.7 + 0.5 * click[: len(wave)], -0.12, 0.4

    def _clap(self, rng: np.random.Generator, soft: bool) -> Hit:
        wave = 0.8 * self._burst(rng, 0.4, 900, 5200, 0.07 * self.ring)
        for position in range(3):
            slap = self._burst(rng, 0.05, 800, 6000, 0.006)
            at = round(position * 0.0105 * self.rate)
            wave[at : at + len(slap)] += 0.8 * slap
        return wave, 0.15, 0.6

    def _metal(
        self,
        rng: np.random.Generator,
        seconds: float,
        base: float,
        decay: float,
        low: float,
        high: float,
    ) -> Array:
        count = len(_METAL)
        f = base * self.tune * _METAL * rng.uniform(0.985, 1.015, count)
        ring = partials(
            self.rate, seconds, f, rng.uniform(0.4, 1, count) / (1 + _METAL[::-1] / 14),
            decay * rng.uniform(0.6, 1.2, count), rng.uniform(0, 6.28, count),
        )  # fmt: skip
        hiss = self._burst(rng, seconds, low, high * self.bright, decay)
        top = self._burst(rng, seconds, high * 0.6, 17000, decay * 0.6)
        size = min(len(ring), len(hiss), len(top))
        return self.kit.metal * 0.35 * ring[:size] + 0.6 * hiss[:size] + 0.4 * top[:size]

    def _hat(self, rng: np.random.Generator, soft: bool) -> Hit:
        bright, decay = self.kit.hat
        decay *= 0.7 if soft else 1.0
        return (
            0.36 * self._metal(rng, 8 * decay, 480, decay, bright * 0.75, bright * 1.6),
            0.35,
            0.15,
        )

    def _open_hat(self, rng: np.random.Generator, soft: bool) -> Hit:
        bright, _ = self.kit.hat
        return 0.34 * self._metal(rng, 0.55, 480, 0.14, bright * 0.7, bright * 1.6), 0.35, 0.2

    def _ride(self, rng: np.random.Generator, soft: bool) -> Hit:
        wave = 0.3 * self._metal(rng, 1.2, 390, 0.32, 3500, 9000)
        bell = self._metal(rng, 0.3, 620, 0.04, 5000, 12000)
        wave[: len(bell)] += 0.3 * bell
        return wave, -0.4, 0.2

    def _crash(self, rng: np.random.Generator, soft: bool) -> Hit:
        wave = 0.42 * self._metal(rng, 1.9, 330, 0.45, 1800, 8500)
        return fade(wave, self.rate, 0.004, 0.2), -0.55, 0.3

    def _tom(self, rng: np.random.Generator, hertz: float, pan: float) -> Hit:
        wave = self._skin(hertz * 1.6, hertz, 0.045, 0.17 * self.ring, 0.7)
        wave += 0.3 * self._skin(hertz * 2.6, hertz * 1.9, 0.03, 0.08, 0.7)
        stick = self._burst(rng, 0.08, 600, 4500, 0.012)
        wave[: len(stick)] += 0.35 * stick
        return wave * 0.9, pan, 0.5

    def _low_tom(self, rng: np.random.Generator, soft: bool) -> Hit:
        return self._tom(rng, 82, -0.45)

    def _mid_tom(self, rng: np.random.Generator, soft: bool) -> Hit:
        return self._tom(rng, 112, -0.1)

    def _high_tom(self, rng: np.random.Generator, soft: bool) -> Hit:
        return self._tom(rng, 150, 0.3)

    def _tambourine(self, rng: np.random.Generator, soft: bool) -> Hit:
        wave = 0.35 * self._burst(rng, 0.3, 6000, 14000, 0.05, 0.004)
        f = np.array([4200.0, 5600, 6900, 8300, 9900]) * self.tune
        bells = partials(
            self.rate, 0.3, f, np.full(5, 0.12), np.full(5, 0.06), rng.uniform(0, 6, 5)
        )
        size = min(len(wave), len(bells))
        return wave[:size] + bells[:size], -0.5, 0.3

    def _shaker(self, rng: np.random.Generator, soft: bool) -> Hit:
        return 0.3 * self._burst(rng, 0.14, 4500, 11000, 0.03, 0.022), 0.5, 0.2
