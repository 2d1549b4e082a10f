"""The main job: from a resident's sentence to a closed, rated ticket, with a worker and a supervisor taking part."""

from __future__ import annotations

import pytest
from e2e.harness import Stack

pytestmark = pytest.mark.e2e


def test_leak_from_sentence_to_closed_and_rated(stack: Stack) -> None:
    resident, plumber, supervisor = stack.person("王女士"), stack.person("王师傅"), stack.person("李工")
    stack.at("14:00")
    card = resident.say("3栋2单元1502厨房水管漏水，麻烦尽快", "BX20250612-0001", "一期3栋2单元1502室", "尾号5678")
    assert "13800005678" not in card
    dispatched = plumber.hear("接单 0001", "“3栋2单元1502厨房水管漏水，麻烦尽快”")
    assert "13800005678" not in dispatched
    stack.at("14:03")
    plumber.say("接了", "13800005678")
    resident.hear("王师傅（工号E023）已接单")
    plumber.say("预约 0001 今天15:00-16:00", "今天15:00–16:00")
    resident.hear("今天15:00–16:00")
    resident.say("可以", "时间定好了")
    stack.at("15:05")
    plumber.say("到了", "已记到场")
    resident.hear("已到现场")
    stack.at("15:40")
    plumber.say("完工 换了角阀", "都做好了吗")
    assert stack.ticket().status == "in_progress"
    plumber.say("都做好了", "等验收")
    resident.hear("没问题回复1", "换了角阀")
    stack.at("15:45")
    resident.say("1", "打个分")
    resident.say("5 4 谢谢师傅", "评价已记下")
    ticket = stack.ticket()
    assert (ticket.status, ticket.score_attitude, ticket.score_quality, ticket.round) == ("closed", 5, 4, 1)
    steps = supervisor.say("状态 0001", "已完成")
    for step in ("登记", "安排", "接单", "约时间", "同意时间", "到场", "完工", "验收通过", "评价"):
        assert step in steps


def test_not_fixed_goes_back_to_the_same_worker_on_the_same_number(stack: Stack) -> None:
    resident, plumber = stack.person("王女士"), stack.person("王师傅")
    resident.say("3栋2单元1502厨房水管漏水，麻烦尽快", "BX20250612-0001")
    plumber.hear("接单 0001")
    plumber.say("接了")
    plumber.say("完工 换了角阀 已自检已清场", "等验收")
    resident.hear("没问题回复1")
    resident.say("修是修好了 但是还有点滴 地上弄得都是泥", "第2次")
    plumber.hear("返工 第2次", "还有点滴")
    assert len(stack.tickets()) == 1
    plumber.say("接单 0001")
    plumber.say("完工 又紧了一遍 自检过 清理好了", "还差2张照片")
    plumber.photo("照片已存入")
    plumber.photo("照片已存入")
    plumber.say("完工 又紧了一遍 自检过 清理好了", "等验收")
    resident.hear("没问题回复1")
    resident.say("好了", "打个分")
    assert stack.ticket().status == "closed"
    assert stack.ticket().round == 2
