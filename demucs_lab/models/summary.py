"""What a model is made of: parameters, operations, receptive field, shapes layer by layer."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from demucs_lab.common.tables import text_table
from demucs_lab.models.base import SeparationModel
from demucs_lab.models.htdemucs import Bottom, Decoder, Encoder
from demucs_lab.models.transformer import CrossTransformer


@dataclass(frozen=True)
class Layer:
    """One row: where, what, the shape it gives, its parameters, its operations."""

    name: str
    kind: str
    shape: str
    parameters: int
    gflop: float


@dataclass(frozen=True)
class Summary:
    """A model's size and cost; `print` it for the table.

    Attributes:
        seconds: of sound that the layers work on; HTDemucs lengthens less to one segment.
        parameters: how many numbers are learned.
        gflop_per_second: 10⁹ operations for each of these seconds.
        receptive_field: samples of input that one sample of output hears; None: all.
        samplerate: in Hz.
        layers: the rows of the table.
    """

    model: str
    seconds: float
    parameters: int
    gflop_per_second: float
    receptive_field: int | None
    samplerate: int
    layers: list[Layer]

    def __str__(self) -> str:
        rows: list[list[str | float]] = [
            [layer.name, layer.kind, layer.shape, f"{layer.parameters:,}", round(layer.gflop, 2)]
            for layer in self.layers
        ]
        field = "the whole input"
        if self.receptive_field is not None:
            seconds = self.receptive_field / self.samplerate
            field = f"{self.receptive_field:,} samples ({seconds:.3g} s)"
        return "\n".join([
            text_table(["layer", "kind", "gives", "parameters", "GFLOP"], rows),
            "",
            f"{self.model} on {self.seconds:g} s of sound",
            f"parameters       {self.parameters:,}",
            f"GFLOP per second {self.gflop_per_second:.1f}",
            f"receptive field  {field}",
        ])  # fmt: skip


def summary(model: SeparationModel, seconds: float = 10.0) -> Summary:
    """Parameters, shapes and operations of a model on `seconds` of sound, without running it.

    A product and a sum count as two operations. Only shapes are computed, so a model of 265
    million parameters takes no longer than a small one.

    Args:
        model: any model of `demucs_lab.models`.
        seconds: how much sound `[1, C, seconds · samplerate]` to imagine; more than 0.

    Returns:
        Its figures, and one `Layer` for each layer, in the order of its definition. Shapes are
        without the batch and without axes of length one.

    Raises:
        ValueError: if there would be no sample of sound.

    >>> from demucs_lab.models import Demucs
    >>> made_of = summary(Demucs.tiny(), seconds=1)
    >>> made_of.layers[0].shape, made_of.parameters
    ('[16, 6228]', 2582696)
    """
    with torch.device("meta"):
        shadow = type(model)(**model.config()).eval()
        mix = torch.zeros(1, model.audio_channels, round(seconds * model.samplerate))
    if getattr(model, "pad_to_segment", False):
        seconds = max(seconds, model.segment)
    shapes: dict[str, str] = {}
    flop: Counter[str] = Counter()
    for name, module in shadow.named_modules():
        module.register_forward_hook(functools.partial(_note_shape, shapes, name))
        if isinstance(module, nn.LSTM):  # its many steps would take long, even on shapes alone
            module.forward = functools.partial(_count_lstm, module, flop, name)  # type: ignore
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        shadow(mix)
    for name, operations in counter.get_flop_counts().items():
        inside = name.removeprefix(type(model).__name__).removeprefix(".")
        flop[inside] += sum(operations.values()) if name != "Global" else 0

    layers = [
        Layer(name, type(module).__name__, shapes[name], _parameters(module), flop[name] / 1e9)
        for name, module in _layers(shadow)
        if name in shapes and not isinstance(module, nn.Identity)
    ]
    return Summary(
        repr(model), seconds, _parameters(shadow), flop[""] / seconds / 1e9, model.receptive_field,
        model.samplerate, layers,
    )  # fmt: skip


def _layers(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        if isinstance(child, (nn.ModuleList, Encoder, Decoder, Bottom, CrossTransformer)):
            yield from _layers(child, f"{prefix}{name}.")
        else:
            yield prefix + name, child


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _note_shape(
    shapes: dict[str, str], name: str, _module: nn.Module, _inputs: Any, output: Any
) -> None:
    first = output[0] if isinstance(output, tuple) else output
    shapes[name] = str([n for n in first.shape[1:] if n != 1])


def _count_lstm(lstm: nn.LSTM, flop: Counter[str], name: str, x: Tensor) -> tuple[Tensor, None]:
    """Two operations per weight and step, for the LSTM and for all that it is part of."""
    weights = sum(p.numel() for kind, p in lstm.named_parameters() if kind.startswith("weight"))
    parts = name.split(".")
    for end in range(len(parts) + 1):
        flop[".".join(parts[:end])] += 2 * weights * x.shape[0] * x.shape[1]
    return x.new_zeros(*x.shape[:2], 2 * lstm.hidden_size), None
