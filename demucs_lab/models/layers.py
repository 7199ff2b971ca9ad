"""The small parts that several models are made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demucs_lab.models.convolution import Pointwise

EPS = 1e-5  # added to variances, as in all norms of PyTorch
ZERO_CROSSINGS, CUTOFF = 24, 0.945  # of the filter that resamples, of the lower Nyquist frequency
PART = 256  # frames whose squares are added up at once: longer sums in float32 lose digits


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

    def of(self, mix: Pointwise, x: Tensor) -> Tensor:
        """`self(mix(x))` in one pass: `mix` makes many channels of few (lesson 09).

        Mean and variance of W x + b are known from those of x, without computing W x + b:
        its channels have the means W m + b, and the variances diag(W Cov Wᵀ) around them. So norm
        and mix are one matrix product, whose weights differ from one R to the next.
        """
        weight, bias = mix.weight[..., 0], mix.bias  # [C, few], [C]
        assert bias is not None
        with full_precision(x):
            x = x.to(weight.dtype)
            mean = x.mean(1, keepdim=True)  # [R, 1, few]
            parts = F.pad(x - mean, (0, 0, 0, -x.shape[1] % PART)).unflatten(1, (-1, PART))
            cov = (parts.transpose(2, 3) @ parts).sum(1) / x.shape[1]  # [R, few, few]
            means = F.linear(mean, weight, bias)  # [R, 1, C], over time
            overall = means.mean(-1, keepdim=True)
            within = ((weight @ cov) * weight).sum((1, 2), keepdim=True) / len(weight)
            variance = within + (means - overall).square().mean(-1, keepdim=True)  # [R, 1, 1]
            gain = self.weight * (variance + EPS).rsqrt()  # [R, 1, C]
            shift = gain * (bias - overall) + self.bias
        return torch.baddbmm(shift, x, gain * weight.T)  # [R, T, C]


def in_parts(layer: Callable[[Tensor], Tensor], x: Tensor, at_once: int) -> Tensor:
    """What a layer makes of a batch `[B, …]`, of `at_once` at a time."""
    done = [layer(some) for some in x.split(at_once)]
    return torch.cat(done) if len(done) > 1 else done[0]


def one_by_one(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """What a layer makes of each of a batch `[B, …]`, in the memory that one of them takes.

    On a CPU and without gradients that is as fast as all at once; else it is all at once.
    """
    return in_parts(layer, x, 1 if x.is_cpu and not torch.is_grad_enabled() else len(x))


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Matrix products of the precision of their factors, also within `torch.autocast`."""
    kind = x.device.type
    known = torch.amp.is_autocast_available(kind)
    return torch.autocast(kind, enabled=False) if known else nullcontext()


def center_trim(wav: Tensor, length: int, dim: int = -1) -> Tensor:
    """The middle `length` samples; an odd one too many is cut at the end (lesson 04).

    >>> center_trim(torch.arange(6), 3)
    tensor([1, 2, 3])
    """
    extra = wav.shape[dim] - length
    if extra < 0:
        raise ValueError(f"cannot trim {wav.shape[dim]} samples to {length}")
    return wav.narrow(dim, extra // 2, length)


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
    length = wav.shape[-1] * new // old
    answers = slide(padded.squeeze(1), kernels, stride=old)[:, :length]
    return answers.reshape(*wav.shape[:-1], length)


def slide(wav: Tensor, kernels: Tensor, stride: int, at_once: int = 32) -> Tensor:
    """Filters at every `stride`-th sample: `[B, T]` and `[K, taps]` → `[B, K · places]`.

    A convolution of one channel, as one matrix product for `at_once` places: each column of the
    matrix holds a filter, `stride` samples further down from place to place. Most of it is zeros,
    and still it is some four times faster than to filter place by place.
    """
    K, taps = kernels.shape
    places = (wav.shape[-1] - taps) // stride + 1
    matrix = kernels.new_zeros(at_once, K, (at_once - 1) * stride + taps)
    for i in range(at_once):
        matrix[i, :, i * stride : i * stride + taps] = kernels
    blocks = -(-places // at_once)
    missing = ((blocks - 1) * stride * at_once + matrix.shape[-1]) - wav.shape[-1]
    windows = F.pad(wav, (0, max(0, missing))).unfold(-1, matrix.shape[-1], stride * at_once)
    answers = windows[:, :blocks] @ matrix.flatten(0, 1).T  # [B, blocks, at_once · K]
    return answers.flatten(1)[:, : places * K]


def _sinc_kernels(old: int, new: int, like: Tensor) -> Tensor:
    zeros, rate = ZERO_CROSSINGS, min(old, new) * CUTOFF
    margin = math.ceil(zeros * old / rate)
    position = torch.arange(-margin, margin + old, device=like.device, dtype=like.dtype) / old
    phase = torch.arange(new, device=like.device, dtype=like.dtype)[:, None] / new
    t = ((position - phase) * rate).clamp(-zeros, zeros) * math.pi  # [new, taps]
    kernels = torch.sinc(t / math.pi) * torch.cos(t / zeros / 2) ** 2
    return kernels / kernels.sum(-1, keepdim=True)
