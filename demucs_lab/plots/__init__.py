"""Every figure a lesson shows, each with one sentence that says what it shows.

A function draws on white or dark backgrounds alike, uses colours that colour-blind readers can
tell apart (Okabe & Ito), never colour alone, and prints its reading below the figure, so that who
cannot see the figure learns the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from demucs_lab.audio import SOURCES
from demucs_lab.spectral import stft

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from demucs_lab.masking import Ceiling

SOURCE_COLORS = {
    "mixture": "#666666",
    "drums": "#E69F00",
    "bass": "#0072B2",
    "other": "#009E73",
    "vocals": "#CC79A7",
}
_MARKERS = {"mixture": "x", "drums": "s", "bass": "o", "other": "^", "vocals": "D"}
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_LINES = ("-", "--", ":", "-.")


def new_figure(rows: int = 1, columns: int = 1, height: float = 3.2, **kwargs: Any) -> Any:
    """A figure of the kit's width and its axes, as `plt.subplots` gives them."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        rows, columns, figsize=(8.6, height), layout="constrained", squeeze=False, **kwargs
    )
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    return figure, axes


def finish(figure: Figure, reading: str) -> Figure:
    """Print what the figure shows and hand it over, so that the notebook shows it once."""
    import matplotlib.pyplot as plt

    figure.text_description = reading  # type: ignore[attr-defined]
    plt.close(figure)
    print(f"What this shows: {reading}")
    return figure


def spectrogram(
    wavs: Mapping[str, Tensor],
    samplerate: int,
    n_fft: int = 2048,
    top_hz: float | None = None,
    reading: str | None = None,
) -> Figure:
    """Log-magnitude spectrograms under one another (lesson 02).

    Args:
        wavs: `[C, T]` by name; channels are averaged in power.
        samplerate: in Hz.
        n_fft: window in samples.
        top_hz: highest frequency shown; None is the Nyquist frequency.
        reading: the sentence below the figure.
    """
    figure, axes = new_figure(len(wavs), 1, height=1.1 + 1.35 * len(wavs), sharex=True, sharey=True)
    powers = {name: stft(wav, n_fft).abs().square().mean(-3).numpy() for name, wav in wavs.items()}
    loudest = max(power.max() for power in powers.values())
    image = None
    for axis, (name, power) in zip(axes[:, 0], powers.items(), strict=True):
        level = 10 * np.log10(np.maximum(power / loudest, 1e-12))
        seconds = next(iter(wavs.values())).shape[-1] / samplerate
        image = axis.imshow(
            level,
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=-80,
            vmax=0,
            extent=(0, seconds, 0, samplerate / 2000),
        )
        axis.grid(False)
        axis.set_ylim(0, (top_hz or samplerate / 2) / 1000)
        axis.set_ylabel("kHz")
        axis.set_title(name, loc="left", fontsize=10)
    axes[-1, 0].set_xlabel("seconds")
    figure.colorbar(image, ax=list(axes[:, 0]), label="dB below the loudest cell", pad=0.01)
    return finish(
        figure,
        reading
        or f"time runs to the right, pitch upwards, brightness is level, for {', '.join(wavs)}.",
    )


def masks(mask: Tensor, samplerate: int, top_hz: float = 4000) -> Figure:
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
    share = [
        f"{name} {100 * float(one.mean()):.0f} %" for name, one in zip(SOURCES, shown, strict=False)
    ]
    return finish(
        figure,
        f"each source's share of every cell up to {top_hz / 1000:g} kHz, time to the right and "
        f"pitch upwards; on average over these cells: {', '.join(share)}.",
    )


