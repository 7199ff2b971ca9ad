"""An exercise to copy: its parts are explained in README.md beside this file."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from .framework import (
    Exercise,
    Prediction,
    Wrong,
    close,
    raises_value_error,
    randn,
    tensor,
)


def level(wav: Tensor) -> Tensor:
    """Root mean square of each channel, `[..., C, T]` → `[..., C]`."""
    if wav.shape[-1] == 0:
        raise ValueError("expected at least one sample, got an empty waveform")
    return wav.square().mean(-1).sqrt()


def constant(f: Callable[[Tensor], Tensor]) -> None:
    """a constant of height 3 has level 3"""
    close(f(tensor([[3.0, 3.0, 3.0, 3.0]])), [3], "What is the root of the mean of 9, 9, 9, 9?")


def sign(f: Callable[[Tensor], Tensor]) -> None:
    """turning the wave upside down changes nothing"""
    close(f(tensor([[1.0, -1.0, 1.0, -1.0]])), [1], "Push and pull must not cancel.")


def channels(f: Callable[[Tensor], Tensor]) -> None:
    """every channel has its own level"""
    wav = tensor([[3.0, 4.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    close(f(wav), [2.5, 0], "Average over time only.")


def scale(f: Callable[[Tensor], Tensor]) -> None:
    """twice the wave has twice the level"""
    wav = randn(2, 3, 50)
    close(f(2 * wav), 2 * f(wav), "Is a root missing?")


def empty(f: Callable[[Tensor], Tensor]) -> None:
    """no sound at all is refused"""
    raises_value_error(lambda: f(tensor([[]])), "An empty waveform has no level.")


EXERCISES = (
    Exercise(
        name="level",
        lesson="example",
        title="The level of a wave",
        reference=level,
        properties=(constant, sign, channels, scale, empty),
        wrong={
            "no_root": Wrong(
                lambda wav: wav.square().mean(-1), "That is the power: its root is the level."
            ),
            "plain_mean": Wrong(
                lambda wav: wav.mean(-1), "The plain mean of a sound is near zero: square first."
            ),
            "mean_of_sizes": Wrong(
                lambda wav: wav.abs().mean(-1), "That is the mean size, not the root mean square."
            ),
            "sum": Wrong(
                lambda wav: wav.square().sum(-1).sqrt(),
                "You added where the mean belongs: a longer song would be louder.",
            ),
            "over_everything": Wrong(
                lambda wav: wav.square().mean().sqrt(),
                "That is one level for all channels: average over the last axis only.",
            ),
            "peak": Wrong(
                lambda wav: wav.abs().amax(-1), "That is the peak: one loud sample decides it."
            ),
            "no_refusal": Wrong(
                lambda wav: wav.square().mean(-1).sqrt(),
                "All right but for the empty waveform: there 0/0 gives NaN, so raise ValueError.",
            ),
        },
        hints=(
            "Three steps, in the order of the name read backwards: square, mean, root.",
            "The mean runs over time, which is the last axis: .mean(-1).",
            "wav.square().mean(-1).sqrt(), and before it a ValueError if wav.shape[-1] == 0.",
        ),
        forbidden=("torch.linalg.vector_norm", "torch.nn.functional.rms_norm"),
    ),
)

PREDICTIONS = (
    Prediction(
        name="level_of_a_sine",
        lesson="example",
        question="What is the level of a sine whose peak is 1?",
        options={"a": "1", "b": "about 0.71", "c": "0"},
        answer="b",
        why={
            "a": "1 is its peak, which it reaches only twice a turn.",
            "b": "The mean of sin² is one half, and its root is 0.707.",
            "c": "Its mean is 0; squaring first keeps push and pull from cancelling.",
        },
    ),
)
