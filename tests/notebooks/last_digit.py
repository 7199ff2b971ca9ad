"""A plugin for nbval: a printed number may differ by one in its last digit.

Processors round sines, exponentials and long sums differently; what is printed as 26.7 on one is
26.6 on another. Words, whole numbers and everything else must be the same.
"""

from __future__ import annotations

import re
from decimal import Decimal

from nbval.plugin import IPyNbCell

NUMBER = re.compile(r"[-−]?\d+\.\d+")


class Printed(str):
    """A text that equals another one if they differ in last digits only.

    >>> Printed("SDR 26.7 dB") == Printed("SDR 26.6 dB"), Printed("26.8") == Printed("26.6")
    (True, False)
    """

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str):
            return False
        if NUMBER.sub("", self) != NUMBER.sub("", other):
            return False
        pairs = zip(NUMBER.findall(self), NUMBER.findall(other), strict=True)
        return all(_alike(*pair) for pair in pairs)

    def __ne__(self, other: object) -> bool:
        return not self == other


def _alike(one: str, other: str) -> bool:
    first, second = (Decimal(text.replace("−", "-")) for text in (one, other))
    places = first.as_tuple().exponent
    if places != second.as_tuple().exponent:
        return False
    return abs(first - second) <= Decimal((0, (1,), int(places)))


_sanitize = IPyNbCell.sanitize


def _sanitized(cell: IPyNbCell, value: object) -> object:
    clean = _sanitize(cell, value)
    return Printed(clean) if isinstance(clean, str) else clean


IPyNbCell.sanitize = _sanitized
