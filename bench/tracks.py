"""Whole tracks separated with default options, beside demucs 4.1.0's `apply_model`.

Same weights and sound, same stems (checked first), in turns, medians, each side in a process of its
own, whose peak of memory beyond that of the imports stands behind the times. Both run without
random shifts, which cost both the same. `htdemucs_ft` is a bag of four models, one per stem: for
one stem of it we run one, `apply_model` runs all four.
The peers' code is in an environment of its own (`make parity` builds it), where this script runs.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from pathlib import Path
from typing import Any

from _peers import HEADER, SOURCES, Side, compare, line, memory, peer_class, run_there, serve

HERE = Path(__file__).resolve().parent
RATE = 44100
V2 = {"dconv_mode": 0, "gelu": False, "norm_starts": 99, "lstm_layers": 2, "segment": 40}
HTDEMUCS = {"bottom_channels": 512, "dconv_mode": 3, "segment": 7.8}

# name: (our class, the peer's module and class, settings, models, stem, rounds, warm up first)
CASES: dict[str, tuple[str, str, dict[str, Any], int, str | None, int, bool]] = {
    "HTDemucs": ("HTDemucs", "demucs.htdemucs.HTDemucs", HTDEMUCS, 1, None, 3, True),
    "Demucs v2": ("Demucs", "demucs.demucs.Demucs", V2, 1, None, 2, False),
    "one stem of htdemucs_ft": (
        "HTDemucs", "demucs.htdemucs.HTDemucs", HTDEMUCS, 4, "vocals", 2, False,
    ),
}  # fmt: skip
LENGTHS = {"HTDemucs": 30.0, "Demucs v2": 120.0, "one stem of htdemucs_ft": 12.0}


def stand_ready(name: str, side: str, seconds: float, threads: int) -> None:
    """One side: wait for tasks and run them."""
    import torch
    from demucs.apply import BagOfModels, apply_model

    import demucs_lab as lab
    from demucs_lab.pretrained import Bag

    torch.set_num_threads(threads)
    empty = memory()
    cls, path, settings, count, stem, *_ = CASES[name]
    one_hot = torch.eye(4).tolist()
    models: list[Any] = []
    for seed in range(count):
        torch.manual_seed(seed)
        model = peer_class(path)(SOURCES, **settings)
        if side == "ours":
            ours = getattr(lab.models, cls)
            model = ours.from_official(model.state_dict(), sources=SOURCES, **settings)
        models.append(model.eval())
    gc.collect()
    torch.manual_seed(count)
    song = 0.1 * torch.randn(2, round(seconds * RATE))
    stems = [stem] if stem else SOURCES

    def separate() -> torch.Tensor:
        model = models[0] if count == 1 else Bag(models, one_hot)
        return lab.separate(model, song, RATE, progress=False, stems=stems)

    def apply() -> torch.Tensor:
        model = models[0] if count == 1 else BagOfModels(models, one_hot)
        mean, deviation = song.mean(0).mean(), song.mean(0).std() + 1e-8
        with torch.no_grad():
            answer = apply_model(model, ((song - mean) / deviation)[None], shifts=0)[0]
        answer = answer * deviation + mean
        return answer[[SOURCES.index(wanted) for wanted in stems]]

    serve({"separate": separate if side == "ours" else apply}, empty)


def main() -> int:
    """Print the table and write results/tracks.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--scale", type=float, default=1.0, help="of the lengths of the tracks")
    parser.add_argument("--rounds", type=int, help="of each; without it, fewer of the long ones")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", nargs=2, metavar=("CASE", "SIDE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        seconds = options.scale * LENGTHS[options.side[0]]
        stand_ready(*options.side, seconds, options.threads)
        return 0
    result = HERE / "results" / "tracks.json"
    if (elsewhere := run_there(__file__, result)) is not None:
        return elsewhere

    print(HEADER)
    table: dict[str, dict[str, Any]] = {}
    settings = [f"--scale={options.scale}", f"--threads={options.threads}"]
    for name in options.cases:
        command = [str(HERE / "tracks.py"), *settings, "--side", name]
        rounds, warm = CASES[name][5:]
        with Side(*command, "ours") as ours, Side(*command, "theirs") as theirs:
            table[name] = compare(ours, theirs, "separate", options.rounds or rounds, warm=warm)
        print(line(f"{name}, {options.scale * LENGTHS[name]:g} s", table[name]), flush=True)
    facts = {"threads": options.threads, "scale": options.scale}
    result.write_text(json.dumps({**facts, "tracks": table}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
