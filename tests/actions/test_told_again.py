"""A public fault that its reporter tells a second time is one ticket; another lamp, another stairs, another day are not."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from actionhelp import hear
from deskhelp import NOW, at
from deskhelp import Desk as Community
from sqlalchemy import func, select

from actions.context import Desk
from actions.repair import OpenRepair, ValidateRepairForm, _told_again
from storage.models import Ticket, TicketEvent

LIFT, LAMP = "PUB:P1/3/2/-/LIFT", "PUB:P1/3/2/11/STAIRS"


def again(desk: Community, code: str, key: str, now: datetime, by: str = "王芳") -> list[str]:
    """The numbers of the tickets that the words went to, and that they stand in its history."""
    message: dict[str, Any] = {"intent": {"name": "report_repair", "confidence": 0.9}}
    found = Desk(desk.session, desk.chat(by), desk.actor(by), now, "web:2", "光说来了来了", message)
    ticket = _told_again(found, {"code": code, "place_key": key, "words": found.text})
    if ticket is None:
        return []
    assert [text for text, _ in found.answers if ticket.ticket_no in text]
    query = select(TicketEvent.note).where(TicketEvent.ticket_id == ticket.id)
    assert found.text in list(desk.session.scalars(query))
    return [ticket.ticket_no]


def test_the_same_lift_on_another_floor_is_the_same(desk: Community) -> None:
    ticket = desk.report("L03", place_key=LIFT, public_area=True)
    assert again(desk, "L03", "PUB:P1/3/2/11/LIFT", at("09:05")) == [ticket.ticket_no]


@pytest.mark.parametrize(
    ("code", "key", "now"),
    [
        ("L03", "PUB:P1/3/1/-/LIFT", at("09:05")),
        ("L04", LIFT, at("09:05")),
        ("L03", LIFT, at("11:30")),
    ],
)
def test_another_lift_fault_or_time_is_not(desk: Community, code: str, key: str, now: datetime) -> None:
    desk.report("L03", place_key=LIFT, public_area=True)
    assert again(desk, code, key, now) == []


def test_a_lamp_is_the_same_on_its_own_floor_only(desk: Community) -> None:
    ticket = desk.report("E07", place_key=LAMP, public_area=True)
    assert again(desk, "E07", LAMP, at("09:05")) == [ticket.ticket_no]
    assert again(desk, "E07", "PUB:P1/3/2/8/STAIRS", at("09:05")) == []


@pytest.mark.parametrize(
    ("words", "code", "same"),
    [
        ("马桶还是堵的 水快漫出来了", "W05", True),
        ("主卫马桶又堵了", "W05", False),
        ("马桶也堵了", "W04", False),
        ("水龙头滴水", "W02", False),
        ("马桶圈断了要换", "Z01", False),
    ],
)
def test_the_same_thing_at_home_is_one_ticket(desk: Community, words: str, code: str, same: bool) -> None:
    ticket = desk.report("W04", symptom="马桶堵了")
    ticket.created_at = NOW - timedelta(minutes=30)
    hear(desk, words, "report_repair", ValidateRepairForm(), OpenRepair(), category=code)
    assert desk.session.scalar(select(func.count(Ticket.id))) == (1 if same else 2)


def test_what_one_message_tells_twice_and_what_colleagues_tell_is_kept_apart(desk: Community) -> None:
    desk.report("E07", place_key=LAMP, public_area=True, source_key="web:2:0")
    assert again(desk, "E07", LAMP, NOW) == []
    assert again(desk, "E07", LAMP, at("09:05"), by="王师傅") == []


@pytest.mark.parametrize(("minutes", "moved"), [(5, True), (50, False)])
def test_where_it_is_told_behind_is_no_second_fault(desk: Community, minutes: int, moved: bool) -> None:
    charger = desk.report("E10", place_key="", place_text="充电桩", public_area=True, symptom="充电桩插上去不走字")
    charger.created_at = NOW - timedelta(minutes=minutes)
    hear(desk, "地库二号桩", "report_repair", ValidateRepairForm(), OpenRepair(), category="E10")
    assert ("地库" in charger.place_text, desk.session.scalar(select(func.count(Ticket.id)))) == (moved, 2 - moved)
