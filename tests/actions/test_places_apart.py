"""Each matter of a message is where its own words say; what stood in it is not asked again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from deskhelp import NOW
from deskhelp import Desk as Community
from sqlalchemy import select

from actions.changes import Deny
from actions.complaint import OpenComplaint, ValidateComplaintForm
from actions.context import Desk
from actions.repair import AskLocation, OpenRepair, ValidateRepairForm
from storage.models import Ticket
from tickets.people import Actor


class Stranger:
    """Somebody whose home is not known, talking to the desk."""

    def __init__(self, desk: Community) -> None:
        self.desk, self.chat = desk, desk.chat("王芳")
        self.actor: Actor = desk.stranger()
        self.count = 0

    def says(self, text: str, intent: str, *actions: Any, **read: Any) -> list[str]:
        """The answers of these actions; `faults` and `complaints`: words and category of each."""
        self.count += 1
        message: dict[str, Any] = {"intent": {"name": intent, "confidence": 0.9}, "grievance": read.get("grievance")}
        for name in ("faults", "complaints"):
            told = read.get(name, {}).items()
            message[name] = [{"text": words, "category": code, "confidence": 0.9} for words, code in told]
        code = read.get("category", "")
        message["entities"] = [{"entity": "category", "value": code}] if code else []
        tracker: Any = SimpleNamespace(get_slot=lambda _name: None, active_loop=None)
        heard = Desk(self.desk.session, self.chat, self.actor, NOW, f"web:{self.count}", text, message)
        for action in actions:
            action.act(heard, tracker)
        return [words for words, *_ in heard.answers]

    def told(self) -> list[Ticket]:
        """What this person has told."""
        assert self.actor.resident
        own = select(Ticket).where(Ticket.reporter_id == self.actor.resident.id).order_by(Ticket.id)
        return [one for one in self.desk.session.scalars(own) if one.kind in ("BX", "TS")]

    def tickets(self) -> dict[str, str]:
        """Category and place of each."""
        return {one.code: one.place_key for one in self.told()}


REPAIR = (ValidateRepairForm(), OpenRepair())
COMPLAINT = (ValidateComplaintForm(), OpenComplaint())


@pytest.fixture
def stranger(desk: Community) -> Stranger:
    return Stranger(desk)


def test_a_complaint_and_a_fault_each_have_their_place(stranger: Stranger) -> None:
    text = "我要投诉 楼道里堆满杂物没人管，我家3栋2单元1203水龙头也滴水，赶紧来"
    faults = {"我家3栋2单元1203水龙头也滴水": "W02"}
    stranger.says(text, "file_complaint", *COMPLAINT, *REPAIR, faults=faults, category="T12")
    places = stranger.tickets()
    assert places["W02"] == "P1/3/2/1203"
    assert places["T12"].startswith("PUB:P1/3/2/F12/楼道")


def test_what_was_told_before_the_last_answer_is_not_asked_again(stranger: Stranger) -> None:
    faults = {"我家4栋1单元602马桶堵了": "W04"}
    stranger.says(
        "楼上蹦 我家4栋1单元602马桶堵了", "file_complaint", ValidateComplaintForm(), faults=faults, category="T09"
    )
    answers = stranger.says("半夜一两点", "inform", *COMPLAINT, *REPAIR)
    assert stranger.tickets() == {"T09": "P1/4/1/602", "W04": "P1/4/1/602"}
    assert not any("几栋" in one for one in answers)


def test_the_building_asked_for_the_fault_is_that_of_the_complaint_too(stranger: Stranger) -> None:
    text = "楼上天天闹得人睡不着觉，说了多少次了，我家1203马桶也堵了"
    first = (*COMPLAINT, ValidateRepairForm(), AskLocation())
    stranger.says(text, "file_complaint", *first, faults={"我家1203马桶也堵了": "W04"}, category="T09")
    stranger.says("3栋2单元", "inform", *REPAIR)
    assert stranger.tickets() == {"T09": "P1/3/2/1203", "W04": "P1/3/2/1203"}


def test_a_complaint_beside_a_fault_is_where_it_says(stranger: Stranger) -> None:
    text, beside = "3栋2单元1203马桶堵了，楼道里堆满杂物也没人管", "楼道里堆满杂物也没人管"
    stranger.says(text, "report_repair", *REPAIR, faults={text: "W04"}, complaints={beside: "T12"})
    assert stranger.tickets() == {"W04": "P1/3/2/1203", "T12": "PUB:P1/3/2/F12/楼道"}


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("电梯坏了 我家3栋2单元1203", "L03", "PUB:P1/3/2/-/电梯"),
        ("走廊都听得见 我家3栋2单元1203水管响", "W02", "P1/3/2/1203"),
        ("7栋东边那棵大樟树枝要断了", "V02", "PUB:P1/7/-/-/东边"),
        ("5栋1单元1104马桶堵了", "W04", "P1/5/-/1104"),
    ],
)
def test_of_a_home_and_a_shared_place_the_one_where_it_can_be(
    stranger: Stranger, text: str, code: str, place: str
) -> None:
    stranger.says(text, "report_repair", *REPAIR, faults={text: code})
    assert stranger.tickets() == {code: place}


def test_a_side_of_a_building_is_no_flat_for_what_stands_outside(stranger: Stranger) -> None:
    stranger.says("那棵树枝太密了", "report_repair", ValidateRepairForm(), faults={"那棵树枝太密了": "V02"})
    stranger.says("7栋东边", "inform", *REPAIR)
    assert stranger.tickets() == {"V02": "PUB:P1/7/-/-/东边"}


def test_where_a_reporter_lives_does_not_move_the_tree(stranger: Stranger) -> None:
    told = {"7栋东边的树枝太密了": "V02", "还有水龙头滴水": "W02"}
    stranger.says("7栋东边的树枝太密了 还有水龙头滴水", "report_repair", ValidateRepairForm(), faults=told)
    stranger.says("7栋2单元402", "inform", *REPAIR)
    assert stranger.tickets() == {"V02": "PUB:P1/7/-/-/东边", "W02": "P1/7/2/402"}


def test_a_tap_told_before_is_not_in_the_corridor_told_after(stranger: Stranger) -> None:
    stranger.says("厨房水龙头滴水", "report_repair", ValidateRepairForm(), faults={"厨房水龙头滴水": "W02"})
    stranger.says("还有楼道灯不亮", "report_repair", ValidateRepairForm(), faults={"还有楼道灯不亮": "E07"})
    stranger.says("4栋1单元602", "inform", *REPAIR)
    assert stranger.tickets() == {"W02": "P1/4/1/602", "E07": "PUB:P1/4/1/F6/楼道"}


def test_not_there_but_at_my_home(desk: Community) -> None:
    resident = Stranger(desk)
    resident.actor = desk.actor("王芳")
    resident.says("单元门口的灯坏了", "report_repair", *REPAIR, faults={"单元门口的灯坏了": "E07"})
    assert resident.tickets()["E07"] == "PUB:P1/3/2/F1/单元门口"
    resident.says("不是那边 是我家", "deny", Deny())
    assert resident.tickets()["E07"] == "P1/3/2/1502"


def test_another_household_is_asked_for_and_is_not_the_own_home(desk: Community) -> None:
    resident = Stranger(desk)
    resident.actor = desk.actor("王芳")
    form = (ValidateRepairForm(), AskLocation())
    answers = resident.says("我妈家马桶堵了", "report_repair", *form, faults={"我妈家马桶堵了": "W04"})
    assert answers[0].startswith("请问那一家是几栋几单元几室？")
    assert resident.says("就那里", "inform", *form)
    resident.says("4栋1单元602", "inform", *REPAIR)
    assert resident.tickets()["W04"] == "P1/4/1/602"


def test_water_told_twice_is_one_matter(stranger: Stranger) -> None:
    text, faults = "3栋1单元1004洗衣机管子冒水 地漏咕噜咕噜", {"洗衣机管子冒水": "W02", "地漏咕噜咕噜": "W04"}
    stranger.says(text, "report_repair", *REPAIR, faults=faults)
    assert stranger.tickets() == {"W04": "P1/3/1/1004"}


def test_two_matters_stay_two(stranger: Stranger) -> None:
    text, faults = "3栋1单元1004马桶堵了 还有灯不亮", {"3栋1单元1004马桶堵了": "W04", "还有灯不亮": "E04"}
    stranger.says(text, "report_repair", *REPAIR, faults=faults)
    assert stranger.tickets() == {"W04": "P1/3/1/1004", "E04": "P1/3/1/1004"}
    assert {one.code: one.level for one in stranger.told()}["W04"] == "U2"


def test_a_list_is_a_matter_each(stranger: Stranger) -> None:
    text, faults = "6栋1单元903 水龙头滴水、灯闪、门锁卡", {"6栋1单元903 水龙头滴水、灯闪": "W02", "门锁卡": "D03"}
    stranger.says(text, "report_repair", *REPAIR, faults=faults)
    assert stranger.tickets() == dict.fromkeys(("W02", "E04", "D03"), "P1/6/1/903")
