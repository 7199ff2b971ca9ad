"""What the shipped models reach on held-out songs, beside oracle masks.

`measure` scores them on the 50 test songs of LabSongs and on real music, `write` keeps that in
`pretrained/results.json`, `read` gives it to a lesson (lessons 06, 07 and 10).
"""

from __future__ import annotations

import datetime
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from demucs_lab.audio import SOURCES
from demucs_lab.common.paths import atomic_path, cache_dir
from demucs_lab.evaluation.scores import N_FFT, OVERLAP, System, load, score_all, systems_of
from demucs_lab.evaluation.tables import summarise, table
from demucs_lab.pretrained import shipped
from demucs_lab.training.checkpoint import read_json

if TYPE_CHECKING:
    from demucs_lab.datasets import Track

PATH = shipped.FOLDER.parent / "results.json"
SPLIT, RATE, SECONDS = "test", 22050, 30.0


def measure(
    models: Mapping[str, str | os.PathLike[str]] | None = None,
    songs: Sequence[Track] | None = None,
    real: Sequence[Track] | None = None,
    processes: int = 1,
    cache: Path | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Score models, the mixture and oracle masks on songs, with intervals of what lies between.

    nSDR, and BSSEval v4 equal to museval's; per song, so that lessons can plot and compare. What
    was scored is kept, by the hash of the weights: after an interruption it goes on.

    Args:
        models: files of weights by name; None: those that came with the kit.
        songs: None: the 50 test songs of LabSongs, 30 s each, at 22.05 kHz.
        real: None: the songs of MUSDB18 where MUSDB_PATH names it, brought to 22.05 kHz; an empty
            list: none.
        processes: songs scored side by side; a script that asks for two keeps what it does below
            `if __name__ == "__main__":`, as always with processes.
        cache: where scores are kept; None: among the rendered songs.
        progress: show a bar.

    Returns:
        What `read` gives, see there.
    """
    from demucs_lab.datasets import LabSongs

    began = time.monotonic()
    if models is None:
        models = {name: shipped.weights(name) for name in shipped.names()}
    systems = systems_of(models)
    songs = LabSongs(SPLIT, RATE, SECONDS) if songs is None else songs
    real = _real_songs() if real is None else real
    cache = cache or cache_dir() / "results"
    found = score_all(list(songs), systems, processes, cache, progress)
    on_real = score_all(list(real), systems, 1, cache, progress=False)
    results = {
        "songs": _about(songs),
        "settings": {
            "n_fft": N_FFT, "hop": N_FFT // 4, "overlap": OVERLAP, "shifts": 0,
            "scores": "nsdr: over the whole song; sdr, isr, sir, sar: BSSEval v4, median over "
            "windows of 1 s; NAME@N is oracle NAME with windows of N samples instead of n_fft",
        },
        "systems": {system.name: _facts(system, found[system.name]) for system in systems},
        "real": {
            "songs": _about(real),
            "note": "MUSDB18, stems and mixture resampled to 22.05 kHz before anything else, so "
            "models and masks hear, and are scored on, the same band as on LabSongs",
            "systems": {system.name: on_real[system.name] for system in systems},
        }
        if len(real)
        else None,
    }  # fmt: skip
    results |= summarise(results)
    return {"made": _made(time.monotonic() - began), **results}


def write(results: Mapping[str, Any], path: Path | None = None) -> Path:
    """Keep results as JSON, written atomically; numbers of a song in one line."""
    path = path or PATH
    text = json.dumps(results, indent=1, ensure_ascii=False)
    text = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", _one_line, text)
    with atomic_path(path) as beside:
        beside.write_text(text + "\n", encoding="utf-8")
    return path


def read(path: Path | None = None) -> dict[str, Any]:
    """The scores of the shipped models (lessons 06, 07 and 10).

    Returns:
        - "systems": per system its kind, what it is ("sha256", or "method" and "n_fft") and its
          scores, one row of S per song, in dB; see `values`. None where a source is silent, and
          beyond 100 dB, where rounding is all that is measured (a mixture has no artefacts);
        - "summary": per system and score the "mean" and "median" over songs, for each source and
          then their mean;
        - "differences": `{"a", "b", "score", "source", "mean", "low", "high", "songs"}`, paired
          over songs, with 95 % bootstrap intervals; "source" is one of S or "mean";
        - "songs", "real" (the same for real music, or None), "settings" and "made".

    Raises:
        FileNotFoundError: if there are none.
        ValueError: if they are damaged.
    """
    path = path or PATH
    if not path.is_file():
        raise FileNotFoundError(
            f"there are no results {path}: measure them with python -m demucs_lab results --measure"
        )
    remedy = "put the file back, or measure again with python -m demucs_lab results --measure"
    found = read_json(path, remedy)
    try:
        table(found)
    except (LookupError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise ValueError(
            f"{path} is damaged (no table can be made of it: {type(error).__name__}): {remedy}"
        ) from error
    return found


def values(results: Mapping[str, Any], system: str, score: str = "nsdr") -> np.ndarray:
    """Scores of a system per song and source, `[songs, S]` in dB, NaN where there is none.

    >>> values({"systems": {"mixture": {"nsdr": [[-6.0, None]]}}}, "mixture")
    array([[-6., nan]])
    """
    return np.array(results["systems"][system][score], dtype=float)


def _real_songs() -> list[Track]:
    """MUSDB18's test songs, else (in the sample of one song) its train songs, at `RATE`."""
    from demucs_lab.datasets import MUSDB18

    if not os.environ.get("MUSDB_PATH"):
        return []
    try:
        songs = MUSDB18(split="test")
    except FileNotFoundError:
        songs = MUSDB18(split="train")
    return [_at_rate(song) for song in songs]


def _at_rate(song: Track) -> Track:
    """The middle of a song, at most `SECONDS` long, resampled to `RATE`."""
    from demucs_lab.audio import resample
    from demucs_lab.datasets import Track

    length = min(song.duration, SECONDS)
    part = song.excerpt((song.duration - length) / 2, length)
    stems = resample(part.stems, part.samplerate, RATE)
    mixture = resample(part.mixture, part.samplerate, RATE)
    return Track(
        song.name, RATE, stems.shape[-1],
        load=lambda source, start, n: stems[SOURCES.index(source), :, start : start + n],
        load_mixture=lambda start, n: mixture[:, start : start + n],
    )  # fmt: skip


def _about(songs: Sequence[Track]) -> dict[str, Any]:
    return {
        "names": [song.name for song in songs],
        "samplerate": songs[0].samplerate if len(songs) else RATE,
        "seconds": [round(song.duration, 2) for song in songs],
        "sources": list(SOURCES),
    }


def _facts(system: System, scores: Mapping[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {"kind": system.kind}
    if system.kind == "oracle":
        facts |= {"method": system.method, "n_fft": system.n_fft}
    if system.kind == "model":
        model = load(system.weights, system.sha256)
        parameters = sum(weight.numel() for weight in model.parameters())
        size = Path(system.weights).stat().st_size
        facts |= {"sha256": system.sha256, "bytes": size, "parameters": parameters}
    return {**facts, **scores}


def _made(seconds: float) -> dict[str, Any]:
    from demucs_lab.training.record import environment

    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return {"date": today, "seconds": round(seconds), **environment()}


def _one_line(match: re.Match[str]) -> str:
    return "[" + re.sub(r"\s*\n\s*", " ", match[1]) + "]"
