"""What a training gives: the best model, its scores, and the folder that holds all of it."""

from __future__ import annotations

import copy
import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from demucs_lab.training import checkpoint
from demucs_lab.training.record import RunFolder, Scores, best_scores

if TYPE_CHECKING:
    from demucs_lab.plots import Drawing


@dataclasses.dataclass(frozen=True, repr=False)
class Result:
    """What a training gives.

    Attributes:
        model: with the best weights, ready to separate.
        best: its scores on held-out songs; None if it stopped before the first were made.
        history: the lines of the metrics, in order.
        folder: of the run.
        stopped: "budget", "patience" or "interrupted".
        steps: done in all.
    """

    model: Any
    best: Scores | None
    history: list[dict[str, Any]]
    folder: Path
    stopped: str
    steps: int

    def plot(self) -> Drawing:
        """Loss and held-out SDR over the steps."""
        from demucs_lab.plots import learning

        return learning(self.history)

    def __repr__(self) -> str:
        why = {
            "budget": "its budget is spent",
            "patience": "held-out songs got no better",
            "interrupted": "it was interrupted; to go on: python -m demucs_lab train --resume "
            f"{self.folder}, with the same --songs",
        }
        lines = [f"Stopped after {self.steps} steps: {why[self.stopped]}."]
        lines += [str(self.best) if self.best else "No held-out song was scored yet."]
        which = "best model" if self.best else "model so far"
        return "\n".join([*lines, f"The {which} is {self.folder / 'model.safetensors'}"])

    @classmethod
    def load(cls, folder: str | os.PathLike[str], model: nn.Module | None = None) -> Result:
        """Read the folder of a run, also of one that was killed.

        Args:
            folder: of the run.
            model: needed only if the run began with a class of your own; it stays as it is.

        Raises:
            FileNotFoundError: if it holds no run, or one that had no model yet.
            ValueError: if the run began with a class of its own, and it was not given.
        """
        from demucs_lab import models

        record = RunFolder(folder)
        _, architecture = record.settings
        history = record.history()
        ends = [line["stopped"] for line in history if "stopped" in line]
        network: Any
        if model is None and architecture is not None:
            network = models.load(record.model)
        else:
            network = copy.deepcopy(model) or rebuilt(architecture, record.path)
            checkpoint.load_weights(network, record.model)
        return cls(
            model=network.eval(),
            best=best_scores(history),
            history=history,
            folder=record.path,
            stopped=ends[-1] if ends else "interrupted",
            steps=history[-1]["step"] if history else 0,
        )


def architecture(model: Any, given: bool) -> dict[str, Any] | None:
    """What builds a model of the kit again; None for a class of one's own.

    Args:
        model: the model.
        given: whether the run began with weights of its caller.
    """
    from demucs_lab.models import MODELS

    if type(model) not in MODELS.values():
        return None
    return {"class": type(model).__name__, "config": model.config(), "given": given}


def rebuilt(architecture: dict[str, Any] | None, folder: Path) -> Any:
    """The model that `architecture` describes, with random weights.

    Args:
        architecture: what a run keeps in its settings.
        folder: of the run, for the sentence.

    Raises:
        ValueError: for None, or what describes no model.
    """
    from demucs_lab.models import MODELS
    from demucs_lab.models.saving import built

    if architecture is None:
        raise ValueError(
            "this run began with a class of its own: give a model of that class, model="
        )
    try:
        return built(MODELS.values(), architecture["class"], architecture["config"])
    except ValueError as error:
        raise ValueError(
            f"{folder / 'config.json'} describes a model that cannot be built ({error}): put the "
            f"file back, or start the training again"
        ) from error
