"""One way to name songs, for all commands."""

import pytest
import torch

from demucs_lab import datasets
from demucs_lab.audio import SOURCES, save_audio

RATE = 8000


@pytest.fixture
def divided(tmp_path):
    for split, names in (("train", ("a", "b")), ("test", ("c",))):
        for name in names:
            for source in SOURCES:
                (tmp_path / split / name).mkdir(parents=True, exist_ok=True)
                save_audio(tmp_path / split / name / f"{source}.wav", torch.zeros(2, 800), RATE)
    return tmp_path


def test_a_folder_is_opened_by_its_path(divided):
    assert [track.name for track in datasets.open(divided, "train")] == ["a", "b"]
    assert [track.name for track in datasets.open(str(divided), "test")] == ["c"]
    assert [track.name for track in datasets.open(divided, "train", n=1)] == ["a"]
    assert len(datasets.open(divided, "train", n=9)) == 2


def test_labsongs_are_opened_by_name_at_a_rate(monkeypatch, tmp_path):
    monkeypatch.setenv("DEMUCS_LAB_DATA", str(tmp_path))
    songs = datasets.open("labsongs", "valid", samplerate=RATE, n=1)
    assert [(track.samplerate, track.duration) for track in songs] == [(RATE, 30.0)]


def test_sets_say_which_songs_they_set_aside(divided):
    assert datasets.has_split(divided, "test")
    assert not datasets.has_split(divided, "valid")
    assert datasets.has_split("labsongs", "valid")
    assert datasets.has_split("musdb18", "valid")
    assert not datasets.has_split("starter", "valid")


def test_a_folder_that_is_not_there_is_one_sentence():
    with pytest.raises(FileNotFoundError, match="there is no folder nowhere"):
        datasets.open("nowhere")
