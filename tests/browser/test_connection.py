"""The server goes away and comes back: the page says so, loses nothing and sends nothing twice."""

from __future__ import annotations

from typing import Any

from e2e.harness import Stack
from playwright.sync_api import expect

from browser.phone import Phone, open_phone, picture


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


def test_what_was_not_sent_when_the_page_was_closed_is_sent_when_it_is_opened_again(phone: Any, stack: Stack) -> None:
    """A phone in a lift: the message cannot go out, its writer puts the phone away, and opens the page later."""
    visitor: Phone = phone("stranger:74")
    context = visitor.page.context
    visitor.page.route("**/api/messages", lambda route: route.abort())
    visitor.page.route("**/api/photos", lambda route: route.abort())
    visitor.input.fill("厨房水龙头坏了")
    visitor.at("send").click()
    visitor.send_photo(picture(), "水槽下面")
    expect(visitor.mine()).to_have_count(2)
    visitor.page.close()
    later = open_phone(context.new_page(), stack.url, "stranger:74")
    later.hear("几栋几单元几室")
    expect(later.log.locator('[data-from="me"][data-state="sent"]')).to_have_count(2)
    later.page.reload()
    expect(later.mine()).to_have_count(2)
    expect(later.at("picture")).to_have_count(1)


def test_what_was_written_long_ago_is_not_sent_by_itself(phone: Any, stack: Stack) -> None:
    visitor: Phone = phone("stranger:75")
    visitor.page.route("**/api/messages", lambda route: route.abort())
    visitor.input.fill("厨房水管爆了")
    visitor.at("send").click()
    expect(visitor.mine()).to_have_count(1)
    visitor.page.evaluate(
        """() => {
            const list = JSON.parse(localStorage.getItem('guanjia.outbox.stranger:75'));
            list[0].at = new Date(Date.now() - 13 * 3600e3).toISOString();
            localStorage.setItem('guanjia.outbox.stranger:75', JSON.stringify(list));
        }"""
    )
    later = open_phone(visitor.page.context.new_page(), stack.url, "stranger:75")
    visitor.page.close()
    expect(later.mine("厨房水管爆了")).to_have_attribute("data-state", "rejected")
    later.at("discard").click()
    expect(later.messages()).to_have_count(0)
    later.page.reload()
    expect(later.messages()).to_have_count(0)
