"""Hybrid Demucs with one of its branches taken out, for the experiment "branches" (lesson 09).

What a branch has for itself is gone, with its parameters; the bottom, which both share, stays.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from demucs_lab.models import HDemucs
from demucs_lab.models.hdemucs import shared_bottom
from demucs_lab.models.layers import from_channels, standardize, to_channels
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
        xt, mean, std = standardize(mix, (1, 2))  # [B, C, T]
        skips, lengths = [], []
        for encode in self.tencoder[:-1]:
            lengths.append(xt.shape[-1])
            xt = encode(xt)  # [B, …, T/4]
            skips.append(xt)
        lengths.append(xt.shape[-1])
        met = self.meet(xt).unsqueeze(2)  # [B, …, 1, N]
        x = self.encoder[0](met, met)  # the same: of the first, nothing is left
        _, shared = shared_bottom(x, self.encoder[1:], self.decoder)
        xt = self.part(shared, lengths.pop())
        for decode in self.tdecoder[1:]:
            xt, _ = decode(xt, skips.pop(), lengths.pop())  # [B, …, 4T]
        return (xt * std + mean).unflatten(1, (len(self.sources), -1))  # [B, S, C, T]


class FrequencyOnly(HDemucs):
    """The spectrogram branch and the shared bottom: no waveform in, none out.

    Shape: `[B, C, T]` → `[B, S, C, T]`.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        del self.tencoder, self.tdecoder

    def forward(self, mix: Tensor) -> Tensor:
        spec = aligned_stft(mix, self.n_fft)  # complex [B, C, n_fft/2, N]
        x, mean, std = standardize(to_channels(spec), (1, 2, 3))  # [B, 2C, n_fft/2, N]
        skips = []
        for i, encode in enumerate(self.encoder[: self.apart]):
            x = encode(x)  # [B, …, F/4, N]
            x = self.frequency_embedding(x) if i == 0 else x
            skips.append(x)
        x = self.encoder[self.apart](x)  # [B, …, 1, N]
        inside, outside = self.encoder[self.apart + 1 :], self.decoder[: -self.apart]
        x, _ = shared_bottom(x, inside, outside)  # [B, …, rows, N]
        for decode in self.decoder[-self.apart :]:
            x, _ = decode(x, skips.pop())  # [B, …, 4F, N]
        spectra = from_channels(x * std + mean, len(self.sources))
        return aligned_istft(spectra, mix.shape[-1])  # [B, S, C, T]


class _Nothing(nn.Module):
    """Stands where a convolution of the other branch was, and its norm."""

    norm = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return x.new_zeros(1, 1, 1, 1)


BRANCHES = {"time": TimeOnly, "frequency": FrequencyOnly}
"""The class that has only the branch named."""
