"""Means with 95 % intervals, over seeds and over songs (lesson 11)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

LEVEL = 0.95
HOW = {
    "level": LEVEL,
    "over seeds": "Student's t over one mean per seed: mean ± t · s / √n, n seeds, n − 1 degrees "
    "of freedom",
    "difference over seeds": "the same, over the differences to the reference seed by seed: both "
    "had the same excerpts in the same order and, where shapes agree, the same initial weights",
    "difference over songs": "the same, over the differences song by song, each averaged over "
    "seeds first: what these songs tell about songs like them, given these trainings",
}
"""How the intervals are made, as every result says."""


def interval(values: Sequence[float] | np.ndarray) -> dict[str, Any]:
    """Mean and 95 % t-interval; None where one value alone cannot say.

    Values that are NaN (a silent source has no SDR) are left out.

    >>> interval([1.0, 2.0, 3.0])
    {'mean': 2.0, 'low': -0.4841, 'high': 4.4841, 'n': 3}
    >>> interval([1.0])
    {'mean': 1.0, 'low': None, 'high': None, 'n': 1}
    """
    from scipy.stats import t

    known = np.array([value for value in values if math.isfinite(value)], dtype=float)
    n = len(known)
    if n == 0:
        return {"mean": None, "low": None, "high": None, "n": 0}
    mean = float(known.mean())
    if n == 1:
        return {"mean": _rounded(mean), "low": None, "high": None, "n": 1}
    half = float(t.ppf(0.5 + LEVEL / 2, n - 1) * known.std(ddof=1) / math.sqrt(n))
    return {
        "mean": _rounded(mean), "low": _rounded(mean - half), "high": _rounded(mean + half), "n": n,
    }  # fmt: skip


def summary(scores: np.ndarray, sources: Sequence[str]) -> dict[str, Any]:
    """Of scores `[seeds, songs, S]`: the mean over songs and sources, and over songs of each."""
    return {
        "mean": interval(_mean(_mean(scores, 1), 1)),
        "sources": {
            name: interval(_mean(scores[:, :, i], 1)) for i, name in enumerate(sources)
        },
    }  # fmt: skip


def difference(scores: np.ndarray, reference: np.ndarray, sources: Sequence[str]) -> dict[str, Any]:
    """A variant less the reference, both `[seeds, songs, S]`, pair by pair."""
    gap = scores - reference
    whole = summary(gap, sources)
    over_songs = interval(_mean(_mean(gap, 0), 1))
    return {"over_seeds": whole["mean"], "over_songs": over_songs, "sources": whole["sources"]}


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Along an axis, over what is a number."""
    known = np.isfinite(values)
    counts = known.sum(axis)
    total = np.where(known, values, 0).sum(axis)
    return np.divide(total, counts, out=np.full(total.shape, np.nan), where=counts > 0)


def _rounded(value: float) -> float:
    return round(value, 4)
