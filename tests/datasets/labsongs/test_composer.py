"""What is composed: forms that return, parts that follow the chords, no shared randomness."""

import itertools

import numpy as np
import pytest

from demucs_lab.datasets.labsongs import compose
from demucs_lab.datasets.labsongs.composer import build_form, generator
from demucs_lab.datasets.labsongs.lyrics import PRONUNCIATION, TAILS
from demucs_lab.datasets.labsongs.styles import SCALES, STYLES

SPLITS = {"train": 24, "valid": 8, "test": 28}


@pytest.fixture(scope="module")
def songs():
    return [compose(split, i) for split, count in SPLITS.items() for i in range(count)]


def test_the_same_seed_gives_the_same_song():
    assert compose("train", 5, 12.0) == compose("train", 5, 12.0)


def test_no_two_songs_of_any_split_share_a_random_stream_or_a_melody(songs):
    streams = {
        tuple(generator(split, index, purpose).integers(2**32, size=2).tolist())
        for split, count in (("train", 1000), ("valid", 100), ("test", 100))
        for index in range(count)
        for purpose in ("plan", "render")
    }
    assert len(streams) == 2400
    melodies = {tuple((n.start, n.pitch) for n in s.notes_of("vocals")) for s in songs}
    assert len(melodies) == len(songs)


def test_key_band_and_style_stay_when_only_the_duration_changes():
    for index in range(8):
        short, long = compose("train", index, 12.0), compose("train", index, 30.0)
        for name in ("key", "style", "band", "meter", "swing"):
            assert getattr(short, name) == getattr(long, name)


def test_tempi_keys_and_styles_are_many_and_in_range(songs):
    assert all(70 <= song.tempo <= 160 for song in songs)
    assert {song.style for song in songs} == set(STYLES)
    assert {song.tonic for song in songs} == set(range(12))
    assert {song.key.split()[1] for song in songs} == set(SCALES)
    assert {song.meter for song in songs} == {3, 4}
    assert max(song.tempo for song in songs) > 150
    assert min(song.tempo for song in songs) < 78


@pytest.mark.parametrize("bars", range(1, 140))
def test_a_form_fills_its_bars_exactly(bars):
    form = build_form(bars, 2)
    assert sum(length for _, length in form) == bars
    assert all(length > 0 for _, length in form)


def test_sections_of_a_thirty_second_song_return(songs):
    for song in songs:
        names = [section.name for section in song.sections]
        assert names.count("verse") >= 2
        assert names.count("chorus") >= 2


def test_a_returning_chorus_has_the_same_words_chords_and_tune(songs):
    for song in songs:
        seen = []
        for section in song.sections:
            if section.name != "chorus" or section.bars != 2:
                continue
            end = section.start + section.duration
            inside = [
                n for n in song.notes_of("vocals", "voice") if section.start - 0.1 <= n.start < end
            ]
            chords = [c.name for c in song.chords if section.start - 1e-6 <= c.start < end - 1e-6]
            seen.append(([n.syllable for n in inside][:3], chords))
        assert all(other == seen[0] for other in seen[1:])


def test_sections_chords_and_beats_tile_the_song(songs):
    for song in songs:
        for rows in (song.sections, song.chords):
            for before, after in itertools.pairwise(rows):
                assert before.start + before.duration == pytest.approx(after.start, abs=1e-6)
            assert rows[-1].start + rows[-1].duration == pytest.approx(song.duration)
        assert np.diff(song.beats) == pytest.approx(60 / song.tempo)
        assert set(song.downbeats) <= set(song.beats)


def test_every_note_lies_inside_the_song_and_its_range(songs):
    ranges = {"bass": (28, 52), "vocals": (55, 76), "other": (36, 96), "drums": (35, 81)}
    for song in songs:
        for note in song.notes:
            low, high = ranges[note.source]
            assert low <= note.pitch <= high
            assert 0 <= note.start < song.duration
            assert note.duration > 0
            assert note.start + note.duration <= song.duration + 1e-6
            assert 0 < note.velocity <= 1


