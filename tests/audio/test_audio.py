"""What comes in is checked, what goes out is whole."""

import errno
import math
import os
import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from demucs_lab.audio import (
    audio_info,
    check_waveform,
    have_ffmpeg,
    load_audio,
    resample,
    save_audio,
    to_stereo,
)
from demucs_lab.metrics import sdr

RATE = 22050
needs_ffmpeg = pytest.mark.skipif(
    not have_ffmpeg(), reason="NEEDS FFMPEG: `python -m demucs_lab doctor` says how to install it"
)


def tones(seconds=1.0, samplerate=RATE):
    """A stereo sound with another tone on each side."""
    t = torch.arange(int(seconds * samplerate), dtype=torch.float64) / samplerate
    waves = [0.5 * torch.sin(2 * math.pi * f * t) for f in (440.0, 660.0)]
    return torch.stack(waves).float()


def written(path, wav=None, samplerate=RATE, **options):
    """A file made by soundfile alone."""
    soundfile.write(path, (tones() if wav is None else wav).numpy().T, samplerate, **options)
    return path


def cut(path, share):
    """The same file with its end missing."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


# --- reading


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_reads_what_soundfile_reads(tmp_path, ending):
    path = written(tmp_path / f"song.{ending}")
    expected, _ = soundfile.read(path, always_2d=True, dtype="float32")
    wav, samplerate = load_audio(path)
    assert samplerate == RATE
    assert wav.dtype == torch.float32
    assert wav.is_contiguous()
    np.testing.assert_array_equal(wav.numpy(), expected.T)
    assert audio_info(path) == (RATE, wav.shape[1], 2)
    assert torch.equal(load_audio(str(path))[0], wav)


def test_an_ending_in_capitals_is_the_same_format(tmp_path):
    path = written(tmp_path / "song.wav")
    assert load_audio(path.rename(tmp_path / "SONG.WAV"))[0].shape == (2, RATE)


@needs_ffmpeg
@pytest.mark.parametrize("ending", ["m4a", "mp4"])
def test_other_formats_come_as_ffmpeg_decodes_them(tmp_path, ending):
    source, path = written(tmp_path / "song.wav"), tmp_path / f"song.{ending}"
    decoded = tmp_path / "decoded.wav"
    quiet = ["ffmpeg", "-v", "error", "-y", "-i"]
    subprocess.run([*quiet, source, "-c:a", "aac", "-b:a", "192k", path], check=True)
    subprocess.run([*quiet, path, "-c:a", "pcm_f32le", decoded], check=True)
    expected = torch.from_numpy(soundfile.read(decoded, dtype="float32")[0].T)
    wav, samplerate = load_audio(path)
    assert samplerate == RATE
    assert torch.equal(wav, expected)
    assert sdr(tones(), wav[:, :RATE]) > 25  # and in time with the original
    info = audio_info(path)
    assert (info.samplerate, info.channels) == (RATE, 2)
    assert abs(info.frames - wav.shape[1]) < 2048


def changing(path, *options):
    """An MP3 of 20 quiet and 20 loud seconds: with a variable bit rate their frames differ."""
    wav = torch.cat([0.02 * tones(20), torch.randn(2, 20 * RATE).clamp(-1, 1)], -1)
    source = written(path.with_suffix(".wav"), wav)
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, *options, path], check=True)
    return path


MP3S = {
    "variable, no header": ["-q:a", "4", "-write_xing", "0"],
    "variable, no header, no tag": ["-q:a", "4", "-write_xing", "0", "-id3v2_version", "0"],
    "variable": ["-q:a", "4"],
    "constant, no header": ["-b:a", "64k", "-write_xing", "0"],
    "constant": ["-b:a", "64k"],
}


@needs_ffmpeg
@pytest.mark.parametrize("kind", MP3S)
def test_an_mp3_is_read_to_its_end_whatever_its_header_says(tmp_path, kind):
    path = changing(tmp_path / "song.mp3", *MP3S[kind])
    wav, rate = load_audio(path)
    assert 40 <= wav.shape[1] / rate < 40.2
    assert wav[:, -rate:].square().mean() > 0.1  # loud to the end
    assert audio_info(path) == (RATE, wav.shape[1], 2)


@needs_ffmpeg
@pytest.mark.parametrize("mark", [b"VBRI", b"Xing"])
def test_a_header_that_libsndfile_cannot_use_is_as_none(tmp_path, mark):
    path = changing(tmp_path / "song.mp3", "-q:a", "4")
    content = bytearray(path.read_bytes())
    at = content.index(b"Xing")
    content[at : at + 4] = mark
    content[at + 7] &= ~1  # the number of frames is not given
    path.write_bytes(content)
    assert load_audio(path)[0].shape[1] / RATE > 40


def test_an_mp3_that_does_not_state_its_length_needs_ffmpeg(tmp_path, monkeypatch):
    path = written(tmp_path / "song.mp3")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"Xing", b"    ").replace(b"Info", b"    "))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "an MP3 that does not state its length, needs ffmpeg" in refusal(path, RuntimeError)


def test_a_rate_that_is_asked_for_is_given(tmp_path):
    wav, samplerate = load_audio(written(tmp_path / "song.wav"), samplerate=16000)
    assert (wav.shape, samplerate) == ((2, 16000), 16000)


# --- what cannot be read is refused in one sentence


def refusal(path, error=ValueError):
    with pytest.raises(error) as caught:
        load_audio(path)
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    return message


def test_missing_file(tmp_path):
    assert "there is no file" in refusal(tmp_path / "nowhere.wav", FileNotFoundError)


def test_folder(tmp_path):
    assert "StemsFolder" in refusal(tmp_path, IsADirectoryError)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3", "m4a"])
def test_empty_file(tmp_path, ending):
    path = tmp_path / f"song.{ending}"
    path.touch()
    assert "is empty (0 bytes)" in refusal(path)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_text_file_in_disguise(tmp_path, ending):
    path = tmp_path / f"song.{ending}"
    path.write_text("Dear diary, today I renamed a file.\n")
    assert "is a text file" in refusal(path)


@needs_ffmpeg
def test_text_file_in_disguise_as_m4a(tmp_path):
    path = tmp_path / "song.m4a"
    path.write_text("Dear diary, today I renamed a file.\n")
    assert "not a sound file that ffmpeg can read" in refusal(path)


def test_noise_in_disguise(tmp_path):
    path = tmp_path / "song.flac"
    path.write_bytes(np.random.default_rng(0).bytes(4096))
    assert "another format, or damaged" in refusal(path)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_truncated_file(tmp_path, ending, share):
    assert "cut short" in refusal(cut(written(tmp_path / f"song.{ending}"), share))


@needs_ffmpeg
@pytest.mark.parametrize("header", ["first", "last"])
def test_truncated_m4a(tmp_path, header):
    source, path = written(tmp_path / "song.wav", tones(3.0)), tmp_path / "song.m4a"
    flags = ["-movflags", "+faststart"] if header == "first" else []
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, *flags, path], check=True)
    message = refusal(cut(path, 0.6))
    assert "cut short" in message or "not a sound file that ffmpeg can read" in message


def test_a_wav_from_a_pipe_states_no_length_and_is_read(tmp_path):
    path = written(tmp_path / "song.wav")
    content = bytearray(path.read_bytes())
    content[4:8] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert load_audio(path)[0].shape == (2, RATE)


def test_file_of_no_samples(tmp_path):
    assert "length is 0 samples" in refusal(written(tmp_path / "song.wav", torch.zeros(2, 0)))


def test_file_with_nan(tmp_path):
    wav = tones()
    wav[1, 7] = math.nan
    path = written(tmp_path / "song.wav", wav, subtype="FLOAT")
    assert "holds 1 NaN or infinite sample:" in refusal(path)


def test_file_of_nine_channels(tmp_path):
    assert "9 channels" in refusal(written(tmp_path / "song.wav", torch.zeros(9, 100)))


def test_m4a_without_ffmpeg(tmp_path, monkeypatch):
    path = tmp_path / "song.m4a"
    path.write_bytes(b"anything")
    monkeypatch.setenv("PATH", str(tmp_path))
    message = refusal(path, RuntimeError)
    for system in ("apt-get install ffmpeg", "brew install ffmpeg", "conda install"):
        assert system in message


@pytest.mark.parametrize("rate", [44.1, 0, -44100, 10**7])
def test_impossible_rate(tmp_path, rate):
    with pytest.raises(ValueError, match="expected a sample rate in Hz between"):
        load_audio(written(tmp_path / "song.wav"), samplerate=rate)


def test_what_can_be_used_but_should_not_warns(tmp_path):
    with pytest.warns(UserWarning, match="only 8 bits"):
        load_audio(written(tmp_path / "eight.wav", subtype="PCM_U8"))
    high = written(tmp_path / "high.wav", tones(0.1, 192000), 192000)
    with pytest.warns(UserWarning, match=r"192000 Hz.*samplerate=44100"):
        load_audio(high)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_audio(high, samplerate=44100)[0].shape == (2, 4410)


# --- what is no waveform is refused in one sentence


@pytest.mark.parametrize(
    ("wav", "error", "says"),
    [
        (np.zeros((2, 100)), TypeError, "got ndarray: convert it with torch.as_tensor"),
        (torch.zeros(2, 100, dtype=torch.int16), TypeError, "got int16: divide by full scale"),
        (torch.zeros(100), ValueError, r"got \[100\]: a mono sound is wav\[None\]"),
        (torch.zeros(4, 2, 100), ValueError, r"got \[4, 2, 100\]"),
        (torch.zeros(2, 0), ValueError, "empty"),
        (torch.zeros(0, 100), ValueError, "empty"),
        (torch.zeros(44100, 2), ValueError, r"transpose it with wav\.T"),
        (torch.zeros(44100, 1), ValueError, r"transpose it with wav\.T"),
        (torch.zeros(44100, 6), ValueError, r"transpose it with wav\.T"),
        (torch.zeros(9, 44100), ValueError, "9 channels"),
        (torch.full((2, 100), math.inf), ValueError, "200 NaN or infinite samples"),
    ],
)
def test_check_waveform_refuses(wav, error, says):
    with pytest.raises(error, match=says):
        check_waveform(wav)


def test_check_waveform_accepts_sound():
    for shape in [(1, 1), (2, 100), (8, 100), (2, 2)]:
        check_waveform(torch.zeros(shape), samplerate=44100, channels=shape[0])
    with pytest.raises(ValueError, match="has 1 channels where 2 are needed"):
        check_waveform(torch.zeros(1, 100), channels=2)
    with pytest.raises(ValueError, match="kHz"):
        check_waveform(torch.zeros(1, 100), samplerate=44.1)


# --- writing


@given(bits=st.sampled_from([16, 24]), ending=st.sampled_from(["wav", "flac"]), data=st.data())
@settings(max_examples=20, deadline=None)
def test_samples_on_the_grid_come_back_exactly(tmp_path_factory, bits, ending, data):
    scale = 2 ** (bits - 1)
    steps = data.draw(
        st.lists(st.integers(-scale, scale - 1), min_size=1, max_size=50).map(torch.tensor)
    )
    wav = torch.stack([steps, steps.flip(0)]).float() / scale
    path = tmp_path_factory.mktemp("grid") / f"song.{ending}"
    assert save_audio(path, wav, RATE, bits=bits) == 1.0
    assert torch.equal(load_audio(path)[0], wav)


def test_samples_off_the_grid_are_rounded_to_the_nearest_step(tmp_path):
    wav = torch.rand(2, 1000, dtype=torch.float64) * 1.9 - 0.95
    save_audio(tmp_path / "song.wav", wav, RATE)
    back, _ = load_audio(tmp_path / "song.wav")
    assert (back - wav).abs().max() <= 0.5 / 2**15 + 1e-9


def test_float_wav_keeps_every_bit_even_above_full_scale(tmp_path):
    wav = 3 * torch.randn(2, 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert save_audio(tmp_path / "song.wav", wav, RATE, bits=32) == 1.0
    assert torch.equal(load_audio(tmp_path / "song.wav")[0], wav)


@pytest.mark.parametrize("ending", ["ogg", "mp3"])
def test_lossy_formats_come_back_nearly(tmp_path, ending):
    path = tmp_path / f"song.{ending}"
    save_audio(path, tones(2.0), RATE)
    back, samplerate = load_audio(path)
    assert samplerate == RATE
    assert back.shape[1] >= 2 * RATE
    assert sdr(tones(2.0), back[:, : 2 * RATE]) > 20


def test_minutes_of_ogg_are_written(tmp_path):
    """Handed over at once, so much crashes libsndfile's encoder and Python with it."""
    save_audio(tmp_path / "song.ogg", torch.zeros(2, 44100 * 120), 44100)
    assert audio_info(tmp_path / "song.ogg") == (44100, 44100 * 120, 2)


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_too_loud_is_turned_down_never_clipped(tmp_path, ending):
    with pytest.warns(UserWarning, match=r"\+6\.0 dB above full scale.*6\.0 dB quieter"):
        gain = save_audio(tmp_path / f"song.{ending}", 4 * tones(), RATE)
    back, _ = load_audio(tmp_path / f"song.{ending}")
    assert gain == pytest.approx(1 / (4 * tones()).abs().max().item())
    assert sdr(4 * tones() * gain, back) > 80


