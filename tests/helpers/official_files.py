"""Files in the authors' formats, written by their code where it is installed, else like it."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import sys
import types
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def named_class(path: str) -> type:
    """The authors' class of that name where their package is installed, else an empty one."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        pass
    for i in range(module.count(".") + 1):
        package = ".".join(module.split(".")[: i + 1])
        sys.modules.setdefault(package, types.ModuleType(package))
    found = type(name, (), {"__module__": module, "__qualname__": name})
    setattr(sys.modules[module], name, found)
    return found


def th_package(
    klass: str, kwargs: dict[str, Any], state: dict[str, Tensor], half: bool = True
) -> dict[str, Any]:
    """What demucs' `serialize_model` gives."""
    return {
        "klass": named_class(klass),
        "args": (),
        "kwargs": kwargs,
        "state": {name: weight.half() if half else weight for name, weight in state.items()},
        "training_args": {"epochs": 360, "lr": 3e-4, "dset": {"sources": ["drums"]}, "no": None},
    }


def save_th(content: Any, path: Path) -> Path:
    """As demucs' `save_with_checksum`: the name ends in eight digits of the hash."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    digits = hashlib.sha256(buffer.getvalue()).hexdigest()[:8]
    path = path.with_name(f"{path.stem}-{digits}.th")
    path.write_bytes(buffer.getvalue())
    return path


def save_safetensors(
    path: Path, klass: str, kwargs: dict[str, Any], state: dict[str, Tensor], **more: str
) -> Path:
    """As the authors' export for the Hub: class and settings as JSON among the metadata."""
    from safetensors.torch import save_file

    def plain(value: Any) -> Any:
        if isinstance(value, Fraction):
            named = {"numerator": value.numerator, "denominator": value.denominator}
            return {"_type": "fraction", **named}
        return value

    settings = json.dumps({name: plain(value) for name, value in kwargs.items()})
    save_file(
        {name: weight.contiguous() for name, weight in state.items()},
        path,
        metadata={"klass": klass, "args": "[]", "kwargs": settings, **more},
    )
    return path
