# ruff: noqa: E501 - a bar of patterns reads best on one line
"""Styles as data: tempo, grooves, bass lines, comping and the sounds that go with them.

A pattern is one bar of sixteenths (16 characters in 4/4, 12 in 3/4).
Drums: X accent, x normal, o soft, . ghost, - nothing.
Bass: R root, 3 third, 5 fifth, 7 seventh or sixth, 8 octave, A approach to the next root; - holds, . rests.
Comping: X x strike the chord, digits pick one chord tone (arpeggio); - holds, . rests.
"""

from __future__ import annotations

from dataclasses import dataclass

GM_DRUMS = {
    "kick": 36,
    "rim": 37,
    "snare": 38,
    "clap": 39,
    "hat": 42,
    "open hat": 46,
    "low tom": 41,
    "mid tom": 45,
    "high tom": 48,
    "crash": 49,
    "ride": 51,
    "tambourine": 54,
    "shaker": 70,
}


@dataclass(frozen=True)
class Style:
    """A way of playing: every tuple is a set of choices, one of which a song takes."""

    tempo: tuple[float, float]
    verse: tuple[dict[str, str], ...]
    chorus: tuple[dict[str, str], ...]
    bass_lines: tuple[str, ...]
    comp: tuple[str, ...]
    pluck_lines: tuple[str, ...]
    kits: tuple[str, ...]
    basses: tuple[str, ...]
    keys: tuple[str, ...]
    plucks: tuple[str, ...]
    pads: tuple[str, ...]
    swing: tuple[float, ...] = (0.0,)
    sevenths: float = 0.2
    meter: int = 4
    pump: float = 0.0


