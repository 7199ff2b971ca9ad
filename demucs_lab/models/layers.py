"""The layers that several models are made of (lessons 04, 05, 08 and 09).

First what every U-Net needs, then the layers of the two hybrid models: a strided convolution, two
narrow residual branches and a gate (arXiv:2111.03600, figures 2 and 3). The same layer serves both
branches: over frequencies of a spectrogram `[B, C, F, N]` of F rows and N frames, or over the
samples of a waveform `[B, C, T]`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ZERO_CROSSINGS, CUTOFF = 24, 0.945  # of the resampling filter; of the lower Nyquist frequency

# --- for every U-Net ------------------------------------------------------------------------------


def center_trim(x: Tensor, length: int) -> Tensor:
    """The middle `length` samples, `[..., T]` → `[..., length]`; an odd one goes at the end.

    A convolution without padding loses frames at both ends, so a skip connection that is longer
    than what it is added to is cut on both sides (lesson 04).

    >>> center_trim(torch.arange(6), 3)
    tensor([1, 2, 3])
    """
    extra = x.shape[-1] - length
    if extra < 0:
        raise ValueError(f"cannot trim {x.shape[-1]} samples to {length}")
    return x.narrow(-1, extra // 2, length)


@torch.no_grad()
def rescale_weights(model: nn.Module, reference: float = 0.1) -> None:
    """Bring the initial weights of every convolution nearer to a standard deviation (lesson 05).

    w ← w / √(std(w) / reference), and the bias by the same factor (arXiv:1911.13254, section 4.3).
    The square root goes half of the way, on a scale of dB: std(w) becomes √(std(w) · reference).
    """
    for conv in model.modules():
        if isinstance(conv, (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)):
            scale = (conv.weight.std() / reference) ** 0.5
            conv.weight /= scale
            if conv.bias is not None:
                conv.bias /= scale


class Blstm(nn.Module):
    """A bidirectional LSTM over time, and a linear layer back to its width: `[B, C, T]` → same."""

    def __init__(self, width: int, layers: int = 2) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, layers, bidirectional=True, batch_first=True)
        self.linear = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x, _ = self.lstm(x.transpose(1, 2))  # [B, T, 2C]: forward in time, and backward
        return self.linear(x).transpose(1, 2)  # [B, C, T]


def resample2(wav: Tensor, up: bool) -> Tensor:
    """Twice or half the rate, by a windowed sinc of 24 zero crossings (lesson 08).

    The filter is that of J. O. Smith's "Digital Audio Resampling", cut off at 0.945 of the lower
    Nyquist frequency, with the ends of the waveform held.

    Shape: `[..., T]` → `[..., 2 T]` or `[..., T // 2]`.
    """
    old, new = (1, 2) if up else (2, 1)
    kernels = sinc_kernels(old, new, wav)  # [new, taps], one for each output sample of a period
    margin = (kernels.shape[-1] - old) // 2
    padded = F.pad(wav.reshape(-1, 1, wav.shape[-1]), (margin, margin + old), mode="replicate")
    phases = F.conv1d(padded, kernels.unsqueeze(1), stride=old)  # [..., new, T / old + 1]
    length = wav.shape[-1] * new // old
    return phases.transpose(1, 2).flatten(1)[:, :length].reshape(*wav.shape[:-1], length)


def sinc_kernels(old: int, new: int, like: Tensor) -> Tensor:
    """Filters `[new, taps]` that turn each `old` samples into `new`.

    A signal below the Nyquist frequency is the sum of its samples, each times a sinc around it.
    Output i lies at i / new, so sample k, at k / old, counts with sinc((k / old − i / new) · rate):
    `rate`, just below the lower of the two, cuts off what the lower one cannot hold. A cosine
    window ends each sinc at its 24th zero, and the weights are scaled to a sum of one.
    """
    zeros, rate = ZERO_CROSSINGS, min(old, new) * CUTOFF
    margin = math.ceil(zeros * old / rate)
    position = torch.arange(-margin, margin + old, device=like.device, dtype=like.dtype) / old
    phase = torch.arange(new, device=like.device, dtype=like.dtype)[:, None] / new
    t = ((position - phase) * rate).clamp(-zeros, zeros)  # [new, taps]
    kernels = torch.sinc(t) * torch.cos(math.pi / 2 * t / zeros) ** 2
    return kernels / kernels.sum(-1, keepdim=True)


def standardize(x: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Zero mean and standard deviation 1 over `dims`, and the mean and deviation it had."""
    mean = x.mean(dims, keepdim=True)
    count = math.prod(x.shape[dim] for dim in dims)
    std = x.std(dims, correction=min(1, count - 1), keepdim=True)  # that of one value is 0
    return (x - mean) / (1e-5 + std), mean, std


