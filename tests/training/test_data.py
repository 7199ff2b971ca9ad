import itertools

import pytest
import torch
from songs import MICRO, RATE, songs

from demucs_lab import models
from demucs_lab.audio import SOURCES
from demucs_lab.datasets import Track
from demucs_lab.separation.waveform import loudness
from demucs_lab.training import preset
from demucs_lab.training.data import Excerpts, InputFormat, StemCache, batches, group_size, level

OFF = {
    "sign_flip": False, "channel_swap": False, "remix": False, "gain": None, "pitch_tempo": 0.0,
    "source_dropout": 0.0,
}  # fmt: skip


def excerpts(group=4, tracks=None, format=None, **changes):
    config = preset("tiny-demucs").but(**{**MICRO, **changes})
    tracks = songs() if tracks is None else tracks
    format = format or InputFormat(SOURCES, 2, RATE)
    return Excerpts(tracks, [level(track) for track in tracks], format, config, group)


def first(stream, count=3):
    return list(itertools.islice(stream, count))


def test_with_everything_off_an_excerpt_is_a_part_of_a_song():
    found = excerpts(**OFF)
    song_of = 0
    for stems in found[7]:
        for track, (mean, std) in zip(found.cache.tracks, found.levels, strict=True):
            whole = (track.stems - mean / 4) / (std + 1e-8)
            windows = whole[0, 0].unfold(0, stems.shape[-1], 1)
            place = int((windows - stems[0, 0]).abs().amax(1).argmin())
            part = whole[..., place : place + stems.shape[-1]]
            song_of += bool(torch.allclose(part, stems, atol=1e-6))
    assert song_of == len(found[7])


def test_levels_are_those_that_separate_normalises_with():
    for track in songs(2, seconds=3.3):
        assert level(track) == pytest.approx(loudness(track.mixture), abs=1e-4)


def test_a_long_song_is_measured_on_parts_of_it():
    (track,) = songs(1, seconds=200.0)
    assert level(track) == pytest.approx(loudness(track.mixture), rel=0.02, abs=1e-3)


def test_number_k_is_always_the_same():
    one, other = excerpts(pitch_tempo=0.5), excerpts(pitch_tempo=0.5)
    assert torch.equal(one[5], other[5])
    assert not torch.equal(one[5], one[6])
    assert not torch.equal(one[5], excerpts(seed=1, pitch_tempo=0.5)[5])


def test_any_number_of_workers_gives_the_same_batches():
    alone = first(batches(excerpts(pitch_tempo=0.5), 4))
    together = first(batches(excerpts(pitch_tempo=0.5), 4, workers=2))
    assert all(map(torch.equal, alone, together))


def test_batches_go_on_from_where_a_run_stopped():
    whole = first(batches(excerpts(), 4), 5)
    rest = first(batches(excerpts(), 4, first=3), 2)
    assert all(map(torch.equal, whole[3:], rest))


def test_two_processes_hear_what_one_with_the_double_batch_hears():
    double = first(batches(excerpts(), 8))
    halves = [first(batches(excerpts(), 4, rank=rank, world=2)) for rank in (0, 1)]
    for whole, *parts in zip(double, *halves, strict=True):
        assert torch.equal(whole, torch.cat(parts))


def test_the_callers_random_numbers_are_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first(batches(excerpts(), 4))
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(("batch", "group"), [(8, 4), (4, 4), (6, 6), (2, 2), (1, 1)])
def test_remix_happens_within_groups_that_fill_the_batch(batch, group):
    assert group_size(preset("tiny-demucs").but(batch=batch)) == group


def test_songs_of_another_rate_are_resampled_and_short_ones_padded():
    short = songs(1, seconds=0.3)
    found = excerpts(tracks=short, format=InputFormat(SOURCES, 2, 11025), **OFF)[0]
    assert found.shape == (4, 4, 2, round(0.5 * 11025))
    assert found[..., : round(0.3 * 11025) - 50].abs().max() > 0.1
    assert found[..., round(0.3 * 11025) + 1 :].abs().max() == 0


