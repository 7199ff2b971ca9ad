import functools
import http.server
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from demucs_lab.audio import SOURCES
from demucs_lab.datasets import MUSDB18
from demucs_lab.datasets import musdb as door

FFMPEG = bool(shutil.which("ffmpeg") and shutil.which("ffprobe"))
NEEDS_FFMPEG = pytest.mark.skipif(
    not FFMPEG, reason="NEEDS FFMPEG: `python -m demucs_lab doctor` says how to install it"
)
RATE = 44100
FILES = ("mixture", *SOURCES)


def noise(seed, frames):
    steps = np.random.default_rng(seed).integers(-6000, 6000, (frames, 2))
    return (steps / 32768).astype(np.float32)


def write_hq(folder, frames=RATE, names=FILES):
    folder.mkdir(parents=True)
    for seed, name in enumerate(names):
        soundfile.write(folder / f"{name}.wav", noise(seed, frames), RATE, subtype="PCM_16")


def write_stem_mp4(path, frames=2 * RATE):
    """What MUSDB18 is made of: one MP4 with five AAC streams, the mixture first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = ["ffmpeg", "-v", "error", "-y"]
    for seed, name in enumerate(FILES):
        wav = path.parent / f"{name}.tmp.wav"
        soundfile.write(wav, noise(seed, frames), RATE)
        command += ["-i", str(wav)]
    for stream in range(len(FILES)):
        command += ["-map", str(stream)]
    subprocess.run([*command, "-c:a", "aac", "-b:a", "128k", str(path)], check=True)
    for wav in path.parent.glob("*.tmp.wav"):
        wav.unlink()


@pytest.fixture(scope="module")
def hq(tmp_path_factory):
    root = tmp_path_factory.mktemp("hq")
    for name in ("B side", "A side"):
        write_hq(root / "test" / name)
    write_hq(root / "train" / "A train song")
    write_hq(root / "train" / "Actions - One Minute Smile")  # one of musdb's validation songs
    return root


@pytest.fixture(scope="module")
def stem_mp4(tmp_path_factory):
    root = tmp_path_factory.mktemp("musdb18")
    write_stem_mp4(root / "train" / "Somebody - Something.stem.mp4")
    return root


@NEEDS_FFMPEG
def test_hq_is_recognised_and_read_exactly(hq):
    songs = MUSDB18(hq)
    assert songs.is_wav
    assert [song.name for song in songs] == ["A side", "B side"]
    assert [song.name for song in songs[:1]] == ["A side"]
    assert "MUSDB18-HQ 'test'" in repr(songs)
    assert "2 songs" in repr(songs)
    song = songs[0]
    assert (song.samplerate, song.frames) == (RATE, RATE)
    for seed, name in enumerate(SOURCES, start=1):
        assert np.array_equal(song.sources[name].T, noise(seed, RATE))
    assert np.array_equal(song.mixture.T, noise(0, RATE))
    part = song.excerpt(0.5, 0.25)
    assert torch.equal(part.stems, song.stems[..., 22050 : 22050 + 11025])
    assert torch.equal(part.mixture, song.mixture[..., 22050 : 22050 + 11025])


@NEEDS_FFMPEG
def test_the_splits_are_those_of_the_musdb_package(hq):
    assert [song.name for song in MUSDB18(hq, "train")] == ["A train song"]
    assert [song.name for song in MUSDB18(hq, "valid")] == ["Actions - One Minute Smile"]


@NEEDS_FFMPEG
@pytest.mark.parametrize("kind", ["hq", "stem_mp4"])
def test_the_samples_are_those_that_musdb_gives(request, kind):
    import musdb

    root = request.getfixturevalue(kind)
    theirs = musdb.DB(root=str(root), is_wav=kind == "hq", subsets=["train"])[0]
    (ours,) = (song for song in MUSDB18(root, "train") if song.name == theirs.name)
    assert ours.frames == len(theirs)
    for name in SOURCES:
        expected = theirs.targets[name].audio[: ours.frames].T.astype(np.float32)
        assert np.array_equal(ours.sources[name], expected)
    assert np.array_equal(ours.mixture, theirs.audio[: ours.frames].T.astype(np.float32))


def assert_excerpts_are_slices(song, count):
    random = np.random.default_rng(0)
    for _ in range(count):
        start = int(random.integers(0, song.frames - 1))
        frames = int(random.integers(1, song.frames - start + 1))
        part = song.excerpt(start / RATE, frames / RATE)
        assert torch.equal(part.sources["other"], song.sources["other"][:, start : start + frames])
        assert torch.equal(part.mixture, song.mixture[:, start : start + frames])


@NEEDS_FFMPEG
def test_an_excerpt_of_an_aac_song_is_the_slice_of_the_whole(stem_mp4):
    songs = MUSDB18(stem_mp4, "train")
    assert not songs.is_wav
    assert_excerpts_are_slices(songs[0], 8)


@pytest.mark.musdb
def test_an_excerpt_of_a_real_song_is_the_slice_of_the_whole(musdb_root):
    song = next(MUSDB18(musdb_root, split)[0] for split in ("train", "test"))
    assert_excerpts_are_slices(song.excerpt(0, min(6, song.duration)), 8)


@pytest.mark.musdb
def test_the_mixture_of_a_real_song_is_close_to_the_sum_of_its_stems(musdb_root, monkeypatch):
    monkeypatch.setenv("MUSDB_PATH", str(musdb_root))
    song = MUSDB18(split="train")[0].excerpt(0, 5)
    noise = song.mixture - song.stems.sum(0)
    assert 0 < noise.square().sum() < 0.01 * song.mixture.square().sum()


@NEEDS_FFMPEG
def test_a_damaged_stem_file_is_an_error_in_one_sentence(tmp_path):
    path = tmp_path / "test" / "x.stem.mp4"
    write_stem_mp4(path)
    song = MUSDB18(tmp_path)[0]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises((ValueError, Warning)) as error:
        _ = song.stems
    assert "x.stem.mp4" in str(error.value)


@NEEDS_FFMPEG
def test_an_hq_song_without_a_stem_or_with_a_shorter_one_is_refused(tmp_path):
    write_hq(tmp_path / "no bass" / "test" / "x", names=("mixture", "drums", "other", "vocals"))
    with pytest.raises(FileNotFoundError, match=r"'x' of MUSDB18-HQ has no bass\.wav"):
        MUSDB18(tmp_path / "no bass")
    write_hq(tmp_path / "short" / "test" / "x")
    soundfile.write(tmp_path / "short" / "test" / "x" / "bass.wav", noise(2, 100), RATE)
    with pytest.raises(ValueError, match="'x' differ in length or rate"):
        MUSDB18(tmp_path / "short")


@NEEDS_FFMPEG
def test_where_there_are_no_songs_the_message_says_what_to_set(
    data_folder, tmp_path, monkeypatch, stem_mp4
):
    with pytest.raises(FileNotFoundError, match="set MUSDB_PATH to the folder"):
        MUSDB18()
    with pytest.raises(FileNotFoundError, match=r"the folder given is .*no songs of MUSDB18"):
        MUSDB18(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"say MUSDB18\(split='train'\)"):
        MUSDB18("train")
    monkeypatch.setenv("MUSDB_PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"MUSDB_PATH is .*no songs of MUSDB18"):
        MUSDB18()
    with pytest.raises(FileNotFoundError, match="1 songs in train and 0 in test"):
        MUSDB18(stem_mp4)
    with pytest.raises(ValueError, match="train, valid, test, got 'dev'"):
        MUSDB18(stem_mp4, "dev")


def test_without_ffmpeg_the_message_has_the_commands(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match=r"apt-get install ffmpeg.*brew.*conda.*StemsFolder"):
        MUSDB18()


@NEEDS_FFMPEG
def test_without_musdb_the_message_has_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "musdb", None)
    with pytest.raises(ImportError, match="python -m pip install musdb"):
        MUSDB18()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A web server on this machine, in the place of the one that musdb downloads from."""
    import musdb

    folder = tmp_path / "web"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{web.server_address[1]}/sample.zip"
        load = musdb.yaml.safe_load
        monkeypatch.setattr(musdb.yaml, "safe_load", lambda file: load(file) | {"sample-url": url})
        yield folder
        web.shutdown()
        thread.join()


