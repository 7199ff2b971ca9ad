"""The workshop's layers give the page's numbers, and the model comes back as it was."""

import pytest
import torch
from torch import nn

from demucs_lab import models, separate
from demucs_lab.models import fast
from demucs_lab.models.layers import DConv


@pytest.fixture(autouse=True)
def _same_numbers_in_every_run():
    torch.manual_seed(0)


def shaken(layer):
    """Random weights everywhere, so that no scale is one and no offset zero."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.05 * torch.randn(parameter.shape)
    return layer.eval()


def assert_same(found, expected):
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("shape", [(2, 16, 6, 1), (2, 16, 5, 700), (3, 16, 1), (1, 16, 3000)])
@pytest.mark.parametrize("cache", [1, fast.CACHE])
def test_residual_branches_are_those_of_the_page(shape, cache, monkeypatch):
    monkeypatch.setattr(fast, "CACHE", cache)  # one row at a time, or all at once
    layer = shaken(DConv(16, 4, init=1.0))
    x = torch.randn(shape)
    with torch.inference_mode():
        assert_same(fast.dconv(layer, x), layer(x))


@pytest.mark.parametrize("offset", [0.0, 30.0])
@pytest.mark.parametrize("frames", [1, 2, 500])
def test_norm_of_a_mix_is_the_norm_after_the_mix(frames, offset):
    mix, norm = nn.Conv1d(3, 8, 1), nn.GroupNorm(1, 8)
    for parameter in (*mix.parameters(), *norm.parameters()):
        nn.init.normal_(parameter)
    x = offset + torch.randn(4, 3, frames)
    exact = norm.double()(mix.double()(x.double()))
    found = fast.norm_of_mix(norm.float(), mix.float(), x)
    assert (found - exact).abs().max() <= (1 + offset) * 1e-5 * exact.abs().max()


@pytest.mark.parametrize("name", list(models.BUILDERS))
def test_every_model_computes_the_same(name):
    small = {"N": 16, "B": 12, "H": 20} if "tasnet" in name else {"channels": 8}
    model = shaken(models.build(name, **small, segment=0.5))
    mix = torch.randn(3, model.audio_channels, 9001)
    with torch.inference_mode():
        expected = model(mix)
        with fast.faster(model):
            found = model(mix)
    assert_same(found, expected)


def test_the_model_is_given_back_as_it_was():
    model = models.HTDemucs.tiny(channels=8, segment=0.5)
    before = [dict(vars(module)) for module in model.modules()]

    def interrupted():
        with fast.faster(model), fast.faster(model):  # nested: the inner one finds nothing to do
            assert any("forward" in vars(module) for module in model.modules())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [dict(vars(module)) for module in model.modules()] == before


@pytest.mark.parametrize(("precision", "swapped"), [("float32", True), ("bfloat16", False)])
def test_the_separator_swaps_them_in_where_they_are_exact(precision, swapped, monkeypatch):
    seen = []
    model = models.Demucs.tiny(channels=4)
    monkeypatch.setitem(
        fast.FASTER,
        type(model.encoder[0]),
        lambda layer, x: seen.append(len(x)) or fast.one_by_one(layer, x),
    )
    separate(model, torch.randn(2, 9000), 22050, progress=False, precision=precision)
    assert bool(seen) is swapped
