"""A model file may come from anywhere: whatever it says, it costs a moment and a sentence."""

import json
import resource
import signal
import struct
import sys
import time

import pytest
import torch
from safetensors.torch import load_file, save_file

from demucs_lab import models
from demucs_lab.models import ConvTasNet, Demucs, HDemucs, HTDemucs

SMALL = {
    "ConvTasNet": lambda: ConvTasNet.tiny(N=32, B=16, H=24, X=3, R=2),
    "Demucs": lambda: Demucs.tiny(channels=4),
    "HDemucs": lambda: HDemucs.tiny(channels=8),
    "HTDemucs": lambda: HTDemucs.tiny(channels=8, segment=0.5),
}
NAN = float("nan")

SETTINGS = [
    *[("Demucs", {"depth": depth}) for depth in (10**9, 10**30, 0, -1, 2.5, "5", None, True, [5])],
    *[("Demucs", {"channels": n}) for n in (-4, 0, 10**9, 2**62, 1e308, NAN, {"a": 1})],
    *[("Demucs", {"segment": s}) for s in (0, NAN, -2, 1e300, float("inf"), "10", None, 10**9)],
    *[("Demucs", {"samplerate": r}) for r in (0, -44100, 1, 10**12, 22050.5, NAN, "22050")],
    *[("Demucs", {"audio_channels": c}) for c in (0, -2, 10**9, 1.5, [2])],
    ("Demucs", {"lstm_layers": 10**9}),
    ("Demucs", {"lstm_layers": -1}),
    ("Demucs", {"context": 10**12 + 1}),
    ("Demucs", {"rescale": NAN}),
    ("Demucs", {"resample": 3}),
    ("Demucs", {"made_up": 1}),
    ("Demucs", {"self": 1}),
    ("Demucs", {"__class__": "x" * 10**6}),
    ("Demucs", {"sources": [f"source {i}" for i in range(10**6)]}),
    *[
        ("Demucs", {"sources": sources})
        for sources in (
            [], "dbov", None, 4, {"a": 1}, [1, 2, 3, 4], ["a", "b", "c", "a"], ["a", "b", "c", ""],
            ["../x", "b", "c", "d"], ["/tmp/x", "b", "c", "d"], ["a\\b", "b", "c", "d"],
            ["a\0b", "b", "c", "d"], [".x", "b", "c", "d"], ["-x", "b", "c", "d"],
            ["a\nb", "b", "c", "d"], ["a" * 10**6, "b", "c", "d"], [["a"], "b", "c", "d"],
        )
    ],
    ("ConvTasNet", {"X": 10**9}),
    ("ConvTasNet", {"R": 10**9}),
    ("ConvTasNet", {"X": 30, "R": 30}),
    ("ConvTasNet", {"L": 0}),
    ("ConvTasNet", {"P": -1}),
    ("ConvTasNet", {"N": 10**6, "B": 10**6}),
    ("ConvTasNet", {"norm": ["gLN"]}),
    ("ConvTasNet", {"mask": "os.system"}),
    ("HDemucs", {"n_fft": 0}),
    ("HDemucs", {"n_fft": 2**60}),
    ("HDemucs", {"depth": 60}),
    ("HDemucs", {"channels": 1}),
    ("HTDemucs", {"n_fft": -4096}),
    ("HTDemucs", {"t_layers": 10**9}),
    ("HTDemucs", {"t_heads": 0}),
    ("HTDemucs", {"t_heads": 7}),
    ("HTDemucs", {"bottom_channels": 10**6}),
    ("HTDemucs", {"t_dropout": -3.0}),
    ("HTDemucs", {"segment": 10**7}),
]  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One small whole file of each kind, with its description."""
    folder = tmp_path_factory.mktemp("whole")
    found = {}
    for name, make in SMALL.items():
        path, model = folder / f"{name}.safetensors", make()
        model.save(path)
        models.load(path)
        found[name] = path, {"model": name, "config": model.config()}
    return found


def refused(path):
    """The sentence, after a moment, with hardly any memory taken."""

    def late(*_):
        raise AssertionError("it hangs")

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    previous = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    try:
        with pytest.raises(ValueError, match=r"demucs-lab|model|damaged|fit|NaN") as caught:
            models.load(path)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert time.monotonic() - began < 5
    assert taken < (400 << 20 if sys.platform == "darwin" else 400 << 10)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert len(sentence) < 700
    assert "\n" not in sentence
    return sentence


def described(tmp_path, whole, text):
    path = tmp_path / "folder" / "hostile.safetensors"
    path.parent.mkdir()
    save_file(load_file(whole), path, metadata={"demucs_lab": text})
    return path


@pytest.mark.parametrize(("model", "change"), SETTINGS, ids=lambda value: repr(value)[:40])
def test_absurd_settings_are_refused_in_a_sentence(files, tmp_path, model, change):
    whole, card = files[model]
    text = json.dumps({**card, "config": {**card["config"], **change}})
    path = described(tmp_path, whole, text)
    refused(path)
    assert [p.name for p in tmp_path.rglob("*")] == ["folder", "hostile.safetensors"]


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "{", "3", '"Demucs"', "[" * 10**5, '{"a":' * 10**5, "{}",
        '{"model": "Demucs"}', '{"model": "Demucs", "config": null}',
        '{"model": "Demucs", "config": []}', '{"model": ["Demucs"], "config": {}}',
        '{"model": {"a": 1}, "config": {}}', '{"model": "os.system", "config": {"command": "id"}}',
        '{"model": "__import__", "config": {}}', '{"model": "SeparationModel", "config": {}}',
        '{"model": "Demucs", "config": {"depth": ' + "9" * 5000 + "}}",
        '{"model": "Demucs", "config": {"sources": ' + "[" * 900 + "]" * 900 + "}}",
        '{"model": "' + "D" * 10**6 + '", "config": {}}',
    ],
    ids=lambda text: text[:40],
)  # fmt: skip
def test_a_description_that_is_none_is_refused_in_a_sentence(files, tmp_path, text):
    refused(described(tmp_path, files["Demucs"][0], text))


def with_header(path, header):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw)
    return path


@pytest.mark.parametrize("count", [20_000, 100_000])
def test_a_header_of_countless_tensors_is_refused_in_a_sentence(files, tmp_path, count):
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    card = {"demucs_lab": json.dumps(files["Demucs"][1])}
    header = {"__metadata__": card, **{f"w{i}": empty for i in range(count)}}
    refused(with_header(tmp_path / "many.safetensors", header))


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff" * 8, struct.pack("<Q", 2**63) + b"{}", struct.pack("<Q", 0), b"\0" * 7,
        struct.pack("<Q", 2) + b"{}", struct.pack("<Q", 10**5) + b"[" * 10**5,
        struct.pack("<Q", 10**8) + b" " * 100, struct.pack("<Q", 8) + b"\xff\xfe{}{}{}",
    ],
    ids=range(8),
)  # fmt: skip
def test_a_header_that_is_none_is_refused_in_a_sentence(tmp_path, raw):
    path = tmp_path / "noise.safetensors"
    path.write_bytes(raw)
    refused(path)


@pytest.mark.parametrize(
    ("offsets", "shape"), [([0, 4], [2**60]), ([0, 2**60], [1]), ([4, 0], [1]), ([0, 4], [-1])]
)
def test_a_tensor_that_the_file_does_not_hold_is_refused(files, tmp_path, offsets, shape):
    card = {"demucs_lab": json.dumps(files["Demucs"][1])}
    weight = {"dtype": "F32", "shape": shape, "data_offsets": offsets}
    refused(with_header(tmp_path / "a.safetensors", {"__metadata__": card, "w": weight}))


@pytest.mark.parametrize("value", [NAN, float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_refused(files, tmp_path, value):
    whole, card = files["HTDemucs"]
    weights = load_file(whole)
    name = sorted(weights)[3]
    weights[name].view(-1)[-1] = value
    path = tmp_path / "nan.safetensors"
    save_file(weights, path, metadata={"demucs_lab": json.dumps(card)})
    assert name in refused(path)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64, torch.float8_e5m2])
def test_weights_of_another_kind_are_refused(files, tmp_path, dtype):
    whole, card = files["Demucs"]
    path = tmp_path / "kind.safetensors"
    weights = {name: value.to(dtype) for name, value in load_file(whole).items()}
    save_file(weights, path, metadata={"demucs_lab": json.dumps(card)})
    assert "holds torch." in refused(path)


def test_a_name_of_a_weight_may_be_anything_and_the_sentence_stays_one(files, tmp_path):
    whole, card = files["Demucs"]
    path = tmp_path / "names.safetensors"
    weights = {**load_file(whole), "\n\x1b[31m" * 10**5: torch.zeros(1)}
    save_file(weights, path, metadata={"demucs_lab": json.dumps(card)})
    assert "is unknown" in refused(path)
