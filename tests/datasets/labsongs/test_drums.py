"""Every drum of every kit sounds, and sounds like that drum."""

import numpy as np
import pytest

from demucs_lab.datasets.labsongs.drums import KITS, DrumKit
from demucs_lab.datasets.labsongs.styles import GM_DRUMS

RATE = 44100


def _centre(wave):
    power = np.abs(np.fft.rfft(wave)) ** 2
    return (power * np.fft.rfftfreq(len(wave), 1 / RATE)).sum() / power.sum()


@pytest.mark.parametrize("kit", sorted(KITS))
def test_kick_is_low_snare_is_between_and_hat_is_high(kit):
    drums = DrumKit(kit, 5, RATE)
    kick, snare, hat = (_centre(drums.hit(d, 0.9, 0)[0]) for d in ("kick", "snare", "hat"))
    assert kick < 250 < snare < hat
    assert hat > 4000


@pytest.mark.parametrize("drum", sorted(GM_DRUMS))
def test_a_stroke_starts_at_once_and_a_harder_one_is_louder(drum):
    drums = DrumKit("studio", 5, RATE)
    soft, pan, send = drums.hit(drum, 0.5, 0)
    hard, _, _ = drums.hit(drum, 1.0, 0)
    assert np.isfinite(hard).all()
    assert np.square(hard).sum() > 2 * np.square(soft).sum()
    assert np.argmax(np.abs(hard)) < 0.05 * RATE
    assert abs(hard[-1]) < 1e-3 * np.abs(hard).max()
    assert -1 <= pan <= 1
    assert 0 <= send <= 1


def test_two_strokes_in_a_row_differ():
    drums = DrumKit("rock", 5, RATE)
    assert not np.array_equal(drums.hit("snare", 0.9, 0)[0], drums.hit("snare", 0.9, 1)[0])
    np.testing.assert_array_equal(drums.hit("snare", 0.9, 0)[0], drums.hit("snare", 0.9, 2)[0])


def test_kits_of_two_songs_differ():
    a, b = (DrumKit("studio", seed, RATE).hit("kick", 0.9, 0)[0][:2000] for seed in (1, 2))
    assert not np.allclose(a, b)
