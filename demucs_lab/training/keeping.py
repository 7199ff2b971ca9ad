"""The checkpoints of a run: when they are written, what they hold, and who may go on from them."""

from __future__ import annotations

import dataclasses
import itertools
import time
import warnings
from typing import Any

from demucs_lab.training import checkpoint
from demucs_lab.training.judging import Progress
from demucs_lab.training.presets import Config
from demucs_lab.training.record import RunFolder
from demucs_lab.training.step import Learner

Levels = list[tuple[float, float]]

_IN_WORDS = {"songs": "songs to learn from", "held_out": "songs to be judged by"}


class Keeper:
    """Writes the state of a run into its folder, and reads it again.

    Args:
        record: the folder.
        config: how often.
        learner: whose state is kept.
        scaler: of gradients in half precision; None: there is none.
        circumstances: what must be the same when a training goes on: "songs", "held_out" and
            "processes".

    Attributes:
        saved_step: the step of the newest checkpoint.
    """

    def __init__(
        self,
        record: RunFolder,
        config: Config,
        learner: Learner,
        scaler: Any,
        circumstances: dict[str, Any],
    ) -> None:
        self.record, self.config = record, config
        self.learner, self.scaler, self.circumstances = learner, scaler, circumstances
        self.start()

    def start(self) -> None:
        """Count steps and time from here on."""
        self.saved_step = self._tried_step = self.learner.step
        self._tried_at = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether it is time for another checkpoint."""
        if steps := self.config.checkpoint_steps:
            return self.learner.step - self._tried_step >= steps
        return time.monotonic() - self._tried_at > self.config.checkpoint_seconds

    def try_to_write(self, at: Progress, levels: Levels) -> None:
        """As `write`, but a full disk is a warning."""
        try:
            self.write(at, levels)
        except OSError as error:
            warnings.warn(f"{error}; the training goes on, those before it stay", stacklevel=2)

    def write(self, at: Progress, levels: Levels) -> None:
        """Write a checkpoint.

        Raises:
            OSError: if it cannot be written.
            FloatingPointError: if a weight is NaN or infinite; nothing is written then.
        """
        learner = self.learner
        self._tried_at, self._tried_step = time.monotonic(), learner.step
        tensors = {
            **checkpoint.named("model", learner.network),
            **checkpoint.named("mean", learner.mean.model),
            **checkpoint.optimizer_tensors(learner.optimizer),
        }
        if not all(bool(value.isfinite().all()) for value in tensors.values()):
            raise diverged("a weight", learner, at, self.record)
        facts = {
            "progress": {"step": learner.step, **dataclasses.asdict(at)},
            "scaler": self.scaler.state_dict() if self.scaler is not None else None,
            "levels": levels,
            **self.circumstances,
        }
        checkpoint.save_checkpoint(self.record.checkpoints, learner.step, tensors, facts)
        self.saved_step = learner.step

    def read(self) -> tuple[Progress, Levels]:
        """Give the learner the state of the newest whole checkpoint.

        Returns:
            Where the run stood, and the levels of its songs.

        Raises:
            FileNotFoundError, ValueError: if there is none, or the circumstances are others.
        """
        tensors, facts, complaints = checkpoint.load_checkpoint(self.record.checkpoints)
        for complaint in complaints:
            warnings.warn(f"{complaint}: going on from step {facts['step']}", stacklevel=4)
        try:
            progress = dict(facts["progress"])
            step = progress.pop("step")
            at = Progress(**progress)
            levels = [(mean, std) for mean, std in facts["levels"]]
            _refuse_others_than_numbers([step, *progress.values(), *itertools.chain(*levels)])
            scaler = facts["scaler"]
            before = {what: facts[what] for what in self.circumstances}
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(error) from error
        self._must_be_the_same(before)
        try:
            if len(levels) != len(self.circumstances["songs"]):
                raise ValueError(f"it has the levels of {len(levels)} songs")
            checkpoint.restore("model", self.learner.network, tensors)
            checkpoint.restore("mean", self.learner.mean.model, tensors)
            checkpoint.restore_optimizer(self.learner.optimizer, tensors)
            if self.scaler is not None and scaler:
                self.scaler.load_state_dict(scaler)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise self._damaged(error) from error
        self.learner.step = step
        return at, levels

    def _damaged(self, error: Exception) -> ValueError:
        return ValueError(
            f"the newest checkpoint in {self.record.checkpoints} does not hold what a training "
            f"needs ({checkpoint.one_line(error) or type(error).__name__}): remove it to go on "
            f"from the one before, or start the training again"
        )

    def _must_be_the_same(self, facts: dict[str, Any]) -> None:
        path = self.record.path
        for what, now in self.circumstances.items():
            before = facts[what]
            if what != "processes" and not (isinstance(before, list) and before):
                raise self._damaged(ValueError(f"it does not name the {_IN_WORDS[what]}"))
            if now == before:
                continue
            if what == "processes":
                raise ValueError(
                    f"{path} was trained by {before} processes: resume it with as many, not with "
                    f"{now}"
                )
            missing = next((f", without {name!r}" for name in before if name not in now), "")
            raise ValueError(
                f"{path} began with other {_IN_WORDS[what]} ({len(before)}, from {before[0]!r} "
                f"on): resume it with these, not with {len(now)} from {now[0]!r} on{missing}"
            )


def _refuse_others_than_numbers(values: list[Any]) -> None:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            raise ValueError(f"{str(value)[:40]!r} is no number")


def diverged(what: str, learner: Learner, at: Progress, record: RunFolder) -> FloatingPointError:
    """A sentence on what became NaN, what to do, and what is kept."""
    kept = (
        f"the best model, of step {at.best_step}, is {record.model}"
        if at.best_step >= 0
        else f"the last good checkpoint is in {record.checkpoints}"
    )
    rate = learner.optimizer.param_groups[0]["lr"]
    return FloatingPointError(
        f"{what} became NaN or infinite at step {learner.step}: lower the learning rate (it was "
        f"{rate:.1e}) or clip gradients, and look for NaN in the songs; {kept}"
    )
