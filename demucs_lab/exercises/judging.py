"""Decide whether a learner's function is right, and if not, which mistake it is."""

from __future__ import annotations

import functools
import importlib
import linecache
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from . import sandbox
from .framework import Exercise, Mistake, checking_in, not_finite


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
        what = f"expected a function, got {_kind(function)}"
        return Verdict("wrong", f"{what}: pass {name} itself, without brackets.")
    if not trusted and (refusal := _refusal(exercise, function)):
        return Verdict("refused", refusal)

    trial = _Trial(exercise, function, dtype, device, forbidden={} if trusted else None)
    outcome = sandbox.run(trial.run, exercise.seconds)
    seen = {"printed": outcome.printed, "warned": outcome.warned}
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
    ) -> None:
        self.exercise, self.function = exercise, function
        self.dtype, self.device, self.like = dtype, device, like
        self.calls: list[tuple[str, Any, bool]] = []
        self.lines: list[Line] = []
        self.imported = ""
        self._forbidden = _forbidden(exercise) if forbidden is None else forbidden

    def run(self) -> None:
        @functools.wraps(self.function, updated=())
        def watched(*args: Any, **kwargs: Any) -> Any:
            return self._call(args, kwargs)

        with checking_in(self.dtype, self.device):
            for prove in self.exercise.properties:
                sandbox.seed_everything()
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
        given = (args, kwargs) if self.exercise.mutates else _copy((args, kwargs))
        before = sys.getprofile()
        try:
            if self._forbidden:
                sys.setprofile(self._watch)
            try:
                result = self.function(*given[0], **given[1])
            finally:
                sys.setprofile(before)
        except BaseException as error:
            self._note("error", error, False)
            if not isinstance(error, Exception):  # sys.exit() ends the check, not the notebook
                raise RuntimeError(f"{type(error).__name__} was raised") from error
            raise
        mutated = not self.exercise.mutates and not _alike((args, kwargs), given, exactly=True)
        self._note("value", result, mutated)
        if mutated:
            raise Mistake("It changes its input in place: work on a copy, e.g. x = x.clone().")
        if not self.exercise.mutates:
            self._compare(result, args, kwargs)
        return result

    def _note(self, kind: str, result: Any, mutated: bool) -> None:
        kept = _copy(result) if kind == "value" else result
        self.calls.append((kind, kept, mutated))
        if self.like is None:
            return
        position = len(self.calls) - 1
        if position >= len(self.like.calls):
            raise _Differs
        kind2, other, mutated2 = self.like.calls[position]
        if kind != kind2 or mutated != mutated2:
            raise _Differs
        if not (_same_error(result, other) if kind == "error" else _alike(kept, other)):
            raise _Differs

    def _compare(self, result: Any, args: Any, kwargs: Any) -> None:
        """Kind, shape and finiteness are those of the reference's answer to the same call."""
        args, kwargs = _copy((args, kwargs))
        with sandbox.kept_random_state():
            try:
                expected = self.exercise.reference(*args, **kwargs)
            except Exception:
                return
        _same_kind(result, expected, "It returns")

    def _watch(self, frame: types.FrameType, event: str, argument: Any) -> None:
        if event == "call":
            self.imported = self.imported or self._forbidden.get(frame.f_code, "")
        elif event == "c_call":
            try:
                self.imported = self.imported or self._forbidden.get(argument, "")
            except TypeError:
                pass


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
            other = _Trial(exercise, function, trial.dtype, trial.device, trial, forbidden={})
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
        copied, named = _copy((args, kwargs))
        with sandbox.kept_random_state():
            try:
                exercise.reference(*copied, **named)
            except ValueError:
                raise
            except Exception:
                pass
        return function(*args, **kwargs)

    return refusing


# -- values ---------------------------------------------------------------------------------------


