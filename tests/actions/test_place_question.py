"""What is said about a place that the register does not know."""

from __future__ import annotations

import pytest

from actions.repair import place_question
from bot.demo import demo_register
from nlu.address import resolve


@pytest.mark.parametrize(
    ("told", "asked"),
    [
        ("二期3栋1单元", "二期3栋不分单元，没有1单元。请核对后再说一下几栋几室。"),
        ("一期3栋9单元", "一期3栋只有1、2单元，是哪个单元？"),
        ("一期8栋2单元", "一期8栋只有1单元，没有2单元。请核对后再说一下几栋几室。"),
        ("二期9栋", "没有查到9栋，请核对是几栋。"),
    ],
)
def test_what_is_wrong_with_it_is_said(told: str, asked: str) -> None:
    found = resolve(told, demo_register())
    assert place_question({"problem": found.problem, "missing": found.missing}) == asked
