"""What changes how a training runs, not what it learns."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from demucs_lab.training.live import Display

if TYPE_CHECKING:
    from demucs_lab.datasets import Track


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
