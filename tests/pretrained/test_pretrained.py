from dataclasses import replace

import pytest
import torch
from official_files import save_safetensors, save_th, th_package
from server import serving
from torch import nn

import demucs_lab
from demucs_lab import models, pretrained, separate
from demucs_lab.pretrained import OFFICIAL, available, fetch, load
from demucs_lab.pretrained.bag import Bag

SOURCES = ["drums", "bass", "other", "vocals"]


def hybrid(seed):
    """An HDemucs with the authors' names, small: torchaudio's, which is theirs."""
    import torchaudio

    torch.manual_seed(seed)
    return torchaudio.models.HDemucs(SOURCES, channels=4).eval()


HYBRID = {"sources": SOURCES, "channels": 4, "samplerate": 44100, "segment": 2}


class VersionTwo(nn.Module):
    """The layout, by name, of the weights of Demucs v2 (demucs 2.0.3, model.py)."""

    def __init__(self, channels=4, depth=6):
        super().__init__()
        torch.manual_seed(0)
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        chin, out = 2, 8
        for _ in range(depth):
            encode = [nn.Conv1d(chin, channels, 8, 4), nn.ReLU()]
            self.encoder.append(
                nn.Sequential(*encode, nn.Conv1d(channels, 2 * channels, 1), nn.GLU(1))
            )
            decode = [nn.Conv1d(channels, 2 * channels, 3), nn.GLU(1)]
            decode.append(nn.ConvTranspose1d(channels, out, 8, 4))
            self.decoder.insert(0, nn.Sequential(*decode))
            chin, out, channels = channels, channels, 2 * channels
        self.lstm = nn.Module()
        self.lstm.lstm = nn.LSTM(chin, chin, 2, bidirectional=True)
        self.lstm.linear = nn.Linear(2 * chin, chin)


