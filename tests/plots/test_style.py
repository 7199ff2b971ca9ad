"""A drawing in a notebook: a card, a caption below it, and its numbers in the alternative text."""

from __future__ import annotations

import html
import re

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from IPython.core.formatters import DisplayFormatter
from nbconvert import HTMLExporter

from demucs_lab import plots
from demucs_lab.plots import style
from demucs_lab.widgets._picture import picture

CAPTION = "Left & right: two <bars>."


@pytest.fixture(scope="module")
def drawing():
    figure, _ = plots.new_figure(height=1)
    return plots.finish(figure, CAPTION, 'drums "9.0" / bass 8.5.')


def test_the_caption_stands_below_the_figure_and_the_numbers_in_its_alt(drawing):
    bundle, metadata = DisplayFormatter().format(drawing)
    assert set(bundle) == {"text/plain", "text/html", "image/png"}
    page = bundle["text/html"]
    assert page.index("<img") < page.index("<figcaption")
    assert html.escape(CAPTION) in page
    assert html.unescape(re.search(r'alt="([^"]*)"', page)[1]) == drawing.numbers
    assert metadata["image/png"]["alt"] == drawing.numbers
    assert bundle["text/plain"] == f"Figure: {CAPTION}\n{drawing.numbers}"


@pytest.mark.parametrize("template", ["lab", "classic"])
def test_nbconvert_keeps_the_alternative_text(drawing, template):
    bundle, metadata = DisplayFormatter().format(drawing)
    output = nbformat.v4.new_output("execute_result", bundle, metadata=metadata)
    cell = nbformat.v4.new_code_cell("figure", outputs=[output])
    page, _ = HTMLExporter(template_name=template).from_notebook_node(
        nbformat.v4.new_notebook(cells=[cell])
    )
    [image] = BeautifulSoup(page, "html.parser").select("img")
    assert image["alt"] == drawing.numbers
    assert image["src"] == f"data:image/png;base64,{bundle['image/png']}"


def test_a_drawing_is_the_same_bytes_each_time(drawing):
    assert drawing._repr_mimebundle_() == drawing._repr_mimebundle_()


def test_a_figure_without_numbers_is_described_by_its_caption():
    figure, _ = plots.new_figure(height=1)
    assert (
        'alt="Only this."' in plots.finish(figure, "Only this.")._repr_mimebundle_()[0]["text/html"]
    )


def test_no_colour_means_two_things():
    colors = [*style.SOURCE_COLORS.values(), *style.OTHER_COLORS]
    assert len(set(colors)) == len(colors)


def luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_reads_on_the_card():
    assert contrast(style.INK, style.PAPER) > 7
    assert contrast(style.SOFT, style.PAPER) > 4.5


def test_the_mixtures_grey_is_seen_on_light_and_dark():
    grey = style.SOURCE_COLORS["mixture"]
    assert contrast(grey, "#ffffff") > 3
    assert contrast(grey, "#111111") > 3


@pytest.mark.parametrize("name", ["$", "$100 $$$", r"A$\frac{$", "cash $_$ money", "$x^$"])
def test_a_name_is_no_formula(name):
    rows = {name: {"drums": 1.0, name: 2.0}}
    spans = {name: {name: (1.0, 0.5, 2.0)}}
    drawings = [
        plots.curves([1, 10], {name: [1.0, 2.0]}, xlabel=name, ylabel=name, log_x=True),
        plots.bars(rows, ylabel=name),
        plots.interval_dots(spans, xlabel=name),
        plots.score_grid(rows),
    ]
    for drawing in drawings:
        assert drawing._repr_mimebundle_()[0]["image/png"]
        assert name in repr(drawing)
    wave = np.zeros((1, 500), np.float32)
    assert picture([(name, "#336699", wave)], f"{name} of 5 s")
