import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from demucs_lab import cli, datasets
from demucs_lab.cli import doctor
from demucs_lab.datasets import StemsFolder, Track
from demucs_lab.datasets.labsongs.dataset import SIZES, Estimate

RATE = 8000


class Songs(list):
    """Stands in for LabSongs: notes what was asked for and gives short noises."""

    asked: list
    missing: int

    def __init__(self, split, samplerate=44100, duration=30.0, n=None):
        self.asked.append((split, samplerate, duration, n))
        frames = round(samplerate * duration)
        super().__init__(
            Track(
                f"{split} {number}",
                samplerate,
                frames,
                lambda source, start, count: 0.1 * torch.ones(2, count),
            )
            for number in range(n or 3)  # enough for a test
        )

    @staticmethod
    def estimate(splits, samplerate, duration, n):
        songs = sum(n or SIZES[split] for split in splits)
        return Estimate(songs, Songs.missing, 200.0, 900_000_000, Path("cache"))

    @classmethod
    def starter(cls, split):
        return cls(split, 22050, 12.0, 64 if split == "train" else 8)


@pytest.fixture
def asked(monkeypatch, data_folder):
    Songs.asked, Songs.missing = [], 7
    monkeypatch.setattr(datasets, "LabSongs", Songs, raising=False)
    return Songs.asked


@pytest.fixture
def full_disk(monkeypatch):
    monkeypatch.setattr(
        cli.songs.shutil,
        "disk_usage",
        lambda folder: SimpleNamespace(free=1_000_000, total=0, used=0),
    )


def sentence(capsys):
    """What was printed as an error: one line."""
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "Traceback" not in lines[0]
    return lines[0]


def test_fetch_starter_renders_both_starter_sets(asked, capsys):
    assert cli.main(["fetch", "starter"]) == 0
    assert [split for split, *_ in asked] == ["train", "test"]
    assert "72 starter songs are ready" in capsys.readouterr().out


def test_fetch_labsongs_says_time_and_space_before_it_starts(asked, capsys):
    assert cli.main(["fetch", "labsongs", "--samplerate", "22050", "--yes"]) == 0
    assert asked == [(split, 22050, 30.0, None) for split in ("train", "valid", "test")]
    said = capsys.readouterr().out
    assert "at 22050 Hz: 7 of 164 songs to render: about 3.3 min and 900 MB in cache" in said


def test_fetch_labsongs_has_nothing_to_do_a_second_time(asked, capsys):
    Songs.missing = 0
    assert cli.main(["fetch", "labsongs"]) == 0
    assert asked == []
    assert "all 164 songs are rendered" in capsys.readouterr().out


def test_fetch_labsongs_takes_one_split_and_fewer_songs(asked):
    arguments = ["--split", "test", "--songs", "2", "--duration", "1.5", "--yes"]
    assert cli.main(["fetch", "labsongs", *arguments]) == 0
    assert asked == [("test", 44100, 1.5, 2)]


@pytest.mark.parametrize(
    ("answer", "renders"), [("", True), ("y", True), ("N", False), ("x", False)]
)
def test_fetch_labsongs_asks_first(asked, monkeypatch, answer, renders):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", lambda prompt: answer)
    assert cli.main(["fetch", "labsongs"]) == 0
    assert bool(asked) == renders


def test_fetch_labsongs_asks_nobody_when_nobody_is_there(asked, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False))
    assert cli.main(["fetch", "labsongs"]) == 2
    assert "--yes" in sentence(capsys)
    assert asked == []


@pytest.mark.parametrize(
    "command", [["fetch", "starter"], ["fetch", "labsongs", "--yes"], ["export", "labsongs", "x"]]
)
def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(
    asked, full_disk, capsys, command
):
    assert cli.main(command) == 2
    assert "has 1 MB free, but up to" in sentence(capsys)
    assert asked == []


def test_starter_songs_that_are_there_need_no_room(asked, full_disk, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "_starter_songs", lambda: 72)
    assert cli.main(["fetch", "starter"]) == 0
    assert "72 starter songs are ready" in capsys.readouterr().out


