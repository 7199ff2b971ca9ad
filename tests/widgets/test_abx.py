from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
import soundfile
from scipy.stats import binomtest

from demucs_lab.widgets import ABX
from demucs_lab.widgets.abx import guessing

RATE = 8000
A, B = np.full(RATE, 0.25), np.full(RATE, -0.25)


def answer(test: ABX, choice: str) -> None:
    message = {"type": "answer", "trial": len(test.abx_log) + 1, "choice": choice}
    test._handle_custom_msg(message, [])


@pytest.mark.parametrize("n", [1, 5, 10, 16])
def test_the_p_value_is_scipys_one_sided_binomial(n: int) -> None:
    for correct in range(n + 1):
        expected = binomtest(correct, n, 0.5, alternative="greater").pvalue
        assert guessing(correct, n) == pytest.approx(expected)


def test_answers_are_logged_with_the_truth_and_the_running_p_value() -> None:
    test = ABX(A, B, RATE, trials=6, seed=1)
    for choice in "AABABB":
        answer(test, choice)
    truth = [entry["truth"] for entry in test.abx_log]
    assert set(truth) == {"A", "B"}
    right = [t == c for t, c in zip(truth, "AABABB", strict=True)]
    assert [entry["correct"] for entry in test.abx_log] == right
    for n, entry in enumerate(test.abx_log, 1):
        expected = binomtest(sum(right[:n]), n, 0.5, alternative="greater").pvalue
        assert entry["p_value"] == pytest.approx(expected)
    assert test.results == (6, sum(right), test.abx_log[-1]["p_value"])


def test_x_sounds_like_its_truth_and_changes_hands() -> None:
    test = ABX(A, B, RATE, trials=20, seed=0)
    for _ in range(20):
        _, flac = test.audio_message("X")
        heard = "A" if soundfile.read(io.BytesIO(flac))[0][0] > 0 else "B"
        answer(test, heard)
    assert test.results.correct == 20


def test_neither_state_nor_message_tells_who_x_is() -> None:
    """With A and B of one length, two tests that differ in X alone look the same from outside."""
    outside = set()
    truths = set()
    for seed in range(8):
        test = ABX(A, B, RATE, trials=1, seed=seed)
        state = {k: v for k, v in test.get_state().items() if k not in ("layout",)}
        outside.add(json.dumps([state, test.audio_message("X")[0]], sort_keys=True))
        answer(test, "A")
        truths.add(test.abx_log[0]["truth"])
    assert truths == {"A", "B"}
    assert len(outside) == 1


def test_a_late_or_repeated_answer_is_not_counted() -> None:
    test = ABX(A, B, RATE, trials=2, seed=0)
    message = {"type": "answer", "trial": 1, "choice": "A"}
    test._handle_custom_msg(message, [])
    test._handle_custom_msg(message, [])
    assert test.results.n == 1


def test_after_the_last_trial_there_is_no_x_and_no_answer() -> None:
    test = ABX(A, B, RATE, trials=1)
    test.answer("A")
    assert [track["id"] for track in test.tracks] == ["A", "B"]
    with pytest.raises(ValueError, match="all 1 trials are answered"):
        test.answer("A")
    test.restart()
    assert test.results == (0, 0, 1.0)
    assert [track["id"] for track in test.tracks] == ["A", "B", "X"]


def test_the_order_repeats_with_the_seed_and_not_without() -> None:
    def order(seed: int | None) -> list[str]:
        test = ABX(A, B, RATE, trials=40, seed=seed)
        for _ in range(40):
            test.answer("A")
        return [entry["truth"] for entry in test.abx_log]

    assert order(3) == order(3)
    assert order(None) != order(None)


def test_a_louder_sound_is_pointed_out_and_nothing_is_levelled() -> None:
    test = ABX(A, 2 * B, RATE)
    assert test.note == "B is 6.0 dB louder than A: you may be hearing just that"
    loud = ABX(A, 8 * B, RATE)
    assert loud.note.startswith("all levels −6.1 dB")
    levels = [soundfile.read(io.BytesIO(loud.audio_message(k)[1]))[0][0] for k in "AB"]
    assert levels[1] / levels[0] == pytest.approx(-8, rel=1e-3)
    assert ABX(A, B, RATE).note == ""


def test_bundle_and_repr_are_stable() -> None:
    test = ABX(A, B, RATE, names=("clean", "IRM"))
    data, _ = test._repr_mimebundle_()
    assert data["text/plain"] == repr(test)
    assert repr(test) == "ABX: A = clean, B = IRM · 10 trials · 1.0 s · 8000 Hz"
    assert data["image/png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"b": B[1:]}, "a has 8000 samples, b has 7999"),
        ({"a": np.zeros((RATE, 2))}, r"^a: .*transpose it"),
        ({"trials": 0}, "at least 1"),
        ({"trials": True}, "at least 1"),
        ({"names": "AB"}, "expected two names"),
        ({"samplerate": 0}, "samplerate in Hz"),
    ],
)
def test_bad_arguments_get_one_sentence(arguments: dict[str, Any], words: str) -> None:
    good: dict[str, Any] = {"a": A, "b": B, "samplerate": RATE}
    with pytest.raises(ValueError, match=words):
        ABX(**{**good, **arguments})


def test_an_answer_is_a_or_b() -> None:
    with pytest.raises(ValueError, match="expected an answer 'A' or 'B', got 'X'"):
        ABX(A, B, RATE).answer("X")
