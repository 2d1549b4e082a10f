"""The server goes away and comes back: the page says so, loses nothing and sends nothing twice."""

from __future__ import annotations

from typing import Any

from e2e.harness import Stack
from playwright.sync_api import expect

from browser.phone import Phone


def test_a_message_written_while_the_server_is_gone_is_sent_once(phone: Any, stack: Stack) -> None:
    visitor: Phone = phone("stranger:71")
    visitor.say("厨房水龙头坏了", "几栋几单元几室")
    stack.kill("bot")
    visitor.input.fill("一期3栋2单元1402")
    visitor.at("send").click()
    expect(visitor.mine("一期3栋2单元1402")).to_have_count(1)
    expect(visitor.offline).to_be_visible()
    stack.wait_healthy(60)
    expect(visitor.offline).to_be_hidden(timeout=30_000)
    visitor.hear("已登记")
    expect(visitor.mine("一期3栋2单元1402")).to_have_attribute("data-state", "sent")
    visitor.page.reload()
    expect(visitor.messages()).to_have_count(4)
    assert visitor.texts("me") == ["厨房水龙头坏了", "一期3栋2单元1402"]


def test_an_answer_lost_on_the_way_does_not_double_the_message(phone: Any) -> None:
    """The server takes the message, the browser never hears so, and sends it again."""
    visitor: Phone = phone("stranger:72")
    lost: list[str] = []

    def lose_first(route: Any) -> None:
        if route.request.method != "POST" or lost:
            route.continue_()
            return
        lost.append(route.fetch().text())
        route.abort()

    visitor.page.route("**/api/messages*", lose_first)
    visitor.say("厨房水龙头坏了", "几栋几单元几室")
    expect(visitor.mine()).to_have_count(1)
    expect(visitor.mine().last).to_have_attribute("data-state", "sent")
    visitor.page.reload()
    expect(visitor.messages()).to_have_count(2)
    assert len(lost) == 1


def test_a_page_opened_while_the_server_is_away_comes_up_by_itself(phone: Any) -> None:
    visitor: Phone = phone("stranger:73")
    visitor.page.route("**/api/**", lambda route: route.abort())
    visitor.page.reload()
    expect(visitor.page.get_by_test_id("offline")).to_be_visible()
    visitor.page.unroute("**/api/**")
    expect(visitor.input).to_be_visible()
    visitor.say("厨房水龙头坏了", "几栋几单元几室")
