"""How sure is a mean over songs? Intervals by resampling them (lessons 06 and 12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A mean, and where it would lie for other songs of the same kind.

    Attributes:
        mean, low, high: in the unit of the values.
        songs: how many values there were.
    """

    mean: float
    low: float
    high: float
    songs: int

    def __str__(self) -> str:
        return f"{self.mean:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


def bootstrap(
    values: Sequence[float] | np.ndarray, level: float = 0.95, draws: int = 10_000, seed: int = 0
) -> Interval:
    """The mean of `values` with its percentile bootstrap interval (Efron 1979; lesson 06).

    As many values as there are, drawn with replacement, have another mean each time; the middle
    `level` of these means is the interval. NaN is left out.

    Raises:
        ValueError: if fewer than two values are known.

    >>> bootstrap([1.0, 2.0, 3.0, 4.0]).mean
    2.5
    """
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    if len(known) < 2:
        raise ValueError(f"an interval needs two values or more, got {len(known)}")
    picks = np.random.default_rng(seed).integers(len(known), size=(draws, len(known)))
    low, high = np.quantile(known[picks].mean(1), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(known.mean()), float(low), float(high), len(known))


def difference(
    a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray, **options: Any
) -> Interval:
    """By how much `a` is above `b` on the same songs: the paired bootstrap (lesson 06).

    Songs differ far more than systems do. Drawing songs, and taking both systems' scores from each,
    leaves that out. A song where either is NaN does not count; `options` as for `bootstrap`.

    >>> str(difference([5.0, 9.0, 1.0], [4.0, 8.0, 0.0]))
    '+1.00 [+1.00, +1.00]'
    """
    first, second = np.asarray(a, float), np.asarray(b, float)
    if first.shape != second.shape:
        raise ValueError(
            f"expected scores of the same songs, got {first.shape} and {second.shape} of them"
        )
    return bootstrap(first - second, **options)
