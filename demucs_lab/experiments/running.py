"""Run an experiment: every variant with every seed, then means, intervals and one JSON file."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from demucs_lab.common.paths import atomic_path, checkout
from demucs_lab.experiments import statistics, trials
from demucs_lab.experiments.catalogue import (
    HELD_OUT,
    REDUCED_HELD_OUT,
    SEEDS,
    Experiment,
    Variant,
    experiment,
    with_steps,
)
from demucs_lab.experiments.published import NOTES, PUBLISHED
from demucs_lab.training.checkpoint import read_json
from demucs_lab.training.record import environment

if TYPE_CHECKING:
    from demucs_lab.datasets import Track

SHIPPED = Path(__file__).resolve().parent / "results"
"""Results of the full experiments, part of the package."""

METRIC = (
    "nSDR in dB: 10 log10 of the energy of a source over that of the error, over a whole song; "
    "then the mean over songs and over sources"
)


def own_folder() -> Path:
    """Results that were made on this machine and are not shipped."""
    return trials.folder() / "results"


@dataclass(frozen=True)
class Plan:
    """An experiment as it will be run: its budget, seeds and songs, and how it is reduced."""

    experiment: Experiment
    seeds: range
    songs: list[Track]
    held_out: list[Track]
    model: Any
    reductions: tuple[str, ...]


def make_plan(
    name: str,
    reduced: bool = False,
    seeds: int | None = None,
    steps: int | None = None,
    songs: Sequence[Track] | None = None,
    held_out: Sequence[Track] | None = None,
    model: Any = None,
    progress: bool = True,
) -> Plan:
    """What `run` will do; the arguments are its own."""
    from demucs_lab.datasets import LabSongs

    one, reductions = experiment(name), []
    full_steps = next((v.config.steps for v in one.variants if v.config), None)
    wanted_seeds = SEEDS if one.random else 1
    count = 1 if reduced or not one.random else SEEDS if seeds is None else seeds
    if count < 1:
        raise ValueError(f"an experiment needs one seed or more, got {count}")
    if count < wanted_seeds:
        reductions.append(f"{count} seed{'s' * (count > 1)} instead of {wanted_seeds}")
    if full_steps and (steps or reduced):
        steps = steps or one.reduced_steps
        one = with_steps(one, steps)
        if steps != full_steps:
            reductions.append(f"{steps} training steps instead of {full_steps}")
    if songs is not None:
        reductions.append("songs of your own to learn from")
    elif full_steps:
        songs = LabSongs.starter("train", progress=progress)[: one.train_songs]
    if held_out is not None:
        reductions.append("held-out songs of your own")
    else:
        held_out = LabSongs.starter("test", progress=progress)
        if reduced:
            held_out = held_out[:REDUCED_HELD_OUT]
            reductions.append(f"{REDUCED_HELD_OUT} held-out songs instead of {HELD_OUT}")
    if one.checkpoint and model is not None:
        reductions.append("a model of your own")
    return Plan(
        one, range(count), [*(songs or ())], [*held_out], model, tuple(reductions)
    )  # fmt: skip


def run(
    name: str,
    reduced: bool = False,
    seeds: int | None = None,
    *,
    steps: int | None = None,
    songs: Sequence[Track] | None = None,
    held_out: Sequence[Track] | None = None,
    model: Any = None,
    out: Path | str | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Run one experiment and write its results (lesson 11).

    Each training is kept as it ends. Interrupt at any time: the same call goes on from there.

    Args:
        name: of `EXPERIMENTS`.
        reduced: one seed, fewer steps and songs: a few minutes on a laptop. It says so.
        seeds: how many; None: 3.
        steps: of each training; None: the experiment's.
        songs, held_out: to learn from, and to be scored on; None: LabSongs' starter songs.
        model: for experiments that train nothing; None: the checkpoint that is shipped.
        out: folder for the JSON file. None: a full run in a checkout writes the results that the
            package ships; any other one goes to `own_folder()`.
        progress: show bars, and a line for each training.

    Returns:
        What the file holds; see `table` and `figure`.

    Raises:
        ValueError: if there is no such experiment.
        KeyboardInterrupt: after saying what is kept.
    """
    plan = make_plan(name, reduced, seeds, steps, songs, held_out, model, progress)
    if plan.reductions:
        print(f"{name}: a reduced run ({', '.join(plan.reductions)}). {MEANING}")
    result = collect(plan, progress)
    if out is None:
        out = SHIPPED if checkout() and not plan.reductions else own_folder()
    path = Path(out) / f"{name}.json"
    write(path, result)
    if progress:
        print(f"{name}: written to {path}")
    return result


