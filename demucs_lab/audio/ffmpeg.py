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
_MP4_FAMILY = {"mov", "mp4", "m4a"}  # their headers state the length to the sample


class Probed(NamedTuple):
    """What ffprobe says of the first audio stream, and whether its length is exact."""

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
    said = json.loads(_run(command, path))
    if not said.get("streams"):
        raise ValueError(f"{path.name} holds no sound that ffmpeg can find")
    stream, container = said["streams"][0], said.get("format", {})
    rate = int(stream["sample_rate"])
    frames = round(float(stream.get("duration", container.get("duration", 0))) * rate)
    if counted:
        frames = int(stream["nb_read_packets"]) * (1152 if rate >= 32000 else 576)
    exact = bool(_MP4_FAMILY & set(container.get("format_name", "").split(",")))
    return Probed(rate, frames, int(stream["channels"]), exact)


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
    samples = np.frombuffer(_run(decoding(path), path), dtype="<f4").reshape(-1, channels)
    if len(samples) == 0:
        raise ValueError(f"{path.name} holds no sound: its length is 0 samples")
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
        f"{path.name} is not a sound file that ffmpeg can read "
        f"({said[-1] if said else 'no reason given'})"
    )


def _run(command: list[str], path: Path) -> bytes:
    if not have_ffmpeg():
        why = ", an MP3 that does not state its length," * (path.suffix.lower() == ".mp3")
        raise RuntimeError(
            f"reading {path.name}{why} needs ffmpeg and ffprobe, which are not installed: "
            f"{FFMPEG_HELP}"
        )
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        raise refused(path, done.stderr)
    return done.stdout
