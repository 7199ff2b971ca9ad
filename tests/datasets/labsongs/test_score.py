"""The score says what it holds, and survives the way to disk and back."""

import json

import pytest

from demucs_lab.datasets.labsongs import Score, compose


@pytest.fixture(scope="module")
def score() -> Score:
    return compose("test", 3)


def test_json_and_back_gives_the_same_score(score):
    text = score.to_json()
    assert Score.from_json(text) == score
    assert isinstance(json.loads(text)["notes"][0]["start"], float)


def test_printing_shows_key_tempo_form_chords_and_words(score):
    text = str(score)
    assert score.title in text
    assert score.key in text
    assert f"{score.tempo:.1f} BPM" in text
    for section in score.sections:
        assert f"{section.start:6.2f} s  {section.name}" in text
    for chord in score.chords:
        assert chord.name in text
    for line in score.lyrics:
        assert f"“{line.text}”" in text


def test_every_line_is_printed_once_for_each_time_it_is_sung():
    for index in range(12):
        score = compose("valid", index)
        printed = [row.strip().strip("“”") for row in str(score).splitlines() if "“" in row]
        assert printed == [line.text for line in score.lyrics]


def test_what_sounds_at_a_time_can_be_asked(score):
    for chord in score.chords:
        assert score.chord_at(chord.start + 0.5 * chord.duration) is chord
    for section in score.sections:
        assert score.section_at(section.start + 0.5 * section.duration) is section
    assert score.chord_at(0.0) is score.chords[0]


def test_notes_are_found_by_source_and_instrument(score):
    kicks = score.notes_of("drums", "kick")
    assert kicks
    assert {note.pitch for note in kicks} == {36}
    assert sum(len(score.notes_of(s)) for s in ("drums", "bass", "other", "vocals")) == len(
        score.notes
    )
