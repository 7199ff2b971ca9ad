"""Training a model on songs with known stems: on a laptop, one GPU or many (lessons 06, 07, 12)."""

from __future__ import annotations

from demucs_lab.training import augment
from demucs_lab.training.loop import resume, settings, train
from demucs_lab.training.presets import Config, preset, presets
from demucs_lab.training.result import Result

__all__ = [
    "Config",
    "Result",
    "augment",
    "preset",
    "presets",
    "resume",
    "settings",
    "train",
]
