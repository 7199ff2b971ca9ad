"""`python -m demucs_lab ship | results`: the tiny models that the kit brings, and their scores."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from demucs_lab.cli.parse import positive


def add_commands(commands: Any) -> None:
    """Give the command line its two commands."""
    ship = commands.add_parser(
        "ship", help="make a tiny model as the kit brings it",
        description="Train a tiny model with the settings of the one that the kit brings, and put "
        "it, in float16 and with its card, in that one's place.",
    )  # fmt: skip
    ship.add_argument("name", metavar="NAME", help="for example tiny-demucs")
    ship.add_argument(
        "--run", type=Path, metavar="DIR", dest="folder",
        help="take this finished run (default: train one now, which may take an hour)",
    )  # fmt: skip
    ship.set_defaults(run=run_ship)

    results = commands.add_parser(
        "results", help="score the tiny models on the 50 test songs",
        description="Score the tiny models, the mixture and ideal masks on the 50 songs of "
        "LabSongs' test split and, where MUSDB18 is, on a real one; write results.json.",
    )  # fmt: skip
    results.add_argument(
        "--processes", type=positive(int), default=2, metavar="N",
        help="songs scored side by side (default: 2)",
    )  # fmt: skip
    instead = results.add_mutually_exclusive_group()
    instead.add_argument(
        "--readme", action="store_true", help="measure nothing: put the table into README.md"
    )
    instead.add_argument(
        "--check", action="store_true",
        help="measure nothing: do README.md, results.json and the models agree?",
    )  # fmt: skip
    results.set_defaults(run=run_results)


def run_ship(options: argparse.Namespace) -> int:
    """Train or take a run, pack it, and say where it is."""
    from demucs_lab.experiments.shipping import ship

    path = ship(options.name, options.folder)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, with its model card {path.stem}.md")
    return 0


def run_results(options: argparse.Namespace) -> int:
    """Measure and write results.json, or only compare what is written."""
    from demucs_lab.evaluation import readme, results
    from demucs_lab.evaluation.tables import table

    if options.check:
        readme.check()
        print("README.md, results.json and the models agree")
    elif options.readme:
        print(f"the table is in {readme.write_readme()}")
    else:
        path = results.write(results.measure(processes=options.processes))
        print(table(results.read(path)))
        print(f"written to {path}; python -m demucs_lab results --readme puts it into README.md")
    return 0
