"""Losses: closed forms, and gradients that never break a training run."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from demucs_lab import metrics
from demucs_lab.losses import LOSSES, l1, l2, multi_resolution_stft, negative_si_sdr


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_l1_and_l2_in_closed_form():
    reference, estimate = torch.zeros(2, 1, 4), torch.tensor([1.0, -3.0, 0.0, 0.0]).expand(2, 1, 4)
    assert l1(reference, estimate) == 1.0
    assert l2(reference, estimate) == 2.5


@given(values=st.lists(st.floats(-1, 1), min_size=3, max_size=9).filter(lambda v: len(v) % 2))
@settings(deadline=None)
def test_l1_asks_for_the_median_and_l2_for_the_mean(values):
    possible = torch.tensor(values, dtype=torch.float64)[:, None, None]
    guesses = torch.linspace(-1, 1, 201, dtype=torch.float64)
    for loss, best in ((l1, possible.quantile(0.5)), (l2, possible.mean())):
        at_best = loss(possible, best.expand_as(possible))
        assert all(at_best <= loss(possible, g.expand_as(possible)) + 1e-12 for g in guesses)


def test_negative_si_sdr_is_the_metric_with_its_sign_turned():
    reference, estimate = noise(3, 2, 4000), noise(3, 2, 4000) + 0.3 * noise(3, 2, 4000, seed=1)
    expected = -metrics.si_sdr(reference, estimate).mean().float()
    torch.testing.assert_close(negative_si_sdr(reference, estimate), expected)


@given(gain=st.floats(0.1, 10), offset=st.floats(-1, 1))
@settings(max_examples=20, deadline=None)
def test_negative_si_sdr_ignores_level_and_offset(gain, offset):
    reference, estimate = noise(1, 4000), noise(1, 4000) + 0.3 * noise(1, 4000, seed=1)
    torch.testing.assert_close(
        negative_si_sdr(reference, gain * estimate + offset),
        negative_si_sdr(reference, estimate),
        atol=1e-3,
        rtol=0,
    )


def reference_spectral_loss(reference, estimate, windows):
    """Parallel WaveGAN's formulas, one channel and one window at a time."""
    total = 0.0
    for n_fft in windows:
        for guess, truth in zip(estimate, reference, strict=True):
            magnitudes = []
            for wav in (guess, truth):
                to_whole_hops = -len(wav) % (n_fft // 4)
                spec = torch.stft(
                    torch.nn.functional.pad(wav, (0, to_whole_hops)),
                    n_fft,
                    n_fft // 4,
                    window=torch.hann_window(n_fft),
                    pad_mode="constant",
                    return_complex=True,
                )
                magnitudes.append(spec.abs().clamp_min(math.sqrt(1e-7)))
            guess_mag, true_mag = magnitudes
            convergence = torch.linalg.norm(true_mag - guess_mag) / torch.linalg.norm(true_mag)
            distance = (true_mag.log() - guess_mag.log()).abs().mean()
            total += (convergence + distance) / len(reference) / len(windows)
    return total


def test_multi_resolution_stft_in_closed_form():
    reference, estimate = noise(2, 5000), noise(2, 5000, seed=1)
    ours = multi_resolution_stft(reference, estimate, windows=(256, 512))
    torch.testing.assert_close(ours, reference_spectral_loss(reference, estimate, (256, 512)))


def test_multi_resolution_stft_does_not_hear_the_sign():
    reference, estimate = noise(2, 8000), noise(2, 8000, seed=1)
    assert multi_resolution_stft(reference, -reference) == 0
    torch.testing.assert_close(
        multi_resolution_stft(reference, -estimate), multi_resolution_stft(reference, estimate)
    )
    assert l1(reference, -reference) > 1


@pytest.mark.parametrize("name", ["l1", "l2", "multi_resolution_stft"])
def test_a_perfect_estimate_costs_nothing(name):
    assert LOSSES[name](noise(2, 8000), noise(2, 8000)) == 0


@pytest.mark.parametrize("name", LOSSES)
def test_less_noise_is_a_smaller_loss(name):
    reference = noise(2, 2, 8000)
    levels = [1.0, 0.3, 0.1, 0.03, 0.0]
    costs = [LOSSES[name](reference, reference + g * noise(2, 2, 8000, seed=1)) for g in levels]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > costs[1] > costs[2]


SILENCE = torch.zeros(2, 2, 5000)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    ("estimate", "reference"),
    [
        (noise(2, 2, 5000), noise(2, 2, 5000, seed=1)),
        (noise(2, 2, 5000), noise(2, 2, 5000)),
        (SILENCE, noise(2, 2, 5000)),
        (noise(2, 2, 5000), SILENCE),
        (SILENCE, SILENCE),
        (1e-20 * noise(2, 2, 5000), 1e-20 * noise(2, 2, 5000, seed=1)),
        (torch.ones(2, 2, 5000), torch.ones(2, 2, 5000)),
    ],
    ids=["noise", "perfect", "silent-guess", "silent-truth", "silence", "faint", "constant"],
)
def test_loss_and_gradient_are_finite(name, estimate, reference):
    estimate = estimate.clone().requires_grad_()
    loss = LOSSES[name](reference, estimate)
    loss.backward()
    assert loss.shape == ()
    assert loss.isfinite()
    assert estimate.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_the_formula(name):
    estimate = noise(1, 1, 300).double().requires_grad_()
    reference = noise(1, 1, 300, seed=1).double()
    loss = LOSSES[name]
    if name == "multi_resolution_stft":
        loss = lambda a, b: multi_resolution_stft(a, b, windows=(64,))  # noqa: E731
    assert torch.autograd.gradcheck(lambda x: loss(reference, x), estimate, fast_mode=True)


@pytest.mark.parametrize("name", LOSSES)
def test_shapes_that_differ_are_refused_not_broadcast(name):
    with pytest.raises(ValueError, match=r"\[1, 2, 5000\] and estimate \[4, 2, 5000\]"):
        LOSSES[name](torch.zeros(1, 2, 5000), torch.zeros(4, 2, 5000))
