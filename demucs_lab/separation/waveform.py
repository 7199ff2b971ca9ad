"""A mixture in memory and its stems: `separate` (lesson 08).

A model looks at a few seconds at a time. The three functions of `tricks` turn it into a separator
of whole songs: overlapping segments are blended, the estimates for several random shifts of the
song are averaged, and a model may be given the song at a multiple of its rate. With the same
options the result is that of `apply_model` in the authors' demucs 4.1.0.
"""

from __future__ import annotations

import os
import random
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demucs_lab import audio
from demucs_lab.audio.stream import silent_outside
from demucs_lab.common.memory import reused_memory
from demucs_lab.separation.device import prepared, thread_pool
from demucs_lab.separation.model import (
    Named,
    Separable,
    chosen_stems,
    parts_of,
    ready_model,
    with_channels,
)
from demucs_lab.separation.segments import MAX_SHIFT, Options, Read, Segments
from demucs_lab.separation.tricks import (
    in_step,
    overlap_add,
    resampling_trick,
    shift_trick,
    skip,
    triangle,
)

EPS = 1e-8  # added to the standard deviation of a mixture, as published


def separate(
    model: Separable | nn.Module | Named,
    mixture: Tensor,
    samplerate: int,
    *,
    segment: float | None = None,
    overlap: float = 0.25,
    shifts: int = 0,
    seed: int = 0,
    resample: int = 1,
    device: str | torch.device | None = None,
    progress: bool = True,
    stems: Sequence[str] | None = None,
    batch: int | None = None,
    precision: str = "float32",
    workers: int = 1,
) -> Tensor:
    """Separate a mixture into its stems (lesson 08).

    The mixture is brought to the model's rate and to mean 0 and standard deviation 1 (of its mono
    sum, over the whole song), cut into overlapping segments, separated, blended and brought back.

    Args:
        model: a model, or what `pretrained.load` takes. It is given back as it was: same device,
            same mode.
        mixture: `[C, T]`; mono is copied to all channels of the model, and the estimate averaged.
        samplerate: of the mixture, in Hz.
        segment: what the model sees at a time, in seconds; None: its own; infinity: all at once.
        overlap: share of a segment that the next one sees again.
        shifts: number of random shifts of up to 0.5 s to average over; 0: none.
        seed: of the shifts, which are drawn as demucs 4.1.0 draws them.
        resample: see `resampling_trick`; 1: none.
        device: where to compute; None: where the model is.
        progress: show a bar.
        stems: names of those wanted, in that order; None: all of `model.sources`.
        batch: segments computed at once; None: the model's `cpu_batch` on a CPU, 8 elsewhere.
        precision: "float32" (exact), "tf32" or "bfloat16" (faster on a GPU, with audible limits).
        workers: batches computed side by side on a CPU, which share its threads: faster, with as
            many times the memory.

    Returns:
        `[S, C, T]`, at the rate, on the device and with the channels of the mixture.

    Raises:
        TypeError, ValueError: if the mixture is no finite waveform, or an option makes no sense.
        MemoryError: if the stems would not fit into memory; `separate_file` streams.
    """
    options = Options(segment, overlap, shifts, seed, resample, batch, precision, workers)
    separator = ready_model(model)
    chosen = chosen_stems(separator, stems)
    if isinstance(mixture, Tensor) and mixture.dim() == 2:
        _refuse_huge_stems(len(chosen), mixture, samplerate)
    audio.check_waveform(mixture, "the mixture", samplerate)
    wav = mixture.detach().to("cpu", torch.promote_types(mixture.dtype, torch.float32))
    wav = with_channels(wav, separator.audio_channels)
    wav = audio.resample(wav, samplerate, separator.samplerate)
    mean, std = loudness(wav)
    normal = (wav - mean) / std
    length = normal.shape[-1]

    def read(start: int, stop: int) -> Tensor:
        return silent_outside(normal, start, stop)

    estimate = wav.new_empty(len(chosen), len(wav), length)
    blocks = separated(separator, read, length, options, chosen, device=device, progress=progress)
    position = 0
    with closing(blocks):  # Ctrl-C gives the model back as it was
        for block in blocks:
            estimate[..., position : position + block.shape[-1]] = block
            position += block.shape[-1]
    estimate = estimate.mul_(std).add_(mean)
    estimate = audio.resample(estimate, separator.samplerate, samplerate)
    estimate = estimate[..., : mixture.shape[-1]]
    if len(mixture) < len(wav):
        estimate = estimate.mean(1, keepdim=True)
    return estimate.to(mixture.device)


