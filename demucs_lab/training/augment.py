"""Songs that were never recorded: six ways to make one set of stems into many (lesson 07).

Each takes stems `[B, S, C, T]` and a `torch.Generator`, and gives new stems of that shape; the
mixture is summed afterwards, so that it is always that of the stems. `listen` plays any of them.
Settings follow the authors' code (facebookresearch/demucs, `augment.py` and `repitch.py`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import torch
from torch import Generator, Tensor

if TYPE_CHECKING:
    from demucs_lab.datasets import Track
    from demucs_lab.widgets import StemPlayer

MAX_SEMITONES = 2
TEMPO_STD, MAX_TEMPO = 0.05, 0.12
STRETCHED = 1 / (1 - MAX_TEMPO)
"""How much longer than wanted an excerpt is cut, so that the fastest tempo still fills it."""


def sign_flip(stems: Tensor, generator: Generator) -> Tensor:
    """Turn each stem upside down or not; alone it sounds the same, in the sum it does not."""
    signs = torch.randint(2, (*stems.shape[:2], 1, 1), generator=generator)
    return stems * (2 * signs - 1)


def channel_swap(stems: Tensor, generator: Generator) -> Tensor:
    """Exchange left and right of each stem or not; mono stays as it is."""
    swap = torch.randint(2, (*stems.shape[:2], 1, 1), generator=generator).bool()
    return torch.where(swap, stems.flip(2), stems)


def random_gain(
    stems: Tensor, generator: Generator, low: float = 0.25, high: float = 1.25
) -> Tensor:
    """Give each stem a level of its own, a factor drawn evenly between `low` and `high`."""
    gains = torch.rand((*stems.shape[:2], 1, 1), generator=generator)
    return stems * (low + (high - low) * gains)


def remix(stems: Tensor, generator: Generator) -> Tensor:
    """Let each source of an excerpt come from another song of the batch.

    >>> stems = torch.arange(3.0)[:, None, None, None].expand(3, 2, 1, 1)
    >>> mixed = remix(stems, torch.Generator().manual_seed(0))
    >>> mixed[:, 0].flatten().sort().values, mixed[:, 1].flatten().sort().values
    (tensor([0., 1., 2.]), tensor([0., 1., 2.]))
    """
    order = torch.rand(stems.shape[:2], generator=generator).argsort(0)  # [B, S]
    return stems[order, torch.arange(stems.shape[1])]


def source_dropout(stems: Tensor, generator: Generator, probability: float = 0.1) -> Tensor:
    """Silence each stem with a probability, but never all of an excerpt (not in the papers)."""
    draws = torch.rand(stems.shape[:2], generator=generator)
    kept = (draws >= probability) | (draws == draws.amax(1, keepdim=True))
    return stems * kept[..., None, None]


def draw_pitch_and_tempo(generator: Generator) -> tuple[int, float]:
    """Semitones and relative tempo, drawn together as published.

    `randint(-2, 2)` there is Python's, which can give both ends: five values, -2 to 2. NumPy's
    would never give 2. The tempo's change is normal with standard deviation 5 %, clipped at ±12 %.
    """
    semitones = random.Random(_seed(generator)).randint(-MAX_SEMITONES, MAX_SEMITONES)
    change = TEMPO_STD * float(torch.randn((), generator=generator))
    return semitones, 1 + min(max(change, -MAX_TEMPO), MAX_TEMPO)


def pitch_and_tempo(stems: Tensor, semitones: float, tempo: float, n_fft: int = 2048) -> Tensor:
    """Transpose and speed up all stems in step: one phase vocoder, one resampling.

    Played `2^(semitones / 12)` times faster, a song is higher by that interval; a phase vocoder
    first gives it the length at which its tempo comes out right. The authors used soundstretch,
    which cuts and joins the waveform and keeps attacks sharper.

    Args:
        stems: `[..., T]`.
        semitones: up if positive; exact to two hundredths of a semitone.
        tempo: 1.1 is a tenth faster.
        n_fft: window of the phase vocoder, in samples.

    Returns:
        `[..., T / tempo]`, a pulse at time t moved to t / tempo in each stem.

    >>> pitch_and_tempo(torch.zeros(4, 2, 8000), 2, 1.25).shape
    torch.Size([4, 2, 6400])
    """
    from torchaudio import functional as sound

    length = round(stems.shape[-1] / tempo)
    if semitones == 0 and tempo == 1:
        return stems
    speed = Fraction(2 ** (semitones / 12)).limit_denominator(64)
    rows = stems.reshape(-1, stems.shape[-1])
    window = torch.hann_window(n_fft)
    spec = torch.stft(rows, n_fft, window=window, return_complex=True, pad_mode="constant")
    advance = torch.linspace(0, torch.pi * n_fft / 4, n_fft // 2 + 1)[:, None]
    stretched = sound.phase_vocoder(spec, tempo / float(speed), advance)
    slow = torch.istft(stretched, n_fft, window=window, length=round(length * float(speed)))
    wav = sound.resample(slow, speed.numerator, speed.denominator)
    wav = torch.nn.functional.pad(wav, (0, max(0, length - wav.shape[-1])))[..., :length]
    return wav.reshape(*stems.shape[:-1], length)


def random_pitch_and_tempo(
    stems: Tensor, generator: Generator, probability: float = 0.2, length: int | None = None
) -> Tensor:
    """Transpose and speed up some excerpts, all stems of an excerpt alike.

    Args:
        stems: `[B, S, C, T]`.
        generator: of the draws.
        probability: of an excerpt to be changed.
        length: of what is given back, in samples; None: 0.88 T, which the fastest still fills.

    Returns:
        `[B, S, C, length]`; an excerpt that is not changed keeps its first samples.
    """
    length = int(stems.shape[-1] / STRETCHED) if length is None else length
    changed = []
    for excerpt in stems:
        if float(torch.rand((), generator=generator)) < probability:
            excerpt = pitch_and_tempo(excerpt, *draw_pitch_and_tempo(generator))
        changed.append(excerpt[..., :length])
    return torch.stack(changed)


AUGMENTATIONS: dict[str, Callable[..., Tensor]] = {
    "pitch_tempo": random_pitch_and_tempo,
    "remix": remix,
    "channel_swap": channel_swap,
    "sign_flip": sign_flip,
    "gain": random_gain,
    "source_dropout": source_dropout,
}
"""Every augmentation by the name that switches it off in `train`, in the order they are done."""


def listen(name: str, tracks: list[Track], seed: int = 0, **options: Any) -> StemPlayer:
    """A player with the first of some songs as it was and as the augmentation makes it.

    Args:
        name: of `AUGMENTATIONS`.
        tracks: songs of one rate; only "remix" needs more than one.
        seed: of the draw.
        options: of the augmentation, for example `probability=1.0`.

    Raises:
        ValueError: if there is no such augmentation.
    """
    from demucs_lab.audio import SOURCES
    from demucs_lab.widgets import StemPlayer

    if name not in AUGMENTATIONS:
        raise ValueError(
            f"no augmentation is named {name!r}: choose from {', '.join(AUGMENTATIONS)}"
        )
    frames = min(track.frames for track in tracks)
    stems = torch.stack([track.stems[..., :frames] for track in tracks])
    changed = AUGMENTATIONS[name](stems, torch.Generator().manual_seed(seed), **options)[0]
    before = stems[0, ..., : changed.shape[-1]]

    def rows(sources: Tensor) -> dict[str, Tensor]:
        return {"mixture": sources.sum(0), **dict(zip(SOURCES, sources, strict=True))}

    return StemPlayer(rows(before), tracks[0].samplerate, systems={name: rows(changed)})


def _seed(generator: Generator) -> int:
    return int(torch.randint(2**31, (), generator=generator))
