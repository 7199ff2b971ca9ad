import math

import pytest
import torch
from songs import songs

from demucs_lab.training import augment


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def stems():
    return torch.randn(6, 4, 2, 400, generator=draw(1))


def test_sign_flip_turns_whole_stems_and_nothing_else(stems):
    flipped = augment.sign_flip(stems, draw())
    signs = (flipped / stems)[..., :1, :1]
    assert set(signs.flatten().tolist()) == {-1.0, 1.0}
    assert torch.equal(flipped, signs * stems)


def test_channel_swap_exchanges_left_and_right_of_whole_stems(stems):
    swapped = augment.channel_swap(stems, draw())
    same = (swapped == stems).all(-1).all(-1)
    assert torch.equal(swapped[~same], stems.flip(2)[~same])
    assert 0 < same.sum() < same.numel()


def test_channel_swap_leaves_mono_alone():
    mono = torch.randn(2, 4, 1, 10)
    assert torch.equal(augment.channel_swap(mono, draw()), mono)


def test_random_gain_is_one_factor_per_stem_within_its_bounds(stems):
    gains = augment.random_gain(stems, draw(), 0.25, 1.25) / stems
    assert gains.min() >= 0.2499
    assert gains.max() <= 1.2501
    assert gains.std((2, 3)).max() < 1e-6
    assert gains[:, :, 0, 0].std() > 0.1


def test_remix_keeps_every_stem_of_every_source_and_mixes_songs(stems):
    mixed = augment.remix(stems, draw())
    for source in range(4):
        before = sorted(stems[:, source, 0, 0].tolist())
        assert sorted(mixed[:, source, 0, 0].tolist()) == before
    from_song = [[stems[:, s, 0, 0].tolist().index(x[s, 0, 0]) for s in range(4)] for x in mixed]
    assert any(len(set(row)) > 1 for row in from_song)


def test_source_dropout_never_silences_an_excerpt(stems):
    dropped = augment.source_dropout(stems, draw(), probability=0.999)
    alive = dropped.abs().amax((2, 3)) > 0
    assert alive.any(1).all()
    assert torch.equal(dropped[alive], stems[alive])
    assert not alive.all()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gain", {"low": 1.0, "high": 1.0}),
        ("source_dropout", {"probability": 0.0}),
        ("pitch_tempo", {"probability": 0.0, "length": 400}),
    ],
)
def test_an_augmentation_that_changes_nothing_is_the_identity(stems, name, options):
    assert torch.equal(augment.AUGMENTATIONS[name](stems, draw(), **options), stems)


@pytest.mark.parametrize("name", augment.AUGMENTATIONS)
def test_the_same_seed_gives_the_same_stems(name):
    stems = torch.randn(4, 4, 2, 4000, generator=draw(1))
    first, second, other = (augment.AUGMENTATIONS[name](stems, draw(s)) for s in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(("semitones", "tempo"), [(2, 1.0), (-2, 0.9), (0, 1.12), (1, 0.88)])
def test_pitch_and_tempo_are_what_was_asked_for(semitones, tempo):
    rate, pitch = 8000, 440.0
    tone = torch.sin(2 * math.pi * pitch * torch.arange(2 * rate) / rate)
    changed = augment.pitch_and_tempo(tone, semitones, tempo)
    assert len(changed) == round(2 * rate / tempo)
    middle = changed[2048:-2048] * torch.hann_window(len(changed) - 4096)
    spectrum = torch.fft.rfft(middle, n=1 << 18).abs()
    heard = float(spectrum.argmax()) * rate / (1 << 18)
    assert 12 * math.log2(heard / pitch) == pytest.approx(semitones, abs=0.03)


def test_pitch_and_tempo_keep_stems_in_step():
    """Clicks at one time in all stems stay at one time, at t / tempo."""
    clicks = torch.zeros(4, 2, 16000)
    clicks[..., 9000] = 1.0
    changed = augment.pitch_and_tempo(clicks, 1, 1.1, n_fft=512)
    energy = changed.square()
    centre = (energy * torch.arange(energy.shape[-1])).sum(-1) / energy.sum(-1)
    assert torch.allclose(centre, centre[0, 0].expand_as(centre), atol=1)
    assert float(centre[0, 0]) == pytest.approx(9000 / 1.1, abs=128)


def test_semitones_are_drawn_with_both_ends_and_tempo_is_clipped():
    generator = draw()
    drawn = [augment.draw_pitch_and_tempo(generator) for _ in range(4000)]
    semitones, tempos = zip(*drawn, strict=True)
    counts = [semitones.count(n) / 4000 for n in range(-2, 3)]
    assert sum(counts) == 1
    assert counts == pytest.approx([0.2] * 5, abs=0.03)
    assert min(tempos) >= 0.88
    assert max(tempos) <= 1.12
    assert torch.tensor(tempos).std().item() == pytest.approx(0.05, abs=0.003)


def test_the_fastest_excerpt_still_fills_its_length():
    stems = torch.randn(1, 4, 2, round(1000 * augment.STRETCHED) + 1)
    fast = augment.pitch_and_tempo(stems, 2, 1 + augment.MAX_TEMPO)
    assert augment.random_pitch_and_tempo(stems, draw(), 1.0, 1000).shape[-1] == 1000
    assert fast.shape[-1] >= 1000


def test_an_augmentation_can_be_heard():
    player = augment.listen("sign_flip", songs(2), seed=1)
    assert "sign_flip" in str(player.systems)
    assert player.frames == songs(1)[0].frames


def test_an_unknown_augmentation_is_named():
    with pytest.raises(ValueError, match="no augmentation is named 'echo'"):
        augment.listen("echo", songs(1))
