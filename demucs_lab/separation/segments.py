"""A song cut into the segments that a model sees, and its estimates for them, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from demucs_lab.separation.model import Separable

MAX_SHIFT = 0.5  # seconds, as in the Demucs papers' code
_LONGEST = 3600.0  # seconds; a model that pads to its segment takes as much memory
PRECISIONS = ("float32", "tf32", "bfloat16")

Read = Callable[[int, int], Tensor]
"""`read(start, stop)` gives `[C, stop - start]`, with silence outside of the song."""


@dataclass(frozen=True)
class Options:
    """How to separate; see `separate`. Raises ValueError for a value that makes no sense."""

    segment: float | None = None
    overlap: float = 0.25
    shifts: int = 0
    seed: int = 0
    resample: int = 1
    batch: int | None = None
    precision: str = "float32"
    workers: int = 1

    def __post_init__(self) -> None:
        longest = f"segment above 0 s and up to {_LONGEST:g} s, or infinity for the whole song"
        usual = self.segment is None or 0 < self.segment <= _LONGEST
        _expect(usual or self.segment == float("inf"), longest, self.segment)
        _expect(0 <= self.overlap < 1, "overlap of at least 0 and below 1", self.overlap)
        for name, least in (("shifts", 0), ("resample", 1), ("batch", 1), ("workers", 1)):
            value = getattr(self, name)
            whole = value is None or (isinstance(value, int) and value >= least)
            _expect(whole, f"{name} as a whole number of at least {least}", value)
        known = self.precision in PRECISIONS
        _expect(known, f"precision as one of {', '.join(PRECISIONS)}", self.precision)


def _expect(condition: bool, what: str, found: object) -> None:
    if not condition:
        raise ValueError(f"expected {what}, got {found!r}")


class Segments:
    """One model, run over the segments of a song; the segments of all shifts share batches.

    Args:
        model: of which `run_model` gives the estimates.
        read: the song.
        length: of the song, in samples.
        options: how to separate.
        stems: positions of those wanted.
        begin: the first sample that is wanted.
        device: where to compute.
        run_model: `run_model(mixes, samples)` gives the estimates for mixes of padded length; the
            model's input has so many samples.
        on_progress: called with the seconds of sound that are done.
        pool: threads for several batches at once; None: one at a time.

    Attributes:
        segment: samples of a segment.
        stride: samples from one segment to the next.
        first: where the first segment begins that has a say from sample `begin` on.
    """

    def __init__(
        self,
        model: Separable,
        read: Read,
        length: int,
        options: Options,
        stems: Sequence[int],
        begin: int,
        device: torch.device,
        run_model: Callable[[Tensor, int], Tensor],
        on_progress: Callable[[float], object],
        pool: ThreadPoolExecutor | None,
    ) -> None:
        self.model, self.read, self.length, self.stems = model, read, length, list(stems)
        self.device, self.run_model, self.on_progress = device, run_model, on_progress
        self.factor = options.resample
        self.segment, self.stride, self.fixed = _lengths(model, options, length)
        self.begin = begin
        self.first = max(0, (begin - self.segment) // self.stride + 1) * self.stride
        self.batch, self.workers = _batch(model, options, device), options.workers if pool else 1
        self.half = options.precision == "bfloat16"
        self.pool = pool
        self.todo: list[tuple[int, int]] = []
        self.done: dict[tuple[int, int], Tensor] = {}

    def chunks(self, shift: int) -> Iterator[Tensor]:
        """Estimates `[S, C, n]` for the segments of the song after `shift` samples of silence.

        All calls come before the first estimate is taken; then the iterators advance in step.
        """
        number = len({number for _, number in self.todo})
        starts = range(self.first - shift, self.length, self.stride)
        self.todo = sorted([*self.todo, *((start, number) for start in starts)], reverse=True)
        return (self._chunk(start, number) for start in starts)

    def _chunk(self, start: int, number: int) -> Tensor:
        while (start, number) not in self.done:
            self._work()
        return self.done.pop((start, number))

    def _work(self) -> None:
        """Compute the next batches, one per worker, in the order in which they lie in the song."""
        batches = [self._next_batch() for _ in range(self.workers) if self.todo]
        mixes = [self._mixes(jobs) for jobs in batches]
        estimates = (self.pool.map if self.pool else map)(self._estimates, batches, mixes)
        for jobs, estimate in zip(batches, estimates, strict=True):
            self.done.update(zip(jobs, estimate, strict=True))
            for start, _ in jobs:
                news = min(start + self.stride, self.length) - max(start, self.begin)
                self.on_progress(max(0, news) / self.model.samplerate)

    def _next_batch(self) -> list[tuple[int, int]]:
        jobs = [self.todo.pop()]
        while (
            self.todo
            and len(jobs) < self.batch
            and self._size(self.todo[-1]) == self._size(jobs[0])
        ):
            jobs.append(self.todo.pop())
        return jobs

    def _size(self, job: tuple[int, int]) -> int:
        return min(self.segment, self.length - job[0])

    def _mixes(self, jobs: list[tuple[int, int]]) -> Tensor:
        """The segments `[B, C, n]`, padded with the sound that lies around them."""
        size = self._size(jobs[0])
        padded = -(-self._padded_length(size) // self.factor)
        begins = [start - (padded - size) // 2 for start, _ in jobs]
        return torch.stack([self.read(begin, begin + padded) for begin in begins])

    def _padded_length(self, size: int) -> int:
        """Samples of the model's input for a segment, at `factor` times its rate."""
        return self.fixed or getattr(self.model, "valid_length", int)(size * self.factor)

    def _estimates(self, jobs: list[tuple[int, int]], mixes: Tensor) -> Tensor:
        """The model's estimates for the segments, `[B, S, C, n]`, without what was padded."""
        size = self._size(jobs[0])
        half = torch.autocast(self.device.type, torch.bfloat16) if self.half else nullcontext()
        with torch.inference_mode(), half:
            mixes_there = mixes.to(self.device, _dtype(self.model))
            estimate = self.run_model(mixes_there, self._padded_length(size))
            if estimate.dim() != 4 or estimate.shape[1] != len(self.model.sources):
                raise ValueError(
                    f"expected an estimate [batch, {len(self.model.sources)} sources, channels, "
                    f"time] from {type(self.model).__name__}, got {list(estimate.shape)}"
                )
            spare = estimate.shape[-1] - size
            estimate = estimate[:, self.stems, :, spare // 2 : spare // 2 + size].to(mixes)
        if spare < 0 or not estimate.isfinite().all():
            raise ValueError(
                f"{type(self.model).__name__} gave {'too few' if spare < 0 else 'NaN or infinite'} "
                f"samples for the sound at {max(0, jobs[0][0]) / self.model.samplerate:.1f} s"
            )
        return estimate


def _lengths(model: Separable, options: Options, length: int) -> tuple[int, int, int]:
    """Samples of a segment, samples to the next, and the input's length if it is always the same.

    The last is 0 where it is not.
    """
    seconds = options.segment or model.segment / options.resample
    if seconds == float("inf"):
        segment = stride = length + int(MAX_SHIFT * model.samplerate)
    else:
        segment = max(1, int(model.samplerate * seconds + 1e-6))  # 1e-6: 7.8 s is no exact float
        stride = max(1, int((1 - options.overlap) * segment))
    fixed = segment * options.resample if options.segment else model.samplerate * model.segment
    return segment, stride, round(fixed) if getattr(model, "pad_to_segment", False) else 0


def lookback(model: Separable, options: Options, length: int, device: torch.device) -> int:
    """Samples that must stay readable behind the latest one that was read."""
    segment, stride, fixed = _lengths(model, options, length)
    longest = getattr(model, "valid_length", int)(segment * options.resample)
    ahead = _batch(model, options, device) * options.workers * stride + int(
        2 * MAX_SHIFT * model.samplerate
    )
    return 2 * max(segment, fixed or longest) + ahead


def _batch(model: Separable, options: Options, device: torch.device) -> int:
    fastest: int = getattr(model, "cpu_batch", 1) if device.type == "cpu" else 8
    return options.batch or fastest


def _dtype(model: Separable) -> torch.dtype:
    return next((weight.dtype for weight in model.parameters()), torch.float32)
