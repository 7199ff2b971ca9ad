import json
import shutil
import signal
import subprocess
import sys
import time
import types
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from songs import MICRO, RATE, Tone, songs

from demucs_lab import models, pretrained, separate, training
from demucs_lab.audio import SOURCES
from demucs_lab.datasets import Track
from demucs_lab.training import checkpoint, loop
from demucs_lab.training.optimization import RunningMean
from demucs_lab.training.record import RunFolder

HELPERS = Path(__file__).parents[1] / "helpers"


def train(folder, tracks=None, **changes):
    options = {**MICRO, "steps": 12, "checkpoint_steps": 3, "progress": False, **changes}
    return training.train("tiny-demucs", tracks or songs(), folder=folder, **options)


def state(folder):
    tensors, _, _ = checkpoint.load_checkpoint(Path(folder) / "checkpoints")
    return tensors


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    result = train(tmp_path_factory.mktemp("unbroken") / "run")
    torch.set_num_threads(before)
    return result


class Trap(Tone):
    """A song that does something when it is read for the nth time."""

    def __init__(self, number, at, do):
        super().__init__(number)
        self.left, self.do = at, do

    def __call__(self, source, start, frames):
        self.left -= 1
        return (
            self.do(super().__call__(source, start, frames))
            if self.left == 0
            else super().__call__(source, start, frames)
        )


def trapped(at, do):
    return [Track(t.name, RATE, t.frames, Trap(i, at, do)) for i, t in enumerate(songs())]


def interrupt(wav):
    raise KeyboardInterrupt


def test_the_loss_falls_and_the_mixture_is_beaten(tmp_path):
    result = train(tmp_path / "run", steps=60, validations=2)
    losses = [line["loss"] for line in result.history if "loss" in line]
    assert sum(losses[-5:]) < 0.85 * sum(losses[:5])
    assert all(m > x for m, x in zip(result.best.model, result.best.mixture, strict=True))
    assert "It beats the mixture on every source (1 held-out song)." in str(result)


def test_the_same_seed_gives_the_same_weights(tmp_path, unbroken):
    again = train(tmp_path / "again", workers=2)
    assert same(state(again.folder), state(unbroken.folder))
    other = train(tmp_path / "other", seed=1)
    assert not same(state(other.folder), state(unbroken.folder))


def test_the_callers_random_numbers_are_left_alone(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(tmp_path / "run", steps=1)
    assert torch.equal(torch.rand(3), expected)


def test_the_folder_holds_all_there_is_to_know(unbroken):
    folder = unbroken.folder
    config = json.loads((folder / "config.json").read_text())
    assert (config["steps"], config["model"]) == (12, "demucs-v1")
    surroundings = json.loads((folder / "environment.json").read_text())
    assert surroundings["torch"] == torch.__version__
    assert {"git", "python", "device"} <= surroundings.keys()
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert lines == unbroken.history
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 13))
    card = (folder / "model_card.md").read_text()
    assert "Score on held-out songs" in card
    assert "song 1" in card
    assert not list(folder.rglob("*.pt")) + list(folder.rglob("*.pkl"))
    read = training.Result.load(folder)
    assert str(read) == str(unbroken)
    assert same(read.model.state_dict(), unbroken.model.state_dict())


def test_the_model_is_the_best_one_and_can_separate(unbroken):
    track = songs()[0]
    assert separate(unbroken.model, track.mixture, RATE, progress=False).shape == track.stems.shape
    kept = models.load(unbroken.folder / "model.safetensors")
    assert same(kept.state_dict(), unbroken.model.state_dict())
    assert same(pretrained.load(unbroken.folder).state_dict(), kept.state_dict())
    best = max(line["mean"] for line in unbroken.history if "sdr" in line)
    assert unbroken.best.mean == pytest.approx(best)


def test_a_held_out_song_is_never_learned(tmp_path):
    read = []

    def track(i):
        def load(source, start, frames):
            read.append((i, frames))
            return Tone(i)(source, start, frames)

        return Track(f"song {i}", RATE, 2 * RATE, load)

    train(tmp_path / "run", [track(i) for i in range(4)], validations=1)
    whole = 2 * RATE
    assert {i for i, frames in read if frames < whole} == {1, 2, 3}


