"""What a waveform is, and what makes it another one: more channels, another rate (lesson 00)."""

from __future__ import annotations

import torch
from torch import Tensor

SOURCES = ("drums", "bass", "other", "vocals")
"""The four stems, in the order that every `[S, C, T]` tensor of the kit has them."""

MAX_CHANNELS = 8  # 7.1 surround


def check_waveform(
    wav: Tensor,
    name: str = "the waveform",
    samplerate: int | None = None,
    channels: int | None = None,
) -> None:
    """Refuse anything that is not a finite waveform `[C, T]`.

    Args:
        wav: what should be a waveform.
        name: what to call it in the message.
        samplerate: if given, must be a sensible rate in Hz.
        channels: if given, the number of channels that is needed.

    Raises:
        TypeError: if it is no floating-point tensor.
        ValueError: if its shape, its rate or a value is wrong.

    >>> check_waveform(torch.zeros(44100, 2))
    Traceback (most recent call last):
    ValueError: expected the waveform of shape [channels, time], got [44100, 2]: it looks like \
[time, channels]; transpose it with wav.T
    """
    if not isinstance(wav, Tensor):
        raise TypeError(
            f"expected {name} as a torch tensor [channels, time], got {type(wav).__name__}: "
            f"convert it with torch.as_tensor"
        )
    if not wav.is_floating_point():
        raise TypeError(
            f"expected {name} as floats in [-1, 1], got {str(wav.dtype).removeprefix('torch.')}: "
            f"divide by full scale (32768 for 16 bits)"
        )
    shape = list(wav.shape)
    if wav.dim() == 1:
        raise ValueError(
            f"expected {name} of shape [channels, time], got {shape}: a mono sound is wav[None]"
        )
    if wav.dim() != 2:
        raise ValueError(f"expected {name} of shape [channels, time], got {shape}")
    if wav.numel() == 0:
        raise ValueError(f"{name} is empty (shape {shape}): there is nothing to hear")
    if shape[0] > MAX_CHANNELS >= shape[1] or (shape[1] <= 2 < shape[0]):
        raise ValueError(
            f"expected {name} of shape [channels, time], got {shape}: it looks like "
            f"[time, channels]; transpose it with wav.T"
        )
    if shape[0] > MAX_CHANNELS:
        raise ValueError(
            f"{name} has {shape[0]} channels, more than the {MAX_CHANNELS} of 7.1 surround: "
            f"choose or mix down the ones you want"
        )
    if channels is not None and shape[0] != channels:
        raise ValueError(
            f"{name} has {shape[0]} channels where {channels} are needed: see audio.to_stereo"
        )
    if not torch.isfinite(wav).all():
        bad = int((~torch.isfinite(wav)).sum())
        raise ValueError(
            f"{name} holds {bad} NaN or infinite sample{'s' if bad > 1 else ''}: find where they "
            f"come from, or replace them with torch.nan_to_num"
        )
    if samplerate is not None:
        _check_rate(samplerate)


def to_stereo(wav: Tensor) -> Tensor:
    """Mono `[1, T]` becomes stereo `[2, T]` with equal channels; stereo stays as it is.

    >>> to_stereo(torch.ones(1, 3)).shape
    torch.Size([2, 3])
    """
    check_waveform(wav)
    if wav.shape[0] == 1:
        return wav.expand(2, -1)
    if wav.shape[0] == 2:
        return wav
    raise ValueError(
        f"cannot make stereo from {wav.shape[0]} channels without knowing which is which: choose "
        f"two, as in wav[:2]"
    )


_SIDE = 0.5**0.5  # of the centre and the surround channels, as ITU-R BS.775 has them
_FOLDS = {
    3: ((1, 0, _SIDE), (0, 1, _SIDE)),  # left, right, centre
    4: ((1, 0, _SIDE, 0), (0, 1, 0, _SIDE)),  # left, right, and behind
    5: ((1, 0, _SIDE, _SIDE, 0), (0, 1, _SIDE, 0, _SIDE)),
    6: ((1, 0, _SIDE, 0, _SIDE, 0), (0, 1, _SIDE, 0, 0, _SIDE)),  # 5.1; the fourth is the bass's
    8: ((1, 0, _SIDE, 0, _SIDE, 0, _SIDE, 0), (0, 1, _SIDE, 0, 0, _SIDE, 0, _SIDE)),  # 7.1
}


def mix_down(wav: Tensor) -> Tensor:
    """Surround sound `[C, T]` becomes stereo `[2, T]`, never louder; mono and stereo stay.

    Left and right, with the centre and what is behind 3 dB lower and without the channel of low
    frequencies (ITU-R BS.775-3), then all so much quieter that nothing exceeds full scale.

    >>> mix_down(torch.ones(6, 3)).shape
    torch.Size([2, 3])
    """
    if len(wav) <= 2:
        return wav
    if len(wav) not in _FOLDS:
        return wav.mean(0, keepdim=True).expand(2, -1)
    fold = torch.tensor(_FOLDS[len(wav)], dtype=wav.dtype, device=wav.device)
    return (fold / fold.sum(1, keepdim=True)) @ wav


def resample(wav: Tensor, old: int, new: int) -> Tensor:
    """Change the sample rate with a windowed sinc filter, `[..., T]` → `[..., ⌈T·new/old⌉]`.

    torchaudio's resampler with the settings that match resampy's `kaiser_best`: everything up to
    95 % of the lower Nyquist frequency is kept, what would alias lies 90 dB or more below.

    Args:
        wav: `[..., T]`, floating point.
        old: its rate in Hz.
        new: the rate wanted, in Hz; with `new == old` the waveform comes back as it is.

    Raises:
        ValueError: if a rate is no whole number of hertz between 1000 and 384000.

    >>> resample(torch.zeros(2, 1001), 44100, 22050).shape
    torch.Size([2, 501])
    """
    _check_rate(old)
    _check_rate(new)
    if old == new:
        return wav
    import torchaudio

    return torchaudio.functional.resample(
        wav.contiguous(),  # which it takes for granted
        old,
        new,
        lowpass_filter_width=64,
        rolloff=0.9475937167399596,
        resampling_method="sinc_interp_kaiser",
        beta=14.769656459379492,
    )


def _check_rate(samplerate: int) -> None:
    if not 1000 <= samplerate <= 384000 or samplerate != int(samplerate):
        raise ValueError(
            f"expected a sample rate in Hz between 1000 and 384000, got {samplerate:g}: is it in "
            f"kHz, or a length?"
        )
