"""Parity: the same weights and the same input give the same output as in the authors' code.

The peers live in an environment of their own: `make parity` builds it and runs these tests.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from demucs_lab.models.base import SeparationModel
from demucs_lab.models.fast import faster

NEEDS_PEERS = "NEEDS THE PEERS' CODE: `make parity` installs it beside and runs these tests"
SECOND = 44100  # the segment of the small models that are compared
LENGTHS = (1, 2, 1025, 20001, SECOND)


def need(name: str) -> types.ModuleType:
    """A module of a peer; without it the tests are skipped and say how to get it."""
    if name.startswith("demucs2."):
        _make_demucs2()
    try:
        module = importlib.import_module(name)
    except ImportError:
        pytest.skip(NEEDS_PEERS, allow_module_level=True)
    if module.__spec__ is None:  # an empty stand-in that the tests of the reader have put there
        pytest.skip(NEEDS_PEERS, allow_module_level=True)
    return module


def _make_demucs2() -> None:
    """Version 2.0.3 of the authors' code: its model files still run, without their old friends."""
    if "demucs2" in sys.modules:
        return
    package, utils = types.ModuleType("demucs2"), types.ModuleType("demucs2.utils")
    package.__path__ = [str(Path(sys.prefix) / "demucs2" / "demucs")]
    vars(utils).update(capture_init=lambda init: init, center_trim=need("demucs.utils").center_trim)
    sys.modules.update({"demucs2": package, "demucs2.utils": utils})


def shake(model: nn.Module, seed: int = 0) -> nn.Module:
    """Random weights everywhere: initial biases of zero and scales of 1e-4 would hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return model


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def assert_same_output(
    ours: SeparationModel, peer: nn.Module, mix: Tensor, tolerance: float = 1e-5
) -> None:
    """The page and the workshop, in float32, up to 1e-5 of the loudest sample; none is silent."""
    with torch.no_grad():
        theirs = peer(mix)
        page = ours(mix).reshape(theirs.shape)
        with faster(ours):
            workshop = ours(mix).reshape(theirs.shape)
    loudest = theirs.abs().max()
    assert loudest > 1e-4
    for mine in (page, workshop):
        assert (mine - theirs).abs().max() <= tolerance * loudest


def assert_same_gradients(
    ours: SeparationModel,
    peer: nn.Module,
    mix: Tensor,
    translate: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]],
) -> None:
    """One batch, one loss: every weight is pushed the same way."""
    for model in (ours, peer):
        model.train().zero_grad()
        out = model(mix)
        (out - noise(out.numel(), seed=1).view(out.shape)).square().mean().backward()
    theirs = translate({k: p.grad for k, p in peer.named_parameters() if p.grad is not None})
    mine = {name: p.grad for name, p in ours.named_parameters()}
    assert theirs.keys() == mine.keys()
    scale = max(gradient.abs().max() for gradient in theirs.values())
    for name, gradient in theirs.items():
        found = mine[name]
        assert found is not None, name
        error = (found - gradient.reshape(found.shape)).abs().max()
        assert error <= 1e-4 * gradient.abs().max() + 1e-6 * scale, name
