"""The look of every figure and player: one palette, one width, one way to be shown.

A figure stands on a white card, so it reads the same in a light and a dark notebook. It is never
told apart by colour alone: lines differ in stroke and marker, bars in hatching.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SOURCE_COLORS = {
    "mixture": "#767676",
    "drums": "#E69F00",
    "bass": "#0072B2",
    "other": "#009E73",
    "vocals": "#CC79A7",
}
"""Okabe and Ito's palette, which colour-blind readers tell apart; grey reads on black and white."""

OTHER_COLORS = ("#D55E00", "#56B4E9", "#8A6FD1", "#5F7A1F", "#B5483A")
"""For all that is not a source: methods, systems, sounds with a name of their own."""

PAIR_COLORS = ("#0072B2", "#D55E00")
"""For two things that are compared: A and B, ours and theirs, right and wrong."""

INK, SOFT, LINE, PAPER = "#1f2328", "#5b636d", "#d5d9de", "#ffffff"
"""Text, less important text, borders, and the card that all of it stands on."""

MARKERS = {"mixture": "x", "drums": "s", "bass": "o", "other": "^", "vocals": "D"}
OTHER_MARKERS = "os^Dvx*P"
STROKES = ("-", "--", ":", "-.")
HATCHES = ("", "//", "..", "xx", "\\\\")

_WIDTH = 8.6  # inches
_DPI = 100


def color_of(name: str, position: int) -> str:
    """The colour of a name: fixed for the sources, else by its position among the others.

    >>> color_of("bass", 7), color_of("hiss", 0), color_of("leak", 5)
    ('#0072B2', '#D55E00', '#D55E00')
    """
    return SOURCE_COLORS.get(name, OTHER_COLORS[position % len(OTHER_COLORS)])


def new_figure(rows: int = 1, columns: int = 1, height: float = 3.2, **kwargs: Any) -> Any:
    """A figure of the course's width and its axes `[rows, columns]`, as `plt.subplots` gives them.

    Args:
        rows, columns: of panels.
        height: in inches.
        kwargs: for `plt.subplots`, such as `sharey=True`.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(_WIDTH, height),
        layout="constrained",
        squeeze=False,
        facecolor=PAPER,
        **kwargs,
    )
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    return figure, axes


def finish(figure: Figure, caption: str, numbers: str = "") -> Drawing:
    """Close a figure and hand it over as a `Drawing`, which a notebook shows once."""
    import matplotlib.pyplot as plt

    plt.close(figure)
    _as_written(figure)
    return Drawing(figure, caption, numbers)


@dataclass(frozen=True, eq=False, repr=False)
class Drawing:
    """A figure with a caption below it, as the last line of a cell shows it (lesson 00).

    Attributes:
        figure: matplotlib's, closed.
        caption: one or two sentences on how to read it. It says what is drawn, not what comes out,
            so that the reader looks first.
        numbers: what the figure shows, in words and figures: the image's alternative text.
    """

    figure: Figure
    caption: str
    numbers: str = ""

    @property
    def axes(self) -> list[Axes]:
        """The panels."""
        return self.figure.axes

    def __repr__(self) -> str:
        return "\n".join(filter(None, [f"Figure: {self.caption}", self.numbers]))

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """HTML, since JupyterLab gives a bare PNG no alternative text; the PNG for print."""
        data = png(self.figure, _DPI)
        alt = self.numbers or self.caption
        bundle = {"text/plain": repr(self), "text/html": self._html(data, alt), "image/png": data}
        return bundle, {"image/png": {"alt": alt}}

    def _html(self, data: str, alt: str) -> str:
        card = (
            f"max-width: 100%; height: auto; box-sizing: border-box; padding: 8px; "
            f"background: {PAPER}; border: 1px solid {LINE}; border-radius: 8px"
        )
        below = "max-width: 60em; margin-top: 4px; font-style: italic"
        return (
            f'<figure style="margin: 0">\n'
            f'<img alt="{html.escape(alt)}" style="{card}" src="data:image/png;base64,{data}">\n'
            f'<figcaption style="{below}">{html.escape(self.caption, quote=False)}</figcaption>\n'
            f"</figure>"
        )


def png(figure: Figure, dpi: int, colors: int = 64) -> str:
    """A figure as a small PNG in base64: few colours, no dither, the same in every run."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image  # matplotlib brings it

    figure.set_dpi(dpi)
    _as_written(figure)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    target = io.BytesIO()
    image.quantize(colors, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        target, "PNG", optimize=True
    )
    return base64.b64encode(target.getvalue()).decode("ascii")


def _as_written(figure: Figure) -> None:
    """Names of songs stay as they are: what is between two `$` is no formula."""
    from matplotlib.text import Text

    for axis in figure.axes:
        axis.get_xticklabels(), axis.get_yticklabels()  # which are only then made
    for text in figure.findobj(Text):
        if "mathdefault" not in text.get_text():  # matplotlib's own, on a scale of powers
            text.set_parse_math(False)


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them.

    >>> listed(["drums", "bass", "vocals"])
    'drums, bass and vocals'
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def number(value: float, top: float = np.inf) -> str:
    """One decimal, with a real minus; what reaches `top` is shown as more than that.

    >>> number(-1.26), number(80.0, top=60.0)
    ('−1.3', '> 60')
    """
    return f"> {top:.0f}" if value >= top else f"{value:.1f}".replace("-", "−")


def in_numbers(
    unit: str, columns: Sequence[str], rows: Mapping[str, Mapping[str, float]], top: float = np.inf
) -> str:
    """A table in one sentence.

    >>> in_numbers("dB", ["drums", "bass"], {"mask": {"drums": 9.0, "bass": 8.94}})
    'drums / bass, dB: mask 9.0 / 8.9.'
    """
    parts = [
        f"{name} {' / '.join(number(row[c], top) for c in columns)}" for name, row in rows.items()
    ]
    return f"{' / '.join(columns)}, {unit}: {'; '.join(parts)}."
