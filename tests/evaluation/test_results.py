"""Scores of shipped models, with songs of one second and a half and models of a few weights."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from songs import RATE, Noise
from songs import songs as tones

from demucs_lab import cli, masking, metrics, models, separate
from demucs_lab.audio import SOURCES
from demucs_lab.evaluation import readme as page
from demucs_lab.evaluation import results, scores
from demucs_lab.evaluation.readme import BEGIN, END
from demucs_lab.evaluation.tables import COLUMNS
from demucs_lab.pretrained import shipped


def songs(count):
    return tones(count, seconds=1.5, load=Noise)


def model_file(path, seed):
    torch.manual_seed(seed)
    model = models.build(
        "demucs-v1", channels=4, depth=2, samplerate=RATE, segment=1.0, lstm_layers=1
    )
    models.save(model, path, dtype=torch.float16)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    names = ("tiny-demucs", "tiny-htdemucs")
    return {
        name: model_file(folder / f"{name}.safetensors", seed) for seed, name in enumerate(names)
    }


@pytest.fixture(scope="module")
def measured(files, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return results.measure(files, songs(3), songs(4)[3:], 1, cache, progress=False), cache


def estimates_of(song, system, files):
    if system == "mixture":
        return song.mixture.expand_as(song.stems)
    if system in files:
        return separate(models.load(files[system]), song.mixture, RATE, progress=False)
    method, _, n_fft = system.partition("@")
    return masking.oracle(song.stems, method, int(n_fft or scores.N_FFT))


@pytest.mark.parametrize("system", ["mixture", "irm1", "mwf", "irm2@1024", "tiny-demucs"])
def test_scores_are_those_of_a_report(measured, files, system):
    found, _ = measured
    expected = metrics.report(
        ((song.name, song.stems, estimates_of(song, system, files), RATE) for song in songs(3)),
        bss=system in ("mwf", "tiny-demucs"),
    )
    np.testing.assert_allclose(results.values(found, system), expected.nsdr, atol=6e-5)
    assert ("sdr" in found["systems"][system]) == ("@" not in system)
    if not expected.scores:
        return
    for score, per_song in expected.scores.items():
        np.testing.assert_allclose(results.values(found, system, score), per_song, atol=6e-5)
    summary = found["summary"][system]
    for score, (statistic, values) in {
        "nsdr": ("mean", expected.summary()["nsdr"]), "sdr": ("median", expected.summary()["sdr"])
    }.items():  # fmt: skip
        np.testing.assert_allclose(summary[score][statistic][:4], values, atol=2e-4)
        assert summary[score][statistic][4] == pytest.approx(values.mean().item(), abs=2e-4)


def test_differences_are_paired(measured):
    found, _ = measured
    wanted = {"a": "tiny-htdemucs", "b": "tiny-demucs", "score": "nsdr"}
    rows = {row["source"]: row for row in found["differences"] if wanted.items() <= row.items()}
    gaps = results.values(found, "tiny-htdemucs") - results.values(found, "tiny-demucs")
    assert tuple(rows) == COLUMNS
    for index, source in enumerate(SOURCES):
        row = rows[source]
        assert row["mean"] == pytest.approx(gaps[:, index].mean(), abs=1e-4)
        assert gaps[:, index].min() <= row["low"] <= row["mean"] <= row["high"]
        assert row["high"] <= gaps[:, index].max() + 1e-4
    assert rows["mean"]["mean"] == pytest.approx(gaps.mean(), abs=1e-4)


def test_real_songs_are_apart(measured, files):
    found, _ = measured
    (song,) = songs(4)[3:]
    assert found["real"]["songs"]["names"] == [song.name]
    expected = metrics.sdr(song.stems, estimates_of(song, "tiny-demucs", files))
    (row,) = found["real"]["systems"]["tiny-demucs"]["nsdr"]
    assert row == pytest.approx(expected.tolist(), abs=6e-5)


def test_what_was_scored_is_kept(measured, files, tmp_path, monkeypatch):
    found, cache = measured
    asked = []
    score_song = scores.score_song

    def watched(song, systems):
        asked.append((song.name, [system.name for system in systems]))
        return score_song(song, systems)

    monkeypatch.setattr(scores, "score_song", watched)
    again = results.measure(files, songs(3), [], 1, cache, progress=False)
    assert not asked
    assert again["systems"] == found["systems"]
    other = {**files, "tiny-demucs": model_file(tmp_path / "other.safetensors", 7)}
    changed = results.measure(other, songs(3), [], 1, cache, progress=False)
    assert asked == [(song.name, ["tiny-demucs"]) for song in songs(3)]
    assert changed["systems"]["tiny-demucs"] != found["systems"]["tiny-demucs"]
    assert changed["systems"]["mwf"] == found["systems"]["mwf"]


def test_an_interruption_costs_the_song_at_hand(files, tmp_path, monkeypatch):
    score_song = scores.score_song
    done = []

    def interrupted(song, systems):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(song.name)
        return score_song(song, systems)

    monkeypatch.setattr(scores, "score_song", interrupted)
    with pytest.raises(KeyboardInterrupt):
        results.measure(files, songs(3), [], 1, tmp_path, progress=False)
    monkeypatch.setattr(
        scores, "score_song", lambda song, *rest: done.append(song.name) or score_song(song, *rest)
    )
    results.measure(files, songs(3), [], 1, tmp_path, progress=False)
    assert done == [song.name for song in songs(3)]


def test_two_processes_score_as_one(measured, files, tmp_path):
    found, _ = measured
    again = results.measure(files, songs(2), [], 2, tmp_path, progress=False)
    for name in found["systems"]:
        np.testing.assert_allclose(
            results.values(again, name), results.values(found, name)[:2], atol=2e-4
        )


def test_a_silent_source_has_no_score(files, tmp_path):
    def quiet_bass(song):
        load = song.load
        return dataclasses.replace(
            song, load=lambda source, start, n: load(source, start, n) * (source != "bass")
        )

    silent, loud = quiet_bass(songs(2)[0]), songs(2)[1]
    found = results.measure(files, [silent, loud], [], 1, tmp_path, progress=False)
    bass = SOURCES.index("bass")
    nsdr, sdr = (results.values(found, "tiny-demucs", score) for score in ("nsdr", "sdr"))
    assert np.isnan(nsdr).tolist() == [[i == bass for i in range(4)], [False] * 4]
    assert np.isnan(sdr[0]).all()  # as in museval, that song has no BSSEval
    assert np.isfinite(sdr[1]).all()
    assert found["summary"]["tiny-demucs"]["nsdr"]["mean"][bass] == nsdr[1, bass]


def test_what_only_rounding_limits_has_no_score(measured):
    assert np.isnan(results.values(measured[0], "mixture", "sar")).all()  # it has no artefacts
    assert measured[0]["summary"]["mixture"]["sar"]["median"] == [None] * 5


def test_results_survive_the_file(measured, tmp_path):
    found, _ = measured
    path = results.write(found, tmp_path / "results.json")
    assert results.read(path) == found
    text = path.read_text(encoding="utf-8")
    assert "NaN" not in text
    assert any(line.strip().startswith("[") and line.count(",") >= 3 for line in text.splitlines())
    with pytest.raises(FileNotFoundError, match="python -m demucs_lab results"):
        results.read(tmp_path / "nothing.json")


@pytest.fixture
def readme(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(f"before\n\n{BEGIN}\nold\n{END}\n\nafter – é\n", encoding="utf-8")
    return path


@pytest.fixture
def kit(measured, files, monkeypatch, tmp_path):
    """The measured models as those that came with the kit, and their results."""
    folder = tmp_path / "pretrained" / "tiny"
    folder.mkdir(parents=True)
    for path in files.values():
        (folder / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(shipped, "FOLDER", folder)
    return results.write(measured[0], folder.parent / "results.json")


def test_the_readme_shows_what_was_measured(measured, readme, kit):
    page.write_readme(measured[0], readme)
    page.check(readme, kit)
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("before")
    assert text.endswith("after – é\n")
    line, gaps = [line for line in text.splitlines() if line.startswith("| **tiny-demucs**")]
    cells = [cell.split(" / ") for cell in line.strip("| ").split(" | ")[1:6]]
    expected = results.values(measured[0], "tiny-demucs").mean(0)
    assert [float(nsdr) for nsdr, _ in cells[:4]] == pytest.approx(expected, abs=0.051)
    bass = [results.values(measured[0], name)[:, 1].mean() for name in ("tiny-demucs", "irm1")]
    assert float(gaps.split(" | ")[1].split(" [")[0]) == pytest.approx(bass[0] - bass[1], abs=0.006)
    assert "Hours of sound heard in training: tiny-demucs 43.3, tiny-htdemucs 9.2." in text
    before = text
    page.write_readme(measured[0], readme)
    assert readme.read_text(encoding="utf-8") == before


def test_what_does_not_agree_is_named(measured, readme, kit):
    with pytest.raises(ValueError, match=r"README.md is not that of results.json"):
        page.check(readme, kit)
    page.write_readme(measured[0], readme)
    model_file(shipped.weights("tiny-htdemucs"), 9)
    with pytest.raises(ValueError, match="not measured with the tiny-htdemucs of this"):
        page.check(readme, kit)
    readme.write_text("nothing", encoding="utf-8")
    with pytest.raises(ValueError, match="lacks the markers of the table"):
        page.write_readme(measured[0], readme)


def test_the_command_measures_and_writes(measured, kit, monkeypatch, capsys):
    monkeypatch.setattr(results, "PATH", kit)
    monkeypatch.setattr(results, "measure", lambda processes: measured[0])
    kit.unlink()
    assert cli.main(["results"]) == 2
    assert cli.main(["results", "--measure"]) == 0
    assert "tiny-htdemucs − tiny-demucs" in capsys.readouterr().out
    assert json.loads(kit.read_text(encoding="utf-8"))["systems"].keys() >= {"mixture", "irm1"}


def test_the_bare_command_shows_what_is_recorded_and_measures_nothing(
    measured, kit, monkeypatch, capsys
):
    monkeypatch.setattr(results, "PATH", kit)
    monkeypatch.setattr(results, "measure", None)
    before = kit.read_bytes()
    assert cli.main(["results"]) == 0
    assert "tiny-htdemucs − tiny-demucs" in capsys.readouterr().out
    assert kit.read_bytes() == before


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", "[" * 10**5, '{"systems": 3, "songs": 1, "summary": []}']
)
def test_damaged_results_are_one_sentence(tmp_path, text):
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"results\.json is damaged") as caught:
        results.read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.musdb
def test_real_music_is_brought_to_the_rate_of_the_models():
    from demucs_lab.datasets import MUSDB18

    (song, *_) = results._real_songs()
    assert song.samplerate == results.RATE
    assert song.duration <= results.SECONDS
    try:
        original = MUSDB18(split="test")[0]
    except FileNotFoundError:
        original = MUSDB18(split="train")[0]
    assert song.name == original.name
    spectrum = torch.fft.rfft(original.stems if original.duration < 30 else song.stems)
    hertz = torch.fft.rfftfreq(original.frames, 1 / original.samplerate)
    kept = spectrum[..., hertz < 0.9 * results.RATE / 2].abs().square().sum((1, 2))
    whole = torch.fft.rfft(song.stems)
    hertz = torch.fft.rfftfreq(song.frames, 1 / song.samplerate)
    found = whole[..., hertz < 0.9 * results.RATE / 2].abs().square().sum((1, 2))
    ratio = original.samplerate / song.samplerate  # energies of spectra grow with the rate
    torch.testing.assert_close(found * ratio**2, kept, rtol=0.02, atol=0)
