"""The ceiling that oracle masks set: a table over windows and hops, and its figure (lesson 02)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from demucs_lab.audio import SOURCES
from demucs_lab.common.tables import text_table
from demucs_lab.masking import oracle_estimates
from demucs_lab.metrics import nsdr
from demucs_lab.plots.style import (
    OTHER_MARKERS,
    STROKES,
    Drawing,
    color_of,
    finish,
    listed,
    new_figure,
    number,
)
from demucs_lab.spectral import istft, stft


@dataclass(frozen=True)
class Ceiling:
    """What each oracle reaches: one row per method, window and hop.

    `rows[i]` holds "method", "n_fft", "hop" (samples) and, per source, the SDR in dB, averaged
    over the songs in which it plays; "mean" is the mean over sources.
    """

    rows: tuple[dict[str, Any], ...]
    samplerate: int
    songs: int

    def __str__(self) -> str:
        names = [*SOURCES, "mean"]
        body = [
            [row["method"], row["n_fft"], row["hop"], *(row[name] for name in names)]
            for row in self.rows
        ]
        title = f"SDR in dB, mean over {self.songs} song{'s' if self.songs > 1 else ''}"
        return f"{title}\n" + text_table(["method", "n_fft", "hop", *names], body)

    def select(self, **wanted: Any) -> list[dict[str, Any]]:
        """The rows that match, as in `select(method="irm1", n_fft=4096)`."""
        return [row for row in self.rows if all(row[k] == v for k, v in wanted.items())]

    def figure(self) -> Drawing:
        """SDR of each oracle against the window length, one panel per source.

        Where a window was measured with several hops, its best one is drawn.
        """
        figure, axes = new_figure(1, len(SOURCES), height=3.4, sharey=True)
        windows = sorted({row["n_fft"] for row in self.rows})
        milliseconds = [1000 * n_fft / self.samplerate for n_fft in windows]
        methods = [m for m in dict.fromkeys(row["method"] for row in self.rows) if m != "mixture"]
        for axis, source in zip(axes[0], SOURCES, strict=True):
            for index, method in enumerate(methods):
                axis.plot(
                    milliseconds,
                    self._best(method, windows, source),
                    color=color_of(method, index),
                    linestyle=STROKES[index % len(STROKES)],
                    marker=OTHER_MARKERS[index % len(OTHER_MARKERS)],
                    markersize=4,
                    label=method,
                )
            axis.set_xscale("log", base=2)
            axis.set_xticks(milliseconds, [f"{window:.0f}" for window in milliseconds], fontsize=8)
            axis.set_title(source, fontsize=10)
            axis.set_xlabel("window, ms")
        axes[0, 0].set_ylabel("SDR, dB")
        lines = axes[0, 0].get_legend_handles_labels()
        figure.legend(*lines, loc="outside right upper", fontsize=8)
        told = [
            f"{method} {' / '.join(number(db) for db in self._best(method, windows, 'mean'))}"
            for method in methods
        ]
        return finish(
            figure,
            f"One panel for each source, one line for each of {listed(methods)}: its SDR with "
            "short windows (left) and long ones (right).",
            f"Mean SDR over the sources, dB, with windows of "
            f"{' / '.join(f'{window:.0f}' for window in milliseconds)} ms: {'; '.join(told)}.",
        )

    def _best(self, method: str, windows: list[int], column: str) -> list[float]:
        return [max(r[column] for r in self.select(method=method, n_fft=n)) for n in windows]


def ceiling(
    tracks: Iterable[Any],
    methods: Sequence[str] = ("mixture", "ibm", "irm1", "irm2", "mwf", "magnitude", "irm1_phase"),
    n_ffts: Sequence[int] = (1024, 2048, 4096, 8192),
    hop_divisors: Sequence[int] = (4,),
) -> Ceiling:
    """The ceiling that every oracle sets, over windows and hops (lesson 02).

    Args:
        tracks: one or more `Track`s (or objects with `.stems` `[S, C, T]` and `.samplerate`).
        methods: keys of `masking.METHODS`.
        n_ffts: window lengths in samples.
        hop_divisors: each hop is `n_fft // divisor`; 2 is the largest hop that loses nothing.

    Returns:
        A table (print it) with a figure (`.figure()`).

    Raises:
        ValueError: if there is no track, rates differ, or a method is unknown.
    """
    tracks = [tracks] if hasattr(tracks, "stems") else list(tracks)
    if not tracks:
        raise ValueError("expected at least one track to measure the ceiling on, got none")
    if rates := {track.samplerate for track in tracks} - {tracks[0].samplerate}:
        raise ValueError(
            f"expected tracks of one sample rate, got {tracks[0].samplerate} and {rates.pop()} Hz: "
            f"windows are counted in samples, so measure them apart"
        )
    settings = [(n_fft, n_fft // divisor) for n_fft in n_ffts for divisor in hop_divisors]
    scores: dict[tuple[str, int, int], list[Tensor]] = {}
    for track in tracks:
        stems = track.stems
        for n_fft, hop in settings:
            spec = stft(stems, n_fft, hop)
            for method in methods:
                estimates = istft(oracle_estimates(spec, method), stems.shape[-1], n_fft, hop)
                scores.setdefault((method, n_fft, hop), []).append(nsdr(stems, estimates))
    rows: list[dict[str, Any]] = []
    for method in methods:
        for n_fft, hop in sorted(settings):
            mean = torch.stack(scores[method, n_fft, hop]).nanmean(0)
            row = {"method": method, "n_fft": n_fft, "hop": hop, "mean": float(mean.nanmean())}
            row.update({name: float(db) for name, db in zip(SOURCES, mean, strict=True)})
            rows.append(row)
    return Ceiling(tuple(rows), tracks[0].samplerate, len(tracks))
