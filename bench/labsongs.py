"""Measure LabSongs: rendering speed per core, difficulty beside real music, import time.

    python bench/labsongs.py            all 50 test songs at both rates, and the starter set
    python bench/labsongs.py --songs 8  fewer songs

Writes bench/results/labsongs.json. For each set of test songs it gives, per source, the SDR of the
mixture itself (how deep the source is buried) and the SDR of the ideal ratio mask (p = 1, n_fft
4096, hop 1024) over the whole song (how much a mask could bring back).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from demucs_lab import masking, metrics
from demucs_lab.audio import SOURCES
from demucs_lab.datasets.labsongs import compose, render
from demucs_lab.datasets.labsongs.cache import VERSION, save_song

SETS = {"44.1 kHz, 30 s": (44100, 30.0), "22.05 kHz, 30 s": (22050, 30.0)}
STARTER = "starter test, 22.05 kHz, 12 s"


def difficulty(samplerate: int, duration: float, songs: int) -> dict[str, dict[str, list[float]]]:
    """Mixture SDR and IRM ceiling in dB: mean, lowest and highest song per source."""
    values: dict[str, list[np.ndarray]] = {"mixture": [], "irm": []}
    for index in range(songs):
        stems = render(compose("test", index, duration), samplerate)
        sources = torch.stack([torch.from_numpy(stems[s].astype(np.float32)) for s in SOURCES])
        sources /= 32768
        mixture = sources.sum(0).expand_as(sources)
        values["mixture"].append(metrics.sdr(sources, mixture).numpy())
        estimate = masking.oracle(sources, method="irm1", n_fft=4096, hop=1024)
        values["irm"].append(metrics.sdr(sources, estimate).numpy())
    return {
        kind: {
            source: [round(float(f(column)), 2) for f in (np.mean, np.min, np.max)]
            for source, column in zip(SOURCES, np.stack(rows).T, strict=True)
        }
        for kind, rows in values.items()
    }


def speed(samplerate: int, songs: int = 6) -> dict[str, float]:
    """Seconds of song written to FLAC per second of one core, and bytes per second of song."""
    with tempfile.TemporaryDirectory() as folder:
        save_song(Path(folder, "warm"), compose("test", 0, 4.0), samplerate)
        start, size = time.process_time(), 0
        for index in range(songs):
            target = Path(folder, str(index))
            save_song(target, compose("test", index), samplerate)
            size += sum(path.stat().st_size for path in target.iterdir())
        spent = time.process_time() - start
    return {
        "times_real_time": round(songs * 30 / spent, 1),
        "bytes_per_second": size // songs // 30,
    }


def starter() -> dict[str, float]:
    """Wall-clock seconds and megabytes of the starter set, rendered again on all cores."""
    code = (
        "import sys; from demucs_lab.datasets import LabSongs\n"
        "for split in ('train', 'test'): LabSongs.starter(split, root=sys.argv[1], progress=False)"
    )
    with tempfile.TemporaryDirectory() as folder:
        before, start = os.times(), time.perf_counter()
        subprocess.run([sys.executable, "-c", code, folder], check=True)
        spent, after = time.perf_counter() - start, os.times()
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    busy = sum(after[2:4]) - sum(before[2:4])  # of the processes that ran; 0 on Windows
    return {
        "seconds": round(spent, 1),
        "core_seconds": round(busy, 1),
        "megabytes": round(size / 1e6, 1),
    }


def import_seconds(statement: str) -> float:
    """Fastest of five imports, each in a new interpreter, less that of an empty one."""

    def fastest(code: str) -> float:
        best = float("inf")
        for _ in range(5):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            best = min(best, time.perf_counter() - start)
        return best

    return round(fastest(statement) - fastest("pass"), 3)


def show(name: str, table: dict[str, dict[str, list[float]]]) -> None:
    """Print a difficulty table."""
    print(f"\n{name}: mean [lowest, highest song], dB")
    for kind, title in (("mixture", "mixture's own SDR"), ("irm", "IRM p=1, n_fft 4096")):
        cells = [
            f"{s} {m:5.1f} [{low:5.1f}, {high:5.1f}]" for s, (m, low, high) in table[kind].items()
        ]
        print(f"  {title:20} {'   '.join(cells)}")


def main() -> None:
    """Run everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=int, default=50, help="test songs per rate")
    songs = parser.parse_args().songs
    torch.set_num_threads(1)
    result: dict = {
        "version": VERSION,
        "songs": songs,
        "machine": {
            "cores": os.cpu_count(),
            "system": platform.system(),
            "cpu": platform.machine(),
        },
        "import_seconds": {
            "demucs_lab": import_seconds("import demucs_lab"),
            "datasets.LabSongs": import_seconds("from demucs_lab.datasets import LabSongs"),
        },
        "speed": {str(rate): speed(rate) for rate in (44100, 22050)},
        "starter": starter(),
        "difficulty": {},
    }
    print(f"import demucs_lab: {result['import_seconds']['demucs_lab']:.2f} s; with LabSongs and "
          f"torch: {result['import_seconds']['datasets.LabSongs']:.2f} s")  # fmt: skip
    for rate, row in result["speed"].items():
        whole = row["bytes_per_second"] * 164 * 30 / 1e6
        print(f"rendering at {rate} Hz: {row['times_real_time']} x real time per core; "
              f"the full split takes {whole:.0f} MB")  # fmt: skip
    print(f"starter set: {result['starter']['seconds']} s on {os.cpu_count()} cores "
        f"({result['starter']['core_seconds']} core-seconds), "
          f"{result['starter']['megabytes']} MB")  # fmt: skip
    for name, (rate, duration) in SETS.items():
        result["difficulty"][name] = difficulty(rate, duration, songs)
        show(name, result["difficulty"][name])
    result["difficulty"][STARTER] = difficulty(22050, 12.0, min(8, songs))
    show(STARTER, result["difficulty"][STARTER])
    target = Path(__file__).parent / "results" / "labsongs.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
