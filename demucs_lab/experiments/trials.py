"""One training of one variant with one seed, kept as it ends; and its scores on held-out songs.

A trained model is found again by what made it: its settings, its seed, the songs, and `CODE`. So an
interrupted experiment goes on where it stopped, and variants that several experiments share are
trained once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from demucs_lab.common.paths import user_dir
from demucs_lab.experiments.catalogue import Variant
from demucs_lab.metrics import nsdr
from demucs_lab.separation.waveform import separate
from demucs_lab.training.checkpoint import load_weights, read_json, save_weights, write_json
from demucs_lab.training.loop import train
from demucs_lab.training.presets import Config
from demucs_lab.training.record import environment, in_notebook

if TYPE_CHECKING:
    from demucs_lab.datasets import Track

CODE = 2
"""Raised when a change of models, losses or the loop makes kept trainings no longer comparable."""

_AGAIN = "delete it, and it is made again"
_POINTS = 60  # of a loss curve


def folder() -> Path:
    """Where finished trainings are kept, among the user's own caches."""
    return user_dir() / "experiments"


def build(variant: Variant, seed: int) -> Any:
    """The model of a variant, with the random weights of a seed."""
    from demucs_lab import models
    from demucs_lab.experiments.branches import BRANCHES

    config = _config(variant)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if variant.branch:
            return BRANCHES[variant.branch].tiny(**config.model_options)
        return models.build(config.model, **config.model_options)


def key(variant: Variant, seed: int, songs: Sequence[Track]) -> str:
    """The name under which a training is kept."""
    settings = dataclasses.asdict(_config(variant).but(seed=seed))
    for name in ("name", "model", "model_options", "checkpoint_seconds", "checkpoint_steps"):
        del settings[name]
    return _digest([CODE, architecture(build(variant, 0)), settings, _fingerprints(songs)])


def architecture(model: Any) -> dict[str, Any]:
    """The class of a model and all its settings, also those that a builder chose."""
    from demucs_lab.models import MODELS

    family = next(cls for cls in type(model).__mro__ if cls in MODELS.values())
    settings = {name: getattr(model, name) for name in inspect.signature(family).parameters}
    settings = {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()}
    return {"class": type(model).__name__, **settings}


def trained(
    variant: Variant,
    seed: int,
    songs: Sequence[Track],
    held_out: Sequence[Track],
    progress: bool = True,
) -> tuple[Any, dict[str, Any]]:
    """The model of a variant after its training, and how that went; kept ones are not repeated.

    The weights after the last step are taken: held-out songs choose nothing.

    Raises:
        KeyboardInterrupt: if it was interrupted; nothing of it is kept.
    """
    config = _config(variant)
    path = folder() / "trained" / key(variant, seed, songs)
    weights, facts = path.with_suffix(".safetensors"), path.with_suffix(".json")
    model = build(variant, seed)
    if weights.is_file() and facts.is_file():
        load_weights(model, weights)
        return model.eval(), read_json(facts, _AGAIN)
    with tempfile.TemporaryDirectory(prefix="demucs-lab-", ignore_cleanup_errors=True) as run:
        began = time.monotonic()
        result = train(
            config.but(name=f"{variant.name}, seed {seed}", seed=seed),
            songs, valid=[_short(held_out[0])], folder=Path(run, "run"), model=model,
            workers=0, progress=progress and _bars_are_seen(), figure=False,
        )  # fmt: skip
        seconds = time.monotonic() - began
    if result.stopped == "interrupted":
        raise KeyboardInterrupt
    about = {
        "parameters": sum(p.numel() for p in result.model.parameters()),
        "seconds": round(seconds, 1),
        "step_seconds": step_seconds(result.history),
        "losses": loss_curve(result.history),
        "environment": environment(),
    }
    weights.parent.mkdir(parents=True, exist_ok=True)
    save_weights(result.model, weights)
    write_json(facts, about)
    return result.model.cpu().eval(), about


def _bars_are_seen() -> bool:
    """Whether there is a screen; a log gets no bars."""
    return in_notebook() or sys.stdout.isatty()


