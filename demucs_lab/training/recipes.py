"""How the tiny models that come with the kit were trained: settings, and the command to type."""

from __future__ import annotations

import dataclasses
import json
import shlex
from typing import Any

from demucs_lab.training.presets import Config, preset


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a shipped model is trained: a preset with changes; and what it is, in a few words."""

    about: str
    preset: str
    changes: dict[str, Any]


_HYBRID: dict[str, Any] = {"steps": 11000, "validations": 2, "learning_rate": 2e-3}

SHIPPED: dict[str, Recipe] = {
    "tiny-conv-tasnet": Recipe(
        "Conv-TasNet (arXiv:1809.07454, the music version of 1911.13254)",
        "tiny-conv-tasnet",
        {"steps": 1200, "validations": 2},
    ),
    "tiny-demucs": Recipe(
        "Demucs (arXiv:1911.13254)",
        "tiny-demucs",
        {
            "steps": 26000,
            "validations": 4,
            "learning_rate": 1e-3,
            "model_options": {"channels": 32, "depth": 4},
        },
    ),
    "tiny-htdemucs": Recipe(
        "Hybrid Transformer Demucs (arXiv:2211.08553)",
        "tiny-htdemucs",
        {**_HYBRID, "model_options": {"segment": 1.5}},
    ),
    "tiny-htdemucs-nocross": Recipe(
        "Hybrid Transformer Demucs with self-attention in place of cross-attention",
        "tiny-htdemucs",
        {**_HYBRID, "model_options": {"segment": 1.5, "cross_attention": False}},
    ),
}  # fmt: skip


def recipe(name: str) -> Recipe:
    """How a shipped model is trained.

    Raises:
        ValueError: if no shipped model has that name.
    """
    if name not in SHIPPED:
        raise ValueError(f"no shipped model is named {name!r}: choose from {', '.join(SHIPPED)}")
    return SHIPPED[name]


def config(name: str) -> Config:
    """The settings of a shipped model's training on LabSongs' train split.

    Raises:
        ValueError: if no shipped model has that name.

    >>> config("tiny-htdemucs-nocross").model_options["cross_attention"]
    False
    """
    made_by = recipe(name)
    return preset(made_by.preset).but(name=name, **made_by.changes)


def hours_heard(name: str) -> float:
    """Sound that a shipped model was trained on, in hours; excerpts count each time.

    >>> round(hours_heard("tiny-demucs"), 1)
    43.3
    """
    settings = config(name)
    return (settings.steps or 0) * settings.batch * settings.segment / 3600


def command(name: str) -> str:
    """The training as it is typed in a shell.

    >>> command("tiny-demucs").split(" --steps ")[0]
    'python -m demucs_lab train --cpu --preset tiny-demucs --songs labsongs-full'
    """
    made_by = recipe(name)
    changes = {key: value for key, value in made_by.changes.items() if key != "steps"}
    words = ["python", "-m", "demucs_lab", "train", "--cpu", "--preset", made_by.preset]
    words += ["--songs", "labsongs-full", "--steps", str(made_by.changes["steps"])]
    for key, value in changes.items():
        words += ["--set", f"{key}={json.dumps(value)}"]
    return shlex.join(words)
