"""Two small things that make a short training good: a falling step size and a running mean."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn


def schedule(step: int, progress: float, warmup: int, cosine: bool = True) -> float:
    """The learning rate as a share of its highest: up over `warmup` steps, down along a cosine.

    Args:
        step: steps done.
        progress: share of the budget that is spent, 0 to 1.
        warmup: steps of the rise.
        cosine: fall as (1 + cos πp) / 2 to zero at the end (arXiv:1608.03983); False: stay.

    >>> [schedule(step, step / 4, warmup=2) for step in (0, 1, 2, 4)]
    [0.5, 0.8535533905932737, 0.5, 0.0]
    """
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return rise * (0.5 * (1 + math.cos(math.pi * min(1.0, progress))) if cosine else 1.0)


class RunningMean:
    """An exponential moving average of a model's weights, itself a model that can be evaluated.

    After update t (from 1) the mean is d·mean + (1 − d)·weights with d = min(decay, (1 + t) /
    (10 + t)), so that a short training does not remember its random start. The improved
    time-only Demucs gains 0.2 dB by one (arXiv:2111.03600, table 7).

    Args:
        model: whose weights are followed.
        decay: how much of the old mean stays; 0: the mean is the weights themselves.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, count: int) -> None:
        """Take in the weights after update number `count`."""
        decay = min(self.decay, (1 + count) / (10 + count))
        for mean, weight in zip(self.model.parameters(), model.parameters(), strict=True):
            mean.lerp_(weight, 1 - decay)
        for kept, value in zip(self.model.buffers(), model.buffers(), strict=True):
            kept.copy_(value)
