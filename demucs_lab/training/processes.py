"""What accelerate does for a training: one device or several, one process or several."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

import torch

T = TypeVar("T")


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


class Team:
    """The processes of a training: which songs are this one's, and what all of them agree on.

    Args:
        accelerator: what `accelerating` gives.
    """

    def __init__(self, accelerator: Any) -> None:
        self.device: torch.device = accelerator.device
        self.rank, self.size = accelerator.process_index, accelerator.num_processes
        self.main: bool = accelerator.is_main_process

    def share(self, songs: Sequence[T]) -> Sequence[T]:
        """The songs that this process works on."""
        return songs[self.rank :: self.size]

    def gather(self, own: list[T]) -> list[T]:
        """What all processes found for their shares, in the order of the songs."""
        if self.size == 1:
            return own
        from accelerate.utils import gather_object

        found = gather_object([own])
        return [found[i % self.size][i // self.size] for i in range(sum(map(len, found)))]

    def from_main(self, value: float) -> float:
        """The main process's value, in all of them."""
        if self.size == 1:
            return value
        from accelerate.utils import broadcast

        return float(broadcast(torch.tensor(value, device=self.device)))

    def text_from_main(self, make: Callable[[], str]) -> str:
        """A text that the main process makes, in all of them."""
        if self.size == 1:
            return make()
        from accelerate.utils import broadcast_object_list

        return str(broadcast_object_list([make() if self.main else None])[0])
