import os

import pytest
import torch
from songs import RATE, songs

from demucs_lab import cli, datasets, models
from demucs_lab.audio import SOURCES, save_audio

MODEL = f'{{"channels": 4, "depth": 2, "samplerate": {RATE}, "segment": 1.0}}'
SETTINGS = ("model=demucs-v1", f"model_options={MODEL}", "segment=0.5")
SMALL = ["--steps", "3", *(word for text in SETTINGS for word in ("--set", text))]


@pytest.fixture
def folder_of_songs(tmp_path):
    for track in songs(3):
        for source in SOURCES:
            save_audio(
                tmp_path / "songs" / track.name / f"{source}.wav", track.sources[source], RATE
            )
    return tmp_path / "songs"


def test_train_prints_the_score_beside_the_mixtures(folder_of_songs, tmp_path, capsys):
    run = tmp_path / "run"
    assert cli.main(["train", "--songs", str(folder_of_songs), "--folder", str(run), *SMALL]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    for word in ("this model", "the mixture", *SOURCES, "beats the mixture", "model.safetensors"):
        assert word in printed.out
    assert (run / "model_card.md").exists()
    assert cli.main(["train", "--songs", str(folder_of_songs), "--resume", str(run)]) == 0
    assert "Stopped after 3 steps" in capsys.readouterr().out


def test_a_training_begins_with_the_weights_of_another(folder_of_songs, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    learn = ["train", "--songs", str(folder_of_songs), *SMALL]
    assert cli.main([*learn, "--folder", str(first)]) == 0
    still = ["--set", "learning_rate=1e-12", "--set", "warmup=0", "--set", "ema=0"]
    assert cli.main([*learn, *still, "--folder", str(second), "--start", str(first)]) == 0
    before, after = (models.load(run / "model.safetensors") for run in (first, second))
    for own, other in zip(before.parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=1e-9)


def test_a_divided_folder_is_learned_from_and_judged_by_its_own_splits(folder_of_songs, tmp_path):
    from demucs_lab.cli.training import _songs

    found = sorted(folder_of_songs.iterdir())
    for split, song in zip(("train", "valid", "test"), found, strict=True):
        (tmp_path / split).mkdir()
        song.rename(tmp_path / split / song.name)
    learned, held_out = _songs(str(tmp_path), RATE)
    assert ([track.name for track in learned], [track.name for track in held_out]) == (
        ["song 0"], ["song 1"],
    )  # fmt: skip


def test_labsongs_are_the_starter_songs_and_those_of_the_test_choose_nothing(
    monkeypatch, tmp_path, capsys
):
    asked = []

    class Songs:
        @staticmethod
        def starter(split):
            asked.append(split)
            return songs(4)

    monkeypatch.setattr(datasets, "LabSongs", Songs, raising=False)
    assert cli.main(["train", "--folder", str(tmp_path / "run"), *SMALL]) == 0
    assert "(1 held-out song)" in capsys.readouterr().out
    assert asked == ["train"]


def test_the_presets_are_listed(capsys):
    assert cli.main(["train", "--preset", "list"]) == 0
    assert "paper-htdemucs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--preset", "huge"], "no preset is named 'huge'"),
        (["--set", "batch"], "expected --set NAME=VALUE"),
        (["--set", "colour=1"], "no setting 'colour'"),
        (["--resume", "nowhere"], "nowhere holds no training"),
        (["--resume", "nowhere", "--minutes", "2"], "leave --preset, --minutes"),
        (["--resume", "nowhere", "--preset", "tiny-demucs"], "leave --preset, --minutes"),
        (["--resume", "nowhere", "--start", "tiny-demucs"], "leave --preset, --minutes"),
        (["--start", "nothing"], "there is no pretrained model 'nothing'"),
        (
            ["--preset", "tiny-demucs", "--start", "tiny-conv-tasnet"],
            "is a ConvTasNet, but the preset trains a Demucs",
        ),
        (["--songs", "nowhere"], "there is no folder nowhere"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", *arguments]) == 2
    printed = capsys.readouterr().err
    assert sentence in printed
    assert printed.count("\n") == 1
    assert not os.listdir(tmp_path)
