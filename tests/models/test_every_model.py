"""What every model promises, whatever is inside."""

import json
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from demucs_lab import models
from demucs_lab.models import ConvTasNet, Demucs, HDemucs, HTDemucs, build

SMALL = {
    "conv-tasnet": lambda **k: ConvTasNet.tiny(N=32, B=16, H=24, X=3, R=2, **k),
    "conv-tasnet-speech": lambda **k: ConvTasNet.speech(N=32, B=16, H=24, X=3, R=2, **k),
    "demucs-v1": lambda **k: Demucs.tiny(channels=4, **k),
    "demucs-v2": lambda **k: Demucs.tiny(channels=4, resample=True, **k),
    "hdemucs": lambda **k: HDemucs.tiny(channels=8, **k),
    "htdemucs": lambda **k: HTDemucs.tiny(channels=16, segment=0.5, **k),
}
TINY = [name for name in models.BUILDERS if name.startswith("tiny")]


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return {name: make().eval() for name, make in SMALL.items()}


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@pytest.mark.parametrize("name", SMALL)
@given(st.integers(1, 30_000), st.integers(1, 2))
@settings(max_examples=12, deadline=None)
def test_any_length_is_kept(small, name, length, batch):
    model = small[name]
    with torch.no_grad():
        out = model(noise(batch, model.audio_channels, length))
    assert out.shape == (batch, len(model.sources), model.audio_channels, length)
    assert out.isfinite().all()


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("training", [False, True])
def test_silence_gives_finite_sound(small, name, training):
    model = SMALL[name]().train(training)
    for length in (1, 20_001):
        silence = torch.zeros(1, model.audio_channels, length)
        assert model(silence).isfinite().all()


@pytest.mark.parametrize("name", SMALL)
def test_rows_of_a_batch_know_nothing_of_each_other(small, name):
    model = small[name]
    batch = noise(3, model.audio_channels, 15_000) * torch.tensor([1.0, 0.01, 5.0])[:, None, None]
    with torch.no_grad():
        together = model(batch)
        alone = torch.cat([model(row[None]) for row in batch])
    for a, b in zip(together, alone, strict=True):
        assert (a - b).abs().max() <= 2e-5 * b.abs().max()


@pytest.mark.parametrize("name", ["demucs-v2", "htdemucs", "conv-tasnet"])
def test_double_precision_agrees_with_single(small, name):
    model = SMALL[name]()
    model.load_state_dict(small[name].state_dict())
    mix = noise(1, model.audio_channels, 15_000)
    with torch.no_grad():
        single, double = small[name](mix), model.eval().double()(mix.double())
    assert double.dtype == torch.float64
    assert (single - double).abs().max() <= 1e-4 * double.abs().max()


@pytest.mark.parametrize("name", SMALL)
def test_every_weight_learns(name):
    model = SMALL[name]().train()
    model(noise(1, model.audio_channels, 15_000)).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("make", [Demucs.tiny, HDemucs.tiny, HTDemucs.tiny, ConvTasNet.tiny])
@pytest.mark.parametrize("channels", [1, 2])
def test_sources_and_channels_are_those_that_were_asked_for(make, channels):
    model = make(sources=models.SIX_SOURCES, audio_channels=channels).eval()
    with torch.no_grad():
        out = model(noise(1, channels, 3000))
    assert out.shape == (1, 6, channels, 3000)
    assert model.sources[4:] == ("guitar", "piano")


@pytest.mark.parametrize("name", TINY)
def test_tiny_models_are_tiny(name):
    model = build(name)
    assert sum(p.numel() for p in model.parameters()) <= 3_000_000
    assert model.samplerate == 22050
    assert model.sources == ("drums", "bass", "other", "vocals")


