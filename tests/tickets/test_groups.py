"""Groups of staff: which jobs they hear of, and what they never hear."""

from __future__ import annotations

import pytest
from deskhelp import NOW, Desk
from sqlalchemy import select

from storage.models import Conversation, Identity, OutboxMessage
from tickets import notify
from tickets.people import SYSTEM
from tickets.verbs.steps import record


def group(desk: Desk, name: str = "李工", chat_id: str = "-100", *, hears: bool = True) -> Conversation:
    identity = Identity(channel="telegram", external_id=f"{name}{chat_id}", staff=desk.staff(name))
    chat = Conversation(channel="telegram", chat_id=chat_id, identity=identity, group=True, hears_dispatch=hears)
    desk.session.add(chat)
    desk.session.flush()
    return chat


def said(desk: Desk) -> list[OutboxMessage]:
    query = select(OutboxMessage).where(OutboxMessage.dedupe_key.contains(":group:")).order_by(OutboxMessage.id)
    return list(desk.session.scalars(query))


def nobody_left(desk: Desk, **more: object) -> object:
    """A ticket, and the leaders are told that nobody is there for it."""
    ticket = desk.report(**more)  # type: ignore[arg-type]
    event = record(desk.session, ticket, SYSTEM, "no_candidate", NOW)
    for leader in (desk.staff("李工"), desk.staff("李工")):
        notify.tell_staff(desk.session, leader, ticket, event, "push.nobody", NOW)
    return ticket


def test_a_job_nobody_has_is_offered_to_the_group_once(desk: Desk) -> None:
    chat = group(desk)
    group(desk, "王师傅", "-100")
    ticket = nobody_left(desk)
    (row,) = said(desk)
    assert row.conversation_id == chat.id
    assert row.buttons == [[f"accept:{ticket.id}", "接单"]]  # type: ignore[attr-defined]
    assert ticket.ticket_no in row.text  # type: ignore[attr-defined]


def test_no_flat_no_name_no_number_and_no_words_of_residents(desk: Desk) -> None:
    group(desk)
    ticket = nobody_left(desk)
    (row,) = said(desk)
    assert "一期3栋" in row.text
    for private in ("1502", "2单元", "王", "5678", ticket.symptom):  # type: ignore[attr-defined]
        assert private not in row.text


def test_that_somebody_took_it_is_said_where_it_was_offered(desk: Desk) -> None:
    group(desk)
    ticket = nobody_left(desk)
    worker = desk.staff("王师傅")
    event = record(desk.session, ticket, SYSTEM, "accept", NOW)  # type: ignore[arg-type]
    notify.tell_staff(desk.session, worker, ticket, event, "push.accepted_staff", NOW, phone="13800005678")  # type: ignore[arg-type]
    assert [row.dedupe_key.split(":")[2] for row in said(desk)] == ["push.group_offer", "push.group_taken"]
    assert "13800005678" not in said(desk)[1].text


def test_a_job_that_was_never_offered_is_not_talked_about(desk: Desk) -> None:
    group(desk)
    group(desk, chat_id="-200", hears=False)
    ticket = desk.report()
    event = record(desk.session, ticket, SYSTEM, "accept", NOW)
    notify.tell_staff(desk.session, desk.staff("王师傅"), ticket, event, "push.accepted_staff", NOW, phone="1")
    assert said(desk) == []


@pytest.mark.parametrize(
    ("text", "public", "shown"),
    [
        ("一期3栋2单元1502室", False, "一期3栋"),
        ("别墅6排8号", False, "别墅6排"),
        ("商铺S1", False, "位置见登记单"),
        ("一期3栋1楼大厅", True, "一期3栋1楼大厅"),
        ("", False, "位置见登记单"),
    ],
)
def test_places_before_many(desk: Desk, text: str, public: bool, shown: str) -> None:
    ticket = desk.report()
    ticket.place_text, ticket.public_area = text, public
    assert notify.place_for_groups(ticket) == shown
