"""One training loop, the same on a CPU, one GPU or many (lessons 06, 07 and 12).

`train` in a notebook or a script, `python -m demucs_lab train` in a shell; either under
`accelerate launch`, or with `processes=2`, trains with several. `resume` goes on after a crash.
"""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import torch
from torch import nn

from demucs_lab.training import checkpoint, data
from demucs_lab.training.live import Display, need_tensorboard
from demucs_lab.training.presets import Config, preset
from demucs_lab.training.record import RunFolder, Scores, best_scores

if TYPE_CHECKING:
    from demucs_lab.datasets import Track
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
            network = copy.deepcopy(model) or _rebuilt(architecture)
            checkpoint.load_weights(network, record.model)
        return cls(
            model=network.eval(),
            best=best_scores(history),
            history=history,
            folder=record.path,
            stopped=ends[-1] if ends else "interrupted",
            steps=history[-1]["step"] if history else 0,
        )


def train(
    preset_or_config: str | Config,
    tracks: Sequence[Track],
    minutes: float | None = None,
    *,
    valid: Sequence[Track] | None = None,
    folder: str | os.PathLike[str] | None = None,
    model: str | nn.Module | None = None,
    workers: int | None = None,
    processes: int | None = None,
    progress: bool = True,
    figure: bool | None = None,
    tensorboard: bool = False,
    cpu: bool = False,
    **changes: Any,
) -> Result:
    """Train a model on songs with known stems (lesson 06).

    Ctrl-C, or Kernel → Interrupt, ends it and keeps the best model. The same seed gives the same
    weights, bit for bit on one machine's CPU, if the budget is in steps.

    Args:
        preset_or_config: a name of `presets()`, or settings of your own.
        tracks: songs to learn from; nothing but the excerpts at hand is held in memory.
        minutes: the budget; `steps=1000` gives it in steps. None: the preset's.
        valid: songs to be judged by; None: every eighth of `tracks`, which is then not learned.
        folder: for the run; None: `runs/NAME`.
        model: to start from, for example a pretrained one; a name of `models.BUILDERS`, or None
            for the preset's: random weights. A module of your own needs `sources`, `samplerate`,
            `audio_channels` and `segment`. It stays as it is.
        workers: processes that prepare excerpts; None: none on a CPU, else up to 8.
        processes: copies of the model that share the work, one per GPU; None: as launched.
        progress: show a bar, and in a notebook a figure.
        figure: show the figure; None: in a notebook.
        tensorboard: write files for TensorBoard into the folder too.
        cpu: leave a GPU alone.
        changes: of the settings, by their names in `Config`: `remix=False`, `batch=8` …

    Raises:
        ValueError: if a setting makes no sense, or there are too few songs.
        FloatingPointError: if the loss or a weight is no number any more; the best model is kept.
        OSError: if the folder cannot be written at the start.
    """
    config = preset(preset_or_config) if isinstance(preset_or_config, str) else preset_or_config
    if isinstance(model, str):
        changes["model"], model = model, None
    config = config.but(**({} if minutes is None else {"minutes": minutes}), **changes)
    options = Options(valid, workers, progress, figure, tensorboard, cpu)
    if _must_launch(processes):
        made = folder or RunFolder.free(config.name)
        _launch(processes, _start, config, tracks, made, model, options)
        return Result.load(made, model)
    return _start(config, tracks, folder, model, options)


def resume(
    folder: str | os.PathLike[str],
    tracks: Sequence[Track],
    *,
    valid: Sequence[Track] | None = None,
    model: nn.Module | None = None,
    workers: int | None = None,
    processes: int | None = None,
    progress: bool = True,
    figure: bool | None = None,
    tensorboard: bool = False,
    cpu: bool = False,
) -> Result:
    """Go on with a training that was interrupted or killed, from its last whole checkpoint.

    With a budget in steps it reaches the weights of an unbroken run, bit for bit on a CPU.

    Args:
        folder: of the run; its settings hold.
        tracks, valid, processes: the same songs and as many processes as before; the other
            arguments as for `train`.
        model: needed only if the run began with a class of your own.

    Raises:
        FileNotFoundError, ValueError: if there is no run, no whole checkpoint, or songs or
            processes are others.
    """
    options = Options(valid, workers, progress, figure, tensorboard, cpu)
    if _must_launch(processes):
        _launch(processes, _go_on, tracks, folder, model, options)
        return Result.load(folder, model)
    return _go_on(tracks, folder, model, options)


