"""What a learner reads from `lab.check`, and what comes back, with the mistakes learners make."""

# ruff: noqa: NPY002  (the legacy generator is the global one)
from __future__ import annotations

import dataclasses
import functools
import random

import numpy as np
import pytest
import torch

import demucs_lab as lab
from demucs_lab import exercises
from demucs_lab.exercises import example, framework
from demucs_lab.exercises.framework import Exercise, Wrong, close
from demucs_lab.exercises.judging import judge

LEVEL = example.EXERCISES[0]


def right(wav):
    if wav.shape[-1] == 0:
        raise ValueError("nothing to hear")
    return (wav**2).sum(-1).div(wav.shape[-1]) ** 0.5


def test_a_right_answer_is_handed_back(capsys):
    assert lab.check("level", right) is right
    shown = capsys.readouterr()
    assert shown.out.startswith("level: right.\n  ✓ a constant of height 3 has level 3\n")
    assert "✗" not in shown.out
    assert shown.err == ""


def test_a_wrong_answer_gets_its_sentence_and_the_reference(capsys):
    def power(wav):
        """Not the author's code, and it refuses silence: it still is the power."""
        if wav.shape[-1] == 0:
            raise ValueError
        return torch.stack([channel.pow(2).mean(-1) for channel in wav.flatten(0, -2)]).view(
            wav.shape[:-1]
        )

    assert lab.check("level", power) is LEVEL.reference
    shown = capsys.readouterr().out
    assert "→ That is the power: its root is the level." in shown
    assert "Got [9], expected [3]." in shown
    assert "✓ no sound at all is refused" in shown


def test_an_unknown_mistake_gets_the_property_and_its_numbers(capsys):
    lab.check("level", lambda wav: right(wav) + 1)
    shown = capsys.readouterr().out
    assert "✗ a constant of height 3 has level 3" in shown
    assert "Got [4], expected [3]." in shown
    assert "→" not in shown


def says(function, capsys, name="level"):
    assert lab.check(name, function) is LEVEL.reference
    return capsys.readouterr().out


def test_numpy_lists_and_floats_are_named(capsys):
    assert "It returns a numpy array, expected a tensor" in says(lambda w: right(w).numpy(), capsys)
    assert "It returns a list, expected a tensor" in says(lambda w: right(w).tolist(), capsys)
    assert "It returns a Python float" in says(lambda w: float(right(w).mean()), capsys)


def test_a_shape_that_would_broadcast_is_named_with_both_shapes(capsys):
    shown = says(lambda w: right(w)[..., None], capsys)
    assert "It returns a tensor of shape [1, 1], expected [1]." in shown
    with pytest.raises(framework.Mistake, match=r"The shape is \[1\], expected \[2\]"):
        close(torch.ones(1), [1, 1], "")


def test_nan_and_infinity_are_named(capsys):
    assert "The result has NaN (0/0?) at [0]." in says(lambda w: right(w) * float("nan"), capsys)
    assert "The result has infinity" in says(lambda w: right(w) / 0, capsys)


def test_changing_the_input_is_a_mistake_of_its_own(capsys):
    def in_place(wav):
        level = right(wav)
        if wav.shape[-1]:
            wav -= wav.mean()
        return level

    ones = torch.ones(1, 2)
    assert "It changes its input in place" in says(in_place, capsys)
    assert torch.equal(ones, torch.ones(1, 2))


def test_an_error_is_one_line_with_the_learners_own_line(capsys):
    def broken(wav):
        return wav @ torch.ones(7)

    shown = says(broken, capsys)
    assert "`return wav @ torch.ones(7)`: RuntimeError: size mismatch" in shown
    assert "Traceback" not in shown

    def misspelt(wav):
        return wva.mean()  # noqa: F821

    assert says(misspelt, capsys).count("name 'wva' is not defined") == 1
    assert "RecursionError" in says(endless_recursion, capsys)
    assert "SystemExit" in says(lambda wav: exit(3), capsys)


def endless_recursion(wav):
    return endless_recursion(wav)


def test_the_wrong_exception_is_named(capsys):
    def asserts(wav):
        assert wav.shape[-1] > 0
        return right(wav)

    assert "Raise ValueError, not AssertionError." in says(asserts, capsys)


def test_what_is_no_function_is_named(capsys):
    assert "expected a function, got a tensor of shape [2]" in says(torch.ones(2), capsys)
    assert "without brackets" in says(3.0, capsys)
    assert "not written yet" in says(None, capsys)
    assert "level: not written yet." in says(lambda wav: None, capsys)

    def forgot_return(wav):
        level = wav.square().mean(-1).sqrt()  # noqa: F841

    assert "It returns None (is the `return` missing?)" in says(forgot_return, capsys)
    assert "takes 0 positional arguments" in says(lambda: 1, capsys)


