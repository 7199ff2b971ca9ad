"""Lesson 01: the guesses and the quiz."""

from __future__ import annotations

from .framework import Prediction

PREDICTIONS = (
    Prediction(
        name="three_db_down",
        lesson="01",
        question="You turn the **true** vocals down by 3 dB and change nothing else. Which SDR do "
        "they score? (The error is the difference between the two waveforms.)",
        answer=10.7,
        within=1.5,
        unit="dB",
        why={
            "low": "The missing part is the error: 1 − 0.708 = 0.292 of the waveform, which is "
            "10.7 dB below it. No model in this lesson's table scores that on vocals.",
            "high": "Only the level is wrong, and yet 0.292 of the waveform is missing: SDR counts "
            "that as error, 10.7 dB below the voice.",
            "right": "1 − 0.708 = 0.292 of the waveform is missing: 10.7 dB below it. Only the "
            "level is wrong, and your ear would never call that bad.",
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
            "d": "A decibel is not a plain ratio: 6 dB in energy is 10^0.6, about 4.",
        },
    ),
    Prediction(
        name="upside_down_voice",
        lesson="01",
        question="You turn the true vocals upside down, −voice. Which SDR do they score?",
        options={
            "a": "as high as it gets: the difference is inaudible",
            "b": "0 dB: nothing is right",
            "c": "about −6 dB: worse than silence",
            "d": "about −20 dB",
        },
        answer="c",
        why={
            "a": "It is inaudible, true, but SDR subtracts waveforms sample by sample.",
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
            "a": "BSSEval's SDR, because its filter of 512 taps forgives a delay",
            "b": "SI-SDR, because it forgives the level",
            "c": "SIR and SAR, because their filter of 512 taps forgives a delay",
            "d": "none of them",
        },
        answer="c",
        why={
            "a": "A popular belief. In version 4 the SDR has no filter in it at all: the error is "
            "everything that differs.",
            "b": "One factor for the level cannot move a waveform in time.",
            "c": "The delay is one of the filters they allow, so neither interference nor artefact "
            "is found. SDR and ISR fall.",
            "d": "SIR and SAR first pass the truth through the best short filter.",
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
        question="A model is unsure and returns pure silence for the vocals. Which SDR (nSDR) does "
        "it score?",
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
            "c": "Silence is better than that: it adds no other source.",
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
            "b": "SI-SDR is the usual score of speech separation, not of music.",
            "c": "The median of medians: the convention of SiSEC 2018, which most tables follow.",
            "d": "Medians are taken to avoid that: one nearly silent second can spoil a mean.",
        },
    ),
)
