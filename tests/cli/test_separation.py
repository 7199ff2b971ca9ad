"""`python -m demucs_lab separate` and `evaluate`."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from separators import RATE, Shares, noise, song_file, stems_of

from demucs_lab import audio, cli


@pytest.fixture
def song(tmp_path):
    return song_file(tmp_path)


@pytest.fixture
def pretrained(monkeypatch):
    from demucs_lab import pretrained

    monkeypatch.setattr(pretrained, "load", lambda name: Shares())


def test_the_command_separates_songs(song, tmp_path, pretrained, capsys):
    shutil.copy(song, tmp_path / "other.wav")
    out = tmp_path / "out"
    arguments = [str(song), str(tmp_path / "other.wav"), "--out", str(out), "--model", "nice"]
    assert cli.main(["separate", *arguments, "--two-stems", "vocals", "--flac"]) == 0
    for name in ("song", "other"):
        wavs = stems_of(
            {stem: out / "nice" / name / f"{stem}.flac" for stem in ("vocals", "no_vocals")}
        )
        assert torch.allclose(wavs.sum(0), noise(), atol=1e-4)
    assert "no_vocals.flac" in capsys.readouterr().out


def test_the_command_says_that_there_is_nothing_to_do(song, tmp_path, pretrained, capsys):
    arguments = ["separate", str(song), "--out", str(tmp_path / "out")]
    assert cli.main(arguments) == 0
    assert "nothing to do" not in capsys.readouterr().out
    assert cli.main(arguments) == 0
    assert "(nothing to do: separated before)" in capsys.readouterr().out


def test_a_warning_is_a_sentence_without_its_place_in_the_code(song, tmp_path):
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1] / "helpers")!r})
from separators import Shares
from demucs_lab import pretrained
from demucs_lab import cli
pretrained.load = lambda name: Shares()
for overlap in ("0.25", "0.5"):
    cli.main(["separate", {str(song)!r}, "--out", {str(tmp_path / "out")!r}, "--overlap", overlap])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    (line,) = [line for line in done.stderr.splitlines() if "are replaced" in line]
    assert line.startswith("demucs-lab: drums.wav, bass.wav, other.wav, vocals.wav in ")
    assert "cli/separation.py" not in done.stderr


@pytest.mark.parametrize(("given", "batch"), [([], 4), (["--batch", "2"], 2)])
def test_the_command_computes_as_many_segments_at_once_as_asked(
    song, tmp_path, monkeypatch, given, batch
):
    from demucs_lab import pretrained

    class Counted(Shares):
        cpu_batch, most = 4, 0

        def forward(self, mix):
            self.most = max(self.most, len(mix))
            return super().forward(mix)

    model = Counted(segment=0.5)
    monkeypatch.setattr(pretrained, "load", lambda name: model)
    assert cli.main(["separate", str(song), "--out", str(tmp_path / "out"), *given]) == 0
    assert model.most == batch


def test_one_bad_song_does_not_stop_the_others(song, tmp_path, pretrained, capsys):
    arguments = [str(tmp_path / "gone.wav"), str(song), "--out", str(tmp_path / "out")]
    assert cli.main(["separate", *arguments]) == 2
    assert "there is no file" in capsys.readouterr().err
    assert (tmp_path / "out" / "htdemucs" / "song" / "drums.wav").exists()


def test_namesakes_are_refused(song, tmp_path, pretrained, capsys):
    assert cli.main(["separate", str(song), str(tmp_path / "song.mp3")]) == 2
    assert "two songs are named 'song'" in capsys.readouterr().err


def test_stems_of_two_runs_go_to_two_folders(song, tmp_path, pretrained):
    for run in ("one", "two"):
        (tmp_path / run).mkdir()
        model = str(tmp_path / run / "model.safetensors")
        assert cli.main(["separate", str(song), "--out", str(tmp_path), "--model", model]) == 0
        assert (tmp_path / run / "song" / "bass.wav").is_file()


def test_evaluate_holds_one_song_at_a_time(pretrained, monkeypatch, capsys):
    from demucs_lab import datasets
    from demucs_lab.datasets import Track

    def load(name, start, frames):
        return noise(2.0)[:, start : start + frames]

    tracks = [Track(name, RATE, 2 * RATE, load) for name in ("a", "b")]
    monkeypatch.setattr(datasets, "open", lambda *_: tracks, raising=False)
    assert cli.main(["evaluate", "labsongs", "--quick"]) == 0
    assert "2 songs" in capsys.readouterr().out
    assert not {"mixture", "sources"} & {name for track in tracks for name in vars(track)}


def test_evaluate_prints_a_report(tmp_path, pretrained, capsys):
    for name in ("first", "second"):
        for share, stem in zip((0.5, 0.3, 0.15, 0.05), audio.SOURCES, strict=True):
            path = tmp_path / name / f"{stem}.wav"
            path.parent.mkdir(exist_ok=True)
            audio.save_audio(path, share * noise(), RATE, bits=32)
    assert cli.main(["evaluate", str(tmp_path), "--quick", "--first", "1"]) == 0
    said = capsys.readouterr().out
    assert "1 song" in said
    assert "nSDR" in said


@pytest.mark.parametrize(("given", "rate"), [([], RATE), (["--samplerate", "8000"], 8000)])
def test_labsongs_are_rendered_at_the_rate_of_the_model(given, rate, pretrained, monkeypatch):
    from demucs_lab import datasets

    asked = []

    def labsongs(split, samplerate, n):
        asked.append((split, samplerate, n))
        raise KeyboardInterrupt

    monkeypatch.setattr(datasets, "LabSongs", labsongs, raising=False)
    assert cli.main(["evaluate", "labsongs", "--first", "2", *given]) == 130
    assert asked == [("test", rate, 2)]


def test_of_a_folder_every_song_in_it_is_separated(tmp_path, pretrained, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("b.flac", "a.wav", ".hidden.wav"):
        audio.save_audio(folder / name, noise(1), RATE)
    (folder / "notes.txt").write_text("none")
    (folder / "below").mkdir()
    out = ["--out", str(tmp_path / "out")]
    assert cli.main(["separate", str(folder), *out]) == 0
    assert sorted(path.name for path in (tmp_path / "out" / "htdemucs").iterdir()) == ["a", "b"]
    assert cli.main(["separate", str(folder / "below"), *out]) == 2
    assert "is a folder with no sound files in it" in capsys.readouterr().err


def test_five_one_is_mixed_down_when_asked(tmp_path, pretrained, capsys):
    film = tmp_path / "film.wav"
    audio.save_audio(film, noise(1, channels=6), RATE)
    out = ["--out", str(tmp_path / "out")]
    assert cli.main(["separate", str(film), *out]) == 2
    assert "--mix-down" in capsys.readouterr().err
    assert cli.main(["separate", str(film), "--mix-down", *out]) == 0
    stem, _ = audio.load_audio(tmp_path / "out" / "htdemucs" / "film" / "bass.wav")
    assert stem.shape == (2, RATE)
