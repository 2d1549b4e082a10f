"""Which words of one message are one matter and which are several, and which floor of a building without units is meant."""

from __future__ import annotations

import pytest
from deskhelp import NOW, Desk
from sqlalchemy import select

from nlu.emergency import detect
from storage.models import Ticket
from tickets import emergencies
from tickets.urgency import facts_in
from tickets.words import listed_faults, same_water


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("洗衣机管子冒水", "地漏咕噜咕噜"),
        ("洗衣机排水管漏水", "地漏往上返水"),
        ("水槽往外溢水", "下水道堵了"),
        ("水龙头滴水", "水池积水"),
        ("厨房水管漏水", "结果柜子里全是水"),
        ("马桶水箱漏水", "地上都是水"),
    ],
)
def test_the_same_water(first: str, second: str) -> None:
    assert same_water(first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("马桶堵了", "还有灯不亮"),
        ("洗衣机管子冒水", "还有地漏堵了"),
        ("厨房水龙头滴水", "卫生间地漏返水"),
        ("水龙头滴水", "地漏堵了"),
        ("水龙头滴水", "马桶也漏水"),
        ("热水器不打火", "马桶堵了"),
        ("水龙头滴水", "楼道地上都是水"),
    ],
)
def test_water_apart(first: str, second: str) -> None:
    assert not same_water(first, second)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("水龙头滴水、灯闪、门锁卡", ["W02", "E04", "D03"]),
        ("3栋2单元1203马桶堵、窗户关不严", ["W04", "D04"]),
        ("客厅、卧室灯不亮", []),
        ("主卧灯、次卧灯不亮", []),
        ("水龙头滴水，灯闪", []),
        ("灯闪", []),
        ("大门、单元门都关不上", []),
    ],
)
def test_a_list(text: str, codes: list[str]) -> None:
    assert [code for _, code in listed_faults(text)] == codes


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("马桶堵了 还有灯不亮", False),
        ("水龙头漏水 还有插座没电", False),
        ("漏水 旁边有插座", True),
        ("漏水，下面还有插座", True),
        ("水漏到灯上了", True),
    ],
)
def test_a_lamp_told_beside_is_not_near_the_water(text: str, near: bool) -> None:
    assert facts_in(text, NOW).get("near_socket", False) is near


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("5栋16楼着火了", ("P1/5/-/F16", "一期5栋16层")),
        ("5栋十六楼那户冒黑烟", ("P1/5/-/F16", "一期5栋16层")),
        ("6栋1单元9楼着火了", ("P1/6/1/F9", "一期6栋1单元9层")),
        ("5栋1单元1104着火了", ("P1/5/-/1104", "一期5栋1104室")),
    ],
)
def test_a_danger_on_a_floor_is_looked_for_there(desk: Desk, text: str, place: tuple[str, str]) -> None:
    found = detect(text)
    assert found is not None
    emergencies.screen(desk.session, desk.chat("王芳"), desk.stranger(), found, text, "web:1", NOW)
    ticket = desk.session.scalars(select(Ticket)).one()
    assert (ticket.place_key, ticket.place_text) == place
