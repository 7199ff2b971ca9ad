"""Lesson 01's figures say in words what they show."""

from __future__ import annotations

import math

import torch

from demucs_lab import plots


def drawn(figure):
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_the_grid_shows_every_score_and_names_the_lowest_but_sdr(capsys):
    scores = {
        "hiss": {"SDR": 1.0, "ISR": 25.0, "SIR": 30.0, "SAR": 10.04},
        "leak": {"SDR": -3.0, "ISR": 20.0, "SIR": -2.5, "SAR": math.inf},
    }
    figure = plots.score_grid(scores)
    assert drawn(figure) == ["1.0", "25.0", "30.0", "10.0", "−3.0", "20.0", "−2.5", "> 60"]
    assert "hiss: SAR, leak: SIR." in capsys.readouterr().out


def test_scores_over_time_count_the_seconds_without_one(capsys):
    nan = math.nan
    frames = torch.tensor([[1.0, 2.0, nan, 3.0], [9.0, 1.0, nan, 5.0]])
    figure = plots.score_over_time(frames, torch.tensor([2.0, 4.0]))
    said = capsys.readouterr().out
    assert "1 of 4 seconds have no score" in said
    assert "most for bass (a range of 8 dB)" in said
    bass = figure.axes[1]
    levels = {line.get_label(): line.get_ydata()[0] for line in bass.lines}
    assert levels["median"] == 5.0
    assert levels["whole song at once"] == 4.0
