"""Attention maps: the model's own weights, on its own clock, and never more memory than allowed."""

import math

import pytest
import torch
from torch.nn import functional as F

from demucs_lab import attention
from demucs_lab.models import Demucs, HTDemucs


@pytest.fixture
def model():
    torch.manual_seed(0)
    return HTDemucs.tiny(segment=1.0, channels=8).eval()


@pytest.fixture
def mixture():
    return torch.randn(2, 22050, generator=torch.Generator().manual_seed(1))


def test_the_output_is_the_same_with_and_without_capture(model, mixture):
    with torch.no_grad():
        plain = model(mixture[None])[0]
    captured = attention.capture(model, mixture)
    assert (captured.output - plain).abs().max() <= 1e-6 * plain.abs().max()
    assert list(captured.maps) == attention.layer_names(model)


def test_weights_are_those_of_the_definition(model, mixture):
    """Softmax of Q Kᵀ / √d, head by head, with the projections computed here."""
    seen = {}

    def keep(_module, inputs):
        seen["queries"], seen["keys"] = inputs

    layer = model.bottom.transformer.layers_t[1].attention
    handle = layer.register_forward_pre_hook(keep)
    found = attention.capture(model, mixture, layers=["time.1"]).maps["time.1"]
    handle.remove()
    dim = layer.out.in_features
    size = dim // layer.heads
    q = F.linear(seen["queries"][0], layer.qkv.weight[:dim], layer.qkv.bias[:dim])
    k = F.linear(seen["keys"][0], layer.qkv.weight[dim : 2 * dim], layer.qkv.bias[dim : 2 * dim])
    for head in range(layer.heads):
        part = slice(head * size, (head + 1) * size)
        expected = torch.softmax(q[:, part] @ k[:, part].T / math.sqrt(size), -1)
        assert torch.allclose(found.weights[head].flatten(1), expected, atol=1e-6)


def test_rows_sum_to_one_and_axes_fit(model, mixture):
    for name, found in attention.capture(model, mixture).maps.items():
        assert found.weights.shape == (4, *found.queries.shape, *found.keys.shape)
        over_keys = found.weights.flatten(-len(found.keys.shape)).sum(-1)
        assert torch.allclose(over_keys, torch.ones_like(over_keys), atol=1e-5)
        asks_frequency = name.startswith("frequency")
        assert (found.queries.hertz is not None) == asks_frequency
        assert (found.keys.hertz is not None) == (asks_frequency != found.cross)
        for axis in (found.queries, found.keys):
            assert 0 < axis.seconds[0] < 0.05
            assert abs(axis.seconds[-1] - 1.0) < 0.05
            if axis.hertz is not None:
                middles = [11025 * (i + 0.5) / 4 for i in range(4)]
                assert axis.hertz.tolist() == pytest.approx(middles)


def test_layers_and_heads_can_be_chosen(model, mixture):
    every = attention.capture(model, mixture, layers=["frequency.0"]).maps["frequency.0"]
    some = attention.capture(model, mixture, layers=["frequency.0"], heads=[2, 0])
    assert list(some.maps) == ["frequency.0"]
    assert some.maps["frequency.0"].heads == (2, 0)
    assert torch.equal(some.maps["frequency.0"].weights, every.weights[[2, 0]])


def test_a_single_layer_may_be_named_without_a_list(model, mixture):
    alone = attention.capture(model, mixture, layers="time.1").maps
    assert list(alone) == ["time.1"]
    needed = attention.memory_needed(model, 22050, "time.1")
    assert needed == attention.memory_needed(model, 22050, ["time.1"])


def test_memory_is_said_beforehand_and_bounded(model, mixture):
    layers = ["frequency.0", "time.1"]
    found = attention.capture(model, mixture, layers=layers).maps
    kept = sum(m.weights.numel() * m.weights.element_size() for m in found.values())
    largest = max(m.weights.numel() * m.weights.element_size() for m in found.values())
    assert attention.memory_needed(model, 22050, layers) == kept + 2 * largest
    with pytest.raises(ValueError, match=r"need .* bytes, more than max_bytes=1,000,000"):
        attention.capture(model, mixture, layers=layers, max_bytes=1_000_000)


def test_without_cross_attention_every_layer_listens_to_itself(mixture):
    model = HTDemucs.tiny(segment=1.0, channels=8, cross_attention=False)
    assert not any(found.cross for found in attention.capture(model, mixture).maps.values())


def test_the_model_is_left_as_it_was(model, mixture):
    model.train()
    attention.capture(model, mixture, layers=["time.0"])
    assert model.training
    assert all(module.watch is None for module in model.modules() if hasattr(module, "watch"))


def test_wrong_requests_are_named(model, mixture):
    with pytest.raises(ValueError, match=r"no layer is named 'time\.7': choose from frequency\.0"):
        attention.capture(model, mixture, layers=["time.7"])
    with pytest.raises(ValueError, match="heads are 0 to 3, got 4"):
        attention.capture(model, mixture, heads=[4])
    with pytest.raises(ValueError, match="one mixture"):
        attention.capture(model, mixture[None])
    with pytest.raises(TypeError, match="only HTDemucs has attention"):
        attention.capture(Demucs.tiny(), mixture)
    with pytest.raises(ValueError, match="no transformer"):
        attention.capture(HTDemucs.tiny(t_layers=0), mixture)