def test_the_bass_plays_the_root_where_a_chord_begins(songs):
    right = total = 0
    for song in songs:
        for chord in song.chords:
            near = [n for n in song.notes_of("bass") if abs(n.start - chord.start) < 0.02]
            total += bool(near)
            right += any(n.pitch % 12 == chord.root for n in near)
    assert total > 800
    assert right / total > 0.97


def test_keys_pads_and_strings_play_tones_of_the_chord_that_sounds(songs):
    for song in songs[:30]:
        for note in song.notes_of("other"):
            if note.instrument != "lead":
                assert note.pitch % 12 in song.chord_at(note.start + 0.04).pitch_classes


def test_the_tune_stays_in_the_key_and_ends_phrases_on_the_chord(songs):
    inside = total = 0
    for song in songs:
        scale = {(song.tonic + step) % 12 for step in SCALES[song.key.split()[1]]}
        for note in song.notes_of("vocals", "voice"):
            total += 1
            inside += note.pitch % 12 in scale | set(song.chord_at(note.start).pitch_classes)
    assert inside / total > 0.97


def test_a_player_never_sings_or_plays_bass_twice_at_once(songs):
    for song in songs:
        for source, instrument in (("vocals", "voice"), ("bass", "bass")):
            for before, after in itertools.pairwise(song.notes_of(source, instrument)):
                assert before.start + before.duration <= after.start + 0.005


def test_drums_have_ghost_notes_fills_and_human_timing(songs):
    velocities = [n.velocity for song in songs for n in song.notes_of("drums", "snare")]
    assert min(velocities) < 0.25
    assert max(velocities) > 0.85
    toms = [n for song in songs for n in song.notes if n.instrument.endswith("tom")]
    assert len(toms) > 100
    late = []
    for song in songs:
        if not song.swing:
            step = 15 / song.tempo
            late += [
                (n.start - song.beats[0] + step / 2) % step - step / 2
                for n in song.notes_of("drums")
            ]
    assert 0.001 < np.std(late) < 0.006
    assert abs(np.mean(late)) < 0.001


def test_a_chorus_is_played_louder_than_a_verse(songs):
    levels = {"verse": [], "chorus": []}
    for song in songs:
        for note in song.notes_of("vocals"):
            name = song.section_at(note.start + 0.05).name
            if name in levels:
                levels[name].append(note.velocity)
    assert np.mean(levels["chorus"]) > 1.1 * np.mean(levels["verse"])


def test_lines_end_on_the_rhymes_and_every_syllable_can_be_sung(songs):
    tails = tuple(tail for rhyme in TAILS for tail in rhyme)
    for song in songs:
        for line in song.lyrics:
            assert line.text == "oh" or line.text.endswith(tails)
        for note in song.notes_of("vocals"):
            word, _, place = note.syllable.partition("-")
            assert note.phonemes == PRONUNCIATION[word][int(place or 1) - 1]


@pytest.mark.parametrize("duration", [4, 5, 7.5, 12, 60, 185])
def test_any_duration_from_four_seconds_has_a_form(duration):
    for index in range(6):
        song = compose("valid", index, duration)
        assert 70 <= song.tempo <= 160
        assert song.sections[-1].start < duration
        assert {n.source for n in song.notes} == {"drums", "bass", "other", "vocals"}


def test_too_short_a_song_and_a_negative_index_are_refused():
    with pytest.raises(ValueError, match="4 s or more"):
        compose("train", 0, 3.9)
    with pytest.raises(ValueError, match="index -1"):
        compose("train", -1)


def test_patterns_fill_a_bar():
    for style in STYLES.values():
        steps = 4 * style.meter
        for groove in (*style.verse, *style.chorus):
            assert all(len(pattern) == steps for pattern in groove.values())
        for pattern in (*style.bass_lines, *style.comp, *style.pluck_lines):
            assert len(pattern) == steps
