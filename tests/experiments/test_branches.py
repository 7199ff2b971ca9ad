import pytest
import torch

from demucs_lab.experiments.branches import BRANCHES, FrequencyOnly, TimeOnly
from demucs_lab.models import HDemucs
from demucs_lab.models.layers import from_channels, standardize, to_channels
from demucs_lab.spectral import aligned_istft, aligned_stft

SMALL = {"samplerate": 8000, "segment": 1.0, "channels": 8, "depth": 5, "n_fft": 2048}


@pytest.fixture
def mix():
    wav = torch.randn(2, 2, 9000, generator=torch.Generator().manual_seed(0))
    return wav - wav.mean((1, 2), keepdim=True)  # so that the waveform's own mean adds nothing


@pytest.fixture
def whole():
    torch.manual_seed(1)
    return HDemucs(**SMALL).eval()


def silence(*layers):
    with torch.no_grad():
        for layer in layers:
            layer.weight.zero_()
            if layer.bias is not None:
                layer.bias.zero_()


def moved(weights, part, old, new):
    """The weights of layer `old` of a list under the number `new`."""
    return {
        f"{part}.{new}.{name.split('.', 2)[2]}": value
        for name, value in weights.items()
        if name.startswith(f"{part}.{old}.")
    }


@torch.no_grad()
def test_frequency_only_is_the_whole_with_a_silent_waveform_branch(whole, mix):
    one = FrequencyOnly(**SMALL).eval()
    one.load_state_dict({name: whole.state_dict()[name] for name in one.state_dict()})
    silence(whole.tencoder[-1], whole.tdecoder[-1].conv_tr)
    torch.testing.assert_close(one(mix), whole(mix), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_time_only_is_the_whole_with_a_silent_spectrogram_branch(whole, mix):
    one, weights = TimeOnly(**SMALL).eval(), whole.state_dict()
    renamed = {name: value for name, value in weights.items() if name.startswith("t")}
    for place in range(len(one.encoder)):
        renamed |= moved(weights, "encoder", whole.apart + place, place)
    renamed |= {
        k: v for i in range(len(one.decoder)) for k, v in moved(weights, "decoder", i, i).items()
    }
    one.load_state_dict({name: renamed[name] for name in one.state_dict()})
    silence(whole.encoder[whole.apart].conv, whole.decoder[-1].conv_tr)
    spec = to_channels(aligned_stft(mix, SMALL["n_fft"]))
    _, mean, _ = standardize(spec, (1, 2, 3))
    level = mean.expand(len(spec), 16, *spec.shape[2:])  # what is left is the mean itself
    rest = aligned_istft(from_channels(level, 4), mix.shape[-1])
    torch.testing.assert_close(one(mix) + rest, whole(mix), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("branch", BRANCHES)
def test_no_parameter_is_idle(branch, mix):
    model = BRANCHES[branch](**SMALL)
    model(mix).square().sum().backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []
    assert sum(p.numel() for p in model.parameters()) < sum(
        p.numel() for p in HDemucs(**SMALL).parameters()
    )


@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize("length", [1000, 8191, 12345])
def test_any_length_goes_in_and_comes_out(branch, length):
    model = BRANCHES[branch](**SMALL)
    assert model(torch.randn(1, 2, length)).shape == (1, 4, 2, length)
