"""A leave takes somebody off duty; what they have not taken goes to somebody else when it begins."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from deskhelp import NOW, Desk, at, key_of

from bot import commands
from storage.models import Ticket
from tickets import roster, verbs
from tickets.errors import BadInput, NotAllowed
from tickets.people import on_shift
from tickets.texts import say

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def leave(desk: Desk, start: datetime, end: datetime, *, by: str = "李工", now: datetime = NOW) -> roster.Handover:
    return roster.grant_leave(desk.session, desk.staff("王师傅"), start, end, "病假", desk.actor(by), now)


def test_on_leave_there_are_no_offers(desk: Desk) -> None:
    helper = desk.worker("钱师傅", ["plumber"])
    leave(desk, at("00:00"), at("00:00", 13))
    assert desk.report("W02").handler == helper
    assert desk.report("W02", by="李强", place_key="P1/4/1/302", now=at("09:00", 13)).handler == desk.staff("王师傅")


def test_what_was_not_taken_goes_on_when_the_leave_begins(desk: Desk) -> None:
    taken = desk.accepted("W02")
    verbs.arrive(desk.session, taken, desk.handler(taken), NOW)
    offered = desk.report("W04", by="李强", place_key="P1/4/1/302")
    helper = desk.worker("钱师傅", ["plumber"])
    assert leave(desk, at("09:05"), at("00:00", 13)) == roster.Handover(kept=(taken,), offered=(offered,))
    desk.sweep(at("09:01"))
    assert offered.handler == desk.staff("王师傅")
    desk.sweep(at("09:05"))
    assert offered.handler == helper
    assert any(row.dedupe_key.startswith("leave:") for row in desk.pushes("王师傅"))
    assert not [row for row in desk.pushes() if key_of(row) == "refused_twice"]


@pytest.mark.parametrize("who", ["王师傅", "客服小周", "王芳"])
def test_only_leaders_grant_it(desk: Desk, who: str) -> None:
    with pytest.raises(NotAllowed):
        leave(desk, at("00:00"), at("00:00", 13), by=who)


def test_not_for_the_past(desk: Desk) -> None:
    with pytest.raises(BadInput):
        leave(desk, NOW - timedelta(days=2), NOW - timedelta(days=1))


@pytest.mark.parametrize(
    ("words", "away", "back"),
    [
        ("王师傅请假 明天", at("12:00", 13), at("00:00", 14)),
        ("王师傅请假 6月13日到6月15日", at("23:00", 15), at("00:00", 16)),
        ("王师傅请假 明天下午", at("15:00", 13), at("09:00", 13)),
    ],
)
def test_a_leader_says_it_in_a_sentence(desk: Desk, words: str, away: datetime, back: datetime) -> None:
    command = commands.parse(words, "supervisor")
    assert command is not None
    chief = desk.staff("李工")
    context = commands.Context(desk.session, desk.chat("李工"), desk.actor("李工"), chief, NOW, "k")
    reply = commands.RUNNERS[command.name](context, command)
    assert "王师傅" in reply.text
    assert not on_shift(desk.staff("王师傅"), away)
    assert on_shift(desk.staff("王师傅"), back)


def test_without_a_time_it_is_asked_for(desk: Desk) -> None:
    command = commands.parse("王师傅请假", "supervisor")
    assert command is not None
    context = commands.Context(desk.session, desk.chat("李工"), desk.actor("李工"), desk.staff("李工"), NOW, "k")
    assert "请写清时间" in commands.RUNNERS[command.name](context, command).text
    assert desk.staff("王师傅").leaves == []


def test_a_transfer_is_still_possible(desk: Desk) -> None:
    helper = desk.worker("钱师傅", ["plumber"])
    taken = desk.accepted("W02")
    leave(desk, at("10:00"), at("00:00", 13))
    verbs.assign(desk.session, taken, helper, desk.actor("李工"), at("09:10"))
    assert taken.handler == helper


def fixed(desk: Desk, start: datetime, end: datetime) -> Ticket:
    """A job of 王师傅 with an appointment."""
    ticket = desk.accepted("W02")
    verbs.propose_appointment(desk.session, ticket, desk.handler(ticket), start, end, NOW)
    desk.seen()
    return ticket


def test_what_falls_into_the_leave_goes_to_a_colleague_at_the_agreed_time(desk: Desk) -> None:
    ticket = fixed(desk, at("10:00", 13), at("11:00", 13))
    helper = desk.worker("钱师傅", ["plumber"])
    found = leave(desk, at("00:00", 13), at("00:00", 14))
    assert found == roster.Handover(moved=(ticket,))
    assert (ticket.handler, ticket.status, ticket.appointment_start_at) == (helper, "assigned", at("10:00", 13))
    assert "王师傅请假" in desk.history(ticket, "reassign")[0].note
    # The resident hears nothing: nothing has moved for her.
    assert desk.told() == {"钱师傅": ["card"], "王师傅": [""]}
    assert ticket.tail in desk.fresh("王师傅")[0].text


def test_what_is_due_before_or_after_stays(desk: Desk) -> None:
    ticket = fixed(desk, at("10:00", 16), at("11:00", 16))
    desk.worker("钱师傅", ["plumber"])
    assert leave(desk, at("00:00", 13), at("00:00", 14)) == roster.Handover(kept=(ticket,))
    assert ticket.handler == desk.staff("王师傅")


def test_work_begun_stays_and_what_nobody_else_can_take_is_named(desk: Desk) -> None:
    ticket = fixed(desk, at("10:00", 13), at("11:00", 13))
    assert leave(desk, at("00:00", 13), at("00:00", 14)) == roster.Handover(kept=(ticket,), nobody=(ticket,))
    assert ticket.handler == desk.staff("王师傅")


def test_nobody_is_offered_an_appointment_of_his_leave(desk: Desk) -> None:
    leave(desk, at("00:00", 13), at("00:00", 14))
    helper = desk.worker("钱师傅", ["plumber"])
    fields = {"by": "李强", "place_key": "P1/4/1/302"}
    wanted = {"wanted_label": "明天上午", "wanted_start_at": at("08:30", 13), "wanted_end_at": at("12:00", 13)}
    assert desk.report("W02", **fields, **wanted).handler == helper


def test_the_leader_reads_which_job_went_to_whom(desk: Desk) -> None:
    ticket = fixed(desk, at("10:00", 13), at("11:00", 13))
    desk.worker("钱师傅", ["plumber"])
    command = commands.parse("王师傅请假 明天", "supervisor")
    assert command is not None
    context = commands.Context(desk.session, desk.chat("李工"), desk.actor("李工"), desk.staff("李工"), NOW, "k")
    text = commands.RUNNERS[command.name](context, command).text
    assert "已转派1单" in text
    assert f"{ticket.tail} " in text and "→ 钱师傅" in text


def test_the_leader_reads_what_goes_on_by_itself(desk: Desk) -> None:
    offered = desk.report("W02")
    command = commands.parse("王师傅请假 今天", "supervisor")
    assert command is not None
    context = commands.Context(desk.session, desk.chat("李工"), desk.actor("李工"), desk.staff("李工"), NOW, "k")
    assert say("staff.leave_offered", numbers=offered.tail) in commands.RUNNERS[command.name](context, command).text
