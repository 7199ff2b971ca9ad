"""The summary's figures are the published ones, and the shapes are the real ones."""

import pytest
import torch

from demucs_lab.models import Demucs, build, summary


@pytest.mark.parametrize(
    ("name", "gflop"),
    [
        ("conv-tasnet", 964),
        ("demucs-v1", 120),
        ("demucs-v2", 239),
        ("hdemucs", 210),
        ("htdemucs", 460),
    ],
)
def test_operations_on_ten_seconds_are_those_of_the_authors_code(name, gflop):
    with torch.device("meta"):
        model = build(name)
    found = summary(model, seconds=10)
    assert gflop <= round(10 * found.gflop_per_second) <= 1.025 * gflop
    assert sum(layer.parameters for layer in found.layers) == found.parameters


def test_a_short_sound_costs_htdemucs_a_whole_segment_and_no_second_costs_more():
    model = build("tiny-htdemucs")
    short, whole = summary(model, seconds=1), summary(model, seconds=6)
    assert short.layers == whole.layers
    assert short.gflop_per_second == whole.gflop_per_second
    assert "on 6 s of sound" in str(short)


def test_no_sound_is_refused():
    with pytest.raises(ValueError, match="empty"):
        summary(build("tiny-demucs"), seconds=0)


def test_shapes_of_demucs_v1_are_those_of_the_paper():
    with torch.device("meta"):
        model = Demucs.v1()
    shapes = [layer.shape for layer in summary(model, seconds=10).layers]
    lengths = [112980, 28244, 7060, 1764, 440, 109]
    down = [f"[{64 * 2**i}, {length}]" for i, length in enumerate(lengths)]
    assert shapes[:6] == down
    assert shapes[7:] == [
        "[1024, 432]", "[512, 1724]", "[256, 6892]", "[128, 27564]", "[64, 110252]", "[8, 441004]",
    ]  # fmt: skip


def test_the_table_is_text_and_the_model_stays_untouched():
    model = build("tiny-htdemucs")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    text = str(summary(model, seconds=2))
    assert "encoder.frequency.0" in text
    assert "parameters" in text
    assert f"{sum(p.numel() for p in model.parameters()):,}" in text
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
