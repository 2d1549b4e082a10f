"""The second net hangs under every action: a message whose danger no word gave away is asked about whatever the model took it for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from deskhelp import NOW
from deskhelp import Desk as Community
from sqlalchemy import select

from actions.complaint import OpenComplaint, ValidateComplaintForm
from actions.context import Desk, DeskAction
from actions.repair import ValidateRepairForm
from actions.service import Chitchat
from storage.models import OpenQuestion, Ticket
from tickets.texts import say

WORDS = "我站窗台上了 下面的车好小"


def turn(desk: Community, action: DeskAction, dangers: dict[str, float], by: str = "王芳") -> tuple[Desk, list[Any]]:
    ranked = [{"name": name, "confidence": chance} for name, chance in dangers.items()]
    message: dict[str, Any] = {"intent": {"name": "chitchat", "confidence": 0.9}, "dangers": ranked}
    found = Desk(desk.session, desk.chat(by), desk.actor(by), NOW, "web:1", WORDS, message)
    tracker = SimpleNamespace(get_slot=lambda _name: None)
    return found, action._guarded(found, tracker)  # type: ignore[arg-type]


def asked(desk: Community) -> list[str]:
    return list(desk.session.scalars(select(OpenQuestion.kind)))


@pytest.mark.parametrize("action", [Chitchat, ValidateComplaintForm, ValidateRepairForm])
def test_a_doubt_is_asked_about_instead_of_an_answer(desk: Community, action: type[DeskAction]) -> None:
    found, events = turn(desk, action(), {"SELF": 0.2, "FALL": 0.05})
    assert found.handled
    assert not found.answers
    assert asked(desk) == ["safety"]
    assert all(event["name"] != "requested_slot" or event["value"] is None for event in events), "no form asks on"


def test_the_form_that_gave_way_opens_nothing(desk: Community) -> None:
    turn(desk, ValidateComplaintForm(), {"SELF": 0.2})
    found, _ = turn(desk, OpenComplaint(), {"SELF": 0.2})
    assert not found.answers
    assert desk.session.scalars(select(Ticket)).all() == []


def test_a_sure_fear_is_an_alarm(desk: Community) -> None:
    turn(desk, Chitchat(), {"SELF": 0.7})
    [ticket] = desk.session.scalars(select(Ticket))
    assert (ticket.code, ticket.level, ticket.symptom) == ("M03", "U0", WORDS)
    # Plumbers and electricians, who learn of every other danger, hear nothing of it.
    told = [desk.staff(name) for name in desk.told() if name != "王芳"]
    assert told and all(one.role == "manager" or one.department in ("security", "desk") for one in told)


def test_small_talk_and_colleagues_are_answered(desk: Community) -> None:
    for dangers, by in (({"SELF": 0.02}, "王芳"), ({"SELF": 0.9}, "王师傅")):
        found, _ = turn(desk, Chitchat(), dangers, by)
        assert [text for text, _ in found.answers] == [say("reply.chitchat")]
    assert asked(desk) == []
