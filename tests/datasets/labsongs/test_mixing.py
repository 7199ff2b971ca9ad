"""The desk: constant power, a room that decays as asked, exact shares."""

import numpy as np
import pytest

from demucs_lab.datasets.labsongs.mixing import Room, balance, brighten, duck, echo, pan_gains, put


@pytest.mark.parametrize("place", [-1, -0.3, 0, 0.8, 1])
def test_panning_keeps_the_power(place):
    left, right = pan_gains(place)
    assert left**2 + right**2 == pytest.approx(1)


def test_putting_a_sound_near_the_end_cuts_it():
    bus = np.zeros((2, 10), np.float32)
    put(bus, np.ones(5), 8, (1.0, 0.5))
    put(bus, np.ones(5), 12, (1.0, 1.0))
    assert bus.tolist() == [[0] * 8 + [1, 1], [0] * 8 + [0.5, 0.5]]


def test_the_room_answers_an_impulse_with_unit_energy_and_the_right_decay():
    room = Room(0.8, seed=1, rate=16000, samples=32000)
    impulse = np.zeros(32000, np.float32)
    impulse[0] = 1
    answer = room.reverb(impulse)
    assert answer.shape == (2, 32000)
    assert np.square(answer).sum() == pytest.approx(2, rel=1e-3)
    energy = np.square(answer).sum(0)
    early, late = energy[1600:3200].sum(), energy[6400:8000].sum()
    slope = 10 * np.log10(early / late) / 0.3
    assert 60 < slope < 160  # 75 dB/s for the lows, faster above
    assert abs(np.corrcoef(answer)[0, 1]) < 0.3


def test_the_room_is_linear_convolution():
    room = Room(0.4, seed=1, rate=8000, samples=4000)
    rng = np.random.default_rng(0)
    wave = rng.standard_normal(4000).astype(np.float32)
    impulse = np.zeros(4000, np.float32)
    impulse[0] = 1
    response = room.reverb(impulse)
    for side in (0, 1):
        wanted = np.convolve(wave, response[side])[:4000]
        np.testing.assert_allclose(room.reverb(wave)[side], wanted, atol=2e-3)


def test_the_shelf_leaves_the_lows_and_raises_the_highs():
    """Against the analog shelf H(f) = 1 + g · jf / (fc + jf)."""
    rate, gain, corner = 44100, 1.2, 1000.0
    impulse = np.zeros((2, rate), np.float32)
    impulse[:, 0] = 1
    brighten(impulse, rate, corner, gain)
    f = np.array([60, 300, 1000, 4000])
    wanted = np.abs(1 + gain * 1j * f / (corner + 1j * f))
    np.testing.assert_allclose(np.abs(np.fft.rfft(impulse[0]))[f], wanted, rtol=0.05)


def test_echoes_change_sides_and_fade():
    wave = np.zeros((2, 40), np.float32)
    wave[0, 0] = 1
    echo(wave, 10, 1.0, 0.5)
    assert wave[:, 10].tolist() == [0, 0.5]
    assert wave[:, 20].tolist() == [0.25, 0]
    assert wave[:, 30].tolist() == [0, 0.125]


def test_ducking_makes_way_for_the_kick_only():
    gain = duck([0.5, 1.5], 0.4, 1000, 2000)
    assert gain[515] == pytest.approx(0.6, abs=0.02)
    assert gain[400] == pytest.approx(1)
    assert gain[1200] == pytest.approx(1)


def test_balance_sets_shares_and_keeps_below_the_peak():
    rng = np.random.default_rng(0)
    stems = {
        n: rng.standard_normal((2, 5000)).astype(np.float32) * g
        for n, g in zip("abcd", (1, 9, 0.1, 3), strict=True)
    }
    shares = {"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.1}
    balance(stems, shares, 0.95, 0.5)
    energy = {n: np.square(s).mean() for n, s in stems.items()}
    for name, share in shares.items():
        assert energy[name] / sum(energy.values()) == pytest.approx(share, rel=1e-4)
    assert np.abs(sum(stems.values())).max() <= 0.9501


def test_a_silent_stem_stays_silent():
    stems = {"a": np.zeros((2, 100), np.float32), "b": np.ones((2, 100), np.float32)}
    balance(stems, {"a": 0.5, "b": 0.5}, 0.9, 0.1)
    assert not stems["a"].any()
    assert np.isfinite(stems["b"]).all()
