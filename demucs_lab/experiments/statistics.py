"""Means with 95 % t intervals, over seeds and over songs, as the results hold them (lesson 11)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from demucs_lab.metrics.intervals import t_interval

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


def mean_of(values: Sequence[float] | np.ndarray) -> dict[str, Any]:
    """Mean and 95 % t interval as a file holds them; None where one value alone cannot say.

    Values that are NaN (a silent source has no SDR) are left out.

    >>> mean_of([1.0, 2.0, 3.0])
    {'mean': 2.0, 'low': -0.4841, 'high': 4.4841, 'n': 3}
    >>> mean_of([1.0])
    {'mean': 1.0, 'low': None, 'high': None, 'n': 1}
    """
    known = [value for value in values if math.isfinite(value)]
    if len(known) < 2:
        mean = round(float(known[0]), 4) if known else None
        return {"mean": mean, "low": None, "high": None, "n": len(known)}
    found = t_interval(known, LEVEL)
    return {
        "mean": round(found.mean, 4),
        "low": round(found.low, 4),
        "high": round(found.high, 4),
        "n": found.n,
    }


def summary(scores: np.ndarray, sources: Sequence[str]) -> dict[str, Any]:
    """Of scores `[seeds, songs, S]`: the mean over songs and sources, and over songs of each."""
    return {
        "mean": mean_of(_mean(_mean(scores, 1), 1)),
        "sources": {
            name: mean_of(_mean(scores[:, :, i], 1)) for i, name in enumerate(sources)
        },
    }  # fmt: skip


def differences(
    scores: np.ndarray, reference: np.ndarray, sources: Sequence[str]
) -> dict[str, Any]:
    """A variant less the reference, both `[seeds, songs, S]`, pair by pair."""
    gap = scores - reference
    whole = summary(gap, sources)
    over_songs = mean_of(_mean(_mean(gap, 0), 1))
    return {"over_seeds": whole["mean"], "over_songs": over_songs, "sources": whole["sources"]}


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Along an axis, over what is a number."""
    known = np.isfinite(values)
    counts = known.sum(axis)
    total = np.where(known, values, 0).sum(axis)
    return np.divide(total, counts, out=np.full(total.shape, np.nan), where=counts > 0)
