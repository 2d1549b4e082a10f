"""The WeChat channel: pushes sealed by foreign libraries, answers read by them, and the platform's API as a stand-in on loopback."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from channels.mutations import DAMAGED, MUTATIONS, NAMES, VALUES, mutated
from channels.wechat_sender import AES_KEY, OTHER_KEY, TOKEN, Pushed, Sender, cdata
from channels.wechat_server import APP_ID, SECRET, Fault, Kept, WeChatServer
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select
from starlette.applications import Starlette
from starlette.routing import Route

from bot.channels.base import Button, Inbound, Outbound, Refused, RetryLater, Unreachable
from bot.channels.wechat import (
    EVENT_QUOTA,
    MESSAGE_QUOTA,
    Patience,
    Template,
    WeChatApi,
    WeChatChannel,
    fitted,
)
from bot.channels.wechat_api import FORCE_EVERY
from bot.channels.wechat_wire import Envelope, parse_xml, to_xml
from bot.channels.wechat_wire import cdata as our_cdata
from storage import mailbox, platforms
from storage.database import Sessions, sessions
from storage.models import Community, Conversation, OutboxMessage, PlatformToken

START = datetime(2025, 6, 12, 14, 0, tzinfo=UTC)
OPENID, OTHER = "oXYZ-alice", "oXYZ-bob"
LEAK = "厨房漏水 3-2-1502"
SEALS = ("plain", "wechatpy", "werobot")
QUICK = Patience(answer=0.1, download=5.0, stop=5.0)
# For those who get their answer: nobody waits so long.
PATIENT = Patience(answer=20.0, download=5.0, stop=5.0)
CHOICES = (Button("confirm:7", "1 修好了"), Button("not_fixed:7", "2 没修好"))
Answer = Callable[[Inbound], Awaitable[None]]


@dataclass
class Gateway:
    """Keeps what was received, each id once; `fail` makes the next calls crash before anything is stored."""

    got: list[Inbound] = field(default_factory=list)
    fail: int = 0
    answer: Answer | None = None
    ids: set[str] = field(default_factory=set)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def receive(self, inbound: Inbound) -> None:
        if self.fail > 0:
            self.fail -= 1
            raise OSError("the database is away")
        if inbound.message_id in self.ids:
            return
        self.ids.add(inbound.message_id)
        self.got.append(inbound)
        if self.answer:
            self.tasks.append(asyncio.ensure_future(self.answer(inbound)))


@dataclass
class Bench:
    """One channel with its database, its platform and its clock."""

    server: WeChatServer
    sessions: Sessions
    now: datetime = START
    gateway: Gateway = field(default_factory=Gateway)
    ids: Any = field(default_factory=lambda: itertools.count(23_000_000_000_000_000))

    def sender(self, seal: str = "plain", **more: Any) -> Sender:
        return Sender(APP_ID, int(self.now.timestamp()), seal, ids=self.ids, **more)

    def api(self) -> WeChatApi:
        return WeChatApi(APP_ID, SECRET, self.server.url, self.sessions, lambda: self.now)

    def channel(self, *keys: str, api: WeChatApi | None = None, **options: Any) -> WeChatChannel:
        options.setdefault("patience", QUICK)
        envelope = Envelope(TOKEN, APP_ID, keys)
        return WeChatChannel(api or self.api(), envelope, self.sessions, clock=lambda: self.now, **options)

    def chat(self, who: str = OPENID) -> int:
        """A conversation as the gateway makes it."""
        with self.sessions.begin() as session:
            community = session.scalars(select(Community.id)).first()
            identity = mailbox.identity_of(session, "wechat", who, community or 1)
            return mailbox.conversation_of(session, identity, who).id

    def open(self, who: str = OPENID, left: int = MESSAGE_QUOTA) -> None:
        with self.sessions.begin() as session:
            platforms.open_window(session, "wechat", who, "message", self.now + timedelta(hours=48), left)


def keys_for(seal: str) -> tuple[str, ...]:
    return () if seal == "plain" else (AES_KEY,)


@pytest.fixture
def bench(server: WeChatServer, engine: Engine) -> Bench:
    return Bench(server, sessions(engine))


def client_of(channel: WeChatChannel) -> httpx.AsyncClient:
    app = Starlette(routes=[Route("/wechat", channel.webhook, methods=["GET", "POST"])])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bot")


async def post(client: httpx.AsyncClient, pushed: Pushed) -> httpx.Response:
    return await client.post("/wechat", params=pushed.params, content=pushed.content)


def run(
    bench: Bench, work: Callable[[WeChatChannel, httpx.AsyncClient], Awaitable[Any]], *keys: str, **options: Any
) -> Any:
    async def scene() -> Any:
        channel = bench.channel(*keys, **options)
        await channel.start(bench.gateway.receive)
        async with client_of(channel) as client:
            try:
                return await work(channel, client)
            finally:
                await asyncio.gather(*bench.gateway.tasks)
                await channel.stop()

    return asyncio.run(scene())


def pushed(bench: Bench, *pushes: Pushed, seal: str = "plain") -> list[Inbound]:
    """Send the pushes, each acknowledged; what the gateway got."""

    async def work(_: WeChatChannel, client: httpx.AsyncClient) -> None:
        for one in pushes:
            response = await post(client, one)
            assert (response.status_code, response.text) == (200, "success")

    run(bench, work, *keys_for(seal), patience=Patience(answer=0.0))
    return bench.gateway.got


def says(channel_text: str, buttons: tuple[Button, ...] = ()) -> Callable[[WeChatChannel], Answer]:
    def bind(channel: WeChatChannel) -> Answer:
        async def answer(inbound: Inbound) -> None:
            await channel.send(Outbound(inbound.chat_id, channel_text, f"a:{inbound.message_id}", buttons))

        return answer

    return bind


# --- the address check -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", [(), (AES_KEY,)])
def test_the_address_check_is_answered_plain_in_both_modes(bench: Bench, keys: tuple[str, ...]) -> None:
    async def work(_: WeChatChannel, client: httpx.AsyncClient) -> httpx.Response:
        return await client.get("/wechat", params=bench.sender().check("5838479218127813673"))

    response = run(bench, work, *keys)
    assert (response.status_code, response.text) == (200, "5838479218127813673")
    assert response.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("change", [{"signature": "0" * 40}, {"signature": ""}, {"nonce": "x"}, {"timestamp": "1"}])
def test_a_forged_address_check_learns_nothing(bench: Bench, change: dict[str, str]) -> None:
    async def work(_: WeChatChannel, client: httpx.AsyncClient) -> httpx.Response:
        return await client.get("/wechat", params={**bench.sender().check("42"), **change})

    response = run(bench, work)
    assert (response.status_code, response.text) == (403, "")


# --- what comes in ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seal", SEALS)
def test_every_kind_of_message(bench: Bench, seal: str) -> None:
    sender = bench.sender(seal)
    bench.server.media = {"m-photo": Kept(b"\xff\xd8photo"), "m-voice": Kept(b"#!AMR\n", "audio/amr")}
    got = pushed(
        bench,
        sender.text(OPENID, f"{LEAK} 😀 ]]> <b>&"),
        sender.message(OPENID, "image", PicUrl="http://nowhere.invalid/a", MediaId="m-photo"),
        sender.message(OPENID, "voice", MediaId="m-voice", Format="amr", Recognition="厨房漏水了。"),
        sender.message(OPENID, "voice", MediaId="m-voice", Format="amr"),
        sender.message(OPENID, "location", Location_X="30.27", Location_Y="120.15", Scale="16", Label="云栖花园3栋"),
        sender.message(OPENID, "link", Title="停水通知", Description="今晚八点", Url="http://example.invalid/x"),
        sender.message(OPENID, "shortvideo", MediaId="m-photo"),
        seal=seal,
    )
    text, photo, spoken, voice, place, link, video = got
    assert text.text == f"{LEAK} 😀 ]]> <b>&"
    assert (text.sender_id, text.chat_id, text.channel, text.sent_at) == (OPENID, OPENID, "wechat", START)
    assert [(one.kind, one.data, one.mime) for one in photo.media] == [("image", b"\xff\xd8photo", "image/jpeg")]
    assert (spoken.text, spoken.media) == ("厨房漏水了。", ())
    assert [(one.kind, one.data) for one in voice.media] == [("voice", b"#!AMR\n")]
    assert place.location and (place.location.latitude, place.location.longitude) == (30.27, 120.15)
    assert place.location.label == "云栖花园3栋"
    assert (link.text, link.extra["link"]) == ("停水通知\n今晚八点", "http://example.invalid/x")
    assert video.extra == {"unsupported": "shortvideo"}


@pytest.mark.parametrize("seal", SEALS)
def test_events(bench: Bench, seal: str) -> None:
    sender = bench.sender(seal)
    got = pushed(
        bench,
        sender.event(OPENID, "subscribe", EventKey="qrscene_123456", Ticket="t"),
        sender.event(OTHER, "subscribe", EventKey=""),
        sender.event(OPENID, "SCAN", EventKey="P1-3-2", Ticket="t"),
        sender.event(OPENID, "CLICK", EventKey="/report"),
        sender.event(OPENID, "CLICK", EventKey="say:修水管"),
        sender.event(OPENID, "VIEW", EventKey="http://example.invalid/"),
        sender.event(OPENID, "LOCATION", Latitude="1", Longitude="2", Precision="3"),
        sender.event(OPENID, "scancode_push", EventKey="x"),
        seal=seal,
    )
    assert [(one.sender_id, one.text, one.button, one.extra.get("scene")) for one in got] == [
        (OPENID, "/start 123456", "", "123456"),
        (OTHER, "/start", "", ""),
        (OPENID, "/start", "", "P1-3-2"),
        (OPENID, "/report", "", None),
        (OPENID, "", "say:修水管", None),
    ]


def test_two_events_of_one_second_are_two_and_repeats_are_one(bench: Bench) -> None:
    sender = bench.sender()
    first, second = sender.event(OPENID, "CLICK", EventKey="/report"), sender.event(OPENID, "CLICK", EventKey="/help")
    words = sender.text(OPENID, LEAK)
    got = pushed(bench, first, words, first, second, words, words)
    assert [one.text for one in got] == ["/report", LEAK, "/help"]


def test_a_pressed_item_of_a_menu_message_is_a_button(bench: Bench) -> None:
    got = pushed(bench, bench.sender().text(OPENID, "1 修好了", bizmsgmenuid="confirm:7"))
    assert [(one.text, one.button) for one in got] == [("", "confirm:7")]


def test_leaving_makes_the_chat_unreachable_and_closes_the_window(bench: Bench) -> None:
    chat_id, sender = bench.chat(), bench.sender()
    bench.open()
    assert pushed(bench, sender.event(OPENID, "unsubscribe", EventKey="")) == []
    with bench.sessions() as session:
        assert not session.get_one(Conversation, chat_id).reachable
    with pytest.raises(Unreachable):
        run(bench, lambda channel, _: channel.send(Outbound(OPENID, "x", "k")))
    assert bench.server.called("/cgi-bin/message/custom/send") == []


def test_a_person_who_blocked_us_is_told_by_the_template_report(bench: Bench) -> None:
    chat_id, sender = bench.chat(), bench.sender()
    pushed(
        bench,
        sender.event(OPENID, "TEMPLATESENDJOBFINISH", MsgID="1", Status="success"),
        sender.event(OTHER, "TEMPLATESENDJOBFINISH", MsgID="2", Status="failed: system failed"),
    )
    with bench.sessions() as session:
        assert session.get_one(Conversation, chat_id).reachable
    pushed(bench, sender.event(OPENID, "TEMPLATESENDJOBFINISH", MsgID="1", Status="failed:user block"))
    with bench.sessions() as session:
        assert not session.get_one(Conversation, chat_id).reachable


def test_a_picture_that_cannot_be_had_loses_no_message(bench: Bench) -> None:
    sender = bench.sender()
    got = pushed(
        bench, sender.message(OPENID, "image", MediaId="gone"), sender.message(OPENID, "voice", MediaId="gone")
    )
    assert [(one.media, one.extra) for one in got] == [
        ((), {"media_missing": "image"}),
        ((), {"media_missing": "voice"}),
    ]


# --- what is not taken -----------------------------------------------------------------------------------------------


def refused(bench: Bench, one: Pushed, *keys: str) -> int:
    status = run(bench, lambda _, client: post(client, one), *keys).status_code
    assert bench.gateway.got == []
    return int(status)


@pytest.mark.parametrize("seal", SEALS)
@pytest.mark.parametrize("name", ["signature", "nonce", "timestamp"])
def test_a_forged_push_is_refused(bench: Bench, seal: str, name: str) -> None:
    one = bench.sender(seal).text(OPENID, LEAK)
    name = "msg_signature" if seal != "plain" and name == "signature" else name
    one.params[name] = "1" + one.params[name][1:-1] + "7"
    assert refused(bench, one, *keys_for(seal)) == 403
    del one.params[name]
    assert refused(bench, one, *keys_for(seal)) == 403


@pytest.mark.parametrize("seal", SEALS)
def test_a_recorded_push_is_refused_when_it_is_old(bench: Bench, seal: str) -> None:
    one = bench.sender(seal).text(OPENID, LEAK)
    bench.now += timedelta(minutes=6)
    assert refused(bench, one, *keys_for(seal)) == 403


def test_with_aes_a_plain_push_is_refused(bench: Bench) -> None:
    assert refused(bench, bench.sender().text(OPENID, LEAK), AES_KEY) == 403
    one = bench.sender("wechatpy").text(OPENID, LEAK)
    one.params["encrypt_type"] = "raw"
    assert refused(bench, one, AES_KEY) == 403


def test_compatible_mode_is_read_from_its_sealed_part(bench: Bench) -> None:
    one = bench.sender("wechatpy").text(OPENID, LEAK)
    one.content = one.content.replace(b"<Encrypt>", f"<Content>{cdata('forged')}</Content><Encrypt>".encode())
    assert [inbound.text for inbound in pushed(bench, one, seal="wechatpy")] == [LEAK]


def test_another_accounts_push_is_refused(bench: Bench) -> None:
    foreign = Sender("wx0000000000000000", int(bench.now.timestamp()), "wechatpy")
    assert refused(bench, foreign.text(OPENID, LEAK), AES_KEY) == 400


def test_the_previous_key_still_opens_and_is_answered_under(bench: Bench) -> None:
    sender = bench.sender("wechatpy", key=OTHER_KEY)

    async def work(channel: WeChatChannel, client: httpx.AsyncClient) -> bytes:
        bench.gateway.answer = says("收到")(channel)
        return (await post(client, sender.text(OPENID, LEAK))).content

    assert sender.read(run(bench, work, AES_KEY, OTHER_KEY, patience=PATIENT))["Content"] == "收到"
    assert refused(Bench(bench.server, bench.sessions), sender.text(OPENID, LEAK), AES_KEY) == 400


BOMB = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><xml><MsgType>&b;</MsgType></xml>'
FILE = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><xml><MsgType>&f;</MsgType></xml>'


@pytest.mark.parametrize("xml", [BOMB, FILE, "", "no xml", "<xml>", "\x00", "<xml></xml", "<a/><b/>"])
@pytest.mark.parametrize("seal", SEALS)
def test_what_is_no_xml_is_refused(bench: Bench, xml: str, seal: str) -> None:
    assert refused(bench, bench.sender(seal).request(xml), *keys_for(seal)) == 400


def test_a_huge_body_is_not_read(bench: Bench) -> None:
    one = bench.sender().text(OPENID, "x" * 300_000)
    assert refused(bench, one) == 413


@pytest.mark.parametrize(
    "fields",
    [
        {"MsgType": "text", "Content": "x", "CreateTime": "soon"},
        {"MsgType": "text", "Content": "x", "FromUserName": ""},
        {"MsgType": "text", "Content": "x", "FromUserName": "o" * 81},
        {"MsgType": "location", "Location_X": "nan", "Location_Y": "1"},
        {"MsgType": "location", "Location_X": "200", "Location_Y": "1"},
        {"MsgType": "location", "Location_X": "", "Location_Y": ""},
    ],
)
def test_a_genuine_push_that_cannot_be_read_is_not_repeated(bench: Bench, fields: dict[str, str]) -> None:
    assert pushed(bench, bench.sender().push(**{"who": OPENID, "MsgId": "1", **fields})) == []


def test_what_could_not_be_stored_comes_again(bench: Bench) -> None:
    bench.gateway.fail = 2
    one = bench.sender().text(OPENID, LEAK)

    async def work(_: WeChatChannel, client: httpx.AsyncClient) -> list[int]:
        return [(await post(client, one)).status_code for _ in range(3)]

    assert run(bench, work) == [503, 503, 200]
    assert [inbound.text for inbound in bench.gateway.got] == [LEAK]


# --- answering on the open connection --------------------------------------------------------------------------------


@pytest.mark.parametrize("seal", SEALS)
@pytest.mark.parametrize("words", ["已登记，14:32前到。", "a ]]> b ]]]> & <c>", "😀" * 300, "x\x00\x0b\ud800y"])
def test_an_answer_in_time_goes_back_on_the_connection(bench: Bench, seal: str, words: str) -> None:
    sender = bench.sender(seal)

    async def work(channel: WeChatChannel, client: httpx.AsyncClient) -> bytes:
        bench.gateway.answer = says(words)(channel)
        return (await post(client, sender.text(OPENID, LEAK))).content

    answer = sender.read(run(bench, work, *keys_for(seal), patience=PATIENT))
    assert answer["Content"] == words.replace("\x00", "").replace("\x0b", "").replace("\ud800", "?")
    assert (answer["ToUserName"], answer["FromUserName"], answer["MsgType"]) == (OPENID, sender.to, "text")
    assert bench.server.calls == [], "an answer on the connection costs no call and no quota"


def test_choices_are_numbered_on_the_connection(bench: Bench) -> None:
    sender = bench.sender()
    plain = (Button("accept:1", "接单"), Button("decline:1", "拒单"))

    async def work(channel: WeChatChannel, client: httpx.AsyncClient) -> bytes:
        bench.gateway.answer = says("有新任务", plain)(channel)
        return (await post(client, sender.text(OPENID, LEAK))).content

    assert sender.read(run(bench, work, patience=PATIENT))["Content"] == "有新任务\n1 接单\n2 拒单"


def test_a_repeat_gets_the_same_answer_once_more_but_makes_nothing_new(bench: Bench) -> None:
    """The platform repeats because the first answer did not arrive."""
    sender = bench.sender()
    one = sender.text(OPENID, LEAK)

    async def work(channel: WeChatChannel, client: httpx.AsyncClient) -> list[bytes]:
        bench.gateway.answer = says("已登记")(channel)
        return [(await post(client, one)).content for _ in range(3)]

    assert [sender.read(answer)["Content"] for answer in run(bench, work, patience=PATIENT)] == ["已登记"] * 3
    assert len(bench.gateway.got) == 1


def test_a_late_answer_is_pushed_and_a_repeat_does_not_say_it_twice(bench: Bench) -> None:
    one = bench.sender().text(OPENID, LEAK)
    late = asyncio.Event

    async def work(channel: WeChatChannel, client: httpx.AsyncClient) -> list[str]:
        go = late()

        async def answer(inbound: Inbound) -> None:
            await go.wait()
            await channel.send(Outbound(inbound.chat_id, "已登记", "k"))

        bench.gateway.answer = answer
        first = await post(client, one)
        go.set()
        await asyncio.gather(*bench.gateway.tasks)
        return [first.text, *[(await post(client, one)).text for _ in range(2)]]

    assert run(bench, work) == ["success"] * 3
    assert bench.server.told(OPENID) == ["已登记"]


def test_two_messages_share_one_answer(bench: Bench) -> None:
    """A burst is answered once: on the newest connection; the other one is only acknowledged."""
    sender = bench.sender()

    async def work(channel: WeChatChannel, client: httpx.AsyncClient) -> list[bytes]:
        async def answer(_: Inbound) -> None:
            if len(bench.gateway.got) == 2:
                await channel.send(Outbound(OPENID, "两条都收到", "k"))

        bench.gateway.answer = answer
        both = await asyncio.gather(*(post(client, sender.text(OPENID, words)) for words in ("煤气", "味好大")))
        return [response.content for response in both]

    answers = run(bench, work, patience=Patience(answer=2.0))
    assert sorted(answer == b"success" for answer in answers) == [False, True]
    assert bench.server.calls == []


def test_an_answer_to_somebody_else_does_not_take_the_connection(bench: Bench) -> None:
    bench.open(OTHER)

    async def work(channel: WeChatChannel, client: httpx.AsyncClient) -> str:
        async def answer(_: Inbound) -> None:
            await channel.send(Outbound(OTHER, "派单", "k"))

        bench.gateway.answer = answer
        return (await post(client, bench.sender().text(OPENID, LEAK))).text

    assert run(bench, work) == "success"
    assert bench.server.told(OTHER) == ["派单"]


def test_a_long_answer_and_a_picture_do_not_go_on_the_connection(bench: Bench, tmp_path: Path) -> None:
    picture = tmp_path / "a.jpg"
    picture.write_bytes(b"jpeg")
    words = "一" * 700

    async def work(channel: WeChatChannel, client: httpx.AsyncClient) -> str:
        async def answer(_: Inbound) -> None:
            await channel.send(Outbound(OPENID, words, "k"))
            await channel.send(Outbound(OPENID, "看图", "k2", image_path=str(picture), image_name="a.jpg"))

        bench.gateway.answer = answer
        return (await post(client, bench.sender().text(OPENID, LEAK))).text

    assert run(bench, work) == "success"
    sent = [call.body for call in bench.server.called("/cgi-bin/message/custom/send")]
    assert [body["msgtype"] for body in sent] == ["text", "text", "text", "image"]
    assert sent[0]["text"]["content"] + sent[1]["text"]["content"] == words
    assert bench.server.media[sent[3]["image"]["media_id"]].data == b"jpeg"


def test_stopping_lets_a_waiting_connection_go(bench: Bench) -> None:
    async def scene() -> str:
        channel = bench.channel(patience=Patience(answer=60.0))
        await channel.start(bench.gateway.receive)
        async with client_of(channel) as client:
            waiting = asyncio.ensure_future(post(client, bench.sender().text(OPENID, LEAK)))
            while not bench.gateway.got:
                await asyncio.sleep(0.005)
            await channel.stop()
            assert (await post(client, bench.sender().text(OPENID, LEAK))).status_code == 503
            return (await waiting).text

    assert asyncio.run(scene()) == "success"


# --- pushing ---------------------------------------------------------------------------------------------------------


def send(bench: Bench, *messages: Outbound, **options: Any) -> list[str]:
    async def work(channel: WeChatChannel, _: httpx.AsyncClient) -> list[str]:
        return [await channel.send(message) for message in messages]

    sent: list[str] = run(bench, work, **options)
    return sent


def several(count: int) -> list[Outbound]:
    return [Outbound(OPENID, f"第{n}条", f"k{n}") for n in range(1, count + 1)]


def test_a_message_allows_five_pushes_in_48_hours(bench: Bench) -> None:
    pushed(bench, bench.sender().text(OPENID, LEAK))
    with pytest.raises(Unreachable):
        send(bench, *several(MESSAGE_QUOTA + 1))
    assert bench.server.told(OPENID) == [f"第{n}条" for n in range(1, 6)]


def test_the_window_closes_after_48_hours_and_a_new_message_opens_it(bench: Bench) -> None:
    pushed(bench, bench.sender().text(OPENID, LEAK))
    bench.now += timedelta(hours=48)
    with pytest.raises(Unreachable):
        send(bench, *several(1))
    pushed(bench, bench.sender().text(OPENID, "在吗"))
    send(bench, *several(MESSAGE_QUOTA))
    assert len(bench.server.told(OPENID)) == MESSAGE_QUOTA


def test_a_repeated_push_opens_no_new_window(bench: Bench) -> None:
    one = bench.sender().text(OPENID, LEAK)
    pushed(bench, one)
    send(bench, *several(MESSAGE_QUOTA))
    pushed(bench, one)
    with pytest.raises(Unreachable):
        send(bench, Outbound(OPENID, "再来", "more"))


def test_an_event_allows_three_pushes_in_one_minute_and_they_are_used_first(bench: Bench) -> None:
    sender = bench.sender()
    pushed(bench, sender.text(OPENID, LEAK), sender.event(OPENID, "CLICK", EventKey="/progress"))
    send(bench, *several(EVENT_QUOTA + MESSAGE_QUOTA))
    with pytest.raises(Unreachable):
        send(bench, Outbound(OPENID, "再来", "more"))
    pushed(bench, sender.event(OTHER, "CLICK", EventKey="/progress"))
    bench.now += timedelta(minutes=1)
    with pytest.raises(Unreachable):
        send(bench, Outbound(OTHER, "晚了", "late"))


def test_choices_are_pushed_as_a_menu(bench: Bench) -> None:
    bench.open()
    send(bench, Outbound(OPENID, "修好了吗", "k", CHOICES))
    (call,) = bench.server.called("/cgi-bin/message/custom/send")
    assert call.body["msgmenu"]["list"] == [
        {"id": "confirm:7", "content": "1 修好了"},
        {"id": "not_fixed:7", "content": "2 没修好"},
    ]
    assert "修好了吗".encode() in call.raw, "UTF-8, WeChat refuses escapes"


def test_an_account_without_menus_gets_numbers_from_then_on(bench: Bench) -> None:
    bench.open()
    bench.server.menus_allowed = False
    send(bench, Outbound(OPENID, "修好了吗", "k", CHOICES), Outbound(OPENID, "再问", "k2", CHOICES))
    assert bench.server.told(OPENID) == ["修好了吗\n1 修好了\n2 没修好", "再问\n1 修好了\n2 没修好"]
    assert len(bench.server.called("/cgi-bin/message/custom/send")) == 3
    with bench.sessions.begin() as session:
        left = [bool(platforms.take(session, "wechat", OPENID, bench.now)) for _ in range(4)]
    assert left == [True, True, True, False], "the refused menu is not counted"


def test_a_retry_of_a_long_message_does_not_repeat_its_beginning(bench: Bench) -> None:
    bench.open()
    message = Outbound(OPENID, "甲" * 680 + "\n" + "乙" * 680, "k")
    bench.server.fail("/cgi-bin/message/custom/send", None, Fault(-1))

    async def work(channel: WeChatChannel, _: httpx.AsyncClient) -> None:
        with pytest.raises(RetryLater):
            await channel.send(message)
        await channel.send(message)

    run(bench, work)
    assert [words[0] for words in bench.server.told(OPENID)] == ["甲", "乙"]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (45002, Refused),
        (40008, Refused),
        (40033, Refused),
        (40003, Unreachable),
        (43004, Unreachable),
        (45009, RetryLater),
        (45011, RetryLater),
        (40164, RetryLater),
        (-1, RetryLater),
    ],
)
def test_error_codes_say_what_to_do(bench: Bench, code: int, error: type[Exception]) -> None:
    bench.open(left=1)
    bench.server.fail("/cgi-bin/message/custom/send", Fault(code))
    with pytest.raises(error):
        send(bench, *several(1))
    assert send(bench, *several(1)), "what was refused is not counted"


@pytest.mark.parametrize("code", [45015, 45047, 48001])
def test_when_the_platform_says_no_more_the_template_is_used_and_it_is_not_asked_again(bench: Bench, code: int) -> None:
    bench.open()
    bench.server.templates = {"T1": "{{thing1.DATA}}"}
    bench.server.fail("/cgi-bin/message/custom/send", Fault(code))
    send(bench, *several(2), templates={"*": Template({"thing1": "{text}"}, "T1")})
    assert len(bench.server.called("/cgi-bin/message/custom/send")) == 1
    assert bench.server.told(OPENID) == ["第1条", "第2条"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=502),
        Fault(raw=b"<html>busy</html>"),
        Fault(raw=b"[]"),
        Fault(raw=b""),
        Fault(raw=b'{"errcode":"x"}'),
    ],
)
def test_no_sensible_answer_means_try_again(bench: Bench, fault: Fault) -> None:
    bench.open(left=1)
    bench.server.fail("/cgi-bin/message/custom/send", fault)
    with pytest.raises((RetryLater, Refused)):
        send(bench, *several(1))
    assert send(bench, *several(1))


def test_a_dead_platform_means_try_again(bench: Bench) -> None:
    bench.open()

    async def scene() -> None:
        api = WeChatApi(APP_ID, SECRET, "http://127.0.0.1:9", bench.sessions, lambda: bench.now)
        channel = bench.channel(api=api)
        with pytest.raises(RetryLater) as caught:
            await channel.send(Outbound(OPENID, "x", "k"))
        assert SECRET not in str(caught.value)
        await channel.stop()

    asyncio.run(scene())


@pytest.mark.parametrize(
    "message",
    [
        Outbound(OPENID, "", "k"),
        Outbound(OPENID, " \n", "k"),
        Outbound(OPENID, "x", "k", (Button("c" * 65, "x"),)),
        Outbound(OPENID, "x", "k", (Button("c", " "),)),
    ],
)
def test_what_no_platform_takes_is_refused(bench: Bench, message: Outbound) -> None:
    bench.open()
    with pytest.raises(Refused):
        send(bench, message)


# --- the token -------------------------------------------------------------------------------------------------------


def test_one_token_for_all_processes(bench: Bench) -> None:
    bench.open()
    for number in range(3):
        send(bench, Outbound(OPENID, "x", f"k{number}"))
    assert bench.server.tokens_given == 1
    bench.now += timedelta(seconds=7200 - 299)
    send(bench, Outbound(OPENID, "x", "later"))
    assert bench.server.tokens_given == 2, "renewed five minutes early"


@pytest.mark.parametrize("code", [40001, 40014, 42001])
def test_a_refused_token_is_renewed_and_the_message_sent(bench: Bench, code: int) -> None:
    bench.open()
    send(bench, Outbound(OPENID, "一", "k1"))
    bench.server.fail("/cgi-bin/message/custom/send", Fault(code))
    bench.server.token_number += 1  # somebody reset it in the console
    send(bench, Outbound(OPENID, "二", "k2"))
    assert bench.server.told(OPENID) == ["一", "二"]
    assert bench.server.tokens_given == 2


def test_a_stuck_token_is_forced_once_and_not_again_at_once(bench: Bench) -> None:
    """stable_token gives the same token again: forcing is allowed twenty times a day only."""
    bench.open()
    send(bench, Outbound(OPENID, "一", "k1"))
    bench.server.fail("/cgi-bin/message/custom/send", Fault(40001))
    send(bench, Outbound(OPENID, "二", "k2"))
    assert bench.server.told(OPENID) == ["一", "二"]
    assert [call.body["force_refresh"] for call in bench.server.called("/cgi-bin/stable_token")] == [False, False, True]
    bench.server.fail("/cgi-bin/message/custom/send", Fault(40001), Fault(40001))
    with pytest.raises(RetryLater):
        send(bench, Outbound(OPENID, "三", "k3"))
    bench.now += FORCE_EVERY
    bench.server._faults.clear()
    send(bench, Outbound(OPENID, "三", "k3"))


def test_a_wrong_secret_keeps_the_message(bench: Bench) -> None:
    bench.open()
    bench.server.fail("/cgi-bin/stable_token", Fault(40125), Fault(raw=b"{}"))
    for _ in range(2):
        with pytest.raises(RetryLater):
            send(bench, Outbound(OPENID, "x", "k"))
    send(bench, Outbound(OPENID, "x", "k"))


def test_of_two_processes_one_may_force(bench: Bench) -> None:
    with bench.sessions.begin() as session:
        assert platforms.may_force(session, "a", bench.now, FORCE_EVERY)
    with bench.sessions.begin() as session:
        assert not platforms.may_force(session, "a", bench.now, FORCE_EVERY)
        assert platforms.may_force(session, "b", bench.now, FORCE_EVERY)
        assert session.get_one(PlatformToken, "a").forced_at == bench.now


# --- template messages -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("thing1", "一" * 20, "一" * 20),
        ("thing1", "一" * 21, "一" * 19 + "…"),
        ("thing12", "a\nb  c", "a b c"),
        ("thing1", "", "-"),
        ("character_string2", "BX20250612-0001 厨房", "BX20250612-0001 "),
        ("phrase3", "处理中进行着", "处理中进…"),
        ("name4", "王" * 11, "王" * 9 + "…"),
    ],
)
def test_fields_are_made_to_fit(name: str, value: str, shown: str) -> None:
    assert fitted(name, value) == shown


def test_the_template_of_a_message_is_filled_from_its_ticket(bench: Bench, desk: Any) -> None:
    ticket = desk.report()
    desk.session.commit()
    chat_id = bench.chat()
    key = f"t{ticket.id}:e1:push.accepted:reporter"
    with bench.sessions.begin() as session:
        row = OutboxMessage(dedupe_key=key, conversation_id=chat_id, ticket_id=ticket.id, text="王师傅已接单")
        row.created_at = row.due_at = bench.now
        session.add(row)
    bench.server.templates = {"T1": "{{character_string1.DATA}}{{thing2.DATA}}{{time3.DATA}}", "T2": "{{thing1.DATA}}"}
    fields = {"character_string1": "{no}", "thing2": "{text} {unknown}", "time3": "{now}"}
    templates = {"push.accepted": Template(fields, "T1"), "*": Template({"thing1": "{text}"}, "T2")}
    send(bench, Outbound(OPENID, "王师傅已接单", key), Outbound(OPENID, "别的", "row:1"), templates=templates)
    first, second = (call.body for call in bench.server.called("/cgi-bin/message/template/send"))
    assert {name: value["value"] for name, value in first["data"].items()} == {
        "character_string1": ticket.ticket_no,
        "thing2": "王师傅已接单",
        "time3": "2025年6月12日 14:00",
    }
    assert second["template_id"] == "T2"
    assert first["client_msg_id"] != second["client_msg_id"]


def test_without_a_template_for_it_the_person_cannot_be_reached(bench: Bench) -> None:
    with pytest.raises(Unreachable):
        send(bench, *several(1), templates={"push.accepted": Template({"thing1": "{text}"}, "T1")})


# --- numbered choices ------------------------------------------------------------------------------------------------


def offered(bench: Bench, chat_id: int, key: str, *buttons: tuple[str, str]) -> None:
    with bench.sessions.begin() as session:
        row = OutboxMessage(dedupe_key=key, conversation_id=chat_id, text="x", buttons=[list(one) for one in buttons])
        row.created_at = row.due_at = row.sent_at = bench.now
        row.status = "sent"
        session.add(row)


def typed(bench: Bench, words: str) -> tuple[str, str]:
    got = pushed(bench, bench.sender().text(OPENID, words))[-1]
    return got.text, got.button


def test_a_bare_number_is_the_choice_offered_last(bench: Bench) -> None:
    chat_id = bench.chat()
    assert typed(bench, "1") == ("1", "")
    offered(bench, chat_id, "a", ("accept:7", "接单"), ("decline:7", "拒单"))
    offered(bench, chat_id, "b")
    assert typed(bench, " 2 ") == ("", "decline:7")
    assert typed(bench, "3") == ("3", "")
    assert typed(bench, "0") == ("0", "")
    assert typed(bench, "２") == ("２", "")
    assert typed(bench, "2楼") == ("2楼", "")


def test_a_number_of_the_label_itself_is_meant(bench: Bench) -> None:
    offered(bench, bench.chat(), "a", ("score:7:5", "5分"), ("score:7:4", "4分"))
    assert typed(bench, "4") == ("", "score:7:4")


def test_of_two_questions_a_number_answers_neither(bench: Bench) -> None:
    chat_id = bench.chat()
    offered(bench, chat_id, "a", ("accept:7", "接单"))
    offered(bench, chat_id, "b", ("accept:8", "接单"))
    assert typed(bench, "1") == ("1", "")


# --- nothing private in the log --------------------------------------------------------------------------------------


def test_nothing_private_is_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.open(left=1)
    bench.server.fail("/cgi-bin/message/custom/send", Fault(45009), Fault(45015))
    sender = bench.sender()
    with caplog.at_level(logging.DEBUG):
        refused(bench, bench.sender("wechatpy").request("<xml>"), OTHER_KEY)
        pushed(bench, sender.text(OPENID, LEAK), sender.message(OPENID, "image", MediaId="gone"))
        for _ in range(2):
            with pytest.raises((RetryLater, Unreachable)):
                send(bench, Outbound(OPENID, LEAK, "k"))
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("bot"))
    assert ours
    for secret in (LEAK, OPENID, SECRET, TOKEN, "token-1"):
        assert secret not in ours


# --- malformed pushes ------------------------------------------------------------------------------------------------


def fuzz(bench: Bench, seal: str) -> None:
    """5,000 pushes with made-up fields, their XML mutated before they are sealed, their bodies afterwards."""
    bench.server.media = {}
    statuses: set[int] = set()

    async def scene() -> None:
        channel = bench.channel(*keys_for(seal), patience=Patience(answer=0.0, download=0.5))
        await channel.start(bench.gateway.receive)
        sender, client = bench.sender(seal), client_of(channel)
        loop = asyncio.get_running_loop()

        @settings(max_examples=DAMAGED // 2, database=None, suppress_health_check=list(HealthCheck))
        @example([("MsgType", "text"), ("Content", "]]>")], [], [])
        @given(st.lists(st.tuples(NAMES, VALUES), max_size=9), MUTATIONS, MUTATIONS)
        def attack(fields: list[tuple[str, str]], inside: Any, outside: Any) -> None:
            values = {
                "FromUserName": OPENID,
                "CreateTime": str(sender.now),
                "MsgType": "text",
                "MsgId": "7",
                **dict(fields),
            }
            xml = to_xml(values).encode()
            one = sender.request(mutated(xml, inside).decode("utf-8", "replace"))
            one.content = mutated(one.content, outside)
            response = asyncio.run_coroutine_threadsafe(post(client, one), loop).result(20)
            statuses.add(response.status_code)
            assert response.status_code in (200, 400, 403)

        await asyncio.to_thread(attack)
        assert (await post(client, sender.text(OPENID, "还在吗"))).status_code == 200
        assert not channel._slots and not channel._tasks and len(channel._answered) <= 1000
        await client.aclose()
        await channel.stop()

    asyncio.run(scene())
    assert bench.gateway.got[-1].text == "还在吗"
    assert statuses >= {200, 400}


@pytest.mark.parametrize("seal", ["plain", "wechatpy"])
def test_no_mutated_push_breaks_the_channel(
    running_server: WeChatServer, new_sqlite: Callable[[], Engine], seal: str
) -> None:
    running_server.reset()
    fuzz(Bench(running_server, sessions(new_sqlite())), seal)


@settings(database=None)
@given(st.text(max_size=60))
def test_any_text_survives_our_xml(text: str) -> None:
    read = parse_xml(to_xml({"Content": text}))["Content"]
    lost = {char for char in text if ord(char) < 32 or 0xD800 <= ord(char) <= 0xDFFF or char in "\ufffe\uffff"}
    assert read == "".join(
        char for char in text.replace("\r\n", "\n").replace("\r", "\n") if char not in lost or char in "\n\t"
    )
    assert our_cdata(text).endswith("]]>")
