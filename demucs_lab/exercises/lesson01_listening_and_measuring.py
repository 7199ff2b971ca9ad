"""Lesson 01, first half: SDR, and errors of a chosen size."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .framework import Exercise, Wrong, close, rand, randn, tensor

Score = Callable[[Tensor, Tensor], Tensor]
AddAt = Callable[[Tensor, Tensor, float], Tensor]

_DELTA = 1e-7


def _energy(wav: Tensor) -> Tensor:
    return wav.square().sum((-2, -1))


def _brute_db(signal: Tensor, error: Tensor) -> float:
    """10 log₁₀ of the ratio of two energies, sample by sample, for one waveform [C, T]."""
    energies = [sum(x * x for x in wav.flatten().tolist()) for wav in (signal, error)]
    return 10 * math.log10(energies[0] / energies[1])


# -- 1.1 sdr --------------------------------------------------------------------------------------


def sdr(reference: Tensor, estimate: Tensor) -> Tensor:
    """Energy of the truth over energy of the error, in dB."""
    signal = _energy(reference) + _DELTA
    error = _energy(reference - estimate) + _DELTA
    return 10 * torch.log10(signal / error)


def by_hand(sdr: Score) -> None:
    """[3, −4] estimated as [2.7, −3.6]: energy 25, error 0.25, so 20 dB"""
    close(sdr(tensor([[3, -4]]), tensor([[2.7, -3.6]])), 20, "25 / 0.25 is 100, which is 20 dB.")


def nothing_scores_zero(sdr: Score) -> None:
    """an estimate of silence scores 0 dB: all that was there is error"""
    song = randn(2, 50)
    close(sdr(song, 0 * song), 0, "The error is as big as the song.")


def twice_as_loud(sdr: Score) -> None:
    """twice the truth scores 0 dB too: the error is measured against the truth"""
    song = randn(2, 50)
    close(sdr(song, 2 * song), 0, "Above the fraction bar stands the truth, not the estimate.")


def one_number_per_song(sdr: Score) -> None:
    """channels and samples are added up before anything is divided: one number per song"""
    songs = torch.stack([tensor([[10, 0, 0], [0, 1, 0]]), tensor([[1, 1, 1], [2, 2, 2]])])
    errors = torch.stack([tensor([[1, 0, 0], [0, 1, 0]]), tensor([[0, 0, 1], [0, 0, 0.5]])])
    expected = [_brute_db(song, error) for song, error in zip(songs, errors, strict=True)]
    close(sdr(songs, songs + errors), tensor(expected), "Add up over both of the last two axes.")


def below_zero(sdr: Score) -> None:
    """an error ten times as tall as the song scores −20 dB"""
    song = randn(2, 50)
    close(sdr(song, 11 * song), -20, "Energies: the error has 100 times that of the song.")


def silence(sdr: Score) -> None:
    """silence estimated as silence is 0 dB"""
    silence = tensor([[0, 0, 0], [0, 0, 0]])
    close(sdr(silence, silence), 0, "0/0 needs δ above and below the bar.")


def whisper(sdr: Score) -> None:
    """δ is 1e-7, added to each of the two energies"""
    silence = tensor([[0, 0, 0], [0, 0, 0]])
    tiny = tensor([[3e-4, 0, 0], [0, 0, 0]])
    close(sdr(silence, tiny), 10 * math.log10(1e-7 / (9e-8 + 1e-7)), "Add δ to each energy.")


SDR = Exercise(
    name="sdr",
    lesson="01",
    title="Signal-to-distortion ratio",
    reference=sdr,
    properties=(
        by_hand,
        nothing_scores_zero,
        twice_as_loud,
        below_zero,
        one_number_per_song,
        silence,
        whisper,
    ),
    wrong={
        "no_squares": Wrong(
            lambda s, e: 10 * torch.log10(_norm(s, _DELTA) / _norm(s - e, _DELTA)),
            "That is the ratio of two norms (roots of energies): half the decibels. Leave out "
            "the root, or take 20·log10.",
        ),
        "absolute": Wrong(
            lambda s, e: 10 * torch.log10((_absolute(s) + _DELTA) / (_absolute(s - e) + _DELTA)),
            "That adds up sizes. Energy is the sum of SQUARES.",
        ),
        "twenty_log": Wrong(
            lambda s, e: 20 * torch.log10((_energy(s) + _DELTA) / (_energy(s - e) + _DELTA)),
            "20·log10 is for amplitudes. A ratio of energies takes 10·log10.",
        ),
        "natural_log": Wrong(
            lambda s, e: 10 * torch.log((_energy(s) + _DELTA) / (_energy(s - e) + _DELTA)),
            "torch.log is the natural logarithm: decibels need torch.log10.",
        ),
        "upside_down": Wrong(
            lambda s, e: 10 * torch.log10((_energy(s - e) + _DELTA) / (_energy(s) + _DELTA)),
            "Upside down: the song belongs above the error, so that better is higher.",
        ),
        "energy_of_estimate": Wrong(
            lambda s, e: 10 * torch.log10((_energy(e) + _DELTA) / (_energy(s - e) + _DELTA)),
            "The estimate stands above the bar: shouting would raise the score. Use the reference.",
        ),
        "difference_of_energies": Wrong(
            lambda s, e: (
                10 * torch.log10((_energy(s) + _DELTA) / ((_energy(s) - _energy(e)).abs() + _DELTA))
            ),
            "Subtract the waveforms first, then square: equal energies do not make equal sounds.",
        ),
        "per_channel": Wrong(
            lambda s, e: _per(s, e, (-1,)),
            "That is one score per channel. Add up over channels and time: (-2, -1).",
        ),
        "mean_of_channels": Wrong(
            lambda s, e: _per(s, e, (-1,)).mean(-1),
            "You average decibels of left and right. Add the energies up first, then divide once.",
        ),
        "everything": Wrong(
            lambda s, e: _per(s, e, tuple(range(s.dim()))),
            "You added several songs up into one. Only channels and time belong together (-2, -1).",
        ),
        "means": Wrong(
            lambda s, e: (
                10
                * torch.log10(
                    (s.square().mean((-2, -1)) + _DELTA)
                    / ((s - e).square().mean((-2, -1)) + _DELTA)
                )
            ),
            "Those are means of squares. Their ratio is the same, but beside a mean δ is no longer "
            "tiny. Energy is the SUM.",
        ),
        "double": Wrong(
            lambda s, e: sdr(s.double(), e.double()),
            "The numbers are right, but float64 comes back for float32: everything after it gets "
            "twice as big. Leave out `.double()`.",
        ),
        "no_delta": Wrong(
            lambda s, e: 10 * torch.log10(_energy(s) / _energy(s - e)),
            "Right, but for silence: 0/0 is NaN. Add δ = 1e-7 to both energies.",
        ),
        "delta_below_only": Wrong(
            lambda s, e: 10 * torch.log10(_energy(s) / (_energy(s - e) + _DELTA)),
            "δ is missing above the bar: a silent reference gives log10(0), minus infinity.",
        ),
        "delta_outside": Wrong(
            lambda s, e: 10 * torch.log10(_energy(s) / _energy(s - e) + _DELTA),
            "You add δ to the quotient, too late: 0/0 has happened. Add it to each energy.",
        ),
    },
    hints=(
        "Three numbers: the energy of the reference, the energy of the error, their ratio in dB. "
        "What is the error, in terms of the two waveforms?",
        "The error is `reference - estimate`. Energy is `x.square().sum((-2, -1))`: over channels "
        "and time, and over nothing else.",
        "Add 1e-7 to both energies, divide, and take `10 * torch.log10(...)`.",
        "`return 10 * torch.log10((signal + 1e-7) / (error + 1e-7))` with `signal` and `error` the "
        "two energies.",
    ),
    forbidden=("demucs_lab.metrics.sdr",),
)


def _norm(wav: Tensor, delta: float) -> Tensor:
    return (_energy(wav) + delta).sqrt()


def _absolute(wav: Tensor) -> Tensor:
    return wav.abs().sum((-2, -1))


def _per(reference: Tensor, estimate: Tensor, axes: tuple[int, ...]) -> Tensor:
    signal = reference.square().sum(axes) + _DELTA
    return 10 * torch.log10(signal / ((reference - estimate).square().sum(axes) + _DELTA))


# -- 1.2 add_at_sdr -------------------------------------------------------------------------------


def add_at_sdr(reference: Tensor, error: Tensor, db: float) -> Tensor:
    """Add as much of `error` as gives an SDR of `db`."""
    wanted = _energy(reference) / 10 ** (db / 10)
    return reference + error * (wanted / _energy(error)).sqrt()


def by_hand_too(add: AddAt) -> None:
    """[3, −4] with an error at 20 dB becomes [3, −3.5]"""
    expected = tensor([[3, -3.5]])
    close(add(tensor([[3, -4]]), tensor([[0, 7]]), 20.0), expected, "Energy 25, so 0.25 of error.")


def has_the_sdr(add: AddAt) -> None:
    """whatever the sounds, the result has the SDR that was asked for"""
    for db in (20.0, 6.0, 0.0, -6.0, 3.5):
        song, error = randn(2, 40), 5 * rand(2, 40)
        error[1] *= 0.1
        result = add(song, error, db)
        if torch.isfinite(result).all():
            found = _brute_db(song, result - song) if (result != song).any() else math.inf
            close(found, db, f"The check asked for {db:g} dB and measured your result.")


def loudness_of_error(add: AddAt) -> None:
    """how loud the error was before does not matter"""
    song, error = randn(2, 30), randn(2, 30)
    quiet = add(song, error / 1000, 10.0)
    close(quiet, add(song, error, 10.0), "The same error, recorded more quietly, ends up the same.")


def keeps_both(add: AddAt) -> None:
    """the song stays as it is, and left and right of the error keep their balance"""
    song = tensor([[1, 2, 2, 0], [0, 0, 0, 0]])
    error = tensor([[0, 0, 0, 3], [4, 0, 0, 0]])
    expected = tensor([[1, 2, 2, 1.8], [2.4, 0, 0, 0]])
    close(add(song, error, 0.0), expected, "One factor for the whole error; none for the song.")


ADD_AT_SDR = Exercise(
    name="add_at_sdr",
    lesson="01",
    title="An error of a chosen size",
    reference=add_at_sdr,
    properties=(by_hand_too, has_the_sdr, loudness_of_error, keeps_both),
    wrong={
        "power_as_amplitude": Wrong(
            lambda s, e, db: s + e * (_energy(s) / _energy(e)).sqrt() * 10 ** (-db / 10),
            "The error is multiplied by 10^(−dB/10), the factor for energies: its waveform takes "
            "10^(−dB/20).",
        ),
        "no_root": Wrong(
            lambda s, e, db: s + e * (_energy(s) / _energy(e)) / 10 ** (db / 10),
            "That is the ratio of energies. The waveform is multiplied by its ROOT.",
        ),
        "flipped_sign": Wrong(
            lambda s, e, db: s + e * (_energy(s) / _energy(e)).sqrt() * 10 ** (db / 20),
            "A higher SDR must mean less error: the sign of the decibels is flipped.",
        ),
        "loudness_ignored": Wrong(
            lambda s, e, db: s + e * 10 ** (-db / 20),
            "You never looked at how loud the two are. Measure both energies first.",
        ),
        "song_ignored": Wrong(
            lambda s, e, db: s + e / _energy(e).sqrt() * 10 ** (-db / 20),
            "The error's own level is gone, but the song's is missing: its energy belongs in too.",
        ),
        "peaks": Wrong(
            lambda s, e, db: s + e * s.abs().max() / e.abs().max() * 10 ** (-db / 20),
            "You compare peaks. SDR compares energies: sums of squares.",
        ),
        "per_channel": Wrong(
            lambda s, e, db: s + e * _balance(s, e).nan_to_num(posinf=0) * 10 ** (-db / 20),
            "Each channel got a factor of its own, which moves the error from side to side. "
            "One factor, from the energies of both channels together.",
        ),
        "spread": Wrong(
            lambda s, e, db: s + e * s.std() / e.std() * 10 ** (-db / 20),
            "`.std()` subtracts the mean first; energy does not. Use the sum of squares.",
        ),
        "delta": Wrong(
            lambda s, e, db: (
                s + e * ((_energy(s) + _DELTA) / (_energy(e) + _DELTA) / 10 ** (db / 10)).sqrt()
            ),
            "δ has crept in, perhaps through your sdr: a very quiet error then misses its level. "
            "Work with the energies themselves.",
        ),
        "error_only": Wrong(
            lambda s, e, db: e * (_energy(s) / _energy(e)).sqrt() * 10 ** (-db / 20),
            "That is the scaled error alone. Add it to the reference.",
        ),
        "song_scaled": Wrong(
            lambda s, e, db: s * (_energy(e) / _energy(s)).sqrt() * 10 ** (db / 20) + e,
            "You turned the song instead of the error: then it is another song that is spoilt.",
        ),
    },
    hints=(
        "Work backwards. How much energy may the error have, if the song has energy E and the SDR "
        "is to be 20 dB? And for `db`?",
        "It may have `E / 10 ** (db / 10)`. It has another energy now. Multiply the waveform by g "
        "and its energy is multiplied by g².",
        "So g² = wanted energy / present energy, and g is its square root.",
        "`g = (energy(reference) / energy(error)).sqrt() * 10 ** (-db / 20)`, with `energy(x)` = "
        "`x.square().sum()`; return `reference + g * error`.",
    ),
    forbidden=("demucs_lab.metrics.sdr",),
)


def _balance(song: Tensor, error: Tensor) -> Tensor:
    return (song.square().sum(-1, keepdim=True) / error.square().sum(-1, keepdim=True)).sqrt()


EXERCISES = (SDR, ADD_AT_SDR)
