"""Four answers to "how good is it?", each held against a formula or against museval."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from demucs_lab.audio import SOURCES, have_ffmpeg
from demucs_lab.masking import oracle
from demucs_lab.metrics import BSSEval, bss_eval, report, sdr, si_sdr

SCORES = ("sdr", "isr", "sir", "sar")
RATE = 4000
needs_museval = pytest.mark.skipif(
    not have_ffmpeg(),
    reason="NEEDS FFMPEG: museval cannot be imported without it; "
    "`python -m demucs_lab doctor` says how to install it",
)


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# --- sdr


def test_sdr_in_closed_form():
    song = torch.ones(2, 1000)
    for gain, decibels in [(0.5, 6.0206), (0.9, 20.0), (0.99, 40.0), (2.0, 0.0), (0.0, 0.0)]:
        assert sdr(song, gain * song).item() == pytest.approx(decibels, abs=1e-3)
    assert sdr(song, -song).item() == pytest.approx(-6.0206, abs=1e-3)


@given(seed=st.integers(0, 99), level=st.floats(0.01, 10))
@settings(max_examples=20, deadline=None)
def test_sdr_is_the_energy_ratio_over_all_channels(seed, level):
    song, error = noise(3, 2, 500, seed=seed), level * noise(3, 2, 500, seed=seed + 100)
    for s in range(3):
        energy = sum(float(x) ** 2 for x in song[s].flatten())
        wrong = sum(float(x) ** 2 for x in error[s].flatten())
        expected = 10 * math.log10((energy + 1e-7) / (wrong + 1e-7))
        assert sdr(song, song + error)[s].item() == pytest.approx(expected, abs=1e-6)


def test_sdr_of_silence_is_finite():
    silence, song = torch.zeros(2, 1000), torch.ones(2, 1000)
    assert sdr(silence, silence) == 0
    assert sdr(silence, song) < -90
    assert sdr(song, song) > 90


def test_sdr_takes_any_leading_axes_and_precision():
    song = noise(3, 4, 2, 100, dtype=torch.float32)
    assert sdr(song, 0.9 * song).shape == (3, 4)
    assert sdr(song.half(), 0.9 * song.half()).dtype == torch.float64


# --- si_sdr


def reference_si_sdr(reference, estimate):
    """Project by a regression in numpy, channels in one row."""
    s, e = (x - x.mean(-1, keepdims=True) for x in (reference.numpy(), estimate.numpy()))
    s, e = s.ravel(), e.ravel()
    gain = np.linalg.lstsq(s[:, None], e, rcond=None)[0][0]
    return 10 * np.log10(np.sum((gain * s) ** 2) / np.sum((gain * s - e) ** 2))


@given(seed=st.integers(0, 99), level=st.floats(0.01, 10))
@settings(max_examples=20, deadline=None)
def test_si_sdr_equals_a_regression(seed, level):
    song = noise(2, 500, seed=seed)
    guess = song + level * noise(2, 500, seed=seed + 100)
    expected = reference_si_sdr(song, guess)
    assert si_sdr(song, guess).item() == pytest.approx(expected, abs=1e-9)


@given(
    gain=st.floats(1e-3, 1e3),
    level=st.floats(1e-3, 1e3),
    sign=st.sampled_from([-1, 1]),
    offset=st.floats(-1, 1),
)
@settings(max_examples=40, deadline=None)
def test_si_sdr_ignores_gain_sign_and_offset(gain, level, sign, offset):
    song, guess = noise(2, 500), noise(2, 500) + 0.3 * noise(2, 500, seed=1)
    changed = si_sdr(level * song - offset, sign * gain * guess + offset)
    assert changed.item() == pytest.approx(si_sdr(song, guess).item(), abs=1e-6)


def test_si_sdr_at_its_limits():
    t = torch.arange(1000, dtype=torch.float64)
    sine = torch.sin(2 * math.pi * t / 100)[None]
    cosine = torch.cos(2 * math.pi * t / 100)[None]
    assert si_sdr(sine, sine) > 250
    assert si_sdr(sine, cosine) < -250
    assert si_sdr(sine, torch.zeros_like(sine)).isnan()
    assert si_sdr(torch.zeros_like(sine), sine).isnan()


@pytest.mark.parametrize("metric", [sdr, si_sdr])
@pytest.mark.parametrize(
    ("reference", "estimate", "says"),
    [
        (torch.zeros(2, 100), torch.zeros(1, 100), r"\[2, 100\] and estimate \[1, 100\]"),
        (torch.zeros(100), torch.zeros(100), r"\[..., channels, time\]"),
        (torch.zeros(2, 0), torch.zeros(2, 0), "at least one sample"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(metric, reference, estimate, says):
    with pytest.raises(ValueError, match=says):
        metric(reference, estimate)


# --- bss_eval against museval


def band(n_sources=2, n_channels=2, seconds=2.0, seed=0):
    """Coloured sources, and estimates with leakage, another colour and noise."""
    rng = np.random.default_rng(seed)
    length = int(seconds * RATE)

    def coloured():
        taps = rng.standard_normal(8)
        return np.convolve(0.1 * rng.standard_normal(length), taps, "same")

    sources = np.stack([[coloured() for _ in range(n_channels)] for _ in range(n_sources)])
    leak = rng.uniform(0, 0.3, (n_sources, n_sources))
    guesses = np.tensordot(leak + np.eye(n_sources), sources, 1)
    guesses[:, :, 3:] += 0.2 * guesses[:, :, :-3]
    guesses += 0.03 * rng.standard_normal(sources.shape)
    return torch.from_numpy(sources), torch.from_numpy(guesses)


def museval_scores(references, estimates, samplerate, window=1.0, hop=1.0):
    from museval import evaluate

    swapped = [x.double().numpy().transpose(0, 2, 1) for x in (references, estimates)]
    win, step = (int(min(seconds, 1e6) * samplerate) for seconds in (window, hop))
    return dict(zip(SCORES, evaluate(*swapped, win=win, hop=step), strict=True))


def assert_equal_to_museval(references, estimates, samplerate=RATE, window=1.0, hop=1.0, **within):
    """Equal to 1e-6 dB, or to `within[score]`, and NaN in the same places."""
    ours = bss_eval(references, estimates, samplerate, window, hop)
    theirs = museval_scores(references, estimates, samplerate, window, hop)
    for score, expected in theirs.items():
        measured = getattr(ours, score).numpy()
        assert measured.shape == expected.shape
        np.testing.assert_allclose(measured, expected, rtol=0, atol=within.get(score, 1e-6))
    return ours


@needs_museval
@pytest.mark.parametrize(
    ("shape", "window", "hop"),
    [
        ((2, 2, 2.0), 1.0, 1.0),
        ((2, 2, 2.3), 0.5, 0.2),  # windows overlap; a rest at the end fills none
        ((2, 2, 1.9), 0.3, 0.7),  # windows with gaps
        ((2, 2, 0.7), 1.0, 1.0),  # the song is shorter than a window
        ((2, 2, 1.0), 1.0, 1.0),
        ((2, 1, 2.0), 1.0, 1.0),
        ((3, 1, 1.5), 0.3334, 0.29),  # not whole samples
        ((2, 2, 1.0), math.inf, math.inf),
    ],
)
def test_bss_eval_equals_museval(shape, window, hop):
    assert_equal_to_museval(*band(*shape), window=window, hop=hop)


def test_several_systems_at_once_score_as_each_alone():
    references, first = band(2, 2, 1.5)
    second = first + 0.1 * noise(*first.shape, seed=1)
    second[0, :, :RATE] = 0  # a window that is NaN for this system only
    together = bss_eval(references, torch.stack([first, second])[None], RATE, 0.5, 0.4)
    for index, estimates in enumerate((first, second)):
        alone = bss_eval(references, estimates, RATE, 0.5, 0.4)
        for score in SCORES:
            both = getattr(together, score)
            assert both.shape == (1, 2, *getattr(alone, score).shape)
            torch.testing.assert_close(
                both[0, index], getattr(alone, score), rtol=0, atol=1e-9, equal_nan=True
            )
        torch.testing.assert_close(together.median()["sir"][0, index], alone.median()["sir"])


@needs_museval
@pytest.mark.parametrize("level", [1e-5, 1e3])
def test_bss_eval_equals_museval_at_any_level(level):
    references, estimates = band(seconds=1.0)
    assert_equal_to_museval(level * references, level * estimates, window=0.5)


@needs_museval
def test_windows_in_which_somebody_is_silent_are_nan_as_in_museval():
    references, estimates = band(seconds=3.0)
    references[0, :, 2000:5000] = 0
    estimates[1, :, 9000:10500] = 0
    references[1, 1] = references[1, 1].where(torch.arange(12000) < 11000, -references[1, 0])
    ours = assert_equal_to_museval(references, estimates, window=0.25, hop=0.25)
    silent = ours.sdr.isnan()
    assert (silent == silent[0]).all()  # for every source
    # 0.5-1.25 s: a silent source; 2.25-2.5 s: a silent estimate; 2.75 s on: channels that cancel.
    assert silent[0].nonzero().flatten().tolist() == [2, 3, 4, 9, 11]
    assert ours.median()["sdr"].isfinite().all()


@needs_museval
@pytest.mark.parametrize("both", [True, False])
def test_mono_in_stereo_equals_museval(both):
    """Equal channels make the normal equations singular, so rounding decides among many filters.

    All of them explain the same sound. SDR needs no filter and is exact; the other scores differ
    by what rounding adds to two different solutions.
    """
    references, estimates = band(seconds=1.0)
    references[0, 1] = references[0, 0]
    if both:
        references[1, 1] = references[1, 0]
        estimates[:, 1] = estimates[:, 0]
    within = {"sdr": 1e-9, "isr": 1e-5, "sir": 1e-5, "sar": 1e-5}
    assert_equal_to_museval(references, estimates, window=0.5, hop=0.5, **within)


@needs_museval
def test_a_perfect_estimate_is_perfect_in_museval_too():
    references, _ = band(seconds=1.0)
    ours = bss_eval(references, references, RATE, 0.5, 0.5)
    theirs = museval_scores(references, references, RATE, 0.5, 0.5)
    assert np.isinf(theirs["sdr"]).all()
    assert ours.sdr.isposinf().all()
    for score in SCORES[1:]:  # what rounding leaves of zero: any large number will do
        assert (getattr(ours, score) > 200).all()
        assert (theirs[score] > 200).all()


@pytest.mark.musdb
@needs_museval
def test_bss_eval_equals_museval_on_the_real_excerpt(real_stems):
    assert_equal_to_museval(real_stems, oracle(real_stems, "irm1"), 44100)


# --- bss_eval by itself


def test_bss_eval_of_known_parts():
    """An estimate made of filtered truth, another source and noise of known energies."""
    references = noise(2, 1, 20000)
    references[..., -512:] = 0  # so that no filter's echo is cut off
    spatial = torch.zeros_like(references)
    spatial[..., 7:] = 0.5 * references[..., :-7]
    interference, artefact = 0.1 * references.flip(0), 0.02 * noise(2, 1, 20000, seed=1)
    ours = bss_eval(references, references + spatial + interference + artefact, RATE, 5.0)
    # White noise is nearly orthogonal to all else, so energies add up.
    expected = {
        "sdr": 1 / (0.5**2 + 0.1**2 + 0.02**2),
        "isr": 1 / 0.5**2,
        "sir": (1 + 0.5**2) / 0.1**2,
        "sar": (1 + 0.5**2 + 0.1**2) / 0.02**2,
    }
    for score, ratio in expected.items():
        measured = getattr(ours, score).squeeze()
        assert measured.tolist() == pytest.approx([10 * math.log10(ratio)] * 2, abs=0.5)


@pytest.mark.parametrize("gain", [0.3, 0.77])
def test_the_rounding_of_a_panned_source_does_not_matter(gain):
    """In float32, gain times the left channel is a copy of it but for noise 150 dB below."""
    left = 0.1 * noise(2, 1, 4000, dtype=torch.float32)
    rounded = torch.cat([left, gain * left], 1)
    exact = torch.cat([left.double(), gain * left.double()], 1)
    estimates = exact + 0.2 * exact.flip(0) + 0.02 * noise(2, 2, 4000, seed=1)
    ours, expected = (bss_eval(references, estimates, RATE) for references in (rounded, exact))
    for score in SCORES:
        torch.testing.assert_close(
            getattr(ours, score), getattr(expected, score), rtol=0, atol=1e-5
        )


def test_a_delay_is_no_artefact():
    references = noise(2, 2, 8000)
    delayed = references.roll(100, dims=-1)
    delayed[..., :100] = 0
    ours = bss_eval(references, delayed, RATE, 2.0)
    assert (ours.sdr < 0).all()
    assert (ours.sir > 20).all()
    assert (ours.sar > 15).all()


def test_one_source_alone_has_no_interference():
    references, estimates = band(1, 2, 1.0)
    assert bss_eval(references, estimates, RATE).sir.isposinf().all()


def test_the_median_leaves_out_what_museval_leaves_out():
    scores = torch.tensor([[1.0, math.nan, 3.0, math.inf, 10.0], [math.nan] * 5])
    medians = BSSEval(scores, scores, scores, scores).median()
    assert medians["sar"][0] == 3.0
    assert medians["sar"][1].isnan()


def silent(which):
    signals = list(band(seconds=0.5))
    signals[which][1] = 0
    return signals


@pytest.mark.parametrize(
    ("references", "estimates", "options", "says"),
    [
        (*silent(0), {}, "reference source 1 is silent from end to end"),
        (*silent(1), {}, "estimate source 1 is silent from end to end"),
        (*(x * math.nan for x in band(seconds=0.1)), {}, "a reference holds NaN"),
        (noise(2, 2, 100), noise(2, 100, 2), {}, r"\[2, 2, 100\] and \[2, 100, 2\]"),
        (noise(2, 100), noise(2, 100), {}, r"\[sources, channels, time\]"),
        (torch.zeros(2, 2, 0), torch.zeros(2, 2, 0), {}, r"\[2, 2, 0\]"),
        (*band(seconds=0.1), {"window": 0.0}, "at least one sample long, got window=0.0"),
        (*band(seconds=0.1), {"hop": 1e-9}, "at least one sample long"),
    ],
)
def test_what_cannot_be_scored_is_refused(references, estimates, options, says):
    with pytest.raises(ValueError, match=says):
        bss_eval(references, estimates, RATE, **options)


def test_the_silent_source_is_named():
    references, estimates = band(4, 1, 0.2)
    references[SOURCES.index("bass")] = 0
    with pytest.raises(ValueError, match="reference bass is silent"):
        bss_eval(references, estimates, RATE)


# --- report


def album():
    songs = []
    for index, seconds in enumerate((2.0, 1.6, 1.2)):
        references, estimates = band(2, 1, seconds, seed=index)
        references[0, :, :1000] = 0  # a window of NaN
        songs.append((f"song {index}", references, estimates, RATE))
    songs[1][2][:, :, 1500:2500] = songs[1][1][:, :, 1500:2500]  # a window that is perfect
    return songs


@needs_museval
def test_report_aggregates_as_museval_does():
    from museval import EvalStore, TrackStore

    class ExactTrackStore(TrackStore):
        """museval rounds to five digits when it stores; here it keeps twelve."""

        def _q(self, number, precision="0.000000000001"):
            return super()._q(number, precision)

    store = EvalStore(frames_agg="median", tracks_agg="median")
    for name, references, estimates, rate in album():
        scores = museval_scores(references, estimates, rate, 0.25, 0.25)
        track = ExactTrackStore(name, win=0.25, hop=0.25)
        for s in range(2):
            track.add_target(f"source {s}", {k.upper(): v[s].tolist() for k, v in scores.items()})
        store.add_track(track)
    per_song, overall = store.agg_frames_scores(), store.agg_frames_tracks_scores()

    ours = report(album(), window=0.25, hop=0.25)
    assert ours.songs == ("song 0", "song 1", "song 2")
    assert ours.sources == ("source 0", "source 1")
    summary = ours.summary()
    for score in SCORES:
        for s, source in enumerate(ours.sources):
            theirs = overall.loc[(source, score.upper())]
            assert summary[score][s].item() == pytest.approx(theirs, abs=1e-6)
            for i, song in enumerate(ours.songs):
                theirs = per_song.loc[(song, source, score.upper())]
                assert ours.scores[score][i, s].item() == pytest.approx(theirs, abs=1e-6)


def test_report_takes_the_mean_of_the_sdr_of_whole_songs():
    ours = report(iter(album()), bss=False)
    expected = torch.stack([sdr(references, guess) for _, references, guess, _ in album()])
    torch.testing.assert_close(ours.nsdr, expected)
    torch.testing.assert_close(ours.summary()["nsdr"], expected.mean(0))
    assert set(ours.summary()) == {"nsdr"}


def test_songs_with_a_silent_source_are_left_out_and_noted():
    songs = album()
    songs[1][1][0] = 0
    songs[2][2][1] = 0
    ours = report(songs, window=0.25, hop=0.25)
    assert ours.notes == (
        "no BSSEval for 'song 1': reference source 0 is silent from end to end",
        "no BSSEval for 'song 2': estimate source 1 is silent from end to end",
    )
    alone = report(songs[:1], window=0.25, hop=0.25)
    torch.testing.assert_close(ours.summary()["sdr"], alone.summary()["sdr"])
    assert ours.nsdr.isnan().tolist() == [[False, False], [True, False], [False, False]]
    assert ours.summary()["nsdr"].isfinite().all()
    assert "Note: no BSSEval for 'song 1'" in str(ours)


def test_a_printed_report_names_songs_sources_and_scores():
    songs = [("a", *band(4, 1, 0.5), RATE)]
    text = str(report(songs, window=0.25, hop=0.25))
    assert text.startswith("1 song, dB")
    for word in (*SOURCES, "mean", "SDR (median of medians)", "nSDR (mean over songs)"):
        assert word in text
    assert "BSSEval" not in text


@pytest.mark.parametrize(
    ("songs", "says"),
    [
        ([], "at least one song"),
        ([("duet", noise(2, 1, 99), noise(2, 1, 98), RATE)], "^duet: reference"),
        ([("flat", noise(2, 99), noise(2, 99), RATE)], "^flat: "),
        (
            [("duet", *band(2, 1, 0.2), RATE), ("trio", *band(3, 1, 0.2), RATE)],
            "trio has 3 sources, duet has 2",
        ),
    ],
)
def test_songs_that_cannot_be_reported_are_named(songs, says):
    with pytest.raises(ValueError, match=says):
        report(songs, bss=False)
