"""BSSEval v4 in matrix form: the arithmetic behind `metrics.bss_eval`.

museval computes the same decomposition in the time domain. Here correlations are computed only at
the lags that are needed, one Cholesky factor serves every estimate, and the energies are summed in
the frequency domain (Parseval), so no projected signal is ever built.

S sources of C channels are P = S·C reference signals, numbered source by source.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
import scipy.linalg
import scipy.linalg.lapack

FILTER_LENGTH = 512
_BLOCK = 4096  # samples per FFT of the correlations: small enough for the processor's cache
_BLOCKS_AT_ONCE = 8


def decompose(references: np.ndarray, estimates: np.ndarray, window: int, hop: int) -> np.ndarray:
    """SDR, ISR, SIR and SAR of each source in each window.

    Args:
        references: float64 `[S, C, T]`.
        estimates: of K systems, `[K, S, C, T]`.
        window, hop: in samples.

    Returns:
        `[K, 4, S, windows]` in dB; NaN in a window where any source is silent.
    """
    filters = zip(*_filters(references, estimates), strict=True)
    scores = [
        _in_windows(references, guess, *own, window, hop)
        for guess, own in zip(estimates, filters, strict=True)
    ]
    return np.stack(scores)


def _in_windows(
    references: np.ndarray,
    estimates: np.ndarray,
    spatial: np.ndarray,
    joint: np.ndarray,
    window: int,
    hop: int,
) -> np.ndarray:
    """The scores of one system, `[4, S, windows]`, from the filters of `_filters`."""
    n_sources, n_channels, length = references.shape
    window = min(window, length)
    n_fft = 2 * scipy.fft.next_fast_len((window + FILTER_LENGTH) // 2, real=True)  # even
    spatial = scipy.fft.rfft(spatial, n_fft)  # [S, C, C, F]
    joint = scipy.fft.rfft(joint, n_fft)  # [S, C, P, F]

    n_windows = (length - window) // hop + 1
    scores = np.full((4, n_sources, n_windows), np.nan)
    for index in range(n_windows):
        cut = slice(index * hop, index * hop + window)
        reference, estimate = references[:, :, cut], estimates[:, :, cut]
        if _any_silent(reference) or _any_silent(estimate):
            continue
        true = scipy.fft.rfft(reference, n_fft)  # [S, C, F]
        guess = scipy.fft.rfft(estimate, n_fft)
        filtered = sum(spatial[:, :, c] * true[:, None, c] for c in range(n_channels))
        signals = true.reshape(-1, true.shape[-1])
        explained = sum(joint[:, :, p] * signals[p] for p in range(len(signals)))
        clean = _energy(true)
        scores[0, :, index] = _db(clean, _energy(guess - true))
        scores[1, :, index] = _db(clean, _energy(filtered - true))
        scores[2, :, index] = _db(_energy(filtered), _energy(explained - filtered))
        scores[3, :, index] = _db(_energy(explained), _energy(guess - explained))
    return scores


def _filters(references: np.ndarray, estimates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least-squares filters over the whole song, from references to each estimated channel.

    Returns:
        For each of K systems `[S, C, C, taps]` from the channels of the true source alone (what it
        explains is the source, spatially distorted), and `[S, C, P, taps]` from all references
        together (what these add is interference).
    """
    n_systems, n_sources, n_channels, _ = estimates.shape
    n_signals = n_sources * n_channels
    among, across = _correlations(references, estimates)
    joint = _solve(among, across).reshape(n_systems, n_sources, n_channels, n_signals, -1)
    across = across.reshape(n_signals, n_systems, n_sources, n_channels, -1)
    spatial = np.empty((n_systems, n_sources, n_channels, n_channels, FILTER_LENGTH))
    for source in range(n_sources):
        own = slice(source * n_channels, (source + 1) * n_channels)
        targets = across[own, :, source].reshape(n_channels, -1, FILTER_LENGTH)
        solved = _solve(among[own, own], targets)
        spatial[:, source] = solved.reshape(n_systems, n_channels, n_channels, -1)
    return spatial, joint