STYLES: dict[str, Style] = {
    "pop": Style(
        tempo=(96, 128),
        verse=(
            {"kick": "X-----x-X-x-----", "snare": "----X--.----X-..", "hat": "x-o-x-o-x-o-x-o-"},
            {"kick": "X--x--x---x-----", "rim": "----X-------X--o", "hat": "x-oox-o-x-oox-oo"},
        ),
        chorus=(
            {"kick": "X-----x-X-x---x-", "snare": "----X--.-.--X-.-", "hat": "X-x-X-x-X-x-X-x-",
             "tambourine": "----x-------x---"},
            {"kick": "X---X---X---X-x-", "clap": "----x-------x---", "snare": "----X-------X--.",
             "open hat": "--x---x---x---x-"},
        ),
        bass_lines=("R--R--R-R--R--R-", "R-----R-5---R-A-", "R-R-R-R-R-R-R-8-", "R---..R-R---..5-"),
        comp=("X--x--x-X--x--x-", "X-------x-------", "..X-..X-..X-..X-", "X-x-X-x-X-x-X-x-"),
        pluck_lines=("0-2-1-3-0-2-1-3-", "0-1-2-3-2-1-2-1-", "X--xX-x-X--xX-xx"),
        kits=("studio", "tight", "machine"), basses=("finger", "synth", "pick"),
        keys=("piano", "electric piano", "organ"), plucks=("steel", "nylon", "muted"),
        pads=("strings", "warm"),
    ),
    "rock": Style(
        tempo=(108, 148),
        verse=(
            {"kick": "X---------x-x---", "snare": "----X-------X---", "hat": "X-x-X-x-X-x-X-x-"},
            {"kick": "X-x-----X-x-----", "snare": "----X-------X-.-", "hat": "X-x-X-x-X-x-X-xo"},
        ),
        chorus=(
            {"kick": "X-x-----X-x---x-", "snare": "----X-------X---", "ride": "X-x-X-x-X-x-X-x-"},
            {"kick": "X-x---x-X-x-----", "snare": "----X-------X--x", "open hat": "X---X---X---X---"},
        ),
        bass_lines=("R-R-R-R-R-R-R-R-", "R-R-R-R-R-R-5-A-", "R---R-R-R---R-R-", "R--RR-R-R--R8-5-"),
        comp=("X---x---X---x---", "X-------X-------", "X-xxX-xxX-xxX-xx"),
        pluck_lines=("X-x-X-x-X-x-X-x-", "X--xX-x-X--xX-x-", "X-xxXxx-X-xxXxx-"),
        kits=("rock", "studio"), basses=("pick", "finger"), keys=("organ", "piano"),
        plucks=("crunch", "steel"), pads=("organ", "strings"), sevenths=0.05,
    ),
    "ballad": Style(
        tempo=(70, 86),
        verse=(
            {"kick": "X---------x-----", "rim": "--------X-------", "hat": "x-o-x-o-x-o-x-o-"},
            {"kick": "X------x--------", "snare": "--------X-----.-", "shaker": "x.o.x.o.x.o.x.o."},
        ),
        chorus=(
            {"kick": "X------x--x-----", "snare": "----X--.----X-.-", "ride": "x-o-x-o-x-o-x-o-"},
            {"kick": "X-----x---x-x---", "snare": "----X-------X-..", "hat": "xoxoxoxoxoxoxoxo"},
        ),
        bass_lines=("R-------5---A---", "R-----R-5-----A-", "R-----5-8-----5-", "R-----------R-A-"),
        comp=("X---x---x---x---", "X-------x-------", "X-x-x-x-X-x-x-x-"),
        pluck_lines=("0-1-2-3-2-1-2-1-", "0-2-3-2-1-2-3-2-", "01232123"*2),
        kits=("studio", "brush"), basses=("finger", "sub"), keys=("piano", "electric piano"),
        plucks=("nylon", "steel"), pads=("strings", "warm"), sevenths=0.45,
    ),
    "funk": Style(
        tempo=(92, 114),
        verse=(
            {"kick": "X-x----x--x--x--", "snare": "----X..-.x..X.-.", "hat": "xoxoxoxoxoxoxoxo"},
            {"kick": "X--x--x---x-----", "snare": "----X-.--.-.X--.", "hat": "x-xox-xox-xox-xo"},
        ),
        chorus=(
            {"kick": "X-x---x---x--x--", "snare": "----X..-.-..X-..", "hat": "X-xoX-xoX-xoX-x-",
             "open hat": "--------------x-"},
            {"kick": "X--x---x--xx----", "snare": "----X-.-.--.X-.x", "ride": "X-x-X-x-X-x-X-x-",
             "clap": "----x-------x---"},
        ),
        bass_lines=("R..R..8.R.R.5.7.", "R-.R..R-..7.R.A-", "R.8.R.R8..R.7-A.", "R..RR.5-..R.3.A."),
        comp=("..x.X...x..x....", "X..x..x.....x.x.", "....X.......X.x."),
        pluck_lines=("xx.xX.xx.xX.xx.x", "X..x..xx.X..x.xx", "..X.x.X...X.xx.."),
        kits=("tight", "studio"), basses=("slap", "finger"), keys=("clavinet", "electric piano"),
        plucks=("muted", "steel"), pads=("strings", "organ"), swing=(0.0, 0.1, 0.2), sevenths=0.8,
    ),
    "disco": Style(
        tempo=(112, 130),
        verse=(
            {"kick": "X---X---X---X---", "clap": "----x-------x---", "hat": "o-xoo-xoo-xoo-xo"},
            {"kick": "X---X---X---X--x", "snare": "----x-------x--.", "open hat": "--x---x---x---x-"},
        ),
        chorus=(
            {"kick": "X---X---X---X---", "snare": "----X-------X-.x", "open hat": "--X---X---X---X-",
             "hat": "x-.xx-.xx-.xx-.x"},
            {"kick": "X---X---X---X---", "clap": "----X-------X---", "open hat": "--X---X---X---X-",
             "tambourine": "oxxooxxooxxooxxo"},
        ),
        bass_lines=("R.8.R.8.R.8.R.8.", "..R...R...R...R-", "R-.R..R-R-.R..5-", "R.8.R.8.5.8.R.A."),
        comp=("..X...X...X...X.", "X--x--x-..x--x--", "X..X..X..X..X-x-"),
        pluck_lines=("x.xxx.xxx.xxx.xx", "0123012301230123", "..x.X.x...x.X.x."),
        kits=("machine", "tight"), basses=("synth", "finger"),
        keys=("piano", "electric piano", "clavinet"),
        plucks=("muted", "arp"), pads=("strings", "bright"), sevenths=0.4, pump=0.35,
    ),
    "soul": Style(
        tempo=(76, 98),
        verse=(
            {"kick": "X--x------x-----", "snare": "----X--.----X..-", "hat": "x-oxx-o-x-oxx-o-"},
            {"kick": "X------x-xx-----", "rim": "----x-------x---", "snare": "-------.-.------",
             "hat": "xoxoxoxxxoxoxoxo"},
        ),
        chorus=(
            {"kick": "X--x---x--x--x--", "snare": "----X..-----X-.-", "hat": "X-xoX-xoX-xoX-xo",
             "clap": "------------x---"},
            {"kick": "X--x----X-x-----", "snare": "----X--.-.--X..-", "ride": "X-xxX-xxX-xxX-xx"},
        ),
        bass_lines=("R--R--5-8--7-5A-", "R-----.R5-.7--A-", "R---3-5-R---7-A-", "R-.R..7-R-..5-A-"),
        comp=("X---.x--X---.x..", "X-----x-----x---", "....X-..x...X-.."),
        pluck_lines=("..x...X.....x.X.", "0--2--1-3--2--1-", "X.....x.X...x..."),
        kits=("brush", "studio", "machine"), basses=("finger", "sub", "slap"),
        keys=("electric piano", "organ", "piano"), plucks=("nylon", "muted"),
        pads=("warm", "strings"), swing=(0.15, 0.3, 0.45), sevenths=0.95,
    ),
    "folk": Style(
        tempo=(88, 126),
        verse=(
            {"kick": "X-------X-------", "shaker": "x.o.x.o.x.o.x.o."},
            {"kick": "X-------X-----x-", "rim": "----x-------x---", "tambourine": "--o---o---o---o-"},
        ),
        chorus=(
            {"kick": "X-----x-X-----x-", "snare": "----X--.----X--.", "shaker": "X.x.X.x.X.x.X.x."},
            {"kick": "X---x---X---x---", "snare": "--..X-..--..X-.x", "tambourine": "--x---x---x---x-"},
        ),
        bass_lines=("R-------5-------", "R-----A-5-----A-", "R---5---R---A---", "R---3---5---A---"),
        comp=("X-------x-------", "X---x---X---x---"),
        pluck_lines=("0-2-1-2-0-3-1-2-", "X-x-X-xxX-x-X-xx", "X---x-x-X-x-x-x-", "0213021302130213"),
        kits=("brush", "studio"), basses=("upright", "finger"), keys=("piano", "organ"),
        plucks=("steel", "nylon"), pads=("strings", "organ"), swing=(0.0, 0.0, 0.15),
    ),
    "waltz": Style(
        tempo=(92, 150),
        verse=(
            {"kick": "X-----------", "hat": "----x---x---", "shaker": "x.o.x.o.x.o."},
            {"kick": "X---------o-", "rim": "----o---x---", "ride": "x---x-o-x---"},
        ),
        chorus=(
            {"kick": "X-------x---", "snare": "----X--.X-..", "ride": "X---x-x-x-x-"},
            {"kick": "X-----x-----", "snare": "----x---X---", "hat": "X-x-X-x-X-x-"},
        ),
        bass_lines=("R-------5---", "R---5---A---", "R-------R-A-", "R---3---5---"),
        comp=("....x---x---", "X---x---x---", "X-----------"),
        pluck_lines=("0-1-2-3-2-1-", "X---x-x-x-x-", "0-2-1-3-1-2-"),
        kits=("brush", "studio"), basses=("upright", "finger"), keys=("piano", "electric piano"),
        plucks=("nylon", "steel"), pads=("strings", "warm"), sevenths=0.3, meter=3,
    ),
    "synthwave": Style(
        tempo=(86, 122),
        verse=(
            {"kick": "X-------X-------", "snare": "----X-------X---", "hat": "x-o-x-o-x-o-x-o-"},
            {"kick": "X-----x-X-------", "clap": "----X-------X---", "hat": "xoxoxoxoxoxoxoxo"},
        ),
        chorus=(
            {"kick": "X---X---X---X---", "snare": "----X-------X-x-", "open hat": "--x---x---x---x-"},
            {"kick": "X-----x-X---x---", "snare": "----X-------X---", "hat": "X-x-X-x-X-x-X-x-",
             "clap": "----X-------X---"},
        ),
        bass_lines=("R.R.R.R.R.R.R.R.", "RR.RRR.RRR.RRR.R", "R-8-R-8-R-8-R-8-", "R.RR8.R.R.RR5.A."),
        comp=("X---------------", "X-----X-----X---", "X--X--X---X--X--"),
        pluck_lines=("0123210123012321", "0-2-3-2-1-2-3-2-", "0120120120120123"),
        kits=("machine", "gated"), basses=("synth", "sub"), keys=("poly", "electric piano"),
        plucks=("arp",), pads=("bright", "warm"), sevenths=0.25, pump=0.2,
    ),
    "punk": Style(
        tempo=(140, 160),
        verse=(
            {"kick": "X-----x-X-----x-", "snare": "----X-------X---", "hat": "X-x-X-x-X-x-X-x-"},
            {"kick": "X---x---X---x---", "snare": "--X---X---X---X-", "hat": "x-x-x-x-x-x-x-x-"},
        ),
        chorus=(
            {"kick": "X-----x-X-x-----", "snare": "----X-------X-.x", "open hat": "X---X---X---X---"},
            {"kick": "X-x---x-X-x---x-", "snare": "----X-------X---", "ride": "X-x-X-x-X-x-X-x-"},
        ),
        bass_lines=("R-R-R-R-R-R-R-R-", "R-R-R-R-5-5-A-A-", "R-R-R-R-R-R-8-5-"),
        comp=("X-------X-------", "X---------------"),
        pluck_lines=("X-x-X-x-X-x-X-x-", "X-xxX-xxX-xxX-xx"),
        kits=("rock", "tight"), basses=("pick",), keys=("organ", "piano"), plucks=("crunch",),
        pads=("organ",), sevenths=0.0,
    ),
}  # fmt: skip

