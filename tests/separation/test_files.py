import errno
import gc
import json
import os

import numpy as np
import pytest
import soundfile
import torch
from separators import RATE, Fussy, Shares, noise, song_file, stems_of

import demucs_lab
from demucs_lab import audio
from demucs_lab.audio import stream, waveform
from demucs_lab.audio.stream import SoundBlocks
from demucs_lab.separation import files as files_module
from demucs_lab.separation.files import separate_file
from demucs_lab.separation.waveform import separate

needs_ffmpeg = pytest.mark.skipif(
    not audio.have_ffmpeg(), reason="NEEDS FFMPEG: `python -m demucs_lab doctor` says how"
)


@pytest.fixture
def song(tmp_path):
    return song_file(tmp_path)


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{}, {"shifts": 2, "seed": 3, "batch": 3}, {"segment": 0.4, "overlap": 0.6, "workers": 3}],
)
@pytest.mark.parametrize("rate", [RATE, 11025])
def test_a_file_is_separated_like_its_waveform(song, tmp_path, rate, options):
    model = Fussy(samplerate=rate)
    files = separate_file(song, tmp_path / "out", model, bits=32, progress=False, **options)
    wav, _ = audio.load_audio(song)
    expected = separate(model, wav, RATE, progress=False, **options)
    assert list(files) == ["drums", "bass", "other", "vocals"]
    assert files["bass"] == tmp_path / "out" / "song" / "bass.wav"
    assert torch.allclose(stems_of(files), expected, atol=1e-6)


def test_two_stems_add_up_to_the_mixture(song, tmp_path):
    model = Fussy(samplerate=4000)  # hears nothing above 2 kHz, loses nothing either
    files = separate_file(song, tmp_path, model, two_stems="vocals", bits=32, progress=False)
    assert list(files) == ["vocals", "no_vocals"]
    wav, _ = audio.load_audio(song)
    assert torch.allclose(stems_of(files).sum(0), wav, atol=1e-6)
    assert torch.allclose(
        stems_of(files)[:1],
        separate(model, wav, RATE, stems=["vocals"], progress=False),
        atol=1e-6,
    )


def test_mono_files_give_mono_stems_and_flac_has_the_bits_asked_for(tmp_path):
    wav = noise(channels=1)
    audio.save_audio(tmp_path / "a.flac", wav, RATE, bits=24)
    options = {"format": "flac", "bits": 24, "stems": ["bass"], "progress": False}
    files = separate_file(tmp_path / "a.flac", tmp_path, Shares(), **options)
    assert soundfile.info(files["bass"]).subtype == "PCM_24"
    assert torch.allclose(stems_of(files)[0], 0.3 * wav, atol=2e-6)


def test_stems_above_full_scale_are_turned_down_alike(song, tmp_path):
    model = Shares((20.0, 5.0))
    with pytest.warns(UserWarning, match=r"dB above full scale, so all are saved that much"):
        files = separate_file(song, tmp_path / "a", model, progress=False)
    quiet = stems_of(files)
    assert quiet.abs().max() == pytest.approx(1, abs=1e-4)
    assert torch.allclose(quiet[0], 4 * quiet[1], atol=2e-4)
    loud = stems_of(separate_file(song, tmp_path / "b", model, bits=32, progress=False))
    assert loud.abs().max() > 1


class Stopping(Fussy):
    """Interrupts at its n-th segment."""

    stop_at, calls = 0, 0

    def forward(self, mix):
        self.calls += 1
        if self.calls == self.stop_at:
            raise KeyboardInterrupt
        return super().forward(mix)


@pytest.mark.parametrize("options", [{}, {"shifts": 2}, {"overlap": 0.7}, {"two_stems": "bass"}])
def test_an_interrupted_run_leaves_no_half_file_and_goes_on_where_it_stopped(
    song, tmp_path, options
):
    options = {**options, "bits": 32, "progress": False}
    model = Stopping()
    whole = separate_file(song, tmp_path / "whole", model, **options)
    work = model.calls
    model.stop_at, model.calls = work - 1, 0
    with pytest.raises(KeyboardInterrupt):
        separate_file(song, tmp_path / "out", model, **options)
    folder = tmp_path / "out" / "song"
    assert [path.name for path in folder.iterdir()] == [".partial"]
    model.stop_at, model.calls = 0, 0
    files = separate_file(song, tmp_path / "out", model, **options)
    assert 0 < model.calls < work
    assert torch.allclose(stems_of(files), stems_of(whole), atol=1e-6)
    assert not (folder / ".partial").exists()


