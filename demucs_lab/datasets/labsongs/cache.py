"""Rendered songs on disk: FLAC folders that appear atomically.

Every song is a folder `<index>/` with `drums.flac bass.flac other.flac vocals.flac score.json`. It
is written under another name beside its final one and renamed when all is on the disk. So a kill
leaves no half song, and two programs may render the same songs at once: the second drops its copy.
"""

from __future__ import annotations

import io
import os
import secrets
import shutil
import time
from pathlib import Path

import soundfile

from .composer import compose
from .score import Score
from .studio import SOURCES, render

VERSION = 6
"""Of the composer and the band. Raised when songs sound different: all are rendered again."""
FILES = (*(f"{source}.flac" for source in SOURCES), "score.json")
STALE = 3600.0
"""Seconds after which a half-written folder is a leftover of a killed program."""


def song_folder(root: Path, split: str, index: int, samplerate: int, duration: float) -> Path:
    """Where a song lies: `<root>/labsongs/v<version>/<rate>hz-<seconds>s/<split>/<index>`."""
    kind = f"{samplerate}hz-{duration:g}s"
    return root / "labsongs" / f"v{VERSION}" / kind / split / f"{index:04d}"


def is_whole(folder: Path) -> bool:
    """True if every file of the song is there."""
    return all((folder / name).is_file() for name in FILES)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def save_song(folder: Path, score: Score, samplerate: int) -> None:
    """Render a score into `folder`, all or nothing."""
    stems = render(score, samplerate)
    beside = folder.with_name(f".{folder.name}-{os.getpid()}-{secrets.token_hex(4)}.tmp")
    beside.mkdir(parents=True)
    try:
        for source, stem in stems.items():
            path = beside / f"{source}.flac"
            flac = io.BytesIO()
            soundfile.write(flac, stem.T, samplerate, format="FLAC", subtype="PCM_16")
            _write(path, flac.getvalue())
        _write(beside / "score.json", score.to_json().encode())
        _take_place(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _take_place(beside: Path, folder: Path) -> None:
    for _ in range(5):
        try:
            beside.rename(folder)
        except OSError:
            if is_whole(folder):
                return
            shutil.rmtree(folder, ignore_errors=True)  # a part of it was deleted
            time.sleep(0.05)  # a virus scanner may hold the new files for a moment
        else:
            return
    beside.rename(folder)


def ensure_song(folder: Path, split: str, index: int, samplerate: int, duration: float) -> bool:
    """Render a song unless it is there; True if it was missing."""
    if is_whole(folder):
        return False
    save_song(folder, compose(split, index, duration), samplerate)
    return True


def read_score(folder: Path) -> Score:
    """The score that lies beside the stems; `OSError` if it cannot be understood."""
    path = folder / "score.json"
    try:
        return Score.from_json(path.read_text(encoding="utf-8"))
    except (ValueError, KeyError, TypeError) as error:
        raise OSError(
            f"{path} is not a score of this version; delete its folder and open LabSongs again"
        ) from error


def sweep(folder: Path) -> None:
    """Remove half songs that a killed program left an hour ago or more."""
    if not folder.is_dir():
        return
    for leftover in folder.glob(".*.tmp"):
        try:
            if time.time() - leftover.stat().st_mtime > STALE:
                shutil.rmtree(leftover, ignore_errors=True)
        except OSError:
            continue
