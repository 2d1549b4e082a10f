"""What every channel promises to the gateway and to delivery (bot/channels/base.py), checked on each of them alike.

A bench knows how a person and a platform behave on its channel; the tests know nothing of channels.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from channels.telegram_server import SENT_AT, TelegramServer
from channels.telegram_server import TOKEN as BOT_TOKEN
from channels.telegram_server import Fault as TelegramFault
from channels.wechat_sender import AES_KEY, TOKEN, Pushed, Sender
from channels.wechat_server import (
    AGENT_ID,
    APP_ID,
    CORP_ID,
    CORP_SECRET,
    SECRET,
    Fault,
    Kept,
    WeChatServer,
)
from PIL import Image
from sqlalchemy import Engine, select
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route

from bot.channels.base import Button, Channel, Inbound, Outbound, Refused, RetryLater, Unreachable
from bot.channels.telegram import TelegramChannel
from bot.channels.web import WebChannel, error_response
from bot.channels.wechat import Patience, WeChatApi, WeChatChannel
from bot.channels.wechat_wire import Envelope
from bot.channels.wecom import WeComApi, WeComChannel
from bot.clock import system_clock
from storage import mailbox
from storage.database import Sessions, sessions
from storage.models import Community, OutboxMessage

ODD = "漏水 👨‍👩‍👧 ]]> <b>&amp; \u202eabc\u0301 𠮷"
BUTTONS = (Button("accept:7", "接单"), Button("decline:7", "拒单"))


def photo_bytes() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(out, "PNG")
    return out.getvalue()


@dataclass
class Gateway:
    """Keeps what it is handed; `fail` lets the next calls crash before anything is stored, `hold` makes them wait."""

    got: list[Inbound] = field(default_factory=list)
    fail: int = 0
    hold: asyncio.Event | None = None
    begun: int = 0

    async def receive(self, inbound: Inbound) -> None:
        self.begun += 1
        if self.hold is not None:
            await self.hold.wait()
        if self.fail > 0:
            self.fail -= 1
            raise OSError("the database is away")
        self.got.append(inbound)


class Bench:
    """One channel, its platform, and a person on it (`who`)."""

    name: ClassVar[str]
    who: ClassVar[str]
    limit: ClassVar[int]
    loses_people: ClassVar[bool] = True

    def __init__(self, maker: Sessions, platform: Any) -> None:
        self.sessions, self.platform = maker, platform
        self.ids = itertools.count(1)
        with maker.begin() as session:
            self.community = session.scalars(select(Community.id)).one()

    @property
    def now(self) -> int:
        return int(system_clock().timestamp())

    def channel(self) -> Channel:
        raise NotImplementedError

    def routes(self, channel: Any) -> list[BaseRoute]:
        return [Route("/hook", channel.webhook, methods=["POST"])]

    async def meet(self, client: httpx.AsyncClient) -> None:
        """What has to happen before the person can write and be written to."""

    def made(self, *, text: str = "", button: str = "", photo: bytes = b"") -> Any:
        """Something the person does; pushed twice it is the platform's repeat."""
        raise NotImplementedError

    async def push(self, client: httpx.AsyncClient, made: Any) -> bool:
        """Whether the channel acknowledged it."""
        raise NotImplementedError

    def size(self, text: str) -> int:
        return len(text.encode())

    async def told(self, client: httpx.AsyncClient) -> list[str]:
        """The texts that reached the person, in order."""
        raise NotImplementedError

    async def pictures(self, client: httpx.AsyncClient) -> list[bytes]:
        raise NotImplementedError

    def break_once(self) -> None:
        """The platform does not work for one call."""
        raise NotImplementedError

    def block(self) -> None:
        """The person leaves."""
        raise NotImplementedError