def test_prints_and_warnings_are_folded_and_never_on_stderr(capsys):
    def noisy(wav):
        print("one\ntwo")
        np.float64(1) / np.float64(0)
        return right(wav)

    assert lab.check("level", noisy) is noisy
    shown = capsys.readouterr()
    assert "Your code printed: one (and" in shown.out
    assert "Your code warned: divide by zero" in shown.out
    assert shown.out.count("divide by zero") == 1
    assert shown.err == ""


def test_an_endless_loop_is_named_with_its_line(monkeypatch, capsys):
    quick = dataclasses.replace(LEVEL, seconds=0.3)
    monkeypatch.setitem(framework.all_exercises(), "level", quick)

    def endless(wav):
        i = 0
        while i < 10:
            i = max(i, 0)

    shown = says(endless, capsys)
    assert "stopped after 0.3 s" in shown
    assert "i < 10" in shown or "max(i, 0)" in shown


def test_the_random_state_is_left_alone(capsys):
    torch.manual_seed(5)
    random.seed(5)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    lab.check("level", right)
    lab.check("level", lambda wav: right(wav + torch.rand(1) + random.random()))
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()
    assert np.array_equal(before[2], np.random.get_state()[1])


def test_an_answer_that_is_right_by_luck_is_not_accepted():
    for generator in (random.random, np.random.rand, lambda: float(torch.rand(()))):

        def lucky(wav, draw=generator):
            return right(wav) if wav.numel() == 0 or draw() < 0.95 else right(wav) + 1

        verdict = judge(LEVEL, lucky)
        assert verdict.status == "wrong"

    def needless(wav):
        return right(wav) + 0 * torch.rand(())

    assert judge(LEVEL, needless).status == "right"


def test_a_patch_in_an_answer_ends_with_its_check():
    where = (framework, example, torch, torch.Tensor, torch.nn.functional, np, random)
    before = [dict(vars(holder)) for holder in where]
    threads = torch.get_num_threads()

    def patches(wav):
        framework.close = example.close = lambda *_, **__: None
        framework.bool = lambda _: True
        torch.allclose = torch.Tensor.sqrt = torch.nn.functional.pad = np.mean = lambda *_: 1
        random.random = lambda: 0.5
        framework.all_exercises().clear()
        torch.set_num_threads(threads + 1)
        return right(wav)

    judge(LEVEL, patches)
    assert [dict(vars(holder)) for holder in where] == before
    assert framework.all_exercises()["level"] is LEVEL
    assert judge(LEVEL, lambda wav: wav.mean(-1)).status == "wrong"
    assert torch.get_num_threads() == threads
    with pytest.raises(AttributeError):
        LEVEL.properties.clear()


def test_checks_are_the_same_every_time(capsys):
    shown = {says(lambda wav: right(wav) + torch.rand(1), capsys) for _ in range(3)}
    assert len(shown) == 1


@pytest.mark.parametrize(
    "answer",
    [
        LEVEL.reference,
        functools.partial(LEVEL.reference),
        functools.lru_cache(LEVEL.reference),
        lambda wav: LEVEL.reference(wav),
        lambda wav: right(wav) if wav.numel() == 0 else torch.linalg.vector_norm(wav, dim=-1) / 2,
        torch.nn.functional.rms_norm,
        lab.masking.ideal_ratio_mask,
    ],
)
def test_an_imported_answer_is_refused(answer):
    verdict = judge(LEVEL, answer)
    assert verdict.status == "refused"


def test_a_method_of_the_tensor_can_be_forbidden():
    no_std = dataclasses.replace(LEVEL, forbidden=("torch.Tensor.std",))
    assert judge(no_std, lambda wav: wav.std(-1)).sentence.startswith("it calls torch.Tensor.std")
    assert judge(no_std, right).status == "right"


def test_checking_twice_what_a_check_handed_back_says_what_to_do(capsys):
    level = lab.check("level", lambda wav: wav.mean(-1))
    assert "run the cell with your own function, then this one" in says(level, capsys)


def test_double_precision_and_learners_who_compute_in_it():
    assert judge(LEVEL, right, torch.float64).status == "right"
    told = judge(LEVEL, lambda wav: right(wav.double()))
    assert told.status == "wrong"
    assert "It returns float64 numbers, expected float32 ones" in told.sentence
    assert judge(LEVEL, lambda wav: right(wav.double()).to(wav.dtype)).status == "right"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda():
    assert judge(LEVEL, right, device="cuda").status == "right"
    assert judge(LEVEL, lambda wav: right(wav.cuda())).status == "right"
    named = judge(LEVEL, lambda wav: wav.square().mean(-1), device="cuda").named
    assert named == "no_root"


def test_an_unknown_name_is_no_error(capsys):
    assert lab.check("levle", right) is right
    assert "Did you mean 'level'?" in capsys.readouterr().out
    lab.hint("levle")
    assert "Did you mean 'level'?" in capsys.readouterr().out


