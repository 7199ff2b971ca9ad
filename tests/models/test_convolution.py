"""Channels-last convolutions against PyTorch's own, forth and back."""

import pytest
import torch
from torch.nn import functional as F

from demucs_lab.models import convolution
from demucs_lab.models.convolution import Conv, FrameConv, FrameConvTranspose, convolve

SETTINGS = {
    "encoder of Demucs": ((1, 8), (1, 4), (0, 0), (1, 1), False),
    "decoder of Demucs": ((1, 8), (1, 4), (0, 0), (1, 1), True),
    "encoder over frequency": ((8, 1), (4, 1), (2, 0), (1, 1), False),
    "decoder over frequency": ((8, 1), (4, 1), (0, 0), (1, 1), True),
    "neighbours": ((3, 3), (1, 1), (1, 1), (1, 1), False),
    "dilated": ((1, 3), (1, 1), (0, 2), (1, 2), False),
    "frames left over": ((1, 8), (1, 5), (0, 1), (1, 1), False),
}


@pytest.mark.parametrize("cache", [1, 500, convolution.CACHE])
@pytest.mark.parametrize("name", SETTINGS)
def test_outputs_and_gradients_are_those_of_pytorch(name, cache, monkeypatch):
    monkeypatch.setattr(convolution, "CACHE", cache)
    monkeypatch.setattr(convolution, "product_pays", lambda: True)
    kernel, *settings, transposed = SETTINGS[name]
    x = torch.randn(2, 9, 30, 3, dtype=torch.float64, requires_grad=True)
    shape = (3, 4, *kernel) if transposed else (4, 3, *kernel)
    weight = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(4, dtype=torch.float64, requires_grad=True)

    image = x.permute(0, 3, 1, 2)
    if transposed:
        expected = F.conv_transpose2d(image, weight, bias, settings[0])
    else:
        expected = F.conv2d(image, weight, bias, *settings)
    expected = expected.permute(0, 2, 3, 1)
    found = convolve(x, weight, bias, *settings, transposed=transposed)
    torch.testing.assert_close(found, expected)
    assert found.grad_fn.next_functions[0][0].name() == "_ConvolutionBackward"

    back = torch.randn_like(expected)
    own = torch.autograd.grad(found, (x, weight, bias), back)
    for one, other in zip(own, torch.autograd.grad(expected, (x, weight, bias), back), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("pays", [True, False])
def test_frozen_weights_get_no_gradient_and_let_it_through(pays, monkeypatch):
    monkeypatch.setattr(convolution, "product_pays", lambda: pays)
    conv = Conv(3, 4, (3, 3))
    conv.weight.requires_grad_(False)
    x = torch.randn(1, 5, 6, 3, requires_grad=True)
    conv(x).sum().backward()
    assert conv.weight.grad is None
    assert conv.bias.grad is not None
    assert x.grad is not None


@pytest.mark.parametrize("pays", [True, False])
@pytest.mark.parametrize("layer", [FrameConv(3, 4, 8, 4), FrameConvTranspose(3, 4, 8, 4)])
def test_what_follows_may_write_over_the_frames(layer, pays, monkeypatch):
    monkeypatch.setattr(convolution, "product_pays", lambda: pays)
    layer.zero_grad()
    x = torch.randn(2, 32, 3)
    expected = layer(x).relu()
    assert torch.equal(layer(x).relu_(), expected)
    layer(x).relu_().sum().backward()
    assert layer.weight.grad.abs().sum() > 0


def test_autocast_reaches_the_convolutions():
    with torch.autocast("cpu", torch.bfloat16):
        y = FrameConv(3, 4, 8, 4)(torch.randn(2, 32, 3))
    assert y.dtype == torch.bfloat16