@NEEDS_FFMPEG
def test_the_sample_is_downloaded_once_and_found_again(server, data_folder, stem_mp4):
    (song,) = (stem_mp4 / "train").iterdir()
    with zipfile.ZipFile(server / "sample.zip", "w") as archive:
        archive.write(song, f"train/{song.name}")
        archive.write(song, f"test/{song.name}")
    assert len(MUSDB18(download=True)) == 1
    (server / "sample.zip").unlink()
    assert len(MUSDB18(download=True)) == 1
    assert len(MUSDB18(split="train")) == 1
    assert door.sample_dir() == data_folder / "musdb18"
    assert [path.name for path in data_folder.iterdir()] == ["musdb18"]


@NEEDS_FFMPEG
@pytest.mark.parametrize("answer", ["nothing", "not a zip file", "half a zip file"])
def test_a_failed_download_is_one_sentence_and_leaves_nothing(
    server, data_folder, answer, stem_mp4
):
    if answer != "nothing":
        (server / "sample.zip").write_bytes(b"<html>please log in</html>" * 100)
    if answer == "half a zip file":
        with zipfile.ZipFile(server / "sample.zip", "w") as archive:
            archive.write(next((stem_mp4 / "train").iterdir()), "train/a.stem.mp4")
        whole = (server / "sample.zip").read_bytes()
        (server / "sample.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConnectionError, match=r"could not be downloaded .*MUSDB_PATH"):
        MUSDB18(download=True)
    assert list(data_folder.iterdir()) == []


@NEEDS_FFMPEG
def test_a_download_does_not_write_into_somebody_elses_folder(server, data_folder):
    theirs = Path(data_folder, "musdb18", "thesis.txt")
    theirs.parent.mkdir(parents=True)
    theirs.write_text("chapter 1")
    with pytest.raises(FileExistsError, match="not empty"):
        MUSDB18(download=True)
    assert theirs.read_text() == "chapter 1"
