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
        "results", help="what the tiny models reach on the 50 test songs",
        description="Show what the tiny models, the mixture and ideal masks reach on the 50 songs "
        "of LabSongs' test split; --measure scores them again, on real music too where MUSDB18 is, "
        "and writes results.json.",
    )  # fmt: skip
    results.add_argument(
        "--processes", type=positive(int), default=2, metavar="N",
        help="songs scored side by side (default: 2)",
    )  # fmt: skip
    instead = results.add_mutually_exclusive_group()
    instead.add_argument(
        "--measure", action="store_true", help="score them again, which takes some 20 minutes"
    )
    instead.add_argument("--readme", action="store_true", help="put the table into README.md")
    instead.add_argument(
        "--check", action="store_true", help="do README.md, results.json and the models agree?",
    )  # fmt: skip
    results.set_defaults(run=run_results)


def run_ship(options: argparse.Namespace) -> int:
    """Train or take a run, pack it, and say where it is."""
    from demucs_lab.experiments.shipping import ship

    path = ship(options.name, options.folder)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, with its model card {path.stem}.md")
    return 0


def run_results(options: argparse.Namespace) -> int:
    """Show results.json, or measure and write it, or compare what is written."""
    from demucs_lab.evaluation import readme, results
    from demucs_lab.evaluation.tables import table

    if options.check:
        readme.check()
        print("README.md, results.json and the models agree")
    elif options.readme:
        print(f"the table is in {readme.write_readme()}")
    elif not options.measure:
        print(table(results.read()))
        print("recorded in results.json; python -m demucs_lab results --measure scores them again")
    else:
        path = results.write(results.measure(processes=options.processes))
        print(table(results.read(path)))
        print(f"written to {path}; python -m demucs_lab results --readme puts it into README.md")
    return 0
