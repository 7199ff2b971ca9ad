"""Demucs: a U-Net on the waveform, gated, with an LSTM at its bottom.

Défossez, Usunier, Bottou & Bach, "Music Source Separation in the Waveform Domain"
(arXiv:1911.13254): `v1` as of 2019, `v2` as of 2021, which runs at twice the rate inside.

Tensors are `[B, T, channels]`: the channels of a frame lie side by side, so a 1×1 convolution is
one matrix product (lesson 04).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Self

from torch import Tensor, nn
from torch.nn import functional as F

from demucs_lab.models.base import SOURCES, SeparationModel, rename, take_official
from demucs_lab.models.convolution import FrameConv, FrameConvTranspose, Pointwise
from demucs_lab.models.layers import (
    CUTOFF,
    ZERO_CROSSINGS,
    Blstm,
    center_trim,
    deviation,
    one_by_one,
    resample2,
    rescale_weights,
)

KERNEL, STRIDE = 8, 4  # of every strided convolution

# The authors' names and ours. A layer's second convolution is number 2 in version 2.0.3 of their
# code and number 3 in later ones.
OFFICIAL_NAMES = (
    (r"encoder\.(\d+)\.0\.(.*)", r"encoder.\1.conv.\2"),
    (r"encoder\.(\d+)\.[23]\.(.*)", r"encoder.\1.rewrite.\2"),
    (r"lstm\.(.*)", r"lstm.\1"),
    (r"decoder\.(\d+)\.0\.(.*)", r"decoder.\1.rewrite.\2"),
    (r"decoder\.(\d+)\.[23]\.(.*)", r"decoder.\1.conv_tr.\2"),
)
NAMES_WITHOUT_REWRITE = ((r"decoder\.(\d+)\.0\.(.*)", r"decoder.\1.conv_tr.\2"), *OFFICIAL_NAMES)


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
        rescale: the deviation that initial weights are drawn to; 0: leave them (lesson 05).
        resample: run at twice the rate inside.
        normalize: give each mixture deviation 1 inside.

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
        shallower: `training.shipped.config`.
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
        extra = self.valid_length(length) - length
        level = self.level(mix) if self.normalize else None
        x = mix if level is None else (mix - level[0]) / (1e-5 + level[1])
        x = F.pad(x, (extra // 2, extra - extra // 2))
        if self.resample:
            x = one_by_one(partial(resample2, up=True), x)  # [B, C, 2T]

        x = x.transpose(1, 2)  # [B, T, C]
        saved = []
        for encode in self.encoder:
            x = one_by_one(encode, x)  # [B, T / 4^(i+1), 2^i channels]
            saved.append(x)
        if self.lstm:
            x = self.lstm(x)  # the same
        for decode in self.decoder:
            skip = center_trim(saved.pop(), x.shape[1], dim=1)
            x = one_by_one(decode, x + skip if self.skips else x)  # [B, 4 T, channels / 2]
        x = x.transpose(1, 2)  # [B, S C, T]

        if self.resample:
            x = one_by_one(partial(resample2, up=False), x)  # [B, S C, T]
        x = x if level is None else x * level[1] + level[0]
        return center_trim(x, length).unflatten(1, (len(self.sources), self.audio_channels))

    @staticmethod
    def level(mix: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation of the mono mixture, each `[B, 1, 1]`."""
        mono = mix.mean(1, keepdim=True)
        return mono.mean(-1, keepdim=True), deviation(mono, (-1,))

    def translate(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The authors' state dict under our names."""
        return rename(state, OFFICIAL_NAMES if self.rewrite else NAMES_WITHOUT_REWRITE)

    @classmethod
    def from_official(cls, state: Mapping[str, Tensor], **kwargs: Any) -> Self:
        """The authors' weights and settings, of demucs 2.0.3 or of 4.x set to the same network.

        Settings of 4.x (known by `dconv_mode`) must turn off what came later: `dconv_mode=0`,
        `gelu=False`, `norm_starts` at least `depth`.

        Raises:
            ValueError: naming a setting or a weight that has no place here.
        """
        same = (
            "sources", "audio_channels", "samplerate", "segment", "channels", "depth", "glu",
            "lstm_layers", "rewrite", "rescale", "resample", "normalize", "context",
            "context_padding",
        )  # fmt: skip
        takes = {name: name for name in same}
        fixed: dict[str, Any] = {"kernel_size": KERNEL, "stride": STRIDE, "growth": 2.0}
        if "dconv_mode" in kwargs:
            kwargs = {"lstm_layers": 0, "normalize": True, "context": 1, **kwargs}
            kwargs |= {"context": 2 * kwargs["context"] + 1, "context_padding": True}
            fixed |= {"dconv_mode": 0, "gelu": False}
            takes["norm_starts"] = "norm_starts"
            kwargs.setdefault("gelu", True)
        elif "segment_length" in kwargs:
            kwargs["segment"] = kwargs.pop("segment_length") / kwargs.get("samplerate", 44100)
        idle = (
            "norm_groups", "dconv_depth", "dconv_comp", "dconv_attn", "dconv_lstm", "dconv_init",
        )  # fmt: skip
        settings = take_official(kwargs, takes, fixed, idle)
        if "dconv_mode" in kwargs and settings.pop("norm_starts", 4) < settings.get("depth", 6):
            raise ValueError("the authors' group norm is not supported here: norm_starts >= depth")
        return cls(**settings).load_official(state)


class EncoderLayer(nn.Module):
    """Four times fewer frames, then a gated mix of channels (figure 3a).

    Shape: `[B, T, chin]` → `[B, (T - 8) / 4 + 1, chout]`.
    """

    def __init__(self, model: Demucs, chin: int, chout: int) -> None:
        super().__init__()
        self.glu = model.glu
        self.conv = FrameConv(chin, chout, KERNEL, STRIDE)
        self.rewrite = Pointwise(chout, (1 + model.glu) * chout) if model.rewrite else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).relu_()  # [B, T/4, chout]
        if self.rewrite is None:
            return x
        x = self.rewrite(x)  # [B, T/4, 2 chout]
        return F.glu(x, -1) if self.glu else x.relu_()  # [B, T/4, chout]


class DecoderLayer(nn.Module):
    """A gated mix of channels and neighbouring frames, then four times more frames (figure 3b).

    The last layer gives waveforms: nothing may follow its transposed convolution.

    Shape: `[B, T, chin]` → `[B, (T - context) · 4 + 8, chout]`.
    """

    def __init__(self, model: Demucs, chin: int, chout: int, last: bool) -> None:
        super().__init__()
        self.glu, self.last = model.glu, last
        padding = model.context // 2 if model.context_padding else 0
        wide = (1 + model.glu) * chin
        self.rewrite = (
            FrameConv(chin, wide, model.context, padding=padding) if model.rewrite else None
        )
        self.conv_tr = FrameConvTranspose(chin, chout, KERNEL, STRIDE)

    def forward(self, x: Tensor) -> Tensor:
        if self.rewrite is not None:
            x = self.rewrite(x)  # [B, T - 2, 2 chin]
            x = F.glu(x, -1) if self.glu else x.relu_()  # [B, T - 2, chin]
        x = self.conv_tr(x)  # [B, 4T, chout]
        return x if self.last else x.relu_()