def test_leavings_of_another_song_or_other_options_are_not_taken_up(song, tmp_path):
    model = Stopping()
    model.stop_at = 4
    with pytest.raises(KeyboardInterrupt):
        separate_file(song, tmp_path / "out", model, bits=32, progress=False)
    model.stop_at = 0
    audio.save_audio(song, 0.5 * noise().flip(-1), RATE, bits=32)
    files = separate_file(song, tmp_path / "out", model, bits=32, overlap=0.5, progress=False)
    expected = separate(model, 0.5 * noise().flip(-1), RATE, overlap=0.5, progress=False)
    assert torch.allclose(stems_of(files), expected, atol=1e-6)


def test_memory_does_not_grow_with_length(tmp_path):
    def tensors_held():
        things = [thing for thing in gc.get_objects() if type(thing) is torch.Tensor]
        storages = [thing.untyped_storage() for thing in things]
        return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())

    class Watched(Shares):
        calls, held = 0, 0

        def forward(self, mix):
            self.calls += 1
            if self.calls % 60 == 0:
                self.held = max(self.held, tensors_held())
            return super().forward(mix)

    def peak(seconds):
        path = tmp_path / f"{seconds}.flac"
        with soundfile.SoundFile(path, "w", RATE, 2) as file:
            for _ in range(0, seconds, 20):
                file.write(np.zeros((20 * RATE, 2), np.float32))
        before, model = tensors_held(), Watched()
        separate_file(path, tmp_path / "out", model, progress=False)
        assert model.held > before
        return model.held - before

    assert peak(480) <= 1.1 * peak(120)


def test_a_model_with_a_counter_among_its_weights(song, tmp_path):
    model = Shares()
    model.norm = torch.nn.BatchNorm1d(2)  # holds how many batches it has seen: a scalar
    assert separate_file(song, tmp_path / "out", model, progress=False)["bass"].is_file()


def test_a_file_too_long_for_wav_becomes_rf64_with_the_same_ending(song, tmp_path, monkeypatch):
    monkeypatch.setattr(files_module, "_WAV_LIMIT", 1000)
    files = separate_file(song, tmp_path, Shares(), progress=False)
    assert soundfile.info(files["drums"]).format == "RF64"
    assert torch.allclose(stems_of(files)[0], 0.5 * noise(), atol=1e-4)


# --- bad input ------------------------------------------------------------------------------------


def test_damaged_songs_are_refused_before_anything_is_written(song, tmp_path):
    def refused(path, said, error=ValueError):
        with pytest.raises(error, match=said) as refusal:
            separate_file(path, tmp_path / "out", Shares(), progress=False)
        assert "\n" not in str(refusal.value)
        assert not (tmp_path / "out").exists()

    refused(tmp_path / "nothing.wav", "there is no file", FileNotFoundError)
    refused(tmp_path, "is a folder", IsADirectoryError)
    (tmp_path / "empty.wav").touch()
    refused(tmp_path / "empty.wav", "0 bytes")
    cut = tmp_path / "cut.wav"
    cut.write_bytes(song.read_bytes()[:-5000])
    refused(cut, "cut short")
    (tmp_path / "text.mp3").write_text("no sound " * 100)
    refused(tmp_path / "text.mp3", "text file")
    wav = noise(5)
    wav[1, 33_000] = torch.nan
    soundfile.write(tmp_path / "nan.wav", wav.numpy().T, RATE, "FLOAT")
    refused(tmp_path / "nan.wav", "NaN")
    soundfile.write(tmp_path / "three.wav", noise(channels=3).numpy().T, RATE)
    refused(tmp_path / "three.wav", "three.wav has 3 channels, the model takes 2")
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 2)), RATE)
    refused(tmp_path / "none.wav", "0 samples")


