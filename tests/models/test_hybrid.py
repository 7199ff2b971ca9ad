"""The parts of the hybrid models against their definitions, without any peer."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from demucs_lab.models import HDemucs, HTDemucs
from demucs_lab.models.hdemucs import LocalAttention, WindowedBlstm
from demucs_lab.models.layers import DConv, HybridEncoderLayer, from_channels, to_channels
from demucs_lab.models.transformer import Attention, positions_1d, positions_2d
from demucs_lab.spectral import aligned_istft, aligned_stft


@pytest.mark.parametrize("length", [1, 700, 1024, 5000])
def test_aligned_frames_are_windowed_transforms_of_the_mirrored_sound(length):
    n_fft, hop = 1024, 256
    wav = torch.randn(2, length, dtype=torch.float64)
    spec = aligned_stft(wav, n_fft)
    frames = math.ceil(length / hop)
    assert spec.shape == (2, n_fft // 2, frames)
    side, fill = n_fft // 2 - hop // 2, -length % hop
    if length > side + fill:  # shorter ones are lengthened by silence before they are mirrored
        padded = np.pad(wav.numpy(), ((0, 0), (side, side + fill)), mode="reflect")
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
        for n in range(frames):
            part = padded[:, n * hop : n * hop + n_fft] * window
            expected = np.fft.rfft(part)[:, :-1] / np.sqrt(n_fft)
            assert np.allclose(spec[:, :, n].numpy(), expected, atol=1e-12)


def test_aligned_frames_come_back_away_from_the_ends():
    time = torch.arange(20_000, dtype=torch.float64)
    wav = torch.sin(time / 7) + torch.sin(time / 50)
    back = aligned_istft(aligned_stft(wav, 1024), 20_000)
    inside = slice(1024, -1024)  # of no frame that holds a mirrored end
    assert (back - wav)[inside].abs().max() < 1e-6


def test_complex_numbers_as_channels_and_back():
    spec = torch.randn(2, 6, 5, 7, dtype=torch.cfloat)
    channels = to_channels(spec)
    assert channels.shape == (2, 12, 5, 7)
    assert torch.equal(channels[:, 0], spec[:, 0].real)
    assert torch.equal(channels[:, 3], spec[:, 1].imag)
    assert torch.equal(from_channels(channels, 3), spec.unflatten(1, (3, 2)))


@pytest.fixture(autouse=True)
def _same_numbers_in_every_run():
    torch.manual_seed(0)


def test_rows_of_frequencies_know_nothing_of_each_other_in_residual_branches():
    layer = DConv(8, 2, init=1.0)
    x = torch.randn(2, 8, 6, 15)
    together = layer(x)
    changed = x.clone()
    changed[:, :, 3] += 1
    moved = (layer(changed) - together).abs().amax((0, 1, 3))
    assert (moved > 1e-3).tolist() == [False, False, False, True, False, False]


def test_a_long_sequence_goes_through_the_lstm_in_windows():
    """The middle of each window is what the LSTM gives on that window alone."""
    lstm = WindowedBlstm(4)
    x = torch.randn(2, 4, 437)
    out = lstm(x)
    assert out.shape == x.shape
    plain = super(WindowedBlstm, lstm).forward
    for start in (0, 100, 200):
        middle = slice(start + 50, start + 150)
        expected = x[..., middle] + plain(x[..., start : start + 200])[..., 50:150]
        assert torch.allclose(out[..., middle], expected, atol=1e-6)
    assert torch.allclose(lstm(x[..., :200]), x[..., :200] + plain(x[..., :200]), atol=1e-6)


def test_local_attention_hears_others_and_rather_the_near_ones():
    layer = LocalAttention(8)
    nn.init.constant_(layer.query_decay.bias, 3.0)  # decay at full rate
    nn.init.zeros_(layer.query.weight)
    nn.init.zeros_(layer.query.bias)
    x = torch.randn(1, 8, 30)
    for near, far in ((14, 5), (16, 28)):
        moved = []
        for frame in (near, far):
            changed = x.clone()
            changed[..., frame] += 1
            moved.append(float((layer(changed) - layer(x))[0, :, 15].abs().max()))
        assert moved[0] > 10 * moved[1]


def test_layers_divide_their_axis_by_four():
    over_frequency = HybridEncoderLayer(4, 8, "frequency", dconv=(4, 1e-3))
    assert over_frequency(torch.randn(2, 4, 16, 101)).shape == (2, 8, 4, 101)
    over_time = HybridEncoderLayer(4, 8, "time", dconv=(4, 1e-3))
    assert over_time(torch.randn(2, 4, 101)).shape == (2, 8, 26)


def test_positions_are_their_formulas():
    like = torch.zeros(1, 16)
    one = positions_1d(20, like)
    for i in range(8):
        phase = 13 / 10000 ** (i / 7)
        assert float(one[13, i]) == pytest.approx(math.cos(phase), abs=1e-5)
        assert float(one[13, 8 + i]) == pytest.approx(math.sin(phase), abs=1e-5)
    two = positions_2d(4, 20, like)
    for i in range(4):
        rate = 10000 ** (-2 * i / 8)
        assert float(two[3, 13, 2 * i]) == pytest.approx(math.sin(13 * rate), abs=1e-5)
        assert float(two[3, 13, 2 * i + 1]) == pytest.approx(math.cos(13 * rate), abs=1e-5)
        assert float(two[3, 13, 8 + 2 * i]) == pytest.approx(math.sin(3 * rate), abs=1e-5)


@pytest.mark.parametrize("cross", [False, True])
def test_attention_is_that_of_torch(cross):
    ours, torchs = Attention(16, 4, 0.0), nn.MultiheadAttention(16, 4, batch_first=True)
    ours.load_state_dict(
        {
            "qkv.weight": torchs.in_proj_weight,
            "qkv.bias": torch.randn(48),
            "out.weight": torchs.out_proj.weight,
            "out.bias": torch.randn(16),
        }
    )
    with torch.no_grad():
        torchs.in_proj_bias.copy_(ours.qkv.bias)
        torchs.out_proj.bias.copy_(ours.out.bias)
    x = torch.randn(2, 11, 16)
    keys = torch.randn(2, 7, 16) if cross else x
    expected = torchs(x, keys, keys, need_weights=False)[0]
    assert torch.allclose(ours(x, keys), expected, atol=1e-6)


def test_without_cross_attention_the_branches_do_not_meet_in_the_transformer():
    for cross in (True, False):
        torch.manual_seed(0)
        model = HTDemucs.tiny(segment=0.5, channels=8, cross_attention=cross)
        transformer = model.bottom.transformer
        x, xt = torch.randn(1, 4, 10, 64), torch.randn(1, 20, 64)
        for scale in transformer.parameters():
            nn.init.normal_(scale) if scale.dim() == 1 else None
        before, after = transformer(x, xt)[0], transformer(x, torch.randn(1, 20, 64))[0]
        assert torch.equal(before, after) is not cross


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="4 layers need n_fft to be a multiple of 512, got 1000"):
        HTDemucs.tiny(n_fft=1000)
    with pytest.raises(ValueError, match="branches meet in layer 5: depth must be at least that"):
        HDemucs(depth=4)
    with pytest.raises(ValueError, match="7 heads do not divide 128 channels"):
        HTDemucs.tiny(t_heads=7)


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ({"channels": 4}, r"8 channels \(a residual branch keeps one in 8\), got .* channels=4"),
        ({"channels": 0}, "got depth=4 and channels=0"),
        ({"depth": 0}, "got depth=0 and channels=16"),
        ({"n_fft": 0}, "n_fft to be a multiple of 512, got 0"),
        ({"bottom_channels": 30, "t_heads": 3}, "a multiple of 4 channels .* got 30"),
        ({"channels": 9, "depth": 2, "t_heads": 3}, "a multiple of 4 channels .* got 18"),
        ({"bottom_channels": -4}, "got -4"),
        ({"t_heads": 0}, "at least 1 head, got 128 and t_heads=0"),
        ({"t_heads": -2}, "at least 1 head, got 128 and t_heads=-2"),
    ],
)
def test_sizes_of_htdemucs_that_cannot_be_built_are_refused(sizes, says):
    with pytest.raises(ValueError, match=says) as refusal:
        HTDemucs.tiny(**sizes)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("channels", [0, 2])
def test_too_few_channels_of_hdemucs_are_refused(channels):
    with pytest.raises(ValueError, match=rf"at least 4 channels .* got channels={channels}"):
        HDemucs.tiny(channels=channels)


@pytest.mark.parametrize(
    ("n_fft", "least"), [(1001, 512), (1000, 512), (3072, 2048), (16, 32), (0, 32), (-8, 32)]
)
def test_windows_that_hdemucs_cannot_divide_are_refused(n_fft, least):
    with pytest.raises(ValueError, match=rf"n_fft to be a multiple of {least}, got {n_fft}"):
        HDemucs.tiny(n_fft=n_fft)


@pytest.mark.parametrize("n_fft", [32, 512, 2048, 8192])
def test_windows_that_it_can_divide_work(n_fft):
    model = HDemucs.tiny(n_fft=n_fft, depth=6)
    with torch.no_grad():
        assert model(torch.randn(1, 2, 3 * n_fft + 5)).isfinite().all()


def test_the_least_sizes_of_htdemucs_work():
    sizes = {"channels": 8, "depth": 1, "bottom_channels": 4, "t_heads": 1, "segment": 0.2}
    with torch.no_grad():
        assert HTDemucs.tiny(**sizes).eval()(torch.randn(1, 2, 5000)).isfinite().all()
