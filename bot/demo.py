"""The demo community 云栖花园: its register and its people, from data/demo/."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

import yaml
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import logins
from nlu.register import Register
from storage import mailbox
from storage.models import Community, Resident, Staff
from storage.register import load_community, load_people
from tickets.texts import DATA


def demo_register() -> Register:
    """The demo community's register, read from its file."""
    return Register.from_spec(_register_spec())


def _register_spec() -> dict[str, Any]:
    spec: dict[str, Any] = yaml.safe_load((DATA / "demo" / "register.yml").read_text("utf-8"))
    return spec


def load_demo(session: Session, code: str, now: datetime) -> Community:
    """Load it if it is not there yet. Everyone gets a web chat, so that pushes wait for them until they look."""
    spec = _register_spec()
    people = yaml.safe_load((DATA / "demo" / "people.yml").read_text("utf-8"))
    places = [asdict(place) for place in Register.from_spec(spec).places.values()]
    community = load_community(session, code, spec, places, people["settings"])
    load_people(session, community, people, now)
    residents = session.scalars(select(Resident.id).where(Resident.community_id == community.id)).all()
    staff = session.scalars(select(Staff.id).where(Staff.community_id == community.id)).all()
    for person in [f"resident:{one}" for one in residents] + [f"staff:{one}" for one in staff]:
        identity = logins.by_person(session, community.id, person)
        if identity is not None:
            mailbox.conversation_of(session, identity, identity.external_id)
    return community