@pytest.mark.parametrize(
    ("name", "wav", "options", "says"),
    [
        ("song.m4a", tones(), {}, "choose .wav, .flac, .ogg or .mp3"),
        ("song", tones(), {}, "choose .wav, .flac, .ogg or .mp3"),
        ("song.wav", tones(), {"bits": 20}, "bits=16, 24 or 32, got 20"),
        ("song.flac", tones(), {"bits": 32}, "bits=16 or 24, got 32"),
        ("song.mp3", torch.zeros(5, 100), {}, "1 or 2 channels, got 5"),
        ("song.wav", tones().T, {}, "transpose"),
        ("song.wav", tones() * math.nan, {}, "NaN"),
    ],
)
def test_what_cannot_be_saved_is_refused(tmp_path, name, wav, options, says):
    with pytest.raises(ValueError, match=says):
        save_audio(tmp_path / name, wav, RATE, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_rate_that_the_format_lacks_is_explained(tmp_path):
    with pytest.raises(OSError, match=r"song\.mp3.*sample rates.*nothing was left behind"):
        save_audio(tmp_path / "song.mp3", tones(), 96000)
    assert list(tmp_path.iterdir()) == []


def test_disk_full_half_way_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "song.wav"
    save_audio(path, tones(), RATE)
    before = path.read_bytes()
    whole_write = soundfile.SoundFile.write

    def half_write(file, samples):
        whole_write(file, samples[: len(samples) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(soundfile.SoundFile, "write", half_write)
    with pytest.raises(OSError, match="No space left on device; nothing was left behind"):
        save_audio(path, torch.zeros(2, 100), RATE)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "song.flac"
    save_audio(path, tones(), RATE)
    before = path.read_bytes()

    def interrupt(file, samples):
        raise KeyboardInterrupt

    monkeypatch.setattr(soundfile.SoundFile, "write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_audio(path, torch.zeros(2, 100), RATE)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_a_file_cannot_be_written_to(tmp_path):
    (tmp_path / "notes").write_text("keep me")
    with pytest.raises(OSError, match="could not write"):
        save_audio(tmp_path / "notes" / "song.wav", tones(), RATE)
    assert (tmp_path / "notes").read_text() == "keep me"


@pytest.mark.skipif(
    os.name == "nt" or os.geteuid() == 0, reason="needs a user whom permissions can stop"
)
def test_unwritable_folder(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OSError, match="could not write"):
            save_audio(tmp_path / "song.wav", tones(), RATE)
        assert list(tmp_path.iterdir()) == []
    finally:
        tmp_path.chmod(0o700)


def test_saving_makes_the_folder_and_takes_any_float(tmp_path):
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        path = tmp_path / "new" / "folder" / f"{dtype}.wav"
        save_audio(path, tones().to(dtype).requires_grad_(), RATE)
        assert load_audio(path)[0].shape == (2, RATE)


# --- changing


@pytest.mark.parametrize(("old", "new"), [(44100, 22050), (22050, 44100), (48000, 44100)])
def test_a_resampled_sine_is_the_sine_sampled_at_the_new_rate(old, new):
    frequency, seconds = 1000.0, 0.5

    def sine(rate):
        t = torch.arange(int(seconds * rate), dtype=torch.float64) / rate
        return torch.sin(2 * math.pi * frequency * t)[None]

    middle = slice(new // 10, -new // 10)  # away from the ends, where the sine is cut off
    ours, exact = resample(sine(old), old, new), sine(new)
    assert ours.shape == exact.shape
    assert sdr(exact[:, middle], ours[:, middle]) > 80


def test_what_the_new_rate_cannot_hold_is_taken_out():
    t = torch.arange(22050, dtype=torch.float64) / 44100
    too_high = torch.sin(2 * math.pi * 12000 * t)[None]
    alias = resample(too_high, 44100, 22050)[:, 1000:-1000]
    assert 10 * torch.log10(alias.square().mean() / 0.5) < -80


@given(
    length=st.integers(1, 3000),
    rates=st.tuples(*[st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000])] * 2),
)
@settings(max_examples=25, deadline=None)
def test_the_length_after_resampling_is_rounded_up(length, rates):
    old, new = rates
    out = resample(torch.zeros(3, 2, length), old, new)
    assert out.shape == (3, 2, -(-length * new // old))


def test_channels_that_lie_side_by_side_are_resampled_too():
    wav = torch.randn(3, 400, 2).transpose(1, 2)
    torch.testing.assert_close(resample(wav, 8000, 6000), resample(wav.contiguous(), 8000, 6000))


def test_resampling_to_the_same_rate_changes_nothing():
    assert torch.equal(resample(tones(), RATE, RATE), tones())
    with pytest.raises(ValueError, match="sample rate in Hz"):
        resample(tones(), 44.1, 44100)


def test_mono_becomes_stereo():
    stereo = to_stereo(tones()[:1])
    assert torch.equal(stereo, tones()[[0, 0]])
    assert torch.equal(to_stereo(tones()), tones())
    with pytest.raises(ValueError, match="cannot make stereo from 6 channels"):
        to_stereo(torch.zeros(6, 100))


@needs_ffmpeg
def test_a_name_that_looks_like_an_option_or_an_address_is_only_a_name(tmp_path, monkeypatch):
    source = written(tmp_path / "song.wav")
    made = tmp_path / "made.m4a"
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, made], check=True)
    monkeypatch.chdir(tmp_path)
    for name in ("-y.m4a", "a b'c.m4a", "concat.m4a"):
        shutil.copy(made, tmp_path / name)
        assert load_audio(Path(name))[0].shape[0] == 2
