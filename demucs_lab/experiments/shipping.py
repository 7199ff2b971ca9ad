"""Packing a tiny model as the kit brings it: its weights in float16, and its card.

`python -m demucs_lab ship NAME` trains one with exactly the settings of `training.recipes` and puts
it where `pretrained.load` finds it (lessons 06 and 07).
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from demucs_lab.training.presets import Config
from demucs_lab.training.recipes import SHIPPED, command, config

if TYPE_CHECKING:
    from demucs_lab.datasets import Track

MOST_BYTES = 6_000_000
MOST_PARAMETERS = 3_000_000
SAME = 0.01
"""dB by which a mean score may change when weights are rounded to float16."""

_CHANGES_NOTHING = ("name", "checkpoint_seconds", "checkpoint_steps")
_SEEN_IN_THE_MODEL = ("model", "model_options")


def ship(
    name: str,
    run: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> Path:
    """Train a tiny model, or take a finished run, and put it where `pretrained.load` finds it.

    The weights are rounded to float16; what that changes is measured on the held-out songs, and
    they are refused if it can be seen in a score.

    Args:
        name: one of `SHIPPED`.
        run: the folder of a finished run with exactly these settings; None: train now, on a CPU,
            into `runs/NAME`.
        folder: where to; None: into the package.

    Returns:
        The file of weights; its model card, NAME.md, lies beside it.

    Raises:
        ValueError: if the run has other settings or songs, was not finished, the model is too
            large, or it has a transformer that does nothing (`evaluation.vital_signs`).
        FileNotFoundError: if there is no such run.
    """
    from demucs_lab import models, training
    from demucs_lab.datasets import LabSongs
    from demucs_lab.pretrained import shipped
    from demucs_lab.training.record import RunFolder

    wanted = config(name)
    rate = models.build(wanted.model, **wanted.model_options).samplerate
    learned, held_out = LabSongs("train", rate), LabSongs("valid", rate)
    if run is None:
        run = training.train(wanted, learned, valid=held_out, cpu=True).folder
    record = RunFolder(run)
    _check_run(record, wanted, [track.name for track in learned])

    target = Path(folder) if folder is not None else shipped.FOLDER
    model = models.load(record.model)
    alive = _vital_signs(model, list(held_out))
    with tempfile.TemporaryDirectory() as beside:
        packed = Path(beside, f"{name}.safetensors")
        models.save(model, packed, dtype=torch.float16)
        _check_size(packed, model)
        best = [line for line in record.history() if line.get("best")][-1]
        facts = _measure(model, models.load(packed), list(held_out), best["sdr"])
        facts |= _description(packed, model) | {"songs": len(learned), "alive": alive}
        write_card(target / f"{name}.md", name, record, facts)
        return _copy(packed, target / packed.name)


def write_card(path: Path, name: str, record: Any, facts: dict[str, Any]) -> None:
    """Say in Markdown what a shipped model is, how it was made, and how good it is."""
    from demucs_lab.common.paths import atomic_path

    history = record.history()
    minutes = max(line["elapsed"] for line in history if "elapsed" in line) / 60
    surroundings = json.loads((record.path / "environment.json").read_text(encoding="utf-8"))
    best = [line for line in history if line.get("best")][-1]
    settings = "\n".join(f"- {k}: {v}" for k, v in dataclasses.asdict(config(name)).items())
    machine = "\n".join(f"- {k}: {v}" for k, v in surroundings.items())
    text = f"""# {name}

{SHIPPED[name].about}, {facts["parameters"] / 1e6:.1f} M parameters, 22.05 kHz, trained on LabSongs.
It separates drums, bass, other and vocals, needs no network, and is small enough to be trained
again on a laptop.

    import demucs_lab as lab
    model = lab.pretrained.load("{name}")
    stems = lab.separate(model, song.mixture, song.samplerate)

## Made by

    python -m demucs_lab ship {name}

which trains as this does, seed {config(name).seed}, and packs the best weights as float16:

    {command(name)}

It learned from LabSongs' train split ({facts["songs"]} songs of 30 s, composed and rendered by this
kit) and nothing else. The weights are those of step {best["step"]}, the best of
{sum("sdr" in line for line in history)} validations; the run took {minutes:.0f} minutes by the
clock.

## Scores on held-out songs

{_indented(facts["scores"])}

SDR in dB over a whole song (nSDR), mean over the {facts["held_out"]} songs of LabSongs' valid
split, by which the weights were chosen. `results.json`, one folder up, has the scores on the 50
songs of the test split, which no choice depended on, beside the mixture, ideal masks and real
music.

Rounding to float16 changes these means by at most {facts["change"]:.4f} dB; the outputs before and
after agree to {facts["agreement"]:.0f} dB.
{_section("What its transformer is worth", facts["alive"])}
## Limits

It learned synthetic songs by one small band. On real music it is far worse: measure, and listen.
It hears nothing above 11 kHz. It is made to be understood, not to be used in production: for that
take `htdemucs`.

## Settings

{settings}

## Where it was trained

{machine}

## File

