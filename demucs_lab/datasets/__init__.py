"""One `Track`, three doors: songs we compose, MUSDB18, or any folder of stems (lesson 00)."""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "LabSongs": "labsongs",
    "first_songs": "labsongs",
    "MUSDB18": "musdb",
    "StemsFolder": "stems",
    "Track": "track",
    "export_musdb": "export",
    "has_split": "opening",
    "open": "opening",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
