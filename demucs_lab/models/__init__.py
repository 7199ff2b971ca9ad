"""The four models, each in one file that reads beside its paper (lessons 03, 06, 09 and 10)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from demucs_lab.models.base import SIX_SOURCES, SeparationModel
from demucs_lab.models.conv_tasnet import ConvTasNet
from demucs_lab.models.demucs import Demucs
from demucs_lab.models.hdemucs import HDemucs
from demucs_lab.models.htdemucs import HTDemucs
from demucs_lab.models.saving import read, save
from demucs_lab.models.summary import summary

MODELS: dict[str, type[SeparationModel]] = {
    "conv-tasnet": ConvTasNet,
    "demucs": Demucs,
    "hdemucs": HDemucs,
    "htdemucs": HTDemucs,
}

# Every name that `build` knows, with what makes the model.
BUILDERS: dict[str, Callable[..., SeparationModel]] = {
    **MODELS,
    "conv-tasnet-speech": ConvTasNet.speech,
    "demucs-v1": Demucs.v1,
    "demucs-v2": Demucs.v2,
    "tiny-conv-tasnet": ConvTasNet.tiny,
    "tiny-demucs": Demucs.tiny,
    "tiny-hdemucs": HDemucs.tiny,
    "tiny-htdemucs": HTDemucs.tiny,
}

__all__ = [
    "BUILDERS",
    "MODELS",
    "SIX_SOURCES",
    "ConvTasNet",
    "Demucs",
    "HDemucs",
    "HTDemucs",
    "SeparationModel",
    "build",
    "load",
    "save",
    "summary",
]


def build(name: str, **kwargs: Any) -> SeparationModel:
    """A model with random weights, by name.

    Args:
        name: "conv-tasnet", "demucs", "hdemucs", "htdemucs", or one of these with "tiny-" before,
            or "conv-tasnet-speech", "demucs-v1", "demucs-v2".
        kwargs: arguments of its class.

    Raises:
        ValueError: if no model has that name.

    >>> build("tiny-htdemucs")
    HTDemucs(2.3 M parameters, 4 sources, 2 channels, 22050 Hz, 6 s segments)
    """
    if name not in BUILDERS:
        raise ValueError(f"no model is named {name!r}: choose from {', '.join(BUILDERS)}")
    return BUILDERS[name](**kwargs)


def load(path: str | os.PathLike[str]) -> SeparationModel:
    """Read what `save` wrote; the model comes in float32, ready to separate (`eval` mode).

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, no model of this kit, or its weights do not fit its config.
    """
    return read(path).build(MODELS.values())
