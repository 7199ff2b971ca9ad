"""What the four models share: what they separate, their door, their description and their file."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, Self

import torch
from torch import Tensor, nn

from demucs_lab.models import official, saving

SOURCES = ("drums", "bass", "other", "vocals")
SIX_SOURCES = (*SOURCES, "guitar", "piano")
_MOST_SOURCES, _LONGEST_NAME = 64, 100
_LONGEST_SEGMENT = 3600.0  # seconds


def check_sources(sources: Sequence[str]) -> tuple[str, ...]:
    """Names under which stems may be filed: they come with a model, from anywhere.

    A name with a separator, or one that begins with a dot, would be a path out of the folder of
    the stems; one that begins with a dash, an option of the next program.

    Raises:
        ValueError: if they are no list of different names, or one is no plain file name.

    >>> check_sources(["drums", "bass"])
    ('drums', 'bass')
    """
    if isinstance(sources, str) or not isinstance(sources, Sequence) or not sources:
        raise ValueError(f"sources must be a list of names, got {str(sources)[:80]!r}")
    if len(sources) > _MOST_SOURCES:
        raise ValueError(f"expected at most {_MOST_SOURCES} sources, got {len(sources)}")
    for name in sources:
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise ValueError(f"a source needs a name that can be printed, got {str(name)[:80]!r}")
        if len(name.encode()) > _LONGEST_NAME:
            raise ValueError(
                f"the name of a source has at most {_LONGEST_NAME} bytes, got {name[:20]!r}… with "
                f"{len(name.encode())}"
            )
        if name[0] in ".-" or any(mark in name for mark in '/\\:*?"<>|'):
            raise ValueError(
                f"{name!r} cannot name a source, which names a file too: let it begin with a "
                f'letter and leave / \\ : * ? " < > | out'
            )
    if len({name.casefold() for name in sources}) < len(sources):  # one file on macOS and Windows
        twice = next(
            name for i, name in enumerate(sources)
            if name.casefold() in {other.casefold() for other in sources[:i]}
        )  # fmt: skip
        raise ValueError(f"two sources are named {twice!r}: each needs a name of its own")
    return tuple(sources)


class SeparationModel(nn.Module):
    """A mixture in, its sources out: `model(mix [B, C, T])` gives `[B, S, C, T]`.

    A subclass keeps each argument of its constructor in an attribute of the same name, so that
    `config()` describes it.

    Args:
        sources: what is separated, in the order of the axis S.
        audio_channels: C, 2 for stereo.
        samplerate: in Hz, the rate that the model expects.
        segment: seconds of sound that the model was made to look at.

    Raises:
        ValueError: if a source cannot name a file, or a number makes no sense.
    """

    def __init__(
        self, sources: Sequence[str], audio_channels: int, samplerate: int, segment: float
    ) -> None:
        super().__init__()
        self.sources = check_sources(sources)
        self.audio_channels = _whole("audio_channels", audio_channels, 1, 64)
        self.samplerate = _whole("samplerate", samplerate, 1000, 384000)
        if not _is_number(segment) or not 0 < segment <= _LONGEST_SEGMENT:
            raise ValueError(
                f"expected segment in seconds, above 0 and up to {_LONGEST_SEGMENT:g}, got "
                f"{segment!r}"
            )
        self.segment = float(segment)

    @property
    def segment_samples(self) -> int:
        """The segment in samples."""
        return round(self.segment * self.samplerate)

    @property
    def cpu_batch(self) -> int:
        """Segments that a CPU had best compute at once: more only cost memory."""
        return 1

    @property
    def receptive_field(self) -> int | None:
        """Samples of input that one sample of output depends on; None: the whole input."""
        return None

    def config(self) -> dict[str, Any]:
        """The arguments that build this model again, as JSON can hold them.

        >>> from demucs_lab.models import Demucs
        >>> Demucs.tiny().config()["channels"]
        16
        """
        names = list(inspect.signature(type(self)).parameters)
        values = {name: getattr(self, name) for name in names}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights and config to one safetensors file, atomically."""
        saving.save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote; the file must hold a model of this class."""
        saved = saving.read(path)
        if saved.model != cls.__name__:
            raise ValueError(
                f"{os.fspath(path)} holds a {saved.model}, not a {cls.__name__}: read it with "
                f"demucs_lab.models.load"
            )
        return saved.build([cls])

    def check_mixture(self, mix: Tensor) -> None:
        """Refuse what is no batch of mixtures `[B, C, T]` with this model's channels and precision.

        Within `torch.autocast` the precisions may differ.

        Raises:
            TypeError, ValueError: saying what is wrong and what to do.
        """
        shape = list(mix.shape)
        if mix.dim() != 3:
            raise ValueError(
                f"expected mixtures of shape [batch, channels, time], got {shape}"
                + (": one mixture is mix[None]" if mix.dim() == 2 else "")
            )
        if mix.numel() == 0:
            raise ValueError(f"the mixture is empty (shape {shape}): there is nothing to separate")
        if shape[1] != self.audio_channels:
            raise ValueError(
                f"this model hears {self.audio_channels} channel(s), the mixture {shape} has "
                f"{shape[1]}"
            )
        if not mix.is_floating_point():
            raise TypeError(f"expected a floating-point mixture, got {mix.dtype}")
        weights, kind = next(self.parameters(), mix).dtype, mix.device.type
        cast = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
        if mix.dtype != weights and not cast:
            raise TypeError(
                f"this model computes in {weights}, the mixture is {mix.dtype}: convert it with "
                f"mix.to({weights})"
            )

    @classmethod
    def from_official(cls, state: Mapping[str, Tensor], **kwargs: Any) -> Self:
        """A model with the weights and settings of the authors' code (`models.official`).

        Args:
            state: their state dict.
            kwargs: their keyword arguments, as a checkpoint carries them.

        Raises:
            ValueError: naming a setting or a weight that has no place here.
        """
        return cls(**official.settings(cls, kwargs)).load_official(state)

    def translate(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The authors' state dict under our names."""
        return official.translate(self, state)

    def load_official(self, state: Mapping[str, Tensor]) -> Self:
        """Take the weights of the authors' model.

        Raises:
            ValueError: if a weight has no counterpart here, is missing, or has another shape.
        """
        own = self.state_dict()
        found = {}
        for name, value in self.translate(state).items():
            if name not in own:
                raise ValueError(f"this {type(self).__name__} has no weight {name!r}")
            if not saving.fits(value.shape, own[name].shape):
                raise ValueError(
                    f"{name} has shape {list(value.shape)} in the state dict and "
                    f"{list(own[name].shape)} in this model: do the settings agree?"
                )
            found[name] = value.reshape(own[name].shape)
        if missing := sorted(own.keys() - found.keys()):
            raise ValueError(
                f"the state dict lacks {len(missing)} weights of this model, among them "
                f"{missing[0]}: do the settings agree?"
            )
        self.load_state_dict(found)
        return self

    def __repr__(self) -> str:
        """One line: class, size, sources, rate.

        >>> from demucs_lab.models import ConvTasNet
        >>> ConvTasNet.tiny()
        ConvTasNet(1.0 M parameters, 4 sources, 2 channels, 22050 Hz, 4 s segments)
        """
        millions = sum(p.numel() for p in self.parameters()) / 1e6
        return (
            f"{type(self).__name__}({millions:.1f} M parameters, {len(self.sources)} sources, "
            f"{self.audio_channels} channels, {self.samplerate} Hz, {self.segment:g} s segments)"
        )


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return bool(abs(value) < 10**15)  # type: ignore[operator]  # NaN and infinity are not


def _whole(name: str, value: Any, least: int, most: int) -> int:
    if not _is_number(value) or value != int(value) or not least <= value <= most:
        raise ValueError(
            f"expected {name} as a whole number from {least} to {most}, got {str(value)[:80]}"
        )
    return int(value)
