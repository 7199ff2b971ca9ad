"""Oracle masks and oracle phases: the best that can be done when the answer is known (lesson 02).

A mask multiplies every time-frequency cell of the mixture by one number per source. Here the
numbers come from the true sources, so each result is a ceiling for any model of the same kind:
real masks between 0 and 1 keep the mixture's phase. `demucs_lab.evaluation.ceiling` measures what
that costs.

Spectrograms of sources are complex `[S, C, F, N]`, those of the mixture `[C, F, N]`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from demucs_lab.common.tensors import need_tensor
from demucs_lab.spectral import istft, stft


def ideal_binary_mask(sources: Tensor, power: float | None = None) -> Tensor:
    """Each cell belongs to one source, or to none (lesson 02).

    With `power=None` the loudest source takes the cell (Wang 2005; a tie goes to the first).
    With a power α it is SiSEC 2018's IBM (arXiv:1804.06267): a source takes the cell when
    |X_s|^α ≥ ½ |X|^α, X being the mixture; two sources may then take the same cell, or none.

    Args:
        sources: complex `[S, C, F, N]`.
        power: α > 0 or None.

    Returns:
        Masks of zeros and ones, `[S, C, F, N]`.

    >>> ideal_binary_mask(torch.tensor([3 + 0j, 1 + 0j]).reshape(2, 1, 1, 1)).flatten()
    tensor([1., 0.])
    """
    magnitude = _magnitude(sources)
    if power is None:
        winner = magnitude.argmax(0, keepdim=True)
        return torch.zeros_like(magnitude).scatter_(0, winner, 1.0)
    _check_power(power)
    threshold = 0.5 ** (1 / power) * sources.sum(0).abs()
    return ((magnitude >= threshold) & (magnitude > 0)).to(magnitude)


def ideal_ratio_mask(sources: Tensor, power: float = 1.0) -> Tensor:
    """Share of each source in every time-frequency cell (lesson 02).

    IRM_s = |X_s|^p / Σ_k |X_k|^p — SiSEC 2018 (arXiv:1804.06267), p = 2 there.

    Args:
        sources: complex spectrograms `[S, C, F, N]`.
        power: exponent p > 0; 1 is the amplitude share, 2 the power share.

    Returns:
        Masks in [0, 1], `[S, C, F, N]`, summing to one over S. A silent cell is shared equally.

    Raises:
        ValueError: if `power` is not positive or `sources` is not complex.

    >>> ideal_ratio_mask(torch.ones(4, 2, 3, 5, dtype=torch.cfloat)).sum(0).unique()
    tensor([1.])
    """
    _check_power(power)
    magnitude = _magnitude(sources)
    loudest = magnitude.amax(0)
    share = (magnitude / loudest.where(loudest > 0, 1.0)) ** power  # no underflow at any level
    total = share.sum(0)
    return torch.where(total > 0, share / total.where(total > 0, 1.0), 1 / len(sources))


def phase_sensitive_mask(sources: Tensor) -> Tensor:
    """The best real mask between 0 and 1, cell by cell (Erdogan et al. 2015; lesson 02).

    PSM_s = |X_s| / |X| · cos(∠X_s − ∠X), cut to [0, 1]: the number m in that range for which
    |X_s − m X|² is least. No such mask can give back a source that is louder than the mixture, or
    turn one that is out of phase with it.

    >>> phase_sensitive_mask(torch.tensor([2 + 0j, -1 + 0j]).reshape(2, 1, 1, 1)).flatten()
    tensor([1., 0.])
    """
    _magnitude(sources)
    mixture = sources.sum(0)
    return torch.where(mixture == 0, 0, sources / mixture.where(mixture != 0, 1)).real.clamp(0, 1)


def wiener(sources: Tensor) -> Tensor:
    """Oracle multichannel Wiener filter (lesson 02).

    Ŷ_s = v_s R_s (Σ_k v_k R_k)⁻¹ X with the true power v_s[f, n] = mean_c |X_s|² and the true
    spatial covariance R_s[f] = Σ_n X_s X_sᴴ / Σ_n v_s (Duong, Vincent & Gribonval 2010, weighted as
    in Open-Unmix's filter, norbert; SiSEC 2018, arXiv:1804.06267, has an MWF oracle of this kind).
    It mixes the channels, so unlike a mask it can turn down what comes from another direction.
    Each v_s R_s also holds 1e-6 of the cell's mean power as white noise: the sum has an inverse.

    Args:
        sources: complex `[S, C, F, N]`.

    Returns:
        Estimated spectrograms `[S, C, F, N]`, adding up to the mixture.
    """
    _magnitude(sources)
    n_sources, n_channels = sources.shape[:2]
    v = sources.abs().square().mean(1)  # [S, F, N]
    tiny = torch.finfo(v.dtype).tiny
    outer = torch.einsum("scfn,sdfn->sfcd", sources, sources.conj())
    R = outer / v.sum(-1)[..., None, None].clamp_min(tiny)  # [S, F, C, C]
    floor = 1e-6 * v.mean(0) + tiny  # [F, N], per source; it keeps the sum invertible
    white = floor[..., None, None] * torch.eye(n_channels, device=v.device)  # [F, N, C, C]
    covariance = torch.einsum("sfn,sfcd->fncd", v.to(R), R) + n_sources * white
    mixture = sources.sum(0).permute(1, 2, 0)[..., None]  # [F, N, C, 1]
    whitened = torch.linalg.solve(covariance, mixture)[..., 0]  # [F, N, C]
    coloured = torch.einsum("sfn,sfcd,fnd->scfn", v.to(R), R, whitened)
    return coloured + (floor[..., None] * whitened).permute(2, 0, 1)


def complex_mask(sources: Tensor) -> Tensor:
    """The complex ratio X_s / X, phase and all (Williamson, Wang & Wang 2016; lesson 02).

    Unbounded, and exact: mask times mixture is the source wherever the mixture is not zero.
    Complex outputs "remove the topline given by the IRM" (Hybrid Transformer Demucs, §2).
    """
    _magnitude(sources)
    mixture = sources.sum(0)
    return torch.where(mixture.abs() > 0, sources / mixture.where(mixture.abs() > 0, 1.0), 0)


def swap_phase(magnitude_of: Tensor, phase_of: Tensor) -> Tensor:
    """The magnitude of one spectrogram with the phase of another, |A| · e^{i∠B} (lesson 02).

    >>> swap_phase(torch.tensor([2j]), torch.tensor([-3.0 + 0j]))
    tensor([-2.+0.j])
    """
    phase = torch.sgn(phase_of)
    return magnitude_of.abs() * torch.where(phase == 0, 1.0, phase)


def rotate_phase(spec: Tensor, degrees: float, seed: int = 0) -> Tensor:
    """Turn every cell's phase by a random angle whose root mean square is `degrees` (lesson 02).

    Angles are Gaussian and independent from cell to cell, the same for the same `seed`.
    """
    generator = torch.Generator().manual_seed(seed)
    angle = torch.randn(spec.shape, generator=generator, dtype=spec.real.dtype).to(spec.device)
    return spec * torch.polar(torch.ones_like(angle), angle * (degrees * torch.pi / 180))


def _masked(mask: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda sources: mask(sources) * sources.sum(0)


METHODS: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "mixture": ("the mixture itself, unseparated", lambda s: s.sum(0).expand_as(s)),
    "ibm": ("binary mask, the loudest takes the cell", _masked(ideal_binary_mask)),
    "ibm1": ("binary mask of SiSEC, α = 1", _masked(lambda s: ideal_binary_mask(s, 1.0))),
    "ibm2": ("binary mask of SiSEC, α = 2", _masked(lambda s: ideal_binary_mask(s, 2.0))),
    "irm1": ("ratio mask, share of amplitude", _masked(lambda s: ideal_ratio_mask(s, 1.0))),
    "irm2": ("ratio mask, share of power", _masked(lambda s: ideal_ratio_mask(s, 2.0))),
    "psm": ("phase-sensitive mask, the best in [0, 1]", _masked(phase_sensitive_mask)),
    "mwf": ("multichannel Wiener filter", wiener),
    "magnitude": ("true magnitude, mixture's phase", lambda s: swap_phase(s, s.sum(0))),
    "irm1_phase": (
        "ratio mask (amplitude), true phase",
        lambda s: swap_phase(ideal_ratio_mask(s) * s.sum(0), s),
    ),
    "complex": ("complex mask: magnitude and phase", _masked(complex_mask)),
}
"""Every oracle by name: what it is, and sources `[S, C, F, N]` → estimates `[S, C, F, N]`."""


def oracle(
    sources: Tensor, method: str = "irm1", n_fft: int = 4096, hop: int | None = None
) -> Tensor:
    """Separate the sum of `sources` with the true sources known (lesson 02).

    Args:
        sources: waveforms `[S, C, T]`; their sum is the mixture.
        method: a key of `METHODS`.
        n_fft: window length of the STFT in samples.
        hop: in samples; None is `n_fft // 4`.

    Returns:
        Estimates `[S, C, T]` on the sources' device; half precision is raised to float32.

    Raises:
        TypeError, ValueError: if the method is unknown or `sources` is not `[S, C, T]`.
    """
    need_tensor(sources, "sources")
    if sources.dim() != 3:
        raise ValueError(
            f"expected sources of shape [sources, channels, time], got {list(sources.shape)}"
        )
    estimates = oracle_estimates(stft(sources, n_fft, hop), method)
    return istft(estimates, sources.shape[-1], n_fft, hop)


def oracle_estimates(sources: Tensor, method: str) -> Tensor:
    """The step of `oracle` between its two transforms (lesson 02).

    Args:
        sources: complex spectrograms `[S, C, F, N]`.
        method: a key of `METHODS`.

    Returns:
        Estimated spectrograms `[S, C, F, N]`.

    Raises:
        ValueError: if the method is unknown.
    """
    if method not in METHODS:
        raise ValueError(f"there is no oracle {method!r}: choose from {', '.join(METHODS)}")
    return METHODS[method][1](sources)


def _magnitude(sources: Tensor) -> Tensor:
    need_tensor(sources, "spectrograms of the sources")
    if not sources.is_complex() or sources.dim() != 4:
        raise ValueError(
            f"expected complex spectrograms [sources, channels, bins, frames], got {sources.dtype} "
            f"{list(sources.shape)}: take the stft of the sources first"
        )
    return sources.abs()


def _check_power(power: float) -> None:
    if not power > 0:
        raise ValueError(f"the exponent of a mask must be positive, got {power}")
