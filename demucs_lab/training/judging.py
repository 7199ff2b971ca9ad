"""Held-out songs: when a training is judged by them, and their scores."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from demucs_lab.metrics import nsdr
from demucs_lab.separation import separate
from demucs_lab.training.presets import Config
from demucs_lab.training.processes import Team
from demucs_lab.training.record import Scores

if TYPE_CHECKING:
    from demucs_lab.datasets import Track

_MOST_TIME = 0.2  # of a budget in minutes


@dataclasses.dataclass
class Progress:
    """Where a run stands; with the tensors and the step, all that a checkpoint holds.

    Attributes:
        elapsed, judging: seconds of the run, and of these the seconds spent on held-out songs.
        validations: how often these were scored.
        best, best_step: the best mean score, and after which step it was reached.
        since_best: validations since then.
    """

    elapsed: float = 0.0
    judging: float = 0.0
    validations: int = 0
    best: float = -math.inf
    since_best: int = 0
    best_step: int = -1


def is_due(config: Config, at: Progress, done: float, elapsed: float, team: Team) -> bool:
    """Whether to score now: evenly over the budget, and never for most of a budget of time."""
    if config.minutes and team.from_main(at.judging / max(1e-9, elapsed)) > _MOST_TIME:
        return False
    return math.floor(done * config.validations) > at.validations


def held_out_scores(
    network: nn.Module, songs: Sequence[Track], sources: Sequence[str], team: Team
) -> Scores:
    """Mean scores of a model, and of the mixture itself; the processes share the songs."""
    own = [_scores_of(network, song, sources) for song in team.share(songs)]
    table = torch.tensor(team.gather(own), dtype=torch.float64)  # [songs, 2, S]
    model, mixture = table.nanmean(0).tolist()
    return Scores(tuple(sources), tuple(model), tuple(mixture), len(table))


def _scores_of(network: nn.Module, track: Track, sources: Sequence[str]) -> list[list[float]]:
    song = dataclasses.replace(track)  # its stems are let go with it
    stems = torch.stack([song.sources[name] for name in sources])
    estimates = separate(network, song.mixture, song.samplerate, progress=False)
    mixture = song.mixture.expand_as(stems)
    return [nsdr(stems, estimates).tolist(), nsdr(stems, mixture).tolist()]
