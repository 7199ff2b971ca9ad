"""Where a model computes: its device, its mode, its precision, and the threads beside it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from demucs_lab.models.fast import faster
from demucs_lab.separation.model import Separable


def device_of(model: Separable, device: str | torch.device | None) -> torch.device:
    """The device to compute on: the one given, else the model's own.

    Raises:
        ValueError: if there is no such device here.
    """
    if device is not None:
        return _present(device)
    return next((weight.device for weight in model.parameters()), torch.device("cpu"))


def _present(device: str | torch.device) -> torch.device:
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise ValueError(f"no device is named {device!r}: choose cpu, cuda or mps") from None
    count = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (chosen.index or 0) >= count.get(chosen.type, 1):
        raise ValueError(
            f"PyTorch finds no device {str(chosen)!r} on this machine: leave the device out, or "
            f"choose cpu"
        )
    return chosen


@contextmanager
def prepared(
    model: Separable, device: str | torch.device | None, precision: str
) -> Iterator[torch.device]:
    """The model on its device, in evaluation mode, at a precision; afterwards all is as before.

    On a CPU its layers are swapped for those of `models.fast`, which compute the same sooner.
    """
    home, chosen = device_of(model, None), device_of(model, device)
    modes = [(module, module.training) for module in model.modules()]
    try:
        exact = precision == "float32"
        swapped = faster(model) if exact and chosen.type == "cpu" else nullcontext()
        with float32_products(not exact, chosen), swapped:
            model.to(chosen).eval()
            yield chosen
    finally:
        model.to(home)
        for module, training in modes:
            module.training = training


@contextmanager
def float32_products(tf32: bool, device: torch.device) -> Iterator[None]:
    """Allow TF32, or not, where a GPU multiplies in float32; afterwards all is as before.

    PyTorch has two names for this since version 2.9, and refuses to read by the older one what was
    set by the newer.
    """
    if device.type != "cuda":
        yield
        return
    cuda, cudnn = torch.backends.cuda, torch.backends.cudnn
    name, value = "allow_tf32", tf32  # type: tuple[str, bool | str]
    backends: list[Any] = [cuda.matmul, cudnn]
    if hasattr(torch.backends, "fp32_precision"):
        name, value = "fp32_precision", "tf32" if tf32 else "ieee"
        backends = [cuda.matmul, cudnn.conv, cudnn.rnn]  # type: ignore[attr-defined]
    before = [getattr(backend, name) for backend in backends]
    try:
        for backend in backends:
            setattr(backend, name, value)
        yield
    finally:
        for backend, setting in zip(backends, before, strict=True):
            setattr(backend, name, setting)


@contextmanager
def thread_pool(workers: int, device: torch.device) -> Iterator[ThreadPoolExecutor | None]:
    """Workers that share the threads of torch among them; None where one does all."""
    if workers < 2 or device.type != "cpu":
        yield None
        return
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(
        workers, "separate", torch.set_num_threads, (max(1, threads // workers),)
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
