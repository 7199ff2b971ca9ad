"""Scores of many songs in few figures, and a table of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from demucs_lab.audio import SOURCES
from demucs_lab.common.tables import Cell, text_table
from demucs_lab.metrics.intervals import bootstrap

COLUMNS = (*SOURCES, "mean")
_ORDER = ("tiny-conv-tasnet", "tiny-demucs", "tiny-htdemucs-nocross", "tiny-htdemucs")
_PAIRS = (
    ("tiny-demucs", "tiny-conv-tasnet"),
    ("tiny-htdemucs", "tiny-demucs"),
    ("tiny-htdemucs", "tiny-htdemucs-nocross"),
)


def summarise(results: Mapping[str, Any]) -> dict[str, Any]:
    """Means and medians over songs, and the differences that the course speaks of."""
    systems = results["systems"]
    summary = {name: _summary(system) for name, system in systems.items()}
    models = [name for name, system in systems.items() if system["kind"] == "model"]
    others = [
        name
        for name, system in systems.items()
        if system["kind"] == "mixture" or system.get("method") in ("irm1", "irm2")
    ]
    pairs = [(a, b) for a, b in _PAIRS if a in models and b in models]
    pairs += list(itertools.product(models, others))
    rows = [row for a, b in pairs for row in _differences(systems, a, b)]
    return {"summary": summary, "differences": rows}


def _summary(system: Mapping[str, Any]) -> dict[str, dict[str, list[float | None]]]:
    found = {}
    for score, rows in _scores(system):
        per_song = np.array(rows, dtype=float)
        found[score] = {
            "mean": _with_mean(_over_songs(np.nanmean, per_song)),
            "median": _with_mean(_over_songs(np.nanmedian, per_song)),
        }
    return found


def _scores(system: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((name, rows) for name, rows in system.items() if isinstance(rows, list))


def _over_songs(statistic: Any, per_song: np.ndarray) -> np.ndarray:
    known = np.isfinite(per_song).any(0)
    return np.array(
        [statistic(column) if ok else np.nan for column, ok in zip(per_song.T, known, strict=True)]
    )


def _with_mean(per_source: np.ndarray) -> list[float | None]:
    mean = np.nanmean(per_source) if np.isfinite(per_source).any() else np.nan
    return [round(float(x), 4) if np.isfinite(x) else None for x in (*per_source, mean)]


def _differences(systems: Mapping[str, Any], a: str, b: str) -> Iterator[dict[str, Any]]:
    for score in ("nsdr", "sdr"):
        if score not in systems[a] or score not in systems[b]:
            continue
        first, second = (np.array(systems[name][score], dtype=float) for name in (a, b))
        gaps = first - second  # [songs, S]
        for index, source in enumerate(COLUMNS):
            per_song = gaps[:, index] if source != "mean" else _mean_of_songs(gaps)
            if np.isfinite(per_song).sum() < 2:
                continue
            found = bootstrap(per_song)
            numbers = {name: round(getattr(found, name), 4) for name in ("mean", "low", "high")}
            facts = {"a": a, "b": b, "score": score, "source": source}
            yield {**facts, **numbers, "songs": found.n}


def _mean_of_songs(gaps: np.ndarray) -> np.ndarray:
    known = np.isfinite(gaps).any(1)
    return np.array(
        [np.nanmean(row) if ok else np.nan for row, ok in zip(gaps, known, strict=True)]
    )


def table(results: Mapping[str, Any]) -> str:
    """nSDR and BSSEval's SDR of each system as text."""
    names = names_of(results)
    parts = []
    for title, score, statistic in (
        ("nSDR in dB, mean over songs", "nsdr", "mean"),
        ("SDR of BSSEval v4 in dB, median over songs", "sdr", "median"),
    ):
        rows: list[list[Cell]] = [
            [name, *with_nan(results["summary"][name][score][statistic])] for name in names
        ]
        parts += [f"{title} ({len(results['songs']['names'])})", text_table(["", *COLUMNS], rows)]
    parts += [f"{gap(results, a, b)} ({a} − {b}, nSDR, mean)" for a, b in shown_pairs(results)]
    return "\n".join(parts)


def models_of(results: Mapping[str, Any]) -> list[str]:
    """Models in the order in which the course builds them."""
    models = [name for name, x in results["systems"].items() if x["kind"] == "model"]
    known = [name for name in _ORDER if name in models]
    return known + [name for name in models if name not in known]


def names_of(results: Mapping[str, Any]) -> list[str]:
    """Systems in the order of the table: mixture, masks of the common window, models."""
    systems = results["systems"]
    others = [name for name, x in systems.items() if x["kind"] != "model" and "sdr" in x]
    return others + models_of(results)


def shown_pairs(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Pairs of models whose difference the course speaks of."""
    return [(a, b) for a, b in _PAIRS if {a, b} <= results["systems"].keys()]


def gap(results: Mapping[str, Any], a: str, b: str, source: str = "mean") -> str:
    """The difference of two systems in nSDR with its interval, as text."""
    wanted = {"a": a, "b": b, "score": "nsdr", "source": source}
    row = next(x for x in results["differences"] if wanted.items() <= x.items())
    return f"{row['mean']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]"


def with_nan(row: list[float | None]) -> list[float]:
    """Numbers of a JSON file, NaN for None."""
    return [np.nan if value is None else value for value in row]