class Web(Bench):
    name, who, limit, loses_people = "web", "resident:1", 10**9, False

    def __init__(self, maker: Sessions, platform: Path) -> None:
        super().__init__(maker, platform)
        self.broken = False

    def channel(self) -> Channel:
        options: dict[str, Any] = {"community_id": self.community, "files": self.platform, "secret": b"key"}
        return WebChannel(self.sessions, self.sessions, system_clock, demo=True, max_photo_mb=1, **options)

    def routes(self, channel: Any) -> list[BaseRoute]:
        return list(channel.routes())

    async def meet(self, client: httpx.AsyncClient) -> None:
        login = await client.post("/api/session", json={"person": self.who})
        client.headers["Authorization"] = f"Bearer {login.json()['token']}"

    def made(self, *, text: str = "", button: str = "", photo: bytes = b"") -> Any:
        body: dict[str, Any] = {"id": f"m{next(self.ids)}"}
        return body | ({"text": text} if text else {"button": button} if button else {"photo": photo})

    async def push(self, client: httpx.AsyncClient, made: Any) -> bool:
        if "photo" in made:
            response = await client.post(
                "/api/photos", data={"id": made["id"]}, files={"photo": ("a.png", made["photo"])}
            )
        else:
            response = await client.post("/api/messages", json=made)
        return response.status_code in (200, 202)

    async def _shown(self, client: httpx.AsyncClient) -> list[dict[str, Any]]:
        page = (await client.get("/api/messages", params={"limit": 200})).json()
        return [message for message in page["messages"] if message["from"] == "desk"]

    async def told(self, client: httpx.AsyncClient) -> list[str]:
        labels = [[button["label"] for button in one.get("buttons", [])] for one in await self._shown(client)]
        return ["\n".join([one["text"], *more]) for one, more in zip(await self._shown(client), labels, strict=True)]

    async def pictures(self, client: httpx.AsyncClient) -> list[bytes]:
        return [one["image"]["url"].encode() for one in await self._shown(client) if "image" in one]

    def break_once(self) -> None:
        pytest.skip("the web chat's platform is our own database")


class Telegram(Bench):
    name, who, limit = "telegram", "42", 4096
    PERSON: ClassVar[dict[str, Any]] = {"id": 42, "is_bot": False, "first_name": "Alice"}

    def channel(self) -> Channel:
        async def at_once(_seconds: float) -> None: ...

        url = "https://bot.example/hook"
        moments = itertools.count(0, 100)
        secret: dict[str, Any] = {"webhook_secret": "secret", "webhook_url": url, "offset_store": _NoOffsets()}
        return TelegramChannel(
            BOT_TOKEN, base_url=self.platform.url, sleep=at_once, monotonic=lambda: float(next(moments)), **secret
        )

    def made(self, *, text: str = "", button: str = "", photo: bytes = b"") -> Any:
        number = next(self.ids)
        message = {"message_id": number, "date": SENT_AT, "chat": {"id": 42, "type": "private"}, "from": self.PERSON}
        update: dict[str, Any] = {"update_id": number}
        if button:
            card = {**message, "text": "card"}
            query = {"id": f"q{number}", "from": self.PERSON, "chat_instance": "x", "message": card, "data": button}
            return update | {"callback_query": query}
        if photo:
            self.platform.files["f"] = photo
            size = {"file_id": "f", "file_unique_id": "f", "width": 8, "height": 8, "file_size": len(photo)}
            return update | {"message": {**message, "photo": [size]}}
        return update | {"message": {**message, "text": text}}

    async def push(self, client: httpx.AsyncClient, made: Any) -> bool:
        headers = {"X-Telegram-Bot-Api-Secret-Token": "secret"}
        return (await client.post("/hook", content=json.dumps(made), headers=headers)).status_code == 200

    def size(self, text: str) -> int:
        return len(text.encode("utf-16-le", "replace")) // 2

    async def told(self, client: httpx.AsyncClient) -> list[str]:
        calls = [call for call in self.platform.calls if call.method in ("sendMessage", "sendPhoto")]
        return [
            "\n".join([call.params.get("text") or call.params.get("caption") or "", *_labels(call)]) for call in calls
        ]

    async def pictures(self, client: httpx.AsyncClient) -> list[bytes]:
        return [data for call in self.platform.called("sendPhoto") for data in call.files.values()]

    def break_once(self) -> None:
        self.platform.fail("sendMessage", TelegramFault(502, "Bad Gateway"))

    def block(self) -> None:
        self.platform.fail("sendMessage", TelegramFault(403, "Forbidden: bot was blocked by the user"))


class _NoOffsets:
    async def load(self) -> int:
        return 0

    async def save(self, offset: int) -> None: ...


def _labels(call: Any) -> list[str]:
    rows = (call.params.get("reply_markup") or {}).get("inline_keyboard", [])
    return [button["text"] for row in rows for button in row]


