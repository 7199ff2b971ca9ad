"""Conv-TasNet: receptive field, causality, norms, overlap-add, each against its definition."""

import pytest
import torch
from torch.nn import functional as F

from demucs_lab.models import ConvTasNet
from demucs_lab.models.conv_tasnet import (
    ChannelNorm,
    Depthwise,
    GlobalNorm,
    PreluNorm,
    overlap_add,
)

SMALL = {"N": 16, "L": 8, "B": 12, "H": 20, "X": 3, "R": 2, "samplerate": 8000}


def shaken(model):
    """Random weights everywhere, so that no scale is one and no offset zero."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape)
    return model


def heard_samples(model, at, length):
    """Which samples of the input move one sample of the output."""
    mix = torch.randn(1, model.audio_channels, length, requires_grad=True)
    model(mix)[0, :, :, at].sum().backward()
    heard = mix.grad[0].abs().sum(0).nonzero().flatten()
    return int(heard[0]), int(heard[-1])


@pytest.mark.parametrize("skip_path", [False, True])
def test_receptive_field_is_what_gradients_reach(skip_path):
    model = ConvTasNet(**SMALL, norm="cLN", skip_path=skip_path)
    fields = []
    for at in range(400, 400 + 8):
        first, last = heard_samples(model, at, 800)
        fields.append(last - first + 1)
    assert max(fields) == model.receptive_field
    assert model.receptive_field_seconds == model.receptive_field / 8000


def test_published_receptive_fields():
    assert round(ConvTasNet.speech().receptive_field_seconds, 2) == 1.53
    assert round(ConvTasNet().receptive_field_seconds, 2) == 1.86
    assert round(ConvTasNet(X=8).receptive_field_seconds, 2) == 0.46


def test_a_causal_model_hears_no_more_than_the_frame_it_is_in():
    model = ConvTasNet(**SMALL, norm="cLN", causal=True)
    for at in range(400, 408):
        _, last = heard_samples(model, at, 800)
        assert last < at + model.L
    with pytest.raises(ValueError, match='norm="cLN"'):
        ConvTasNet(**SMALL, causal=True)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize(
    ("frames", "dilation"), [(1, 1), (5, 8), (16, 4), (37, 4), (64, 64), (65, 64), (40, 19)]
)
def test_depthwise_is_a_dilated_convolution(frames, dilation, taps, causal):
    """In rows, and by shifts into memory that held something else."""
    layer = Depthwise(6, taps, dilation, causal, bias=True)
    x = torch.randn(2, frames, 6)
    around = (taps - 1) * dilation
    left = around if causal else around // 2
    padded = F.pad(x.transpose(1, 2), (left, around - left))
    expected = F.conv1d(padded, layer.weight, layer.bias, dilation=dilation, groups=6)
    assert torch.allclose(layer(x), expected.transpose(1, 2), atol=1e-6)
    with torch.no_grad():
        out = torch.full_like(x, torch.nan)
        assert layer(x, out=out) is out
    assert torch.allclose(out, expected.transpose(1, 2), atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"P": 5, "X": 5},
        {"norm": "cLN"},
        {"norm": "cLN", "causal": True},
        {"skip_path": True},
        {"skip_path": True, "norm": "cLN", "causal": True, "mask": "sigmoid"},
    ],
)
@pytest.mark.parametrize("length", [1, 9, 333])
def test_writing_over_memory_changes_no_output(settings, length):
    """Without gradients, blocks write over what others left; the mixture is left alone."""
    model = shaken(ConvTasNet(**{**SMALL, **settings})).double()
    mix = torch.randn(3, 2, length, dtype=torch.float64)
    before, expected = mix.clone(), model(mix)
    with torch.no_grad():
        found = [model(mix), model(mix), torch.cat([model(row[None]) for row in mix])]
    with torch.inference_mode():
        found.append(model(mix))
    for out in found:
        assert torch.allclose(out, expected, rtol=1e-9, atol=1e-12)
    assert torch.equal(mix, before)


def test_a_model_of_another_precision_than_its_input_still_runs():
    """Under autocast the tensors between blocks are not of the weights' type."""
    model = ConvTasNet(**SMALL)
    mix = torch.randn(1, 2, 500)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rough = model(mix)
    with torch.no_grad():
        exact = model(mix)
    assert (rough - exact).norm() < 0.1 * exact.norm()


