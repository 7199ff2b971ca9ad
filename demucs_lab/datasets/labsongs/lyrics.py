"""Words for the singer: a small dictionary with its sounds, and lines that scan and rhyme."""

from __future__ import annotations

import numpy as np

LEXICON = """
I=AY|you=Y UW|we=W IY|the=DH AH|a=AH|in=IH N|on=AA N|to=T UW|my=M AY|your=Y AO R|and=AH N D
with=W IH DH|over=OW . V ER|under=AH N . D ER|into=IH N . T UW|like=L AY K|all=AO L|me=M IY
is=IH Z|as=AE Z|that=DH AE T|never=N EH . V ER|will=W IH L|can=K AE N|so=S OW|when=W EH N|oh=OW
hear=HH IH R|see=S IY|sing=S IH NG|know=N OW|follow=F AA . L OW|remember=R IH . M EH M . B ER
find=F AY N D|call=K AO L|hold=HH OW L D|carry=K EH . R IY|leave=L IY V|dream=D R IY M
turn=T ER N|feel=F IY L|wait=W EY T|need=N IY D|love=L AH V|open=OW . P AH N|of=AH V
river=R IH . V ER|city=S IH . T IY|window=W IH N . D OW|radio=R EY . D IY . OW
engine=EH N . JH AH N|summer=S AH . M ER|water=W AO . T ER|signal=S IH G . N AH L
music=M Y UW . Z IH K|heart=HH AA R T|moon=M UW N|road=R OW D|thunder=TH AH N . D ER
silence=S AY . L AH N S|echo=EH . K OW|shadow=SH AE . D OW|morning=M AO R . N IH NG
fire=F AY . ER|ocean=OW . SH AH N|season=S IY . Z AH N|mirror=M IH . R ER|garden=G AA R . D AH N
night=N AY T|light=L AY T|tonight=T AH . N AY T|bright=B R AY T|sight=S AY T|right=R AY T
day=D EY|way=W EY|away=AH . W EY|stay=S T EY|far=F AA R|every=EH . V R IY|play=P L EY
blue=B L UW|true=T R UW|new=N UW|through=TH R UW|too=T UW|free=F R IY|sea=S IY|be=B IY
slow=S L OW|go=G OW|glow=G L OW|low=L OW|sound=S AW N D|ground=G R AW N D|around=AH . R AW N D
found=F AW N D|rain=R EY N|train=T R EY N|again=AH . G EH N|then=DH EH N|song=S AO NG
long=L AO NG|along=AH . L AO NG|strong=S T R AO NG|time=T AY M|rhyme=R AY M|climb=K L AY M
out=AW T|for=F AO R|at=AE T|more=M AO R|door=D AO R|shore=SH AO R|before=B IH . F AO R
down=D AW N|town=T AW N|home=HH OW M|alone=AH . L OW N|is=IH Z|calling=K AO . L IH NG
burning=B ER . N IH NG|rising=R AY . Z IH NG|falling=F AO . L IH NG|waiting=W EY . T IH NG
"""
PRONUNCIATION: dict[str, list[str]] = {
    word: sounds.split(" . ")
    for entry in LEXICON.replace("\n", "|").strip("|").split("|")
    for word, sounds in [entry.split("=")]
}
"""Each word as its syllables, in ARPAbet."""

TAILS = (
    ("in the night", "in the light", "tonight", "so bright", "out of sight", "all right"),
    ("every day", "on the way", "far away", "and I stay", "as we play"),
    ("like you", "so blue", "so true", "through and through", "like new", "for you"),
    ("with me", "so free", "in the sea", "to be", "for me"),
    ("so slow", "and I go", "in the glow", "so low", "I know"),
    ("in the sound", "on the ground", "all around", "that we found"),
    ("in the rain", "on a train", "again", "and again and again"),
    ("in a song", "so long", "along", "all day long"),
    ("in time", "in a rhyme", "as we climb", "all the time"),
    ("at the door", "on the shore", "like before", "and more", "for more"),
)
SUBJECTS = ("I", "you", "we")
VERBS = (
    "hear", "see", "sing", "follow", "remember", "find", "call", "hold", "carry", "leave", "dream",
    "turn", "feel", "need", "love", "open",
)  # fmt: skip
NOUNS = (
    "river", "city", "window", "radio", "engine", "summer", "water", "signal", "music", "heart",
    "moon", "road", "thunder", "silence", "echo", "shadow", "morning", "fire", "ocean", "season",
    "mirror", "garden",
)  # fmt: skip
DOING = ("calling", "burning", "rising", "falling", "waiting")
OWNERS = ("the", "my", "your", "a")


def syllables(text: str) -> list[tuple[str, str]]:
    """The syllables of a line: `(text, ARPAbet)` each; a word of several goes by "word-2", ….

    >>> syllables("the river")
    [('the', 'DH AH'), ('river', 'R IH'), ('river-2', 'V ER')]
    """
    result = []
    for word in text.split():
        for position, sounds in enumerate(PRONUNCIATION[word], 1):
            result.append((word if position == 1 else f"{word}-{position}", sounds))
    return result


def _head(rng: np.random.Generator) -> str:
    def pick(options: tuple[str, ...]) -> str:
        return options[rng.integers(len(options))]

    subject, verb, owner, noun = pick(SUBJECTS), pick(VERBS), pick(OWNERS), pick(NOUNS)
    if owner == "a" and noun[0] in "aeio":
        owner = "the"
    forms = (
        f"{subject} {verb}",
        f"{subject} {verb} {owner} {noun}",
        f"{subject} will {verb} {owner} {noun}",
        f"{subject} never {verb} {owner} {noun}",
        f"{owner if owner != 'a' else 'the'} {noun} is {pick(DOING)}",
        f"when {subject} {verb} {owner} {noun}",
        f"oh {subject} {verb} {owner} {noun}",
    )
    return pick(forms)


def write_line(rng: np.random.Generator, count: int, rhyme: int, used: set[str]) -> str:
    """A line of at most `count` syllables, as near to it as chance allows, that ends on `rhyme`.

    Args:
        rng: where the words come from.
        count: syllables to fill, 3 or more.
        rhyme: which rhyme of `TAILS`.
        used: lines and endings not to repeat; the new ones are added to it.
    """
    tails = TAILS[rhyme % len(TAILS)]
    best = min(tails, key=lambda tail: len(syllables(tail)))
    best_size = len(syllables(best))
    for _ in range(60):
        tail = tails[rng.integers(len(tails))]
        text = f"{_head(rng)} {tail}"
        size = len(syllables(text))
        if best_size < size <= count and tail not in used:
            best, best_size = text, size
            if size == count:
                break
    used.update((best, " ".join(best.split()[-2:])))
    used.update(tail for tail in tails if best.endswith(tail))
    return best


def title_from(line: str) -> str:
    """A title: the noun of the line, or its last words.

    >>> title_from("I hear the river in the night")
    'The River in the Night'
    """
    words = line.split()
    for position, word in enumerate(words):
        if word in NOUNS:
            words = words[max(0, position - 1) :]
            break
    else:
        words = words[-3:]
    for joint in ("and", "as", "that", "is"):
        if joint in words[2:]:
            words = words[: words.index(joint, 2)]
    small = {"the", "a", "in", "on", "of", "and", "to", "at", "is"}
    return " ".join(w if w in small and i else w[0].upper() + w[1:] for i, w in enumerate(words))
