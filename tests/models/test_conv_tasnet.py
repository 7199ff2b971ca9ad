"""Conv-TasNet: receptive field, causality, norms, overlap-add, each against its definition."""

import pytest
import torch
from torch.nn import functional as F

from demucs_lab.models import ConvTasNet
from demucs_lab.models.conv_tasnet import ChannelNorm, Depthwise, GlobalNorm, overlap_add

SMALL = {"N": 16, "L": 8, "B": 12, "H": 20, "X": 3, "R": 2, "samplerate": 8000}


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
@pytest.mark.parametrize(("frames", "dilation"), [(1, 1), (5, 8), (16, 4), (37, 4), (64, 64)])
def test_depthwise_rows_are_a_dilated_convolution(frames, dilation, causal):
    layer = Depthwise(6, 3, dilation, causal, bias=True)
    x = torch.randn(2, frames, 6)
    left = 2 * dilation if causal else dilation
    padded = F.pad(x.transpose(1, 2), (left, 2 * dilation - left))
    expected = F.conv1d(padded, layer.weight, layer.bias, dilation=dilation, groups=6)
    assert torch.allclose(layer(x), expected.transpose(1, 2), atol=1e-6)


def test_norms_are_their_equations():
    x = 3 * torch.randn(2, 50, 6) + 1
    for norm, dims in ((GlobalNorm(6), (1, 2)), (ChannelNorm(6), (2,))):
        with torch.no_grad():
            norm.gamma.copy_(torch.randn(6))
            norm.beta.copy_(torch.randn(6))
        mean = x.mean(dims, keepdim=True)
        std = (x - mean).square().mean(dims, keepdim=True).add(1e-8).sqrt()
        assert torch.allclose(norm(x), (x - mean) / std * norm.gamma + norm.beta, atol=1e-5)


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
