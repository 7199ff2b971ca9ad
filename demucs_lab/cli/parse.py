"""What the commands share: how their options are read, and one sentence for a mistake."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NoReturn

SPLITS = ("train", "valid", "test")  # those of datasets, whose import takes a second


class Parser(argparse.ArgumentParser):
    """One sentence for a mistake, where argparse prints a paragraph of usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def positive(kind: type) -> Callable[[str], float]:
    """A type for `argparse`: a number above 0."""

    def read(text: str) -> float:
        value = kind(text)
        if not 0 < value < 1e9:
            raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
        return value

    read.__name__ = kind.__name__
    return read
