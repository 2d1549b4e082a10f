"""The outcome in keys, in words people read, and in choices for buttons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from nlu.address.matching import Found, Spot, find_spots, joined_words, no_unit, split_room
from nlu.address.model import MAX_OPTIONS, NONE, PUBLIC, ROOF, Action, Address, Context, Parts
from nlu.register import NO_LEVEL, UNKNOWN, Building, Phase, Register, wording

# Worst first: the answer to several places is as certain as the least certain of them.
_RANK: tuple[Action, ...] = ("conflict", "invalid", "ask", "confirm", "echo", "ok", "none")


def invalid(found: Found, parts: Parts, register: Register) -> Address:
    """The answer for a level that does not exist, with what does."""
    if not found.problem:
        return NONE
    options = ((register.places[found.suggestion].display, found.suggestion),) if found.suggestion else ()
    what = found.problem["what"]
    left = _left_of(parts, what, register)
    return Address("invalid", "invalid", missing=what, options=options, problem=found.problem, partial=left)


def _left_of(parts: Parts, what: str, register: Register) -> str:
    """The key of what was said without the level that does not exist; "" if nothing is left."""
    if garage := _garage(parts, register):
        return f"{garage.code}/{UNKNOWN}/{NO_LEVEL}/{UNKNOWN}"
    levels = {"phase": parts.phase, "building": parts.building, "unit": parts.unit, "room": parts.room}
    levels["room" if what == "floor" else what] = ""
    told = any(levels.values()) and not parts.area
    return "/".join(level or UNKNOWN for level in levels.values()) if told else ""


def _garage(parts: Parts, register: Register) -> Phase | None:
    """The phase that is the estate's garage, if the place is in it and there is one."""
    if parts.scope != "garage" and parts.kind != "space":
        return None
    return next((phase for phase in register.phases if phase.kind == "space"), None)


def conflict(parts: Parts, building: Building, register: Register) -> Address:
    """The answer for a unit that the building said does not have."""
    problem = no_unit(parts, [building], register)
    units = [unit.code for unit in building.units][:MAX_OPTIONS]
    options = tuple((register.label(building, unit), _partial_key(Spot(building, unit))) for unit in units)
    return Address("conflict", "conflict", missing="unit", options=options, problem=problem)


def resolved(action: Action, key: str, register: Register) -> Address:
    """The answer for one home of the register."""
    return Address(action, key, (key,), register.places[key].display)


def _certainty(parts: Parts, by_existence: bool = False) -> Action:
    if "fuzzy" in parts.flags:
        return "confirm"
    return "echo" if by_existence or parts.flags & {"filled", "alias"} else "ok"


def private_place(group: list[Parts], found: Found, context: Context) -> Address:
    """The answer for homes that fit: the one, or the question which of them."""
    parts, spots, register = group[0], found.spots, context.register
    if len(spots) == 1 and spots[0].key:
        return resolved(_certainty(parts, found.by_existence and parts.kind == "flat"), spots[0].key, register)
    key = _open_key(group, spots)
    shown = ""
    if len(spots) == 1 and (parts.building or "filled" in parts.flags) and "side" not in parts.flags:
        shown = register.label(spots[0].building, spots[0].unit, spots[0].floor)
    keys = tuple(dict.fromkeys(spot.key or _partial_key(spot) for spot in spots)) if len(spots) <= 24 else ()
    missing = _missing(parts, spots)
    return Address("ask", key, keys, shown, missing, _options(parts, spots, context))


def _partial_key(spot: Spot) -> str:
    return f"{spot.building.phase}/{spot.building.code}/{spot.unit}/{_floor_key(spot.floor) or NO_LEVEL}"


def _floor_key(floor: str) -> str:
    if not floor or floor == NO_LEVEL:
        return ""
    return floor if floor == ROOF or floor.startswith("B") else f"F{floor}"


def _open_key(group: list[Parts], spots: tuple[Spot, ...]) -> str:
    """The notation for "not yet one place": concrete per building when the home is known, else with '?'."""
    parts = group[0]
    homes = all(spot.key for spot in spots)
    buildings = dict.fromkeys(spot.building for spot in spots)
    if len(group) > 1 or (homes and (parts.building or parts.kind != "flat")) or len(buildings) == 1:
        return " or ".join(_building_key(b, [s for s in spots if s.building == b], parts) for b in buildings)
    room = parts.room or (_floor_key(parts.floor) if not parts.door else f"{_floor_key(parts.floor)}-{parts.door}")
    levels = [parts.phase, parts.building, parts.unit, room]
    while levels and not levels[-1]:
        levels.pop()
    return "/".join(level or UNKNOWN for level in levels)


