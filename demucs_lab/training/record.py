"""The folder of a run: what was trained, with what, how it went, and a card that says so."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import platform
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from demucs_lab.common.tables import text_table
from demucs_lab.training.checkpoint import one_line, read_json, write_json
from demucs_lab.training.presets import Config


class RunFolder:
    """`config.json`, `environment.json`, `metrics.jsonl`, `model_card.md`, `model.safetensors`.

    Args:
        path: the folder; `checkpoints` in it holds what `resume` needs.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model.safetensors"
        self._metrics = self.path / "metrics.jsonl"

    @classmethod
    def create(cls, path: str | os.PathLike[str], config: Config, architecture: Any) -> RunFolder:
        """A new folder, or one that holds no checkpoint yet.

        Raises:
            FileExistsError: if the folder holds a run already.
        """
        run = cls(path)
        if run.has_begun:
            raise FileExistsError(
                f"{run.path} holds a training already: go on with it (training.resume, or "
                f"python -m demucs_lab train --resume {run.path}), or choose another folder"
            )
        run.checkpoints.mkdir(parents=True, exist_ok=True)
        write_json(run.path / "environment.json", environment())
        settings = {**dataclasses.asdict(config), "architecture": architecture}
        write_json(run.path / "config.json", settings)
        return run

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Meanwhile no other training may write here; half files of a killed one are removed."""
        from demucs_lab.common.lock import alone_in

        with alone_in(self.path, "a training is written"):
            for half in itertools.chain.from_iterable(
                folder.glob(".*.tmp*") for folder in (self.path, self.checkpoints)
            ):
                half.unlink(missing_ok=True)
            yield

    @property
    def has_begun(self) -> bool:
        """Whether a checkpoint was ever finished here."""
        return any(self.checkpoints.glob("step-*.json"))

    @staticmethod
    def free(name: str) -> Path:
        """`runs/NAME`, or with a number after it where that exists."""
        numbered = (Path("runs", name + f"-{n}" * (n > 1)) for n in range(1, 100_000))
        return next(folder for folder in numbered if not folder.exists())

    @property
    def settings(self) -> tuple[Config, Any]:
        """The config, and the architecture of the model.

        Raises:
            FileNotFoundError: if this is no folder of a run.
            ValueError: if its config is damaged.
        """
        path = self.path / "config.json"
        if not path.is_file():
            raise FileNotFoundError(f"{self.path} holds no training (it has no config.json)")
        remedy = "put the file back, or start the training again"
        settings = read_json(path, remedy)
        try:
            architecture = settings.pop("architecture")
            if architecture is not None:
                architecture["class"], architecture["given"], architecture["config"].items()
            return Config(**settings), architecture
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{path} is damaged ({one_line(error)}): {remedy}") from error

    def log(self, line: Mapping[str, Any]) -> None:
        """Add a line to the metrics; a full disk costs the line, not the training."""
        try:
            with self._metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            warnings.warn(f"{self._metrics} could not be written ({error})", stacklevel=2)

    def history(self, until: float = math.inf) -> list[dict[str, Any]]:
        """The metrics up to a step; half a line, as a crash leaves one at the end, is dropped."""
        if not self._metrics.exists():
            return []
        lines = []
        for text in self._metrics.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = json.loads(text)
            except (ValueError, RecursionError):
                continue
            if _is_whole(line) and line["step"] <= until:
                lines.append(line)
        return lines

    def rewind(self, step: int) -> None:
        """Forget the metrics after a step, which will be done again."""
        from demucs_lab.common.paths import atomic_path

        kept = self.history(step)
        with atomic_path(self._metrics) as beside:
            beside.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")

    def write_card(self, described: str, songs: Sequence[str], scores: Scores | None) -> None:
        """Say in Markdown what the model is, how it was trained and how good it is."""
        config, _ = self.settings
        try:
            surroundings = read_json(self.path / "environment.json", "it is made anew")
        except (OSError, ValueError):
            surroundings = environment()
        settings = "\n".join(f"- {k}: {v}" for k, v in dataclasses.asdict(config).items())
        facts = "\n".join(f"- {k}: {v}" for k, v in surroundings.items())
        table = f"```\n{scores}\n```" if scores else "Not scored yet."
        text = f"""# {config.name}

