"""Guesses: asked for, explained whichever way they fall, and never an error."""

from __future__ import annotations

import pytest

import demucs_lab as lab
from demucs_lab.exercises.framework import Prediction, all_predictions


def test_no_guess_asks_for_one(capsys):
    lab.predict("level_of_a_sine", None)
    shown = capsys.readouterr().out
    asked = 'Make your guess first: set choice to "a", "b" or "c", then run this cell again.\n'
    assert shown == asked


@pytest.mark.parametrize(
    ("guess", "mark"), [("a", "✗"), ("b", "✓"), (" B) ", "✓"), ("c", "✗"), ("d", "'d' is not")]
)
def test_each_choice_has_its_own_answer(guess, mark, capsys):
    lab.predict("level_of_a_sine", guess)
    shown = capsys.readouterr().out
    assert shown.startswith(mark)
    why = all_predictions()["level_of_a_sine"].why.get(guess.strip(" )").lower(), "")
    assert why in shown


@pytest.mark.parametrize(
    ("guess", "why"), [(6, "Too low."), (7, "Right."), (8.5, "Too high."), ("7", "Right.")]
)
def test_a_number_is_right_within_a_margin(guess, why, monkeypatch, capsys):
    texts = {"low": "Too low.", "right": "Right.", "high": "Too high."}
    number = Prediction("db", "x", "How many?", 7.2, texts, within=1, unit="dB")
    monkeypatch.setitem(all_predictions(), "db", number)
    lab.predict("db", guess)
    shown = capsys.readouterr().out
    assert why in shown
    assert "the answer 7.2 dB" in shown
    lab.predict("db", None)
    assert "set choice to a number (in dB)" in capsys.readouterr().out
    lab.predict("db", "loud")
    assert "'loud' is not a number" in capsys.readouterr().out


def test_an_unknown_question_is_no_error(capsys):
    lab.predict("level_of_a_sinus", "a")
    assert "Did you mean 'level_of_a_sine'?" in capsys.readouterr().out


def test_a_guess_is_looked_up_by_name(capsys):
    names = {"lab": lab}
    with pytest.raises(NameError):
        exec("choice = b", names)
    exec("lab.predict('level_of_a_sine')", names)
    shown = capsys.readouterr().out
    assert shown.startswith("Nothing is called choice yet.")
    assert 'in quotes if it is a letter: choice = "a"' in shown
    exec("choice = 'b'\nlab.predict('level_of_a_sine')", names)
    assert capsys.readouterr().out.startswith("✓")
