"""Exercises that say which mistake it is: `check`, `hint`, `predict` and `progress`.

How to write one: README.md in this folder.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import torch

from . import _progress
from .framework import Exercise, all_exercises, all_predictions
from .judging import Verdict, judge

__all__ = ["check", "hint", "predict", "progress"]

_HINTS_GIVEN: dict[str, int] = {}
_TRIED: set[str] = set()
_KEPT: dict[str, Any] = {}


class _Missing:
    """No answer was given, and none is found."""


_MISSING = _Missing()


def check(
    name: str,
    function: Any = _MISSING,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Callable[..., Any]:
    """Print what is right and wrong about `function`; hand back one that the lesson can go on with.

    The learner's function if it is right, else the reference; the learner's is then kept as
    `my_…`. Without `function`, what is called `name` where the check is asked for, e.g. in the
    notebook. Never raises (lesson 00), except where nbgrader grades or validates: there a wrong
    answer is an AssertionError.
    """
    __tracebackhide__ = True
    caller = sys._getframe(1)
    exercise = all_exercises().get(name)
    if exercise is None:
        sentence = _unknown("exercise", name, all_exercises())
        print(sentence)
        if os.environ.get("NBGRADER_EXECUTION"):
            raise AssertionError(sentence)
        return None if function is _MISSING else function  # type: ignore[return-value]
    if function is _MISSING:
        function = _called(name, caller)
    _TRIED.add(name)
    if function is _MISSING:
        verdict = Verdict("unwritten", _nothing_called(name))
    else:
        verdict = judge(exercise, function, dtype, device)
    print(_text(name, verdict))
    if verdict.status == "right":
        _progress.solved(name)
        return function
    if os.environ.get("NBGRADER_EXECUTION"):
        _go_on_with(name, exercise.reference, function, caller.f_globals)
        raise AssertionError(f"{name}: {verdict.sentence}")
    if verdict.status in ("wrong", "stopped") and callable(function):
        _keep(name, function, caller.f_globals)
    return exercise.reference


def _keep(name: str, function: Any, names: dict[str, Any]) -> None:
    """`my_sdr` is the learner's version where `sdr` is the reference; a name in use is left."""
    mine = f"my_{name}"
    if mine in names and names[mine] is not _KEPT.get(name, _MISSING):
        return
    names[mine] = _KEPT[name] = function
    print(f"  Your own version is still here: it is called {mine} now.")


def _called(name: str, caller: FrameType) -> Any:
    for names in (caller.f_locals, caller.f_globals):
        if name in names:
            return names[name]
    return _MISSING


def _nothing_called(name: str) -> str:
    return (
        f"nothing is called {name} yet. Run the cell that defines it, then this one; if that cell "
        "shows an error, mend the error first."
    )


def _go_on_with(name: str, reference: Any, function: Any, names: dict[str, Any]) -> None:
    """Where a check raises, `name = lab.check(...)` leaves the learner's wrong function in place.

    The cells that follow would call it, and an endless loop in it would stop all grading.
    """
    if function is _MISSING:
        names[name] = reference
    for other, value in list(names.items()):
        if value is function and callable(function):
            names[other] = reference


def hint(name: str) -> None:
    """Print the next hint for exercise `name`; the last one again when there is no further."""
    exercise = all_exercises().get(name)
    if exercise is None:
        print(_unknown("exercise", name, all_exercises()))
        return
    number = min(_HINTS_GIVEN.get(name, 0), len(exercise.hints) - 1)
    _HINTS_GIVEN[name] = number + 1
    last = " (the last)" if number + 1 == len(exercise.hints) else ""
    print(f"Hint {number + 1} of {len(exercise.hints)}{last}: {exercise.hints[number]}")


def predict(name: str, choice: str | float | _Missing | None = _MISSING) -> None:
    """Say what is right or wrong about a guess, and why; ask for one when `choice` is None.

    Without `choice`, what is called so where the question is asked, e.g. in the notebook.
    """
    caller = sys._getframe(1)
    prediction = all_predictions().get(name)
    if prediction is None:
        print(_unknown("prediction", name, all_predictions()))
        return
    if isinstance(choice, _Missing):
        choice = _called("choice", caller)
    if isinstance(choice, _Missing):
        quoted = ', in quotes if it is a letter: choice = "a"' if prediction.options else ""
        print(f"Nothing is called choice yet. Set it in the cell before{quoted}.")
        return
    right, said = prediction.judge(choice)
    print(said)
    if right:
        _progress.solved(name)


def progress(lesson: str | None = None) -> None:
    """Print what is solved, in this session or before: in `lesson`, or in all that are begun."""
    done = _progress.all_solved()
    begun = done | _TRIED
    lessons: dict[str, list[Exercise]] = {}
    for exercise in all_exercises().values():
        lessons.setdefault(exercise.lesson, []).append(exercise)
    for number, exercises in lessons.items():
        wanted = number == lesson if lesson else any(e.name in begun for e in exercises)
        if wanted and number != "example":
            count = sum(e.name in done for e in exercises)
            print(f"Lesson {number}: {count} of {len(exercises)} solved")
            for e in exercises:
                print(f"  {'✓' if e.name in done else '·'} {e.title}")
    if lesson is not None and lesson not in lessons:
        print(_unknown("lesson", lesson, lessons))
    elif lesson is None and not begun:
        print("Nothing solved yet. Lesson 00 is where to start.")


def _text(name: str, verdict: Verdict) -> str:
    if verdict.status == "right":
        lines = [f"{name}: right."]
    elif verdict.lines:
        lines = [f"{name}: not yet."]
    else:
        lines = [f"{name}: {verdict.sentence}"]
    said = ""
    for line in verdict.lines:
        lines.append(f"  {'✗' if line.mistake else '✓'} {line.claim}")
        if line.mistake and line.mistake != said:
            lines.append(f"      {line.mistake}")
            said = line.mistake
    if verdict.named:
        lines.append(f"  → {verdict.sentence}")
    if verdict.printed.strip():
        lines.append(f"  Your code printed: {_folded(verdict.printed)}")
    for warning in verdict.warned[:3]:
        lines.append(f"  Your code warned: {_folded(warning)}")
    if verdict.status != "right":
        lines.append(f'  The lesson goes on with the reference. A hint: lab.hint("{name}")')
    return "\n".join(lines)


def _folded(text: str, width: int = 70) -> str:
    lines = [line.rstrip() for line in text.strip().splitlines()]
    first = lines[0] if len(lines[0]) <= width else lines[0][: width - 1] + "…"
    return first if len(lines) == 1 else f"{first} (and {len(lines) - 1} more lines)"


def _unknown(kind: str, name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(name), list(known), n=1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    return f"There is no {kind} {name!r}.{meant}"
