"""The class of a repair by what is said of it (domain.md §3.5)."""

from __future__ import annotations

import pytest
from deskhelp import NOW

from tickets.urgency import facts_in, level_for
from tickets.words import says_urgent


@pytest.mark.parametrize(
    ("code", "text", "level"),
    [
        ("W02", "厨房龙头滴水", "U3"),
        ("W02", "龙头关不严，滴滴答答的，哪天来都行", "U3"),
        ("W02", "角阀关不死，水越滴越快", "U2"),
        ("W02", "水龙头关不上，哗哗往外流", "U2"),
        ("W02", "洗衣机龙头接口渗水，垫了块抹布", "U3"),
        ("W02", "水滴到插座上了", "U0"),
        ("W04", "洗衣机里的水排不下去", "U2"),
        ("E02", "没冒烟没糊味，就是整屋没电", "U2"),
        ("E02", "没电了，电箱有糊味", "U0"),
        ("E04", "灯不亮 急急急", "U2"),
        ("W02", "小孩把龙头拧松了", "U2"),
        ("W02", "小孩把龙头拧松了一直流 不急周末都行", "U2"),
        ("W07", "孕妇在家没水 不急", "U3"),
        ("H02", "我八十多了一个人住 屋里一点不热乎", "U1"),
        ("W02", "家里就老母亲一人，卫生间龙头漏水", "U2"),
        ("W02", "来之前打电话 家里有宝宝别按门铃 龙头滴水", "U3"),
        ("W01", "洗衣机龙头一拧就喷 刚拧紧了现在好了", "U2"),
        ("W01", "水管爆了 总阀关了还在流", "U1"),
        ("G02", "天然气没有了，邻居也打不着", "U2"),
        ("H02", "暖气一点儿不热乎，俺都七十六了", "U1"),
        ("W02", "修一次收了我八十了 龙头还是滴", "U3"),
    ],
)
def test_what_is_said_moves_the_class(code: str, text: str, level: str) -> None:
    assert level_for(code, facts_in(text, NOW), urgent_said="急" in text) == level


@pytest.mark.parametrize(
    ("text", "urgent"),
    [
        ("楼道灯坏了 很急", True),
        ("着急用水", True),
        ("不急，有空来换", False),
        ("不着急的", False),
        ("应急灯不亮", False),
        ("紧急出口的灯灭了", False),
        ("紧急！水漫到走廊了", True),
    ],
)
def test_who_is_in_a_hurry(text: str, urgent: bool) -> None:
    assert says_urgent(text) is urgent
