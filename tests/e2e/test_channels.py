"""The repair loop across platforms: resident on WeChat, worker on Telegram, supervisor on WeCom; real processes, stand-ins on loopback."""

from __future__ import annotations

import io
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from channels.telegram_server import TOKEN as BOT_TOKEN
from channels.telegram_server import TelegramServer
from channels.wechat_sender import AES_KEY, TOKEN, Pushed, Sender
from channels.wechat_server import (
    AGENT_ID,
    APP_ID,
    CORP_ID,
    CORP_SECRET,
    ROBOT_KEY,
    SECRET,
    Kept,
    WeChatServer,
)
from e2e.harness import Stack
from e2e.test_telegram import Phone, _code
from PIL import Image
from sqlalchemy import select

from storage.models import Attachment

pytestmark = pytest.mark.e2e

OPENID, SUPERVISOR = "oXYZ-wang", "LiGong"
PATIENCE = 25.0


class Tencent:
    """Somebody's WeChat or WeCom: what they do is pushed to the bot, what reaches them is read from both ways."""

    ids = itertools.count(int(time.time()) * 1000)

    def __init__(self, server: WeChatServer, url: str, who: str, seal: str) -> None:
        self.server, self.url, self.who, self.seal = server, url, who, seal
        self.app_id = APP_ID if url.endswith("/wechat") else CORP_ID
        self.passive: list[str] = []
        self.seen = 0

    def sender(self) -> Sender:
        return Sender(self.app_id, int(time.time()), self.seal, ids=self.ids)

    def push(self, pushed: Pushed) -> httpx.Response:
        """As the platform: five seconds, three tries in all."""
        for _ in range(3):
            try:
                answer = httpx.post(self.url, params=pushed.params, content=pushed.content, timeout=5)
            except httpx.HTTPError:
                continue
            if answer.status_code == 200:
                if answer.content.startswith(b"<xml>"):
                    self.passive.append(self.sender().read(answer.content)["Content"])
                return answer
        raise AssertionError("the person reads that the account is out of order")

    def send(self, text: str) -> None:
        self.push(self.sender().text(self.who, text))

    def follow(self, scene: str) -> None:
        self.push(self.sender().event(self.who, "subscribe", EventKey=f"qrscene_{scene}", Ticket="t"))

    def press(self, label: str) -> None:
        """Press this item of the newest menu message."""
        for call in reversed(self.server.called("/cgi-bin/message/custom/send")):
            for item in call.body.get("msgmenu", {}).get("list", []):
                if item["content"] == label and call.body["touser"] == self.who:
                    self.push(self.sender().text(self.who, label, bizmsgmenuid=item["id"]))
                    return
        raise AssertionError(f"no item {label!r}")

    def all(self) -> list[str]:
        return [*self.passive, *self.server.told(self.who)]

    def hear(self, *wanted: str) -> str:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            joined = "\n---\n".join(self.all())
            if all(piece in joined for piece in wanted):
                return joined
            time.sleep(0.1)
        raise AssertionError(f"missing {wanted} in {self.all()}")


@pytest.fixture
def telegram() -> Iterator[TelegramServer]:
    with TelegramServer() as running:
        yield running


@pytest.fixture
def tencent() -> Iterator[WeChatServer]:
    with WeChatServer() as running:
        yield running


@pytest.fixture
def stack(tmp_path: Path, models: Path, telegram: TelegramServer, tencent: WeChatServer) -> Iterator[Stack]:
    settings = {
        "TELEGRAM_BOT_TOKEN": BOT_TOKEN,
        "TELEGRAM_BASE_URL": telegram.url,
        "WECHAT_APP_ID": APP_ID,
        "WECHAT_APP_SECRET": SECRET,
        "WECHAT_TOKEN": TOKEN,
        "WECHAT_AES_KEY": AES_KEY,
        "WECHAT_BASE_URL": tencent.url,
        "WECOM_CORP_ID": CORP_ID,
        "WECOM_SECRET": CORP_SECRET,
        "WECOM_AGENT_ID": str(AGENT_ID),
        "WECOM_TOKEN": TOKEN,
        "WECOM_AES_KEY": AES_KEY,
        "WECOM_BASE_URL": tencent.url,
        "WECOM_ROBOT_KEY": ROBOT_KEY,
    }
    running = Stack(tmp_path, models, **settings).start()
    yield running
    running.stop()


