"""Three tricks that turn a model of a few seconds into a separator of songs (lesson 08).

Overlapping segments are blended with triangular weights (`overlap_add`), the estimates for several
random shifts of the song are averaged (`shift_trick`), and a model may be given the song at a
multiple of its rate (`resampling_trick`). All of them work on streams of blocks `[S, C, n]`, so
that a three-hour file needs no more memory than a song; a list with one tensor is a stream too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from demucs_lab.audio import resample

Stream = Iterable[Tensor]


def overlap_add(chunks: Stream, stride: int, weight: Tensor) -> Iterator[Tensor]:
    """Blend overlapping chunks `[..., n]`, one every `stride` samples, into one stream (lesson 08).

    Each chunk counts with `weight[:n]`; where chunks overlap, the weights are normalised to one.

    >>> ones = torch.ones(1, 4)
    >>> torch.cat([*overlap_add([1 * ones, 3 * ones], 2, triangle(4))], -1)
    tensor([[1.0000, 1.0000, 1.6667, 2.3333, 3.0000, 3.0000]])
    """
    total = norm = torch.zeros(0)
    for chunk in chunks:
        n = chunk.shape[-1]
        longer = (0, max(0, n - len(norm)))
        total = F.pad(total, longer) if len(norm) else torch.zeros_like(chunk)
        norm = F.pad(norm, longer)
        total[..., :n] += weight[:n] * chunk
        norm[:n] += weight[:n]
        yield total[..., :stride] / norm[:stride]
        total, norm = total[..., stride:], norm[stride:]
    if len(norm):
        yield total / norm


def triangle(length: int) -> Tensor:
    """Weights of the samples of a segment: one in the middle, falling to almost zero at its ends.

    >>> triangle(5)
    tensor([0.3333, 0.6667, 1.0000, 0.6667, 0.3333])
    """
    rising = torch.arange(1, length // 2 + 1)
    falling = torch.arange(length - length // 2, 0, -1)
    weight = torch.cat([rising, falling])
    return weight / weight.max()


def shift_trick(run: Callable[[int], Stream], shifts: Sequence[int]) -> Iterator[Tensor]:
    """Average the estimates for several random shifts of a song (arXiv:1911.13254; lesson 08).

    `run(shift)` must give the estimate for the song with `shift` samples of silence before it.

    >>> song = torch.tensor([1.0, 2.0, 3.0])
    >>> torch.cat([*shift_trick(lambda shift: [F.pad(song, (shift, 0))], [0, 2, 7])])
    tensor([1., 2., 3.])
    """
    for estimates in in_step([skip(run(shift), shift) for shift in shifts]):
        yield sum(estimates[1:], estimates[0]) / len(shifts)


def resampling_trick(
    model: Callable[[Tensor], Tensor], mixture: Tensor, samplerate: int, factor: int = 2
) -> Tensor:
    """Give the model `mixture [..., T]` at `factor` times its rate (lesson 08).

    Demucs v2 does this inside, in training too. To a model that was not trained so
    everything sounds `factor` times too low and too slow.

    >>> resampling_trick(lambda wav: wav, torch.zeros(1, 2, 1001), 44100).shape
    torch.Size([1, 2, 1001])
    """
    finer = resample(mixture, samplerate, factor * samplerate)
    estimate = resample(model(finer), factor * samplerate, samplerate)
    return estimate[..., : mixture.shape[-1]]


def skip(stream: Stream, samples: int) -> Iterator[Tensor]:
    """The stream without its first samples."""
    for block in stream:
        yield block[..., samples:]
        samples = max(0, samples - block.shape[-1])


def in_step(streams: Sequence[Stream]) -> Iterator[list[Tensor]]:
    """The streams side by side, cut into blocks of the same length."""
    blocks = [iter(stream) for stream in streams]
    buffers = [torch.zeros(0)] * len(streams)
    while True:
        for i, stream in enumerate(blocks):
            while buffers[i].shape[-1] == 0:
                if (block := next(stream, None)) is None:
                    return
                buffers[i] = block
        size = min(block.shape[-1] for block in buffers)
        yield [block[..., :size] for block in buffers]
        buffers = [block[..., size:] for block in buffers]