def _correlations(references: np.ndarray, estimates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correlations Σ_t x_p[t] · y_q[t + k] of the references x_p with y_q.

    The references are cut into blocks; each meets the stretch of every signal around it.

    Returns:
        With y_q the references, `[P, P, 2 taps - 1]`, lag k at index taps − 1 + k; with y_q the
        estimates, `[P, K·P, taps]`, lag k at index k.
    """
    length = references.shape[-1]
    references, estimates = references.reshape(-1, length), estimates.reshape(-1, length)
    n_signals, n_all = len(references), len(references) + len(estimates)
    margin = FILTER_LENGTH - 1
    step = _BLOCK - 2 * margin
    starts = range(0, length, step)
    total = np.zeros((_BLOCK // 2 + 1, n_signals, n_all), complex)
    for first in range(0, len(starts), _BLOCKS_AT_ONCE):
        group = starts[first : first + _BLOCKS_AT_ONCE]
        around = np.zeros((n_all, len(group), _BLOCK))
        for i, start in enumerate(group):
            begin, end = max(start - margin, 0), min(start + step + margin, length)
            to = slice(begin - start + margin, end - start + margin)
            around[:n_signals, i, to] = references[:, begin:end]
            around[n_signals:, i, to] = estimates[:, begin:end]
        within = around[:n_signals, :, margin : margin + step]
        x = scipy.fft.rfft(within, _BLOCK).conj()  # [P, blocks, F]
        y = scipy.fft.rfft(around)  # [P + K·P, blocks, F]
        total += np.ascontiguousarray(x.transpose(2, 0, 1)) @ y.transpose(2, 1, 0)
    # A stretch starts `margin` samples before its block, so lag −margin has index 0.
    lagged = scipy.fft.irfft(total, axis=0)[: 2 * margin + 1].transpose(1, 2, 0)
    return lagged[:, :n_signals], lagged[:, n_signals:, margin:]


def _solve(among: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Filters `[Q, P, taps]` that bring P references nearest to Q signals.

    Normal equations, by Cholesky where the references allow it. References that are copies of
    each other (a mono stem in stereo) make them singular. Pivoting then finds as many independent
    delayed references as there are, and only those are used: what the filters explain is the same
    whichever are chosen. A panned mono stem is a copy but for float32's rounding; museval solves
    for filters of that rounding too and loses all digits (ISR and SIR off by tens of dB).

    Args:
        among: correlations between the references, `[P, P, 2 taps - 1]`.
        across: of the references with the signals, `[P, Q, taps]`.
    """
    n_signals, n_targets, taps = across.shape
    targets = across.transpose(0, 2, 1).reshape(n_signals * taps, n_targets)
    factor, info = scipy.linalg.lapack.dpotrf(_gram(among), overwrite_a=True, clean=False)
    kept = np.arange(len(factor))
    if info > 0:  # not positive definite
        factor, order, rank, _ = scipy.linalg.lapack.dpstrf(_gram(among))
        factor, kept = factor[:rank, :rank], order[:rank] - 1
    filters = np.zeros_like(targets)
    filters[kept] = scipy.linalg.cho_solve((factor, False), targets[kept], check_finite=False)
    return filters.T.reshape(n_targets, n_signals, taps)


def _gram(among: np.ndarray) -> np.ndarray:
    """Inner products of all delayed references, `[P·taps, P·taps]`, in LAPACK's order.

    Row (p, i) and column (q, j) hold the correlation of p with q at lag i − j. As in museval, the
    smallest number that changes 1 is added to the diagonal.
    """
    n_signals, taps = len(among), FILTER_LENGTH
    lag = taps - 1 + np.arange(taps)[:, None] - np.arange(taps)[None, :]
    size = n_signals * taps
    gram = among[:, :, lag].transpose(0, 2, 1, 3).reshape(size, size)
    gram.flat[:: size + 1] += np.finfo(float).eps
    return gram.T  # the same matrix, for it is symmetric: columns now lie together


def _energy(spectrum: np.ndarray) -> np.ndarray:
    """Σ x² over channels and samples, but for a constant factor, `[S]`.

    Args:
        spectrum: of real signals, `[S, C, F]`: the bins of negative frequency are left out, so
            all others but the first and the last count twice.
    """
    ends = np.abs(spectrum[:, :, [0, -1]]) ** 2
    return np.array([2 * np.vdot(x, x).real for x in spectrum]) - ends.sum((1, 2))


def _db(signal: np.ndarray, distortion: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(distortion == 0, np.inf, 10 * np.log10(signal / distortion))


def _any_silent(sources: np.ndarray) -> bool:
    """museval's rule: a source is silent where its channels add up to zero at every sample."""
    return bool((sources.sum(1) == 0).all(-1).any())