@pytest.mark.parametrize(
    ("make", "parameters"),
    [
        (ConvTasNet, 10_977_872),
        (lambda: ConvTasNet(X=8), 8_852_032),
        (ConvTasNet.speech, 4_984_881),
        (Demucs.v1, 265_679_496),
        (Demucs.v2, 265_679_496),
        (lambda: Demucs.v1(channels=100), 648_548_208),
        (lambda: Demucs(channels=48), 149_462_504),
        (HDemucs, 83_637_832),
        (lambda: HTDemucs(bottom_channels=0, dconv_decoder=False), 26_899_536),
        (lambda: HTDemucs(bottom_channels=0, dconv_decoder=False, t_layers=7), 34_005_072),
        (lambda: HTDemucs(dconv_decoder=False), 41_473_616),
        (HTDemucs, 41_984_456),
    ],
)
def test_parameters_are_as_many_as_published(make, parameters):
    with torch.device("meta"):
        assert sum(p.numel() for p in make().parameters()) == parameters


@pytest.mark.parametrize("name", models.BUILDERS)
def test_config_is_json_and_builds_the_model_again(name):
    with torch.device("meta"):
        model = build(name)
        config = json.loads(json.dumps(model.config()))
        again = type(model)(**config)
    assert again.config() == model.config()
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (model, again)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", SMALL)
def test_repr_is_one_line(small, name):
    assert re.fullmatch(r"\w+\(.* parameters, \d sources, .*\)", repr(small[name]))


def test_mixtures_of_another_shape_are_refused(small):
    model = small["demucs-v1"]
    with pytest.raises(ValueError, match=r"got \[2, 100\]: one mixture is mix\[None\]"):
        model(noise(2, 100))
    with pytest.raises(ValueError, match=r"hears 2 channel\(s\), the mixture \[1, 1, 100\] has 1"):
        model(noise(1, 1, 100))
    with pytest.raises(ValueError, match="empty"):
        model(torch.zeros(1, 2, 0))
    with pytest.raises(TypeError, match="floating-point"):
        model(torch.zeros(1, 2, 10, dtype=torch.int16))


@pytest.mark.parametrize("name", SMALL)
def test_a_mixture_of_another_precision_is_refused_in_one_sentence(small, name):
    model = small[name]
    mix = noise(1, model.audio_channels, 3000, dtype=torch.float64)
    says = r"in torch\.float32, the mixture is torch\.float64: .* mix\.to\(torch\.float32\)"
    with pytest.raises(TypeError, match=says):
        model(mix)


def test_within_autocast_precisions_may_differ(small):
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert small["demucs-v1"](noise(1, 2, 3000, dtype=torch.bfloat16)).isfinite().all()


def test_build_names_what_there_is():
    with pytest.raises(ValueError, match="no model is named 'demucz': choose from conv-tasnet"):
        build("demucz")


def test_sources_are_names():
    with pytest.raises(ValueError, match="list of names, got 'drums'"):
        Demucs.tiny(sources="drums")


@pytest.mark.parametrize(
    ("cls", "setting", "match"),
    [
        (HTDemucs, {"t_emb": "cape"}, "t_emb='cape' is not supported here, only t_emb='sin'"),
        (HTDemucs, {"dconv_mode": 2}, "dconv_mode=2 is not supported here, only 1 and 3"),
        (HDemucs, {"hybrid_old": True}, "hybrid_old=True is not supported"),
        (Demucs, {"dconv_mode": 1}, "dconv_mode=1 is not supported"),
        (Demucs, {"dconv_mode": 0, "gelu": False}, "group norm is not supported"),
        (ConvTasNet, {"mask_nonlinear": "softmax"}, "mask_nonlinear='softmax' is not supported"),
        (HDemucs, {"colour": "red"}, "colour='red' is not known here"),
    ],
)
def test_unsupported_settings_of_the_authors_are_named(cls, setting, match):
    with pytest.raises(ValueError, match=match):
        cls.from_official({}, sources=["a"], **setting)


def test_unsupported_weights_of_the_authors_are_named():
    settings = {"sources": ["a"], "channels": 4, "depth": 1, "lstm_layers": 0}
    with pytest.raises(ValueError, match=r"holds 'banana', which this model does not know"):
        Demucs.from_official({"banana": torch.zeros(1)}, **settings)
    with pytest.raises(ValueError, match="lacks 8 weights"):
        Demucs.from_official({}, **settings)
    with pytest.raises(ValueError, match=r"encoder.0.conv.bias has shape \[9\] .* and \[4\]"):
        Demucs.from_official({"encoder.0.0.bias": torch.zeros(9)}, **settings)
