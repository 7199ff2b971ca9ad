"""Demucs: lengths, shifts, rescaling and its ablations."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from demucs_lab.models import Demucs
from demucs_lab.models.layers import resample2, rescale_weights

SMALL = {"channels": 4, "depth": 3, "samplerate": 22050}


def test_valid_lengths_are_those_of_the_published_models():
    """Ten seconds, as measured with the authors' code."""
    assert Demucs.v1(channels=1).valid_length(441_000) == 451_924
    assert Demucs.v2(channels=1).valid_length(441_000) == 447_146


@given(st.integers(1, 5000), st.integers(1, 5), st.booleans())
@settings(max_examples=30, deadline=None)
def test_a_valid_length_leaves_no_sample_over(length, depth, resample):
    model = Demucs(channels=1, depth=depth, resample=resample, lstm_layers=0)
    valid = model.valid_length(length)
    assert valid >= length
    frames = 2 * valid if resample else valid
    for _ in range(depth):
        assert resample or (frames - 8) % 4 == 0
        frames = (frames - 8) // 4 + 1
        assert frames >= 1


@pytest.mark.parametrize(("resample", "period"), [(False, 64), (True, 32)])
def test_shifts_by_the_stride_move_the_output_and_others_change_it(resample, period):
    """Without LSTM, a U-Net of stride 4³ = 64 is equivariant to shifts by 64 samples only, or by
    32 at twice the rate."""
    torch.manual_seed(0)
    model = Demucs(**SMALL, lstm_layers=0, resample=resample).eval()
    sound = torch.randn(1, 2, 8000)

    def error(shift: int) -> float:
        with torch.no_grad():
            here = model(sound[..., :6000])
            there = model(sound[..., shift : shift + 6000])
        far = slice(2500, 3500)  # from both ends
        moved = here[..., far.start + shift : far.stop + shift]
        return float((there[..., far] - moved).abs().max() / moved.abs().max())

    assert error(period) <= 1e-5
    assert error(5 * period) <= 1e-5
    assert min(error(1), error(period // 2), error(period + 7)) > 1e-4


@pytest.mark.parametrize("context", [1, 3])
@pytest.mark.parametrize("padding", [False, True])
def test_receptive_field_is_what_gradients_reach(context, padding):
    torch.manual_seed(0)
    switches = {"context": context, "context_padding": padding, "resample": False}
    model = Demucs(channels=8, depth=3, lstm_layers=0, **switches)  # some ReLU is open everywhere
    fields = []
    for at in range(2000, 2064):
        mix = torch.randn(1, 2, 4000, requires_grad=True)
        model(mix)[..., at].sum().backward()
        heard = mix.grad[0].abs().sum(0).nonzero().flatten()
        fields.append(int(heard[-1] - heard[0]) + 1)
    assert max(fields) == model.receptive_field
    assert Demucs(**SMALL).receptive_field is None


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_receptive_field_at_twice_the_rate_is_what_gradients_reach(depth):
    """In float64, where the ends of the filter's window are smaller than all that is counted."""
    torch.manual_seed(0)
    model = Demucs(channels=8, depth=depth, lstm_layers=0, resample=True).double()
    fields = []
    for at in range(1000, 1000 + 4**depth):
        mix = torch.randn(1, 2, 2000, dtype=torch.float64, requires_grad=True)
        model(mix)[..., at].sum().backward()
        heard = mix.grad[0].abs().sum(0)
        heard = (heard > 1e-25 * heard.max()).nonzero().flatten()
        fields.append(int(heard[-1] - heard[0]) + 1)
    assert max(fields) == model.receptive_field


@pytest.mark.parametrize(
    "switch",
    [
        {"glu": False},
        {"rewrite": False},
        {"lstm_layers": 0},
        {"skips": False},
        {"context": 1},
        {"context_padding": True},
        {"resample": True},
        {"normalize": True},
        {"rescale": 0},
    ],
)
def test_every_switch_changes_the_sound(switch):
    """Each ablation is one argument, and does something."""
    mix = 0.1 * torch.randn(1, 2, 3000)
    outputs = []
    for kwargs in ({}, switch):
        torch.manual_seed(0)
        with torch.no_grad():
            outputs.append(Demucs.v1(**{**SMALL, **kwargs}).eval()(mix))
    assert outputs[0].shape == outputs[1].shape
    assert (outputs[0] - outputs[1]).abs().max() > 1e-3 * outputs[0].abs().max()


def test_nothing_bounds_the_output_from_below():
    """The last transposed convolution is followed by no activation: half of the samples are < 0."""
    out = Demucs.tiny(channels=8)(torch.randn(1, 2, 8000))
    assert 0.2 < (out < out.mean()).float().mean() < 0.8
    assert (out < 0).any()


def test_rescaling_is_its_formula():
    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Conv1d(64, 128, 8), torch.nn.Linear(5, 6))
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    rescale_weights(plain, 0.1)
    after = plain.state_dict()
    std = before["0.weight"].std()
    assert after["0.weight"].std() == pytest.approx(float((std * 0.1).sqrt()), rel=1e-4)
    factor = float((0.1 / std).sqrt())
    assert torch.allclose(after["0.bias"], before["0.bias"] * factor)
    assert torch.equal(after["1.weight"], before["1.weight"])  # convolutions only


@pytest.mark.parametrize("hertz", [100, 1000, 8000])
def test_resampling_keeps_a_tone(hertz):
    rate, seconds = 22050, 0.5
    time = torch.arange(int(rate * seconds), dtype=torch.float64) / rate
    tone = torch.sin(2 * torch.pi * hertz * time)
    doubled = resample2(tone, up=True)
    fine = torch.arange(len(doubled), dtype=torch.float64) / (2 * rate)
    inside = slice(200, -200)
    assert (doubled - torch.sin(2 * torch.pi * hertz * fine))[inside].abs().max() < 2e-3
    assert (resample2(doubled, up=False) - tone)[inside].abs().max() < 2e-3


def test_context_is_odd():
    with pytest.raises(ValueError, match="odd number of taps, got 2"):
        Demucs.tiny(context=2)