def _building_key(building: Building, spots: list[Spot], parts: Parts) -> str:
    several = len(spots) > 1
    unit = UNKNOWN if several else spots[0].unit
    if spots[0].key:
        return "/".join((building.phase, building.code, unit, spots[0].key.rsplit("/", 1)[1]))
    floor = _floor_key(spots[0].floor)
    return "/".join((building.phase, building.code, unit, floor or (UNKNOWN if several else NO_LEVEL)))


def _missing(parts: Parts, spots: tuple[Spot, ...]) -> str:
    if parts.kind == "space":
        return "zone" if parts.room and len(spots) > 1 else "room"
    if len(spots) == 1:
        return "room"
    if len({spot.building.code for spot in spots}) > 1 and not parts.building:
        return "building"
    if len({spot.building for spot in spots}) > 1:
        return "phase"
    return "unit" if len({spot.unit for spot in spots}) > 1 else "room"


def _options(parts: Parts, spots: tuple[Spot, ...], context: Context) -> tuple[tuple[str, str], ...]:
    """Real candidates for buttons; when they are too many only those of the sender's own building."""
    register, home = context.register, context.home
    if len(spots) == 1:
        spot = spots[0]
        homes = register.on_floor(spot.building, spot.unit, spot.floor) if spot.floor else ()
        homes = homes or register.in_unit(spot.building, spot.unit)
        return tuple((register.places[key].display, key) for key in homes) if len(homes) <= MAX_OPTIONS else ()
    if home is not None:
        near = sorted(
            spots,
            key=lambda s: ((s.building.phase, s.building.code) != (home.phase, home.building), s.unit != home.unit),
        )
        own = [s for s in near if (s.building.phase, s.building.code) == (home.phase, home.building)]
        spots = tuple(near if len(near) <= MAX_OPTIONS else own)
    if len(spots) > MAX_OPTIONS:
        return ()
    return tuple((_spot_label(spot, register), spot.key or _partial_key(spot)) for spot in spots)


def _spot_label(spot: Spot, register: Register) -> str:
    return register.places[spot.key].display if spot.key else register.label(spot.building, spot.unit, spot.floor)


def is_open_air(parts: Parts) -> bool:
    """Whether a place belongs to the whole estate or the garage, so that no building is missing."""
    if parts.kind == "space":
        return not parts.room
    stated = parts.building or parts.unit or parts.relation in ("whole_unit", "whole_building")
    return bool(parts.area) and not stated and parts.scope in ("estate", "garage")


def open_air_place(parts: Parts, register: Register) -> Address:
    """A place of the whole estate or of the garage: no building needed."""
    found = find_spots(replace(parts, floor="", scope="", area=""), register)
    if not found.spots:
        return invalid(found, parts, register)
    phase, area = parts.phase or NO_LEVEL, parts.area
    if garage := _garage(parts, register):
        phase, area = garage.code, area or garage.name
    levels = (phase, parts.building or NO_LEVEL, parts.unit or NO_LEVEL, _floor_key(parts.floor) or NO_LEVEL, area)
    key = PUBLIC + "/".join(levels)
    return Address(_certainty(parts), key, (key,), display_key(key, register), public=True, area=area)


def public_place(parts: Parts, found: Found, register: Register) -> Address:
    """The answer for a shared place of a building: the one, or the question which of them."""
    spots = found.spots
    whole = parts.relation == "whole_building" or (parts.scope in ("whole", "estate", "garage") and not parts.unit)
    buildings = dict.fromkeys(spot.building for spot in spots)
    named = bool(parts.building) or len(buildings) == 1
    if not named:
        key = _public_key(parts, parts.phase or UNKNOWN, UNKNOWN, parts.unit or UNKNOWN)
        options = _public_options(parts, spots, register, whole) if len(spots) <= MAX_OPTIONS else ()
        return Address("ask", key, missing="building", options=options, public=True, area=parts.area)
    keys = tuple(dict.fromkeys(_spot_public_key(parts, spot, whole) for spot in spots))
    groups = [_group_public_key(parts, b, [s for s in spots if s.building == b], whole) for b in buildings]
    one = len(keys) == 1
    missing = "" if one else "unit" if len(buildings) == 1 else "phase"
    action = _certainty(parts) if one else "ask"
    options = () if one else _public_options(parts, spots, register, whole)
    shown = display_key(groups[0], register) if len(groups) == 1 else ""
    return Address(action, " or ".join(groups), keys, shown, missing, options, public=True, area=parts.area)


