"""How good is an estimate? Four answers that do not always agree (lesson 01).

- `sdr`, `nsdr`: one number over the whole song, as the Music Demixing Challenge 2021 had it;
- `si_sdr`: the same after the best change of level;
- `bss_eval`: the SDR, ISR, SIR and SAR of SiSEC 2018 in windows of one second, as museval does;
- `report`: medians and means over songs, as the papers' tables print them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from demucs_lab.audio import SOURCES
from demucs_lab.common.tables import text_table
from demucs_lab.common.tensors import need_tensor
from demucs_lab.metrics import bsseval

_DELTA = 1e-7  # keeps the logarithm finite; Hybrid Demucs (arXiv:2111.03600), eq. 1, as coded


def sdr(reference: Tensor, estimate: Tensor | None = None) -> Tensor:
    """Signal-to-distortion ratio in dB, over all channels and samples at once (lesson 01).

    10 log₁₀ (Σ s² + δ) / (Σ (s − ŝ)² + δ), δ = 1e-7: the nSDR of the Music Demixing Challenge 2021
    (arXiv:2111.03600, eq. 1). It is *not* the SDR of most tables; that one is `bss_eval`.

    Args:
        reference, estimate: `[..., C, T]`, the same shape.

    Returns:
        `[...]` in dB, computed in float64. A silent reference scores 0 dB if the estimate is silent
        too and far below zero if it is not: leave such songs out of a mean, as `report` does.

    Raises:
        TypeError, ValueError: if there are no two tensors of one shape with a sample.

    >>> sdr(torch.ones(2, 100), 0.9 * torch.ones(2, 100))
    tensor(20.0000, dtype=torch.float64)
    """
    reference, estimate = _pair(reference, estimate)
    signal = reference.square().sum((-2, -1))
    distortion = (reference - estimate).square().sum((-2, -1))
    return 10 * torch.log10((signal + _DELTA) / (distortion + _DELTA))


def nsdr(references: Tensor, estimates: Tensor) -> Tensor:
    """`sdr` of each source of a song, NaN for a source that is silent throughout (lesson 01).

    Args:
        references, estimates: `[S, C, T]`, the same shape.

    Returns:
        `[S]` in dB, float64: a `nanmean` over songs leaves out those where a source does not play.

    Raises:
        ValueError: if the shapes differ or there is no sample.

    >>> stems = torch.stack([torch.ones(2, 100), torch.zeros(2, 100)])
    >>> nsdr(stems, 0.9 * stems)
    tensor([20.0000,     nan], dtype=torch.float64)
    """
    decibels = sdr(references, estimates)
    silent = references.abs().amax((1, 2)).to(decibels.device) == 0
    return decibels.masked_fill(silent, torch.nan)


def si_sdr(reference: Tensor, estimate: Tensor) -> Tensor:
    """Scale-invariant SDR in dB (Le Roux et al. 2019, arXiv:1811.02508; lesson 01).

    Each channel's mean is removed first, as in Conv-TasNet (arXiv:1809.07454, eq. 15). Then the
    reference is scaled by α = ⟨ŝ, s⟩ / ‖s‖², one α for all channels, so turning the estimate up or
    down changes nothing: 10 log₁₀ ‖αs‖² / ‖αs − ŝ‖².

    Args:
        reference, estimate: `[..., C, T]`, the same shape.

    Returns:
        `[...]` in dB, float64 (differentiable). Infinite where the estimate is exact but for its
        level, NaN where either side is silent (or constant): no level could then be chosen.

    Raises:
        ValueError: if the shapes differ or there is no sample.

    >>> song, hiss = torch.sin(torch.arange(1000.0))[None], torch.cos(torch.arange(1000.0))[None]
    >>> [round(si_sdr(song, g * (song + 0.1 * hiss)).item(), 1) for g in (1, 5)]
    [20.0, 20.0]
    """
    reference, estimate = _pair(reference, estimate)
    reference = reference - reference.mean(-1, keepdim=True)
    estimate = estimate - estimate.mean(-1, keepdim=True)
    energy = reference.square().sum((-2, -1))
    scale = (reference * estimate).sum((-2, -1)) / energy
    target = scale[..., None, None] * reference
    signal = target.square().sum((-2, -1))
    distortion = (target - estimate).square().sum((-2, -1))
    return 10 * torch.log10(signal / distortion)


class SilentSourceError(ValueError):
    """A source or an estimate is silent from end to end, so that BSSEval is not defined."""


@dataclass(frozen=True)
class BSSEval:
    """Scores per source and window, each `[..., S, windows]` in dB; NaN where museval gives NaN."""

    sdr: Tensor
    isr: Tensor
    sir: Tensor
    sar: Tensor

    def median(self) -> dict[str, Tensor]:
        """The median over windows, `[..., S]` each: one song's entry in a table.

        As in museval, windows that are NaN (a source is silent) or infinite (nothing to improve)
        are left out; NaN if no window is left.
        """
        scores = {name: getattr(self, name) for name in _SCORES}
        return {
            name: score.where(score.isfinite(), torch.nan).nanquantile(0.5, dim=-1)
            for name, score in scores.items()
        }


_SCORES = ("sdr", "isr", "sir", "sar")


def bss_eval(
    references: Tensor,
    estimates: Tensor,
    samplerate: int,
    window: float = 1.0,
    hop: float = 1.0,
) -> BSSEval:
    """BSSEval v4, the scores of SiSEC 2018 and of most tables (lesson 01).

    The estimate is split into the true source, what a 512-tap filter of it explains (spatial
    distortion), what filters of the other sources add (interference) and the rest (artefacts);
    one set of filters per song (arXiv:1804.06267; Vincent, Gribonval & Févotte 2006). Equal to
    `museval.metrics.bss_eval` with its defaults for MUSDB18, except where museval's solver fails:
    a mono source panned in float32 has channels that differ by rounding alone.

    Args:
        references: `[S, C, T]`. With one source there is no interference: its SIR is infinite.
        estimates: `[..., S, C, T]`: those of several systems at once share the work that depends on
            the references alone, which is most of it.
        samplerate: in Hz.
        window, hop: in seconds, cut down to whole samples as museval does. A window longer than
            the song (`math.inf`) is the whole song; a rest at the end that fills no window is not
            scored.

    Returns:
        `BSSEval`, each score `[..., S, windows]`. As in museval, a window in which any source of
        either side is silent (its channels add up to zero throughout) is NaN for every source.

    Raises:
        ValueError: if shapes differ, `window` or `hop` is no whole sample long, a sample is NaN,
            or a source or an estimate is silent from end to end.
    """
    fit = references.dim() == 3 and references.shape == estimates.shape[-3:]
    if not fit or references.numel() == 0 or estimates.numel() == 0:
        raise ValueError(
            f"expected references and estimates of one shape [sources, channels, time], got "
            f"{list(references.shape)} and {list(estimates.shape)}"
        )
    truth, guess = (x.detach().to("cpu", torch.float64).numpy() for x in (references, estimates))
    for what, signals in (("reference", truth), ("estimate", guess)):
        if not np.isfinite(signals).all():
            raise ValueError(f"a {what} holds NaN or infinite samples")
        silent = np.argwhere((signals.sum(-2) == 0).all(-1))
        if len(silent):
            raise SilentSourceError(
                f"{what} {_source_name(silent[0, -1], len(references))} is silent from end to end: "
                f"BSSEval is not defined for it; choose an excerpt where it plays"
            )
    length = truth.shape[-1]
    samples = [int(min(seconds * samplerate, length)) for seconds in (window, hop)]
    if min(samples) < 1:
        raise ValueError(
            f"expected window and hop in seconds, at least one sample long, got window={window} "
            f"and hop={hop} at {samplerate} Hz"
        )
    systems = guess.reshape(-1, *truth.shape)
    scores = torch.from_numpy(bsseval.decompose(truth, systems, *samples))
    return BSSEval(*scores.movedim(1, 0).reshape(4, *estimates.shape[:-2], -1))


@dataclass(frozen=True)
class Report:
    """Scores of several songs, and the figures that a paper's table prints.

    Attributes:
        songs: names in order.
        nsdr: SDR over the whole song, `[songs, S]` in dB.
        scores: "sdr", "isr", "sir", "sar": median over windows, `[songs, S]` in dB.
        notes: what was left out, and why.
    """

    songs: tuple[str, ...]
    sources: tuple[str, ...]
    nsdr: Tensor
    scores: dict[str, Tensor]
    notes: tuple[str, ...]

    def summary(self) -> dict[str, Tensor]:
        """Per source `[S]`: the median over songs of each BSSEval score, and the mean nSDR."""
        medians = {name: value.nanquantile(0.5, dim=0) for name, value in self.scores.items()}
        return {**medians, "nsdr": self.nsdr.nanmean(0)}

    def __str__(self) -> str:
        summary = self.summary()
        labels = {
            "sdr": "SDR (median of medians)",
            "isr": "ISR",
            "sir": "SIR",
            "sar": "SAR",
            "nsdr": "nSDR (mean over songs)",
        }
        rows = [
            [label, *summary[name].tolist(), float(summary[name].nanmean())]
            for name, label in labels.items()
            if name in summary
        ]
        title = f"{len(self.songs)} song{'s' if len(self.songs) > 1 else ''}, dB"
        lines = [title, text_table(["score", *self.sources, "mean"], rows)]
        return "\n".join([*lines, *(f"Note: {note}." for note in self.notes)])


def report(
    separated: Iterable[tuple[str, Tensor, Tensor, int]],
    window: float = 1.0,
    hop: float = 1.0,
    bss: bool = True,
) -> Report:
    """Evaluate songs one by one, as papers on MUSDB18 do (lesson 01).

    BSSEval v4: median over one-second windows, then median over songs (SiSEC 2018). nSDR: whole
    song, then mean over songs (MDX 2021). A song with a silent source gets no BSSEval and no nSDR
    for that source, and a note says so; the others are evaluated.

    Args:
        separated: `(name, references [S, C, T], estimates [S, C, T], samplerate)` per song; a
            generator keeps one song in memory at a time.
        window, hop: in seconds.
        bss: False computes nSDR only, which is some hundred times faster.

    Raises:
        ValueError: if there is no song, or one of them cannot be scored; the message names it.
    """
    songs: list[str] = []
    whole: list[Tensor] = []
    notes: list[str] = []
    scores: dict[str, list[Tensor]] = {name: [] for name in _SCORES} if bss else {}
    for name, references, estimates, samplerate in separated:
        try:
            decibels = nsdr(references, estimates)
            medians = {score: torch.full_like(decibels, torch.nan) for score in scores}
            if bss:
                medians = bss_eval(references, estimates, samplerate, window, hop).median()
        except SilentSourceError as error:
            notes.append(f"no BSSEval for {name!r}: {str(error).split(':')[0]}")
        except (ValueError, IndexError) as error:
            raise ValueError(f"{name}: {error}") from error
        if whole and len(decibels) != len(whole[0]):
            raise ValueError(
                f"{name} has {len(decibels)} sources, {songs[0]} has {len(whole[0])}: report on "
                f"songs with the same sources together"
            )
        songs.append(name)
        whole.append(decibels.cpu())
        for score, values in scores.items():
            values.append(medians[score].cpu())
    if not songs:
        raise ValueError("expected at least one song to report on, got none")
    count = len(whole[0])
    sources = tuple(_source_name(i, count) for i in range(count))
    stacked = {name: torch.stack(values) for name, values in scores.items()}
    return Report(tuple(songs), sources, torch.stack(whole), stacked, tuple(notes))


def _source_name(index: int, count: int) -> str:
    return SOURCES[index] if count == len(SOURCES) else f"source {index}"


def _pair(reference: Tensor, estimate: Tensor | None) -> tuple[Tensor, Tensor]:
    need_tensor(reference, "the reference")
    if estimate is None:
        raise TypeError("expected two sounds to compare, the reference and an estimate, got one")
    need_tensor(estimate, "the estimate")
    if reference.shape != estimate.shape:
        raise ValueError(
            f"reference {list(reference.shape)} and estimate {list(estimate.shape)} must have the "
            f"same shape [..., channels, time]"
        )
    if reference.dim() < 2 or reference.numel() == 0:
        raise ValueError(
            f"expected waveforms [..., channels, time] with at least one sample, got "
            f"{list(reference.shape)}"
        )
    if reference.device.type == "mps":  # Apple's GPU has no float64
        reference, estimate = reference.cpu(), estimate.cpu()
    return reference.double(), estimate.double()