def _copy(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    if type(value) in (list, tuple):
        return type(value)(_copy(item) for item in value)
    if type(value) is dict:
        return {key: _copy(item) for key, item in value.items()}
    if type(value).__module__ == "numpy" and hasattr(value, "copy"):
        return value.copy()
    return value


def _alike(one: Any, two: Any, exactly: bool = False) -> bool:
    """Equal shapes and (nearly) equal numbers; what is no number counts as alike by its type."""
    if isinstance(one, list | tuple) and isinstance(two, list | tuple):
        pairs = zip(one, two, strict=False)
        return len(one) == len(two) and all(_alike(a, b, exactly) for a, b in pairs)
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(_alike(one[k], two[k], exactly) for k in one)
    a, b = _as_tensor(one), _as_tensor(two)
    if a is None or b is None:
        if isinstance(one, str) or one is None:
            return bool(one == two)
        return type(one) is type(two) or (callable(one) and callable(two))
    if a.shape != b.shape or a.is_complex() != b.is_complex():
        return False
    if exactly:
        return torch.equal(a.nan_to_num(), b.nan_to_num()) if a.is_floating_point() else a.equal(b)
    a, b = (
        x.detach().cpu().to(torch.complex128 if x.is_complex() else torch.float64) for x in (a, b)
    )
    return torch.allclose(a, b, rtol=1e-3, atol=1e-6, equal_nan=True)


def _as_tensor(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, bool | int | float | complex) or type(value).__module__ == "numpy":
        try:
            return torch.as_tensor(value)
        except (TypeError, ValueError, RuntimeError):
            return None
    return None


def _same_kind(result: Any, expected: Any, it: str) -> None:
    if isinstance(expected, tuple | list) and not isinstance(result, Tensor):
        if not isinstance(result, tuple | list):
            raise Mistake(f"{it} {_kind(result)}, expected {len(expected)} values.")
        if len(result) != len(expected):
            raise Mistake(f"{it} {len(result)} values, expected {len(expected)}.")
        for number, (one, other) in enumerate(zip(result, expected, strict=True), start=1):
            _same_kind(one, other, f"Value {number} is")
        return
    if isinstance(expected, Tensor):
        if not isinstance(result, Tensor):
            raise Mistake(
                f"{it} {_kind(result)}, expected a tensor of shape {list(expected.shape)}."
            )
        if result.shape != expected.shape:
            raise Mistake(
                f"{it} a tensor of shape {list(result.shape)}, expected {list(expected.shape)}."
            )
        if result.is_complex() != expected.is_complex():
            kinds = {True: "complex", False: "real"}
            found, wanted = kinds[result.is_complex()], kinds[expected.is_complex()]
            raise Mistake(f"{it} {found} numbers, expected {wanted} ones.")
        not_finite(result.detach().cpu(), expected.detach().cpu())
    elif isinstance(expected, float | int) and not isinstance(expected, bool):
        found = _as_tensor(result)
        if found is None:
            raise Mistake(f"{it} {_kind(result)}, expected a number.")
        if found.numel() != 1:
            raise Mistake(f"{it} a tensor of shape {list(found.shape)}, expected one number.")


def _kind(value: Any) -> str:
    if value is None:
        return "None (is the `return` missing?)"
    if isinstance(value, Tensor):
        return f"a tensor of shape {list(value.shape)}"
    name = {"ndarray": "numpy array", "float": "Python float"}.get(
        type(value).__name__, type(value).__name__
    )
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


# -- errors, time, imports ------------------------------------------------------------------------


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
    line, frame = None, outcome.where
    while frame is not None:
        if frame.f_code.co_filename == _file(function):
            line = line or frame.f_lineno
        frame = frame.f_back
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
    return next((code.co_filename for code in _codes(function)), "")


def _unwritten(function: Any, calls: list[tuple[str, Any, bool]]) -> str:
    kind, result, _ = calls[0] if calls else ("", 0, False)
    if kind == "error" and isinstance(result, NotImplementedError):
        return "not written yet."
    if calls and all(kind == "value" and (r is None or r is ...) for kind, r, _ in calls):
        code = next(iter(_codes(function)), None)
        doing = code is not None and (code.co_names or code.co_nlocals > code.co_argcount)
        return "" if doing else "not written yet."
    return ""


def _refusal(exercise: Exercise, function: Any) -> str:
    bare = _bare(function)
    if bare is _bare(exercise.reference):
        return (
            "this is the reference that an earlier check handed back: "
            "run the cell with your own function again, then this one."
        )
    answers = _forbidden(exercise)
    found = next((answers[key] for key in [bare, *_codes(bare)] if _hashed(key) in answers), "")
    module = str(getattr(bare, "__module__", "") or "")
    if not found and (module == "demucs_lab" or module.startswith("demucs_lab.")):
        found = f"{module}.{getattr(bare, '__name__', '?')}"
    return f"this is {found}, imported: write the steps yourself." if found else ""


def _hashed(key: Any) -> Any:
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _bare(function: Any) -> Any:
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif isinstance(function, types.MethodType):
            function = function.__func__
        else:
            return function


def _codes(function: Any) -> list[types.CodeType]:
    function = _bare(function)
    if isinstance(function, type):
        members = [_bare(member) for member in vars(function).values()]
        return [member.__code__ for member in members if hasattr(member, "__code__")]
    code = getattr(function, "__code__", None)
    if code is None and hasattr(type(function), "__call__"):
        code = getattr(_bare(type(function).__call__), "__code__", None)
    return [code] if code else []


@functools.cache
def _forbidden_of(reference: Any, names: tuple[str, ...]) -> dict[Any, str]:
    answers: dict[Any, str] = {}
    for name in names:
        function = _bare(find(name))
        answers.update(dict.fromkeys(_codes(function), name) or {function: name})
        answers[function] = name
    answers.update(dict.fromkeys(_codes(reference), "the reference"))
    return answers


def _forbidden(exercise: Exercise) -> dict[Any, str]:
    return _forbidden_of(exercise.reference, tuple(exercise.forbidden))


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
