"""One training from its first step to its last: the loop, and what is done between its steps."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from tqdm import tqdm

from demucs_lab.common.memory import reused_memory
from demucs_lab.training import checkpoint, data
from demucs_lab.training.judging import Progress, held_out_scores, is_due
from demucs_lab.training.live import Display
from demucs_lab.training.optimization import RunningMean
from demucs_lab.training.presets import Config
from demucs_lab.training.processes import Team
from demucs_lab.training.record import RunFolder, Scores, best_scores
from demucs_lab.training.result import Result
from demucs_lab.training.step import Learner, learn

if TYPE_CHECKING:
    from demucs_lab.datasets import Track

_IN_WORDS = {"songs": "songs to learn from", "held_out": "songs to be judged by"}
_LOOK_EVERY = 10  # steps between two looks at the loss on a GPU, where each look waits for it


@dataclasses.dataclass(frozen=True)
class Options:
    """What changes how a training runs, not what it learns; see `train`."""

    valid: Sequence[Track] | None = None
    workers: int | None = None
    progress: bool = True
    figure: bool | None = None
    tensorboard: bool = False
    cpu: bool = False
    forked: bool = False  # from a notebook: its widgets cannot be reached

    def display(self, name: str, folder: Path, main: bool) -> Display:
        """What this process shows: only the main one shows anything."""
        board = folder / "tensorboard" if self.tensorboard and main else None
        figure = self.figure if main and not self.forked else False
        return Display(name, self.progress and main, figure, board, plain=self.forked)

    def workers_on(self, device: torch.device) -> int:
        """How many processes prepare excerpts."""
        if self.workers is not None:
            return self.workers
        return 0 if device.type == "cpu" else min(8, os.cpu_count() or 1)


class Run:
    """One training, from its first step to its last or its interruption.

    Args:
        accelerator: what `processes.accelerating` gives.
        config: what is trained, and how.
        model: with the weights to start from.
        tracks, valid: songs to learn from, and to be judged by.
        record: the folder of the run.
        options: what changes nothing about the result.
    """

    def __init__(
        self,
        accelerator: Any,
        config: Config,
        model: Any,
        tracks: Sequence[Track],
        valid: Sequence[Track],
        record: RunFolder,
        options: Options,
    ) -> None:
        self.accelerator, self.team = accelerator, Team(accelerator)
        self.config, self.record, self.options = config, record, options
        self.tracks, self.valid = tracks, valid
        self.format = data.InputFormat.of(model)
        self.described = repr(model)
        self.learner = _learner(accelerator, config, model, self.format)
        self.at = Progress()
        self.history: list[dict[str, Any]] = []
        self.levels: list[tuple[float, float]] = []
        self._unread: list[Tensor] = []  # losses that nothing has looked at yet
        self._saved_step = 0
        self._tried_at, self._tried_step = 0.0, 0  # to write a checkpoint
        self._began = time.monotonic()

    # --- beginnings

    def begin(self) -> None:
        """Measure the level of each song and write checkpoint 0: a full disk shows at once."""
        songs = tqdm(
            self.team.share(self.tracks), "listening to the songs", unit="song", file=sys.stdout,
            disable=not (self.team.main and self.options.progress), leave=False,
        )  # fmt: skip
        self.levels = self.team.gather([data.level(track) for track in songs])
        if self.team.main:
            self.record.rewind(-1)
            self._write_checkpoint()

    def load(self) -> None:
        """Take the state from the newest whole checkpoint.

        Raises:
            FileNotFoundError, ValueError: if there is none, or the songs or the number of
                processes are not those of the run.
        """
        tensors, facts, complaints = checkpoint.load_checkpoint(self.record.checkpoints)
        for complaint in complaints:
            warnings.warn(f"{complaint}: going on from step {facts['step']}", stacklevel=3)
        _must_be_the_same(self.record.path, facts, self._circumstances())
        checkpoint.restore("model", self.learner.network, tensors)
        checkpoint.restore("mean", self.learner.mean.model, tensors)
        checkpoint.restore_optimizer(self.learner.optimizer, tensors)
        if self.accelerator.scaler is not None and facts["scaler"]:
            self.accelerator.scaler.load_state_dict(facts["scaler"])
        progress = dict(facts["progress"])
        self.learner.step = progress.pop("step")
        self.at = Progress(**progress)
        self.levels = [tuple(pair) for pair in facts["levels"]]
        self.history = self.record.history(self.learner.step)
        if self.team.main:
            self.record.rewind(self.learner.step)

    # --- the loop

    @reused_memory()
    def go(self) -> Result:
        """Train until the budget is spent, held-out songs get no better, or Ctrl-C."""
        config = self.config
        excerpts = data.Excerpts(
            self.tracks, self.levels, self.format, config, data.group_size(config)
        )
        batches = data.batches(
            excerpts, config.batch, self.learner.step, self.team.rank, self.team.size,
            self.options.workers_on(self.team.device),
        )  # fmt: skip
        self.display = self.options.display(config.name, self.record.path, self.team.main)
        self._began = time.monotonic() - self.at.elapsed
        self._tried_at, self._tried_step = time.monotonic(), self.learner.step
        self._saved_step = self.learner.step
        stopped = "budget"
        try:
            for loss in learn(self.learner, batches, config, self.accelerator, self._done):
                self.at.elapsed = self._elapsed
                self._unread.append(loss)
                self._log_losses(self._done())
                if is_due(config, self.at, self._done(), self._elapsed, self.team):
                    self._validate()
                    if config.patience and self.at.since_best >= config.patience:
                        stopped = "patience"
                        break
                self._checkpoint_if_due()
            self._log_losses(1.0, now=True)
            if self.at.validations < config.validations and stopped == "budget":
                self._validate()
            self._save_last_step()
            self.accelerator.wait_for_everyone()
        except KeyboardInterrupt:
            stopped = "interrupted"
            if self.learner.whole:
                self._save_last_step()
        finally:
            self.display.close(self.history)
            del batches
        return self._finish(stopped)

    @property
    def _elapsed(self) -> float:
        """Seconds since the run began, those before an interruption included."""
        return time.monotonic() - self._began

    def _done(self) -> float:
        """The share of the budget that is spent, the same for all processes."""
        if self.config.steps:
            return self.learner.step / self.config.steps
        return self.team.from_main(self._elapsed / (60 * (self.config.minutes or 0)))

    @property
    def _best_weights(self) -> Any:
        """The model that is judged and kept: the running mean, if there is one."""
        return self.learner.mean.model if self.config.ema else self.learner.network

    def _finish(self, stopped: str) -> Result:
        network = self._best_weights
        if self.at.best_step >= 0 and self.record.model.exists():
            checkpoint.load_weights(network, self.record.model)
        elif self.team.main:
            self._write_model(network, None)
        self._log({"step": self.learner.step, "stopped": stopped})
        return Result(
            network.eval().requires_grad_(True), best_scores(self.history), self.history,
            self.record.path, stopped, self.learner.step,
        )  # fmt: skip

    # --- what is logged

    def announce(self, sentence: str) -> None:
        """Print it once, from the main process."""
        if self.team.main and self.options.progress:
            print(sentence, flush=True)

    def _log(self, line: dict[str, Any]) -> None:
        self.history.append(line)
        if self.team.main:
            self.record.log(line)
        if "progress" in line:
            self.display.step(line, self.history)

    def _log_losses(self, done: float, now: bool = False) -> None:
        """Look at the losses of the last steps; stop if one of them is NaN or infinite."""
        often = 1 if self.team.device.type == "cpu" else _LOOK_EVERY
        if not self._unread or not (now or len(self._unread) >= often):
            return
        losses = self.accelerator.reduce(torch.stack(self._unread), "mean")
        self._unread = []
        if not losses.isfinite().all():
            raise self._diverged("the loss")
        self._log(
            {
                "step": self.learner.step,
                "progress": min(1.0, done),
                "elapsed": round(self.at.elapsed, 3),
                "loss": sum(losses.tolist()) / len(losses),
                "learning_rate": self.learner.optimizer.param_groups[0]["lr"],
            }
        )

    def _diverged(self, what: str) -> FloatingPointError:
        kept = (
            f"the best model, of step {self.at.best_step}, is {self.record.model}"
            if self.at.best_step >= 0
            else f"the last good checkpoint is in {self.record.checkpoints}"
        )
        rate = self.learner.optimizer.param_groups[0]["lr"]
        return FloatingPointError(
            f"{what} became NaN or infinite at step {self.learner.step}: lower the learning rate "
            f"(it was {rate:.1e}) or clip gradients, and look for NaN in the songs; {kept}"
        )

    # --- held-out songs

    def _validate(self) -> None:
        """Score the held-out songs, and keep the weights if they are the best so far."""
        self._log_losses(self._done(), now=True)
        began = time.monotonic()
        network = self._best_weights
        scores = held_out_scores(network, self.valid, self.format.sources, self.team)
        self.learner.network.train()
        at, done = self.at, self._done()
        at.judging += time.monotonic() - began
        at.validations = max(at.validations + 1, int(done * self.config.validations))
        at.since_best += 1
        if better := scores.mean > at.best and self._kept(network, scores):
            at.best, at.best_step, at.since_best = scores.mean, self.learner.step, 0
        self._log(
            {
                "step": self.learner.step,
                "progress": min(1.0, done),
                "elapsed": round(self._elapsed, 3),
                "sdr": dict(zip(scores.sources, scores.model, strict=True)),
                "mixture": dict(zip(scores.sources, scores.mixture, strict=True)),
                "mean": scores.mean,
                "songs": scores.songs,
                "best": better,
            }
        )

    def _kept(self, network: Any, scores: Scores) -> bool:
        """Keep the weights as the best ones; whether that could be done, for all processes."""
        return bool(self.team.from_main(self.team.main and self._write_model(network, scores)))

    def _write_model(self, network: Any, scores: Scores | None) -> bool:
        try:
            checkpoint.save_weights(network, self.record.model)
            self.record.write_card(self.described, [t.name for t in self.tracks], scores)
        except Exception as error:  # safetensors has errors of its own for a full disk
            warnings.warn(
                f"the best model could not be written to {self.record.model} ({error})",
                stacklevel=2,
            )
            return False
        return True

    # --- checkpoints

    def _checkpoint_if_due(self) -> None:
        """Only with every loss looked at: weights that gave NaN are not kept."""
        if not self.team.main or self._unread:
            return
        if steps := self.config.checkpoint_steps:
            due = self.learner.step - self._tried_step >= steps
        else:
            due = time.monotonic() - self._tried_at > self.config.checkpoint_seconds
        if due:
            self._try_checkpoint()

    def _save_last_step(self) -> None:
        if self.team.main and self._saved_step != self.learner.step:
            self._try_checkpoint()

    def _try_checkpoint(self) -> None:
        try:
            self._write_checkpoint()
        except OSError as error:
            warnings.warn(f"{error}; the training goes on, those before it stay", stacklevel=2)

    def _write_checkpoint(self) -> None:
        learner, scaler = self.learner, self.accelerator.scaler
        self._tried_at, self._tried_step = time.monotonic(), learner.step
        tensors = {
            **checkpoint.named("model", learner.network),
            **checkpoint.named("mean", learner.mean.model),
            **checkpoint.optimizer_tensors(learner.optimizer),
        }
        if not all(bool(value.isfinite().all()) for value in tensors.values()):
            raise self._diverged("a weight")
        facts = {
            "progress": {"step": learner.step, **dataclasses.asdict(self.at)},
            "scaler": scaler.state_dict() if scaler is not None else None,
            "levels": self.levels,
            **self._circumstances(),
        }
        checkpoint.save_checkpoint(self.record.checkpoints, learner.step, tensors, facts)
        self._saved_step = learner.step

    def _circumstances(self) -> dict[str, Any]:
        """What must be the same when a training goes on."""
        return {
            "songs": [track.name for track in self.tracks],
            "held_out": [track.name for track in self.valid],
            "processes": self.team.size,
        }


def _learner(accelerator: Any, config: Config, model: Any, format: data.InputFormat) -> Learner:
    """The model on its device, with its optimizer and its running mean."""
    separated = torch.tensor(format.separated, device=accelerator.device)
    network = model.train().to(accelerator.device)
    mean = RunningMean(network, config.ema)
    optimizer = torch.optim.AdamW(  # with no decay it is Adam
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay,
        fused=accelerator.device.type in ("cpu", "cuda"),  # one pass over all weights
    )  # fmt: skip
    wrapped, optimizer = accelerator.prepare(network, optimizer)
    return Learner(network, wrapped, optimizer, mean, separated)


def _must_be_the_same(path: Path, facts: dict[str, Any], circumstances: dict[str, Any]) -> None:
    for what, now in circumstances.items():
        before = facts[what]
        if now == before:
            continue
        if what == "processes":
            raise ValueError(
                f"{path} was trained by {before} processes: resume it with as many, not with {now}"
            )
        missing = next((f", without {name!r}" for name in before if name not in now), "")
        raise ValueError(
            f"{path} began with other {_IN_WORDS[what]} ({len(before)}, from {before[0]!r} on): "
            f"resume it with these, not with {len(now)} from {now[0]!r} on{missing}"
        )
