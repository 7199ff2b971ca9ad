"""Exercises and predictions of lesson 02, the masking limit."""

from __future__ import annotations

import math

import torch

from demucs_lab.exercises.framework import (
    Exercise,
    Prediction,
    Wrong,
    close,
    complex_dtype,
    holds,
    rand,
    randn,
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
    """masks add up to one where somebody plays"""
    for power in (0.5, 1.0, 2.0):
        got = mask(rand(4, 6, 5) + 0.1, power)
        close(
            got.sum(0), torch.ones(6, 5), f"With power={power:g} the shares do not add up to one."
        )


def silence_is_shared(mask):
    """a cell where nobody plays is shared equally"""
    close(
        mask(torch.zeros_like(tensor(HAND))), tensor([[[0.5, 0.5]]] * 2), "In silence, 0/0 waits."
    )


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
            "Where nobody plays you computed 0/0, which is NaN, and one NaN silences the whole "
            "song. Give that cell back in equal shares.",
        ),
        "silence_to_nobody": Wrong(
            lambda m, power=1.0: m**power / ((m**power).sum(0) + 1e-8),
            "The small constant in your denominator gives silence to nobody and bends every quiet "
            "cell: choose with torch.where instead.",
        ),
        "equal_from_start": Wrong(
            lambda m, power=1.0: (m + 1e-8) ** power / ((m + 1e-8) ** power).sum(0),
            "Adding a constant to every source shares silence well, but it bends quiet cells "
            "towards equal shares.",
        ),
    },
    hints=[
        "Think of one cell. Source A has 3, source B has 1. How much of what you hear is A's?",
        "`(magnitudes ** power).sum(0)` is the sum over the sources in every cell.",
        "Where that sum is 0, nobody plays: `torch.where(total > 0, …, 1 / len(magnitudes))`.",
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
    """every cell has exactly one winner, even when nobody has more than half"""
    sounds = torch.cat([rand(4, 6, 5), tensor([[[0.4] * 5]] * 4)], 1)
    got = mask(sounds)
    close(got.sum(0), torch.ones(7, 5), "Some cells have no winner, or several.")
    close(got.max(0).values, torch.ones(7, 5), "A winner gets exactly 1.")


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
    properties=[loudest_takes_all, one_winner, mask_is_float],
    wrong={
        "ratio": Wrong(
            ratio_mask, "That is the ratio mask again: here a cell belongs to one source alone."
        ),
        "rounded": Wrong(
            lambda m: (ratio_mask(m) > 0.5).to(m),
            "You ask for more than half: with four sources, often nobody has it, and the cell is "
            "lost. Ask who is loudest.",
        ),
        "ties": Wrong(
            lambda m: (m == m.amax(0)).to(m),
            "When two sources are equally loud, both win and the cell is counted twice: give it to "
            "the first.",
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
            "You masked the true source, which nobody has: the mask multiplies the mixture.",
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

# -- 2.4 swap the phase ---------------------------------------------------------------------------


def swap_phase(magnitude_of, phase_of):
    """The length of one arrow in the direction of another."""
    direction = torch.sgn(phase_of)
    return magnitude_of.abs() * torch.where(direction == 0, 1.0, direction)


def arrow_by_hand(swap):
    """the length of 2i in the direction of −3 is −2"""
    close(
        swap(tensor([2j]), tensor([-3 + 0j])),
        tensor([-2 + 0j]),
        "Length of one, direction of other.",
    )


def keeps_magnitude(swap):
    """every magnitude stays that of the first"""
    a, b = (
        torch.complex(randn(2, 5, 4), randn(2, 5, 4)),
        torch.complex(randn(2, 5, 4), randn(2, 5, 4)),
    )
    close(swap(a, b).abs(), a.abs(), "The length of each arrow must be that of `magnitude_of`.")


def takes_phase(swap):
    """every phase becomes that of the second"""
    a, b = (
        torch.complex(randn(2, 5, 4), randn(2, 5, 4)),
        torch.complex(randn(2, 5, 4), randn(2, 5, 4)),
    )
    turned = swap(a, b) * b.conj()
    close(turned.imag, torch.zeros(2, 5, 4), "The result and `phase_of` must point the same way.")
    holds((turned.real > 0).all(), "The result points the opposite way of `phase_of`.")


def same_phase_changes_nothing(swap):
    """a spectrogram with its own phase is itself"""
    a = torch.complex(randn(3, 4), randn(3, 4))
    close(swap(a, a), a, "swap_phase(x, x) must be x.")


def zero_has_no_direction(swap):
    """where the second is zero, the magnitude survives"""
    zero = tensor([0j, 1j])
    close(
        swap(tensor([3 + 4j, 1 + 0j]), zero),
        tensor([5 + 0j, 1j]),
        "Zero points nowhere: use phase 0.",
    )


SWAP_PHASE = Exercise(
    name="swap_phase",
    lesson="02",
    title="Swap the phase",
    reference=swap_phase,
    properties=[
        arrow_by_hand,
        keeps_magnitude,
        takes_phase,
        same_phase_changes_nothing,
        zero_has_no_direction,
    ],
    wrong={
        "product": Wrong(
            lambda a, b: a * torch.sgn(b),
            "You multiplied the whole complex number: its own phase is still in it, so the phases "
            "add. Take `.abs()` of the first.",
        ),
        "swapped": Wrong(
            lambda a, b: swap_phase(b, a),
            "Magnitude and phase are the other way round.",
        ),
        "angle_as_factor": Wrong(
            lambda a, b: (a.abs() * torch.angle(b)).to(a),
            "You multiplied with the angle itself. A phase is a direction: e^(i·angle), which "
            "torch.polar builds.",
        ),
        "degrees": Wrong(
            lambda a, b: torch.polar(a.abs(), torch.rad2deg(torch.angle(b))),
            "torch.polar wants radians, and you gave it degrees.",
        ),
        "conjugate": Wrong(
            lambda a, b: swap_phase(a, b.conj()),
            "Your phase has the wrong sign: e^(−i·angle) for e^(i·angle).",
        ),
        "not_normalised": Wrong(
            lambda a, b: a.abs() * b,
            "You multiplied with the whole second spectrogram: its magnitude must go, only its "
            "direction stays.",
        ),
        "not_guarded": Wrong(
            lambda a, b: a.abs() * b / b.abs(),
            "Where the second is zero you divided 0 by 0. torch.polar and torch.angle take care of "
            "it: the angle of zero is 0.",
        ),
        "loses_silence": Wrong(
            lambda a, b: a.abs() * torch.sgn(b),
            "torch.sgn(0) is 0, so where the second is silent you lost the first: use phase 0.",
        ),
        "sign_only": Wrong(
            lambda a, b: (a.abs() * torch.sign(b.real)).to(a),
            "The sign of the real part is only half of a direction: keep the imaginary part.",
        ),
    },
    hints=[
        "Each cell is an arrow. Keep the first arrow's length, the second arrow's direction.",
        "`x.abs()` is the length, `torch.angle(x)` the direction in radians.",
        "`torch.polar(length, angle)` builds the arrow, length · e^(i·angle).",
    ],
    forbidden=["demucs_lab.masking.swap_phase"],
)

# -- 2.5 what a phase error costs -----------------------------------------------------------------


def sdr_of_phase_error(degrees):
    """SDR in dB of a sound whose phase is wrong by so many degrees."""
    half = torch.deg2rad(torch.as_tensor(degrees)) / 2
    return -20 * torch.log10(2 * torch.sin(half).abs())


def sixty_degrees(cost):
    """60° wrong leaves an error as large as the sound: 0 dB"""
    close(
        cost(tensor(60.0)), 0.0, "Draw the triangle: two sides of length 1, 60° between them.", 1e-3
    )


def opposite(cost):
    """180° wrong is an error of twice the sound: −6.02 dB"""
    close(cost(tensor(180.0)), -20 * math.log10(2), "The error is 2, its level 20·log10(2).", 1e-3)


def small_angles(cost):
    """1° costs 35.16 dB, 10° 15.17 dB: measured on a sine"""
    time = torch.arange(48000, dtype=torch.float64) / 48000
    for degrees in (1.0, 10.0, 90.0):
        tone = torch.sin(2 * math.pi * 1000 * time)
        turned = torch.sin(2 * math.pi * 1000 * time + math.radians(degrees))
        want = 10 * math.log10(float((tone**2).sum() / ((tone - turned) ** 2).sum()))
        close(cost(tensor(degrees)), want, f"A sine turned by {degrees:g}° says otherwise.", 1e-3)


def either_direction(cost):
    """turning left or right costs the same"""
    close(
        cost(tensor([-40.0, 320.0])),
        cost(tensor([40.0, 40.0])),
        "±40° and 320° are one error.",
        1e-3,
    )


SDR_OF_PHASE_ERROR = Exercise(
    name="sdr_of_phase_error",
    lesson="02",
    title="What a phase error costs",
    reference=sdr_of_phase_error,
    properties=[sixty_degrees, opposite, small_angles, either_direction],
    wrong={
        "radians": Wrong(
            lambda degrees: -20 * torch.log10(2 * torch.sin(torch.as_tensor(degrees) / 2).abs()),
            "torch.sin wants radians: convert with torch.deg2rad.",
        ),
        "ten": Wrong(
            lambda degrees: 0.5 * sdr_of_phase_error(degrees),
            "The length of the error is an amplitude: 20·log10, not 10·log10.",
        ),
        "whole_angle": Wrong(
            lambda degrees: (
                -20 * torch.log10(torch.sin(torch.deg2rad(torch.as_tensor(degrees))).abs())
            ),
            "sin φ is the height of the triangle, not its third side, which is 2·sin(φ/2).",
        ),
        "arc": Wrong(
            lambda degrees: -20 * torch.log10(torch.deg2rad(torch.as_tensor(degrees)).abs()),
            "You measured along the arc: fine for 1°, wrong for 60°. The error is the straight "
            "line, 2·sin(φ/2).",
        ),
        "sign": Wrong(
            lambda degrees: -sdr_of_phase_error(degrees),
            "The sign is turned round: a larger error is a lower SDR.",
        ),
        "no_two": Wrong(
            lambda degrees: sdr_of_phase_error(degrees) + 20 * math.log10(2),
            "You lost the factor 2: the third side of the triangle is 2·sin(φ/2).",
        ),
        "natural_log": Wrong(
            lambda degrees: sdr_of_phase_error(degrees) * math.log(10),
            "That is the natural logarithm; decibels use log10.",
        ),
        "no_abs": Wrong(
            lambda degrees: (
                -20 * torch.log10(2 * torch.sin(torch.deg2rad(torch.as_tensor(degrees)) / 2))
            ),
            "For a negative angle you take the logarithm of a negative number: a length is "
            "`.abs()`.",
        ),
        "linear": Wrong(
            lambda degrees: 1 / (2 * torch.sin(torch.deg2rad(torch.as_tensor(degrees)) / 2).abs()),
            "That is the ratio of the lengths; 20·log10 makes decibels of it.",
        ),
    },
    hints=[
        "Sound and turned sound are two arrows of length 1, φ apart. The error joins their tips.",
        "That third side has length 2·|sin(φ/2)|.",
        "SDR = 20·log10(length of the sound / length of the error), the first being 1.",
    ],
)

# -- 2.6 what a delay costs -----------------------------------------------------------------------


def sdr_of_delay(seconds, hz):
    """SDR in dB of a tone that comes too late."""
    return sdr_of_phase_error(360 * torch.as_tensor(hz) * torch.as_tensor(seconds))


def _measured(seconds, hz):
    time = torch.arange(96000, dtype=torch.float64) / 96000
    tone = torch.sin(2 * math.pi * hz * time)
    late = torch.sin(2 * math.pi * hz * (time - seconds))
    return 10 * math.log10(float((tone**2).sum() / ((tone - late) ** 2).sum()))


def low_and_high(cost):
    """27.8 µs late: 35.2 dB at 100 Hz, 3.3 dB at 4 kHz, measured on sines"""
    late = 1 / 36000
    for hz in (100.0, 4000.0):
        want = _measured(late, hz)
        close(cost(tensor(late), tensor(hz)), want, f"A sine of {hz:g} Hz says otherwise.", 1e-3)


def same_turn_same_cost(cost):
    """a tenth of a period costs the same at every pitch"""
    hz = tensor([50.0, 500.0, 5000.0])
    close(
        cost(0.1 / hz, hz),
        tensor([_measured(0.002, 50.0)] * 3),
        "It is the turn that counts.",
        1e-3,
    )


def early_or_late(cost):
    """early costs what late does, and a late period plus a bit costs that bit"""
    got = cost(tensor([-0.0003, 0.0103]), tensor([100.0, 100.0]))
    close(
        got, tensor([_measured(0.0003, 100.0)] * 2), "A whole period late is not late at all.", 1e-3
    )


SDR_OF_DELAY = Exercise(
    name="sdr_of_delay",
    lesson="02",
    title="What a delay costs",
    reference=sdr_of_delay,
    properties=[low_and_high, same_turn_same_cost, early_or_late],
    wrong={
        "radians_as_degrees": Wrong(
            lambda seconds, hz: sdr_of_phase_error(2 * math.pi * hz * seconds),
            "2πft is the turn in radians; sdr_of_phase_error wants degrees, 360·f·t.",
        ),
        "half_turn": Wrong(
            lambda seconds, hz: sdr_of_phase_error(180 * hz * seconds),
            "A period is a whole turn, 360°, not 180°.",
        ),
        "upside_down": Wrong(
            lambda seconds, hz: sdr_of_phase_error(360 * seconds / hz),
            "You divided by the frequency: the higher the tone, the LARGER its turn in a given "
            "time.",
        ),
        "milliseconds": Wrong(
            lambda seconds, hz: sdr_of_phase_error(0.36 * hz * seconds),
            "The delay comes in seconds, not in milliseconds.",
        ),
        "no_frequency": Wrong(
            lambda seconds, hz: sdr_of_phase_error(360 * 1000 * seconds + 0 * hz),
            "Your answer does not depend on the frequency: the same delay is a larger part of a "
            "shorter period.",
        ),
        "distance": Wrong(
            lambda seconds, hz: sdr_of_phase_error(343 * hz * seconds),
            "343 is the speed of sound: that gives metres. A turn needs no distance, only 360·f·t.",
        ),
        "whole_samples": Wrong(
            lambda seconds, hz: sdr_of_phase_error(360 * hz * torch.round(seconds * 44100) / 44100),
            "You rounded the delay to whole samples; a sine can be late by any time.",
        ),
        "small_turn": Wrong(
            lambda seconds, hz: -20 * torch.log10((2 * math.pi * hz * seconds).abs()),
            "You took the small-angle shortcut, which fails once the turn is large: use "
            "sdr_of_phase_error.",
        ),
    },
    hints=[
        "How long is one period of f hertz? What part of it is the delay?",
        "One period is 360°, and lasts 1/f seconds: the turn is 360·f·t degrees.",
        "`sdr_of_phase_error` does the rest.",
    ],
)

EXERCISES = [
    RATIO_MASK,
    BINARY_MASK,
    SEPARATE,
    SWAP_PHASE,
    SDR_OF_PHASE_ERROR,
    SDR_OF_DELAY,
]

PREDICTIONS = [
    Prediction(
        name="bass_ceiling",
        lesson="02",
        question=(
            "The mask is computed from the true stems: nothing is guessed. What SDR will the bass "
            "have?"
        ),
        options={
            "a": "infinite: with the answer known, nothing can go wrong",
            "b": "30 to 60 dB: only rounding and the window are left",
            "c": "5 to 15 dB: a clearly audible error",
            "d": "about 0 dB: no better than silence",
        },
        answer="c",
        why={
            "a": "A mask may only turn a cell of the mixture up or down. What two sources share in "
            "a cell stays mixed, whoever computes the mask.",
            "b": "The STFT is inverted to within float precision (over 100 dB). What is lost is "
            "lost in the cells that two sources share, and those are many.",
            "c": "About ten decibels, as the next cells measure: an error a third as large as the "
            "bass itself, with the answer known.",
            "d": "Silence scores 0 dB. A mask is much better than that: most cells belong mostly "
            "to one source.",
        },
    ),
    Prediction(
        name="phase_myth",
        lesson="02",
        question=("Two tones, 100 Hz and 4 kHz, are both turned by 10°. Which one loses more SDR?"),
        options={
            "a": "the 100 Hz tone: a low tone's degree is a longer way",
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
            "d": "It is the length of the source's shadow on the mixture's arrow, cut to [0, 1]: "
            "in each cell no other number in that range is closer.",
        },
    ),
    Prediction(
        name="oracle_beaten",
        lesson="02",
        question="A model scores higher than the IRM on bass. What follows?",
        options={
            "a": "the measurement is wrong: an oracle cannot be beaten",
            "b": "the model is not bound to real masks with the mixture's phase",
            "c": "the model has seen the test songs",
        },
        answer="b",
        why={
            "a": "The oracle bounds one KIND of method: real masks in [0, 1] at one STFT, with the "
            "mixture's phase. Others are not bound by it.",
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
            "c": "a longer window hears more of the song at once",
        },
        answer="a",
        why={
            "a": "Bins become narrower, so fewer cells are shared. Beyond a few hundred "
            "milliseconds a cell lasts so long that notes and attacks share it in time instead.",
            "b": "Rounding lies over 100 dB below; it plays no part here.",
            "c": "A cell still knows nothing of its neighbours: each is masked alone.",
        },
    ),
]
