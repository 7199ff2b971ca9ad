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
