"""A saved model comes back the same; a damaged file is named, and none can run code."""

import json
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from demucs_lab import models
from demucs_lab.models import ConvTasNet, Demucs, HDemucs, HTDemucs

SMALL = [
    lambda: ConvTasNet.tiny(N=32, B=16, H=24, X=3, R=2),
    lambda: Demucs.tiny(channels=4),
    lambda: HDemucs.tiny(channels=8),
    lambda: HTDemucs.tiny(channels=8, segment=0.5),
]


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "model.safetensors"
    Demucs.tiny(channels=4).save(path)
    return path


@pytest.mark.parametrize("make", SMALL)
def test_a_saved_model_comes_back_the_same(make, tmp_path):
    model = make().eval()
    path = tmp_path / "deep" / "model.safetensors"
    model.save(path)
    again = models.load(path)
    assert type(again) is type(model)
    assert again.config() == model.config()
    assert not again.training
    mix = torch.randn(1, 2, 5000)
    with torch.no_grad():
        assert torch.equal(model(mix), again(mix))
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_half_precision_halves_the_file(tmp_path):
    model = Demucs.tiny(channels=16)
    models.save(model, tmp_path / "full.safetensors")
    models.save(model, tmp_path / "half.safetensors", dtype=torch.float16)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.51 * sizes[0]
    again = models.load(tmp_path / "half.safetensors")
    assert all(p.dtype == torch.float32 for p in again.parameters())


def test_a_class_loads_its_own_kind_only(saved):
    assert isinstance(Demucs.load(saved), Demucs)
    with pytest.raises(ValueError, match="holds a Demucs, not a HTDemucs"):
        HTDemucs.load(saved)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no model file"):
        models.load(tmp_path / "nothing.safetensors")


@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "pickle"])
def test_a_damaged_file_is_named(saved, damage):
    whole = saved.read_bytes()
    saved.write_bytes(
        {
            "cut": whole[: len(whole) // 2],
            "empty": b"",
            "noise": bytes(range(256)) * 40,
            "pickle": pickle.dumps({"weights": [1, 2, 3]}),
        }[damage]
    )
    with pytest.raises(ValueError, match="is damaged or no safetensors file"):
        models.load(saved)


def test_tensors_that_are_no_model_are_named(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match="does not say of which model"):
        models.load(path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda text: text.replace("Demucs", "Nonsense"), "cannot build"),
        (lambda text: text.replace('"depth"', '"deapth"'), "cannot build"),
        (lambda text: text[:-3], "cannot build"),
        (lambda text: text.replace('"channels": 4', '"channels": 8'), "larger than the 50 weights"),
        (lambda text: text.replace('"depth": 5', '"depth": 3'), "do not fit the model"),
    ],
)
def test_a_config_that_does_not_fit_is_named(saved, change, match):
    from safetensors import safe_open

    with safe_open(saved, framework="pt") as file:
        header = dict(file.metadata())
    assert change(header["demucs_lab"]) != header["demucs_lab"]
    save_file(load_file(saved), saved, metadata={"demucs_lab": change(header["demucs_lab"])})
    with pytest.raises(ValueError, match=match):
        models.load(saved)


def test_a_failed_save_leaves_the_old_file(saved, monkeypatch):
    import safetensors.torch

    before = saved.read_bytes()

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        Demucs.tiny(channels=4).save(saved)
    assert saved.read_bytes() == before
    assert [entry.name for entry in saved.parent.iterdir()] == [saved.name]


def test_the_header_is_json_that_anybody_can_read(saved):
    raw = saved.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    described = json.loads(header["__metadata__"]["demucs_lab"])
    assert described["model"] == "Demucs"
    assert described["config"]["channels"] == 4
