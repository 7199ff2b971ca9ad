"""From a mixture of any length to its stems (lesson 08).

A model looks at a few seconds at a time. Three tricks turn it into a separator of whole songs, each
a function of its own below: overlapping segments are blended with triangular weights
(`overlap_add`), the answers for several random shifts of the song are averaged (`shift_trick`), and
a model may hear the song at a multiple of its rate (`resampling_trick`). All of them work on
streams of blocks `[S, C, n]`, so that a three-hour file needs no more memory than a song; a list
with one tensor is a stream too. With the same options the result is that of `apply_model` in the
authors' demucs 4.1.0.
"""

from __future__ import annotations

import os
import random
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demucs_lab import audio
from demucs_lab.audio.stream import silent_outside
from demucs_lab.common.memory import reused_memory
from demucs_lab.separation.device import prepared, thread_pool
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
    model: nn.Module | str | os.PathLike[str],
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

    The mixture is brought to the model's rate and to mean 0 and deviation 1 (of its mono sum, over
    the whole song), cut into overlapping segments, separated, blended and brought back.

    Args:
        model: a model, or what `pretrained.load` takes. It is given back as it was: same device,
            same mode.
        mixture: `[C, T]`; mono is played in stereo to a stereo model and the answer averaged.
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
        MemoryError: if the answer would not fit into memory; `separate_file` streams.
    """
    options = Options(segment, overlap, shifts, seed, resample, batch, precision, workers)
    asked: Any = ready_model(model)
    chosen = chosen_stems(asked, stems)
    if isinstance(mixture, Tensor) and mixture.dim() == 2:
        _refuse_a_huge_answer(len(chosen), mixture, samplerate)
    audio.check_waveform(mixture, "the mixture", samplerate)
    wav = mixture.detach().to("cpu", torch.promote_types(mixture.dtype, torch.float32))
    heard = audio.resample(as_heard(wav, asked.audio_channels), samplerate, asked.samplerate)
    mean, deviation = loudness(heard)
    normal = (heard - mean) / deviation
    length = normal.shape[-1]

    def read(start: int, stop: int) -> Tensor:
        return silent_outside(normal, start, stop)

    answer = heard.new_empty(len(chosen), len(heard), length)
    blocks = separated(asked, read, length, options, chosen, device=device, progress=progress)
    position = 0
    with closing(blocks):  # Ctrl-C gives the model back as it was
        for block in blocks:
            answer[..., position : position + block.shape[-1]] = block
            position += block.shape[-1]
    answer = answer.mul_(deviation).add_(mean)
    answer = audio.resample(answer, asked.samplerate, samplerate)[..., : mixture.shape[-1]]
    if len(mixture) < len(heard):
        answer = answer.mean(1, keepdim=True)
    return answer.to(mixture.device)


def separated(
    model: Any,
    read: Read,
    length: int,
    options: Options,
    stems: Sequence[int],
    begin: int = 0,
    device: str | torch.device | None = None,
    progress: bool = False,
) -> Generator[Tensor, None, None]:
    """The normalised stems of a normalised song, as blocks `[S, C, n]` from sample `begin` on.

    What `separate` and `separate_file` share. `read` is asked for parts of the song in order, give
    or take a segment; the blocks add up to `length - begin` samples.

    A bag of models is averaged with its weights per stem; a model that no wanted stem listens to is
    not run.
    """
    from tqdm.auto import tqdm

    draw = random.Random(options.seed)
    max_shift = int(MAX_SHIFT * model.samplerate)
    bag = parts(model)
    runs = sum(any(part_weights[stem] for stem in stems) for _, part_weights in bag)
    work = runs * max(1, options.shifts) * (length - begin) / model.samplerate
    answers: list[tuple[Tensor, Iterator[Tensor]]] = []
    with (
        reused_memory(),
        prepared(model, device, options.precision) as place,
        thread_pool(options.workers, place) as pool,
        tqdm(desc="separating", total=work, disable=not progress, bar_format=_BAR) as bar,
    ):

        def tell(seconds: float) -> None:  # no more than there is: seconds add up with rounding
            bar.update(min(seconds, work - bar.n))

        for part, part_weights in bag:
            leads = [max_shift - draw.randint(0, max_shift) for _ in range(options.shifts)]
            weights = torch.tensor([float(part_weights[stem]) for stem in stems])
            if weights.any():
                ask = partial(_ask, part, options.resample)
                song = Segments(part, read, length, options, stems, begin, place, ask, tell, pool)
                run = partial(_blended, song, begin)
                blocks = shift_trick(run, leads) if leads else run(0)
                answers.append((weights[:, None, None], blocks))
        total = sum((weights for weights, _ in answers), torch.zeros(()))
        for heard in in_step([blocks for _, blocks in answers]):
            if len(bag) == 1:
                yield heard[0]
            else:
                weighted = [w * x for (w, _), x in zip(answers, heard, strict=True)]
                yield sum(weighted[1:], weighted[0]) / total


_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} s of sound [{elapsed}<{remaining}]"


def _blended(song: Segments, begin: int, lead: int) -> Iterator[Tensor]:
    """The song after `lead` samples of silence, less the first `begin` samples of it all."""
    blended = overlap_add(song.chunks(lead), song.stride, triangle(song.segment))
    return skip(blended, begin - song.first)


def _ask(model: Any, factor: int, mixes: Tensor, heard: int) -> Tensor:
    """The model's answer; at a multiple of its rate it hears `heard` samples, no more."""
    if factor == 1:
        return model(mixes)

    def cut(finer: Tensor) -> Tensor:
        answer = model(finer[..., :heard])
        return F.pad(answer, (0, finer.shape[-1] - answer.shape[-1]))

    return resampling_trick(cut, mixes, model.samplerate, factor)


