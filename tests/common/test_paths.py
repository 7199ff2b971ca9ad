import stat
import sys
import threading
from pathlib import Path

import pytest

from demucs_lab.common import paths
from demucs_lab.common.paths import atomic_path, cache_dir, checkout, data_dir


def test_the_environment_variable_wins(monkeypatch, tmp_path):
    monkeypatch.setenv("DEMUCS_LAB_DATA", str(tmp_path))
    assert data_dir() == tmp_path
    assert cache_dir() == tmp_path / "cache"


def test_a_tilde_in_the_environment_variable_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("DEMUCS_LAB_DATA", "~/songs")
    assert data_dir() == Path.home() / "songs"


def test_a_checkout_keeps_its_data_beside_the_code(monkeypatch):
    monkeypatch.delenv("DEMUCS_LAB_DATA", raising=False)
    root = checkout()
    assert root is not None
    assert (root / "demucs_lab" / "common" / "paths.py").samefile(paths.__file__)
    assert data_dir() == root / "data"


@pytest.mark.skipif(sys.platform == "win32", reason="sets HOME as Unix knows it")
@pytest.mark.parametrize(
    ("system", "variable", "below"),
    [
        ("linux", "XDG_CACHE_HOME", "demucs_lab"),
        ("linux", "HOME", ".cache/demucs_lab"),
        ("win32", "LOCALAPPDATA", "demucs_lab"),
        ("darwin", "HOME", "Library/Caches/demucs_lab"),
    ],
)
def test_an_installed_package_uses_the_cache_of_the_system(
    monkeypatch, tmp_path, system, variable, below
):
    for name in ("DEMUCS_LAB_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(paths, "checkout", lambda: None)
    monkeypatch.setattr(paths.sys, "platform", system)
    monkeypatch.setenv(variable, str(tmp_path))
    assert data_dir() == tmp_path / below


def test_an_interrupted_write_keeps_the_old_file_and_leaves_nothing_else(tmp_path):
    target = tmp_path / "song.flac"
    target.write_text("old")

    def write_half():
        with atomic_path(target) as beside:
            beside.write_text("hal")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_temporary_name_keeps_the_ending_and_the_folder(tmp_path):
    with atomic_path(tmp_path / "new" / "song.flac") as beside:
        assert beside.suffix == ".flac"
        assert beside.parent == tmp_path / "new"


def test_many_writers_at_once_leave_one_whole_file(tmp_path):
    target = tmp_path / "song.bin"

    def write(letter):
        for _ in range(5):
            with atomic_path(target) as beside:
                beside.write_text(letter * 10_000)

    writers = [threading.Thread(target=write, args=(letter,)) for letter in "abcd"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    text = target.read_text()
    assert text in {letter * 10_000 for letter in "abcd"}
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permission bits")
def test_others_may_read_what_the_umask_lets_them(tmp_path):
    target, plain = tmp_path / "a", tmp_path / "b"
    with atomic_path(target) as beside:
        beside.write_text("x")
    plain.write_text("x")
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