{described}

Trained with demucs-lab on {len(songs)} songs, with a budget of {config.budget()}. Load it with
`demucs_lab.models.load("model.safetensors")` and separate with `demucs_lab.separate`.

## Score on held-out songs

{table}

SDR is 10 log₁₀ of the energy of a source over that of the error, over a whole song, then the mean
over songs. The mixture itself, taken for each source, is what to beat.

## Settings

{settings}

## Where it was trained

{facts}

## Songs

{", ".join(songs)}

## Limits

It separates what sounds like the songs above. On other music expect less, and listen.
"""
        from demucs_lab.common.paths import atomic_path

        with atomic_path(self.path / "model_card.md") as beside:
            beside.write_text(text, encoding="utf-8")


@dataclasses.dataclass(frozen=True)
class Scores:
    """SDR in dB of each source, mean over held-out songs; `mixture` is the mixture's own."""

    sources: tuple[str, ...]
    model: tuple[float, ...]
    mixture: tuple[float, ...]
    songs: int

    @property
    def mean(self) -> float:
        """Over the sources that play somewhere."""
        return _mean(self.model)

    def __str__(self) -> str:
        gains = [a - b for a, b in zip(self.model, self.mixture, strict=True)]
        rows = [
            [label, *values, _mean(values)]
            for label, values in (
                ("this model", self.model), ("the mixture", self.mixture), ("gain", gains),
            )
        ]  # fmt: skip
        table = text_table(["SDR, dB", *self.sources, "mean"], rows)
        worse = [name for name, gain in zip(self.sources, gains, strict=True) if gain <= 0]
        verdict = f"not yet on {', '.join(worse)}" if worse else "on every source"
        songs = f"{self.songs} held-out song{'s' * (self.songs != 1)}"
        lines = [table, f"It beats the mixture {verdict} ({songs})."]
        if quiet := [name for name, db in zip(self.sources, self.model, strict=True) if db <= 0]:
            lines.append(f"Silence, at 0 dB, is not beaten yet on {', '.join(quiet)}.")
        return "\n".join(lines)


def _is_whole(line: Any) -> bool:
    """Whether a line of the metrics is one that `Run` wrote."""
    if not isinstance(line, dict) or not _is_number(line.get("step")):
        return False
    if "sdr" not in line and "best" not in line:
        return line.get("stopped", "budget") in ("budget", "patience", "interrupted")
    own, mixture = line.get("sdr"), line.get("mixture")
    if not isinstance(own, dict) or not isinstance(mixture, dict) or own.keys() != mixture.keys():
        return False
    return all(map(_is_number, [line.get("songs"), *own.values(), *mixture.values()]))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def best_scores(history: Sequence[Mapping[str, Any]]) -> Scores | None:
    """Those of the best validation in the lines of the metrics."""
    for line in reversed(history):
        if line.get("best"):
            own, mixture = line["sdr"], line["mixture"]
            return Scores(tuple(own), tuple(own.values()), tuple(mixture.values()), line["songs"])
    return None


def environment() -> dict[str, Any]:
    """Versions, machine and git revision, so that a run can be repeated."""
    import numpy
    import torch

    from demucs_lab.common import VERSION

    return {
        "demucs_lab": VERSION,
        "git": _revision(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def _revision() -> str | None:
    from demucs_lab.common.paths import checkout

    if (root := checkout()) is None:
        return None

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + " with changes" * bool(
            git("status", "--porcelain", "--untracked-files=no")
        )
    except (OSError, subprocess.CalledProcessError):
        return None


def in_notebook() -> bool:
    """Whether the code runs in a Jupyter kernel, where a figure can be redrawn."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan
