"""The folder of a song's stems: nothing lost, nothing mixed up, nobody's files overwritten."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import soundfile
import torch
from separators import RATE, Fussy, Shares, everything, noise, song_file, stems_of

from demucs_lab import audio
from demucs_lab.separation import files as files_module
from demucs_lab.separation.files import separate_file
from demucs_lab.separation.stem_folder import StemFolder


@pytest.fixture
def song(tmp_path):
    return song_file(tmp_path)


def interrupt_at(moment, monkeypatch):
    """As if Ctrl-C came when so many stems had been written."""
    write, calls = files_module._Job._write_stem, []

    def interrupted(job, *arguments):
        calls.append(arguments)
        if len(calls) == moment + 1:
            raise KeyboardInterrupt
        write(job, *arguments)

    monkeypatch.setattr(files_module._Job, "_write_stem", interrupted)


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
import signal, sys, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup` would have it ignored
sys.path.insert(0, {str(Path(__file__).parents[1] / "helpers")!r})
import soundfile
from separators import Fussy
from demucs_lab.separation.files import separate_file

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
    "name",
    ["../bass", "/tmp/bass", "a/b", "a\\b", "C:bass", ".partial", "..", "-rf", "", " ", "a\0b",
     "a\nb", "b" * 300, "\ud800", 7, None],
)  # fmt: skip
def test_a_name_of_a_source_that_is_a_path_is_refused_by_any_model(song, tmp_path, name):
    model = Shares()
    model.sources = ("drums", name, "other", "vocals")
    before = everything(tmp_path)
    with pytest.raises(ValueError, match="source"):
        separate_file(song, tmp_path / "out", model, progress=False)
    with pytest.raises(ValueError, match="source"):
        StemFolder(tmp_path / "out", "song.wav", ["drums", name], None, "wav", 16, {})
    assert everything(tmp_path) == before


def test_two_sources_of_one_name_are_refused(song, tmp_path):
    model = Shares()
    for sources in (("drums", "Drums", "a", "b"), "dbov", (), [str(i) for i in range(1000)]):
        model.sources = sources
        with pytest.raises(ValueError, match="source"):
            separate_file(song, tmp_path / "out", model, progress=False)


@pytest.mark.parametrize(
    "note", ["[", "[[" * 9000, "null", '{"files": 3, "stems": {"a": 1}}', '{"files": [["a"]]}']
)
def test_a_damaged_note_is_as_good_as_none(song, tmp_path, note):
    folder = tmp_path / "out" / "song"
    folder.mkdir(parents=True)
    (folder / "separation.json").write_text(note)
    assert len(separate_file(song, tmp_path / "out", Shares(), progress=False)) == 4


@pytest.mark.parametrize("change", [{"done": -1}, {"done": None}, {"done": 10**9}, {"gain": "x"}])
def test_a_damaged_state_begins_anew(song, tmp_path, monkeypatch, change):
    expected = stems_of(separate_file(song, tmp_path / "whole", Fussy(), progress=False))
    with monkeypatch.context() as patched:
        interrupt_at(0, patched)
        with pytest.raises(KeyboardInterrupt):
            separate_file(song, tmp_path / "out", Fussy(), progress=False)
    path = tmp_path / "out" / "song" / ".partial" / "state.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    found = separate_file(song, tmp_path / "out", Fussy(), progress=False)
    assert torch.equal(stems_of(found), expected)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows locks no folders")
def test_two_runs_into_one_folder_are_never_mixed(song, tmp_path, monkeypatch):
    """The second begins while the first separates, and while it writes."""
    folder, refusals = tmp_path / "out", []
    expected = stems_of(separate_file(song, tmp_path / "whole", Fussy(), progress=False))
    run, write = files_module._Job.separate, files_module._Job._write_stem

    def another():
        with pytest.raises(BlockingIOError, match="in use: stems are written into it"):
            separate_file(song, folder, Shares(), bits=24, progress=False)
        refusals.append(1)

    def separate(job, *arguments):
        another()
        run(job, *arguments)

    def write_stem(job, *arguments):
        another()
        write(job, *arguments)

    monkeypatch.setattr(files_module._Job, "separate", separate)
    monkeypatch.setattr(files_module._Job, "_write_stem", write_stem)
    assert torch.equal(stems_of(separate_file(song, folder, Fussy(), progress=False)), expected)
    assert len(refusals) == 5


def test_a_stem_of_another_length_is_never_called_done(song, tmp_path, monkeypatch):
    write = files_module.write_blocks

    def short(path, blocks, *arguments):
        write(path, (block[..., :-1] for block in blocks), *arguments)

    monkeypatch.setattr(files_module, "write_blocks", short)
    with pytest.raises(OSError, match=r"drums\.wav has \d+ samples where the song has 26400"):
        separate_file(song, tmp_path / "out", Shares(), progress=False)
    assert not (tmp_path / "out" / "song" / "drums.wav").exists()


@pytest.mark.filterwarnings("ignore:.*they are replaced")
def test_no_folder_holds_the_stems_of_two_songs_of_one_name(song, tmp_path):
    separate_file(song, tmp_path / "out", Shares(), progress=False)
    (tmp_path / "out" / "song" / "mine.txt").write_text("mine")
    namesake = tmp_path / "other" / "song.wav"
    namesake.parent.mkdir()
    audio.save_audio(namesake, noise(2), RATE)
    separate_file(namesake, tmp_path / "out", Shares(), two_stems="bass", progress=False)
    found = everything(tmp_path / "out" / "song")
    assert found == ["bass.wav", "mine.txt", "no_bass.wav", "separation.json"]


@pytest.mark.parametrize("name", ["...wav", "..wav", ".wav", "-rf.wav", "$(id).wav", "a\nb.wav"])
def test_whatever_a_file_is_called_its_stems_stay_in_the_folder(tmp_path, name):
    odd = tmp_path / "in" / name
    odd.parent.mkdir()
    song_file(tmp_path).rename(odd)
    files = separate_file(odd, tmp_path / "out", Shares(), progress=False)
    assert all(path.resolve().parents[1] == tmp_path / "out" for path in files.values())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_not_utf8_is_a_name(tmp_path):
    odd = tmp_path / os.fsdecode(b"caf\xe9.wav")
    song_file(tmp_path).rename(odd)
    for format in ("wav", "flac"):
        files = separate_file(odd, tmp_path / format, Shares(), format=format, progress=False)
        assert stems_of(files).shape == (4, 2, 26400)
    audio.save_audio(odd.with_suffix(".ogg"), noise(), RATE)
    assert audio.load_audio(odd.with_suffix(".ogg"))[0].shape == (2, 26400)