def parts(model: Any) -> list[tuple[Any, Sequence[float]]]:
    """The models of a bag with their weights per source; a plain model is a bag of one."""
    from demucs_lab.pretrained.bag import Bag

    if isinstance(model, Bag):
        return list(zip(model.models, model.weights, strict=True))
    return [(model, [1.0] * len(model.sources))]


def ready_model(model: Any) -> Any:
    """The model itself, or the one that `pretrained.load` finds under a name or path."""
    if isinstance(model, str | os.PathLike):
        from demucs_lab import pretrained

        return pretrained.load(model)
    needed = ("sources", "samplerate", "audio_channels", "segment")
    missing = [name for name in needed if not hasattr(model, name)]
    if missing or not isinstance(model, nn.Module):
        raise TypeError(
            f"expected a model of demucs_lab.models or a name of pretrained.available(), got "
            f"{type(model).__name__}" + f" without {', '.join(missing)}" * bool(missing)
        )
    return model


def chosen_stems(model: Any, stems: Sequence[str] | None) -> list[int]:
    """Places of the wanted stems among `model.sources`.

    Raises:
        ValueError: if the model has no such stem, or none is wanted.
    """
    sources = list(model.sources)
    wanted = [stems] if isinstance(stems, str) else sources if stems is None else list(stems)
    if unknown := [name for name in wanted if name not in sources]:
        raise ValueError(
            f"{type(model).__name__} has no stem {unknown[0]!r}: choose from {', '.join(sources)}"
        )
    if not wanted:
        raise ValueError(f"expected at least one stem of {', '.join(sources)}, got none")
    return [sources.index(name) for name in wanted]


def as_heard(mixture: Tensor, channels: int, name: str = "the mixture") -> Tensor:
    """`[C, T]` with the channels that a model hears: mono is played to all of them."""
    if len(mixture) == channels:
        return mixture
    if len(mixture) != 1:
        raise ValueError(
            f"{name} has {len(mixture)} channels, the model hears {channels}: choose channels, as "
            f"in mixture[:{channels}], or mix down with mixture.mean(0, keepdim=True)"
        )
    return mixture.expand(channels, -1)


def loudness(wav: Tensor) -> tuple[float, float]:
    """Mean and deviation of the mono sum of a song, with which a mixture is normalised.

    >>> [round(value, 4) for value in loudness(torch.tensor([[0.0, 2.0], [2.0, 4.0]]))]
    [2.0, 1.4142]
    """
    mono = wav.mean(0).double()
    deviation = float(mono.std()) if len(mono) > 1 else 0.0
    return float(mono.mean()), deviation + EPS


def _refuse_a_huge_answer(stems: int, mixture: Tensor, samplerate: int) -> None:
    needed = 3 * 4 * stems * mixture.numel()  # the answer, and what is at work around it
    memory = _memory()
    if needed > memory:
        raise MemoryError(
            f"separating {mixture.shape[-1] / samplerate / 3600:.1f} h takes some "
            f"{needed / 1e9:.0f} GB, this machine has {memory / 1e9:.0f} GB of memory: use "
            f"separate_file, which streams songs of any length"
        )


def _memory() -> float:
    """Bytes of memory of this machine; infinite where it cannot be asked."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return float("inf")
