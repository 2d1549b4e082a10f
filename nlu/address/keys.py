"""The stored key of a draft, read back."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nlu.address.folding import fold
from nlu.address.grammar import lexicon_of
from nlu.address.model import MAX_PLACES, PUBLIC, Parts
from nlu.register import NO_LEVEL, UNKNOWN, Kind, Register


def parse_key(text: str, register: Register) -> Iterator[Parts]:
    """The parts a stored key stands for; anything that is not a key gives nothing."""
    body = text.split(" (source?")[0].split(" + ")[0]
    for alternative in body.split(" or ")[:MAX_PLACES]:
        alternative = alternative.strip()
        public = alternative.startswith(PUBLIC)
        levels = alternative.removeprefix(PUBLIC).split("/", 4 if public else 3)
        if ("/" in alternative or register.phase(alternative)) and len(levels) <= (5 if public else 4):
            yield _parts_of(levels, public, register)


def _parts_of(levels: list[str], public: bool, register: Register) -> Parts:
    padded = ["" if level in (UNKNOWN, NO_LEVEL) else level for level in levels] + [""] * 5
    phase, building, unit, home, area = padded[:5]
    known = register.phase(phase)
    kind: Kind = known.kind if known else "flat"
    if public:
        low, _, high = home.partition("-")
        lexicon = lexicon_of(register)
        outside = not building or area in (*lexicon.relative["outside"], *lexicon.relative["toward"])
        scope = lexicon.scopes.get(fold(area).text, "estate" if outside else "unit")
        between = building if "~" in building else ""
        return Parts(
            kind if not between else "flat",
            phase,
            "" if between else building,
            unit,
            low.removeprefix("F"),
            high.removeprefix("F"),
            area=area,
            scope=scope,
            between=between,
        )
    floor = home[1:] if re.fullmatch(r"F\d{1,2}[A-Z]?|FRF", home) else ""
    return Parts(kind, phase, building, unit, floor, room="" if floor else home)
