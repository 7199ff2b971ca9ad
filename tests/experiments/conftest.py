"""Experiments of a second: models of four channels, songs of two seconds, a cache of their own."""

import pytest
from songs import MICRO, songs

from demucs_lab.experiments import running, trials
from demucs_lab.experiments.catalogue import EXPERIMENTS, Experiment, Variant
from demucs_lab.training.presets import Config

BASE = Config(name="micro", steps=3, validations=1, **MICRO)
BIGGER_STEP = BASE.but(learning_rate=2e-2)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "user_dir", lambda: tmp_path / "user")
    monkeypatch.setattr(running, "SHIPPED", tmp_path / "shipped")
    return tmp_path / "user"


@pytest.fixture
def micro(monkeypatch):
    """Two experiments with the same reference, in place of those of the course."""
    base = Variant("base", BASE)
    louder = Variant("bigger step", BIGGER_STEP, note="twice the learning rate")
    both = {
        "step": Experiment("step", "Is a bigger step better?", "base", (base, louder)),
        "loss": Experiment("loss", "L1 or L2?", "base", (base, Variant("L2", BASE.but(loss="l2")))),
    }
    for name in reversed([*EXPERIMENTS]):  # put back afterwards in their order
        monkeypatch.delitem(EXPERIMENTS, name)
    for name, one in both.items():
        monkeypatch.setitem(EXPERIMENTS, name, one)
    monkeypatch.setitem(running.PUBLISHED, "step", running.PUBLISHED["glu"])
    return both


@pytest.fixture
def trained(monkeypatch):
    """The names of what was trained, in order."""
    names, train = [], trials.train

    def noted(config, *args, **options):
        names.append(config.name)
        return train(config, *args, **options)

    monkeypatch.setattr(trials, "train", noted)
    return names


@pytest.fixture
def small():
    """Songs to learn from and to be scored on."""
    return {"songs": songs(3), "held_out": songs(5)[3:], "progress": False}
