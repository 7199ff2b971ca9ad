"""The command line: `python -m demucs_lab COMMAND`, each command in the file of its subject."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence

from demucs_lab.cli import experiments, making, separation, songs, training
from demucs_lab.cli.parse import Parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it worked, 2 with one sentence when not, 130 after Ctrl-C.

    With DEMUCS_LAB_DEBUG set, an error keeps its traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a Windows console may lack a path's letters
    options = _parser().parse_args(arguments)
    with_location = warnings.formatwarning
    warnings.formatwarning = lambda message, *location, **line: f"demucs-lab: {message}\n"
    try:
        return options.run(options)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, `head` for example, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("DEMUCS_LAB_DEBUG"):
            raise
        print(f"demucs-lab: {error or type(error).__name__}", file=sys.stderr)
        return 2
    finally:
        warnings.formatwarning = with_location


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="demucs-lab", description="What the course on music source separation needs around it."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    doctor = commands.add_parser("doctor", help="what is there, what is missing, how to get it")
    doctor.set_defaults(run=_doctor)
    for subject in (songs, separation, training, experiments, making):
        subject.add_commands(commands)
    return parser


def _doctor(options: argparse.Namespace) -> int:
    from demucs_lab.cli import doctor

    return doctor.main()
