"""Predictions and quiz of lesson 02, the masking limit."""

from __future__ import annotations

from demucs_lab.exercises.framework import Prediction

PREDICTIONS = [
    Prediction(
        name="bass_ceiling",
        lesson="02",
        question=(
            "The mask was computed from the true stems: nothing was guessed or learned. Which SDR "
            "does the bass score?"
        ),
        options={
            "a": "infinite: with the answer known, nothing can go wrong",
            "b": "30 to 60 dB: only rounding and the window are left",
            "c": "5 to 15 dB: a clearly audible error",
            "d": "about 0 dB: no better than silence",
        },
        answer="c",
        why={
            "a": "A mask may only turn a cell of the mixture up or down. Two sources that share a "
            "cell stay mixed in it, even with a perfect mask.",
            "b": "The STFT is inverted to within float precision (over 100 dB). The loss is in the "
            "cells that two sources share, and there are many of them.",
            "c": "Close to ten decibels, as you will measure with three masks: an error about a "
            "third as tall as the bass itself, with the answer known.",
            "d": "Silence scores 0 dB. A mask is much better than that: in most cells one source "
            "is much louder than the others.",
        },
    ),
    Prediction(
        name="phase_myth",
        lesson="02",
        question=(
            "The phases of two tones, 100 Hz and 4 kHz, are both turned by 10°. Which tone loses "
            "more SDR?"
        ),
        options={
            "a": "the 100 Hz tone: one degree of a low tone is a longer way",
            "b": "the 4 kHz tone: it has more periods to go wrong in",
            "c": "both lose the same",
        },
        answer="c",
        why={
            "a": "Ten degrees at 100 Hz are 40 times as many centimetres as at 4 kHz, and the wave "
            "is 40 times as long: the error is the same part of the wave.",
            "b": "Each period has the same error relative to itself, so their number does not "
            "matter.",
            "c": "The error is the third side of the same triangle, whatever the pitch: "
            "2·sin(φ/2) of the sound.",
        },
    ),
    Prediction(
        name="best_in_range",
        lesson="02",
        question="Which of these real masks between 0 and 1 leaves the least squared error?",
        options={
            "a": "the binary mask",
            "b": "the ratio mask with p = 1",
            "c": "the ratio mask with p = 2",
            "d": "the phase-sensitive mask",
        },
        answer="d",
        why={
            "a": "It gives every shared cell to one source: the other loses all of it.",
            "b": "It shares by amplitude and so overestimates the quieter source of a cell, which "
            "points elsewhere than the mixture.",
            "c": "The best of the masks that only know magnitudes, on these songs. But one that "
            "also knows the angle does better.",
            "d": "It is the source's projection on the mixture's arrow, as a share of that arrow, "
            "cut to [0, 1]: in each cell no other number in that range is closer.",
        },
    ),
    Prediction(
        name="oracle_beaten",
        lesson="02",
        question="A model scores higher than the IRM on bass. What follows?",
        options={
            "a": "the measurement is wrong: an oracle cannot be beaten",
            "b": "the model is not limited to real masks with the mixture's phase",
            "c": "the model has seen the test songs",
        },
        answer="b",
        why={
            "a": "The oracle limits one KIND of method: real masks in [0, 1] at one STFT, with the "
            "mixture's phase. It does not limit the others.",
            "b": "Waveform models and models with complex output make their own phase. "
            "“It removes the topline given by the IRM” (Hybrid Transformer Demucs, §2).",
            "c": "It could be, but need not: Conv-TasNet beat the IRM on speech in 2018 "
            "(15.3 against 12.2 dB SI-SNRi, its Table 4).",
        },
    ),
    Prediction(
        name="window_question",
        lesson="02",
        question="Why does a longer window raise the ceiling, up to a point?",
        options={
            "a": "more bins: two low notes no longer share one",
            "b": "more samples: less rounding",
            "c": "more context: a longer window hears more of the song at once",
        },
        answer="a",
        why={
            "a": "Bins become narrower, so fewer cells are shared. Beyond a few hundred "
            "milliseconds a cell lasts so long that notes and attacks share it in time instead.",
            "b": "Rounding lies over 100 dB below; it plays no part here.",
            "c": "That does not help a mask: each cell is masked alone, without its neighbours.",
        },
    ),
]
