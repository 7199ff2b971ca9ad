"""Reads the authors' files without running anything that is in them.

A `.th` file is a pickle, and a pickle may call any function. Ours builds nothing but tensors,
numbers, strings, lists and dicts, and empty stand-ins for the classes that the authors' files name;
anything else ends the reading before it is called. A `.safetensors` file holds no code at all.
"""

from __future__ import annotations

import json
import os
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_CLASSES = (
    *(f"demucs.{name}" for name in ("demucs.Demucs", "hdemucs.HDemucs", "htdemucs.HTDemucs")),
    *(f"demucs.{name}" for name in ("model.Demucs", "tasnet.ConvTasNet", "wdemucs.WDemucs")),
    *(f"omegaconf.{name}" for name in ("dictconfig.DictConfig", "listconfig.ListConfig")),
    *(f"omegaconf.base.{name}" for name in ("ContainerMetadata", "Metadata")),
    *(f"omegaconf.nodes.{kind}Node" for kind in ("Any", "String", "Integer", "Float", "Boolean")),
    *("argparse.Namespace", "pathlib.PosixPath", "pathlib._local.PosixPath", "typing.Any"),
)
_QUANTIZED = ("__quantized", "quantized", "compressed")


@dataclass(frozen=True)
class Package:
    """What a file of weights holds.

    Attributes:
        state: names and tensors, float32.
        klass: name of the class in the authors' code; None if the file does not say.
        kwargs: its settings, by the authors' names.
    """

    state: Mapping[str, Tensor]
    klass: str | None = None
    kwargs: Mapping[str, Any] | None = None


def read(path: str | os.PathLike[str]) -> Package:
    """Read a `.th` or `.safetensors` file of the authors' (demucs 2, 3 or 4).

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, holds something else, or holds code; nothing of it was run.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path} (looked from {Path.cwd()})")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    return _package(_unpickle(path), path)


def _unpickle(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals([*map(_stand_in, _CLASSES), _fraction()]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f" ({named[1]})" if named else ""
        raise ValueError(
            f"{path.name} holds code{what} that no file of weights needs, or is damaged: it was "
            f"not run; get the file from its authors again"
        ) from None
    except Exception as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> ValueError:
    return ValueError(
        f"{path.name} is damaged or cut short, or holds something else than weights: remove it and "
        f"download it again"
    )


class _StandIn:
    """An empty object in place of one whose class the file names."""

    def __new__(cls, *arguments: Any, **settings: Any) -> _StandIn:
        return object.__new__(cls)

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def _stand_in(path: str) -> type:
    module, _, name = path.rpartition(".")
    return type(name, (_StandIn,), {"__module__": module, "__qualname__": name})


def _fraction() -> type:
    """A stand-in for fractions.Fraction that refuses numbers which would take forever."""

    def build(cls: type, *values: Any) -> Fraction:
        if not all(re.fullmatch(r"\d{1,12}(/\d{1,12})?", str(value)) for value in values):
            raise pickle.UnpicklingError(f"Unsupported class Fraction{values!r:.40}")
        return Fraction(*values)

    return type(
        "Fraction",
        (),
        {"__module__": "fractions", "__qualname__": "Fraction", "__new__": build},
    )


def _read_safetensors(path: Path) -> Package:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if "klass" not in about:
            raise ValueError(f"{path.name} does not say which model its weights belong to")
        state = {"__quantized": True} if "structure" in about else state
        found = {
            "klass": about["klass"],
            "args": _without_fractions(json.loads(about.get("args", "[]"))),
            "kwargs": _without_fractions(json.loads(about.get("kwargs", "{}"))),
            "state": state,
        }
    except (SafetensorError, json.JSONDecodeError) as error:
        raise _damaged(path) from error
    return _package(found, path)


def _without_fractions(value: Any) -> Any:
    """Fractions, which the authors write as `{"_type": "fraction", …}`, become numbers."""
    if isinstance(value, dict):
        if value.get("_type") == "fraction":
            return Fraction(value["numerator"], value["denominator"])
        return {key: _without_fractions(item) for key, item in value.items()}
    return [_without_fractions(item) for item in value] if isinstance(value, list) else value


def _package(found: Any, path: Path) -> Package:
    klass, kwargs = None, None
    state = found
    if isinstance(found, Mapping) and "state" in found and "klass" in found:
        state, kwargs = found["state"], dict(found.get("kwargs") or {})
        klass = found["klass"] if isinstance(found["klass"], str) else found["klass"].__name__
        klass = klass.rpartition(".")[2]
        kwargs |= dict(zip(("sources",), found.get("args") or (), strict=False))
        kwargs = {k: float(v) if isinstance(v, Fraction) else v for k, v in kwargs.items()}
    if isinstance(state, Mapping) and any(key in state for key in _QUANTIZED):
        raise ValueError(
            f"{path.name} holds weights quantized by DiffQ, which this kit does not read: choose a "
            f"model of pretrained.available()"
        )
    if (
        not isinstance(state, Mapping)
        or not state
        or not all(isinstance(name, str) and isinstance(x, Tensor) for name, x in state.items())
    ):
        raise _damaged(path)
    return Package({name: weight.float() for name, weight in state.items()}, klass, kwargs)
