"""A widget as a page of its own: one file that plays with no kernel and no network."""

from __future__ import annotations

import base64
import html
import json
import os
from pathlib import Path

from demucs_lab.common.paths import atomic_path
from demucs_lab.widgets._assets import css, esm
from demucs_lab.widgets._base import Sounding
from demucs_lab.widgets._picture import picture

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 16px; background: light-dark(#ffffff, #0f1114); }}
{css}
</style>
</head>
<body>
<div id="widget"></div>
<noscript><p>{title}</p><img alt="{title}" src="data:image/png;base64,{png}"></noscript>
<script id="content" type="application/json">{content}</script>
<script type="module">
{esm}
startPage(WIDGET, document.getElementById("content").textContent);
</script>
</body>
</html>
"""


def to_html(widget: Sounding, path: str | os.PathLike[str], codec: str = "flac") -> Path:
    """Write a `StemPlayer` or `ABX` as one HTML file that plays offline, and return its path.

    Args:
        widget: the widget; the page opens in its present state.
        path: where the file goes; written beside and renamed, so never half of it.
        codec: `"flac"`, exact to 16 bits, about 4 MB for four stems of 10 s; or `"ogg"`, a quarter
            of that, but with coding noise about as loud as a good separator's artefacts.

    Raises:
        ValueError: for another codec, or something that is not a widget of this package.
    """
    if not isinstance(widget, Sounding):
        raise ValueError(f"expected a StemPlayer or an ABX, got {type(widget).__name__}")
    state, sounds = widget.page(codec)
    encoded = {key: base64.b64encode(sound).decode("ascii") for key, sound in sounds.items()}
    content = json.dumps({"state": state, "sounds": encoded}, ensure_ascii=False)
    page = _PAGE.format(
        title=html.escape(widget.summary()),
        css=css(widget.files),
        png=picture(widget.rows(), widget.summary()),
        content=content.replace("<", "\\u003c"),
        esm=esm(widget.files, "page").replace("export default", "const WIDGET ="),
    )
    with atomic_path(path) as beside:
        beside.write_text(page, encoding="utf-8", newline="\n")
    return Path(path)
