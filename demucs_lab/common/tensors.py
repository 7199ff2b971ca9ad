"""What a function says to a song, an array or a list where it takes a tensor."""

from __future__ import annotations

from typing import Any


def need_tensor(value: Any, what: str) -> None:
    """Refuse what is no tensor.

    Raises:
        TypeError: one sentence that says how to get one.
    """
    from torch import Tensor

    if isinstance(value, Tensor):
        return
    how = "convert it with torch.as_tensor"
    if hasattr(value, "stems") and hasattr(value, "mixture"):
        how = "a song's sources are song.stems, all of them together song.mixture"
    raise TypeError(f"expected {what} as a torch tensor, got {type(value).__name__}: {how}")