FILLS = (
    {"snare": "--------x-x-xxXX", "kick": "X---X---X-------"},
    {"snare": "--------xx------", "high tom": "----------xx----", "mid tom": "------------xx--",
     "low tom": "--------------XX", "kick": "X-------X---X---"},
    {"snare": "----X---x--xx-X-", "kick": "X-x-----X-x---X-", "hat": "x-x-x-x---------"},
    {"high tom": "--------x-x-----", "mid tom": "------------x-x-", "low tom": "---------------X",
     "snare": "----X-----------", "kick": "X-------X---X---"},
    {"snare": "----X-----.xX.xX", "kick": "X-x-----x---x---", "open hat": "------x---------"},
)  # fmt: skip

SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}
PROGRESSIONS = {
    "major": ((1, 5, 6, 4), (6, 4, 1, 5), (1, 4, 6, 5), (1, 6, 4, 5), (4, 1, 5, 6), (1, 3, 4, 5),
              (2, 5, 1, 6), (1, 4, 1, 5), (4, 5, 3, 6)),
    "minor": ((1, 6, 3, 7), (1, 4, 6, 5), (1, 7, 6, 7), (6, 7, 1, 1), (1, 3, 7, 6), (4, 1, 6, 5),
              (1, 4, 7, 3)),
    "dorian": ((1, 4, 1, 4), (1, 7, 4, 1), (1, 3, 4, 7), (1, 2, 4, 7)),
    "mixolydian": ((1, 7, 4, 1), (1, 4, 7, 4), (1, 5, 4, 7), (4, 7, 1, 1)),
}  # fmt: skip