def test_killed_at_any_moment_it_reaches_the_weights_of_an_unbroken_run(tmp_path, unbroken):
    program = f"""
import sys, time, torch
sys.path.insert(0, {str(HELPERS)!r})
import songs
from demucs_lab import training
torch.set_num_threads(1)
plain = songs.Tone.__call__
def slow(*args):
    time.sleep(0.01)
    return plain(*args)
songs.Tone.__call__ = slow
options = dict(songs.MICRO, steps=12, checkpoint_steps=3, progress=False)
if sys.argv[2] == "train":
    training.train("tiny-demucs", songs.songs(), folder=sys.argv[1], **options)
else:
    training.resume(sys.argv[1], songs.songs(), progress=False)
"""
    folder = tmp_path / "run"
    metrics = folder / "metrics.jsonl"
    for word, lines in (("train", 5), ("resume", 9)):
        process = subprocess.Popen([sys.executable, "-c", program, str(folder), word])
        while process.poll() is None:
            if metrics.exists() and len(metrics.read_text().splitlines()) >= lines:
                process.kill()
                break
            time.sleep(0.005)
        process.wait()
        assert process.returncode != 0
    result = training.resume(folder, songs(), progress=False)
    assert result.steps == 12
    assert same(state(folder), state(unbroken.folder))
    losses = [[x["loss"] for x in r.history if "loss" in x] for r in (result, unbroken)]
    assert losses[0] == losses[1]


def test_killed_before_its_first_checkpoint_it_begins_again(tmp_path, unbroken):
    folder = train(tmp_path / "run").folder
    for path in [*(folder / "checkpoints").iterdir(), folder / "metrics.jsonl"]:
        path.unlink()
    training.resume(folder, songs(), progress=False)
    assert same(state(folder), state(unbroken.folder))
    for path in (folder / "checkpoints").iterdir():
        path.unlink()
    again = train(folder)
    assert [x["step"] for x in again.history if "loss" in x] == list(range(1, 13))
    assert training.Result.load(folder).history == again.history


def test_an_interrupt_keeps_the_best_model_and_can_be_resumed(tmp_path, unbroken, capsys):
    result = train(tmp_path / "run", trapped(60, interrupt))
    assert result.stopped == "interrupted"
    assert 3 < result.steps < 12
    assert "interrupted" in repr(result)
    assert result.best is not None
    assert (result.folder / "model.safetensors").exists()
    assert f"train --resume {result.folder}" in str(result)
    whole = training.resume(result.folder, songs(), progress=True)
    assert f"Going on from step {result.steps}." in capsys.readouterr().out
    assert same(state(whole.folder), state(unbroken.folder))


def test_an_interrupt_before_the_first_validation_still_gives_a_model(tmp_path):
    result = train(tmp_path / "run", trapped(16, interrupt), validations=1)
    assert (result.stopped, result.best) == ("interrupted", None)
    assert models.load(result.folder / "model.safetensors")
    assert "No held-out song was scored yet" in str(result)


def test_half_a_step_is_never_kept(tmp_path, monkeypatch, unbroken):
    plain = RunningMean.update

    def torn(self, model, count):
        if count == 5:
            raise KeyboardInterrupt
        plain(self, model, count)

    monkeypatch.setattr(RunningMean, "update", torn)
    result = train(tmp_path / "run")
    assert result.stopped == "interrupted"
    monkeypatch.setattr(RunningMean, "update", plain)
    training.resume(result.folder, songs(), progress=False)
    assert same(state(result.folder), state(unbroken.folder))


def test_an_interrupt_while_the_best_model_is_written_reports_no_better_one(tmp_path, monkeypatch):
    plain, written = checkpoint.save_weights, []

    def interrupted(model, path):
        written.append(path)
        if len(written) == 2:
            raise KeyboardInterrupt
        plain(model, path)

    monkeypatch.setattr(checkpoint, "save_weights", interrupted)
    result = train(tmp_path / "run")
    first = next(line for line in result.history if "sdr" in line)
    assert result.stopped == "interrupted"
    assert result.best.mean == first["mean"]
    assert training.Result.load(result.folder).best == result.best


