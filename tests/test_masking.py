"""Oracles: closed forms on tiny numbers, properties on any, and the real excerpt."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from demucs_lab.masking import (
    METHODS,
    complex_mask,
    ideal_binary_mask,
    ideal_ratio_mask,
    oracle,
    phase_sensitive_mask,
    rotate_phase,
    swap_phase,
    wiener,
)
from demucs_lab.metrics import sdr
from demucs_lab.spectral import istft, stft

MASKS = {
    "binary": ideal_binary_mask,
    "binary of SiSEC": lambda s: ideal_binary_mask(s, 1.0),
    "binary of SiSEC, power": lambda s: ideal_binary_mask(s, 2.0),
    "ratio": ideal_ratio_mask,
    "ratio, power": lambda s: ideal_ratio_mask(s, 2.0),
    "phase-sensitive": phase_sensitive_mask,
}


def cells(*values):
    """One cell per source: `[S, 1, 1, 1]`."""
    return torch.tensor(values, dtype=torch.cfloat).reshape(-1, 1, 1, 1)


def spectrograms(seed=0, shape=(4, 2, 9, 12), dtype=torch.cfloat):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype)


def songs(seed=0, seconds=2.0, samplerate=8000):
    """Four panned sources that share the spectrum but not the moments, `[4, 2, T]`."""
    generator = torch.Generator().manual_seed(seed)
    length = int(seconds * samplerate)
    t = torch.arange(length) / samplerate
    sources = []
    for index, angle in enumerate((0.1, 0.5, 0.9, 1.4)):
        chord = sum(torch.sin(2 * math.pi * f * (1 + index / 7) * t) for f in (110, 330, 550))
        beat = (torch.sin(2 * math.pi * (1 + index) * t) > 0).float()
        sound = beat * (0.1 * chord + 0.05 * torch.randn(length, generator=generator))
        sources.append(torch.stack([math.cos(angle) * sound, math.sin(angle) * sound]))
    return torch.stack(sources)


# --- masks in closed form


@pytest.mark.parametrize(
    ("mask", "values", "expected"),
    [
        (ideal_ratio_mask, (3, 1j, 0, -4), (3 / 8, 1 / 8, 0, 4 / 8)),
        (lambda s: ideal_ratio_mask(s, 2), (3, 1j, 0, -4), (9 / 26, 1 / 26, 0, 16 / 26)),
        (lambda s: ideal_ratio_mask(s, 0.5), (4, 1), (2 / 3, 1 / 3)),
        (ideal_ratio_mask, (0, 0, 0, 0), (0.25, 0.25, 0.25, 0.25)),
        (ideal_binary_mask, (3, 1j, 0, -4), (0, 0, 0, 1)),
        (ideal_binary_mask, (2, 2j, 1, 0), (1, 0, 0, 0)),  # a tie goes to the first
        # SiSEC: |s| ≥ ½ |mixture|. In phase at most two can; out of phase all may.
        (lambda s: ideal_binary_mask(s, 1), (3, 1, 0, 0), (1, 0, 0, 0)),
        (lambda s: ideal_binary_mask(s, 1), (2, 2, 0, 0), (1, 1, 0, 0)),
        (lambda s: ideal_binary_mask(s, 1), (1, 1, 1, 1), (0, 0, 0, 0)),
        (lambda s: ideal_binary_mask(s, 1), (5, -4, 1, -1), (1, 1, 1, 1)),
        # At α = 2 the bar lies at |mixture| / √2 = 2.12.
        (lambda s: ideal_binary_mask(s, 2), (2.2, 0.8, 0, 0), (1, 0, 0, 0)),
        (lambda s: ideal_binary_mask(s, 2), (2, 1, 0, 0), (0, 0, 0, 0)),
        (lambda s: ideal_binary_mask(s, 1), (0, 0, 0, 0), (0, 0, 0, 0)),
        (phase_sensitive_mask, (3, 1, 0, 0), (0.75, 0.25, 0, 0)),
        (phase_sensitive_mask, (3, -1, 0, 0), (1, 0, 0, 0)),
        (phase_sensitive_mask, (1, 1j), (0.5, 0.5)),
        (phase_sensitive_mask, (1, -1), (0, 0)),
        (complex_mask, (1, 1j), (0.5 - 0.5j, 0.5 + 0.5j)),
        (complex_mask, (1, -1), (0, 0)),
    ],
)
def test_masks_by_hand(mask, values, expected):
    torch.testing.assert_close(
        mask(cells(*values)).flatten(), torch.tensor(expected), check_dtype=False
    )


# --- properties of any spectrogram


@given(seed=st.integers(0, 1000), power=st.floats(0.1, 8), n_sources=st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_ratio_masks_are_shares(seed, power, n_sources):
    mask = ideal_ratio_mask(spectrograms(seed, (n_sources, 2, 5, 4)), power)
    assert mask.min() >= 0
    torch.testing.assert_close(mask.sum(0), torch.ones(2, 5, 4))


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_binary_mask_picks_one_source_and_the_loudest(seed):
    spec = spectrograms(seed)
    mask = ideal_binary_mask(spec)
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert (mask.sum(0) == 1).all()
    torch.testing.assert_close((mask * spec.abs()).sum(0), spec.abs().amax(0))


def test_a_high_power_makes_the_ratio_mask_binary():
    spec = spectrograms()
    second, loudest = spec.abs().sort(0).values[-2:]
    clear = (second < 0.97 * loudest).expand_as(spec)
    torch.testing.assert_close(
        ideal_ratio_mask(spec, 500.0)[clear], ideal_binary_mask(spec)[clear], atol=1e-5, rtol=0
    )


def test_the_phase_sensitive_mask_is_the_best_of_all_between_0_and_1():
    spec = spectrograms()
    mixture = spec.sum(0)
    error = (spec - phase_sensitive_mask(spec) * mixture).abs()
    for m in torch.linspace(0, 1, 201):
        assert (error <= (spec - m * mixture).abs() + 1e-5).all()


def test_the_complex_mask_is_exact():
    spec = spectrograms()
    torch.testing.assert_close(complex_mask(spec) * spec.sum(0), spec)


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("gain", [1e-6, 1e-15, 1e6])
def test_masks_do_not_depend_on_the_level(name, gain):
    spec = spectrograms()
    torch.testing.assert_close(MASKS[name](gain * spec), MASKS[name](spec), atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("gain", [1e-6, 1e6])
def test_oracles_do_not_depend_on_the_level(method, gain):
    sources = songs(seconds=0.5).double()
    scaled = oracle(gain * sources, method, 256) / gain
    assert (sdr(oracle(sources, method, 256), scaled) > 60).all()


@pytest.mark.parametrize("method", METHODS)
def test_every_oracle_in_every_precision_and_shape(method):
    for n_channels, length in [(1, 1), (1, 999), (2, 4000), (3, 700)]:
        for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
            sources = (0.1 * torch.randn(4, n_channels, length)).to(dtype).requires_grad_()
            estimates = oracle(sources, method, 128)
            assert estimates.shape == sources.shape
            assert estimates.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
            assert estimates.isfinite().all()


@pytest.mark.parametrize("method", METHODS)
def test_silence_stays_finite(method):
    sources = songs(seconds=0.5)
    sources[1] = 0
    sources[:, :, :1500] = 0
    estimates = oracle(sources, method, 256)
    assert estimates.isfinite().all()
    assert oracle(torch.zeros(4, 2, 1000), method, 256).abs().max() == 0


@pytest.mark.parametrize("method", ["ibm", "irm1", "irm2", "mwf", "complex"])
def test_estimates_add_up_to_the_mixture(method):
    sources = songs()
    total = oracle(sources, method, 1024).sum(0)
    torch.testing.assert_close(total, sources.sum(0), atol=2e-5, rtol=0)


# --- the Wiener filter


def reference_wiener(X):
    """Duong et al.'s filter cell by cell, in numpy: X is [S, C, F, N]."""
    n_sources, n_channels, bins, frames = X.shape
    out = np.zeros_like(X)
    power = (np.abs(X) ** 2).mean(1)
    for f in range(bins):
        R = [X[s, :, f] @ X[s, :, f].conj().T / power[s, f].sum() for s in range(n_sources)]
        for n in range(frames):
            noise = 1e-6 * power[:, f, n].mean() * np.eye(n_channels)
            covariances = [power[s, f, n] * R[s] + noise for s in range(n_sources)]
            inverse = np.linalg.inv(sum(covariances))
            for s in range(n_sources):
                out[s, :, f, n] = covariances[s] @ inverse @ X[:, :, f, n].sum(0)
    return out


