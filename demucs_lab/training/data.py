"""Random excerpts of songs, read from disk as they are needed (lessons 06 and 07).

Everything about an excerpt (song, position, augmentation) follows from the seed and its number, not
from what was drawn before. So any number of workers gives the same batches, several processes
share the batches of one, and a run that stops at step k goes on with batch k + 1.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Dataset

from demucs_lab.audio import SOURCES, resample
from demucs_lab.training.augment import STRETCHED
from demucs_lab.training.step import augmented

if TYPE_CHECKING:
    from demucs_lab.datasets import Track
    from demucs_lab.training.presets import Config

_BLOCK_SECONDS, _MOST_BLOCKS = 5.0, 24  # what the level of a long song is measured on
_SHORT_SECONDS, _MOST_KEPT = 60.0, 1_200_000_000  # songs that are kept in memory, and bytes of it
_FULL_SCALE = 32768  # of 16-bit samples


@dataclass(frozen=True)
class InputFormat:
    """What a model takes and gives: its sources, channels and rate."""

    sources: tuple[str, ...]
    channels: int
    samplerate: int

    @classmethod
    def of(cls, model: Any) -> InputFormat:
        """The format of this model.

        Raises:
            ValueError: if it separates what songs here have no stem of.
        """
        if unknown := [name for name in model.sources if name not in SOURCES]:
            raise ValueError(
                f"the model separates {unknown[0]!r}, but songs have the stems "
                f"{', '.join(SOURCES)}: build it with sources among these"
            )
        return cls(tuple(model.sources), model.audio_channels, model.samplerate)

    @property
    def separated(self) -> list[int]:
        """Which of a song's stems the model separates; its input is the sum of all."""
        return [SOURCES.index(name) for name in self.sources]