- {name}.safetensors: {facts["bytes"]} bytes, {facts["parameters"]} parameters in float16
- SHA-256: {facts["sha256"]}
- model: {facts["model"]}
- licence: MIT, as the code; the songs it learned from are CC BY 4.0
"""
    with atomic_path(path) as beside:
        beside.write_text(text, encoding="utf-8")


def _check_run(record: Any, wanted: Config, songs: Sequence[str]) -> None:
    """Refuse a run that is not the one which the settings describe, whole."""
    from demucs_lab import models
    from demucs_lab.training.checkpoint import load_checkpoint

    found, architecture = record.settings
    for field in dataclasses.fields(Config):
        own, other = getattr(wanted, field.name), getattr(found, field.name)
        if field.name not in (*_CHANGES_NOTHING, *_SEEN_IN_THE_MODEL) and own != other:
            raise ValueError(
                f"{record.path} was trained with {field.name}={other!r}, but {wanted.name} is "
                f"shipped with {field.name}={own!r}: train it with these settings"
            )
    model = models.build(wanted.model, **wanted.model_options)
    if architecture is None or architecture["given"] or not _builds(architecture, model):
        raise ValueError(
            f"{record.path} holds another model than {wanted.name}, or one that began with trained "
            f"weights: train it with these settings"
        )
    ends = [line["stopped"] for line in record.history() if "stopped" in line]
    if ends[-1:] != ["budget"]:
        raise ValueError(
            f"{record.path} is not finished: go on with python -m demucs_lab train --songs "
            f"labsongs-full --cpu --resume {record.path}"
        )
    _, facts, _ = load_checkpoint(record.checkpoints)
    if facts["songs"] != list(songs):
        raise ValueError(
            f"{record.path} was not trained on LabSongs' train split as this version renders it: "
            f"train it again"
        )


def _builds(architecture: dict[str, Any], model: Any) -> bool:
    """Whether a run's model is built as this one; a setting that is younger has its default."""
    if architecture["class"] != type(model).__name__:
        return False
    return type(model)(**architecture["config"]).config() == model.config()


def _check_size(path: Path, model: Any) -> None:
    parameters = sum(weight.numel() for weight in model.parameters())
    size = path.stat().st_size
    if parameters > MOST_PARAMETERS or size > MOST_BYTES:
        raise ValueError(
            f"{path.name} has {parameters} parameters in {size} bytes: a shipped model has at most "
            f"{MOST_PARAMETERS} in {MOST_BYTES}"
        )


def _measure(
    model: Any, rounded: Any, tracks: Sequence[Track], before: Mapping[str, float]
) -> dict[str, Any]:
    """Held-out scores of the weights as shipped, and how far they are from those before rounding.

    Raises:
        ValueError: if rounding has changed a score by `SAME` or more.
    """
    from demucs_lab.metrics import nsdr, sdr
    from demucs_lab.separation.waveform import separate
    from demucs_lab.training.record import Scores

    after: list[torch.Tensor] = []
    mixture: list[torch.Tensor] = []
    for track in tracks:
        stems = torch.stack([track.sources[name] for name in model.sources])
        estimates = separate(rounded, track.mixture, track.samplerate, progress=False)
        after.append(nsdr(stems, estimates))
        mixture.append(nsdr(stems, track.mixture.expand_as(stems)))
    exact = separate(model, track.mixture, track.samplerate, progress=False)
    own, others = (torch.stack(scores).nanmean(0).tolist() for scores in (after, mixture))
    known = [before[name] for name in model.sources]
    change = max(abs(a - b) for a, b in zip(own, known, strict=True) if math.isfinite(b))
    if change >= SAME:
        raise ValueError(
            f"the weights as shipped score {change:.3f} dB otherwise than the run says: either its "
            f"songs are not those of this version, or float16 is too coarse for them"
        )
    return {
        "scores": str(Scores(tuple(model.sources), tuple(own), tuple(others), len(tracks))),
        "held_out": len(tracks),
        "change": change,
        "agreement": float(sdr(exact, estimates).min()),
    }


def _vital_signs(model: Any, songs: Sequence[Track]) -> str:
    """What the transformer of a model is worth on held-out songs; "" for a model without one.

    Raises:
        ValueError: if a constant does as well.
    """
    from demucs_lab.evaluation import vital_signs
    from demucs_lab.models import HTDemucs

    if not isinstance(model, HTDemucs) or model.bottom is None:
        return ""
    signs = vital_signs(model, songs, heads=False)
    if not signs.alive:
        raise ValueError(
            f"the transformer does nothing: with a constant in its place the held-out SDR changes "
            f"by {signs.change('constant')} dB on the mean of all sources; train it longer, or "
            f"give it something to do (lesson 10)"
        )
    return str(signs)


def _section(title: str, text: str) -> str:
    return f"\n## {title}\n\n{_indented(text)}\n" if text else ""


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def _description(path: Path, model: Any) -> dict[str, Any]:
    from demucs_lab.pretrained.download import file_hash

    return {
        "bytes": path.stat().st_size,
        "sha256": file_hash(path),
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "model": f"{type(model).__name__} {json.dumps(model.config())}",
    }


def _copy(source: Path, target: Path) -> Path:
    from demucs_lab.common.paths import atomic_path

    with atomic_path(target) as beside:
        shutil.copyfile(source, beside)
    return target
