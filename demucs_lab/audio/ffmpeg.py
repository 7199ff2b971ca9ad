"""Sound in the formats that only ffmpeg reads."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np

FFMPEG_HELP = (
    "install it with `apt-get install ffmpeg` (Linux), `brew install ffmpeg` (macOS) or "
    "`conda install -c conda-forge ffmpeg` (anywhere)"
)
_GUESSED = {"mp3", "mp2", "aac", "ac3", "eac3", "dts", "mpegts", "mpeg", "loas", "amr"}
"""Formats without a header of the whole, whose length ffprobe guesses from the bit rate."""


class Probed(NamedTuple):
    """What ffprobe says of the first audio stream, and whether a header states its length."""

    samplerate: int
    frames: int
    channels: int
    exact: bool


def have_ffmpeg() -> bool:
    """Whether both ffmpeg and ffprobe can be found."""
    return shutil.which("ffmpeg") is not None and shutil.which("ffprobe") is not None


def probe(path: Path) -> Probed:
    """What ffprobe says of a file; the frames of an MP3, of which headers only guess, it counts.

    Raises:
        ValueError: if ffmpeg finds no sound in the file.
        RuntimeError: if it is not installed.
    """
    counted = path.suffix.lower() == ".mp3"
    entries = "stream=sample_rate,channels,duration,nb_read_packets:format=duration,format_name"
    command = ["ffprobe", "-v", "error", "-protocol_whitelist", "file", "-select_streams", "a:0"]
    command += ["-count_packets"] * counted
    command += ["-show_entries", entries, "-of", "json", f"file:{path.resolve()}"]
    said = json.loads(_run(command, path)[0])
    if not said.get("streams"):
        raise ValueError(f"{path.name} holds no sound that ffmpeg can find")
    stream, container = said["streams"][0], said.get("format", {})
    rate = int(stream.get("sample_rate", 0))
    if not rate or not int(stream.get("channels", 0)):
        raise ValueError(
            f"{path.name} is another format, or damaged or cut short: ffmpeg finds no sound in it"
        )
    frames = round(float(stream.get("duration", container.get("duration", 0))) * rate)
    names = set(container.get("format_name", "").split(","))
    if counted and "mp3" in names:
        frames = int(stream["nb_read_packets"]) * (1152 if rate >= 32000 else 576)
    return Probed(rate, frames, int(stream["channels"]), exact=not _GUESSED & names)


def decoding(path: Path) -> list[str]:
    """The command that writes the samples of a file to its output, as interleaved float32."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe"]
    return [*command, "-i", f"file:{path.resolve()}", "-map", "0:a:0", "-f", "f32le", "pipe:1"]


def decoded(path: Path) -> tuple[np.ndarray, int]:
    """All samples `[T, C]`, float32, and their rate in Hz.

    Raises:
        ValueError: if ffmpeg cannot read the file, or it is empty or cut short.
        RuntimeError: if it is not installed.
    """
    rate, frames, channels, exact = probe(path)
    decoded, errors = _run(decoding(path), path)
    samples = np.frombuffer(decoded[: len(decoded) // (4 * channels) * 4 * channels], dtype="<f4")
    samples = samples.reshape(-1, channels)
    if len(samples) == 0:
        raise ValueError(f"{path.name} holds no sound: its length is 0 samples")
    refuse_cut(path, errors)
    if exact and len(samples) < frames - rate / 10:
        raise ValueError(
            f"{path.name} is damaged or cut short: its header promises {frames / rate:.2f} s, "
            f"{len(samples) / rate:.2f} s could be read; copy or download it again"
        )
    return samples, rate


def refused(path: Path, errors: bytes) -> ValueError:
    """What ffmpeg said of a file that it cannot read, in one sentence."""
    said = errors.decode(errors="replace").strip().splitlines()
    return ValueError(
        f"{path.name} is not a sound file that ffmpeg can read, so it is damaged, cut short or "
        f"no sound ({said[-1] if said else 'no reason given'}): copy or download it again"
    )


def refuse_cut(path: Path, errors: bytes) -> None:
    """Matroska and WebM may not state their length: ffmpeg says where their parts are missing.

    So are frames of a FLAC, each of which has a check sum.
    """
    flac = path.suffix.lower() == ".flac" and b"Error while decoding" in errors
    if flac or b"ended prematurely" in errors:
        raise ValueError(
            f"{path.name} is damaged or cut short: its end is missing; copy or download it again"
        )


def _run(command: list[str], path: Path) -> tuple[bytes, bytes]:
    """What a command writes, and what it says."""
    if not have_ffmpeg():
        why = ", an MP3 that does not state its length," * (path.suffix.lower() == ".mp3")
        raise RuntimeError(
            f"reading {path.name}{why} needs ffmpeg and ffprobe, which are not installed: "
            f"{FFMPEG_HELP}"
        )
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        raise refused(path, done.stderr)
    return done.stdout, done.stderr
