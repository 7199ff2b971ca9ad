"""Data sets by name, the same for all commands; a new one is a file of its own and a row here."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from demucs_lab.datasets import Track


def open(
    name: str | os.PathLike[str],
    split: str = "test",
    samplerate: int | None = None,
    n: int | None = None,
) -> Sequence[Track]:
    """The songs of a data set (lesson 00).

    Args:
        name: "labsongs", "starter" (72 short songs of them), "musdb18", or a folder of songs with
            stems.
        split: "train", "valid" or "test", where songs are divided so.
        samplerate: in Hz, at which LabSongs are rendered; other songs have their own.
        n: only the first so many.

    Raises:
        FileNotFoundError, NotADirectoryError: if there are no such songs.
        ValueError: if they have no such split.
    """
    if str(name) in _SETS:
        songs = _SETS[str(name)](split, samplerate, n)
    else:
        songs = _folder(name, split)
    return songs if n is None else songs[:n]


def has_split(name: str | os.PathLike[str], split: str) -> bool:
    """Whether a data set sets songs aside as this split."""
    if str(name) in _SETS:
        return (str(name), split) != ("starter", "valid")
    return Path(name, split).expanduser().is_dir()


def _labsongs(split: str, samplerate: int | None, n: int | None) -> Sequence[Track]:
    from demucs_lab.datasets import LabSongs

    return LabSongs(split, samplerate or 44100, n=n)


def _starter(split: str, samplerate: int | None, n: int | None) -> Sequence[Track]:
    from demucs_lab.datasets import LabSongs

    return LabSongs.starter(split)


def _musdb18(split: str, samplerate: int | None, n: int | None) -> Sequence[Track]:
    from demucs_lab.datasets import MUSDB18

    return MUSDB18(split=split)


def _folder(path: str | os.PathLike[str], split: str) -> Sequence[Track]:
    from demucs_lab.datasets import StemsFolder

    return StemsFolder(path, split)


_SETS: dict[str, Callable[[str, int | None, int | None], Sequence[Track]]] = {
    "labsongs": _labsongs,
    "starter": _starter,
    "musdb18": _musdb18,
}
