"""The gradient of a convolution's weight: as a product of matrices, and as PyTorch computes it.

Layers of Demucs (64 channels, 4 s of sound) and of HTDemucs (one segment); the two take turns.
Everything else on the way back is the same code. Writes results/convolution.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch.nn.grad import conv2d_weight

from demucs_lab.models.convolution import correlate

# name: channels in and out, rows, frames, kernel, stride, dilation
CASES: dict[str, tuple[int, int, int, int, tuple[int, int], tuple[int, int], tuple[int, int]]] = {
    "Demucs, encoder 2": (64, 128, 1, 44_100, (1, 8), (1, 4), (1, 1)),
    "Demucs, encoder 4": (256, 512, 1, 2_756, (1, 8), (1, 4), (1, 1)),
    "Demucs, decoder 5, context": (64, 128, 1, 44_100, (1, 3), (1, 1), (1, 1)),
    "Demucs, decoder 2, context": (512, 1024, 1, 690, (1, 3), (1, 1), (1, 1)),
    "HTDemucs, encoder 2, frequency": (48, 96, 512, 336, (8, 1), (4, 1), (1, 1)),
    "HTDemucs, decoder 3, context": (96, 192, 128, 336, (3, 3), (1, 1), (1, 1)),
    "HTDemucs, residual branch": (48, 6, 1, 85_995, (1, 3), (1, 1), (1, 2)),
}


def seconds(call: Callable[[], torch.Tensor], times: int) -> float:
    """Of one call, the median."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def main() -> None:
    """Print the table and write results/convolution.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=5, help="calls of each in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)

    print(f"{'':<34} {'product':>9} {'PyTorch':>9}  PyTorch / product    error")
    table = {}
    for name, (chin, chout, rows, frames, kernel, stride, dilation) in CASES.items():
        x = torch.randn(1, rows, frames, chin)
        image, size = x.permute(0, 3, 1, 2), (chout, chin, *kernel)
        reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
        places = [(n - r) // s + 1 for n, r, s in zip((rows, frames), reach, stride, strict=True)]
        grad = torch.randn(1, *places, chout)

        back = grad.permute(0, 3, 1, 2)
        product = partial(correlate, grad, x, kernel, stride, dilation)
        native = partial(conv2d_weight, image, size, back, stride, 0, dilation)
        expected = native()
        error = float((product() - expected).norm() / expected.norm())
        rounds = [
            (seconds(product, options.times), seconds(native, options.times))
            for _ in range(options.rounds)
        ]
        ours, theirs = (statistics.median(side) for side in zip(*rounds, strict=True))
        table[name] = {"product": ours, "pytorch": theirs, "ratio": theirs / ours, "error": error}
        print(
            f"{name:<34} {1e3 * ours:6.1f} ms {1e3 * theirs:6.1f} ms {theirs / ours:16.1f} × "
            f"{error:8.0e}",
            flush=True,
        )
    facts = {"threads": options.threads, "times": options.times, "rounds": options.rounds}
    result = Path(__file__).resolve().parent / "results" / "convolution.json"
    result.write_text(json.dumps({**facts, "layers": table}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
