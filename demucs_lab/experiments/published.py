"""What the papers found, as entries that stand beside our own results (lesson 11).

Scores on MUSDB18 are SDR by BSSEval v4, the mean over sources of medians over songs, in dB. The
tables of arXiv:1911.13254 are recomputed from the results that its authors keep with their code.
"""

from __future__ import annotations

from dataclasses import dataclass

V1 = (
    "arXiv:1911.13254, edition of 2019: table of ablations, recomputed from the results in "
    "facebookresearch/demucs, branch v1"
)
V2 = (
    "arXiv:1911.13254, edition of 2021: table of ablations, recomputed from the results in "
    "facebookresearch/demucs, branch v2"
)
V2_SEEDS = " (one seed; seeds of the reference span 6.23 to 6.36)"
HYBRID = "arXiv:2111.03600, table {}"
TRANSFORMER = "arXiv:2211.08553, table {}"
RELEASE_NOTES = "release notes of facebookresearch/demucs, branch v2"


@dataclass(frozen=True)
class Published:
    """A published figure.

    Attributes:
        variant: of our experiment that it speaks of; "" where none does.
        value: its score in dB, where one is given.
        reference: the score that it was compared with, where one is given.
        difference: in dB, where it was published as a difference or two scores give it.
        what: what was measured, on what.
        source: where it stands.
    """

    variant: str
    value: float | None
    reference: float | None
    difference: float | None
    what: str
    source: str


def pair(variant: str, value: float, reference: float, what: str, source: str) -> Published:
    """Two scores of one table, and their difference."""
    return Published(variant, value, reference, round(value - reference, 2), what, source)


def alone(variant: str, value: float, what: str, source: str) -> Published:
    """A score whose reference we cannot name."""
    return Published(variant, value, None, None, what, source)


PUBLISHED: dict[str, tuple[Published, ...]] = {
    "glu": (
        pair("ReLU", 5.92, 6.28, "Demucs, 64 channels, ReLU for GLU" + V2_SEEDS, V2),
        pair("ReLU", 5.19, 5.58, "Demucs, 100 channels, ReLU for GLU", V1),
    ),
    "rescale": (
        pair("off", 5.88, 6.28, "Demucs, 64 channels, no rescaling" + V2_SEEDS, V2),
        pair("off", 4.94, 5.58, "Demucs, 100 channels, no rescaling", V1),
    ),
    "lstm": (
        pair("off", 5.40, 6.28, "Demucs, 64 channels, no LSTM" + V2_SEEDS, V2),
        pair("off", 5.12, 5.58, "Demucs, 100 channels, no LSTM", V1),
        pair("off", 6.44, 6.83, "improved time-only Demucs, no LSTM", HYBRID.format(7)),
    ),
    "skips": (),
    "loss": (
        pair("L2", 5.99, 6.28, "Demucs, 64 channels, squared error" + V2_SEEDS, V2),
        pair("L2", 5.55, 5.58, "Demucs, 100 channels, squared error", V1),
    ),
    "augmentation": (
        pair(
            "", 6.28, 5.80,
            "Demucs, 64 channels, with pitch and tempo against all else without them" + V2_SEEDS,
            V2,
        ),
        pair(
            "", 5.73, 5.73,
            "Conv-TasNet with pitch and tempo (2021) against before (2019), other changes too", V2,
        ),
        alone("", 8.00, "HT Demucs with 800 songs more, no remix", TRANSFORMER.format(3)),
        alone("", 8.65, "HT Demucs with 800 songs more, no pitch and tempo", TRANSFORMER.format(3)),
    ),
    "models": (
        pair("Conv-TasNet", 5.73, 6.28, "Conv-TasNet against Demucs, MUSDB18 only", V2),
        pair(
            "HDemucs", 7.68, 6.28, "Hybrid Demucs against Demucs, MUSDB18-HQ only",
            HYBRID.format(3),
        ),
        alone("HTDemucs", 7.52, "HT Demucs, MUSDB18-HQ only", TRANSFORMER.format(1)),
    ),
    "shifts": (
        pair("10", 6.28, 6.05, "Demucs, 64 channels, 10 shifts against none", V2),
    ),
    "overlap": (
        Published(
            "", None, None, 0.3,
            "Conv-TasNet, segments that overlap by 25 % and are blended, against segments that "
            "do not",
            RELEASE_NOTES,
        ),
    ),
    "resample": (
        pair(
            "inside", 6.28, 6.03,
            "Demucs, 64 channels, twice the rate inside against its own rate", V2,
        ),
    ),
    "cross-attention": (),
    "branches": (
        pair(
            "time only", 7.27, 7.34, "bag of time-only models against bag of hybrid models",
            HYBRID.format(6),
        ),
        alone("", 7.64, "bag of both kinds of models", HYBRID.format(6)),
    ),
}  # fmt: skip

NOTES: dict[str, str] = {
    "skips": "None published: no edition of arXiv:1911.13254 has a run without skips.",
    "loss": "None published for SI-SDR on music: its fame comes from speech (arXiv:1809.07454).",
    "augmentation": "None published for all augmentations at once.",
    "overlap": "None published for Demucs, which its authors ran over whole songs.",
    "cross-attention": "None published: arXiv:2211.08553 has no run without cross-attention.",
    "branches": "None published for a frequency-only model.",
}
"""Why there is no published figure, by experiment."""
