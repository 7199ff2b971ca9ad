"""One forward pass and one training step of each model, beside the authors' own class.

Same weights and input, same output (checked first), runs in turns, medians, each side in a process
of its own, whose peak of memory beyond that of the imports stands behind the times. Both sides step
with PyTorch's plain Adam, as the authors do. `demucs_lab.training` steps with its fused form, which
gives the same weights, and keeps freed memory for the next step: the last line of each model is
that recipe beside theirs.
The peers' code is in an environment of its own (`make parity` builds it), where this script runs.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from _peers import HEADER, SOURCES, Side, compare, line, memory, peer_class, run_there, serve

HERE = Path(__file__).resolve().parent
V2 = {"dconv_mode": 0, "gelu": False, "norm_starts": 99, "lstm_layers": 2}
HTDEMUCS = {"bottom_channels": 512, "dconv_mode": 3, "segment": 7.8}

# name: (our class, the peer's module and class, settings, seconds of a forward and of a step)
CASES: dict[str, tuple[str, str, dict[str, Any], float, float]] = {
    "Conv-TasNet, music": ("ConvTasNet", "demucs2.tasnet.ConvTasNet", {"X": 10}, 8, 1),
    "Demucs v1, 64 channels": ("Demucs", "demucs.demucs.Demucs", {**V2, "resample": False}, 10, 4),
    "Demucs v2, 64 channels": ("Demucs", "demucs.demucs.Demucs", V2, 10, 4),
    "HDemucs": ("HDemucs", "demucs.hdemucs.HDemucs", {}, 10, 4),
    "HTDemucs": ("HTDemucs", "demucs.htdemucs.HTDemucs", HTDEMUCS, 7.8, 4),
}


def model_of(name: str, side: str) -> Any:
    """Our model or the peer's, with the same random weights."""
    import torch

    import demucs_lab

    cls, path, settings, *_ = CASES[name]
    torch.manual_seed(0)
    peer = peer_class(path)(SOURCES, **settings)
    if side == "theirs":
        return peer
    ours = getattr(demucs_lab.models, cls)
    return ours.from_official(peer.state_dict(), sources=SOURCES, **settings)


def stand_ready(name: str, side: str, scale: float, threads: int) -> None:
    """One side: wait for tasks and run them."""
    import torch

    import demucs_lab.training  # noqa: F401  (what is imported later would count as memory)
    from demucs_lab.common.memory import reused_memory
    from demucs_lab.models.fast import faster

    torch.set_num_threads(threads)
    empty = memory()
    model = model_of(name, side)
    gc.collect()
    torch.manual_seed(1)
    whole, part = (torch.randn(1, 2, round(seconds * scale * 44100)) for seconds in CASES[name][3:])
    optimizers: dict[bool, torch.optim.Optimizer] = {}

    def forward() -> torch.Tensor:
        with torch.no_grad():
            return model.eval()(whole)

    def workshop() -> torch.Tensor:
        with faster(model):
            return forward()

    def step(fused: bool = False) -> None:
        if fused not in optimizers:
            optimizers.clear()
            optimizers[fused] = torch.optim.Adam(model.parameters(), 1e-4, fused=fused)
        model.train()
        optimizers[fused].zero_grad()
        (model(part) - 0.1).abs().mean().backward()
        optimizers[fused].step()

    with ExitStack() as training:

        def recipe() -> None:
            training.enter_context(reused_memory())
            step(fused=True)

        own = recipe if side == "ours" else step
        sooner = workshop if side == "ours" else forward
        serve({"forward": forward, "workshop": sooner, "step": step, "recipe": own}, empty)


def main() -> int:
    """Print the table and write results/models.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--times", type=int, default=3, help="rounds, after one that warms up")
    parser.add_argument("--scale", type=float, default=1.0, help="of the lengths of sound")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", nargs=2, metavar=("MODEL", "SIDE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        stand_ready(*options.side, options.scale, options.threads)
        return 0
    result = HERE / "results" / "models.json"
    if (elsewhere := run_there(__file__, result)) is not None:
        return elsewhere

    print(HEADER)
    table: dict[str, dict[str, Any]] = {}
    settings = [f"--scale={options.scale}", f"--threads={options.threads}"]
    for name in options.models:
        command = [str(HERE / "models.py"), *settings, "--side", name]
        with Side(*command, "ours") as ours, Side(*command, "theirs") as theirs:
            table[name] = {
                "forward": compare(ours, theirs, "forward", options.times),
                "forward, workshop": compare(ours, theirs, "workshop", options.times),
                "training step": compare(ours, theirs, "step", options.times, same=False),
                "step, own recipe": compare(ours, theirs, "recipe", options.times, same=False),
            }
        for what, row in table[name].items():
            print(line(f"{name}, {what}", row), flush=True)
    facts = {"threads": options.threads, "times": options.times, "scale": options.scale}
    result.write_text(json.dumps({**facts, "models": table}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