class Tencent(Bench):
    """What WeChat and WeCom have in common."""

    app_id: ClassVar[str]
    send_path: ClassVar[str]
    limit = 2048

    def sender(self) -> Sender:
        return Sender(self.app_id, self.now, "wechatpy", ids=self.ids)

    def made(self, *, text: str = "", button: str = "", photo: bytes = b"") -> Any:
        if button:
            return self.pressed(button)
        if photo:
            self.platform.media["photo"] = Kept(photo, "image/png")
            return self.sender().message(self.who, "image", MediaId="photo", PicUrl="http://nowhere.invalid")
        return self.sender().text(self.who, text)

    def pressed(self, code: str) -> Pushed:
        raise NotImplementedError

    async def push(self, client: httpx.AsyncClient, made: Any) -> bool:
        return (await client.post("/hook", params=made.params, content=made.content)).status_code == 200

    async def told(self, client: httpx.AsyncClient) -> list[str]:
        return [words for words in self.platform.told(self.who) if words]

    async def pictures(self, client: httpx.AsyncClient) -> list[bytes]:
        sent = [call.body for call in self.platform.called(self.send_path) if call.body["msgtype"] == "image"]
        return [self.platform.media[body["image"]["media_id"]].data for body in sent]

    def break_once(self) -> None:
        self.platform.fail(self.send_path, Fault(status=502))

    def block(self) -> None:
        self.platform.gone.add(self.who)


class WeChat(Tencent):
    name, who, app_id, send_path = "wechat", "oXYZ-alice", APP_ID, "/cgi-bin/message/custom/send"

    def channel(self) -> Channel:
        api = WeChatApi(APP_ID, SECRET, self.platform.url, self.sessions)
        return WeChatChannel(api, Envelope(TOKEN, APP_ID, (AES_KEY,)), self.sessions, patience=Patience(answer=0.0))

    async def meet(self, client: httpx.AsyncClient) -> None:
        await self.push(client, self.made(text="在吗"))

    def pressed(self, code: str) -> Pushed:
        return self.sender().text(self.who, "接单", bizmsgmenuid=code)


class WeCom(Tencent):
    name, who, app_id, send_path = "wecom", "LiGong", CORP_ID, "/cgi-bin/message/send"

    def channel(self) -> Channel:
        api = WeComApi(CORP_ID, CORP_SECRET, str(AGENT_ID), self.platform.url, self.sessions)
        return WeComChannel(api, Envelope(TOKEN, CORP_ID, (AES_KEY,)), self.sessions, desk_clock=system_clock)

    def pressed(self, code: str) -> Pushed:
        """Choices are numbers here, and what they mean is in the outbox."""
        with self.sessions.begin() as session:
            identity = mailbox.identity_of(session, self.name, self.who, self.community)
            chat = mailbox.conversation_of(session, identity, self.who)
            row = OutboxMessage(dedupe_key=f"c{next(self.ids)}", conversation_id=chat.id, text="x")
            row.buttons, row.status = [["other:1", "别的"], [code, "接单"]], "sent"
            row.created_at = row.due_at = row.sent_at = system_clock()
            session.add(row)
        return self.sender().text(self.who, "2")


# --- fixtures --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def telegram_server() -> Iterator[TelegramServer]:
    with TelegramServer() as running:
        yield running


@pytest.fixture(scope="module")
def wechat_server() -> Iterator[WeChatServer]:
    with WeChatServer() as running:
        yield running


@pytest.fixture(params=[Web, Telegram, WeChat, WeCom], ids=lambda kind: kind.name)
def bench(
    request: pytest.FixtureRequest,
    new_sqlite: Callable[[], Engine],
    telegram_server: TelegramServer,
    wechat_server: WeChatServer,
    tmp_path: Path,
) -> Bench:
    telegram_server.reset()
    wechat_server.reset()
    platforms = {"web": tmp_path, "telegram": telegram_server, "wechat": wechat_server, "wecom": wechat_server}
    made: Bench = request.param(sessions(new_sqlite()), platforms[request.param.name])
    return made


@dataclass
class Scene:
    bench: Bench
    channel: Channel
    client: httpx.AsyncClient
    gateway: Gateway

    async def push(self, made: Any) -> bool:
        return await self.bench.push(self.client, made)

    async def told(self) -> list[str]:
        return await self.bench.told(self.client)

    def message(self, text: str, key: str = "k1", **more: Any) -> Outbound:
        return Outbound(self.bench.who, text, key, **more)


