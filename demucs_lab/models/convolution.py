"""Convolutions of channels-last tensors, and a way back for them that is fast on a CPU.

Channels that lie side by side make a 1×1 convolution a plain matrix product. PyTorch keeps
channels last in images only, so time alone is given to it as an image of one row.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Pair = tuple[int, int]  # (frequency, time)
CACHE = 1 << 18  # values of windows that are copied at once


class Pointwise(nn.Conv1d):
    """A 1×1 convolution of channels-last tensors: the same matrix at every place.

    Shape: `[..., chin]` → `[..., chout]`.
    """

    def __init__(self, chin: int, chout: int, bias: bool = True) -> None:
        super().__init__(chin, chout, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight[..., 0], self.bias)


class Conv(nn.Conv2d):
    """A 2-D convolution of channels-last tensors, `[B, F, T, chin]` → `[B, F', T', chout]`."""

    def forward(self, x: Tensor) -> Tensor:
        around = (self.stride, self.padding, self.dilation)
        return convolve(x, self.weight, self.bias, *around)  # type: ignore[arg-type]


class ConvTranspose(nn.ConvTranspose2d):
    """The way back, `[B, F, T, chin]` → `[B, F', T', chout]`."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return convolve(x, self.weight, self.bias, self.stride, transposed=True)  # type: ignore[arg-type]


class FrameConv(nn.Conv1d):
    """A convolution of channels-last tensors, `[B, T, chin]` → `[B, T', chout]`."""

    def forward(self, x: Tensor) -> Tensor:
        stride, padding, dilation = self.stride[0], int(self.padding[0]), self.dilation[0]
        y = convolve(
            x.unsqueeze(1), self.weight.unsqueeze(2), self.bias,
            (1, stride), (0, padding), (1, dilation),
        )  # fmt: skip
        return y.squeeze(1)


class FrameConvTranspose(nn.ConvTranspose1d):
    """The way back, `[B, T, chin]` → `[B, T', chout]`."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        image, weight = x.unsqueeze(1), self.weight.unsqueeze(2)
        return convolve(image, weight, self.bias, (1, self.stride[0]), transposed=True).squeeze(1)


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None,
    stride: Pair = (1, 1), padding: Pair = (0, 0), dilation: Pair = (1, 1),
    transposed: bool = False,
) -> Tensor:  # fmt: skip
    """`F.conv2d`, or `F.conv_transpose2d` (which takes only a stride here), channels last.

    Shape: `[B, F, T, chin]` → `[B, F', T', chout]`.
    """
    image, settings = x.permute(0, 3, 1, 2), (stride, padding, dilation, transposed)
    if x.is_cpu and not torch.is_autocast_enabled("cpu") and product_pays():
        y = _Convolution.apply(image, weight, bias, *settings)
    else:
        y = _of_images(image, weight, bias, *settings)
    return y.permute(0, 2, 3, 1)


@functools.cache
def product_pays() -> bool:
    """Whether this processor's gradients are faster as products: not where it has AVX-512.

    With AVX2 PyTorch's own are several times as slow; with AVX-512 the two are about level, some
    layers faster by one and some by the other (`bench/convolution.py`, run on both kinds). What
    pays on ARM was not measured.
    """
    return torch.backends.cpu.get_cpu_capability() != "AVX512"


def _of_images(
    image: Tensor, weight: Tensor, bias: Tensor | None,
    stride: Pair, padding: Pair, dilation: Pair, transposed: bool,
) -> Tensor:  # fmt: skip
    if transposed:
        return F.conv_transpose2d(image, weight, bias, stride)
    return F.conv2d(image, weight, bias, stride, padding, dilation)


class _Convolution(torch.autograd.Function):
    """The same, with the gradient of its weight as a product of matrices.

    Where `product_pays`, that is several times as fast as PyTorch's own.
    """

    @staticmethod
    def forward(
        ctx: Any, image: Tensor, weight: Tensor, bias: Tensor | None, *settings: Any
    ) -> Tensor:
        ctx.save_for_backward(image, weight)
        ctx.settings = settings
        return _of_images(image, weight, bias, *settings)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        image, weight = ctx.saved_tensors
        stride, padding, dilation, transposed = ctx.settings
        image_grad = weight_grad = bias_grad = None
        if ctx.needs_input_grad[0]:
            image_grad, *_ = torch.ops.aten.convolution_backward(
                grad, image, weight, None, stride, padding, dilation, transposed, (0, 0), 1,
                (True, False, False),
            )  # fmt: skip
        if ctx.needs_input_grad[1]:
            few, many = (image, grad) if transposed else (grad, image)
            if any(padding):
                many = F.pad(many, (padding[1], padding[1], padding[0], padding[0]))
            few, many = few.permute(0, 2, 3, 1), many.permute(0, 2, 3, 1)
            weight_grad = correlate(few, many, weight.shape[2:], stride, dilation)
        if ctx.needs_input_grad[2]:
            bias_grad = grad.sum((0, 2, 3))
        return image_grad, weight_grad, bias_grad, None, None, None, None


def correlate(few: Tensor, many: Tensor, kernel: Pair, stride: Pair, dilation: Pair) -> Tensor:
    """Each channel of `few` with each of `many`, at each place of a kernel.

    A convolution multiplies windows of its input by its weight: `y = windows · Wᵀ`. So the weight's
    gradient is `grad_yᵀ · windows`, here summed over parts whose windows fit into the cache. In a
    transposed convolution input and gradient change places.

    Shape: `[B, F', T', few]` and `[B, F, T, many]` → `[few, many, *kernel]`.
    """
    row, frame = many.stride(1), many.stride(2)
    windows = many.as_strided(
        (*few.shape[:3], *kernel, many.shape[3]),
        (many.stride(0), row * stride[0], frame * stride[1],
         row * dilation[0], frame * dilation[1], many.stride(3)),
    )  # fmt: skip
    of_one, of_frame = windows[0].numel(), windows[0, :, 0].numel()
    songs, frames = max(1, CACHE // of_one), max(1, CACHE // of_frame)
    total = few.new_zeros(few.shape[3], windows[0, 0, 0].numel())
    for some, near in zip(few.split(songs), windows.split(songs), strict=True):
        for part, window in zip(some.split(frames, 2), near.split(frames, 2), strict=True):
            total.addmm_(part.flatten(0, 2).T, window.reshape(-1, total.shape[1]))
    return total.view(-1, *kernel, many.shape[3]).permute(0, 3, 1, 2)
