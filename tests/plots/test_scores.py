"""Figures of scores say in words what they show."""

from __future__ import annotations

import math

import torch

from demucs_lab import plots


def drawn(figure):
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_the_grid_shows_every_score(capsys):
    scores = {
        "hiss": {"SDR": 1.0, "ISR": 25.0, "SIR": 30.0, "SAR": 10.04},
        "leak": {"SDR": -3.0, "ISR": 20.0, "SIR": -2.5, "SAR": math.inf},
    }
    figure = plots.score_grid(scores)
    assert drawn(figure) == ["1.0", "25.0", "30.0", "10.0", "−3.0", "20.0", "−2.5", "> 60"]
    assert "leak −3.0 / 20.0 / −2.5 / > 60" in figure.numbers
    assert capsys.readouterr().out == "", "a figure prints nothing above itself"


def test_bars_say_every_value():
    groups = {"mask": {"drums": 9.04, "bass": 8.9}, "model": {"drums": -0.5, "bass": 7.0}}
    figure = plots.bars(groups, "SDR, dB")
    assert drawn(figure) == ["9.0", "8.9", "-0.5", "7.0"]
    assert figure.numbers == "drums / bass, SDR, dB: mask 9.0 / 8.9; model −0.5 / 7.0."


def test_scores_over_time_count_the_seconds_without_one():
    nan = math.nan
    frames = torch.tensor([[1.0, 2.0, nan, 3.0], [9.0, 1.0, nan, 5.0]])
    figure = plots.score_over_time(frames, torch.tensor([2.0, 4.0]))
    assert "1 of 4 seconds have no score" in figure.numbers
    assert "bass 1.0 to 9.0, median 5.0, whole song 4.0" in figure.numbers
    bass = figure.axes[1]
    levels = {line.get_label(): line.get_ydata()[0] for line in bass.lines}
    assert levels["median"] == 5.0
    assert levels["whole song at once"] == 4.0
