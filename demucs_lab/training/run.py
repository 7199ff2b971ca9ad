"""One training from its first step to its last: the loop, and what is done between its steps."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from tqdm import tqdm

from demucs_lab.common.memory import reused_memory
from demucs_lab.training import checkpoint, data
from demucs_lab.training.judging import Progress, held_out_scores, is_due
from demucs_lab.training.keeping import Keeper, Levels, diverged
from demucs_lab.training.optimization import RunningMean
from demucs_lab.training.options import Options
from demucs_lab.training.presets import Config
from demucs_lab.training.processes import Team
from demucs_lab.training.record import RunFolder, Scores, best_scores
from demucs_lab.training.result import Result
from demucs_lab.training.step import Learner, learn

if TYPE_CHECKING:
    from demucs_lab.datasets import Track

_LOOK_EVERY = 10  # steps between two looks at the loss on a GPU, where each look waits for it


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
        self.levels: Levels = []
        self.keeper = Keeper(
            record, config, self.learner, accelerator.scaler,
            {
                "songs": [track.name for track in tracks],
                "held_out": [track.name for track in valid],
                "processes": self.team.size,
            },
        )  # fmt: skip
        self._unread: list[Tensor] = []  # losses that nothing has looked at yet
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
            self.keeper.write(self.at, self.levels)

    def load(self) -> None:
        """Take the state from the newest whole checkpoint.

        Raises:
            FileNotFoundError, ValueError: if there is none, or the songs or the number of
                processes are not those of the run.
        """
        self.at, self.levels = self.keeper.read()
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
        self.keeper.start()
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
            self._checkpoint_at_the_end()
            self.accelerator.wait_for_everyone()
        except KeyboardInterrupt:
            stopped = "interrupted"
            if self.learner.whole:
                self._checkpoint_at_the_end()
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
            raise diverged("the loss", self.learner, self.at, self.record)
        self._log(
            {
                "step": self.learner.step,
                "progress": min(1.0, done),
                "elapsed": round(self.at.elapsed, 3),
                "loss": sum(losses.tolist()) / len(losses),
                "learning_rate": self.learner.optimizer.param_groups[0]["lr"],
            }
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
        if self.team.main and not self._unread and self.keeper.is_due:
            self.keeper.try_to_write(self.at, self.levels)

    def _checkpoint_at_the_end(self) -> None:
        if self.team.main and self.keeper.saved_step != self.learner.step:
            self.keeper.try_to_write(self.at, self.levels)


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
