"""Loading a community: its register, expanded into rows, and its people. Running it again changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from storage.models import (
    Building,
    Community,
    Household,
    Phase,
    PublicArea,
    Residency,
    Resident,
    Shift,
    Staff,
    Unit,
)


def load_community(
    session: Session, code: str, spec: Mapping[str, Any], places: list[dict[str, str]], settings: Mapping[str, Any]
) -> Community:
    """The community with every household of its register. `places`: key, kind, display and the levels of each."""
    community = session.scalar(select(Community).where(Community.code == code))
    if community:
        return community
    community = Community(code=code, name=spec["community"], register_spec=dict(spec), settings=dict(settings))
    session.add(community)
    session.flush()
    add_households(session, community, spec, places)
    for name in (*spec.get("gates", ()), *spec.get("areas", ())):
        session.add(PublicArea(community_id=community.id, name=name))
    session.flush()
    return community


def add_households(
    session: Session, community: Community, spec: Mapping[str, Any], places: list[dict[str, str]]
) -> None:
    """Homes that are new in the register, with the phases, buildings and units they need and that are not there yet."""
    units = _levels(session, community, spec, places)
    session.execute(
        insert(Household),
        [
            {
                "community_id": community.id,
                "unit_id": units[place["phase"], place["building"], place["unit"]],
                "key": place["key"],
                "kind": place["kind"],
                "display": place["display"],
            }
            for place in places
        ],
    )
    session.flush()


def _levels(
    session: Session, community: Community, spec: Mapping[str, Any], places: list[dict[str, str]]
) -> dict[tuple[str, str, str], int]:
    """Phases, buildings and units that occur in the places, made where they are missing; returns each unit's id."""
    names = {str(phase["code"]): str(phase["name"]) for phase in spec["phases"]}
    phases: dict[str, int] = {}
    buildings: dict[tuple[str, str], int] = {}
    units: dict[tuple[str, str, str], int] = {}
    for place in places:
        phase, building, unit = place["phase"], place["building"], place["unit"]
        if phase not in phases:
            phases[phase] = _have(
                session, Phase(community_id=community.id, code=phase, name=names[phase]), "community_id"
            )
        if (phase, building) not in buildings:
            row = Building(phase_id=phases[phase], code=building, name=building)
            buildings[phase, building] = _have(session, row, "phase_id")
        if (phase, building, unit) not in units:
            row_ = Unit(building_id=buildings[phase, building], code=unit)
            units[phase, building, unit] = _have(session, row_, "building_id")
    return units


def _have(session: Session, row: Phase | Building | Unit, above: str) -> int:
    """The id of the row with this code below the same parent; it is made if there is none."""
    model = type(row)
    same = getattr(model, above) == getattr(row, above)
    known = session.scalar(select(model.id).where(same, model.code == row.code))
    if known is not None:
        return known
    session.add(row)
    session.flush()
    return row.id


def load_people(session: Session, community: Community, people: Mapping[str, Any], now: datetime) -> None:
    """Residents with their homes and staff with their duty hours; does nothing if the community has people already."""
    if session.scalar(select(Staff.id).where(Staff.community_id == community.id).limit(1)):
        return
    for row in people["residents"]:
        resident = Resident(
            community_id=community.id, name=row["name"], salutation=row["salutation"], phone=row["phone"]
        )
        session.add(resident)
        session.flush()
        home = session.scalars(
            select(Household).where(Household.community_id == community.id, Household.key == row["home"])
        ).one()
        session.add(Residency(resident_id=resident.id, household_id=home.id, relation=row["relation"], verified_at=now))
    for row in people["staff"]:
        fields = {key: value for key, value in row.items() if key != "hours"}
        staff = Staff(community_id=community.id, **fields)
        staff.shifts = [_shift(day, row.get("hours", ("00:00", "24:00"))) for day in range(7)]
        session.add(staff)
    session.flush()


def _shift(weekday: int, hours: tuple[str, str]) -> Shift:
    start, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in hours)
    return Shift(weekday=weekday, start_minute=start, end_minute=end)
