"""Times that belong to a telephone, a reproach or somebody at the door; and places that are not where the fault is."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml

from nlu.address import resolve
from nlu.answers import read_answer
from nlu.expected_time import format_window, parse_window
from nlu.register import Register

ROOT = Path(__file__).parents[2]
REGISTER = Register.from_spec(yaml.safe_load((ROOT / "data/demo/register.yml").read_text(encoding="utf-8")))
NOW = datetime(2025, 6, 12, 10, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
CASES = yaml.safe_load((Path(__file__).parent / "cases" / "said_at_the_door.yml").read_text(encoding="utf-8"))
TICKET = "P1/4/2/801"


@pytest.mark.parametrize(("text", "expected"), CASES["asked"], ids=[text for text, _ in CASES["asked"]])
def test_a_time_is_read_only_where_a_visit_is_meant(text: str, expected: str | None) -> None:
    window = parse_window(text, NOW, asked=True)
    assert (format_window(window, NOW) if window else None) == expected


@pytest.mark.parametrize(
    ("text", "draft", "key"),
    [
        # the home of somebody else, named to keep people away from it
        ("我写错了 是4栋1单元801 2单元是我姐家", TICKET, "P1/4/1/801"),
        ("4栋1单元801 别去2单元 那是我姐家", TICKET, "P1/4/1/801"),
        ("4栋1单元801 别去2单元", None, "P1/4/1/801"),
        ("只有1单元 别去我姐家敲门", TICKET, "P1/4/1/801"),
        ("别去1502了 人不在", None, "not an address"),
        # whose home it is, where it is the place itself
        ("3栋2单元1502是我妈家 马桶堵了", None, "P1/3/2/1502"),
        ("我姐家马桶堵了 在3栋2单元1502", None, "P1/3/2/1502"),
        ("不用来了 3栋2单元1502", None, "P1/3/2/1502"),
        # before the door, and the door itself
        ("1-2-602门口", None, "PUB:P1/1/2/F6/门口"),
        ("1-2-602门锁坏了", None, "P1/1/2/602"),
        ("1-2门", None, "not an address"),
        # the corner of a floor, and of a building
        ("3栋2单元 楼上4层拐角", None, "PUB:P1/3/2/F4/拐角"),
        ("3栋2单元4层转角", None, "PUB:P1/3/2/F4/转角"),
        ("8栋拐角那棵树", None, "PUB:P1/8/-/-/拐角"),
        ("3栋2单元15层拐角那家吵", None, "P1/3/2/F15"),
        # a parking space; a lift somebody comes out of, and one that is told of
        ("不是电梯进水 是车位顶上管子滴水 B1层32号", None, "G/B1/?/032"),
        ("负一层5号楼", None, "PUB:P1/5/-/B1/地库"),
        ("负一楼3号门", None, "PUB:G/B1/-/-/地库"),
        ("就在5栋电梯出来左手边", None, "P1/5/-/-"),
        ("3栋2单元电梯出来有味", None, "PUB:P1/3/2/-/电梯"),
    ],
)
def test_which_place_is_meant(text: str, draft: str | None, key: str) -> None:
    assert resolve(text, REGISTER, draft=draft).key == key


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("我不出", "refuse"),
        ("我不出钱", "refuse"),
        ("这钱我不付", "refuse"),
        ("还不付", None),
        ("该不该付", None),
        ("不出水", None),
    ],
)
def test_who_will_not_pay_refuses(text: str, verdict: str | None) -> None:
    answer = read_answer("consent", text, NOW)
    assert (answer.verdict if answer else None) == verdict


def test_a_child_in_a_flat_nobody_shall_go_to_is_no_reason_for_hurry() -> None:
    for text, flag in (("只有1单元 别去我姐家敲门 她家有孩子", False), ("家里有孩子 快来", True)):
        answer = read_answer("detail", text, NOW)
        assert answer is not None and answer.flags["vulnerable"] is flag
