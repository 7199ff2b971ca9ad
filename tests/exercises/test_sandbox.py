"""The sandbox stops what does not stop, keeps what is printed, and leaves no trace."""

from __future__ import annotations

import _thread
import logging
import random
import sys
import threading
import time
import warnings

import numpy as np
import pytest
import torch

from demucs_lab.exercises.sandbox import run, seed_everything

# ruff: noqa: E722, SIM105, NPY002  (what learners write: bare excepts, numpy's global generator)


def forever():
    while True:
        pass


def forever_in_a_bare_except():
    count = 0
    while True:
        try:
            count += 1
        except:
            pass


def forever_with_more_after_the_except():
    count = 0
    while True:
        try:
            time.sleep(0.002)
        except:
            count -= 1
        count += 1


def forever_asleep_in_a_bare_except():
    while True:
        try:
            time.sleep(0.01)
        except:
            pass


def forever_in_torch():
    while True:
        try:
            torch.ones(10).sum()
        except Exception:
            continue


def forever_in_two_bare_excepts_and_finally():
    while True:
        try:
            try:
                time.sleep(0.001)
            except:
                print("again")
            finally:
                print("finally")
        except:
            try:
                print("once more")
            except:
                continue


def forever_in_a_generator():
    for number in iter(int, 1):
        print(number, end="")


@pytest.mark.parametrize(
    "loop",
    [
        forever,
        forever_in_a_bare_except,
        forever_with_more_after_the_except,
        forever_asleep_in_a_bare_except,
        forever_in_torch,
        forever_in_two_bare_excepts_and_finally,
        forever_in_a_generator,
    ],
)
def test_an_endless_loop_is_stopped_and_its_thread_is_gone(loop):
    threads = set(sys._current_frames())
    outcome = run(loop, 0.2)
    assert outcome.stopped
    assert not outcome.still_busy
    assert any(file == __file__ for file, _ in outcome.where)
    assert set(sys._current_frames()) <= threads


def test_what_cannot_be_stopped_is_left_behind_and_said_so(monkeypatch):
    monkeypatch.setattr("demucs_lab.exercises.sandbox.GRACE", 0.1)
    done = threading.Event()

    def one_long_call():  # like a torch operation: Python gets no turn until it returns
        time.sleep(0.8)
        done.set()

    outcome = run(one_long_call, 0.1)
    assert outcome.stopped
    assert outcome.still_busy
    assert not done.wait(1.5), "it went on after the long call"


def watched():
    """Like a check: the learner's function runs under `sys.setprofile`."""

    def answer():
        return sum(number for number in range(100))

    sys.setprofile(lambda *_: None)
    try:
        return answer()
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("how", ["too slow", "stop button"])
def test_a_run_after_one_that_is_still_busy_in_c_is_not_disturbed(how, monkeypatch):
    monkeypatch.setattr("demucs_lab.exercises.sandbox.GRACE", 0.1)
    if how == "too slow":
        assert run(lambda: time.sleep(1.5), 0.1).still_busy
    else:
        threading.Timer(0.2, _thread.interrupt_main).start()
        with pytest.raises(KeyboardInterrupt):
            run(lambda: time.sleep(1.5), 5)
    ends = time.monotonic() + 2  # before, during and after the moment when the busy one comes back
    while time.monotonic() < ends:
        outcome = run(watched, 5)
        assert not outcome.stopped
        assert outcome.value == 4950
        time.sleep(0.02)


def test_value_error_and_exit_come_back():
    assert run(lambda: 7, 5).value == 7
    assert isinstance(run(lambda: 1 / 0, 5).error, ZeroDivisionError)
    assert isinstance(run(sys.exit, 5).error, SystemExit)


def test_prints_and_warnings_are_kept_and_do_not_reach_the_notebook(capfd):
    def noisy():
        print("out")
        print("err", file=sys.stderr)
        logging.getLogger("learner").warning("logged")
        for _ in range(3):
            warnings.warn("careful", stacklevel=1)

    outcome = run(noisy, 5)
    assert "out\n" in outcome.printed
    assert "err\n" in outcome.printed
    assert outcome.warned == ("careful",)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err == ""


def test_random_states_and_defaults_are_as_before():
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    expected = random.random(), np.random.rand(), torch.rand(1).item()
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)

    def seeds():
        seed_everything()
        torch.set_default_dtype(torch.float64)
        return random.random(), np.random.rand(), torch.rand(1).item()

    first, second = run(seeds, 5).value, run(seeds, 5).value
    assert first == second
    assert torch.get_default_dtype() == torch.float32
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == expected
    run(forever, 0.1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_random_state_is_as_before():
    torch.cuda.manual_seed_all(1)
    expected = torch.rand(3, device="cuda")
    torch.cuda.manual_seed_all(1)
    run(lambda: (seed_everything(), torch.rand(5, device="cuda")), 5)
    assert torch.equal(torch.rand(3, device="cuda"), expected)
