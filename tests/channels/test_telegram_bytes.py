"""Ten thousand updates to the Telegram webhook whose bytes were damaged: an answer each time, and the channel goes on."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
from channels.mutations import DAMAGED, MUTATIONS, mutated
from channels.telegram_server import SENT_AT, TOKEN, TelegramServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Route

from bot.channels.base import Inbound
from bot.channels.telegram import TelegramChannel

PERSON = {"id": 42, "is_bot": False, "first_name": "Alice"}
PRIVATE = {"id": 42, "type": "private"}
MESSAGE = {"message_id": 7, "date": SENT_AT, "chat": PRIVATE, "from": PERSON}
UPDATES: list[dict[str, Any]] = [
    {"message": {**MESSAGE, "text": "厨房漏水"}},
    {"edited_message": {**MESSAGE, "edit_date": SENT_AT + 9, "text": "卫生间漏水"}},
    {"message": {**MESSAGE, "location": {"latitude": 30.2, "longitude": 120.1}}},
    {"message": {**MESSAGE, "contact": {"phone_number": "+8613800005678", "first_name": "A", "user_id": 42}}},
    {"callback_query": {"id": "1", "from": PERSON, "chat_instance": "x", "message": MESSAGE, "data": "accept:7"}},
]
BODIES = [json.dumps({"update_id": 1000 + number, **update}).encode() for number, update in enumerate(UPDATES)]


class _Offsets:
    async def load(self) -> int:
        return 0

    async def save(self, offset: int) -> None: ...


def test_no_damaged_update_breaks_the_webhook() -> None:
    got: list[Inbound] = []

    async def receive(inbound: Inbound) -> None:
        got.append(inbound)

    async def scene(url: str) -> None:
        where = "https://bot.example/hook"
        channel = TelegramChannel(TOKEN, base_url=url, webhook_secret="s", webhook_url=where, offset_store=_Offsets())
        await channel.start(receive)
        app = Starlette(routes=[Route("/hook", channel.webhook, methods=["POST"])])
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bot")
        loop, headers = asyncio.get_running_loop(), {"X-Telegram-Bot-Api-Secret-Token": "s"}

        @settings(max_examples=DAMAGED, database=None, suppress_health_check=list(HealthCheck))
        @given(st.sampled_from(BODIES), MUTATIONS)
        def attack(body: bytes, changes: Any) -> None:
            posting = client.post("/hook", content=mutated(body, changes), headers=headers)
            assert asyncio.run_coroutine_threadsafe(posting, loop).result(60).status_code in (200, 400)

        await asyncio.to_thread(attack)
        assert (await client.post("/hook", content=BODIES[0], headers=headers)).status_code == 200
        await client.aclose()
        await channel.stop()

    with TelegramServer() as server:
        asyncio.run(scene(server.url))
    assert got[-1].text == "厨房漏水"
