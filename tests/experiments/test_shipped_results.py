"""Every results file that the package ships is whole, current, and says what its own scores say."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import demucs_lab
from demucs_lab.experiments import EXPERIMENTS, PUBLISHED, trials

FOLDER = Path(demucs_lab.__file__).parent / "experiments" / "results"


@pytest.fixture(params=list(EXPERIMENTS))
def shipped(request):
    return json.loads((FOLDER / f"{request.param}.json").read_text(encoding="utf-8"))


def test_every_experiment_has_its_results():
    assert {path.stem for path in FOLDER.glob("*.json")} == EXPERIMENTS.keys()


def test_it_is_of_the_full_experiment_as_it_is_now(shipped):
    one = EXPERIMENTS[shipped["name"]]
    assert shipped["reduced"] == []
    assert list(shipped["variants"]) == [variant.name for variant in one.variants]
    for variant in one.variants:
        entry = shipped["variants"][variant.name]
        assert len(entry["seeds"]) >= (3 if one.random else 1)
        assert entry["separation"] == variant.separation
        if variant.config:
            settings = {k: v for k, v in entry["training"].items() if k != "gain"}
            assert settings.items() <= vars(variant.config).items()
            model = trials.build(variant, 0)
            assert entry["parameters"] == sum(p.numel() for p in model.parameters())
    published = [vars(entry) for entry in PUBLISHED[one.name]]
    assert shipped["published"] == published
    assert published or shipped["published_note"].startswith("None published")


def test_its_means_and_intervals_are_those_of_its_scores(shipped):
    def scores(name):
        rows = [row["songs"] for row in shipped["variants"][name]["seeds"]]
        return np.array(rows, dtype=float)

    for name, entry in shipped["variants"].items():
        per_seed = np.nanmean(np.nanmean(scores(name), 1), 1)
        assert entry["mean"]["mean"] == pytest.approx(per_seed.mean(), abs=1e-3)
        if "difference" not in entry:
            continue
        gap = scores(name) - scores(entry["compared_with"])
        over_songs = stats.ttest_1samp(np.nanmean(np.nanmean(gap, 0), 1), 0)
        ours, theirs = entry["difference"]["over_songs"], over_songs.confidence_interval()
        assert (ours["low"], ours["high"]) == pytest.approx(tuple(theirs), abs=1e-3)


def test_it_says_where_it_was_made(shipped):
    for machine in shipped["machines"]:
        assert machine["git"]
        assert machine["torch"]
        assert machine["cores"]
    if shipped["budget"]["steps"]:
        assert shipped["training_seconds"] > 0
