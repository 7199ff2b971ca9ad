"""Every patch of every instrument sounds, in tune, and stops."""

import numpy as np
import pytest

from demucs_lab.datasets.labsongs.instruments import (
    Bank,
    bass_maker,
    keys_maker,
    pad_maker,
    pluck_maker,
)
from demucs_lab.datasets.labsongs.styles import STYLES

RATE = 22050
MAKERS = {"basses": bass_maker, "keys": keys_maker, "plucks": pluck_maker, "pads": pad_maker}
PATCHES = sorted(
    {
        (kind, patch)
        for style in STYLES.values()
        for kind in MAKERS
        for patch in getattr(style, kind)
    }
)


@pytest.mark.parametrize(("kind", "patch"), PATCHES)
def test_a_patch_plays_its_pitch(kind, patch):
    pitch = 40 if kind == "basses" else 64
    bank = Bank(MAKERS[kind](patch, 3, RATE), 3, RATE, 1.2, 0.002, 0.05)
    wave = np.atleast_2d(bank.note(pitch, 0.8, 1.0))
    assert np.isfinite(wave).all()
    assert wave.shape[1] == round(1.05 * RATE)
    spectrum = (np.abs(np.fft.rfft(wave * np.hanning(wave.shape[1]))) ** 2).sum(0)
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    f = np.fft.rfftfreq(wave.shape[1], 1 / RATE)
    near = np.abs(f / hertz - np.maximum(1, np.round(f / hertz))) * hertz < 0.02 * hertz + 5
    assert spectrum[near].sum() / spectrum.sum() > 0.8
    peak = f[np.argmax(spectrum)] / hertz
    assert peak == pytest.approx(round(peak), abs=0.03)


def test_louder_notes_are_louder_and_brighter():
    bank = Bank(keys_maker("piano", 3, RATE), 3, RATE, 1.0, 0.002, 0.05)
    soft, hard = (bank.note(60, v, 0.8).sum(0) for v in (0.4, 0.9))

    def centre(wave):
        power = np.abs(np.fft.rfft(wave)) ** 2
        return (power * np.arange(len(power))).sum() / power.sum()

    assert np.square(hard).sum() > 2 * np.square(soft).sum()
    assert centre(hard) > centre(soft)


def test_a_released_note_ends_in_silence():
    bank = Bank(pad_maker("strings", 3, RATE), 3, RATE, 2.0, 0.02, 0.3)
    wave = bank.note(60, 0.7, 0.5)
    assert wave.shape[1] == round(0.8 * RATE)
    assert np.abs(wave[:, -2:]).max() < 1e-3 * np.abs(wave).max()


def test_remembered_notes_are_not_changed_by_playing_them():
    bank = Bank(pluck_maker("steel", 3, RATE), 3, RATE, 1.0, 0.001, 0.1)
    first = bank.note(60, 0.8, 0.3).copy()
    bank.note(60, 0.8, 0.1)
    np.testing.assert_array_equal(bank.note(60, 0.8, 0.3), first)
