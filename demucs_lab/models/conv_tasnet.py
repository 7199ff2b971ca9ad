"""Conv-TasNet: a learned filterbank, masks from dilated convolutions, and a learned decoder.

Luo & Mesgarani, "Conv-TasNet" (arXiv:1809.07454) for speech; its stereo version for music is that
of Défossez et al., "Music Source Separation in the Waveform Domain" (arXiv:1911.13254).

The letters are the paper's: N filters of L samples, B channels between blocks and H inside, P taps,
X blocks in each of R repeats, K frames (lesson 03). Shapes write the batch as `b` and the sources
and audio channels as S and C.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demucs_lab.models.base import SOURCES, SeparationModel

EPS = 1e-8  # added to variances, as in both papers' code


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

    Shape: `[b, C, T]` → `[b, S, C, T]`, for any T.

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

        self.encoder = nn.Conv1d(audio_channels, N, L, stride=L // 2, bias=False)
        self.input_norm = NORMS[norm if skip_path else "cLN"](N)
        self.bottleneck = nn.Conv1d(N, B, 1, bias=skip_path)
        last = (R - 1, X - 1)
        self.repeats = nn.ModuleList(
            nn.ModuleList(TemporalBlock(self, 2**x, last=(r, x) == last) for x in range(X))
            for r in range(R)
        )
        self.mask_prelu = nn.PReLU() if skip_path else nn.Identity()
        self.masks = nn.Conv1d(B, len(self.sources) * N, 1, bias=skip_path)
        self.decoder = nn.Linear(N, audio_channels * L, bias=False)  # its columns: basis signals
        if not skip_path:  # as the authors of the music version start
            for weight in (p for p in self.parameters() if p.dim() > 1):
                nn.init.xavier_normal_(weight)

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
        frames = self.encode(mix)  # [b, N, K]
        masks = self.estimate_masks(frames)  # [b, S, N, K]
        masked = masks * frames.unsqueeze(1)  # [b, S, N, K]
        return self.decode(masked, mix.shape[-1])  # [b, S, C, T]

    def encode(self, mix: Tensor) -> Tensor:
        """Each frame of L samples against each of the N filters: `[b, C, T]` → `[b, N, K]`."""
        hop = self.L // 2
        if self.skip_path:  # as published: every sample lies in two frames
            mix = F.pad(mix, (hop, hop + -mix.shape[-1] % hop))
        elif mix.shape[-1] < self.L:
            mix = F.pad(mix, (0, self.L - mix.shape[-1]))
        frames = self.encoder(mix)  # [b, N, K]
        return frames if self.skip_path else frames.relu()

    def estimate_masks(self, frames: Tensor) -> Tensor:
        """`[b, N, K]` → `[b, S, N, K]` (figure 1B)."""
        x = self.bottleneck(self.input_norm(frames))  # [b, B, K]
        skips = torch.zeros_like(x)
        for block in itertools.chain(*self.repeats):
            x, skip = block(x)  # [b, B, K] twice
            skips = skips if skip is None else skips + skip
        x = self.masks(self.mask_prelu(skips if self.skip_path else x))  # [b, S N, K]
        masks = x.relu() if self.mask == "relu" else x.sigmoid()
        return masks.unflatten(1, (len(self.sources), self.N))

    def decode(self, masked: Tensor, length: int) -> Tensor:
        """Back to L samples per frame, overlapped and added: `[b, S, N, K]` → `[b, S, C, T]`."""
        frames = self.decoder(masked.transpose(2, 3))  # [b, S, K, C L]
        frames = frames.unflatten(-1, (self.audio_channels, self.L)).transpose(2, 3)
        wav = overlap_add(frames)  # [b, S, C, (K + 1) L / 2]
        start = self.L // 2 if self.skip_path else 0
        wav = wav[..., start : start + length]
        return F.pad(wav, (0, length - wav.shape[-1]))  # what filled no frame is silent


class TemporalBlock(nn.Module):
    """A residual block: wide 1×1, dilated depthwise convolution, narrow 1×1 (figure 1C).

    A depthwise convolution filters each channel by itself, so P taps cost P products for each
    value, where a full convolution costs P H; the 1×1 convolutions around it mix the channels.

    Shape: `[b, B, K]` → what goes on to the next block, and the skip path's output (None without),
        both the same shape.
    """

    def __init__(self, model: ConvTasNet, dilation: int, last: bool) -> None:
        super().__init__()
        B, H, norm, bias = model.B, model.H, NORMS[model.norm], model.skip_path
        around = (model.P - 1) * dilation  # frames besides its own that a filter spans
        self.expand = nn.Conv1d(B, H, 1, bias=bias)
        self.prelu1, self.norm1 = nn.PReLU(), norm(H)
        self.depthwise = nn.Conv1d(H, H, model.P, dilation=dilation, groups=H, bias=bias)
        self.padding = (around, 0) if model.causal else (around // 2, around // 2)
        self.prelu2, self.norm2 = nn.PReLU(), norm(H)
        self.project = None if last and model.skip_path else nn.Conv1d(H, B, 1, bias=bias)
        self.skip = nn.Conv1d(H, B, 1, bias=bias) if model.skip_path else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        y = self.norm1(self.prelu1(self.expand(x)))  # [b, H, K]
        y = self.depthwise(F.pad(y, self.padding))  # [b, H, K]
        y = self.norm2(self.prelu2(y))  # [b, H, K]
        out = x if self.project is None else x + self.project(y)  # [b, B, K]
        return out, self.skip(y) if self.skip else None


class Norm(nn.Module):
    """With one gamma and one beta for each channel of `[b, channels, K]`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))


class GlobalNorm(Norm):
    """gLN: one mean and one variance over all frames and channels (arXiv:1809.07454, eq. 9)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.group_norm(x, 1, self.gamma, self.beta, EPS)


class ChannelNorm(Norm):
    """cLN: mean and variance over the channels of each frame, as causal models need."""

    def forward(self, x: Tensor) -> Tensor:
        frames = x.transpose(1, 2)  # [b, K, channels]
        return F.layer_norm(frames, frames.shape[2:], self.gamma, self.beta, EPS).transpose(1, 2)


NORMS: dict[str, type[Norm]] = {"gLN": GlobalNorm, "cLN": ChannelNorm}


def overlap_add(frames: Tensor) -> Tensor:
    """Frames that overlap by half, added up: `[..., K, L]` → `[..., (K + 1) L / 2]`.

    >>> overlap_add(torch.ones(3, 4))
    tensor([1., 1., 2., 2., 2., 2., 1., 1.])
    """
    first, second = frames.chunk(2, dim=-1)  # [..., K, L/2] twice
    return (F.pad(first, (0, 0, 0, 1)) + F.pad(second, (0, 0, 1, 0))).flatten(-2)
