import errno
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

import demucs_lab
from demucs_lab import _sound_blocks, audio, cli, streaming
from demucs_lab._sound_blocks import SoundBlocks, Window, resampled
from demucs_lab.separation import separate
from demucs_lab.streaming import separate_file

sys.path.insert(0, str(Path(__file__).parent))
from separators import RATE, Fussy, Shares

needs_ffmpeg = pytest.mark.skipif(
    not audio.have_ffmpeg(), reason="NEEDS FFMPEG: `python -m demucs_lab doctor` says how"
)


def noise(seconds=3.3, channels=2, rate=RATE):
    wav = 0.1 * torch.randn(channels, round(seconds * rate), generator=torch.Generator())
    return wav - wav.mean()


@pytest.fixture
def song(tmp_path):
    path = tmp_path / "song.wav"
    audio.save_audio(path, noise(), RATE, bits=32)
    return path


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def stems_of(files):
    return torch.stack([audio.load_audio(path)[0] for path in files.values()])


# --- in blocks ------------------------------------------------------------------------------------


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
        assert window.held.shape[-1] <= 1000 + 2 * 300
    with pytest.raises(IndexError, match="no longer held"):
        window.read(1000, 1100)


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


def test_a_second_call_has_nothing_to_do_and_other_options_do_it_again(song, tmp_path):
    class Counted(Shares):
        calls = 0

        def forward(self, mix):
            self.calls += 1
            return super().forward(mix)

    model = Counted()
    files = separate_file(song, tmp_path / "out", model, progress=False)
    calls = model.calls
    assert separate_file(song, tmp_path / "out", model, progress=False) == files
    assert model.calls == calls
    with pytest.warns(UserWarning, match=r"differ from .* in overlap: they are replaced"):
        separate_file(song, tmp_path / "out", model, overlap=0.5, progress=False)
    assert model.calls > calls
    calls = model.calls
    model.shares.data[0] += 0.1  # trained on
    with pytest.warns(UserWarning, match=r"differ from .* in model: they are replaced"):
        separate_file(song, tmp_path / "out", model, overlap=0.5, progress=False)
    assert model.calls > calls


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


def interrupt_at(moment, monkeypatch):
    """As if Ctrl-C came when so many stems had been written."""
    write, calls = streaming._Job._write_stem, []

    def interrupted(job, *arguments):
        calls.append(arguments)
        if len(calls) == moment + 1:
            raise KeyboardInterrupt
        write(job, *arguments)

    monkeypatch.setattr(streaming._Job, "_write_stem", interrupted)


