"""Plain-text tables that line up everywhere."""

import math

import pytest

from demucs_lab.common.tables import text_table


def test_columns_line_up():
    rows = [["bass", -1.0, 3], ["vocals and more", 123.456, 44100]]
    lines = text_table(["source", "dB", "rate"], rows).splitlines()
    assert len(set(map(len, lines))) == 1
    assert lines[2].split() == ["bass", "-1.00", "3"]
    assert lines[3].endswith("123.46  44100")
    assert lines[2].startswith("bass ")


def test_digits_and_missing_values():
    lines = text_table(["x", "y"], [["a", math.nan], ["b", math.inf], ["c", 1.25]], digits=1)
    assert [line.split()[-1] for line in lines.splitlines()] == ["y", "---", "-", "inf", "1.2"]


def test_a_table_without_rows_is_its_header():
    assert text_table(["method", "dB"], []) == "method  dB\n------  --"


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="has 1 cells, the header has 2"):
        text_table(["method", "dB"], [["a"]])