def _public_key(parts: Parts, phase: str, building: str, unit: str, floor: str = "") -> str:
    floor_key = _floor_key(floor or parts.floor)
    if parts.floor_to:
        floor_key += f"-{_floor_key(parts.floor_to)}"
    elif parts.scope == "roof":
        floor_key = ROOF
    elif parts.scope == "ground" and not floor_key:
        floor_key = "F1"
    elif parts.scope == "floor" and not floor_key and parts.room:
        floor_key = _floor_key(split_room(parts)[0])
    return f"{PUBLIC}{phase}/{building}/{unit}/{floor_key or NO_LEVEL}/{parts.area}"


def _spot_public_key(parts: Parts, spot: Spot, whole: bool) -> str:
    unit = NO_LEVEL if whole else spot.unit
    return _public_key(parts, spot.building.phase, spot.building.code, unit, spot.floor)


def _group_public_key(parts: Parts, building: Building, spots: list[Spot], whole: bool) -> str:
    unit = NO_LEVEL if whole else spots[0].unit if len(spots) == 1 else UNKNOWN
    return _public_key(parts, building.phase, building.code, unit, spots[0].floor)


def _public_options(
    parts: Parts, spots: Sequence[Spot], register: Register, whole: bool
) -> tuple[tuple[str, str], ...]:
    keys = dict.fromkeys(_spot_public_key(parts, spot, whole) for spot in spots)
    return tuple((display_key(key, register), key) for key in keys) if len(keys) <= MAX_OPTIONS else ()


def display_key(key: str, register: Register) -> str:
    """Normal display of any single key, private, partial or public."""
    if key in register.places:
        return register.places[key].display
    phrases = wording()["phrases"]
    levels = key.removeprefix(PUBLIC).split("/", 4)
    if len(levels) < 4:
        return ""
    phase, code, unit, floor = levels[:4]
    where = _display_where(phase, code, unit, register)
    area = levels[4] if key.startswith(PUBLIC) and len(levels) == 5 else ""
    if area and code == NO_LEVEL and unit not in (NO_LEVEL, UNKNOWN):
        area += register.mark("space", "unit", unit)
    if area in (phrases["whole_unit"], phrases["whole_building"]):
        return str(phrases["whole"]).format(where, area)
    if floor[:1] in ("F", "B") and not (floor == "F1" and area in _ground_words()):
        labels = str(phrases["to"]).join(part.removeprefix("F") for part in floor.split("-"))
        where += register.mark("flat", "floor", labels)
    if area == phrases["between_area"]:
        return where
    return where + str(phrases["area"]) + area if where and area else where or area


@cache
def _ground_words() -> frozenset[str]:
    """Areas whose floor goes without saying."""
    return frozenset((*wording()["areas"]["ground"], *wording()["areas"]["attached"]))


def _display_where(phase: str, code: str, unit: str, register: Register) -> str:
    known = register.phase(phase)
    shown = register.mark(known.kind, "phase", known.name) if known else ""
    if code in (NO_LEVEL, UNKNOWN):
        return shown
    if "~" in code:
        first, second = (register.mark("flat", "building", number) for number in code.split("~"))
        return shown + str(wording()["phrases"]["between"]).format(first, second)
    building = register.building(phase, code)
    return register.label(building, unit) if building else shown


def combine(answers: list[Address], register: Register) -> Address:
    """Several places in one text: "A + B", as certain as the least certain."""
    unique = list({answer.key: answer for answer in answers}.values())
    if len(unique) == 1:
        return unique[0]
    worst = min(unique, key=lambda answer: _RANK.index(answer.action))
    keys = tuple(dict.fromkeys(key for answer in unique for key in answer.keys))
    if worst.action in ("invalid", "conflict"):
        return replace(worst, keys=keys)
    return replace(
        worst,
        key=" + ".join(answer.key for answer in unique),
        keys=keys,
        display=_display_several(unique, register),
        public=all(answer.public for answer in unique),
        area=joined_words(answer.area for answer in unique if answer.area),
    )


def _display_several(answers: Sequence[Address], register: Register) -> str:
    places = [register.places.get(answer.key) for answer in answers]
    known = [place for place in places if place is not None]
    first = known[0] if known else None
    same = first and all((p.phase, p.building, p.unit) == (first.phase, first.building, first.unit) for p in known)
    if first is not None and same and len(known) == len(answers):
        building = register.building(first.phase, first.building)
        if building is not None:
            return register.label(building, first.unit, "", joined_words(place.room for place in known))
    return joined_words(answer.display for answer in answers if answer.display)
