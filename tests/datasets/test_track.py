import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from demucs_lab.audio import SOURCES
from demucs_lab.datasets import Track

FRAMES, RATE = 1000, 100
SONG = {name: torch.randn(2, FRAMES, generator=torch.Generator().manual_seed(i))
        for i, name in enumerate(SOURCES)}  # fmt: skip


class Reader:
    """Gives parts of SONG and remembers what was asked for."""

    def __init__(self):
        self.asked = []

    def __call__(self, source, start, frames):
        self.asked.append((source, start, frames))
        return SONG[source][:, start : start + frames]


@pytest.fixture
def reader():
    return Reader()


@pytest.fixture
def track(reader):
    return Track("song", RATE, FRAMES, reader)


def test_nothing_is_read_before_it_is_asked_for(track, reader):
    excerpt = track.excerpt(1, 2)
    assert len(excerpt.sources) == 4
    assert list(excerpt.sources) == list(SOURCES)
    assert reader.asked == []
    assert excerpt.sources["bass"].shape == (2, 200)
    assert reader.asked == [("bass", 100, 200)]


def test_a_stem_is_read_once(track, reader):
    assert track.sources["bass"] is track.sources["bass"]
    _ = track.stems, track.mixture, track.stems
    assert len(reader.asked) == len(SOURCES)


def test_stems_come_in_the_fixed_order(track):
    assert torch.equal(track.stems, torch.stack([SONG[name] for name in SOURCES]))


def test_the_mixture_is_the_sum_of_the_stems_exactly(track):
    assert torch.equal(track.mixture, torch.stack([SONG[name] for name in SOURCES]).sum(0))


def test_a_mixture_of_its_own_wins(reader):
    own = torch.full((2, FRAMES), 0.5)
    track = Track("song", RATE, FRAMES, reader, load_mixture=lambda s, n: own[:, s : s + n])
    assert torch.equal(track.mixture, own)
    assert torch.equal(track.excerpt(1, 1).mixture, own[:, :100])
    assert reader.asked == []


@given(first=st.integers(0, FRAMES - 1), data=st.data())
def test_an_excerpt_of_an_excerpt_is_the_slice_of_the_slice(first, data):
    count = data.draw(st.integers(1, FRAMES - first))
    second = data.draw(st.integers(0, count - 1))
    length = data.draw(st.integers(1, count - second))
    track = Track("song", RATE, FRAMES, Reader())
    inner = track.excerpt(first / RATE, count / RATE).excerpt(second / RATE, length / RATE)
    expected = track.stems[..., first : first + count][..., second : second + length]
    assert inner.frames == length
    assert torch.equal(inner.stems, expected)
    assert torch.allclose(inner.mixture, expected.sum(0))


@pytest.mark.parametrize(("start", "duration"), [(-1, 2), (0, 0), (0, 10.01), (9, 1.5), (2, -1)])
def test_an_excerpt_outside_the_song_is_refused_with_the_length(track, start, duration):
    with pytest.raises(ValueError, match=r"'song' lasts 10\.00 s"):
        track.excerpt(start, duration)


def test_an_unknown_source_is_named_with_the_choices(track):
    with pytest.raises(KeyError, match=r"'song' has no source 'piano'.*drums.*vocals"):
        track.sources["piano"]


def test_the_duration_is_in_seconds(track):
    assert track.duration == 10
    assert track.excerpt(0, 2.5).duration == 2.5
