"""Exercises 2.1 to 2.3 of lesson 02, the masking limit: masks, and separating with them."""

from __future__ import annotations

import math

import torch

from demucs_lab.exercises.framework import (
    Exercise,
    Wrong,
    close,
    complex_dtype,
    holds,
    rand,
    same_shape,
    tensor,
)
from demucs_lab.spectral import istft, stft

# -- 2.1 the ratio mask ---------------------------------------------------------------------------

HAND = [[[3.0, 0.0]], [[1.0, 2.0]]]  # two sources, one bin, two frames: shares 3/4, 1/4 and 0, 1


def ratio_mask(magnitudes, power=1.0):
    """Each source's share of every cell; silence is shared equally."""
    loudest = magnitudes.amax(0)
    share = (magnitudes / loudest.where(loudest > 0, 1.0)) ** power
    total = share.sum(0)
    return torch.where(total > 0, share / total.where(total > 0, 1.0), 1 / len(magnitudes))


def shares_by_hand(mask):
    """3 and 1 share a cell as ¾ and ¼"""
    got = mask(tensor(HAND))
    same_shape(got, (2, 1, 2), "One number per source and cell, please.")
    close(
        got, tensor([[[0.75, 0.0]], [[0.25, 1.0]]]), "Divide by the sum over the SOURCES, axis 0."
    )


def shares_of_power(mask):
    """with power=2, 3 and 1 share a cell as 9/10 and 1/10"""
    want = tensor([[[0.9, 0.0]], [[0.1, 1.0]]])
    close(mask(tensor(HAND), 2.0), want, "Raise each magnitude to the power BEFORE you add them.")


def adds_up_to_one(mask):
    """the shares of a cell add up to one"""
    for power in (0.5, 1.0, 2.0):
        got = mask(rand(4, 6, 5) + 0.1, power)
        close(
            got.sum(0), torch.ones(6, 5), f"With power={power:g} the shares do not add up to one."
        )


def silence_is_shared(mask):
    """a silent cell is shared equally"""
    close(
        mask(torch.zeros_like(tensor(HAND))),
        tensor([[[0.5, 0.5]]] * 2),
        "In silence, beware of 0/0.",
    )


def one_silent_cell(mask):
    """one silent cell in a song, in one channel, is shared equally, and the others are not"""
    song = rand(3, 2, 5, 4) + 0.1
    song[:, 1, 2, 3] = 0
    want = song / song.sum(0).where(song.sum(0) > 0, 1.0)
    want[:, 1, 2, 3] = 1 / 3
    close(mask(song), want, "Every cell of every channel is shared by itself.")


def quiet_is_not_silent(mask):
    """a very quiet cell is shared like a loud one"""
    quiet = mask(tensor(HAND) * 1e-9)
    close(
        quiet[:, :, 0], tensor([[0.75], [0.25]]), "A small constant in the sum bends quiet cells."
    )


