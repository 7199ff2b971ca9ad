"""The separator against demucs 4.1.0's `apply_model`, its bags and its `Separator`."""

import random
from fractions import Fraction

import pytest
import torch
from peers import need, noise, shake

from demucs_lab import separate
from demucs_lab.models import Demucs, HDemucs, HTDemucs
from demucs_lab.pretrained import Bag

FOUR = list("abcd")
RATE = 8000  # a real model's segments are long: a low rate keeps these tests short
SMALL = {"samplerate": RATE, "channels": 8}
V2 = {"dconv_mode": 0, "norm_starts": 99, "gelu": False, "lstm_layers": 2, "normalize": False}


def htdemucs(seed=0, **settings):
    settings = {**SMALL, "t_layers": 2, "segment": Fraction(39, 10), **settings}
    peer = shake(need("demucs.htdemucs").HTDemucs(FOUR, **settings), seed)
    return peer, HTDemucs.from_official(peer.state_dict(), sources=FOUR, **settings)


def hdemucs():
    settings = {**SMALL, "segment": 3}
    peer = shake(need("demucs.hdemucs").HDemucs(FOUR, **settings))
    return peer, HDemucs.from_official(peer.state_dict(), sources=FOUR, **settings)


def demucs():
    settings = {**SMALL, "depth": 4, "segment": 3, **V2}
    peer = shake(need("demucs.demucs").Demucs(FOUR, **settings))
    return peer, Demucs.from_official(peer.state_dict(), sources=FOUR, **settings)


def published(peer, mixture, seed=0, shifts=0, **options):
    """As demucs 4.1.0 separates a song (`demucs.api.Separator`).

    Its shifts are drawn from a generator of their own, since HTDemucs draws numbers meanwhile.
    """
    apply = need("demucs.apply")
    mono = mixture.mean(0)
    mean, deviation = mono.mean(), mono.std() + 1e-8
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apply, "random", random.Random(seed))
        normal = ((mixture - mean) / deviation)[None]
        return apply.apply_model(peer, normal, shifts=shifts, **options)[0] * deviation + mean


def assert_separates_alike(peer, ours, mixture, **options):
    with torch.no_grad():
        theirs = published(peer.eval(), mixture, **options)
    mine = separate(ours, mixture, RATE, progress=False, **options)
    assert theirs.abs().max() > 1e-3
    assert (mine - theirs).abs().max() <= 1e-4 * theirs.abs().max()


@pytest.mark.parametrize("samples", [5, 20_000, 31_200, 75_003])
@pytest.mark.parametrize("build", [htdemucs, hdemucs, demucs])
def test_default_options(build, samples):
    assert_separates_alike(*build(), 0.1 * noise(2, samples))


@pytest.mark.parametrize(
    "options",
    [
        {"shifts": 2, "seed": 4},
        {"overlap": 0.5},
        {"segment": 2.0},
        {"segment": 2.5, "overlap": 0.1, "shifts": 1},
    ],
)
@pytest.mark.parametrize("build", [htdemucs, hdemucs, demucs])
def test_other_options(build, options):
    assert_separates_alike(*build(), 0.1 * noise(2, 50_001), **options)


def test_a_model_that_takes_any_length():
    assert_separates_alike(*htdemucs(use_train_segment=False), 0.1 * noise(2, 50_001))


@pytest.mark.parametrize("weights", [None, torch.eye(4)[:2].add(torch.eye(4)[2:].flip(0)).tolist()])
def test_a_bag(weights):
    pairs = [htdemucs(seed) for seed in (1, 2)]
    peer = need("demucs.apply").BagOfModels([theirs for theirs, _ in pairs], weights)
    assert_separates_alike(
        peer, Bag([o for _, o in pairs], weights), 0.1 * noise(2, 50_001), shifts=2
    )
