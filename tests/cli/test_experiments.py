import pytest
from songs import MICRO, songs

from demucs_lab import cli
from demucs_lab.experiments import running, trials
from demucs_lab.experiments.catalogue import EXPERIMENTS, Experiment, Variant
from demucs_lab.training.presets import Config


@pytest.fixture(autouse=True)
def _a_small_world(monkeypatch, tmp_path):
    class Songs:
        @staticmethod
        def starter(split, progress=True):
            return songs(3) if split == "train" else songs(8)[3:]

    base = Config(name="micro", steps=3, validations=1, **MICRO)
    variants = (Variant("L1", base), Variant("L2", base.but(loss="l2")))
    loss = Experiment("loss", "Which?", "L1", variants, reduced_steps=2)
    shifts = Experiment("shifts", "How many?", "0", (Variant("0"),), checkpoint="no-such-model")
    for name in reversed([*EXPERIMENTS]):  # put back afterwards in their order
        monkeypatch.delitem(EXPERIMENTS, name)
    for one in (loss, shifts):
        monkeypatch.setitem(EXPERIMENTS, one.name, one)
    monkeypatch.setattr("demucs_lab.datasets.LabSongs", Songs, raising=False)
    monkeypatch.setattr(trials, "user_dir", lambda: tmp_path / "user")
    monkeypatch.setattr(running, "SHIPPED", tmp_path / "shipped")


def test_a_reduced_run_says_so_and_prints_its_table(capsys, tmp_path):
    assert cli.main(["experiment", "loss", "--reduced"]) == 0
    printed = capsys.readouterr()
    assert "a reduced run (1 seed instead of 3, 2 training steps instead of 3" in printed.out
    assert "L2, seed 0:" in printed.out
    assert "Published: Demucs, 64 channels, squared error" in printed.out
    assert not running.SHIPPED.exists()


def test_several_are_run_and_a_failure_is_told_at_the_end(capsys, tmp_path):
    out = tmp_path / "out"
    assert cli.main(["experiment", "all", "--seeds", "1", "--out", str(out)]) == 1
    assert "shifts could not be run" in capsys.readouterr().out.splitlines()[-1]
    assert [path.name for path in out.iterdir()] == ["loss.json"]
    running.SHIPPED.mkdir()
    (out / "loss.json").rename(running.SHIPPED / "loss.json")
    assert cli.main(["experiment", "loss", "--show"]) == 0
    assert "Which?" in capsys.readouterr().out


def test_the_list(capsys):
    assert cli.main(["experiment", "--list"]) == 0
    assert "How many?" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "which experiment? `experiment --list`"),
        (["gelu"], "no experiment is named 'gelu'"),
        (["loss", "--show"], "has no shipped results"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, sentence, capsys):
    assert cli.main(["experiment", *arguments]) == 2
    printed = capsys.readouterr().err
    assert sentence in printed
    assert printed.count("\n") == 1
