"""Where a training stands, on disk: tensors as safetensors, the rest as JSON, two kept.

A checkpoint is `step-00000120.safetensors` (weights, their running mean, Adam's moments) and
`step-00000120.json` (step, time, best score, what the tensors' file must hash to), each written
beside and renamed, the JSON last: a checkpoint whose JSON is there is whole. Random numbers and the
position in the data follow from the seed and the step, so only the step is kept.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from demucs_lab.common.paths import atomic_path
from demucs_lab.models.saving import fits

KEPT = 2


def save_checkpoint(folder: Path, step: int, tensors: dict[str, Tensor], facts: Any) -> Path:
    """Write a checkpoint, then remove all but the newest two.

    Raises:
        OSError: one sentence, if it cannot be written; those before it stay.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path = folder / f"step-{step:08d}.safetensors"
    whole = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    try:
        with atomic_path(path) as beside:
            save_file(whole, beside)
        described = {"step": step, "sha256": _digest(path), **facts}
        write_json(path.with_suffix(".json"), described)
    except (OSError, SafetensorError) as error:
        _remove_halves(folder)
        raise OSError(
            f"the checkpoint {path} could not be written ({error}): make room or check the folder"
        ) from error
    for old in sorted(folder.glob("step-*.json"))[:-KEPT]:
        old.unlink(missing_ok=True)
    _remove_halves(folder)
    return path


def _remove_halves(folder: Path) -> None:
    """Tensors without their JSON, as a kill or a full disk leaves them."""
    for path in folder.glob("step-*.safetensors"):
        if not path.with_suffix(".json").exists():
            path.unlink(missing_ok=True)


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any], list[str]]:
    """The newest checkpoint that is whole.

    Returns:
        Its tensors, its facts, and one sentence for each newer one that is damaged.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if all are damaged; the message names the newest.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    complaints: list[str] = []
    for described in sorted(folder.glob("step-*.json"), reverse=True):
        path = described.with_suffix(".safetensors")
        try:
            facts = json.loads(described.read_text(encoding="utf-8"))
            if _digest(path) != facts["sha256"] or not isinstance(facts["step"], int):
                raise ValueError("its content has changed since it was written")
            return load_file(path), facts, complaints
        except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
            complaints.append(f"the checkpoint {path} is damaged ({error})")
    if complaints:
        raise ValueError(f"{complaints[0]}, and there is none before it: start the training again")
    raise FileNotFoundError(f"there is no checkpoint in {folder}: start the training again")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write JSON atomically."""
    with atomic_path(path) as beside:
        beside.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def read_json(path: str | os.PathLike[str], remedy: str) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        ValueError: one sentence, which ends in the remedy, if it is damaged.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{os.fspath(path)} is damaged ({error}): {remedy}") from error
    if not isinstance(found, dict):
        raise ValueError(
            f"{os.fspath(path)} is damaged (it holds {type(found).__name__}, no object): {remedy}"
        )
    return found


def optimizer_tensors(optimizer: Any) -> dict[str, Tensor]:
    """What an optimizer remembers of each parameter, under flat names."""
    return {
        f"optimizer.{index}.{name}": torch.as_tensor(value)
        for index, kept in optimizer.state_dict()["state"].items()
        for name, value in kept.items()
    }


def restore_optimizer(optimizer: Any, tensors: dict[str, Tensor]) -> None:
    """Give an optimizer its memory back."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, kept = name.split(".")
            like = weights[int(index)] if int(index) < len(weights) else None
            state.setdefault(int(index), {})[kept] = _shaped(value, like)
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def named(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    """The weights of a module, under names that begin with `prefix`."""
    return {f"{prefix}.{name}": value for name, value in module.state_dict().items()}


def restore(prefix: str, module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Give a module the weights that `named` named."""
    own, start = module.state_dict(), len(prefix) + 1
    found = {name[start:]: v for name, v in tensors.items() if name.startswith(f"{prefix}.")}
    module.load_state_dict({name: _shaped(v, own.get(name)) for name, v in found.items()})


def _shaped(value: Tensor, like: Tensor | None) -> Tensor:
    """A checkpoint may hold a weight with other axes of length one (`models.saving.fits`)."""
    if like is None or not value.dim() or not fits(value.shape, like.shape):
        return value  # a count of steps, which has no axis, or what `load_state_dict` refuses
    return value.view(like.shape)


def save_weights(model: nn.Module, path: Path) -> None:
    """Write a model of the kit so that `models.load` reads it, any other as bare weights."""
    from safetensors.torch import save_file

    from demucs_lab import models

    if isinstance(model, models.SeparationModel) and type(model) in models.MODELS.values():
        models.save(model, path)
        return
    weights = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    with atomic_path(path) as beside:
        save_file(weights, beside)


def load_weights(model: nn.Module, path: Path) -> None:
    """Give a model the weights that `save_weights` wrote.

    Raises:
        ValueError: if the file is damaged, or holds the weights of another model.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        model.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(
            f"{path} is damaged or holds another model ({one_line(error)}): train again, or put "
            f"the file back"
        ) from error


def one_line(error: Exception) -> str:
    """What an error says, short and without a break."""
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else f"{text[:200]}…"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