def test_a_truncated_mp3_is_refused(tmp_path):
    audio.save_audio(tmp_path / "a.mp3", noise(20, rate=44100), 44100)
    data = (tmp_path / "a.mp3").read_bytes()
    (tmp_path / "a.mp3").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="cut short"):
        separate_file(tmp_path / "a.mp3", tmp_path / "out", Shares(), progress=False)
    assert not (tmp_path / "out").exists()


@needs_ffmpeg
def test_what_ffmpeg_cannot_read_is_refused(tmp_path):
    (tmp_path / "a.m4a").write_bytes(os.urandom(5000))
    with pytest.raises(ValueError, match="not a sound file that ffmpeg can read"):
        separate_file(tmp_path / "a.m4a", tmp_path / "out", Shares(), progress=False)


def test_a_folder_that_cannot_be_written_is_one_sentence(song, tmp_path):
    (tmp_path / "out").write_text("I am a file")
    with pytest.raises(OSError, match=r"cannot write the stems into .*: .*choose another"):
        separate_file(song, tmp_path / "out", Shares(), progress=False)


def test_a_disk_that_fills_up_keeps_what_was_separated(song, tmp_path, monkeypatch):
    model, save = Fussy(), files_module._Job._save
    monkeypatch.setattr(files_module, "_SAVE_EVERY", -1.0)
    saved = []

    def full(job, raw, done):
        if len(saved) >= 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(job, raw, done)
        saved.append(done)

    monkeypatch.setattr(files_module._Job, "_save", full)
    with pytest.raises(OSError, match=r"No space left on device; what is separated so far is kept"):
        separate_file(song, tmp_path / "out", model, bits=32, progress=False)
    state = json.loads((tmp_path / "out/song/.partial/state.json").read_text())
    assert state["done"] == saved[-1] > 0
    monkeypatch.setattr(files_module._Job, "_save", save)
    files = separate_file(song, tmp_path / "out", model, bits=32, progress=False)
    assert torch.allclose(
        stems_of(files), separate(model, noise(), RATE, progress=False), atol=1e-6
    )


@pytest.mark.parametrize(
    "options",
    [{"format": "mp3"}, {"bits": 8}, {"format": "flac", "bits": 32}, {"two_stems": "voice"},
     {"two_stems": "bass", "stems": ["bass"]}],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(song, tmp_path, options):
    with pytest.raises(ValueError, match=r"format|stem"):
        separate_file(song, tmp_path / "out", Shares(), **options)
    assert not (tmp_path / "out").exists()


def test_the_package_offers_it():
    assert demucs_lab.separate_file is separate_file
    assert stream.SoundBlocks is SoundBlocks


@pytest.mark.parametrize("channels", [3, 4, 5, 6, 7, 8])
def test_surround_sound_is_refused_with_a_way_out_or_mixed_down(tmp_path, channels):
    path = tmp_path / "film.wav"
    wav = noise(2, channels=channels).clamp(-1, 1)
    audio.save_audio(path, wav, RATE, bits=32)
    with pytest.raises(ValueError, match=rf"film\.wav has {channels} channels.*--mix-down"):
        separate_file(path, tmp_path / "out", Shares(), progress=False)
    files = separate_file(path, tmp_path / "out", Shares(), bits=32, mix_down=True, progress=False)
    stereo = waveform.mix_down(wav)
    assert torch.allclose(stems_of(files).sum(0), stereo, atol=2e-3)  # the mean of each stem
    assert stereo.abs().max() <= wav.abs().max()


def test_five_one_folds_down_as_itu_says():
    one = torch.eye(6)  # one channel after the other: left, right, centre, low, behind
    left, right = waveform.mix_down(one)
    assert torch.allclose(left / left[0], torch.tensor([1, 0, 0.7071, 0, 0.7071, 0]), atol=1e-4)
    assert torch.allclose(right / right[1], torch.tensor([0, 1, 0.7071, 0, 0, 0.7071]), atol=1e-4)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"device": "cuda:99"}, "finds no device 'cuda:99' on this machine"),
        ({"device": "gpu"}, "no device is named 'gpu'"),
        ({"segment": 1e8}, "up to 3600 s, or infinity"),
        ({"segment": float("nan")}, "segment above 0 s"),
    ],
)
def test_what_this_machine_cannot_do_is_one_sentence(song, tmp_path, options, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        separate_file(song, tmp_path / "out", Shares(), progress=False, **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
