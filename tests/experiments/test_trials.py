import dataclasses
import json

import pytest
import torch
from songs import Noise, songs
from torch.nn import functional as F

from demucs_lab.experiments import trials
from demucs_lab.experiments.catalogue import EXPERIMENTS, Variant

from .conftest import BASE


def test_the_key_is_of_what_decides_the_weights():
    learned = songs(3)

    def key(seed=0, songs=learned, **changes):
        return trials.key(Variant("any", BASE.but(**changes)), seed, songs)

    assert key() == key(name="another", checkpoint_seconds=5.0)
    assert key() == trials.key(Variant("other", BASE, separation={"shifts": 3}), 0, learned)
    others = [
        key(seed=1), key(songs=learned[:2]), key(steps=4), key(loss="l2"),
        key(model_options={**BASE.model_options, "glu": False}), key(remix=False),
        key(songs=songs(3, load=Noise)),
    ]  # fmt: skip
    assert len({key(), *others}) == 1 + len(others)
    branches = [trials.key(v, 0, learned) for v in EXPERIMENTS["branches"].variants]
    assert len(set(branches)) == 3


def test_the_key_knows_what_a_builder_chose():
    tiny = BASE.but(model="tiny-demucs", model_options={})
    chosen = trials.architecture(trials.build(Variant("any", tiny), 0))
    assert chosen.pop("class") == "Demucs"
    same = tiny.but(model="demucs", model_options=chosen)
    other = tiny.but(model="demucs", model_options={**chosen, "channels": 5})
    keys = [trials.key(Variant("any", config), 0, songs(2)) for config in (tiny, same, other)]
    assert keys[0] == keys[1] != keys[2]


def test_a_change_of_the_code_forgets_what_was_trained(monkeypatch):
    before = trials.key(Variant("any", BASE), 0, songs(2))
    monkeypatch.setattr(trials, "CODE", trials.CODE + 1)
    assert trials.key(Variant("any", BASE), 0, songs(2)) != before


def test_a_kept_model_has_the_weights_of_the_training(trained):
    variant, held_out = Variant("base", BASE), songs(4)[3:]
    first, about = trials.trained(variant, 7, songs(3), held_out, progress=False)
    again, kept = trials.trained(variant, 7, songs(3), held_out, progress=False)
    assert trained == ["base, seed 7"]
    assert kept == about
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert about["parameters"] == sum(p.numel() for p in first.parameters())
    assert [step for step, _ in about["losses"]] == [1, 2, 3]


def test_what_was_interrupted_is_not_kept(monkeypatch, cache):
    train = trials.train
    monkeypatch.setattr(
        trials, "train",
        lambda *a, **k: dataclasses.replace(train(*a, **k), stopped="interrupted"),
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        trials.trained(Variant("base", BASE), 0, songs(3), songs(1), progress=False)
    assert not list(cache.rglob("*.*"))


def test_half_of_what_is_kept_is_trained_again(trained, cache):
    variant = Variant("base", BASE)
    trials.trained(variant, 0, songs(3), songs(1), progress=False)
    next(cache.rglob("*.json")).unlink()
    trials.trained(variant, 0, songs(3), songs(1), progress=False)
    assert len(trained) == 2


def test_a_silent_source_has_no_score():
    stems = torch.randn(2, 2, 100)
    stems[1] = 0
    assert trials.decibels(stems, 0.9 * stems) == [pytest.approx(20, abs=1e-3), None]


def test_loss_curves_are_means_of_blocks():
    history = [{"step": n + 1, "loss": float(n)} for n in range(240)] + [{"step": 240, "sdr": {}}]
    curve = trials.loss_curve(history)
    assert len(curve) == 60
    assert curve[0] == [4, 1.5]
    assert curve[-1] == [240, 237.5]


def test_the_scale_of_each_layer_at_initialisation():
    on, off = EXPERIMENTS["rescale"].variants
    track = songs(1)[0]
    model = trials.build(off, 3)
    found, before = trials.layer_scales(on, 3, track), trials.layer_scales(off, 3, track)
    depth = model.depth
    names = [f"encoder {i + 1}" for i in range(depth)] + ["LSTM"]
    names += [f"decoder {i}" for i in range(depth, 0, -1)]
    assert [entry["layer"] for entry in found] == names
    for after, plain, layer in zip(found, before, model.encoder, strict=False):
        drawn = float(layer.conv.weight.detach().std())
        assert plain["weights"] == pytest.approx(drawn)
        assert after["weights"] == pytest.approx((0.1 * drawn) ** 0.5, rel=1e-5)
    wav = (track.mixture - track.mixture.mean()) / track.mixture.std()
    extra = model.valid_length(wav.shape[-1]) - wav.shape[-1]
    wav = F.pad(wav, (extra // 2, extra - extra // 2))
    conv, rewrite = model.encoder[0].conv, model.encoder[0].rewrite
    hidden = F.conv1d(wav[None], conv.weight, conv.bias, stride=4).relu()
    by_hand = F.glu(F.conv1d(hidden, rewrite.weight, rewrite.bias), 1).detach()
    assert before[0]["output"] == pytest.approx(float(by_hand.std()), rel=1e-4)
    assert before[-1]["output"] < found[-1]["output"]


def test_what_is_kept_is_json(cache):
    trials.trial(Variant("base", BASE), 0, songs(3), songs(1), progress=False)
    texts = [path.read_text(encoding="utf-8") for path in cache.rglob("*.json")]
    assert len(texts) == 2
    for text in texts:
        assert "NaN" not in text
        json.loads(text)
