"""Sound files read, resampled and looked at block by block are the whole files."""

import subprocess

import pytest
import torch
from separators import RATE, noise

from demucs_lab import audio
from demucs_lab.audio.stream import SoundBlocks, Window, resampled

needs_ffmpeg = pytest.mark.skipif(
    not audio.have_ffmpeg(), reason="NEEDS FFMPEG: `python -m demucs_lab doctor` says how"
)


@pytest.mark.parametrize(("old", "new"), [(44100, 22050), (22050, 44100), (48000, 44100), (8, 8)])
@pytest.mark.parametrize("size", [700, 5001, 100_000])
def test_resampling_in_blocks_is_resampling_the_whole(old, new, size):
    wav = torch.randn(2, 23_456)
    found = torch.cat([*resampled(wav.split(size, -1), old, new)], -1)
    whole = wav if old == new else audio.resample(wav, old, new)
    assert found.shape == whole.shape
    assert torch.allclose(found, whole, atol=1e-6)


@pytest.mark.parametrize(
    "ending", ["wav", "flac", "ogg", "mp3", pytest.param("m4a", marks=needs_ffmpeg)]
)
def test_blocks_of_a_file_are_the_file(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    wav = noise(2.0, rate=44100)
    if ending == "m4a":
        audio.save_audio(tmp_path / "a.wav", wav, 44100)
        command = ["ffmpeg", "-v", "error", "-i", str(tmp_path / "a.wav"), str(path)]
        subprocess.run(command, check=True)
    else:
        audio.save_audio(path, wav, 44100)
    sound = SoundBlocks(path, block=10_000)
    blocks = list(sound)
    assert max(block.shape[1] for block in blocks) == 10_000
    assert torch.equal(torch.cat(blocks, -1), audio.load_audio(path)[0])
    assert sound.frames == sum(block.shape[1] for block in blocks)


@needs_ffmpeg
def test_blocks_of_an_mp3_that_does_not_state_its_length_are_the_file(tmp_path):
    audio.save_audio(tmp_path / "a.wav", torch.cat([0.1 * noise(20), 1.5 * noise(20)], -1), RATE)
    command = ["ffmpeg", "-v", "error", "-i", tmp_path / "a.wav", "-q:a", "4", "-write_xing", "0"]
    subprocess.run([*command, tmp_path / "a.mp3"], check=True)
    blocks = torch.cat(list(SoundBlocks(tmp_path / "a.mp3")), -1)
    assert blocks.shape[1] >= 40 * RATE
    assert torch.equal(blocks, audio.load_audio(tmp_path / "a.mp3")[0])


@needs_ffmpeg
def test_ffmpeg_ends_when_nobody_reads_on(tmp_path):
    audio.save_audio(tmp_path / "a.wav", noise(60), RATE)
    path = tmp_path / "a.wav"
    path = path.rename(tmp_path / "a.weird")
    blocks = iter(SoundBlocks(path, block=1000))
    next(blocks)
    blocks.close()


def test_a_window_reads_like_a_tensor_and_forgets_what_lies_far_behind():
    song = torch.randn(2, 5000)
    window = Window(iter(song.split(300, -1)), 5000, keep=1000)
    for start in range(-100, 5000, 250):
        found = window.read(start, start + 700)
        assert torch.equal(
            found, torch.nn.functional.pad(song, (100, 800))[:, start + 100 :][:, :700]
        )
        assert window.buffer.shape[-1] <= 1000 + 2 * 300
    with pytest.raises(IndexError, match="no longer kept"):
        window.read(1000, 1100)
