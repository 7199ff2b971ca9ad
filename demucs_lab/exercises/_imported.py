"""Tell a learner's own function from an answer that was imported."""

from __future__ import annotations

import functools
import importlib
import types
from collections.abc import Hashable
from typing import Any

from .framework import Exercise


def refusal(exercise: Exercise, function: Any) -> str:
    """Why `function` itself is not an answer of the learner's own, or ""."""
    own = bare(function)
    if own is bare(exercise.reference):
        return (
            "this is the reference, handed back by an earlier check or imported: "
            "run the cell with your own function, then this one."
        )
    answers = answers_of(exercise)
    found = next((answers[key] for key in [*_keys(own), *codes(own)] if key in answers), "")
    module = str(getattr(own, "__module__", "") or "")
    if not found and (module == "demucs_lab" or module.startswith("demucs_lab.")):
        found = f"{module}.{getattr(own, '__name__', '?')}"
    return f"this is {found}, imported: write the steps yourself." if found else ""


def answers_of(exercise: Exercise) -> dict[Any, str]:
    """What a learner's function may not call: code objects and C functions, with their names."""
    return _answers(exercise.reference, tuple(exercise.forbidden))


def called(answers: dict[Any, str], frame: types.FrameType, event: str, argument: Any) -> str:
    """Which answer this event of `sys.setprofile` calls, or ""."""
    if event == "call":
        return answers.get(frame.f_code, "")
    if event == "c_call":
        return next((answers[key] for key in _keys(argument) if key in answers), "")
    return ""


@functools.cache
def _answers(reference: Any, names: tuple[str, ...]) -> dict[Any, str]:
    answers: dict[Any, str] = {}
    for name in names:
        function = bare(find(name))
        answers.update(dict.fromkeys([*codes(function), *_keys(function)], name))
    answers.update(dict.fromkeys(codes(reference), "the reference"))
    return answers


def _keys(function: Any) -> list[Any]:
    """What a C function is known by: itself; a bound method also by its class's method."""
    found = [function]
    if isinstance(function, types.BuiltinMethodType):
        found.append(getattr(type(function.__self__), function.__name__, None))
    return [key for key in found if key is not None and isinstance(key, Hashable)]


def bare(function: Any) -> Any:
    """`function` without partial, decorator and binding."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif isinstance(function, types.MethodType):
            function = function.__func__
        else:
            return function


def codes(function: Any) -> list[types.CodeType]:
    """The code of a function, of a class's methods, or of an object's `__call__`."""
    function = bare(function)
    if isinstance(function, type):
        members = [bare(member) for member in vars(function).values()]
        return [member.__code__ for member in members if hasattr(member, "__code__")]
    if not hasattr(function, "__code__"):
        function = bare(vars(type(function)).get("__call__"))
    return [function.__code__] if hasattr(function, "__code__") else []


def find(dotted: str) -> Any:
    """The object called `dotted`, e.g. "torch.nn.functional.glu".

    >>> find("math.tau") > 6
    True
    """
    parts = dotted.split(".")
    for split in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:split]))
        except ModuleNotFoundError:
            continue
        for part in parts[split:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(f"no module holds {dotted!r}")
