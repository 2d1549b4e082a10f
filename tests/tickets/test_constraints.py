"""What the database itself refuses, whatever the code does (design.md §6)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from deskhelp import NOW, Desk
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError

from storage.models import Assignment, Identity, OpenQuestion, OutboxMessage, Staff, Ticket
from tickets import verbs


def refused(desk: Desk, change: Callable[[], object]) -> bool:
    try:
        with desk.session.begin_nested():
            change()
            desk.session.flush()
    except IntegrityError:
        return True
    return False


@pytest.mark.parametrize(
    ("make", "values"),
    [
        ("report", {"handler_id": None}),
        ("accepted", {"handler_id": None}),
        ("report", {"status": "rework", "handler_id": None}),
        ("report", {"status": "new"}),
        ("report", {"status": "closed"}),
        ("report", {"status": "cancelled"}),
        ("report", {"status": "referred"}),
        ("report", {"status": "merged", "closed_at": NOW}),
        ("report", {"status": "on_hold"}),
        ("report", {"status": "on_hold", "hold_reason": "待配件"}),
        ("report", {"status": "on_hold", "wake_at": NOW}),
    ],
)
def test_a_ticket_that_breaks_an_invariant_is_refused(desk: Desk, make: str, values: dict[str, object]) -> None:
    ticket: Ticket = getattr(desk, make)()
    statement = update(Ticket).where(Ticket.id == ticket.id).values(**values)
    assert refused(desk, lambda: desk.session.execute(statement))


@pytest.mark.parametrize(
    "values",
    [
        {"status": "closed", "closed_at": NOW},
        {"status": "new", "handler_id": None},
        {"status": "on_hold", "hold_reason": "待配件", "wake_at": NOW},
        {"status": "merged", "closed_at": NOW, "parent_id": 1},
    ],
)
def test_a_ticket_that_keeps_them_is_taken(desk: Desk, values: dict[str, object]) -> None:
    first, ticket = desk.report(), desk.report()
    if "parent_id" in values:
        values = {**values, "parent_id": first.id}
    statement = update(Ticket).where(Ticket.id == ticket.id).values(**values)
    assert not refused(desk, lambda: desk.session.execute(statement))


def test_numbers_and_sources_are_unique(desk: Desk) -> None:
    first, second = desk.report(), desk.report()
    for column in ("ticket_no", "source_key"):
        statement = update(Ticket).where(Ticket.id == second.id).values({column: getattr(first, column)})
        assert refused(desk, lambda statement=statement: desk.session.execute(statement)), column


def test_two_workers_never_hold_one_ticket(desk: Desk) -> None:
    ticket = desk.accepted()
    held = Assignment(ticket_id=ticket.id, staff=desk.staff("赵师傅"), state="accepted", offered_at=NOW)
    assert refused(desk, lambda: desk.session.add(held))
    offered = Assignment(ticket_id=ticket.id, staff=desk.staff("赵师傅"), state="offered", offered_at=NOW)
    assert not refused(desk, lambda: desk.session.add(offered))


def test_words_that_are_no_state_are_refused(desk: Desk) -> None:
    ticket = desk.report()
    community = desk.community.id
    wrong = [
        Assignment(ticket_id=ticket.id, staff=desk.staff("王师傅"), state="maybe", offered_at=NOW),
        OpenQuestion(kind="score", ticket_id=ticket.id, state="maybe", asked_at=NOW),
        OutboxMessage(dedupe_key="x", text="", status="maybe", created_at=NOW, due_at=NOW),
        Staff(community_id=community, name="谁", role="king", department="desk"),
        Identity(channel="web", external_id="x"),
        Identity(channel="web", external_id="y", resident=desk.resident("王芳"), staff=desk.staff("王师傅")),
    ]
    for row in wrong:
        assert refused(desk, lambda row=row: desk.session.add(row)), row


def test_one_push_per_key(desk: Desk) -> None:
    row = {"dedupe_key": "same", "text": "", "created_at": NOW, "due_at": NOW}
    assert not refused(desk, lambda: desk.session.add(OutboxMessage(**row)))
    assert refused(desk, lambda: desk.session.add(OutboxMessage(**row)))


def test_nothing_points_at_what_is_not_there(desk: Desk) -> None:
    ticket = desk.report()
    statement = update(Ticket).where(Ticket.id == ticket.id).values(handler_id=9999)
    assert refused(desk, lambda: desk.session.execute(statement))


def test_a_change_made_from_an_old_reading_is_refused(desk: Desk) -> None:
    ticket = desk.report()
    statement = update(Ticket).where(Ticket.id == ticket.id).values(version=Ticket.version + 1)
    desk.session.execute(statement, execution_options={"synchronize_session": False})
    ticket.symptom = "别的"
    with pytest.raises(StaleDataError):
        desk.session.flush()
    desk.session.rollback()


def test_loading_for_change_reads_what_is_there_now(desk: Desk) -> None:
    ticket = desk.report()
    statement = update(Ticket).where(Ticket.id == ticket.id).values(symptom="新", version=Ticket.version + 1)
    desk.session.execute(statement, execution_options={"synchronize_session": False})
    assert verbs.load(desk.session, ticket.id).symptom == "新"