@pytest.mark.parametrize("shape", [(4, 2, 9, 12), (2, 1, 3, 5), (3, 3, 4, 6)])
def test_wiener_equals_the_formula_cell_by_cell(shape):
    spec = spectrograms(1, shape, torch.cdouble)
    np.testing.assert_allclose(wiener(spec), reference_wiener(spec.numpy()), rtol=1e-9, atol=1e-12)


def test_wiener_of_mono_is_the_power_ratio_mask():
    spec = spectrograms(2, (4, 1, 9, 12), torch.cdouble)
    expected = ideal_ratio_mask(spec, 2.0) * spec.sum(0)
    torch.testing.assert_close(wiener(spec), expected, atol=1e-5, rtol=0)


def test_wiener_hears_where_a_source_comes_from():
    """Two sources that only their place tells apart: no mask can, the filter takes them apart."""
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, 8000, generator=generator)
    sources = torch.stack([torch.stack([left, 0.2 * left]), torch.stack([0.3 * right, right])])
    # Both oracles know the powers; noise of equal power everywhere leaves a mask only chance.
    by_mask = sdr(sources, oracle(sources, "irm2", 256))
    by_place = sdr(sources, oracle(sources, "mwf", 256))
    assert (by_place > by_mask + 15).all()
    assert (by_place > 30).all()


# --- phases