MEANING = (
    "Differences of a few tenths of a dB may be chance here; `results` has the full run."
)  # fmt: skip


def prepare(plan: Plan, seed: int, progress: bool = True) -> None:
    """Do, and keep, what one seed of an experiment needs of training."""
    for variant in plan.experiment.variants:
        if variant.config:
            _one(plan, variant, seed, progress)


def collect(plan: Plan, progress: bool = True) -> dict[str, Any]:
    """All trials of an experiment, and what they say together."""
    one = plan.experiment
    model = _checkpoint(plan) if one.checkpoint else None
    found: dict[str, list[dict[str, Any]]] = {variant.name: [] for variant in one.variants}
    try:
        for seed in plan.seeds:
            for variant in one.variants:
                found[variant.name].append(_one(plan, variant, seed, progress, model))
    except KeyboardInterrupt:
        if not one.checkpoint:
            done, wanted = sum(map(len, found.values())), len(plan.seeds) * len(found)
            print(f"{one.name}: interrupted; {done} of {wanted} are kept, the same call goes on")
        raise
    return _as_result(plan, found, model)


def _one(
    plan: Plan, variant: Variant, seed: int, progress: bool, model: Any = None
) -> dict[str, Any]:
    if variant.config is None:
        scores, seconds = trials.scored(model, variant, seed, plan.held_out)
        trial: dict[str, Any] = {"scores": scores, "seconds": seconds}
        how = f"{seconds:.1f} s"
    else:
        kept = trials.is_kept(variant, seed, plan.songs)
        trial = trials.trial(variant, seed, plan.songs, plan.held_out, progress)
        how = "kept from before" if kept else f"{trial['training']['seconds']:.0f} s"
    if progress:
        mean = np.nanmean(_array([trial]))
        line = f"{plan.experiment.name}: {variant.name}, seed {seed}: {mean:.2f} dB ({how})"
        print(line, flush=True)  # a log is read while it grows
    return trial


def _checkpoint(plan: Plan) -> Any:
    from demucs_lab import pretrained
    from demucs_lab.separation.waveform import separate

    model = pretrained.load(plan.experiment.checkpoint or "") if plan.model is None else plan.model
    first = plan.held_out[0].excerpt(0.0, 1.0)
    separate(model, first.mixture, first.samplerate, progress=False)  # the first call is slower
    return model


