"""The page for everybody: large type, dark colours, small screens, keyboard, screen readers, another language."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import pytest
from e2e.harness import Stack
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from browser.phone import Phone, open_three, picture

SMALL: dict[str, Any] = {"viewport": {"width": 320, "height": 568}, "has_touch": True, "is_mobile": True}
DESKTOP: dict[str, Any] = {"viewport": {"width": 1360, "height": 860}}
ASKS = "几栋几单元几室"
# Words smaller than 22 px, and things to press smaller than 48 px, that can be seen.
TOO_SMALL = """() => {
    const seen = (el) => el.checkVisibility({ visibilityProperty: true }) && el.getClientRects().length > 0 && !el.closest('[aria-hidden="true"], option, .option input');
    const words = [...document.body.querySelectorAll('*')].filter((el) => seen(el)
        && ([...el.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()) || el.matches('input[type=text], textarea'))
        && parseFloat(getComputedStyle(el).fontSize) < 22);
    const targets = [...document.body.querySelectorAll('button, a, input, textarea, select, summary, .option')].filter((el) => {
        const box = el.getBoundingClientRect();
        return seen(el) && !el.closest('[inert]') && (box.height < 47.5 || box.width < 47.5);
    });
    const name = (el) => `${el.tagName}.${el.className} ${el.textContent.slice(0, 20)} ${Math.round(el.getBoundingClientRect().width)}x${Math.round(el.getBoundingClientRect().height)} ${getComputedStyle(el).fontSize}`;
    return [...new Set([...words, ...targets])].map(name);
}"""
SIDEWAYS = """() => [document.documentElement, document.body, ...document.querySelectorAll('.chat, .log, .sheet, .entry, .viewer-stage')]
    .filter((box) => box.scrollWidth > box.clientWidth + 1).map((box) => `${box.className || box.tagName} ${box.scrollWidth}>${box.clientWidth}`)"""


@cache
def axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


def faults(page: Page) -> list[str]:
    """Serious and critical findings of axe on what is on the screen."""
    page.evaluate(axe())
    found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{one['impact']} {one['id']}: {node['target']} {node['failureSummary']}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:3]
    ]


class Looks:
    """The page as it is, dark, and in large type, without loading it anew."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def __call__(self, look: str) -> None:
        self.page.emulate_media(color_scheme="dark" if look == "dark" else "light", reduced_motion="reduce")
        toggle = self.page.get_by_test_id("font-toggle").first
        if (toggle.get_attribute("aria-pressed") == "true") != (look == "large"):
            toggle.evaluate("el => el.click()")

    def check(self, look: str, what: str) -> None:
        assert (look, what, faults(self.page)) == (look, what, [])
        if look == "large":
            assert (look, what, self.page.evaluate(TOO_SMALL)) == (look, what, [])


LOOKS = ("light", "dark", "large")


def test_the_entry_is_for_everybody(new_page: Any, stack: Stack) -> None:
    page = new_page(**SMALL)
    page.goto(stack.url)
    expect(page.get_by_test_id("three-view")).to_be_visible()
    page.get_by_text("我有验证码").click()
    looks = Looks(page)
    for look in LOOKS:
        looks(look)
        looks.check(look, "entry")
        assert page.evaluate(SIDEWAYS) == []


def test_the_chat_and_everything_it_opens_is_for_everybody(phone: Any) -> None:
    visitor: Phone = phone("stranger:101", **SMALL)
    page = visitor.page
    visitor.say("厨房水龙头坏了", ASKS)
    visitor.say("3栋", "哪一")
    visitor.say("https://example.com/" + "a" * 200 + " 电话13800005678，打119")
    visitor.send_photo(picture(), "水槽下面")
    looks = Looks(page)
    for look in LOOKS:
        looks(look)
        looks.check(look, "chat")
        for opens, sheet, closes in (
            ("settings", "settings-sheet", "settings-done"),
            ("voice-tile", "voice-sheet", "voice-cancel"),
            ("location-tile", "location-sheet", ""),
            ("", "lightbox", "viewer-close"),
        ):
            if opens.endswith("tile"):
                visitor.at("more").click()
                assert page.evaluate(SIDEWAYS) == []
            (visitor.at(opens) if opens else visitor.at("picture")).click()
            expect(page.get_by_test_id(sheet)).to_be_visible()
            looks.check(look, sheet)
            assert page.evaluate(SIDEWAYS) == []
            if closes:
                page.get_by_test_id(closes).click()
            else:
                page.keyboard.press("Escape")
            expect(page.get_by_test_id(sheet)).to_have_count(0)
        assert page.evaluate(SIDEWAYS) == []


@pytest.mark.parametrize("size", [DESKTOP, SMALL], ids=["desktop", "phone"])
def test_three_phones_are_for_everybody(new_page: Any, stack: Stack, size: dict[str, Any]) -> None:
    page = new_page(**size)
    open_three(page, stack.url, "resident:5", "staff:2", "staff:9")
    looks = Looks(page)
    for look in LOOKS:
        looks(look)
        looks.check(look, "three")


# --- choices that are remembered ------------------------------------------------------------------------------------


def choose(page: Page, what: str) -> None:
    page.get_by_test_id("settings").click()
    page.get_by_test_id(what).click()


def ground(phone: Phone) -> str:
    return str(phone.log.evaluate("el => getComputedStyle(el.closest('.chat')).backgroundColor"))


