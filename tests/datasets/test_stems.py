import shutil
import subprocess

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demucs_lab.audio import SOURCES
from demucs_lab.datasets import StemsFolder

RATE, FRAMES = 8000, 6000
NEEDS_FFMPEG = pytest.mark.skipif(
    not (shutil.which("ffmpeg") and shutil.which("ffprobe")),
    reason="NEEDS FFMPEG: `python -m demucs_lab doctor` says how to install it",
)


def noise(seed, frames=FRAMES, channels=2):
    """16-bit samples: what a WAV or FLAC file gives back exactly, `[C, T]`."""
    steps = np.random.default_rng(seed).integers(-8000, 8000, (channels, frames))
    return (steps / 32768).astype(np.float32)


def write_song(folder, ending="wav", frames=FRAMES, samplerate=RATE, channels=2):
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(SOURCES):
        wav = noise(seed, frames, channels)
        soundfile.write(folder / f"{name}.{ending}", wav.T, samplerate)
    return folder


@pytest.fixture
def song(tmp_path):
    return write_song(tmp_path / "A song")


@pytest.mark.parametrize("ending", ["wav", "flac", "aiff"])
def test_a_song_folder_is_one_track_in_the_fixed_order(tmp_path, ending):
    tracks = StemsFolder(write_song(tmp_path / "A song", ending))
    assert len(tracks) == 1
    track = tracks[0]
    assert (track.name, track.samplerate, track.frames) == ("A song", RATE, FRAMES)
    assert np.array_equal(track.stems, np.stack([noise(seed) for seed in range(4)]))
    assert torch.equal(track.mixture, track.stems.sum(0))


def test_one_split_of_a_folder_that_is_divided(tmp_path):
    for split, name in (("train", "a"), ("test", "b")):
        write_song(tmp_path / split / name)
    assert [track.name for track in StemsFolder(tmp_path)] == ["a", "b"]
    assert [track.name for track in StemsFolder(tmp_path, "test")] == ["b"]
    assert [track.name for track in StemsFolder(tmp_path / "test", "valid")] == ["b"]
    with pytest.raises(ValueError, match="holds songs in train and test, but none in valid"):
        StemsFolder(tmp_path, "valid")


def test_a_folder_of_songs_is_sorted_and_sliceable(tmp_path):
    for name in ("c", "a", "b"):
        write_song(tmp_path / name)
    (tmp_path / "notes").mkdir()
    (tmp_path / "readme.txt").write_text("not a song")
    tracks = StemsFolder(tmp_path)
    assert [track.name for track in tracks] == ["a", "b", "c"]
    assert [track.name for track in tracks[1:]] == ["b", "c"]
    assert tracks[-1].name == "c"
    assert "3 songs" in repr(tracks)
    with pytest.raises(IndexError):
        tracks[3]


def test_the_layout_of_musdb_hq_is_understood(tmp_path):
    write_song(tmp_path / "train" / "one")
    write_song(tmp_path / "test" / "two")
    assert [track.name for track in StemsFolder(tmp_path)] == ["one", "two"]
    assert [track.name for track in StemsFolder(tmp_path / "test")] == ["two"]


def test_a_mixture_file_is_the_mixture(song):
    own = noise(99)
    soundfile.write(song / "mixture.wav", own.T, RATE)
    track = StemsFolder(song)[0]
    assert np.array_equal(track.mixture, own)
    assert np.array_equal(track.excerpt(0.25, 0.5).mixture, own[:, 2000:6000])


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "ogg"])
@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_an_excerpt_is_the_slice_of_the_whole(tmp_path_factory, ending, data):
    folder = tmp_path_factory.getbasetemp() / f"sliced-{ending}"
    if not folder.exists():
        write_song(folder, ending, frames=40_000, samplerate=16_000)
    track = StemsFolder(folder)[0]
    start = data.draw(st.integers(0, track.frames - 1))
    count = data.draw(st.integers(1, track.frames - start))
    part = track.excerpt(start / 16_000, count / 16_000)
    assert torch.equal(part.stems, track.stems[..., start : start + count])


def test_only_the_part_is_read(song, monkeypatch):
    asked = []
    read = soundfile.read
    monkeypatch.setattr(
        soundfile, "read", lambda *args, **kwargs: asked.append(kwargs) or read(*args, **kwargs)
    )
    StemsFolder(song)[0].excerpt(0.1, 0.2).sources["bass"]
    assert [(call["start"], call["frames"]) for call in asked] == [(800, 1600)]


@NEEDS_FFMPEG
def test_a_format_that_needs_ffmpeg_is_decoded_whole_and_cut_exactly(tmp_path):
    song = write_song(tmp_path / "song", samplerate=44100, frames=44100)
    for name in SOURCES:
        wav = song / f"{name}.wav"
        command = [
            "ffmpeg",
            "-v",
            "error",
            "-i",
            str(wav),
            "-c:a",
            "aac",
            str(song / f"{name}.m4a"),
        ]
        subprocess.run(command, check=True)
        wav.unlink()
    track = StemsFolder(song)[0]
    part = track.excerpt(0.3, 0.4)
    assert torch.equal(part.stems, track.stems[..., 13230 : 13230 + 17640])


def test_mono_stems_are_heard_on_both_sides(tmp_path):
    track = StemsFolder(write_song(tmp_path / "mono", channels=1))[0]
    assert track.stems.shape == (4, 2, FRAMES)
    assert torch.equal(track.stems[:, 0], track.stems[:, 1])


def test_endings_and_names_may_be_capitals_and_hidden_files_do_not_count(song):
    (song / "bass.wav").rename(song / "Bass.WAV")
    (song / "._drums.wav").write_bytes(b"what macOS leaves on a USB stick")
    assert len(StemsFolder(song)) == 1


def test_a_missing_stem_is_named(song):
    (song / "bass.wav").unlink()
    (song / "vocals.wav").unlink()
    with pytest.raises(ValueError, match="'A song' has no bass and no vocals"):
        StemsFolder(song)


def test_two_files_for_one_stem_are_refused(song):
    soundfile.write(song / "bass.flac", noise(1).T, RATE)
    with pytest.raises(ValueError, match=r"both bass.flac and bass.wav"):
        StemsFolder(song)


@pytest.mark.parametrize("name", ["vocals", "mixture"])
def test_unequal_lengths_are_named_with_both_figures(song, name):
    soundfile.write(song / f"{name}.wav", noise(3, FRAMES - 1).T, RATE)
    with pytest.raises(ValueError, match=rf"6000 samples in drums.wav but 5999 in {name}.wav"):
        StemsFolder(song)


def test_unequal_rates_are_named_with_both_figures(song):
    soundfile.write(song / "other.wav", noise(3).T, 2 * RATE)
    with pytest.raises(ValueError, match=r"drums.wav at 8000 Hz but other.wav at 16000 Hz"):
        StemsFolder(song)


def test_surround_is_refused(song):
    soundfile.write(song / "other.wav", noise(3, channels=6).T, RATE)
    with pytest.raises(ValueError, match="6 channels"):
        StemsFolder(song)


def test_a_file_cut_short_after_it_was_opened_is_an_error(song):
    track = StemsFolder(song)[0]
    soundfile.write(song / "bass.wav", noise(1, 100).T, RATE)
    with pytest.raises(ValueError, match="cut short"):
        _ = track.stems


def test_what_is_no_folder_of_songs_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        StemsFolder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="found no songs in"):
        StemsFolder(tmp_path)
    (tmp_path / "drums.wav").write_bytes(b"")
    with pytest.raises(NotADirectoryError, match="is a file"):
        StemsFolder(tmp_path / "drums.wav")
