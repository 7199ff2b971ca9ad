"""The models that come with the kit are what their cards and results.json say."""

import numpy as np
import pytest
import torch

from demucs_lab import metrics, pretrained, separate
from demucs_lab.audio import SOURCES
from demucs_lab.datasets import LabSongs
from demucs_lab.evaluation import readme, results
from demucs_lab.experiments.shipping import MOST_BYTES, MOST_PARAMETERS
from demucs_lab.metrics import intervals
from demucs_lab.pretrained import download, shipped
from demucs_lab.training.recipes import SHIPPED

each_model = pytest.mark.parametrize("name", list(SHIPPED))


@pytest.fixture(scope="module")
def song():
    return LabSongs(results.SPLIT, results.RATE, results.SECONDS, n=1)[0]


def test_every_recipe_has_its_model():
    assert shipped.names() == sorted(SHIPPED)


@each_model
def test_it_is_small_and_its_card_is_of_this_file(name):
    path = shipped.weights(name)
    model = pretrained.load(name)
    assert path.stat().st_size <= MOST_BYTES
    assert sum(weight.numel() for weight in model.parameters()) <= MOST_PARAMETERS
    assert model.samplerate == results.RATE
    assert f"SHA-256: {download.file_hash(path)}" in pretrained.card(name)


@each_model
def test_it_scores_what_results_json_says(name, song):
    estimates = separate(pretrained.load(name), song.mixture, song.samplerate, progress=False)
    scores = metrics.sdr(song.stems, estimates)
    known = results.read()
    assert known["songs"]["names"][0] == song.name
    np.testing.assert_allclose(scores, results.values(known, name)[0], atol=0.02)
    assert torch.all(scores > metrics.sdr(song.stems, song.mixture.expand_as(song.stems)))


def test_readme_results_and_models_agree():
    readme.check()


@pytest.mark.parametrize(("mask", "by"), [("irm1", 1.5), ("irm2", 0.5)])
def test_a_waveform_model_goes_past_the_ceiling_of_ratio_masks_on_bass(mask, by):
    """The central claim of the course, at whichever window serves the mask best."""
    scores, bass = results.read(), SOURCES.index("bass")
    model = results.values(scores, "tiny-demucs")[:, bass]
    windows = [name for name in scores["systems"] if name.startswith(mask)]
    assert len(windows) > 1
    for window in windows:
        gap = intervals.paired_bootstrap(model, results.values(scores, window)[:, bass])
        assert gap.mean > by
        assert gap.low > 0
