"""What happens when a part of the transformer is taken away or replaced (lesson 10).

A map shows where attention looks, not whether anything depends on it. Each function here is a
context: within it the model runs with one part changed, and afterwards it is as before.

    with lab.attention.without_attention(model, cross_only=True):
        estimates = lab.separate(model, song.mixture, song.samplerate)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demucs_lab.attention.maps import attention_layers
from demucs_lab.models.htdemucs import HTDemucs

Tokens = tuple[Tensor, Tensor]
"""What the transformer gives to both decoders: `[B, C, F, N]` and `[B, C, T]`."""


@contextmanager
def constant_output(model: HTDemucs, constants: Sequence[Tensor] | None = None) -> Iterator[None]:
    """One constant vector in place of all that the transformer gives, for each branch.

    Args:
        model: an `HTDemucs` with a transformer.
        constants: the vectors `[B, C]` or `[1, C]` of both branches, such as the means of other
            songs; None: zeros.
    """

    def replace(_module: nn.Module, _inputs: Any, output: Tokens) -> Tokens:
        x, xt = output
        if constants is None:
            return torch.zeros_like(x), torch.zeros_like(xt)
        c, ct = constants
        return c[..., None, None].expand_as(x), ct[..., None].expand_as(xt)

    with _hooks(_bottom(model).register_forward_hook(replace)):
        yield


@contextmanager
def without_attention(model: HTDemucs, cross_only: bool = False) -> Iterator[None]:
    """Attention adds nothing: in all layers, or in those that look at the other branch."""

    def nothing(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        return torch.zeros_like(output)

    layers = attention_layers(model).values()
    chosen = [layer for layer in layers if layer.norm_other is not None or not cross_only]
    with _hooks(*(layer.attention.register_forward_hook(nothing) for layer in chosen)):
        yield


@contextmanager
def uniform_weights(model: HTDemucs) -> Iterator[None]:
    """Every token looks at all keys alike: attention gives the mean of the values."""

    def mean(attention: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> Tensor:
        keys, dim = inputs[1], output.shape[-1]
        weight, bias = attention.qkv.weight[2 * dim :], attention.qkv.bias[2 * dim :]
        values = F.linear(keys.mean(1, keepdim=True), weight, bias)  # the mean of the values
        return attention.out(values).expand_as(output)

    layers = attention_layers(model).values()
    with _hooks(*(layer.attention.register_forward_hook(mean) for layer in layers)):
        yield


@contextmanager
def keys_of_another(model: HTDemucs) -> Iterator[None]:
    """Keys and values come from the next song of the batch, which must hold two or more."""

    def roll(_module: nn.Module, inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        queries, keys = inputs
        if len(keys) < 2:
            raise ValueError("keys of another song need a batch of two songs or more")
        return queries, keys.roll(1, 0)

    layers = attention_layers(model).values()
    with _hooks(*(layer.attention.register_forward_pre_hook(roll) for layer in layers)):
        yield


@contextmanager
def without_head(model: HTDemucs, layer: str, head: int) -> Iterator[None]:
    """One head of one layer adds nothing.

    Args:
        model: an `HTDemucs` with a transformer.
        layer: a name out of `layer_names(model)`, such as "time.1".
        head: its number, from 0 on.
    """
    attention: Any = attention_layers(model)[layer].attention
    if not 0 <= head < attention.heads:
        raise ValueError(f"heads are 0 to {attention.heads - 1}, got {head}")

    def mute(out: Any, inputs: tuple[Tensor]) -> tuple[Tensor]:
        heads = inputs[0].unflatten(-1, (attention.heads, -1)).clone()
        heads[..., head, :] = 0  # of all heads' values, side by side
        return (heads.flatten(-2),)

    with _hooks(attention.out.register_forward_pre_hook(mute)):
        yield


@contextmanager
def watching_output(model: HTDemucs, see: Callable[[Tensor, Tensor], None]) -> Iterator[None]:
    """`see(x [B, C, F, N], xt [B, C, T])` is called with what the transformer gives to decoders."""
    with _hooks(
        _bottom(model).register_forward_hook(lambda _module, _inputs, output: see(*output))
    ):
        yield


@contextmanager
def watching_tokens(model: HTDemucs, see: Callable[[str, Tensor], None]) -> Iterator[None]:
    """`see(layer, tokens [B, N, dim])` is called with what each layer of the transformer gives."""

    def watch(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda _module, _inputs, output: see(name, output)

    layers = attention_layers(model).items()
    with _hooks(*(layer.register_forward_hook(watch(name)) for name, layer in layers)):
        yield


def _bottom(model: HTDemucs) -> nn.Module:
    attention_layers(model)  # says in a sentence what is wrong, if there is no transformer
    assert model.bottom is not None
    return model.bottom


@contextmanager
def _hooks(*handles: Any) -> Iterator[None]:
    with ExitStack() as stack:
        for handle in handles:
            stack.callback(handle.remove)
        yield
