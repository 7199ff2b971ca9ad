"""A small mixing desk: pan, room, echo, levels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import lfilter

from .synth import band, noise

Stereo = NDArray[np.float32]


def pan_gains(position: float) -> tuple[float, float]:
    """Left and right gains of equal power for a position from −1 to 1.

    >>> [round(float(g), 3) for g in pan_gains(0.0)]
    [0.707, 0.707]
    """
    angle = np.pi / 4 * (1 + float(np.clip(position, -1, 1)))
    return float(np.cos(angle)), float(np.sin(angle))


def put(bus: Stereo, wave: NDArray, start: int, gains: tuple[float, float]) -> None:
    """Add a mono `[T]` or stereo `[2, T]` sound to a bus from sample `start` to the bus's end."""
    size = min(wave.shape[-1], bus.shape[1] - start)
    if size <= 0:
        return
    for side in (0, 1):
        row = wave if wave.ndim == 1 else wave[side]
        bus[side, start : start + size] += gains[side] * row[:size]


class Room:
    """A room's reverberation: early echoes, then noise that decays faster the higher it is.

    Args:
        seconds: RT60, the time to fall by 60 dB.
        samples: length of the songs that will sound in it.
    """

    def __init__(self, seconds: float, seed: int, rate: int, samples: int) -> None:
        rng = np.random.default_rng([seed, 21])
        length = min(seconds * 1.1, 1.6)
        size = round(length * rate)
        response = np.zeros((2, size), np.float32)
        t = np.arange(size) / rate
        for side in (0, 1):
            for low, high, share in ((120, 700, 1.0), (700, 3000, 0.75), (3000, 9000, 0.45)):
                tail = noise(rng, rate, length, band(low, high))[:size]
                response[side] += share * tail * np.exp(-6.91 * t / (seconds * share**0.5))
            for _ in range(5):
                at = round(float(rng.uniform(0.006, 0.045)) * rate)
                response[side, at] += float(rng.uniform(-1, 1)) * 12 * (rate / 44100) ** 0.5
        response *= np.minimum(1, t / 0.012).astype(np.float32)
        response /= np.sqrt((response**2).sum() / 2)
        self.samples = samples
        self.length = next_fast_len(samples + size, real=True)
        self.response = rfft(response, self.length)

    def reverb(self, send: NDArray[np.float32]) -> Stereo:
        """What the room answers to a mono sound `[T]`, `[2, T]`."""
        return irfft(rfft(send, self.length) * self.response, self.length)[:, : self.samples]


def brighten(bus: Stereo, rate: int, corner: float, gain: float) -> None:
    """A shelf: what lies above `corner` Hz is raised to 1 + `gain` times its level, in place."""
    pole = np.float32(np.exp(-2 * np.pi * corner / rate))
    low = lfilter(np.array([1 - pole], np.float32), np.array([1, -pole], np.float32), bus)
    bus += np.float32(gain) * (bus - low)


def echo(wave: Stereo, rate: int, seconds: float, level: float) -> None:
    """Three echoes that change sides, added in place."""
    source = wave.copy()
    for turn in (1, 2, 3):
        late = round(turn * seconds * rate)
        if late < wave.shape[1]:
            wave[:, late:] += level**turn * source[:: -1 if turn % 2 else 1, : wave.shape[1] - late]


def duck(kicks: list[float], depth: float, rate: int, samples: int) -> NDArray[np.float32]:
    """The gain of a compressor that makes way for the kick drum, `[T]`."""
    time, gain = [0.0], [1.0]
    for start in kicks:
        if start > time[-1] + 0.02:
            time += [start, start + 0.015, start + 0.22]
            gain += [1.0, 1 - depth, 1.0]
    order = np.argsort(time, kind="stable")
    return np.interp(
        np.arange(samples) / rate, np.array(time)[order], np.array(gain)[order]
    ).astype(np.float32)  # fmt: skip


def balance(stems: dict[str, Stereo], shares: dict[str, float], peak: float, rms: float) -> None:
    """Set the stems' energies to their shares, then all together to a loudness, in place.

    Args:
        shares: energy of each stem, as a share of the sum.
        peak: no stem and no mixture goes beyond this.
        rms: level of the mixture where the peak allows it.
    """
    for name, stem in stems.items():
        power = float(np.mean(np.square(stem, dtype=np.float32), dtype=np.float64))
        stem *= np.float32(np.sqrt(shares[name] / max(power, 1e-20)))
    mixture = sum(stems.values())
    loudest = max(float(np.abs(wave).max()) for wave in (mixture, *stems.values()))
    level = float(np.sqrt(np.mean(np.square(mixture), dtype=np.float64)))
    gain = np.float32(min(peak / loudest, rms / level))
    for stem in stems.values():
        stem *= gain