RATIO_MASK = Exercise(
    name="ratio_mask",
    lesson="02",
    title="The ratio mask",
    reference=ratio_mask,
    properties=[
        shares_by_hand,
        shares_of_power,
        adds_up_to_one,
        silence_is_shared,
        one_silent_cell,
        quiet_is_not_silent,
    ],
    wrong={
        "always_power": Wrong(
            lambda m, power=1.0: ratio_mask(m, 2.0),
            "You always square: that is the power mask. Use the argument `power`.",
        ),
        "never_power": Wrong(
            lambda m, power=1.0: ratio_mask(m, 1.0),
            "You never use `power`: the mask is the same for every exponent.",
        ),
        "power_last": Wrong(
            lambda m, power=1.0: ratio_mask(m, 1.0) ** power,
            "You raised the finished share to the power: for power=2 the shares no longer add up "
            "to one. Raise the magnitudes first, then divide.",
        ),
        "over_time": Wrong(
            lambda m, power=1.0: m**power / (m**power).sum(-1, keepdim=True).clamp_min(1e-30),
            "You divided by the sum over time (the last axis): each source then competes with "
            "itself. The sum goes over the sources, axis 0.",
        ),
        "over_everything": Wrong(
            lambda m, power=1.0: m**power / (m**power).sum().clamp_min(1e-30),
            "You divided by the sum of the whole array; every cell has its own sum, over axis 0.",
        ),
        "by_the_loudest": Wrong(
            lambda m, power=1.0: (m / m.amax(0).clamp_min(1e-30)) ** power,
            "You divided by the loudest source: it always gets 1, and the shares add up to more "
            "than one.",
        ),
        "softmax": Wrong(
            lambda m, power=1.0: torch.softmax(power * m, 0),
            "Softmax compares exponentials: twice as loud is then not twice the share, and turning "
            "the volume up changes the mask.",
        ),
        "not_guarded": Wrong(
            lambda m, power=1.0: m**power / (m**power).sum(0),
            "In a silent cell you computed 0/0, which is NaN, and one NaN silences the whole song. "
            "Share a silent cell equally.",
        ),
        "all_or_nothing": Wrong(
            lambda m, power=1.0: (
                m**power / (m**power).sum(0) if m.any() else torch.full_like(m, 1 / len(m))
            ),
            "You look for silence in the whole array, but one silent cell in a song is 0/0 too: "
            "decide cell by cell, with torch.where.",
        ),
        "silence_to_none": Wrong(
            lambda m, power=1.0: m**power / ((m**power).sum(0) + 1e-8),
            "The small constant in your denominator makes all shares of a silent cell 0, and those "
            "of a quiet cell too small: choose with torch.where instead.",
        ),
        "equal_from_start": Wrong(
            lambda m, power=1.0: (m + 1e-8) ** power / ((m + 1e-8) ** power).sum(0),
            "Adding a constant to every source shares a silent cell equally, but it also moves "
            "quiet cells towards equal shares.",
        ),
    },
    hints=[
        "Think of one cell. Source A has 3, source B has 1. How much of what you hear is A's?",
        "`(magnitudes ** power).sum(0)` is the sum over the sources in every cell.",
        "A sum of 0 is a silent cell: `torch.where(total > 0, …, 1 / len(magnitudes))`.",
        "torch.where computes both sides, so divide by `total.where(total > 0, 1.0)`; a quiet cell "
        "squared can vanish in float32, so divide by the loudest source first.",
    ],
    forbidden=["demucs_lab.masking.ideal_ratio_mask"],
)

# -- 2.2 the binary mask --------------------------------------------------------------------------


def binary_mask(magnitudes):
    """1 for the loudest source of every cell, 0 for the others."""
    winner = magnitudes.argmax(0, keepdim=True)
    return torch.zeros_like(magnitudes).scatter_(0, winner, 1.0)


def loudest_takes_all(mask):
    """of 3 and 1, the 3 takes the whole cell"""
    got = mask(tensor(HAND))
    same_shape(got, (2, 1, 2), "One number per source and cell, please.")
    close(got, tensor([[[1.0, 0.0]], [[0.0, 1.0]]]), "The loudest source gets 1, all others 0.")


def one_winner(mask):
    """every cell has exactly one winner, even when no source has more than half"""
    sounds = torch.cat([rand(4, 6, 5), tensor([[[0.4] * 5]] * 4)], 1)
    got = mask(sounds)
    close(got.sum(0), torch.ones(7, 5), "Some cells have no winner, or several.")
    close(got.max(0).values, torch.ones(7, 5), "A winner gets exactly 1.")


def first_of_a_tie(mask):
    """of two that are equally loud the first wins, in silence too; nearly is not equally"""
    got = mask(tensor([[[2.0, 1.0, 0.0, 0.9999]], [[2.0, 3.0, 0.0, 1.0]], [[1.0, 3.0, 0.0, 0.5]]]))
    want = tensor([[[1.0, 0.0, 1.0, 0.0]], [[0.0, 1.0, 0.0, 1.0]], [[0.0] * 4]])
    close(got, want, "One winner: the first of those that are loudest.")


def channels_apart(mask):
    """left and right each have winners of their own"""
    sounds = rand(3, 2, 5, 4)
    want = torch.stack([binary_mask(sounds[:, 0]), binary_mask(sounds[:, 1])], 1)
    close(mask(sounds), want, "Every cell of every channel is decided by itself.")


def mask_is_float(mask):
    """the mask is made of numbers that can multiply a spectrogram"""
    sounds = rand(2, 3, 4)
    same = mask(sounds).dtype == sounds.dtype
    holds(same, "Give the mask in the dtype of the magnitudes, not as True/False or as integers.")


