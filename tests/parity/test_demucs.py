"""Demucs against version 2.0.3 of the authors' code (v1, v2) and 4.1.0 set to the same network."""

import pytest
import torch
from peers import LENGTHS, SECOND, assert_same_gradients, assert_same_output, need, noise, shake
from torch.nn import functional as F

from demucs_lab.models import Demucs
from demucs_lab.models.layers import center_trim

FOUR, SIX = list("abcd"), list("abcdef")
SMALL = {"channels": 8, "depth": 4}
SETTINGS = [
    (FOUR, {}),
    (FOUR, {"resample": False}),
    (SIX, {"audio_channels": 1, "normalize": True}),
    (FOUR, {"glu": False}),
    (FOUR, {"rewrite": False}),
    (FOUR, {"lstm_layers": 0}),
]


class Padded(torch.nn.Module):
    """Theirs takes valid lengths only, gives less than it takes, and divides by 1 + 1e-5."""

    def __init__(self, peer):
        super().__init__()
        self.peer = peer

    def forward(self, mix):
        length = mix.shape[-1]
        extra = self.peer.valid_length(length) - length
        padded = F.pad(mix * (1 + 1e-5), (extra // 2, extra - extra // 2))
        return center_trim(self.peer(padded), length)


@pytest.mark.parametrize(("sources", "settings"), SETTINGS)
def test_published_versions_equal_the_authors(sources, settings):
    model = need("demucs2.model")
    settings = {**SMALL, **settings, "normalize": False}  # theirs would count its own padding
    peer = shake(model.Demucs(sources, **settings))
    ours = Demucs.from_official(peer.state_dict(), sources=sources, **settings)
    for length in [*LENGTHS, 3 * SECOND]:
        assert ours.valid_length(length) == peer.valid_length(length)
        mix = noise(2, ours.audio_channels, length)
        for training in (True, False):
            assert_same_output(ours.train(training), Padded(peer).train(training), mix)


@pytest.mark.parametrize(("sources", "settings"), SETTINGS)
def test_later_version_set_to_v2_equals_the_authors(sources, settings):
    demucs = need("demucs.demucs")
    settings = {
        **SMALL, "dconv_mode": 0, "gelu": False, "norm_starts": 99, "lstm_layers": 2, **settings,
    }  # fmt: skip
    peer = shake(demucs.Demucs(sources, **settings))
    ours = Demucs.from_official(peer.state_dict(), sources=sources, **settings)
    for length in [*LENGTHS[1:], 3 * SECOND]:  # theirs gives NaN for one sample
        mix = noise(2, ours.audio_channels, length)
        for training in (True, False):
            assert_same_output(ours.train(training), peer.train(training), mix)
    assert_same_gradients(ours, peer, noise(2, ours.audio_channels, 5001), ours.translate)


def test_published_size_equals_the_authors():
    peer = need("demucs2.model").Demucs(FOUR)
    ours = Demucs.from_official(peer.state_dict(), sources=FOUR)
    assert sum(p.numel() for p in ours.parameters()) == 265_679_496
    assert_same_output(ours, Padded(peer), noise(1, 2, 22050))


def test_initial_weights_are_rescaled_as_the_authors_do():
    peer = need("demucs2.model").Demucs
    torch.manual_seed(3)
    theirs = peer(FOUR, **SMALL).state_dict()
    spread = {name: value.std().item() for name, value in Demucs(**SMALL).translate(theirs).items()}
    for name, value in Demucs(**SMALL).state_dict().items():
        if value.dim() > 1 and value.numel() > 500:
            assert value.std().item() == pytest.approx(spread[name], rel=0.15), name
