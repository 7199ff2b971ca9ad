"""Hybrid Demucs: one U-Net on the waveform, one on the spectrogram, and a bottom that they share.

Défossez, "Hybrid Spectrogram and Waveform Source Separation" (arXiv:2111.03600).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demucs_lab.models.base import SOURCES, SeparationModel, rename, take_official
from demucs_lab.models.hybrid import (
    IN_EMBEDDING,
    INSIDE_LAYERS,
    DecoderLayer,
    EncoderLayer,
    FrequencyEmbedding,
    StridedConv,
    StridedConvTranspose,
    from_channels,
    standardize,
    to_channels,
)
from demucs_lab.models.layers import rescale_weights
from demucs_lab.spectral import aligned_istft, aligned_stft

DCONV = (4, 1e-4)  # residual branches: four times fewer channels; scaled by this at first

# The authors' settings that the published models share.
FIXED: dict[str, Any] = {
    "channels_time": None, "growth": 2, "wiener_iters": 0, "end_iters": 0,
    "cac": True, "rewrite": True, "hybrid": True, "hybrid_old": False,
    "multi_freqs": None, "freq_emb": 0.2, "emb_scale": 10,
    "emb_smooth": True, "kernel_size": 8, "time_stride": 2, "stride": 4, "context": 1,
    "context_enc": 0, "norm_starts": 4, "norm_groups": 4, "dconv_mode": 1, "dconv_depth": 2,
    "dconv_comp": 4, "dconv_attn": 4, "dconv_lstm": 4, "dconv_init": 1e-4,
}  # fmt: skip
IDLE = ("wiener_residual", "multi_freqs_depth")


class HDemucs(SeparationModel):
    """Two U-Nets that meet where the spectrogram has one row left (lesson 09).

    arXiv:2111.03600, whose table 3 has its scores; figures 2 and 3 are the layers of `hybrid`. From
    the fifth layer on, residual branches hold an LSTM and attention.

    Args:
        sources, audio_channels, samplerate, segment: see `SeparationModel`.
        channels: of the first layer of each branch, at least 4; each further layer has twice as
            many.
        depth: layers of the frequency branch and the shared bottom.
        n_fft: samples of the spectrogram's window, a multiple of 8 · 4^`layers_apart`; it hops by
            a quarter.
        rescale: the deviation that initial weights are drawn to; 0: leave them (lesson 05).

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
            self.encoder.append(EncoderLayer(chin, width, "frequency", DCONV))
            self.tencoder.append(EncoderLayer(chin_t, width, "time", DCONV))
            self.decoder.insert(0, DecoderLayer(width, chout, "frequency", last=i == 0))
            self.tdecoder.insert(0, DecoderLayer(width, chout_t, "time", last=i == 0))

        near, far = widths[apart - 1 : apart + 1]  # where they meet: one row, as many frames
        rows, hop = n_fft // 2 // 4**apart, n_fft // 4 // 4**apart
        to_one_row = {"kernel": rows, "padding": 0, **inner(apart)}
        groups = to_one_row["groups"]
        self.encoder.append(EncoderLayer(near, far, "frequency", DCONV, **to_one_row))
        self.tencoder.append(StridedConv(near, far, "time", 2 * hop, hop, hop // 2))
        self.decoder.insert(0, DecoderLayer(far, near, "frequency", last=False, **to_one_row))
        self.tdecoder.insert(
            0, StridedConvTranspose(far, near, "time", 2 * hop, hop, hop // 2, groups)
        )

        for i in range(apart + 1, depth):  # the bottom that they share
            half = {"kernel": 4, "stride": 2, "padding": 1, **inner(i)}
            self.encoder.append(EncoderLayer(widths[i - 1], widths[i], "time", DCONV, **half))
            self.decoder.insert(
                0, DecoderLayer(widths[i], widths[i - 1], "time", last=False, **half)
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
        x, mean, std = standardize(to_channels(spec))  # [B, n_fft/2, N, 2C]
        xt, mean_t, std_t = standardize(mix.transpose(1, 2).unsqueeze(1))  # [B, 1, T, C]

        saved, saved_t, lengths, lengths_t = [], [], [], []
        for i in range(self.apart):
            lengths_t.append(xt.shape[2])
            x = self.encoder[i](x)  # [B, F/4, N, channels · 2^i]
            x = self.frequency_embedding(x) if i == 0 else x
            xt = self.tencoder[i](xt)  # [B, 1, T/4, channels · 2^i]
            saved.append(x)
            saved_t.append(xt)
        lengths_t.append(xt.shape[2])
        x = self.encoder[self.apart](x, self.tencoder[self.apart](xt))  # [B, 1, N, …]
        saved.append(x)
        for encode in self.encoder[self.apart + 1 :]:
            lengths.append(x.shape[2])
            x = encode(x)  # [B, 1, N/2, …]
            saved.append(x)

        x = torch.zeros_like(x)  # the deepest layer's output is its own skip
        for decode in self.decoder[: -self.apart - 1]:
            x, _ = decode(x, saved.pop(), lengths.pop())  # [B, 1, N, …]
        x, shared = self.decoder[-self.apart - 1](x, saved.pop())  # [B, rows, N, …]
        xt = F.gelu(self.tdecoder[0](shared, lengths_t.pop()))  # [B, 1, T/256, …]
        for decode, decode_t in zip(self.decoder[-self.apart :], self.tdecoder[1:], strict=True):
            x, _ = decode(x, saved.pop())  # [B, 4F, N, …]
            xt, _ = decode_t(xt, saved_t.pop(), lengths_t.pop())  # [B, 1, 4T, …]

        spectra = from_channels(torch.addcmul(mean, x, std), S)  # complex [B, S, C, n_fft/2, N]
        waves = torch.addcmul(mean_t, xt, std_t).squeeze(1).unflatten(-1, (S, -1))  # [B, T, S, C]
        return aligned_istft(spectra, length) + waves.permute(0, 2, 3, 1)  # [B, S, C, T]

    def translate(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The authors' state dict under our names."""
        meeting = (
            (rf"tencoder\.{self.apart}\.conv\.(.*)", rf"tencoder.{self.apart}.\1"),
            (r"tdecoder\.0\.conv_tr\.(.*)", r"tdecoder.0.\1"),
            (r"tdecoder\.0\.norm2\.(.*)", r"tdecoder.0.norm.\1"),
        )
        return rename(state, (*meeting, *IN_EMBEDDING, *INSIDE_LAYERS))

    @classmethod
    def from_official(cls, state: Mapping[str, Tensor], **kwargs: Any) -> Self:
        """The authors' weights and settings (demucs 3 and 4; torchaudio's class has them too).

        Raises:
            ValueError: naming a setting or a weight that has no place here.
        """
        same = ("sources", "audio_channels", "samplerate", "segment", "channels", "depth")
        takes = {**{name: name for name in same}, "rescale": "rescale", "nfft": "n_fft"}
        model = cls(**take_official(kwargs, takes, FIXED, IDLE))
        return model.load_official(state)


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
    return {"context": layer >= 4, "groups": 4 if layer >= 4 else 0}
