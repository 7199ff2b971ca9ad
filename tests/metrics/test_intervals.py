import numpy as np
import pytest
import scipy.stats

from demucs_lab.metrics.intervals import bootstrap, paired_bootstrap, paired_t, t_interval

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("values", [RNG.standard_normal(50), RNG.exponential(2.0, 30)])
@pytest.mark.parametrize("level", [0.95, 0.8])
def test_the_interval_is_scipys(values, level):
    ours = bootstrap(values, level, draws=40_000)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, confidence_level=level, n_resamples=40_000, method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    error = values.std() / np.sqrt(len(values))
    assert ours.mean == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.04 * error)
    assert ours.high == pytest.approx(theirs.high, abs=0.04 * error)


def test_of_many_values_it_is_the_normal_one():
    values = RNG.standard_normal(3000)
    interval = bootstrap(values, draws=4000)
    error = values.std() / np.sqrt(len(values))
    assert interval.low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert interval.high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_pairs_see_what_groups_would_hide():
    songs = RNG.normal(0, 5, 40)
    better = songs + 0.3 + RNG.normal(0, 0.1, 40)
    interval = paired_bootstrap(better, songs)
    assert 0.2 < interval.low < 0.3 < interval.high < 0.4
    assert bootstrap(better).low < bootstrap(songs).high


@pytest.mark.parametrize("n", [2, 3, 8])
@pytest.mark.parametrize("level", [0.95, 0.8])
def test_the_t_interval_is_that_of_a_t_test(n, level):
    a, b = RNG.normal(6, 0.2, n), RNG.normal(5, 0.2, n)
    for ours, test in (
        (t_interval(a, level), scipy.stats.ttest_1samp(a, 0)),
        (paired_t(a, b, level), scipy.stats.ttest_rel(a, b)),
    ):
        theirs = test.confidence_interval(level)
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
        assert ours.n == n


def test_the_same_seed_gives_the_same_interval():
    values = RNG.standard_normal(20)
    assert bootstrap(values) == bootstrap(values)
    assert bootstrap(values) != bootstrap(values, seed=1)


def test_songs_without_a_score_are_left_out():
    assert paired_bootstrap([1, 2, np.nan, 5], [0, 1, 2, np.nan]).n == 2
    assert bootstrap([1.0, np.nan, 3.0]) == bootstrap([1.0, 3.0])


def test_too_few_or_unlike_songs_are_refused():
    with pytest.raises(ValueError, match="two values or more, got 1"):
        bootstrap([1.0, np.nan])
    with pytest.raises(ValueError, match="two values or more, got 0"):
        t_interval([])
    with pytest.raises(ValueError, match="the same songs"):
        paired_bootstrap([1.0, 2.0], [1.0, 2.0, 3.0])
