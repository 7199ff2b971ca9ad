import math

from demucs_lab.training.record import Scores, best_scores


def test_a_source_that_silence_would_serve_as_well_is_named():
    """The mixture's SDR is below zero, so an answer near silence beats it."""
    scores = Scores(("drums", "bass", "vocals"), (-0.1, 2.0, math.nan), (-4.5, -5.0, math.nan), 8)
    assert str(scores).endswith(
        "It beats the mixture on every source (8 held-out songs).\n"
        "Silence, at 0 dB, is not beaten yet on drums."
    )
    assert "Silence" not in str(Scores(("bass",), (2.0,), (-5.0,), 8))


def test_the_best_scores_are_those_that_were_kept():
    def line(db, best):
        return {"sdr": {"bass": db}, "mixture": {"bass": -5.0}, "songs": 3, "best": best}

    history = [{"loss": 1.0}, line(1.0, True), line(2.0, True), line(1.5, False), line(9.0, False)]
    assert best_scores(history).model == (2.0,)
    assert best_scores(history[:1]) is None
