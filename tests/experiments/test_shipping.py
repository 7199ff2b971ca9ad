"""Packing a model as the kit brings it, with a model so small that its training takes a second."""

import json
import shlex
import shutil
from types import SimpleNamespace

import pytest
import torch
from songs import MICRO, RATE, songs

from demucs_lab import cli, datasets, evaluation, models, pretrained, separate, training
from demucs_lab.cli import training as training_commands
from demucs_lab.experiments import shipping
from demucs_lab.metrics import sdr
from demucs_lab.pretrained import download
from demucs_lab.pretrained import shipped as installed
from demucs_lab.training import recipes

SMALL = {**MICRO, "steps": 4, "validations": 2}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished run, with the settings of "tiny-test"."""
    folder = tmp_path_factory.mktemp("runs") / "tiny-test"
    learned, held_out = songs(6)[:4], songs(6)[4:]
    config = training.preset("tiny-demucs").but(**SMALL)
    training.train(config, learned, valid=held_out, folder=folder, progress=False, cpu=True)
    return folder


@pytest.fixture
def kit(monkeypatch, tmp_path):
    """LabSongs of six short songs, a recipe for "tiny-test", and an empty folder of models."""

    def labsongs(split, samplerate):
        assert samplerate == RATE
        return songs(6)[:4] if split == "train" else songs(6)[4:]

    recipe = recipes.Recipe("A very small Demucs", "tiny-demucs", SMALL)
    monkeypatch.setattr(datasets, "LabSongs", labsongs, raising=False)
    monkeypatch.setitem(recipes.SHIPPED, "tiny-test", recipe)
    monkeypatch.setattr(installed, "FOLDER", tmp_path / "tiny")
    return tmp_path


@pytest.mark.parametrize("name", list(recipes.SHIPPED))
def test_the_command_gives_the_settings(name, monkeypatch):
    seen = []

    def train(config, songs, **options):
        seen.append(config)
        return SimpleNamespace(stopped="budget")

    monkeypatch.setattr(training_commands, "_songs", lambda songs, rate: (songs, rate))
    monkeypatch.setattr(training, "train", train)
    assert cli.main(shlex.split(recipes.command(name))[3:]) == 0
    (config,) = seen
    assert config.but(name=name) == recipes.config(name)


@pytest.mark.parametrize("name", list(recipes.SHIPPED))
def test_models_are_small_and_hear_the_songs_at_their_rate(name):
    config = recipes.config(name)
    model = models.build(config.model, **config.model_options)
    assert sum(weight.numel() for weight in model.parameters()) <= shipping.MOST_PARAMETERS
    assert model.samplerate == 22050


def test_with_and_without_cross_attention_differ_in_nothing_else():
    crossed, not_crossed = (
        recipes.config(name) for name in ("tiny-htdemucs", "tiny-htdemucs-nocross")
    )
    options = {**not_crossed.model_options}
    assert options.pop("cross_attention") is False
    assert not_crossed.but(name=crossed.name, model_options=options) == crossed


def test_a_run_is_packed_and_loads_by_name(kit, finished, capsys):
    assert cli.main(["ship", "tiny-test", "--run", str(finished)]) == 0
    assert "tiny-test.safetensors" in capsys.readouterr().out
    assert "A very small Demucs" in pretrained.available()["tiny-test"]
    packed, exact = pretrained.load("tiny-test"), models.load(finished / "model.safetensors")
    for own, other in zip(packed.parameters(), exact.parameters(), strict=True):
        assert torch.equal(own, other.half().float())
    (song,) = songs(1)
    before, after = (separate(m, song.mixture, RATE, progress=False) for m in (exact, "tiny-test"))
    assert sdr(before, after).min() > 40
    assert (sdr(song.stems, before) - sdr(song.stems, after)).abs().max() < 0.01
    assert pretrained.fetch("tiny-test") == [kit / "tiny" / "tiny-test.safetensors"]


def test_the_card_tells_what_was_measured(kit, finished):
    path = shipping.ship("tiny-test", finished)
    card = pretrained.card("tiny-test")
    assert download.file_hash(path) in card
    assert recipes.command("tiny-test") in card
    assert json.loads((finished / "environment.json").read_text())["torch"] in card
    expected = [
        sdr(song.stems, separate(pretrained.load("tiny-test"), song.mixture, RATE, progress=False))
        for song in songs(6)[4:]
    ]
    (line,) = [line for line in card.splitlines() if "this model" in line]
    printed = torch.tensor([float(word) for word in line.split()[2:6]])
    assert torch.allclose(printed, torch.stack(expected).mean(0).float(), atol=0.006)


def test_without_a_run_it_is_trained(kit, finished, monkeypatch):
    monkeypatch.chdir(kit)
    again = models.load(shipping.ship("tiny-test", folder=kit / "trained"))
    before = models.load(shipping.ship("tiny-test", finished, kit / "packed"))
    for own, other in zip(again.parameters(), before.parameters(), strict=True):
        assert torch.equal(own, other)
    assert (kit / "runs" / "tiny-test" / "metrics.jsonl").exists()


def change_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def another_setting(run):
    change_json(run / "config.json", batch=8)


def given_weights(run):
    architecture = json.loads((run / "config.json").read_text())["architecture"]
    change_json(run / "config.json", architecture={**architecture, "given": True})


def unfinished(run):
    lines = (run / "metrics.jsonl").read_text().splitlines()
    (run / "metrics.jsonl").write_text("\n".join(lines[:-1]) + "\n")


def interrupted(run):
    text = (run / "metrics.jsonl").read_text()
    (run / "metrics.jsonl").write_text(text.replace('"budget"', '"interrupted"'))


def other_songs(run):
    newest = sorted((run / "checkpoints").glob("*.json"))[-1]
    change_json(newest, songs=["another song"])


def other_weights(run):
    model = models.load(run / "model.safetensors")
    for weight in model.parameters():
        weight.data *= 0.5
    model.save(run / "model.safetensors")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (another_setting, "batch=8, but tiny-test is shipped with batch=4"),
        (given_weights, "began with trained weights"),
        (unfinished, "is not finished: go on with python -m demucs_lab train"),
        (interrupted, "is not finished"),
        (other_songs, "was not trained on LabSongs' train split"),
        (other_weights, "dB otherwise than the run says"),
        (shutil.rmtree, "holds no training"),
    ],
)
def test_a_run_that_is_not_the_one_is_refused(kit, finished, spoil, says, capsys):
    run = shutil.copytree(finished, kit / "run")
    spoil(run)
    assert cli.main(["ship", "tiny-test", "--run", str(run)]) == 2
    sentence = capsys.readouterr().err
    assert says in sentence
    assert sentence.count("\n") == 1
    assert not (kit / "tiny").exists()


@pytest.mark.parametrize("limit", ["MOST_BYTES", "MOST_PARAMETERS"])
def test_a_model_that_is_too_large_is_refused(kit, finished, limit, monkeypatch):
    monkeypatch.setattr(shipping, limit, 1000)
    with pytest.raises(ValueError, match="a shipped model has at most"):
        shipping.ship("tiny-test", finished)


def test_unknown_names_are_refused(kit):
    with pytest.raises(ValueError, match="no shipped model is named 'tiny-dmucs'"):
        shipping.ship("tiny-dmucs")
    with pytest.raises(ValueError, match="no model card for 'htdemucs'"):
        pretrained.card("htdemucs")


def test_a_transformer_that_does_nothing_is_not_shipped(kit, monkeypatch):
    """Four steps from random weights: what the transformer gives is still a constant's worth."""
    sizes = {"channels": 8, "samplerate": RATE, "segment": 0.25, "n_fft": 512, "t_layers": 1}
    small = {**SMALL, "model": "tiny-htdemucs", "model_options": sizes, "segment": 0.25}
    recipe = recipes.Recipe("A very small HTDemucs", "tiny-htdemucs", small)
    monkeypatch.setitem(recipes.SHIPPED, "tiny-test", recipe)
    learned, held_out = songs(6)[:4], songs(6)[4:]
    folder = kit / "run"
    training.train(
        recipes.config("tiny-test"),
        learned,
        valid=held_out,
        folder=folder,
        progress=False,
        cpu=True,
    )
    with pytest.raises(ValueError, match="transformer does nothing: with a constant in its place"):
        shipping.ship("tiny-test", folder, kit / "tiny")
    assert not (kit / "tiny").exists()

    class Alive:
        alive = True

        def __str__(self):
            return "a table of costs"

    monkeypatch.setattr(evaluation, "vital_signs", lambda model, songs, heads: Alive())
    shipping.ship("tiny-test", folder, kit / "tiny")
    card = (kit / "tiny" / "tiny-test.md").read_text()
    assert "## What its transformer is worth\n\n    a table of costs\n\n## Limits" in card
