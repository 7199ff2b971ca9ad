"""Is a transformer alive? What it costs to take it, or a part of it, away (lesson 10).

A trained part is believed when a model is worse without it. Each row below is an intervention, its
columns the change of SDR of each source: a mean over songs with a 95 % interval over songs, for one
trained model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from demucs_lab import attention
from demucs_lab.audio import resample
from demucs_lab.common.tables import text_table
from demucs_lab.metrics.intervals import Interval, bootstrap
from demucs_lab.models.htdemucs import HTDemucs
from demucs_lab.separation.waveform import loudness

if TYPE_CHECKING:
    from demucs_lab.datasets import Track
    from demucs_lab.plots.style import Drawing

LEAST = 0.1
"""dB: a transformer that a constant replaces for less is dead."""

AT_ONCE = 8  # songs

Context = Callable[[np.ndarray], AbstractContextManager[None]]
"""Makes an intervention for a group of songs, given their numbers."""


@dataclass(frozen=True)
class Example:
    """Something to separate of which the parts are known.

    Attributes:
        mixture: `[C, T]` at the model's rate, scaled as `separate` scales songs.
        reference: its sources, `[S, C, T]`.
        begin: the sample from which on the estimate counts.
    """

    mixture: Tensor
    reference: Tensor
    begin: int = 0


@dataclass(frozen=True)
class VitalSigns:
    """What a transformer is worth; `print` it for the table.

    Attributes:
        sources: what the model separates.
        whole: SDR of the untouched model in dB, `[songs, S]`.
        changes: by intervention, SDR with it minus SDR without it, in dB, `[songs, S]`.
        heads: the same for each head that is taken away, by layer: `[heads, songs, S]`.
        tokens: by layer, the share of the tokens' power in which they differ from one another.
    """

    sources: tuple[str, ...]
    whole: np.ndarray
    changes: Mapping[str, np.ndarray]
    heads: Mapping[str, np.ndarray]
    tokens: Mapping[str, float]

    def change(self, intervention: str, source: str = "mean") -> Interval:
        """The change of SDR in dB, with its 95 % interval over songs (bootstrap)."""
        table = self.changes[intervention]
        chosen = np.nanmean(table, 1) if source == "mean" else table[:, self.sources.index(source)]
        return bootstrap(chosen)

    @property
    def alive(self) -> bool:
        """Whether a constant in the transformer's place costs `LEAST` or more, surely."""
        return self.change("constant").high <= -LEAST

    def __str__(self) -> str:
        names = [*self.sources, "mean"]
        rows: list[list[str | float]] = [
            [name, *(str(self.change(name, source)) for source in names)] for name in self.changes
        ]
        untouched = [
            f"{value:.2f} dB" for value in [*np.nanmean(self.whole, 0), np.nanmean(self.whole)]
        ]
        heads = [
            [
                layer,
                f"{self.tokens[layer]:.1g}",
                *(f"{change:+.2f}" for change in np.nanmean(changes, (1, 2))),
            ]
            for layer, changes in self.heads.items()
        ]
        count = max((len(changes) for changes in self.heads.values()), default=0)
        said = "alive" if self.alive else "dead: a constant does as well"
        return "\n".join([
            text_table(["change of SDR, dB", *names], [["untouched", *untouched], *rows]),
            "",
            text_table(
                ["layer", "tokens differ by", *(f"without head {i}" for i in range(count))], heads
            ),
            "",
            f"The transformer is {said} ({len(self.whole)} songs, one training; 95 % intervals "
            f"over songs).",
        ])  # fmt: skip

    def figure(self) -> Drawing:
        """Interventions down, the change of each source across, with intervals."""
        from demucs_lab.plots import interval_dots

        def drawn(name: str, source: str) -> tuple[float, float, float]:
            change = self.change(name, source)
            return change.mean, change.low, change.high

        names = [*self.sources, "mean"]
        return interval_dots(
            {name: {source: drawn(name, source) for source in names} for name in self.changes},
            "change of SDR, dB",
        )


def vital_signs(
    model: HTDemucs, songs: Sequence[Track], seconds: float = 6.0, heads: bool = True
) -> VitalSigns:
    """Take the transformer of a model, and its parts, away one by one (lesson 10).

    Args:
        model: an `HTDemucs` with a transformer.
        songs: two or more that it has not learned from; twenty or more for intervals to trust.
        seconds: looked at of each song, around its middle, in segments of the model.
        heads: take single heads away too, which is two thirds of the time.

    Raises:
        TypeError, ValueError: if the model has no transformer, or there are fewer than two songs.
    """
    return measure(model, [list(excerpts(model, song, seconds)) for song in songs], heads)


