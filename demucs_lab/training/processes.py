"""What accelerate does for a training: one device or several, one process or several."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


def need_accelerate() -> None:
    """Say in one sentence how to get it where it is missing."""
    try:
        import accelerate  # noqa: F401
    except ImportError as error:
        raise ModuleNotFoundError(
            "training needs the package accelerate: install it with `pip install accelerate`"
        ) from error


@contextmanager
def accelerating(cpu: bool, precision: str) -> Iterator[Any]:
    """What runs the loop where it is: device, processes, precision.

    A single process lets go of it whatever happens, so that the next training may use another
    precision or several processes.
    """
    need_accelerate()
    from accelerate import Accelerator, PartialState
    from accelerate.state import AcceleratorState, GradientState

    state = PartialState(cpu=cpu)
    if state.num_processes > 1:
        _part_before_the_end()
    try:
        yield Accelerator(cpu=cpu, mixed_precision=precision)
    finally:
        if state.num_processes == 1:
            AcceleratorState._reset_state(reset_partial_state=True)
            GradientState._reset_state()


@cache
def _part_before_the_end() -> None:
    """Processes that are still connected when their interpreter ends may be aborted by it."""
    from accelerate import PartialState

    atexit.register(PartialState().destroy_process_group)


def as_main_decides(accelerator: Any, decide: Callable[[], str]) -> str:
    """The same answer in all processes, that of the main one."""
    if accelerator.num_processes == 1:
        return decide()
    from accelerate.utils import broadcast_object_list

    answer = [decide() if accelerator.is_main_process else None]
    return str(broadcast_object_list(answer)[0])
