"""What the separator needs of a model, and how it finds one by name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from demucs_lab.models.base import check_sources


class Separable(Protocol):
    """A module with `model(mix [B, C, T])` → `[B, S, C, T]` that says what it takes and gives.

    Any `nn.Module` with these four attributes will do. What else it may offer:
    `valid_length(samples)`, the shortest input it takes that is at least so long;
    `pad_to_segment = True`, if its input always has the length of a segment;
    `cpu_batch`, the segments that a CPU had best compute at once; and `parts()`, if it is a bag of
    models: each with its weights per source, see `pretrained.Bag`.

    Attributes:
        sources: names, in the order of the axis S.
        samplerate: in Hz.
        audio_channels: C.
        segment: seconds that the model was made to look at.
    """

    @property
    def sources(self) -> Sequence[str]: ...
    @property
    def samplerate(self) -> int: ...
    @property
    def audio_channels(self) -> int: ...
    @property
    def segment(self) -> float: ...

    # What every nn.Module has.
    def __call__(self, mix: Tensor, /) -> Tensor: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def modules(self) -> Iterator[nn.Module]: ...
    def state_dict(self) -> dict[str, Any]: ...
    def to(self, device: torch.device, /) -> Any: ...
    def eval(self) -> Any: ...


Named = str | os.PathLike[str]
"""What `pretrained.load` takes: a name, or a path."""


def ready_model(model: Separable | nn.Module | Named) -> Separable:
    """The model itself, or the one that `pretrained.load` finds under a name or path.

    Raises:
        TypeError: if it is no module, or lacks an attribute of `Separable`.
        ValueError: if a source cannot name a file.
    """
    if isinstance(model, str | os.PathLike):
        from demucs_lab import pretrained

        return pretrained.load(model)
    needed = ("sources", "samplerate", "audio_channels", "segment")
    missing = [name for name in needed if not hasattr(model, name)]
    if missing or not isinstance(model, nn.Module):
        raise TypeError(
            f"expected a model of demucs_lab.models or a name of pretrained.available(), got "
            f"{type(model).__name__}" + f" without {', '.join(missing)}" * bool(missing)
        )
    check_sources(model.sources)  # type: ignore[arg-type]
    return model  # type: ignore[return-value]  # the checks above


def parts_of(model: Separable) -> list[tuple[Separable, Sequence[float]]]:
    """The models of a bag with their weights per source; a plain model is a bag of one."""
    if hasattr(model, "parts"):
        return model.parts()
    return [(model, [1.0] * len(model.sources))]


def chosen_stems(model: Separable, stems: Sequence[str] | None) -> list[int]:
    """Positions of the wanted stems in `model.sources`.

    Raises:
        ValueError: if the model has no such stem, or none is wanted.
    """
    sources = list(model.sources)
    wanted = [stems] if isinstance(stems, str) else sources if stems is None else list(stems)
    if unknown := [name for name in wanted if name not in sources]:
        raise ValueError(
            f"{type(model).__name__} has no stem {unknown[0]!r}: choose from {', '.join(sources)}"
        )
    if not wanted:
        raise ValueError(f"expected at least one stem of {', '.join(sources)}, got none")
    return [sources.index(name) for name in wanted]


def with_channels(mixture: Tensor, channels: int) -> Tensor:
    """`[C, T]` with the channels that a model takes: mono is copied to all of them."""
    if len(mixture) == channels:
        return mixture
    if len(mixture) != 1:
        raise ValueError(
            f"the mixture has {len(mixture)} channels, the model takes {channels}: choose "
            f"channels, as in mixture[:{channels}], or mix down with mixture.mean(0, keepdim=True)"
        )
    return mixture.expand(channels, -1)
