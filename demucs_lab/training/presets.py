"""Settings of a training: the papers' own, and what a laptop, a T4 or an 80 GB GPU can do.

The papers' values come from facebookresearch/demucs: v2 is its command line of 2021
(`demucs/parser.py`), v3 and v4 its `conf/config.yaml` and grids. Their batch is that of all GPUs
together: with eight processes, train with an eighth of it.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

MACHINES = ("laptop", "t4", "80gb")


_POSITIVE = (
    "segment", "batch", "steps", "minutes", "learning_rate", "clip", "remix_group",
    "checkpoint_seconds", "checkpoint_steps", "validations", "patience",
)  # fmt: skip
_NOT_NEGATIVE = ("weight_decay", "warmup", "seed")
_WHOLE = (
    "batch", "steps", "warmup", "validations", "patience", "checkpoint_steps", "seed",
    "remix_group",
)  # fmt: skip
_SWITCHES = ("cosine", "sign_flip", "channel_swap", "remix")


@dataclass(frozen=True)
class Config:
    """All that decides how a training goes; each field is an argument of `train` too.

    Attributes:
        name: what the run is called.
        model: a name that `models.build` knows, built with `model_options`.
        segment: seconds of an excerpt.
        batch: excerpts per step and process.
        steps, minutes: the budget, whichever is given; the learning rate falls over it.
        learning_rate: of Adam, at its highest.
        weight_decay: of AdamW; 0: Adam.
        warmup: steps over which the learning rate rises.
        cosine: let it fall to zero along a cosine; False: keep it.
        clip: largest norm of the gradient; None: any.
        ema: decay of the running mean of the weights that is evaluated and kept; 0: none.
        loss: a name of `losses.LOSSES`.
        precision: "no" (float32), "bf16" or "fp16".
        validations: how often, evenly over the budget, held-out songs are separated and scored.
        patience: stop after so many validations without a better one; None: never.
        checkpoint_seconds: time between two checkpoints.
        checkpoint_steps: steps between two checkpoints; None: go by time.
        seed: of weights, excerpts and augmentation.
        sign_flip, channel_swap, remix: augmentations, on or off.
        remix_group: excerpts within which `remix` exchanges stems.
        gain: lowest and highest factor of a stem's level; None: off.
        pitch_tempo, source_dropout: probabilities of these; 0: off.
    """

    name: str
    model: str
    model_options: dict[str, Any] = field(default_factory=dict)
    segment: float = 10.0
    batch: int = 4
    steps: int | None = None
    minutes: float | None = None
    learning_rate: float = 3e-4
    weight_decay: float = 0.0
    warmup: int = 20
    cosine: bool = True
    clip: float | None = 5.0
    ema: float = 0.999
    loss: str = "l1"
    precision: str = "no"
    validations: int = 4
    patience: int | None = None
    checkpoint_seconds: float = 30.0
    checkpoint_steps: int | None = None
    seed: int = 0
    sign_flip: bool = True
    channel_swap: bool = True
    remix: bool = True
    remix_group: int = 4
    gain: tuple[float, float] | None = (0.25, 1.25)
    pitch_tempo: float = 0.0
    source_dropout: float = 0.0

    def __post_init__(self) -> None:
        from demucs_lab.losses import LOSSES

        if (self.steps is None) == (self.minutes is None):
            raise ValueError(
                f"a training needs a budget, minutes or steps but not both, got "
                f"minutes={self.minutes} and steps={self.steps}"
            )
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and 0 < value < math.inf):
                raise ValueError(f"{name} must be a number above 0, got {value!r}")
        for name in _NOT_NEGATIVE:
            value = getattr(self, name)
            if not _is_number(value) or not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a number, 0 or above, got {value!r}")
        for name in _WHOLE:
            value = getattr(self, name)
            if value is not None and not isinstance(value, int):
                raise ValueError(f"{name} must be a whole number, got {value!r}")
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} is true or false, got {getattr(self, name)!r}")
        for name in ("ema", "pitch_tempo", "source_dropout"):
            value = getattr(self, name)
            if not _is_number(value) or not 0 <= value <= 1 or (name == "ema" and value == 1):
                raise ValueError(f"{name} is a number between 0 and 1, got {value!r}")
        if self.loss not in LOSSES:
            raise ValueError(f"no loss is named {self.loss!r}: choose from {', '.join(LOSSES)}")
        if self.precision not in ("no", "bf16", "fp16"):
            raise ValueError(f"precision is no, bf16 or fp16, got {self.precision!r}")
        if self.gain is not None:
            object.__setattr__(self, "gain", _range(self.gain))

    def but(self, **changes: Any) -> Config:
        """The same with some fields changed; a budget in steps replaces one in minutes.

        Raises:
            ValueError: if there is no such field.

        >>> preset("tiny-demucs").but(steps=100, remix=False).minutes
        """
        names = [f.name for f in dataclasses.fields(self)]
        if unknown := [name for name in changes if name not in names]:
            raise ValueError(
                f"a training has no setting {unknown[0]!r}: choose from {', '.join(names)}"
            )
        for one, other in (("steps", "minutes"), ("minutes", "steps")):
            if changes.get(one) is not None:
                changes.setdefault(other, None)
        return dataclasses.replace(self, **changes)

    def budget(self) -> str:
        """In words.

        >>> preset("tiny-demucs").but(minutes=3).budget()
        '3 minutes'
        """
        if self.steps:
            return f"{self.steps} step{'s' * (self.steps != 1)}"
        return f"{self.minutes:g} minute{'s' * (self.minutes != 1)}"


# On a laptop many small steps beat few large ones: excerpts as short as each model learns from.
_TINY: dict[str, dict[str, Any]] = {
    "tiny-demucs": {"segment": 1.5, "batch": 4, "learning_rate": 2e-3},
    "tiny-conv-tasnet": {"segment": 1.0, "batch": 2, "learning_rate": 1e-3},
    "tiny-hdemucs": {"segment": 1.5, "batch": 2, "learning_rate": 1e-3},
    "tiny-htdemucs": {"segment": 1.5, "batch": 2, "learning_rate": 1e-3},
}

_ON_MACHINE: dict[str, dict[str, Any]] = {
    "laptop": {"minutes": 20.0},
    "t4": {"minutes": 30.0, "batch": 16, "segment": 4.0, "precision": "fp16", "validations": 10},
    "80gb": {"minutes": 60.0, "batch": 64, "segment": 6.0, "precision": "bf16", "warmup": 200,
             "validations": 20},
}  # fmt: skip

# Shared by the papers' trainings: Adam at a constant 3e-4, L1, no clipping, remix in groups of 4,
# gain 0.25 to 1.25, flips, pitch and tempo with probability 0.2. In v3 and v4 an excerpt of D
# seconds is cut to 0.88 D by that, and a second is lost to a random shift; in v2 D is what is left.
_PUBLISHED: dict[str, Any] = {
    "learning_rate": 3e-4, "cosine": False, "warmup": 0, "clip": None, "ema": 0.0,
    "pitch_tempo": 0.2, "validations": 60, "checkpoint_seconds": 600.0,
}  # fmt: skip
_EPOCH = 19_000  # excerpts of MUSDB18's 86 training songs, one from each second on

_PAPERS: dict[str, dict[str, Any]] = {
    # 1911.13254 as of v2: D = 10, batch 64, 180 epochs of twice the data; no EMA.
    "paper-demucs": {
        "model": "demucs-v2", "batch": 64, "segment": 10.0, "steps": 360 * _EPOCH // 64,
    },
    # Its Conv-TasNet, the music version with X=10: no pitch and tempo.
    "paper-conv-tasnet": {
        "model": "conv-tasnet", "batch": 64, "segment": 8.0, "steps": 360 * _EPOCH // 64,
        "pitch_tempo": 0.0,
    },
    # 2111.03600, v3: D = 11, batch 64, 360 epochs; EMA of the weights (table 7). Its penalty on
    # singular values is not part of this kit.
    "paper-hdemucs": {
        "model": "hdemucs", "batch": 64, "segment": 11 * 0.88 - 1, "steps": 360 * _EPOCH // 64,
        "ema": 0.9999,
    },
    # 2211.08553, v4: D = 10, batch 32, 1200 epochs of 800 batches; EMA as in its grid `mmi.py`.
    "paper-htdemucs": {
        "model": "htdemucs", "batch": 32, "segment": 10 * 0.88 - 1, "steps": 1200 * 800,
        "ema": 0.9999,
    },
}  # fmt: skip


def _range(gain: Any) -> tuple[float, float]:
    pair = list(gain) if isinstance(gain, (tuple, list)) else []
    if len(pair) != 2 or not all(map(_is_number, pair)) or not 0 <= pair[0] <= pair[1] < math.inf:
        raise ValueError(f"gain is its lowest and its highest factor, 0 or above, got {gain!r}")
    return float(pair[0]), float(pair[1])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def preset(name: str) -> Config:
    """The settings with this name: see `presets()`.

    Raises:
        ValueError: if there are none.
    """
    known = presets()
    if name not in known:
        raise ValueError(f"no preset is named {name!r}: choose from {', '.join(known)}")
    return known[name]


def presets() -> dict[str, Config]:
    """Every preset: tiny models on a laptop, `NAME-t4` and `NAME-80gb`, `paper-NAME` for MUSDB18.

    >>> [name for name in presets() if "htdemucs" in name]
    ['tiny-htdemucs', 'tiny-htdemucs-t4', 'tiny-htdemucs-80gb', 'paper-htdemucs']
    """
    found = {}
    for model, own in _TINY.items():
        for machine in MACHINES:
            name = model if machine == "laptop" else f"{model}-{machine}"
            found[name] = Config(name=name, model=model, **{**own, **_ON_MACHINE[machine]})
    for name, settings in _PAPERS.items():
        found[name] = Config(name=name, **{**_PUBLISHED, **settings})
    return found
