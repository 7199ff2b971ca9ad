"""Small models with a known answer and what else the tests of the separator share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from demucs_lab import audio

RATE = 8000


class Shares(nn.Module):
    """Each source is a fixed share of the mixture, so that the right answer is known."""

    def __init__(
        self,
        shares: tuple[float, ...] = (0.5, 0.3, 0.15, 0.05),
        samplerate: int = RATE,
        segment: float = 1.0,
        audio_channels: int = 2,
    ) -> None:
        super().__init__()
        self.sources = ("drums", "bass", "other", "vocals")[: len(shares)]
        self.samplerate, self.segment, self.audio_channels = samplerate, segment, audio_channels
        self.shares = nn.Parameter(torch.tensor(shares)[:, None, None])

    def forward(self, mix: Tensor) -> Tensor:
        return self.shares * mix.unsqueeze(1)


class Fussy(Shares):
    """An answer that depends on where in its segment a sample lies, and on what is around it."""

    def forward(self, mix: Tensor) -> Tensor:
        place = 1 + torch.linspace(0, 1, mix.shape[-1], dtype=mix.dtype)
        around = nn.functional.avg_pool1d(mix, 201, 1, 100, count_include_pad=True)
        return super().forward(mix * place + around + mix.mean(-1, keepdim=True))


class Padded(Fussy):
    """Like Demucs: takes only lengths that fill its frames."""

    def valid_length(self, length: int) -> int:
        return -(-length // 512) * 512 + 600

    def forward(self, mix: Tensor) -> Tensor:
        assert mix.shape[-1] == self.valid_length(mix.shape[-1] - 600)
        return super().forward(mix)


class Windowed(Fussy):
    """Like HTDemucs: always hears one segment."""

    pad_to_segment = True

    def forward(self, mix: Tensor) -> Tensor:
        assert mix.shape[-1] == round(self.segment * self.samplerate)
        return super().forward(mix)


def noise(seconds=3.3, channels=2, rate=RATE):
    wav = 0.1 * torch.randn(channels, round(seconds * rate), generator=torch.Generator())
    return wav - wav.mean()


def song_file(folder):
    path = folder / "song.wav"
    audio.save_audio(path, noise(), RATE, bits=32)
    return path


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def stems_of(files):
    return torch.stack([audio.load_audio(path)[0] for path in files.values()])
