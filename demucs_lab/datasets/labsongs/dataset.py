"""LabSongs as a data set: splits, the starter set, the first three songs, and what they cost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, overload

import soundfile
import torch
from torch import Tensor

from demucs_lab.common.paths import cache_dir, checkout

from ..track import Track
from .cache import is_whole, read_score, save_song, song_folder
from .composer import SHORTEST, compose
from .pool import render_missing, workers_available

SIZES = {"train": 100, "valid": 14, "test": 50}
"""Songs in each split when no number is given."""
STARTER = {"train": 64, "test": 8}
STARTER_RATE, STARTER_SECONDS = 22050, 12.0
FIRST = (("valid", 8), ("valid", 5), ("valid", 13))
FIRST_SECONDS = 9.0
"""The three songs that lie in `data/songs` of a checkout, at the rate of the starter set."""


def read_stem(folder: Path, source: str, start: int, frames: int) -> Tensor:
    """Part of a stem of a song folder, `[2, frames]` float32."""
    path = folder / f"{source}.flac"
    try:
        wave, _ = soundfile.read(path, frames, start, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise OSError(
            f"{path} cannot be read ({error}); delete its folder and open LabSongs again to "
            "render the song again"
        ) from error
    return torch.from_numpy(wave.T.copy())


def open_song(folder: Path) -> Track:
    """A rendered song as a `Track` with its score; nothing but the score is read yet."""
    score = read_score(folder)
    info = soundfile.info(folder / "drums.flac")
    return Track(
        name=f"{score.split}-{score.index:03d} {score.title}",
        samplerate=info.samplerate,
        frames=info.frames,
        load=partial(read_stem, folder),
        score=score,
    )


@dataclass(frozen=True)
class Estimate:
    """What rendering will cost, before it begins; `print` it."""

    songs: int
    missing: int
    seconds: float
    bytes: int
    folder: Path

    def __str__(self) -> str:
        if not self.missing:
            return f"all {self.songs} songs are rendered, in {self.folder}"
        minutes = f"{self.seconds:.0f} s" if self.seconds < 90 else f"{self.seconds / 60:.1f} min"
        return (
            f"{self.missing} of {self.songs} songs to render: about {minutes} and "
            f"{self.bytes / 1e6:.0f} MB in {self.folder}"
        )


class LabSongs(Sequence[Track]):
    """Songs that the kit composes, plays and sings itself (lesson 00, `data/README.md`).

    What is missing is rendered on all cores when the data set is opened, once, into FLAC files; the
    same (split, index, samplerate, duration) always gives the same samples. The mixture of a song
    is the sum of its four stems, exactly. Each `track.score` holds what was played.

    Args:
        split: "train" (100 songs), "valid" (14) or "test" (50); they share no seed.
        samplerate: in Hz, 8000 or more; songs are synthesised at this rate, not resampled.
        duration: of each song, in seconds, 4 or more.
        n: number of songs, as many as you like; None: the size of the split.
        root: folder of the cache; None: `cache_dir()`.
        progress: show a bar while rendering.

    Raises:
        ValueError: unknown split, or a number out of range.
        OSError: one sentence, if the cache cannot be written.
    """

    def __init__(
        self,
        split: str = "train",
        samplerate: int = 44100,
        duration: float = 30.0,
        n: int | None = None,
        root: str | Path | None = None,
        progress: bool = True,
    ) -> None:
        self.split, self.samplerate, self.duration = split, int(samplerate), float(duration)
        self._folders = _folders(split, self.samplerate, self.duration, n, root)
        jobs = _jobs(self._folders, split, self.samplerate, self.duration)
        render_missing(jobs, progress, f"LabSongs {split}")
        self._tracks: dict[int, Track] = {}

    @classmethod
    def starter(
        cls, split: str = "train", root: str | Path | None = None, progress: bool = True
    ) -> LabSongs:
        """What `make lab` renders: 64 "train" or 8 "test" songs of 12 s at 22.05 kHz."""
        if split not in STARTER:
            raise ValueError(f"the starter set has {' and '.join(STARTER)}, got split={split!r}")
        return cls(split, STARTER_RATE, STARTER_SECONDS, STARTER[split], root, progress)

    @staticmethod
    def estimate(
        splits: str | Sequence[str] = ("train", "valid", "test"),
        samplerate: int = 44100,
        duration: float = 30.0,
        n: int | None = None,
        root: str | Path | None = None,
    ) -> Estimate:
        """Time and disk that rendering will take here, from rendering one short song now.

        Args:
            splits: one split or several; the other arguments as for `LabSongs`.
        """
        names = (splits,) if isinstance(splits, str) else tuple(splits)
        folders = [f for s in names for f in _folders(s, samplerate, float(duration), n, root)]
        missing = sum(not is_whole(folder) for folder in folders)
        seconds = size = 0.0
        if missing:
            speed, rate = _trial(samplerate)
            length = missing * float(duration)
            seconds = 3.0 + length / speed / min(missing, workers_available())
            size = length * rate
        return Estimate(len(folders), missing, seconds, round(size), folders[0].parent.parent)

    @overload
    def __getitem__(self, index: int) -> Track: ...
    @overload
    def __getitem__(self, index: slice) -> list[Track]: ...
    def __getitem__(self, index: int | slice) -> Track | list[Track]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"LabSongs {self.split!r} has {len(self)} songs, got index {index}")
        if position not in self._tracks:
            self._tracks[position] = open_song(self._folders[position])
        return self._tracks[position]

    def __len__(self) -> int:
        return len(self._folders)

    def __repr__(self) -> str:
        return (
            f"LabSongs({self.split!r}, samplerate={self.samplerate}, duration={self.duration:g}, "
            f"n={len(self)})"
        )


def _folders(
    split: str, samplerate: int, duration: float, n: int | None, root: str | Path | None
) -> list[Path]:
    if split not in SIZES:
        raise ValueError(f"LabSongs has the splits {', '.join(SIZES)}, got {split!r}")
    count = SIZES[split] if n is None else n
    if count < 1:
        raise ValueError(f"a data set needs one song or more, got n={n}")
    if samplerate < 8000:
        raise ValueError(f"songs are rendered at 8000 Hz or more, got samplerate={samplerate}")
    if duration < SHORTEST:
        raise ValueError(f"songs last {SHORTEST:g} s or more, got duration={duration:g}")
    base = Path(root) if root is not None else cache_dir()
    return [song_folder(base, split, i, samplerate, duration) for i in range(count)]


def _jobs(
    folders: list[Path], split: str, samplerate: int, duration: float
) -> list[dict[str, Any]]:
    return [
        {"folder": f, "split": split, "index": i, "samplerate": samplerate, "duration": duration}
        for i, f in enumerate(folders)
        if not is_whole(f)
    ]


def _trial(samplerate: int) -> tuple[float, float]:
    """(seconds of song rendered per second, bytes per second of song), measured on short songs."""
    import tempfile

    length, songs = 10.0, 3
    with tempfile.TemporaryDirectory() as folder:
        save_song(Path(folder, "warm"), compose("train", 0, SHORTEST), samplerate)
        start, size = time.perf_counter(), 0
        for index in range(songs):
            target = Path(folder, str(index))
            save_song(target, compose("train", index, length), samplerate)
            size += sum(path.stat().st_size for path in target.iterdir())
    return songs * length / (time.perf_counter() - start), size / length / songs


def first_songs() -> list[Track]:
    """The three songs of lesson 00: those in `data/songs`, or the same ones rendered."""
    root = checkout()
    if root is not None:
        folders = sorted(path for path in (root / "data" / "songs").glob("[0-9]*") if path.is_dir())
        if len(folders) == len(FIRST) and all(map(is_whole, folders)):
            return [open_song(folder) for folder in folders]
    folders = [
        song_folder(cache_dir(), split, index, STARTER_RATE, FIRST_SECONDS)
        for split, index in FIRST
    ]
    jobs = [
        {
            "folder": folder,
            "split": split,
            "index": index,
            "samplerate": STARTER_RATE,
            "duration": FIRST_SECONDS,
        }
        for folder, (split, index) in zip(folders, FIRST, strict=True)
        if not is_whole(folder)
    ]
    render_missing(jobs, False, "LabSongs")
    return [open_song(folder) for folder in folders]