@pytest.mark.parametrize("stage", ["autograde", "validate"])
def test_where_nbgrader_grades_a_wrong_answer_raises_its_sentence(stage, monkeypatch, capsys):
    monkeypatch.setenv("NBGRADER_EXECUTION", stage)
    assert lab.check("level", right) is right
    with pytest.raises(AssertionError, match=r"^level: That is the power"):
        lab.check("level", lambda wav: wav.square().mean(-1))
    with pytest.raises(AssertionError, match="not written yet"):
        lab.check("level", None)
    with pytest.raises(AssertionError, match="There is no exercise"):
        lab.check("levle", right)


def test_where_nbgrader_grades_the_cells_that_follow_get_the_reference(monkeypatch, capsys):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    names = {"lab": lab}
    exec("def level(wav): return wav", names)
    with pytest.raises(AssertionError):
        exec("level = lab.check('level', level)", names)
    assert names["level"] is LEVEL.reference


def test_an_exercise_may_ask_for_a_change_in_place():
    def fill(tensor):
        tensor.fill_(1)

    def changes(f):
        """the tensor is full of ones afterwards"""
        x = framework.tensor([0.0, 0.0])
        f(x)
        close(x, [1, 1], "Fill it.")

    twos = Wrong(lambda x: (x.fill_(2), None)[1], "That fills it with twos.")
    rescale = Exercise("fill", "x", "Fill", fill, (changes,), {"twos": twos}, (), mutates=True)
    assert judge(rescale, lambda x: (x.add_(1), None)[1]).status == "right"
    assert judge(rescale, lambda x: torch.ones(2)).status == "wrong"


def test_an_exercise_may_ask_for_a_class():
    class Double(torch.nn.Module):
        def __init__(self, times: int = 2) -> None:
            super().__init__()
            self.times = times

        def forward(self, x):
            return self.times * x

    def doubles(make):
        """twice as loud"""
        close(make()(framework.tensor([1.0, 2.0])), [2, 4], "Twice.")

    class Triple(Double):
        def __init__(self) -> None:
            super().__init__(3)

    block = Exercise("double", "x", "t", Double, (doubles,), {"3": Wrong(Triple, "Thrice.")}, ())

    class Own(torch.nn.Module):
        def forward(self, x):
            return x + x

    class OwnTriple(torch.nn.Module):
        def forward(self, x):
            return x + x + x

    assert judge(block, Own).status == "right"
    assert judge(block, OwnTriple).named == "3"
    assert judge(block, Double).status == "refused"
    assert judge(block, lambda: Double()).status == "refused"


def test_hints_come_one_at_a_time_and_the_last_again(monkeypatch, capsys):
    monkeypatch.setattr(exercises, "_HINTS_GIVEN", {})
    for _ in range(5):
        lab.hint("level")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "Hint 1 of 3",
        "Hint 2 of 3",
        *["Hint 3 of 3 (the last)"] * 3,
    ]


def in_a_notebook(*cells):
    """Run cells as a notebook does, in one namespace, and go on after an error."""
    names = {"lab": lab}
    for cell in cells:
        try:
            exec(compile(cell, "<cell>", "exec"), names)
        except (SyntaxError, NameError):
            assert "lab." not in cell, "the check itself stopped the lesson"
    return names


@pytest.mark.parametrize("attempt", ["def level(wav): return wav.mean(", "", "level = lvl"])
def test_a_check_by_name_goes_on_where_nothing_has_the_name(attempt, capsys):
    names = in_a_notebook(attempt, 'level = lab.check("level")')
    assert names["level"] is LEVEL.reference
    shown = capsys.readouterr().out
    assert "level: nothing is called level yet. Run the cell that defines it" in shown
    assert "The lesson goes on with the reference." in shown


def test_a_check_by_name_finds_the_answer(monkeypatch, capsys):
    names = in_a_notebook("def level(wav): return wav.mean(-1)", 'level = lab.check("level")')
    assert names["level"] is LEVEL.reference
    assert "The plain mean of a sound is near zero" in capsys.readouterr().out
    level = right
    assert lab.check("level") is level
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    names = {"lab": lab}
    with pytest.raises(AssertionError, match="nothing is called level"):
        exec("level = lab.check('level')", names)
    assert names["level"] is LEVEL.reference
    with pytest.raises(AssertionError, match="There is no exercise"):
        lab.check("levle")


def test_after_a_failed_check_the_learners_version_is_kept(capsys):
    once = "def level(wav): return wav.mean(-1)"
    twice = "def level(wav): return wav.square().mean(-1)"
    check = "level = lab.check('level', level)"
    names = in_a_notebook(once, check, "first = my_level", twice, check)
    assert capsys.readouterr().out.count("it is called my_level now") == 2
    wav = torch.tensor([[1.0, 3.0]])
    assert names["first"](wav) == 2
    assert names["my_level"](wav) == 5
    names = in_a_notebook("my_level = 3", once, check)
    assert names["my_level"] == 3
    assert "my_level" not in capsys.readouterr().out
    assert "my_level" not in in_a_notebook("def level(wav): ...", check)
