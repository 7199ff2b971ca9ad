"""Training steps of our model classes beside the authors' own, in the same loop.

Both start from the same weights, hear the same excerpts and take the same steps with
`demucs_lab.training.train`, in turns; their losses must agree. The time of a step is the median
between two lines of the metrics, so that loading, validation and checkpoints do not count. The
peers' code is in an environment of its own (`make parity` builds it), in which this script runs.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from _peers import run_there

HERE = Path(__file__).resolve().parent
SOURCES = ["drums", "bass", "other", "vocals"]
V2 = {"dconv_mode": 0, "gelu": False, "norm_starts": 99, "lstm_layers": 2, "resample": False}
TINY = {"samplerate": 22050, "channels": 32, "depth": 4, "lstm_layers": 1, "segment": 10.0}

# name: (our class, the peer's module and class, settings, seconds of an excerpt, batch)
CASES: dict[str, tuple[str, str, dict[str, Any], float, int]] = {
    "Demucs, the size of tiny-demucs": ("Demucs", "demucs.demucs.Demucs", V2 | TINY, 1.5, 4),
    "Demucs, 32 channels": ("Demucs", "demucs.demucs.Demucs", V2 | {"channels": 32}, 2.0, 2),
    "HTDemucs, 24 channels": (
        "HTDemucs",
        "demucs.htdemucs.HTDemucs",
        {"channels": 24, "t_layers": 3, "segment": 2.0},
        2.0,
        2,
    ),
}


def run(model: Any, seconds: float, batch: int, steps: int) -> tuple[float, list[float]]:
    """Median seconds of a step, and the losses."""
    from demucs_lab import datasets, training

    with tempfile.TemporaryDirectory() as folder:
        result = training.train(
            "tiny-demucs",
            datasets.first_songs(),
            valid=[track.excerpt(0, 1.0) for track in datasets.first_songs()[:1]],
            folder=Path(folder, "run"),
            model=model,
            steps=steps,
            segment=seconds,
            batch=batch,
            validations=1,
            checkpoint_steps=10 * steps,
            progress=False,
            cpu=True,
        )
    lines = [line for line in result.history if "loss" in line]
    times = [line["elapsed"] for line in lines]
    gaps = [after - before for before, after in itertools.pairwise(times[1:])]
    return statistics.median(gaps), [line["loss"] for line in lines]


def measure(name: str, rounds: int, steps: int) -> dict[str, Any]:
    """One row of the table."""
    import importlib

    import torch

    import demucs_lab

    ours, path, settings, seconds, batch = CASES[name]
    module, _, cls = path.rpartition(".")
    torch.manual_seed(0)
    peer = getattr(importlib.import_module(module), cls)(SOURCES, **settings)
    mine = getattr(demucs_lab.models, ours).from_official(
        peer.state_dict(), sources=SOURCES, **settings
    )
    found = []
    for _ in range(rounds):
        pair = [run(copy.deepcopy(model), seconds, batch, steps) for model in (mine, peer)]
        found.append([time for time, _ in pair])
        first, second = (losses for _, losses in pair)
        error = max(abs(a - b) / b for a, b in zip(first, second, strict=True))
    medians = [statistics.median(times) for times in zip(*found, strict=True)]
    return {
        "ours": medians[0],
        "peer": medians[1],
        "ratio": statistics.median(theirs / own for own, theirs in found),
        "sound per second": batch * seconds / medians[0],
        "loss error": error,
    }


def main() -> int:
    """Print the table and write results/training.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    result = HERE / "results" / "training.json"
    if (elsewhere := run_there(__file__, result)) is not None:
        return elsewhere

    import torch

    torch.set_num_threads(options.threads)
    print(f"{'one training step':<32} {'ours':>8} {'peer':>8}  peer / ours   losses differ by")
    table = {}
    for name in options.cases:
        row = table[name] = measure(name, options.rounds, options.steps)
        print(
            f"{name:<32} {row['ours']:7.2f}s {row['peer']:7.2f}s {row['ratio']:9.2f} ×   "
            f"{row['loss error']:.0e}",
            flush=True,
        )
    facts = {"threads": options.threads, "rounds": options.rounds, "steps": options.steps}
    result.write_text(json.dumps({**facts, "cases": table}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
