"""Run a learner's code without harm: in time, with its prints kept, random states left alone.

The code runs in a thread of its own, which works the same in a notebook's kernel on Linux, macOS
and Windows. Past the limit an exception is raised in that thread, and again and again until the
thread ends: a bare `except:` in the learner's loop would catch the first one.
"""

from __future__ import annotations

import _thread
import contextlib
import ctypes
import functools
import io
import operator
import random
import sys
import threading
import time
import types
import warnings
from collections.abc import Callable, Iterator
from contextvars import copy_context
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch

from . import framework

GRACE = 2.0  # seconds that a stopped thread has to end; a long torch operation ends later

_arm = ctypes.PYFUNCTYPE(None, ctypes.c_ulong, ctypes.py_object)(
    ("PyThreadState_SetAsyncExc", ctypes.pythonapi)
)


@dataclass
class Outcome:
    """What came of one run: a value, an error, or neither when it was stopped."""

    value: Any = None
    error: BaseException | None = None
    stopped: bool = False
    still_busy: bool = False
    where: tuple[tuple[str, int], ...] = ()  # file and line, innermost first, when it was stopped
    printed: str = ""
    warned: tuple[str, ...] = ()


def run(work: Callable[[], Any], seconds: float) -> Outcome:
    """Call `work()` for at most `seconds`; nothing it prints, warns, seeds or patches gets out."""
    with kept_random_state(), kept_modules(), _captured() as (text, caught):
        outcome = _in_time(work, seconds)
    outcome.printed = text.getvalue()
    outcome.warned = tuple(dict.fromkeys(str(warning.message).strip() for warning in caught))
    return outcome


def seed_everything(seed: int = 0) -> None:
    """Seed Python, numpy and torch; CUDA only where it already runs."""
    random.seed(seed)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


def random_state() -> tuple[Any, ...]:
    """Something that changes whenever Python, numpy or torch draws a random number."""
    numpy = sys.modules.get("numpy")
    drawn = numpy.random.get_state() if numpy else ("", b"", 0)
    torch_state = torch.default_generator.get_state().numpy().tobytes()
    return random.getstate(), bytes(drawn[1]), drawn[2:], torch_state


@contextlib.contextmanager
def kept_random_state() -> Iterator[None]:
    """Python's, numpy's and torch's random states and torch's defaults are the same afterwards."""
    numpy = sys.modules.get("numpy")
    python_state = random.getstate()
    numpy_state = numpy.random.get_state() if numpy else None
    torch_state = torch.default_generator.get_state()
    cuda_states = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    default_dtype = torch.get_default_dtype()
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        random.setstate(python_state)
        if numpy:
            numpy.random.set_state(numpy_state)
        torch.default_generator.set_state(torch_state)
        if cuda_states is not None:
            torch.cuda.set_rng_state_all(cuda_states)
        torch.set_default_dtype(default_dtype)
        torch.set_num_threads(threads)


@contextlib.contextmanager
def kept_modules() -> Iterator[None]:
    """Functions of the course, of torch, numpy and math that were replaced are back afterwards.

    What was added stays (a module imported late is no harm), except in the modules of exercises and
    in Tensor, where a new name can hide a builtin or an inherited method.
    """
    before = [(holder, dict(vars(holder))) for holder in _holders()]
    registers: list[tuple[Any, Any]] = [(one, dict(one)) for one in framework.everything()]
    try:
        yield
    finally:
        for register, entries in registers:
            if register != entries:
                register.clear()
                register.update(entries)
        for holder, names in before:
            now = dict(vars(holder))
            for name, value in names.items():
                if now.get(name, before) is not value:
                    setattr(holder, name, value)
            if holder is torch.Tensor or holder.__name__.startswith(__package__):
                for name in now.keys() - names.keys():
                    if not isinstance(now[name], types.ModuleType):
                        delattr(holder, name)


def _holders() -> list[Any]:
    found: list[Any] = [torch.Tensor]
    for name, module in list(sys.modules.items()):
        package = name.partition(".")[0]
        if isinstance(module, types.ModuleType) and (
            package in ("demucs_lab", "builtins", "math", "random") or name in _PATCHABLE
        ):
            found.append(module)
    return found


_PATCHABLE = ("torch", "torch.nn.functional", "torch.linalg", "torch.fft", "numpy", "numpy.linalg")


