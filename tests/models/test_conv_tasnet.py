"""Conv-TasNet: receptive field, causality, norms, overlap-add, each against its definition."""

import pytest
import torch

from demucs_lab.models import ConvTasNet
from demucs_lab.models.conv_tasnet import (
    ChannelNorm,
    GlobalNorm,
    TemporalBlock,
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
def test_a_block_filters_each_channel_by_itself(causal, taps):
    """With norms and 1×1 convolutions out of the way, a block is one dilated filter per channel."""
    model = ConvTasNet(**{**SMALL, "B": 6, "H": 6, "P": taps}, norm="cLN", causal=causal)
    block = TemporalBlock(model, dilation=4, last=False)
    for name in ("expand", "prelu1", "norm1", "norm2", "prelu2", "project"):
        setattr(block, name, torch.nn.Identity())
    x = torch.randn(2, 6, 37)
    expected = x.clone()
    for tap in range(taps):
        move = 4 * (tap - (taps - 1 if causal else taps // 2))
        for k in range(37):
            if 0 <= k + move < 37:
                expected[..., k] += block.depthwise.weight[:, 0, tap] * x[..., k + move]
    assert torch.allclose(block(x)[0], expected, atol=1e-6)


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
    x = 3 * torch.randn(2, 6, 50) + 1
    for norm, dims in ((GlobalNorm(6), (1, 2)), (ChannelNorm(6), (1,))):
        with torch.no_grad():
            norm.gamma.copy_(torch.randn(6))
            norm.beta.copy_(torch.randn(6))
        mean = x.mean(dims, keepdim=True)
        std = (x - mean).square().mean(dims, keepdim=True).add(1e-8).sqrt()
        expected = (x - mean) / std * norm.gamma[:, None] + norm.beta[:, None]
        assert torch.allclose(norm(x), expected, atol=1e-5)


@pytest.mark.parametrize("mean", [0.0, -300.0, 3000.0])
def test_a_mean_far_from_zero_costs_a_global_norm_no_precision(mean):
    """E[x²] - E[x]² in float32 would be wrong by a tenth, or negative, at a mean of 3000."""
    x = mean + torch.randn(2, 64, 300)
    exact = x.double() - x.double().mean((1, 2), keepdim=True)
    exact = exact / exact.square().mean((1, 2), keepdim=True).add(1e-8).sqrt()
    with torch.no_grad():
        y = GlobalNorm(64)(x)
    rounding = 1e-6 + 2e-7 * abs(mean)  # of x itself, with a deviation of 1
    assert (y - exact).abs().max() < 5 * rounding


def test_a_global_norm_keeps_the_ratio_of_loud_and_quiet():
    """gLN is one affine map: a chorus ten times louder than the intro stays so."""
    x = torch.randn(1, 8, 200)
    x[..., 100:] *= 10
    with torch.no_grad():
        y = GlobalNorm(8)(x - x.mean())
    before, after = (float(z[..., 100:].std() / z[..., :100].std()) for z in (x, y))
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