def test_repair_loop_over_three_platforms(stack: Stack, telegram: TelegramServer, tencent: WeChatServer) -> None:
    setup = stack.run_command("wechat", "setup")
    assert setup.returncode == 0, setup.stderr
    assert tencent.menu["button"][0]["key"] == "/report"

    resident = Tencent(tencent, f"{stack.url}/wechat", OPENID, "wechatpy")
    supervisor = Tencent(tencent, f"{stack.url}/wecom", SUPERVISOR, "wechatpy")
    worker = Phone(telegram, 4102, "Master")
    resident.follow(_code(stack, "resident:1"))
    resident.hear("王女士")
    worker.send(f"绑定 {_code(stack, 'staff:1')}")
    worker.hear("王师傅")
    supervisor.send(f"绑定 {_code(stack, _staff_id(stack, '李工'))}")
    supervisor.hear("李工")

    resident.send("厨房水龙头一直滴水，麻烦明天下午来修")
    resident.hear("BX", "一期3栋2单元1502室", "尾号5678")
    assert resident.passive, "what is ready in time comes back on the connection"
    tencent.media = {"m-photo": Kept(_photo()), "m-voice": Kept(b"#!AMR\n\x3c", "audio/amr")}
    resident.push(resident.sender().message(OPENID, "image", MediaId="m-photo", PicUrl="http://nowhere.invalid"))
    resident.hear("照片")
    resident.push(resident.sender().message(OPENID, "voice", MediaId="m-voice", Format="amr"))
    resident.hear("请打字")
    worker.hear("接单 0001")
    worker.press("接单")
    worker.hear("13800005678")
    resident.hear("王师傅（工号E023）已接单")
    supervisor.send("状态 0001")
    supervisor.hear("处理中")
    worker.send("/arrive")
    worker.hear("已记到场")
    worker.send("完工 换了阀芯 已自检 已清场")
    resident.hear("没问题回复1", "1 修好了")
    resident.press("1 修好了")
    resident.hear("打个分")
    resident.send("五星")
    resident.hear("评价已记下")
    ticket = stack.ticket()
    assert (ticket.status, ticket.score_quality) == ("closed", 5)
    with stack.session() as session:
        kept = session.execute(select(Attachment.mime, Attachment.purpose, Attachment.ticket_id)).all()
    assert [tuple(row) for row in kept] == [("image/jpeg", "before", ticket.id), ("audio/amr", "voice", ticket.id)]
    supervisor.send("状态 0001")
    supervisor.hear("已完成", "评价")
    assert tencent.tokens_given <= 3, "one token an account, for the bot and for the setup"
    log = (stack.folder / "logs" / "bot.log").read_text("utf-8")
    for secret in (SECRET, CORP_SECRET, AES_KEY, OPENID, "滴水", BOT_TOKEN):
        assert secret not in log


def test_repeats_hang_ups_and_a_killed_bot_make_one_ticket(stack: Stack, tencent: WeChatServer) -> None:
    resident = Tencent(tencent, f"{stack.url}/wechat", OPENID, "werobot")
    resident.follow(_code(stack, "resident:1"))
    resident.hear("王女士")
    pushed = resident.sender().text(OPENID, "3栋2单元1502厨房水管漏水，麻烦尽快")
    # The platform gives up the connection at once, and repeats; then the bot dies, and it repeats again.
    with pytest.raises(httpx.TimeoutException):
        httpx.post(resident.url, params=pushed.params, content=pushed.content, timeout=httpx.Timeout(5, read=0.05))
    resident.push(pushed)
    stack.kill("bot")
    stack.wait_healthy(60)
    resident.push(pushed)
    resident.hear("BX20250612-0001")
    assert len(stack.tickets()) == 1
    told = [words for words in resident.all() if "BX20250612-0001" in words and "已登记" in words]
    assert len(told) >= 1


def test_an_emergency_is_answered_on_the_connection_while_rasa_is_down(stack: Stack, tencent: WeChatServer) -> None:
    resident = Tencent(tencent, f"{stack.url}/wechat", OPENID, "wechatpy")
    resident.follow(_code(stack, "resident:1"))
    resident.hear("王女士")
    stack.kill("rasa")
    resident.send("家里煤气味好大")
    assert any("燃气" in words or "煤气" in words for words in resident.passive), resident.all()


def _photo() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "blue").save(out, "PNG")
    return out.getvalue()


def _staff_id(stack: Stack, name: str) -> str:
    people = httpx.get(f"{stack.url}/api/demo/people").json()["people"]
    return next(str(one["id"]) for one in people if one["name"] == name)
