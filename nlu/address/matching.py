"""Stated levels against the register: every home or floor that fits, or which level does not exist."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nlu.address.grammar import LABEL
from nlu.address.model import ROOF, Parts
from nlu.register import NO_LEVEL, UNKNOWN, Building, Kind, Register, wording


@dataclass(frozen=True, slots=True)
class Spot:
    """A concrete candidate: a home when `key` is set, else a unit or a floor of it."""

    building: Building
    unit: str
    floor: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What fits the stated levels; `problem` names the level that does not exist."""

    spots: tuple[Spot, ...]
    problem: Mapping[str, str] = field(default_factory=dict)
    # two or more homes would fit the stated levels; only the existence of the room told them apart
    by_existence: bool = False
    suggestion: str = ""


def find_spots(parts: Parts, register: Register) -> Found:
    """Every place that agrees with the stated levels, or which level does not exist."""
    pool = _pool(parts, register)
    if not pool and not (parts.building or parts.unit or parts.floor or parts.room or parts.area):
        return Found(())
    if not pool:
        return Found((), {"what": "phase", "typed": parts.phase, "have": _phase_names(register, parts.kind)})
    buildings = [b for b in pool if not parts.building or b.code == parts.building]
    if not buildings:
        return Found((), no_building(parts, pool, register))
    sites = [(b, unit) for b in buildings for unit in _units(b, parts.unit)]
    if not sites and _first_unit_of_none(parts, buildings):
        found = find_spots(replace(parts, unit=""), register)
        if found.spots:
            return replace(found, by_existence=True)
    if not sites:
        bare = find_spots(replace(parts, unit=""), register) if not parts.area else Found(())
        guess = bare.spots[0].key if len(bare.spots) == 1 else ""
        return Found((), no_unit(parts, buildings, register), suggestion=guess)
    spots = tuple(spot for building, unit in sites for spot in _spots(building, unit, parts, register))
    if not spots:
        return _missing_home(parts, sites, register)
    return Found(spots, by_existence=len(sites) > 1 and len(spots) == 1 and bool(spots[0].key))


def _pool(parts: Parts, register: Register) -> list[Building]:
    """The buildings of the kind and phase named. 「一期地库」 where the estate has one garage: it is no building of a phase."""
    of_kind = list(register.of_kind(parts.kind))
    pool = [b for b in of_kind if not parts.phase or b.phase == parts.phase]
    beside = parts.kind != "flat" and register.phase(parts.phase) is not None
    return pool or (of_kind if beside else [])


def _first_unit_of_none(parts: Parts, buildings: Sequence[Building]) -> bool:
    """「5栋1单元1104」 of a building without units: where more than the unit was told, it is the building that is meant."""
    more = parts.room or parts.floor or parts.area
    return bool(more) and parts.unit == FIRST_UNIT and not any(b.has_units for b in buildings)


FIRST_UNIT = "1"


def known_zone(parts: Parts, register: Register) -> Parts:
    """「地库B2靠近C区」 of a garage level that has no such zone: a lamp is on that level all the same, unlike a car's space."""
    levels = [one for one in register.of_kind(parts.kind) if one.code == parts.building]
    shared = parts.kind == "space" and parts.unit and not (parts.room or parts.door)
    if not shared or not levels or any(_units(one, parts.unit) for one in levels):
        return parts
    return replace(parts, unit="")


def _units(building: Building, typed: str) -> tuple[str, ...]:
    if not typed:
        return tuple(unit.code for unit in building.units)
    code = building.unit_code(typed)
    # people say 1单元 of a building that the register keeps without units
    return (code,) if code and code != NO_LEVEL else ()


def _spots(building: Building, unit: str, parts: Parts, register: Register) -> Iterator[Spot]:
    floor = _floor_label(building, parts.floor)
    if parts.area and not parts.door:
        if not parts.floor or floor or parts.floor == ROOF or parts.floor.startswith("B"):
            yield Spot(building, unit, floor or parts.floor)
        return
    if parts.room:
        yield from _room_spots(building, unit, parts, register)
    elif parts.door and floor:
        key = register.door(building, unit, floor, parts.door)
        if key:
            yield Spot(building, unit, floor, key)
    elif not parts.floor or floor:
        yield Spot(building, unit, floor)


