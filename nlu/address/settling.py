"""One place made certain: by itself, or with the bound flat, the open draft and the last ticket."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nlu.address.grammar import lexicon_of
from nlu.address.keys import parse_key
from nlu.address.matching import Found, find_spots, joined_words, known_zone, no_building
from nlu.address.model import LEVELS, MAX_OPTIONS, NONE, PUBLIC, Action, Address, Context, Parts, Values
from nlu.address.reading import levels_in
from nlu.address.rendering import (
    conflict,
    display_key,
    invalid,
    is_open_air,
    open_air_place,
    private_place,
    public_place,
    resolved,
)
from nlu.register import NO_LEVEL, Place, Register, wording


def answer_place(parts: Parts, context: Context) -> Address:
    """The answer for one stated place."""
    parts = known_zone(parts, context.register)
    if parts.relation == "last":
        return _last(context)
    if parts.between:
        return _between(parts, context)
    if parts.relation in ("opposite", "beside") and not states_home(parts) and not parts.area:
        return _unknown_neighbour(context)
    alone = not (parts.building or parts.unit or parts.alts) or "after" in parts.flags
    if parts.relation in ("above", "below") and alone and not parts.area:
        return _vertical(parts, context)
    return _with_draft(parts, context)


def states_home(parts: Parts) -> bool:
    """Whether any level of an address was said, and not only a relation such as "upstairs"."""
    return any(parts.level(level) for level in LEVELS) or bool(parts.alts)


def _last(context: Context) -> Address:
    keys = tuple(key.split(" (source?")[0] for key in context.last.split(" + "))
    shown = joined_words(filter(None, (display_key(key, context.register) for key in keys)))
    if not shown:
        return Address("ask", "unknown", missing="building")
    public = all(key.startswith(PUBLIC) for key in keys)
    return Address("echo", "last", keys, shown, public=public)


def _unknown_neighbour(context: Context) -> Address:
    home = context.home
    if home is None:
        return Address("ask", "unknown", missing="building")
    near = context.register.neighbours(home.key)
    options = tuple((context.register.places[key].display, key) for key in near[:MAX_OPTIONS])
    return Address("ask", "unknown", near, missing="room", options=options)


def _vertical(parts: Parts, context: Context) -> Address:
    """楼上: the bound flat is affected, the one above is only suspected, and only if it exists."""
    home, register = context.home, context.register
    if parts.relation == "above" and "after" in parts.flags:
        return _suspect(_with_draft(replace(parts, relation=""), context), "", register)
    if home is None:
        return _with_draft(replace(parts, relation=""), context) if states_home(parts) else NONE
    if parts.relation == "below":
        key = register.same_stack_below(home.key)
        return resolved("confirm", key, register) if key else NONE
    stated = next(iter(_settle_all(_readings(replace(parts, relation="beside"), context), context).keys), "")
    if states_home(parts) and parts.room and stated not in register.places:
        return _with_draft(replace(parts, relation="beside"), context)
    return _suspect(resolved("echo", home.key, register), stated if parts.room else "", register)


def _suspect(answer: Address, source: str, register: Register) -> Address:
    if len(answer.keys) != 1 or answer.keys[0] not in register.places:
        return answer
    key = answer.keys[0]
    source = source or register.same_stack_above(key) or ""
    if not source:
        return answer
    shown = str(wording()["phrases"]["source"]).format(register.places[key].display, register.places[source].room)
    return replace(answer, key=f"{key} (source? {source})", display=shown, source_key=source)


def _between(parts: Parts, context: Context) -> Address:
    """ "2栋和3栋中间那个路灯": both buildings must exist in one phase; the free words stay."""
    register = context.register
    first, second = parts.between.split("~")
    flats = [phase.code for phase in register.phases if phase.kind == "flat"]
    codes = [code for code in flats if register.building(code, first) and register.building(code, second)]
    phases = [code for code in codes if not parts.phase or code == parts.phase]
    if not phases:
        pool = register.of_kind("flat")
        missing = first if not any(b.code == first for b in pool) else second
        return invalid(Found((), no_building(replace(parts, building=missing), pool, register)), parts, register)
    home = context.home
    filled = len(phases) > 1 and home is not None and home.phase in phases
    if filled and home is not None:
        phases = [home.phase]
    keys = tuple(f"{PUBLIC}{phase}/{parts.between}/-/-/{parts.area}" for phase in phases)
    options = tuple((display_key(key, register), key) for key in keys[:MAX_OPTIONS])
    if len(keys) > 1:
        key = f"{PUBLIC}?/{parts.between}/-/-/{parts.area}"
        return Address("ask", key, keys, missing="phase", options=options, public=True, area=parts.area)
    action: Action = "echo" if filled else "ok"
    return Address(action, keys[0], keys, options[0][0], public=True, area=parts.area)


def _with_draft(parts: Parts, context: Context) -> Address:
    """Complete an open draft, or correct a settled one; a full address stands for itself."""
    draft = context.draft
    if parts.relation == "self" and states_home(parts) and len(draft) == 1 and draft[0].area and draft[0].building:
        # 「不是那边 是我家1004」: of the shared place only the building and its unit stay.
        draft = (Parts(draft[0].kind, draft[0].phase, draft[0].building, draft[0].unit),)
        context = replace(context, draft=draft, corrects=False)
    readings = _readings(parts, context)
    if draft and draft[0].between:
        if parts.phase and parts.kind == "flat" and not (parts.building or parts.unit or parts.room or parts.area):
            return _between(replace(draft[0], phase=parts.phase), context)
        draft, context = (), replace(context, draft=())
    if not draft and context.corrects and context.home:
        draft = tuple(parse_key(context.home.key, context.register))
    if not draft:
        return _settle_all(readings, context)
    settled = len(draft) == 1 and _is_settled(draft[0], context.register)
    if settled:
        home = context.home or _place_of(draft[0], context.register)
        return _correct(readings, draft[0], replace(context, home=home))
    merged = [_merge(old, new) for group in readings for new in group for old in draft if _agree(old, new)]
    answers = [_settle(group, context) for group in ([merged] if merged else [])]
    for answer in answers:
        if answer.action not in ("invalid", "conflict", "none"):
            return answer
    if len(draft) == 1 and context.corrects:
        return _correct(readings, draft[0], context)
    fresh = _settle_all(readings, context)
    return replace(fresh, corrected=fresh.action in ("ok", "echo", "confirm")) if not answers else answers[0]


def answer_denied(denied: tuple[Parts, ...], context: Context) -> Address:
    """A level taken back is asked again; the rest of the draft stays."""
    if len(context.draft) != 1:
        return NONE
    old, wrong = context.draft[0], denied[0]
    levels = [level for level in LEVELS if wrong.level(level)]
    if not levels or any(old.level(level) != wrong.level(level) for level in levels):
        return NONE
    cleared: dict[str, Any] = dict.fromkeys(levels, "")
    return replace(_settle([replace(old, **cleared)], replace(context, home=None)), corrected=True)


def _place_of(parts: Parts, register: Register) -> Place | None:
    found = find_spots(replace(parts, area="", scope="", floor="" if parts.area else parts.floor), register)
    return register.places.get(found.spots[0].key) if len(found.spots) == 1 else None


def _is_settled(parts: Parts, register: Register) -> bool:
    """The draft already names one home, or one public place."""
    found = find_spots(parts, register)
    if parts.area:
        return len(found.spots) == 1 or parts.scope == "estate" or bool(parts.between)
    return len(found.spots) == 1 and bool(found.spots[0].key)


def _correct(readings: list[list[Parts]], old: Parts, context: Context) -> Address:
    new = readings[0][0]
    alone = _settle_all(readings, context)
    complete = (new.building and (new.room or new.door)) or new.kind != "flat" or new.area or new.relation
    if complete and alone.action in ("ok", "echo"):
        meant = context.corrects or not (new.area or new.relation)
        return replace(alone, corrected=meant and alone.key != _settle([old], context).key)
    spots = find_spots(_merge(old, new), context.register).spots if _agree(old, new) and not new.area else ()
    if spots and (spots[0].key or old.area):
        return _settle([_merge(old, new)], context)
    if new.area:
        return _in_same_building(new, old, alone, context)
    rebuilt = _overlay(old, new, context.register)
    answer = _settle([rebuilt], replace(context, home=None, corrects=False))
    sure = context.corrects and not (new.building or (new.floor and not new.room))
    action: Action = answer.action if answer.action not in ("ok", "echo") else "echo" if sure else "confirm"
    return replace(answer, action=action, corrected=answer.action not in ("invalid", "none"))


def _in_same_building(new: Parts, old: Parts, alone: Address, context: Context) -> Address:
    """「走廊的鞋柜是904的」 of somebody in 6栋1单元903: what names a room but no building is in that of the place told before."""
    if alone.action != "ask" or new.building or new.phase or not (old.building and (new.room or new.door)):
        return alone
    near = _settle([replace(new, phase=old.phase, building=old.building, unit=new.unit or old.unit)], context)
    return replace(near, action="echo") if near.action in ("ok", "echo") else alone


def _overlay(old: Parts, new: Parts, register: Register) -> Parts:
    """The old place with the stated levels replaced; a unit the new building does not have is dropped."""
    levels: dict[str, Any] = {level: new.level(level) or old.level(level) for level in LEVELS}
    if new.room:
        levels |= {"floor": new.floor, "door": ""}
    elif new.floor:
        place = _place_of(old, register)
        levels |= {"room": "", "door": new.door or (place.door if place else "")}
    elif new.door and old.room:
        place = _place_of(old, register)
        levels |= {"room": "", "floor": place.floor if place else ""}
    if new.building and not new.phase and register.building(old.phase, new.building) is None:
        levels["phase"] = ""
    building = register.building(levels["phase"], levels["building"])
    if building is not None and not new.unit and not (levels["unit"] and building.unit_code(levels["unit"])):
        levels["unit"] = ""
    return replace(old, **levels, alts=(), flags=new.flags)


def _agree(old: Parts, new: Parts) -> bool:
    if old.kind != new.kind and (new.phase or new.building or new.unit or new.floor or "kinded" in new.flags):
        return False
    if old.room and new.room and old.room.lstrip("0") != new.room.lstrip("0"):
        return False
    return all(
        not old.level(level) or not new.level(level) or old.level(level) == new.level(level) or level == "room"
        for level in LEVELS
    )


def _merge(old: Parts, new: Parts) -> Parts:
    levels: dict[str, Any] = {level: new.level(level) or old.level(level) for level in LEVELS}
    levels["room"] = old.room or new.room
    area, scope = (new.area, new.scope) if new.area else (old.area, old.scope)
    kind = old.kind
    return Parts(kind, **levels, area=area, scope=scope, floor_to=new.floor_to or old.floor_to, flags=new.flags)


def _readings(parts: Parts, context: Context) -> list[list[Parts]]:
    """What the parts can mean, best first; the members of one group are equally good."""
    if not parts.alts:
        return [[parts]]
    home = context.home
    free = [alt for alt in parts.alts if not any(parts.level(level) for level in alt)] or [parts.alts[0]]
    read = [stating(parts, alt) for alt in free]
    read = [replace(r, phase=_phase_code(r.phase, context.register)) if r.phase else r for r in read]
    if "pair" in parts.flags and not parts.building and not parts.phase:
        return [_pair(read[0], context.register)]
    if not parts.building:
        own = [r for r in read if not r.building and home and _fits(r, home)]
        read = own + [r for r in read if r.building or context.draft]
    first, *rest = read or [stating(parts, free[0])]
    others = [r if r.building == first.building else r.flagged("fuzzy") for r in rest]
    return [[first], *([other] for other in others)]


def stating(parts: Parts, alt: Values) -> Parts:
    """The place with one of its possible readings taken."""
    return replace(parts, alts=(), **levels_in(alt))


def _pair(read: Parts, register: Register) -> list[Parts]:
    """ "6-3": a villa, building and unit, or a building and something cut short."""
    villa = Parts("villa", building=read.building, room=read.unit, flags=read.flags)
    if not find_spots(villa, register).spots:
        return [read]
    return [read if find_spots(read, register).spots else replace(read, unit=""), villa]


def _phase_code(typed: str, register: Register) -> str:
    if register.phase(typed):
        return typed
    lexicon = lexicon_of(register)
    return lexicon.phase_codes.get(typed + lexicon.marks["phase"], typed)


def _fits(parts: Parts, home: Place) -> bool:
    """The stated levels agree with the sender's own flat."""
    stated = {"phase": home.phase, "building": home.building, "unit": home.unit}
    if any(parts.level(level) not in ("", value) for level, value in stated.items()):
        return False
    if parts.room and parts.room.lstrip("0") != home.room.lstrip("0"):
        return False
    return not (parts.door and (parts.floor, parts.door.lstrip("0")) != (home.floor, home.door.lstrip("0")))


