"""Vital signs tell a transformer that does something from one that a constant replaces."""

import math
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from demucs_lab import attention, models, pretrained
from demucs_lab.datasets import LabSongs
from demucs_lab.evaluation import vital_signs
from demucs_lab.evaluation.vital_signs import Example, measure

SIZES = {"channels": 8, "segment": 0.25, "samplerate": 8000, "n_fft": 512, "t_layers": 3}
WITH_A_BASELINE = ("constant", "no attention", "no cross-attention", "uniform weights")


@pytest.fixture(scope="module")
def model():
    """Random weights whose layer scales are one: each part of the transformer counts."""
    torch.manual_seed(0)
    model = models.HTDemucs.tiny(**SIZES).train()
    for layer in attention.maps.attention_layers(model).values():
        torch.nn.init.ones_(layer.scale_attention)
        torch.nn.init.ones_(layer.scale_dense)
        torch.nn.init.constant_(layer.norm_out.weight, 5.0)  # louder than the deepest skip
        layer.attention.qkv.weight.data *= 4  # choosy, so that it matters whose keys they are
    return model


def examples(model, songs=3, each=2):
    """What the model itself gives is the truth, so that any change costs SDR."""
    made = []
    with torch.no_grad():
        for song in range(songs):
            mixtures = torch.randn(each, 2, 2000, generator=torch.Generator().manual_seed(song))
            truth = model.eval()(mixtures)
            noise = 1e-4 * truth.std() * torch.randn(truth.shape)
            made.append([Example(*pair) for pair in zip(mixtures, truth + noise, strict=True)])
    model.train()
    return made


def test_a_transformer_that_counts_is_alive(model):
    found = measure(model, examples(model))
    assert found.alive
    for name in found.changes:
        assert found.change(name).high < -0.1, name
    assert all((changes < 0).all() for changes in found.heads.values())
    assert set(found.heads) == set(found.tokens) == set(attention.layer_names(model))
    assert all(0 < share < 1 for share in found.tokens.values())
    assert "The transformer is alive (3 songs" in str(found)
    assert model.training  # as it was


def test_a_transformer_whose_output_is_constant_is_dead(model):
    """All it gives is the bias of its last norm; that is worth something, attention nothing."""
    silent = models.HTDemucs.tiny(**SIZES)
    silent.load_state_dict(model.state_dict())
    transformer = silent.bottom.transformer
    for layers in (transformer.layers, transformer.layers_t):
        torch.nn.init.zeros_(layers[-1].norm_out.weight)
        torch.nn.init.normal_(layers[-1].norm_out.bias)
    found = measure(silent, examples(silent), heads=False)
    assert not found.alive
    for name in WITH_A_BASELINE:
        assert abs(found.change(name).mean) < 0.05, name
    assert found.change("zero").high < -1
    assert found.heads == {}
    assert "dead" in str(found)


def test_scores_are_the_sdr_of_the_separated_excerpt(model):
    songs = examples(model, songs=2)
    found = measure(model, songs, heads=False)
    for row, song in zip(found.whole, songs, strict=True):
        with torch.no_grad():
            estimates = [model.eval()(x.mixture[None])[0] for x in song]
        for source in range(4):
            signal = sum(float(x.reference[source].square().sum()) for x in song)
            error = sum(
                float((x.reference[source] - y[source]).square().sum())
                for x, y in zip(song, estimates, strict=True)
            )
            assert row[source] == pytest.approx(10 * math.log10(signal / error), abs=1e-3)
    model.train()


def test_each_intervention_does_what_it_says(model):
    """What the transformer gives, against that of a model with its weights changed by hand."""
    mixture = torch.randn(2, 2, 2000)

    def output(context=None):
        given = []
        watching = attention.watching_output(changed, lambda *both: given.extend(both))
        with torch.no_grad(), context or nullcontext(), watching:
            changed.eval()(mixture)
        return torch.cat([branch.flatten() for branch in given])

    def fresh():
        again = models.HTDemucs.tiny(**SIZES)
        again.load_state_dict(model.state_dict())
        return again

    changed = fresh()
    before = output()
    without = output(attention.without_attention(changed))
    no_cross = output(attention.without_attention(changed, cross_only=True))
    uniform = output(attention.uniform_weights(changed))
    headless = output(attention.without_head(changed, "time.1", 2))
    another = output(attention.keys_of_another(changed))
    assert torch.equal(output(), before)  # given back as it was

    layers = attention.maps.attention_layers(changed)
    dim = layers["time.1"].norm_dense.normalized_shape[0]
    part = slice(2 * dim // 4, 3 * dim // 4)
    layers["time.1"].attention.out.weight.data[:, part] = 0
    assert torch.allclose(output(), headless, atol=1e-4)

    changed = fresh()
    for layer in attention.maps.attention_layers(changed).values():
        layer.attention.qkv.weight.data[:dim] = 0  # queries of nought look at all alike
        layer.attention.qkv.bias.data[:dim] = 0
    assert torch.allclose(output(), uniform, atol=1e-4)

    changed = fresh()
    for layer in attention.maps.attention_layers(changed).values():
        if layer.norm_other is not None:
            layer.scale_attention.data.zero_()
    assert torch.allclose(output(), no_cross, atol=1e-4)
    for layer in attention.maps.attention_layers(changed).values():
        layer.scale_attention.data.zero_()
    assert torch.allclose(output(), without, atol=1e-4)
    for result in (without, no_cross, uniform, headless, another):
        assert (result - before).abs().max() > 1e-3 * before.abs().max()


def test_another_songs_keys_need_another_song(model):
    with attention.keys_of_another(model), pytest.raises(ValueError, match="two songs or more"):
        model(torch.randn(1, 2, 2000))


def test_what_cannot_be_examined_is_refused(model):
    with pytest.raises(ValueError, match="two songs or more, got 1"):
        measure(model, examples(model, songs=1))
    with pytest.raises(TypeError, match="only HTDemucs"):
        measure(models.Demucs.tiny(channels=4), [])
    with pytest.raises(ValueError, match="no transformer"):
        measure(models.HTDemucs.tiny(**{**SIZES, "t_layers": 0}), [])
    with (
        pytest.raises(ValueError, match="heads are 0 to 3, got 4"),
        attention.without_head(model, "time.1", 4),
    ):
        pass


@pytest.mark.slow
def test_the_figure_and_the_table_are_of_real_songs():
    songs = LabSongs("test", 22050, 4.0, n=2)
    model = pretrained.load("tiny-htdemucs")
    found = vital_signs(model, songs, seconds=1.5, heads=False)
    assert found.whole.shape == (2, 4)
    assert np.isfinite(found.whole).all()
    assert abs(found.change("constant").mean) < 0.05  # the transformer that ships does nothing
    assert not found.alive
    assert "no cross-attention" in found.figure().numbers
