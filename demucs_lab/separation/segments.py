"""A song cut into the segments that a model sees, and the model's answers to them, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

MAX_SHIFT = 0.5  # seconds, as in the Demucs papers' code
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
        _expect(self.segment is None or self.segment > 0, "segment above 0 s", self.segment)
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

    Attributes:
        segment: samples of a segment.
        stride: samples from one segment to the next.
        first: where the first one begins that has a say from sample `begin` on.
    """

    def __init__(
        self,
        model: Any,
        read: Read,
        length: int,
        options: Options,
        stems: Sequence[int],
        begin: int,
        device: torch.device,
        ask: Callable[[Tensor, int], Tensor],
        tell: Callable[[float], object],
        pool: ThreadPoolExecutor | None,
    ) -> None:
        self.model, self.read, self.length, self.stems = model, read, length, list(stems)
        self.device, self.ask, self.tell, self.factor = device, ask, tell, options.resample
        self.segment, self.stride, self.always = _lengths(model, options, length)
        self.begin = begin
        self.first = max(0, (begin - self.segment) // self.stride + 1) * self.stride
        self.batch, self.workers = _batch(model, options, device), options.workers if pool else 1
        self.half = options.precision == "bfloat16"
        self.pool = pool
        self.todo: list[tuple[int, int]] = []
        self.done: dict[tuple[int, int], Tensor] = {}

    def chunks(self, lead: int) -> Iterator[Tensor]:
        """Answers `[S, C, n]` to the segments of the song after `lead` samples of silence.

        All calls come before the first answer is taken; then the iterators advance in step.
        """
        number = len({number for _, number in self.todo})
        starts = range(self.first - lead, self.length, self.stride)
        self.todo = sorted([*self.todo, *((start, number) for start in starts)], reverse=True)
        return (self._chunk(start, number) for start in starts)

    def _chunk(self, start: int, number: int) -> Tensor:
        while (start, number) not in self.done:
            self._work()
        return self.done.pop((start, number))

    def _work(self) -> None:
        """Answer the next batches, one per worker, in the order in which they lie in the song."""
        batches = [self._next_batch() for _ in range(self.workers) if self.todo]
        heard = [self._listen(jobs) for jobs in batches]
        answers = (self.pool.map if self.pool else map)(self._answer, batches, heard)
        for jobs, answer in zip(batches, answers, strict=True):
            self.done.update(zip(jobs, answer, strict=True))
            for start, _ in jobs:
                news = min(start + self.stride, self.length) - max(start, self.begin)
                self.tell(max(0, news) / self.model.samplerate)

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

    def _listen(self, jobs: list[tuple[int, int]]) -> Tensor:
        """The segments `[B, C, n]` with as much of what lies around them as the model hears."""
        size = self._size(jobs[0])
        wide = -(-self._heard(size) // self.factor)
        begins = [start - (wide - size) // 2 for start, _ in jobs]
        return torch.stack([self.read(begin, begin + wide) for begin in begins])

    def _heard(self, size: int) -> int:
        return self.always or getattr(self.model, "valid_length", int)(size * self.factor)

    def _answer(self, jobs: list[tuple[int, int]], mixes: Tensor) -> Tensor:
        """What the model says of the segments, `[B, S, C, n]`."""
        size = self._size(jobs[0])
        half = torch.autocast(self.device.type, torch.bfloat16) if self.half else nullcontext()
        with torch.inference_mode(), half:
            answer = self.ask(mixes.to(self.device, _dtype(self.model)), self._heard(size))
            if answer.dim() != 4 or answer.shape[1] != len(self.model.sources):
                raise ValueError(
                    f"expected an answer [batch, {len(self.model.sources)} sources, channels, "
                    f"time] from {type(self.model).__name__}, got {list(answer.shape)}"
                )
            spare = answer.shape[-1] - size
            answer = answer[:, self.stems, :, spare // 2 : spare // 2 + size].to(mixes)
        if spare < 0 or not answer.isfinite().all():
            raise ValueError(
                f"{type(self.model).__name__} gave {'too few' if spare < 0 else 'NaN or infinite'} "
                f"samples for the sound at {max(0, jobs[0][0]) / self.model.samplerate:.1f} s"
            )
        return answer


def _lengths(model: Any, options: Options, length: int) -> tuple[int, int, int]:
    """Samples of a segment, samples to the next, and what the model hears if always the same."""
    seconds = options.segment or model.segment / options.resample
    if seconds == float("inf"):
        segment = stride = length + int(MAX_SHIFT * model.samplerate)
    else:
        segment = max(1, int(model.samplerate * seconds + 1e-6))  # 1e-6: 7.8 s is no exact float
        stride = max(1, int((1 - options.overlap) * segment))
    always = segment * options.resample if options.segment else model.samplerate * model.segment
    return segment, stride, round(always) if getattr(model, "pad_to_segment", False) else 0


def reach(model: Any, options: Options, length: int, device: torch.device) -> int:
    """Samples that must stay readable behind the latest one that was asked for."""
    segment, stride, always = _lengths(model, options, length)
    longest = getattr(model, "valid_length", int)(segment * options.resample)
    ahead = _batch(model, options, device) * options.workers * stride + int(
        2 * MAX_SHIFT * model.samplerate
    )
    return 2 * max(segment, always or longest) + ahead


def _batch(model: Any, options: Options, device: torch.device) -> int:
    fastest: int = getattr(model, "cpu_batch", 1) if device.type == "cpu" else 8
    return options.batch or fastest


def _dtype(model: nn.Module) -> torch.dtype:
    return next((weight.dtype for weight in model.parameters()), torch.float32)
