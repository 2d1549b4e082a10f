"""Takes the pictures of README and docs from a real conversation: `.venv/bin/python tests/browser/screenshots.py`.

Starts a product of its own on free ports with the clock standing at a day in June, and writes docs/images/*.png.
"""

# ruff: noqa: E402  the path to our own modules comes first

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from e2e.harness import ROOT, Stack
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright

from bot import training
from browser.phone import launch, open_phone, open_three, picture

IMAGES = ROOT / "docs" / "images"
MAX_BYTES = 300_000
DESKTOP: dict[str, Any] = {"viewport": {"width": 1360, "height": 860}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


class Studio:
    """A running product, a browser, and one clock for both."""

    def __init__(self, stack: Stack, browser: Browser) -> None:
        self.stack, self.browser = stack, browser
        self.pages: list[Page] = []

    def page(self, **options: Any) -> Page:
        page = self.browser.new_context(locale="zh-CN", timezone_id="Asia/Shanghai", **options).new_page()
        page.clock.set_fixed_time(self.stack.now())
        self.pages.append(page)
        return page

    def at(self, clock: str) -> None:
        self.stack.at(clock)
        for page in self.pages:
            page.clock.set_fixed_time(self.stack.now())

    def shoot(self, page: Page, name: str) -> None:
        self.keep(self.look(page), name)

    def look(self, page: Page) -> Image.Image:
        # no ring around a field, no sheet half way up
        page.evaluate("() => document.activeElement?.blur()")
        return Image.open(BytesIO(page.screenshot(animations="disabled"))).convert("RGB")

    def keep(self, shot: Image.Image, name: str) -> None:
        """A PNG of few colours: text and flat areas lose nothing, and the file stays small."""
        path = IMAGES / name
        shot.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
        assert path.stat().st_size < MAX_BYTES, (name, path.stat().st_size)
        print(f"{path.relative_to(ROOT)}  {path.stat().st_size // 1024} kB")


@contextmanager
def studio() -> Iterator[Studio]:
    models = ROOT / ".cache" / "models"
    if not training.is_current(models):
        subprocess.run([sys.executable, "-m", "bot", "train"], cwd=ROOT, check=True, env=_env_for(models))
    with tempfile.TemporaryDirectory(prefix="guanjia-shots-") as folder:
        stack = Stack(Path(folder), models)
        stack.at("14:00")
        stack.start()
        try:
            with sync_playwright() as playwright:
                yield Studio(stack, launch(playwright))
        finally:
            stack.stop()


def _env_for(models: Path) -> dict[str, str]:
    """`guanjia train` puts the model below the data directory, in models/."""
    return {**os.environ, "GUANJIA_DATA_DIR": str(models.parent)}


def three_phones(take: Studio) -> None:
    page = take.page(**DESKTOP)
    resident, plumber, supervisor = open_three(page, take.stack.url)
    resident.say("3栋2单元1502厨房水管漏水，麻烦尽快", "已登记")
    plumber.hear("接单")
    take.at("14:01")
    resident.say("还在滴，阀门关得上，旁边没有插座", "已补充")
    take.at("14:03")
    plumber.press("接单", "13800005678")
    resident.hear("已接单")
    take.at("14:04")
    plumber.say("预约 0001 今天15:00-16:00", "今天15:00–16:00")
    resident.hear("约您")
    one_phone(take, "resident:1")
    take.at("14:06")
    resident.press("可以", "时间定好了")
    plumber.hear("业主同意")
    take.at("14:08")
    supervisor.say("今天多少单", "新增1")
    supervisor.say("0001到哪了", "同意时间")
    # the reader has looked at all three
    for phone in (plumber, supervisor, resident):
        phone.log.click(position={"x": 4, "y": 4})
    take.shoot(page, "three-phones.png")


def one_phone(take: Studio, person: str) -> None:
    page = take.page(**PHONE)
    open_phone(page, take.stack.url, person).hear("约您")
    take.shoot(page, "phone.png")


def emergency(take: Studio) -> None:
    take.at("15:40")
    page = take.page(**PHONE)
    resident = open_phone(page, take.stack.url, "resident:6")
    resident.say("厨房好大一股煤气味", "已登记")
    take.at("15:41")
    resident.say("我们已经到楼下了", "已补充")
    expect(resident.mine().last).to_have_attribute("data-state", "sent")
    take.shoot(page, "emergency.png")


GAP = 24


def side_by_side(shots: list[Image.Image]) -> Image.Image:
    width = sum(shot.width for shot in shots) + GAP * (len(shots) - 1)
    whole = Image.new("RGB", (width, shots[0].height), "white")
    left = 0
    for shot in shots:
        whole.paste(shot, (left, 0))
        left += shot.width + GAP
    return whole


def drip() -> FilePayload:
    """A drawn tap that drips: no photograph of anybody's kitchen."""
    image = Image.new("RGB", (960, 720), "#cfd8de")
    pen = ImageDraw.Draw(image)
    for x in range(0, 960, 120):
        for y in range(0, 720, 120):
            pen.rectangle((x + 3, y + 3, x + 117, y + 117), fill="#dfe6ea")
    pen.rounded_rectangle((180, 560, 780, 720), 40, fill="#f7f9fa", outline="#aab6bd", width=6)
    pen.rounded_rectangle((440, 180, 520, 420), 30, fill="#8f9ba3")
    pen.arc((440, 120, 700, 380), 180, 360, fill="#8f9ba3", width=70)
    pen.rectangle((632, 250, 700, 330), fill="#8f9ba3")
    pen.ellipse((410, 400, 550, 440), fill="#6f7b83")
    for y, size in ((370, 20), (450, 26), (530, 22)):
        pen.ellipse((666 - size, y, 666 + size, y + 2 * size), fill="#3f8fd2")
    return picture(image)


def for_everybody(take: Studio) -> None:
    """Large type; dark, in English; a voice note about to be sent."""
    take.at("14:20")
    large = take.page(**PHONE)
    elder = open_phone(large, take.stack.url, "resident:3")
    elder.at("font-toggle").click()
    elder.say("卫生间水龙头一直滴水，3栋2单元801", "已登记")
    elder.say("关不紧，滴了两天了", "好的")
    dark = take.page(**PHONE, color_scheme="dark")
    other = open_phone(dark, take.stack.url, "resident:5")
    dark.get_by_test_id("settings").click()
    dark.get_by_test_id("language-en").click()
    other.send_photo(drip(), "厨房水龙头滴水")
    other.hear("已登记")
    other.say("明天上午九点后在家")
    other.hear()
    voice = take.page(**PHONE)
    speaker = open_phone(voice, take.stack.url, "resident:4")
    speaker.say("客厅的灯不亮了", "？")
    speaker.at("more").click()
    speaker.at("voice-tile").click()
    expect(speaker.at("voice-sheet")).to_be_visible()
    take.keep(side_by_side([take.look(page) for page in (large, dark, voice)]), "for-everybody.png")


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with studio() as take:
        three_phones(take)
        emergency(take)
        for_everybody(take)


if __name__ == "__main__":
    main()