def ceiling(result: Ceiling) -> Figure:
    """SDR of each oracle against the window length, one panel per source (lesson 02)."""
    figure, axes = new_figure(1, len(SOURCES), height=3.4, sharey=True)
    methods = [m for m in dict.fromkeys(row["method"] for row in result.rows) if m != "mixture"]
    for axis, source in zip(axes[0], SOURCES, strict=True):
        for index, method in enumerate(methods):
            rows = result.select(method=method)
            best = {
                n_fft: max(row[source] for row in rows if row["n_fft"] == n_fft)
                for n_fft in dict.fromkeys(row["n_fft"] for row in rows)
            }
            axis.plot(
                [1000 * n_fft / result.samplerate for n_fft in best],
                list(best.values()),
                color=_COLORS[index % len(_COLORS)],
                linestyle=_LINES[index % 4],
                marker="os^Dvx*P"[index % 8],
                markersize=4,
                label=method,
            )
        axis.set_xscale("log", base=2)
        windows = sorted({1000 * row["n_fft"] / result.samplerate for row in result.rows})
        axis.set_xticks(windows, [f"{window:.0f}" for window in windows], fontsize=8)
        axis.set_title(source, fontsize=10)
        axis.set_xlabel("window, ms")
    axes[0, 0].set_ylabel("SDR, dB")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    best_row = max(
        (row for row in result.rows if row["method"] != "mixture"), key=lambda row: row["mean"]
    )
    worst = min(SOURCES, key=lambda source: best_row[source])
    top = best_row["method"]
    means: dict[int, float] = {}
    for row in result.select(method=top):
        means[row["n_fft"]] = max(row["mean"], means.get(row["n_fft"], -np.inf))
    steps = ", ".join(
        f"{db:.1f} dB at {1000 * n_fft / result.samplerate:.0f} ms" for n_fft, db in means.items()
    )
    return finish(
        figure,
        f"for every source and oracle, the SDR by window length. The highest is {top}, its mean "
        f"over the sources {steps}. At its best window, {worst} is lowest.",
    )


def curves(
    x: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    xlabel: str,
    ylabel: str,
    reading: str,
    dots: Mapping[str, Sequence[float]] | None = None,
    log_x: bool = False,
) -> Figure:
    """Lines over a common axis, told apart by colour, stroke and marker (lessons 01 and 02).

    `dots` are drawn as marks without a line, in the colours of `lines` in turn: a measurement over
    the formula that it should follow.
    """
    figure, axes = new_figure()
    axis: Axes = axes[0, 0]
    for index, (name, y) in enumerate(lines.items()):
        axis.plot(
            x,
            y,
            label=name,
            color=SOURCE_COLORS.get(name, _COLORS[index % len(_COLORS)]),
            marker="" if dots else _MARKERS.get(name, "os^Dvx"[index % 6]),
            linestyle=_LINES[index % 4],
            markersize=5,
        )
    for index, (name, y) in enumerate((dots or {}).items()):
        color = _COLORS[index % len(_COLORS)]
        axis.plot(x, y, "os^D"[index % 4], label=name, color=color, markersize=7, mfc="none")
    if log_x:
        axis.set_xscale("log")
        axis.set_xticks(x, [f"{value:g}" for value in x], minor=False)
        axis.minorticks_off()
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    figure.legend(loc="outside upper center", ncols=5, fontsize=9, frameon=False)
    return finish(figure, reading)


def bars(groups: Mapping[str, Mapping[str, float]], ylabel: str, reading: str) -> Figure:
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
            color=_COLORS[index % len(_COLORS)],
            hatch=("", "//", "..", "xx", "\\\\")[index % 5],
            edgecolor="white",
        )
        axis.bar_label(drawn, fmt="%.1f", fontsize=7, padding=1)
    axis.set_xticks(np.arange(len(names)), names)
    axis.set_ylabel(ylabel)
    figure.legend(loc="outside upper center", ncols=len(groups), fontsize=9, frameon=False)
    return finish(figure, f"{reading}\n{_in_numbers(ylabel, names, groups)}")


def _in_numbers(
    unit: str, columns: Sequence[str], rows: Mapping[str, Mapping[str, float]], top: float = np.inf
) -> str:
    """The figure's numbers in one line; what reaches `top` is shown as more than that."""

    def shown(value: float) -> str:
        return f"> {top:.0f}" if value >= top else f"{value:.1f}".replace("-", "−")

    parts = [f"{name} {' / '.join(shown(row[c]) for c in columns)}" for name, row in rows.items()]
    return f"In numbers ({' / '.join(columns)}; {unit}): {'; '.join(parts)}."