def test_a_mono_model_hears_the_mean_of_the_channels():
    stereo = excerpts(**OFF)[2]
    mono = excerpts(format=InputFormat(SOURCES, 1, RATE), **OFF)[2]
    assert torch.allclose(mono, stereo.mean(2, keepdim=True), atol=1e-6)


def test_longer_songs_are_heard_more_often():

    heard: dict[str, int] = {}

    def track(name, seconds):
        def load(source, start, frames):
            heard[name] = heard.get(name, 0) + 1
            assert 0 <= start <= round(seconds * RATE) - frames
            return torch.full((2, frames), 1e-6)  # finer than what is kept in memory

        return Track(name, RATE, round(seconds * RATE), load)

    found = excerpts(tracks=[track("short", 2), track("long", 6)], **OFF)
    heard.clear()
    for number in range(100):
        found[number]
    assert heard["long"] / heard["short"] == pytest.approx(3, rel=0.35)


class Counting:
    """A loader of 16-bit samples, or of finer ones, that counts how often it is asked."""

    def __init__(self, finer=False):
        self.asked, self.finer = 0, finer

    def __call__(self, source, start, frames):
        self.asked += 1
        samples = (torch.arange(start, start + frames) * 37 % 65536 - 32768) / 32768
        return torch.stack([samples, -samples.clamp(min=-0.5)]) + self.finer * 1e-6

    def song(self, seconds=2.0, start=0):
        return Track("song", RATE, round(seconds * RATE), self, start=start)


def test_a_short_song_is_decoded_once_and_gives_the_same_numbers():
    load = Counting()
    cache = StemCache([load.song(start=500)])
    parts = [cache.read(0, "bass", start, 1000) for start in (0, 70, 15000)]
    assert load.asked == 1
    assert all(
        torch.equal(part, load("bass", 500 + start, 1000))
        for part, start in zip(parts, (0, 70, 15000), strict=True)
    )


@pytest.mark.parametrize(
    ("load", "seconds", "most"), [(Counting(finer=True), 2, 10**9), (Counting(), 90, 10**9),
                                  (Counting(), 2, 1000)],
    ids=["finer than 16 bits", "a long song", "no memory left"],
)  # fmt: skip
def test_other_songs_are_read_again_each_time(load, seconds, most):
    cache = StemCache([load.song(seconds)], most)
    parts = [cache.read(0, "bass", start, 1000) for start in (0, 70, 70)]
    assert load.asked >= 3
    assert torch.equal(parts[2], load("bass", 70, 1000))


def test_once_the_memory_is_used_up_no_whole_song_is_decoded():
    load = Counting()
    cache = StemCache([load.song()] * 4, most=2 * 2 * 2 * RATE + 10)  # one stem, and a bit
    for index in range(4):
        cache.read(index, "bass", 0, 1000)
    assert load.asked == 1 + 2 + 1 + 1  # kept; too much, so read again; parts only


class Left(Counting):
    """A loader whose samples tell how much memory is left to the process that reads."""

    def __call__(self, source, start, frames):
        about = torch.utils.data.get_worker_info()
        return torch.full((2, frames), float(about.dataset.cache.most))


def test_workers_share_the_memory():
    tracks = [Left().song(seconds=90)] * 2
    found = Excerpts(tracks, [(0.0, 1.0)] * 2, InputFormat(SOURCES, 2, RATE),
                     preset("tiny-demucs").but(**MICRO, **OFF), 4)  # fmt: skip
    most = found.cache.most
    (batch,) = first(batches(found, 4, workers=2), 1)
    assert batch.unique().tolist() == [pytest.approx(most / 2)]


def test_a_model_that_separates_what_no_song_has_is_refused():
    model = models.build("demucs", channels=1, depth=1, sources=["drums", "guitar"])
    with pytest.raises(ValueError, match="'guitar'"):
        InputFormat.of(model)
