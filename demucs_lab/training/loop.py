"""One training loop, the same on a CPU, one GPU or many (lessons 06, 07 and 12).

`train` in a notebook or a script, `python -m demucs_lab train` in a shell; either under
`accelerate launch`, or with `processes=2`, trains with several. `resume` goes on after a crash.
"""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeGuard

import torch
from torch import nn

from demucs_lab import models
from demucs_lab.training import data
from demucs_lab.training.live import need_tensorboard
from demucs_lab.training.options import Options
from demucs_lab.training.presets import Config, preset
from demucs_lab.training.processes import Team, accelerating, need_accelerate
from demucs_lab.training.record import RunFolder
from demucs_lab.training.result import Result, architecture, rebuilt
from demucs_lab.training.run import Run

if TYPE_CHECKING:
    from demucs_lab.datasets import Track


def train(
    preset_or_config: str | Config = "tiny-demucs",
    tracks: Sequence[Track] = (),
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
        tracks: songs to learn from; only the excerpts at hand are in memory.
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
        TypeError: if there are no songs, or only the name of some.
        ValueError: if a setting makes no sense, or there are too few songs.
        FloatingPointError: if the loss or a weight becomes NaN or infinite; the best model is kept.
        OSError: if the folder cannot be written at the start.
    """
    _need_songs(tracks, "songs" in changes)
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
    _need_songs(tracks)
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


def _start(
    config: Config,
    tracks: Sequence[Track],
    folder: str | os.PathLike[str] | None,
    model: Any,
    options: Options,
) -> Result:
    learned, held_out = _split(tracks, options.valid)
    if options.tensorboard:
        need_tensorboard()
    with (
        ExitStack() as lock,
        torch.random.fork_rng(devices=[]),
        accelerating(options.cpu, config.precision) as accelerator,
    ):
        torch.manual_seed(config.seed)
        network = copy.deepcopy(model) or models.build(config.model, **config.model_options)
        data.InputFormat.of(network)  # a model that no song fits is refused before a folder is made
        described = architecture(network, given=model is not None)

        def create() -> str:
            record = RunFolder(folder or RunFolder.free(config.name))
            lock.enter_context(record.alone())
            return str(RunFolder.create(record.path, config, described).path)

        made = Team(accelerator).text_from_main(create)
        run = Run(accelerator, config, network, learned, held_out, RunFolder(made), options)
        run.begin()
        run.announce(f"The run is in {made}.")
        return run.go()


def _go_on(
    tracks: Sequence[Track],
    folder: str | os.PathLike[str],
    model: nn.Module | None,
    options: Options,
) -> Result:
    record = RunFolder(folder)
    config, described = record.settings
    learned, held_out = _split(tracks, options.valid)
    with (
        ExitStack() as lock,
        torch.random.fork_rng(devices=[]),
        accelerating(options.cpu, config.precision) as accelerator,
    ):
        if accelerator.is_main_process:
            lock.enter_context(record.alone())
        torch.manual_seed(config.seed)
        network = copy.deepcopy(model) or rebuilt(described, record.path)
        run = Run(accelerator, config, network, learned, held_out, record, options)
        if record.has_begun or described is None or described["given"]:
            run.load()
            run.announce(f"Going on from step {run.learner.step}.")
        else:  # killed before its first checkpoint
            run.begin()
        return run.go()


def _need_songs(tracks: Any, misnamed: bool = False) -> None:
    if misnamed or isinstance(tracks, str | os.PathLike) or not len(tracks):
        got = f"the name {os.fspath(tracks)!r}" if isinstance(tracks, str | os.PathLike) else "none"
        raise TypeError(
            f"a training needs songs as its second argument, tracks, got "
            f"{'them as songs=' if misnamed else got}: open them first, as in training.train("
            f"'tiny-demucs', datasets.LabSongs.starter())"
        )


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


def _must_launch(processes: int | None) -> TypeGuard[int]:
    return bool(processes and processes > 1 and "WORLD_SIZE" not in os.environ)


def _launch(processes: int, begin: Callable[..., Result], *arguments: Any) -> None:
    """Let accelerate start the processes, as its `notebook_launcher` does from a notebook too."""
    import socket

    need_accelerate()
    from accelerate import notebook_launcher

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    *most, options = arguments
    forked = (*most, dataclasses.replace(options, forked=True))
    notebook_launcher(begin, forked, num_processes=processes, use_port=str(port))
