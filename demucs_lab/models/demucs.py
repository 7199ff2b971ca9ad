"""Demucs: a U-Net on the waveform, gated, with an LSTM at its bottom (lessons 04 to 06).

Défossez, Usunier, Bottou & Bach, "Music Source Separation in the Waveform Domain"
(arXiv:1911.13254): `v1` as of 2019, `v2` as of 2021, which runs at twice the rate inside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

from torch import Tensor, nn
from torch.nn import functional as F

from demucs_lab.models.base import SOURCES, SeparationModel
from demucs_lab.models.layers import (
    CUTOFF,
    ZERO_CROSSINGS,
    Blstm,
    center_trim,
    resample2,
    rescale_weights,
    standardize,
)

KERNEL, STRIDE = 8, 4  # of every strided convolution


class Demucs(SeparationModel):
    """The waveform U-Net; each ablation of the papers is one argument.

    Args:
        sources, audio_channels, samplerate, segment: see `SeparationModel`.
        channels: of the first layer; each further layer has twice as many.
        depth: layers down, and layers up.
        lstm_layers: of the bidirectional LSTM at the bottom; 0: none.
        glu: gate the second convolution of each layer (twice the channels); False: ReLU.
        rewrite: have that second convolution at all.
        context: taps of the decoder's, which sees neighbouring frames.
        context_padding: pad it, as later versions of the authors' code do; False: let each layer
            of the decoder get shorter, as v1 and v2 do.
        skips: add each layer's output in the encoder to its twin's input in the decoder.
        rescale: the standard deviation that initial weights are drawn to; 0: leave them (lesson
            05).
        resample: run at twice the rate inside.
        normalize: scale each mixture to mean 0 and standard deviation 1 inside.

    Shape: `[B, C, T]` → `[B, S, C, T]`, for any T.

    >>> import torch
    >>> Demucs.tiny()(torch.zeros(1, 2, 12345)).shape
    torch.Size([1, 4, 2, 12345])
    """

    def __init__(
        self,
        sources: Sequence[str] = SOURCES,
        audio_channels: int = 2,
        samplerate: int = 44100,
        segment: float = 40.0,
        channels: int = 64,
        depth: int = 6,
        lstm_layers: int = 2,
        glu: bool = True,
        rewrite: bool = True,
        context: int = 3,
        context_padding: bool = False,
        skips: bool = True,
        rescale: float = 0.1,
        resample: bool = True,
        normalize: bool = False,
    ) -> None:
        super().__init__(sources, audio_channels, samplerate, segment)
        if context % 2 == 0:
            raise ValueError(f"context is an odd number of taps, got {context}")
        self.channels, self.depth, self.lstm_layers = channels, depth, lstm_layers
        self.glu, self.rewrite, self.skips, self.rescale = glu, rewrite, skips, rescale
        self.context, self.context_padding = context, context_padding
        self.resample, self.normalize = resample, normalize

        widths = [channels * 2**i for i in range(depth)]
        outside = audio_channels * len(self.sources)
        self.encoder = nn.ModuleList(
            EncoderLayer(self, chin, chout)
            for chin, chout in zip([audio_channels, *widths], widths, strict=False)
        )
        self.lstm = Blstm(widths[-1], lstm_layers) if lstm_layers else None
        self.decoder = nn.ModuleList(
            DecoderLayer(self, chin, chout, last=chin == channels)
            for chin, chout in zip(widths[::-1], [*widths[-2::-1], outside], strict=True)
        )
        if rescale:
            rescale_weights(self, rescale)

    @classmethod
    def v1(cls, **kwargs: Any) -> Self:
        """The first version (2019), at the rate of the sound; `channels=100` is its large one."""
        return cls(**{"resample": False, **kwargs})

    @classmethod
    def v2(cls, **kwargs: Any) -> Self:
        """The second version (2021): twice the rate inside."""
        return cls(**{"resample": True, **kwargs})

    @classmethod
    def tiny(cls, **kwargs: Any) -> Self:
        """A v1 of 2.6 M parameters at 22.05 kHz that two CPU cores can train in minutes.

        The "tiny-demucs" that comes with the kit was trained for longer and is wider and one layer
        shallower: `experiments.shipping.config`.
        """
        small = {
            "samplerate": 22050, "segment": 10.0, "channels": 16, "depth": 5, "lstm_layers": 1,
        }  # fmt: skip
        return cls.v1(**{**small, **kwargs})

    def valid_length(self, length: int) -> int:
        """The shortest input, at least `length` long, whose every frame is used (lesson 04).

        >>> Demucs.v1(channels=1).valid_length(441_000), Demucs.v2(channels=1).valid_length(441_000)
        (451924, 447146)
        """
        frames = 2 * length if self.resample else length
        lost = 0 if self.context_padding else self.context - 1
        for _ in range(self.depth):
            frames = max(1, math.ceil((frames - KERNEL) / STRIDE) + 1) + lost
        for _ in range(self.depth):
            frames = (frames - 1) * STRIDE + KERNEL
        return math.ceil(frames / 2) if self.resample else frames

    @property
    def cpu_batch(self) -> int:
        """An LSTM reads all its weights in each step, for one segment as for four."""
        return 4 if self.lstm else 1

    @property
    def receptive_field(self) -> int | None:
        """Samples that one output sample hears; None with an LSTM, which hears them all."""
        if self.lstm:
            return None
        reach = ZERO_CROSSINGS / CUTOFF  # of the filter that resamples, in samples to either side
        frames = 1 + 2 * math.floor(2 * reach) if self.resample else 1
        for _ in range(self.depth):  # from the output down: frames that a layer looks at
            frames = (
                math.ceil((frames - 1) / STRIDE)
                + KERNEL // STRIDE
                + self.rewrite * (self.context - 1)
            )
        for _ in range(self.depth):
            frames = (frames - 1) * STRIDE + KERNEL
        return frames // 2 + 2 * math.floor(reach) if self.resample else frames

    def forward(self, mix: Tensor) -> Tensor:
        self.check_mixture(mix)
        length = mix.shape[-1]
        x = mix
        if self.normalize:
            _, mean, std = standardize(mix.mean(1, keepdim=True), (1, 2))  # of the mono mixture
            x = (mix - mean) / (1e-5 + std)
        extra = self.valid_length(length) - length
        x = F.pad(x, (extra // 2, extra - extra // 2))  # [B, C, T], of a valid length from here on
        if self.resample:
            x = resample2(x, up=True)  # [B, C, 2T]

        skips = []
        for encode in self.encoder:
            x = encode(x)  # [B, 2^i channels, T / 4^(i+1)]
            skips.append(x)
        if self.lstm:
            x = self.lstm(x)  # the same
        for decode in self.decoder:
            skip = center_trim(skips.pop(), x.shape[-1])
            x = decode(x + skip if self.skips else x)  # [B, half as many channels, 4 T]

        if self.resample:
            x = resample2(x, up=False)  # [B, S C, T]
        if self.normalize:
            x = x * std + mean
        return center_trim(x, length).unflatten(1, (len(self.sources), self.audio_channels))


class EncoderLayer(nn.Module):
    """Four times fewer frames, then a gated mix of channels (figure 3a).

    Shape: `[B, chin, T]` → `[B, chout, (T - 8) / 4 + 1]`.
    """

    def __init__(self, model: Demucs, chin: int, chout: int) -> None:
        super().__init__()
        self.glu = model.glu
        self.conv = nn.Conv1d(chin, chout, KERNEL, STRIDE)
        self.rewrite = nn.Conv1d(chout, (1 + model.glu) * chout, 1) if model.rewrite else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).relu()  # [B, chout, T/4]
        if self.rewrite is None:
            return x
        x = self.rewrite(x)  # [B, 2 chout, T/4]: a value and its gate for each channel
        return F.glu(x, 1) if self.glu else x.relu()  # [B, chout, T/4]


class DecoderLayer(nn.Module):
    """A gated mix of channels and neighbouring frames, then four times more frames (figure 3b).

    The last layer gives waveforms: nothing may follow its transposed convolution.

    Shape: `[B, chin, T]` → `[B, chout, (T - context) · 4 + 8]`.
    """

    def __init__(self, model: Demucs, chin: int, chout: int, last: bool) -> None:
        super().__init__()
        self.glu, self.last = model.glu, last
        padding = model.context // 2 if model.context_padding else 0
        wide = (1 + model.glu) * chin
        self.rewrite = (
            nn.Conv1d(chin, wide, model.context, padding=padding) if model.rewrite else None
        )
        self.conv_tr = nn.ConvTranspose1d(chin, chout, KERNEL, STRIDE)

    def forward(self, x: Tensor) -> Tensor:
        if self.rewrite is not None:
            x = self.rewrite(x)  # [B, 2 chin, T - 2]
            x = F.glu(x, 1) if self.glu else x.relu()  # [B, chin, T - 2]
        x = self.conv_tr(x)  # [B, chout, 4 T]
        return x if self.last else x.relu()
