"""What every exercise of every lesson promises, whoever wrote it."""

from __future__ import annotations

import pytest
import torch

from demucs_lab.exercises._imported import find
from demucs_lab.exercises.framework import all_exercises, all_predictions
from demucs_lab.exercises.judging import claim, judge

EXERCISES = all_exercises()
WRONG = [(e, w) for e in EXERCISES.values() for w in e.wrong]
each_exercise = pytest.mark.parametrize("exercise", EXERCISES.values(), ids=list(EXERCISES))


@each_exercise
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_reference_passes(exercise, dtype):
    verdict = judge(exercise, exercise.reference, dtype, trusted=True)
    assert verdict.status == "right", [line for line in verdict.lines if line.mistake]
    assert not verdict.warned
    assert not verdict.printed


@each_exercise
def test_the_empty_stub_is_not_written_yet(exercise):
    def raises(*args, **kwargs):
        """As nbgrader leaves it."""
        # YOUR CODE HERE
        raise NotImplementedError()

    def returns_nothing(*args, **kwargs):
        """As an editor leaves it."""

    def dots(*args, **kwargs): ...

    for stub in (raises, returns_nothing, dots, None, ...):
        verdict = judge(exercise, stub)
        assert verdict.status == "unwritten"
        assert "not written yet" in verdict.sentence
        assert not verdict.lines


@pytest.mark.parametrize(("exercise", "name"), WRONG, ids=[f"{e.name}-{w}" for e, w in WRONG])
def test_the_wrong_answer_is_rejected_with_its_own_sentence(exercise, name):
    verdict = judge(exercise, exercise.wrong[name].function, trusted=True)
    assert verdict.status == "wrong", "no property fails for it"
    assert verdict.named == name, [line for line in verdict.lines if line.mistake]
    assert verdict.sentence == exercise.wrong[name].sentence


@each_exercise
def test_there_is_enough_to_learn_from(exercise):
    sentences = [wrong.sentence for wrong in exercise.wrong.values()]
    assert len(sentences) >= 6
    assert len(set(sentences)) == len(sentences), "two wrong answers share a sentence"
    assert len(exercise.hints) >= 3
    assert len(exercise.properties) >= 3
    claims = [claim(prove) for prove in exercise.properties]
    assert len(set(claims)) == len(claims)
    assert all(prove.__doc__ for prove in exercise.properties), "a property has no docstring"
    for text in [*sentences, *exercise.hints]:
        assert text.strip()
        assert text.strip()[-1] in ".?!)`", f"not a sentence: {text!r}"


@each_exercise
def test_what_is_forbidden_exists_and_is_refused(exercise):
    for name in exercise.forbidden:
        assert judge(exercise, find(name)).status == "refused"
    assert judge(exercise, exercise.reference).status == "refused"
    reference = exercise.reference

    def wrapper(*args, **kwargs):
        return reference(*args, **kwargs)

    assert judge(exercise, wrapper).status == "refused"


@pytest.mark.parametrize("prediction", all_predictions().values(), ids=list(all_predictions()))
def test_every_choice_of_a_prediction_is_explained(prediction):
    if isinstance(prediction.answer, str):
        assert prediction.answer in prediction.options
        assert set(prediction.why) == set(prediction.options)
        assert len(prediction.options) >= 3
    else:
        assert set(prediction.why) == {"low", "right", "high"}
        assert prediction.within > 0
    assert len(set(prediction.why.values())) == len(prediction.why)
