import math

import numpy as np
import pytest
from scipy import stats

from demucs_lab.experiments import statistics

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_the_interval_is_that_of_a_t_test(n):
    values = RNG.normal(6, 0.2, n)
    ours = statistics.mean_of(values)
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (ours["low"], ours["high"]) == pytest.approx(tuple(theirs), abs=1e-4)
    assert ours["n"] == n


def test_ninety_five_in_a_hundred_intervals_hold_the_truth():
    draws = RNG.normal(1.0, 3.0, (4000, 3))
    hits = [x["low"] <= 1 <= x["high"] for x in map(statistics.mean_of, draws)]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.012)


def test_one_value_has_no_interval_and_none_has_no_mean():
    assert statistics.mean_of([2.5, math.nan]) == {"mean": 2.5, "low": None, "high": None, "n": 1}
    assert statistics.mean_of([]) == {"mean": None, "low": None, "high": None, "n": 0}


def test_the_summary_is_the_mean_over_songs_then_sources_with_silent_ones_left_out():
    scores = RNG.normal(5, 2, (3, 4, 2))
    scores[:, 1, 0] = np.nan  # the first source is silent in the second song
    found = statistics.summary(scores, ("drums", "bass"))
    drums = [np.mean([scores[s, 0, 0], scores[s, 2, 0], scores[s, 3, 0]]) for s in range(3)]
    bass = [np.mean(scores[s, :, 1]) for s in range(3)]
    means = [(d + b) / 2 for d, b in zip(drums, bass, strict=True)]
    assert found["sources"]["drums"]["mean"] == pytest.approx(np.mean(drums), abs=1e-4)
    assert found["mean"]["mean"] == pytest.approx(np.mean(means), abs=1e-4)
    theirs = stats.ttest_1samp(means, 0).confidence_interval()
    assert found["mean"]["low"] == pytest.approx(theirs.low, abs=1e-4)


def test_differences_are_paired():
    reference = RNG.normal(5, 2, (3, 6, 2))
    better = reference + RNG.normal(0.3, 0.01, reference.shape)
    gap = statistics.differences(better, reference, ("drums", "bass"))
    by_seed = stats.ttest_rel(better.mean((1, 2)), reference.mean((1, 2))).confidence_interval()
    by_song = stats.ttest_rel(better.mean((0, 2)), reference.mean((0, 2))).confidence_interval()
    drums = stats.ttest_rel(better[..., 0].mean(1), reference[..., 0].mean(1))
    for ours, theirs in (
        (gap["over_seeds"], by_seed),
        (gap["over_songs"], by_song),
        (gap["sources"]["drums"], drums.confidence_interval()),
    ):
        assert (ours["low"], ours["high"]) == pytest.approx((theirs.low, theirs.high), abs=1e-4)
    assert (gap["over_seeds"]["n"], gap["over_songs"]["n"]) == (3, 6)
    assert gap["over_seeds"]["low"] > 0.25  # though scores themselves differ by whole dB
