import json
from dataclasses import asdict

import pytest

from demucs_lab import models
from demucs_lab.training import Config, preset, presets


@pytest.mark.parametrize("name", presets())
def test_every_preset_names_a_model_that_can_be_built_and_is_json(name):
    config = preset(name)
    assert config.name == name
    assert config.model in models.BUILDERS
    assert Config(**json.loads(json.dumps(asdict(config)))) == config


def test_the_papers_settings_are_the_published_ones():
    """facebookresearch/demucs: parser.py of v2; conf/config.yaml and grids/mmi.py of v4."""
    for name in ("paper-demucs", "paper-hdemucs", "paper-htdemucs"):
        config = preset(name)
        assert (config.learning_rate, config.loss, config.cosine) == (3e-4, "l1", False)
        assert (config.remix, config.remix_group, config.gain) == (True, 4, (0.25, 1.25))
        assert (config.pitch_tempo, config.weight_decay, config.clip) == (0.2, 0, None)
    assert [preset(f"paper-{m}").batch for m in ("demucs", "hdemucs", "htdemucs")] == [64, 64, 32]


def test_a_budget_replaces_the_other():
    assert preset("tiny-demucs").but(steps=5).minutes is None
    assert preset("tiny-demucs").but(steps=5).but(minutes=2).steps is None
    with pytest.raises(ValueError, match="minutes or steps"):
        preset("tiny-demucs").but(minutes=None)


def test_an_unknown_preset_is_named():
    with pytest.raises(ValueError, match="no preset is named 'tiny'"):
        preset("tiny")