@pytest.mark.parametrize("moment", range(4))
def test_an_interruption_while_stems_are_written_loses_nothing(song, tmp_path, monkeypatch, moment):
    expected = stems_of(separate_file(song, tmp_path / "whole", Fussy(), progress=False))
    interrupt_at(moment, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        separate_file(song, tmp_path / "out", Fussy(), progress=False)
    assert len(list((tmp_path / "out" / "song").glob("*.wav"))) == moment
    monkeypatch.setattr(Fussy, "forward", None)  # everything is computed already
    found = stems_of(separate_file(song, tmp_path / "out", Fussy(), progress=False))
    assert torch.equal(found, expected)


@pytest.mark.parametrize("moment", [0, 2])
@pytest.mark.parametrize("after", [("flac", 16), ("wav", 16), ("wav", 24)])
def test_another_format_may_be_asked_for_after_an_interruption(
    song, tmp_path, monkeypatch, moment, after
):
    def run(folder, kind):
        options = {"format": kind[0], "bits": kind[1], "progress": False}
        return separate_file(song, tmp_path / folder, Shares((3.0, 0.3, 0.15, 0.05)), **options)

    with pytest.warns(UserWarning, match="above full scale"):
        expected = stems_of(run("whole", after))
    interrupt_at(moment, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run("out", ("wav", 32))
    with pytest.warns(UserWarning, match="above full scale"):
        assert torch.equal(stems_of(run("out", after)), expected)


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


def test_stems_of_a_namesake_are_not_overwritten(song, tmp_path):
    separate_file(song, tmp_path / "out", Shares(), progress=False)
    audio.save_audio(tmp_path / "song.flac", noise(1), RATE)
    with pytest.raises(ValueError, match=r"holds the stems of song\.wav"):
        separate_file(tmp_path / "song.flac", tmp_path / "out", Shares(), progress=False)


def test_files_that_were_not_separated_here_are_not_overwritten(song, tmp_path):
    mine = tmp_path / "out" / "song" / "bass.wav"
    mine.parent.mkdir(parents=True)
    mine.write_text("an evening's work")
    with pytest.raises(ValueError, match=r"bass\.wav is not a stem .*another folder \(--out\)"):
        separate_file(song, tmp_path / "out", Shares(), progress=False)
    assert everything(tmp_path / "out") == ["song", "song/bass.wav"]
    assert mine.read_text() == "an evening's work"
    files = separate_file(song, tmp_path / "out", Shares(), stems=["drums"], progress=False)
    assert files["drums"].is_file()
    assert mine.read_text() == "an evening's work"


@pytest.mark.filterwarnings("ignore:.*they are replaced")
def test_stems_of_all_earlier_runs_are_known_as_our_own(song, tmp_path):
    options = {"model": Shares(), "out_dir": tmp_path / "out", "progress": False}
    separate_file(song, **options)
    separate_file(song, two_stems="vocals", **options)
    separate_file(song, format="flac", **options)
    files = separate_file(song, overlap=0.5, **options)
    assert torch.allclose(stems_of(files)[1], 0.3 * noise(), atol=1e-4)


@pytest.mark.filterwarnings("ignore:.*they are replaced")
def test_stems_of_two_runs_are_never_taken_for_one_set(song, tmp_path, monkeypatch):
    before = stems_of(separate_file(song, tmp_path / "out", Shares(), progress=False))
    with monkeypatch.context() as patched:
        interrupt_at(2, patched)
        with pytest.raises(KeyboardInterrupt):
            separate_file(song, tmp_path / "out", Fussy(), progress=False)
    files = separate_file(song, tmp_path / "out", Shares(), progress=False)
    assert torch.equal(stems_of(files), before)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGKILL"])
def test_what_a_kill_leaves_is_in_one_place_and_used(song, tmp_path, monkeypatch, name):
    """Killed while the second stem is half written."""
    program = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
import soundfile
from separators import Fussy
from demucs_lab.streaming import separate_file

write = soundfile.SoundFile.write
def half(file, samples):
    write(file, samples[: len(samples) // 2])
    file.flush()
    if "bass" in str(file.name):
        print("ready", flush=True)
        time.sleep(60)
    write(file, samples[len(samples) // 2 :])

soundfile.SoundFile.write = half
separate_file({str(song)!r}, {str(tmp_path / "out")!r}, Fussy(), progress=False)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as running:
        assert running.stdout.readline() == b"ready\n"
        running.send_signal(getattr(signal, name))
    folder = tmp_path / "out" / "song"
    left = sorted(path.name for path in folder.iterdir())
    assert left == [".partial", "drums.wav", "separation.json"]
    expected = stems_of(separate_file(song, tmp_path / "whole", Fussy(), progress=False))
    monkeypatch.setattr(Fussy, "forward", None)  # everything is computed already
    assert torch.equal(
        stems_of(separate_file(song, tmp_path / "out", Fussy(), progress=False)), expected
    )
    stems = ["bass.wav", "drums.wav", "other.wav", "separation.json", "vocals.wav"]
    assert everything(folder) == stems


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


def test_a_file_too_long_for_wav_becomes_rf64_with_the_same_ending(song, tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "_WAV_LIMIT", 1000)
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
    refused(tmp_path / "three.wav", "three.wav has 3 channels, the model hears 2")
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


def test_ten_hours_on_a_small_disk_are_refused_before_anything_is_computed(
    song, tmp_path, monkeypatch
):
    usage = SimpleNamespace(free=100_000, total=0, used=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    monkeypatch.setattr(Shares, "forward", None)
    with pytest.raises(OSError, match=r"it takes .* GB on the way and 0.0001 GB are free"):
        separate_file(song, tmp_path / "out", Shares(), progress=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"bits": 16},
        {"bits": 32},
        {"bits": 32, "two_stems": "bass"},
        {"bits": 24, "stems": ["bass", "vocals"], "again": True},
    ],
)
@pytest.mark.parametrize("rate", [RATE // 4, RATE])
@pytest.mark.filterwarnings("ignore:.*they are replaced")
def test_as_much_room_is_asked_for_as_is_taken(tmp_path, monkeypatch, rate, options):
    """From above and from below: the most that the folder holds, watched at each write."""
    audio.save_audio(tmp_path / "song.wav", noise(30), RATE)
    options = {**options, "model": Shares(samplerate=rate), "progress": False}
    again = options.pop("again", False)

    def held(folder):
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())

    def run(name, free=None):
        out = tmp_path / name
        if again:
            separate_file(tmp_path / "song.wav", out, overlap=0.5, **options)
        before, sizes = held(out), [0]
        write = soundfile.SoundFile.write

        def watched(file, samples):
            write(file, samples)
            file.flush()
            sizes.append(held(out) - before)

        with monkeypatch.context() as patched:
            patched.setattr(soundfile.SoundFile, "write", watched)
            if free is not None:
                patched.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=free))
            separate_file(tmp_path / "song.wav", out, **options)
        return max(sizes)

    taken = run("watched")
    run("enough", free=taken + 200_000)
    with pytest.raises(OSError, match=r"GB on the way and"):
        run("short", free=taken - 10_000)


def test_a_disk_that_fills_up_keeps_what_was_separated(song, tmp_path, monkeypatch):
    model, save = Fussy(), streaming._Job._save
    monkeypatch.setattr(streaming, "_SAVE_EVERY", -1.0)
    saved = []

    def full(job, raw, done):
        if len(saved) >= 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(job, raw, done)
        saved.append(done)

    monkeypatch.setattr(streaming._Job, "_save", full)
    with pytest.raises(OSError, match=r"No space left on device; what is separated so far is kept"):
        separate_file(song, tmp_path / "out", model, bits=32, progress=False)
    state = json.loads((tmp_path / "out/song/.partial/state.json").read_text())
    assert state["done"] == saved[-1] > 0
    monkeypatch.setattr(streaming._Job, "_save", save)
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


# --- the command line -----------------------------------------------------------------------------


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


def test_a_model_with_a_counter_among_its_weights(song, tmp_path):
    model = Shares()
    model.norm = torch.nn.BatchNorm1d(2)  # holds how many batches it has seen: a scalar
    assert separate_file(song, tmp_path / "out", model, progress=False)["bass"].is_file()


def test_evaluate_holds_one_song_at_a_time(pretrained, monkeypatch, capsys):
    from demucs_lab import _cli_separation
    from demucs_lab.datasets import Track

    def load(name, start, frames):
        return noise(2.0)[:, start : start + frames]

    tracks = [Track(name, RATE, 2 * RATE, load) for name in ("a", "b")]
    monkeypatch.setattr(_cli_separation, "_tracks", lambda *_: tracks)
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


def test_the_package_offers_it():
    assert demucs_lab.separate_file is separate_file
    assert _sound_blocks.SoundBlocks is SoundBlocks
