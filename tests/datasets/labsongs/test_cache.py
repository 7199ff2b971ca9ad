"""Songs on disk: whole or absent, whatever happens to the program that writes them."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from demucs_lab.datasets.labsongs import cache as songs
from demucs_lab.datasets.labsongs import compose, render

RATE, SECONDS = 8000, 4.0
OPEN = f"""
import sys
from pathlib import Path
from demucs_lab.datasets.labsongs.cache import song_folder
from demucs_lab.datasets.labsongs.pool import render_missing
kind = dict(split="train", samplerate={RATE}, duration={SECONDS})
root, songs = Path(sys.argv[1]), range(int(sys.argv[2]))
jobs = [dict(kind, folder=song_folder(root, index=i, **kind), index=i) for i in songs]
render_missing(jobs, False, "")
"""
"""What opening LabSongs does, without waiting for torch."""


def _folder(root: Path, index: int = 0) -> Path:
    return songs.song_folder(root, "train", index, RATE, SECONDS)


def _assert_true(folder: Path, index: int) -> None:
    score = compose("train", index, SECONDS)
    assert songs.read_score(folder) == score
    for source, stem in render(score, RATE).items():
        stored, rate = soundfile.read(folder / f"{source}.flac", dtype="int16")
        assert rate == RATE
        np.testing.assert_array_equal(stored.T, stem)


def test_what_is_stored_is_what_was_rendered_bit_for_bit(tmp_path):
    assert songs.ensure_song(_folder(tmp_path), "train", 0, RATE, SECONDS)
    _assert_true(_folder(tmp_path), 0)


def test_a_song_that_is_there_is_not_rendered_again(tmp_path):
    songs.ensure_song(_folder(tmp_path), "train", 0, RATE, SECONDS)
    before = (_folder(tmp_path) / "bass.flac").stat().st_mtime_ns
    assert not songs.ensure_song(_folder(tmp_path), "train", 0, RATE, SECONDS)
    assert (_folder(tmp_path) / "bass.flac").stat().st_mtime_ns == before


def test_a_changed_composer_renders_again(tmp_path, monkeypatch):
    old = _folder(tmp_path)
    monkeypatch.setattr(songs, "VERSION", songs.VERSION + 1)
    assert _folder(tmp_path) != old
    assert f"v{songs.VERSION}" in _folder(tmp_path).parts


def test_a_song_of_which_a_file_was_deleted_is_rendered_again(tmp_path):
    songs.ensure_song(_folder(tmp_path), "train", 0, RATE, SECONDS)
    (_folder(tmp_path) / "vocals.flac").unlink()
    assert songs.ensure_song(_folder(tmp_path), "train", 0, RATE, SECONDS)
    _assert_true(_folder(tmp_path), 0)


def test_nothing_but_the_song_is_left_behind(tmp_path):
    songs.ensure_song(_folder(tmp_path), "train", 0, RATE, SECONDS)
    assert sorted(path.name for path in _folder(tmp_path).parent.iterdir()) == ["0000"]
    assert {path.name for path in _folder(tmp_path).iterdir()} == set(songs.FILES)


def test_a_second_writer_drops_its_copy(tmp_path, monkeypatch):
    """Another program finishes the same song while this one renders it."""
    folder, real = _folder(tmp_path), songs.render

    def slow(score, samplerate):
        stems = real(score, samplerate)
        monkeypatch.setattr(songs, "render", real)
        songs.ensure_song(folder, "train", 0, RATE, SECONDS)
        (folder / "mark").touch()
        return stems

    monkeypatch.setattr(songs, "render", slow)
    songs.save_song(folder, compose("train", 0, SECONDS), RATE)
    assert (folder / "mark").exists()
    assert sorted(path.name for path in folder.parent.iterdir()) == ["0000"]


def test_an_error_while_writing_leaves_nothing(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(songs, "_write", full)
    with pytest.raises(OSError, match="No space left"):
        songs.ensure_song(_folder(tmp_path), "train", 0, RATE, SECONDS)
    assert not list(_folder(tmp_path).parent.iterdir())


def test_half_songs_of_the_dead_are_swept_and_those_of_the_living_are_not(tmp_path):
    dead, alive = tmp_path / ".0001-9-aa.tmp", tmp_path / ".0002-9-bb.tmp"
    for folder in (dead, alive):
        folder.mkdir()
        (folder / "drums.flac").touch()
    long_ago = time.time() - 2 * songs.STALE
    os.utime(dead, (long_ago, long_ago))
    songs.sweep(tmp_path)
    assert not dead.exists()
    assert alive.exists()


def test_two_programs_at_once_share_the_work_and_agree(tmp_path):
    programs = [
        subprocess.Popen([sys.executable, "-c", OPEN, str(tmp_path), "5"], stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for program in programs:
        _, errors = program.communicate(timeout=300)
        assert program.returncode == 0, errors.decode()
    folder = _folder(tmp_path).parent
    assert sorted(path.name for path in folder.iterdir()) == [f"{i:04d}" for i in range(5)]
    for index in range(5):
        _assert_true(_folder(tmp_path, index), index)


def test_a_program_killed_half_way_leaves_whole_songs_only(tmp_path):
    program = subprocess.Popen([sys.executable, "-c", OPEN, str(tmp_path), "40"])
    folder = _folder(tmp_path).parent
    deadline = time.time() + 120
    while time.time() < deadline and not (folder.is_dir() and any(folder.glob("[0-9]*"))):
        time.sleep(0.01)
    program.kill()
    program.wait()
    time.sleep(2.0)  # the workers see the end of their input and stop
    found = sorted(folder.glob("[0-9]*"))
    assert 0 < len(found) < 40
    for path in found:
        assert songs.is_whole(path)
    for path in found[:3]:
        _assert_true(path, int(path.name))
    again = subprocess.run([sys.executable, "-c", OPEN, str(tmp_path), "4"], timeout=300)
    assert again.returncode == 0
    for index in range(4):
        _assert_true(_folder(tmp_path, index), index)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_gives_one_sentence_and_leaves_nothing(tmp_path):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))"
    for count in ("2", "4"):
        done = subprocess.run(
            [sys.executable, "-c", limit + OPEN, str(tmp_path), count],
            capture_output=True,
            text=True,
            timeout=300,
        )
        last = done.stderr.strip().splitlines()[-1]
        assert done.returncode == 1
        assert last.startswith("OSError: LabSongs could not be rendered into ")
        assert "free some space" in last
    time.sleep(0.5)
    assert not list(_folder(tmp_path).parent.glob("[0-9]*"))
