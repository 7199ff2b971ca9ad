from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from demucs_lab.widgets._sound import (
    check_lengths,
    check_rate,
    check_sound,
    encode,
    safe_gain,
    to_int16,
)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(2, 22050), (1, 70000), (2, 1)])
def test_flac_brings_back_every_sample_to_half_a_step_of_16_bits(shape: tuple[int, int]) -> None:
    wave = noise(*shape)
    back, rate = soundfile.read(io.BytesIO(encode(wave, 22050)), dtype="float64", always_2d=True)
    assert rate == 22050
    assert back.T.shape == shape
    assert np.abs(back.T - np.clip(wave, -1, 32767 / 32768)).max() <= 0.5 / 32768


def test_full_scale_does_not_wrap_around() -> None:
    assert to_int16(np.array([[1.0, -1.0]], dtype=np.float32)).tolist() == [[32767, -32768]]


def test_ogg_keeps_the_length_of_a_long_sound() -> None:
    wave = 0.1 * noise(2, 200_001)
    back, _ = soundfile.read(io.BytesIO(encode(wave, 44100, codec="ogg")))
    assert back.shape == (200_001, 2)


def test_a_gain_is_applied_only_beyond_full_scale() -> None:
    assert safe_gain(1.0) == 1.0
    assert safe_gain(2.0) * 2.0 == pytest.approx(0.99)


@pytest.mark.parametrize("sound", [torch.zeros(3), np.zeros((1, 3)), torch.zeros(2, 3).double()])
def test_sound_comes_in_as_float32_with_one_or_two_channels(sound: Any) -> None:
    wave = check_sound("x", sound)
    assert wave.dtype == np.float32
    assert wave.shape[1] == 3


def test_the_sound_is_copied_so_that_later_changes_are_not_heard() -> None:
    tensor = torch.zeros(1, 4)
    wave = check_sound("x", tensor)
    tensor += 1
    assert wave.max() == 0


@pytest.mark.parametrize(
    ("sound", "words"),
    [
        (np.zeros((44100, 2)), r"looks like \[time, channels\]: transpose it with .T"),
        (np.zeros((9, 44100)), "one or two channels"),
        (np.zeros((2, 0)), "no sound in it"),
        (np.zeros((1, 2, 8)), r"\[channels, time\] or \[time\]"),
        (np.array([0.0, np.nan, np.inf]), "2 of its 3 samples are NaN or infinite"),
        (np.zeros(8, dtype=np.int16), "divide 16-bit integers by 32768"),
        ("song.wav", "expected floats"),
        (None, "expected floats"),
        ([[0.0, 1.0], [0.0]], "expected sound as numbers"),
        (torch.zeros(8, dtype=torch.cfloat), "expected floats"),
    ],
)
def test_bad_sound_gets_one_sentence_that_names_it(sound: Any, words: str) -> None:
    with pytest.raises(ValueError, match=rf"^track 'bass': .*{words}") as caught:
        check_sound("track 'bass'", sound)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rate", [22.05, 0, -44100, 44100.5, float("nan"), "44100", None, True])
def test_a_wrong_rate_gets_one_sentence(rate: Any) -> None:
    with pytest.raises(ValueError, match="expected a samplerate in Hz"):
        check_rate(rate)


@pytest.mark.parametrize("rate", [44100, 44100.0, np.int64(44100), torch.tensor(44100)])
def test_a_rate_may_be_any_whole_number(rate: Any) -> None:
    assert check_rate(rate) == 44100


def test_unequal_lengths_name_both_tracks() -> None:
    with pytest.raises(ValueError, match="'mix' has 5 samples, 'bass' has 4"):
        check_lengths([("'mix'", noise(2, 5)), ("'bass'", noise(1, 4))])
