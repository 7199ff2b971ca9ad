"""How sure is a mean? Intervals by resampling (lesson 06), and by Student's t (lesson 11).

The bootstrap needs some twenty values, say songs, and assumes nothing about them. The t interval
also serves three, say seeds, and assumes that they are normally distributed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Values = Sequence[float] | np.ndarray


@dataclass(frozen=True)
class Interval:
    """A mean, and where it would lie for other values of the same kind.

    Attributes:
        mean, low, high: in the unit of the values.
        n: how many values there were.
    """

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


def bootstrap(values: Values, level: float = 0.95, draws: int = 10_000, seed: int = 0) -> Interval:
    """The mean of `values` with its percentile bootstrap interval (Efron 1979; lesson 06).

    As many values as there are, drawn with replacement, have another mean each time; the middle
    `level` of these means is the interval. NaN is left out.

    Raises:
        ValueError: if fewer than two values are known.

    >>> bootstrap([1.0, 2.0, 3.0, 4.0]).mean
    2.5
    """
    known = _known(values)
    picks = np.random.default_rng(seed).integers(len(known), size=(draws, len(known)))
    low, high = np.quantile(known[picks].mean(1), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(known.mean()), float(low), float(high), len(known))


def paired_bootstrap(a: Values, b: Values, **options: Any) -> Interval:
    """By how much `a` is above `b` on the same songs, by the bootstrap (lesson 06).

    Songs differ far more than systems do. Drawing songs, and taking both systems' scores from each,
    leaves that out. A song where either is NaN does not count; `options` as for `bootstrap`.

    >>> str(paired_bootstrap([5.0, 9.0, 1.0], [4.0, 8.0, 0.0]))
    '+1.00 [+1.00, +1.00]'
    """
    return bootstrap(_differences(a, b), **options)


def t_interval(values: Values, level: float = 0.95) -> Interval:
    """The mean of `values` with Student's t interval: mean ± t · s / √n (lesson 11).

    s is the standard deviation of the n values, t the quantile for n − 1 degrees of freedom. NaN
    is left out.

    Raises:
        ValueError: if fewer than two values are known.

    >>> str(t_interval([1.0, 2.0, 3.0]))
    '+2.00 [-0.48, +4.48]'
    """
    from scipy.stats import t

    known = _known(values)
    mean, n = float(known.mean()), len(known)
    half = float(t.ppf(0.5 + level / 2, n - 1) * known.std(ddof=1) / math.sqrt(n))
    return Interval(mean, mean - half, mean + half, n)


def paired_t(a: Values, b: Values, level: float = 0.95) -> Interval:
    """By how much `a` is above `b`, pair by pair, by Student's t (lesson 11).

    >>> paired_t([5.0, 9.0, 1.0], [4.0, 8.0, 0.0]).n
    3
    """
    return t_interval(_differences(a, b), level)


def _known(values: Values) -> np.ndarray:
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    if len(known) < 2:
        raise ValueError(f"an interval needs two values or more, got {len(known)}")
    return known


def _differences(a: Values, b: Values) -> np.ndarray:
    first, second = np.asarray(a, float), np.asarray(b, float)
    if first.shape != second.shape:
        raise ValueError(
            f"expected scores of the same songs, got {first.shape} and {second.shape} of them"
        )
    return first - second