def _settle_all(groups: list[list[Parts]], context: Context) -> Address:
    """The first reading that the register confirms; the failure of the first when none is."""
    first: Address | None = None
    for group in groups:
        answer = _settle(group, context)
        if answer.action not in ("invalid", "conflict", "none"):
            return answer
        first = first or answer
    return first or NONE


def _settle(group: list[Parts], context: Context) -> Address:
    parts, register, home = group[0], context.register, context.home
    if is_open_air(parts):
        return open_air_place(parts, register)
    found = _union(group, register)
    if home is not None and not (len(found.spots) == 1 and found.spots[0].key):
        filled = _fill(parts, found, home, context)
        if isinstance(filled, Address):
            return filled
        if filled is not None:
            group, found = [filled], find_spots(filled, register)
    parts = group[0]
    if not found.spots:
        return NONE if "pair" in parts.flags else invalid(found, parts, register)
    if parts.area:
        return public_place(parts, found, register)
    if parts.relation == "self" and not states_home(parts):
        return NONE
    return private_place(group, found, context)


def _union(group: list[Parts], register: Register) -> Found:
    results = [find_spots(parts, register) for parts in group]
    spots = tuple(dict.fromkeys(spot for result in results for spot in result.spots))
    return results[0] if len(results) == 1 else replace(results[0], spots=spots)


