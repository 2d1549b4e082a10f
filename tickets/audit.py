"""The access log: who was refused, and who took data out (domain.md §9.1, §9.3). Never what was written, never a number."""

from __future__ import annotations

import hashlib
import logging
import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from storage.models import AccessLog, Export, Resident, Staff
from tickets.errors import (
    AlreadyTaken,
    BadInput,
    DeskError,
    NotAllowed,
    NotFound,
    TooManyClaims,
    WrongStatus,
    WrongTrade,
)
from tickets.people import LEADER_ROLES, Actor

log = logging.getLogger(__name__)

# Reaching for what is not theirs, or for what cannot be. Forgetting a reason is no such thing.
REFUSALS = (NotAllowed, NotFound, AlreadyTaken, WrongTrade, WrongStatus, BadInput, TooManyClaims)
LINK_LASTS = timedelta(hours=24)
LOOK = "look"
PAPERS = ".pdf"


def note(
    session: Session, community_id: int, actor: Actor, action: str, now: datetime, *, target: str = "", allowed: bool
) -> None:
    """Write one line. `target` is a ticket's number or id, or the name of a list; never a person's words."""
    session.add(
        AccessLog(
            community_id=community_id, at=now, actor=actor.key, action=action[:40], target=target[:60], allowed=allowed
        )
    )
    session.flush()


def refused(session: Session, community_id: int, actor: Actor, error: DeskError, now: datetime) -> None:
    """Keep who reached for what: the step, the ticket's number if one was named, never the words."""
    if isinstance(error, REFUSALS):
        what, target = str(error.facts.get("action", error.code)), str(error.facts.get("no", ""))
        note(session, community_id, actor, what, now, target=target, allowed=False)
        log.info("audit.refused actor=%s action=%s code=%s", actor.key, what, error.code)


def may_export(staff: Staff) -> bool:
    """Supervisors take out their department, managers everything; nobody else anything (domain.md §9.3)."""
    return staff.active and staff.role in LEADER_ROLES


def may_fetch(staff: Staff, name: str) -> bool:
    """One ticket's own papers are also for the desk, who sees the ticket anyway."""
    return may_export(staff) or (staff.active and staff.role == "desk" and name.endswith(PAPERS))


def keep_export(session: Session, staff: Staff, name: str, content: bytes, now: datetime) -> str:
    """Keep a workbook, or a ticket's papers, for one leader; returns the token of its link, good for a day. Old ones go."""
    if not may_fetch(staff, name):
        raise NotAllowed(action="export")
    return _keep(session, Actor(staff=staff), staff.community_id, name, content, now)


def keep_own_file(session: Session, resident: Resident, name: str, content: bytes, now: datetime) -> str:
    """Keep a resident's own file for them (domain.md §9.5); returns the token of its link, good for a day."""
    return _keep(session, Actor(resident=resident), resident.community_id, name, content, now)


def _keep(session: Session, actor: Actor, community_id: int, name: str, content: bytes, now: datetime) -> str:
    session.execute(delete(Export).where(Export.expires_at < now))
    token = secrets.token_urlsafe(24)
    session.add(
        Export(
            token_hash=_hash(token),
            staff_id=actor.staff.id if actor.staff else None,
            resident_id=actor.resident.id if actor.resident else None,
            file_name=name,
            content=content,
            created_at=now,
            expires_at=now + LINK_LASTS,
        )
    )
    note(session, community_id, actor, "export" if actor.staff else "own_file", now, target=name, allowed=True)
    return token


def fetch_export(session: Session, token: str, now: datetime) -> Export | None:
    """The file behind a link while it lasts and its owner may have it; every fetch is noted."""
    row = session.scalar(select(Export).where(Export.token_hash == _hash(token)))
    if row is None:
        return None
    resident = session.get(Resident, row.resident_id) if row.resident_id else None
    staff = session.get(Staff, row.staff_id) if row.staff_id else None
    owner = resident or staff
    assert owner is not None
    allowed = row.expires_at > now and (staff is None or may_fetch(staff, row.file_name))
    actor = Actor(resident=resident, staff=staff)
    note(session, owner.community_id, actor, "download", now, target=row.file_name, allowed=allowed)
    return row if allowed else None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