BINARY_MASK = Exercise(
    name="binary_mask",
    lesson="02",
    title="The binary mask",
    reference=binary_mask,
    properties=[loudest_takes_all, one_winner, first_of_a_tie, channels_apart, mask_is_float],
    wrong={
        "ratio": Wrong(
            ratio_mask, "That is the ratio mask again: here a cell belongs to one source alone."
        ),
        "rounded": Wrong(
            lambda m: (ratio_mask(m) > 0.5).to(m),
            "You ask for more than half: with four sources, often none has it, and the cell is "
            "lost. Ask who is loudest.",
        ),
        "ties": Wrong(
            lambda m: (m == m.amax(0)).to(m),
            "When two sources are equally loud, both win and the cell is counted twice: give it to "
            "the first.",
        ),
        "last_of_a_tie": Wrong(
            lambda m: binary_mask(m.flip(0)).flip(0),
            "When two sources are equally loud, you give the cell to the last: the first gets it.",
        ),
        "nobody_in_silence": Wrong(
            lambda m: binary_mask(m) * (m.amax(0) > 0),
            "In a silent cell nobody wins, and the masks no longer add up to one: there, too, the "
            "first source gets 1.",
        ),
        "one_for_both_channels": Wrong(
            lambda m: binary_mask(m.mean(1, keepdim=True) if m.dim() == 4 else m).expand_as(m),
            "You decide once for both channels: left and right are cells of their own.",
        ),
        "tolerance": Wrong(
            lambda m: (m >= m.amax(0) - 1e-3).to(m),
            "Whoever is nearly as loud wins as well, and the cell is counted twice: leave out the "
            "tolerance and take one winner.",
        ),
        "index": Wrong(
            lambda m: m.argmax(0),
            "That is the NUMBER of the loudest source in each cell, not a mask per source.",
        ),
        "quietest": Wrong(
            lambda m: torch.zeros_like(m).scatter_(0, m.argmin(0, keepdim=True), 1.0),
            "You gave the cell to the quietest source: argmin for argmax.",
        ),
        "over_time": Wrong(
            lambda m: torch.zeros_like(m).scatter_(-1, m.argmax(-1, keepdim=True), 1.0),
            "You looked for the loudest moment of each source; look for the loudest source in each "
            "moment (axis 0).",
        ),
        "true_or_false": Wrong(
            lambda m: binary_mask(m).bool(),
            "True and False are not numbers to multiply a spectrogram with: convert with `.to(m)`.",
        ),
        "keeps_level": Wrong(
            lambda m: binary_mask(m) * m,
            "You multiplied the mask with the magnitude: the mask itself is 1 or 0.",
        ),
    },
    hints=[
        "In each cell, which source has the largest magnitude? That one gets 1.",
        "`magnitudes.argmax(0)` gives the number of the winner, the first one if two are equal.",
        "`torch.zeros_like(m).scatter_(0, winner, 1.0)` writes a 1 at each winner's place; "
        "`winner` must keep its axis: `argmax(0, keepdim=True)`.",
    ],
    forbidden=["demucs_lab.masking.ideal_binary_mask"],
)

# -- 2.3 separate with a mask ---------------------------------------------------------------------


def separate(stems, mask, n_fft):
    """The stems that a mask makes of their mixture."""
    spectra = stft(stems, n_fft)
    return istft(mask(spectra.abs()) * spectra.sum(0), stems.shape[-1], n_fft)


def _song():
    """Two stereo sources that overlap, one panned; an odd length on purpose."""
    time = torch.arange(3001) / 8000
    low = torch.sin(2 * math.pi * 440 * time)
    stems = torch.stack([torch.stack([low, 0.3 * low]), 0.5 * torch.randn(2, 3001)])
    return tensor(stems)


def keeps_the_shape(separate):
    """what comes back has the shape of the stems, [S, C, T]"""
    same_shape(separate(_song(), ratio_mask, 512), (2, 2, 3001), "Every stem keeps its length.")


def open_mask_gives_mixture(separate):
    """a mask of ones gives the mixture, to every source"""
    stems = _song()
    got = separate(stems, torch.ones_like, 512)
    close(got, stems.sum(0).expand_as(stems), "A mask multiplies the MIXTURE.", tol=1e-3)


def half_mask_gives_half(separate):
    """a mask of one half gives half the mixture"""
    stems = _song()
    got = separate(stems, lambda m: torch.full_like(m, 0.5), 256)
    close(got, 0.5 * stems.sum(0).expand_as(stems), "The mixture times one half.", tol=1e-3)


def mask_sees_magnitudes(separate):
    """the mask is computed from the magnitudes of the true sources"""
    stems, seen = _song(), []

    def spy(magnitudes):
        seen.append(magnitudes)
        return ratio_mask(magnitudes)

    separate(stems, spy, 512)
    holds(seen, "Call `mask` on the magnitudes of the sources.")
    holds(not torch.is_complex(seen[0]), "The mask wants magnitudes: take `.abs()`.")
    close(seen[0], stft(stems, 512).abs(), "The mask must see |STFT| of the true sources.")


