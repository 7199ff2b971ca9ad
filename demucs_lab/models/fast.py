"""The workshop: layers that give the numbers of the page sooner, for inference on a CPU.

A model file is written to be read beside its paper. What a processor would rather have is here:
`faster(model)` swaps in, for as long as its block lasts, another `forward` for each layer that has
one in `FASTER`. The weights are the page's own, nothing is copied or stored, and the tests hold
the two equal. `separate` does so on a CPU; `bench/models.py` measures what each trick gains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demucs_lab.models import demucs
from demucs_lab.models.layers import DConv, ResidualBranch

CACHE = 1 << 18  # values that stay in a core's cache between two operations
PART = 256  # frames whose squares are added up at once: longer sums in float32 lose digits


@contextmanager
def faster(model: Any) -> Iterator[None]:
    """Within it, the model computes the same faster; afterwards it is as before.

    Only for inference: gradients would be those of other operations, rounded otherwise.
    """
    swapped = [
        layer for layer in model.modules() if type(layer) in FASTER and "forward" not in vars(layer)
    ]
    for layer in swapped:
        layer.forward = partial(FASTER[type(layer)], layer)
    try:
        yield
    finally:
        for layer in swapped:
            del layer.forward


def dconv(layer: DConv, x: Tensor) -> Tensor:
    """Residual branches of a spectrogram, few rows of frequencies at a time.

    The rows know nothing of each other. A row's branch makes a dozen tensors of its size, one from
    the other; taken few at a time, they never leave the processor's cache.
    """
    rows = x if x.dim() == 3 else x.transpose(1, 2).flatten(0, 1)  # [B F, C, N]
    at_once = max(1, CACHE // rows[0].numel())
    done = torch.empty_like(rows)
    for some, into in zip(rows.split(at_once), done.split(at_once), strict=True):
        for branch in layer.layers:
            some = residual_branch(cast(ResidualBranch, branch), some)
        into.copy_(some)
    return done if x.dim() == 3 else done.unflatten(0, (len(x), -1)).transpose(1, 2)


def residual_branch(branch: ResidualBranch, x: Tensor) -> Tensor:
    """The branch with its last norm folded into the 1×1 convolution before it."""
    y = F.gelu(branch.norm1(branch.shrink(x)))  # [R, hidden, T]
    y = branch.attention(branch.lstm(y))
    y = F.glu(norm_of_mix(branch.norm2, branch.widen, y), 1)  # [R, C, T]
    return torch.addcmul(x, branch.scale[:, None], y)


def norm_of_mix(norm: nn.GroupNorm, mix: nn.Conv1d, x: Tensor) -> Tensor:
    """`norm(mix(x))` for one group, in one pass: `mix` makes many channels of few.

    Mean and variance of W x + b follow from those of x, without computing W x + b: its channels
    have the means W m + b, and the variances diag(W Cov Wᵀ) around them; the overall variance is
    the mean of these plus the variance of the means. So norm and mix are one matrix product, whose
    weights differ from one sequence to the next.

    Shape: `[R, few, T]` → `[R, many, T]`.
    """
    weight, bias = mix.weight[..., 0], mix.bias  # [many, few], [many]
    assert bias is not None
    mean = x.mean(2, keepdim=True)  # [R, few, 1]
    parts = F.pad(x - mean, (0, -x.shape[2] % PART)).unflatten(2, (-1, PART)).transpose(1, 2)
    cov = (parts @ parts.transpose(2, 3)).sum(1) / x.shape[2]  # [R, few, few]
    means = weight @ mean + bias[:, None]  # [R, many, 1]
    overall = means.mean(1, keepdim=True)  # [R, 1, 1]
    within = ((weight @ cov) * weight).sum((1, 2), keepdim=True) / len(weight)
    variance = within + (means - overall).square().mean(1, keepdim=True)  # [R, 1, 1]
    gain = norm.weight[:, None] * (variance + norm.eps).rsqrt()  # [R, many, 1]
    shift = gain * (bias[:, None] - overall) + norm.bias[:, None]
    return torch.baddbmm(shift, gain * weight, x)  # [R, many, T]


def one_by_one(layer: nn.Module, x: Tensor) -> Tensor:
    """A layer of Demucs on each of a batch, in the memory that one of them takes.

    The separator gives Demucs four segments at once, because an LSTM reads all its weights in each
    step, for one segment as for four. The convolutions gain nothing from that, and their tensors
    are the largest.
    """
    return torch.cat([type(layer).forward(layer, some) for some in x.split(1)])


FASTER: dict[type[nn.Module], Callable[..., Tensor]] = {
    DConv: dconv,
    demucs.EncoderLayer: one_by_one,
    demucs.DecoderLayer: one_by_one,
}
"""The layers of the page, and what computes the same."""