@asynccontextmanager
async def opened(bench: Bench) -> Any:
    gateway, channel = Gateway(), bench.channel()
    await channel.start(gateway.receive)
    handlers: Any = {Exception: error_response, HTTPException: error_response}
    transport = httpx.ASGITransport(
        Starlette(routes=bench.routes(channel), exception_handlers=handlers), raise_app_exceptions=False
    )
    async with httpx.AsyncClient(transport=transport, base_url="http://bot", timeout=30) as client:
        await bench.meet(client)
        gateway.got.clear()
        gateway.begun = 0
        try:
            yield Scene(bench, channel, client, gateway)
        finally:
            await channel.stop()


def play(bench: Bench, work: Callable[[Scene], Awaitable[None]]) -> None:
    async def scene() -> None:
        async with opened(bench) as opening:
            await work(opening)

    asyncio.run(scene())


# --- coming in -------------------------------------------------------------------------------------------------------


def test_a_message_is_who_said_what(bench: Bench) -> None:
    async def work(scene: Scene) -> None:
        assert await scene.push(bench.made(text="厨房漏水"))
        (got,) = scene.gateway.got
        assert (got.channel, got.sender_id, got.chat_id, got.text) == (bench.name, bench.who, bench.who, "厨房漏水")
        assert isinstance(scene.channel.name, str)
        assert scene.channel.name == bench.name
        assert 0 < len(got.message_id) <= 120

    play(bench, work)


def test_a_repeat_has_the_id_of_the_first_and_another_message_has_not(bench: Bench) -> None:
    async def work(scene: Scene) -> None:
        first, second = bench.made(text="漏水"), bench.made(text="漏水")
        for one in (first, second, first):
            assert await scene.push(one)
        ids = [got.message_id for got in scene.gateway.got]
        assert len(set(ids)) == 2
        assert ids[0] != ids[1]

    play(bench, work)


def test_a_repeat_after_a_restart_still_has_the_same_id(bench: Bench) -> None:
    made = bench.made(text="漏水")
    ids: list[str] = []

    async def work(scene: Scene) -> None:
        assert await scene.push(made)
        ids.extend(got.message_id for got in scene.gateway.got)

    play(bench, work)
    play(bench, work)
    assert len(ids) == 2
    assert ids[0] == ids[1]


def test_what_could_not_be_stored_is_not_acknowledged_and_its_repeat_is(bench: Bench) -> None:
    async def work(scene: Scene) -> None:
        scene.gateway.fail = 1
        made = bench.made(text="漏水")
        assert not await scene.push(made)
        assert await scene.push(made)
        assert [got.text for got in scene.gateway.got] == ["漏水"]

    play(bench, work)


def test_messages_stay_in_their_order(bench: Bench) -> None:
    async def work(scene: Scene) -> None:
        words = [f"第{number}句" for number in range(8)]
        for one in words:
            assert await scene.push(bench.made(text=one))
        assert [got.text for got in scene.gateway.got] == words

    play(bench, work)


def test_a_pressed_button_is_its_code(bench: Bench) -> None:
    async def work(scene: Scene) -> None:
        assert await scene.push(bench.made(button="accept:7"))
        assert [(got.button, got.text) for got in scene.gateway.got] == [("accept:7", "")]

    play(bench, work)


def test_a_photo_arrives_as_it_was_sent(bench: Bench) -> None:
    data = photo_bytes()

    async def work(scene: Scene) -> None:
        assert await scene.push(bench.made(photo=data))
        (got,) = scene.gateway.got
        assert [(media.kind, media.data) for media in got.media] == [("image", data)]

    play(bench, work)


def test_odd_characters_survive_both_ways(bench: Bench) -> None:
    async def work(scene: Scene) -> None:
        assert await scene.push(bench.made(text=ODD))
        assert scene.gateway.got[0].text == ODD
        await scene.channel.send(scene.message(f"{ODD}\x00\ud800"))
        (told,) = await scene.told()
        assert told.startswith(ODD)
        assert "\x00" not in told

    play(bench, work)


# --- going out -------------------------------------------------------------------------------------------------------


def test_messages_arrive_in_the_order_they_are_sent(bench: Bench) -> None:
    async def work(scene: Scene) -> None:
        words = [f"第{number}条" for number in range(5)]
        for number, one in enumerate(words):
            await scene.channel.send(scene.message(one, f"k{number}"))
        assert await scene.told() == words

    play(bench, work)


