"""The training loop: what lesson 06 builds with you, and what every training of this kit runs.

    excerpts → augmentation → their sum → model → loss → gradients → weights → their mean

`augmented` makes new songs of a batch of excerpts, in the processes that prepare them (`data`);
`learn` does the rest. What lies around it (budget, held-out songs, checkpoints) is `run`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from demucs_lab.losses import LOSSES
from demucs_lab.training import augment
from demucs_lab.training.optimization import RunningMean, schedule
from demucs_lab.training.presets import Config


def augmented(stems: Tensor, generator: Generator, config: Config, frames: int) -> Tensor:
    """`[B, S, C, frames]` after the augmentations that the config switches on."""
    if config.pitch_tempo:
        stems = augment.random_pitch_and_tempo(stems, generator, config.pitch_tempo, frames)
    if config.remix:
        stems = augment.remix(stems, generator)
    if config.channel_swap:
        stems = augment.channel_swap(stems, generator)
    if config.sign_flip:
        stems = augment.sign_flip(stems, generator)
    if config.gain:
        stems = augment.random_gain(stems, generator, *config.gain)
    if config.source_dropout:
        stems = augment.source_dropout(stems, generator, config.source_dropout)
    return stems[..., :frames]


@dataclass
class Learner:
    """What a step changes.

    Attributes:
        network: the model that learns.
        model: the same as it is called: with several processes, wrapped to share gradients.
        optimizer: of its weights.
        mean: their running mean.
        separated: which of a song's stems the model separates, `[S]`.
        step: updates so far.
        whole: False while an update is half done: such weights are not worth keeping.
    """

    network: nn.Module
    model: nn.Module
    optimizer: torch.optim.Optimizer
    mean: RunningMean
    separated: Tensor
    step: int = 0
    whole: bool = True


def learn(
    learner: Learner,
    batches: Iterator[Tensor],
    config: Config,
    accelerator: Any,
    progress: Callable[[], float],
) -> Iterator[Tensor]:
    """Train on one batch after another until the budget is spent; gives the loss of each step.

    Args:
        learner: what is trained.
        batches: augmented excerpts `[B, 4, C, T]`, all stems of a song.
        config: the settings.
        accelerator: of accelerate: the device, the precision, and the other processes.
        progress: the share of the budget that is spent.
    """
    loss_of = LOSSES[config.loss]
    while (done := progress()) < 1:
        stems = next(batches).to(accelerator.device, non_blocking=True)  # [B, 4, C, T]
        mixture = stems.sum(1)  # [B, C, T]: of what the augmentation made, not the song's own
        reference = stems.index_select(1, learner.separated)  # [B, S, C, T]

        # Dropout draws the same numbers in this step, whether or not the run was interrupted.
        torch.manual_seed(_seed(config.seed, learner.step, accelerator.process_index))
        with accelerator.autocast():
            estimate = learner.model(mixture)  # [B, S, C, T]
        loss = loss_of(reference, estimate.float())

        learner.optimizer.zero_grad()
        accelerator.backward(loss)
        if config.clip:
            accelerator.clip_grad_norm_(learner.model.parameters(), config.clip)
        rate = config.learning_rate * schedule(learner.step, done, config.warmup, config.cosine)
        for group in learner.optimizer.param_groups:
            group["lr"] = rate

        learner.whole = False  # an interrupt from here on would leave half an update
        learner.optimizer.step()
        learner.step += 1
        learner.mean.update(learner.network, learner.step)
        learner.whole = True
        yield loss.detach()


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])