def test_an_interrupt_right_after_a_checkpoint_does_not_write_it_again(tmp_path, monkeypatch):
    """Writing it again on a full disk could lose it."""
    plain, written = checkpoint.save_checkpoint, []

    def interrupted(folder, step, tensors, facts):
        written.append(step)
        return plain(folder, step, tensors, facts)

    def due(self):
        if self.learner.step == 6 and self.keeper.saved_step == 6:
            raise KeyboardInterrupt
        plainly_due(self)

    from demucs_lab.training.run import Run

    plainly_due = Run._checkpoint_if_due
    monkeypatch.setattr(checkpoint, "save_checkpoint", interrupted)
    monkeypatch.setattr(Run, "_checkpoint_if_due", lambda self: (plainly_due(self), due(self)))
    assert train(tmp_path / "run").stopped == "interrupted"
    assert written == [0, 3, 6]


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(tmp_path, unbroken):
    folder = train(tmp_path / "run", trapped(60, interrupt)).folder
    newest = sorted((folder / "checkpoints").glob("*.safetensors"))[-1]
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(bytes(content))
    with pytest.warns(UserWarning, match=f"{newest.name} is damaged.*going on from step"):
        training.resume(folder, songs(), progress=False)
    assert same(state(folder), state(unbroken.folder))


@pytest.mark.filterwarnings("ignore:the best model could not be written")
def test_a_disk_that_fills_up_does_not_end_the_training(tmp_path, monkeypatch, unbroken):
    import safetensors.torch as files

    plain, written = files.save_file, []

    def fills(tensors, path, metadata=None):
        written.append(path)
        if len(written) > 3:
            raise OSError(28, "No space left on device")
        plain(tensors, path, metadata=metadata)

    monkeypatch.setattr(files, "save_file", fills)
    with pytest.warns(UserWarning, match=r"checkpoint .* could not be written.*No space left"):
        result = train(tmp_path / "run")
    assert result.steps == 12
    monkeypatch.setattr(files, "save_file", plain)
    resumed = training.resume(result.folder, songs(), progress=False)
    assert same(state(resumed.folder), state(unbroken.folder))


