"""One STFT, and its exact inverse."""

import math

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from demucs_lab.spectral import istft, stft


@st.composite
def windows(draw):
    n_fft = 2 * draw(st.integers(2, 300))
    return n_fft, draw(st.none() | st.integers(max(1, n_fft // 40), n_fft // 2))


leading = st.lists(st.integers(1, 3), max_size=3).map(tuple)


@given(st.integers(1, 2000), windows(), leading, st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_any_waveform_comes_back(length, sizes, lead, seed):
    generator = torch.Generator().manual_seed(seed)
    wav = 2 * torch.rand((*lead, length), generator=generator) - 1
    n_fft, hop = sizes
    spec = stft(wav, n_fft, hop)
    step = n_fft // 4 if hop is None else hop
    assert spec.shape == (*lead, n_fft // 2 + 1, math.ceil(length / step) + 1)
    back = istft(spec, length, n_fft, hop)
    assert back.shape == wav.shape
    assert back.dtype == torch.float32
    assert (back - wav).abs().max() <= 1e-6
    exact = istft(stft(wav.double(), n_fft, hop), length, n_fft, hop)
    assert (exact - wav).abs().max() <= 1e-13


@pytest.mark.parametrize("length", [1, 2, 4095, 44100, 44101])
@pytest.mark.parametrize("n_fft", [1024, 4096])
def test_songs_come_back_at_the_sizes_that_lessons_use(length, n_fft):
    wav = 2 * torch.rand(2, length, generator=torch.Generator().manual_seed(0)) - 1
    assert (istft(stft(wav, n_fft), length) - wav).abs().max() <= 1e-6


@given(st.integers(1, 1000), windows())
@settings(max_examples=30, deadline=None)
def test_cells_are_the_transform_of_each_windowed_frame(length, sizes):
    """The definition, by a loop over frames."""
    n_fft, hop = sizes
    step = n_fft // 4 if hop is None else hop
    wav = torch.randn(length, dtype=torch.float64)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    silence = np.zeros(n_fft + step)
    padded = np.concatenate([silence, wav.numpy(), silence])
    spec = stft(wav, n_fft, hop)
    for n in range(spec.shape[-1]):
        start = len(silence) + n * step - n_fft // 2
        frame = padded[start : start + n_fft]
        np.testing.assert_allclose(spec[:, n], np.fft.rfft(frame * window), atol=1e-10)


def test_equals_torch_where_both_are_defined():
    wav = torch.randn(2, 4096)
    theirs = torch.stft(
        wav, 1024, 256, window=torch.hann_window(1024), pad_mode="constant", return_complex=True
    )
    torch.testing.assert_close(stft(wav, 1024, 256), theirs)


def test_equals_scipy_where_both_are_defined():
    wav = torch.randn(2, 4096, dtype=torch.float64)
    _, _, theirs = scipy.signal.stft(wav.numpy(), nperseg=512, noverlap=384)
    ours = stft(wav, 512) / torch.hann_window(512, dtype=torch.float64).sum()
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("bin_", [3, 100, 500])
def test_a_sine_lies_in_its_bin(bin_):
    samplerate, n_fft = 8000, 1024
    frequency = bin_ * samplerate / n_fft
    wav = torch.sin(2 * math.pi * frequency * torch.arange(samplerate) / samplerate)
    middle = stft(wav, n_fft)[:, 5:-5].abs()
    assert (middle.argmax(0) == bin_).all()
    # A Hann window spreads a sine of amplitude a over three bins: a/4, a/2, a/4 of its length.
    torch.testing.assert_close(
        middle[bin_], torch.full_like(middle[bin_], n_fft / 4), rtol=1e-3, atol=0
    )
    torch.testing.assert_close(middle[bin_ + 1], middle[bin_] / 2, rtol=1e-2, atol=0)


def test_a_click_lies_in_its_frame():
    wav = torch.zeros(4000)
    wav[2000] = 1
    power = stft(wav, 400, 100).abs().square().sum(0)
    assert power.argmax() == 20


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(dtype):
    wav = torch.rand(2, 500).to(dtype)
    assert stft(wav, 64).dtype == torch.complex64
    assert (istft(stft(wav, 64), 500) - wav.float()).abs().max() <= 1e-6


def test_waveforms_that_are_views_or_carry_gradients_are_fine():
    wav = torch.rand(500, 2).T.requires_grad_()
    istft(stft(wav, 64), 500).square().sum().backward()
    torch.testing.assert_close(wav.grad, 2 * wav.detach())


def test_the_inverse_is_nearest_in_least_squares():
    """A spectrogram that no waveform has: the normal equations decide (Griffin & Lim 1984)."""
    n_fft, hop, length = 16, 4, 21
    frames = math.ceil(length / hop) + 1
    generator = torch.Generator().manual_seed(0)
    wanted = torch.randn(9, frames, generator=generator, dtype=torch.complex128)
    wanted[[0, -1]] = wanted[[0, -1]].real + 0j
    padded = torch.eye(n_fft // 2 + length + n_fft // 2 + hop, dtype=torch.float64)
    window = torch.hann_window(n_fft, dtype=torch.float64)
    # Least squares over two-sided spectra, that is over windowed frames in time.
    target = torch.fft.irfft(wanted, n_fft, dim=0)
    rows = [padded[n * hop : n * hop + n_fft] * window[:, None] for n in range(frames)]
    system = torch.cat(rows)[:, n_fft // 2 : n_fft // 2 + length]
    inside = torch.linalg.lstsq(system, target.T.reshape(-1, 1)).solution[:, 0]
    torch.testing.assert_close(istft(wanted, length, n_fft, hop), inside)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: stft(torch.zeros(2, 0)), "at least one sample"),
        (lambda: stft(torch.tensor(1.0)), "at least one sample"),
        (lambda: stft(torch.zeros(2, 100, dtype=torch.int16)), "real floating-point"),
        (lambda: stft(torch.zeros(2, 100, dtype=torch.cfloat)), "real floating-point"),
        (lambda: stft(torch.zeros(100), 33), "even number"),
        (lambda: stft(torch.zeros(100), 2), "at least 4"),
        (lambda: stft(torch.zeros(100), 64, 33), "hop must lie between 1 and n_fft // 2 = 32"),
        (lambda: stft(torch.zeros(100), 64, 0), "hop must lie between"),
        (lambda: istft(torch.zeros(33, 5), 100), "complex spectrogram"),
        (lambda: istft(stft(torch.zeros(100), 64), 200), r"got \[..., 33, 8\]"),
        (lambda: istft(stft(torch.zeros(100), 64), 100, n_fft=128), r"\[..., 65, 5\]"),
        (lambda: istft(stft(torch.zeros(100), 64, 8), 100), r"hop=16, got"),
    ],
)
def test_what_does_not_fit_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