def _as_result(plan: Plan, found: dict[str, list[dict[str, Any]]], model: Any) -> dict[str, Any]:
    one = plan.experiment
    sources = list((model or trials.build(one.variants[0], 0)).sources)
    scores = {name: _array(rows) for name, rows in found.items()}
    minutes = sum(track.duration for track in plan.held_out) / 60
    variants: dict[str, dict[str, Any]] = {}
    for variant in one.variants:
        rows, mine = found[variant.name], scores[variant.name]
        entry = _settings(variant)
        entry["model"] = trials.architecture(model or trials.build(variant, 0))
        entry["parameters"] = _parameters(model) if model else rows[0]["training"]["parameters"]
        entry |= statistics.summary(mine, sources)
        if (other := one.reference_of(variant)) is not variant:
            entry["compared_with"] = other.name
            entry["difference"] = statistics.differences(mine, scores[other.name], sources)
        entry["processor_seconds_per_minute_of_sound"] = statistics.mean_of(
            [row["seconds"] / minutes for row in rows]
        )
        entry["seeds"] = [
            _seed(seed, row, array, sources)
            for seed, row, array in zip(plan.seeds, rows, mine, strict=True)
        ]
        if one.layers:
            for seed, row in zip(plan.seeds, entry["seeds"], strict=True):
                row["layers"] = trials.layer_scales(variant, seed, plan.songs[0])
        variants[variant.name] = entry
    trainings = {
        trials.key(v, seed, plan.songs): row["training"]
        for v in one.variants if v.config
        for seed, row in zip(plan.seeds, found[v.name], strict=True)
    }  # fmt: skip
    machines = [t["environment"] for t in trainings.values()] or [environment()]
    mixture = np.array(trials.mixture_scores(sources, plan.held_out), dtype=float)[None]
    return {
        "name": one.name,
        "question": one.question,
        "reduced": list(plan.reductions),
        "metric": METRIC,
        "intervals": statistics.HOW,
        "seeds_are": _seeds_are(one),
        "budget": {
            "steps": next((v.config.steps for v in one.variants if v.config), None),
            "checkpoint": None if plan.model is not None else one.checkpoint,
            "learned_from": len(plan.songs),
            "held_out": [track.name for track in plan.held_out],
            "seconds_of_held_out_sound": round(60 * minutes, 2),
        },
        "reference": one.reference,
        "sources": sources,
        "mixture": statistics.summary(mixture, sources),
        "variants": variants,
        "published": [dataclasses.asdict(entry) for entry in PUBLISHED[one.name]],
        "published_note": NOTES.get(one.name),
        "training_seconds": round(sum(t["seconds"] for t in trainings.values()), 1),
        "separation_processor_seconds": round(
            sum(r["seconds"] for rs in found.values() for r in rs), 1
        ),
        "machines": [m for i, m in enumerate(machines) if m not in machines[:i]],
    }


def _settings(variant: Variant) -> dict[str, Any]:
    config = None
    if variant.config:
        config = dataclasses.asdict(variant.config)
        config = {k: v for k, v in config.items() if k not in ("name", "seed", "minutes")}
        config["gain"] = list(config["gain"]) if config["gain"] else None
    return {
        "note": variant.note,
        "training": config,
        "branch": variant.branch,
        "separation": variant.separation,
    }


def _seed(
    seed: int, row: dict[str, Any], scores: np.ndarray, sources: Sequence[str]
) -> dict[str, Any]:
    alone = statistics.summary(scores[None], sources)
    entry = {
        "seed": seed,
        "mean": alone["mean"]["mean"],
        "sources": {name: value["mean"] for name, value in alone["sources"].items()},
        "songs": row["scores"],
    }
    if training := row.get("training"):
        entry |= {
            "training_seconds": training["seconds"],
            "step_seconds": training["step_seconds"],
            "losses": training["losses"],
        }
    return entry


def _seeds_are(one: Experiment) -> str:
    if one.checkpoint is None:
        return "of initial weights, excerpts and augmentation"
    return "of the shifts, for one checkpoint" if one.random else "of nothing: no chance is in it"


def _array(rows: Sequence[dict[str, Any]]) -> np.ndarray:
    """Scores `[seeds, songs, S]`, NaN where a source is silent."""
    return np.array([row["scores"] for row in rows], dtype=float)


def _parameters(model: Any) -> int:
    return sum(p.numel() for p in model.parameters())


def write(path: Path, result: dict[str, Any]) -> None:
    """Write JSON atomically; lists of numbers stay on one line."""
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False)
    text = re.sub(r"\[[^\[\]{}\"]*\]", lambda found: " ".join(found[0].split()), text)
    with atomic_path(path) as beside:
        beside.write_text(text + "\n", encoding="utf-8")


def results(name: str, own: bool = False) -> dict[str, Any]:
    """The results of an experiment as they are shipped, or the last ones made on this machine.

    Raises:
        ValueError: if there is no such experiment.
        FileNotFoundError: if it has no results yet.
        ValueError: if they are damaged.
    """
    path = (own_folder() if own else SHIPPED) / f"{experiment(name).name}.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"the experiment {name!r} has no {'own' if own else 'shipped'} results: "
            f"`python -m demucs_lab experiment {name} --reduced` makes some in a few minutes"
        )
    return read_json(path, f"measure it again with `python -m demucs_lab experiment {name}`")
