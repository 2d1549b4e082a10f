"""The property register: which places exist in one community (domain.md §4.2).

The register is the authority for addresses. A grammar can read "3栋1904" in several ways; only the register knows that
just one of them is a home. It is built from a compact spec (a few lines per group of equal buildings) so that the same
mapping serves as demo data, as a JSON column and as the source of the household rows.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, cast

import yaml

Kind = Literal["flat", "villa", "space", "shop"]
KINDS: tuple[Kind, ...] = ("flat", "villa", "space", "shop")
NO_LEVEL = "-"
UNKNOWN = "?"

_DICT = Path(__file__).resolve().parent.parent / "data" / "dict" / "address.yml"
_NUMERIC_RANGE = re.compile(r"(\d{1,5})-(\d{1,5})")
_LETTER_RANGE = re.compile(r"([A-Z])-([A-Z])")


class RegisterError(ValueError):
    """The community spec cannot be expanded into places."""


@cache
def wording() -> Mapping[str, Any]:
    """Word lists and display marks of addresses; language stays out of the code."""
    with _DICT.open(encoding="utf-8") as handle:
        return cast(Mapping[str, Any], yaml.safe_load(handle))


@dataclass(frozen=True, slots=True)
class Place:
    """One household of the register: a flat, villa, car space or shop."""

    key: str
    kind: Kind
    phase: str
    building: str
    unit: str
    floor: str
    room: str
    display: str

    @property
    def door(self) -> str:
        """The part of the room text that stays the same from floor to floor."""
        return self.room[len(self.floor) :] if self.floor != NO_LEVEL else self.room


@dataclass(frozen=True, slots=True)
class Unit:
    """A stairwell of a building, or a zone of a garage level; code '-' when the building has none."""

    code: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Building:
    """A building, a row of villas, a garage level or the shops: everything that directly holds places."""

    phase: str
    kind: Kind
    code: str
    name: str
    units: tuple[Unit, ...]
    floors: tuple[str, ...]
    rooms: tuple[str, ...]
    aliases: tuple[str, ...] = ()

    @property
    def has_units(self) -> bool:
        return self.units[0].code != NO_LEVEL

    def unit_code(self, typed: str) -> str | None:
        """The registered code of a typed unit ("B" may be the alias of unit 2), or None."""
        return next((unit.code for unit in self.units if typed == unit.code or typed in unit.aliases), None)


@dataclass(frozen=True, slots=True)
class Phase:
    """A construction phase, or the group that all villas, car spaces or shops form."""

    code: str
    name: str
    kind: Kind
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Register:
    """Everything that exists in one community, with the lookups a resolver needs; equality is identity."""

    community: str
    aliases: tuple[str, ...]
    phases: tuple[Phase, ...]
    buildings: tuple[Building, ...]
    places: Mapping[str, Place]
    gates: tuple[str, ...]
    areas: tuple[str, ...]
    marks: Mapping[str, Mapping[str, str]]
    spec: Mapping[str, Any] = field(repr=False)
    _rooms: Mapping[tuple[str, str, str], Mapping[str, str]] = field(repr=False)
    _doors: Mapping[tuple[str, str, str, str], Mapping[str, str]] = field(repr=False)
    _buildings: Mapping[tuple[str, str], Building] = field(repr=False)

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Register:
        """Expand the compact form; raises RegisterError when it is not a usable description."""
        try:
            return _build(spec)
        except (KeyError, TypeError, AttributeError) as error:
            raise RegisterError(f"bad register spec: {error!r}") from error

    def to_spec(self) -> dict[str, Any]:
        """The compact form as plain JSON-able data; from_spec(to_spec()) gives an equal register."""
        return copy.deepcopy(dict(self.spec))

    def phase(self, code: str) -> Phase | None:
        return next((phase for phase in self.phases if phase.code == code), None)

    def building(self, phase: str, code: str) -> Building | None:
        return self._buildings.get((phase, code))

    def of_kind(self, kind: Kind) -> tuple[Building, ...]:
        return tuple(building for building in self.buildings if building.kind == kind)

    def room(self, building: Building, unit: str, text: str) -> str | None:
        """Key of a room typed with or without leading zeros."""
        return self._rooms.get((building.phase, building.code, unit), {}).get(_bare(text))

    def door(self, building: Building, unit: str, floor: str, door: str) -> str | None:
        """Key of the n-th door on a floor label ("15" and "2" make 1502)."""
        return self._doors.get((building.phase, building.code, unit, floor), {}).get(_bare(door))

    def on_floor(self, building: Building, unit: str, floor: str) -> tuple[str, ...]:
        """Keys of all homes on one floor of one unit, in door order."""
        return tuple(self._doors.get((building.phase, building.code, unit, floor), {}).values())

    def in_unit(self, building: Building, unit: str) -> tuple[str, ...]:
        return tuple(self._rooms.get((building.phase, building.code, unit), {}).values())

    def neighbours(self, key: str) -> tuple[str, ...]:
        """The other homes on the same floor; which of them is "next door" the register cannot know."""
        place = self.places.get(key)
        if place is None or place.floor == NO_LEVEL:
            return ()
        doors = self._doors.get((place.phase, place.building, place.unit, place.floor), {})
        return tuple(other for other in doors.values() if other != key)

    def same_stack_above(self, key: str) -> str | None:
        """The home one floor up behind the same door, only if the register has it."""
        return self._stack(key, 1)

    def same_stack_below(self, key: str) -> str | None:
        return self._stack(key, -1)

    def _stack(self, key: str, step: int) -> str | None:
        place = self.places.get(key)
        building = self.building(place.phase, place.building) if place else None
        if place is None or building is None or place.floor not in building.floors:
            return None
        level = building.floors.index(place.floor) + step
        if not 0 <= level < len(building.floors):
            return None
        return self.door(building, place.unit, building.floors[level], place.door)

    def mark(self, kind: Kind, level: str, value: str) -> str:
        """One level as residents read it, e.g. flat/unit/2; empty when the level has no mark."""
        return self.marks[kind].get(level, "").format(value)

    def label(self, building: Building, unit: str = UNKNOWN, floor: str = "", room: str = "") -> str:
        """Normal display of a building or of a part of it; a lone unit is not worth showing."""
        text = building.name
        if building.has_units and unit not in (UNKNOWN, NO_LEVEL) and (len(building.units) > 1):
            text += self.mark(building.kind, "unit", unit)
        if room:
            return text + self.mark(building.kind, "room", room)
        return text + (self.mark(building.kind, "floor", floor) if floor else "")


def _bare(text: str) -> str:
    return text.upper().lstrip("0") or "0"


def _labels(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(label for value in values for label in _expand(str(value).upper()))


def _expand(text: str) -> Iterator[str]:
    """'01-04' → 01 02 03 04, 'A-D' → A B C D, anything else is a label of its own ('1502-1' too)."""
    numeric, letters = _NUMERIC_RANGE.fullmatch(text), _LETTER_RANGE.fullmatch(text)
    if numeric and int(numeric[1]) <= int(numeric[2]):
        width = len(numeric[1]) if numeric[1].startswith("0") else 1
        yield from (str(number).zfill(width) for number in range(int(numeric[1]), int(numeric[2]) + 1))
    elif letters and letters[1] <= letters[2]:
        yield from (chr(code) for code in range(ord(letters[1]), ord(letters[2]) + 1))
    else:
        yield text


class _Draft:
    """A building while its spec entries are being united."""

    def __init__(self, phase: Phase, code: str) -> None:
        self.phase, self.code = phase, code
        self.units: dict[str, list[str]] = {}
        self.floors: dict[str, None] = {}
        self.doors: dict[str, None] = {}
        self.aliases: dict[str, None] = {}
        self.homes: dict[tuple[str, str, str], None] = {}

    def add(self, entry: Mapping[str, Any]) -> None:
        units = _labels(entry.get("units", ())) or (NO_LEVEL,)
        floors = _labels(entry.get("floors", ())) or (NO_LEVEL,)
        doors = _labels(entry["rooms"])
        without = {str(room).upper() for room in entry.get("without", ())}
        for unit in units:
            self.units.setdefault(unit, [])
        for alias, unit in entry.get("unit_aliases", {}).items():
            self.units[str(unit).upper()].append(str(alias).upper())
        self.floors.update(dict.fromkeys(floors))
        self.doors.update(dict.fromkeys(doors))
        self.aliases.update(dict.fromkeys(str(name) for name in entry.get("names", {}).get(self.code, ())))
        for unit in units:
            homes = ((unit, floor, (floor if floor != NO_LEVEL else "") + door) for floor in floors for door in doors)
            self.homes.update(dict.fromkeys(h for h in homes if not {h[2], f"{unit}/{h[2]}"} & without))

    def finish(self, marks: Mapping[str, Mapping[str, str]]) -> Building:
        kind, shown = self.phase.kind, marks[self.phase.kind]
        name = shown.get("phase", "").format(self.phase.name)
        if self.code != NO_LEVEL:
            name += shown.get("building", "").format(self.code)
        units = tuple(Unit(code, tuple(aliases)) for code, aliases in self.units.items())
        floors = tuple(floor for floor in self.floors if floor != NO_LEVEL)
        return Building(self.phase.code, kind, self.code, name, units, floors, tuple(self.doors), tuple(self.aliases))


def _build(spec: Mapping[str, Any]) -> Register:
    marks = _marks(spec.get("display", {}))
    phases = tuple(_phase(entry) for entry in spec["phases"])
    drafts = _drafts(spec["phases"], phases)
    built = [(draft.finish(marks), draft) for draft in drafts.values()]
    bare = Register(
        str(spec["community"]),
        tuple(map(str, spec.get("aliases", ()))),
        phases,
        tuple(building for building, _ in built),
        {},
        tuple(map(str, spec.get("gates", ()))),
        tuple(map(str, spec.get("areas", ()))),
        marks,
        copy.deepcopy(dict(spec)),
        {},
        {},
        MappingProxyType({(building.phase, building.code): building for building, _ in built}),
    )
    places = {p.key: p for building, draft in built for p in _homes(bare, building, draft)}
    if not places:
        raise RegisterError("a register without places")
    return _with_places(bare, places)


def _with_places(bare: Register, places: dict[str, Place]) -> Register:
    rooms: dict[tuple[str, str, str], dict[str, str]] = {}
    doors: dict[tuple[str, str, str, str], dict[str, str]] = {}
    for place in places.values():
        where = (place.phase, place.building, place.unit)
        rooms.setdefault(where, {})[_bare(place.room)] = place.key
        doors.setdefault((*where, place.floor), {})[_bare(place.door)] = place.key
    values = {name: getattr(bare, name) for name in bare.__dataclass_fields__}
    values.update(places=MappingProxyType(places), _rooms=rooms, _doors=doors)
    return Register(**values)


def _marks(overrides: Mapping[str, Mapping[str, str]]) -> Mapping[str, Mapping[str, str]]:
    defaults = wording()["display"]
    return {kind: {**defaults[kind], **overrides.get(kind, {})} for kind in KINDS}


def _phase(entry: Mapping[str, Any]) -> Phase:
    kind = str(entry.get("kind", "flat"))
    if kind not in KINDS:
        raise RegisterError(f"unknown kind {kind!r}")
    return Phase(str(entry["code"]), str(entry["name"]), kind, tuple(map(str, entry.get("aliases", ()))))


def _drafts(entries: Iterable[Mapping[str, Any]], phases: tuple[Phase, ...]) -> dict[tuple[str, str], _Draft]:
    drafts: dict[tuple[str, str], _Draft] = {}
    for phase, entry in zip(phases, entries, strict=True):
        for group in entry["buildings"]:
            for code in _labels(group.get("codes", (NO_LEVEL,))):
                drafts.setdefault((phase.code, code), _Draft(phase, code)).add(group)
    order = [phase.code for phase in phases]
    return dict(sorted(drafts.items(), key=lambda item: (order.index(item[0][0]), _natural(item[0][1]))))


def _natural(code: str) -> tuple[int, str]:
    """2 before 10, numbers before letters."""
    return (int(code), "") if code.isdecimal() else (10**6, code)


def _homes(register: Register, building: Building, draft: _Draft) -> Iterator[Place]:
    for unit, floor, room in draft.homes:
        key = "/".join((building.phase, building.code, unit, room))
        display = register.label(building, unit, floor if floor != NO_LEVEL else "", room)
        yield Place(key, building.kind, building.phase, building.code, unit, floor, room, display)