# --- for the hybrid models ------------------------------------------------------------------------

Context = Callable[[int], tuple[nn.Module, nn.Module]]
"""Makes an LSTM and an attention for so many channels; HDemucs has them in its deepest layers."""


def to_channels(spec: Tensor) -> Tensor:
    """Complex as channels: `[B, C, F, N]` → real `[B, 2C, F, N]`, real and imaginary in turn."""
    return torch.view_as_real(spec).movedim(-1, 2).flatten(1, 2)


def from_channels(x: Tensor, sources: int) -> Tensor:
    """Back to complex spectrograms: real `[B, 2SC, F, N]` → `[B, S, C, F, N]`."""
    pairs = x.unflatten(1, (sources, -1, 2)).movedim(3, -1)  # [B, S, C, F, N, 2]
    return torch.view_as_complex(pairs.contiguous())


class FrequencyEmbedding(nn.Module):
    """Tells each row which frequency it is, `[B, C, F, N]` → the same.

    A convolution over frequency treats all rows alike; the drums' cymbals and the bass do not.
    """

    WEIGHT, SPEED = 0.2, 10.0  # how much it counts, and how much faster it learns

    def __init__(self, rows: int, channels: int) -> None:
        super().__init__()
        walk = torch.randn(rows, channels).cumsum(0)  # neighbours start alike
        steps = torch.arange(1, rows + 1).sqrt()[:, None]
        self.embedding = nn.Parameter(walk / steps / self.SPEED)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.WEIGHT * self.SPEED * self.embedding.T[..., None]