def test_a_disk_that_is_full_from_the_start_is_one_sentence(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(OSError, match=r"step-00000000\.safetensors could not be written.*No space"):
        train(tmp_path / "run")


def test_a_loss_that_becomes_nan_stops_and_the_last_good_weights_stay(tmp_path):
    tracks = trapped(60, lambda wav: wav * torch.nan)
    with pytest.raises(FloatingPointError, match=r"NaN or infinite at step \d+.*the best model"):
        train(tmp_path / "run", tracks)
    assert all(value.isfinite().all() for value in state(tmp_path / "run").values())
    kept = models.load(tmp_path / "run" / "model.safetensors")
    assert all(value.isfinite().all() for value in kept.state_dict().values())


def test_weights_that_became_infinite_are_not_kept(tmp_path, monkeypatch):
    """The loss of a step is that of the weights before it."""
    plain = torch.optim.AdamW.step

    def explodes(self, *args, **kwargs):
        plain(self, *args, **kwargs)
        for parameter in self.param_groups[0]["params"]:
            if int(self.state[parameter]["step"]) == 6:
                parameter.data.fill_(torch.inf)

    monkeypatch.setattr(torch.optim.AdamW, "step", explodes)
    with pytest.raises(FloatingPointError, match=r"a weight became NaN or infinite at step 6"):
        train(tmp_path / "run", validations=1)
    assert all(value.isfinite().all() for value in state(tmp_path / "run").values())


def test_a_model_of_two_sources_hears_the_whole_song(tmp_path):
    heard = []

    class Two(Shares):
        sources = ("vocals", "bass")

        def forward(self, mix):
            heard.extend([mix.detach()] * self.training)
            return super().forward(mix)

    options = {"sign_flip": False, "channel_swap": False, "remix": False, "gain": None}
    result = train(tmp_path / "run", model=Two(), steps=4, **options)
    assert result.best.sources == ("vocals", "bass")
    assert torch.cat(heard).mean(1).std() == pytest.approx(1, abs=0.02)


def test_it_stops_early_when_held_out_songs_get_no_better(tmp_path):
    result = train(tmp_path / "run", learning_rate=1e-12, ema=0.0, validations=12, patience=2)
    assert result.stopped == "patience"
    assert result.steps < 12


def test_a_budget_of_time_is_kept(tmp_path):
    began = time.monotonic()
    result = train(tmp_path / "run", steps=None, minutes=2 / 60, validations=2)
    assert 1.9 < time.monotonic() - began < 20
    assert result.steps > 3
    rates = [line["learning_rate"] for line in result.history if "loss" in line]
    assert rates[-1] < 0.2 * max(rates)


def test_judging_takes_no_more_than_a_share_of_a_budget_of_time(tmp_path, monkeypatch):
    from demucs_lab.training import judging

    plain = judging.separate

    def slow(*args, **kwargs):
        time.sleep(0.5)
        return plain(*args, **kwargs)

    monkeypatch.setattr(judging, "separate", slow)
    result = train(tmp_path / "run", steps=None, minutes=2 / 60, validations=100)
    assert 2 <= sum("sdr" in line for line in result.history) <= 3  # the first, and the last word


def test_a_model_of_ones_own_is_trained_on(tmp_path):
    model = models.build(MICRO["model"], **MICRO["model_options"])
    before = {k: v.clone() for k, v in model.state_dict().items()}
    result = train(tmp_path / "run", model=model, steps=1, learning_rate=1e-9, ema=0.0)
    after = result.model.state_dict()
    assert same(model.state_dict(), before)
    assert not same(after, before)
    assert all(torch.allclose(before[k], after[k], atol=1e-6) for k in before)


class Shares(torch.nn.Module):
    """The smallest model that learns: which share of the mixture is which source."""

    sources, samplerate, audio_channels, segment = SOURCES, RATE, 2, 1.0

    def __init__(self):
        super().__init__()
        self.share = torch.nn.Parameter(torch.zeros(len(self.sources)))

    def forward(self, mix):
        return self.share[:, None, None] * mix[:, None]


def test_a_class_of_ones_own_is_trained_kept_and_resumed(tmp_path):
    result = train(tmp_path / "run", model=Shares(), steps=4)
    assert set(load_file(result.folder / "model.safetensors")) == {"share"}
    assert 0 < float(result.model.share.detach().min()) < 1
    with pytest.raises(ValueError, match="began with a class of its own"):
        training.resume(result.folder, songs(), progress=False)
    again = training.resume(result.folder, songs(), model=Shares(), progress=False)
    assert torch.equal(again.model.share, result.model.share)
    with pytest.raises(ValueError, match="began with a class of its own"):
        training.Result.load(result.folder)
    read = training.Result.load(result.folder, Shares())
    assert torch.equal(read.model.share, result.model.share)


def test_a_class_of_ones_own_that_several_processes_trained_is_read_back(tmp_path, monkeypatch):
    began = []

    def launch(processes, begin, *arguments):
        began.append((processes, begin(*arguments).model.share))

    monkeypatch.setattr(loop, "_launch", launch)
    result = train(tmp_path / "run", model=Shares(), steps=4, processes=2)
    again = training.resume(result.folder, songs(), model=Shares(), processes=2, progress=False)
    assert [processes for processes, _ in began] == [2, 2]
    for found, (_, share) in zip((result, again), began, strict=True):
        assert torch.equal(found.model.share, share)


@pytest.mark.parametrize("name", ["tiny-conv-tasnet", "tiny-hdemucs", "tiny-htdemucs"])
def test_every_model_trains(tmp_path, name):
    small = {
        "tiny-conv-tasnet": {"N": 8, "B": 4, "H": 4, "X": 2, "R": 1},
        "tiny-hdemucs": {"channels": 8},
        "tiny-htdemucs": {"channels": 8, "t_layers": 1},
    }[name]
    options = {"samplerate": RATE, "segment": 1.0, **small}
    result = train(tmp_path / "run", model=name, model_options=options, steps=1, batch=2)
    assert result.steps == 1


def test_bfloat16_trains_and_the_next_training_may_use_float32(tmp_path):
    half = train(tmp_path / "half", precision="bf16", steps=3)
    full = train(tmp_path / "full", steps=3)
    losses = [[x["loss"] for x in r.history if "loss" in x] for r in (half, full)]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    assert losses[0] != losses[1]


def test_no_word_on_stderr(tmp_path, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(tmp_path / "run", progress=True, steps=2)
    out, err = capfd.readouterr()
    assert err == ""
    assert "100%" in out


def test_tensorboard_is_told_what_the_metrics_hold(tmp_path, monkeypatch):
    told = []

    class SummaryWriter:
        def __init__(self, folder):
            told.append(folder)

        def add_scalar(self, name, value, step):
            told.append((name, value, step))

        def close(self):
            told.append("closed")

    fake = types.SimpleNamespace(SummaryWriter=SummaryWriter)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", fake)
    result = train(tmp_path / "run", tensorboard=True, steps=2, validations=1)
    assert (told[0], told[-1]) == (str(tmp_path / "run" / "tensorboard"), "closed")
    losses = [(x["loss"], x["step"]) for x in result.history if "loss" in x]
    assert [(v, s) for n, v, s in told[1:-1] if n == "loss"] == losses
    assert ("sdr/bass", result.best.model[1], 2) in told


def test_tensorboard_missing_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ModuleNotFoundError, match="pip install tensorboard"):
        train(tmp_path / "run", tensorboard=True, steps=1)
    assert not (tmp_path / "run").exists()


def test_after_a_failed_start_another_precision_can_be_used(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_checkpoint", lambda *_: interrupt(None))
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "run", precision="bf16")
    assert train(tmp_path / "run", steps=1).steps == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"colour": 1}, "no setting 'colour'"),
        ({"loss": "l3"}, "no loss is named 'l3'"),
        ({"batch": 0}, "batch must be a number above 0"),
        ({"batch": 2.5}, "batch must be a whole number"),
        ({"remix": "no"}, "remix is true or false, got 'no'"),
        ({"warmup": -5}, "warmup must be a number, 0 or above"),
        ({"seed": -1}, "seed must be a number, 0 or above"),
        ({"gain": 0.5}, "gain is its lowest and its highest factor"),
        ({"gain": (1.0, 0.5)}, "gain is its lowest and its highest factor"),
        ({"minutes": 1}, "minutes or steps but not both"),
        ({"precision": "int4"}, "precision is no, bf16 or fp16"),
        ({"ema": 1}, "ema is a number between 0 and 1"),
        ({"model": "lstm"}, "no model is named 'lstm'"),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_sentence(tmp_path, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        train(tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_one_song_is_too_few(tmp_path):
    with pytest.raises(ValueError, match="expected two songs or more"):
        train(tmp_path / "run", songs(1))


def test_a_run_is_not_overwritten_and_not_resumed_with_other_songs(unbroken):
    with pytest.raises(FileExistsError, match=r"holds a training already: .* train --resume /"):
        train(unbroken.folder)
    with pytest.raises(ValueError, match=r"other songs to learn from \(3, from 'song 1' on"):
        training.resume(unbroken.folder, songs(6), progress=False)
    with pytest.raises(ValueError, match=r"other songs to be judged by.*without 'song 0'"):
        training.resume(unbroken.folder, songs()[1:], valid=songs()[1:2], progress=False)
    with pytest.raises(FileNotFoundError, match="holds no training"):
        training.resume(unbroken.folder / "none", songs())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows locks no folders")
def test_two_trainings_never_share_a_folder(tmp_path):
    record, refused = RunFolder(tmp_path / "run"), []

    def another(wav):
        with pytest.raises(BlockingIOError, match="a training is written"), record.alone():
            pass
        refused.append(1)
        return wav

    train(record.path, trapped(2, another), steps=1)
    assert refused
    with record.alone(), pytest.raises(BlockingIOError, match="a training is written"):
        training.resume(record.path, songs(), progress=False)
    with RunFolder(tmp_path / "new").alone(), pytest.raises(BlockingIOError):
        train(tmp_path / "new")


def test_half_files_of_a_killed_training_are_swept(tmp_path, unbroken):
    folder = tmp_path / "run"
    shutil.copytree(unbroken.folder, folder)
    before = {path.name for path in folder.rglob("*")}
    halves = ("checkpoints/.step-00000015-ab12.tmp.safetensors", ".model-cd34.tmp.safetensors")
    for half in halves:
        (folder / half).write_bytes(b"half")
    training.resume(folder, songs(), progress=False)
    assert {path.name for path in folder.rglob("*")} == before


def _damage_json(path, change):
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        *[("config.json", text) for text in ("", "{", "null", "[]", "{}", "[" * 10**5, "\0")],
        *[
            ("config.json", {key: value})
            for key, value in [
                ("architecture", 3), ("architecture", {}), ("batch", "many"), ("steps", None),
                ("made_up", 1), ("architecture", {"class": "os", "config": {}, "given": False}),
                ("architecture", {"class": "Demucs", "config": {"depth": 10**9}, "given": False}),
                ("architecture", {"class": "Demucs", "config": [], "given": False}),
            ]
        ],
        *[
            ("step-00000012.json", {key: value})
            for key, value in [
                ("progress", None), ("progress", {}), ("progress", {"step": "x"}), ("levels", 3),
                ("progress", {"step": 3, "elapsed": "x"}), ("levels", []), ("levels", [[1]]),
                ("levels", [[0.0, None]] * 3), ("songs", None), ("songs", []), ("held_out", 5),
            ]
        ],
        ("step-00000012.safetensors", {"model": None}),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_damaged_run_is_refused_in_one_sentence(tmp_path, unbroken, file, content):
    folder = tmp_path / "run"
    shutil.copytree(unbroken.folder, folder)
    path = next(folder.rglob(file))
    if path.suffix == ".safetensors":
        kept = load_file(path)
        save_file({k: v for k, v in kept.items() if not k.startswith("model.")}, path)
        _damage_json(
            path.with_suffix(".json"), lambda facts: {**facts, "sha256": checkpoint._digest(path)}
        )
    elif isinstance(content, str):
        path.write_text(content)
    else:
        _damage_json(path, lambda whole: {**whole, **content})
    with pytest.raises(ValueError, match=str(folder)) as caught:
        training.resume(folder, songs(), progress=False)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("metrics.jsonl", "null\n3\n{}\n{\"step\": \"x\"}\n{\"step\": 4, \"best\": true}\n\xff"),
        ("metrics.jsonl", "[" * 10**5),
        ("environment.json", "{"),
    ],
)  # fmt: skip
def test_damage_to_what_only_tells_costs_no_training(tmp_path, unbroken, file, content):
    folder = tmp_path / "run"
    shutil.copytree(unbroken.folder, folder)
    (folder / file).write_bytes(content.encode("latin-1"))
    assert training.Result.load(folder).steps in (0, 12)
    again = training.resume(folder, songs(), progress=False)
    assert again.steps == 12