def loss_curve(history: Sequence[dict[str, Any]]) -> list[list[float]]:
    """Pairs of step and loss, the mean over as many steps as make some sixty points.

    >>> loss_curve([{"step": n, "loss": float(n)} for n in (1, 2, 3)])
    [[1, 1.0], [2, 2.0], [3, 3.0]]
    """
    lines = [(line["step"], line["loss"]) for line in history if "loss" in line]
    size = max(1, len(lines) // _POINTS)
    blocks = [lines[i : i + size] for i in range(0, len(lines), size)]
    return [[b[-1][0], round(sum(loss for _, loss in b) / len(b), 5)] for b in blocks]


def step_seconds(history: Sequence[dict[str, Any]]) -> float:
    """What a step took by the clock, without the scoring after the last one.

    >>> step_seconds([{"step": 2, "loss": 1.0, "elapsed": 0.5}, {"step": 2, "elapsed": 9.0}])
    0.25
    """
    last = [line for line in history if "loss" in line][-1]
    return float(round(last["elapsed"] / last["step"], 4))


def trial(
    variant: Variant,
    seed: int,
    songs: Sequence[Track],
    held_out: Sequence[Track],
    progress: bool = True,
) -> dict[str, Any]:
    """Train a variant with a seed and score it, or find what is kept of that.

    Returns:
        "training", see `trained`; "scores" in dB, `[songs, S]`, None where a source is silent; and
        "seconds", those of the processor for separating the held-out songs.
    """
    made_by = [key(variant, seed, songs), variant.separation, _fingerprints(held_out)]
    path = folder() / "scored" / f"{_digest(made_by)}.json"
    if path.is_file():
        return read_json(path, _AGAIN)
    model, about = trained(variant, seed, songs, held_out, progress)
    scores, seconds = scored(model, variant, seed, held_out)
    found = {"training": about, "scores": scores, "seconds": round(seconds, 2)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, found)
    return found


def is_kept(variant: Variant, seed: int, songs: Sequence[Track]) -> bool:
    """Whether this training was done before."""
    return (folder() / "trained" / f"{key(variant, seed, songs)}.json").is_file()


def scored(
    model: Any, variant: Variant, seed: int, held_out: Sequence[Track]
) -> tuple[list[list[float | None]], float]:
    """SDR in dB of each song and source, and the processor's seconds for all of them."""
    scores, seconds = [], 0.0
    for track in held_out:
        song = dataclasses.replace(track)  # its stems are let go with it
        stems = torch.stack([song.sources[name] for name in model.sources])
        began = time.process_time()
        estimates = separate(
            model, song.mixture, song.samplerate, seed=seed, progress=False, **variant.separation
        )
        seconds += time.process_time() - began
        scores.append(decibels(stems, estimates))
    return scores, seconds


def mixture_scores(sources: Sequence[str], held_out: Sequence[Track]) -> list[list[float | None]]:
    """SDR of the mixture itself, taken for each source: what is to be beaten."""
    scores = []
    for track in held_out:
        song = dataclasses.replace(track)
        stems = torch.stack([song.sources[name] for name in sources])
        scores.append(decibels(stems, song.mixture.expand_as(stems)))
    return scores


def decibels(stems: Tensor, estimates: Tensor) -> list[float | None]:
    """SDR per source; None where it is silent throughout."""
    return [None if math.isnan(x) else round(x, 4) for x in nsdr(stems, estimates).tolist()]


def layer_scales(variant: Variant, seed: int, track: Track, seconds: float = 2.0) -> list[Any]:
    """Standard deviation of each layer's output before any training, for an input of 1.

    One entry per layer of a Demucs, from the input to the output: its name, the standard deviation
    of the weights of its strided convolution (None for the LSTM), and that of its output.
    """
    model = build(variant, seed).eval()
    mixture = track.excerpt(0.0, min(seconds, track.duration)).mixture
    mixture = (mixture - mixture.mean()) / (mixture.std() + 1e-8)
    found: list[Any] = []

    def note(name: str, conv: Any) -> Any:
        def hook(_module: Any, _inputs: Any, output: Tensor) -> None:
            weight = None if conv is None else float(conv.weight.detach().std())
            found.append({"layer": name, "weights": weight, "output": float(output.std())})

        return hook

    for i, layer in enumerate(model.encoder):
        layer.register_forward_hook(note(f"encoder {i + 1}", layer.conv))
    if model.lstm is not None:
        model.lstm.register_forward_hook(note("LSTM", None))
    for i, layer in enumerate(model.decoder):
        layer.register_forward_hook(note(f"decoder {len(model.decoder) - i}", layer.conv_tr))
    with torch.no_grad():
        model(mixture[None])
    return found


def _config(variant: Variant) -> Config:
    if variant.config is None:
        raise ValueError(f"variant {variant.name!r} has nothing to train")
    return variant.config


def _short(track: Track) -> Track:
    """The loop wants to score something at its end; our own scores come afterwards."""
    return track.excerpt(0.0, min(2.0, track.duration))


def _fingerprints(songs: Sequence[Track]) -> list[Any]:
    return [song.fingerprint for song in songs]


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
