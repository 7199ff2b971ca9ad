"""`python -m demucs_lab experiment`: a claim of the course, measured again."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import Any

from demucs_lab.cli.parse import positive


def add_commands(commands: Any) -> None:
    """Give the command line its command."""
    command = commands.add_parser(
        "experiment", help="measure a claim of the course again",
        description="Measure a claim of the course again, beside the published figure. An "
        "interrupted experiment goes on where it stopped.",
    )  # fmt: skip
    command.add_argument(
        "names", nargs="*", metavar="NAME", help="see --list; `all`: one after the other"
    )
    command.add_argument("--list", action="store_true", help="show what there is")
    command.add_argument(
        "--reduced", action="store_true", help="one seed, fewer steps and songs: a few minutes"
    )
    command.add_argument("--seeds", type=positive(int), metavar="N", help="how many (default: 3)")
    command.add_argument(
        "--steps", type=positive(int), metavar="N", help="of each training, instead of its own"
    )
    command.add_argument(
        "--out", type=Path, metavar="DIR", help="for the JSON files, instead of the package's own"
    )
    command.add_argument(
        "--show", action="store_true", help="print the results that are shipped, run nothing"
    )
    command.set_defaults(run=run_experiment)


def run_experiment(options: argparse.Namespace) -> int:
    """Run experiments and print their tables; an interrupted run goes on where it stopped."""
    from demucs_lab import experiments
    from demucs_lab.experiments.running import make_plan, prepare

    if options.list:
        print(experiments.listing())
        return 0
    if not options.names:
        raise ValueError("which experiment? `experiment --list` shows them")
    names = [*experiments.EXPERIMENTS] if options.names == ["all"] else options.names
    if options.show:
        print("\n\n".join(experiments.table(name) for name in names))
        return 0
    settings = {"reduced": options.reduced, "seeds": options.seeds, "steps": options.steps}
    if len(names) == 1:
        print(experiments.table(experiments.run(names[0], out=options.out, **settings)))
        return 0
    plans = [make_plan(name, **settings) for name in names]
    failed: dict[str, str] = {}
    for seed in range(max(len(plan.seeds) for plan in plans)):  # after each, all have as many
        for plan in plans:
            if seed in plan.seeds:
                with contextlib.suppress(FloatingPointError):  # `run` meets it again and says so
                    prepare(plan, seed)
    for name in names:
        try:
            print(experiments.table(experiments.run(name, out=options.out, **settings)), flush=True)
        except Exception as error:
            failed[name] = str(error)
    for name, reason in failed.items():
        print(f"{name} could not be run: {reason}")
    return 1 if failed else 0