@pytest.mark.parametrize("norm", ["gLN", "cLN"])
def test_training_in_mixed_precision_goes_the_same_way(norm):
    torch.manual_seed(0)
    model = ConvTasNet(**SMALL, norm=norm)
    mix = torch.randn(1, 2, 500)

    def gradients(precision):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            estimates = model(mix)
        return torch.autograd.grad(estimates.float().square().mean(), list(model.parameters()))

    exact, rough = (torch.cat([g.flatten() for g in gradients(p)]) for p in ("no", "bf16"))
    assert torch.cosine_similarity(exact, rough, 0) > 0.98


def test_norms_are_their_equations():
    x = 3 * torch.randn(2, 50, 6) + 1
    for norm, dims in ((GlobalNorm(6), (1, 2)), (ChannelNorm(6), (2,))):
        with torch.no_grad():
            norm.gamma.copy_(torch.randn(6))
            norm.beta.copy_(torch.randn(6))
        mean = x.mean(dims, keepdim=True)
        std = (x - mean).square().mean(dims, keepdim=True).add(1e-8).sqrt()
        assert torch.allclose(norm(x), (x - mean) / std * norm.gamma + norm.beta, atol=1e-5)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("mean", [0.0, -300.0, 3000.0])
def test_a_mean_far_from_zero_costs_a_global_norm_no_precision(mean, in_place):
    """E[x²] - E[x]² in float32 would be wrong by a tenth, or negative, at a mean of 3000."""
    x = mean + torch.randn(2, 300, 64)
    exact = x.double() - x.double().mean((1, 2), keepdim=True)
    exact = exact / exact.square().mean((1, 2), keepdim=True).add(1e-8).sqrt()
    with torch.no_grad():
        y = GlobalNorm(64)(x.clone(), out=x if in_place else None)
    rounding = 1e-6 + 2e-7 * abs(mean)  # of x itself, with a deviation of 1
    assert (y - exact).abs().max() < 5 * rounding


def test_a_norm_after_a_prelu_is_both_in_turn():
    x, slope = torch.randn(2, 40, 6), torch.tensor([0.3])
    for norm in (GlobalNorm(6), ChannelNorm(6)):
        expected = norm(F.prelu(x, slope))
        assert torch.allclose(norm(x, slope), expected, atol=1e-6)
        with torch.no_grad():
            out = torch.full_like(x, torch.nan)
            norm(x, slope, out=out)
        assert torch.allclose(out, expected, atol=1e-6)


@pytest.mark.parametrize("slope", [0.25, -0.5, 1.0, 1.5])
def test_gradients_through_prelu_and_global_norm(slope):
    """Against finite differences, and against autograd of the equation."""
    x = torch.randn(2, 7, 5, dtype=torch.float64) + 0.3
    gamma, beta = torch.randn(2, 5, dtype=torch.float64)
    inputs = [v.requires_grad_() for v in (x, torch.tensor([slope]).double(), gamma, beta)]
    assert torch.autograd.gradcheck(PreluNorm.apply, (*inputs, None))

    y = torch.where(x > 0, x, inputs[1] * x)
    std, mean = torch.std_mean(y, (1, 2), correction=0, keepdim=True)
    expected = (y - mean) / (std.square() + 1e-8).sqrt() * gamma + beta
    weight = torch.randn_like(expected)
    theirs = torch.autograd.grad((expected * weight).sum(), inputs)
    mine = torch.autograd.grad((PreluNorm.apply(*inputs, None) * weight).sum(), inputs)
    for found, wanted in zip(mine, theirs, strict=True):
        assert torch.allclose(found, wanted, rtol=1e-9, atol=1e-12)


def test_a_global_norm_keeps_the_ratio_of_loud_and_quiet():
    """gLN is one affine map: a chorus ten times louder than the intro stays so."""
    x = torch.randn(1, 200, 8)
    x[:, 100:] *= 10
    with torch.no_grad():
        y = GlobalNorm(8)(x - x.mean())
    before, after = (float(z[:, 100:].std() / z[:, :100].std()) for z in (x, y))
    assert after == pytest.approx(before, rel=1e-3)


def test_overlap_add_is_a_loop_over_frames():
    frames = torch.randn(2, 5, 6)
    expected = torch.zeros(2, 18)
    for k in range(5):
        expected[:, 3 * k : 3 * k + 6] += frames[:, k]
    assert torch.allclose(overlap_add(frames), expected)


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="L must be even and P odd"):
        ConvTasNet(L=21)
    with pytest.raises(ValueError, match='norm is "gLN" or "cLN"'):
        ConvTasNet(norm="BN")
