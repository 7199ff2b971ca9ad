"""`python -m demucs_lab fetch | export`: songs to work with, rendered here or downloaded."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demucs_lab.cli.parse import SPLITS, positive

if TYPE_CHECKING:
    from demucs_lab.datasets import Track


def add_commands(commands: Any) -> None:
    """Give the command line its two commands."""
    fetch = commands.add_parser(
        "fetch", help="get songs to work with",
        description="Get songs to work with: rendered here, or downloaded.",
    )  # fmt: skip
    sets = fetch.add_subparsers(required=True, metavar="SONGS")
    starter = sets.add_parser("starter", help="72 short songs, rendered in under a minute")
    starter.set_defaults(run=_fetch_starter)
    labsongs = sets.add_parser("labsongs", help="all 164 songs, rendered here")
    _add_song_options(labsongs)
    labsongs.add_argument("--yes", action="store_true", help="do not ask before starting")
    labsongs.set_defaults(run=_fetch_labsongs)
    sample = sets.add_parser("musdb-sample", help="7 seconds of each song of MUSDB18, downloaded")
    sample.set_defaults(run=_fetch_musdb_sample)

    export = commands.add_parser(
        "export", help="write songs in the layout of MUSDB18-HQ",
        description="Write songs with their stems in the layout of MUSDB18-HQ, for other tools.",
    )  # fmt: skip
    export.add_argument("songs_set", choices=["labsongs"], metavar="labsongs")
    export.add_argument("folder", type=Path, metavar="DIR", help="where to")
    _add_song_options(export)
    export.set_defaults(run=_export)


def _add_song_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--split", choices=[*SPLITS, "all"], default="all", help="which songs (default: all)"
    )
    parser.add_argument(
        "--samplerate", type=positive(int), default=44100, help="in Hz (default: 44100)"
    )
    parser.add_argument(
        "--duration", type=positive(float), default=30.0, help="of a song, in s (default: 30)"
    )
    parser.add_argument(
        "--songs",
        type=positive(int),
        default=None,
        help="how many of each split (default: 100 train, 14 valid, 50 test)",
    )


def _fetch_starter(options: argparse.Namespace) -> int:
    from demucs_lab.cli.doctor import STARTER_SPACE, starter_is_rendered
    from demucs_lab.common.paths import cache_dir
    from demucs_lab.datasets import LabSongs

    if not starter_is_rendered():
        _refuse_a_small_disk(cache_dir(), STARTER_SPACE)
    songs = sum(len(LabSongs.starter(split)) for split in ("train", "test"))
    print(f"{songs} starter songs are ready in {cache_dir()}")
    return 0


def _fetch_labsongs(options: argparse.Namespace) -> int:
    from demucs_lab.common.paths import cache_dir
    from demucs_lab.datasets import LabSongs

    print("Rendering three short songs to see how fast this machine is ...", flush=True)
    cost = LabSongs.estimate(_splits(options), options.samplerate, options.duration, options.songs)
    print(f"LabSongs at {options.samplerate} Hz: {cost}")
    if cost.missing:
        _refuse_a_small_disk(cache_dir(), cost.bytes * 1.1)
        if not options.yes and not _agreed():
            print("nothing was rendered")
            return 0
        for split in _splits(options):
            _labsongs(split, options)
        print(f"{cost.songs} songs are ready in {cost.folder}")
    return 0


def _fetch_musdb_sample(options: argparse.Namespace) -> int:
    from demucs_lab.datasets.musdb import find_root, sample_dir

    print("MUSDB18 is for research and teaching only: https://sigsep.github.io/datasets/musdb.html")
    root = find_root(sample_dir(), download=True)
    print(f"MUSDB18's 7-second sample is in {root}; MUSDB18() finds it there")
    return 0


def _export(options: argparse.Namespace) -> int:
    from demucs_lab.datasets import export_musdb
    from demucs_lab.datasets.labsongs.dataset import SIZES

    songs = sum(options.songs or SIZES[split] for split in _splits(options))
    size = songs * options.duration * options.samplerate * 5 * 2 * 2  # 5 files, stereo, 16 bits
    print(f"{songs} songs as 16-bit WAV take {_gigabytes(size)} in {options.folder}")
    _refuse_a_small_disk(options.folder, size)
    for split in _splits(options):
        export_musdb(_labsongs(split, options), options.folder, split)
    print(f'written; musdb reads train and test: musdb.DB(root="{options.folder}", is_wav=True)')
    if "valid" in _splits(options):  # a folder that MUSDB18-HQ does not have
        print(f'and this course valid: lab.datasets.StemsFolder("{options.folder / "valid"}")')
    return 0


def _splits(options: argparse.Namespace) -> tuple[str, ...]:
    return SPLITS if options.split == "all" else (options.split,)


def _labsongs(split: str, options: argparse.Namespace) -> Sequence[Track]:
    from demucs_lab.datasets import LabSongs

    return LabSongs(
        split, samplerate=options.samplerate, duration=options.duration, n=options.songs
    )


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(1, round(size / 1e6))} MB"


def _refuse_a_small_disk(folder: Path, size: float) -> None:
    folder = folder.expanduser().absolute()
    free = shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free
    if free < size:
        raise OSError(
            f"the disk of {folder} has {_gigabytes(free)} free, but up to {_gigabytes(size)} are "
            f"needed: make room, ask for fewer songs (--songs, --samplerate), or set "
            f"DEMUCS_LAB_DATA to a folder on a larger disk"
        )


def _agreed() -> bool:
    if not sys.stdin or not sys.stdin.isatty():
        raise ValueError(
            "this is no terminal, so there is no answer to wait for: add --yes to start"
        )
    return input("Start? [Y/n] ").strip().lower() in ("", "y", "yes")
