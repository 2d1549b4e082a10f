"""Who is acting, and in which relation to a ticket. Everything comes from database rows, never from a message (architecture.md §2.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.models import CoHandler, Follower, Identity, Residency, Resident, Staff, Ticket
from tickets import lifecycle
from tickets.errors import UnknownPerson
from tickets.texts import LOCAL, say

LEADER_ROLES = frozenset({"supervisor", "manager"})
# 服务态度 in data/catalog/categories.yml.
ATTITUDE = "T01"


@dataclass(frozen=True)
class Actor:
    """Someone who does something: exactly one of resident, staff, or the system itself."""

    resident: Resident | None = None
    staff: Staff | None = None

    @property
    def key(self) -> str:
        if self.resident:
            return f"resident:{self.resident.id}"
        return f"staff:{self.staff.id}" if self.staff else "system"

    @property
    def name(self) -> str:
        if self.resident:
            return self.resident.salutation or self.resident.name or say("person.unnamed")
        return self.staff.name if self.staff else say("person.system")

    @property
    def role(self) -> str:
        return self.staff.role if self.staff else "resident" if self.resident else "system"


SYSTEM = Actor()


def actor_of(identity: Identity) -> Actor:
    return Actor(resident=identity.resident, staff=identity.staff)


def prefer(session: Session, identity: Identity, here: bool) -> None:
    """The person wants to be written to at this account, wherever they spoke last; or no longer."""
    column, value = (
        (Identity.resident_id, identity.resident_id) if identity.resident_id else (Identity.staff_id, identity.staff_id)
    )
    for one in session.scalars(select(Identity).where(column == value)):
        one.preferred = here and one.id == identity.id


def homes_of(session: Session, resident: Resident) -> list[Residency]:
    """The resident's present homes, verified ones first."""
    rows = session.scalars(
        select(Residency)
        .where(Residency.resident_id == resident.id, Residency.ended_at.is_(None))
        .order_by(Residency.id)
    ).all()
    return sorted(rows, key=lambda row: row.verified_at is None)


def home_key(session: Session, resident: Resident | None) -> str | None:
    """The register key of the one flat this person is bound to; None if there is none or more than one verified."""
    if resident is None:
        return None
    flats = [home.household.key for home in homes_of(session, resident) if home.verified_at]
    return flats[0] if flats else None


def lives_at(session: Session, resident: Resident, place_key: str) -> bool:
    return any(home.verified_at and home.household.key == place_key for home in homes_of(session, resident))


def relations(session: Session, ticket: Ticket, actor: Actor) -> frozenset[str]:
    """In which relations of the lifecycle table `actor` stands to `ticket` (domain.md §9.3)."""
    # Verbs ask in the middle of a step, when the ticket has a new handler and still its old status: not for the database yet.
    with session.no_autoflush:
        return frozenset(_relations(session, ticket, actor))


def _relations(session: Session, ticket: Ticket, actor: Actor) -> set[str]:
    found: set[str] = set()
    if actor.resident:
        mine = ticket.reporter_id == actor.resident.id
        same_home = (
            not ticket.public_area and bool(ticket.place_key) and lives_at(session, actor.resident, ticket.place_key)
        )
        if mine or (same_home and ticket.kind == "BX"):
            found.add(lifecycle.REPORTER)
        elif follows(session, ticket, actor.resident):
            found.add(lifecycle.FOLLOWER)
    elif actor.staff:
        found |= _staff_relations(ticket, actor.staff)
        if found and _told_alone(session, ticket, actor.staff):
            found.add(lifecycle.REPORTER)
        if found and ticket.kind not in ("BX", "YH") and helps(session, ticket, actor.staff):
            found.add(lifecycle.HELPER)
    else:
        found.add(lifecycle.SYSTEM)
    return found


_UNDONE = frozenset({"new", "survey", "assigned", "in_progress", "on_hold"})