def test_export_writes_songs_that_other_programs_read(asked, tmp_path, capsys):
    folder = tmp_path / "out"
    options = ["--samplerate", str(RATE), "--duration", "0.5", "--songs", "2"]
    assert cli.main(["export", "labsongs", str(folder), *options]) == 0
    assert asked == [(split, RATE, 0.5, 2) for split in SIZES]
    assert f'StemsFolder("{folder / "valid"}")' in capsys.readouterr().out
    for split in SIZES:
        tracks = StemsFolder(folder / split)
        assert [track.name for track in tracks] == [f"{split} 0", f"{split} 1"]
        assert np.allclose(tracks[0].mixture, 0.4, atol=1e-3)


def test_the_size_of_an_export_is_what_it_takes(asked, tmp_path, capsys):
    options = ["--split", "test", "--duration", "10", "--songs", "3"]
    assert cli.main(["export", "labsongs", str(tmp_path), *options]) == 0
    said = int(capsys.readouterr().out.split(" take ")[1].split(" MB")[0])
    written = sum(file.stat().st_size for file in tmp_path.rglob("*.wav"))
    assert said == pytest.approx(written / 1e6, rel=0.05)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["fetch"],
        ["fetch", "everything"],
        ["fetch", "labsongs", "--duration", "-3"],
        ["fetch", "labsongs", "--samplerate", "high"],
        ["export", "labsongs"],
        ["export", "musdb", "here"],
    ],
)
def test_a_mistake_on_the_command_line_is_one_sentence(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert left.value.code == 2
    assert "--help" in sentence(capsys)


def test_an_error_is_one_sentence_unless_asked_otherwise(asked, monkeypatch, capsys):
    def fail(split):
        raise OSError("the disk went away")

    monkeypatch.setattr(Songs, "starter", fail)
    assert cli.main(["fetch", "starter"]) == 2
    assert "the disk went away" in sentence(capsys)
    monkeypatch.setenv("DEMUCS_LAB_DEBUG", "1")
    with pytest.raises(OSError, match="went away"):
        cli.main(["fetch", "starter"])


def test_fetch_musdb_sample_offline_is_one_sentence(data_folder, monkeypatch, capsys):
    from demucs_lab.datasets import musdb as door

    def refuse(path):
        raise ConnectionError("the 7-second sample of MUSDB18 could not be downloaded (no route)")

    monkeypatch.setattr(door, "_download_sample", refuse)
    assert cli.main(["fetch", "musdb-sample"]) == 2
    assert "could not be downloaded" in sentence(capsys)


def test_control_c_ends_quietly(asked, monkeypatch, capsys):
    def interrupted(split):
        raise KeyboardInterrupt

    monkeypatch.setattr(Songs, "starter", interrupted)
    assert cli.main(["fetch", "starter"]) == 130
    assert sentence(capsys) == "stopped"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT between processes")
def test_control_c_ends_the_program_quietly():
    program = (
        "import sys, time\n"
        "from demucs_lab import cli\n"
        "from demucs_lab.cli import doctor\n"
        "def wait():\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
        "doctor.main = wait\n"
        "sys.exit(cli.main(['doctor']))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout.readline() == "ready\n"
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=30)
    assert running.returncode == 130
    assert errors == "stopped\n"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise on Windows")
def test_a_reader_that_has_seen_enough_is_no_error(data_folder):
    command = [sys.executable, "-m", "demucs_lab", "doctor"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 0


def test_the_module_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "demucs_lab", "--help"], capture_output=True, text=True, check=True
    )
    for command in ("doctor", "fetch", "export"):
        assert command in done.stdout


def test_a_console_without_unicode_still_shows_a_path(data_folder, monkeypatch):
    command = [sys.executable, "-m", "demucs_lab", "doctor"]
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    monkeypatch.setenv("DEMUCS_LAB_DATA", str(data_folder / "Müsik"))
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    assert b"M?sik" in done.stdout
    assert done.returncode == 0


def test_a_real_song_is_rendered_and_exported(data_folder, tmp_path):
    options = ["--split", "test", "--samplerate", "8000", "--duration", "4", "--songs", "1"]
    assert cli.main(["fetch", "labsongs", *options, "--yes"]) == 0
    rendered = datasets.LabSongs("test", 8000, 4, 1)[0]
    assert cli.main(["export", "labsongs", str(tmp_path), *options]) == 0
    exported = StemsFolder(tmp_path / "test")[0]
    assert exported.name == rendered.name
    assert torch.equal(exported.stems, rendered.stems)
    assert torch.equal(exported.mixture, rendered.mixture)
