"""What attention looks at, and what it is worth: maps, and what happens without (lesson 10)."""

from demucs_lab.attention.interventions import (
    constant_output,
    keys_of_another,
    uniform_weights,
    watching_output,
    watching_tokens,
    without_attention,
    without_head,
)
from demucs_lab.attention.maps import (
    AttentionMap,
    Axes,
    Captured,
    axes,
    capture,
    layer_names,
    memory_needed,
)

__all__ = [
    "AttentionMap",
    "Axes",
    "Captured",
    "axes",
    "capture",
    "constant_output",
    "keys_of_another",
    "layer_names",
    "memory_needed",
    "uniform_weights",
    "watching_output",
    "watching_tokens",
    "without_attention",
    "without_head",
]
