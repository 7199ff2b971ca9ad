"""The small parts that several models are made of."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Pointwise(nn.Conv1d):
    """A 1×1 convolution of channels-last tensors: the same matrix at every place.

    Shape: `[..., chin]` → `[..., chout]`.
    """

    def __init__(self, chin: int, chout: int, bias: bool = True) -> None:
        super().__init__(chin, chout, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight[..., 0], self.bias)


class OverallNorm(nn.Module):
    """Group norm of one group: one mean and one deviation over time and channels.

    Shape: `[R, T, C]` → the same, each R by itself.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.bias, F.layer_norm(x, x.shape[1:]), self.weight)


def center_trim(wav: Tensor, length: int) -> Tensor:
    """The middle `length` samples; an odd one too many is cut at the end (lesson 04).

    >>> center_trim(torch.arange(6), 3)
    tensor([1, 2, 3])
    """
    extra = wav.shape[-1] - length
    if extra < 0:
        raise ValueError(f"cannot trim {wav.shape[-1]} samples to {length}")
    return wav[..., extra // 2 : extra // 2 + length]


def deviation(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Standard deviation over `dims`, which stay as ones; that of a single value is 0."""
    count = math.prod(x.shape[dim] for dim in dims)
    return x.std(dims, correction=min(1, count - 1), keepdim=True)


@torch.no_grad()
def rescale_weights(model: nn.Module, reference: float = 0.1) -> None:
    """Bring every convolution's initial weights nearer to the deviation `reference` (lesson 05).

    w ← w / √(std(w) / reference), and the bias by the same factor (arXiv:1911.13254, section 4.3).
    """
    for conv in model.modules():
        if isinstance(conv, (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)):
            scale = (conv.weight.std() / reference) ** 0.5
            conv.weight /= scale
            if conv.bias is not None:
                conv.bias /= scale


class Blstm(nn.Module):
    """A bidirectional LSTM and a linear layer back to its width, `[B, T, C]` → `[B, T, C]`."""

    def __init__(self, width: int, layers: int = 2) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, layers, bidirectional=True, batch_first=True)
        self.linear = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.lstm(x)[0])


def resample2(wav: Tensor, up: bool) -> Tensor:
    """Twice or half the rate, by a windowed sinc of 24 zero crossings (lesson 08).

    The filter is that of J. O. Smith's "Digital Audio Resampling", cut off at 0.945 of the lower
    Nyquist frequency, with the ends of the waveform held.

    Shape: `[..., T]` → `[..., 2 T]` or `[..., T // 2]`.
    """
    old, new = (1, 2) if up else (2, 1)
    kernels = _sinc_kernels(old, new, wav)  # [new, taps]
    margin = (kernels.shape[-1] - old) // 2
    padded = F.pad(wav.reshape(-1, 1, wav.shape[-1]), (margin, margin + old), mode="replicate")
    phases = F.conv1d(padded, kernels.unsqueeze(1), stride=old)  # […, new, T / old]
    length = wav.shape[-1] * new // old
    return phases.transpose(1, 2).flatten(1)[:, :length].reshape(*wav.shape[:-1], length)


def _sinc_kernels(old: int, new: int, like: Tensor, zeros: int = 24) -> Tensor:
    rate = min(old, new) * 0.945
    margin = math.ceil(zeros * old / rate)
    position = torch.arange(-margin, margin + old, device=like.device, dtype=like.dtype) / old
    phase = torch.arange(new, device=like.device, dtype=like.dtype)[:, None] / new
    t = ((position - phase) * rate).clamp(-zeros, zeros) * math.pi  # [new, taps]
    kernels = torch.sinc(t / math.pi) * torch.cos(t / zeros / 2) ** 2
    return kernels / kernels.sum(-1, keepdim=True)
