"""Places in the domain's terms: the community's register, and reading a message against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from json import dumps, loads
from typing import Any

from sqlalchemy.orm import Session

from nlu.address import Address, in_the_open, only, resolve
from nlu.register import Register
from nlu.slots import mask_phone
from storage.models import Community, Draft, Resident, Ticket
from tickets.people import home_key
from tickets.texts import has_text, say
from tickets.words import without_number_tails

_NO_PROBLEM = {"building": "", "have": "", "typed": ""}


@lru_cache(maxsize=16)
def _register(spec: str) -> Register:
    return Register.from_spec(loads(spec))


def register_of(session: Session, community_id: int) -> Register:
    """The register of a community, expanded once per process and version."""
    community = session.get_one(Community, community_id)
    return _register(dumps(community.register_spec, sort_keys=True))


def told_in(draft: Draft | None) -> list[dict[str, Any]]:
    """What of a half-told report may say where: its faults, then the place told for all of them."""
    return [*draft.data.get("faults", []), draft.data.get("place") or {}] if draft else []


def read_place(
    session: Session,
    community_id: int,
    text: str,
    *,
    resident: Resident | None = None,
    draft: str | None = None,
    last: Ticket | None = None,
    at_home: bool = False,
    about: str = "",
) -> Address:
    """What `text` says about a place, or about homes only (`at_home`), with what is known about its sender (domain.md §4.1).
    `about`: the words of the fault that is there."""
    return resolve(
        without_number_tails(text),
        register_of(session, community_id),
        bound=home_key(session, resident),
        draft=draft or None,
        last=last.place_key or None if last else None,
        at_home=at_home,
        outdoors=in_the_open(about),
    )


def affected(session: Session, community_id: int, place: Address) -> Address:
    """「楼上漏水」: the flat that suffers is the place of the ticket; where it comes from is for the worker to find."""
    if not place.source_key:
        return place
    key = place.keys[0]
    return replace(place, key=key, display=place_display(session, community_id, key))


def of_kind(session: Session, community_id: int, place: Address, *, public: bool) -> Address:
    """Of a home and a shared place told together the shared one, or the home."""
    return only(place, register_of(session, community_id), public=public)


def is_exact(key: str) -> bool:
    """Whether a key names one place: nothing in it is open (`?`), and it is not one of several (` or `)."""
    return bool(key) and "?" not in key and " or " not in key


def place_display(session: Session, community_id: int, key: str) -> str:
    """How a household key is shown: 一期3栋2单元1502室."""
    place = register_of(session, community_id).places.get(key)
    return place.display if place else key


def unchecked(place: Address, text: str) -> str:
    """A place the register does not have, as it was typed and still to be asked; "" if no words of `text` name it."""
    typed = say("list.comma").join(text[start:end] for start, end in place.spans)
    return say("place.unchecked", typed=typed) if typed else ""


def is_landmark(session: Session, community_id: int, known: str, place: Address) -> bool:
    """「不知道ABCD 就在5栋电梯出来左手边」 of a numbered parking space: a building without a flat is where it is near, and not where it
    is."""
    register = register_of(session, community_id)
    phase = register.phase(known.split("/")[0])
    numbered = known.count("/") == 3 and known[-1].isdigit()
    near = part_of(place.key, "building") and (place.public or place.action == "ask")
    same = place.key.removeprefix("PUB:").split("/")[0] == known.split("/")[0]
    return bool(phase and phase.kind == "space" and numbered and near and not same)


def problem_text(problem: Mapping[str, str]) -> str:
    """What is wrong with a place the register does not have, and what there is instead."""
    what, have = problem.get("what", "other"), str(problem.get("have", ""))
    if what == "unit":
        what = "no_units" if not have else "unit" if say("list.comma") in have else "only_unit"
    key = f"place_problem.{what}"
    return say(key if has_text(key) else "place_problem.other", **{**_NO_PROBLEM, **problem})


def part_display(session: Session, community_id: int, part: str) -> str:
    """How a building or one of its units is shown: P1/3/2 → 一期3栋2单元."""
    register = register_of(session, community_id)
    phase, building, *unit = part.split("/")
    found = register.building(phase, building)
    return register.label(found, *unit[:1]) if found else part


def part_of(key: str, scope: str) -> str:
    """The building or unit a place lies in, as the beginning of its key; "" if that is not known (several are possible)."""
    pieces = key.removeprefix("PUB:").split("/")
    wanted = pieces[: 3 if scope == "unit" else 2]
    if len(pieces) < 3 or " or " in key or "?" in "".join(wanted):
        return ""
    return "/".join(wanted).removesuffix("/-")


def who_and_where(session: Session, resident: Resident) -> str:
    """A resident as colleagues read them: name, home and masked number."""
    name = resident.salutation or resident.name or say("person.unnamed")
    key = home_key(session, resident)
    home = place_display(session, resident.community_id, key) if key else ""
    phone = mask_phone(resident.phone) if resident.phone else say("phone.missing")
    return say("person.who", name=name, home=home, phone=phone)
