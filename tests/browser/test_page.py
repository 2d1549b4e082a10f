"""The page itself against the real server: pictures, odd text, several windows, sizes, colours, keyboard."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from e2e.harness import Stack
from PIL import Image
from playwright.sync_api import FilePayload, expect

from browser.phone import Phone, open_three, picture

PHONE_SIZE: dict[str, Any] = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}
ASKS = "几栋几单元几室"


# --- what is sent -----------------------------------------------------------------------------------------------------


def test_a_photo_is_previewed_sent_and_shown(phone: Any) -> None:
    visitor: Phone = phone("stranger:41")
    visitor.send_photo(picture(), "水槽下面在漏水")
    visitor.hear(ASKS)
    expect(visitor.mine("水槽下面在漏水")).to_have_attribute("data-state", "sent")
    # another window gets it from the server, and it really is a picture
    again: Phone = phone("stranger:41")
    shown = again.mine("水槽下面在漏水").locator("img")
    expect(shown).to_be_visible()
    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    again.at("picture").click()
    expect(again.at("lightbox").locator("img")).to_be_visible()
    again.page.keyboard.press("Escape")
    expect(again.at("lightbox")).to_have_count(0)


def test_what_is_no_picture_is_refused_in_words(phone: Any) -> None:
    visitor: Phone = phone("stranger:42")
    fake: FilePayload = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": b"not a picture"}
    visitor.at("photo-input").set_input_files([fake])
    expect(visitor.page.get_by_test_id("toast")).to_contain_text("不是照片")
    expect(visitor.messages()).to_have_count(0)


def test_markup_is_shown_as_text(phone: Any) -> None:
    visitor: Phone = phone("stranger:43")
    text = '<img src=x onerror="document.title=1"><b>厨房</b>水龙头坏了 &lt;i&gt;'
    visitor.say(text)
    visitor.page.reload()
    expect(visitor.mine()).to_have_count(1)
    assert visitor.texts("me") == [text]
    assert visitor.log.locator(".bubble img, .bubble b").count() == 0
    assert visitor.page.title() != "1"


def test_pasted_lines_and_emoji_stay_one_message(phone: Any) -> None:
    visitor: Phone = phone("stranger:44")
    text = "厨房水龙头坏了😭\n关不紧\n\n👨‍👩‍👧 家里有孩子"
    visitor.say(text, ASKS)
    assert visitor.texts("me") == [text]


def test_the_longest_message_fits_and_the_desk_answers(phone: Any) -> None:
    visitor: Phone = phone("stranger:45", **PHONE_SIZE)
    text = ("厨房水龙头坏了，" * 300)[:2000]
    visitor.say(text)
    visitor.hear()
    assert visitor.texts("me") == [text]
    assert no_sideways(visitor)


def test_thirty_quick_messages_arrive_once_and_in_order(phone: Any, stack: Stack) -> None:
    visitor: Phone = phone("stranger:46")
    lines = [f"第{number}句" for number in range(30)]
    for line in lines:
        visitor.input.fill(line)
        visitor.input.press("Enter")
    expect(visitor.log.locator('[data-from="me"][data-state="sent"]')).to_have_count(30)
    assert visitor.texts("me") == lines
    again: Phone = phone("stranger:46")
    expect(again.mine()).to_have_count(30)
    assert again.texts("me") == lines


def test_a_double_tap_on_a_command_is_one_message(phone: Any) -> None:
    visitor: Phone = phone("stranger:47")
    visitor.at("quick-command").get_by_text("我的进度", exact=True).dblclick()
    visitor.hear("没有查到")
    expect(visitor.mine()).to_have_count(1)


def test_enter_while_composing_does_not_send(phone: Any) -> None:
    visitor: Phone = phone("stranger:48")
    visitor.input.fill("shui long tou")
    visitor.input.evaluate(
        """input => {
            input.dispatchEvent(new CompositionEvent('compositionstart', { bubbles: true }));
            const enter = { key: 'Enter', code: 'Enter', bubbles: true, cancelable: true };
            input.dispatchEvent(new KeyboardEvent('keydown', { ...enter, isComposing: true }));
            // Safari says so only by the key code, after the composition has ended
            input.dispatchEvent(new CompositionEvent('compositionend', { bubbles: true }));
            input.dispatchEvent(new KeyboardEvent('keydown', { ...enter, keyCode: 229 }));
        }"""
    )
    expect(visitor.input).to_have_value("shui long tou")
    visitor.input.fill("厨房水龙头坏了")
    visitor.input.press("Enter")
    expect(visitor.mine()).to_have_count(1)
    expect(visitor.mine("厨房水龙头坏了")).to_be_visible()


def test_shift_enter_makes_a_line(phone: Any) -> None:
    visitor: Phone = phone("stranger:49")
    visitor.input.press_sequentially("厨房")
    visitor.input.press("Shift+Enter")
    visitor.input.press_sequentially("水龙头坏了")
    visitor.input.press("Enter")
    visitor.hear(ASKS)
    assert visitor.texts("me") == ["厨房\n水龙头坏了"]


# --- several windows --------------------------------------------------------------------------------------------------


def test_two_windows_of_one_person_show_the_same(phone: Any) -> None:
    left, right = phone("stranger:51"), phone("stranger:51")
    left.say("厨房水龙头坏了", ASKS)
    right.hear(ASKS)
    right.say("一期3栋2单元1402", "已登记")
    left.hear("已登记")
    expect(left.mine("一期3栋2单元1402")).to_have_count(1)
    expect(left.messages()).to_have_count(4)
    assert left.texts() == right.texts()


def test_reload_keeps_the_draft_and_back_leads_to_the_people(phone: Any, stack: Stack) -> None:
    visitor: Phone = phone("stranger:52")
    visitor.page.goto(stack.url)
    visitor.page.get_by_test_id("person-stranger:1").click()
    expect(visitor.input).to_be_visible()
    visitor.input.fill("写到一半")
    visitor.page.reload()
    expect(visitor.input).to_have_value("写到一半")
    visitor.page.go_back()
    expect(visitor.page.get_by_test_id("three-view")).to_be_visible()
    visitor.page.go_forward()
    expect(visitor.input).to_have_value("写到一半")


def test_unread_badge_on_a_phone_not_looked_at(stack: Stack, new_page: Any) -> None:
    page = new_page(viewport={"width": 1360, "height": 860})
    resident, electrician, _ = open_three(page, stack.url, "resident:3", "staff:2", "staff:9")
    badge = electrician.at("unread")
    expect(badge).to_be_hidden()
    resident.say("3栋2单元801客厅插座坏了，没有火花没有焦味", "已登记")
    electrician.hear("客厅插座坏了")
    expect(badge).to_have_text(re.compile("^[1-9]$"))
    electrician.input.click()
    expect(badge).to_be_hidden()


def test_nobody_sits_at_two_of_the_three_phones(stack: Stack, new_page: Any) -> None:
    page = new_page(viewport={"width": 1360, "height": 860})
    phones = open_three(page, stack.url, "resident:1", "resident:1", "resident:1")
    names = [one.at("whoami").inner_text() for one in phones]
    assert len(set(names)) == 3, names
    expect(phones[1].at("picker").locator('option[value="resident:1"]')).to_be_disabled()
    phones[1].at("picker").select_option("stranger:1")
    expect(phones[1].at("whoami")).to_contain_text("访客")
    expect(page).to_have_url(re.compile("people=resident%3A1,stranger%3A1,"))


# --- keyboard, sizes, colours -----------------------------------------------------------------------------------------


def test_quick_replies_with_the_keyboard_alone(phone: Any) -> None:
    visitor: Phone = phone("stranger:61")
    visitor.input.focus()
    visitor.page.keyboard.type("厨房水龙头坏了")
    visitor.page.keyboard.press("Enter")
    visitor.hear(ASKS)
    visitor.page.keyboard.type("3栋")
    visitor.page.keyboard.press("Enter")
    replies = visitor.log.get_by_test_id("quick-reply")
    expect(replies.first).to_be_visible()
    for _ in range(12):
        visitor.page.keyboard.press("Shift+Tab")
        if replies.first.evaluate("button => button === document.activeElement"):
            break
    expect(replies.first).to_be_focused()
    label = replies.first.inner_text()
    visitor.page.keyboard.press("Enter")
    expect(visitor.mine(label)).to_have_count(1)
    expect(replies.first).to_have_attribute("aria-disabled", "true")
    visitor.page.keyboard.press("Enter")
    visitor.hear("几室")
    expect(visitor.mine(label)).to_have_count(1)


def test_buttons_answered_by_typing_are_closed(phone: Any) -> None:
    visitor: Phone = phone("stranger:62")
    visitor.say("厨房水龙头坏了", ASKS)
    visitor.say("3栋", "哪一")
    label = visitor.log.get_by_test_id("quick-reply").first.inner_text()
    visitor.say(label, "几室")
    for reply in visitor.log.get_by_test_id("quick-reply").all():
        expect(reply).to_have_attribute("aria-disabled", "true")


def no_sideways(phone: Phone) -> bool:
    """Neither the page nor the list of messages can be pushed sideways."""
    script = "() => [document.documentElement, document.body, ...document.querySelectorAll('.chat, .log')]"
    return bool(phone.page.evaluate(f"({script})().every(box => box.scrollWidth <= box.clientWidth)"))


@pytest.mark.parametrize("big", [False, True])
def test_a_narrow_phone_never_scrolls_sideways(phone: Any, big: bool) -> None:
    visitor: Phone = phone(f"stranger:{64 + big}", **PHONE_SIZE)
    if big:
        visitor.at("font-toggle").click()
        expect(visitor.at("font-toggle")).to_have_attribute("aria-pressed", "true")
    visitor.say("https://example.com/" + "a" * 200)
    visitor.say("厨房水龙头坏了", ASKS)
    visitor.say("3栋", "哪一")
    assert no_sideways(visitor)
    for button in ("send", "more"):
        box = visitor.at(button).bounding_box()
        assert box and box["x"] + box["width"] <= 360 and box["height"] >= 40


def test_big_type_is_bigger_and_remembered(phone: Any) -> None:
    visitor: Phone = phone("stranger:66")
    visitor.say("厨房水龙头坏了", ASKS)
    size = "el => parseFloat(getComputedStyle(el).fontSize)"
    before = visitor.desk().last.evaluate(size)
    visitor.at("font-toggle").click()
    assert visitor.desk().last.evaluate(size) >= before * 1.2
    visitor.page.reload()
    expect(visitor.desk().last).to_be_visible()
    assert visitor.desk().last.evaluate(size) >= before * 1.2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_can_be_read(phone: Any, scheme: str) -> None:
    visitor: Phone = phone("stranger:67", color_scheme=scheme)
    visitor.say("厨房水龙头坏了", ASKS)
    contrasts = visitor.page.evaluate(
        """() => {
            const light = ([r, g, b]) => [r, g, b].map((one) => one / 255)
                .map((one) => (one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
                .reduce((sum, one, index) => sum + one * [0.2126, 0.7152, 0.0722][index], 0);
            const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
            const ground = (el) => {
                const found = numbers(getComputedStyle(el).backgroundColor);
                return found.length === 4 && found[3] === 0 && el.parentElement ? ground(el.parentElement) : found;
            };
            return ['.row-me .bubble', '.row-desk .bubble', '.peer', '.whoami', '.divider', '.chip', '.send'].map((name) => {
                const el = document.querySelector(name);
                const [a, b] = [light(numbers(getComputedStyle(el).color)), light(ground(el))].sort((x, y) => y - x);
                return [name, (a + 0.05) / (b + 0.05)];
            });
        }"""
    )
    assert [(name, ratio) for name, ratio in contrasts if ratio < 4.5] == []
    ground = visitor.log.evaluate("el => getComputedStyle(el.closest('.chat')).backgroundColor")
    assert (ground == "rgb(17, 17, 17)") == (scheme == "dark")


def test_a_phone_on_its_side_still_shows_words_and_input(phone: Any) -> None:
    visitor: Phone = phone("stranger:68", **{**PHONE_SIZE, "viewport": {"width": 640, "height": 320}})
    visitor.say("厨房水龙头坏了", ASKS)
    log = visitor.log.bounding_box()
    assert log and log["height"] >= 150, log
    expect(visitor.input).to_be_in_viewport(ratio=1)
    expect(visitor.desk().last).to_be_in_viewport()


def test_a_large_photo_is_made_small_before_it_is_sent(phone: Any, tmp_path: Path) -> None:
    visitor: Phone = phone("stranger:69")
    photo = tmp_path / "large.jpg"
    Image.effect_noise((4600, 3400), 90).convert("RGB").save(photo, quality=95)
    assert photo.stat().st_size > 12_000_000
    visitor.at("photo-input").set_input_files(photo)
    with visitor.page.expect_request(lambda request: request.url.endswith("/api/photos")) as sent:
        visitor.at("photo-send").click()
    assert int(sent.value.all_headers()["content-length"]) < 4_000_000
    expect(visitor.mine().last).to_have_attribute("data-state", "sent")
    visitor.hear()
