"""Scores of many systems on many songs, each song in a process that keeps what it found."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from demucs_lab.audio import SOURCES
from demucs_lab.common.paths import atomic_path

if TYPE_CHECKING:
    from demucs_lab.datasets import Track

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


def systems_of(models: Mapping[str, str | os.PathLike[str]]) -> list[System]:
    """The mixture, the oracle masks and these models."""
    from demucs_lab.pretrained.download import file_hash

    masks = [System(name, name, N_FFT) for name in ORACLES]
    for n_fft in OTHER_WINDOWS:
        masks += [System(f"{m}@{n_fft}", m, n_fft, bss=False) for m in ("irm1", "irm2")]
    trained = [
        System(name, weights=str(path), sha256=file_hash(Path(path)))
        for name, path in models.items()
    ]
    return [System("mixture"), *masks, *trained]


def score_all(
    songs: list[Track], systems: Sequence[System], processes: int, cache: Path, progress: bool
) -> dict[str, dict[str, list[Any]]]:
    """Per system and score one row per song: kept from an earlier call, or computed."""
    from tqdm.auto import tqdm

    paths = [
        {system: cache / system.key / f"{_song_key(song)}.json" for system in systems}
        for song in songs
    ]
    missing = [{x: path for x, path in own.items() if _kept(path) is None} for own in paths]
    jobs = [(song, wanted) for song, wanted in zip(songs, missing, strict=True) if wanted]
    with tqdm(total=len(jobs), desc="songs", unit="song", disable=not progress or not jobs) as bar:
        for _ in _run(jobs, processes):
            bar.update()
    found: dict[str, dict[str, list[Any]]] = {}
    for own in paths:
        for system, path in own.items():
            for score, row in (_kept(path) or {}).items():
                found.setdefault(system.name, {}).setdefault(score, []).append(row)
    return found


def _kept(path: Path) -> dict[str, list[Any]] | None:
    """Scores of an earlier call; None if there are none, or they are damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    whole = isinstance(found, dict) and found and all(isinstance(x, list) for x in found.values())
    return found if whole else None


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
    for system, path in wanted.items():
        with atomic_path(path) as beside:
            beside.write_text(json.dumps(scores[system.name]), encoding="utf-8")


@contextmanager
def _for_workers() -> Iterator[None]:
    """Processes that begin within have one thread each, and glibc's malloc keeps what is freed:
    asking the system for the pages of every spectrogram would take a third of the time."""
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


def score_song(track: Track, systems: Sequence[System]) -> dict[str, dict[str, list[float | None]]]:
    """One song's scores: per system nSDR and, where wanted, BSSEval's; None as in `read`."""
    from demucs_lab.metrics import SilentSourceError, bss_eval, nsdr

    stems = track.stems
    estimates = _estimates(track, stems, systems)
    scores = {
        name: {"nsdr": _rounded(nsdr(stems, estimate))} for name, estimate in estimates.items()
    }
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
            scores[name] |= {score: _rounded(medians[score][index]) for score in BSS_SCORES}
    return scores


def _estimates(track: Track, stems: Tensor, systems: Sequence[System]) -> dict[str, Tensor]:
    from demucs_lab.masking import METHODS
    from demucs_lab.separation.waveform import separate
    from demucs_lab.spectral import istft, stft

    found = {}
    spectra: dict[int, Tensor] = {}
    for system in systems:
        if system.kind == "model":
            model = load(system.weights, system.sha256)
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
def load(weights: str, sha256: str) -> Any:
    """A model, read once; files of one name differ in their hash."""
    from demucs_lab import models

    return models.load(weights)


def _song_key(song: Track) -> str:
    from demucs_lab.datasets.labsongs.cache import VERSION

    return _hash(VERSION, song.name, song.samplerate, song.frames, song.start)


def _hash(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _rounded(scores: Tensor) -> list[float | None]:
    """As the file has them: four digits, None for what is silent or above `MOST`."""
    return [round(x, 4) if abs(x) < MOST else None for x in scores.tolist()]
