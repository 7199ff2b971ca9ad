"""MUSDB18 and MUSDB18-HQ, the songs on which separation is compared (lessons 00 and 02)."""

from __future__ import annotations

import os
import socket
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from demucs_lab.audio import FFMPEG_HELP, SOURCES, audio_info, have_ffmpeg, to_stereo
from demucs_lab.common.paths import data_dir
from demucs_lab.datasets.stems import read_part
from demucs_lab.datasets.track import SPLITS, Track, TrackList


class MUSDB18(TrackList):
    """The songs of MUSDB18 (AAC, `.stem.mp4`) or MUSDB18-HQ (WAV), read through `musdb`.

    The mixture of a track is the data set's own. In MUSDB18 it was coded separately, so it differs
    from the sum of the decoded stems by coding noise, some 30 dB below the music. A part of an AAC
    song costs as much time as everything before it: for many parts of long songs use the HQ files.

    Args:
        root: the folder that holds `train` and `test`; None: `$MUSDB_PATH`, else the sample that
            `download` fetched earlier.
        split: "train" (86 songs), "valid" (the 14 of `train` that the musdb package sets aside) or
            "test" (50 songs).
        is_wav: True for MUSDB18-HQ, False for MUSDB18; None looks into the folder.
        download: fetch musdb's sample, 7 seconds of each song (some 150 MB), where there are none.
            MUSDB18 is for research and teaching only.

    Raises:
        FileNotFoundError: if there are no songs at `root` or none in the split.
        ImportError, RuntimeError: if musdb or ffmpeg is not installed.
        ConnectionError: if the download fails.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        split: str = "test",
        is_wav: bool | None = None,
        download: bool = False,
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f"expected split to be one of {', '.join(SPLITS)}, got {split!r}")
        musdb = _import_musdb()
        self.root, self.split = find_root(root, download), split
        self.is_wav = _holds_wav(self.root) if is_wav is None else is_wav
        subset = "test" if split == "test" else "train"
        database = musdb.DB(
            root=str(self.root),
            is_wav=self.is_wav,
            subsets=[subset],
            split=None if subset == "test" else split,
        )
        self._tracks = [(_open_wav if self.is_wav else _open_stem)(song) for song in database]
        if not self._tracks:
            raise FileNotFoundError(
                f"MUSDB18 at {self.root} has no songs for split {split!r} as "
                f"{'WAV (is_wav=True)' if self.is_wav else 'stem.mp4 (is_wav=False)'}; there are "
                f"{len(_songs(self.root / 'train'))} songs in train and "
                f"{len(_songs(self.root / 'test'))} in test: choose another split"
            )

    def __repr__(self) -> str:
        kind = "MUSDB18-HQ" if self.is_wav else "MUSDB18"
        return f"{kind} {self.split!r} at {self.root}: {len(self)} song{'s' * (len(self) != 1)}"


def sample_dir() -> Path:
    """Where the 7-second sample is kept."""
    return data_dir() / "musdb18"


def find_root(root: str | os.PathLike[str] | None = None, download: bool = False) -> Path:
    """The folder of MUSDB18: `root`, else `$MUSDB_PATH`, else the sample; checked to hold songs."""
    given = root if root is not None else os.environ.get("MUSDB_PATH")
    path = Path(given).expanduser() if given else sample_dir()
    if _songs(path / "train") or _songs(path / "test"):
        return path
    if download:
        _download_sample(path)
        return path
    if root is not None and str(root) in SPLITS and not path.exists():
        raise FileNotFoundError(
            f"there is no folder {path}: the first argument is the folder of MUSDB18; "
            f"for that split say MUSDB18(split={str(root)!r})"
        )
    named = "the folder given" if root is not None else "MUSDB_PATH"
    if not given:
        raise FileNotFoundError(
            "MUSDB18 was not found: set MUSDB_PATH to the folder that holds its `train` and "
            "`test`, or get its 7-second sample with `python -m demucs_lab fetch musdb-sample`"
        )
    raise FileNotFoundError(
        f"{named} is {path}, but there are no songs of MUSDB18 in it: expected "
        f"train/NAME.stem.mp4 (MUSDB18) or train/NAME/mixture.wav (MUSDB18-HQ), or the same in test"
    )


def _songs(folder: Path) -> list[Path]:
    return [*folder.glob("*.stem.mp4"), *folder.glob("*/mixture.wav")]


def _holds_wav(root: Path) -> bool:
    return not any(any(root.glob(f"{split}/*.stem.mp4")) for split in ("train", "test"))


def _import_musdb() -> Any:
    if not have_ffmpeg():
        raise RuntimeError(
            f"MUSDB18 is read with ffmpeg and ffprobe, which are not installed: {FFMPEG_HELP}; "
            f"or give the folder of MUSDB18-HQ to StemsFolder, which needs neither"
        )
    try:
        import musdb
    except ImportError as error:
        raise ImportError(
            "MUSDB18 is read with the package musdb, which is not installed: "
            "install it with `python -m pip install musdb`"
        ) from error
    return musdb


def _open_stem(song: Any) -> Track:
    stem_ids = {"mixture": song.stem_id} | {name: song.sources[name].stem_id for name in SOURCES}
    # ffmpeg's decoder hands out whole AAC frames; what the header counts is the song itself.
    length = min(song.info.samples(stem_id) for stem_id in stem_ids.values())

    def load(source: str, start: int, frames: int) -> Tensor:
        samples = song.load_audio(
            song.path, stem_ids[source], start / song.rate, frames / song.rate
        ).reshape(-1, song.info.channels(stem_ids[source]))
        if len(samples) != frames:
            raise ValueError(
                f"{song.path} is damaged or cut short: samples {start} to {start + frames} of "
                f"{source} should be there, {len(samples)} could be read; copy it again"
            )
        return to_stereo(torch.from_numpy(samples.T.astype("float32")))

    return Track(
        name=song.name,
        samplerate=int(song.rate),
        frames=length,
        load=load,
        load_mixture=lambda start, frames: load("mixture", start, frames),
    )


def _open_wav(song: Any) -> Track:
    files = {"mixture": Path(song.path)}
    for name in SOURCES:
        if name not in song.sources:
            raise FileNotFoundError(f"{song.name!r} of MUSDB18-HQ has no {name}.wav: copy it again")
        files[name] = Path(song.sources[name].path)
    infos = {audio_info(file)[:2] for file in files.values()}
    if len(infos) > 1:
        raise ValueError(f"the files of {song.name!r} differ in length or rate: copy it again")
    samplerate, length = infos.pop()

    def load(source: str, start: int, frames: int) -> Tensor:
        return to_stereo(read_part(files[source], start, frames))

    return Track(
        name=song.name,
        samplerate=samplerate,
        frames=length,
        load=load,
        load_mixture=lambda start, frames: load("mixture", start, frames),
    )


def _download_sample(path: Path) -> None:
    """Fetch musdb's sample into `path`, atomically."""
    musdb = _import_musdb()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and any(path.iterdir()):
        raise FileExistsError(
            f"{path} is not empty but holds no songs of MUSDB18: remove it or name another folder"
        )
    patience = socket.getdefaulttimeout()
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".musdb18-") as folder:
        beside = Path(folder, path.name)
        socket.setdefaulttimeout(30)
        try:
            musdb.DB(root=str(beside), download=True, subsets=[])
        except (OSError, RuntimeError, zipfile.BadZipFile) as error:
            raise ConnectionError(
                f"the 7-second sample of MUSDB18 could not be downloaded ({error}): try again with "
                f"a network connection, or set MUSDB_PATH to a copy of MUSDB18"
            ) from error
        finally:
            socket.setdefaulttimeout(patience)
        if path.exists():
            path.rmdir()
        beside.rename(path)
