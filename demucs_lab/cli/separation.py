"""`python -m demucs_lab separate | evaluate`: songs into stems, and how good the stems are."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demucs_lab.cli.parse import SPLITS, positive

if TYPE_CHECKING:
    from torch import Tensor


def add_commands(commands: Any) -> None:
    """Give the command line its two commands."""
    separate = commands.add_parser(
        "separate", help="a song into its stems",
        description="Separate songs of any length and format into stems. What is done already is "
        "kept, and an interrupted song goes on where it was.",
    )  # fmt: skip
    separate.add_argument(
        "songs", nargs="+", type=Path, metavar="SONG", help="sound files, or folders of them"
    )
    _add_model(separate)
    separate.add_argument(
        "--two-stems", metavar="STEM", help="write this stem and the rest, say vocals, no_vocals"
    )
    separate.add_argument(
        "--out", type=Path, default=Path("separated"), metavar="DIR",
        help="stems go to DIR/MODEL/SONG (default: separated)",
    )  # fmt: skip
    separate.add_argument(
        "--mix-down", action="store_true", help="take surround sound (5.1) as stereo"
    )
    separate.add_argument("--flac", action="store_true", help="FLAC instead of WAV")
    separate.add_argument("--bits", type=int, choices=[16, 24, 32], default=16)
    separate.set_defaults(run=run_separate)

    evaluate = commands.add_parser(
        "evaluate", help="scores of a model on songs with known stems",
        description="Score a model on songs with known stems: nSDR and, without --quick, the SDR "
        "of BSSEval v4, in dB, beside the mixture's.",
    )  # fmt: skip
    evaluate.add_argument(
        "songs", metavar="SONGS", help="labsongs, musdb18, or a folder of songs with stems"
    )
    _add_model(evaluate)
    evaluate.add_argument(
        "--split",
        choices=SPLITS,
        default="test",
        help="of songs that are divided so (default: test)",
    )
    evaluate.add_argument(
        "--samplerate", type=positive(int), metavar="HZ",
        help="at which LabSongs are rendered (default: the model's own)",
    )  # fmt: skip
    evaluate.add_argument("--first", type=positive(int), metavar="N", help="only the first N songs")
    evaluate.add_argument(
        "--quick", action="store_true", help="nSDR only: seconds instead of minutes"
    )
    evaluate.set_defaults(run=run_evaluate)


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", default="htdemucs", metavar="NAME",
        help="a pretrained model or a file of weights (default: htdemucs)",
    )  # fmt: skip
    parser.add_argument(
        "--shifts", type=int, default=0, metavar="N", help="random shifts to average (default: 0)"
    )
    parser.add_argument(
        "--overlap", type=float, default=0.25, metavar="SHARE", help="of segments (default: 0.25)"
    )
    parser.add_argument(
        "--segment", type=positive(float), metavar="S", help="seconds (default: the model's own)"
    )
    parser.add_argument(
        "--batch", type=positive(int), metavar="N",
        help="segments computed at once; less takes less memory (default: the model's own)",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=positive(int), default=1, metavar="N",
        help="segments computed side by side on a CPU (default: 1)",
    )  # fmt: skip
    parser.add_argument("--device", help="cpu, cuda, mps (default: cuda where there is one)")


def run_separate(options: argparse.Namespace) -> int:
    """Separate song after song; one that fails does not keep the others waiting."""
    from demucs_lab.audio import audio_info
    from demucs_lab.separation.files import separate_file, stems_folder
    from demucs_lab.separation.model import ready_model

    songs = [song for given in options.songs for song in _songs_of(given)]
    twice = [name for name, n in Counter(map(stems_folder, songs)).items() if n > 1]
    if twice:
        raise ValueError(
            f"two songs are named {twice[0]!r} and would go to the same folder: separate them with "
            f"different --out"
        )
    if len(songs) == 1:
        audio_info(songs[0])  # a wrong name is an error before weights are downloaded
    model = ready_model(options.model)
    folder = options.out / _model_name(Path(options.model))
    failed = 0
    for song in songs:
        began, note = time.monotonic(), folder / stems_folder(song) / "separation.json"
        before = _written(note)
        try:
            files = separate_file(
                song,
                folder,
                model,
                two_stems=options.two_stems,
                format="flac" if options.flac else "wav",
                bits=options.bits,
                mix_down=options.mix_down,
                **_settings(options),
            )
        except (OSError, ValueError, RuntimeError) as error:
            if len(songs) == 1:
                raise
            print(f"demucs-lab: {song}: {error}", file=sys.stderr)
            failed += 1
            continue
        names = ", ".join(path.name for path in files.values())
        spent = f"{time.monotonic() - began:.1f} s{_peak_memory()}"
        if before == _written(note):
            spent = "nothing to do: separated before"
        print(f"{song} -> {next(iter(files.values())).parent}: {names} ({spent})")
    return 2 if failed else 0


def _songs_of(path: Path) -> list[Path]:
    """A sound file itself; of a folder, every one in it."""
    from demucs_lab.datasets.stems import SOUND

    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in SOUND)
    songs = [file for file in found if file.is_file() and not file.name.startswith(".")]
    if not songs:
        raise ValueError(f"{path} is a folder with no sound files in it: name some, or another one")
    return songs


def _written(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.exists() else None


def _model_name(model: Path) -> str:
    """What stems of a model are filed under: a run's weights are all called model.safetensors."""
    return model.resolve().parent.name if model.name == "model.safetensors" else model.stem


def _peak_memory() -> str:
    """The most memory that this process has used, where the system says so."""
    try:
        import resource
    except ImportError:  # Windows
        return ""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f", at most {most / (1e6 if sys.platform == 'darwin' else 1e3):.0f} MB of memory"


def run_evaluate(options: argparse.Namespace) -> int:
    """Separate songs whose stems are known, and print the scores of a paper's table."""
    from tqdm.auto import tqdm

    from demucs_lab import datasets
    from demucs_lab.audio import SOURCES
    from demucs_lab.metrics import report
    from demucs_lab.separation.model import chosen_stems, ready_model
    from demucs_lab.separation.waveform import separate

    model = ready_model(options.model)
    chosen_stems(model, SOURCES)
    tracks = datasets.open(
        options.songs, options.split, options.samplerate or model.samplerate, options.first
    )

    def separated() -> Iterator[tuple[str, Tensor, Tensor, int]]:
        for whole in tqdm(tracks, desc="songs", unit="song"):
            track = dataclasses.replace(whole)  # its stems are let go with it
            stems = separate(
                model,
                track.mixture,
                track.samplerate,
                stems=SOURCES,
                progress=False,
                **_settings(options),
            )
            yield track.name, track.stems, stems, track.samplerate

    print(report(separated(), bss=not options.quick))
    return 0


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    import torch

    device = options.device or ("cuda" if torch.cuda.is_available() else None)
    return {
        "shifts": options.shifts,
        "overlap": options.overlap,
        "segment": options.segment,
        "device": device,
        "batch": options.batch,
        "workers": options.workers,
    }
