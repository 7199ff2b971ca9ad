"""One forward pass and one training step of each model, beside the authors' own class.

Same weights and input, same output (checked first), runs in turns, medians. The peers' code is
in an environment of its own (`make parity` builds it), in which this script runs itself.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _peers import run_there

HERE = Path(__file__).resolve().parent
SOURCES = ["drums", "bass", "other", "vocals"]
V2 = {"dconv_mode": 0, "gelu": False, "norm_starts": 99, "lstm_layers": 2}

# name: (our class, the peer's module and class, settings, seconds of a forward and of a step)
CASES: dict[str, tuple[str, str, dict[str, Any], float, float]] = {
    "Conv-TasNet, music": ("ConvTasNet", "demucs2.tasnet.ConvTasNet", {"X": 10}, 8, 1),
    "Demucs v1, 64 channels": ("Demucs", "demucs.demucs.Demucs", {**V2, "resample": False}, 20, 4),
    "Demucs v2, 64 channels": ("Demucs", "demucs.demucs.Demucs", V2, 20, 4),
    "HDemucs": ("HDemucs", "demucs.hdemucs.HDemucs", {}, 10, 4),
    "HTDemucs": (
        "HTDemucs",
        "demucs.htdemucs.HTDemucs",
        {"bottom_channels": 512, "dconv_mode": 3, "segment": 7.8},
        7.8,
        4,
    ),
}


def peer_class(path: str) -> type:
    """The authors' class; version 2.0.3 needs little of what it imports."""
    module, _, name = path.rpartition(".")
    if module.startswith("demucs2.") and "demucs2" not in sys.modules:
        package, utils = types.ModuleType("demucs2"), types.ModuleType("demucs2.utils")
        package.__path__ = [str(Path(sys.prefix) / "demucs2" / "demucs")]
        vars(utils)["capture_init"] = lambda init: init
        sys.modules.update({"demucs2": package, "demucs2.utils": utils})
    return getattr(importlib.import_module(module), name)


def in_turns(ours: Callable[[], None], theirs: Callable[[], None], times: int) -> list[float]:
    """Median seconds of both, and their ratio as the median over rounds."""
    rounds = []
    for _ in range(times + 1):
        pair = []
        for run in (ours, theirs):
            begin = time.perf_counter()
            run()
            pair.append(time.perf_counter() - begin)
        rounds.append(pair)
    rounds = rounds[1:]  # the first one warms up
    mine, peer = (statistics.median(pair[i] for pair in rounds) for i in range(2))
    return [mine, peer, statistics.median(pair[1] / pair[0] for pair in rounds)]


def measure(name: str, times: int, scale: float) -> dict[str, Any]:
    """One row of the table."""
    import torch

    import demucs_lab

    cls, path, settings, forward_seconds, step_seconds = CASES[name]
    torch.manual_seed(0)
    peer = peer_class(path)(SOURCES, **settings)
    ours = getattr(demucs_lab.models, cls).from_official(
        peer.state_dict(), sources=SOURCES, **settings
    )
    mix = torch.randn(1, 2, round(forward_seconds * scale * 44100))

    def forward(model: torch.nn.Module) -> torch.Tensor:
        with torch.no_grad():
            return model.eval()(mix)

    theirs = forward(peer)
    error = float((forward(ours) - theirs).abs().max() / theirs.abs().max())
    row = {"forward": in_turns(lambda: forward(ours), lambda: forward(peer), times)}
    del theirs
    part = torch.randn(1, 2, round(step_seconds * scale * 44100))
    optimizers = {model: torch.optim.Adam(model.parameters(), 1e-4) for model in (ours, peer)}

    def step(model: torch.nn.Module) -> None:
        model.train()
        optimizers[model].zero_grad()
        (model(part) - 0.1).abs().mean().backward()
        optimizers[model].step()

    row["training step"] = in_turns(lambda: step(ours), lambda: step(peer), times)
    return {"error": error, **row}


def main() -> int:
    """Print the table and write results/models.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--times", type=int, default=5, help="rounds, after one that warms up")
    parser.add_argument("--scale", type=float, default=1.0, help="of the lengths of sound")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    result = HERE / "results" / "models.json"
    if (elsewhere := run_there(__file__, result)) is not None:
        return elsewhere

    import torch

    torch.set_num_threads(options.threads)
    print(f"{'model':<24} {'what':<14} {'ours':>8} {'peer':>8}  peer / ours   error")
    table = {}
    for name in options.models:
        table[name] = measure(name, options.times, options.scale)
        for what in ("forward", "training step"):
            mine, peer, ratio = table[name][what]
            print(
                f"{name:<24} {what:<14} {mine:7.2f}s {peer:7.2f}s {ratio:9.2f} ×   "
                f"{table[name]['error']:.0e}",
                flush=True,
            )
    facts = {"threads": options.threads, "times": options.times, "scale": options.scale}
    result.write_text(json.dumps({**facts, "models": table}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
