"""What the shipped models reach on songs that nothing was chosen by, beside masks that know it all.

`measure` scores them on the 50 test songs of LabSongs and on real music, `write` keeps that in
`pretrained/results.json`, `read` gives it to a lesson (lessons 06, 07 and 10).
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import os
import re
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from demucs_lab.audio import SOURCES
from demucs_lab.common.paths import atomic_path, cache_dir
from demucs_lab.evaluation.tables import check, summarise, table, write_readme
from demucs_lab.pretrained import shipped

if TYPE_CHECKING:
    from demucs_lab.datasets import Track

__all__ = ["check", "measure", "read", "score_song", "table", "values", "write", "write_readme"]

PATH = shipped.FOLDER.parent / "results.json"
SPLIT, RATE, SECONDS = "test", 22050, 30.0
ORACLES = ("ibm", "irm1", "irm2", "psm", "mwf")
N_FFT = 4096
OTHER_WINDOWS = (1024, 2048, 8192)
"""Ratio masks are measured with these too, by nSDR: no window is the best for every source."""
OVERLAP = 0.25
MOST = 100.0
"""dB; what is above is rounding."""
BSS_SCORES = ("sdr", "isr", "sir", "sar")
_ROUND = 1  # raise it when what is measured changes: it belongs to the key of what is kept


@dataclasses.dataclass(frozen=True)
class System:
    """Something that separates: the mixture itself, an oracle mask or a model.

    Attributes:
        name: as in the results.
        method: a key of `masking.METHODS`, for an oracle.
        n_fft: of its mask.
        weights: file of a model.
        sha256: of that file.
        bss: whether BSSEval is computed too.
    """

    name: str
    method: str = ""
    n_fft: int = 0
    weights: str = ""
    sha256: str = ""
    bss: bool = True

    @property
    def kind(self) -> str:
        """ "model", "oracle" or "mixture"."""
        return "model" if self.weights else "oracle" if self.method else "mixture"

    @property
    def key(self) -> str:
        """What the scores of a song depend on, besides the song."""
        parts = (_ROUND, self.name * (not self.weights), self.method, self.n_fft, self.sha256)
        return _hash(*parts, OVERLAP, self.bss)


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
    systems = _systems(models)
    songs = LabSongs(SPLIT, RATE, SECONDS) if songs is None else songs
    real = _real_songs() if real is None else real
    cache = cache or cache_dir() / "results"
    found = _score_all(list(songs), systems, processes, cache, progress)
    heard = _score_all(list(real), systems, 1, cache, progress=False)
    results = {
        "songs": _about(songs),
        "settings": {
            "n_fft": N_FFT, "hop": N_FFT // 4, "overlap": OVERLAP, "shifts": 0,
            "scores": "nsdr: over the whole song; sdr, isr, sir, sar: BSSEval v4, median over "
            "windows of 1 s; NAME@N is oracle NAME with windows of N samples instead of n_fft",
        },
        "systems": {system.name: _described(system, found[system.name]) for system in systems},
        "real": {
            "songs": _about(real),
            "note": "MUSDB18, stems and mixture resampled to 22.05 kHz before anything else, so "
            "models and masks hear, and are scored on, the same band as on LabSongs",
            "systems": {system.name: heard[system.name] for system in systems},
        }
        if len(real)
        else None,
    }  # fmt: skip
    results |= summarise(results)
    return {"made": _made(time.monotonic() - began), **results}


def write(results: Mapping[str, Any], path: Path | None = None) -> Path:
    """Keep results as JSON, whole or not at all; numbers of a song in one line."""
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
    """
    path = path or PATH
    if not path.is_file():
        raise FileNotFoundError(
            f"there are no results {path}: measure them with python -m demucs_lab results"
        )
    return json.loads(path.read_text(encoding="utf-8"))


def values(results: Mapping[str, Any], system: str, score: str = "nsdr") -> np.ndarray:
    """Scores of a system per song and source, `[songs, S]` in dB, NaN where there is none.

    >>> values({"systems": {"mixture": {"nsdr": [[-6.0, None]]}}}, "mixture")
    array([[-6., nan]])
    """
    return np.array(results["systems"][system][score], dtype=float)


def score_song(track: Track, systems: Sequence[System]) -> dict[str, dict[str, list[float | None]]]:
    """One song's scores: per system nSDR and, where asked for, BSSEval's; None as in `read`."""
    from demucs_lab.metrics import SilentSourceError, bss_eval, nsdr

    stems = track.stems
    estimates = _estimates(track, stems, systems)
    scores = {name: {"nsdr": _plain(nsdr(stems, estimate))} for name, estimate in estimates.items()}
    full = [system.name for system in systems if system.bss]
    if full:
        unknown = torch.full((len(full), len(stems)), torch.nan)
        medians = dict.fromkeys(BSS_SCORES, unknown)
        try:
            together = torch.stack([estimates[name] for name in full])
            medians = bss_eval(stems, together, track.samplerate).median()
        except SilentSourceError:
            pass
        for index, name in enumerate(full):
            scores[name] |= {score: _plain(medians[score][index]) for score in BSS_SCORES}
    return scores


