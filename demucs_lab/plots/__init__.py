"""Every figure of the lessons, each with a caption below it and its numbers in words.

A function gives a `Drawing`; as the last line of a cell it shows itself. How figures look is
`style`, the palette of the players too.
"""

from demucs_lab.plots.scores import bars, interval_dots, score_grid, score_over_time
from demucs_lab.plots.signals import curves, masks, phasors
from demucs_lab.plots.style import SOURCE_COLORS, Drawing, finish, new_figure
from demucs_lab.plots.training import learning

__all__ = [
    "SOURCE_COLORS",
    "Drawing",
    "bars",
    "curves",
    "finish",
    "interval_dots",
    "learning",
    "masks",
    "new_figure",
    "phasors",
    "score_grid",
    "score_over_time",
]
