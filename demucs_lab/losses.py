"""What a training makes small (lessons 06 and 11).

Every loss takes `(reference, estimate)`, as metrics do, both `[..., C, T]`, and gives a scalar: the
mean over everything but what the formula itself sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from demucs_lab.spectral import stft

_DELTA = 1e-8


def l1(reference: Tensor, estimate: Tensor) -> Tensor:
    """Mean absolute error, the loss of Demucs (arXiv:1911.13254)."""
    _same_shape(reference, estimate)
    return (estimate - reference).abs().mean()


def l2(reference: Tensor, estimate: Tensor) -> Tensor:
    """Mean squared error; its minimiser is the mean of what is possible, L1's the median."""
    _same_shape(reference, estimate)
    return (estimate - reference).square().mean()


def negative_si_sdr(reference: Tensor, estimate: Tensor) -> Tensor:
    """Negative scale-invariant SDR in dB, the loss of Conv-TasNet (arXiv:1809.07454, eq. 15).

    `metrics.si_sdr` with δ = 1e-8 added to every energy, so that silence and a perfect estimate
    give a finite loss and a finite gradient.
    """
    _same_shape(reference, estimate)
    estimate = estimate - estimate.mean(-1, keepdim=True)
    reference = reference - reference.mean(-1, keepdim=True)
    inner = (reference * estimate).sum((-2, -1), keepdim=True)
    target = inner / (reference.square().sum((-2, -1), keepdim=True) + _DELTA) * reference
    signal = target.square().sum((-2, -1)) + _DELTA
    distortion = (target - estimate).square().sum((-2, -1)) + _DELTA
    return -10 * torch.log10(signal / distortion).mean()


def multi_resolution_stft(
    reference: Tensor,
    estimate: Tensor,
    windows: Sequence[int] = (512, 1024, 2048),
) -> Tensor:
    """Spectral convergence plus log-magnitude distance, averaged over several windows.

    Parallel WaveGAN (arXiv:1910.11480, eqs. 3-6): ‖|S| − |Ŝ|‖_F / ‖|S|‖_F + mean |log|S| − log|Ŝ||,
    magnitudes below 10⁻³·⁵ counted as that much, hop a quarter of each window.
    It does not see the phase: a loss of zero still allows any phase that the magnitudes allow.
    """
    _same_shape(reference, estimate)
    total = estimate.new_zeros(())
    for n_fft in windows:
        target, guess = (_floored_magnitude(wav, n_fft) for wav in (reference, estimate))
        convergence = torch.linalg.vector_norm(target - guess, dim=(-2, -1)) / (
            torch.linalg.vector_norm(target, dim=(-2, -1))
        )
        total = total + convergence.mean() + (target.log() - guess.log()).abs().mean()
    return total / len(windows)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": l1,
    "l2": l2,
    "si_sdr": negative_si_sdr,
    "multi_resolution_stft": multi_resolution_stft,
}
"""Every loss by the name that a training preset uses; "si_sdr" stands for its negative."""


def _floored_magnitude(wav: Tensor, n_fft: int) -> Tensor:
    spec = stft(wav, n_fft)
    return (spec.real.square() + spec.imag.square()).clamp_min(1e-7).sqrt()


def _same_shape(reference: Tensor, estimate: Tensor) -> None:
    if estimate.shape != reference.shape:
        raise ValueError(
            f"reference {list(reference.shape)} and estimate {list(estimate.shape)} must have the "
            f"same shape [..., channels, time]"
        )
