"""What attends to what: the attention maps of Hybrid Transformer Demucs (lesson 10).

Attention is normally computed without ever storing its weights. `capture` makes the chosen layers
hold them; the model's output stays the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from demucs_lab.models.htdemucs import HTDemucs
from demucs_lab.models.transformer import TransformerLayer


class Axes(NamedTuple):
    """Where tokens lie: the middles of their times, and of their bands in the frequency branch."""

    seconds: Tensor
    hertz: Tensor | None

    @property
    def shape(self) -> tuple[int, ...]:
        """`(F, N)` in the frequency branch, `(T,)` in the time branch."""
        rows = () if self.hertz is None else (len(self.hertz),)
        return (*rows, len(self.seconds))


@dataclass(frozen=True)
class AttentionMap:
    """The weights of one layer.

    Attributes:
        layer: its name, for example "time.1".
        cross: whether it attends to the other branch.
        heads: which heads.
        weights: `[heads, *queries, *keys]`, where a branch's tokens are `[F, N]` or `[T]`; over
            all keys they sum to one.
        queries, keys: where the tokens lie, in seconds and hertz.
    """

    layer: str
    cross: bool
    heads: tuple[int, ...]
    weights: Tensor
    queries: Axes
    keys: Axes


class Captured(NamedTuple):
    """What the model gave, `[S, C, T]`, and the maps by layer."""

    output: Tensor
    maps: dict[str, AttentionMap]


def capture(
    model: HTDemucs,
    mixture: Tensor,
    layers: str | Sequence[str] | None = None,
    heads: Sequence[int] | None = None,
    max_bytes: int = 1 << 30,
) -> Captured:
    """Run a model on one mixture and keep what its attention looked at.

    Args:
        model: an `HTDemucs` with a transformer.
        mixture: `[C, T]` at the model's rate.
        layers: names out of `layer_names(model)`, or a single one; None: all.
        heads: numbers of heads; None: all.
        max_bytes: more memory than this is refused, before anything is computed.

    Returns:
        The separated sources and the maps.

    Raises:
        TypeError, ValueError: if the model has no transformer, a layer or head does not exist, or
            the maps would need more than `max_bytes`.

    >>> model = HTDemucs.tiny(segment=1.0)
    >>> maps = capture(model, torch.randn(2, 22050), layers=["time.1"]).maps
    >>> maps["time.1"].weights.shape  # heads, time tokens, frequency rows, spectrogram frames
    torch.Size([4, 87, 4, 44])
    """
    found = attention_layers(model)
    names = list(found) if layers is None else _listed(layers)
    chosen = tuple(range(model.t_heads) if heads is None else heads)
    if unknown := [name for name in names if name not in found]:
        raise ValueError(f"no layer is named {unknown[0]!r}: choose from {', '.join(found)}")
    if unknown_heads := [head for head in chosen if not 0 <= head < model.t_heads]:
        raise ValueError(f"heads are 0 to {model.t_heads - 1}, got {unknown_heads[0]}")
    if mixture.dim() != 2:
        raise ValueError(f"expected one mixture [channels, time], got {list(mixture.shape)}")
    needed = memory_needed(model, mixture.shape[-1], names, len(chosen))
    if needed > max_bytes:
        raise ValueError(
            f"these maps need {needed:,} bytes, more than max_bytes={max_bytes:,}: choose fewer "
            f"of the {len(names)} layers and {len(chosen)} heads, a shorter mixture, or allow more"
        )

    weights: dict[str, Tensor] = {}
    was_training = model.training
    try:
        for name in names:
            found[name].attention.watch = _keep(weights, name, chosen)
        with torch.no_grad():
            output = model.eval()(mixture.unsqueeze(0))[0]
    finally:
        model.train(was_training)
        for layer in found.values():
            layer.attention.watch = None

    maps = {}
    for name in names:
        branch, cross = name.partition(".")[0], found[name].norm_other is not None
        queries = axes(model, mixture.shape[-1], branch)
        keys = axes(model, mixture.shape[-1], _other(branch) if cross else branch)
        shaped = weights[name].view(len(chosen), *queries.shape, *keys.shape)
        maps[name] = AttentionMap(name, cross, chosen, shaped, queries, keys)
    return Captured(output, maps)


def layer_names(model: HTDemucs) -> list[str]:
    """The layers that can be captured: "frequency.0" … and "time.0" …, by the queries' branch.

    >>> layer_names(HTDemucs.tiny())[:3]
    ['frequency.0', 'frequency.1', 'frequency.2']
    """
    return list(attention_layers(model))


def memory_needed(
    model: HTDemucs, samples: int, layers: str | Sequence[str], heads: int | None = None
) -> int:
    """Bytes that `capture` holds at most: the kept maps, and twice one layer while it runs.

    Args:
        model: an `HTDemucs` with a transformer.
        samples: of the mixture, at the model's rate.
        layers: names out of `layer_names(model)`, or a single one.
        heads: how many are kept of each layer; None: all. While a layer runs it holds them all.

    Raises:
        TypeError, ValueError: if the model has no transformer.
        KeyError: if it has no such layer.

    >>> memory_needed(HTDemucs.tiny(segment=1.0), 22050, "time.0", heads=1)  # 87 · 87 · (1 + 2 · 4)
    272484
    """
    sizes = {"frequency": 0, "time": 0}
    for branch in sizes:
        sizes[branch] = math.prod(axes(model, samples, branch).shape)
    pairs = [
        sizes[branch]
        * sizes[_other(branch) if attention_layers(model)[name].norm_other else branch]
        for name in _listed(layers)
        for branch in [name.partition(".")[0]]
    ]
    kept = sum(pairs) * (model.t_heads if heads is None else heads)
    return 4 * (kept + 2 * model.t_heads * max(pairs, default=0))


def axes(model: HTDemucs, samples: int, branch: str) -> Axes:
    """Where the tokens of a branch lie for a mixture of so many samples, silence added included.

    Args:
        model: an `HTDemucs`.
        samples: of the mixture, at the model's rate.
        branch: "time", whose T tokens follow each other, or "frequency", whose tokens form a grid
            of F bands and N frames.

    >>> axes(HTDemucs.tiny(segment=1.0), 22050, "frequency").shape  # F, N
    (4, 44)
    """
    if model.pad_to_segment:
        samples = max(samples, model.segment_samples)
    hop = 4**model.depth if branch == "time" else model.n_fft // 4
    length = samples
    for stride in [4] * model.depth if branch == "time" else [hop]:
        length = math.ceil(length / stride)
    seconds = (torch.arange(length) + 0.5) * hop / model.samplerate
    if branch == "time":
        return Axes(seconds, None)
    rows = model.n_fft // 2 // 4**model.depth
    return Axes(seconds, (torch.arange(rows) + 0.5) * model.samplerate / 2 / rows)


def attention_layers(model: HTDemucs) -> dict[str, TransformerLayer]:
    """The layers of both branches by name.

    Raises:
        TypeError, ValueError: if the model has no transformer.
    """
    if not isinstance(model, HTDemucs):
        raise TypeError(f"only HTDemucs has attention to capture, got {type(model).__name__}")
    if model.bottom is None:
        raise ValueError("this HTDemucs has no transformer (t_layers=0): there is nothing to see")
    branches = {
        "frequency": model.bottom.transformer.layers,
        "time": model.bottom.transformer.layers_t,
    }
    return {
        f"{branch}.{i}": layer  # type: ignore[misc]
        for branch, layers in branches.items()
        for i, layer in enumerate(layers)
    }


def _listed(layers: str | Sequence[str]) -> list[str]:
    return [layers] if isinstance(layers, str) else list(layers)


def _other(branch: str) -> str:
    return "time" if branch == "frequency" else "frequency"


def _keep(kept: dict[str, Tensor], name: str, heads: tuple[int, ...]):
    def watch(weights: Tensor) -> None:
        kept[name] = weights[0, list(heads)].float().cpu()

    return watch
