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
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bot import training
from browser.phone import launch, open_phone, open_three

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
        """A PNG of few colours: text and flat areas lose nothing, and the file stays small."""
        # no ring around a field, no sheet half way up
        page.evaluate("() => document.activeElement?.blur()")
        shot = Image.open(BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
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


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with studio() as take:
        three_phones(take)
        emergency(take)


if __name__ == "__main__":
    main()
