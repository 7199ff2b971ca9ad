import dataclasses

import pytest

from demucs_lab.experiments import EXPERIMENTS, catalogue

# What each variant changes of the one that it is compared with, and nothing else.
CHANGES = {
    ("glu", "ReLU"): {"glu": False},
    ("rescale", "off"): {"rescale": 0.0},
    ("lstm", "off"): {"lstm_layers": 0},
    ("skips", "off"): {"skips": False},
    ("loss", "L2"): {"loss": "l2"},
    ("loss", "SI-SDR"): {"loss": "si_sdr"},
    ("augmentation", "small, off"): {"channels": 8},
    ("augmentation", "small, on"): {
        "sign_flip": True, "channel_swap": True, "remix": True, "gain": (0.25, 1.25),
    },
    ("augmentation", "large, on"): {
        "sign_flip": True, "channel_swap": True, "remix": True, "gain": (0.25, 1.25),
    },
    ("resample", "inside"): {"resample": True},
    ("resample", "afterwards"): {"resample": 2},
    ("cross-attention", "off"): {"cross_attention": False},
    ("branches", "time only"): {"branch": "time"},
    ("branches", "frequency only"): {"branch": "frequency"},
    ("models", "Conv-TasNet"): {"model": "tiny-conv-tasnet", "name": "tiny-conv-tasnet"},
    ("models", "HDemucs"): {
        "model": "tiny-hdemucs", "name": "tiny-hdemucs", "learning_rate": 2e-3,
    },
    ("models", "HTDemucs"): {
        "model": "tiny-htdemucs", "name": "tiny-htdemucs", "learning_rate": 2e-3,
    },
    **{("shifts", str(n)): {"shifts": n} for n in (1, 2, 3, 5, 10)},
    **{("overlap", f"{share:g}"): {"overlap": share} for share in (0.1, 0.25, 0.4, 0.5)},
}  # fmt: skip


def flat(variant):
    config = dataclasses.asdict(variant.config) if variant.config else {}
    options = config.pop("model_options", {})
    return {**config, **options, **variant.separation, "branch": variant.branch}


def test_a_variant_changes_what_it_says_and_nothing_else():
    found = {}
    for name, one in EXPERIMENTS.items():
        for variant in one.variants:
            if (other := one.reference_of(variant)) is not variant:
                ours, theirs = flat(variant), flat(other)
                found[name, variant.name] = {k: v for k, v in ours.items() if theirs.get(k) != v}
    assert found == CHANGES


def test_budgets_are_in_steps_and_held_out_songs_choose_nothing():
    configs = [v.config for one in EXPERIMENTS.values() for v in one.variants if v.config]
    assert all(config.steps and config.minutes is None for config in configs)
    assert {config.validations for config in configs} == {1}
    assert {config.patience for config in configs} == {None}


def test_the_reduced_form_is_smaller():
    for one in EXPERIMENTS.values():
        for variant in one.variants:
            assert variant.config is None or one.reduced_steps <= variant.config.steps / 2


def test_an_unknown_name_is_one_sentence():
    with pytest.raises(ValueError, match="no experiment is named 'gelu': choose from glu, "):
        catalogue.experiment("gelu")