def settings(folder: str | os.PathLike[str]) -> tuple[Config, Any]:
    """The settings of a run, and the class and arguments of its model.

    Raises:
        FileNotFoundError: if the folder holds no run.
    """
    return RunFolder(folder).settings


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


def _start(
    config: Config,
    tracks: Sequence[Track],
    folder: str | os.PathLike[str] | None,
    model: Any,
    options: Options,
) -> Result:
    from demucs_lab import models
    from demucs_lab.training.processes import accelerating, as_main_decides
    from demucs_lab.training.run import Run

    learned, held_out = _split(tracks, options.valid)
    if options.tensorboard:
        need_tensorboard()
    with (
        torch.random.fork_rng(devices=[]),
        accelerating(options.cpu, config.precision) as accelerator,
    ):
        torch.manual_seed(config.seed)
        network = copy.deepcopy(model) or models.build(config.model, **config.model_options)
        data.Heard.by(network)  # a model that no song fits is refused before a folder is made
        described = _architecture(network, given=model is not None)
        made = as_main_decides(
            accelerator, lambda: str(RunFolder.create(folder, config, described).path)
        )
        run = Run(accelerator, config, network, learned, held_out, RunFolder(made), options)
        run.begin()
        run.tell(f"The run is in {made}.")
        return run.go()


def _go_on(
    tracks: Sequence[Track],
    folder: str | os.PathLike[str],
    model: nn.Module | None,
    options: Options,
) -> Result:
    from demucs_lab.training.processes import accelerating
    from demucs_lab.training.run import Run

    record = RunFolder(folder)
    config, architecture = record.settings
    learned, held_out = _split(tracks, options.valid)
    with (
        torch.random.fork_rng(devices=[]),
        accelerating(options.cpu, config.precision) as accelerator,
    ):
        torch.manual_seed(config.seed)
        network = copy.deepcopy(model) or _rebuilt(architecture)
        run = Run(accelerator, config, network, learned, held_out, record, options)
        if record.has_begun or architecture is None or architecture["given"]:
            run.load()
            run.tell(f"Going on from step {run.at.step}.")
        else:  # killed before its first checkpoint
            run.begin()
        return run.go()


def _split(
    tracks: Sequence[Track], valid: Sequence[Track] | None
) -> tuple[list[Track], list[Track]]:
    songs = [tracks[i] for i in range(len(tracks))]
    if valid is not None:
        if not songs or not len(valid):
            raise ValueError("a training needs one song to learn from and one to be judged by")
        return songs, [valid[i] for i in range(len(valid))]
    if len(songs) < 2:
        raise ValueError(
            f"expected two songs or more, so that one can be held out, got {len(songs)}: add songs"
        )
    every = min(8, len(songs))
    return [song for i, song in enumerate(songs) if i % every], songs[::every]


def _architecture(model: Any, given: bool) -> dict[str, Any] | None:
    from demucs_lab.models import MODELS

    if type(model) not in MODELS.values():
        return None
    return {"class": type(model).__name__, "config": model.config(), "given": given}


def _rebuilt(architecture: dict[str, Any] | None) -> Any:
    from demucs_lab.models import MODELS

    classes = {cls.__name__: cls for cls in MODELS.values()}
    if architecture is None:
        raise ValueError(
            "this run began with a class of its own: give a model of that class, model="
        )
    return classes[architecture["class"]](**architecture["config"])


def _must_launch(processes: int | None) -> TypeGuard[int]:
    return bool(processes and processes > 1 and "WORLD_SIZE" not in os.environ)


def _launch(processes: int, begin: Callable[..., Result], *arguments: Any) -> None:
    """Let accelerate start the processes, as its `notebook_launcher` does from a notebook too."""
    import socket

    from demucs_lab.training.processes import need_accelerate

    need_accelerate()
    from accelerate import notebook_launcher

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    *most, options = arguments
    forked = (*most, dataclasses.replace(options, forked=True))
    notebook_launcher(begin, forked, num_processes=processes, use_port=str(port))
