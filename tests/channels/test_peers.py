"""Foreign libraries as peers over real connections on loopback: node's wechat-crypto, @wecom/crypto, co-wechat, co-wechat-api and
grammy (set up by `make test-peers`), and wechatpy's own client."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import wechatpy
import xmltodict
from channels.telegram_server import TOKEN as BOT_TOKEN
from channels.telegram_server import USERNAME, Served, TelegramServer
from channels.wechat_sender import AES_KEY, TOKEN, Sender
from channels.wechat_server import AGENT_ID, APP_ID, CORP_ID, CORP_SECRET, SECRET, Kept, WeChatServer
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.routing import Route

from bot.channels.base import Inbound, Outbound
from bot.channels.wechat import Patience, WeChatApi, WeChatChannel
from bot.channels.wechat_wire import Envelope
from bot.channels.wecom import WeComApi, WeComChannel
from bot.clock import system_clock
from storage.database import Sessions, sessions

PEERS = Path(__file__).parent / "peers"
INSTALLED = (PEERS / "node_modules" / ".package-lock.json").is_file() and shutil.which("node") is not None
WHO = "oXYZ-alice"
SLOW = "慢一点"

if os.environ.get("GUANJIA_PEERS_REQUIRED"):
    assert INSTALLED, "the node peers are not set up; run: make test-peers"
node = pytest.mark.skipif(not INSTALLED, reason="the node peers are not set up; run: make test-peers")


def run_node(script: str, *arguments: str, given: str = "") -> Any:
    command = ["node", str(PEERS / script), *arguments]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# --- our channels behind a real server -------------------------------------------------------------------------------


class Bot:
    """A channel served by uvicorn; every text is answered with itself, slow ones after WeChat has been told `success`."""

    def __init__(self, channel: WeChatChannel | WeComChannel) -> None:
        self.channel, self.got = channel, []  # type: ignore[var-annotated]
        self.ids: set[str] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        route = Route("/hook", channel.webhook, methods=["GET", "POST"])
        self.served = Served(Starlette(routes=[route], lifespan=self._lifespan))

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        await self.channel.start(self.receive)
        yield
        await asyncio.gather(*self.tasks)
        await self.channel.stop()

    async def receive(self, inbound: Inbound) -> None:
        if inbound.message_id in self.ids:
            return
        self.ids.add(inbound.message_id)
        self.got.append(inbound)
        if inbound.text:
            task = asyncio.ensure_future(self.answer(inbound))
            self.tasks.add(task)

    async def answer(self, inbound: Inbound) -> None:
        if inbound.text == SLOW:
            await asyncio.sleep(1.5)
        await self.channel.send(Outbound(inbound.chat_id, f"收到：{inbound.text}", f"a:{inbound.message_id}"))


@contextlib.contextmanager
def serving(channel: WeChatChannel | WeComChannel) -> Iterator[Bot]:
    bot = Bot(channel)
    with bot.served:
        yield bot


@pytest.fixture
def maker(new_sqlite: Callable[[], Engine]) -> Sessions:
    return sessions(new_sqlite())


def wechat(server: WeChatServer, maker: Sessions, *keys: str, answer: float = 4.2) -> WeChatChannel:
    api = WeChatApi(APP_ID, SECRET, server.url, maker)
    return WeChatChannel(api, Envelope(TOKEN, APP_ID, keys), maker, patience=Patience(answer=answer))


def pushed(bot: Bot, seal: str, *pushes: dict[str, Any], app_id: str = APP_ID) -> list[list[dict[str, Any]]]:
    job = {"url": f"{bot.served.url}/hook", "seal": seal, "token": TOKEN, "key": AES_KEY, "appId": app_id}
    results: list[list[dict[str, Any]]] = run_node("sender.js", given=json.dumps({**job, "pushes": pushes}))
    return results


def fields(kind: str, number: int, **more: str) -> dict[str, str]:
    common = {"ToUserName": "gh_1", "FromUserName": WHO, "CreateTime": str(int(time.time())), "MsgType": kind}
    return {**common, **({} if kind == "event" else {"MsgId": str(number)}), **more}


SEALS = ["plain", "wechat-crypto", "wecom-crypto"]


@node
@pytest.mark.parametrize("seal", SEALS)
def test_node_senders_are_understood_and_understand_the_answer(
    server: WeChatServer, maker: Sessions, seal: str
) -> None:
    server.media["m"] = Kept(b"\xff\xd8photo")
    words = "漏水 ]]> 😀 <b>&"
    with serving(wechat(server, maker, *(() if seal == "plain" else (AES_KEY,)))) as bot:
        text, image, spoken, place, link, pressed = pushed(
            bot,
            seal,
            {"fields": fields("text", 1, Content=words)},
            {"fields": fields("image", 2, MediaId="m", PicUrl="http://x.invalid")},
            {"fields": fields("voice", 3, MediaId="m", Recognition="厨房漏水")},
            {"fields": fields("location", 4, Location_X="30.2", Location_Y="120.1", Label="3栋")},
            {"fields": fields("link", 5, Title="停水", Description="今晚", Url="http://x.invalid")},
            {"fields": fields("event", 6, Event="CLICK", EventKey="/report")},
        )
    said = [xmltodict.parse(one[0]["message"])["xml"]["Content"] for one in (text, spoken, link, pressed)]
    assert said == [f"收到：{words}", "收到：厨房漏水", "收到：停水\n今晚", "收到：/report"]
    assert [one[0]["body"] for one in (image, place)] == ["success", "success"]
    if seal != "plain":
        assert (text[0]["genuine"], text[0]["id"]) == (True, APP_ID)
    assert [bool(got.media) for got in bot.got] == [False, True, False, False, False, False]


@node
@pytest.mark.parametrize("seal", SEALS)
def test_forged_old_and_plain_pushes_of_node_senders(server: WeChatServer, maker: Sessions, seal: str) -> None:
    keys = () if seal == "plain" else (AES_KEY,)
    with serving(wechat(server, maker, *keys)) as bot:
        forged, old, plain = pushed(
            bot,
            seal,
            {"fields": fields("text", 1, Content="x"), "forge": True},
            {"fields": fields("text", 2, Content="x"), "timestamp": int(time.time()) - 3600},
            {"fields": fields("text", 3, Content="x"), "plain": True},
        )
    assert (forged[0]["status"], old[0]["status"]) == (403, 403)
    assert plain[0]["status"] == (200 if seal == "plain" else 403)
    assert len(bot.got) == (1 if seal == "plain" else 0)


@node
@pytest.mark.parametrize("seal", SEALS)
def test_hang_ups_and_repeats_are_one_message_and_one_answer(server: WeChatServer, maker: Sessions, seal: str) -> None:
    """A connection given up while the answer is being made, then the platform's repeats; a slow answer is pushed once."""
    keys = () if seal == "plain" else (AES_KEY,)
    with serving(wechat(server, maker, *keys, answer=0.8)) as bot:
        slow, quick = pushed(
            bot,
            seal,
            {"fields": fields("text", 1, Content=SLOW), "tries": [100, 100, 0]},
            {"fields": fields("text", 2, Content="快"), "tries": [0, 0]},
        )
    assert [answer["status"] for answer in slow] == [0, 0, 200]
    assert slow[2]["body"] == "success"
    assert server.told(WHO) == [f"收到：{SLOW}"]
    assert [xmltodict.parse(one["message"])["xml"]["Content"] for one in quick] == ["收到：快"] * 2
    assert [got.text for got in bot.got] == [SLOW, "快"]


