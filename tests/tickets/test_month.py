"""A month of a community of 2,000 homes in seconds: people are slow, refuse, forget and fall silent, and every promise is kept or
escalated. What is checked is read from the columns and the history, never from what the clocks planned."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from deskhelp import Desk, at
from sqlalchemy import func, insert, select

from storage.models import (
    Base,
    Conversation,
    Household,
    Identity,
    OutboxMessage,
    Residency,
    Resident,
    Staff,
    Ticket,
    TicketEvent,
)
from tickets import clocks, lifecycle, verbs
from tickets.errors import DeskError
from tickets.people import Actor
from tickets.sla import after, sla_class

HOMES = 2000
STEP = timedelta(minutes=30)
START, END = at("00:00", 1), at("00:00", 1) + timedelta(days=30)
FAULTS = ("W02", "W03", "W04", "E03", "E04", "D01", "D03", "W07", "A02", "C03", "Z01", "W01", "L01")
MATTERS = (("TS", "T09"), ("TS", "T02"), ("ZX", "Q22"), ("ZX", "Q01"), ("JY", "J01"))
PER_DAY = 3
BORING = 0.25
# A resident hears something within the interval of the class, moved out of the night and the noon rest.
REST = timedelta(hours=14)


HOME = {"kind": "flat", "display": "某户"}


def place(number: int) -> str:
    return f"P9/{number // 200}/{number // 100 % 2}/{number}"


class Month:
    """The community, its people's dice, and what must be true at every step."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.session, self.dice = desk, desk.session, random.Random(20250601)
        self.residents = self._move_in()
        for number in range(4):
            trades = (["plumber"], ["electrician"], ["general"], ["cleaner"])[number]
            desk.worker(f"师傅{number}", trades, licences=trades)
        self.seen: Counter[str] = Counter()

    def _move_in(self) -> list[int]:
        community = self.desk.community.id
        numbers = range(1, HOMES + 1)
        first = {
            model: (self.session.scalar(select(func.max(model.id))) or 0) for model in (Resident, Identity, Household)
        }

        def rows(make: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
            return [make(number) for number in numbers]

        def person(number: int) -> int:
            return first[Resident] + number

        self._insert(
            Household, rows(lambda n: {"id": first[Household] + n, "community_id": community, "key": place(n)} | HOME)
        )
        self._insert(Resident, rows(lambda n: {"id": person(n), "community_id": community, "name": f"住户{n}"}))
        account = {"channel": "web"}
        self._insert(
            Identity,
            rows(lambda n: {"id": first[Identity] + n, "external_id": f"m{n}", "resident_id": person(n)} | account),
        )
        self._insert(Conversation, rows(lambda n: {"chat_id": f"m{n}", "identity_id": first[Identity] + n} | account))
        verified = {"relation": "owner", "verified_at": START}
        self._insert(
            Residency, rows(lambda n: {"resident_id": person(n), "household_id": first[Household] + n} | verified)
        )
        return [person(number) for number in numbers]

    def _insert(self, model: type[Base], rows: list[dict[str, Any]]) -> None:
        self.session.execute(insert(model), rows)

    # --- what people do

    def live(self, now: datetime) -> None:
        """Whatever people happen to do in these minutes."""
        if 7 <= now.hour < 22 and self.dice.random() < PER_DAY / 30:
            self._somebody_reports(now)
        for ticket in self.session.scalars(select(Ticket).where(Ticket.status.in_(lifecycle.OPEN))).all():
            luck = self.dice.random()
            # A savepoint for each would take longer than everything else; nothing happens in between anyway.
            if BORING < luck <= 0.95:
                continue
            try:
                with self.session.begin_nested():
                    self._step(ticket, luck, now)
            except DeskError as refused:
                self.seen[type(refused).__name__] += 1

    def _somebody_reports(self, now: datetime) -> None:
        number = self.dice.randrange(HOMES)
        kind, code = ("BX", self.dice.choice(FAULTS)) if self.dice.random() < 0.75 else self.dice.choice(MATTERS)
        where = place(number + 1)
        public = code in ("C03", "L01")
        more = {"place_key": f"PUB:{where}" if public else where, "public_area": public, "place_text": f"{number}室"}
        self.desk.report(
            code, kind=kind, by=Actor(resident=self.session.get_one(Resident, self.residents[number])), now=now, **more
        )

    def _step(self, ticket: Ticket, luck: float, now: datetime) -> None:
        worker = ticket.handler
        if ticket.status == "new" and luck < 0.1:
            helper = self.dice.choice(["师傅0", "师傅1", "师傅2", "师傅3"])
            verbs.assign(self.session, ticket, self.desk.staff(helper), self.desk.actor("李工"), now, reason="人手不够")
        elif ticket.status == "done" and luck < 0.08:
            self._answer(ticket, luck, now)
        elif worker is not None and ticket.kind in ("BX", "YH"):
            self._work(ticket, Actor(staff=worker), luck, now)
        elif worker is not None and luck < 0.03:
            verbs.answer_matter(self.session, ticket, Actor(staff=worker), "已经核实处理", now)

    def _work(self, ticket: Ticket, worker: Actor, luck: float, now: datetime) -> None:
        if ticket.status in ("assigned", "rework"):
            if luck < 0.25:
                verbs.accept(self.session, ticket, worker, now)
            elif luck > 0.95:
                verbs.decline(self.session, ticket, worker, "手上有急单", now)
        elif ticket.status == "in_progress" and ticket.arrived_at is None and luck < 0.12:
            verbs.arrive(self.session, ticket, worker, now)
        elif ticket.status == "in_progress" and ticket.arrived_at and luck < 0.02:
            verbs.hold(self.session, ticket, worker, "待配件", now + timedelta(hours=self.dice.randrange(3, 72)), now)
        elif ticket.status == "in_progress" and ticket.arrived_at and luck < 0.14:
            note = "换了 拍不了 太暗"
            verbs.finish(self.session, ticket, worker, note, now, self_checked=True)

    def _answer(self, ticket: Ticket, luck: float, now: datetime) -> None:
        inspector = self.desk.actor("马经理")
        actor = inspector if ticket.public_area or ticket.reporter is None else Actor(resident=ticket.reporter)
        if luck < 0.016:
            verbs.not_fixed(self.session, ticket, actor, "还是不行", now)
        else:
            verbs.confirm(self.session, ticket, actor, now)

    # --- what must be true

    def check(self, now: datetime) -> None:
        """Everything that fell due a step ago was done, or somebody was told."""
        for ticket in self.session.scalars(select(Ticket).where(Ticket.status.in_(lifecycle.OPEN))):
            assert ticket.handler_id or ticket.owner_id, ticket.ticket_no
            for name, due, actions in self._promises(ticket):
                if now - 2 * STEP < due <= now - STEP:
                    self.seen[name] += 1
                    assert self._happened(ticket, actions, due), (name, ticket.ticket_no, ticket.status, due, now)

    def _promises(self, ticket: Ticket) -> list[tuple[str, datetime, tuple[str, ...]]]:
        found = []
        if ticket.status in ("assigned", "rework", "new") and ticket.kind in ("BX", "TS"):
            start = self._start(ticket)
            steps = [after(ticket.level, start, step) for step in sla_class(ticket.level, start).accept_steps]
            found += [("not accepted", step, ("escalate", "accept_timeout", "no_candidate")) for step in steps[-1:]]
        running = ticket.status in clocks.RUNNING
        if running and ticket.kind == "BX" and ticket.arrive_by and not ticket.arrived_at:
            found.append(("not there", ticket.arrive_by, ("late_told", "resume")))
        if running and ticket.finish_by:
            # A pause moves the limit of what was late before it; then the end of the pause is the moment.
            found.append(("not finished", ticket.finish_by, ("escalate", "late_told", "resume")))
        if ticket.status == "on_hold" and ticket.wake_at:
            found.append(("not woken", ticket.wake_at, ("resume",)))
        return found

    def _start(self, ticket: Ticket) -> datetime:
        query = select(TicketEvent.at).where(
            TicketEvent.ticket_id == ticket.id, TicketEvent.action.in_(("level", "not_fixed", "reopen"))
        )
        return self.session.scalars(query.order_by(TicketEvent.id.desc())).first() or ticket.created_at

    def _happened(self, ticket: Ticket, actions: tuple[str, ...], due: datetime) -> bool:
        """Whether one of these is in the history at the moment something fell due (a promise is owned up to a little before)."""
        query = select(TicketEvent.id).where(
            TicketEvent.ticket_id == ticket.id,
            TicketEvent.action.in_(actions),
            TicketEvent.at >= due - 2 * STEP,
            TicketEvent.at <= due + STEP,
        )
        return self.session.scalar(query.limit(1)) is not None

    def check_silence(self, now: datetime) -> None:
        """Nobody who waits has heard nothing for longer than the interval of their class."""
        for ticket in self.session.scalars(select(Ticket).where(Ticket.status.in_((*clocks.RUNNING, "on_hold")))):
            every = (
                sla_class(ticket.level, now).held
                if ticket.status == "on_hold"
                else sla_class(ticket.level, now).progress
            )
            # Two working days may have a long weekend between them.
            days = every.get("days", 0) + 5 * bool(every.get("working_days"))
            limit = timedelta(minutes=every.get("minutes", 0), days=days) + REST
            query = select(OutboxMessage.created_at).where(
                OutboxMessage.ticket_id == ticket.id, OutboxMessage.resident_id == ticket.reporter_id
            )
            last = self.session.scalars(query.order_by(OutboxMessage.id.desc())).first() or ticket.created_at
            assert now - last <= limit, (ticket.ticket_no, ticket.level, ticket.status, last, now)
            self.seen["waiting"] += 1


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_month_in_which_every_promise_is_kept_or_escalated(desk: Desk) -> None:
    month, now = Month(desk), START
    while now < END:
        month.live(now)
        while clocks.sweep(desk.session, now):
            pass
        desk.session.flush()
        month.check(now)
        if now.hour == 15 and now.minute == 0:
            month.check_silence(now)
        now += STEP
    statuses = Counter(desk.session.scalars(select(Ticket.status)))
    assert sum(statuses.values()) > 70
    assert statuses["closed"] > 35
    # None of it was true only because nothing ever fell due.
    for name in ("not accepted", "not there", "not finished", "waiting"):
        assert month.seen[name] > 5, month.seen
    assert clocks.open_promises(desk.session, desk.community.id) == []
    dangers = select(Staff.name).where(Staff.role == "manager")
    assert desk.pushes(*desk.session.scalars(dangers))