class HybridEncoderLayer(nn.Module):
    """Strided convolution, residual branches, gated mix of channels (figure 2, left).

    Args:
        chin, chout: channels in and out.
        over: the axis that the convolution strides over, "frequency" or "time".
        dconv: of the residual branches: how many times fewer channels, and their initial scale.
        kernel, stride, padding: of the convolution.
        context: what the residual branches hold besides.
        groups: of the group norms, for layers that have one row left; 0: no norm.

    Shape: `[B, chin, F, N]` → `[B, chout, F / stride, N]` over frequency,
        `[B, chin, T]` → `[B, chout, T / stride]` (rounded up) over time.
    """

    def __init__(
        self, chin: int, chout: int, over: str, dconv: tuple[int, float],
        kernel: int = 8, stride: int = 4, padding: int = 2,
        context: Context | None = None, groups: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.fill = stride if over == "time" else 1
        if over == "frequency":
            self.conv: nn.Module = nn.Conv2d(chin, chout, (kernel, 1), (stride, 1), (padding, 0))
        else:
            self.conv = nn.Conv1d(chin, chout, kernel, stride, padding)
        self.norm1 = nn.GroupNorm(groups, chout) if groups else nn.Identity()
        self.dconv = DConv(chout, *dconv, context)
        mix = nn.Conv2d if over == "frequency" else nn.Conv1d
        self.rewrite = mix(chout, 2 * chout, 1)
        self.norm2 = nn.GroupNorm(groups, 2 * chout) if groups else nn.Identity()

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """`other` is the other branch, added where the two meet."""
        x = self.conv(
            F.pad(x, (0, -x.shape[-1] % self.fill))
        )  # [B, chout, F/4, N]; [B, chout, T/4]
        if other is not None:
            x = x + other
        x = self.dconv(F.gelu(self.norm1(x)))  # the same
        return F.glu(self.norm2(self.rewrite(x)), 1)  # the same: 2 chout channels, half are gates


class HybridDecoderLayer(nn.Module):
    """Gated mix of neighbours, then a strided transposed convolution (figure 2, right).

    Args:
        last: give waveforms or spectrograms, with nothing after the transposed convolution.
        dconv: as in the encoder; None: no residual branches here.

    Shape: `[B, chin, F, N]` → `[B, chout, F · stride, N]` over frequency,
        `[B, chin, T]` → `[B, chout, length]` over time.
    """

    def __init__(
        self, chin: int, chout: int, over: str, last: bool, dconv: tuple[int, float] | None = None,
        kernel: int = 8, stride: int = 4, padding: int = 2,
        context: Context | None = None, groups: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.last, self.cut = last, padding
        neighbours = nn.Conv2d if over == "frequency" else nn.Conv1d
        self.rewrite = neighbours(chin, 2 * chin, 3, padding=1)
        self.norm1 = nn.GroupNorm(groups, 2 * chin) if groups else nn.Identity()
        self.dconv = DConv(chin, *dconv, context) if dconv else nn.Identity()
        if over == "frequency":
            self.conv_tr = transposed(
                nn.ConvTranspose2d(chin, chout, (kernel, 1), (stride, 1)), groups
            )
        else:
            self.conv_tr = transposed(nn.ConvTranspose1d(chin, chout, kernel, stride), groups)

    def forward(self, x: Tensor, skip: Tensor, length: int | None = None) -> tuple[Tensor, Tensor]:
        """The output, and what the other branch starts from where the two part.

        Over time the output has `length` frames, over frequency all rows between the edges.
        """
        y = F.glu(self.norm1(self.rewrite(x + skip)), 1)  # [B, chin, F, N]; [B, chin, T]
        y = self.dconv(y)  # the same
        x = self.conv_tr.norm(self.conv_tr(y))  # [B, chout, 4F + 4, N]; [B, chout, 4T + 4]
        if length is None:  # the edges that the encoder's padding had added go
            x = x[:, :, self.cut : x.shape[2] - self.cut]  # [B, chout, 4F, N]
        else:
            x = x[..., self.cut : self.cut + length]  # [B, chout, length]
        return x if self.last else F.gelu(x), y


def transposed(conv: Any, groups: int) -> Any:
    """A transposed convolution with the norm that follows it, under the names `conv_tr.norm.*`."""
    conv.norm = nn.GroupNorm(groups, conv.out_channels) if groups else nn.Identity()
    return conv


class DConv(nn.Module):
    """Two residual branches over time, narrow and dilated (figure 3).

    Rows of a spectrogram share the weights and know nothing of each other: each is a sequence of
    its own.

    Shape: `[B, C, F, N]` or `[B, C, T]` → the same.
    """

    def __init__(
        self, channels: int, compress: int, init: float, context: Context | None = None
    ) -> None:
        super().__init__()
        hidden = channels // compress
        self.layers = nn.ModuleList(
            ResidualBranch(channels, hidden, dilation, init, context) for dilation in (1, 2)
        )

    def forward(self, x: Tensor) -> Tensor:
        rows = x if x.dim() == 3 else x.transpose(1, 2).flatten(0, 1)  # [B F, C, N]
        for layer in self.layers:
            rows = layer(rows)
        return rows if x.dim() == 3 else rows.unflatten(0, (len(x), -1)).transpose(1, 2)


class ResidualBranch(nn.Module):
    """Fewer channels, a look around in time, more channels, gate, scale, add: `[R, C, T]`."""

    def __init__(
        self, channels: int, hidden: int, dilation: int, init: float, context: Context | None
    ) -> None:
        super().__init__()
        self.shrink = nn.Conv1d(channels, hidden, 3, padding=dilation, dilation=dilation)
        self.norm1 = nn.GroupNorm(1, hidden)
        self.lstm, self.attention = context(hidden) if context else (nn.Identity(), nn.Identity())
        self.widen = nn.Conv1d(hidden, 2 * channels, 1)
        self.norm2 = nn.GroupNorm(1, 2 * channels)
        self.scale = nn.Parameter(torch.full((channels,), init))

    def forward(self, x: Tensor) -> Tensor:
        y = F.gelu(self.norm1(self.shrink(x)))  # [R, hidden, T]
        y = self.attention(self.lstm(y))  # [R, hidden, T]
        y = F.glu(self.norm2(self.widen(y)), 1)  # [R, C, T]
        return x + self.scale[:, None] * y
