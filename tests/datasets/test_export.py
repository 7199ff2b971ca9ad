import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from demucs_lab.audio import SOURCES
from demucs_lab.datasets import MUSDB18, StemsFolder, Track, export_musdb

RATE, FRAMES = 44100, 20_000
NEEDS_FFMPEG = pytest.mark.skipif(
    not (shutil.which("ffmpeg") and shutil.which("ffprobe")),
    reason="NEEDS FFMPEG: `python -m demucs_lab doctor` says how to install it",
)


def make_track(name="A song", level=0.1, own_mixture=False):
    generator = torch.Generator().manual_seed(len(name))
    song = {
        source: level * (2 * torch.rand(2, FRAMES, generator=generator) - 1) for source in SOURCES
    }
    mixture = sum(song.values()) * 0.9
    return Track(
        name,
        RATE,
        FRAMES,
        lambda source, start, frames: song[source][:, start : start + frames],
        (lambda start, frames: mixture[:, start : start + frames]) if own_mixture else None,
    )


def read(path):
    wav, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE
    return wav.T.astype(int)


@NEEDS_FFMPEG
def test_musdb_reads_what_is_exported(tmp_path):
    import musdb

    tracks = [make_track("one"), make_track("two, longer")]
    assert export_musdb(tracks, tmp_path, progress=False) == tmp_path / "test"
    export_musdb(tracks[:1], tmp_path, "train", progress=False)
    database = musdb.DB(root=str(tmp_path), is_wav=True, subsets="test")
    assert [song.name for song in database] == ["one", "two, longer"]
    for theirs, ours in zip(database, tracks, strict=True):
        assert (theirs.rate, len(theirs)) == (RATE, FRAMES)
        assert np.allclose(theirs.audio.T, ours.mixture, atol=2.5 / 32768)
        for source in SOURCES:
            assert np.allclose(theirs.targets[source].audio.T, ours.sources[source], atol=1 / 32768)
    assert [song.name for song in MUSDB18(tmp_path, "train")] == ["one"]


def test_the_files_add_up_exactly(tmp_path):
    folder = export_musdb([make_track()], tmp_path, progress=False) / "A song"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"{name}.wav" for name in ("mixture", *SOURCES)
    )
    assert np.array_equal(
        read(folder / "mixture.wav"), sum(read(folder / f"{name}.wav") for name in SOURCES)
    )


def test_a_mixture_of_its_own_is_kept(tmp_path):
    track = make_track(own_mixture=True)
    export_musdb([track], tmp_path, progress=False)
    back = StemsFolder(tmp_path)[0]
    assert torch.allclose(back.mixture, track.mixture, atol=1 / 32768)
    assert not torch.allclose(back.mixture, back.stems.sum(0), atol=0.001)


def test_a_song_that_would_clip_is_turned_down_as_a_whole(tmp_path):
    track = make_track(level=0.9)
    with pytest.warns(UserWarning, match="'A song' exceeds full scale"):
        export_musdb([track], tmp_path, progress=False)
    back = StemsFolder(tmp_path)[0]
    gain = float(back.mixture.norm() / track.mixture.norm())
    assert gain < 0.9
    assert torch.allclose(back.stems, track.stems * gain, atol=0.001)
    assert torch.allclose(back.mixture, back.stems.sum(0), atol=1e-6)


def test_an_interrupted_song_leaves_nothing_and_an_old_one_stays(tmp_path):
    export_musdb([make_track()], tmp_path, progress=False)
    before = read(tmp_path / "test" / "A song" / "bass.wav")

    def stop(source, start, frames):
        raise KeyboardInterrupt

    for name in ("A song", "B song"):
        with pytest.raises(KeyboardInterrupt):
            export_musdb([Track(name, RATE, FRAMES, stop)], tmp_path, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["test"]
    assert [path.name for path in (tmp_path / "test").iterdir()] == ["A song"]
    assert np.array_equal(read(tmp_path / "test" / "A song" / "bass.wav"), before)


def test_exporting_again_replaces_the_song(tmp_path):
    export_musdb([make_track(level=0.1)], tmp_path, progress=False)
    track = make_track(level=0.05)
    export_musdb([track], tmp_path, progress=False)
    assert torch.allclose(StemsFolder(tmp_path)[0].stems, track.stems, atol=1 / 32768)


def test_names_that_no_file_system_takes_are_changed_and_twins_refused(tmp_path):
    export_musdb([make_track("AC/DC: live?")], tmp_path, progress=False)
    assert (tmp_path / "test" / "AC_DC_ live_").is_dir()
    with pytest.raises(ValueError, match="two songs are named"):
        export_musdb([make_track("a:b"), make_track("A/b")], tmp_path, progress=False)


def test_silence_stays_silence(tmp_path):
    export_musdb([make_track(level=0.0)], tmp_path, progress=False)
    assert StemsFolder(tmp_path)[0].mixture.abs().max() == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
@pytest.mark.parametrize("moment", ["writing", "old aside", "new in place"])
def test_a_kill_leaves_whole_songs_and_the_next_export_tidies(tmp_path, moment):
    export_musdb([make_track("song")], tmp_path, progress=False)
    old = read(tmp_path / "test" / "song" / "drums.wav")
    program = f"""
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{str(Path(__file__).parent)!r}]
from test_export import make_track
from demucs_lab.datasets import export, export_musdb

def die():
    os.kill(os.getpid(), signal.SIGKILL)

rename, renames = Path.rename, []
def counted(path, target):
    found = rename(path, target)
    if Path(target).name == "song":
        renames.append(target)
        if len(renames) == {["writing", "old aside", "new in place"].index(moment)}:
            die()
    return found
Path.rename = counted
if {moment == "writing"}:
    save = export.save_audio
    def half(path, *arguments, **options):
        save(path, *arguments, **options)
        if path.name == "bass.wav":
            die()
    export.save_audio = half
export_musdb([make_track("song", level=0.2)], {str(tmp_path)!r}, progress=False)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    folder = tmp_path / "test" / "song"
    assert not folder.exists() or len(list(folder.iterdir())) == 5
    export_musdb([make_track("other")], tmp_path, progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["test"]
    assert len(list(folder.iterdir())) == 5
    assert np.array_equal(read(folder / "drums.wav"), old) == (moment != "new in place")
