"""Reading and writing whole sound files (lesson 00)."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from demucs_lab.audio import ffmpeg
from demucs_lab.audio.headers import (
    c_name,
    existing,
    for_libsndfile,
    read_header,
    refuse_cut,
)
from demucs_lab.audio.waveform import check_waveform, resample
from demucs_lab.common.paths import atomic_path

SUBTYPES = {16: "PCM_16", 24: "PCM_24", 32: "FLOAT"}
"""libsndfile's names for so many bits a sample."""
_WRITE_BLOCK = 1 << 16  # libsndfile's Vorbis encoder crashes when handed minutes at once


class AudioInfo(NamedTuple):
    """What a file's header says: rate in Hz, length in samples, number of channels."""

    samplerate: int
    frames: int
    channels: int


def load_audio(path: str | os.PathLike[str], samplerate: int | None = None) -> tuple[Tensor, int]:
    """Read a sound file of any common format (lesson 00).

    WAV, FLAC, OGG and MP3 are read by libsndfile, anything else by ffmpeg; so is a file that does
    not state its length, and one whose ending is wrong. What was decoded is counted, and compared
    with what the header says.

    Args:
        path: the file.
        samplerate: resample to this rate in Hz; None keeps the file's own.

    Returns:
        The waveform, float32 `[C, T]`, and its rate in Hz.

    Raises:
        FileNotFoundError, IsADirectoryError: if there is no such file.
        ValueError: if the file is empty, cut short, not audio, or holds NaN.
        RuntimeError: if the file needs ffmpeg and ffmpeg is not installed.
    """
    path = existing(path)
    refuse_cut(path)
    if for_libsndfile(path):
        wav, rate = _read_soundfile(path)
    else:
        samples, rate = ffmpeg.decoded(path)
        wav = torch.from_numpy(samples.T.astype(np.float32))
    check_waveform(wav, name=path.name)
    if samplerate is None:
        if rate > 96000:
            warnings.warn(
                f"{path.name} is sampled at {rate} Hz, far above what ears or models use: pass "
                f"samplerate=44100 to resample it",
                stacklevel=2,
            )
        return wav, rate
    return resample(wav, rate, samplerate), samplerate


def audio_info(path: str | os.PathLike[str]) -> AudioInfo:
    """Rate, length and channels of a sound file, read from its header alone.

    Formats that ffmpeg reads may decode to up to a block (some 1000 samples) more or less. An MP3
    that does not state its length is read through, and its frames are counted.
    """
    path = existing(path)
    if for_libsndfile(path):
        info = read_header(path)
        return AudioInfo(info.samplerate, info.frames, info.channels)
    samplerate, frames, channels, _ = ffmpeg.probe(path)
    if not frames:  # the header does not say
        frames = len(ffmpeg.decoded(path)[0])
    return AudioInfo(samplerate, frames, channels)


def save_audio(path: str | os.PathLike[str], wav: Tensor, samplerate: int, bits: int = 16) -> float:
    """Write a waveform as WAV, FLAC, OGG or MP3, atomically (lesson 00).

    A file holds nothing above full scale: a louder waveform is turned down, never clipped, and
    the gain that was used is returned (and warned about). The file is written beside its final
    name and renamed when complete.

    Args:
        path: where to; the ending chooses the format.
        wav: `[C, T]`.
        samplerate: in Hz.
        bits: 16 or 24 (integers), or 32 (float, which has no full scale to exceed); WAV and
            FLAC only (FLAC has no 32).

    Returns:
        The gain applied: 1.0 unless the waveform exceeded full scale.

    Raises:
        ValueError: if `wav` is no waveform or the format is unknown.
        OSError: if the file cannot be written; nothing is left behind.
    """
    import soundfile

    path = Path(path)
    check_waveform(wav, samplerate=samplerate)
    ending = path.suffix.lower()
    if ending not in {".wav", ".flac", ".ogg", ".mp3"}:
        raise ValueError(f"cannot write {path.name!r}: choose .wav, .flac, .ogg or .mp3")
    if ending in {".wav", ".flac"} and (bits not in SUBTYPES or (ending == ".flac" and bits == 32)):
        allowed = "16, 24 or 32" if ending == ".wav" else "16 or 24"
        raise ValueError(f"a {ending} file takes bits={allowed}, got {bits}")
    if ending == ".mp3" and len(wav) > 2:
        raise ValueError(f"an .mp3 file has 1 or 2 channels, got {len(wav)}: choose .flac or .wav")

    samples = wav.detach().to("cpu", torch.float64).numpy().T
    as_float = ending == ".wav" and bits == 32
    peak = float(np.abs(samples).max())
    gain = 1.0
    if peak > 1 and not as_float:
        gain = 1 / peak
        samples = samples * gain
        warnings.warn(
            f"{path.name}: the peak was {20 * np.log10(peak):+.1f} dB above full scale, so it is "
            f"saved {20 * np.log10(peak):.1f} dB quieter",
            stacklevel=2,
        )
    subtype = None
    if ending in {".wav", ".flac"}:
        subtype = SUBTYPES[bits]
        if not as_float:
            samples = to_integers(samples, bits)
    else:
        samples = samples.astype(np.float32)
    try:
        with (
            atomic_path(path) as beside,
            soundfile.SoundFile(
                c_name(beside), "w", samplerate, wav.shape[0], subtype, format=ending[1:].upper()
            ) as file,
        ):
            for start in range(0, len(samples), _WRITE_BLOCK):
                file.write(samples[start : start + _WRITE_BLOCK])
    except (OSError, soundfile.SoundFileError) as error:
        reason = str(getattr(error, "error_string", error)).rstrip(".")  # libsndfile's own words
        raise OSError(f"could not write {path}: {reason}; nothing was left behind") from error
    return gain


def to_integers(samples: np.ndarray, bits: int) -> np.ndarray:
    """Round to the nearest of 2^bits steps; what is read back is then exactly what was rounded."""
    scale = 2.0 ** (bits - 1)
    steps = np.clip(np.round(samples * scale), -scale, scale - 1)
    if bits == 16:
        return steps.astype(np.int16)
    return steps.astype(np.int32) << 8


def _read_soundfile(path: Path) -> tuple[Tensor, int]:
    import soundfile

    info = read_header(path)
    if info.frames == 0:
        raise ValueError(f"{path.name} holds no sound: its length is 0 samples")
    try:
        samples, rate = soundfile.read(c_name(path), dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise ValueError(
            f"{path.name} is damaged or cut short ({error}): copy or download it again"
        ) from error
    if len(samples) < info.frames:
        raise ValueError(
            f"{path.name} is cut short: its header promises {info.frames / rate:.2f} s, it holds "
            f"{len(samples) / rate:.2f} s; copy or download it again"
        )
    if info.subtype in {"PCM_S8", "PCM_U8", "ALAW", "ULAW"}:
        warnings.warn(
            f"{path.name} has only 8 bits a sample: its own noise, some 48 dB below full scale, "
            f"limits every figure measured on it",
            stacklevel=3,
        )
    return torch.from_numpy(np.ascontiguousarray(samples.T)), rate