@node
def test_wecom_is_driven_by_its_own_crypto(server: WeChatServer, maker: Sessions) -> None:
    api = WeComApi(CORP_ID, CORP_SECRET, str(AGENT_ID), server.url, maker)
    channel = WeComChannel(api, Envelope(TOKEN, CORP_ID, (AES_KEY,)), maker, desk_clock=system_clock)
    with serving(channel) as bot:
        first, forged, plain = pushed(
            bot,
            "wecom-crypto",
            {"fields": fields("text", 1, Content="超时工单 ]]>"), "tries": [0, 0]},
            {"fields": fields("text", 2, Content="x"), "forge": True},
            {"fields": fields("text", 3, Content="x"), "plain": True},
            app_id=CORP_ID,
        )
    assert [(one["status"], one["body"]) for one in first] == [(200, ""), (200, "")]
    assert (forged[0]["status"], plain[0]["status"]) == (403, 403)
    assert server.told(WHO) == ["收到：超时工单 ]]>"]


# --- our sender, judged by a foreign server --------------------------------------------------------------------------


@node
@pytest.mark.parametrize("seal", ["plain", "wechatpy", "werobot"])
def test_co_wechat_takes_what_our_sender_sends(seal: str) -> None:
    job = json.dumps({"token": TOKEN, "appId": APP_ID, "key": AES_KEY})
    command = ["node", str(PEERS / "receiver.js"), job]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdin
        url = process.stdout.readline().strip()
        sender = Sender(APP_ID, int(time.time()), seal)
        # Without `]]>`: co-wechat's own answers break on it.
        pushes = [sender.text(WHO, "漏水 😀 <b>&"), sender.event(WHO, "CLICK", EventKey="/report")]
        said = []
        for one in pushes:
            answer = httpx.post(url, params=one.params, content=one.content)
            assert answer.status_code == 200, answer.text
            said.append(sender.read(answer.content)["Content"])
        check = httpx.get(url, params=sender.check("4711")).text
        process.stdin.close()
    assert said == ["text:漏水 😀 <b>&", "event:CLICK"]
    assert check == "4711"


