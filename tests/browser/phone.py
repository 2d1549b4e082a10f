"""A person's phone in a real browser: what one types and taps, and what one then sees."""

from __future__ import annotations

import io
import os
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, FilePayload, Locator, Page, Playwright, expect

CHROMIUM = Path("/usr/bin/chromium")
ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    # A microphone that beeps, and leave to use it.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
PATIENCE_MS = 30_000


def chromium_path() -> Path | None:
    """Debian's Chromium, or the one named by GUANJIA_CHROMIUM."""
    path = Path(os.environ.get("GUANJIA_CHROMIUM") or CHROMIUM)
    return path if path.is_file() else None


def launch(playwright: Playwright) -> Browser:
    expect.set_options(timeout=PATIENCE_MS)
    return playwright.chromium.launch(executable_path=chromium_path(), args=list(ARGS))


def picture(image: Image.Image | None = None, quality: int = 80) -> FilePayload:
    """A JPEG as the file picker hands it over."""
    out = io.BytesIO()
    (image or Image.linear_gradient("L").resize((640, 480))).convert("RGB").save(out, "JPEG", quality=quality)
    return {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": out.getvalue()}


class Phone:
    """One chat: the whole page, or one of the three frames of ?view=three."""

    def __init__(self, page: Page, root: Page | Locator | None = None) -> None:
        self.page = page
        self.root = root or page
        self.log = self.at("chat-log")
        self.input = self.at("input")
        self.offline = self.at("offline")

    def at(self, testid: str) -> Locator:
        return self.root.get_by_test_id(testid)

    # --- doing --------------------------------------------------------------------------------------------------------

    def say(self, text: str, *wanted: str) -> Locator:
        """Type a message and send it; returns the bubble that holds every `wanted` piece."""
        self.input.fill(text)
        self.at("send").click()
        expect(self.mine(text).last).to_be_visible()
        return self.hear(*wanted)

    def press(self, label: str, *wanted: str) -> Locator:
        """Tap the newest quick reply of this label that still works."""
        self.reply(label).last.click()
        return self.hear(*wanted)

    def command(self, label: str, *wanted: str) -> Locator:
        """Tap a chip of the row above the input."""
        self.at("quick-command").get_by_text(label, exact=True).click()
        return self.hear(*wanted)

    def send_photo(self, photo: FilePayload, caption: str = "") -> None:
        """Choose a picture, look at it, send it."""
        self.at("photo-input").set_input_files([photo])
        expect(self.at("photo-preview").locator("img")).to_be_visible()
        self.at("photo-caption").fill(caption)
        self.at("photo-send").click()
        expect(self.at("photo-preview")).to_be_hidden()
        expect(self.messages(caption, sender="me").last.locator("img")).to_be_visible()

    # --- seeing -------------------------------------------------------------------------------------------------------

    def messages(self, text: str = "", *, sender: str = "") -> Locator:
        rows = self.log.locator(f'[data-testid="msg"][data-from="{sender}"]' if sender else '[data-testid="msg"]')
        return rows.filter(has_text=text) if text else rows

    def mine(self, text: str = "") -> Locator:
        return self.messages(text, sender="me")

    def desk(self, text: str = "") -> Locator:
        return self.messages(text, sender="desk")

    def reply(self, label: str) -> Locator:
        return self.log.locator('[data-testid="quick-reply"]:not([aria-disabled="true"])').get_by_text(
            label, exact=True
        )

    def hear(self, *wanted: str) -> Locator:
        """The newest bubble of the desk that holds every `wanted` piece, once it is there."""
        bubbles = self.desk()
        for piece in wanted:
            bubbles = bubbles.filter(has_text=piece)
        expect(bubbles.last).to_be_visible()
        return bubbles.last

    def texts(self, sender: str = "") -> list[str]:
        """Every bubble's text from top to bottom."""
        return self.messages(sender=sender).locator('[data-testid="msg-text"]').all_inner_texts()


def open_phone(page: Page, url: str, person: str) -> Phone:
    """One person's chat over the whole page, with the history in place."""
    page.goto(f"{url}/?as={person}")
    phone = Phone(page)
    expect(phone.log).to_have_attribute("aria-live", "polite")
    return phone


def open_three(page: Page, url: str, *people: str) -> list[Phone]:
    """The three phones side by side."""
    page.goto(f"{url}/?view=three" + (f"&people={','.join(people)}" if people else ""))
    phones = [Phone(page, page.get_by_test_id(f"phone-{index}")) for index in range(3)]
    for phone in phones:
        expect(phone.log).to_have_attribute("aria-live", "polite")
    return phones