@contextlib.contextmanager
def _captured() -> Iterator[tuple[io.StringIO, list[warnings.WarningMessage]]]:
    text = io.StringIO()
    stdout, stderr = sys.stdout, sys.stderr
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sys.stdout = sys.stderr = text
        try:
            yield text, caught
        finally:
            sys.stdout, sys.stderr = stdout, stderr


def _in_time(work: Callable[[], Any], seconds: float) -> Outcome:
    outcome = Outcome()
    done = threading.Event()
    context = copy_context()
    identity: list[int] = []

    def thread() -> None:
        identity.append(_thread.get_ident())
        try:
            outcome.value = context.run(work)
        except BaseException as error:
            outcome.error = error
        done.set()

    _lower_the_flag()
    _thread.start_new_thread(thread, ())
    try:
        if _wait(done, seconds, identity):
            return outcome
    except KeyboardInterrupt:
        _stop(identity[0])
        raise
    where = tuple(_lines(sys._current_frames().get(identity[0])))
    return Outcome(stopped=True, still_busy=not _stop(identity[0]), where=where)


def _lines(frame: FrameType | None) -> Iterator[tuple[str, int]]:
    while frame is not None:
        yield frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back


def _wait(done: threading.Event, seconds: float, begun: list[int]) -> bool:
    """Like `done.wait`, in steps, so that Windows can interrupt it.

    Until its first line has run, a new thread goes by the number of the one that started it, and
    would get that one's exceptions.
    """
    deadline = time.monotonic() + seconds
    while not done.wait(min(0.1, max(0.0, deadline - time.monotonic()))):
        if time.monotonic() >= deadline:
            return done.is_set()
        if begun:
            _lower_the_flag()
    return True


class _Lowered(Exception):
    """Raised in this thread, by itself, to be caught at once."""


def _lower_the_flag() -> None:
    """Forget that an exception waits in a thread stopped earlier, which is busy or gone.

    Before Python 3.13 all threads share one flag that says so, and only a thread that takes an
    exception lowers it. While it is up, 3.11 never gets past the start of a function that is
    watched by `sys.setprofile`: a right answer looked like an endless loop. So this thread takes
    one. The busy thread raises the flag again by itself when it comes back to Python.
    """
    if sys.version_info >= (3, 13):
        return
    try:
        _take_one()
    except _Lowered:
        return
    except KeyboardInterrupt:
        with contextlib.suppress(_Lowered):  # none may be left behind
            _take_one()
        raise


def _take_one() -> None:
    _arm(_thread.get_ident(), _Lowered)
    for _ in range(10_000):  # a jump back is where Python looks
        pass


def _stop(thread: int) -> bool:
    """End `thread`, whatever it catches; false if it has not ended within the grace."""
    deadline = time.monotonic() + GRACE
    with _raising_in(thread) as again:
        while thread in sys._current_frames():
            if time.monotonic() > deadline:
                return False
            again()
            time.sleep(0.01)
    return True


@contextlib.contextmanager
def _raising_in(thread: int) -> Iterator[Callable[[], None]]:
    """Raise SystemExit in `thread`, which ends a raw thread in silence, and go on doing so.

    From Python 3.12 on at its every line, call and jump. Before, an asynchronous exception arms
    the next one as it is made: `__init__` is a C call, so that nothing of Python's own runs, and
    could be interrupted, between the two.
    """
    monitoring: Any = getattr(sys, "monitoring", None)
    free = [tool for tool in range(6) if monitoring and monitoring.get_tool(tool) is None]

    class Stopped(SystemExit):
        pass

    again = functools.partial(_arm, thread, Stopped)
    if not free:
        Stopped.__init__ = staticmethod(again)  # type: ignore[method-assign]
        yield again
        return

    def raise_there(*_: Any) -> None:
        if _thread.get_ident() == thread:
            raise Stopped

    events = monitoring.events
    watched = (events.LINE, events.JUMP, events.BRANCH, events.PY_START, events.CALL)
    monitoring.use_tool_id(free[-1], __name__)
    try:
        for event in watched:
            monitoring.register_callback(free[-1], event, raise_there)
        monitoring.set_events(free[-1], functools.reduce(operator.or_, watched))
        yield again
    finally:
        monitoring.set_events(free[-1], 0)
        for event in watched:
            monitoring.register_callback(free[-1], event, None)
        monitoring.free_tool_id(free[-1])
