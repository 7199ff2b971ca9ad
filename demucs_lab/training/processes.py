"""What accelerate does for a training: one device or several, one process or several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def need_accelerate() -> None:
    """Say in one sentence how to get it where it is missing."""
    try:
        import accelerate  # noqa: F401
    except ImportError as error:
        raise ModuleNotFoundError(
            "training needs the package accelerate: install it with `pip install accelerate`"
        ) from error


def new_accelerator(cpu: bool, precision: str) -> Any:
    """What runs the loop where it is: device, processes, precision."""
    need_accelerate()
    from accelerate import Accelerator

    return Accelerator(cpu=cpu, mixed_precision=precision)


def release_accelerator(accelerator: Any) -> None:
    """Let go of it, so that the next training may use another precision or several processes."""
    from accelerate.state import AcceleratorState, GradientState

    if accelerator.num_processes == 1:
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()


def as_main_decides(decide: Callable[[], str], cpu: bool) -> str:
    """The same answer in all processes, that of the main one."""
    need_accelerate()
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    state = PartialState(cpu=cpu)
    if state.num_processes == 1:
        return decide()
    answer = [decide() if state.is_main_process else None]
    return str(broadcast_object_list(answer)[0])
