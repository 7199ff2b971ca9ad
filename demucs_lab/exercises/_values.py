"""Copy and compare what goes into a learner's function and what comes out of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .framework import Mistake, not_finite


def copied(value: Any) -> Any:
    """A copy of every tensor and array in `value`; other things as they are."""
    if isinstance(value, Tensor):
        return value.clone()
    if type(value) in (list, tuple):
        return type(value)(copied(item) for item in value)
    if type(value) is dict:
        return {key: copied(item) for key, item in value.items()}
    if type(value).__module__ == "numpy" and hasattr(value, "copy"):
        return value.copy()
    return value


def alike(one: Any, two: Any, exactly: bool = False) -> bool:
    """Equal shapes and (nearly) equal numbers; what is no number counts as alike by its type."""
    if isinstance(one, list | tuple) and isinstance(two, list | tuple):
        pairs = zip(one, two, strict=False)
        return len(one) == len(two) and all(alike(a, b, exactly) for a, b in pairs)
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(alike(one[k], two[k], exactly) for k in one)
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


def same_kind(result: Any, expected: Any, it: str) -> None:
    """Raise `Mistake` unless kind, shape, finiteness and dtype are those of `expected`."""
    if isinstance(expected, tuple | list) and not isinstance(result, Tensor):
        if not isinstance(result, tuple | list):
            raise Mistake(f"{it} {kind_of(result)}, expected {len(expected)} values.")
        if len(result) != len(expected):
            raise Mistake(f"{it} {len(result)} values, expected {len(expected)}.")
        for number, (one, other) in enumerate(zip(result, expected, strict=True), start=1):
            same_kind(one, other, f"Value {number} is")
        return
    if isinstance(expected, Tensor):
        if not isinstance(result, Tensor):
            raise Mistake(
                f"{it} {kind_of(result)}, expected a tensor of shape {list(expected.shape)}."
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
        if result.dtype != expected.dtype:
            raise Mistake(
                f"{it} {_dtype(result)} numbers, expected {_dtype(expected)} ones: "
                "work in the dtype of the input, or end with `.to(x.dtype)`."
            )
    elif isinstance(expected, float | int) and not isinstance(expected, bool):
        one_number = None if isinstance(result, Tensor) else _as_tensor(result)
        if one_number is None:
            raise Mistake(f"{it} {kind_of(result)}, expected a number.")
        if one_number.numel() != 1:
            raise Mistake(f"{it} a tensor of shape {list(one_number.shape)}, expected one number.")


def _dtype(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def kind_of(value: Any) -> str:
    """How a sentence calls `value`, e.g. "a numpy array"."""
    if value is None:
        return "None (is the `return` missing?)"
    if isinstance(value, Tensor):
        return f"a tensor of shape {list(value.shape)}"
    name = {"ndarray": "numpy array", "float": "Python float"}.get(
        type(value).__name__, type(value).__name__
    )
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
