"""Who may speak in the web chat: demo people, signed links, one-time codes, and the sessions that follow."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.models import Identity, LoginCode, Resident, Staff, WebSession
from tickets.people import homes_of, trades_shown
from tickets.texts import say

SESSION_LASTS = timedelta(days=30)
LINK_LASTS = timedelta(days=7)
CODE_LASTS = timedelta(minutes=30)
STRANGER = "stranger:1"
MAX_FAILURES = 5
MAX_FAILURES_OF_ALL = 60
FAILURES_COUNT_FOR = timedelta(minutes=1)
ROLES = {"worker": "worker", "desk": "desk", "supervisor": "supervisor", "manager": "manager"}


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


# --- people -----------------------------------------------------------------------------------------------------------


def by_person(session: Session, community_id: int, person: str) -> Identity | None:
    """The web account of `resident:1`, `staff:3` or a stranger; None for anybody unknown."""
    kind, _, number = person.partition(":")
    if not number.isascii() or not number.isdecimal():
        return None
    if kind == "stranger" and len(number) < 4:
        return _account(session, person, Resident(community_id=community_id))
    if kind not in ("resident", "staff") or len(number) > 9:
        return None
    one = session.get(Resident, int(number)) if kind == "resident" else session.get(Staff, int(number))
    if one is None or one.community_id != community_id or (isinstance(one, Staff) and not one.active):
        return None
    return _account(session, person, one)


def _account(session: Session, external_id: str, person: Resident | Staff) -> Identity:
    known = session.scalar(select(Identity).where(Identity.channel == "web", Identity.external_id == external_id))
    if known:
        return known
    identity = Identity(
        channel="web",
        external_id=external_id,
        resident=person if isinstance(person, Resident) else None,
        staff=person if isinstance(person, Staff) else None,
    )
    session.add(identity)
    session.flush()
    return identity


def describe(session: Session, identity: Identity) -> dict[str, str]:
    """How the page shows somebody (docs/http-api.md)."""
    if identity.staff:
        return _staff_row(identity.staff)
    if identity.resident and homes_of(session, identity.resident):
        return _resident_row(session, identity.resident)
    return {
        "id": identity.external_id,
        "name": (identity.resident and identity.resident.name) or say("demo.stranger"),
        "role": "stranger",
        "title": say("demo.stranger_title"),
        "subtitle": say("demo.stranger_subtitle"),
    }


def demo_people(session: Session, community_id: int) -> list[dict[str, str]]:
    """Everybody one can be in demo mode: residents with a home, a stranger, the staff."""
    residents = session.scalars(select(Resident).where(Resident.community_id == community_id).order_by(Resident.id))
    rows = [_resident_row(session, one) for one in residents if homes_of(session, one)]
    rows.append(
        {
            "id": STRANGER,
            "name": say("demo.stranger"),
            "role": "stranger",
            "title": say("demo.stranger_title"),
            "subtitle": say("demo.stranger_subtitle"),
        }
    )
    staff = session.scalars(select(Staff).where(Staff.community_id == community_id, Staff.active).order_by(Staff.id))
    return rows + [_staff_row(one) for one in staff]


def _resident_row(session: Session, resident: Resident) -> dict[str, str]:
    home = homes_of(session, resident)[0]
    return {
        "id": f"resident:{resident.id}",
        "name": resident.salutation or resident.name,
        "role": "resident",
        "title": say(f"relation.{home.relation}"),
        "subtitle": home.household.display,
    }


def _staff_row(staff: Staff) -> dict[str, str]:
    return {
        "id": f"staff:{staff.id}",
        "name": staff.name,
        "role": ROLES[staff.role],
        "title": say(f"role.{staff.role}"),
        "subtitle": trades_shown(staff) or say(f"department.{staff.department}"),
    }


# --- sessions ---------------------------------------------------------------------------------------------------------


def new_session(session: Session, identity: Identity, now: datetime) -> str:
    token = secrets.token_urlsafe(32)
    session.add(WebSession(token_hash=_hash(token), identity_id=identity.id, expires_at=now + SESSION_LASTS))
    return token


def by_token(session: Session, token: str, now: datetime) -> Identity | None:
    row = session.scalar(select(WebSession).where(WebSession.token_hash == _hash(token)))
    if row is None or row.expires_at < now:
        return None
    identity = session.get_one(Identity, row.identity_id)
    return None if identity.staff and not identity.staff.active else identity


def end_session(session: Session, token: str) -> None:
    row = session.scalar(select(WebSession).where(WebSession.token_hash == _hash(token)))
    if row:
        session.delete(row)


# --- guessing ---------------------------------------------------------------------------------------------------------


class Guesses:
    """Counts failed logins of the last minute, of each sender and of all: six digits are safe only if few can be tried.

    In memory, one per process: a restart forgives at most one more minute's worth.
    """

    def __init__(self) -> None:
        self._failed: dict[str, list[datetime]] = {}

    def too_many(self, sender: str, now: datetime) -> bool:
        """Whether `sender` has to wait, also with the right code."""
        recent = {
            name: kept
            for name, times in self._failed.items()
            if (kept := [at for at in times if now - FAILURES_COUNT_FOR < at <= now])
        }
        self._failed = recent
        return len(recent.get(sender, ())) >= MAX_FAILURES or sum(map(len, recent.values())) >= MAX_FAILURES_OF_ALL

    def failed(self, sender: str, now: datetime) -> None:
        self._failed.setdefault(sender, []).append(now)


# --- links and codes --------------------------------------------------------------------------------------------------


def make_link(person: str, secret: bytes, now: datetime) -> str:
    """The signed value of a link that lets `person` (resident:1, staff:3) open the chat for a week."""
    payload = f"{person}|{int((now + LINK_LASTS).timestamp())}"
    signed = f"{payload}|{_sign(payload, secret)}"
    return base64.urlsafe_b64encode(signed.encode()).decode().rstrip("=")


def _sign(payload: str, secret: bytes) -> str:
    return hmac.new(secret, payload.encode(), hashlib.sha256).hexdigest()


def by_link(session: Session, community_id: int, link: str, secret: bytes, now: datetime) -> Identity | None:
    try:
        text = base64.urlsafe_b64decode(link + "=" * (-len(link) % 4)).decode()
        person, until, signature = text.split("|")
        fresh = int(until) > now.timestamp()
    except (ValueError, UnicodeError):
        return None
    if not hmac.compare_digest(signature.encode(), _sign(f"{person}|{until}", secret).encode()) or not fresh:
        return None
    return by_person(session, community_id, person)


def make_code(session: Session, person: Resident | Staff, now: datetime) -> str:
    """A six-digit code, good once and for half an hour; only its hash is kept."""
    code = f"{secrets.randbelow(10**6):06d}"
    session.add(
        LoginCode(
            code_hash=_hash(code),
            resident_id=person.id if isinstance(person, Resident) else None,
            staff_id=person.id if isinstance(person, Staff) else None,
            expires_at=now + CODE_LASTS,
        )
    )
    return code


def by_code(session: Session, code: str, now: datetime) -> Identity | None:
    """The web account of whoever was given this code; a code works once."""
    row = _use_code(session, code, now)
    if row is None:
        return None
    if row.resident_id:
        return _account(session, f"resident:{row.resident_id}", session.get_one(Resident, row.resident_id))
    return _account(session, f"staff:{row.staff_id}", session.get_one(Staff, row.staff_id))


def bind(session: Session, identity: Identity, code: str, now: datetime) -> bool:
    """Tie a messenger account to the person the code was made for; what it reported before stays with its old row."""
    row = _use_code(session, code, now)
    if row is None:
        return False
    identity.resident_id, identity.staff_id = row.resident_id, row.staff_id
    session.flush()
    session.expire(identity)
    return True


def _use_code(session: Session, code: str, now: datetime) -> LoginCode | None:
    row = session.scalar(
        select(LoginCode)
        .where(LoginCode.code_hash == _hash(code.strip()), LoginCode.residency_id.is_(None))
        .with_for_update()
    )
    if row is None or row.used_at or row.expires_at < now:
        return None
    row.used_at = now
    return row
