"""Hybrid Demucs with one of its branches taken out, for the experiment "branches" (lesson 09).

What a branch has for itself is gone, with its parameters; the bottom, which both share, stays.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demucs_lab.models import HDemucs
from demucs_lab.models.hybrid import from_channels, standardize, to_channels
from demucs_lab.spectral import aligned_istft, aligned_stft


class TimeOnly(HDemucs):
    """The waveform branch and the shared bottom: no spectrogram in, none out.

    Shape: `[B, C, T]` → `[B, S, C, T]`.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.encoder = self.encoder[self.apart :]
        self.encoder[0].conv = _Nothing()
        self.decoder = self.decoder[: -self.apart]
        self.decoder[-1].conv_tr = _Nothing()
        del self.frequency_embedding

    def forward(self, mix: Tensor) -> Tensor:
        xt, mean, std = standardize(mix.transpose(1, 2).unsqueeze(1))  # [B, 1, T, C]
        saved, lengths = [], []
        for encode in self.tencoder[:-1]:
            lengths.append(xt.shape[2])
            xt = encode(xt)  # [B, 1, T/4, …]
            saved.append(xt)
        lengths.append(xt.shape[2])
        x = self.tencoder[-1](xt)  # [B, 1, N, …]
        _, shared = _bottom(self.encoder[0](x, x), self.encoder[1:], self.decoder)
        xt = F.gelu(self.tdecoder[0](shared, lengths.pop()))
        for decode in self.tdecoder[1:]:
            xt, _ = decode(xt, saved.pop(), lengths.pop())  # [B, 1, 4T, …]
        waves = (xt * std + mean).squeeze(1).unflatten(-1, (len(self.sources), -1))
        return waves.permute(0, 2, 3, 1)  # [B, S, C, T]


class FrequencyOnly(HDemucs):
    """The spectrogram branch and the shared bottom: no waveform in, none out.

    Shape: `[B, C, T]` → `[B, S, C, T]`.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        del self.tencoder, self.tdecoder

    def forward(self, mix: Tensor) -> Tensor:
        spec = aligned_stft(mix, self.n_fft)  # complex [B, C, n_fft/2, N]
        x, mean, std = standardize(to_channels(spec))  # [B, n_fft/2, N, 2C]
        saved = []
        for i, encode in enumerate(self.encoder[: self.apart]):
            x = encode(x)  # [B, F/4, N, …]
            x = self.frequency_embedding(x) if i == 0 else x
            saved.append(x)
        met, deeper = self.encoder[self.apart], self.encoder[self.apart + 1 :]
        x, _ = _bottom(met(x), deeper, self.decoder[: -self.apart])  # [B, rows, N, …]
        for decode in self.decoder[-self.apart :]:
            x, _ = decode(x, saved.pop())  # [B, 4F, N, …]
        spectra = from_channels(x * std + mean, len(self.sources))
        return aligned_istft(spectra, mix.shape[-1])  # [B, S, C, T]


def _bottom(x: Tensor, encoder: Any, decoder: Any) -> tuple[Tensor, Tensor]:
    """What both branches share, below the layer where they meet; the way up ends where they part.

    Returns:
        What the frequency branch goes on with, and the time branch.
    """
    saved, lengths = [x], []
    for encode in encoder:
        lengths.append(x.shape[2])
        x = encode(x)  # [B, 1, N/2, …]
        saved.append(x)
    x = torch.zeros_like(x)  # the deepest layer's output is its own skip
    for decode in decoder[:-1]:
        x, _ = decode(x, saved.pop(), lengths.pop())  # [B, 1, N, …]
    return decoder[-1](x, saved.pop())


class _Nothing(nn.Module):
    """Stands where a convolution of the other branch was."""

    def forward(self, x: Tensor, length: int | None = None) -> Tensor:
        return x.new_zeros(())


BRANCHES = {"time": TimeOnly, "frequency": FrequencyOnly}
"""The class that has only the branch named."""
