"""Conv-TasNet against the authors' music version, torchaudio's and asteroid's."""

import re

import pytest
import torch
from peers import assert_same_gradients, assert_same_output, need, noise, shake
from torch.nn import functional as F

from demucs_lab.models import ConvTasNet
from demucs_lab.models.official import rename

FOUR, SIX = list("abcd"), list("abcdef")
SMALL = {"N": 48, "L": 20, "B": 32, "H": 40, "X": 5, "R": 2}


@pytest.mark.parametrize(
    ("sources", "settings"),
    [
        (FOUR, {}),
        (SIX, {"audio_channels": 1}),
        (FOUR, {"L": 16, "norm_type": "cLN"}),
        (FOUR, {"causal": True, "norm_type": "cLN"}),
    ],
)
def test_music_version_equals_the_authors(sources, settings):
    tasnet = need("demucs2.tasnet")
    peer = shake(tasnet.ConvTasNet(sources, **{**SMALL, **settings}))
    ours = ConvTasNet.from_official(peer.state_dict(), sources=sources, **{**SMALL, **settings})
    for length in (20, 21, 2005, 44100, 132301):
        mix = noise(2, ours.audio_channels, length)
        for training in (True, False):
            assert_same_output(ours.train(training), peer.train(training), mix)
    assert_same_gradients(ours, peer, noise(2, ours.audio_channels, 2005), ours.translate)


def test_published_size_equals_the_authors():
    peer = need("demucs2.tasnet").ConvTasNet(FOUR, X=10)
    ours = ConvTasNet.from_official(peer.state_dict(), sources=FOUR, X=10)
    assert_same_output(ours, peer, noise(1, 2, 22050))


# --- the published speech setting: torchaudio's names and ours ---

SPEECH = {"N": 48, "B": 32, "H": 40, "X": 3, "R": 2}
OUTER = (
    (r"decoder\.weight", r"decoder.weight"),
    (r"encoder\.weight", r"encoder.weight"),
    (r"mask_generator\.input_norm\.weight", r"input_norm.gamma"),
    (r"mask_generator\.input_norm\.bias", r"input_norm.beta"),
    (r"mask_generator\.input_conv\.(.*)", r"bottleneck.\1"),
    (r"mask_generator\.output_prelu\.(.*)", r"mask_prelu.\1"),
    (r"mask_generator\.output_conv\.(.*)", r"masks.\1"),
)
BLOCK = r"mask_generator\.conv_layers\.(\d+)\."
INNER = (
    (BLOCK + r"conv_layers\.0\.(.*)", r"repeats.0.\1.expand.\2"),
    (BLOCK + r"conv_layers\.1\.(.*)", r"repeats.0.\1.prelu1.\2"),
    (BLOCK + r"conv_layers\.2\.weight", r"repeats.0.\1.norm1.gamma"),
    (BLOCK + r"conv_layers\.2\.bias", r"repeats.0.\1.norm1.beta"),
    (BLOCK + r"conv_layers\.3\.(.*)", r"repeats.0.\1.depthwise.\2"),
    (BLOCK + r"conv_layers\.4\.(.*)", r"repeats.0.\1.prelu2.\2"),
    (BLOCK + r"conv_layers\.5\.weight", r"repeats.0.\1.norm2.gamma"),
    (BLOCK + r"conv_layers\.5\.bias", r"repeats.0.\1.norm2.beta"),
    (BLOCK + r"res_out\.(.*)", r"repeats.0.\1.project.\2"),
    (BLOCK + r"skip_out\.(.*)", r"repeats.0.\1.skip.\2"),
)


def speech_translate(model):
    """torchaudio counts blocks through, we count repeats and blocks; a filterbank is a matrix."""

    def translate(state):
        found = {}
        for name, value in rename(state, (*OUTER, *INNER)).items():
            if block := re.match(r"repeats\.0\.(\d+)", name):
                repeat, index = divmod(int(block[1]), model.X)
                name = name.replace(block[0], f"repeats.{repeat}.{index}")
            if name == "decoder.weight":  # they multiply from the other side
                value = value.flatten(1).T
            found[name] = value
        return found

    return translate


def test_speech_version_equals_torchaudio():
    torchaudio = pytest.importorskip("torchaudio.models")
    ours = ConvTasNet.speech(**SPEECH)
    peer = shake(
        torchaudio.ConvTasNet(
            enc_num_feats=48, msk_num_feats=32, msk_num_hidden_feats=40, msk_num_layers=3,
            msk_num_stacks=2, msk_activate="relu",
        )
    )  # fmt: skip
    translate = speech_translate(ours)
    ours.translate = translate
    ours.load_official(peer.state_dict())
    for length in (1, 7, 8, 2001, 32000):
        mix = noise(2, 1, length)
        assert_same_output(ours, peer, mix)
    assert_same_gradients(ours, peer, noise(2, 1, 2001), translate)


def test_published_speech_setting_has_torchaudios_number_of_parameters():
    torchaudio = pytest.importorskip("torchaudio.models")
    ours, peer = ConvTasNet.speech(), torchaudio.conv_tasnet_base()
    count = [sum(p.numel() for p in model.parameters()) for model in (ours, peer)]
    assert count == [4_984_881, 4_984_881]


def test_speech_version_equals_asteroid():
    """asteroid frames without padding: it is given the silence that we add."""
    ours = ConvTasNet.speech(**SPEECH, mask="sigmoid")
    asteroid = need("asteroid.models")
    peer = shake(
        asteroid.ConvTasNet(
            n_src=2, n_filters=48, bn_chan=32, hid_chan=40, skip_chan=32, n_blocks=3, n_repeats=2,
            kernel_size=16, stride=8, mask_act="sigmoid",
        )
    )  # fmt: skip
    block = r"masker\.TCN\.(\d+)\."
    inside = {0: "expand", 1: "prelu1", 2: "norm1", 3: "depthwise", 4: "prelu2", 5: "norm2"}
    names = (
        (r"encoder\.filterbank\._filters", r"encoder.weight"),
        (r"decoder\.filterbank\._filters", r"decoder.weight"),
        (r"masker\.bottleneck\.0\.(.*)", r"input_norm.\1"),
        (r"masker\.bottleneck\.1\.(.*)", r"bottleneck.\1"),
        *((block + rf"shared_block\.{i}\.(.*)", rf"\1.{name}.\2") for i, name in inside.items()),
        (block.replace(r"(\d+)", "5") + r"res_conv\..*", ""),  # of the last block, unused
        (block + r"res_conv\.(.*)", r"\1.project.\2"),
        (block + r"skip_conv\.(.*)", r"\1.skip.\2"),
        (r"masker\.mask_net\.0\.(.*)", r"mask_prelu.\1"),
        (r"masker\.mask_net\.1\.(.*)", r"masks.\1"),
    )

    def translate(state):
        found = rename(state, names)
        for name in [name for name in found if name[0].isdigit()]:
            index, _, rest = name.partition(".")
            repeat, place = divmod(int(index), ours.X)
            found[f"repeats.{repeat}.{place}.{rest}"] = found.pop(name)
        found["decoder.weight"] = found["decoder.weight"].flatten(1).T
        return found

    ours.translate = translate
    ours.load_official(peer.state_dict())
    for length in (8, 2001, 32000):
        mix = noise(2, 1, length)
        padded = F.pad(mix, (8, 8 + -length % 8))
        with torch.no_grad():
            theirs = peer(padded)[..., 8 : 8 + length]
            mine = ours(mix).squeeze(2)
        assert (mine - theirs).abs().max() <= 1e-5 * theirs.abs().max()
