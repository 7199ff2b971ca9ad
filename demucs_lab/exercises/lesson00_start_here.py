"""Lesson 00: from decibels to a first mix."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .framework import Exercise, Prediction, Wrong, close, randn, tensor

Gain = Callable[[float | Tensor], float | Tensor]
Mix = Callable[[Tensor, Tensor], Tensor]

# -- 0.1 gain_from_db -----------------------------------------------------------------------------


def gain_from_db(db: float | Tensor) -> float | Tensor:
    """The factor that an amplitude is multiplied with."""
    return 10 ** (db / 20)


def zero_changes_nothing(gain: Gain) -> None:
    """0 dB leaves the sound as it is"""
    close(gain(0.0), 1, "0 dB must multiply by one.")


def twenty_is_ten_times(gain: Gain) -> None:
    """+20 dB is ten times the amplitude, −20 dB a tenth of it"""
    close(gain(20.0), 10, "At +20 dB the waveform is ten times as tall.")
    close(gain(-20.0), 0.1, "At −20 dB a tenth of the waveform is left.")


def small_steps_count(gain: Gain) -> None:
    """3 dB, 2.5 dB and −1 dB are steps too"""
    for db in (3.0, 2.5, -1.0):
        twenty_steps = float(gain(db)) ** 20
        close(twenty_steps, 10**db, f"Twenty steps of {db:g} dB must multiply by 10^({db:g}).")


def steps_add(gain: Gain) -> None:
    """two gains one after the other: the decibels add, the factors multiply"""
    close(gain(-4.0) * gain(7.0), gain(3.0), "−4 dB and then +7 dB must be the same as +3 dB.")


def silence_is_minus_infinity(gain: Gain) -> None:
    """−∞ dB is silence"""
    close(gain(float("-inf")), 0, "At −∞ dB nothing must be left.")


def many_at_once(gain: Gain) -> None:
    """a tensor of decibels gives a tensor of factors"""
    close(gain(tensor([0, -20, 40])), tensor([1, 0.1, 100]), "Convert each number on its own.")


GAIN_FROM_DB = Exercise(
    name="gain_from_db",
    lesson="00",
    title="From decibels to a factor",
    reference=gain_from_db,
    properties=(
        zero_changes_nothing,
        twenty_is_ten_times,
        small_steps_count,
        steps_add,
        silence_is_minus_infinity,
        many_at_once,
    ),
    wrong={
        "power": Wrong(
            lambda db: 10 ** (db / 10),
            "That is the factor for the power. Divide by 20: power goes with the amplitude "
            "squared, and the square takes the other half of the decibels.",
        ),
        "precedence": Wrong(
            lambda db: 10**db / 20,
            "Python raises to the power first and divides then: that is (10^dB)/20. Put brackets "
            "round the exponent.",
        ),
        "natural": Wrong(
            lambda db: torch.as_tensor(db / 20).exp(),
            "That is e to the power of dB/20. A decibel is made of tens: use 10 ** (…).",
        ),
        "whole_steps": Wrong(
            lambda db: 10 ** (db // 20),
            "`//` rounds down to whole steps of 20 dB, so 3 dB becomes 0 dB: divide with one `/`.",
        ),
        "rule_of_thumb": Wrong(
            lambda db: 2 ** (db / 6),
            "“6 dB doubles” is a rule of thumb: the exact figure is 6.0206. Use tens, not twos.",
        ),
        "upside_down": Wrong(
            lambda db: 10 ** (-db / 20),
            "The sign is flipped: positive decibels must make it louder.",
        ),
        "inverse": Wrong(
            lambda db: 20 * torch.log10(torch.as_tensor(db)),
            "That is the way back, from a factor to decibels. Here the decibels are given.",
        ),
        "straight_line": Wrong(
            lambda db: 1 + db / 20,
            "That is a straight line; decibels are an exponent. At −20 dB your factor is 0.",
        ),
        "always_a_tensor": Wrong(
            lambda db: 10 ** (torch.as_tensor(db) / 20),
            "For one number a tensor comes back: leave out torch.tensor. Plain `**` and `/` give "
            "a number for a number and a tensor for a tensor.",
        ),
        "no_exponent": Wrong(
            lambda db: 10 * db / 20,
            "That multiplies by 10 instead of raising 10 to a power: write 10 ** (…).",
        ),
    },
    hints=(
        "Collect what you know: 0 dB → 1, 20 dB → 10, 40 dB → 100. Each 20 dB is one more zero.",
        "One more zero is one more power of ten. How many powers of ten are in `db` decibels?",
        "There are `db / 20` of them. Python writes powers with `**`.",
        "`return 10 ** (db / 20)` works for a number and for a tensor.",
    ),
)

# -- 0.2 mix --------------------------------------------------------------------------------------


def mix(stems: Tensor, gains_db: Tensor) -> Tensor:
    """Turn each stem up or down, then add them."""
    gains = 10 ** (gains_db / 20)
    return (stems * gains[:, None, None]).sum(0)


def adds_stems(mix: Mix) -> None:
    """with every gain at 0 dB, the mix is the sum of the stems"""
    stems = tensor([[[1, 2, 3], [4, 5, 6]], [[10, 20, 30], [40, 50, 60]]])
    expected = tensor([[11, 22, 33], [44, 55, 66]])
    close(mix(stems, tensor([0, 0])), expected, "Add the stems up, sample by sample.")


def keeps_channels_and_time(mix: Mix) -> None:
    """[stems, channels, time] becomes [channels, time], whatever the numbers"""
    for stems, channels, time in ((4, 2, 7), (1, 2, 5), (3, 1, 4)):
        sound = randn(stems, channels, time)
        expected = torch.einsum("sct->ct", sound)
        close(mix(sound, tensor([0.0] * stems)), expected, "Add over the stems only.")


def each_stem_has_its_gain(mix: Mix) -> None:
    """each gain belongs to one stem, not to a channel or to a moment"""
    stems = tensor([[[1, 2], [3, 4]], [[100, 200], [300, 400]]])
    expected = tensor([[10.1, 20.2], [30.3, 40.4]])
    close(mix(stems, tensor([-20.0, -20.0])), expected, "−20 dB leave a tenth.")
    expected = tensor([[100.1, 200.2], [300.3, 400.4]])
    close(mix(stems, tensor([-20.0, 0.0])), expected, "Turn the first stem down by 20 dB only.")


def mutes(mix: Mix) -> None:
    """a stem at −∞ dB is gone"""
    stems = randn(4, 2, 6)
    close(mix(stems, tensor([0, float("-inf"), 0, 0])), stems[[0, 2, 3]].sum(0), "Mute stem 1.")


def honest_level(mix: Mix) -> None:
    """nothing else changes the level: a loud mix may pass ±1, a quiet one stays quiet"""
    loud = torch.full((4, 2, 3), 0.5).to(tensor(0))
    close(mix(loud, tensor([0.0] * 4)), 2, "Four times 0.5 is 2.")
    close(mix(loud / 1000, tensor([0.0] * 4)), 0.002, "Four times 0.0005 is 0.002.", tol=1e-6)


MIX = Exercise(
    name="mix",
    lesson="00",
    title="A first mix",
    reference=mix,
    properties=(adds_stems, keeps_channels_and_time, each_stem_has_its_gain, mutes, honest_level),
    wrong={
        "mean": Wrong(
            lambda stems, db: (stems * _gains(db)[:, None, None]).mean(0),
            "That is the mean. A mix is the sum: air adds up pressures, it does not average them.",
        ),
        "over_channels": Wrong(
            lambda stems, db: (stems * _gains(db)[:, None, None]).sum(1),
            "That adds left and right of each stem. Stems are axis 0: `.sum(0)`.",
        ),
        "everything": Wrong(
            lambda stems, db: (stems * _gains(db)[:, None, None]).sum(),
            "That adds up everything there is, time included. Say which axis: `.sum(0)`.",
        ),
        "mono": Wrong(
            lambda stems, db: (stems * _gains(db)[:, None, None]).sum((0, 1)),
            "Left and right have become one. Keep the channels: sum over axis 0 only.",
        ),
        "gains_over_time": Wrong(
            lambda stems, db: (stems * _gains(db)).sum(0),
            "Gains of shape [S] line up with the LAST axis, time. Make them [S, 1, 1] first.",
        ),
        "gains_over_channels": Wrong(
            lambda stems, db: (stems * _gains(db)[:, None]).sum(0),
            "Gains of shape [S, 1] line up with the channels. Two new axes are needed: [S, 1, 1].",
        ),
        "no_conversion": Wrong(
            lambda stems, db: (stems * db[:, None, None]).sum(0),
            "That multiplies by decibels, so 0 dB mutes. Turn them into factors with gain_from_db.",
        ),
        "power": Wrong(
            lambda stems, db: (stems * (10 ** (db / 10))[:, None, None]).sum(0),
            "The gains act twice as strongly as asked: divide decibels by 20, not by 10.",
        ),
        "normalised": Wrong(
            lambda stems, db: _normalised((stems * _gains(db)[:, None, None]).sum(0)),
            "You also scale the result to a peak of 1. Nobody asked for that: the gains would lie.",
        ),
        "clipped": Wrong(
            lambda stems, db: (stems * _gains(db)[:, None, None]).sum(0).clamp(-1, 1),
            "You cut off what passes ±1. That is distortion; floating point has room to spare.",
        ),
        "one_gain": Wrong(
            lambda stems, db: stems.sum(0) * _gains(db)[0],
            "One gain for all is a master fader. Multiply each stem before you add them.",
        ),
    },
    hints=(
        "Two steps: turn each stem up or down, then add the stems. Which axis counts the stems?",
        "The gains have shape [S]. To meet stems of shape [S, C, T] they need two more axes.",
        "`gain_from_db(gains_db)[:, None, None]` has shape [S, 1, 1].",
        "`return (stems * gain_from_db(gains_db)[:, None, None]).sum(0)`",
    ),
)


def _gains(db: Tensor) -> Tensor:
    return 10 ** (db / 20)


def _normalised(wav: Tensor) -> Tensor:
    return wav / wav.abs().max()


# -- predictions ----------------------------------------------------------------------------------

PREDICTIONS = (
    Prediction(
        name="every_stem_6_db_down",
        lesson="00",
        question="You play the whole song and turn **every** stem down by 6 dB. How tall is the "
        "mix's waveform now?",
        options={
            "a": "as tall as before: the mix adds the stems up again",
            "b": "about half as tall",
            "c": "about an eighth: four stems, each half as tall",
            "d": "a quarter: 6 dB is a quarter",
        },
        answer="b",
        why={
            "a": "Adding does not make up for it: 0.5·a + 0.5·b = 0.5·(a + b).",
            "b": "Every stem is multiplied by about 0.5, and a sum of halves is half of the sum.",
            "c": "The factors do not multiply with one another: 0.5·a + 0.5·b = 0.5·(a + b).",
            "d": "A quarter of the power is left. The waveform itself is halved.",
        },
    ),
    Prediction(
        name="factor_of_12_db",
        lesson="00",
        question="+6 dB doubles the waveform's height. By which factor does +12 dB multiply it?",
        answer=4.0,
        within=0.05,
        why={
            "low": "Decibels add where factors multiply: 6 dB + 6 dB is twice and again twice.",
            "high": "Twice and again twice: no more than that.",
            "right": "6 dB + 6 dB: twice, and again twice (3.98, to be exact).",
        },
    ),
    Prediction(
        name="shape_of_a_song",
        lesson="00",
        question="A song lasts 10 s, in stereo, at 22050 samples per second. Which shape does the "
        "tensor of its four stems have?",
        options={
            "a": "[4, 220500, 2]",
            "b": "[4, 2, 220500]",
            "c": "[2, 4, 220500]",
            "d": "[4, 2, 441000]",
        },
        answer="b",
        why={
            "a": "Time comes last here. Many sound files store [time, channels]: load_audio turns "
            "them round.",
            "b": "[sources, channels, time]: four stems, left and right, 10 × 22050 samples.",
            "c": "Sources come before channels: stems[0] is one whole stereo stem.",
            "d": "Left and right do not share one long row: they have an axis of their own.",
        },
    ),
)

EXERCISES = (GAIN_FROM_DB, MIX)
