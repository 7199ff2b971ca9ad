"""Decide whether a learner's function is right, and if not, which mistake it is."""

from __future__ import annotations

import functools
import inspect
import linecache
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from . import sandbox
from ._imported import answers_of, called, codes, refusal
from ._values import alike, copied, kind_of, same_kind
from .framework import Exercise, Mistake, check_in

LUCKY = 20  # seeds for an answer that draws random numbers; any other is tried with two


@dataclass
class Line:
    """One property: its claim, and what is wrong ("" if nothing is)."""

    claim: str
    mistake: str = ""


@dataclass
class Verdict:
    """What `lab.check` prints. `status`: right, wrong, unwritten, refused or stopped."""

    status: str
    sentence: str = ""
    lines: list[Line] = field(default_factory=list)
    named: str | None = None
    printed: str = ""
    warned: tuple[str, ...] = ()


def judge(
    exercise: Exercise,
    function: Any,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    trusted: bool = False,
) -> Verdict:
    """Check `function` against every property; name the wrong answer that behaves like it.

    `trusted` is for the tests: it lets the reference itself through.
    """
    name = exercise.name
    if function is None or function is Ellipsis:
        return Verdict("unwritten", f"not written yet: {name} is {function}.")
    if not callable(function):
        what = f"expected a function, got {kind_of(function)}"
        return Verdict("wrong", f"{what}: pass {name} itself, without brackets.")
    if not trusted and (why := refusal(exercise, function)):
        return Verdict("refused", why)

    forbidden: dict[Any, str] | None = {} if trusted else None
    for seed in range(LUCKY):
        trial = _Trial(exercise, function, dtype, device, forbidden=forbidden, seed=seed)
        outcome = sandbox.run(trial.run, exercise.seconds)
        passed = trial.lines and not any(line.mistake for line in trial.lines)
        sure = seed > 0 and not trial.draws
        if outcome.stopped or outcome.error or trial.imported or not passed or sure:
            break
    chance = trial.draws and seed > 0 and not passed
    seen: dict[str, Any] = {"printed": outcome.printed, "warned": outcome.warned}
    if outcome.stopped:
        return Verdict("stopped", _too_slow(exercise, function, outcome), **seen)
    if outcome.error is not None:
        text = f"{type(outcome.error).__name__}: {outcome.error}"
        return Verdict("wrong", f"the check itself broke off: {text}", **seen)
    if trial.imported:
        sentence = f"it calls {trial.imported}, which is the answer: write the steps yourself."
        return Verdict("refused", sentence, **seen)
    failed = [line for line in trial.lines if line.mistake]
    if not failed:
        return Verdict("right", lines=trial.lines, **seen)
    if unwritten := _unwritten(function, trial.calls):
        return Verdict("unwritten", unwritten, **seen)
    named = sandbox.run(lambda: _recognise(trial), exercise.seconds).value
    sentence = exercise.wrong[named].sentence if named else failed[0].mistake
    if chance and not named:
        sentence = "it draws random numbers, and was right by luck: with other luck it is wrong."
        return Verdict("wrong", sentence, trial.lines, "chance", **seen)
    return Verdict("wrong", sentence, trial.lines, named, **seen)


# -- one run through all properties, every call to the learner's function written down ------------


class _Differs(BaseException):
    """The wrong answer tried here does something else than the learner's function."""


class _Trial:
    """A function's way through the properties; with `like`, stops where the two part."""

    def __init__(
        self,
        exercise: Exercise,
        function: Callable[..., Any],
        dtype: torch.dtype,
        device: torch.device | str,
        like: _Trial | None = None,
        forbidden: dict[Any, str] | None = None,
        seed: int = 0,
    ) -> None:
        self.exercise, self.function = exercise, function
        self.dtype, self.device, self.like = dtype, device, like
        self.calls: list[tuple[str, Any, bool]] = []
        self.lines: list[Line] = []
        self.imported = ""
        self.seed, self.draws = seed, False
        self._forbidden = answers_of(exercise) if forbidden is None else forbidden

    def run(self) -> None:
        @functools.wraps(self.function, updated=())
        def watched(*args: Any, **kwargs: Any) -> Any:
            return self._call(args, kwargs)

        check_in(self.dtype, self.device)
        for prove in self.exercise.properties:
            sandbox.seed_everything(self.seed)
            self.lines.append(Line(claim(prove), self._mistake(prove, watched)))

    def _mistake(self, prove: Callable[..., None], watched: Callable[..., Any]) -> str:
        before = len(self.calls)
        try:
            prove(watched)
        except Mistake as mistake:
            return str(mistake)
        except Exception as error:
            if len(self.calls) > before and self.calls[-1][0] == "error":
                return _one_line(error, self.function)
            return f"the check could not go on with the result: {type(error).__name__}: {error}"
        return ""

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = (args, kwargs) if self.exercise.mutates else copied((args, kwargs))
        before = sys.getprofile()
        random_before = sandbox.random_state()
        try:
            if self._forbidden:
                sys.setprofile(self._watch)
            try:
                result = self.function(*given[0], **given[1])
            finally:
                sys.setprofile(before)
                self.draws = self.draws or sandbox.random_state() != random_before
        except BaseException as error:
            self._note("error", error, False)
            if not isinstance(error, Exception):  # sys.exit() ends the check, not the notebook
                raise RuntimeError(f"{type(error).__name__} was raised") from error
            raise
        mutated = not self.exercise.mutates and not alike((args, kwargs), given, exactly=True)
        self._note("value", result, mutated)
        if mutated:
            raise Mistake("It changes its input in place: work on a copy, e.g. x = x.clone().")
        if not self.exercise.mutates:
            self._compare(result, args, kwargs)
        return result

    def _note(self, kind: str, result: Any, mutated: bool) -> None:
        kept = copied(result) if kind == "value" else result
        self.calls.append((kind, kept, mutated))
        if self.like is None:
            return
        position = len(self.calls) - 1
        if position >= len(self.like.calls):
            raise _Differs
        kind2, other, mutated2 = self.like.calls[position]
        if kind != kind2 or mutated != mutated2:
            raise _Differs
        if not (_same_error(result, other) if kind == "error" else alike(kept, other)):
            raise _Differs

    def _compare(self, result: Any, args: Any, kwargs: Any) -> None:
        """Kind, shape and finiteness are those of the reference's answer to the same call."""
        args, kwargs = copied((args, kwargs))
        with sandbox.kept_random_state():
            try:
                expected = self.exercise.reference(*args, **kwargs)
            except Exception:
                return
        same_kind(result, expected, "It returns")

    def _watch(self, frame: types.FrameType, event: str, argument: Any) -> None:
        self.imported = self.imported or called(self._forbidden, frame, event, argument)


