"""Lesson 01, second half: scale-invariant SDR, and from windows to a table."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .framework import Exercise, Wrong, close, tensor

Score = Callable[[Tensor, Tensor], Tensor]
Table = Callable[[list[Tensor]], Tensor]

# -- 1.3 si_sdr -----------------------------------------------------------------------------------


def si_sdr(reference: Tensor, estimate: Tensor) -> Tensor:
    """SDR after the best change of level and without any constant offset."""
    reference, estimate = _centred(reference), _centred(estimate)
    alpha = (reference * estimate).sum((-2, -1), keepdim=True)
    target = alpha / _energy(reference)[..., None, None] * reference
    return 10 * torch.log10(_energy(target) / _energy(target - estimate))


def _centred(wav: Tensor) -> Tensor:
    return wav - wav.mean(-1, keepdim=True)


_SONG = [[1, -1, 1, -1], [2, -2, -2, 2]]
_HISS = [[3, 3, -3, -3], [1, -1, 1, -1]]
"""Without a mean, and at right angles to one another; energies 20 and 40."""


def right_angle(si_sdr: Score) -> None:
    """an error at right angles to the song counts in full: energy 20 to 0.4 is 17 dB"""
    song, hiss = tensor(_SONG), tensor(_HISS)
    close(si_sdr(song, song + 0.1 * hiss), 10 * math.log10(20 / 0.4), "20 / 0.4 is 50: 17.0 dB.")


def level_is_free(si_sdr: Score) -> None:
    """turning the estimate up, down or upside down changes nothing"""
    song, hiss = tensor(_SONG), tensor(_HISS)
    for gain in (0.1, 3.0, -1.0):
        expected = 10 * math.log10(20 / 10)
        close(si_sdr(song, gain * (song + 0.5 * hiss)), expected, f"The estimate times {gain:g}.")


def song_level_is_free(si_sdr: Score) -> None:
    """the level of the reference does not matter either"""
    song, hiss = tensor(_SONG), tensor(_HISS)
    close(si_sdr(5 * song, song + hiss), 10 * math.log10(20 / 40), "The reference times 5.")


def offset_is_free(si_sdr: Score) -> None:
    """a constant offset, on either side and different in each channel, changes nothing"""
    song, hiss = tensor(_SONG), tensor(_HISS)
    offset = tensor([[5], [-1]])
    expected = 10 * math.log10(20 / 0.4)
    close(si_sdr(song, song + 0.1 * hiss + offset), expected, "Nobody hears a constant: centre it.")
    close(si_sdr(song + offset, song + 0.1 * hiss), expected, "Centre the reference as well.")


def one_level_for_all(si_sdr: Score) -> None:
    """one level for both channels, one score per song: a shift to the left is an error"""
    song = tensor([[1, -1, 1, -1], [1, 1, -1, -1]])
    moved = song * tensor([[2], [1]])
    close(si_sdr(song, moved), 10 * math.log10(18 / 2), "Best level 1.5: energies 18 and 2.")
    pair = si_sdr(torch.stack([song, song]), torch.stack([moved, moved + tensor(_HISS)]))
    close(
        pair[0], 10 * math.log10(18 / 2), "The second song must not change the first one's score."
    )


def every_song_its_own(si_sdr: Score) -> None:
    """in a batch every song has its own level and its own score"""
    song, hiss = tensor(_SONG), tensor(_HISS)
    songs = torch.stack([song, song, hiss])
    estimates = torch.stack([song + 0.1 * hiss, -3 * (song + 0.5 * hiss), 7 * (hiss + song)])
    expected = [10 * math.log10(ratio) for ratio in (20 / 0.4, 20 / 10, 40 / 20)]
    close(si_sdr(songs, estimates), tensor(expected), "One α for each song of the batch.")


SI_SDR = Exercise(
    name="si_sdr",
    lesson="01",
    title="Scale-invariant SDR",
    reference=si_sdr,
    properties=(
        right_angle,
        level_is_free,
        song_level_is_free,
        offset_is_free,
        one_level_for_all,
        every_song_its_own,
    ),
    wrong={
        "half_the_decibels": Wrong(
            lambda s, e: 10 * torch.log10(_ratio_of(*_split(s, e)).sqrt()),
            "Half the decibels: `norm` is the root of an energy. Square it, or take 20·log10. "
            "(This very mistake is in popular code.)",
        ),
        "no_centring": Wrong(
            lambda s, e: 10 * torch.log10(_ratio_of(*_split(s, e, centre=False))),
            "The mean is still in. Take it out of both waveforms first, channel by channel.",
        ),
        "centred_together": Wrong(
            lambda s, e: (
                10 * torch.log10(_ratio_of(*_split(_centred_all(s), _centred_all(e), centre=False)))
            ),
            "You took one mean for both channels. Each has its own: .mean(-1, keepdim=True).",
        ),
        "centred_estimate_only": Wrong(
            lambda s, e: 10 * torch.log10(_ratio_of(*_split(s, _centred(e), centre=False))),
            "Only the estimate is centred. The reference needs it as well.",
        ),
        "no_projection": Wrong(
            lambda s, e: (
                10 * torch.log10(_energy(_centred(s)) / _energy(_centred(s) - _centred(e)))
            ),
            "That is the plain SDR, centred. Scale the reference by α = ⟨ŝ, s⟩ / ⟨s, s⟩ first.",
        ),
        "not_divided": Wrong(
            lambda s, e: 10 * torch.log10(_ratio_of(_undivided(s, e), _centred(e))),
            "α = ⟨ŝ, s⟩ is not divided by the energy of the reference.",
        ),
        "divided_by_norm": Wrong(
            lambda s, e: 10 * torch.log10(_ratio_of(_by_norm(s, e), _centred(e))),
            "α must be divided by the ENERGY of the reference, not by its root, the norm.",
        ),
        "divided_by_estimate": Wrong(
            lambda s, e: 10 * torch.log10(_ratio_of(_by_estimate(s, e), _centred(e))),
            "α is divided by the energy of the estimate. Project onto the REFERENCE: divide by its "
            "energy.",
        ),
        "scaled_the_estimate": Wrong(
            lambda s, e: 10 * torch.log10(_ratio_of(_centred(s), _split(e, s)[0])),
            "You scaled the estimate to fit the reference. It is the reference that is scaled.",
        ),
        "unscaled_above": Wrong(
            lambda s, e: 10 * torch.log10(_energy(_centred(s)) / _error(*_split(s, e))),
            "Above the bar stands the unscaled reference. It must be α·s there, too.",
        ),
        "per_channel": Wrong(
            lambda s, e: 10 * torch.log10(_ratio_of(_own_level(s, e), _centred(e))),
            "Each channel got a level of its own, which forgives a shift in stereo. One α for all.",
        ),
        "one_level_for_the_batch": Wrong(
            lambda s, e: 10 * torch.log10(_ratio_of(_one_level(s, e), _centred(e))),
            "One α for the whole batch: a song must not change another's level. Sum over the last "
            "two axes only, with keepdim=True.",
        ),
        "upside_down": Wrong(
            lambda s, e: -10 * torch.log10(_ratio_of(*_split(s, e))),
            "Upside down: the target belongs above the error.",
        ),
    },
    hints=(
        "Three steps: centre both, find the piece of the estimate that points along the reference, "
        "compare it with the rest.",
        "Centre with `x - x.mean(-1, keepdim=True)`. The piece along s is α·s with "
        "α = sum(ŝ·s) / sum(s·s).",
        "Sums run over (-2, -1). `keepdim=True` keeps α ready to be multiplied with s.",
        "`target = alpha * reference`; then "
        "`10 * torch.log10(target² summed / (estimate - target)² summed)`.",
    ),
    forbidden=("demucs_lab.metrics.si_sdr", "demucs_lab.losses.negative_si_sdr"),
)


def _inner(one: Tensor, two: Tensor) -> Tensor:
    return (one * two).sum((-2, -1), keepdim=True)


def _split(s: Tensor, e: Tensor, centre: bool = True) -> tuple[Tensor, Tensor]:
    if centre:
        s, e = _centred(s), _centred(e)
    return _inner(e, s) / _inner(s, s) * s, e


def _error(target: Tensor, estimate: Tensor) -> Tensor:
    return _energy(target - estimate)


def _ratio_of(target: Tensor, estimate: Tensor) -> Tensor:
    return _energy(target) / _error(target, estimate)


def _centred_all(wav: Tensor) -> Tensor:
    return wav - wav.mean((-2, -1), keepdim=True)


def _undivided(s: Tensor, e: Tensor) -> Tensor:
    s, e = _centred(s), _centred(e)
    return _inner(e, s) * s


def _by_norm(s: Tensor, e: Tensor) -> Tensor:
    s, e = _centred(s), _centred(e)
    return _inner(e, s) / _inner(s, s).sqrt() * s


def _by_estimate(s: Tensor, e: Tensor) -> Tensor:
    s, e = _centred(s), _centred(e)
    return _inner(e, s) / _inner(e, e) * s


def _one_level(s: Tensor, e: Tensor) -> Tensor:
    s, e = _centred(s), _centred(e)
    return (e * s).sum() / s.square().sum() * s


def _own_level(s: Tensor, e: Tensor) -> Tensor:
    s, e = _centred(s), _centred(e)
    return (e * s).sum(-1, keepdim=True) / s.square().sum(-1, keepdim=True) * s


# -- 1.4 median_of_medians ------------------------------------------------------------------------


def median_of_medians(songs: list[Tensor]) -> Tensor:
    """Median over each song's windows, then over the songs; NaN left out both times."""
    per_song = torch.stack([song.nanquantile(0.5, dim=1) for song in songs])
    return per_song.nanquantile(0.5, dim=0)


