"""The experiments of the course: what is compared with what, on which budget (lesson 11).

Every budget is in steps, so that seeds are comparable on any machine, and small: what shows here
within a minute of training may vanish, or turn round, in a longer one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from demucs_lab.training.presets import Config, preset
from demucs_lab.training.recipes import config as shipped

SEEDS = 3
HELD_OUT = 8  # songs of the starter set's test split
REDUCED_HELD_OUT = 3


@dataclass(frozen=True)
class Variant:
    """One row of an experiment.

    Attributes:
        name: what it is called.
        config: of its training; None: nothing is trained, the experiment's checkpoint is used.
        branch: "time" or "frequency": Hybrid Demucs with only that branch.
        separation: options of `separate`.
        compared_with: the variant that its differences refer to; None: the experiment's reference.
        note: what else has to be known about it.
    """

    name: str
    config: Config | None = None
    branch: str | None = None
    separation: dict[str, Any] = field(default_factory=dict)
    compared_with: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Experiment:
    """A question, and the variants that answer it.

    Attributes:
        name: what `run` knows it by.
        question: that it answers.
        reference: the variant that others are compared with.
        variants: all, the reference among them.
        train_songs: how many songs of the starter set are learned from; None: all 64.
        reduced_steps: of each training in the reduced form.
        checkpoint: of `pretrained`, used where nothing is trained.
        random: False: seeds change nothing, there is one row of scores.
        layers: record the scale of each layer at initialisation too.
    """

    name: str
    question: str
    reference: str
    variants: tuple[Variant, ...]
    train_songs: int | None = None
    reduced_steps: int = 100
    checkpoint: str | None = None
    random: bool = True
    layers: bool = False

    def __post_init__(self) -> None:
        for variant in self.variants:
            self.reference_of(variant)

    def variant(self, name: str) -> Variant:
        """The variant of that name."""
        return next(variant for variant in self.variants if variant.name == name)

    def reference_of(self, variant: Variant) -> Variant:
        """What a variant's differences refer to."""
        return self.variant(variant.compared_with or self.reference)


_PLAIN: dict[str, Any] = {"validations": 1, "checkpoint_seconds": 3600.0}
_DEMUCS = preset("tiny-demucs").but(steps=250, **_PLAIN)
# In so few steps the presets' 1e-3 leaves hybrid models near their start (0.2 dB after 60 steps,
# where 4e-3 gives 1.4 dB), and the scales of what the transformer adds near their 1e-4.
_SHORT: dict[str, Any] = {"steps": 120, "learning_rate": 3e-3, **_PLAIN}
_HDEMUCS = preset("tiny-hdemucs").but(**_SHORT)
_HTDEMUCS = preset("tiny-htdemucs").but(**_SHORT)
_NO_AUGMENTATION: dict[str, Any] = {
    "sign_flip": False, "channel_swap": False, "remix": False, "gain": None,
}  # fmt: skip


def _demucs(**options: Any) -> Config:
    return _DEMUCS.but(model_options=options)


