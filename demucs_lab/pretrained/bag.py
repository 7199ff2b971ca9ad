"""Several models whose estimates are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Bag(nn.Module):
    """Models whose estimates are averaged, with weights per source (arXiv:2111.03600, section 4).

    `separate` runs the models one by one, each with its own segment and random shifts, and leaves
    out those that count for no wanted stem: one stem of `htdemucs_ft` costs one model, not four.

    Args:
        models: models for the same sources, rate and channels.
        weights: one row of S numbers per model; None: all count the same.

    Shape: `[B, C, T]` → `[B, S, C, T]`.

    Raises:
        ValueError: if the models differ in what they separate, or the weights do not fit.
    """

    def __init__(
        self, models: Sequence[Any], weights: Sequence[Sequence[float]] | None = None
    ) -> None:
        super().__init__()
        formats = {(tuple(m.sources), m.samplerate, m.audio_channels) for m in models}
        if len(formats) != 1:
            raise ValueError(
                f"expected models for the same sources, rate and channels, got {sorted(formats)}"
            )
        self.sources, self.samplerate, self.audio_channels = formats.pop()
        self.models = nn.ModuleList(models)
        if weights is None:
            weights = [[1.0] * len(self.sources)] * len(models)
        if [len(row) for row in weights] != [len(self.sources)] * len(models):
            raise ValueError(
                f"expected {len(models)} rows of {len(self.sources)} weights, got {weights}"
            )
        if not all(sum(column) > 0 and min(column) >= 0 for column in zip(*weights, strict=True)):
            raise ValueError(f"expected some model to count for every source, got {weights}")
        self.weights = tuple(tuple(float(weight) for weight in row) for row in weights)
        self.segment = min(float(model.segment) for model in models)

    def forward(self, mix: Tensor) -> Tensor:
        weights = torch.tensor(self.weights).to(mix)[..., None, None]
        estimates = (w * model(mix) for w, model in zip(weights, self.models, strict=True))
        return torch.stack(list(estimates)).sum(0) / weights.sum(0)

    def parts(self) -> list[tuple[Any, Sequence[float]]]:
        """Each model with its weights per source: how the separator runs them one by one."""
        return list(zip(self.models, self.weights, strict=True))

    def __repr__(self) -> str:
        return f"Bag of {len(self.models)}: {self.models[0]!r}, ..."
