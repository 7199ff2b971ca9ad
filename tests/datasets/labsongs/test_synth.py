"""The building blocks against closed forms: no aliasing, the same sound at every rate."""

import numpy as np
import pytest
from scipy.signal import resample_poly

from demucs_lab.datasets.labsongs.synth import (
    Wavetable,
    band,
    exponential,
    harmonics,
    hertz,
    noise,
    partials,
    swept_sine,
)


def test_partials_are_the_sum_of_decaying_cosines():
    rng = np.random.default_rng(0)
    f, a, d, p = (rng.uniform(*r, 7) for r in ((50, 3000), (0.1, 1), (0.05, 2), (0, 6.28)))
    t = np.arange(5000) / 8000
    wanted = sum(a[i] * np.exp(-t / d[i]) * np.cos(2 * np.pi * f[i] * t + p[i]) for i in range(7))
    np.testing.assert_allclose(partials(8000, 0.625, f, a, d, p), wanted, atol=1e-9)


def test_partials_above_the_limit_are_left_out():
    one = np.ones(3)
    wave = partials(8000, 0.5, np.array([500.0, 3900.0, 5000.0]), one, one, 0 * one)
    np.testing.assert_allclose(
        wave, partials(8000, 0.5, np.array([500.0]), one[:1], one[:1], 0 * one[:1])
    )


def test_a_plucked_string_has_its_pitch():
    wave = harmonics(
        22050, 1.0, hertz(45), np.random.default_rng(1), count=20, tilt=1.0, decay=1.0, damping=0.2
    )
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    assert np.argmax(spectrum) == pytest.approx(110, abs=1)


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_a_gliding_wavetable_never_aliases(rate):
    table = Wavetable(rate, lambda k: 1 / k, 100, np.random.default_rng(2), 20000)
    glide = np.geomspace(150, 1500, rate)
    wave = table.play(glide).astype(float)
    direct = np.zeros(rate)
    phase = np.cumsum(glide) / rate
    spread = np.random.default_rng(2).uniform(-0.6, 0.6, 160)
    level = np.minimum(table.limit / glide, table.count).astype(int)
    for k in range(1, table.count + 1):
        direct += (k <= level) * np.sin(2 * np.pi * k * phase + spread[k - 1]) / k
    error = np.mean((wave - direct) ** 2) / np.mean(direct**2)
    assert 10 * np.log10(error) < -45
    assert table.limit <= 0.47 * rate


def test_a_steady_note_of_the_wavetable_equals_a_moving_one_that_stands_still():
    table = Wavetable(22050, lambda k: 1 / k, 100, np.random.default_rng(2))
    steady = table.steady(220.5, 4000)
    moving = table.play(np.full(4000, 220.5), start_phase=-220.5 / 22050)
    np.testing.assert_allclose(steady, moving, atol=2e-3)


def test_noise_has_its_band_and_its_level():
    flat = noise(np.random.default_rng(3), 44100, 2.0, lambda f: np.ones_like(f))
    assert flat.std() == pytest.approx(np.sqrt(2 * 0.47), rel=0.02)
    wave = noise(np.random.default_rng(3), 44100, 2.0, band(1000, 2000, order=6))
    power = np.abs(np.fft.rfft(wave)) ** 2
    f = np.fft.rfftfreq(len(wave), 1 / 44100)
    assert power[(f > 700) & (f < 2800)].sum() / power.sum() > 0.97


def test_noise_of_one_seed_is_the_same_at_half_the_rate():
    high = noise(np.random.default_rng(4), 44100, 1.0, band(200, 6000))
    low = noise(np.random.default_rng(4), 22050, 1.0, band(200, 6000))
    halved = resample_poly(high, 1, 2)
    assert np.corrcoef(halved, low)[0, 1] > 0.995
    assert halved.std() == pytest.approx(low.std(), rel=0.02)


def test_a_generator_goes_on_alike_after_noise_at_any_rate():
    after = []
    for rate in (8000, 44100):
        rng = np.random.default_rng(5)
        noise(rng, rate, 0.3, band(100, 900))
        after.append(rng.random())
    assert after[0] == after[1]


def test_a_swept_sine_falls_to_its_end():
    wave = swept_sine(8000, 1.0, 300, 60, 0.05, 10.0)
    tail = wave[4000:]
    crossings = np.sum(np.diff(np.signbit(tail)))
    assert crossings / 2 / 0.5 == pytest.approx(60, abs=2)


def test_an_envelope_starts_small_and_decays():
    shape = exponential(1000, 1000, 0.01, 0.1)
    assert shape[0] < 0.06
    assert shape[200] / shape[100] == pytest.approx(np.exp(-1), rel=1e-6)
