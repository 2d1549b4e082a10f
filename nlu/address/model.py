"""What the steps hand on: places as far as they were stated, and the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from nlu.register import Kind, Place, Register

Action = Literal["ok", "echo", "confirm", "ask", "invalid", "conflict", "none"]
NOT_ADDRESS = "not an address"
PUBLIC = "PUB:"
ROOF = "RF"
MAX_OPTIONS = 6
MAX_PLACES = 6


@dataclass(frozen=True, slots=True)
class Address:
    """What one text says about a place; `key` uses the notation of domain.md §4.3."""

    action: Action
    key: str
    keys: tuple[str, ...] = ()
    display: str = ""
    missing: str = ""
    options: tuple[tuple[str, str], ...] = ()
    problem: Mapping[str, str] = field(default_factory=dict)
    public: bool = False
    area: str = ""
    source_key: str = ""
    partial: str = ""
    """Of a place that does not exist: what of it may, as a draft for what is said next."""
    spans: tuple[tuple[int, int], ...] = ()
    name: str = ""
    phone: str = ""
    corrected: bool = False


NONE = Address("none", NOT_ADDRESS)


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels of a place as a text states them; "" was not said. `floor` is a label, `area` a public place."""

    phase: str = ""
    building: str = ""
    unit: str = ""
    floor: str = ""
    room: str = ""
    area: str = ""
    key: str = ""


LEVELS = ("phase", "building", "unit", "floor", "door", "room")
Values = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Parts:
    """One place as far as the text states it; an empty level was not mentioned."""

    kind: Kind = "flat"
    phase: str = ""
    building: str = ""
    unit: str = ""
    floor: str = ""
    floor_to: str = ""
    door: str = ""
    room: str = ""
    area: str = ""
    scope: str = ""
    between: str = ""
    relation: str = ""
    flags: frozenset[str] = frozenset()
    alts: tuple[Values, ...] = ()

    def level(self, name: str) -> str:
        """What was said of one of `LEVELS`, "" if nothing."""
        return str(getattr(self, name))

    @property
    def empty(self) -> bool:
        """Whether nothing about a place was said."""
        stated = any(self.level(level) for level in LEVELS)
        return not (stated or self.area or self.between or self.relation or self.alts)

    @property
    def private(self) -> bool:
        """Whether a home is meant, and not a place that others share."""
        return bool(self.room or self.door or self.relation == "self" or any("room" in alt for alt in self.alts))

    def flagged(self, *flags: str) -> Parts:
        """The same place, marked."""
        return replace(self, flags=self.flags | set(flags))


@dataclass(frozen=True, slots=True)
class Context:
    """What else is known while one message is read: the bound flat, the open draft, the last ticket's places."""

    register: Register
    home: Place | None
    draft: tuple[Parts, ...]
    last: str
    corrects: bool
