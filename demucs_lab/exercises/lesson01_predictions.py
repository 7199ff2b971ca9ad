"""Lesson 01: the guesses and the quiz."""

from __future__ import annotations

from .framework import Prediction

PREDICTIONS = (
    Prediction(
        name="three_db_down",
        lesson="01",
        question="You turn the true vocals down by 3 dB and change nothing else. Which SDR do they "
        "score?",
        answer=10.7,
        within=1.5,
        unit="dB",
        why={
            "low": "The error is what is missing: 1 − 0.708 = 0.292 of the waveform, which is "
            "10.7 dB below it. No model in this lesson's table reaches that on vocals.",
            "high": "Nothing is wrong but the level, and yet 0.292 of the waveform is missing from "
            "it: SDR counts that as error, 10.7 dB below the voice.",
            "right": "What is missing is 1 − 0.708 = 0.292 of the waveform: 10.7 dB below it. Only "
            "the level is off, and your ear would never call that bad.",
        },
    ),
    Prediction(
        name="six_db",
        lesson="01",
        question="At an SDR of 6 dB, how does the error compare with the voice?",
        options={
            "a": "half the waveform's height, and half the energy",
            "b": "half the waveform's height, a quarter of the energy",
            "c": "a quarter of the waveform's height, half the energy",
            "d": "a sixth of the energy",
        },
        answer="b",
        why={
            "a": "Both cannot be half: energy goes with the square of the height.",
            "b": "10^(−6/20) is about 0.50, and its square is about 0.25.",
            "c": "The other way round: energy is the square of the height, so it falls faster.",
            "d": "Decibels are no plain ratio: 6 dB in energy is 10^0.6, about 4.",
        },
    ),
    Prediction(
        name="upside_down_voice",
        lesson="01",
        question="You flip the true vocals upside down (−voice). Which SDR do they score?",
        options={
            "a": "as high as it gets: nobody hears the difference",
            "b": "0 dB: nothing is right",
            "c": "about −6 dB: worse than silence",
            "d": "about −20 dB",
        },
        answer="c",
        why={
            "a": "Nobody hears it, true, but SDR subtracts waveforms sample by sample.",
            "b": "0 dB is what silence scores. This is worse than silence.",
            "c": "The error is voice − (−voice), twice the voice: four times the energy.",
            "d": "The error is twice the voice. Twice in height is 6 dB, not 20.",
        },
    ),
    Prediction(
        name="late_voice",
        lesson="01",
        question="The true vocals come 20 samples late (0.9 ms). Which of these scores stays high?",
        options={
            "a": "BSSEval's SDR, for its filter of 512 taps forgives a delay",
            "b": "SI-SDR, for it forgives the level",
            "c": "SIR and SAR, for their filter of 512 taps forgives a delay",
            "d": "none",
        },
        answer="c",
        why={
            "a": "A popular belief. In version 4 the SDR has no filter in it at all: the error is "
            "everything that differs.",
            "b": "One factor for the level cannot move a waveform in time.",
            "c": "The delay is one of the filters they allow, so neither interference nor artefact "
            "is found. SDR and ISR fall.",
            "d": "Two of them first pass the truth through the best short filter.",
        },
    ),
    Prediction(
        name="bleeding",
        lesson="01",
        question="In a separated bass line you faintly hear the singer. Which score is made to "
        "show that?",
        options={"a": "SAR", "b": "ISR", "c": "SIR", "d": "SI-SDR"},
        answer="c",
        why={
            "a": "SAR falls with what comes from no source at all: hiss, gargling, clicks.",
            "b": "ISR falls when the bass itself is filtered, moved or at the wrong level.",
            "c": "I is for interference: what the other sources explain.",
            "d": "SI-SDR lumps every error together; it only forgives the level.",
        },
    ),
    Prediction(
        name="best_bad_estimate",
        lesson="01",
        question="A model is unsure and returns pure silence for the vocals. Which SDR (nSDR)?",
        options={
            "a": "0 dB",
            "b": "minus infinity",
            "c": "that of the mixture, about −4 dB",
            "d": "undefined",
        },
        answer="a",
        why={
            "a": "All of the voice is error: the ratio is one. Silence beats most mixtures!",
            "b": "That would need an infinite error. The error here is the voice itself.",
            "c": "Silence is better than that: it adds nobody else's sound.",
            "d": "Only a silent REFERENCE makes trouble; this one sings.",
        },
    ),
    Prediction(
        name="which_sdr",
        lesson="01",
        question="A paper of 2021 prints “SDR 6.28 dB” for MUSDB18. Which number is that, most "
        "likely?",
        options={
            "a": "10·log10 of two energies over each song, averaged over songs",
            "b": "SI-SDR, averaged over songs",
            "c": "BSSEval v4: median over seconds, median over songs, mean over the four sources",
            "d": "the mean over all seconds of all songs",
        },
        answer="c",
        why={
            "a": "That is nSDR, from the Music Demixing Challenge 2021. Tables on MUSDB18 print "
            "BSSEval v4.",
            "b": "SI-SDR is at home in speech separation.",
            "c": "The median of medians: the convention of SiSEC 2018, which most tables follow.",
            "d": "Means are what the medians avoid: one nearly silent second can spoil a mean.",
        },
    ),
)