def _told_alone(session: Session, ticket: Ticket, staff: Staff) -> bool:
    """Whether only this colleague has told of it, and nobody has come to it yet: then he may take it back, and after that never
    judge the work on it."""
    if ticket.reporter_staff_id != staff.id or ticket.reporter_id is not None or ticket.arrived_at is not None:
        return False
    if ticket.status not in _UNDONE or (ticket.detail or {}).get("joined"):
        return False
    return session.scalar(select(Follower.id).where(Follower.ticket_id == ticket.id).limit(1)) is None


def helps(session: Session, ticket: Ticket, staff: Staff) -> bool:
    """Whether a colleague was asked to help with this matter (协办)."""
    query = select(CoHandler.id).where(CoHandler.ticket_id == ticket.id, CoHandler.staff_id == staff.id)
    return session.scalar(query.limit(1)) is not None


def follows(session: Session, ticket: Ticket, resident: Resident) -> bool:
    """Whether this is one of several who reported the same matter."""
    query = select(Follower.id).where(Follower.ticket_id == ticket.id, Follower.resident_id == resident.id)
    return session.scalar(query.limit(1)) is not None


def _staff_relations(ticket: Ticket, staff: Staff) -> set[str]:
    if not staff.active or staff.community_id != ticket.community_id or is_accused(ticket, staff):
        return set()
    found = {lifecycle.WORKER} if staff.role == "worker" else set()
    if ticket.handler_id == staff.id:
        found.add(lifecycle.HANDLER)
    elif staff.role in LEADER_ROLES or staff.role == "desk":
        # Nobody accepts their own work: an inspector is a leader or butler who did not do the job (domain.md S37).
        found.add(lifecycle.INSPECTOR)
    if staff.role in LEADER_ROLES:
        found.add(lifecycle.SUPERVISOR)
    if staff.role == "desk":
        found.add(lifecycle.DESK)
    return found


def is_accused(ticket: Ticket, staff: Staff) -> bool:
    """Whether a complaint is about this colleague, who must not learn of it from the desk (domain.md §9.3)."""
    return bool((ticket.detail or {}).get("accused") == staff.id)


def hides_name_from(ticket: Ticket, staff: Staff) -> bool:
    """Whether the resident's name and home are hidden from this colleague: an anonymous complaint shows them only to the
    front desk and the manager, to no supervisor (domain.md §9.3); one about the desk's own people to the manager alone."""
    if not (ticket.detail or {}).get("hidden"):
        return False
    return staff.role != "manager" and (staff.role != "desk" or is_about_desk(ticket))


def is_about_desk(ticket: Ticket) -> bool:
    """Whether a complaint is about how the front desk treats people: its colleagues shall not know who told it."""
    return ticket.kind == "TS" and ticket.department == "desk" and ticket.code == ATTITUDE


def may_see(session: Session, ticket: Ticket, actor: Actor) -> bool:
    """Residents see their own, workers their own jobs and pool offers, desk and leaders their community."""
    found = relations(session, ticket, actor)
    if lifecycle.WORKER in found and not found & {lifecycle.HANDLER, lifecycle.HELPER}:
        return ticket.reporter_staff_id == (actor.staff.id if actor.staff else None)
    return bool(found)


def on_leave(staff: Staff, now: datetime) -> bool:
    return any(leave.start_at <= now < leave.end_at for leave in staff.leaves)


def next_duty(staff: Staff, now: datetime) -> datetime | None:
    """When this colleague's next duty begins after `now`; None if there is none within a fortnight."""
    midnight = now.astimezone(LOCAL).replace(hour=0, minute=0, second=0, microsecond=0)
    starts = (
        midnight + timedelta(days=day, minutes=shift.start_minute)
        for day in range(15)
        for shift in staff.shifts
        if shift.weekday == (midnight + timedelta(days=day)).weekday()
    )
    back = (leave.end_at for leave in staff.leaves)
    return min((at for at in (*starts, *back) if at > now and on_shift(staff, at)), default=None)


