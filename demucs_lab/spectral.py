"""One short-time Fourier transform, and its exact inverse (lesson 02).

Every spectrogram in the kit follows this convention: periodic Hann window of `n_fft` samples, hop
`n_fft // 4` unless said otherwise, frames centred on multiples of the hop, silence beyond both
ends. A waveform of any length ≥ 1 comes back to within float precision.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def stft(wav: Tensor, n_fft: int = 4096, hop: int | None = None) -> Tensor:
    """Complex spectrogram of a waveform (lesson 02).

    Args:
        wav: real `[..., T]`, T ≥ 1; half precision is raised to float32.
        n_fft: window length in samples, even.
        hop: distance between frames in samples, at most `n_fft // 2`; None is `n_fft // 4`.

    Returns:
        `[..., F, N]`: F = n_fft / 2 + 1 frequency bins, N = ⌈T / hop⌉ + 1 frames. Bin f lies at
        f · samplerate / n_fft hertz, frame n at n · hop / samplerate seconds.

    Raises:
        ValueError: if `wav` is empty or not real, or `n_fft` and `hop` do not fit together.

    >>> stft(torch.zeros(2, 44100)).shape
    torch.Size([2, 2049, 45])
    """
    hop = _check_sizes(n_fft, hop)
    if not wav.is_floating_point():
        raise ValueError(f"expected a real floating-point waveform, got {wav.dtype}")
    if wav.dtype in (torch.float16, torch.bfloat16):
        wav = wav.float()
    if wav.dim() == 0 or wav.numel() == 0:
        raise ValueError(
            f"expected a waveform [..., T] of at least one sample, got shape {list(wav.shape)}"
        )
    length = wav.shape[-1]
    to_whole_hops = -length % hop
    padded = F.pad(wav.reshape(-1, length), (n_fft // 2, n_fft // 2 + to_whole_hops))
    window = torch.hann_window(n_fft, dtype=wav.dtype, device=wav.device)
    spec = torch.stft(padded, n_fft, hop, window=window, center=False, return_complex=True)
    return spec.reshape(*wav.shape[:-1], *spec.shape[-2:])


def istft(spec: Tensor, length: int, n_fft: int | None = None, hop: int | None = None) -> Tensor:
    """The waveform whose `stft` is nearest to `spec` in least squares (Griffin & Lim 1984, eq. 6).

    Args:
        spec: complex `[..., F, N]`, as `stft` gives.
        length: number of samples T of the waveform.
        n_fft: None derives it from F.
        hop: the hop that `stft` was called with.

    Returns:
        `[..., T]`.

    Raises:
        ValueError: if `spec` has not the frames and bins of a waveform of this length.

    >>> wav = torch.randn(2, 12345)
    >>> bool((istft(stft(wav), 12345) - wav).abs().max() < 2e-6)
    True
    """
    if not spec.is_complex():
        raise ValueError(f"expected a complex spectrogram [..., F, N], got {spec.dtype}")
    bins, frames = spec.shape[-2:]
    n_fft = 2 * (bins - 1) if n_fft is None else n_fft
    hop = _check_sizes(n_fft, hop)
    expected = [n_fft // 2 + 1, -(-length // hop) + 1]
    if [bins, frames] != expected:
        raise ValueError(
            f"a waveform of {length} samples has a spectrogram [..., {expected[0]}, {expected[1]}] "
            f"with n_fft={n_fft} and hop={hop}, got [..., {bins}, {frames}]"
        )
    window = torch.hann_window(n_fft, dtype=spec.real.dtype, device=spec.device)
    wav = torch.istft(
        spec.reshape(-1, bins, frames), n_fft, hop, window=window, center=True, length=length
    )
    return wav.reshape(*spec.shape[:-2], length)


def _check_sizes(n_fft: int, hop: int | None) -> int:
    if n_fft < 4 or n_fft % 2:
        raise ValueError(f"n_fft must be an even number of samples, at least 4, got {n_fft}")
    hop = n_fft // 4 if hop is None else hop
    if not 1 <= hop <= n_fft // 2:
        raise ValueError(
            f"hop must lie between 1 and n_fft // 2 = {n_fft // 2} for the windows to cover every "
            f"sample, got {hop}"
        )
    return hop


def aligned_stft(wav: Tensor, n_fft: int = 4096) -> Tensor:
    """Complex spectrogram with exactly ⌈T / hop⌉ frames, as hybrid models want it (lesson 09).

    Frame n covers the hop n · hop … (n + 1) · hop in its middle, so that it stands beside the
    samples that a strided convolution of the same hop sees. The ends are mirrored, the bin at the
    Nyquist frequency is left out, and the transform is unitary (divided by √n_fft): Défossez,
    arXiv:2111.03600, section 3.1. The hop is `n_fft // 4`.

    Args:
        wav: real `[..., T]`, T ≥ 1, float32 or float64.
        n_fft: window length in samples, a multiple of 8.

    Returns:
        Complex `[..., n_fft / 2, ⌈T / hop⌉]`. Bin f lies at f · samplerate / n_fft hertz, the
        middle of frame n at (n + ½) · hop / samplerate seconds.

    >>> aligned_stft(torch.zeros(2, 44100)).shape
    torch.Size([2, 2048, 44])
    """
    hop, length = n_fft // 4, wav.shape[-1]
    side = n_fft // 2 - hop // 2
    padded = _mirror(wav.reshape(-1, length), side, side + -length % hop)
    window = torch.hann_window(n_fft, dtype=wav.dtype, device=wav.device)
    spec = torch.stft(
        padded, n_fft, hop, window=window, center=False, normalized=True, return_complex=True
    )
    return spec[:, :-1].reshape(*wav.shape[:-1], n_fft // 2, -1)


def aligned_istft(spec: Tensor, length: int) -> Tensor:
    """The waveform of an `aligned_stft` (lesson 09).

    Args:
        spec: complex `[..., n_fft / 2, N]`, of N = ⌈T / hop⌉ frames.
        length: number of samples T of the waveform.

    Returns:
        `[..., T]`. Near both ends, where fewer than four frames overlap, it is too quiet.

    >>> wav = torch.arange(12345).div(20).sin()
    >>> inside = slice(2048, -2048)  # fewer frames overlap near the ends
    >>> bool((aligned_istft(aligned_stft(wav), 12345) - wav)[inside].abs().max() < 1e-5)
    True
    """
    bins, hop = spec.shape[-2], spec.shape[-2] // 2
    with_nyquist = F.pad(spec.transpose(-1, -2), (0, 1))  # [..., N, n_fft / 2 + 1]
    frames = torch.fft.irfft(with_nyquist, norm="ortho")
    window = torch.hann_window(2 * bins, dtype=frames.dtype, device=frames.device)
    window = window / 1.5  # four squared windows sum to 1.5
    quarters = (frames * window).unflatten(-1, (4, hop))  # [..., N, 4, hop]
    added = F.pad(quarters[..., 0, :], (0, 0, 0, 3))  # [..., N + 3, hop]
    for i in range(1, 4):
        added[..., i : i + quarters.shape[-3], :] += quarters[..., i, :]
    start = bins - hop // 2
    return added.flatten(-2)[..., start : start + length]


def _mirror(wav: Tensor, left: int, right: int) -> Tensor:
    """Mirror both ends `[B, T]`; a waveform too short for that is first lengthened by silence."""
    lacking = max(0, max(left, right) - wav.shape[-1] + 1)
    silence_right = min(right, lacking)
    silence_left = lacking - silence_right
    wav = F.pad(wav, (silence_left, silence_right))
    return F.pad(wav, (left - silence_left, right - silence_right), mode="reflect")
