"""HDemucs and HTDemucs against the authors' code, and HDemucs against torchaudio's."""

import pytest
import torch
from peers import LENGTHS, SECOND, assert_same_gradients, assert_same_output, need, noise, shake

from demucs_lab.models import HDemucs, HTDemucs

FOUR, SIX = list("abcd"), list("abcdef")


@pytest.mark.parametrize(
    ("sources", "settings"),
    [
        (FOUR, {}),
        (SIX, {"depth": 5, "audio_channels": 1}),
        (FOUR, {"nfft": 1024, "depth": 5}),
    ],
)
def test_hdemucs_equals_the_authors(sources, settings):
    settings = {"channels": 8, **settings}
    peer = shake(need("demucs.hdemucs").HDemucs(sources, **settings))
    ours = HDemucs.from_official(peer.state_dict(), sources=sources, **settings)
    first = 1 if ours.audio_channels == 1 else 0  # theirs gives NaN for one sample of mono
    for length in [*LENGTHS[first:], 5 * SECOND + 1]:
        mix = noise(2, ours.audio_channels, length)
        for training in (True, False):
            assert_same_output(ours.train(training), peer.train(training), mix)
    assert_same_gradients(ours, peer, noise(2, ours.audio_channels, 20001), ours.translate)


@pytest.mark.parametrize("settings", [{}, {"nfft": 2048}, {"nfft": 1024, "depth": 5}])
def test_hdemucs_equals_torchaudio(settings):
    """The layer in which its time branch meets the other has norms there that nothing uses."""
    torchaudio = pytest.importorskip("torchaudio.models")
    settings = {"channels": 8, **settings}
    peer = shake(torchaudio.HDemucs(FOUR, **settings))
    meeting = f"time_encoder.{len(peer.time_encoder) - 1}.norm"

    def authors_names(state):
        short = {"freq_encoder": "encoder", "freq_decoder": "decoder"}
        short |= {"time_encoder": "tencoder", "time_decoder": "tdecoder"}
        split = {name: name.partition(".") for name in state if not name.startswith(meeting)}
        return {short.get(a, a) + dot + b: state[name] for name, (a, dot, b) in split.items()}

    ours = HDemucs.from_official(authors_names(peer.state_dict()), sources=FOUR, **settings)
    for length in (5001, 20001, 3 * SECOND):  # shorter ones it refuses
        assert_same_output(ours, peer, noise(2, 2, length))
    assert_same_gradients(
        ours, peer, noise(2, 2, 20001), lambda state: ours.translate(authors_names(state))
    )


@pytest.mark.parametrize(
    ("sources", "settings"),
    [
        (FOUR, {"bottom_channels": 64, "dconv_mode": 3}),
        (SIX, {"t_layers": 3, "audio_channels": 1}),
        (FOUR, {"use_train_segment": False, "t_heads": 4, "nfft": 2048}),
        (FOUR, {"t_layers": 0}),
    ],
)
def test_htdemucs_equals_the_authors(sources, settings):
    settings = {"channels": 8, "segment": 1, **settings}
    peer = shake(need("demucs.htdemucs").HTDemucs(sources, **settings))
    ours = HTDemucs.from_official(peer.state_dict(), sources=sources, **settings)
    mono = ours.audio_channels == 1
    for length in [*LENGTHS, 3 * SECOND]:
        mix = noise(2, ours.audio_channels, length)
        for training in (True, False):
            if training and mono and length == 1:
                continue  # theirs gives NaN
            if not training and ours.pad_to_segment and length > SECOND:
                continue  # theirs refuses
            assert_same_output(ours.train(training), peer.train(training), mix)
            peer.segment = 1  # training changes it
    assert_same_gradients(ours, peer, noise(2, ours.audio_channels, 20001), ours.translate)


def test_released_setting_equals_the_authors():
    """htdemucs: 512 channels in the transformer, branches in the decoder too, 7.8 s."""
    from fractions import Fraction

    settings = {"bottom_channels": 512, "dconv_mode": 3, "segment": Fraction(39, 5)}
    settings |= {"t_dropout": 0.02, "t_weight_decay": 0.05}
    torch.manual_seed(0)
    peer = need("demucs.htdemucs").HTDemucs(FOUR, **settings).eval()
    ours = HTDemucs.from_official(peer.state_dict(), sources=FOUR, **settings).eval()
    assert sum(p.numel() for p in ours.parameters()) == 41_984_456
    assert_same_output(ours, peer, noise(1, 2, 100_000))
