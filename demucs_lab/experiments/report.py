"""An experiment's results as text, and as a figure, always beside the published figure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from demucs_lab.common.tables import Cell, text_table
from demucs_lab.experiments import running
from demucs_lab.experiments.catalogue import EXPERIMENTS
from demucs_lab.experiments.running import results
from demucs_lab.plots.style import PAIR_COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from demucs_lab.plots import Drawing

Results = Mapping[str, Any]
_OURS, _THEIRS = PAIR_COLORS


def listing() -> str:
    """Every experiment, its question, and whether its results are shipped."""
    rows = [
        [name, one.question, "yes" if (running.SHIPPED / f"{name}.json").is_file() else "not yet"]
        for name, one in EXPERIMENTS.items()
    ]
    return text_table(["experiment", "question", "results"], rows)


def table(name_or_results: str | Results) -> str:
    """Scores, differences with their intervals, and the published figures, as text.

    Args:
        name_or_results: a name, for the results that are shipped; or what `run` gave.
    """
    found = _found(name_or_results)
    over = _over(found)
    lines = [found["question"]]
    if found["reduced"]:
        lines.append(f"A reduced run: {', '.join(found['reduced'])}.")
    rows: list[list[Cell]] = [
        ["the mixture", *_scores(found["mixture"]), math.nan, math.nan, math.nan, "-"]
    ]
    for name, entry in found["variants"].items():
        gap = entry["difference"][over] if "difference" in entry else {}
        rows.append([
            name, *_scores(entry), *(_or_nan(gap.get(k)) for k in ("mean", "low", "high")),
            f"{entry['parameters']:,}",
        ])  # fmt: skip
    header = ["SDR, dB", *found["sources"], "mean", "difference", "from", "to", "parameters"]
    lines += [text_table(header, rows), _how(found, over)]
    lines += [f"{name}: {v['note']}." for name, v in found["variants"].items() if v["note"]]
    if costs := ", ".join(f"{name} {cost:.2f}" for name, cost in _costs(found).items()):
        lines.append(f"{_COST_OF[_trains(found)].capitalize()}: {costs}.")
    return "\n".join([*lines, *published_lines(found)])


def published_lines(found: Results) -> list[str]:
    """What the papers found, one sentence each, with its source; or that none did."""
    lines = []
    for entry in found["published"]:
        parts = []
        if entry["value"] is not None:
            parts.append(f"{entry['value']:.2f} dB")
        if entry["reference"] is not None:
            parts.append(f"against {entry['reference']:.2f} dB")
        if entry["difference"] is not None:
            parts.append(f"a difference of {entry['difference']:+.2f} dB")
        lines.append(f"Published: {entry['what']}: {', '.join(parts)} [{entry['source']}].")
    if found["published_note"]:
        lines.append(found["published_note"])
    return lines


def figure(name_or_results: str | Results) -> Drawing:
    """Differences to the reference with their intervals, beside the published ones.

    For "rescale" also the scale of each layer and the loss, and the time where nothing is trained
    or where kinds of models are compared.

    Args:
        name_or_results: a name, for the results that are shipped; or what `run` gave.
    """
    from demucs_lab.plots import finish, new_figure

    found = _found(name_or_results)
    drawn = [name for name, entry in found["variants"].items() if "difference" in entry]
    panels: list[Any] = [_draw_differences]
    layers = any("layers" in v["seeds"][0] for v in found["variants"].values())
    if layers:
        panels += [_draw_layers, _draw_losses]
    elif not _trains(found) or len({v["model"]["class"] for v in found["variants"].values()}) > 1:
        panels.append(_draw_cost)
    height = max(2.6, 1.5 + 0.42 * (len(drawn) + len(found["published"])))
    picture, axes = new_figure(1, len(panels), height=height)
    for axis, draw in zip(axes[0], panels, strict=True):
        draw(axis, found)
    caption = (
        "One row for each comparison: small dots are single runs, the large dot is their mean, the "
        "line its 95 % interval; a diamond is a published difference."
    )
    return finish(picture, caption, _reading(found, drawn))


def _draw_differences(axis: Axes, found: Results) -> None:
    over = _over(found)
    labels: list[str] = []
    for name, entry in found["variants"].items():
        if "difference" not in entry:
            continue
        row, gap = -len(labels), entry["difference"][over]
        reference = found["variants"][entry["compared_with"]]["seeds"]
        for seed, other in zip(entry["seeds"], reference, strict=True):
            axis.plot(seed["mean"] - other["mean"], row, ".", color=_OURS, alpha=0.5)
        axis.plot(gap["mean"], row, "o", color=_OURS)
        if gap["low"] is not None:
            axis.plot([gap["low"], gap["high"]], [row, row], "-", color=_OURS)
        labels.append(f"{name} − {entry['compared_with']}")
    for entry in found["published"]:
        if entry["difference"] is not None:
            axis.plot(entry["difference"], -len(labels), "D", color=_THEIRS, mfc="none")
            labels.append(f"published: {entry['variant'] or 'see the text'}")
    axis.axvline(0, color="gray", linewidth=0.8)
    axis.set_yticks([-i for i in range(len(labels))], labels)
    axis.set_ylim(0.5 - len(labels), 0.5)
    axis.set_xlabel("difference in SDR, dB")


def _draw_layers(axis: Axes, found: Results) -> None:
    names: list[str] = []
    for (name, entry), mark in zip(found["variants"].items(), "os^D", strict=False):
        names = [layer["layer"] for layer in entry["seeds"][0]["layers"]]
        for seed in entry["seeds"]:
            first = seed is entry["seeds"][0]
            scales = [layer["output"] for layer in seed["layers"]]
            axis.semilogy(scales, f"{mark}-", ms=4, alpha=0.7, label=name if first else None,
                          color=(_OURS, _THEIRS)[mark == "s"])  # fmt: skip
    axis.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axis.set_ylabel("standard deviation of the output")
    axis.legend(frameon=False)


def _draw_losses(axis: Axes, found: Results) -> None:
    for (name, entry), style in zip(
        found["variants"].items(), ("-", "--", ":", "-."), strict=False
    ):
        for seed in entry["seeds"]:
            first = seed is entry["seeds"][0]
            steps, losses = zip(*seed["losses"], strict=True)
            axis.plot(steps, losses, style, alpha=0.7, label=name if first else None,
                      color=(_OURS, _THEIRS)[style == "--"])  # fmt: skip
    axis.set_xlabel("step")
    axis.set_ylabel("loss")
    axis.legend(frameon=False)


def _draw_cost(axis: Axes, found: Results) -> None:
    costs = _costs(found)
    axis.bar(range(len(costs)), list(costs.values()), color=_OURS)
    axis.set_xticks(range(len(costs)), list(costs), rotation=30 if _trains(found) else 0)
    axis.set_xlabel("" if _trains(found) else found["name"])
    axis.set_ylabel(_COST_OF[_trains(found)])


_COST_OF = {True: "seconds of a training step", False: "processor seconds per minute of sound"}


def _costs(found: Results) -> dict[str, float]:
    """By variant: what a step of its training took by the clock, or else its separating.

    Empty for trainings of before their steps were timed.
    """
    if not _trains(found):
        key = "processor_seconds_per_minute_of_sound"
        return {name: v[key]["mean"] for name, v in found["variants"].items()}
    return {
        name: statistics.mean(seed["step_seconds"] for seed in v["seeds"])
        for name, v in found["variants"].items()
        if all("step_seconds" in seed for seed in v["seeds"])
    }


def _trains(found: Results) -> bool:
    return found["budget"]["steps"] is not None


def _reading(found: Results, drawn: list[str]) -> str:
    over = _over(found)
    parts = [_in_words(name, found["variants"][name], over) for name in drawn]
    if found["reduced"]:
        parts.append(f"a reduced run: {', '.join(found['reduced'])}")
    sentences = [f"{'; '.join(parts)}. {_how(found, over)}"]
    return " ".join([*sentences, *published_lines(found)])


def _in_words(name: str, entry: Results, over: str) -> str:
    gap = entry["difference"][over]
    text = f"{name} against {entry['compared_with']} {gap['mean']:+.2f} dB"
    if gap["low"] is not None:
        text += f" (95 % interval {gap['low']:+.2f} to {gap['high']:+.2f})"
    return text


def _over(found: Results) -> str:
    """Which interval is shown: over seeds where training is random and was repeated."""
    several = all(len(entry["seeds"]) > 1 for entry in found["variants"].values())
    return "over_seeds" if several and _trains(found) else "over_songs"


def _how(found: Results, over: str) -> str:
    seeds = len(next(iter(found["variants"].values()))["seeds"])
    songs = len(found["budget"]["held_out"])
    what = f"{seeds} seeds" if over == "over_seeds" else f"{songs} songs"
    budget = f"{found['budget']['steps']} steps" if _trains(found) else "no training"
    return f"Intervals: 95 %, t, paired, over {what}; {songs} held-out songs; {budget}."


def _scores(entry: Results) -> list[float]:
    return [_or_nan(value["mean"]) for value in (*entry["sources"].values(), entry["mean"])]


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _found(name_or_results: str | Results) -> Results:
    return results(name_or_results) if isinstance(name_or_results, str) else name_or_results
