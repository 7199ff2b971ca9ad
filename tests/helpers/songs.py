"""Four short songs and a model so small that a training of some steps takes a second.

A module of its own, so that processes which a test starts can import it.
"""

import torch

from demucs_lab.audio import SOURCES
from demucs_lab.datasets import Track

RATE = 8000
PITCH = dict(zip(SOURCES, (0.9, 0.05, 0.3, 0.6), strict=True))  # radians per sample

MICRO = {
    "model": "demucs-v1",
    "model_options": {"channels": 4, "depth": 2, "samplerate": RATE, "segment": 1.0},
    "segment": 0.5,
    "batch": 4,
    "learning_rate": 1e-2,
    "warmup": 2,
}


class Tone:
    """A loader that every process can unpickle: each source a tone, swelling and fading."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, source: str, start: int, frames: int) -> torch.Tensor:
        time = torch.arange(start, start + frames, dtype=torch.float64)
        tone = torch.sin(PITCH[source] * (1 + 0.02 * self.number) * time)
        swell = 0.6 + 0.4 * torch.sin(time / 700 + self.number)
        left = 0.1 * tone * swell
        return torch.stack([left, 0.5 * left]).float()


class Noise(Tone):
    """Tones under noise, so that no source is a filtered copy of another."""

    def __call__(self, source: str, start: int, frames: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(100 * self.number + SOURCES.index(source))
        noise = torch.randn(2, start + frames, generator=generator)[:, start:]
        return super().__call__(source, start, frames) + 0.02 * noise


def songs(count: int = 4, seconds: float = 2.0, load: type[Tone] = Tone) -> list[Track]:
    return [Track(f"song {i}", RATE, round(seconds * RATE), load(i)) for i in range(count)]
