"""What is rendered: the score is true of the sound, the desk keeps its promises."""

import dataclasses
import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.signal import butter, resample_poly, sosfiltfilt

from demucs_lab.datasets.labsongs import Score, compose, render

SOURCES = ("drums", "bass", "other", "vocals")
RATE = 22050


def _mono(stem):
    return stem.astype(np.float64).mean(0) / 32768


def _pitch(part, low, high):
    """Fundamental in Hz by the autocorrelation below 1.2 kHz: the first lag near the best one."""
    size = len(part)
    power = np.abs(np.fft.rfft(part, 2 * size)) ** 2
    power[np.fft.rfftfreq(2 * size, 1 / RATE) > 1200] = 0  # upper formants have lags of their own
    match = np.fft.irfft(power)[: size // 2 + 2] / (size - np.arange(size // 2 + 2))
    first, last = int(RATE / high), min(int(RATE / low), size // 2)
    inside = match[first : last + 1]
    peaks = 1 + np.flatnonzero((inside[1:-1] > inside[:-2]) & (inside[1:-1] >= inside[2:]))
    if not len(peaks):
        return np.nan
    lag = first + peaks[np.argmax(inside[peaks] > 0.85 * inside[peaks].max())]
    a, b, c = match[lag - 1 : lag + 2]
    return RATE / (lag + 0.5 * (a - c) / (a - 2 * b + c))


def _errors(stem, notes, low, high, skip, shortest):
    """Distance in cents between the sound of each long note and its pitch in the score."""
    wave, result = _mono(stem), []
    for note in notes:
        if note.duration >= shortest:
            first = round((note.start + skip) * RATE)
            part = wave[first : first + round(min(note.duration - skip - 0.05, 0.5) * RATE)]
            found = _pitch(part, low, high)
            result.append(abs(1200 * np.log2(found / (440 * 2 ** ((note.pitch - 69) / 12)))))
    return np.array(result)


@pytest.mark.parametrize("index", [0, 1, 3, 4])
def test_the_bass_sounds_at_the_pitches_of_the_score(song, index):
    score, stems = song(index, RATE, 12.0)
    errors = _errors(stems["bass"], score.notes_of("bass"), 38, 180, 0.04, 0.18)
    assert len(errors) > 8
    assert np.mean(errors < 35) > 0.9


@pytest.mark.parametrize("index", [0, 1, 2, 5])
def test_the_singer_sings_the_pitches_of_the_score(song, index):
    score, stems = song(index, RATE, 12.0)
    doubled = {n.start for n in score.notes_of("vocals", "harmony voice")}
    notes = [n for n in score.notes_of("vocals", "voice") if n.start not in doubled]
    errors = _errors(stems["vocals"], notes, 150, 750, 0.08, 0.25)
    assert len(errors) >= 4
    assert np.mean(errors < 50) > 0.9


@pytest.mark.parametrize("index", [2, 3, 9])
def test_kicks_are_heard_when_the_score_says(song, index):
    score, stems = song(index, RATE, 12.0)
    only = dataclasses.replace(
        score, notes=tuple(n for n in score.notes if n.source != "drums" or n.pitch == 36)
    )
    drums = _mono(render(only, RATE)["drums"])
    power = sosfiltfilt(butter(2, 100, "high", fs=RATE, output="sos"), drums) ** 2
    kicks = only.notes_of("drums")
    rises = []
    for note in kicks:
        at = round(note.start * RATE)
        rises.append(power[at : at + 400].mean() > 2 * power[max(0, at - 440) : at - 40].mean())
    assert len(kicks) > 8
    assert np.mean(rises) > 0.95
    assert len(stems["drums"][0]) == len(drums)


def test_loud_onsets_of_the_drums_are_in_the_score(song):
    for index in (2, 3):
        score, stems = song(index, RATE, 12.0)
        power = np.square(_mono(stems["drums"]))
        frames = power[: len(power) // 110 * 110].reshape(-1, 110).mean(1)
        before = np.stack([np.roll(frames, k) for k in range(1, 9)]).max(0)
        found = np.flatnonzero((frames > 6 * before) & (frames > 0.02 * frames.max())) * 110 / RATE
        played = np.array([n.start for n in score.notes_of("drums")])
        assert len(found) > 10
        assert all(np.abs(played - time).min() < 0.02 for time in found)


def test_the_chords_of_the_score_are_what_sounds(song):
    for index in (1, 4):
        score, stems = song(index, RATE, 12.0)
        wave = _mono(stems["other"])
        for chord in score.chords[1:-1]:
            a, b = (round((chord.start + x * chord.duration) * RATE) for x in (0.3, 0.95))
            part = wave[a:b] * np.hanning(b - a)
            power = np.abs(np.fft.rfft(part)) ** 2
            f = np.fft.rfftfreq(b - a, 1 / RATE)
            tonal = (f > 120) & (f < 1000)
            pitch = np.round(69 + 12 * np.log2(f[tonal] / 440)).astype(int) % 12
            chroma = np.bincount(pitch, power[tonal], minlength=12)
            inside = chroma[list(chord.pitch_classes)].sum()
            assert inside > 0.7 * chroma.sum(), (chord.name, chroma)


def test_nobody_sings_where_the_score_has_no_voice(song):
    score, stems = song(3, 22050, 12.0)
    wave = np.abs(_mono(stems["vocals"]))
    first = score.notes_of("vocals")[0].start
    assert wave[: int((first - 0.5) * 22050)].max(initial=0) < 0.02 * wave.max()


def test_nothing_clips_and_the_mixture_is_loud(song):
    for index in range(6):
        _, stems = song(index, 22050, 12.0)
        mixture = sum(stem.astype(np.int32) for stem in stems.values())
        for wave in (mixture, *stems.values()):
            assert np.abs(wave).max() <= 0.951 * 32768
        assert np.sqrt(np.mean(np.square(mixture / 32768))) > 0.05


def test_no_stem_is_silent_for_more_than_eight_seconds():
    for index in range(5):
        stems = render(compose("train", index, 30.0), 8000)
        for stem in stems.values():
            loud = np.abs(stem).max(0) > 32
            places = np.flatnonzero(np.concatenate([[True], loud, [True]]))
            assert np.diff(places).max() / 8000 < 8


def test_stems_are_stereo(song):
    _, stems = song(2, 22050, 12.0)
    for name in ("drums", "other", "vocals"):
        left, right = stems[name].astype(float)
        assert np.abs(left - right).max() > 100


def test_a_song_at_half_the_rate_is_the_same_song(song):
    for index in (0, 9):
        _, low = song(index, 22050, 12.0)
        high = render(compose("test", index, 12.0), 44100)
        for name in SOURCES:
            halved = resample_poly(high[name].astype(float), 1, 2, axis=1)
            assert halved.shape == low[name].shape
            assert np.corrcoef(halved.ravel(), low[name].ravel())[0, 1] > 0.96


@pytest.mark.parametrize("samplerate", [8000, 11025, 22050])
def test_nothing_sounds_above_what_the_rate_allows(samplerate):
    stems = render(compose("valid", 2, 5.0), samplerate)
    for stem in stems.values():
        wave = stem[0].astype(float) * np.hanning(stem.shape[1])
        power = np.abs(np.fft.rfft(wave)) ** 2
        top = power[int(0.985 * len(power)) :].sum()
        assert 10 * np.log10(top / power.sum()) < -50


def test_difficulty_is_that_of_real_music(song):
    window = torch.hann_window(4096)
    rows = []
    for index in range(6):
        _, stems = song(index, 22050, 12.0)
        sources = torch.stack([torch.from_numpy(stems[s] / np.float32(32768)) for s in SOURCES])
        mixture = sources.sum(0)
        spec = torch.stft(sources.flatten(0, 1), 4096, 1024, window=window, return_complex=True)
        spec = spec.unflatten(0, (4, 2))
        mask = spec.abs() / (spec.abs().sum(0) + 1e-9)
        masked = (mask * spec.sum(0)).flatten(0, 1)
        estimate = torch.istft(masked, 4096, 1024, window=window, length=mixture.shape[1])
        estimate = estimate.unflatten(0, (4, 2))
        energy = sources.square().sum((1, 2))
        rows.append(
            [
                10 * torch.log10(energy / (sources - other).square().sum((1, 2)))
                for other in (mixture, estimate)
            ]
        )
    buried, ceiling = (torch.stack([row[i] for row in rows]).mean(0) for i in (0, 1))
    assert ((buried > -10) & (buried < -1)).all()
    assert ((ceiling > 7) & (ceiling < 15)).all()
    assert ceiling.argmax() == SOURCES.index("vocals")


def _digest(stems):
    return hashlib.sha256(b"".join(stems[s].tobytes() for s in SOURCES)).hexdigest()


@pytest.mark.parametrize("threads", ["1", "3"])
def test_another_process_with_other_threads_renders_the_same_samples(threads):
    code = (
        "import hashlib\n"
        "from demucs_lab.datasets.labsongs import compose, render\n"
        "stems = render(compose('train', 7, 6.0), 16000)\n"
        "data = b''.join(stems[s].tobytes() for s in ('drums', 'bass', 'other', 'vocals'))\n"
        "print(hashlib.sha256(data).hexdigest())"
    )
    env = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout.strip() == _digest(render(compose("train", 7, 6.0), 16000)), done.stderr


def test_a_score_read_from_disk_plays_the_same():
    score = compose("valid", 1, 5.0)
    again = render(Score.from_json(score.to_json()), 8000)
    assert _digest(render(score, 8000)) == _digest(again)


def test_too_low_a_rate_is_refused():
    with pytest.raises(ValueError, match="8000 Hz or more"):
        render(compose("valid", 0, 4.0), 4000)
