"""The steps of a training: what `train` and `resume` set going."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from demucs_lab.common.memory import reused_memory
from demucs_lab.losses import LOSSES
from demucs_lab.metrics import nsdr
from demucs_lab.separation.waveform import separate
from demucs_lab.training import checkpoint, data
from demucs_lab.training.optimization import RunningMean, schedule
from demucs_lab.training.presets import Config
from demucs_lab.training.record import RunFolder, Scores, best_scores

if TYPE_CHECKING:
    from demucs_lab.datasets import Track
    from demucs_lab.training.loop import Options, Result

T = TypeVar("T")
_JUDGING_SHARE = 0.2  # of the time
_IN_WORDS = {"songs": "songs to learn from", "held_out": "songs to be judged by"}
_LOOK_EVERY = 10  # steps between two looks at the loss on a GPU, where each look waits for it


@dataclasses.dataclass
class Progress:
    """Where a run stands; with the tensors, all that a checkpoint holds."""

    step: int = 0
    elapsed: float = 0.0
    judging: float = 0.0
    validations: int = 0
    best: float = -math.inf
    since_best: int = 0
    best_step: int = -1


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
        self.accelerator = accelerator
        self.rank, self.world = accelerator.process_index, accelerator.num_processes
        self.main = accelerator.is_main_process
        self.config, self.record, self.options = config, record, options
        self.tracks, self.valid = tracks, valid
        self.at = Progress()
        self.history: list[dict[str, Any]] = []
        self.levels: list[tuple[float, float]] = []
        self.loss = LOSSES[config.loss]
        self.described = repr(model)
        self.heard = data.Heard.by(model)
        self.separated = torch.tensor(self.heard.separated, device=accelerator.device)
        model = model.train().to(accelerator.device)
        self.network = model
        self.mean = RunningMean(model, config.ema)
        optimizer = torch.optim.AdamW(  # with no decay it is Adam
            model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay,
            fused=accelerator.device.type in ("cpu", "cuda"),  # one pass over all weights
        )  # fmt: skip
        self.model, self.optimizer = accelerator.prepare(model, optimizer)
        self._unread: list[Tensor] = []
        self._whole = True
        self._tried_at, self._tried_step, self._saved_step = 0.0, 0, 0
        self._began = time.monotonic()

    # --- beginnings

    def begin(self) -> None:
        """Measure the level of each song and write checkpoint 0: a full disk shows at once."""
        songs = tqdm(
            self._mine(self.tracks), "listening to the songs", unit="song", file=sys.stdout,
            disable=not (self.main and self.options.progress), leave=False,
        )  # fmt: skip
        self.levels = self._everyone([data.level(track) for track in songs])
        if self.main:
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
        self._must_be_the_same(facts)
        checkpoint.restore("model", self.network, tensors)
        checkpoint.restore("mean", self.mean.model, tensors)
        checkpoint.restore_optimizer(self.optimizer, tensors)
        if self.accelerator.scaler is not None and facts["scaler"]:
            self.accelerator.scaler.load_state_dict(facts["scaler"])
        self.at = Progress(**facts["progress"])
        self.levels = [tuple(pair) for pair in facts["levels"]]
        self.history = self.record.history(self.at.step)
        if self.main:
            self.record.rewind(self.at.step)

    def _must_be_the_same(self, facts: dict[str, Any]) -> None:
        for what, now in self._circumstances().items():
            before = facts[what]
            if now == before:
                continue
            if what == "processes":
                raise ValueError(
                    f"{self.record.path} was trained by {before} processes: resume it with as "
                    f"many, not with {now}"
                )
            missing = next((f", without {name!r}" for name in before if name not in now), "")
            raise ValueError(
                f"{self.record.path} began with other {_IN_WORDS[what]} ({len(before)}, from "
                f"{before[0]!r} on): resume it with these, not with {len(now)} from {now[0]!r} "
                f"on{missing}"
            )

    def _circumstances(self) -> dict[str, Any]:
        """What must be the same when a training goes on."""
        return {
            "songs": [track.name for track in self.tracks],
            "held_out": [track.name for track in self.valid],
            "processes": self.world,
        }

    # --- the loop

    @reused_memory()
    def go(self) -> Result:
        """Train until the budget is spent, nothing gets better, or somebody interrupts."""
        config = self.config
        excerpts = data.Excerpts(
            self.tracks, self.levels, self.heard, config, data.group_size(config)
        )
        stream = data.batches(
            excerpts, config.batch, self.at.step, self.rank, self.world,
            self._workers(),
        )  # fmt: skip
        self.display = self.options.display(config.name, self.record.path, self.main)
        self._began = time.monotonic() - self.at.elapsed
        self._tried_at, self._tried_step = time.monotonic(), self.at.step
        self._saved_step = self.at.step
        stopped = "budget"
        try:
            while (done := self._done()) < 1:
                self._step(next(stream), done)
                self._log_losses(self._done())
                if self._due():
                    self._validate()
                    if config.patience and self.at.since_best >= config.patience:
                        stopped = "patience"
                        break
                self._checkpoint_if_due()
            self._log_losses(1.0, now=True)
            if self.at.validations < config.validations and stopped == "budget":
                self._validate()
            if self.main and self._saved_step != self.at.step:
                self._try_checkpoint()
            self.accelerator.wait_for_everyone()
        except KeyboardInterrupt:
            stopped = "interrupted"
            if self.main and self._whole and self._saved_step != self.at.step:
                self._try_checkpoint()
        finally:
            self.display.close(self.history)
            del stream
        return self._finish(stopped)

    def _step(self, stems: Tensor, done: float) -> None:
        config, at = self.config, self.at
        torch.manual_seed(_number(config.seed, at.step, self.rank))
        rate = config.learning_rate * schedule(at.step, done, config.warmup, config.cosine)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        stems = stems.to(self.accelerator.device, non_blocking=True)
        with self.accelerator.autocast():
            estimates = self.model(stems.sum(1))  # the mixture of what the augmentation made
        loss = self.loss(estimates.float(), stems.index_select(1, self.separated))
        self.optimizer.zero_grad()
        self.accelerator.backward(loss)
        if config.clip:
            self.accelerator.clip_grad_norm_(self.model.parameters(), config.clip)
        self._unread.append(loss.detach())
        self._whole = False  # an interrupt from here on would leave half a step
        self.optimizer.step()
        at.step += 1
        self.mean.update(self.network, at.step)
        at.elapsed = time.monotonic() - self._began
        self._whole = True

    def _done(self) -> float:
        """The share of the budget that is spent, the same for all processes."""
        if self.config.steps:
            return self.at.step / self.config.steps
        spent = (time.monotonic() - self._began) / (60 * (self.config.minutes or 0))
        if self.world > 1:
            spent = self._from_main(spent)
        return spent

    def _log_losses(self, done: float, now: bool = False) -> None:
        """Look at the losses of the last steps; stop if one of them is no number."""
        often = 1 if self.accelerator.device.type == "cpu" else _LOOK_EVERY
        if not self._unread or not (now or len(self._unread) >= often):
            return
        losses = self.accelerator.reduce(torch.stack(self._unread), "mean").tolist()
        self._unread = []
        if not all(map(math.isfinite, losses)):
            raise FloatingPointError(self._no_number("the loss"))
        line = {
            "step": self.at.step,
            "progress": min(1.0, done),
            "elapsed": round(self.at.elapsed, 3),
            "loss": sum(losses) / len(losses),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
        }
        self._log(line)

    def _no_number(self, what: str) -> str:
        kept = (
            f"the best model, of step {self.at.best_step}, is {self.record.model}"
            if self.at.best_step >= 0
            else f"the last good checkpoint is in {self.record.checkpoints}"
        )
        return (
            f"{what} is no number any more at step {self.at.step}: lower the learning rate (it "
            f"was {self.optimizer.param_groups[0]['lr']:.1e}) or clip gradients, and look for NaN "
            f"in the songs; {kept}"
        )

    # --- judging

    def _due(self) -> bool:
        """A budget of time is for learning: judging may take a fifth of it, and the last word."""
        if self.config.minutes:
            judged = self.at.judging / max(1e-9, time.monotonic() - self._began)
            if (self._from_main(judged) if self.world > 1 else judged) > _JUDGING_SHARE:
                return False
        return math.floor(self._done() * self.config.validations) > self.at.validations

    def _validate(self) -> None:
        """Separate the held-out songs with the mean weights; keep them if they are the best."""
        self._log_losses(self._done(), now=True)
        began = time.monotonic()
        network = self.mean.model if self.config.ema else self.network
        mine = [self._scored(network, track) for track in self._mine(self.valid)]
        self.network.train()
        table = torch.tensor(self._everyone(mine), dtype=torch.float64)  # [songs, 2, S]
        means = table.nanmean(0).tolist()
        at = self.at
        at.judging += time.monotonic() - began
        done = self._done()
        at.validations = max(at.validations + 1, math.floor(done * self.config.validations))
        scores = Scores(
            self.heard.sources, tuple(means[0]), tuple(means[1]), len(table)
        )  # fmt: skip
        at.since_best += 1
        if better := scores.mean > at.best and self._kept(network, scores):
            at.best, at.best_step, at.since_best = scores.mean, at.step, 0
        self._log(
            {
                "step": at.step,
                "progress": min(1.0, done),
                "elapsed": round(time.monotonic() - self._began, 3),
                "sdr": dict(zip(scores.sources, scores.model, strict=True)),
                "mixture": dict(zip(scores.sources, scores.mixture, strict=True)),
                "mean": scores.mean,
                "songs": scores.songs,
                "best": better,
            }
        )

    def _scored(self, network: Any, track: Track) -> list[list[float]]:
        song = dataclasses.replace(track)  # its stems are let go with it
        stems = torch.stack([song.sources[name] for name in self.heard.sources])
        estimates = separate(network, song.mixture, song.samplerate, progress=False)
        mixture = song.mixture.expand_as(stems)
        return [nsdr(stems, estimates).tolist(), nsdr(stems, mixture).tolist()]

    def _kept(self, network: Any, scores: Scores) -> bool:
        """Keep the weights as the best ones; whether that could be done, for all processes."""
        done = self.main and self._write(network, scores)
        return bool(self._from_main(done)) if self.world > 1 else done

    def _write(self, network: Any, scores: Scores | None) -> bool:
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

    # --- keeping

    def _checkpoint_if_due(self) -> None:
        """Only with every loss looked at: weights that gave no number are not kept."""
        if not self.main or self._unread:
            return
        if steps := self.config.checkpoint_steps:
            due = self.at.step - self._tried_step >= steps
        else:
            due = time.monotonic() - self._tried_at > self.config.checkpoint_seconds
        if due:
            self._try_checkpoint()

    def _try_checkpoint(self) -> None:
        try:
            self._write_checkpoint()
        except OSError as error:
            warnings.warn(f"{error}; the training goes on, those before it stay", stacklevel=2)

    def _write_checkpoint(self) -> None:
        self._tried_at, self._tried_step = time.monotonic(), self.at.step
        scaler = self.accelerator.scaler
        tensors = {
            **checkpoint.named("model", self.network),
            **checkpoint.named("mean", self.mean.model),
            **checkpoint.optimizer_tensors(self.optimizer),
        }
        if not all(bool(value.isfinite().all()) for value in tensors.values()):
            raise FloatingPointError(self._no_number("a weight"))
        facts = {
            "progress": dataclasses.asdict(self.at),
            "scaler": scaler.state_dict() if scaler is not None else None,
            "levels": self.levels,
            **self._circumstances(),
        }
        checkpoint.save_checkpoint(self.record.checkpoints, self.at.step, tensors, facts)
        self._saved_step = self.at.step

    def _finish(self, stopped: str) -> Result:
        from demucs_lab.training.loop import Result

        network = self.mean.model if self.config.ema else self.network
        if self.at.best_step >= 0 and self.record.model.exists():
            checkpoint.load_weights(network, self.record.model)
        elif self.main:
            self._write(network, None)
        self._log({"step": self.at.step, "stopped": stopped})
        return Result(
            network.eval().requires_grad_(True), best_scores(self.history), self.history,
            self.record.path, stopped, self.at.step,
        )  # fmt: skip

    # --- one among several

    def tell(self, sentence: str) -> None:
        """Say it once, to whoever looks on."""
        if self.main and self.options.progress:
            print(sentence, flush=True)

    def _log(self, line: dict[str, Any]) -> None:
        self.history.append(line)
        if self.main:
            self.record.log(line)
        if "progress" in line:
            self.display.step(line, self.history)

    def _mine(self, songs: Sequence[Track]) -> Sequence[Track]:
        return songs[self.rank :: self.world]

    def _everyone(self, mine: list[T]) -> list[T]:
        """What all processes found, in the order of the songs."""
        if self.world == 1:
            return mine
        from accelerate.utils import gather_object

        found = gather_object([mine])
        return [found[i % self.world][i // self.world] for i in range(sum(map(len, found)))]

    def _from_main(self, value: float) -> float:
        from accelerate.utils import broadcast

        return float(broadcast(torch.tensor(value, device=self.accelerator.device)))

    def _workers(self) -> int:
        if self.options.workers is not None:
            return self.options.workers
        return 0 if self.accelerator.device.type == "cpu" else min(8, os.cpu_count() or 1)


def _number(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])
