"""Figures of scores: bars, a grid, and the seconds of a song."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from demucs_lab.audio import SOURCES
from demucs_lab.plots.style import (
    HATCHES,
    INK,
    MARKERS,
    PAPER,
    SOFT,
    SOURCE_COLORS,
    Drawing,
    color_of,
    finish,
    in_numbers,
    listed,
    new_figure,
    number,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TOP_DB = 60.0  # an error below that is inaudible


def bars(groups: Mapping[str, Mapping[str, float]], ylabel: str) -> Drawing:
    """Grouped bars with their values written on them, as in `{"IRM": {"drums": 11.1, …}}`."""
    figure, axes = new_figure()
    axis: Axes = axes[0, 0]
    names = list(next(iter(groups.values())))
    width = 0.8 / len(groups)
    for index, (group, values) in enumerate(groups.items()):
        at = np.arange(len(names)) + (index - (len(groups) - 1) / 2) * width
        drawn = axis.bar(
            at,
            [values[name] for name in names],
            width,
            label=group,
            color=color_of(group, index),
            hatch=HATCHES[index % len(HATCHES)],
            edgecolor=PAPER,
        )
        axis.bar_label(drawn, fmt="%.1f", fontsize=7, padding=1)
    axis.set_xticks(np.arange(len(names)), names)
    axis.set_ylabel(ylabel)
    figure.legend(loc="outside upper center", ncols=len(groups), fontsize=9, frameon=False)
    return finish(
        figure,
        f"One group of bars for each of {listed(names)}; the legend names the bars.",
        in_numbers(ylabel, names, groups),
    )


def interval_dots(
    rows: Mapping[str, Mapping[str, tuple[float, float, float]]], xlabel: str
) -> Drawing:
    """Means with their intervals, a row for each thing and a dot for each source (lesson 10).

    Args:
        rows: `(mean, low, high)` by row and source, as in `{"no attention": {"bass": (…)}}`.
        xlabel: what is measured, with its unit.
    """
    figure, axes = new_figure(height=0.7 + 0.62 * len(rows))
    axis: Axes = axes[0, 0]
    names = list(next(iter(rows.values())))
    for i, name in enumerate(names):
        at = np.arange(len(rows)) + 0.13 * (i - (len(names) - 1) / 2)
        mean, low, high = np.array([row[name] for row in rows.values()]).T
        color = SOURCE_COLORS.get(name, INK)
        axis.hlines(at, low, high, color=color, linewidth=2, alpha=0.6)
        axis.plot(mean, at, MARKERS.get(name, "*"), color=color, markersize=6, label=name)
    axis.axvline(0, color=SOFT, linewidth=0.8)
    axis.set_yticks(np.arange(len(rows)), list(rows))
    axis.invert_yaxis()
    axis.set_xlabel(xlabel)
    figure.legend(loc="outside upper center", ncols=len(names), fontsize=9, frameon=False)
    means = {row: {n: value[0] for n, value in values.items()} for row, values in rows.items()}
    return finish(
        figure,
        f"A dot for each of {listed(names)}: the mean. Its line is the 95 % interval.",
        in_numbers(xlabel, names, means),
    )


def score_grid(scores: Mapping[str, Mapping[str, float]]) -> Drawing:
    """Scores as a grid of numbers, dark where much is lost (lesson 01).

    Args:
        scores: dB by sound and by score, as in `{"hiss": {"SDR": 10.0, "ISR": 25.1, …}}`; what is
            over 60 dB is shown as "> 60".
    """
    columns = list(next(iter(scores.values())))
    values = np.array([[min(row[name], _TOP_DB) for name in columns] for row in scores.values()])
    figure, axes = new_figure(height=0.9 + 0.42 * len(scores))
    axis: Axes = axes[0, 0]
    axis.grid(False)
    axis.spines[:].set_visible(False)
    image = axis.imshow(values, cmap="cividis", vmin=-10, vmax=40, aspect="auto")
    for (row, column), db in np.ndenumerate(values):
        ink = INK if db > 18 else PAPER
        axis.text(column, row, number(db, _TOP_DB), ha="center", va="center", color=ink)
    axis.set_xticks(range(len(columns)), columns)
    axis.set_yticks(range(len(scores)), list(scores))
    axis.tick_params(length=0)
    axis.xaxis.tick_top()
    figure.colorbar(image, ax=axis, label="dB", pad=0.01)
    return finish(
        figure,
        "One row for each sound, one column for each score. The darker a cell, the more is lost.",
        in_numbers("dB", columns, scores, _TOP_DB),
    )


def score_over_time(frames: Tensor, whole: Tensor) -> Drawing:
    """SDR of every second of a song, one panel per source, with its median (lesson 01).

    Args:
        frames: `[S, windows]` in dB, one window per second, NaN where there is no score.
        whole: `[S]`, the SDR over the whole song at once.
    """
    figure, axes = new_figure(1, len(frames), height=3.1, sharey=True)
    told = []
    for axis, name, row, song in zip(axes[0], SOURCES, frames, whole.tolist(), strict=False):
        scored, median = row[~row.isnan()], float(row.nanquantile(0.5))
        seconds = np.arange(len(row)) + 0.5
        axis.plot(seconds, row.numpy(), marker=MARKERS[name], markersize=4, linewidth=1,
                  color=SOURCE_COLORS[name], label="each second")  # fmt: skip
        axis.axhline(median, color=INK, linestyle="--", label="median")
        axis.axhline(song, color=SOFT, linestyle=":", label="whole song at once")
        for second in seconds[row.isnan().numpy()]:
            axis.axvspan(second - 0.5, second + 0.5, color=SOFT, alpha=0.25, linewidth=0)
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("seconds")
        low, high = number(float(scored.min())), number(float(scored.max()))
        told.append(f"{name} {low} to {high}, median {number(median)}, whole song {number(song)}")
    axes[0, 0].set_ylabel("SDR, dB")
    lines = axes[0, 0].get_legend_handles_labels()
    figure.legend(*lines, loc="outside upper center", ncols=3, fontsize=9, frameon=False)
    blank, total = int(frames.isnan().any(0).sum()), frames.shape[1]
    return finish(
        figure,
        "One mark for each second of the song. A grey second has no score, because a source is "
        "silent in it.",
        f"SDR of the seconds, dB: {'; '.join(told)}. {blank} of {total} seconds have no score.",
    )
