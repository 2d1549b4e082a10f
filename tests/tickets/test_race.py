"""Fifty workers at once on one ownerless ticket: exactly one has it, the others read who (design.md §2.2)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Barrier

from deskhelp import NOW, Desk, at
from sqlalchemy import Engine, QueuePool, select

from storage.database import connect, sessions
from storage.models import Assignment, Community, OutboxMessage, Staff, Ticket, TicketEvent
from tickets import finding, verbs
from tickets.errors import AlreadyTaken
from tickets.people import Actor

WORKERS = 50


def _crowd(engine: Engine) -> tuple[int, list[int]]:
    """An ownerless ticket and fifty plumbers who could take it."""
    with sessions(engine).begin() as session:
        desk = Desk(session, session.scalars(select(Community)).one())
        desk.staff("王师傅").active = False
        ticket = desk.report("W01")
        assert ticket.status == "new"
        plumbers = [desk.worker(f"水工{number:02}", ["plumber"]).id for number in range(WORKERS)]
        return ticket.id, plumbers


@contextmanager
def _with_connections(engine: Engine, count: int) -> Iterator[Engine]:
    """The same database with room for so many connections at once; none is left when the next test replaces its file."""
    crowd = connect(engine.url.render_as_string(hide_password=False))
    crowd.pool = QueuePool(crowd.pool._creator, pool_size=count, max_overflow=0, _dispatch=crowd.pool.dispatch)
    try:
        yield crowd
    finally:
        crowd.dispose()


def test_fifty_grab_from_fifty_connections_and_one_wins(engine: Engine) -> None:
    ticket_id, plumbers = _crowd(engine)
    start = Barrier(WORKERS)

    def grab(crowd: Engine, staff_id: int) -> str:
        # Everybody is connected before the first one asks.
        with crowd.connect():
            start.wait()
        try:
            with sessions(crowd).begin() as session:
                actor = Actor(staff=session.get_one(Staff, staff_id))
                # As the command does it: looked up by number first, then locked.
                found = finding.by_number(session, 1, "0001", actor)
                verbs.accept(session, verbs.load(session, found.id), actor, at("09:01"))
                return "won"
        except AlreadyTaken as refused:
            return str(refused.facts["name"])

    with _with_connections(engine, WORKERS) as crowd, ThreadPoolExecutor(WORKERS) as pool:
        results = list(pool.map(partial(grab, crowd), plumbers))

    with sessions(engine)() as session:
        ticket = session.get_one(Ticket, ticket_id)
        assert ticket.handler is not None
        winner = ticket.handler.name
        assert sorted(results) == sorted(["won", *[winner] * (WORKERS - 1)])
        assert ticket.status == "in_progress"
        held = session.scalars(select(Assignment).where(Assignment.ticket_id == ticket_id)).all()
        assert [(one.staff.name, one.state) for one in held] == [(winner, "accepted")]
        grabs = session.scalars(select(TicketEvent).where(TicketEvent.action == "grab")).all()
        assert len(grabs) == 1
        full = session.scalars(select(OutboxMessage).where(OutboxMessage.text.contains("13800005678"))).all()
        assert [row.staff_id for row in full] == [ticket.handler_id]


def test_fifty_reports_at_once_get_fifty_numbers(engine: Engine) -> None:
    start = Barrier(WORKERS)

    def report(number: int) -> str:
        start.wait()
        with sessions(engine).begin() as session:
            opened = verbs.Report("BX", "W02", "滴水", f"web:{number}:0")
            return verbs.open_ticket(session, 1, opened, NOW)[0].ticket_no

    with ThreadPoolExecutor(WORKERS) as pool:
        numbers = list(pool.map(report, range(WORKERS)))
    assert sorted(numbers) == [f"BX20250612-{number:04}" for number in range(1, WORKERS + 1)]


def test_a_worker_and_the_resident_at_once_leave_one_story(engine: Engine) -> None:
    """Accepting and cancelling at the same moment: both may happen in this order, but never a cancelled ticket in progress."""
    with sessions(engine).begin() as session:
        desk = Desk(session, session.scalars(select(Community)).one())
        ticket = desk.report("W02")
        ticket_id, worker, resident = ticket.id, desk.staff("王师傅").id, desk.resident("王芳").id
    start = Barrier(2)

    def accept() -> None:
        start.wait()
        with sessions(engine).begin() as session:
            verbs.accept(
                session, verbs.load(session, ticket_id), Actor(staff=session.get_one(Staff, worker)), at("09:01")
            )

    def cancel() -> None:
        from storage.models import Resident

        start.wait()
        with sessions(engine).begin() as session:
            actor = Actor(resident=session.get_one(Resident, resident))
            verbs.cancel(session, verbs.load(session, ticket_id), actor, "", at("09:01"))

    with ThreadPoolExecutor(2) as pool:
        accepting, cancelling = pool.submit(accept), pool.submit(cancel)
        errors = [type(one.exception()).__name__ for one in (accepting, cancelling) if one.exception()]
    with sessions(engine)() as session:
        ticket = session.get_one(Ticket, ticket_id)
        actions = [event.action for event in ticket.history]
    assert ticket.status == "cancelled"
    assert (actions[2:], errors) in (
        (["accept", "cancel"], []),
        (["cancel"], ["NotAllowed"]),
        (["cancel"], ["WrongStatus"]),
    )
