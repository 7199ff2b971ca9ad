"""What an author of exercises needs: `Exercise`, `Wrong`, `Prediction`, and tools for properties.

How to add one is written in README.md beside this file; `example.py` is one to copy.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor


class Mistake(Exception):
    """A property does not hold; its text is what the learner reads."""


@dataclass(frozen=True)
class Wrong:
    """A wrong answer that real learners give, and the sentence that names it."""

    function: Callable[..., Any]
    sentence: str


@dataclass(frozen=True)
class Exercise:
    """One exercise: what is right, how to tell, what goes wrong, and what helps.

    Args:
        name: what the learner passes to `lab.check`; also the name of the function to write.
        lesson: two digits, e.g. "02".
        title: as in the lesson's heading, e.g. "The ratio mask".
        reference: the right answer; the lesson goes on with it when the learner's is not right.
        properties: functions of the learner's function that raise `Mistake`; the docstring of each
            is the line the learner sees, e.g. "the shares of a cell add up to one".
        wrong: at least six wrong answers by name, each rejected by a property and told apart.
        hints: at least three, from a nudge to nearly the line itself.
        forbidden: dotted names of functions that would be the answer, e.g.
            "demucs_lab.masking.ideal_ratio_mask" or "torch.nn.functional.glu".
        mutates: true when the task is to change an argument in place.
        seconds: time limit of one check.
    """

    name: str
    lesson: str
    title: str
    reference: Callable[..., Any]
    properties: Sequence[Callable[[Callable[..., Any]], None]]
    wrong: Mapping[str, Wrong]
    hints: Sequence[str]
    forbidden: Sequence[str] = ()
    mutates: bool = False
    seconds: float = 10.0

    def __post_init__(self) -> None:
        """Nobody can empty the lists afterwards."""
        for listed in ("properties", "hints", "forbidden"):
            object.__setattr__(self, listed, tuple(getattr(self, listed)))
        object.__setattr__(self, "wrong", MappingProxyType(dict(self.wrong)))


@dataclass(frozen=True)
class Prediction:
    """A guess before the measurement: every answer, right or wrong, has its own explanation.

    The build writes question and options into the lesson, so they stand here alone.

    Args:
        name: what the lesson's marker `# %% predict="…"` says.
        lesson: two digits, e.g. "02".
        question: as the learner reads it, in Markdown.
        options: what each choice says, e.g. {"a": "It gets louder.", "b": …}; None for a number.
        answer: the right choice, or the right number.
        why: the explanation of each choice; for a number those of "low", "high" and "right".
        within: how far a number may be off.
        unit: of a number, e.g. "dB".
    """

    name: str
    lesson: str
    question: str
    answer: str | float
    why: Mapping[str, str]
    options: Mapping[str, str] | None = None
    within: float = 0.0
    unit: str = field(default="")

    def judge(self, choice: str | float | None) -> tuple[bool, str]:
        """Whether a guess is right, and what the learner reads about it."""
        if isinstance(self.answer, str):
            return self._judge_letter(choice)
        return self._judge_number(choice, self.answer)

    def _judge_letter(self, choice: str | float | None) -> tuple[bool, str]:
        options = self.options or {}
        letters = [f'"{letter}"' for letter in options]
        asked = f"{', '.join(letters[:-1])} or {letters[-1]}"
        key = str(choice).strip().strip("()").lower()
        if choice is None:
            said = f"Make your guess first: set choice to {asked}, then run this cell again."
            return False, said
        if key not in options:
            return False, f"{choice!r} is not one of the choices: set choice to {asked}."
        right = key == self.answer
        return right, f"{'✓' if right else '✗'} {key}) {options[key]}\n  {self.why[key]}"

    def _judge_number(self, choice: str | float | None, answer: float) -> tuple[bool, str]:
        if choice is None:
            unit = f" (in {self.unit})" if self.unit else ""
            said = f"Make your guess first: set choice to a number{unit}, then run this cell again."
            return False, said
        try:
            guess = float(choice)
        except (TypeError, ValueError):
            return False, f"{choice!r} is not a number."
        off = guess - answer
        right = abs(off) <= self.within
        why = self.why["right" if right else "low" if off < 0 else "high"]
        unit = f" {self.unit}" if self.unit else ""
        mark = "✓" if right else "✗"
        return right, f"{mark} your guess {guess:g}{unit}, the answer {answer:g}{unit}\n  {why}"


# -- inputs for properties, in the dtype and on the device that is being checked ------------------

_WHERE: ContextVar[tuple[torch.dtype, torch.device]] = ContextVar(
    "where", default=(torch.float32, torch.device("cpu"))
)


def check_in(dtype: torch.dtype, device: torch.device | str = "cpu") -> None:
    """From here on, in this context, `tensor`, `rand` and `randn` make this dtype and device."""
    _WHERE.set((dtype, torch.device(device)))


def dtype() -> torch.dtype:
    """The real dtype of this check: float32 for a learner, float64 too in the tests."""
    return _WHERE.get()[0]


def complex_dtype() -> torch.dtype:
    """The complex dtype that goes with `dtype()`."""
    return dtype().to_complex()


def device() -> torch.device:
    """The device of this check."""
    return _WHERE.get()[1]


def tensor(data: Any) -> Tensor:
    """`data` (nested lists, numbers, a tensor) as a real or complex tensor of this check.

    >>> tensor([1, 2]).dtype
    torch.float32
    """
    plain = torch.as_tensor(data)
    return plain.to(device(), complex_dtype() if plain.is_complex() else dtype())


def rand(*shape: int) -> Tensor:
    """Uniform in [0, 1); seeded by the check, the same for float32 and float64."""
    return tensor(torch.rand(*shape, dtype=torch.float32))


def randn(*shape: int) -> Tensor:
    """Standard normal; seeded by the check, the same for float32 and float64."""
    return tensor(torch.randn(*shape, dtype=torch.float32))


# -- statements for properties --------------------------------------------------------------------


def close(actual: Any, expected: Any, message: str, tol: float = 1e-4) -> None:
    """Every number within `tol · (1 + |expected|)`, shapes equal unless `expected` is one number.

    Raises:
        Mistake: `message`, followed by the numbers (all if few, else the worst one and its place).

    >>> close(torch.ones(2), 1, "Shares must add up.")
    >>> close(torch.ones(2), torch.tensor([1.0, 2.0]), "Look at axis 0.")
    Traceback (most recent call last):
    demucs_lab.exercises.framework.Mistake: Look at axis 0. Got [1, 1], expected [1, 2].
    """
    got, want = _plain(actual), _plain(expected)
    if want.dim():
        same_shape(got, want.shape)
    want = want.expand(got.shape)
    if got.numel() == 0:
        return
    if not torch.isfinite(torch.view_as_real(got) if got.is_complex() else got).all():
        not_finite(got, want)
    off = (got - want).abs()
    excess = torch.where(got == want, 0.0, off - tol * (1 + want.abs())).nan_to_num(
        nan=float("inf")
    )
    if (excess > 0).any():
        raise Mistake(f"{message} {_numbers(got, want, excess)}".strip())


def same_shape(actual: Any, expected: Sequence[int], message: str = "") -> None:
    """The shape is exactly `expected`: a shape that would broadcast is not accepted."""
    found = list(_plain(actual).shape)
    if found != list(expected):
        raise Mistake(f"{message} The shape is {found}, expected {list(expected)}.".strip())


def holds(condition: Any, message: str) -> None:
    """`condition` is true, or the learner reads `message`."""
    if not bool(condition):
        raise Mistake(message)


def raises_value_error(call: Callable[[], Any], message: str) -> None:
    """`call()` raises ValueError, or the learner reads `message`.

    >>> raises_value_error(lambda: int("x"), "Refuse what is not a number.")
    """
    try:
        call()
    except ValueError:
        return
    except Mistake:
        raise
    except Exception as error:
        raise Mistake(f"{message} Raise ValueError, not {type(error).__name__}.") from None
    raise Mistake(f"{message} Raise ValueError.")


def not_finite(got: Tensor, want: Tensor) -> None:
    """Name the first NaN or infinity that `want` does not have at the same place."""
    real = torch.view_as_real(got).sum(-1) if got.is_complex() else got
    fine = torch.isfinite(real) | (got == want) | ((got != got) & (want != want))
    if fine.all():
        return
    index = int((~fine).reshape(-1).nonzero()[0])
    what = "NaN (0/0?)" if torch.isnan(real.reshape(-1)[index]) else "infinity (division by 0?)"
    raise Mistake(f"The result has {what}{_place(real, index)}.")


def _plain(value: Any) -> Tensor:
    plain = torch.as_tensor(value).detach().cpu()
    return plain.to(torch.complex128 if plain.is_complex() else torch.float64)


def _place(values: Tensor, index: int) -> str:
    where = [int(i) for i in torch.unravel_index(torch.tensor(index), values.shape)]
    return f" at {where}" if where else ""


def _numbers(got: Tensor, want: Tensor, excess: Tensor) -> str:
    if got.dim() <= 1 and got.numel() <= 6:
        return f"Got {_show(got)}, expected {_show(want)}."
    index = int(excess.reshape(-1).argmax())
    one, two = got.reshape(-1)[index], want.reshape(-1)[index]
    return f"Got {_show(one)}{_place(got, index)}, expected {_show(two)}."


def _show(value: Tensor) -> str:
    if value.dim():
        return "[" + ", ".join(_show(v) for v in value) + "]"
    number = value.item()
    if isinstance(number, complex):
        return f"{number.real:.4g}{number.imag:+.4g}j"
    return f"{number:.4g}"


# -- the register: every module of this package called lessonNN_… or example ----------------------


@cache
def everything() -> tuple[dict[str, Exercise], dict[str, Prediction]]:
    """The two registers, made on first use."""
    exercises: dict[str, Exercise] = {}
    predictions: dict[str, Prediction] = {}
    package = importlib.import_module(__package__)
    for found in sorted(pkgutil.iter_modules(package.__path__), key=lambda module: module.name):
        if not (found.name.startswith("lesson") or found.name == "example"):
            continue
        module = importlib.import_module(f"{__package__}.{found.name}")
        for exercise in getattr(module, "EXERCISES", ()):
            if exercise.name in exercises:
                raise ValueError(_twice("exercises", exercise.name, found.name))
            exercises[exercise.name] = exercise
        for prediction in getattr(module, "PREDICTIONS", ()):
            if prediction.name in predictions:
                raise ValueError(_twice("predictions", prediction.name, found.name))
            predictions[prediction.name] = prediction
    return exercises, predictions


def _twice(what: str, name: str, module: str) -> str:
    return f"two {what} are called {name!r}: rename the one in {module}.py"


def all_exercises() -> dict[str, Exercise]:
    """Every exercise by name, in the order of the lessons."""
    return everything()[0]


def all_predictions() -> dict[str, Prediction]:
    """Every prediction and quiz question by name, in the order of the lessons."""
    return everything()[1]
