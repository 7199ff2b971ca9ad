"""One file per model: weights as safetensors, and in its header the config as JSON.

Nothing in such a file can run code: it holds tensors and text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from demucs_lab.common.paths import atomic_path

KEY = "demucs_lab"  # of the header's entry that holds the config


class Saveable(Protocol):
    """A model that `config()` describes: the arguments that build it again."""

    def config(self) -> dict[str, Any]: ...
    def state_dict(self) -> dict[str, Tensor]: ...


def save(model: Saveable, path: str | os.PathLike[str], dtype: torch.dtype | None = None) -> None:
    """Write a model atomically.

    Args:
        model: any of the four.
        path: conventionally ending in `.safetensors`.
        dtype: store floats so, for example `torch.float16` for half the size; None: as they are.

    Raises:
        OSError: if the file cannot be written; what was there before stays.
    """
    from safetensors.torch import save_file

    weights = {
        name: value.detach().to("cpu", dtype if value.is_floating_point() else None).contiguous()
        for name, value in model.state_dict().items()
    }
    header = {KEY: json.dumps({"model": type(model).__name__, "config": model.config()})}
    with atomic_path(path) as beside:
        save_file(weights, beside, metadata=header)


@dataclass(frozen=True)
class Saved:
    """What a file of `save` holds: the name of a class, its arguments, and the weights."""

    path: Path
    model: str
    config: dict[str, Any]
    weights: dict[str, Tensor]

    def build(self, classes: Iterable[type]) -> Any:
        """The model in float32, ready to separate (`eval` mode).

        Raises:
            ValueError: if it is of none of the classes, or its weights do not fit its config.
        """
        try:
            model = {cls.__name__: cls for cls in classes}[self.model](**self.config)
        except (KeyError, TypeError, ValueError) as error:
            raise _unknown(self.path, error) from error
        own = model.state_dict()
        if wrong := _differences(own, self.weights):
            raise ValueError(
                f"the weights in {self.path} do not fit the model that it describes: {wrong[0]}"
                + f" and {len(wrong) - 1} more" * (len(wrong) > 1)
            )
        model.load_state_dict({k: w.reshape(own[k].shape) for k, w in self.weights.items()})
        return model.eval()


def read(path: str | os.PathLike[str]) -> Saved:
    """Read what `save` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, or no model of this kit.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no model file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} is damaged or no safetensors file ({error}): fetch or save it again"
        ) from error
    if KEY not in header:
        raise ValueError(
            f"{path} holds tensors but does not say of which model: for the authors' weights use "
            f"the model's from_official"
        )
    try:
        described = json.loads(header[KEY])
        return Saved(path, described["model"], described["config"], weights)
    except (KeyError, TypeError, ValueError) as error:
        raise _unknown(path, error) from error


def _unknown(path: Path, error: Exception) -> ValueError:
    return ValueError(
        f"{path} describes a model that this version cannot build ({error}): save it again with "
        f"this version"
    )


def _differences(own: dict[str, Tensor], found: dict[str, Tensor]) -> list[str]:
    missing = [f"{name} is missing" for name in sorted(own.keys() - found.keys())]
    unknown = [f"{name} is unknown" for name in sorted(found.keys() - own.keys())]
    reshaped = [
        f"{name} is {list(found[name].shape)} instead of {list(own[name].shape)}"
        for name in sorted(own.keys() & found.keys())
        if not fits(found[name].shape, own[name].shape)
    ]
    return missing + unknown + reshaped


def fits(found: torch.Size, own: torch.Size) -> bool:
    """Whether one weight may have both shapes: they differ in axes of one, or in flattened ones.

    A 1×1 convolution is stored as `[C, B]`, `[C, B, 1]` or `[C, B, 1, 1]`, and filters of several
    channels as `[N, C, L]` or `[N, C · L]`.
    """
    rows = [next((n for n in shape if n != 1), 1) for shape in (found, own)]
    return found.numel() == own.numel() and rows[0] == rows[1]
