"""LabSongs: score → instruments → stems. A composer, a band, a singer and a mixing desk.

`composer` writes the song, `band` and `melody` write the parts, `drums`, `instruments` and `voice`
play them, `studio` and `mixing` make the stems, `cache` and `pool` keep them, `dataset` opens them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .composer import compose
    from .dataset import LabSongs, first_songs
    from .score import Chord, Line, Note, Score, Section
    from .studio import render

_HOME = {
    "LabSongs": "dataset",
    "first_songs": "dataset",
    "compose": "composer",
    "render": "studio",
    "Score": "score",
    "Section": "score",
    "Chord": "score",
    "Line": "score",
    "Note": "score",
}
__all__ = [
    "Chord",
    "LabSongs",
    "Line",
    "Note",
    "Score",
    "Section",
    "compose",
    "first_songs",
    "render",
]


def __getattr__(name: str) -> Any:
    """Imported on first use, so that a rendering process need not load torch."""
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
