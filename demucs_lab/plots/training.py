"""The figure of a training: its loss, and how well it separates held-out songs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from demucs_lab.plots.style import PAIR_COLORS, SOFT, SOURCE_COLORS, Drawing, finish, new_figure

_SMOOTH = 20  # steps


def learning(history: Sequence[Mapping[str, Any]]) -> Drawing:
    """Loss by step beside SDR by step (lesson 06).

    Args:
        history: lines of a run's metrics: `{"step", "loss"}`, and now and then `{"step", "sdr"}`
            with the SDR of held-out songs in dB by source.
    """
    figure, panels = new_figure(1, 2)
    left, right = panels[0]
    losses = [(line["step"], line["loss"]) for line in history if "loss" in line]
    told = ["No step has been done yet."]
    if losses:
        steps, values = zip(*losses, strict=True)
        left.plot(steps, values, color=SOFT, linewidth=0.8, alpha=0.6)
        smooth = [
            sum(values[max(0, i - _SMOOTH + 1) : i + 1]) / min(i + 1, _SMOOTH)
            for i in range(len(values))
        ]
        left.plot(steps, smooth, color=PAIR_COLORS[0], label=f"mean of {_SMOOTH}")
        left.legend()
        told = [f"The loss went from {smooth[0]:.3f} to {smooth[-1]:.3f} in {steps[-1]} steps."]
    left.set(xlabel="step", ylabel="loss")
    scores = [line for line in history if "sdr" in line]
    for name in scores[0]["sdr"] if scores else ():
        right.plot(
            [line["step"] for line in scores],
            [line["sdr"][name] for line in scores],
            marker="o", markersize=3, label=name, color=SOURCE_COLORS.get(name),
        )  # fmt: skip
    if scores:
        right.axhline(0, color=SOFT, linewidth=0.8, linestyle=":", label="silence")
        right.legend()
        last = ", ".join(f"{name} {value:.1f}" for name, value in scores[-1]["sdr"].items())
        told.append(f"Held-out songs now score {last} dB.")
    right.set(xlabel="step", ylabel="SDR of held-out songs, dB")
    for axes in (left, right):
        axes.locator_params(axis="x", integer=True)
    return finish(
        figure,
        f"Left: the loss of each step, and its mean over {_SMOOTH} steps. Right: the SDR of songs "
        "that the training does not see.",
        " ".join(told),
    )