def _room_spots(building: Building, unit: str, parts: Parts, register: Register) -> Iterator[Spot]:
    key = register.room(building, unit, parts.room) or register.room(building, unit, parts.room.split("-")[0])
    if key:
        place = register.places[key]
        if not parts.floor or place.floor in (NO_LEVEL, _floor_label(building, parts.floor)):
            yield Spot(building, unit, place.floor, key)
    elif len(parts.room) == 2 and parts.room.startswith("0") and parts.floor:
        key = register.door(building, unit, parts.floor, parts.room)
        if key:
            yield Spot(building, unit, parts.floor, key)
    elif LABEL.fullmatch(parts.room) and parts.room in building.floors:
        # "5-12A": in this building 12A is a floor, not a room
        yield Spot(building, unit, parts.room)


def _floor_label(building: Building, typed: str) -> str:
    if typed == ROOF:
        return building.floors[-1] if building.floors else ""
    label = typed.lstrip("0") or typed
    return label if label in building.floors else ""


def joined_words(values: Iterable[str]) -> str:
    """A list as people write it, without repetitions."""
    return str(wording()["phrases"]["list"]).join(dict.fromkeys(values))


def _phase_names(register: Register, kind: Kind) -> str:
    return joined_words(phase.name for phase in register.phases if phase.kind == kind)


def no_building(parts: Parts, pool: Sequence[Building], register: Register) -> dict[str, str]:
    """Which building was typed, and which there are."""
    codes = joined_words(building.code for building in pool)
    return {
        "what": "building",
        "typed": register.mark(parts.kind, "building", parts.building),
        "have": register.mark(parts.kind, "building", codes),
    }


def no_unit(parts: Parts, buildings: Sequence[Building], register: Register) -> dict[str, str]:
    """Which unit was typed, and which there are."""
    building = next((b for b in buildings if b.has_units), buildings[0])
    have = joined_words(unit.code for unit in building.units if unit.code != NO_LEVEL)
    return {
        "what": "unit",
        "building": building.name,
        "typed": register.mark(building.kind, "unit", parts.unit),
        "have": register.mark(building.kind, "unit", have) if have else "",
    }


def _missing_home(parts: Parts, sites: Sequence[tuple[Building, str]], register: Register) -> Found:
    """No such floor or room; a skipped floor number may be labelled otherwise, which is only ever suggested."""
    building, unit = sites[0]
    named = len({site.name for site, _ in sites}) == 1
    where = register.label(building, unit if parts.unit else UNKNOWN) if named else ""
    if building.kind != "flat" or not building.floors:
        rooms = [register.places[key].room for key in register.in_unit(building, unit)]
        have = rooms[0] + str(wording()["phrases"]["to"]) + rooms[-1] if rooms else ""
        return Found((), {"what": building.kind, "building": where, "typed": parts.room, "have": have})
    floor, door = split_room(parts)
    known = next((b for b, _ in sites if _floor_label(b, floor)), None)
    if known is not None:
        have = joined_words(known.rooms)
        return Found((), {"what": "room", "building": where, "typed": parts.room or floor + door, "have": have})
    top = max((b.floors for b, _ in sites), key=len)[-1]
    problem = {"what": "floor", "building": where, "typed": floor, "top": top}
    label = _renamed_floor(building, floor)
    key = register.door(building, unit, label, door) if label and door else None
    return Found((), problem | ({"suggest": label} if label else {}), suggestion=key or "")


def split_room(parts: Parts) -> tuple[str, str]:
    """Floor and door of a room number."""
    room = parts.room.split("-")[0]
    if not room:
        return parts.floor, parts.door
    if LABEL.fullmatch(room):
        return room[:-1], room[-1]
    lettered = re.fullmatch(r"(\d{1,2}[A-Z])(\d{2})", room)
    if lettered:
        return lettered[1], lettered[2]
    digits = re.match(r"0*(\d*)(\d{2}[A-Z]?)", room)
    return (digits[1] or room, digits[2]) if digits else (room, "")


def _renamed_floor(building: Building, floor: str) -> str:
    """The label that replaces an unlucky floor number in this building: 13 → 12A, 14 → 12B or 13A, 4 → 3A."""
    if not floor.isdecimal():
        return ""
    number = int(floor)
    guesses = (f"{number - 1}A", f"{number - 2}B")
    return next((label for label in guesses if label in building.floors), "")