def claim(prove: Callable[..., None]) -> str:
    """The line that stands for a property: its docstring, or its name if it has none."""
    text = prove.__doc__ or getattr(prove, "__name__", "a property").replace("_", " ")
    return text.strip().splitlines()[0].rstrip(".")


def _recognise(trial: _Trial) -> str | None:
    """The first wrong answer that gives the same results in every call of every property.

    Each is tried as it stands, and then with the reference's refusals of bad input added.
    """
    failed = [bool(line.mistake) for line in trial.lines]
    exercise = trial.exercise
    for refusing in (False, True):
        for name, wrong in exercise.wrong.items():
            function = _with_refusals(wrong.function, exercise) if refusing else wrong.function
            other = _Trial(
                exercise, function, trial.dtype, trial.device, trial, {}, seed=trial.seed
            )
            try:
                other.run()
            except _Differs:
                continue
            same_length = len(other.calls) == len(trial.calls)
            if same_length and [bool(line.mistake) for line in other.lines] == failed:
                return name
    return None


def _with_refusals(function: Callable[..., Any], exercise: Exercise) -> Callable[..., Any]:
    def refusing(*args: Any, **kwargs: Any) -> Any:
        given, named = copied((args, kwargs))
        with sandbox.kept_random_state():
            try:
                exercise.reference(*given, **named)
            except ValueError:
                raise
            except Exception:
                pass
        return function(*args, **kwargs)

    return refusing


# -- sentences about errors and time --------------------------------------------------------------


def _same_error(one: BaseException, two: BaseException) -> bool:
    if type(one) is not type(two):
        return False
    return isinstance(one, ValueError) or str(one) == str(two)


def _one_line(error: BaseException, function: Any) -> str:
    message = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {message[0]}" if message else type(error).__name__
    frame_line = None
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == _file(function):
            frame_line = step.tb_lineno
        step = step.tb_next
    return f"{_quote(function, frame_line)}{text}"


def _too_slow(exercise: Exercise, function: Any, outcome: sandbox.Outcome) -> str:
    line = next((line for file, line in outcome.where if file == _file(function)), None)
    busy = " It is still busy: restart the kernel if it stays slow." if outcome.still_busy else ""
    return (
        f"{_quote(function, line)}stopped after {exercise.seconds:g} s: "
        f"an endless loop, or a loop where one tensor operation would do?{busy}"
    )


def _quote(function: Any, line: int | None) -> str:
    if line is None:
        return ""
    source = linecache.getline(_file(function), line).strip()
    return f"line {line} `{source}`: " if source else f"line {line}: "


def _file(function: Any) -> str:
    return next((code.co_filename for code in codes(function)), "")


def _unwritten(function: Any, calls: list[tuple[str, Any, bool]]) -> str:
    code = next(iter(codes(function)), None)
    kind, result, _ = calls[0] if calls else ("", 0, False)
    if kind == "error" and isinstance(result, NotImplementedError):
        step = result.__traceback__
        while step is not None and step.tb_next is not None:
            step = step.tb_next
        own = step is not None and step.tb_frame.f_code is code  # torch raises it too
        return "not written yet." if own else ""
    if calls and all(kind == "value" and (r is None or r is ...) for kind, r, _ in calls):
        return "not written yet." if code is None or _blank(code) else ""
    return ""


def _blank(code: types.CodeType) -> bool:
    """No name is used, and nothing but arguments is a variable."""
    flags = bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    arguments = code.co_argcount + code.co_kwonlyargcount + flags
    return not code.co_names and code.co_nlocals == arguments