def excerpts(model: HTDemucs, song: Track, seconds: float) -> Iterator[Example]:
    """The middle of a song as segments of the model, scaled as `separate` scales the song."""
    stems = torch.stack([song.sources[name] for name in model.sources])
    mixture = resample(song.mixture, song.samplerate, model.samplerate)
    stems = resample(stems, song.samplerate, model.samplerate)
    mean, std = loudness(mixture)
    size = model.segment_samples
    count = max(1, round(seconds * model.samplerate / size))
    begin = max(0, (mixture.shape[-1] - count * size) // 2)
    for start in range(begin, begin + count * size, size):
        part = slice(start, start + size)
        room = (0, max(0, start + size - mixture.shape[-1]))
        yield Example(
            F.pad((mixture[:, part] - mean) / std, room), F.pad(stems[..., part] / std, room)
        )


def measure(model: HTDemucs, songs: Sequence[Sequence[Example]], heads: bool = True) -> VitalSigns:
    """Vital signs on examples of one's own: as many of each song, all of one length.

    Raises:
        TypeError, ValueError: if the model has no transformer, or there are fewer than two songs.
    """
    layers = attention.layer_names(model)
    if len(songs) < 2:
        raise ValueError(f"vital signs need two songs or more, got {len(songs)}")
    was_training = model.training
    try:
        trial = _Trial(model.eval(), songs)
        means = trial.means_of_other_songs()
        tokens = trial.shares_of_tokens()
        whole = trial.scores(lambda group: nullcontext())
        changes = {
            "constant": lambda group: attention.constant_output(model, [m[group] for m in means]),
            "zero": lambda group: attention.constant_output(model),
            "no attention": lambda group: attention.without_attention(model),
            "no cross-attention": lambda group: attention.without_attention(model, cross_only=True),
            "uniform weights": lambda group: attention.uniform_weights(model),
            "another song's keys": lambda group: attention.keys_of_another(model),
        }
        changed = {name: trial.scores(context) - whole for name, context in changes.items()}
        muted = {
            layer: np.stack([
                trial.scores(lambda group: attention.without_head(model, layer, head)) - whole  # noqa: B023
                for head in range(model.t_heads)
            ])
            for layer in layers * heads
        }  # fmt: skip
    finally:
        model.train(was_training)
    return VitalSigns(tuple(model.sources), whole, changed, muted, tokens)


class _Trial:
    """A model and examples, in groups of songs that it separates at once."""

    def __init__(self, model: HTDemucs, songs: Sequence[Sequence[Example]]) -> None:
        self.model, self.songs = model, songs
        self.groups = np.array_split(np.arange(len(songs)), -(-len(songs) // AT_ONCE))
        self.encoded: dict[tuple[int, int], Any] = {}

    @torch.no_grad()
    def run(self, context: Context) -> Iterator[tuple[np.ndarray, list[Example], Tensor]]:
        """`(numbers of songs, their examples, estimates [songs, S, C, T])`, group by group."""
        for group in self.groups:
            for place in range(len(self.songs[0])):
                examples = [self.songs[number][place] for number in group]
                mixtures = torch.stack([example.mixture for example in examples])
                with self.encoder_once((int(group[0]), place)), context(group):
                    yield group, examples, self.model(mixtures)

    @contextmanager
    def encoder_once(self, key: tuple[int, int]) -> Iterator[None]:
        """The encoder knows nothing of the transformer: its output is the same each time."""
        encoder: Any = self.model.encoder
        encode = encoder.forward

        def remembered(*inputs: Tensor) -> Any:
            if key not in self.encoded:
                self.encoded[key] = encode(*inputs)
            return self.encoded[key]

        encoder.forward = remembered
        try:
            yield
        finally:
            del encoder.forward

    def scores(self, context: Context) -> np.ndarray:
        """SDR in dB over all examples of a song, `[songs, S]`; NaN where a source is silent."""
        signal = torch.zeros(len(self.songs), len(self.model.sources), dtype=torch.float64)
        error = torch.zeros_like(signal)
        for group, examples, estimates in self.run(context):
            for number, example, estimate in zip(group, examples, estimates, strict=True):
                missed = example.reference - estimate[..., example.begin :]
                signal[number] += example.reference.double().square().sum((1, 2))
                error[number] += missed.double().square().sum((1, 2))
        sdr = 10 * (signal / error).log10()
        return sdr.masked_fill(signal == 0, torch.nan).numpy()

    def means_of_other_songs(self) -> list[Tensor]:
        """For each song, the mean token of all others, of both branches: `[songs, C]` twice."""
        sums = [torch.zeros(0), torch.zeros(0)]

        def add(group: np.ndarray) -> AbstractContextManager[None]:
            return attention.watching_output(self.model, lambda x, xt: note(group, x, xt))

        def note(group: np.ndarray, x: Tensor, xt: Tensor) -> None:
            for i, output in enumerate((x.flatten(2), xt)):
                if not len(sums[i]):
                    sums[i] = torch.zeros(len(self.songs), output.shape[1])
                sums[i][group] += output.mean(2) / len(self.songs[0])

        for _ in self.run(add):
            pass
        return [(own.sum(0) - own) / (len(self.songs) - 1) for own in sums]

    def shares_of_tokens(self) -> dict[str, float]:
        """By layer, how much of the tokens' power is their variance around their mean token."""
        between: dict[str, float] = defaultdict(float)
        power: dict[str, float] = defaultdict(float)

        def note(layer: str, tokens: Tensor) -> None:
            between[layer] += float((tokens - tokens.mean(1, keepdim=True)).square().sum())
            power[layer] += float(tokens.square().sum())

        for _ in self.run(lambda group: attention.watching_tokens(self.model, note)):
            pass
        return {layer: between[layer] / power[layer] for layer in power}