_NAN = float("nan")


def one_song(table: Table) -> None:
    """one song: its median, so one terrible second does no harm"""
    close(table([tensor([[5, 6, -40], [1, 2, 3]])]), tensor([5, 2]), "Median, not mean.")


def even_number(table: Table) -> None:
    """between two middle values, the median is half-way"""
    close(table([tensor([[1, 2, 4, 100]])]), tensor([3]), "Half-way between 2 and 4 is 3.")
    close(table([tensor([[1]]), tensor([[2]])]), tensor([1.5]), "Half-way between the two songs.")


def silent_windows(table: Table) -> None:
    """a window without a score is left out, the song stays"""
    song = tensor([[1, _NAN, 5, 3], [7, _NAN, 9, 8]])
    close(table([song]), tensor([3, 8]), "Leave out NaN: what remains is 1, 5, 3 and 7, 9, 8.")


def silent_song(table: Table) -> None:
    """a song in which a source never plays is left out for that source only"""
    songs = [tensor([[1, 1], [_NAN, _NAN]]), tensor([[3, 3], [4, 4]]), tensor([[8, 8], [6, 6]])]
    close(table(songs), tensor([3, 5]), "Three songs for the first source, two for the second.")


def songs_count_alike(table: Table) -> None:
    """every song counts once, however long it is"""
    songs = [tensor([[9, 9, 9, 9, 9, 9]]), tensor([[1, 2]]), tensor([[2, 3]])]
    close(table(songs), tensor([2.5]), "The medians of the songs are 9, 1.5 and 2.5.")


