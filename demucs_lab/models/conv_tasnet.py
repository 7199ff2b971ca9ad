"""Conv-TasNet: a learned filterbank, masks from dilated convolutions, and a learned way back.

Luo & Mesgarani, "Conv-TasNet" (arXiv:1809.07454) for speech; its stereo version for music is that
of Défossez et al., "Music Source Separation in the Waveform Domain" (arXiv:1911.13254).

Tensors are `[B, K, channels]`, K frames: the channels of a frame lie side by side, so a 1×1
convolution is one matrix product (lesson 03).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demucs_lab.models.base import SOURCES, SeparationModel, rename, take_official
from demucs_lab.models.convolution import Pointwise
from demucs_lab.models.layers import full_precision

# The authors' names and ours, with the indices of repeat and block.
BLOCK = r"separator\.network\.2\.(\d+)\.(\d+)\.net\."
OFFICIAL_NAMES = (
    (r"encoder\.conv1d_U\.(.*)", r"encoder.\1"),
    (r"separator\.network\.0\.(.*)", r"input_norm.\1"),
    (r"separator\.network\.1\.(.*)", r"bottleneck.\1"),
    (BLOCK + r"0\.(.*)", r"repeats.\1.\2.expand.\3"),
    (BLOCK + r"1\.(.*)", r"repeats.\1.\2.prelu1.\3"),
    (BLOCK + r"2\.(.*)", r"repeats.\1.\2.norm1.\3"),
    (BLOCK + r"3\.net\.0\.(.*)", r"repeats.\1.\2.depthwise.\3"),
    (BLOCK + r"3\.net\.[12]\.(weight)", r"repeats.\1.\2.prelu2.\3"),
    (BLOCK + r"3\.net\.[23]\.(gamma|beta)", r"repeats.\1.\2.norm2.\3"),
    (BLOCK + r"3\.net\.[34]\.(weight)", r"repeats.\1.\2.project.\3"),
    (r"separator\.network\.3\.(.*)", r"masks.\1"),
    (r"decoder\.basis_signals\.(.*)", r"decoder.\1"),
)


class ConvTasNet(SeparationModel):
    """Conv-TasNet in its music setting (default) or, by `ConvTasNet.speech()`, as published.

    Args:
        sources, audio_channels, samplerate, segment: see `SeparationModel`.
        N: filters of the encoder.
        L: their length in samples, even; they hop by L / 2.
        B: channels between blocks.
        H: channels inside a block.
        P: taps of the dilated convolutions, odd.
        X: blocks per repeat, dilated by 1, 2, 4, … 2^(X-1).
        R: repeats.
        norm: "gLN" over frames and channels, or "cLN" over channels of each frame.
        causal: look at the past only; needs cLN, since gLN looks at every frame.
        skip_path: add up a second output of every block, as published; the music version does
            without, and without biases.
        mask: "relu" or "sigmoid".

    Shape: `[B, C, T]` → `[B, S, C, T]`.

    >>> ConvTasNet.tiny()(torch.zeros(1, 2, 1000)).shape
    torch.Size([1, 4, 2, 1000])
    """

    def __init__(
        self,
        sources: Sequence[str] = SOURCES,
        audio_channels: int = 2,
        samplerate: int = 44100,
        segment: float = 8.0,
        N: int = 256,
        L: int = 20,
        B: int = 256,
        H: int = 512,
        P: int = 3,
        X: int = 10,
        R: int = 4,
        norm: str = "gLN",
        causal: bool = False,
        skip_path: bool = False,
        mask: str = "relu",
    ) -> None:
        super().__init__(sources, audio_channels, samplerate, segment)
        if L % 2 or P % 2 == 0:
            raise ValueError(f"L must be even and P odd, got L={L} and P={P}")
        if norm not in NORMS or mask not in ("relu", "sigmoid"):
            raise ValueError(
                f'norm is "gLN" or "cLN" and mask is "relu" or "sigmoid", got {norm!r} and {mask!r}'
            )
        if causal and norm == "gLN":
            raise ValueError('a causal model cannot use gLN, which hears the future: norm="cLN"')
        self.N, self.L, self.B, self.H, self.P, self.X, self.R = N, L, B, H, P, X, R
        self.norm, self.causal, self.skip_path, self.mask = norm, causal, skip_path, mask

        self.encoder = nn.Linear(audio_channels * L, N, bias=False)
        self.input_norm = NORMS[norm if skip_path else "cLN"](N)
        self.bottleneck = Pointwise(N, B, bias=skip_path)
        last = (R - 1, X - 1)
        self.repeats = nn.ModuleList(
            nn.ModuleList(TemporalBlock(self, 2**x, last=(r, x) == last) for x in range(X))
            for r in range(R)
        )
        self.mask_prelu = nn.PReLU() if skip_path else nn.Identity()
        self.masks = Pointwise(B, len(self.sources) * N, bias=skip_path)
        self.decoder = nn.Linear(N, audio_channels * L, bias=False)
        if not skip_path:  # as the authors of the music version start
            for weight in (p for p in self.parameters() if p.dim() > 1):
                is_filterbank = weight is self.encoder.weight
                nn.init.xavier_normal_(weight.view(N, -1, L) if is_filterbank else weight)

    @classmethod
    def speech(cls, **kwargs: Any) -> Self:
        """The best setting of arXiv:1809.07454 (table 2): two speakers, mono, 8 kHz."""
        published = {
            "sources": ("speaker 1", "speaker 2"), "audio_channels": 1, "samplerate": 8000,
            "segment": 4.0, "N": 512, "L": 16, "B": 128, "X": 8, "R": 3, "skip_path": True,
        }  # fmt: skip
        return cls(**{**published, **kwargs})

    @classmethod
    def tiny(cls, **kwargs: Any) -> Self:
        """A model of 1.0 M parameters at 22.05 kHz that two CPU cores can train."""
        small = {
            "samplerate": 22050, "segment": 4.0, "N": 128, "B": 96, "H": 192, "X": 8, "R": 3,
        }  # fmt: skip
        return cls(**{**small, **kwargs})

    @property
    def receptive_field(self) -> int:
        """Samples that one output sample hears through convolutions (gLN's statistics hear all)."""
        frames = 1 + self.R * (self.P - 1) * (2**self.X - 1)
        return (frames + 2) * self.L // 2  # of the two frames that a sample lies in

    @property
    def receptive_field_seconds(self) -> float:
        """The same in seconds: 1.53 s for the speech setting (arXiv:1809.07454, table 2).

        >>> round(ConvTasNet(X=10).receptive_field_seconds, 2)
        1.86
        """
        return self.receptive_field / self.samplerate

    def forward(self, mix: Tensor) -> Tensor:
        self.check_mixture(mix)
        frames = self.encode(mix)  # [B, K, N]
        masks = self.estimate_masks(frames)  # [B, K, S, N]
        masked = masks * frames.unsqueeze(2)  # [B, K, S, N]
        return self.decode(masked, mix.shape[-1])  # [B, S, C, T]

    def encode(self, mix: Tensor) -> Tensor:
        """Each frame of L samples against each of the N filters: `[B, C, T]` → `[B, K, N]`."""
        hop = self.L // 2
        if self.skip_path:  # as published: every sample lies in two frames
            mix = F.pad(mix, (hop, hop + -mix.shape[-1] % hop))
        elif mix.shape[-1] < self.L:
            mix = F.pad(mix, (0, self.L - mix.shape[-1]))
        frames = mix.unfold(-1, self.L, hop)  # [B, C, K, L]
        frames = self.encoder(frames.transpose(1, 2).flatten(2))  # [B, K, N]
        return frames if self.skip_path else frames.relu()

    def estimate_masks(self, frames: Tensor) -> Tensor:
        """`[B, K, N]` → `[B, K, S, N]`."""
        x = self.bottleneck(self.input_norm(frames))  # [B, K, B]
        room = self.room(x)
        skips = torch.zeros_like(x) if self.skip_path else None
        for block in itertools.chain(*self.repeats):
            x, skips = block(x, skips, room)  # [B, K, B] twice
        x = self.mask_prelu(x if skips is None else skips)  # [B, K, B]
        masks = self.masks(x).unflatten(-1, (len(self.sources), self.N))  # [B, K, S, N]
        return masks.relu_() if self.mask == "relu" else masks.sigmoid_()

    def room(self, x: Tensor) -> Tensor | None:
        """Two wide tensors for all blocks to write into, `[2, B, K, H]`, if no gradient needs them.

        On a CPU, memory fresh from the system costs more time than what is computed in it.
        """
        if torch.is_grad_enabled() or not x.is_cpu or x.dtype != self.masks.weight.dtype:
            return None
        return x.new_empty(2, *x.shape[:2], self.H)

    def decode(self, masked: Tensor, length: int) -> Tensor:
        """Back to L samples per frame, overlapped and added: `[B, K, S, N]` → `[B, S, C, T]`."""
        frames = self.decoder(masked).unflatten(-1, (self.audio_channels, self.L))
        wav = overlap_add(frames.permute(0, 2, 3, 1, 4))  # [B, S, C, (K + 1) L / 2]
        start = self.L // 2 if self.skip_path else 0
        wav = wav[..., start : start + length]
        return F.pad(wav, (0, length - wav.shape[-1]))  # what filled no frame is silent

    def translate(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The authors' state dict under our names."""
        return rename(state, OFFICIAL_NAMES)

    @classmethod
    def from_official(cls, state: Mapping[str, Tensor], **kwargs: Any) -> Self:
        """The music model from the authors' weights and settings (demucs 2.0.3).

        Raises:
            ValueError: naming a setting or a weight that has no place here.
        """
        same = ("sources", "audio_channels", "samplerate", *"NLBHPXR", "causal")
        takes = {**{name: name for name in same}, "norm_type": "norm", "segment_length": "segment"}
        kwargs = {"X": 8, **kwargs}  # their default
        settings = take_official(kwargs, takes, fixed={"mask_nonlinear": "relu"})
        if "segment" in settings:  # theirs is in samples
            settings["segment"] /= settings.get("samplerate", 44100)
        return cls(**settings).load_official(state)


class TemporalBlock(nn.Module):
    """A residual block: wide 1×1, dilated depthwise convolution, narrow 1×1 (figure 1C).

    Shape: `[B, K, B]` → the same (what goes on) and the sum of the skip paths so far. Given `room`
    (see `ConvTasNet.room`), it writes there and over its inputs: each part writes into its `out`.
    """

    def __init__(self, model: ConvTasNet, dilation: int, last: bool) -> None:
        super().__init__()
        B, H, norm, bias = model.B, model.H, NORMS[model.norm], model.skip_path
        self.expand = Product(B, H, bias=bias)
        self.prelu1, self.norm1 = nn.PReLU(), norm(H)
        self.depthwise = Depthwise(H, model.P, dilation, model.causal, bias=bias)
        self.prelu2, self.norm2 = nn.PReLU(), norm(H)
        self.project = None if last and model.skip_path else Product(H, B, bias=bias)
        self.skip = Product(H, B, bias=bias) if model.skip_path else None

    def forward(
        self, x: Tensor, skips: Tensor | None = None, room: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        one, two = (None, None) if room is None else room
        y = self.expand(x, out=one)  # [B, K, H]
        y = self.norm1(y, self.prelu1.weight, out=one)
        y = self.depthwise(y, out=two)
        y = self.norm2(y, self.prelu2.weight, out=two)
        if self.skip:
            skips = self.skip(y, plus=skips, out=None if room is None else skips)  # [B, K, B]
        if self.project:
            x = self.project(y, plus=x, out=None if room is None else x)  # [B, K, B]
        return x, skips


class Product(Pointwise):
    """A 1×1 convolution, and the sum of its result with `plus`."""

    def forward(self, x: Tensor, plus: Tensor | None = None, out: Tensor | None = None) -> Tensor:
        rows, matrix = x.flatten(0, 1), self.weight[..., 0].T  # [B K, chin] and [chin, chout]
        into = None if out is None else out.flatten(0, 1)  # [B K, chout]
        multiply = torch.mm if plus is None else partial(torch.addmm, plus.flatten(0, 1))
        y = multiply(rows, matrix, out=into)
        return (y if self.bias is None else y.add_(self.bias)).unflatten(0, x.shape[:2])


class Depthwise(nn.Conv1d):
    """A dilated convolution of each channel by itself, `[B, K, H]` → `[B, K, H]`."""

    def __init__(self, channels: int, taps: int, dilation: int, causal: bool, bias: bool) -> None:
        super().__init__(channels, channels, taps, dilation=dilation, groups=channels, bias=bias)
        self.past = taps - 1 if causal else taps // 2  # taps before the frame itself

    def forward(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        if out is None:
            return self.in_rows(x)
        frames, taps = x.shape[1], self.weight[:, 0].T  # [P, H]
        torch.mul(x, taps[self.past], out=out)
        for i, tap in enumerate(taps):  # the other frames that it hears, moved to their places
            move = (i - self.past) * self.dilation[0]
            begin, end = max(0, -move), frames - max(0, move)  # outside is silence
            if move and begin < end:
                out[:, begin:end].addcmul_(x[:, begin + move : end + move], tap)
        return out if self.bias is None else out.add_(self.bias)

    def in_rows(self, x: Tensor) -> Tensor:
        """Written in rows of `dilation` frames, the frames that a filter meets form a column."""
        frames, width = x.shape[1], self.dilation[0]
        rows = F.pad(x, (0, 0, 0, -frames % width)).unflatten(1, (-1, width))  # [B, K/d, d, H]
        image, taps = rows.permute(0, 3, 1, 2), self.weight.unsqueeze(-1)  # [B, H, K/d, d]
        y = F.conv2d(image, taps, self.bias, padding=(self.past, 0), groups=len(taps))
        return y.permute(0, 2, 3, 1).flatten(1, 2)[:, :frames]


class Norm(nn.Module):
    """With one gamma and one beta per channel; after a PReLU, where its slope is given."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))


class GlobalNorm(Norm):
    """gLN: one mean and one deviation over all frames and channels (arXiv:1809.07454, eq. 9)."""

    def forward(self, x: Tensor, slope: Tensor | None = None, out: Tensor | None = None) -> Tensor:
        slope = x.new_ones(1) if slope is None else slope
        with full_precision(x):
            return PreluNorm.apply(x.to(self.gamma.dtype), slope, self.gamma, self.beta, out)


class PreluNorm(torch.autograd.Function):
    """gLN(PReLU(x)): on the way back both are made again from x, the only tensor that is kept."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, slope: Tensor, gamma: Tensor, beta: Tensor, out: Tensor | None
    ) -> Tensor:
        y = F.prelu(x, slope) if out is None else F.leaky_relu_(out.copy_(x), slope.item())
        mean = y.mean((1, 2), keepdim=True)  # [B, 1, 1]
        y.sub_(mean)  # before it is squared: a large mean would drown the deviations
        energy = torch.linalg.vector_norm(y, dim=2).square().mean(1) / y.shape[2]  # [B]
        scale = (energy + EPS).rsqrt().view(-1, 1, 1)
        ctx.save_for_backward(x, slope, gamma, mean, scale)
        return torch.addcmul(beta, y, gamma * scale, out=y)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, slope, gamma, mean, scale = ctx.saved_tensors
        y = F.prelu(x, slope).sub_(mean).mul_(scale)  # normed, before gamma and beta
        t = grad * y  # and later, in the same memory, whatever is of its size
        beta_grad, gamma_grad = sums = grad.sum(1), t.sum(1)  # [B, H]
        # Of gamma · grad, a norm stops the mean and what lies along y.
        shift, along = (-scale / y[0].numel() * (v @ gamma).view(-1, 1, 1) for v in sums)
        torch.addcmul(shift, y, along, out=y).addcmul_(grad, gamma * scale)
        slope_grad = torch.dot(y.flatten(), torch.clamp(x, max=0, out=t).flatten()).view(1)
        x_grad = torch.gt(x, 0, out=t).mul_(1 - slope).add_(slope).mul_(y)  # y times 1 or slope
        return x_grad, slope_grad, gamma_grad.sum(0), beta_grad.sum(0), None


class ChannelNorm(Norm):
    """cLN: mean and deviation over the channels of each frame, as causal models need."""

    def forward(self, x: Tensor, slope: Tensor | None = None, out: Tensor | None = None) -> Tensor:
        y = x if slope is None else F.prelu(x, slope)
        y = F.layer_norm(y, x.shape[-1:], self.gamma, self.beta, EPS)
        return y if out is None else out.copy_(y)


EPS = 1e-8
NORMS: dict[str, type[nn.Module]] = {"gLN": GlobalNorm, "cLN": ChannelNorm}


def overlap_add(frames: Tensor) -> Tensor:
    """Frames that overlap by half, added up: `[..., K, L]` → `[..., (K + 1) L / 2]`.

    >>> overlap_add(torch.ones(3, 4))
    tensor([1., 1., 2., 2., 2., 2., 1., 1.])
    """
    first, second = frames.chunk(2, dim=-1)  # [..., K, L/2] twice
    return (F.pad(first, (0, 0, 0, 1)) + F.pad(second, (0, 0, 1, 0))).flatten(-2)
