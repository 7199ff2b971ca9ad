"""Hybrid Demucs: one U-Net on the waveform, one on the spectrogram, and a bottom that they share.

Défossez, "Hybrid Spectrogram and Waveform Source Separation" (arXiv:2111.03600). Its layers are
those of `layers`; the LSTM and the attention of its bottom are below (lesson 09).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demucs_lab.models.base import SOURCES, SeparationModel
from demucs_lab.models.layers import (
    Blstm,
    FrequencyEmbedding,
    HybridDecoderLayer,
    HybridEncoderLayer,
    from_channels,
    rescale_weights,
    standardize,
    to_channels,
    transposed,
)
from demucs_lab.spectral import aligned_istft, aligned_stft

DCONV = (4, 1e-4)  # residual branches: four times fewer channels; scaled by this at first


class HDemucs(SeparationModel):
    """Two U-Nets that meet where the spectrogram has one row left (lesson 09).

    arXiv:2111.03600, whose table 3 has its scores; figures 2 and 3 are the layers of `layers`. From
    the fifth layer on, residual branches hold an LSTM and attention.

    Args:
        sources, audio_channels, samplerate, segment: see `SeparationModel`.
        channels: of the first layer of each branch, at least 4; each further layer has twice as
            many.
        depth: layers of the frequency branch and the shared bottom.
        n_fft: samples of the spectrogram's window, a multiple of 8 · 4^`layers_apart`; it hops by
            a quarter.
        rescale: standard deviation that initial weights are drawn to; 0: leave them (lesson 05).

    Shape: `[B, C, T]` → `[B, S, C, T]`, for any T.

    Raises:
        ValueError: if the sizes do not fit each other.

    >>> HDemucs.tiny()(torch.zeros(1, 2, 12345)).shape
    torch.Size([1, 4, 2, 12345])
    """

    def __init__(
        self,
        sources: Sequence[str] = SOURCES,
        audio_channels: int = 2,
        samplerate: int = 44100,
        segment: float = 40.0,
        channels: int = 48,
        depth: int = 6,
        n_fft: int = 4096,
        rescale: float = 0.1,
    ) -> None:
        super().__init__(sources, audio_channels, samplerate, segment)
        self.channels, self.depth, self.n_fft, self.rescale = channels, depth, n_fft, rescale
        apart = layers_apart(n_fft)
        if n_fft < 1 or n_fft % (8 * 4**apart):
            raise ValueError(
                f"{apart + 1} layers need n_fft to be a multiple of {8 * 4**apart}, got {n_fft}"
            )
        if channels < DCONV[0]:
            raise ValueError(
                f"expected at least {DCONV[0]} channels (a residual branch keeps one in "
                f"{DCONV[0]}), got channels={channels}"
            )
        if depth <= apart:
            raise ValueError(
                f"with n_fft={n_fft} the branches meet in layer {apart + 1}: depth must be at "
                f"least that, got {depth}"
            )
        self.apart = apart
        outside = audio_channels * len(self.sources)
        widths = [channels * 2**i for i in range(depth)]
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        self.tencoder, self.tdecoder = nn.ModuleList(), nn.ModuleList()
        self.frequency_embedding = FrequencyEmbedding(n_fft // 2 // 4, channels)

        for i, width in enumerate(widths[:apart]):  # each branch by itself
            chin, chin_t = (widths[i - 1],) * 2 if i else (2 * audio_channels, audio_channels)
            chout, chout_t = (widths[i - 1],) * 2 if i else (2 * outside, outside)
            self.encoder.append(HybridEncoderLayer(chin, width, "frequency", DCONV))
            self.tencoder.append(HybridEncoderLayer(chin_t, width, "time", DCONV))
            self.decoder.insert(0, HybridDecoderLayer(width, chout, "frequency", last=i == 0))
            self.tdecoder.insert(0, HybridDecoderLayer(width, chout_t, "time", last=i == 0))

        near, far = widths[apart - 1 : apart + 1]  # where they meet: one row, as many frames
        rows, hop = n_fft // 2 // 4**apart, n_fft // 4 // 4**apart
        to_one_row: dict[str, Any] = {"kernel": rows, "padding": 0, **inner(apart)}
        self.hop = hop  # frames of the time branch for each of the spectrogram
        self.encoder.append(HybridEncoderLayer(near, far, "frequency", DCONV, **to_one_row))
        self.tencoder.append(nn.Conv1d(near, far, 2 * hop, hop, hop // 2))
        self.decoder.insert(0, HybridDecoderLayer(far, near, "frequency", False, **to_one_row))
        meeting = transposed(nn.ConvTranspose1d(far, near, 2 * hop, hop), to_one_row["groups"])
        self.tdecoder.insert(0, meeting)

        for i in range(apart + 1, depth):  # the bottom that they share
            half: dict[str, Any] = {"kernel": 4, "stride": 2, "padding": 1, **inner(i)}
            self.encoder.append(HybridEncoderLayer(widths[i - 1], widths[i], "time", DCONV, **half))
            self.decoder.insert(
                0, HybridDecoderLayer(widths[i], widths[i - 1], "time", last=False, **half)
            )
        if rescale:
            rescale_weights(self, rescale)

    @classmethod
    def tiny(cls, **kwargs: Any) -> Self:
        """A model of 2.0 M parameters at 22.05 kHz that two CPU cores can train."""
        small = {"samplerate": 22050, "segment": 6.0, "channels": 12, "depth": 5, "n_fft": 2048}
        return cls(**{**small, **kwargs})

    def forward(self, mix: Tensor) -> Tensor:
        self.check_mixture(mix)
        S, length = len(self.sources), mix.shape[-1]
        spec = aligned_stft(mix, self.n_fft)  # complex [B, C, n_fft/2, N]
        x, mean, std = standardize(to_channels(spec), (1, 2, 3))  # [B, 2C, n_fft/2, N]
        xt, mean_t, std_t = standardize(mix, (1, 2))  # [B, C, T]

        skips, skips_t, lengths_t = [], [], []
        for i in range(self.apart):
            lengths_t.append(xt.shape[-1])
            x = self.encoder[i](x)  # [B, channels · 2^i, F/4, N]
            x = self.frequency_embedding(x) if i == 0 else x
            xt = self.tencoder[i](xt)  # [B, channels · 2^i, T/4]
            skips.append(x)
            skips_t.append(xt)
        lengths_t.append(xt.shape[-1])
        x = self.encoder[self.apart](x, self.meet(xt).unsqueeze(2))  # [B, …, 1, N]
        inside, outside = self.encoder[self.apart + 1 :], self.decoder[: -self.apart]
        x, shared = shared_bottom(x, inside, outside)  # [B, …, rows, N], [B, …, N]

        xt = self.part(shared, lengths_t.pop())  # [B, …, T/256]
        for decode, decode_t in zip(self.decoder[-self.apart :], self.tdecoder[1:], strict=True):
            x, _ = decode(x, skips.pop())  # [B, …, 4F, N]
            xt, _ = decode_t(xt, skips_t.pop(), lengths_t.pop())  # [B, …, 4T]

        spectra = from_channels(x * std + mean, S)  # complex [B, S, C, n_fft/2, N]
        waves = (xt * std_t + mean_t).unflatten(1, (S, -1))  # [B, S, C, T]
        return aligned_istft(spectra, length) + waves  # [B, S, C, T]

    def meet(self, xt: Tensor) -> Tensor:
        """The time branch with as many frames as the spectrogram: `[B, …, T/256]` → `[B, …, N]`."""
        return self.tencoder[-1](F.pad(xt, (0, -xt.shape[-1] % self.hop)))

    def part(self, shared: Tensor, length: int) -> Tensor:
        """Back to the frames that the time branch had: `[B, …, N]` → `[B, …, T/256]`."""
        conv: Any = self.tdecoder[0]
        edge = self.hop // 2
        return F.gelu(conv.norm(conv(shared))[..., edge : edge + length])


def shared_bottom(
    x: Tensor, encoder: nn.ModuleList, decoder: nn.ModuleList
) -> tuple[Tensor, Tensor]:
    """What both branches share, below the layer where they meet.

    Args:
        x: the sum of both, `[B, far, 1, N]`.
        encoder: the layers below.
        decoder: their twins, and the layer in which the branches part.

    Returns:
        What the frequency branch goes on with, `[B, near, rows, N]`, and the time branch,
        `[B, far, N]`.
    """
    skips, lengths = [x], []
    x = x.squeeze(2)  # [B, far, N]
    for encode in encoder:
        lengths.append(x.shape[-1])
        x = encode(x)  # [B, 2 far, N/2]
        skips.append(x)
    x = torch.zeros_like(x)  # the deepest layer's output is its own skip
    for decode in decoder[:-1]:
        x, _ = decode(x, skips.pop(), lengths.pop())  # [B, far, N]
    x, shared = decoder[-1](x.unsqueeze(2), skips.pop())  # [B, near, rows, N], [B, far, 1, N]
    return x, shared.squeeze(2)


def layers_apart(n_fft: int) -> int:
    """Layers of four times fewer rows each, at least one, until eight or fewer rows are left.

    >>> layers_apart(4096)
    4
    """
    rows, layers = n_fft // 2 // 4, 1
    while rows > 8:
        rows, layers = rows // 4, layers + 1
    return layers


def inner(layer: int) -> dict[str, Any]:
    """What is inside the deeper layers: group norm, LSTM and attention from the fifth on."""
    deep = layer >= 4
    return {"context": lstm_and_attention if deep else None, "groups": 4 if deep else 0}


def lstm_and_attention(hidden: int) -> tuple[nn.Module, nn.Module]:
    """What the residual branches of the deepest layers hold besides (section 3.3)."""
    return WindowedBlstm(hidden), LocalAttention(hidden)


class WindowedBlstm(Blstm):
    """A residual LSTM over windows of 200 frames; they overlap by half, their middles are kept."""

    WINDOW = 200

    def forward(self, x: Tensor) -> Tensor:
        width, hop, edge = self.WINDOW, self.WINDOW // 2, self.WINDOW // 4
        length = x.shape[-1]
        if length <= width:
            return x + super().forward(x)
        count = math.ceil(length / hop)
        filled = F.pad(x, (0, (count - 1) * hop + width - length))
        windows = filled.unfold(2, width, hop).transpose(1, 2)  # [R, windows, C, 200]
        y = super().forward(windows.flatten(0, 1)).unflatten(0, (-1, count))
        middles = y[..., edge:-edge].transpose(1, 2).flatten(2)  # [R, C, windows · 100]
        y = torch.cat([y[:, 0, :, :edge], middles, y[:, -1, :, -edge:]], -1)  # [R, C, ≥ T]
        return x + y[..., :length]


class LocalAttention(nn.Module):
    """Attention that decays with distance, at a rate that each frame chooses (section 3.3).

    The score of frame s for frame t is q_t · k_s / √d − δ_t |t − s|. The rate δ_t is a sum of four
    fixed slopes (1, 2, 3, 4) / √4, each counted between 0 and ½ as the frame wishes.

    Shape: `[R, C, T]` → the same.
    """

    HEADS, DECAYS = 4, 4

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv1d(channels, channels, 1)
        self.key = nn.Conv1d(channels, channels, 1)
        self.content = nn.Conv1d(channels, channels, 1)
        self.query_decay = nn.Conv1d(channels, self.HEADS * self.DECAYS, 1)
        self.proj = nn.Conv1d(channels, channels, 1)
        with torch.no_grad():  # hardly any decay at first: the window is wide
            self.query_decay.weight *= 0.01
            nn.init.constant_(self.query_decay.bias, -2)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        query, key, content = (
            layer(x).unflatten(1, (self.HEADS, -1))  # [R, heads, C / heads, T]
            for layer in (self.query, self.key, self.content)
        )
        scores = query.transpose(2, 3) @ key / query.shape[2] ** 0.5  # [R, heads, T, T]
        counts = torch.sigmoid(self.query_decay(x)) / 2
        counts = counts.unflatten(1, (self.HEADS, self.DECAYS))  # [R, heads, decays, T]
        slopes = torch.arange(1, self.DECAYS + 1, device=x.device, dtype=x.dtype)
        decay = slopes / self.DECAYS**0.5 @ counts  # [R, heads, T]
        frames = torch.arange(x.shape[-1], device=x.device, dtype=x.dtype)
        distance = (frames[:, None] - frames).abs()
        scores = scores - decay[..., None] * distance
        itself = torch.eye(len(frames), dtype=torch.bool, device=x.device)
        weights = scores.masked_fill(itself, -100).softmax(-1)  # [R, heads, T queries, T keys]
        return x + self.proj((content @ weights.transpose(2, 3)).flatten(1, 2))
