import json

import numpy as np
import pytest
from scipy import stats
from songs import MICRO, songs

from demucs_lab import models
from demucs_lab.experiments import running, trials
from demucs_lab.metrics import sdr
from demucs_lab.separation.waveform import separate


def test_the_file_holds_what_run_gives(micro, small, tmp_path):
    found = running.run("step", seeds=2, out=tmp_path, **small)
    assert json.loads((tmp_path / "step.json").read_text(encoding="utf-8")) == found
    assert list(tmp_path.glob("*.json")) == [tmp_path / "step.json"]


def test_scores_are_those_of_the_kept_models(micro, small):
    found = running.run("step", seeds=2, **small)
    for name, variant in zip(("base", "bigger step"), micro["step"].variants, strict=True):
        for row in found["variants"][name]["seeds"]:
            model, _ = trials.trained(variant, row["seed"], small["songs"], small["held_out"])
            for track, scores in zip(small["held_out"], row["songs"], strict=True):
                estimates = separate(model, track.mixture, track.samplerate, progress=False)
                assert scores == pytest.approx(sdr(track.stems, estimates).tolist(), abs=1e-3)
            assert row["mean"] == pytest.approx(np.mean(row["songs"]), abs=1e-3)


def test_differences_are_seed_by_seed(micro, small):
    found = running.run("step", seeds=3, **small)
    ours, theirs = (
        np.array([row["songs"] for row in found["variants"][name]["seeds"]])
        for name in ("bigger step", "base")
    )
    gap = found["variants"]["bigger step"]["difference"]
    expected = stats.ttest_rel(ours.mean((1, 2)), theirs.mean((1, 2))).confidence_interval()
    assert gap["over_seeds"]["low"] == pytest.approx(expected.low, abs=1e-3)
    assert "difference" not in found["variants"]["base"]


def test_a_run_again_trains_only_what_is_missing(micro, small, trained):
    running.run("step", seeds=1, **small)
    assert trained == ["base, seed 0", "bigger step, seed 0"]
    running.run("step", seeds=2, **small)
    assert trained[2:] == ["base, seed 1", "bigger step, seed 1"]
    running.run("loss", seeds=2, **small)  # with the same reference
    assert trained[4:] == ["L2, seed 0", "L2, seed 1"]


def test_an_interrupted_run_goes_on(micro, small, trained, monkeypatch, capsys):
    noted = trials.train

    def interrupt(config, *args, **options):
        if config.name == "bigger step, seed 0":
            raise KeyboardInterrupt
        return noted(config, *args, **options)

    monkeypatch.setattr(trials, "train", interrupt)
    with pytest.raises(KeyboardInterrupt):
        running.run("step", seeds=1, **small)
    assert "1 of 2 are kept" in capsys.readouterr().out
    monkeypatch.setattr(trials, "train", noted)
    running.run("step", seeds=1, **small)
    assert trained == ["base, seed 0", "bigger step, seed 0"]


def test_only_a_full_run_in_a_checkout_writes_what_is_shipped(
    micro, small, monkeypatch, capsys, tmp_path
):
    class Songs:
        @staticmethod
        def starter(split, progress=True):
            return songs(3) if split == "train" else songs(12)[3:]

    monkeypatch.setattr("demucs_lab.datasets.LabSongs", Songs, raising=False)
    monkeypatch.setattr(running, "checkout", lambda: tmp_path)
    reductions = running.run("step", reduced=True, steps=2, progress=False)["reduced"]
    assert len(reductions) == 3  # seeds, steps, songs
    assert "a reduced run (1 seed instead of 3, 2 training steps" in capsys.readouterr().out
    running.run("step", seeds=2, progress=False)
    running.run("step", **small)
    assert not running.SHIPPED.exists()
    assert running.results("step", own=True)["reduced"] != []
    assert running.run("step", progress=False)["reduced"] == []
    assert running.results("step")["reduced"] == []
    monkeypatch.setattr(running, "checkout", lambda: None)
    monkeypatch.setattr(running, "SHIPPED", tmp_path / "site-packages")
    running.run("step", progress=False)
    assert not running.SHIPPED.exists()


def test_nothing_is_trained_where_a_checkpoint_is_asked(small, trained):
    model = models.build(MICRO["model"], **MICRO["model_options"]).eval()
    found = running.run("overlap", model=model, **small)
    assert trained == []
    assert [len(v["seeds"]) for v in found["variants"].values()] == [1] * 5
    track = small["held_out"][0]
    half = separate(
        model, track.mixture, track.samplerate, segment=2.0, overlap=0.5, progress=False
    )
    scores = found["variants"]["0.5"]["seeds"][0]["songs"][0]
    assert scores == pytest.approx(sdr(track.stems, half).tolist(), abs=1e-3)
    assert found["variants"]["0.5"]["processor_seconds_per_minute_of_sound"]["mean"] > 0


def test_shifts_are_drawn_by_the_seed(small):
    model = models.build(MICRO["model"], **MICRO["model_options"]).eval()
    found = running.run("shifts", seeds=2, model=model, **small)
    none, one = (found["variants"][n]["seeds"] for n in ("0", "1"))
    assert none[0]["songs"] == none[1]["songs"]
    assert one[0]["songs"] != one[1]["songs"]


def test_damaged_results_are_one_sentence(micro):
    running.SHIPPED.mkdir(parents=True)
    (running.SHIPPED / "step.json").write_text('{"half": ')
    with pytest.raises(ValueError, match=r"step.json is damaged .*experiment step`") as refusal:
        running.results("step")
    assert "\n" not in str(refusal.value)


def test_no_results_is_one_sentence(micro):
    with pytest.raises(FileNotFoundError, match="has no shipped results: `python -m demucs_lab"):
        running.results("step")
    with pytest.raises(ValueError, match="no experiment is named"):
        running.results("stop")
    with pytest.raises(ValueError, match="one seed or more, got 0"):
        running.run("step", seeds=0, songs=songs(3), held_out=songs(1))