def _fill(parts: Parts, found: Found, home: Place, context: Context) -> Parts | Address | None:
    """Complete from the bound flat where the stated part agrees with it; None leaves the parts as they are."""
    if parts.area:
        return _fill_public(parts, found, home, context.register)
    if parts.kind != home.kind or (context.draft and context.corrects):
        return None
    building = context.register.building(home.phase, home.building)
    if parts.unit and not parts.building and not parts.phase and building and not building.unit_code(parts.unit):
        return conflict(parts, building, context.register)
    if parts.relation in ("beside", "above", "opposite") and parts.room and not parts.building:
        return replace(parts, phase=home.phase, building=home.building, unit=_level(home.unit)).flagged("filled")
    typed = replace(parts, unit=(building.unit_code(parts.unit) or parts.unit) if building and parts.unit else "")
    if not _fits(typed, home) or (parts.phase and not (parts.building or parts.unit or parts.room)):
        return None
    whole = not (parts.floor or parts.door or parts.flags & {"side", "there"})
    filled = replace(parts, phase=home.phase, building=home.building, unit=_level(home.unit))
    return replace(filled, room=home.room if whole else parts.room).flagged("filled")


def _level(value: str) -> str:
    return "" if value == NO_LEVEL else value


def _fill_public(parts: Parts, found: Found, home: Place, register: Register) -> Parts | None:
    """A corridor lacks a floor, a lift lacks a unit: both are the sender's own unless something else was said."""
    if home.kind != "flat" or parts.kind != "flat":
        return None
    floor_open = parts.scope == "floor" and not parts.floor and not parts.room
    own_floor = parts.relation == "own_floor" and not parts.floor
    if len(found.spots) == 1 and not floor_open and not own_floor:
        return None
    building = register.building(home.phase, home.building)
    unit = building.unit_code(parts.unit) if building and parts.unit else ""
    if parts.phase not in ("", home.phase) or parts.building not in ("", home.building) or unit is None:
        return None
    elsewhere = unit not in ("", home.unit)
    if elsewhere and parts.building:
        return None
    floor = parts.floor or (home.floor if (floor_open or own_floor) and not elsewhere else "")
    whole = parts.relation == "whole_building" and not parts.unit
    filled = replace(
        parts, phase=home.phase, building=home.building, unit="" if whole else unit or _level(home.unit), floor=floor
    )
    if parts.room and not _fits(replace(parts, unit=unit or ""), home):
        return None
    return filled.flagged("filled", *(("fuzzy",) if elsewhere else ()))