def separated(
    model: Separable,
    read: Read,
    length: int,
    options: Options,
    stems: Sequence[int],
    begin: int = 0,
    device: str | torch.device | None = None,
    progress: bool = False,
) -> Generator[Tensor, None, None]:
    """The normalised stems of a normalised song, as blocks `[S, C, n]` from sample `begin` on.

    What `separate` and `separate_file` share. `read` is called for parts of the song in order, give
    or take a segment; the blocks add up to `length - begin` samples.

    The models of a bag are averaged with their weights per stem; one whose weights are zero for all
    wanted stems is not run.
    """
    from tqdm.auto import tqdm

    draw = random.Random(options.seed)
    max_shift = int(MAX_SHIFT * model.samplerate)
    bag = parts_of(model)
    runs = sum(any(part_weights[stem] for stem in stems) for _, part_weights in bag)
    work = runs * max(1, options.shifts) * (length - begin) / model.samplerate
    estimates: list[tuple[Tensor, Iterator[Tensor]]] = []
    with (
        reused_memory(),
        prepared(model, device, options.precision) as where,
        thread_pool(options.workers, where) as pool,
        tqdm(desc="separating", total=work, disable=not progress, bar_format=_BAR) as bar,
    ):

        def on_progress(seconds: float) -> None:  # never above the total: seconds are rounded
            bar.update(min(seconds, work - bar.n))

        for part, part_weights in bag:
            shifts = [max_shift - draw.randint(0, max_shift) for _ in range(options.shifts)]
            weights = torch.tensor([float(part_weights[stem]) for stem in stems])
            if weights.any():
                run_model = partial(_run_model, part, options.resample)
                song = Segments(
                    part, read, length, options, stems, begin, where, run_model, on_progress, pool
                )
                run = partial(_blended, song, begin)
                blocks = shift_trick(run, shifts) if shifts else run(0)
                estimates.append((weights[:, None, None], blocks))
        total = sum((weights for weights, _ in estimates), torch.zeros(()))
        for aligned in in_step([blocks for _, blocks in estimates]):
            if len(bag) == 1:
                yield aligned[0]
            else:
                weighted = [w * x for (w, _), x in zip(estimates, aligned, strict=True)]
                yield sum(weighted[1:], weighted[0]) / total


_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} s of sound [{elapsed}<{remaining}]"


def _blended(song: Segments, begin: int, shift: int) -> Iterator[Tensor]:
    """The song after `shift` samples of silence, less the first `begin` samples of it all."""
    blended = overlap_add(song.chunks(shift), song.stride, triangle(song.segment))
    return skip(blended, begin - song.first)


def _run_model(model: Separable, factor: int, mixes: Tensor, samples: int) -> Tensor:
    """The model's estimate; at a multiple of its rate its input has exactly so many samples."""
    if factor == 1:
        return model(mixes)

    def cut(finer: Tensor) -> Tensor:
        estimate = model(finer[..., :samples])
        return F.pad(estimate, (0, finer.shape[-1] - estimate.shape[-1]))

    return resampling_trick(cut, mixes, model.samplerate, factor)


def loudness(wav: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of the mono sum of a song, which normalise a mixture.

    >>> [round(value, 4) for value in loudness(torch.tensor([[0.0, 2.0], [2.0, 4.0]]))]
    [2.0, 1.4142]
    """
    mono = wav.mean(0).double()
    std = float(mono.std()) if len(mono) > 1 else 0.0
    return float(mono.mean()), std + EPS


def _refuse_huge_stems(stems: int, mixture: Tensor, samplerate: int) -> None:
    needed = 3 * 4 * stems * mixture.numel()  # the stems, and what is at work around them
    memory = _machine_memory()
    if needed > memory:
        raise MemoryError(
            f"separating {mixture.shape[-1] / samplerate / 3600:.1f} h takes some "
            f"{needed / 1e9:.0f} GB, this machine has {memory / 1e9:.0f} GB of memory: use "
            f"separate_file, which streams songs of any length"
        )


def _machine_memory() -> float:
    """Bytes of memory of this machine; infinite where the system does not say."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return float("inf")
