"""Songs that several tests look at, rendered once."""

from functools import lru_cache

import numpy as np
import pytest

from demucs_lab.datasets.labsongs import Score, compose, render


@lru_cache(maxsize=32)
def _song(index: int, samplerate: int, duration: float) -> tuple[Score, dict[str, np.ndarray]]:
    score = compose("test", index, duration)
    return score, render(score, samplerate)


@pytest.fixture(scope="session")
def song():
    """`song(index, samplerate, duration)` gives the score and the stems of a test song."""
    return _song
