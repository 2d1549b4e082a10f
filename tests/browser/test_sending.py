"""Voice notes, places, and the chat inside another site's page."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from e2e.harness import Stack
from playwright.sync_api import FilePayload, Page, expect

from browser.phone import Phone

WAV: FilePayload = {
    "name": "note.wav",
    "mimeType": "audio/wav",
    "buffer": b"RIFF\x2c\x03\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00data\x20\x03\x00\x00"
    + b"\x80" * 800,
}


def record(phone: Phone) -> None:
    phone.at("more").click()
    phone.at("voice-tile").click()
    phone.at("voice-record").click()
    expect(phone.at("voice-record")).to_contain_text("1″")
    phone.at("voice-record").click()
    expect(phone.at("voice-preview")).to_be_visible()
    phone.at("voice-send").click()
    expect(phone.at("voice-sheet")).to_have_count(0)


def plays(phone: Phone) -> None:
    """It begins, and ours is short and ends by itself."""
    note = phone.at("voice").last
    note.evaluate(
        """el => { window.heard = []; new MutationObserver(() => window.heard.push(el.dataset.playing))
            .observe(el, { attributes: true, attributeFilter: ['data-playing'] }); }"""
    )
    note.click()
    phone.page.wait_for_function("() => window.heard.includes('false')")
    assert phone.page.evaluate("() => window.heard[0]") == "true"


def test_a_voice_note_is_recorded_and_heard_by_the_worker(phone: Any, stack: Stack) -> None:
    resident: Phone = phone("resident:3")
    resident.say("3栋2单元801卧室的灯不亮了", "已登记")
    ticket = stack.tickets(place_key="P1/3/2/801")[-1]
    worker: Phone = phone(f"staff:{ticket.handler_id}")
    worker.hear(ticket.ticket_no)
    record(resident)
    resident.hear("语音已存到", ticket.ticket_no)
    expect(resident.mine().last).to_have_attribute("data-state", "sent")
    plays(resident)
    # a voice may say a number: not before the job is taken
    expect(worker.at("voice")).to_have_count(0)
    worker.say(f"接单 {ticket.tail}", "已接单", ticket.ticket_no)
    plays(worker)
    resident.page.reload()
    expect(resident.at("voice")).to_have_accessible_name("播放语音，1 秒")


def test_without_a_microphone_a_sound_file_will_do(phone: Any) -> None:
    visitor: Phone = phone("stranger:111")
    visitor.page.evaluate("() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('no')); }")
    visitor.at("more").click()
    visitor.at("voice-tile").click()
    visitor.at("voice-record").click()
    expect(visitor.at("voice-state")).to_contain_text("没有麦克风权限")
    expect(visitor.at("voice-choose")).to_be_focused()
    visitor.at("voice-input").set_input_files([{"name": "note.txt", "mimeType": "text/plain", "buffer": b"no sound"}])
    expect(visitor.page.get_by_test_id("toast")).to_contain_text("不是录音")
    visitor.at("voice-input").set_input_files([WAV])
    visitor.at("voice-send").click()
    visitor.hear("请打字")
    expect(visitor.mine().last).to_have_attribute("data-kind", "voice")


def test_what_only_claims_to_be_a_sound_is_refused_by_the_server(phone: Any) -> None:
    visitor: Phone = phone("stranger:112")
    visitor.at("more").click()
    visitor.at("voice-tile").click()
    visitor.at("voice-input").set_input_files([{"name": "note.ogg", "mimeType": "audio/ogg", "buffer": b"<script>"}])
    visitor.at("voice-send").click()
    expect(visitor.page.get_by_test_id("toast")).to_contain_text("不是录音")
    expect(visitor.mine().last).to_have_attribute("data-state", "rejected")


def test_a_place_is_read_only_after_the_person_agreed(phone: Any) -> None:
    visitor: Phone = phone(
        "stranger:113", geolocation={"latitude": 30.2741, "longitude": 120.1551}, permissions=["geolocation"]
    )
    asked = "() => { const real = navigator.geolocation.getCurrentPosition; window.asked = 0; navigator.geolocation.getCurrentPosition = function (...how) { window.asked += 1; return real.apply(navigator.geolocation, how); }; }"
    visitor.page.evaluate(asked)
    visitor.at("more").click()
    visitor.at("location-tile").click()
    expect(visitor.at("location-sheet")).to_contain_text("您同意后")
    assert visitor.page.evaluate("() => window.asked") == 0
    expect(visitor.at("location-send")).to_be_disabled()
    visitor.at("location-use").click()
    expect(visitor.at("location-sheet")).to_contain_text("已获取位置")
    assert visitor.page.evaluate("() => window.asked") == 1
    visitor.at("location-label").fill("3栋楼下")
    visitor.at("location-send").click()
    expect(visitor.mine("3栋楼下")).to_have_attribute("data-kind", "location")
    expect(visitor.mine("3栋楼下")).to_contain_text("30.27410")
    visitor.hear()


def test_where_no_place_is_given_words_will_do(phone: Any) -> None:
    visitor: Phone = phone("stranger:114", permissions=[])
    visitor.at("more").click()
    visitor.at("location-tile").click()
    visitor.at("location-use").click()
    expect(visitor.at("location-sheet")).to_contain_text("没能获取位置")
    visitor.at("location-label").fill("地下车库B区漏水")
    visitor.at("location-send").click()
    expect(visitor.mine("地下车库B区漏水")).to_have_attribute("data-kind", "text")
    visitor.hear()


# --- inside another page ----------------------------------------------------------------------------------------------


def framed(page: Page, site: str, address: str) -> Any:
    page.goto(f"{site}/?shows={quote(address, safe='')}")
    return page.frame_locator("iframe")


def link_of(stack: Stack, person: str) -> str:
    made = stack.run_command("link", person)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip() + "&embed=1"


def test_a_resident_chats_inside_the_companys_own_page(new_page: Any, stack: Stack, other_site: int) -> None:
    page = new_page()
    frame = framed(page, f"http://localhost:{other_site}", link_of(stack, "resident:2"))
    frame.get_by_test_id("input").fill("物业费怎么交")
    frame.get_by_test_id("send").click()
    expect(frame.get_by_test_id("msg").filter(has_text="前台").last).to_be_visible()
    expect(frame.get_by_test_id("whoami")).to_contain_text("李先生")
    # neither a way out of the frame nor the key in its address
    expect(frame.get_by_test_id("logout")).to_have_count(0)
    assert [one.url for one in page.frames][1] == f"{stack.url}/?embed=1"


def test_nobody_else_may_frame_it_and_staff_never(new_page: Any, stack: Stack, other_site: int) -> None:
    page = new_page()
    frame = framed(page, f"http://127.0.0.1:{other_site}", link_of(stack, "resident:2"))
    expect(frame.get_by_test_id("input")).to_have_count(0)
    assert page.frames[1].url.startswith("chrome-error:")
    frame = framed(page, f"http://localhost:{other_site}", link_of(stack, "staff:9"))
    expect(frame.get_by_text("单独的窗口")).to_be_visible()
    expect(frame.get_by_test_id("input")).to_have_count(0)


def test_a_link_opens_the_staff_view_in_a_window_of_its_own(new_page: Any, stack: Stack) -> None:
    page = new_page()
    page.goto(link_of(stack, "staff:9"))
    leader = Phone(page)
    expect(leader.at("whoami")).to_contain_text("李工")
    leader.command("今天", "新增")