def _estimates(track: Track, stems: Tensor, systems: Sequence[System]) -> dict[str, Tensor]:
    from demucs_lab.masking import METHODS
    from demucs_lab.separation.waveform import separate
    from demucs_lab.spectral import istft, stft

    found = {}
    spectra: dict[int, Tensor] = {}
    for system in systems:
        if system.kind == "model":
            model = _load(system.weights, system.sha256)
            found[system.name] = separate(
                model, track.mixture, track.samplerate,
                overlap=OVERLAP, stems=SOURCES, progress=False,
            )  # fmt: skip
        elif system.kind == "oracle":
            if system.n_fft not in spectra:
                spectra = {system.n_fft: stft(stems, system.n_fft)}
            masked = METHODS[system.method][1](spectra[system.n_fft])
            found[system.name] = istft(masked, stems.shape[-1], system.n_fft)
        else:
            found[system.name] = track.mixture.expand_as(stems)
    return found


@lru_cache(maxsize=8)
def _load(weights: str, sha256: str) -> Any:
    from demucs_lab import models

    return models.load(weights)


def _systems(models: Mapping[str, str | os.PathLike[str]]) -> list[System]:
    from demucs_lab.pretrained.download import file_hash

    masks = [System(name, name, N_FFT) for name in ORACLES]
    for n_fft in OTHER_WINDOWS:
        masks += [System(f"{m}@{n_fft}", m, n_fft, bss=False) for m in ("irm1", "irm2")]
    trained = [
        System(name, weights=str(path), sha256=file_hash(Path(path)))
        for name, path in models.items()
    ]
    return [System("mixture"), *masks, *trained]


def _score_all(
    songs: list[Track], systems: Sequence[System], processes: int, cache: Path, progress: bool
) -> dict[str, dict[str, list[Any]]]:
    """Per system and score one row per song, from what was kept or anew."""
    from tqdm.auto import tqdm

    places = [
        {system: cache / system.key / f"{_song_key(song)}.json" for system in systems}
        for song in songs
    ]
    missing = [{x: place for x, place in own.items() if not place.is_file()} for own in places]
    jobs = [(song, wanted) for song, wanted in zip(songs, missing, strict=True) if wanted]
    with tqdm(total=len(jobs), desc="songs", unit="song", disable=not progress or not jobs) as bar:
        for _ in _run(jobs, processes):
            bar.update()
    found: dict[str, dict[str, list[Any]]] = {}
    for own in places:
        for system, place in own.items():
            for score, row in json.loads(place.read_text(encoding="utf-8")).items():
                found.setdefault(system.name, {}).setdefault(score, []).append(row)
    return found


Job = tuple[Any, dict[System, Path]]
"""A song, and where the scores of the systems that it still lacks are to be kept."""


def _run(jobs: Sequence[Job], processes: int) -> Iterator[None]:
    """Songs as they are done; with one process here, else one thread in each of several."""
    if processes == 1 or len(jobs) < 2:
        yield from map(_score_and_keep, jobs)
        return
    import multiprocessing

    with _for_workers():
        pool = ProcessPoolExecutor(
            min(processes, len(jobs)), multiprocessing.get_context("spawn"), _begin_worker
        )
        try:
            for done in as_completed([pool.submit(_score_and_keep, job) for job in jobs]):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)  # the songs at hand are finished and kept


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's alone
    torch.set_num_threads(1)


def _score_and_keep(job: Job) -> None:
    song, wanted = job
    scores = score_song(dataclasses.replace(song), list(wanted))  # a copy, to let its stems go
    for system, place in wanted.items():
        with atomic_path(place) as beside:
            beside.write_text(json.dumps(scores[system.name]), encoding="utf-8")


@contextmanager
def _for_workers() -> Iterator[None]:
    """Processes that begin meanwhile have one thread each, and glibc's malloc keeps what is freed:
    asking the system for the pages of every spectrogram anew would take a third of the time."""
    threads = [f"{name}_NUM_THREADS" for name in ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM")]
    kept = [f"MALLOC_{name}_THRESHOLD_" for name in ("MMAP", "TRIM")]
    names = [*threads, *kept]
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(threads, "1") | dict.fromkeys(kept, str(2**31)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


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


def _described(system: System, scores: Mapping[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {"kind": system.kind}
    if system.kind == "oracle":
        facts |= {"method": system.method, "n_fft": system.n_fft}
    if system.kind == "model":
        model = _load(system.weights, system.sha256)
        parameters = sum(weight.numel() for weight in model.parameters())
        size = Path(system.weights).stat().st_size
        facts |= {"sha256": system.sha256, "bytes": size, "parameters": parameters}
    return {**facts, **scores}


def _made(seconds: float) -> dict[str, Any]:
    from demucs_lab.training.record import environment

    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return {"date": today, "seconds": round(seconds), **environment()}


def _song_key(song: Track) -> str:
    from demucs_lab.datasets.labsongs.cache import VERSION

    return _hash(VERSION, song.name, song.samplerate, song.frames, song.start)


def _hash(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _plain(scores: Tensor) -> list[float | None]:
    return [round(x, 4) if abs(x) < MOST else None for x in scores.tolist()]


def _one_line(match: re.Match[str]) -> str:
    return "[" + re.sub(r"\s*\n\s*", " ", match[1]) + "]"
