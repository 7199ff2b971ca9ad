"""Band-limited building blocks: decaying partials, wavetables, shaped noise.

Nothing here makes energy above half the rate: partials and harmonics that would lie there are left
out, noise is drawn bin by bin. Noise is drawn from the lowest bin up, so the same generator gives
the same sound at any rate, only with more or less of its top.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft

Array = NDArray[np.float64]
TOP = 0.47
"""Highest partial, as a share of the rate."""
GRAIN = 0.02
"""Noise lasts a multiple of this many seconds: its bins lie at the same hertz at any rate."""
_SMALL = 2**18
"""Matrix products of fewer multiplications than this stay in one thread (OpenBLAS), so that songs
do not depend on the number of threads and processes do not fight for the cores."""


def partials(
    rate: int, seconds: float, frequency: Array, amplitude: Array, decay: Array, phase: Array
) -> Array:
    """Sum of exponentially decaying cosines, `[seconds * rate]`.

    y(t) = Σ a exp(−t / τ) cos(2π f t + φ), with `decay` τ in seconds. The powers of each partial's
    step are an outer product (coarse steps × fine steps), so the sum over partials is one matrix
    product instead of one cosine per sample and partial.

    >>> y = partials(8000, 0.5, *np.array([[440.0], [1.0], [9e9], [0.0]]))
    >>> bool(np.allclose(y, np.cos(2 * np.pi * 440 * np.arange(4000) / 8000)))
    True
    """
    size = max(1, round(seconds * rate))
    keep = (frequency > 0) & (frequency < TOP * rate) & (np.abs(amplitude) > 1e-6)
    if not keep.any():
        return np.zeros(size)
    frequency, amplitude, decay, phase = (
        np.broadcast_to(x, keep.shape)[keep] for x in (frequency, amplitude, decay, phase)
    )
    fine = int(np.ceil(np.sqrt(size)))
    rows = max(1, _SMALL // (2 * len(frequency) * fine))
    coarse = -(-size // (fine * rows)) * rows
    step = (-1 / decay + 2j * np.pi * frequency) / rate
    left = amplitude * np.exp(np.outer(np.arange(coarse) * fine, step) + 1j * phase)
    right = np.exp(np.outer(step, np.arange(fine)))
    coarse_parts = np.hstack([left.real, -left.imag]).reshape(-1, rows, 2 * len(frequency))
    result = coarse_parts @ np.vstack([right.real, right.imag])
    return result.reshape(-1)[:size]


def harmonics(
    rate: int, seconds: float, pitch_hz: float, rng: np.random.Generator, *,
    count: int, tilt: float, decay: float, damping: float, stiff: float = 0.0, pluck: float = 0.0,
) -> Array:  # fmt: skip
    """A struck or plucked string: harmonics k with amplitude k^−tilt, dying faster as they rise.

    Args:
        decay: seconds in which the fundamental falls by 8.7 dB.
        damping: how much faster harmonic k decays: τ_k = decay / (1 + damping (k − 1)).
        stiff: inharmonicity B: f_k = k f √(1 + B k²).
        pluck: where the string is plucked, as a share of its length; 0: no comb.
    """
    k = np.arange(1, count + 1, dtype=float)
    amplitude = k**-tilt
    if pluck:
        amplitude = amplitude * np.abs(np.sin(np.pi * k * pluck))
    phase = rng.uniform(0, 2 * np.pi, count)
    return partials(
        rate, seconds, pitch_hz * k * np.sqrt(1 + stiff * k**2), amplitude,
        decay / (1 + damping * (k - 1)), phase,
    )  # fmt: skip


def noise(
    rng: np.random.Generator, rate: int, seconds: float, shape: Callable[[Array], Array]
) -> Array:
    """Noise of a given spectrum, the same at every rate up to its Nyquist frequency.

    Args:
        shape: gain of each frequency in Hz; flat 1 gives a standard deviation of 1 at 44.1 kHz.
    """
    size = round(seconds * rate)
    grain = round(GRAIN * rate)
    length = max(1, -(-size // grain)) * grain
    bins = length // 2 + 1
    own = np.random.default_rng(int(rng.integers(2**62)))  # `rng` moves on alike at every rate
    drawn = own.standard_normal((bins, 2))
    frequency = np.fft.rfftfreq(length, 1 / rate)
    gain = shape(np.maximum(frequency, 1.0)) * (frequency < TOP * rate) * (frequency > 15)
    spectrum = (drawn[:, 0] + 1j * drawn[:, 1]) * gain
    return irfft(spectrum, length)[:size] * np.sqrt(length * rate / 44100 / 2)


def band(low: float, high: float, order: int = 2) -> Callable[[Array], Array]:
    """Magnitude of a Butterworth band-pass between two frequencies in Hz."""

    def gain(f: Array) -> Array:
        return 1 / np.sqrt((1 + (low / f) ** (2 * order)) * (1 + (f / high) ** (2 * order)))

    return gain


def exponential(rate: int, size: int, attack: float, decay: float) -> Array:
    """An envelope that rises within `attack` seconds and falls by 8.7 dB per `decay` seconds."""
    t = np.arange(size) / rate
    return np.minimum(1.0, (t + 0.5 / rate) / max(attack, 1e-4)) * np.exp(-t / decay)


def swept_sine(
    rate: int, seconds: float, start: float, end: float, fall: float, decay: float
) -> Array:
    """A sine that falls from `start` to `end` Hz with time constant `fall`: a drum skin."""
    size = max(1, round(seconds * rate))
    t = np.arange(size) / rate
    phase = 2 * np.pi * (end * t + (start - end) * fall * (1 - np.exp(-t / fall)))
    return np.sin(phase) * exponential(rate, size, 0.001, decay)


class Wavetable:
    """An oscillator of fixed spectrum that never aliases, however its pitch moves.

    One table for every number of harmonics: each sample reads the table whose highest harmonic
    still fits under the limit at that moment.
    """

    LENGTH = 2048

    def __init__(
        self, rate: int, amplitude: Callable[[Array], Array], lowest: float,
        rng: np.random.Generator, limit: float = 16000.0,
    ) -> None:  # fmt: skip
        self.rate = rate
        self.limit = min(limit, TOP * rate)
        count = int(np.clip(self.limit // lowest, 1, 160))
        k = np.arange(1, count + 1, dtype=float)
        spread = rng.uniform(-0.6, 0.6, 160)[:count]
        turn = np.linspace(0, 2 * np.pi, self.LENGTH, endpoint=False)
        each = amplitude(k)[:, None] * np.sin(np.outer(k, turn) + spread[:, None])
        tables = np.vstack([np.zeros((1, self.LENGTH)), np.cumsum(each, axis=0)])
        self.count = count
        self.tables = np.hstack([tables, tables[:, :1]]).astype(np.float32)

    def play(self, frequency: Array, start_phase: float = 0.0) -> NDArray[np.float32]:
        """The sound of a frequency in Hz per sample, `[T]`."""
        phase = np.cumsum(frequency) / self.rate + start_phase
        phase -= np.floor(phase)
        return self._read(phase, np.minimum(self.limit / np.maximum(frequency, 1.0), self.count))

    def steady(self, frequency: float, size: int, start_phase: float = 0.0) -> NDArray[np.float32]:
        """The sound of one unmoving frequency, `[size]`."""
        phase = np.arange(size) * (frequency / self.rate) + start_phase
        phase -= np.floor(phase)
        return self._read(phase, min(int(self.limit / frequency), self.count))

    def _read(self, phase: NDArray, level: NDArray | int) -> NDArray[np.float32]:
        position = (phase * self.LENGTH).astype(np.float32)
        first = position.astype(np.int32)
        np.minimum(first, self.LENGTH - 1, out=first)
        part = position - first
        if isinstance(level, int):
            table = self.tables[level]
            index = first
        else:
            table = self.tables.reshape(-1)
            index = first + level.astype(np.int32) * (self.LENGTH + 1)
        low = table.take(index)
        return low + part * (table.take(index + 1) - low)


def fade(wave: NDArray, rate: int, attack: float, release: float) -> NDArray:
    """The same sound with a straight rise and a cosine fall at its ends (in place)."""
    rise, fall = min(len(wave), round(attack * rate)), min(len(wave), round(release * rate))
    if rise:
        wave[:rise] *= np.linspace(0, 1, rise, endpoint=False)
    if fall:
        wave[-fall:] *= 0.5 + 0.5 * np.cos(np.linspace(0, np.pi, fall))
    return wave


def hertz(pitch: float) -> float:
    """Frequency of a MIDI pitch.

    >>> hertz(69)
    440.0
    """
    return 440.0 * 2 ** ((pitch - 69) / 12)
