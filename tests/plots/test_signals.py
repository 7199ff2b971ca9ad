"""Figures of signals: what they draw and what they say."""

from __future__ import annotations

import pytest
import torch

from demucs_lab import plots
from demucs_lab.plots.style import SOURCE_COLORS


def test_curves_keep_the_colours_of_sources_and_read_out_a_few_points():
    lines = {"bass": [3.0, -1.0], "hiss": [0.0, 0.5]}
    figure = plots.curves([1, 2], lines, "delay", "SDR, dB", dots={"measured": [1.0, 2.0]})
    colors = [line.get_color() for line in figure.axes[0].lines]
    assert colors[0] == SOURCE_COLORS["bass"]
    assert len({line.get_linestyle() for line in figure.axes[0].lines}) == 3
    assert "bass 3.0 at 1, −1.0 at 2; hiss" in figure.numbers
    assert figure.caption.endswith("for bass, hiss and measured.")


def test_a_curve_of_many_points_is_told_by_its_range():
    figure = plots.curves(
        range(50), {"wave": [k / 100 for k in range(50)]}, "ms", "height", "Look."
    )
    assert figure.caption == "Look."
    assert figure.numbers == "height, against ms: wave between 0 and 0.49."


def test_masks_say_the_mean_share_of_the_cells_that_are_shown():
    mask = torch.zeros(2, 1, 5, 3)
    mask[0, :, :3] = 1  # up to 2 kHz, at 8 kHz
    figure = plots.masks(mask, 8000, top_hz=2000)
    assert "drums 100 %, bass 0 %" in figure.numbers


def test_phasors_say_the_angle_and_both_magnitudes():
    figure = plots.phasors(torch.tensor([3 + 0j, 4j]))
    assert "53° away" in figure.numbers
    assert "magnitude of 2.14 instead of 3.00" in figure.numbers
    names = [text.get_text().strip() for text in figure.axes[1].texts if text.get_text()]
    assert names == ["source A", "mask × mixture"]


def test_a_training_says_how_far_it_came():
    history = [{"step": k, "loss": 1.0 - 0.1 * k} for k in range(5)]
    history.append({"step": 4, "sdr": {"drums": 1.25, "bass": 0.5}})
    figure = plots.learning(history)
    assert "from 1.000 to 0.800 in 4 steps" in figure.numbers
    assert "drums 1.2, bass 0.5 dB" in figure.numbers
    assert plots.learning([]).numbers == "No step has been done yet."


@pytest.mark.parametrize("history", [[], [{"step": 1, "loss": 0.5}]])
def test_a_training_is_drawn_from_its_first_step(history):
    assert len(plots.learning(history).axes) == 2
