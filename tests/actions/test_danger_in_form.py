"""A fault whose category is itself a danger: the alarm before the form asks anything, or the next likely category where nobody
fears one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from actionhelp import hear
from deskhelp import NOW
from deskhelp import Desk as Community
from sqlalchemy import select

from actions.context import Desk
from actions.repair import OpenRepair, ValidateRepairForm
from nlu.emergency import of_category, playbook
from storage.models import Conversation, Identity, Ticket
from tickets import questions
from tickets.answering import Turn, try_answer
from tickets.catalog import categories
from tickets.urgency import is_danger

ASTHMA = "我爱人哮喘犯了药用完了"


def told(desk: Community, text: str, faults: dict[str, str], fear: float) -> Desk:
    """One message as the form and what follows it take it; `faults`: words and category."""
    clauses = [{"text": words, "category": code, "confidence": 0.9} for words, code in faults.items()]
    message: dict[str, Any] = {
        "intent": {"name": "report_repair", "confidence": 0.9},
        "faults": clauses,
        "category_ranking": [{"name": code, "confidence": 0.4} for code in (*faults.values(), "T01", "E09", "S06")],
        "dangers": [{"name": "MED", "confidence": fear}],
    }
    tracker = SimpleNamespace(get_slot=lambda _name: None)
    for action in (ValidateRepairForm(), OpenRepair()):
        found = Desk(desk.session, desk.chat("王芳"), desk.actor("王芳"), NOW, "web:1", text, message)
        action.act(found, tracker)  # type: ignore[arg-type]
    return found


def tickets(desk: Community) -> list[tuple[str, str]]:
    return [(one.code, one.level) for one in desk.session.scalars(select(Ticket).order_by(Ticket.id))]


def test_it_is_an_alarm_with_its_advice(desk: Community) -> None:
    """Also where the safety question was passed over, which is then answered by itself."""
    resident = desk.resident("王芳")
    questions.ask(desk.session, resident, "safety", NOW, danger="MED", code="M01", level="U0", text=ASTHMA)
    found = told(desk, f"{ASTHMA}，3栋2单元1502", {ASTHMA: "M01"}, 0.5)
    assert tickets(desk) == [("M01", "U0")]
    assert found.handled and not found.answers
    texts = [row.text for row in desk.fresh("王芳")]
    assert playbook("MED").advice(ASTHMA, place_known=True, duty_phone=desk.community.settings["duty_phone"]) in texts
    assert {one.kind for one in questions.waiting(desk.session, resident, NOW)} >= {"emergency"}
    assert not [one for one in questions.waiting(desk.session, resident, NOW) if one.kind == "safety"]


def test_what_is_told_beside_it_is_registered_without_a_question(desk: Community) -> None:
    told(desk, f"{ASTHMA}，还有楼道灯坏了", {ASTHMA: "M01", "楼道灯坏了": "E07"}, 0.5)
    assert tickets(desk) == [("M01", "U0"), ("E07", "U3")]


def test_where_nobody_fears_it_the_next_likely_category_stands(desk: Community) -> None:
    told(desk, "坡道扶手松脱，推婴儿车差点翻，3栋门口", {"坡道扶手松脱，推婴儿车差点翻，3栋门口": "M01"}, 0.001)
    assert [code for code, _ in tickets(desk)] == ["S06"]


def test_every_category_that_is_a_danger_has_its_playbook() -> None:
    grave = [code for code in categories() if is_danger(code)]
    assert grave
    for code in grave:
        found = of_category(code, ASTHMA)
        assert found is not None and found.level == "U0", code
        assert playbook(found.kind).lines


@pytest.mark.parametrize(
    ("code", "first", "then", "alarm"),
    [
        ("D03", "门打不开 钥匙转不动", "我在外面 孩子在里面睡着呢", True),
        ("D01", "忘带钥匙了", "锅里还煮着东西", True),
        ("D01", "忘带钥匙了", "没有老人孩子 火关了", False),
        ("D03", "门锁有点松", "家里有老人", False),
    ],
)
def test_who_is_behind_the_door_makes_it_a_danger(
    desk: Community, code: str, first: str, then: str, alarm: bool
) -> None:
    stranger = desk.stranger("路人")
    desk.session.add(
        Conversation(
            channel="web",
            chat_id="who",
            identity=Identity(channel="web", external_id="who", resident=stranger.resident),
        )
    )
    hear(desk, first, "report_repair", ValidateRepairForm(), by="路人", category=code, faults={first: code})
    hear(desk, then, "inform", ValidateRepairForm(), by="路人")
    assert ("D02" in [one for one, _ in tickets(desk)]) is alarm


def test_the_answer_about_who_is_behind_the_door(desk: Community) -> None:
    ticket = desk.report("D01", symptom="忘带钥匙了")
    questions.ask(desk.session, desk.resident("王芳"), "detail", NOW, ticket=ticket)
    turn = Turn(desk.session, desk.chat("王芳"), desk.actor("王芳"), "有个三岁的孩子在家", NOW, "web:2")
    assert try_answer(turn) is not None
    assert [one for one, _ in tickets(desk)] == ["D01", "D02"]


def test_a_broken_handle_beside_another_fault_is_that_of_a_door(desk: Community) -> None:
    """Of several faults the next likely category would be that of the others."""
    told(desk, "厨房水龙头滴水 顺便厕所门把手掉了", {"厨房水龙头滴水": "W02", "顺便厕所门把手掉了": "D02"}, 0.0)
    assert [code for code, _ in tickets(desk)] == ["W02", "D03"]
