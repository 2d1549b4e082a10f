"""Short ways to act in the demo community and to read what happened. No rules of the desk are repeated here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.models import (
    Assignment,
    Attachment,
    Community,
    Conversation,
    Household,
    Identity,
    OpenQuestion,
    OutboxMessage,
    Residency,
    Resident,
    Staff,
    Ticket,
    TicketEvent,
)
from tickets import clocks, verbs
from tickets.people import Actor
from tickets.verbs import Report

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2025, 6, 12, 9, 0, tzinfo=SHANGHAI)
HOME = "P1/3/2/1502"


def at(clock: str, day: int = 12) -> datetime:
    """A moment of June 2025 in Shanghai: at("14:30"), at("10:00", 13)."""
    hour, minute = clock.split(":")
    return datetime(2025, 6, day, int(hour), int(minute), tzinfo=SHANGHAI)


class Desk:
    """One community through one session."""

    def __init__(self, session: Session, community: Community) -> None:
        self.session, self.community = session, community
        self._seen = 0
        self._numbers = 0
        self._photos = 0

    # --- people

    def staff(self, name: str) -> Staff:
        return self.session.scalars(select(Staff).where(Staff.name == name)).one()

    def resident(self, name: str) -> Resident:
        return self.session.scalars(select(Resident).where(Resident.name == name)).one()

    def person(self, name: str) -> Resident | Staff:
        staff = self.session.scalar(select(Staff).where(Staff.name == name))
        return staff or self.resident(name)

    def actor(self, name: str) -> Actor:
        person = self.person(name)
        return Actor(staff=person) if isinstance(person, Staff) else Actor(resident=person)

    def stranger(self, name: str = "路人") -> Actor:
        """Somebody without a home in the register."""
        resident = Resident(community_id=self.community.id, name=name)
        self.session.add(resident)
        self.session.flush()
        return Actor(resident=resident)

    def family(self, name: str, home: str, *, verified: bool = True) -> Actor:
        """One more person in a flat."""
        household = self.session.scalars(select(Household).where(Household.key == home)).one()
        resident = Resident(community_id=self.community.id, name=name, phone="13300009999")
        self.session.add(resident)
        self.session.flush()
        tie = Residency(
            resident_id=resident.id,
            household_id=household.id,
            relation="family",
            verified_at=NOW if verified else None,
        )
        self.session.add(tie)
        self.session.flush()
        return Actor(resident=resident)

    def worker(self, name: str, trades: Sequence[str], **more: object) -> Staff:
        """One more worker, on duty around the clock."""
        from storage.models import Shift

        fields = {"community_id": self.community.id, "role": "worker", "department": "engineering", **more}
        staff = Staff(name=name, trades=list(trades), **fields)
        staff.shifts = [Shift(weekday=day, start_minute=0, end_minute=1440) for day in range(7)]
        self.session.add(staff)
        self.session.flush()
        return staff

    def chat(self, name: str) -> Conversation:
        person = self.person(name)
        column = Identity.staff_id if isinstance(person, Staff) else Identity.resident_id
        return self.session.scalars(select(Conversation).join(Identity).where(column == person.id)).one()

    # --- tickets

    def report(
        self,
        code: str = "W02",
        *,
        by: str | Actor | None = "王芳",
        kind: str = "BX",
        now: datetime = NOW,
        **more: object,
    ) -> Ticket:
        """A new ticket; by default a drip at home reported by 王女士 (level U3)."""
        self._numbers += 1
        actor = self.actor(by) if isinstance(by, str) else by or Actor()
        fields: dict[str, object] = {
            "symptom": "厨房水管滴水",
            "source_key": f"test:{self._numbers}",
            "place_key": HOME,
            "place_text": "一期3栋2单元1502室",
            **more,
        }
        report = Report(kind=kind, code=code, reporter=actor.resident, reporter_staff=actor.staff, **fields)  # type: ignore[arg-type]
        ticket, fresh = verbs.open_ticket(self.session, self.community.id, report, now)
        assert fresh
        return ticket

    def accepted(self, code: str = "W02", *, now: datetime = NOW, **more: object) -> Ticket:
        """A repair its worker has taken."""
        ticket = self.report(code, now=now, **more)  # type: ignore[arg-type]
        verbs.accept(self.session, ticket, self.handler(ticket), now)
        return ticket

    def photo(self, ticket: Ticket, now: datetime = NOW, *, purpose: str = "after", count: int = 1) -> None:
        """Pictures that belong to a ticket."""
        for _ in range(count):
            self._photos += 1
            picture = Attachment(key=f"photo{self._photos}.jpg", mime="image/jpeg", size=1, purpose=purpose)
            picture.ticket_id, picture.created_at = ticket.id, now
            self.session.add(picture)
        self.session.flush()

    def done(self, code: str = "W02", *, now: datetime = NOW, **more: object) -> Ticket:
        """A repair its worker has finished; it waits for acceptance."""
        ticket = self.accepted(code, now=now, **more)
        if ticket.public_area:
            self.photo(ticket, now)
        verbs.finish(self.session, ticket, self.handler(ticket), "换了角阀", now, self_checked=True)
        return ticket

    def closed(self, code: str = "W02", *, now: datetime = NOW, by: str = "王芳", **more: object) -> Ticket:
        """A repair its resident has accepted."""
        ticket = self.done(code, now=now, by=by, **more)
        verbs.confirm(self.session, ticket, self.actor(by), now)
        return ticket

    def handler(self, ticket: Ticket) -> Actor:
        assert ticket.handler is not None
        return Actor(staff=ticket.handler)

    def sweep(self, now: datetime) -> None:
        clocks.sweep(self.session, now)
        self.session.flush()

    def sweep_through(self, start: datetime, end: datetime, step: timedelta = timedelta(minutes=1)) -> None:
        while start <= end:
            self.sweep(start)
            start += step

    # --- what happened

    def pushes(self, *names: str, ticket: Ticket | None = None, after: int = 0) -> list[OutboxMessage]:
        """Everything queued, or what was queued for the people named."""
        self.session.flush()
        query = select(OutboxMessage).where(OutboxMessage.id > after).order_by(OutboxMessage.id)
        if ticket is not None:
            query = query.where(OutboxMessage.ticket_id == ticket.id)
        rows = list(self.session.scalars(query))
        if not names:
            return rows
        people = [self.person(name) for name in names]
        staff = {one.id for one in people if isinstance(one, Staff)}
        residents = {one.id for one in people if isinstance(one, Resident)}
        return [row for row in rows if row.staff_id in staff or row.resident_id in residents]

    def seen(self) -> None:
        """Forget what was queued so far; `fresh` tells what came later."""
        self.session.flush()
        self._seen = self.session.scalar(select(func.max(OutboxMessage.id))) or 0

    def fresh(self, *names: str) -> list[OutboxMessage]:
        return self.pushes(*names, after=self._seen)

    def told(self) -> dict[str, list[str]]:
        """Name → keys of the texts queued since `seen`, for pushes about tickets."""
        found: dict[str, list[str]] = {}
        for row in self.fresh():
            person = self.session.get(Staff, row.staff_id) if row.staff_id else None
            person = person or (self.session.get(Resident, row.resident_id) if row.resident_id else None)
            name = person.name if person else ""
            found.setdefault(name, []).append(key_of(row))
        return found

    def history(self, ticket: Ticket, action: str = "") -> list[TicketEvent]:
        query = select(TicketEvent).where(TicketEvent.ticket_id == ticket.id).order_by(TicketEvent.id)
        return [event for event in self.session.scalars(query) if not action or event.action == action]

    def assignments(self, ticket: Ticket) -> list[tuple[str, str]]:
        query = select(Assignment).where(Assignment.ticket_id == ticket.id).order_by(Assignment.id)
        return [(one.staff.name, one.state) for one in self.session.scalars(query)]

    def question(self, ticket: Ticket, kind: str) -> OpenQuestion | None:
        self.session.flush()
        return verbs.open_question(self.session, ticket, kind)

    def snapshot(self) -> tuple[object, ...]:
        """Everything a sweep could change, for comparing before and after."""
        self.session.flush()
        tables = (Ticket, TicketEvent, Assignment, OpenQuestion, OutboxMessage)
        return tuple(
            tuple(tuple(row) for row in self.session.execute(select(*table.__table__.c).order_by(table.id)))
            for table in tables
        )


def key_of(row: OutboxMessage) -> str:
    """The text's key, read from the dedupe key `t7:e12:push.accepted:reporter`; "" for what is no push about a ticket."""
    parts = row.dedupe_key.split(":")
    return next((part.removeprefix("push.") for part in parts if part.startswith("push.")), "")
