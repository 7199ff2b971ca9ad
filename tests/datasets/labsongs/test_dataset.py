"""LabSongs as a sequence of tracks: exact mixtures, excerpts, splits, estimates, errors."""

import pickle
from pathlib import Path

import pytest
import torch

from demucs_lab.datasets import LabSongs, Track, first_songs
from demucs_lab.datasets.labsongs import compose, dataset

KIND = {"samplerate": 8000, "duration": 4.0, "progress": False}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("songs")


@pytest.fixture(scope="module")
def tracks(root):
    return LabSongs("test", n=3, root=root, **KIND)


def test_a_song_is_a_track_with_its_score(tracks):
    assert len(tracks) == 3
    track = tracks[1]
    assert isinstance(track, Track)
    assert track.samplerate == 8000
    assert track.frames == 32000
    assert track.score == compose("test", 1, 4.0)
    assert track.name == f"test-001 {track.score.title}"
    assert tracks[-1].name == tracks[2].name
    assert [t.name for t in tracks[:2]] == [tracks[0].name, tracks[1].name]
    with pytest.raises(IndexError, match="3 songs"):
        tracks[3]


def test_the_mixture_is_the_sum_of_the_stems_exactly(tracks):
    for track in tracks:
        assert track.stems.dtype == torch.float32
        assert torch.equal(track.mixture, track.stems.sum(0))
        units = track.stems.double() * 32768
        assert torch.equal(units, units.round())
        assert torch.equal(track.mixture.double() * 32768, units.sum(0))
        assert track.mixture.abs().max() < 0.96


def test_an_excerpt_is_the_same_part_of_the_song(tracks):
    part = tracks[0].excerpt(1.0, 2.0)
    assert torch.equal(part.sources["bass"], tracks[0].sources["bass"][:, 8000:24000])


def test_a_track_travels_to_another_process(tracks):
    again = pickle.loads(pickle.dumps(tracks[0]))
    assert torch.equal(again.sources["drums"], tracks[0].sources["drums"])


def test_songs_are_any_number_and_splits_are_different_songs(root, tracks):
    more = LabSongs("test", n=4, root=root, **KIND)
    assert more[2].score == tracks[2].score
    other = LabSongs("valid", n=1, root=root, **KIND)
    assert other[0].score.notes != tracks[0].score.notes


def test_sizes_of_the_splits():
    assert dataset.SIZES == {"train": 100, "valid": 14, "test": 50}
    assert dataset.STARTER == {"train": 64, "test": 8}


def test_the_starter_set_is_short_and_at_half_rate(root, monkeypatch):
    asked = []
    monkeypatch.setattr(dataset, "render_missing", lambda jobs, *_: asked.extend(jobs))
    for split, count in (("train", 64), ("test", 8)):
        asked.clear()
        assert len(LabSongs.starter(split, root=root, progress=False)) == count
        assert len(asked) == count
        assert {(j["samplerate"], j["duration"], j["split"]) for j in asked} == {
            (22050, 12.0, split)
        }
    with pytest.raises(ValueError, match="train and test"):
        LabSongs.starter("valid")


def test_the_estimate_is_near_the_truth_and_fits_the_promise(root):
    estimate = LabSongs.estimate(samplerate=22050, root=root)
    assert (estimate.songs, estimate.missing) == (164, 164)
    assert 0.3e9 < estimate.bytes < 1e9
    assert estimate.seconds > 0
    assert "164 of 164 songs to render" in str(estimate)


def test_the_estimate_of_what_is_there_is_nothing(root, tracks):
    estimate = LabSongs.estimate("test", 8000, 4.0, n=3, root=root)
    assert (estimate.missing, estimate.bytes, estimate.seconds) == (0, 0, 0)
    assert str(estimate).startswith("all 3 songs are rendered")


def test_the_estimated_size_is_near_the_real_one(root, tracks):
    folders = [path for path in root.rglob("test/[0-9]*") if path.is_dir()]
    real = sum(f.stat().st_size for path in folders for f in path.iterdir()) / len(folders)
    estimate = LabSongs.estimate("train", 8000, 4.0, n=10, root=root / "other")
    assert estimate.bytes / 10 == pytest.approx(real, rel=0.5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"split": "tests"}, "train, valid, test"),
        ({"samplerate": 4000}, "8000 Hz or more"),
        ({"duration": 2.0}, "4 s or more"),
        ({"n": 0}, "one song or more"),
    ],
)
def test_impossible_wishes_are_refused_in_one_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        LabSongs(**arguments)


def test_a_root_that_cannot_be_written_gives_one_sentence(tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    for count in (1, 6):
        with pytest.raises(OSError, match="set DEMUCS_LAB_DATA to a folder") as caught:
            LabSongs("train", n=count, root=blocked, **KIND)
        assert "\n" not in str(caught.value)


def test_a_damaged_file_says_what_to_do(tmp_path):
    tracks = LabSongs("train", n=1, root=tmp_path, **KIND)
    path = next(tmp_path.rglob("bass.flac"))
    path.write_bytes(b"this is no FLAC file")
    with pytest.raises(OSError, match=r"bass\.flac cannot be read"):
        _ = tracks[0].sources["bass"]


def test_a_damaged_score_says_what_to_do(tmp_path):
    tracks = LabSongs("train", n=1, root=tmp_path, **KIND)
    next(tmp_path.rglob("score.json")).write_text("{}")
    with pytest.raises(OSError, match=r"score\.json is not a score"):
        tracks[0]


def test_the_first_songs_are_the_same_with_and_without_a_checkout(data_folder, monkeypatch):
    shipped = first_songs()
    assert len(shipped) == 3
    assert all(track.samplerate == 22050 for track in shipped)
    folder = Path(shipped[0].load.args[0]).parent
    monkeypatch.setattr(dataset, "checkout", lambda: None)
    rendered = first_songs()
    assert Path(rendered[0].load.args[0]).is_relative_to(data_folder)
    assert folder != Path(rendered[0].load.args[0]).parent
    for a, b in zip(shipped, rendered, strict=True):
        assert a.score == b.score
        assert (a.stems - b.stems).abs().max() <= 2 / 32768  # sin and exp differ between machines


def test_the_shipped_songs_are_small():
    folder = Path(dataset.__file__).parents[3] / "data" / "songs"
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= 4e6
