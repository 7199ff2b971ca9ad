"""One plain-text table, the same on every screen, in every notebook and for every screen reader."""

from __future__ import annotations

import math
from collections.abc import Sequence

Cell = str | float | int


def text_table(header: Sequence[str], rows: Sequence[Sequence[Cell]], digits: int = 2) -> str:
    """Rows of words and numbers as aligned text; numbers to the right, NaN as a dash.

    Raises:
        ValueError: if a row is not as long as the header.

    >>> print(text_table(["method", "bass"], [["IRM", 8.876], ["mixture", float("nan")]]))
    method   bass
    -------  ----
    IRM      8.88
    mixture     -
    """
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"row {list(row)} has {len(row)} cells, the header has {len(header)}")
    cells = [[_format(cell, digits) for cell in row] for row in rows]
    numeric = [any(isinstance(row[i], (int, float)) for row in rows) for i in range(len(header))]
    widths = [max(len(line[i]) for line in [list(header), *cells]) for i in range(len(header))]

    def line(parts: Sequence[str]) -> str:
        columns = [
            part.rjust(width) if right else part.ljust(width)
            for part, width, right in zip(parts, widths, numeric, strict=True)
        ]
        return "  ".join(columns).rstrip()

    return "\n".join([line(header), line(["-" * width for width in widths]), *map(line, cells)])


def _format(cell: Cell, digits: int) -> str:
    if isinstance(cell, float):
        return "-" if math.isnan(cell) else f"{cell:.{digits}f}"
    return str(cell)
