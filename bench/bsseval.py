"""How fast `metrics.bss_eval` is beside museval, and how far the two differ.

    python bench/bsseval.py               30 s of four stereo sources at 44.1 kHz, three rounds
    python bench/bsseval.py --seconds 10  a shorter song

The two take turns, so whatever else the machine does slows both. Writes results/bsseval.json.
Needs ffmpeg, without which museval cannot be imported.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from museval import evaluate

from demucs_lab.metrics import bss_eval

SAMPLERATE = 44100
SCORES = ("sdr", "isr", "sir", "sar")


def song(seconds: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Four coloured stereo noises, and estimates with leakage and noise, each `[4, 2, T]`."""
    rng = np.random.default_rng(0)
    white = 0.1 * rng.standard_normal((4, 2, int(seconds * SAMPLERATE)))
    sources = np.stack([white[s] + 0.8 * np.roll(white[s], s + 1, axis=-1) for s in range(4)])
    leakage = np.eye(4) + rng.uniform(0, 0.2, (4, 4))
    estimates = np.tensordot(leakage, sources, 1) + 0.02 * rng.standard_normal(sources.shape)
    return torch.from_numpy(sources), torch.from_numpy(estimates)


def main() -> None:
    """Print the table and write results/bsseval.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="length of the song")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is timed")
    args = parser.parse_args()

    references, estimates = song(args.seconds)
    time_first = [
        np.ascontiguousarray(x.numpy().transpose(0, 2, 1)) for x in (references, estimates)
    ]
    seconds: dict[str, list[float]] = {"ours": [], "museval": []}
    for _ in range(args.rounds):
        begin = time.perf_counter()
        ours = bss_eval(references, estimates, SAMPLERATE)
        seconds["ours"].append(time.perf_counter() - begin)
        begin = time.perf_counter()
        theirs = evaluate(*time_first, win=SAMPLERATE, hop=SAMPLERATE)
        seconds["museval"].append(time.perf_counter() - begin)

    difference = max(
        float(np.abs(getattr(ours, score).numpy() - expected).max())
        for score, expected in zip(SCORES, theirs, strict=True)
    )
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    result = {
        "song": f"{args.seconds:g} s, 4 stereo sources, {SAMPLERATE} Hz",
        "rounds": args.rounds,
        "seconds": {name: [round(t, 2) for t in times] for name, times in seconds.items()},
        "median_seconds": {name: round(value, 2) for name, value in medians.items()},
        "times_faster": round(medians["museval"] / medians["ours"], 1),
        "largest_difference_db": difference,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
    }
    print(f"BSSEval v4, {result['song']}, median of {args.rounds}")
    for name, value in medians.items():
        print(f"  {name:<8} {value:7.2f} s")
    print(f"  {result['times_faster']} times faster, at most {difference:.1e} dB apart")
    path = Path(__file__).parent / "results" / "bsseval.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
