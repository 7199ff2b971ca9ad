"""The door through which sound comes in and goes out (lesson 00).

Inside the kit a waveform is a float32 tensor `[channels, time]` with full scale at ±1. Whatever
cannot become one is refused here, in one sentence, before it can spoil a result further on.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from demucs_lab.audio import ffmpeg
from demucs_lab.audio.ffmpeg import FFMPEG_HELP as FFMPEG_HELP
from demucs_lab.audio.ffmpeg import have_ffmpeg as have_ffmpeg
from demucs_lab.audio.headers import states_length
from demucs_lab.common.paths import atomic_path

SOURCES = ("drums", "bass", "other", "vocals")
"""The four stems, in the order that every `[S, C, T]` tensor of the kit has them."""

MAX_CHANNELS = 8  # 7.1 surround
_SOUNDFILE = {".wav", ".flac", ".ogg", ".oga", ".mp3", ".aif", ".aiff", ".w64", ".rf64"}
_WRITE_BLOCK = 1 << 16  # libsndfile's Vorbis encoder crashes when handed minutes at once
_SUBTYPES = {16: "PCM_16", 24: "PCM_24", 32: "FLOAT"}


class AudioInfo(NamedTuple):
    """What a file's header says: rate in Hz, length in samples, number of channels."""

    samplerate: int
    frames: int
    channels: int


def load_audio(path: str | os.PathLike[str], samplerate: int | None = None) -> tuple[Tensor, int]:
    """Read a sound file of any common format (lesson 00).

    WAV, FLAC, OGG and MP3 are read by libsndfile, anything else by ffmpeg; so is an MP3 that does
    not state its length.

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
    path = _existing(path)
    if _for_libsndfile(path):
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
    path = _existing(path)
    if _for_libsndfile(path):
        info = _header(path)
        return AudioInfo(info.samplerate, info.frames, info.channels)
    return AudioInfo(*ffmpeg.probe(path)[:3])


def save_audio(path: str | os.PathLike[str], wav: Tensor, samplerate: int, bits: int = 16) -> float:
    """Write a waveform as WAV, FLAC, OGG or MP3, whole or not at all (lesson 00).

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
    if ending in {".wav", ".flac"} and (
        bits not in _SUBTYPES or (ending == ".flac" and bits == 32)
    ):
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
        subtype = _SUBTYPES[bits]
        if not as_float:
            samples = _to_integers(samples, bits)
    else:
        samples = samples.astype(np.float32)
    try:
        with (
            atomic_path(path) as beside,
            soundfile.SoundFile(
                beside, "w", samplerate, wav.shape[0], subtype, format=ending[1:].upper()
            ) as file,
        ):
            for start in range(0, len(samples), _WRITE_BLOCK):
                file.write(samples[start : start + _WRITE_BLOCK])
    except (OSError, soundfile.SoundFileError) as error:
        reason = str(getattr(error, "error_string", error)).rstrip(".")  # libsndfile's own words
        raise OSError(f"could not write {path}: {reason}; nothing was left behind") from error
    return gain


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


def _existing(path: str | os.PathLike[str]) -> Path:
    path = Path(path).expanduser()
    if path.is_dir():
        raise IsADirectoryError(
            f"{path} is a folder, not a sound file: for a folder of stems use datasets.StemsFolder"
        )
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path} (looked from {Path.cwd()})")
    if path.stat().st_size == 0:
        raise ValueError(f"{path.name} is empty (0 bytes): copy or download it again")
    return path


def _for_libsndfile(path: Path) -> bool:
    """Whether libsndfile reads all of the file; the others are ffmpeg's."""
    if path.suffix.lower() not in _SOUNDFILE:
        return False
    return _header(path).format != "MP3" or states_length(path)


def _header(path: Path):  # -> soundfile._SoundFileInfo
    import soundfile

    try:
        return soundfile.info(path)
    except soundfile.SoundFileError as error:
        with path.open("rb") as file:
            start = file.read(64)
        if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start):
            raise ValueError(
                f"{path.name} is a text file, whatever its ending says: find the sound file that "
                f"belongs there"
            ) from error
        raise ValueError(
            f"{path.name} cannot be read as {path.suffix}: it is another format, or damaged or cut "
            f"short; copy or download it again"
        ) from error


def _read_soundfile(path: Path) -> tuple[Tensor, int]:
    import soundfile

    info = _header(path)
    _refuse_cut_wav(path)
    _refuse_cut_ogg(path)
    if info.frames == 0:
        raise ValueError(f"{path.name} holds no sound: its length is 0 samples")
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
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


def _refuse_cut_wav(path: Path) -> None:
    """libsndfile reads a truncated WAV without a word, so the header is compared with the file."""
    with path.open("rb") as file:
        if file.read(4) != b"RIFF":
            return
        promised = int.from_bytes(file.read(4), "little") + 8
        if file.read(4) != b"WAVE":
            return
        held = path.stat().st_size
        streamed = promised - 8 in (0, 0xFFFFFFFF)  # written to a pipe: the length is not known
        if held < promised and not streamed:
            raise ValueError(
                f"{path.name} is cut short: its header promises {promised} bytes, the file has "
                f"{held}; copy or download it again"
            )


def _refuse_cut_ogg(path: Path) -> None:
    """libsndfile reads an OGG up to where it stops; only its last page may carry the end mark."""
    with path.open("rb") as file:
        if file.read(4) != b"OggS":
            return
        file.seek(-min(path.stat().st_size, 1 << 17), os.SEEK_END)  # a page has at most 64 KiB
        tail = file.read()
    last = tail.rfind(b"OggS")
    marked_last = last >= 0 and tail[last + 5 : last + 6] and tail[last + 5] & 4
    segments = tail[last + 27 : last + 27 + tail[last + 26]] if marked_last else b""
    if not marked_last or len(tail) < last + 27 + len(segments) + sum(segments):
        raise ValueError(f"{path.name} is cut short: its end is missing; copy or download it again")


def _to_integers(samples: np.ndarray, bits: int) -> np.ndarray:
    """Round to the nearest of 2^bits steps; what is read back is then exactly what was rounded."""
    scale = 2.0 ** (bits - 1)
    steps = np.clip(np.round(samples * scale), -scale, scale - 1)
    if bits == 16:
        return steps.astype(np.int16)
    return steps.astype(np.int32) << 8
