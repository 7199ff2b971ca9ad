"""The ceiling of the oracles: means over songs, and a figure that says its numbers."""

from types import SimpleNamespace

import pytest
import torch

from demucs_lab.audio import SOURCES
from demucs_lab.evaluation.ceiling import ceiling
from demucs_lab.masking import oracle
from demucs_lab.metrics import sdr


def song(seed=0, frames=4000, samplerate=8000):
    """Four noises that start one after the other."""
    stems = 0.1 * torch.randn(4, 2, frames, generator=torch.Generator().manual_seed(seed))
    for index in range(4):
        stems[index, :, : index * frames // 8] = 0
    return SimpleNamespace(stems=stems, samplerate=samplerate)


def test_the_ceiling_is_the_mean_over_songs_that_play():
    tracks = [song(0), song(1)]
    tracks[1].stems[2] = 0
    table = ceiling(tracks, ["irm1", "mixture"], [512, 256], [2, 4])
    assert [(r["method"], r["n_fft"], r["hop"]) for r in table.rows] == [
        (method, n_fft, hop)
        for method in ("irm1", "mixture")
        for n_fft, hop in ((256, 64), (256, 128), (512, 128), (512, 256))
    ]
    for row in table.rows:
        scores = [
            sdr(track.stems, oracle(track.stems, row["method"], row["n_fft"], row["hop"]))
            for track in tracks
        ]
        expected = [((a + b) / 2).item() for a, b in zip(*scores, strict=True)]
        expected[2] = scores[0][2].item()
        assert [row[name] for name in SOURCES] == pytest.approx(expected, abs=1e-3)
        assert row["mean"] == pytest.approx(sum(expected) / 4, abs=1e-3)
    assert len(table.select(method="irm1", n_fft=256)) == 2
    text = str(table)
    assert "mean over 2 songs" in text
    assert f"{table.rows[0]['mean']:.2f}" in text


def test_the_ceiling_takes_one_track():
    assert "mean over 1 song\n" in str(ceiling(song(), ["ibm"], [256]))


def test_the_figure_draws_the_best_hop_of_each_window_and_says_the_means():
    table = ceiling(song(), ["mixture", "ibm", "irm2"], [256, 512], [2, 4])
    figure = table.figure()
    best = {
        (method, n_fft): max(row["mean"] for row in table.select(method=method, n_fft=n_fft))
        for method in ("ibm", "irm2")
        for n_fft in (256, 512)
    }
    ibm = f"ibm {best['ibm', 256]:.1f} / {best['ibm', 512]:.1f}"
    assert ibm in figure.numbers
    assert "windows of 32 / 64 ms" in figure.numbers
    assert "mixture" not in figure.numbers
    drums = [row["drums"] for row in table.select(method="irm2", n_fft=512)]
    assert figure.axes[0].lines[1].get_ydata()[1] == max(drums)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: ceiling([]), "at least one track"),
        (lambda: ceiling(song(), ["no"], [256]), "no oracle 'no'"),
        (
            lambda: ceiling([song(samplerate=r) for r in (8000, 16000)]),
            "one sample rate, got 8000 and 16000 Hz",
        ),
    ],
)
def test_songs_that_give_no_ceiling_are_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
