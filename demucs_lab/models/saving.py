"""One file per model: weights as safetensors, and in its header the config as JSON.

Nothing in such a file can run code: it holds tensors and text.
"""

from __future__ import annotations

import inspect
import json
import os
import reprlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from demucs_lab.common.paths import atomic_path

KEY = "demucs_lab"  # of the header's entry that holds the config
MOST_TENSORS = 10_000  # HTDemucs has 533
MOST_NUMBERS = 2_000_000_000
_LONGEST_HEADER = 1 << 23  # bytes
_LARGEST = 1 << 20  # that any argument of a model is
_LAYERS = {"depth", "lstm_layers", "t_layers", "X", "R"}  # arguments that count layers
_KINDS: dict[type, Any] = {tuple: list | tuple, float: int | float}
_BRIEF = reprlib.Repr()
_BRIEF.maxstring = 100
_FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}


class Saveable(Protocol):
    """A model that `config()` describes: the arguments that build it again."""

    def config(self) -> dict[str, Any]: ...
    def state_dict(self) -> dict[str, Tensor]: ...


def save(model: Saveable, path: str | os.PathLike[str], dtype: torch.dtype | None = None) -> None:
    """Write a model atomically.

    Args:
        model: any of the four.
        path: conventionally ending in `.safetensors`.
        dtype: store floats so, for example `torch.float16` for half the size; None: as they are.

    Raises:
        OSError: if the file cannot be written; what was there before stays.
    """
    from safetensors.torch import save_file

    weights = {
        name: value.detach().to("cpu", dtype if value.is_floating_point() else None).contiguous()
        for name, value in model.state_dict().items()
    }
    header = {KEY: json.dumps({"model": type(model).__name__, "config": model.config()})}
    with atomic_path(path) as beside:
        save_file(weights, beside, metadata=header)


@dataclass(frozen=True)
class Saved:
    """What a file of `save` holds: the name of a class, its arguments, and the weights."""

    path: Path
    model: str
    config: dict[str, Any]
    weights: dict[str, Tensor]

    def build(self, classes: Iterable[type]) -> Any:
        """The model in float32, ready to separate (`eval` mode).

        Raises:
            ValueError: if it is of none of the classes, its weights do not fit its config, or one
                of them is NaN or infinite.
        """
        size = sum(weight.numel() for weight in self.weights.values())
        try:
            model = built(classes, self.model, self.config, len(self.weights), size)
        except ValueError as error:
            raise _unknown(self.path, error) from error
        own = model.state_dict()
        if wrong := _differences(own, self.weights):
            raise ValueError(
                f"the weights in {self.path} do not fit the model that it describes: {wrong[0]}"
                + f" and {len(wrong) - 1} more" * (len(wrong) > 1)
            )
        model.load_state_dict({k: w.reshape(own[k].shape) for k, w in self.weights.items()})
        if bad := [name for name, weight in model.state_dict().items() if not _finite(weight)]:
            raise ValueError(
                f"{self.path} holds NaN or infinite numbers in {bad[0]}: fetch or save it again"
            )
        return model.eval()


def built(
    classes: Iterable[type],
    name: str,
    config: Mapping[str, Any],
    tensors: int = MOST_TENSORS,
    size: int = MOST_NUMBERS,
) -> Any:
    """The model that a description from a file names, with random weights.

    A file may describe anything. Its numbers must have the kinds of the defaults, each layer needs
    a tensor, and a model that outgrows its weights while it is built is given up.

    Args:
        classes: to choose from.
        name: of the class.
        config: the arguments of its constructor.
        tensors: the weights that there are at most.
        size: the numbers in all of them.

    Raises:
        ValueError: in one sentence, if no such model can be built.
    """
    known = {cls.__name__: cls for cls in classes}
    if name not in known:
        raise ValueError(f"the kind of model is {_short(name)}, not {' or '.join(known)}")
    _check_config(known[name], config, tensors)
    try:
        with _at_most(tensors, size):
            return known[name](**config)
    except Exception as error:  # whatever a constructor makes of a wrong number
        raise ValueError(_short(error)) from error


