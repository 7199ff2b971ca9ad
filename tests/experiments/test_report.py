import json

import pytest

from demucs_lab import models
from demucs_lab.experiments import report, running


@pytest.fixture
def found(micro, small):
    return running.run("step", seeds=2, **small)


def test_the_table_names_everything(found):
    text = report.table(found)
    for word in (
        "Is a bigger step better?", "A reduced run: 2 seeds instead of 3", "the mixture", "base",
        "bigger step: twice the learning rate.", "over 2 seeds; 2 held-out songs; 3 steps",
        "5.92 dB, against 6.28 dB, a difference of -0.36 dB", "arXiv:1911.13254",
    ):  # fmt: skip
        assert word in text
    gap = found["variants"]["bigger step"]["difference"]["over_seeds"]
    row = next(line.split() for line in text.splitlines() if line.startswith("bigger step "))
    assert row[-4:-1] == [f"{gap[k]:.2f}" for k in ("mean", "low", "high")]


def test_with_one_seed_intervals_are_over_songs(micro, small):
    text = report.table(running.run("loss", seeds=1, **small))
    assert "over 2 songs; 2 held-out songs" in text


def test_the_figure_says_what_it_shows(found):
    figure = report.figure(found)
    axis = figure.axes[0]
    points = [line.get_xdata()[0] for line in axis.lines if line.get_marker() in ("o", "D")]
    assert points == [
        found["variants"]["bigger step"]["difference"]["over_seeds"]["mean"],
        -0.36,
        -0.39,
    ]
    assert "bigger step against base" in figure.numbers
    assert "Published: Demucs, 64 channels, ReLU for GLU" in figure.numbers


def test_the_figure_of_shifts_has_the_time(small):
    model = models.build("demucs-v1", channels=4, depth=2, samplerate=8000, segment=1.0).eval()
    found = running.run("shifts", seeds=1, model=model, **small)
    figure = report.figure(found)
    bars = figure.axes[1].patches
    assert bars[-1].get_height() > 2 * bars[0].get_height()
    assert "+0.23 dB" in figure.numbers


def test_kinds_of_models_are_shown_with_what_a_step_takes(found):
    for seconds, entry in zip((6, 3), found["variants"].values(), strict=True):
        entry["seeds"] = [{**seed, "step_seconds": seconds} for seed in entry["seeds"]]
    assert "Seconds of a training step: base 6.00, bigger step 3.00." in report.table(found)
    assert len(report.figure(found).axes) == 1
    found["variants"]["base"]["model"]["class"] = "Another"
    assert [bar.get_height() for bar in report.figure(found).axes[1].patches] == [6.0, 3.0]


def test_the_list_shows_what_is_shipped(found, micro):
    assert report.listing().count("not yet") == 2
    running.SHIPPED.mkdir()
    (running.SHIPPED / "step.json").write_text(json.dumps(found), encoding="utf-8")
    assert report.listing().count("not yet") == 1
    assert report.table("step") == report.table(found)
