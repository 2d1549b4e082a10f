"""Where a fault of what everybody shares is, when its sender names no place."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from deskhelp import NOW
from deskhelp import Desk as Community

from actions import drafts
from actions.context import Desk
from actions.repair import place_question
from tickets.catalog import categories


def fault_of(desk: Community, code: str, text: str) -> dict[str, Any]:
    """What the draft holds after a bound resident (一期3栋2单元1502室) has told one fault."""
    message = {
        "intent": {"name": "report_repair", "confidence": 0.9},
        "faults": [{"text": text, "category": code, "confidence": 0.9}],
    }
    told = Desk(desk.session, desk.chat("王芳"), desk.actor("王芳"), NOW, "web:1", text, message)
    draft = drafts.begin(told, "BX")
    drafts.merge_fault(told, draft)
    (fault,) = draft.data["faults"]
    return dict(fault)


@pytest.mark.parametrize(
    ("code", "text", "place"),
    [
        ("E07", "声控灯又不亮了", "一期3栋2单元15层·楼道"),
        ("L03", "又停了，下不去", "一期3栋2单元·电梯"),
        ("D06", "门关不上，风呼呼的", "一期3栋2单元(整单元)"),
        ("K01", "健身器材又断了", "健身区"),
        # Many homes may have it, and it shows in this one.
        ("W05", "地漏往外冒脏水", "一期3栋2单元1502室"),
        ("E04", "灯不亮", "一期3栋2单元1502室"),
    ],
)
def test_near_the_home_of_who_tells_it(desk: Community, code: str, text: str, place: str) -> None:
    fault = fault_of(desk, code, text)
    assert (fault["place_text"], fault["settled"], fault["public"]) == (place, True, "室" not in place)


@pytest.mark.parametrize(
    ("text", "code"), [("9楼电梯厅的灯不亮", "E07"), ("中心花园的灯不亮", "E08"), ("厨房灯不亮", "E04")]
)
def test_a_lamp_is_the_one_of_the_place_it_hangs_in(desk: Community, text: str, code: str) -> None:
    assert fault_of(desk, "E04", text)["code"] == code


def test_what_may_be_anywhere_is_asked_about(desk: Community) -> None:
    fault = fault_of(desk, "V02", "树枝太密了，把光都挡了")
    assert not fault["settled"]
    assert place_question(fault) == "请问在小区哪个位置？说最近的楼栋或门就行，例如“5栋前面”。"


def test_a_building_is_enough_for_a_common_fault(desk: Community) -> None:
    fault = fault_of(desk, "V02", "5栋前面的树枝太密了")
    assert (fault["place_text"], fault["settled"]) == ("一期5栋·前面", True)


def test_a_public_trouble_that_shows_at_home_is_asked_where_one_lives() -> None:
    assert place_question({"code": "W10", "words": "我家水管的水有怪味"}) == "请问是几栋几单元几室？"
    assert place_question({"code": "W10", "words": "水发黄"}).startswith("请问在小区哪个位置？")


def test_what_may_be_in_two_units_stays_as_it_was_typed(desk: Community) -> None:
    fault = fault_of(desk, "E04", "1栋302的灯不亮")
    assert not fault["settled"]
    assert fault["options"]
    assert fault["place_text"] == "1栋302（还要确认）"


@pytest.mark.parametrize(
    ("minutes", "code", "place"), [(5, "D03", "一期1栋1单元101室"), (50, "D03", ""), (5, "V02", "")]
)
def test_a_stranger_is_in_the_flat_just_told(desk: Community, minutes: int, code: str, place: str) -> None:
    person = desk.stranger()
    desk.report(
        "W04", by=person, place_key="P1/1/1/101", place_text="一期1栋1单元101室", now=NOW - timedelta(minutes=minutes)
    )
    told = Desk(desk.session, desk.chat("王芳"), person, NOW, "web:1", "门吸也掉了", {})
    assert drafts.home_place(told, code).text == place


def test_every_zone_is_one_that_the_desk_knows() -> None:
    repairs = [one for code, one in categories().items() if code[0] not in "TQ"]
    assert {one.zone for one in repairs if one.trades} == {"common", "private", "judged"}
    assert {one.code for one in repairs if one.common} > {"E07", "L03", "K01"}
