"""The figures, typed anew from the tables; a slip of the pen would have to be made twice."""

import pytest

from demucs_lab.experiments import EXPERIMENTS, PUBLISHED
from demucs_lab.experiments.published import NOTES

# experiment, score, the score it was compared with, difference, where
TABLE = [
    ("glu", 5.92, 6.28, -0.36, "branch v2"),
    ("glu", 5.19, 5.58, -0.39, "branch v1"),
    ("rescale", 5.88, 6.28, -0.40, "branch v2"),
    ("rescale", 4.94, 5.58, -0.64, "branch v1"),
    ("lstm", 5.40, 6.28, -0.88, "branch v2"),
    ("lstm", 5.12, 5.58, -0.46, "branch v1"),
    ("lstm", 6.44, 6.83, -0.39, "2111.03600, table 7"),
    ("loss", 5.99, 6.28, -0.29, "branch v2"),
    ("loss", 5.55, 5.58, -0.03, "branch v1"),
    ("augmentation", 6.28, 5.80, 0.48, "branch v2"),
    ("augmentation", 5.73, 5.73, 0.0, "branch v2"),
    ("augmentation", 8.00, None, None, "2211.08553, table 3"),
    ("augmentation", 8.65, None, None, "2211.08553, table 3"),
    ("models", 5.73, 6.28, -0.55, "branch v2"),
    ("models", 7.68, 6.28, 1.40, "2111.03600, table 3"),
    ("models", 7.52, None, None, "2211.08553, table 1"),
    ("shifts", 6.28, 6.05, 0.23, "branch v2"),
    ("overlap", None, None, 0.3, "release notes"),
    ("resample", 6.28, 6.03, 0.25, "branch v2"),
    ("branches", 7.27, 7.34, -0.07, "2111.03600, table 6"),
    ("branches", 7.64, None, None, "2111.03600, table 6"),
]


def test_they_are_those_of_the_tables():
    found = [
        (name, entry.value, entry.reference, entry.difference, entry.source)
        for name, entries in PUBLISHED.items()
        for entry in entries
    ]
    assert len(found) == len(TABLE)
    for ours, typed in zip(found, TABLE, strict=True):
        assert ours[:4] == typed[:4]
        assert typed[4] in ours[4]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_a_published_figure_or_says_that_there_is_none(name):
    assert PUBLISHED[name] or NOTES[name].startswith("None published")
    variants = {variant.name for variant in EXPERIMENTS[name].variants}
    assert {entry.variant for entry in PUBLISHED[name]} <= variants | {""}
