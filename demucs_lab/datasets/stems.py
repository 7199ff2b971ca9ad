"""Any song whose stems lie in a folder, one file each (lesson 00)."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from demucs_lab.audio import SOURCES, AudioInfo, audio_info, load_audio, to_stereo
from demucs_lab.audio.headers import c_name, for_libsndfile
from demucs_lab.datasets.track import SPLITS, Track, TrackList

SEEKABLE = {".wav", ".flac", ".aif", ".aiff", ".w64", ".rf64"}
"""Formats in which libsndfile finds a sample exactly; in MP3 and OGG it may miss by a frame."""
SOUND = SEEKABLE | {".mp3", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aac", ".wma", ".caf"}


class StemsFolder(TrackList):
    """The songs in a folder, each a folder of its own with one file per source (lesson 00).

    A song folder holds `drums`, `bass`, `other` and `vocals`, each as .wav, .flac, .mp3 or any
    other sound file; mono stems are played in stereo. If it also holds a `mixture`, as MUSDB18-HQ
    does, that file is what `track.mixture` gives; otherwise the mixture is the sum of the stems.

    Args:
        path: one song folder, a folder of song folders, or a folder whose `train`, `valid` and
            `test` hold song folders.
        split: of a folder that is divided so, only "train", "valid" or "test"; None: all songs.

    Raises:
        FileNotFoundError, NotADirectoryError: if `path` is no folder.
        ValueError: if a stem is missing or there twice, if lengths or rates differ, or if the
            folder is divided and has no such split.
    """

    def __init__(self, path: str | os.PathLike[str], split: str | None = None) -> None:
        self.path = Path(path).expanduser()
        if not self.path.exists():
            raise FileNotFoundError(f"there is no folder {self.path} (looked from {Path.cwd()})")
        if not self.path.is_dir():
            raise NotADirectoryError(f"{self.path} is a file: give the folder that holds the stems")
        self._tracks = [_open_song(folder) for folder in _song_folders(self.path, split)]

    def __repr__(self) -> str:
        return f"StemsFolder({str(self.path)!r}): {len(self)} song{'s' * (len(self) != 1)}"


def read_part(path: Path, start: int, frames: int) -> Tensor:
    """`frames` samples of a sound file from sample `start`, float32 `[C, frames]`.

    Only that part is read where the format allows it. Elsewhere (MP3, OGG, AAC) the whole file is
    decoded and the last few are kept, since seeking there does not give the same samples.
    """
    modified = path.stat().st_mtime_ns
    if _is_seekable(path, modified):
        import soundfile

        samples, _ = soundfile.read(
            c_name(path), frames=frames, start=start, dtype="float32", always_2d=True
        )
        wav = torch.from_numpy(samples).T.contiguous()
    else:
        wav = _decoded(path, modified)[:, start : start + frames].clone()
    if wav.shape[1] != frames:
        raise ValueError(
            f"{path} is cut short: it has no samples {start} to {start + frames}; copy it again"
        )
    return wav


@lru_cache(maxsize=1024)
def _is_seekable(path: Path, modified: int) -> bool:
    return path.suffix.lower() in SEEKABLE and for_libsndfile(path)


def _info(path: Path) -> AudioInfo:
    """What a stem holds: counted where the header may promise some more (Opus, WMA)."""
    info = audio_info(path)
    if for_libsndfile(path):
        return info
    return info._replace(frames=_decoded(path, path.stat().st_mtime_ns).shape[1])


@lru_cache(maxsize=len(SOURCES) + 1)
def _decoded(path: Path, modified: int) -> Tensor:
    return load_audio(path)[0]


def _song_folders(path: Path, split: str | None) -> list[Path]:
    if _sounds(path):
        return [path]
    for parents in ([path], [path / part for part in SPLITS if split in (None, part)]):
        songs = [
            folder
            for parent in parents
            if parent.is_dir()
            for folder in sorted(parent.iterdir())
            if folder.is_dir() and _sounds(folder)
        ]
        if songs:
            return songs
    if parts := [part for part in SPLITS if split and (path / part).is_dir()]:
        raise ValueError(f"{path} holds songs in {' and '.join(parts)}, but none in {split}")
    raise ValueError(
        f"found no songs in {path}: expected drums, bass, other and vocals as sound files, in it "
        f"or in the folders below it"
    )


def _sounds(folder: Path) -> dict[str, list[Path]]:
    """The files of a song folder that are stems or the mixture, by lower-case name."""
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.iterdir()):
        name = file.stem.lower()
        if name in (*SOURCES, "mixture") and file.suffix.lower() in SOUND and file.is_file():
            found.setdefault(name, []).append(file)
    return found if set(found) - {"mixture"} else {}


def _open_song(folder: Path) -> Track:
    sounds = _sounds(folder)
    name = folder.resolve().name
    if missing := [source for source in SOURCES if source not in sounds]:
        raise ValueError(
            f"the song {name!r} has no {' and no '.join(missing)}: expected one sound file for "
            f"each of {', '.join(SOURCES)} in {folder}, silent where it does not play"
        )
    for twins in sounds.values():
        if len(twins) > 1:
            raise ValueError(
                f"the song {name!r} has both {' and '.join(file.name for file in twins)}: keep one"
            )
    files = {source: found[0] for source, found in sounds.items()}
    infos = {source: _info(file) for source, file in files.items()}
    first = infos[SOURCES[0]]
    for source, info in infos.items():
        if info.samplerate != first.samplerate:
            raise ValueError(
                f"the song {name!r} has {files[SOURCES[0]].name} at {first.samplerate} Hz but "
                f"{files[source].name} at {info.samplerate} Hz: export all stems at one rate"
            )
        if info.frames != first.frames:
            raise ValueError(
                f"the song {name!r} has {first.frames} samples in {files[SOURCES[0]].name} but "
                f"{info.frames} in {files[source].name}: export all stems from the same start to "
                f"the same end"
            )
        if info.channels > 2:
            raise ValueError(
                f"{files[source]} has {info.channels} channels: export it in mono or stereo"
            )

    def load(source: str, start: int, frames: int) -> Tensor:
        return to_stereo(read_part(files[source], start, frames))

    return Track(
        name=name,
        samplerate=first.samplerate,
        frames=first.frames,
        load=load,
        load_mixture=(lambda start, frames: load("mixture", start, frames))
        if "mixture" in files
        else None,
    )
