"""Whom we do not disturb, and when: domain.md §7.3."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from deskhelp import NOW, Desk, at, key_of

from storage.models import Conversation, Identity
from tickets import quiet_hours, verbs

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.mark.parametrize(
    ("kind", "now", "when"),
    [
        ("any", at("03:00"), at("03:00")),
        ("acceptance", at("07:30"), at("07:30")),
        ("acceptance", at("07:29"), at("08:30")),
        ("acceptance", at("21:30"), at("08:30", 13)),
        ("status", at("08:29"), at("08:30")),
        ("status", at("12:00"), at("14:00")),
        ("status", at("20:29"), at("20:29")),
        ("status", at("20:30"), at("08:30", 13)),
        ("greeting", at("11:30"), at("15:00")),
        ("greeting", at("19:00"), at("09:00", 13)),
    ],
)
def test_the_hours(engine: object, kind: str, now: datetime, when: datetime) -> None:
    assert quiet_hours.allowed_at(kind, now) == when


def due(desk: Desk, name: str, key: str) -> datetime:
    return next(row for row in desk.pushes(name) if key_of(row) == key).due_at


def test_news_of_the_night_wait_for_the_morning(desk: Desk) -> None:
    ticket = desk.report("W02", now=at("20:00"))
    verbs.accept(desk.session, ticket, desk.handler(ticket), at("23:00"))
    assert due(desk, "王芳", "accepted") == at("08:30", 13)


def test_an_emergency_keeps_no_hours(desk: Desk) -> None:
    ticket = desk.report("W01", now=at("23:00"))
    verbs.accept(desk.session, ticket, desk.handler(ticket), at("23:05"))
    assert due(desk, "王芳", "accepted") == at("23:05")


def test_whoever_has_just_written_is_answered(desk: Desk) -> None:
    desk.chat("王芳").last_inbound_at = at("22:50")
    ticket = desk.report("W02", now=at("22:50"))
    verbs.accept(desk.session, ticket, desk.handler(ticket), at("23:00"))
    assert due(desk, "王芳", "accepted") == at("23:00")


def test_a_visit_that_is_under_way_is_told_at_once(desk: Desk) -> None:
    ticket = desk.accepted("W04", now=at("20:00"))
    verbs.set_out(desk.session, ticket, desk.handler(ticket), at("21:40"))
    assert due(desk, "王芳", "on_the_way") == at("21:40")


def test_what_would_come_too_late_in_the_morning_is_said_now(desk: Desk) -> None:
    ticket = desk.report("W02", now=at("20:00"), wanted_label="今天晚上", wanted_start_at=at("21:30"))
    verbs.accept(desk.session, ticket, desk.handler(ticket), at("20:45"))
    assert due(desk, "王芳", "accepted") == at("20:45")


def test_acceptance_may_be_asked_later_than_other_things(desk: Desk) -> None:
    for finished, asked in ((at("21:00"), at("21:00")), (at("22:00"), at("08:30", 13))):
        ticket = desk.done("W02", now=finished)
        row = next(row for row in desk.pushes("王芳", ticket=ticket) if key_of(row) == "acceptance")
        assert row.due_at == asked


def off_at_night(desk: Desk, name: str) -> None:
    for shift in desk.staff(name).shifts:
        shift.start_minute, shift.end_minute = 510, 1080
    desk.session.flush()


def test_colleagues_off_duty_hear_only_of_dangers(desk: Desk) -> None:
    off_at_night(desk, "李工")
    desk.staff("王师傅").active = False
    desk.report("W02", now=at("19:00"))
    assert due(desk, "李工", "nobody") == at("08:30", 13)
    desk.report("W01", now=at("19:00"))
    assert [row.due_at for row in desk.pushes("李工") if key_of(row) == "nobody"][-1] == at("19:00")


def test_a_colleague_off_duty_who_writes_is_answered(desk: Desk) -> None:
    off_at_night(desk, "李工")
    desk.chat("李工").last_inbound_at = at("18:55")
    desk.staff("王师傅").active = False
    desk.report("W02", now=at("19:00"))
    assert due(desk, "李工", "nobody") == at("19:00")


def test_a_card_goes_to_whom_a_leader_named_whenever_it_is(desk: Desk) -> None:
    off_at_night(desk, "王师傅")
    ticket = desk.report("W04", now=at("19:00"))
    verbs.assign(desk.session, ticket, desk.staff("王师傅"), desk.actor("李工"), at("19:05"), reason="只有他会")
    assert due(desk, "王师傅", "card") == at("19:05")


def test_nobody_is_thrown_together_with_a_chat_of_another_channel(desk: Desk) -> None:
    """Awake is who wrote in the chat the push goes to."""
    identity = Identity(channel="telegram", external_id="77", resident=desk.resident("王芳"))
    desk.session.add(Conversation(channel="telegram", chat_id="77", identity=identity, last_inbound_at=NOW))
    desk.session.flush()
    ticket = desk.report("W02", now=NOW + timedelta(hours=10), conversation=None)
    verbs.accept(desk.session, ticket, desk.handler(ticket), at("23:00"))
    assert due(desk, "王芳", "accepted") == at("08:30", 13)
