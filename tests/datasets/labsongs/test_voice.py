"""The singer: pitch, vowels and consonants are where the notes put them."""

import numpy as np
import pytest

from demucs_lab.datasets.labsongs import Note
from demucs_lab.datasets.labsongs.voice import SINGERS, STEP, VOWELS, pitch_curve, sing

RATE = 16000


def _note(start, duration, pitch, phonemes):
    return Note("vocals", "voice", start, duration, pitch, 0.9, "x", phonemes)


def _sing(notes, voice="tenor", seconds=3.0):
    return sing({"voice": notes}, voice, 1, RATE, round(seconds * RATE))["voice"]


def _band(wave, low, high):
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2
    f = np.fft.rfftfreq(len(wave), 1 / RATE)
    return power[(f >= low) & (f < high)].sum()


def test_the_pitch_curve_rests_on_the_note_and_sways_around_it():
    notes = [_note(0.5, 0.3, 60, "AA"), _note(0.8, 1.5, 67, "AA")]
    curve = pitch_curve(notes, 3.0, SINGERS["tenor"], 1)
    held = curve[int(1.2 / STEP) : int(2.2 / STEP)]
    assert np.mean(held) == pytest.approx(67, abs=0.2)
    assert 0.15 < np.ptp(held) / 2 < 0.8
    spectrum = np.abs(np.fft.rfft(held - held.mean()))
    assert np.fft.rfftfreq(len(held), STEP)[np.argmax(spectrum)] == pytest.approx(5.4, abs=1.0)


def test_a_note_begins_with_a_glide_from_below():
    curve = pitch_curve([_note(0.5, 1.0, 64, "AA")], 2.0, SINGERS["alto"], 1)
    assert curve[int(0.47 / STEP)] < curve[int(0.6 / STEP)] - 0.2


@pytest.mark.parametrize("voice", sorted(SINGERS))
def test_vowels_have_their_formants(voice):
    """/i/ has its second formant above 2 kHz, /u/ and /a/ have theirs below 1.4 kHz."""
    share = {}
    for vowel in ("IY", "UW", "AA"):
        wave = _sing([_note(0.5, 2.0, 55, vowel)], voice)[RATE : 2 * RATE]
        share[vowel] = _band(wave, 1800, 3000) / _band(wave, 100, 7500)
    assert share["IY"] > 3 * share["UW"]
    f1 = {}
    for vowel in ("IY", "AA"):
        wave = _sing([_note(0.5, 2.0, 55, vowel)], voice)[RATE : 2 * RATE]
        f1[vowel] = _band(wave, 550, 1300) / _band(wave, 100, 550)
    assert f1["AA"] > 5 * f1["IY"]
    assert VOWELS["IY"][1] > 2000


def test_a_hiss_is_high_and_comes_before_its_vowel():
    wave = _sing([_note(1.0, 1.0, 60, "S AA")])
    hiss, vowel = wave[int(0.91 * RATE) : int(0.98 * RATE)], wave[int(1.2 * RATE) : int(1.5 * RATE)]
    assert _band(hiss, 4000, 7500) > 5 * _band(hiss, 100, 3000)
    assert _band(vowel, 100, 3000) > 5 * _band(vowel, 4000, 7500)


def test_a_stop_is_silence_then_a_burst():
    wave = _sing([_note(0.5, 0.5, 60, "AA"), _note(1.0, 0.8, 60, "T AA")])
    power = np.square(wave)
    closed = power[int(0.935 * RATE) : int(0.955 * RATE)].mean()
    vowel = power[int(0.7 * RATE) : int(0.8 * RATE)].mean()
    assert closed < 0.02 * vowel


def test_the_singer_breathes_in_before_a_phrase_and_is_silent_long_before():
    wave = np.abs(_sing([_note(1.5, 1.0, 60, "AA")]))
    breath = wave[int(1.25 * RATE) : int(1.4 * RATE)].max()
    assert 1e-4 * wave.max() < breath < 0.2 * wave.max()
    assert wave[: int(0.9 * RATE)].max() < 1e-3 * wave.max()


def test_a_second_voice_sings_the_same_words_on_other_notes():
    lead = [_note(0.5, 2.0, 60, "AA")]
    parts = {"voice": lead, "harmony voice": [_note(0.5, 2.0, 64, "AA")]}
    voices = sing(parts, "mezzo", 1, RATE, 3 * RATE)
    peaks = []
    for wave in voices.values():
        part = wave[RATE : 2 * RATE]
        f = np.fft.rfftfreq(len(part), 1 / RATE)
        low = np.abs(np.fft.rfft(part * np.hanning(len(part)))) * (f < 350)
        peaks.append(f[np.argmax(low)])
    assert peaks[0] == pytest.approx(261.6, rel=0.03)
    assert peaks[1] == pytest.approx(329.6, rel=0.03)