def duty_ends(staff: Staff, now: datetime) -> datetime | None:
    """When this colleague's present duty ends (or a leave begins); None if they are off duty, or always on."""
    if not on_shift(staff, now):
        return None
    midnight = now.astimezone(LOCAL).replace(hour=0, minute=0, second=0, microsecond=0)
    ends = (
        midnight + timedelta(days=day, minutes=shift.end_minute)
        for day in range(-1, 8)
        for shift in staff.shifts
        if shift.weekday == (midnight + timedelta(days=day)).weekday()
    )
    away = (leave.start_at for leave in staff.leaves)
    return min((at for at in (*ends, *away) if at > now and not on_shift(staff, at)), default=None)


def trades_shown(staff: Staff) -> str:
    """What a colleague does, as people read it; "" for who has no trade."""
    return say("list.comma").join(say(f"trade.{trade}") for trade in staff.trades)


def on_shift(staff: Staff, now: datetime) -> bool:
    """Whether `now` falls into one of the weekly duty spans and not into a leave; a span may run past midnight."""
    if on_leave(staff, now):
        return False
    local = now.astimezone(LOCAL)
    minute = local.hour * 60 + local.minute
    for shift in staff.shifts:
        if shift.weekday == local.weekday() and shift.start_minute <= minute < shift.end_minute:
            return True
        if shift.weekday == (local.weekday() - 1) % 7 and minute + 1440 < shift.end_minute:
            return True
    return False


def staff_named(session: Session, community_id: int, name: str) -> Staff:
    """The one colleague called `name` (full name, or how people call them). Raises UnknownPerson."""
    everyone = session.scalars(select(Staff).where(Staff.community_id == community_id, Staff.active)).all()
    name = name.strip().lstrip("@")
    exactly = [one for one in everyone if one.name == name]
    partly = [one for one in everyone if len(name) >= 2 and name in one.name]
    fits = exactly or partly or [one for one in everyone if name and _called(one, name)]
    if len(fits) != 1:
        raise UnknownPerson(name=name, names=say("list.comma").join(one.name for one in fits or everyone))
    return fits[0]


def _called(staff: Staff, name: str) -> bool:
    """老王, 小王, 王工 and 王师傅 all mean the colleague whose name begins with 王."""
    forms = say("person.forms").split()
    surname = name
    for form in forms:
        surname = surname.replace(form, "")
    return len(surname) == 1 and staff.name.startswith(surname)


def leaders(session: Session, community_id: int, department: str) -> list[Staff]:
    """Supervisors of a department; the managers if it has none."""
    query = select(Staff).where(Staff.community_id == community_id, Staff.active).order_by(Staff.id)
    staff = session.scalars(query).all()
    mine = [one for one in staff if one.role == "supervisor" and one.department == department]
    return mine or [one for one in staff if one.role == "manager"]


def managers(session: Session, community_id: int) -> list[Staff]:
    """Who runs the community; those above (department `company`) only where nobody else does."""
    query = select(Staff).where(Staff.community_id == community_id, Staff.role == "manager", Staff.active)
    everyone = list(session.scalars(query.order_by(Staff.id)))
    return [one for one in everyone if one.department != "company"] or everyone


RUNGS = ("worker", "supervisor", "manager", "company")


def company(session: Session, community_id: int) -> list[Staff]:
    """Who stands above the community's manager (品质部, 区域): managers of the department `company`; without any, the managers."""
    query = select(Staff).where(Staff.community_id == community_id, Staff.role == "manager", Staff.active)
    above = list(session.scalars(query.where(Staff.department == "company").order_by(Staff.id)))
    return above or managers(session, community_id)


def each_once(people: Iterable[Staff]) -> list[Staff]:
    """These colleagues without repetitions, in the order they were named."""
    return list({one.id: one for one in people}.values())


def chain(session: Session, ticket: Ticket, top: str, *, worker: bool = True) -> list[Staff]:
    """Everybody responsible for a ticket from its worker up to the rung `top` (domain.md §7.4), each once."""
    up_to = RUNGS[: RUNGS.index(top) + 1]
    told = [ticket.handler] if worker and ticket.handler else []
    if "supervisor" in up_to:
        told += leaders(session, ticket.community_id, ticket.department)
    if "manager" in up_to:
        told += managers(session, ticket.community_id)
    if "company" in up_to:
        told += company(session, ticket.community_id)
    return each_once(told)
