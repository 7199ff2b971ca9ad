"""The door for sound into a widget: checks, one common level, 16-bit FLAC."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Wave = npt.NDArray[np.float32]


def check_rate(samplerate: Any) -> int:
    """`samplerate` as an integer in Hz, or a sentence that says why it is none."""
    found = getattr(samplerate, "item", lambda: samplerate)()
    plain = isinstance(found, (int, float)) and not isinstance(found, bool)
    if not plain or not 3_000 <= found <= 192_000 or found != int(found):
        raise ValueError(
            f"expected a samplerate in Hz between 3000 and 192000, such as 44100; got {found!r}"
        )
    return int(found)


def check_sound(label: str, sound: Any) -> Wave:
    """A copy of `sound` as float32 `[C, T]` with one or two channels; `[T]` counts as mono."""
    if hasattr(sound, "detach"):
        sound = sound.detach().cpu()
    try:
        wave = np.asarray(sound)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{label}: expected sound as numbers [channels, time]: {error}") from None
    if not np.issubdtype(wave.dtype, np.floating):
        raise ValueError(
            f"{label}: expected floats between -1 and 1, got {wave.dtype}; "
            "divide 16-bit integers by 32768"
        )
    if wave.ndim == 1:
        wave = wave[None]
    if wave.ndim != 2:
        raise ValueError(
            f"{label}: expected sound of shape [channels, time] or [time], got {list(wave.shape)}"
        )
    channels, frames = wave.shape
    if wave.size == 0:
        raise ValueError(f"{label}: there is no sound in it, its shape is {list(wave.shape)}")
    if channels > 2:
        hint = "; it looks like [time, channels]: transpose it with .T" if frames <= 8 else ""
        raise ValueError(f"{label}: expected one or two channels, got {list(wave.shape)}{hint}")
    if not np.isfinite(wave).all():
        bad = int(np.count_nonzero(~np.isfinite(wave)))
        raise ValueError(
            f"{label}: {bad} of its {wave.size} samples are NaN or infinite; "
            "look for a division by zero before this cell"
        )
    return np.array(wave, dtype=np.float32)


def check_lengths(waves: Iterable[tuple[str, Wave]]) -> int:
    """The common number of samples of all `(label, wave)`, or a sentence that names who differs."""
    first, *others = [(label, wave.shape[1]) for label, wave in waves]
    for label, frames in others:
        if frames != first[1]:
            raise ValueError(
                f"expected tracks of equal length: {first[0]} has {first[1]} samples, "
                f"{label} has {frames}; cut both to the shorter one"
            )
    return first[1]


def safe_gain(peak: float) -> float:
    """The factor, at most one, that keeps a peak within full scale."""
    return 1.0 if peak <= 1.0 else 0.99 / peak


def to_int16(wave: Wave, gain: float = 1.0) -> npt.NDArray[np.int16]:
    """Samples times 32768, rounded: what FLAC stores and a browser divides by 32768 again."""
    scaled = np.rint(wave * np.float64(gain) * 32768.0)
    return np.clip(scaled, -32768, 32767).astype(np.int16)


def encode(wave: Wave, samplerate: int, gain: float = 1.0, codec: str = "flac") -> bytes:
    """The file a browser decodes: `"flac"` (16 bits, exact) or `"ogg"` (Vorbis, small, lossy)."""
    import soundfile

    formats = {"flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS")}
    if codec not in formats:
        raise ValueError(f"expected codec 'flac' or 'ogg', got {codec!r}")
    container, subtype = formats[codec]
    samples: npt.NDArray[Any] = to_int16(wave, gain).T if codec == "flac" else (wave * gain).T
    target = io.BytesIO()
    with soundfile.SoundFile(
        target, "w", samplerate, samples.shape[1], subtype=subtype, format=container
    ) as file:
        for start in range(0, len(samples), 65536):  # libsndfile's Vorbis fails on one long write
            file.write(samples[start : start + 65536])
    return target.getvalue()