# --- the stand-ins, judged by foreign clients ------------------------------------------------------------------------


def prepare(server: WeChatServer) -> None:
    server.templates["T1"] = "{{thing1.DATA}}"
    server.gone, server.closed, server.left = {"gone"}, {"closed"}, {"used": 0}


@node
def test_co_wechat_api_agrees_with_the_stand_in(server: WeChatServer) -> None:
    prepare(server)
    job = json.dumps({"url": server.url, "appId": APP_ID, "secret": SECRET})
    got = run_node("api.js", job)
    assert got["text"]["errcode"] == 0
    assert [got[name]["failed"] for name in ("nobody", "closed", "used", "long")] == [43004, 45015, 45047, 45002]
    assert server.media[got["upload"]["media_id"]].data == b"jpeg bytes"
    assert got["menuBack"]["menu"]["button"][0]["key"] == "/report"
    assert got["template"]["errcode"] == 0
    assert [got[name]["failed"] for name in ("noTemplate", "longField", "noMedia")] == [40037, 47003, 40007]
    assert got["renewed"]["errcode"] == 0
    assert server.told("alice") == ["您好 ]]> 😀", "厨房漏水", "换了令牌"]


class Client(wechatpy.WeChatClient):
    """wechatpy's own client at another address; its token call has that written in."""

    def fetch_access_token(self) -> Any:
        query = f"grant_type=client_credential&appid={self.appid}&secret={self.secret}"
        return self._fetch_access_token(f"{self.API_BASE_URL}token?{query}", {})


def test_wechatpy_agrees_with_the_stand_in(server: WeChatServer) -> None:
    prepare(server)
    client = Client(APP_ID, SECRET, timeout=10, auto_retry=False)
    client.API_BASE_URL = f"{server.url}/cgi-bin/"
    assert client.message.send_text("alice", "hello")["errcode"] == 0
    failed = []
    for who, words in (("gone", "x"), ("closed", "x"), ("used", "x"), ("alice", "x" * 2049)):
        with pytest.raises(wechatpy.exceptions.WeChatClientException) as caught:
            client.message.send_text(who, words)
        failed.append(caught.value.errcode)
    assert failed == [43004, 45015, 45047, 45002]
    media = client.media.upload("image", io.BytesIO(b"jpeg bytes"))
    assert client.media.download(media["media_id"]).content == b"jpeg bytes"
    assert client.message.send_template("alice", "T1", {"thing1": {"value": "leak"}})["errcode"] == 0
    assert server.told("alice") == ["hello", "leak"]


def test_requests_own_escapes_are_refused_as_wechat_does(server: WeChatServer) -> None:
    """wechatpy sends UTF-8; a client that escapes Chinese gets 40033."""
    prepare(server)
    token = httpx.post(
        f"{server.url}/cgi-bin/stable_token", json={"appid": APP_ID, "secret": SECRET}, timeout=10
    ).json()["access_token"]
    body = json.dumps({"touser": "alice", "msgtype": "text", "text": {"content": "您好"}})
    answer = httpx.post(f"{server.url}/cgi-bin/message/custom/send", params={"access_token": token}, content=body)
    assert answer.json()["errcode"] == 40033


@node
def test_grammy_agrees_with_the_telegram_stand_in() -> None:
    with TelegramServer() as telegram:
        telegram.push(message={"message_id": 7, "date": 1, "chat": {"id": 42, "type": "private"}, "text": "漏水"})
        got = run_node("telegram.js", json.dumps({"url": telegram.url, "token": BOT_TOKEN}))
    assert got["me"]["username"] == USERNAME
    assert got["sent"]["text"] == "有新任务"
    assert [got[name]["failed"] for name in ("empty", "long", "button", "badMenu", "conflict")] == [
        400,
        400,
        400,
        400,
        409,
    ]
    assert got["updates"][0]["message"]["text"] == "漏水"
    assert got["menu"] is True
