"""Hybrid Transformer Demucs: two U-Nets, on waveform and spectrogram, and a transformer between.

Rouard, Massa & Défossez, "Hybrid Transformers for Music Source Separation" (arXiv:2211.08553),
figure 1. Its layers are in `layers`, its transformer in `transformer` (lessons 09 and 10).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from torch import Tensor, nn
from torch.nn import functional as F

from demucs_lab.models.base import SOURCES, SeparationModel
from demucs_lab.models.layers import (
    FrequencyEmbedding,
    HybridDecoderLayer,
    HybridEncoderLayer,
    from_channels,
    rescale_weights,
    standardize,
    to_channels,
)
from demucs_lab.models.transformer import CrossTransformer
from demucs_lab.spectral import aligned_istft, aligned_stft

DCONV = (8, 1e-3)  # residual branches: eight times fewer channels; scaled by this at first
Skips = list[tuple[Tensor, Tensor]]


class HTDemucs(SeparationModel):
    """The hybrid model whose branches talk by cross-attention (lesson 10).

    arXiv:2211.08553, section 3. The defaults are those of the published weights; without
    `dconv_decoder` they are the model of 41.4 M parameters in table 2.

    Args:
        sources, audio_channels, samplerate, segment: see `SeparationModel`.
        channels: of the first layer of each branch, at least 8; each further layer has twice as
            many.
        depth: layers of each branch.
        n_fft: samples of the spectrogram's window, a multiple of 2 · 4^depth; it hops by a quarter.
        bottom_channels: of the transformer, a multiple of 4 and of its heads; 0: as many as the
            deepest layer has.
        t_layers: of the transformer; 0: none.
        t_heads: of each attention.
        t_dropout: in training.
        cross_attention: False lets every layer attend to its own branch only.
        dconv_decoder: residual branches in the decoder too, as in the published weights.
        pad_to_segment: when not training, lengthen a shorter mixture to one segment by silence.
        rescale: standard deviation that initial weights are drawn to; 0: leave them (lesson 05).

    Shape: `[B, C, T]` → `[B, S, C, T]`, for any T.

    Raises:
        ValueError: if the sizes do not fit each other.

    >>> import torch
    >>> HTDemucs.tiny()(torch.zeros(1, 2, 12345)).shape
    torch.Size([1, 4, 2, 12345])
    """

    def __init__(
        self,
        sources: Sequence[str] = SOURCES,
        audio_channels: int = 2,
        samplerate: int = 44100,
        segment: float = 7.8,
        channels: int = 48,
        depth: int = 4,
        n_fft: int = 4096,
        bottom_channels: int = 512,
        t_layers: int = 5,
        t_heads: int = 8,
        t_dropout: float = 0.0,
        cross_attention: bool = True,
        dconv_decoder: bool = True,
        pad_to_segment: bool = True,
        rescale: float = 0.1,
    ) -> None:
        super().__init__(sources, audio_channels, samplerate, segment)
        self.channels, self.depth, self.n_fft = channels, depth, n_fft
        self.bottom_channels, self.t_layers, self.t_heads = bottom_channels, t_layers, t_heads
        self.t_dropout, self.cross_attention = t_dropout, cross_attention
        self.dconv_decoder, self.pad_to_segment = dconv_decoder, pad_to_segment
        self.rescale = rescale
        if depth < 1 or channels < DCONV[0]:
            raise ValueError(
                f"expected at least 1 layer and {DCONV[0]} channels (a residual branch keeps one "
                f"in {DCONV[0]}), got depth={depth} and channels={channels}"
            )
        if n_fft < 1 or n_fft % (2 * 4**depth):
            raise ValueError(
                f"{depth} layers need n_fft to be a multiple of {2 * 4**depth}, got {n_fft}"
            )
        widths = [channels * 2**i for i in range(depth)]
        dim = bottom_channels or widths[-1]
        if t_layers and (dim < 4 or dim % 4 or t_heads < 1):
            raise ValueError(
                f"the transformer needs a multiple of 4 channels (sines and cosines for time and "
                f"frequency) and at least 1 head, got {dim} and t_heads={t_heads}"
            )
        self.encoder = Encoder(audio_channels, widths, n_fft)
        self.bottom = Bottom(self, widths[-1]) if t_layers else None
        outside = audio_channels * len(self.sources)
        self.decoder = Decoder(outside, widths, dconv=DCONV if dconv_decoder else None)
        if rescale:
            rescale_weights(self.encoder, rescale)
            rescale_weights(self.decoder, rescale)

    @classmethod
    def tiny(cls, **kwargs: Any) -> Self:
        """A model of 2.3 M parameters at 22.05 kHz that two CPU cores can train."""
        small = {
            "samplerate": 22050, "segment": 6.0, "channels": 16, "n_fft": 2048,
            "bottom_channels": 0, "t_layers": 3, "t_heads": 4,
        }  # fmt: skip
        return cls(**{**small, **kwargs})

    def forward(self, mix: Tensor) -> Tensor:
        self.check_mixture(mix)
        S, length = len(self.sources), mix.shape[-1]
        if self.pad_to_segment and not self.training:
            mix = F.pad(mix, (0, max(0, self.segment_samples - length)))
        spec = aligned_stft(mix, self.n_fft)  # complex [B, C, n_fft/2, N]
        x, mean, std = standardize(to_channels(spec), (1, 2, 3))  # [B, 2C, n_fft/2, N]
        xt, mean_t, std_t = standardize(mix, (1, 2))  # [B, C, T]

        x, xt, skips = self.encoder(x, xt)  # [B, 384, 8, N], [B, 384, T/256]
        if self.bottom:
            x, xt = self.bottom(x, xt)  # the same
        x, xt = self.decoder(x, xt, skips, mix.shape[-1])  # [B, 2SC, n_fft/2, N], [B, SC, T]

        spectra = from_channels(x * std + mean, S)  # complex [B, S, C, n_fft/2, N]
        waves = (xt * std_t + mean_t).unflatten(1, (S, -1))  # [B, S, C, T]
        return (aligned_istft(spectra, mix.shape[-1]) + waves)[..., :length]  # [B, S, C, T]


class Encoder(nn.Module):
    """Both branches down, with as many rows (frequency) or samples (time) divided by four a layer.

    Shape: `[B, 2C, n_fft/2, N]` and `[B, C, T]` → `[B, 384, 8, N]` and `[B, 384, T/256]` with the
        published widths, and the outputs of all layers.
    """

    def __init__(self, audio_channels: int, widths: list[int], n_fft: int) -> None:
        super().__init__()
        self.frequency = nn.ModuleList(
            HybridEncoderLayer(chin, chout, "frequency", DCONV)
            for chin, chout in zip([2 * audio_channels, *widths], widths, strict=False)
        )
        self.time = nn.ModuleList(
            HybridEncoderLayer(chin, chout, "time", DCONV)
            for chin, chout in zip([audio_channels, *widths], widths, strict=False)
        )
        self.embedding = FrequencyEmbedding(n_fft // 2 // 4, widths[0])

    def forward(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor, Skips]:
        skips = []
        for i, (encode, encode_t) in enumerate(zip(self.frequency, self.time, strict=True)):
            x, xt = encode(x), encode_t(xt)  # [B, 2^i channels, F/4, N], [B, 2^i channels, T/4]
            if i == 0:
                x = self.embedding(x)
            skips.append((x, xt))
        return x, xt, skips


class Decoder(nn.Module):
    """Both branches back up; each layer starts by adding its twin's output in the encoder.

    Shape: `[B, 384, 8, N]` and `[B, 384, T/256]` → `[B, 2SC, n_fft/2, N]` and `[B, SC, T]`.
    """

    def __init__(self, outside: int, widths: list[int], dconv: tuple[int, float] | None) -> None:
        super().__init__()
        down = widths[::-1]
        self.frequency = nn.ModuleList(
            HybridDecoderLayer(chin, chout, "frequency", chin == widths[0], dconv)
            for chin, chout in zip(down, [*down[1:], 2 * outside], strict=True)
        )
        self.time = nn.ModuleList(
            HybridDecoderLayer(chin, chout, "time", chin == widths[0], dconv)
            for chin, chout in zip(down, [*down[1:], outside], strict=True)
        )

    def forward(self, x: Tensor, xt: Tensor, skips: Skips, length: int) -> tuple[Tensor, Tensor]:
        lengths = [skip_t.shape[-1] for _, skip_t in skips[:-1]]
        for decode, decode_t, (skip, skip_t), samples in zip(
            self.frequency, self.time, skips[::-1], [*lengths[::-1], length], strict=True
        ):
            x, _ = decode(x, skip)  # [B, …, 4F, N]
            xt, _ = decode_t(xt, skip_t, samples)  # [B, …, 4T]
        return x, xt


class Bottom(nn.Module):
    """The transformer, and 1×1 convolutions into and out of its width.

    A token is one place of the deepest layer: a band of frequencies at a frame, or a frame of the
    waveform. The transformer takes tokens in rows, channels last.

    Shape: `[B, 384, 8, N]` and `[B, 384, T/256]` → the same.
    """

    def __init__(self, model: HTDemucs, width: int) -> None:
        super().__init__()
        dim = model.bottom_channels or width

        def between(chin: int, chout: int) -> nn.Module:
            return nn.Conv1d(chin, chout, 1) if model.bottom_channels else nn.Identity()

        self.widen, self.widen_t = between(width, dim), between(width, dim)
        self.transformer = CrossTransformer(
            dim, model.t_layers, model.t_heads, model.cross_attention, model.t_dropout
        )
        self.narrow, self.narrow_t = between(dim, width), between(dim, width)

    def forward(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        grid = x.shape[2:]
        x = self.widen(x.flatten(2)).unflatten(2, grid)  # [B, 512, 8, N]
        xt = self.widen_t(xt)  # [B, 512, T/256]
        tokens, tokens_t = self.transformer(x.movedim(1, -1), xt.transpose(1, 2))
        x = self.narrow(tokens.flatten(1, 2).transpose(1, 2)).unflatten(2, grid)  # [B, 384, 8, N]
        return x, self.narrow_t(tokens_t.transpose(1, 2))  # and [B, 384, T/256]