def level(track: Track) -> tuple[float, float]:
    """Mean and standard deviation of the mono mixture of a song, as `separate` normalises it.

    Songs of more than four minutes are measured on 24 parts of ten seconds, evenly spread.
    """
    blocks = min(_MOST_BLOCKS, max(1, round(track.duration / _BLOCK_SECONDS)))
    size = min(-(-track.frames // blocks), round(2 * _BLOCK_SECONDS * track.samplerate))
    samples = total = squares = 0.0
    for start in np.linspace(0, track.frames - size, blocks).round().astype(int):
        mono = _mixture(track, int(start), size).mean(0).double()
        samples += len(mono)
        total += float(mono.sum())
        squares += float(mono.square().sum())
    mean = total / samples
    return mean, max(0.0, squares / samples - mean**2) ** 0.5


def _mixture(track: Track, start: int, frames: int) -> Tensor:
    stems = [track.load(source, track.start + start, frames) for source in SOURCES]
    return torch.stack(stems).sum(0)


class StemCache:
    """Stems of songs, read in parts; those of short songs are decoded once and then kept.

    Kept are 16-bit samples, which give the same numbers in half the memory; stems with finer ones
    are read again each time, and so is everything once `most` is used up.

    Args:
        tracks: the songs.
        most: bytes.
    """

    def __init__(self, tracks: Sequence[Track], most: int = _MOST_KEPT) -> None:
        self.tracks, self.most = list(tracks), most
        self.kept: dict[tuple[int, str], Tensor | None] = {}

    def read(self, index: int, source: str, start: int, frames: int) -> Tensor:
        """Part of a stem of song number `index`, `[C, frames]`."""
        track = self.tracks[index]
        new = self.most and (index, source) not in self.kept
        if new and track.duration <= _SHORT_SECONDS:
            self.kept[index, source] = self._keep(track.load(source, track.start, track.frames))
        kept = self.kept.get((index, source))
        if kept is None:
            return track.load(source, track.start + start, frames)
        return kept[:, start : start + frames] / _FULL_SCALE

    def _keep(self, stem: Tensor) -> Tensor | None:
        short = (stem * _FULL_SCALE).short()
        if not torch.equal(short / _FULL_SCALE, stem):
            return None
        if short.nbytes > self.most:
            self.most = 0  # no other is decoded in vain
            return None
        self.most -= short.nbytes
        return short


class Excerpts(Dataset[Tensor]):
    """Number k is always the same group of excerpts, `[group, S, C, T]`, normalised and augmented.

    A song is drawn in proportion to its length, then a position in it. Songs shorter than a segment
    are followed by silence. A group is what `remix` exchanges stems within.

    Args:
        tracks: any songs; those of another rate than the model's are resampled.
        levels: mean and standard deviation of each, see `level`.
        format: what the model takes.
        config: segment, seed, and which augmentations.
        group: excerpts that are drawn together.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        levels: Sequence[tuple[float, float]],
        format: InputFormat,
        config: Config,
        group: int,
    ) -> None:
        self.cache, self.levels = StemCache(tracks), [tuple(pair) for pair in levels]
        self.format, self.config, self.group = format, config, group
        self.frames = round(config.segment * format.samplerate)
        durations = np.array([track.duration for track in tracks])
        self.shares = durations / durations.sum()

    def __getitem__(self, number: int) -> Tensor:
        words = np.random.SeedSequence([self.config.seed, number]).generate_state(2)
        draw = np.random.default_rng([self.config.seed, number])
        generator = torch.Generator().manual_seed(int(words[0]) << 31 ^ int(words[1]))
        stems = torch.stack([self.excerpt(draw) for _ in range(self.group)])
        return augmented(stems, generator, self.config, self.frames)

    def excerpt(self, draw: np.random.Generator) -> Tensor:
        """A random part of a random song: all its stems, `[S, C, T]`.

        They are scaled as `separate` scales songs: to a mixture of mean 0 and standard deviation 1.
        """
        index = int(draw.choice(len(self.shares), p=self.shares))
        track, (mean, std) = self.cache.tracks[index], self.levels[index]
        longer = STRETCHED if self.config.pitch_tempo else 1.0
        wanted = round(self.frames * longer) + 1
        frames = -(-wanted * track.samplerate // self.format.samplerate)
        start = int(draw.integers(max(1, track.frames - frames + 1)))
        read = min(frames, track.frames)
        stems = torch.stack([self.cache.read(index, source, start, read) for source in SOURCES])
        stems = self._channels(stems) - mean / len(SOURCES)
        stems = resample(stems / (std + 1e-8), track.samplerate, self.format.samplerate)
        wanted = wanted if self.config.pitch_tempo else self.frames
        return torch.nn.functional.pad(stems, (0, max(0, wanted - stems.shape[-1])))[..., :wanted]

    def _channels(self, stems: Tensor) -> Tensor:
        if stems.shape[1] == self.format.channels:
            return stems
        return stems.mean(1, keepdim=True).expand(-1, self.format.channels, -1)


def batches(
    excerpts: Excerpts, batch: int, first: int = 0, rank: int = 0, world: int = 1, workers: int = 0
) -> Iterator[Tensor]:
    """Batches `[batch, S, C, T]` from number `first` on, without end.

    Of the `world * batch` excerpts of each step, process `rank` takes its own; together they see
    what one process with the larger batch sees.
    """
    groups = batch // excerpts.group
    order = (
        (step * world + rank) * groups + group for step in count(first) for group in range(groups)
    )
    loader = DataLoader(
        excerpts,
        batch_size=groups,
        sampler=_Order(order),
        collate_fn=torch.cat,
        num_workers=workers,
        generator=Generator(),  # not the caller's
        worker_init_fn=_begin_worker if workers else None,
        pin_memory=torch.cuda.is_available(),
    )
    return iter(loader)


class _Order(torch.utils.data.Sampler[int]):
    """Numbers in the order given, as a `DataLoader` wants them."""

    def __init__(self, numbers: Iterator[int]) -> None:
        self.numbers = numbers

    def __iter__(self) -> Iterator[int]:
        return self.numbers


def _begin_worker(worker: int) -> None:
    """Ctrl-C is for the process that trains; a worker has one thread and its share of memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    about = torch.utils.data.get_worker_info()
    if about and isinstance(about.dataset, Excerpts):
        about.dataset.cache.most //= about.num_workers


def group_size(config: Config) -> int:
    """Excerpts that are drawn and remixed together: 4, or what the batch allows."""
    size = min(config.remix_group, config.batch)
    return size if config.batch % size == 0 else config.batch
