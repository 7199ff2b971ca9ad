"""Joins a widget's JavaScript files into the one module that a page loads.

anywidget imports `_esm` from a `blob:` URL, where `import … from "./engine.js"` finds nothing.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from demucs_lab.plots.style import INK, LINE, PAIR_COLORS, PAPER, SOFT

_HERE = Path(__file__).parent
_IMPORT = re.compile(r'^import\s*\{[^}]*\}\s*from\s*"\./([\w.]+)";\n', re.MULTILINE)


@cache
def esm(*names: str) -> str:
    """Each `name.js` with everything it imports, every file once, as one module without imports.

    >>> "import {" in esm("stem_player"), esm("stem_player").count("export default")
    (False, 1)
    """
    seen: list[str] = []
    parts: list[str] = []

    def visit(filename: str) -> None:
        if filename in seen:
            return
        seen.append(filename)
        source = (_HERE / filename).read_text(encoding="utf-8")
        for needed in _IMPORT.findall(source):
            visit(needed)
        parts.append(_IMPORT.sub("", source))

    for name in names:
        visit(f"{name}.js")
    return "\n".join(parts)


@cache
def css(name: str) -> str:
    """The palette of the figures, the shared style sheet, and the widget's own."""
    first, second = PAIR_COLORS
    palette = (
        f":root {{ --dl-paper: {PAPER}; --dl-ink: {INK}; --dl-soft-ink: {SOFT}; "
        f"--dl-border: {LINE}; --dl-first: {first}; --dl-second: {second}; }}"
    )
    files = (_HERE / "base.css", _HERE / f"{name}.css")
    return "\n".join([palette, *(file.read_text(encoding="utf-8") for file in files)])