def test_colours_follow_the_phone_until_somebody_chooses(phone: Any) -> None:
    visitor: Phone = phone("stranger:102", color_scheme="dark")
    assert ground(visitor) == "rgb(17, 17, 17)"
    choose(visitor.page, "theme-light")
    visitor.page.get_by_test_id("settings-done").click()
    assert ground(visitor) == "rgb(237, 237, 237)"
    visitor.page.reload()
    expect(visitor.input).to_be_visible()
    assert ground(visitor) == "rgb(237, 237, 237)"
    choose(visitor.page, "theme-dark")
    visitor.page.emulate_media(color_scheme="light")
    assert ground(visitor) == "rgb(17, 17, 17)"
    visitor.page.get_by_test_id("theme-auto").click()
    assert ground(visitor) == "rgb(237, 237, 237)"


def test_english_around_the_conversation_and_chinese_inside(phone: Any) -> None:
    visitor: Phone = phone("stranger:103")
    visitor.say("厨房水龙头坏了", ASKS)
    visitor.input.fill("half a sentence")
    choose(visitor.page, "language-en")
    expect(visitor.page.locator("html")).to_have_attribute("lang", "en")
    expect(visitor.input).to_have_value("half a sentence")
    visitor.input.fill("")
    expect(visitor.desk(ASKS).get_by_test_id("msg-text")).to_have_attribute("lang", "zh-CN")
    visitor.command("My tickets", "还差位置")
    expect(visitor.mine("我的进度")).to_have_count(1)
    visitor.page.reload()
    expect(visitor.at("send")).to_have_text("Send")
    choose(visitor.page, "language-zh")
    expect(visitor.at("send")).to_have_text("发送")
    expect(visitor.page.locator("html")).to_have_attribute("lang", "zh-CN")


@pytest.mark.parametrize(("locale", "language"), [("en-GB", "en"), ("zh-TW", "zh-CN")])
def test_the_browser_says_which_language_comes_first(new_page: Any, stack: Stack, locale: str, language: str) -> None:
    page = new_page(locale=locale)
    page.goto(stack.url)
    expect(page.get_by_test_id("three-view")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", language)


# --- keyboard -------------------------------------------------------------------------------------------------------


def focus_of(page: Page) -> Locator:
    return page.locator("*:focus")


def tab_to(page: Page, testid: str, *, back: bool = False) -> None:
    """Press Tab until something with this test id has the focus."""
    for _ in range(40):
        if focus_of(page).count() and focus_of(page).get_attribute("data-testid") == testid:
            return
        page.keyboard.press("Shift+Tab" if back else "Tab")
    raise AssertionError(f"{testid} cannot be reached with the keyboard")


def test_the_whole_conversation_by_keyboard(new_page: Any, stack: Stack) -> None:
    page = new_page()
    page.goto(stack.url)
    expect(page.get_by_test_id("three-view")).to_be_visible()
    tab_to(page, "person-stranger:1")
    page.keyboard.press("Enter")
    visitor = Phone(page)
    # where there is a keyboard, one may write at once
    expect(visitor.input).to_be_focused()
    page.keyboard.type("厨房水龙头坏了")
    page.keyboard.press("Enter")
    visitor.hear(ASKS)
    page.keyboard.type("3栋")
    page.keyboard.press("Enter")
    visitor.hear("哪一")
    tab_to(page, "quick-reply", back=True)
    page.keyboard.press("Enter")
    visitor.hear("几室")
    tab_to(page, "more")
    page.keyboard.press("Enter")
    tab_to(page, "location-tile")
    page.keyboard.press("Enter")
    expect(visitor.at("location-sheet")).to_be_focused()
    page.keyboard.press("Escape")
    expect(visitor.at("location-sheet")).to_have_count(0)
    tab_to(page, "back", back=True)
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("three-view")).to_be_visible()


def test_photos_are_turned_by_keys_and_the_focus_stays_inside(phone: Any) -> None:
    visitor: Phone = phone("stranger:104")
    page = visitor.page
    for shade in (40, 120, 200):
        visitor.send_photo(picture(Image.new("L", (640, 480), shade)), f"第{shade}张")
    pictures = visitor.at("picture")
    expect(pictures).to_have_count(3)
    pictures.nth(1).focus()
    page.keyboard.press("Enter")
    count, image = page.get_by_test_id("viewer-count"), page.get_by_test_id("viewer-image")
    expect(count).to_have_text("第 2 张，共 3 张")
    first = image.get_attribute("src")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(count).to_have_text("第 3 张，共 3 张")
    assert image.get_attribute("src") != first
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(count).to_have_text("第 1 张，共 3 张")
    inside = "() => Boolean(document.activeElement.closest('dialog')) || document.activeElement === document.body"
    for _ in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate(inside)
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("lightbox")).to_have_count(0)
    expect(pictures.nth(1)).to_be_focused()


def test_a_screen_reader_hears_what_arrives_and_who_says_it(phone: Any) -> None:
    visitor: Phone = phone("stranger:105")
    visitor.say("厨房水龙头坏了", ASKS)
    expect(visitor.log).to_have_role("log")
    expect(visitor.log).to_have_attribute("aria-live", "polite")
    heard = visitor.log.aria_snapshot()
    assert heard.index('img "我"') < heard.index("厨房水龙头坏了") < heard.index('img "物业"') < heard.index(ASKS)
    expect(visitor.input).to_have_accessible_name("输入消息")
    expect(visitor.at("more")).to_have_accessible_name("更多")
    expect(visitor.at("settings")).to_have_accessible_name("显示设置")
