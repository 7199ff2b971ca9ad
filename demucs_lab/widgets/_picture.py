"""The picture that stands in for a widget on GitHub, in a PDF, or without a kernel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from demucs_lab.plots.style import INK, PAPER, SOFT, png
from demucs_lab.widgets._sound import Wave

COLUMNS = 360


def envelope(wave: Wave, columns: int = COLUMNS) -> npt.NDArray[np.float32]:
    """Lowest and highest sample of each slice of time, over channels: `[columns, 2]`.

    >>> envelope(np.array([[0.0, 1.0, -1.0, 0.5]], dtype=np.float32), 2).tolist()
    [[0.0, 1.0], [-1.0, 0.5]]
    """
    frames = wave.shape[1]
    edges = np.arange(min(columns, frames)) * frames // min(columns, frames)
    low = np.minimum.reduceat(wave.min(0), edges)
    high = np.maximum.reduceat(wave.max(0), edges)
    return np.stack([low, high], axis=1)


def picture(rows: list[tuple[str, str, Wave]], summary: str) -> str:
    """`(name, colour, wave)` of every row as waveforms in a small PNG, in base64."""
    from matplotlib.figure import Figure

    height = 0.32 * len(rows) + 0.34
    figure = Figure(figsize=(7.2, height), facecolor=PAPER)
    axes = figure.add_axes((0.13, 0.02, 0.86, 1 - 0.3 / height))
    peaks = {name: max(1e-9, float(np.abs(wave).max())) for name, _, wave in rows}
    loudest = max([peak for name, peak in peaks.items() if name != "mixture"] or [1.0])
    for k, (name, color, wave) in enumerate(rows):
        share = envelope(wave).T / (peaks[name] if name == "mixture" else loudest)
        # Power 0.7 raises the quiet parts, as in the player.
        low, high = 0.46 * np.sign(share) * np.abs(share) ** 0.7
        x = np.linspace(0, 1, len(low))
        axes.fill_between(x, low - k - 0.01, high - k + 0.01, color=color, linewidth=0, step="mid")
        label = name if len(name) < 15 else f"{name[:13]}…"
        axes.text(-0.012, -k, label, ha="right", va="center", fontsize=9, color=INK)
    axes.set_xlim(0, 1)
    axes.set_ylim(-len(rows) + 0.5, 0.5)
    axes.axis("off")
    figure.text(
        0.01, 1 - 0.14 / height, f"Run the cell to listen. {summary}",
        fontsize=8, color=SOFT, va="center",
    )  # fmt: skip
    return png(figure, dpi=80, colors=32)
