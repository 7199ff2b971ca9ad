import builtins
import collections
import os
import pickle
import subprocess
import sys
import zipfile
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from official_files import save_safetensors, save_th, th_package

from demucs_lab.pretrained import read

KWARGS = {"sources": ["drums", "bass"], "channels": 4, "segment": Fraction(39, 5)}
STATE = {"conv.weight": torch.randn(4, 2, 8), "conv.bias": torch.randn(4)}
CLASSES = [
    "htdemucs.HTDemucs",
    "hdemucs.HDemucs",
    "demucs.Demucs",
    "model.Demucs",
    "tasnet.ConvTasNet",
]


@pytest.mark.parametrize("klass", CLASSES)
@pytest.mark.parametrize("half", [True, False])
def test_a_package_of_the_authors_is_read(tmp_path, klass, half):
    path = save_th(th_package(f"demucs.{klass}", KWARGS, STATE, half), tmp_path / "1234abcd")
    found = read(path)
    assert found.klass == klass.partition(".")[2]
    assert found.kwargs == {"sources": ["drums", "bass"], "channels": 4, "segment": 7.8}
    assert type(found.kwargs["segment"]) is float
    for name, weight in STATE.items():
        expected = weight.half().float() if half else weight
        assert torch.equal(found.state[name], expected)


def test_reading_needs_none_of_the_authors_packages(tmp_path):
    path = save_th(th_package("demucs.htdemucs.HTDemucs", KWARGS, STATE), tmp_path / "a")
    program = (
        "import sys; from demucs_lab.pretrained import read\n"
        f"print(read({str(path)!r}).klass, 'demucs' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "HTDemucs False\n", done.stderr


@pytest.mark.parametrize("zipped", [True, False])
def test_bare_weights_of_version_2_are_read(tmp_path, zipped):
    path = tmp_path / "demucs-12345678.th"
    torch.save(collections.OrderedDict(STATE), path, _use_new_zipfile_serialization=zipped)
    found = read(path)
    assert (found.klass, found.kwargs) == (None, None)
    assert torch.equal(found.state["conv.bias"], STATE["conv.bias"])


def test_settings_of_training_are_passed_over_whatever_they_are(tmp_path):
    import argparse

    package = th_package("demucs.model.Demucs", KWARGS, STATE)
    package["training_args"] = argparse.Namespace(lr=1e-4, musdb=Path("data"))
    package["training_args"].musdb = None
    assert read(save_th(package, tmp_path / "a")).klass == "Demucs"


def test_safetensors_of_the_hub_are_read(tmp_path):
    path = save_safetensors(tmp_path / "a.safetensors", "demucs.htdemucs.HTDemucs", KWARGS, STATE)
    found = read(path)
    assert found.klass == "HTDemucs"
    assert found.kwargs["segment"] == 7.8
    assert torch.equal(found.state["conv.weight"], STATE["conv.weight"])


class Call:
    """Pickles into a call of any function."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


def poisons(trace):
    touch = f"open({str(trace)!r}, 'w').close()"
    return {
        "os.system": Call(os.system, f"echo x > {trace}"),
        "subprocess": Call(subprocess.call, [sys.executable, "-c", touch]),
        "eval": Call(builtins.eval, touch),
        "exec": Call(builtins.exec, touch),
        "open": Call(builtins.open, str(trace), "w"),
        "getattr": Call(builtins.getattr, "", "join"),
        "import": Call(builtins.__import__, "antigravity"),
        "torch.load": Call(torch.load, str(trace)),
        "pickle": Call(pickle.loads, pickle.dumps(Call(builtins.eval, touch))),
        "a number without end": Call(Fraction, "1e999999999"),
    }


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("where", ["bare", "state", "kwargs", "training_args", "klass", "key"])
@pytest.mark.parametrize("poison", poisons(Path("x")))
def test_a_malicious_file_is_refused_and_leaves_no_trace(tmp_path, poison, where, zipped):
    trace, path = tmp_path / "trace", tmp_path / "a.th"
    call = poisons(trace)[poison]
    package = th_package("demucs.htdemucs.HTDemucs", dict(KWARGS), dict(STATE))
    if where == "bare":
        package = call
    elif where == "klass":
        package["klass"] = call
    elif where == "key":
        package[call] = 1
    else:
        package[where]["deep"] = [{"deeper": (call,)}]
    torch.save(package, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"a\.th holds code.*was not run") as refusal:
        read(path)
    assert "\n" not in str(refusal.value)
    assert not trace.exists()


def test_a_poisoned_pickle_inside_an_honest_archive_is_refused(tmp_path):
    honest = save_th(th_package("demucs.htdemucs.HTDemucs", KWARGS, STATE), tmp_path / "a")
    bad, trace = tmp_path / "bad.th", tmp_path / "trace"
    with zipfile.ZipFile(honest) as old, zipfile.ZipFile(bad, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("data.pkl"):
                data = pickle.dumps(poisons(trace)["os.system"], protocol=2)
            new.writestr(name, data)
    with pytest.raises(ValueError, match=r"system.*was not run"):
        read(bad)
    assert not trace.exists()


def test_stand_ins_are_gone_afterwards(tmp_path):
    before = list(torch.serialization.get_safe_globals())
    read(save_th(th_package("demucs.htdemucs.HTDemucs", KWARGS, STATE), tmp_path / "a"))
    assert list(torch.serialization.get_safe_globals()) == before


@pytest.mark.parametrize("ending", ["th", "safetensors"])
def test_damaged_files_are_refused_in_one_sentence(tmp_path, ending):
    whole = tmp_path / f"whole.{ending}"
    if ending == "th":
        torch.save(th_package("demucs.htdemucs.HTDemucs", KWARGS, STATE), whole)
    else:
        save_safetensors(whole, "demucs.htdemucs.HTDemucs", KWARGS, STATE)
    data = whole.read_bytes()
    spoilt = {
        "cut": data[: len(data) // 2],
        "empty": b"",
        "noise": os.urandom(2000),
        "page": b"<html>not found</html>" * 50,
    }
    for name, content in spoilt.items():
        path = tmp_path / f"{name}.{ending}"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name}\.{ending}.*damaged") as refusal:
            read(path)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "content", [[1, 2], {"a": 1}, {}, torch.zeros(3), {"state": {}, "klass": "x"}]
)
def test_what_holds_no_weights_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "a.th")
    with pytest.raises(ValueError, match="something else than weights"):
        read(tmp_path / "a.th")


def test_quantized_weights_are_named(tmp_path):
    package = th_package("demucs.demucs.Demucs", KWARGS, STATE)
    package["state"] = {"__quantized": True, "quantized": []}
    with pytest.raises(ValueError, match="quantized by DiffQ"):
        read(save_th(package, tmp_path / "a"))
    path = tmp_path / "a.safetensors"
    save_safetensors(path, "demucs.demucs.Demucs", KWARGS, STATE, structure="{}")
    with pytest.raises(ValueError, match="quantized by DiffQ"):
        read(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read(tmp_path / "a.th")