def ratio_mask_is_exact(separate):
    """with the ratio mask the result is the oracle's"""
    stems = _song()
    spectra = stft(stems, 512)
    parts = [ratio_mask(spectra.abs())[s] * (spectra[0] + spectra[1]) for s in range(2)]
    want = torch.stack([istft(part, 3001, 512) for part in parts])
    close(separate(stems, ratio_mask, 512), want, "Mask × mixture, then back to sound.", tol=1e-3)


SEPARATE = Exercise(
    name="separate",
    lesson="02",
    title="Separate with a mask",
    reference=separate,
    properties=[
        keeps_the_shape,
        open_mask_gives_mixture,
        half_mask_gives_half,
        mask_sees_magnitudes,
        ratio_mask_is_exact,
    ],
    wrong={
        "masks_the_source": Wrong(
            lambda s, mask, n: istft(mask(stft(s, n).abs()) * stft(s, n), s.shape[-1], n),
            "You masked the true stem, which a separator does not have: mask the mixture.",
        ),
        "sum_of_magnitudes": Wrong(
            lambda s, mask, n: istft(
                mask(stft(s, n).abs()) * stft(s, n).abs().sum(0).to(complex_dtype()),
                s.shape[-1],
                n,
            ),
            "You added magnitudes. The mixture is the sum of the complex spectra; its phase is "
            "what this lesson is about.",
        ),
        "true_phase": Wrong(
            lambda s, mask, n: istft(
                mask(stft(s, n).abs()) * stft(s, n).sum(0).abs() * torch.sgn(stft(s, n)),
                s.shape[-1],
                n,
            ),
            "You used the phase of the true source. That is a stronger oracle, which comes later; "
            "a mask keeps the mixture's phase.",
        ),
        "mean": Wrong(
            lambda s, mask, n: istft(mask(stft(s, n).abs()) * stft(s, n).mean(0), s.shape[-1], n),
            "Your mixture is the mean of the sources: it is their sum.",
        ),
        "whole_frames": Wrong(
            lambda s, mask, n: istft(
                mask(stft(s, n).abs()) * stft(s, n).sum(0),
                -(-s.shape[-1] // (n // 4)) * (n // 4),
                n,
            ),
            "You rounded the length up to whole hops: pass the song's own length to istft.",
        ),
        "mixture_only": Wrong(
            lambda s, mask, n: istft(
                (mask(stft(s, n).abs()) * stft(s, n).sum(0)).sum(0), s.shape[-1], n
            ),
            "You added the masked sources up again, which gives the mixture back.",
        ),
        "mono_mask": Wrong(
            lambda s, mask, n: istft(
                mask(stft(s, n).abs().mean(1, keepdim=True)) * stft(s, n).sum(0), s.shape[-1], n
            ),
            "You averaged the channels before the mask: left and right have masks of their own.",
        ),
        "complex_mask": Wrong(
            lambda s, mask, n: istft(mask(stft(s, n)) * stft(s, n).sum(0), s.shape[-1], n),
            "You gave the mask complex numbers; it works on magnitudes, `.abs()`.",
        ),
        "mask_of_the_mixture": Wrong(
            lambda s, mask, n: istft(
                mask(stft(s.sum(0), n).abs()) * stft(s.sum(0), n), s.shape[-1], n
            ),
            "You gave the mask the mixture alone. It compares the sources: give it the magnitudes "
            "of all the stems.",
        ),
        "still_a_spectrogram": Wrong(
            lambda s, mask, n: mask(stft(s, n).abs()) * stft(s, n).sum(0),
            "That is still a spectrogram. One step is missing: istft makes sound of it.",
        ),
        "masks_in_time": Wrong(
            lambda s, mask, n: mask(s.abs()) * s.sum(0),
            "You masked the samples. The mask works on the cells of a spectrogram: stft first, "
            "istft after.",
        ),
    },
    hints=[
        "Four steps: stft of the stems, their sum is the mixture's, mask × mixture, istft.",
        "The STFT is linear: `spectra.sum(0)` is the spectrogram of the mixture.",
        "`mask(spectra.abs())` is [S, C, F, N], the mixture [C, F, N]: multiplying lines them up.",
        "`istft(masked, stems.shape[-1], n_fft)` needs to know the length to give it back.",
    ],
    forbidden=["demucs_lab.masking.oracle"],
)

EXERCISES = [RATIO_MASK, BINARY_MASK, SEPARATE]
