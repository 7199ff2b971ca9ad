"""demucs_lab: hear, predict, measure and build music source separation.

The names below are all that a lesson needs. Each is imported on first use, so `import demucs_lab`
is instant and works without ffmpeg, network or GPU.
"""

from __future__ import annotations

import importlib
from typing import Any

from demucs_lab.common import VERSION

__version__ = VERSION

_MODULES = (
    "attention",
    "audio",
    "datasets",
    "evaluation",
    "exercises",
    "experiments",
    "losses",
    "masking",
    "metrics",
    "models",
    "plots",
    "pretrained",
    "separation",
    "spectral",
    "training",
    "widgets",
)
_FUNCTIONS = {
    "SOURCES": "audio",
    "load_audio": "audio",
    "save_audio": "audio",
    "separate": "separation",
    "separate_file": "separation",
    "check": "exercises",
    "hint": "exercises",
    "predict": "exercises",
    "progress": "exercises",
}
__all__ = [*sorted(_FUNCTIONS), *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(f"{__name__}.{_FUNCTIONS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