def read(path: str | os.PathLike[str]) -> Saved:
    """Read what `save` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, or no model of this kit.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no model file {path}")
    try:
        with path.open("rb") as raw:
            header_size = int.from_bytes(raw.read(8), "little")
        if not 0 < header_size < min(path.stat().st_size, _LONGEST_HEADER):
            raise OSError(f"its header would have {header_size} bytes")
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            names = list(file.keys())
            if len(names) > MOST_TENSORS:
                raise OSError(f"it holds {len(names)} tensors")
            weights = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, AttributeError) as error:  # a dtype that torch lacks
        raise ValueError(
            f"{path} is damaged or no safetensors file ({_short(error)}): fetch or save it again"
        ) from error
    if KEY not in header:
        raise ValueError(
            f"{path} holds tensors but does not say of which model: for the authors' weights use "
            f"the model's from_official"
        )
    try:
        described = json.loads(header[KEY])
        model, config = described["model"], described["config"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _unknown(path, error) from error
    if not isinstance(model, str) or not isinstance(config, dict):
        raise _unknown(path, TypeError("expected the name of a class and its arguments"))
    return Saved(path, model, config, weights)


def _check_config(cls: type, config: Mapping[str, Any], tensors: int) -> None:
    """Refuse arguments of other kinds than the defaults, and numbers that no model has."""
    known = inspect.signature(cls).parameters
    for name, value in config.items():
        if name not in known:
            raise ValueError(f"a {cls.__name__} has no {_short(name)}")
        kind = type(known[name].default)
        if not isinstance(value, _KINDS.get(kind, kind)) or (
            isinstance(value, bool) and kind is not bool
        ):
            raise ValueError(f"expected {name} as {kind.__name__}, got {_short(value)}")
        if kind in (int, float) and not 0 <= value <= _LARGEST:  # NaN is refused too
            raise ValueError(f"expected {name} from 0 to {_LARGEST}, got {_short(value)}")
        if name in _LAYERS and value > tensors:
            raise ValueError(f"{name} is {value}, but there are {tensors} weights in all")


@contextmanager
def _at_most(tensors: int, size: int) -> Iterator[None]:
    """Give up a model that this thread builds as soon as it has more weights than these.

    A weight is registered before it is filled: until then its memory is only a promise.
    """
    thread, seen = threading.get_ident(), dict[tuple[nn.Module, str], int]()
    numbers = 0

    def look(module: nn.Module, name: str, weight: nn.Parameter | None) -> None:
        nonlocal numbers
        if weight is None or threading.get_ident() != thread:
            return
        numbers += weight.numel() - seen.get((module, name), 0)  # `w /= 2` registers it again
        seen[module, name] = weight.numel()
        if len(seen) > tensors or numbers > size:
            raise ValueError(f"it is larger than the {tensors} weights of {size} numbers there are")

    hook = register_module_parameter_registration_hook(look)
    try:
        yield
    finally:
        hook.remove()


def _finite(weight: Tensor) -> bool:
    return not weight.is_floating_point() or bool(weight.isfinite().all())


def _short(found: object) -> str:
    """What a file says, on one line of a sentence."""
    text = str(found) if isinstance(found, Exception) else _BRIEF.repr(found)
    text = " ".join(text.split())
    return text if len(text) <= 200 else f"{text[:200]}…"


def _unknown(path: Path, error: Exception) -> ValueError:
    return ValueError(
        f"{path} describes a model that this version cannot build ({_short(error)}): save it again "
        f"with this version"
    )


def _differences(own: dict[str, Tensor], found: dict[str, Tensor]) -> list[str]:
    missing = [f"{name} is missing" for name in sorted(own.keys() - found.keys())]
    unknown = [f"{_short(name)} is unknown" for name in sorted(found.keys() - own.keys())]
    reshaped = [
        f"{name} is {list(found[name].shape)} instead of {list(own[name].shape)}"
        for name in sorted(own.keys() & found.keys())
        if not fits(found[name].shape, own[name].shape)
    ]
    strange = [
        f"{name} holds {found[name].dtype}"
        for name in sorted(own.keys() & found.keys())
        if own[name].is_floating_point() and found[name].dtype not in _FLOATS
    ]
    return missing + unknown + reshaped + strange


def fits(found: torch.Size, own: torch.Size) -> bool:
    """Whether one weight may have both shapes: they differ in axes of one, or in flattened ones.

    A 1×1 convolution is stored as `[C, B]`, `[C, B, 1]` or `[C, B, 1, 1]`, and filters of several
    channels as `[N, C, L]` or `[N, C · L]`.
    """
    rows = [next((n for n in shape if n != 1), 1) for shape in (found, own)]
    return found.numel() == own.numel() and rows[0] == rows[1]
