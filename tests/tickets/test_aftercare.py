"""Callbacks on three times of day, referred matters, neighbours' reports nobody answered about."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from deskhelp import Desk, at

from storage.models import Ticket
from tickets import aftercare, finding, questions, verbs
from tickets.answering import Turn, try_answer

QUARTER = timedelta(minutes=15)


def asked(desk: Desk, ticket: Ticket, start: datetime, end: datetime) -> list[str]:
    """When callbacks were asked for, sweeping every quarter of an hour."""
    while start <= end:
        aftercare.sweep(desk.session, start)
        start += QUARTER
    return [f"{event.at.astimezone(start.tzinfo):%d %H:%M}" for event in desk.history(ticket, "callback_asked")]


def test_three_attempts_on_three_times_of_day_and_then_not_reached(desk: Desk) -> None:
    ticket = desk.done("W02", now=at("15:00"))
    verbs.accept_by_default(desk.session, ticket, at("15:00", 13))
    assert asked(desk, ticket, at("15:00", 13), at("23:00", 20)) == ["14 16:00", "15 10:00", "16 19:30"]
    assert len(desk.history(ticket, "callback_missed")) == 1
    assert (ticket.status, ticket.default_accepted, ticket.score_quality) == ("closed", True, None)


def test_who_is_not_reached_after_an_urgent_repair_is_telephoned(desk: Desk) -> None:
    ticket = desk.closed("W01", now=at("14:00"))
    assert asked(desk, ticket, at("14:00"), at("23:00", 16)) == ["13 10:00", "14 16:00", "15 19:30"]
    assert [key for keys in desk.told().values() for key in keys].count("callback_missed") == 1


def test_an_answer_ends_the_attempts(desk: Desk) -> None:
    ticket = desk.closed("W02", now=at("15:00"))
    aftercare.sweep(desk.session, at("16:00", 13))
    turn = Turn(desk.session, desk.chat("王芳"), desk.actor("王芳"), "好用", at("16:05", 13), "test:1")
    assert try_answer(turn) is not None
    assert ticket.callback_at is None
    assert asked(desk, ticket, at("17:00", 13), at("23:00", 20)) == ["13 16:00"]
    assert len(desk.history(ticket, "callback")) == 1


def test_still_leaking_days_later_is_the_next_round_of_the_same_ticket(desk: Desk) -> None:
    ticket = desk.done("W02", now=at("15:00"))
    verbs.accept_by_default(desk.session, ticket, at("15:00", 13))
    asked(desk, ticket, at("15:00", 13), at("20:00", 16))
    turn = Turn(desk.session, desk.chat("王芳"), desk.actor("王芳"), "其实还在漏", at("09:00", 18), "test:1")
    assert try_answer(turn) is not None
    assert (ticket.status, ticket.round, ticket.callback_at) == ("rework", 2, None)


def test_who_scored_with_words_is_not_asked_again(desk: Desk) -> None:
    ticket = desk.closed("W02", now=at("15:00"))
    verbs.rate(desk.session, ticket, desk.actor("王芳"), 5, 5, "修得很干净", at("15:05"))
    assert ticket.callback_at is None
    urgent = desk.closed("W01", now=at("15:00"))
    verbs.rate(desk.session, urgent, desk.actor("王芳"), 5, 5, "很快", at("15:05"))
    assert urgent.callback_at is not None


@pytest.mark.parametrize(("text", "settled"), [("解决了", True), ("还没解决", False)])
def test_the_day_after_a_referral(desk: Desk, text: str, settled: bool) -> None:
    ticket = desk.accepted("W09")
    unit = verbs.unit_named("自来水公司")
    assert unit is not None
    verbs.refer(desk.session, ticket, desk.actor("李工"), unit, "", at("10:00"))
    aftercare.sweep(desk.session, at("10:00", 13))
    desk.seen()
    turn = Turn(desk.session, desk.chat("王芳"), desk.actor("王芳"), text, at("11:00", 13), "test:1")
    assert try_answer(turn) is not None
    assert ticket.status == "referred"
    fresh = [one for one in finding.open_of(desk.session, desk.actor("王芳")) if one.linked_id == ticket.id]
    assert [one.kind for one in fresh] == ([] if settled else ["ZX"])
    assert all(one.handler and one.finish_by for one in fresh), "with a person and a promised time"


def test_silence_about_a_neighbours_report_is_noted_there(desk: Desk) -> None:
    lamp = desk.report("E07", place_key="PUB:P1/3/2/F15/楼道", public_area=True)
    neighbour = desk.resident("孙丽")
    told = {"code": "E07", "symptom": "灯不亮", "place_key": lamp.place_key, "place_text": "楼道", "source_key": "k"}
    told["conversation"] = desk.chat("孙丽").id  # type: ignore[assignment]
    questions.ask(desk.session, neighbour, "join", at("09:30"), ticket=lamp, remind_at=at("09:40"), **told)
    aftercare.sweep(desk.session, at("09:39"))
    assert verbs.count_of(desk.session, lamp) == 1
    desk.seen()
    aftercare.sweep(desk.session, at("09:40"))
    aftercare.sweep(desk.session, at("09:41"))
    assert verbs.count_of(desk.session, lamp) == 2
    assert len(desk.fresh("孙丽")) == 1


@pytest.mark.parametrize(("text", "tickets"), [("记上我", 1), ("可以", 1), ("不是同一个", 2), ("另外登记", 2)])
def test_yes_joins_and_no_makes_one_of_their_own(desk: Desk, text: str, tickets: int) -> None:
    from sqlalchemy import func, select

    lamp = desk.report("E07", place_key="PUB:P1/3/2/F15/楼道", public_area=True)
    told = {"code": "E07", "symptom": "灯不亮", "place_key": lamp.place_key, "place_text": "楼道", "source_key": "k"}
    told["conversation"] = desk.chat("孙丽").id  # type: ignore[assignment]
    questions.ask(desk.session, desk.resident("孙丽"), "join", at("09:30"), ticket=lamp, **told)
    turn = Turn(desk.session, desk.chat("孙丽"), desk.actor("孙丽"), text, at("09:31"), "test:1")
    assert try_answer(turn) is not None
    assert desk.session.scalar(select(func.count()).select_from(Ticket)) == tickets
    assert verbs.count_of(desk.session, lamp) == 3 - tickets
