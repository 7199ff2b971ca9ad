"""Exercises 2.4 to 2.6 of lesson 02, the masking limit: what a wrong phase costs."""

from __future__ import annotations

import math

import torch

from demucs_lab.exercises.framework import Exercise, Wrong, close, holds, randn, tensor

# -- 2.4 swap the phase ---------------------------------------------------------------------------


def swap_phase(magnitude_of, phase_of):
    """The magnitude of one cell with the phase of another."""
    direction = torch.sgn(phase_of)
    return magnitude_of.abs() * torch.where(direction == 0, 1.0, direction)


def arrow_by_hand(swap):
    """the magnitude of 2i with the phase of −3 is −2"""
    close(
        swap(tensor([2j]), tensor([-3 + 0j])),
        tensor([-2 + 0j]),
        "The magnitude of one, the phase of the other.",
    )


def keeps_magnitude(swap):
    """every magnitude stays that of the first"""
    a, b = (
        torch.complex(randn(2, 5, 4), randn(2, 5, 4)),
        torch.complex(randn(2, 5, 4), randn(2, 5, 4)),
    )
    close(swap(a, b).abs(), a.abs(), "Each magnitude must be that of `magnitude_of`.")


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


def silence_stays_silent(swap):
    """where the first is silent, the result is silent"""
    got = swap(tensor([0j, 2j]), tensor([3 + 4j, -1 + 0j]))
    close(got, tensor([0j, -2 + 0j]), "A magnitude of 0 has no direction to turn.")


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
        silence_stays_silent,
    ],
    wrong={
        "product": Wrong(
            lambda a, b: a * torch.sgn(b),
            "You multiplied the whole complex number: its own phase is still in it, so the phases "
            "add. Take `.abs()` of the first.",
        ),
        "product_over_magnitude": Wrong(
            lambda a, b: a * b / b.abs(),
            "You multiplied the whole first number: its own phase is still in it. Take `.abs()` of "
            "it. And where the second is zero, b / |b| is 0/0.",
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
        "fills_silence": Wrong(
            lambda a, b: torch.where(a == 0, b, swap_phase(a, b)),
            "Where the first is silent you hand back the second: its magnitude is 0 there, so "
            "the result is 0.",
        ),
        "sign_only": Wrong(
            lambda a, b: (a.abs() * torch.sign(b.real)).to(a),
            "The sign of the real part is only half of a direction: keep the imaginary part.",
        ),
    },
    hints=[
        "Each cell is an arrow. Take the first one's magnitude and the second one's phase.",
        "`x.abs()` is the magnitude, `torch.angle(x)` the phase in radians.",
        "`torch.polar(magnitude, angle)` builds the arrow, magnitude · e^(i·angle).",
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
    close(cost(tensor(60.0)), 0.0, "Draw the triangle: two sides of 1, 60° between them.", 1e-3)


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
            "The magnitude of the error is an amplitude: 20·log10, not 10·log10.",
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
            "For a negative angle you take the logarithm of a negative number: a magnitude is "
            "`.abs()`.",
        ),
        "linear": Wrong(
            lambda degrees: 1 / (2 * torch.sin(torch.deg2rad(torch.as_tensor(degrees)) / 2).abs()),
            "That is the ratio of the magnitudes; 20·log10 makes decibels of it.",
        ),
    },
    hints=[
        "Sound and turned sound are two arrows of magnitude 1, φ apart. The error joins their "
        "tips.",
        "That third side is 2·|sin(φ/2)| long.",
        "SDR = 20·log10(magnitude of the sound / magnitude of the error); the first is 1.",
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

EXERCISES = [SWAP_PHASE, SDR_OF_PHASE_ERROR, SDR_OF_DELAY]