def test_swapping_phases_by_hand():
    a = torch.tensor([3j, -2, 0, 5])
    b = torch.tensor([1, 2j, 7, 0], dtype=torch.cfloat)
    torch.testing.assert_close(swap_phase(a, b), torch.tensor([3, 2j, 0, 5], dtype=torch.cfloat))


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_swapping_keeps_one_magnitude_and_the_other_phase(seed):
    a, b = spectrograms(seed), spectrograms(seed + 1)
    swapped = swap_phase(a, b)
    torch.testing.assert_close(swapped.abs(), a.abs())
    torch.testing.assert_close(swapped / swapped.abs(), b / b.abs())
    torch.testing.assert_close(swap_phase(a, a), a)


@pytest.mark.parametrize(("degrees", "decibels"), [(1.0, 35.2), (10.0, 15.2)])
def test_a_phase_error_costs_the_same_at_every_frequency(degrees, decibels):
    """Small angles: the error is the angle in radians, so SDR = -20 log10(angle)."""
    spec = spectrograms(0, (200, 400))
    error = rotate_phase(spec, degrees) - spec
    per_bin = 10 * torch.log10(spec.abs().square().sum(1) / error.abs().square().sum(1))
    assert per_bin.mean() == pytest.approx(decibels, abs=0.2)
    assert per_bin.std() < 1


def test_rotation_keeps_magnitudes_and_repeats_with_its_seed():
    spec = spectrograms()
    turned = rotate_phase(spec, 60.0, seed=3)
    torch.testing.assert_close(turned.abs(), spec.abs())
    assert torch.equal(turned, rotate_phase(spec, 60.0, seed=3))
    assert not torch.equal(turned, rotate_phase(spec, 60.0, seed=4))
    torch.testing.assert_close(rotate_phase(spec, 0.0), spec)


# --- the oracles in order


def test_what_knows_more_scores_higher():
    sources = songs()
    score = {name: sdr(sources, oracle(sources, name, 1024)).mean() for name in METHODS}
    masks = ["ibm", "ibm1", "ibm2", "irm1", "irm2", "psm"]
    assert all(score["mixture"] < score[name] for name in masks)
    assert all(score[name] <= score["psm"] for name in masks)
    assert score["irm1"] < score["irm1_phase"]
    assert score["psm"] < score["complex"]
    assert score["complex"] > 60


def test_an_oracle_is_mask_times_mixture():
    sources = songs()
    spec = stft(sources, 512, 128)
    estimates = ideal_ratio_mask(spec, 2.0) * stft(sources.sum(0), 512, 128)
    expected = istft(estimates, sources.shape[-1], 512, 128)
    torch.testing.assert_close(oracle(sources, "irm2", 512, 128), expected, atol=1e-6, rtol=0)


@pytest.mark.musdb
@pytest.mark.parametrize(
    ("method", "n_fft", "expected"),
    [
        ("irm1", 4096, (11.14, 9.15, 9.13, 13.83)),
        ("irm2", 2048, (11.37, 9.18, 9.37, 14.26)),
        ("ibm", 4096, (12.40, 10.40, 10.03, 15.04)),
    ],
)
def test_oracles_of_the_real_excerpt(real_stems, method, n_fft, expected):
    """Figures measured by others with a plain implementation."""
    estimates = oracle(real_stems, method, n_fft)
    measured = sdr(real_stems, estimates)
    assert measured.tolist() == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: oracle(songs(), "irm3"), "there is no oracle 'irm3': choose from mixture, ibm"),
        (lambda: oracle(songs()[0]), r"\[sources, channels, time\], got \[2, 16000\]"),
        (lambda: ideal_ratio_mask(spectrograms(), 0), "exponent of a mask must be positive"),
        (lambda: ideal_binary_mask(spectrograms(), -1), "exponent of a mask must be positive"),
        (lambda: ideal_ratio_mask(spectrograms().abs()), "take the stft of the sources first"),
        (lambda: ideal_ratio_mask(songs()), "take the stft of the sources first"),
        (lambda: wiener(spectrograms()[0]), r"\[sources, channels, bins, frames\]"),
    ],
)
def test_what_is_no_oracle_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_a_song_or_an_array_is_told_what_is_expected():
    from demucs_lab import masking, metrics, training
    from demucs_lab.datasets import Track

    song = Track("song", 8000, 100, lambda source, start, frames: torch.ones(2, frames))
    array = np.ones((4, 2, 100), np.float32)
    for call in (masking.oracle, metrics.sdr, metrics.si_sdr):
        arguments = (song,) if call is not metrics.si_sdr else (song, song)
        with pytest.raises(TypeError, match=r"got Track: .* song\.stems"):
            call(*arguments)
    for wrong in (lambda: masking.oracle(array), lambda: metrics.sdr(array, array)):
        with pytest.raises(TypeError, match="got ndarray: convert it with"):
            wrong()
    with pytest.raises(TypeError, match="two sounds to compare"):
        metrics.sdr(song.stems)
    for train in (
        lambda: training.train(songs="labsongs"),
        lambda: training.train("tiny-demucs", "labsongs"),
        lambda: training.train("tiny-demucs"),
        lambda: training.resume("runs/x", "labsongs"),
    ):
        with pytest.raises(TypeError, match=r"needs songs .*LabSongs\.starter"):
            train()
