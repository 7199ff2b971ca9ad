"""Files that the authors' own code wrote, and ours read by the authors' code."""

from fractions import Fraction

import pytest
import torch
from official_files import save_safetensors, th_package
from peers import need, noise, shake

from demucs_lab import models, pretrained
from demucs_lab.pretrained import OFFICIAL

KWARGS = {
    "HTDemucs": {"channels": 8, "t_layers": 1, "segment": Fraction(39, 10)},
    "HDemucs": {"channels": 8, "segment": 3},
    "Demucs": {"channels": 8, "depth": 3, "dconv_mode": 0, "norm_starts": 99, "gelu": False},
}


def peer_model(name):
    klass = getattr(need(f"demucs.{name.lower()}"), name)
    return shake(klass(list("abcd"), **KWARGS[name])).eval()


def assert_answers_alike(peer, ours, tolerance=1e-5):
    mix = noise(1, 2, 30_001)
    with torch.no_grad():
        theirs, mine = peer(mix), ours(mix)
    assert (mine - theirs).abs().max() <= tolerance * theirs.abs().max()


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("name", KWARGS)
def test_a_package_that_their_code_wrote(tmp_path, name, half):
    states = need("demucs.states")
    peer = peer_model(name)
    args, kwargs = peer._init_args_kwargs
    package = {
        "klass": type(peer),
        "args": args,
        "kwargs": kwargs,
        "state": states.get_state(peer, None, half=half),
        "training_args": {"lr": 3e-4, "model": name.lower()},
    }
    states.save_with_checksum(package, tmp_path / "1234abcd.th")
    (path,) = tmp_path.glob("1234abcd-*.th")
    theirs = states.load_model(path).eval()
    assert_answers_alike(theirs, pretrained.load(path))


@pytest.mark.parametrize("name", KWARGS)
def test_the_test_files_of_this_kit_are_theirs_too(tmp_path, name):
    peer = peer_model(name)
    kwargs = {"sources": list("abcd"), **KWARGS[name]}
    klass = f"demucs.{name.lower()}.{name}"
    path = save_safetensors(tmp_path / "a.safetensors", klass, kwargs, peer.state_dict())
    assert_answers_alike(
        need("demucs.hf").load_safetensors_model(path).eval(), pretrained.load(path)
    )
    torch.save(th_package(klass, kwargs, peer.state_dict()), tmp_path / "a.th")
    theirs = need("demucs.states").load_model(tmp_path / "a.th").eval()
    assert_answers_alike(theirs, pretrained.load(tmp_path / "a.th"))


def test_names_files_and_weights_are_those_of_their_package():
    remote = need("demucs.pretrained").REMOTE_ROOT
    yaml = need("yaml")
    hub = need("demucs.hf").hf_repo_name
    urls = need("demucs.pretrained")._parse_remote_files(remote / "files.txt")
    for name, published in OFFICIAL.items():
        if name.startswith(("demucs", "tasnet")):
            continue  # version 2
        bag = yaml.safe_load((remote / f"{name}.yaml").read_text())
        signatures = list(dict.fromkeys(bag["models"]))
        assert published.signatures == signatures
        assert published.repository == hub(name)
        assert published.segment == bag.get("segment")
        weights = bag.get("weights")
        assert (weights and tuple(map(tuple, weights))) == published.weights
        ours = [f"{pretrained.TH_ROOT}{file}" for file in published.files]
        assert ours == [urls[signature] for signature in signatures]


def test_every_class_that_is_published_is_built_here():
    for published in OFFICIAL.values():
        assert published.klass is None or hasattr(models, published.klass)
