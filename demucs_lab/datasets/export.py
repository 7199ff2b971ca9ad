"""Write songs in the layout of MUSDB18-HQ, for other people's programs (lesson 00)."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path

import torch

from demucs_lab.audio import SOURCES, check_waveform, save_audio
from demucs_lab.common.lock import alone_in
from demucs_lab.datasets.track import Track

FULL_SCALE = 32768
_OLD = ".old"  # where a song lies that another is about to replace


def export_musdb(
    tracks: Iterable[Track],
    folder: str | os.PathLike[str],
    split: str = "test",
    progress: bool = True,
) -> Path:
    """Write each track as `folder/split/NAME/{mixture,drums,bass,other,vocals}.wav`, 16 bits.

    `musdb.DB(root=folder, is_wav=True)` and whatever trains on MUSDB18-HQ can read it. Stems are
    rounded to 16 bits first and the mixture is their sum, so the files add up exactly; a track
    with a mixture of its own keeps it. A song that would exceed full scale is turned down as a
    whole, with a warning. A song that is there already is replaced atomically.

    Args:
        tracks: the songs; names must differ.
        folder: where to; created if needed.
        split: the folder within it; musdb knows "train" and "test".
        progress: show a bar.

    Returns:
        The folder that holds the songs, `folder/split`.

    Raises:
        ValueError: if two songs have the same name.
        BlockingIOError: if another export writes there.
    """
    from tqdm.auto import tqdm

    target = Path(folder).expanduser() / split
    prefix = f".export-{split}-"
    written: set[str] = set()
    with alone_in(target, "songs are exported into it"):
        _tidy(target, prefix)
        for track in tqdm(tracks, desc=f"{split} songs", unit="song", disable=not progress):
            name = file_name(track.name)
            if name.lower() in written:
                raise ValueError(f"two songs are named {name!r}: rename one, or the second is lost")
            written.add(name.lower())
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=prefix) as beside:
                _write_song(track, Path(beside, name))
                if (target / name).exists():
                    Path(beside, _OLD).mkdir()
                    (target / name).rename(Path(beside, _OLD, name))
                Path(beside, name).rename(target / name)
    return target


def _tidy(target: Path, prefix: str) -> None:
    """What killed exports left: a song that was just being replaced gets its name back."""
    for left in target.parent.glob(f"{prefix}*"):
        for old in left.glob(f"{_OLD}/*"):
            if not (target / old.name).exists():
                old.rename(target / old.name)
        shutil.rmtree(left, ignore_errors=True)


def file_name(name: str) -> str:
    """A name that every file system takes.

    >>> file_name("Verse/Chorus: 7?")
    'Verse_Chorus_ 7_'
    """
    return re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", name).strip(" .") or "_"


def _write_song(track: Track, folder: Path) -> None:
    stems = track.stems
    own_mixture = track.mixture if track.load_mixture is not None else None
    loudest = max(
        float(wav.abs().max())
        for wav in (stems, stems.sum(0) if own_mixture is None else own_mixture)
    )
    ceiling = (FULL_SCALE - len(SOURCES)) / FULL_SCALE  # leaves headroom for rounding four stems
    gain = min(1.0, ceiling / loudest) if loudest > 0 else 1.0
    if gain < 1:
        warnings.warn(
            f"{track.name!r} exceeds full scale: all its files are turned down by "
            f"{-20 * torch.tensor(gain).log10():.1f} dB",
            stacklevel=3,
        )
    stems = torch.round(stems * gain * FULL_SCALE) / FULL_SCALE
    mixture = stems.sum(0) if own_mixture is None else own_mixture * gain
    folder.mkdir()
    for name, wav in zip(("mixture", *SOURCES), (mixture, *stems), strict=True):
        check_waveform(wav, name=f"{name} of {track.name!r}")
        save_audio(folder / f"{name}.wav", wav, track.samplerate, bits=16)
