"""The course's claims as experiments that anybody can rerun (lesson 11).

`run("glu", reduced=True)` does one in a few minutes, `results("glu")` reads the full run that is
shipped, `table` and `figure` show either beside what was published.
"""

from __future__ import annotations

from demucs_lab.experiments.catalogue import EXPERIMENTS, Experiment, Variant
from demucs_lab.experiments.published import PUBLISHED, Published
from demucs_lab.experiments.report import figure, listing, table
from demucs_lab.experiments.running import results, run

__all__ = [
    "EXPERIMENTS",
    "PUBLISHED",
    "Experiment",
    "Published",
    "Variant",
    "figure",
    "listing",
    "results",
    "run",
    "table",
]
