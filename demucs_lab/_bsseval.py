"""BSSEval v4 in matrix form: the arithmetic behind `metrics.bss_eval`.

museval computes the same decomposition in the time domain. Here correlations are only computed at
the lags that are needed, one Cholesky factor serves every estimate, and the energies are summed in
the frequency domain (Parseval), so no projected signal is ever built.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import scipy.fft
import scipy.linalg
import scipy.linalg.lapack

FILTER_LENGTH = 512
_BLOCK = 1 << 14


def decompose(references: np.ndarray, estimates: np.ndarray, window: int, hop: int) -> np.ndarray:
    """SDR, ISR, SIR and SAR of each source in each window.

    Args:
        references, estimates: float64 `[S, C, T]`.
        window, hop: in samples.

    Returns:
        `[4, S, windows]` in dB; NaN in a window where any source is silent.
    """
    n_sources, n_channels, length = references.shape
    taps = FILTER_LENGTH
    flat = references.reshape(-1, length)
    lagged = _correlations(flat, np.concatenate([flat, estimates.reshape(-1, length)]), taps)
    among, across = lagged[:, : len(flat)], lagged[:, len(flat) :, taps - 1 :]

    gram = _gram(among, taps)  # [P, taps, P, taps], P = sources x channels
    target = across.reshape(n_sources * n_channels, n_sources, n_channels, taps)
    target = target.transpose(0, 3, 1, 2)  # [P, taps, S, C]
    interfering = _solve(gram, target)  # filters from every source to every estimate
    spatial = np.zeros_like(interfering)  # filters from the true source alone
    for source in range(n_sources):
        rows = slice(source * n_channels, (source + 1) * n_channels)
        spatial[rows, :, source] = _solve(gram[rows, :, rows], target[rows, :, source])

    n_fft = scipy.fft.next_fast_len(min(window, length) + taps - 1, real=True)
    both = scipy.fft.rfft(np.stack([spatial, interfering]), n_fft, axis=2)  # [2, P, F, S, C]
    by_bin = np.ascontiguousarray(both.transpose(2, 0, 3, 4, 1)).reshape(
        n_fft // 2 + 1, -1, len(flat)
    )

    n_windows = (length - window + hop) // hop if window < length else 1
    scores = np.full((4, n_sources, n_windows), np.nan)
    for index in range(n_windows):
        cut = slice(index * hop, index * hop + window)
        reference, estimate = references[:, :, cut], estimates[:, :, cut]
        if _any_silent(reference) or _any_silent(estimate):
            continue
        true = scipy.fft.rfft(reference, n_fft)  # [S, C, F]
        guess = scipy.fft.rfft(estimate, n_fft)
        sources_by_bin = np.ascontiguousarray(true.reshape(len(flat), -1).T)[..., None]
        projected = (by_bin @ sources_by_bin)[..., 0].T.reshape(2, *true.shape)
        filtered, explained = projected
        energy = partial(_energy, n_fft=n_fft)
        clean = energy(true)
        scores[0, :, index] = _db(clean, energy(guess - true))
        scores[1, :, index] = _db(clean, energy(filtered - true))
        scores[2, :, index] = _db(energy(filtered), energy(explained - filtered))
        scores[3, :, index] = _db(energy(explained), energy(guess - explained))
    return scores


def _correlations(left: np.ndarray, right: np.ndarray, taps: int) -> np.ndarray:
    """`out[p, q, taps - 1 + k] = Σ_t left[p, t] · right[q, t + k]` for |k| < taps.

    The signals are cut into blocks; each block of `left` meets the stretch of `right` around it.
    """
    length, margin = left.shape[-1], taps - 1
    step = _BLOCK - 2 * margin
    blocks = -(-length // step)
    span = blocks * step
    a = np.pad(left, ((0, 0), (0, span - length))).reshape(len(left), blocks, step)
    b = np.lib.stride_tricks.sliding_window_view(
        np.pad(right, ((0, 0), (margin, span - length + margin))), _BLOCK, axis=1
    )[:, ::step]
    total = np.zeros((_BLOCK // 2 + 1, len(left), len(right)), complex)
    for start in range(0, blocks, 16):
        A = scipy.fft.rfft(a[:, start : start + 16], _BLOCK)  # [P, blocks, F]
        B = scipy.fft.rfft(b[:, start : start + 16], _BLOCK)
        total += A.conj().transpose(2, 0, 1) @ B.transpose(2, 1, 0)
    # `b` starts `margin` samples before `a`: lag −margin is index 0.
    return scipy.fft.irfft(total, _BLOCK, axis=0)[: 2 * taps - 1].transpose(1, 2, 0)


def _gram(among: np.ndarray, taps: int) -> np.ndarray:
    """Inner products of all delayed references: `gram[p, i, q, j] = r_pq(i − j)`."""
    lag = taps - 1 + np.arange(taps)[:, None] - np.arange(taps)[None, :]
    return among[:, :, lag].transpose(0, 2, 1, 3)


def _solve(gram: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Filters with `gram · filters = target`, by Cholesky where the references allow it.

    References that are copies of each other (a mono stem in stereo) make `gram` singular. Pivoting
    then finds as many independent delayed references as there are, and only those are used: the
    projection is the same whichever are chosen.
    """
    size = gram.shape[0] * gram.shape[1]
    matrix = gram.reshape(size, size) + np.finfo(float).eps * np.eye(size)
    columns = target.reshape(size, -1)
    try:
        factor = scipy.linalg.cholesky(matrix, check_finite=False)
        kept = np.arange(size)
    except np.linalg.LinAlgError:
        factor, order, rank, _ = scipy.linalg.lapack.dpstrf(matrix)
        factor, kept = factor[:rank, :rank], order[:rank] - 1
    filters = np.zeros_like(columns)
    filters[kept] = scipy.linalg.cho_solve((factor, False), columns[kept], check_finite=False)
    return filters.reshape(target.shape)


def _energy(spectrum: np.ndarray, n_fft: int) -> np.ndarray:
    """Σ_t x², of real signals given by their half spectra `[S, C, F]`, `[S]`."""
    power = spectrum.real**2 + spectrum.imag**2
    twice = power.sum((1, 2)) * 2 - power[:, :, 0].sum(1)
    if n_fft % 2 == 0:
        twice -= power[:, :, -1].sum(1)
    return twice / n_fft


def _db(signal: np.ndarray, distortion: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(distortion == 0, np.inf, 10 * np.log10(signal / distortion))


def _any_silent(sources: np.ndarray) -> bool:
    """museval's rule: a source is silent where its channels add up to zero at every sample."""
    return bool((sources.sum(1) == 0).all(-1).any())
