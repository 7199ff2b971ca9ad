"""Many songs at once: worker processes that need no `if __name__ == "__main__"` of their user."""

from __future__ import annotations

import json
import os
import queue
import random
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from .cache import ensure_song, sweep

FEWEST = 4
"""Fewer missing songs than this are rendered here: starting processes would take longer."""


def workers_available() -> int:
    """How many processes may compute at once on this machine."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:
        return max(1, os.cpu_count() or 1)


def _start() -> subprocess.Popen[str]:
    package = Path(__file__).resolve().parents[3]
    paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
    one = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM")}
    return subprocess.Popen(
        [sys.executable, "-m", "demucs_lab.datasets.labsongs.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C in the terminal is the caller's alone
        env={
            **os.environ,
            **one,
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONIOENCODING": "utf-8",
        },
    )


def render_missing(jobs: list[dict[str, Any]], progress: bool, label: str) -> None:
    """Render songs that are not there yet.

    Args:
        jobs: `{"folder", "split", "index", "samplerate", "duration"}` of each missing song.
        progress: show a bar.
        label: what to write beside it.

    Raises:
        OSError: one sentence, if the songs cannot be written or a worker dies.
    """
    if not jobs:
        return
    for parent in {job["folder"].parent for job in jobs}:
        _writable(parent)
        sweep(parent)
    from tqdm.auto import tqdm

    jobs = random.SystemRandom().sample(jobs, len(jobs))  # two kernels at once share the work
    with tqdm(total=len(jobs), desc=label, unit="song", disable=not progress) as bar:
        count = min(workers_available(), len(jobs))
        if len(jobs) < FEWEST or count == 1:
            for job in jobs:
                try:
                    ensure_song(**job)
                except OSError as error:
                    raise _failure(job["folder"], str(error)) from error
                bar.update()
        else:
            _share(jobs, count, bar)


def _share(jobs: list[dict[str, Any]], count: int, bar: Any) -> None:
    waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    finished: queue.SimpleQueue[tuple[dict[str, Any], str]] = queue.SimpleQueue()
    stop = threading.Event()
    processes = [_start() for _ in range(count)]

    def serve(process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        while not stop.is_set():
            try:
                job = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                process.stdin.write(json.dumps({**job, "folder": str(job["folder"])}) + "\n")
                process.stdin.flush()
                answer = process.stdout.readline().strip()
            except (OSError, ValueError):
                answer = ""
            finished.put((job, answer or "error: a rendering process ended unexpectedly"))
            if not answer:
                return

    threads = [threading.Thread(target=serve, args=(p,), daemon=True) for p in processes]
    for thread in threads:
        thread.start()
    try:
        for _ in jobs:
            job, answer = finished.get()
            if answer != "ok":
                raise _failure(job["folder"], answer.removeprefix("error: "))
            bar.update()
    finally:
        stop.set()
        for process in processes:
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()
        for process in processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for thread in threads:
            thread.join(timeout=5)
        for process in processes:
            if process.stdout is not None:
                process.stdout.close()


def _writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise _failure(folder, str(error)) from error


def _failure(folder: Path, reason: str) -> OSError:
    return OSError(
        f"LabSongs could not be rendered into {folder}: {reason}; free some space there, or set "
        "DEMUCS_LAB_DATA to a folder that can be written"
    )