def every_window_counts(table: Table) -> None:
    """no window is cut off a song that is longer than the others"""
    songs = [tensor([[8, 9, 1, 1, 1]]), tensor([[3, 4]]), tensor([[4, 5, 6]])]
    close(table(songs), tensor([3.5]), "The medians of the songs are 1, 3.5 and 5.")


def sources_stay_apart(table: Table) -> None:
    """one figure per source, even with as many sources as windows and songs"""
    songs = [tensor([[1, 2], [10, 20]]), tensor([[3, 4], [30, 40]])]
    close(table(songs), tensor([2.5, 25]), "Windows are axis 1 of each song.")


MEDIAN_OF_MEDIANS = Exercise(
    name="median_of_medians",
    lesson="01",
    title="From windows to a table",
    reference=median_of_medians,
    properties=(
        one_song,
        even_number,
        silent_windows,
        silent_song,
        songs_count_alike,
        every_window_counts,
        sources_stay_apart,
    ),
    wrong={
        "means": Wrong(
            lambda songs: torch.stack([x.nanmean(1) for x in songs]).nanmean(0),
            "Those are means: one terrible second decides the song. The tables use medians.",
        ),
        "mean_of_medians": Wrong(
            lambda songs: _medians(songs).nanmean(0),
            "Your last step is a mean over songs; papers on MUSDB18 take the median there, too.",
        ),
        "median_of_means": Wrong(
            lambda songs: torch.stack([x.nanmean(1) for x in songs]).nanquantile(0.5, 0),
            "Within a song you average. Take the median over its windows.",
        ),
        "pooled": Wrong(
            lambda songs: torch.cat(songs, 1).nanquantile(0.5, 1),
            "All windows in one pot: long songs count more. One median per song first.",
        ),
        "cut_to_the_shortest": Wrong(
            lambda songs: _medians(
                [x[:, : min(song.shape[1] for song in songs)] for x in songs]
            ).nanquantile(0.5, 0),
            "You cut every song to the length of the shortest. Take each song's median first: "
            "then all are equally long.",
        ),
        "lower_median": Wrong(
            lambda songs: torch.stack([x.nanmedian(1).values for x in songs]).nanmedian(0).values,
            "torch.nanmedian takes the LOWER of two middle values. Use nanquantile(0.5, …), which "
            "goes half-way, as numpy and museval do.",
        ),
        "nan_poisons": Wrong(
            lambda songs: torch.stack([x.quantile(0.5, 1) for x in songs]).quantile(0.5, 0),
            "One NaN spoils all it touches: use nanquantile, which leaves it out.",
        ),
        "nan_poisons_songs": Wrong(
            lambda songs: _medians(songs).quantile(0.5, 0),
            "Over the songs, too, NaN must be left out: a source may be missing from a whole song.",
        ),
        "nan_as_zero": Wrong(
            lambda songs: _medians([x.nan_to_num() for x in songs]).nanquantile(0.5, 0),
            "A window without a score is not a window with 0 dB. Leave it out.",
        ),
        "song_thrown_away": Wrong(
            lambda songs: _medians([x for x in songs if not x.isnan().any()]).nanquantile(0.5, 0),
            "One silent window and the whole song is gone. Leave out the window only.",
        ),
        "over_sources": Wrong(
            lambda songs: torch.stack([x.nanquantile(0.5, 0) for x in songs]).nanquantile(0.5, 0),
            "That is the median over the sources. Windows are axis 1 of each song.",
        ),
    },
    hints=(
        "Two medians, one after the other: first inside each song, then across the songs.",
        "`song.nanquantile(0.5, dim=1)` is the median over windows with NaN left out, [S]. "
        "(`nanmedian` is not the same: it takes the lower of two middle values.)",
        "Collect them with a list comprehension, `torch.stack` them to [songs, S], and take "
        "`nanquantile(0.5, dim=0)`.",
    ),
)


def _medians(songs: list[Tensor]) -> Tensor:
    return torch.stack([x.nanquantile(0.5, 1) for x in songs])


def _energy(wav: Tensor) -> Tensor:
    return wav.square().sum((-2, -1))


EXERCISES = (SI_SDR, MEDIAN_OF_MEDIANS)
