"""Reads an address out of a resident's sentence and checks it against the property register (domain.md §4).

Fold the text (folding.py: width, simplified, numerals) while remembering where every character came from; blank what only
looks like an address (noise.py); cut the rest into tokens (grammar.py) and put them together into places (reading.py); look
them up in the register, which alone decides what exists (matching.py); let the bound flat, the open draft and the last
ticket fill or correct (settling.py); word the outcome (rendering.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from nlu.address.grammar import lexicon_of
from nlu.address.keys import parse_key
from nlu.address.model import MAX_PLACES, NONE, NOT_ADDRESS, PUBLIC, Address, Context, Levels, Parts
from nlu.address.reading import read_places
from nlu.address.rendering import combine, display_key
from nlu.address.settling import answer_denied, answer_place, states_home, stating
from nlu.register import NO_LEVEL, UNKNOWN, Register, wording

PLACES_JOIN = " + "
_ASIDE = 5
"""How many characters may stand between a place and the word that takes it back."""

__all__ = [
    "NONE",
    "NOT_ADDRESS",
    "Address",
    "Levels",
    "in_the_open",
    "lent",
    "levels_of",
    "of_other_home",
    "only",
    "resolve",
    "stated",
    "within",
]


def resolve(
    text: str,
    register: Register,
    *,
    bound: str | None = None,
    draft: str | None = None,
    last: str | None = None,
    at_home: bool = False,
    outdoors: bool = False,
) -> Address:
    """The place a message names, completed from the sender's flat, the open draft or the last ticket. `at_home`: only the homes
    in it, for what cannot be broken in a shared place (「对讲机没声音 另外单元门关不严 4栋1单元602」). `outdoors`: what is told of
    stands in the open, so that 7栋东边 is no flat."""
    lexicon = lexicon_of(register)
    context_of = {"bound": bound, "last": last, "at_home": at_home, "outdoors": outdoors}
    if corrected := _said_again(text, register, draft, context_of):
        return corrected
    open_parts = tuple(parse_key(draft, register)) if draft else ()
    own = _without_others(text, register, open_parts)
    text = lexicon.other_home.sub(lambda found: " " * len(found[0]), own)
    reading = read_places(text, lexicon, open_parts, outdoors=outdoors)
    if at_home:
        reading = replace(reading, parts=_homes(reading.parts))
    if not reading.parts and not reading.denied:
        return NONE
    home = None if of_other_home(own) else register.places.get(bound or "")
    context = Context(register, home, open_parts, last or "", reading.corrects)
    if not reading.parts:
        return answer_denied(reading.denied, context)
    answers = _together(reading.parts[:MAX_PLACES], context)
    if not answers:
        return NONE
    return replace(combine(answers, register), spans=reading.spans, name=reading.name, phone=reading.phone)


def _without_others(text: str, register: Register, draft: tuple[Parts, ...]) -> str:
    """Without where nobody shall go (别去2单元); and where the text puts a known place right and says where it is instead, without
    the home of somebody else in it (是4栋1单元801 2单元是我姐家)."""
    lexicon = lexicon_of(register)
    text = lexicon.keep_away.sub(lambda found: " " * len(found[0]), text)
    own = lexicon.not_mine.sub(lambda found: " " * len(found[0]), text)
    told = own != text and (draft or lexicon.corrects(text)) and read_places(own, lexicon, draft).parts
    return own if told else text


def _said_again(text: str, register: Register, draft: str | None, context_of: dict[str, Any]) -> Address | None:
    """「5单元 不对 7号楼1单元」: what stands behind is meant, and completed by what it leaves of the place before it."""
    wrong = lexicon_of(register).said_wrong.search(text)
    if wrong is None:
        return None
    first = resolve(text[: wrong.start()], register, draft=draft, **context_of)
    if not first.spans or PLACES_JOIN in first.key or wrong.start() - first.spans[-1][1] > _ASIDE:
        return None
    left = first.partial if first.action == "invalid" else first.key
    then = resolve(text[wrong.start() :], register, draft=left or draft, **context_of)
    if not then.spans or then.spans[0][0] > wrong.end() - wrong.start() + _ASIDE:
        return None
    spans = tuple((start + wrong.start(), end + wrong.start()) for start, end in then.spans)
    return replace(then, spans=spans, corrected=then.corrected and draft is not None)


def _together(parts: Sequence[Parts], context: Context) -> list[Address]:
    """The places of one message; what is shared and names no building is in that of the one home told with it: 「楼道堆满杂物
    我家3栋2单元1203」."""
    answers = [(one, answer_place(one, context)) for one in parts]
    homes = [answer.key for _, answer in answers if answer.action in ("ok", "echo", "confirm") and not answer.public]
    near = lent(homes)
    if near and not context.draft:
        context = replace(context, draft=tuple(parse_key(near, context.register)))
        answers = [(one, answer_place(one, context) if _nowhere(answer) else answer) for one, answer in answers]
    return [answer for _, answer in answers if answer.action != "none"]


def _nowhere(answer: Address) -> bool:
    return answer.public and answer.action == "ask" and answer.missing == "building"


def only(place: Address, register: Register, *, public: bool) -> Address:
    """Of a home and a shared place told together the one of them, where there is one: 「电梯坏了 我家3栋2单元1203」."""
    keys = [key for key in place.keys if key.startswith(PUBLIC) == public]
    if (
        PLACES_JOIN not in place.key
        or place.action not in ("ok", "echo", "confirm")
        or len(keys) != 1
        or len(place.keys) != 2
    ):
        return place
    area = keys[0].split("/")[-1] if public else ""
    shown = display_key(keys[0], register)
    return replace(place, key=keys[0], keys=(keys[0],), display=shown, public=public, area=area)


def of_other_home(text: str) -> bool:
    """Whether words tell of the home of somebody else than who writes: 我妈家."""
    return lexicon_of(_unregistered()).other_home.search(text) is not None


def in_the_open(text: str) -> bool:
    """Whether words tell of what stands outside a building: a tree, a bench, the lawn."""
    return lexicon_of(_unregistered()).in_the_open.search(text) is not None


def _homes(parts: Iterable[Parts]) -> tuple[Parts, ...]:
    """The homes among places, without the shared place before their door."""
    return tuple(replace(one, area="", scope="", relation="") for one in parts if one.room or one.door)


def stated(text: str, *, at_home: bool = False) -> Levels | None:
    """The first place a text states, or the first home (`at_home`), by grammar alone: for when no register can say what exists
    (domain.md §4.1)."""
    lexicon, words = lexicon_of(_unregistered()), wording()["unregistered"]
    text = re.sub(f"{words['name']}|{words['garden']}", lambda found: " " * len(found[0]), text)
    reading = read_places(text, lexicon, ())
    if not reading.parts and len(text) <= _BARE_CHARS:
        # A message that is only a number may be a room; with more around it a number is not trusted.
        reading = read_places(text, lexicon, (Parts(),))
    if at_home:
        reading = replace(reading, parts=_homes(reading.parts))
    if not reading.parts:
        room = re.search(words["room"], text)
        return _levels(Parts(room=room["room"])) if room else None
    parts = reading.parts[0]
    parts = stating(parts, parts.alts[0]) if parts.alts else parts
    own = re.search(words["own_room"], text)
    if own and parts.building and not (parts.area or parts.room or parts.door):
        parts = replace(parts, room=own["room"])
    if parts.empty or (parts.relation and not states_home(parts) and not parts.area):
        return None
    return _levels(parts)


_BARE_CHARS = 12


@cache
def _unregistered() -> Register:
    return Register.from_spec(wording()["unregistered"])


def _levels(parts: Parts) -> Levels:
    phase = parts.phase.removesuffix(wording()["marks"]["phase"])
    building = parts.between or parts.building
    if parts.room or not parts.door:
        room = parts.room
    else:
        room = parts.floor + parts.door.zfill(2) if parts.door.isdigit() else parts.floor + parts.door
    floor = parts.floor + (f"-{parts.floor_to}" if parts.floor_to else "")
    named = [phase or UNKNOWN, building or UNKNOWN, parts.unit or UNKNOWN]
    if parts.area:
        key = PUBLIC + "/".join([*named, f"F{floor}" if floor else NO_LEVEL, parts.area])
    else:
        key = "/".join([*named, room or (f"F{floor}" if floor else UNKNOWN)])
    return Levels(phase, building, parts.unit, floor, room, parts.area, key)


def lent(keys: Iterable[str], *, unit: bool = True) -> str:
    """What the places of several matters told together lend to the one that names no building (「单元门关不上 楼道灯也灭了 6栋1单元」):
    building, unit and flat, as a draft, or without `unit` the building alone; "" where none names a building, or several do."""
    found = {_without_area(key) for key in keys} - {""}
    if len(found) != 1:
        return ""
    key = found.pop()
    return key if unit else "/".join([*key.split("/")[:2], UNKNOWN, UNKNOWN])


def _without_area(key: str) -> str:
    pieces = key.removeprefix(PUBLIC).split("/")
    if len(pieces) < _PIECES or " " in key or pieces[1] == UNKNOWN:
        return ""
    return "/".join([*pieces[:3], NO_LEVEL]) if key.startswith(PUBLIC) else key


def within(place: Levels, draft: str) -> Levels:
    """A place without a building in that of `draft`, by grammar alone; its own unit stays."""
    phase, building, unit, _ = draft.split("/", _PIECES - 1)
    unit = place.unit or unit
    *_, rest = place.key.removeprefix(PUBLIC).split("/", _PIECES - 1)
    head = PUBLIC if place.key.startswith(PUBLIC) else ""
    bare = UNKNOWN + NO_LEVEL
    return replace(
        place,
        phase=phase.strip(bare),
        building=building,
        unit=unit.strip(bare),
        key=f"{head}{phase}/{building}/{unit}/{rest}",
    )


_PIECES = 4
"""Phase, building, unit and what is in it."""


def levels_of(key: str, register: Register) -> Levels:
    """The levels of a resolved key; "?" and "-" become "", and so does what several possible places do not share."""
    found = [_one_key(one, register) for one in key.split(" (source?")[0].split(" + ")[0].split(" or ")]
    shared = {
        name: getattr(found[0], name) if len({getattr(one, name) for one in found}) == 1 else ""
        for name in ("phase", "building", "unit", "floor", "room", "area")
    }
    return Levels(**shared, key=key)


def _one_key(key: str, register: Register) -> Levels:
    pieces = [piece.strip("?-") for piece in key.removeprefix(PUBLIC).split("/")]
    phase, building, unit, fourth, area, *_ = [*pieces, "", "", "", "", ""]
    if key.startswith(PUBLIC):
        return Levels(phase, building, unit, fourth.replace("F", ""), "", area)
    place = register.places.get(key)
    if place is not None:
        return Levels(phase, building, unit, place.floor.strip(NO_LEVEL), place.room)
    if fourth.startswith("F"):
        return Levels(phase, building, unit, fourth.removeprefix("F"))
    return Levels(phase, building, unit, "", fourth)