@pytest.fixture
def server(monkeypatch, data_folder):
    """The two stores, on this machine, with small models under the published names."""
    monkeypatch.delenv("DEMUCS_LAB_OFFLINE", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as running:
        monkeypatch.setattr(pretrained, "HUB_ROOT", f"{running.url}/hub/")
        monkeypatch.setattr(pretrained, "TH_ROOT", f"{running.url}/th/")
        yield running


def publish_th(server, monkeypatch, tmp_path, name, contents):
    files = []
    for signature, content in zip(OFFICIAL[name].signatures, contents, strict=True):
        path = save_th(content, tmp_path / signature)
        files.append(f"old/{path.name}")
        server.files[f"/th/old/{path.name}"] = path.read_bytes()
    monkeypatch.setitem(pretrained.OFFICIAL, name, replace(OFFICIAL[name], files=tuple(files)))


def publish_hub(server, tmp_path, name, states):
    published = OFFICIAL[name]
    for signature, weights in zip(published.signatures, states, strict=True):
        path = save_safetensors(
            tmp_path / f"{signature}.safetensors", "demucs.hdemucs.HDemucs", HYBRID, weights
        )
        where = f"/hub/{published.repository}/resolve/main/{path.name}"
        server.files[where] = path.read_bytes()


def state(model):
    """Its weights by the authors' names, some of which torchaudio spells out; one it never uses."""
    return {
        name.replace("freq_encoder", "encoder")
        .replace("freq_decoder", "decoder")
        .replace("time_encoder", "tencoder")
        .replace("time_decoder", "tdecoder"): weight
        for name, weight in model.state_dict().items()
        if not name.startswith("time_encoder.4.norm1")
    }


def packages(seeds):
    states = [state(hybrid(seed)) for seed in seeds]
    return [th_package("demucs.hdemucs.HDemucs", HYBRID, each, half=False) for each in states]


def test_a_model_of_the_hub_is_fetched_once_and_answers_like_its_authors(server, tmp_path):
    reference = hybrid(1)
    publish_hub(server, tmp_path, "hdemucs_mmi", [state(reference)])
    model = load("hdemucs_mmi", progress=False)
    assert isinstance(model, models.HDemucs)
    assert model.segment == 44  # the bag's, not the 2 s in the file
    assert not model.training
    mix = torch.randn(1, 2, 30_000)
    with torch.no_grad():
        expected, found = reference(mix), model(mix)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
    asked = len(server.asked)
    load("hdemucs_mmi", progress=False)
    assert len(server.asked) == asked
    assert {path for path, _ in server.asked} == {
        f"{prefix}/hub/Demucs-hdemucs_mmi/resolve/main/75fc33f5.safetensors"
        for prefix in ("", "/store")
    }


def test_the_older_store_helps_out_where_the_hub_has_nothing(server, tmp_path, monkeypatch):
    publish_th(server, monkeypatch, tmp_path, "hdemucs_mmi", packages([1]))
    (path,) = fetch("hdemucs_mmi", progress=False)
    assert path.suffix == ".th"
    assert isinstance(load("hdemucs_mmi", progress=False), models.HDemucs)


def test_the_older_store_helps_out_where_the_hub_states_no_hash(server, tmp_path, monkeypatch):
    publish_hub(server, tmp_path, "hdemucs_mmi", [state(hybrid(1))])
    publish_th(server, monkeypatch, tmp_path, "hdemucs_mmi", packages([1]))
    server.tag = None
    (path,) = fetch("hdemucs_mmi", progress=False)
    assert path.suffix == ".th"


def test_a_bag_is_read_model_by_model(server, tmp_path, monkeypatch):
    publish_th(server, monkeypatch, tmp_path, "htdemucs_ft", packages(range(4)))
    bag = load("htdemucs_ft", progress=False)
    assert isinstance(bag, Bag)
    assert torch.equal(torch.tensor(bag.weights), torch.eye(4))
    mix = 0.1 * torch.randn(2, 44_100)
    found = separate(bag, mix, 44100, segment=1.0, stems=["bass"], progress=False)
    alone = separate(bag.models[1], mix, 44100, segment=1.0, stems=["bass"], progress=False)
    assert torch.allclose(found, alone, atol=1e-6)


def test_bare_weights_of_version_2_become_its_model(server, tmp_path, monkeypatch):
    publish_th(server, monkeypatch, tmp_path, "demucs", [VersionTwo().state_dict()])
    small = {"sources": SOURCES, "channels": 4}
    monkeypatch.setitem(OFFICIAL, "demucs", replace(OFFICIAL["demucs"], settings=small))
    model = load("demucs", progress=False)
    assert isinstance(model, models.Demucs)
    assert model.resample
    assert [path for path, _ in server.asked][-1].startswith("/th/old/demucs-")


def test_a_corrupted_download_is_refused(server, tmp_path, monkeypatch):
    publish_th(server, monkeypatch, tmp_path, "hdemucs_mmi", packages([1]))
    (where,) = (path for path in server.files if path.startswith("/th/"))
    server.files[where] = server.files[where][:-1] + b"?"
    with pytest.raises(ValueError, match="is not what its authors published"):
        load("hdemucs_mmi", progress=False)
    assert list(pretrained.folder().iterdir()) == []


def test_a_file_spoilt_on_the_disk_is_fetched_again(server, tmp_path):
    publish_hub(server, tmp_path, "hdemucs_mmi", [state(hybrid(1))])
    (path,) = fetch("hdemucs_mmi", progress=False)
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    assert fetch("hdemucs_mmi", progress=False) == [path]
    assert path.read_bytes() == whole


def test_offline_is_one_clear_sentence(server, tmp_path, monkeypatch):
    publish_hub(server, tmp_path, "hdemucs_mmi", [state(hybrid(1))])
    monkeypatch.setenv("DEMUCS_LAB_OFFLINE", "1")
    with pytest.raises(ConnectionError) as refusal:
        fetch("hdemucs_mmi")
    said = str(refusal.value)
    assert "hdemucs_mmi is not on this machine" in said
    assert "DEMUCS_LAB_OFFLINE" in said
    assert f"put 75fc33f5.safetensors or 75fc33f5-1941ce65.th into {pretrained.folder()}" in said
    assert "\n" not in said
    assert server.asked == []
    monkeypatch.delenv("DEMUCS_LAB_OFFLINE")
    fetch("hdemucs_mmi", progress=False)
    monkeypatch.setenv("DEMUCS_LAB_OFFLINE", "1")
    assert load("hdemucs_mmi").segment == 44


def test_a_file_that_a_person_brought_is_taken(server, tmp_path, monkeypatch):
    monkeypatch.setenv("DEMUCS_LAB_OFFLINE", "1")
    pretrained.folder().mkdir(parents=True)
    path = pretrained.folder() / "75fc33f5.safetensors"
    save_safetensors(path, "demucs.hdemucs.HDemucs", HYBRID, state(hybrid(2)))
    assert fetch("hdemucs_mmi") == [path]


def test_files_are_loaded_by_path(tmp_path):
    path = save_th(packages([1])[0], tmp_path / "mine")
    for name in (path, str(path)):
        assert load(name).segment == 2
    ours = models.Demucs.tiny(channels=2)
    ours.save(tmp_path / "own.safetensors")
    again = load(tmp_path / "own.safetensors")
    assert torch.equal(again.state_dict()["encoder.0.conv.weight"], ours.encoder[0].conv.weight)


def test_what_cannot_be_loaded_says_why(tmp_path):
    with pytest.raises(ValueError, match=r"no pretrained model 'htdemux': choose from .*htdemucs,"):
        load("htdemux")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load("weights.th")
    torch.save({"a": torch.zeros(1)}, tmp_path / "bare.th")
    with pytest.raises(ValueError, match="bare weights"):
        load(tmp_path / "bare.th")
    save_safetensors(
        tmp_path / "a.safetensors", "demucs.wdemucs.WDemucs", {}, {"a": torch.zeros(1)}
    )
    with pytest.raises(ValueError, match="no model 'WDemucs'"):
        load(tmp_path / "a.safetensors")


def test_the_list_names_what_there_is():
    assert list(available()) == [*pretrained.shipped.names(), *OFFICIAL]
    for name, published in OFFICIAL.items():
        assert published.about
        assert len(set(published.signatures)) == len(published.files)
        assert published.weights is None or len(published.weights) == len(published.files), name
    assert demucs_lab.pretrained is pretrained