def phasors(parts: Tensor) -> Figure:
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
    color = dict(zip(("source A", "source B", "mask × mixture"), _COLORS, strict=False))
    tips = np.array([[z.real, z.imag] for z in (a, b, mixture, 0)])
    low, high = tips.min(0) - 0.6, tips.max(0) + np.array([1.9, 0.9])
    for axis, (title, arrows) in zip(axes[0], panels.items(), strict=True):
        for name, value in arrows.items():
            tip = (value.real, value.imag)
            ink = color.get(name, SOURCE_COLORS["mixture"])
            stroke = {"arrowstyle": "->", "color": ink, "lw": 2}
            axis.annotate("", xy=tip, xytext=(0, 0), arrowprops=stroke)
            axis.text(*tip, f" {name}", color=ink, fontsize=9)
        axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal", title=title)
        axis.set_xlabel("real part")
    axes[0, 0].set_ylabel("imaginary part")
    off = abs(np.angle(a * mixture.conjugate(), deg=True))
    return finish(
        figure,
        f"the mixture is the sum of the two arrows and points {off:.0f}° away from source A; the "
        f"masked arrow has a length of {abs(masked):.2f} instead of {abs(a):.2f} and the mixture's "
        f"direction.",
    )


# -- lesson 01 ------------------------------------------------------------------------------------

_TOP_DB = 60.0  # nobody hears an error below that


def score_grid(scores: Mapping[str, Mapping[str, float]]) -> Figure:
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
        text = f"> {_TOP_DB:.0f}" if db >= _TOP_DB else f"{db:.1f}".replace("-", "−")
        axis.text(
            column, row, text, ha="center", va="center", color="black" if db > 18 else "white"
        )
    axis.set_xticks(range(len(columns)), columns)
    axis.set_yticks(range(len(scores)), list(scores))
    axis.tick_params(length=0)
    axis.xaxis.tick_top()
    figure.colorbar(image, ax=axis, label="dB", pad=0.01)
    lowest = {
        name: min((score for score in columns if score != "SDR"), key=lambda score: row[score])
        for name, row in scores.items()
    }
    parts = ", ".join(f"{name}: {score}" for name, score in lowest.items())
    return finish(
        figure,
        f"which score, SDR aside, is lowest for each sound: {parts}.\n"
        f"{_in_numbers('dB', columns, scores, _TOP_DB)}",
    )


def score_over_time(frames: Tensor, whole: Tensor) -> Figure:
    """SDR of every second of a song, one panel per source, with its median (lesson 01).

    Args:
        frames: `[S, windows]` in dB, one window per second, NaN where there is no score.
        whole: `[S]`, the SDR over the whole song at once.
    """
    figure, axes = new_figure(1, len(frames), height=3.1, sharey=True)
    for axis, name, row, song in zip(axes[0], SOURCES, frames, whole, strict=False):
        seconds = np.arange(len(row)) + 0.5
        axis.plot(seconds, row.numpy(), marker=_MARKERS[name], markersize=4, linewidth=1,
                  color=SOURCE_COLORS[name], label="each second")  # fmt: skip
        axis.axhline(float(row.nanquantile(0.5)), color="black", linestyle="--", label="median")
        axis.axhline(float(song), color="#666666", linestyle=":", label="whole song at once")
        for second in seconds[row.isnan().numpy()]:
            axis.axvspan(second - 0.5, second + 0.5, color="#999999", alpha=0.25, linewidth=0)
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("seconds")
    axes[0, 0].set_ylabel("SDR, dB")
    lines = axes[0, 0].get_legend_handles_labels()
    figure.legend(*lines, loc="outside upper center", ncols=3, fontsize=9, frameon=False)
    spread = [float(row[~row.isnan()].max() - row[~row.isnan()].min()) for row in frames]
    widest = int(np.argmax(spread))
    blank = int(frames.isnan().any(0).sum())
    rests = "every second has a score."
    if blank:
        total = frames.shape[1]
        rests = f"{blank} of {total} seconds have no score (grey): somebody is silent there."
    return finish(
        figure,
        f"the SDR of each second jumps up and down, most for {SOURCES[widest]} (a range of "
        f"{spread[widest]:.0f} dB); {rests}",
    )
