"""The repair loop with resident and worker on Telegram: real processes, Bot API stand-in on loopback, long polling."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from channels.telegram_server import SENT_AT, TOKEN, TelegramServer
from e2e.harness import ROOT, Stack

pytestmark = pytest.mark.e2e

RESIDENT, WORKER = 4101, 4102


class Phone:
    """Somebody's Telegram: pushes updates to the bot, reads what the bot sent to this chat."""

    def __init__(self, server: TelegramServer, user_id: int, name: str) -> None:
        self.server, self.user_id, self.name, self.number, self.seen = server, user_id, name, 0, 0

    def _message(self, **content: Any) -> dict[str, Any]:
        self.number += 1
        sender = {"id": self.user_id, "is_bot": False, "first_name": self.name}
        chat = {"id": self.user_id, "type": "private", "first_name": self.name}
        return {"message_id": self.number, "date": SENT_AT, "chat": chat, "from": sender, **content}

    def send(self, text: str) -> None:
        self.server.push(message=self._message(text=text))

    def press(self, label: str) -> None:
        """Press the newest inline button with this label."""
        for call in reversed(self.mine()):
            for row in (call.params.get("reply_markup") or {}).get("inline_keyboard", []):
                for button in row:
                    if button["text"] == label:
                        sender = {"id": self.user_id, "is_bot": False, "first_name": self.name}
                        card = self._message(text="card")
                        query = {"id": str(time.time_ns()), "from": sender, "chat_instance": "x", "message": card}
                        self.server.push(callback_query={**query, "data": button["callback_data"]})
                        return
        raise AssertionError(f"no button {label!r}")

    def mine(self) -> list[Any]:
        return [call for call in self.server.called("sendMessage") if int(call.params["chat_id"]) == self.user_id]

    def hear(self, *wanted: str, patience: float = 25.0) -> str:
        until = time.monotonic() + patience
        while time.monotonic() < until:
            fresh = self.mine()[self.seen :]
            joined = "\n---\n".join(str(call.params["text"]) for call in fresh)
            if fresh and all(piece in joined for piece in wanted):
                self.seen += len(fresh)
                return joined
            time.sleep(0.1)
        raise AssertionError(f"missing {wanted} in: {[call.params['text'] for call in self.mine()[self.seen :]]}")


@pytest.fixture
def server() -> Iterator[TelegramServer]:
    with TelegramServer() as running:
        yield running


@pytest.fixture
def stack(tmp_path: Path, models: Path, server: TelegramServer) -> Iterator[Stack]:
    running = Stack(tmp_path, models, TELEGRAM_BOT_TOKEN=TOKEN, TELEGRAM_BASE_URL=server.url).start()
    yield running
    running.stop()


def _code(stack: Stack, person: str) -> str:
    made = subprocess.run(
        [sys.executable, "-m", "bot", "code", person],
        cwd=ROOT,
        env=stack.env,
        check=True,
        capture_output=True,
        text=True,
    )
    return made.stdout.strip().splitlines()[-1]


def test_repair_loop_on_telegram(stack: Stack, server: TelegramServer) -> None:
    resident, worker = Phone(server, RESIDENT, "Wang"), Phone(server, WORKER, "Master")
    resident.send(f"/start {_code(stack, 'resident:1')}")
    resident.hear("王女士")
    worker.send(f"绑定 {_code(stack, 'staff:1')}")
    worker.hear("王师傅")
    resident.send("厨房水龙头一直滴水，麻烦明天下午来修")
    resident.hear("BX", "一期3栋2单元1502室", "尾号5678")
    worker.hear("接单 0001")
    worker.press("接单")
    worker.hear("13800005678")
    resident.hear("王师傅（工号E023）已接单")
    worker.send("/arrive")
    worker.hear("已记到场")
    worker.send("完工 换了阀芯 已自检 已清场")
    resident.hear("没问题回复1")
    resident.press("1 修好了")
    resident.hear("打个分")
    resident.send("五星")
    resident.hear("评价已记下")
    ticket = stack.ticket()
    assert ticket.status == "closed"
    assert ticket.score_quality == 5
    assert f"chat{WORKER}" in server.commands
    assert TOKEN not in (stack.folder / "logs" / "bot.log").read_text("utf-8")


def test_a_used_or_made_up_code_binds_nobody(stack: Stack, server: TelegramServer) -> None:
    code = _code(stack, "staff:1")
    first, second = Phone(server, WORKER, "Master"), Phone(server, RESIDENT, "Somebody")
    first.send(f"绑定 {code}")
    first.hear("王师傅")
    second.send(f"绑定 {code}")
    second.hear("无效")
    second.send("绑定 000000")
    second.hear("无效")
    second.send("状态 0001")
    assert "一期" not in second.hear()
