"""Figures of signals: curves, masks, and the arrows of complex numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from demucs_lab.audio import SOURCES
from demucs_lab.plots.style import (
    INK,
    MARKERS,
    OTHER_COLORS,
    OTHER_MARKERS,
    SOURCE_COLORS,
    STROKES,
    Drawing,
    color_of,
    finish,
    listed,
    new_figure,
    number,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW = 12  # points of a curve that can be read out one by one


def curves(
    x: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    xlabel: str,
    ylabel: str,
    caption: str | None = None,
    dots: Mapping[str, Sequence[float]] | None = None,
    log_x: bool = False,
) -> Drawing:
    """Lines over a common axis, told apart by colour, stroke and marker (lessons 00 to 02).

    Args:
        x: of every point.
        lines: the heights by name.
        xlabel, ylabel: what the axes show, with the unit.
        caption: None says what is drawn against what.
        dots: more heights, drawn as marks without a line in the colours of `lines` in turn: a
            measurement over the formula that it should follow.
        log_x: equal ratios of x are equally far apart.
    """
    dots = dots or {}
    figure, axes = new_figure()
    axis: Axes = axes[0, 0]
    for index, (name, y) in enumerate(lines.items()):
        axis.plot(
            x,
            y,
            label=name,
            color=color_of(name, index),
            marker="" if dots else MARKERS.get(name, OTHER_MARKERS[index % len(OTHER_MARKERS)]),
            linestyle=STROKES[index % len(STROKES)],
            markersize=5,
        )
    for index, (name, y) in enumerate(dots.items()):
        mark = OTHER_MARKERS[index % len(OTHER_MARKERS)]
        axis.plot(x, y, mark, label=name, color=color_of(name, index), markersize=7, mfc="none")
    if log_x:
        axis.set_xscale("log")
        axis.set_xticks(x, [f"{value:g}" for value in x], minor=False)
        axis.minorticks_off()
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    figure.legend(loc="outside upper center", ncols=5, fontsize=9, frameon=False)
    told = [_told(name, x, y) for name, y in [*lines.items(), *dots.items()]]
    drawn = f"To the right: {xlabel}. Upwards: {ylabel}, for {listed([*lines, *dots])}."
    return finish(figure, caption or drawn, f"{ylabel}, against {xlabel}: {'; '.join(told)}.")


def _told(name: str, x: Sequence[float], y: Sequence[float]) -> str:
    """A curve in words: its points if they are few, else its range."""
    if len(y) > _FEW:
        return f"{name} between {min(y):.2g} and {max(y):.2g}".replace("-", "−")
    return f"{name} {', '.join(f'{number(b)} at {a:g}' for a, b in zip(x, y, strict=True))}"


def masks(mask: Tensor, samplerate: int, top_hz: float = 4000) -> Drawing:
    """One mask per source, dark where it takes nothing and bright where it takes all (lesson 02).

    Args:
        mask: `[S, C, F, N]` in [0, 1]; channels are averaged.
        samplerate: in Hz.
        top_hz: highest frequency shown.
    """
    figure, axes = new_figure(1, len(mask), height=2.7, sharey=True)
    image = None
    for axis, name, one in zip(axes[0], SOURCES, mask.mean(1), strict=False):
        image = axis.imshow(
            one.numpy(),
            origin="lower",
            aspect="auto",
            cmap="gray",
            vmin=0,
            vmax=1,
            extent=(0, one.shape[-1], 0, samplerate / 2000),
        )
        axis.grid(False)
        axis.set_ylim(0, top_hz / 1000)
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("window")
    axes[0, 0].set_ylabel("kHz")
    figure.colorbar(image, ax=list(axes[0]), label="share", pad=0.01)
    shown = mask[..., : round((mask.shape[-2] - 1) * 2 * top_hz / samplerate) + 1, :]
    shares = [
        f"{name} {100 * float(one.mean()):.0f} %" for name, one in zip(SOURCES, shown, strict=False)
    ]
    return finish(
        figure,
        f"The mask of each source up to {top_hz / 1000:g} kHz. Time runs to the right, pitch "
        "upwards; a white cell is kept whole, a black one is taken away.",
        f"Mean share of the cells up to {top_hz / 1000:g} kHz: {', '.join(shares)}.",
    )


def phasors(parts: Tensor) -> Drawing:
    """Two complex cells, their sum, and what a mask makes of it, as arrows (lesson 02).

    Args:
        parts: complex `[2]`, one cell of each source.
    """
    a, b = (complex(part) for part in parts)
    mixture = a + b
    masked = abs(a) / (abs(a) + abs(b)) * mixture
    figure, axes = new_figure(1, 2, height=3.6)
    panels = {
        "two sources meet": {"source A": a, "source B": b, "mixture": mixture},
        "what the ratio mask returns": {"source A": a, "mask × mixture": masked},
    }
    colors = dict(zip(("source A", "source B", "mask × mixture"), OTHER_COLORS, strict=False))
    tips = np.array([[z.real, z.imag] for z in (a, b, mixture, 0)])
    low, high = tips.min(0) - 0.6, tips.max(0) + np.array([1.9, 0.9])
    for axis, (title, arrows) in zip(axes[0], panels.items(), strict=True):
        for name, value in arrows.items():
            tip = (value.real, value.imag)
            color = colors.get(name, SOURCE_COLORS["mixture"])
            stroke = {"arrowstyle": "->", "color": color, "lw": 2}
            axis.annotate("", xy=tip, xytext=(0, 0), arrowprops=stroke)
            axis.text(*tip, f" {name}", color=INK, fontsize=9)
        axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal", title=title)
        axis.set_xlabel("real part")
    axes[0, 0].set_ylabel("imaginary part")
    off = abs(np.angle(a * mixture.conjugate(), deg=True))
    return finish(
        figure,
        "Left: one cell of two sources, and their sum, the mixture. Right: what the ratio mask "
        "makes of that sum, beside the source that it should be.",
        f"The mixture points {off:.0f}° away from source A. The masked arrow has the mixture's "
        f"direction and a magnitude of {abs(masked):.2f} instead of {abs(a):.2f}.",
    )