def test_a_damaged_best_model_is_named(tmp_path, unbroken):
    folder = tmp_path / "run"
    shutil.copytree(unbroken.folder, folder)
    (folder / "model.safetensors").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged"):
        training.resume(folder, songs(), progress=False)


def test_it_is_resumed_with_as_many_processes_as_before(tmp_path):
    """Another number of them would share the excerpts otherwise."""
    folder = train(tmp_path / "run", steps=1).folder
    for path in (folder / "checkpoints").glob("*.json"):
        facts = json.loads(path.read_text())
        assert facts["processes"] == 1
        path.write_text(json.dumps({**facts, "processes": 2}))
    with pytest.raises(ValueError, match="trained by 2 processes: resume it with as many, not wit"):
        training.resume(folder, songs(), progress=False)


def test_the_figure_tells_what_it_shows(unbroken):
    figure = unbroken.plot()
    assert len(figure.axes) == 2
    assert "The loss went from" in figure.numbers


def test_ctrl_c_in_a_shell_ends_it_well(tmp_path):
    """SIGINT reaches the workers too; they stay quiet."""
    program = f"""
import sys
sys.path.insert(0, {str(HELPERS)!r})
import songs
from demucs_lab import training
options = dict(songs.MICRO, minutes=5, validations=1000, progress=False, workers=1)
if __name__ == "__main__":
    print(training.train("tiny-demucs", songs.songs(), folder=sys.argv[1], **options).stopped)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "run")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not (tmp_path / "run" / "model.safetensors").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (out.strip(), err) == ("interrupted", "")
