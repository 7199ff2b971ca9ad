"""`python -m demucs_lab train`: what a lesson's training cell does, from a shell."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demucs_lab.cli.parse import positive

if TYPE_CHECKING:
    from demucs_lab.datasets import Track
    from demucs_lab.training import Config


def add_commands(commands: Any) -> None:
    """Give the command line its command."""
    train = commands.add_parser(
        "train", help="a model on songs with known stems",
        description="Train a model on songs with known stems, and print its SDR on songs that it "
        "did not learn from. Ctrl-C ends the training and keeps the best model; --resume goes on.",
    )  # fmt: skip
    train.add_argument(
        "--preset", metavar="NAME",
        help="a model and its settings, `--preset list` shows them (default: tiny-demucs)",
    )  # fmt: skip
    train.add_argument(
        "--songs", default="labsongs", metavar="SONGS",
        help="labsongs (the 64 starter songs), labsongs-full, musdb18, or a folder of songs with "
        "stems (default: labsongs)",
    )  # fmt: skip
    train.add_argument("--minutes", type=positive(float), metavar="N", help="the budget")
    train.add_argument("--steps", type=positive(int), metavar="N", help="the budget, in steps")
    train.add_argument(
        "--folder", type=Path, metavar="DIR", help="for the run (default: runs/NAME)"
    )
    train.add_argument(
        "--start", metavar="MODEL",
        help="begin with trained weights: the name of a pretrained model, a file, or the folder of "
        "another run (default: random weights)",
    )  # fmt: skip
    train.add_argument(
        "--resume", type=Path, metavar="DIR", help="go on with the run in this folder"
    )
    train.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE",
        help="change a setting, for example batch=8 or remix=false; may be repeated",
    )  # fmt: skip
    train.add_argument("--workers", type=int, metavar="N", help="processes that prepare excerpts")
    train.add_argument(
        "--processes", type=positive(int), metavar="N", help="that share the work, one per GPU"
    )
    train.add_argument("--tensorboard", action="store_true", help="write its files too")
    train.add_argument("--cpu", action="store_true", help="leave a GPU alone")
    train.set_defaults(run=run_train)


def run_train(options: argparse.Namespace) -> int:
    """Train or go on, then print held-out SDR beside the mixture's; 130 after Ctrl-C."""
    from demucs_lab import training

    if options.preset == "list":
        print(
            "tiny-NAME is for a laptop, tiny-NAME-t4 for a T4, tiny-NAME-80gb for an 80 GB GPU; "
            "paper-NAME\nhas the authors' own settings, for MUSDB18. --set changes any of them.\n"
        )
        for name, config in training.presets().items():
            print(f"{name:22s} {config.model}, {config.budget()}, batch {config.batch}")
        return 0
    shared = {
        "workers": options.workers, "processes": options.processes,
        "tensorboard": options.tensorboard, "cpu": options.cpu,
    }  # fmt: skip
    if options.resume:
        given = vars(options)
        if any(given[name] for name in ("preset", "minutes", "steps", "set", "folder", "start")):
            raise ValueError(
                "--resume goes on with the settings of the run: leave --preset, --minutes, "
                "--steps, --set, --folder and --start out"
            )
        config, _ = training.settings(options.resume)
        learned, held_out = _songs(options.songs, _rate(config))
        result = training.resume(options.resume, learned, valid=held_out, **shared)
    else:
        changes = {"minutes": options.minutes, "steps": options.steps}
        config = training.preset(options.preset or "tiny-demucs").but(
            **{k: v for k, v in changes.items() if v is not None}, **_changes(options.set)
        )
        model = _start(options.start, config)
        learned, held_out = _songs(options.songs, model.samplerate if model else _rate(config))
        result = training.train(
            config, learned, valid=held_out, folder=options.folder, model=model, **shared
        )
    if _is_main():
        print(result)
    return 130 if result.stopped == "interrupted" else 0


def _changes(given: Sequence[str]) -> dict[str, Any]:
    """Settings as typed: `batch=8`, `remix=false`, `clip=none`, `gain=[0.5,1]`.

    >>> _changes(["batch=8", "remix=false", "clip=none", "loss=l2"])
    {'batch': 8, 'remix': False, 'clip': None, 'loss': 'l2'}
    """
    import json

    changes = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"expected --set NAME=VALUE, got {text!r}")
        try:
            changes[name] = json.loads({"none": "null"}.get(value.lower(), value.lower()))
        except json.JSONDecodeError:
            changes[name] = value
    return changes


def _start(name: str | None, config: Config) -> Any:
    """The model to begin with; None: a new one.

    Raises:
        ValueError: if the settings are of another kind of model, or it is a bag of several.
    """
    from demucs_lab import models, pretrained

    if name is None:
        return None
    model = pretrained.load(name)
    wanted = models.build(config.model, **config.model_options)
    if type(model) is not type(wanted):
        raise ValueError(
            f"--start {name} is a {type(model).__name__}, but the preset trains a "
            f"{type(wanted).__name__}: choose a preset of its kind"
        )
    return model


def _rate(config: Config) -> int:
    from demucs_lab import models

    return models.build(config.model, **config.model_options).samplerate


_SETS = {"labsongs": "starter", "labsongs-full": "labsongs"}
"""What `--songs` calls them: the starter songs are what a training takes by default."""


def _songs(name: str, samplerate: int) -> tuple[Sequence[Track], Sequence[Track] | None]:
    """Songs to learn from, and to be judged by; None: hold some of the first out."""
    from demucs_lab import datasets

    name = _SETS.get(name, name)
    learned = datasets.open(name, "train", samplerate)
    if not datasets.has_split(name, "valid"):
        return learned, None
    return learned, datasets.open(name, "valid", samplerate)


def _is_main() -> bool:
    """Whether this process is the one that prints, under `accelerate launch`."""
    import os

    return os.environ.get("RANK", "0") == "0"