def _all() -> Iterator[Experiment]:
    yield Experiment(
        "glu", "Is a gate (GLU) better than a plain ReLU after the second convolutions?", "GLU",
        (
            Variant("GLU", _demucs()),
            Variant("ReLU", _demucs(glu=False), note="half the outputs of each second "
                    "convolution, so fewer parameters"),
        ),
    )  # fmt: skip
    yield Experiment(
        "rescale", "What does rescaling the initial weights change?", "on",
        (Variant("on", _demucs()), Variant("off", _demucs(rescale=0.0))),
        layers=True,
    )  # fmt: skip
    yield Experiment(
        "lstm", "What does the LSTM at the bottom bring?", "on",
        (
            Variant("on", _demucs()),
            Variant("off", _demucs(lstm_layers=0), note="fewer parameters, and a finite "
                    "receptive field"),
        ),
    )  # fmt: skip
    yield Experiment(
        "skips", "What do the skip connections bring?", "on",
        (Variant("on", _demucs()), Variant("off", _demucs(skips=False))),
    )  # fmt: skip
    yield Experiment(
        "loss", "Which loss: absolute error, squared error or SI-SDR?", "L1",
        (
            Variant("L1", _DEMUCS),
            Variant("L2", _DEMUCS.but(loss="l2")),
            Variant("SI-SDR", _DEMUCS.but(loss="si_sdr"), note="this loss leaves the level of each "
                    "source open, and SDR does not forgive that"),
        ),
        reduced_steps=80,
    )  # fmt: skip
    small, large = {"channels": 8}, {"channels": 24}
    yield Experiment(
        "augmentation", "Does augmentation help when songs are few, a small and a larger model?",
        "large, off",
        (
            Variant("small, off", _demucs(**small).but(**_NO_AUGMENTATION),
                    note="8 channels; all four augmentations off"),
            Variant("small, on", _demucs(**small), compared_with="small, off",
                    note="8 channels; sign flip, channel swap, remix and gain"),
            Variant("large, off", _demucs(**large).but(**_NO_AUGMENTATION), note="24 channels"),
            Variant("large, on", _demucs(**large), compared_with="large, off",
                    note="24 channels"),
        ),
        train_songs=8,
        reduced_steps=80,
    )  # fmt: skip
    yield Experiment(
        "resample", "Does twice the rate inside help, and must the model be trained so?", "none",
        (
            Variant("none", _demucs()),
            Variant("inside", _demucs(resample=True), note="in training too, as Demucs v2"),
            Variant("afterwards", _demucs(), separation={"resample": 2}, note="the models of "
                    "'none', shown songs at twice their rate"),
        ),
        reduced_steps=70,
    )  # fmt: skip
    yield Experiment(
        "cross-attention", "Does it help when the branches attend to each other?", "on",
        (
            Variant("on", _HTDEMUCS),
            Variant("off", _HTDEMUCS.but(model_options={"cross_attention": False}),
                    note="the same layers, each branch attends to itself"),
        ),
        reduced_steps=60,
    )  # fmt: skip
    yield Experiment(
        "branches", "Waveform, spectrogram, or both?", "both",
        (
            Variant("both", _HDEMUCS),
            Variant("time only", _HDEMUCS, branch="time", note="the spectrogram's layers are "
                    "taken out, with their parameters"),
            Variant("frequency only", _HDEMUCS, branch="frequency", note="the waveform's layers "
                    "are taken out, with their parameters"),
        ),
        reduced_steps=60,
    )  # fmt: skip
    same: dict[str, Any] = {"steps": 400, "segment": 1.5, "batch": 2, **_PLAIN}
    yield Experiment(
        "models", "Step for step, which model learns most, and what does a step cost?", "Demucs",
        (
            Variant("Conv-TasNet", shipped("tiny-conv-tasnet").but(**same)),
            Variant("Demucs", shipped("tiny-demucs").but(**same)),
            Variant("HDemucs", preset("tiny-hdemucs").but(
                    learning_rate=shipped("tiny-htdemucs").learning_rate, **same)),
            Variant("HTDemucs", shipped("tiny-htdemucs").but(**same), note="as the three others "
                    "the size that is shipped, with the learning rate of its own recipe"),
        ),
        reduced_steps=60,
    )  # fmt: skip
    counts = (0, 1, 2, 3, 5, 10)
    yield Experiment(
        "shifts",
        "What do more random shifts bring, and what do they cost?",
        "0",
        tuple(Variant(str(n), separation={"shifts": n}) for n in counts),
        checkpoint="tiny-demucs",
    )
    yield Experiment(
        "overlap", "How much must segments overlap?", "0",
        tuple(
            Variant(f"{share:g}", separation={"overlap": share, "segment": 2.0})
            for share in (0.0, 0.1, 0.25, 0.4, 0.5)
        ),
        checkpoint="tiny-demucs",
        random=False,
    )  # fmt: skip


EXPERIMENTS: dict[str, Experiment] = {experiment.name: experiment for experiment in _all()}
"""Every experiment by its name."""


def experiment(name: str) -> Experiment:
    """The experiment with this name.

    Raises:
        ValueError: if there is none.
    """
    if name not in EXPERIMENTS:
        raise ValueError(f"no experiment is named {name!r}: choose from {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]


def with_steps(one: Experiment, steps: int) -> Experiment:
    """The same experiment with another budget for each training."""
    changed = (
        dataclasses.replace(v, config=v.config.but(steps=steps)) if v.config else v
        for v in one.variants
    )
    return dataclasses.replace(one, variants=tuple(changed))
