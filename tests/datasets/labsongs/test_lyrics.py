"""Words that scan, rhyme and can be pronounced."""

import numpy as np

from demucs_lab.datasets.labsongs.lyrics import PRONUNCIATION, TAILS, syllables, write_line
from demucs_lab.datasets.labsongs.voice import FRICATIVES, GLIDES, SONORANTS, STOPS, VOWELS


def test_every_syllable_has_one_vowel_and_known_sounds():
    for word, parts in PRONUNCIATION.items():
        for part in parts:
            sounds = part.split()
            assert sum(s in VOWELS or s in GLIDES for s in sounds) == 1, word
            known = {*VOWELS, *GLIDES, *SONORANTS, *FRICATIVES, *STOPS}
            assert set(sounds) <= known, word


def test_endings_of_one_rhyme_share_their_last_vowel():
    for tails in TAILS:
        vowels = set()
        for tail in tails:
            _, sounds = syllables(tail)[-1]
            vowels.add(next(s for s in sounds.split() if s in VOWELS or s in GLIDES))
        assert len(vowels) <= 2, tails


def test_lines_have_no_more_syllables_than_asked_and_mostly_just_as_many():
    rng = np.random.default_rng(0)
    exact = 0
    for turn in range(200):
        count = 4 + turn % 7
        line = write_line(rng, count, turn % len(TAILS), set())
        assert len(syllables(line)) <= count
        exact += len(syllables(line)) == count
        assert line.endswith(TAILS[turn % len(TAILS)])
    assert exact > 170


def test_a_line_does_not_repeat_an_ending():
    rng, used = np.random.default_rng(1), set()
    lines = [write_line(rng, 8, 0, used) for _ in range(4)]
    assert len({line.split()[-1] for line in lines}) == 4