def test_a_long_text_arrives_whole_in_pieces_the_platform_takes(bench: Bench) -> None:
    lines = [f"{number:03d} 一二三四五六七八九十😀" for number in range(180)]

    async def work(scene: Scene) -> None:
        await scene.channel.send(scene.message("\n".join(lines)))
        told = await scene.told()
        assert "\n".join(told).split("\n") == lines
        assert max(bench.size(piece) for piece in told) <= bench.limit

    play(bench, work)


def test_choices_reach_the_person(bench: Bench) -> None:
    async def work(scene: Scene) -> None:
        await scene.channel.send(scene.message("有新任务", buttons=BUTTONS))
        (told,) = await scene.told()
        assert "有新任务" in told
        for button in BUTTONS:
            assert button.label in told

    play(bench, work)


def test_a_picture_goes_with_its_words(bench: Bench, tmp_path: Path) -> None:
    key = "a" * 64 + ".jpg"
    picture = tmp_path / key
    picture.write_bytes(b"jpeg")

    async def work(scene: Scene) -> None:
        await scene.channel.send(scene.message("看图", image_path=str(picture), image_name=key))
        assert await scene.told() == ["看图"]
        (shown,) = await bench.pictures(scene.client)
        assert shown in (b"jpeg", f"/api/files/{key}".encode())

    play(bench, work)


@pytest.mark.parametrize(
    "more",
    [{"text": ""}, {"text": "x", "buttons": (Button("c" * 65, "x"),)}, {"text": "x", "buttons": (Button("c", ""),)}],
)
def test_what_no_platform_takes_is_refused(bench: Bench, more: dict[str, Any]) -> None:
    async def work(scene: Scene) -> None:
        with pytest.raises(Refused):
            await scene.channel.send(scene.message(**more))
        assert await scene.told() == []

    play(bench, work)


def test_a_platform_that_does_not_work_means_later_and_then_once(bench: Bench) -> None:
    async def work(scene: Scene) -> None:
        bench.break_once()
        with pytest.raises(RetryLater) as caught:
            await scene.channel.send(scene.message("已登记"))
        assert caught.value.seconds > 0
        before = len(await scene.told())
        await scene.channel.send(scene.message("已登记"))
        assert len(await scene.told()) == before + 1

    play(bench, work)


def test_somebody_who_left_is_unreachable(bench: Bench) -> None:
    if not bench.loses_people:
        pytest.skip("nobody can leave the web chat")

    async def work(scene: Scene) -> None:
        bench.block()
        with pytest.raises(Unreachable):
            await scene.channel.send(scene.message("已登记"))

    play(bench, work)


# --- stopping --------------------------------------------------------------------------------------------------------


def test_stopping_finishes_what_is_under_way_and_takes_nothing_more(bench: Bench) -> None:
    async def work(scene: Scene) -> None:
        scene.gateway.hold = asyncio.Event()
        pushing = asyncio.ensure_future(scene.push(bench.made(text="最后一句")))
        while not scene.gateway.begun:
            await asyncio.sleep(0.005)
        stopping = asyncio.ensure_future(scene.channel.stop())
        await asyncio.sleep(0)
        scene.gateway.hold.set()
        await stopping
        assert await pushing
        assert [got.text for got in scene.gateway.got] == ["最后一句"]
        assert not await scene.push(bench.made(text="太晚"))
        assert len(scene.gateway.got) == 1

    play(bench, work)


def test_a_connection_that_hangs_up_does_not_cut_the_store_in_half(bench: Bench) -> None:
    async def work(scene: Scene) -> None:
        scene.gateway.hold = asyncio.Event()
        pushing = asyncio.ensure_future(scene.push(bench.made(text="挂断")))
        while not scene.gateway.begun:
            await asyncio.sleep(0.005)
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)
        scene.gateway.hold.set()
        async with asyncio.timeout(10):
            while not scene.gateway.got:
                await asyncio.sleep(0.005)
        assert [got.text for got in scene.gateway.got] == ["挂断"]

    play(bench, work)


def test_stopping_before_starting_and_twice_is_no_error(bench: Bench) -> None:
    async def scene() -> None:
        channel = bench.channel()
        await channel.stop()
        await channel.stop()

    asyncio.run(scene())
