"""WeCom: callbacks sealed by wechatpy's enterprise crypto, app messages and the robot against the platform's stand-in."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from channels.mutations import DAMAGED, MUTATIONS, NAMES, VALUES, mutated
from channels.wechat_sender import AES_KEY, OTHER_KEY, TOKEN, Pushed, Sender, signed
from channels.wechat_server import (
    AGENT_ID,
    CORP_ID,
    CORP_SECRET,
    MARKDOWN_BYTES,
    ROBOT_KEY,
    Fault,
    Kept,
    WeChatServer,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select
from starlette.applications import Starlette
from starlette.routing import Route

from bot.channels.base import Button, Inbound, Outbound, Refused, RetryLater, Unreachable
from bot.channels.wechat import Patience
from bot.channels.wechat_wire import Envelope, to_xml
from bot.channels.wecom import MEMBER_LIMITS, WeComApi, WeComChannel, WeComRobot, harmless_markdown
from storage import mailbox
from storage.database import Sessions, sessions
from storage.models import Community, Conversation, OutboxMessage
from tickets import notify

USER = "LiGong"
LEAK = "厨房漏水 3-2-1502"
START = datetime(2025, 6, 12, 14, 0, tzinfo=UTC)


@dataclass
class Gateway:
    """Keeps what was received, each id once; `fail` makes the next calls crash before anything is stored."""

    got: list[Inbound] = field(default_factory=list)
    fail: int = 0
    ids: set[str] = field(default_factory=set)

    async def receive(self, inbound: Inbound) -> None:
        if self.fail > 0:
            self.fail -= 1
            raise OSError("the database is away")
        if inbound.message_id not in self.ids:
            self.ids.add(inbound.message_id)
            self.got.append(inbound)


@dataclass
class Bench:
    server: WeChatServer
    sessions: Sessions
    now: datetime = START
    gateway: Gateway = field(default_factory=Gateway)
    ids: Any = field(default_factory=lambda: itertools.count(700))

    def sender(self, **more: Any) -> Sender:
        return Sender(CORP_ID, int(self.now.timestamp()), "wechatpy", to=CORP_ID, ids=self.ids, **more)

    def channel(self, *keys: str) -> WeComChannel:
        api = WeComApi(CORP_ID, CORP_SECRET, str(AGENT_ID), self.server.url, self.sessions, lambda: self.now)
        envelope = Envelope(TOKEN, CORP_ID, keys or (AES_KEY,))
        patience = Patience(download=5.0, stop=5.0)
        clock = lambda: self.now  # noqa: E731
        return WeComChannel(api, envelope, self.sessions, desk_clock=clock, clock=clock, patience=patience)

    def robot(self) -> WeComRobot:
        clock = lambda: self.now  # noqa: E731
        with self.sessions() as session:
            community = session.scalars(select(Community.id)).one()
        return WeComRobot(ROBOT_KEY, self.server.url, self.sessions, desk_clock=clock, community_id=community)

    def sent_already(self, channel: str, chat: str, count: int, at: datetime) -> None:
        """Rows of the outbox that went out at this moment."""
        with self.sessions.begin() as session:
            community = session.scalars(select(Community.id)).one()
            conversation = mailbox.conversation_of(
                session, mailbox.identity_of(session, channel, chat, community), chat
            )
            for _ in range(count):
                row = OutboxMessage(dedupe_key=f"x{next(self.ids)}", conversation_id=conversation.id, text="x")
                row.created_at = row.due_at = row.sent_at = at
                row.status = "sent"
                session.add(row)


@pytest.fixture
def bench(server: WeChatServer, engine: Engine) -> Bench:
    return Bench(server, sessions(engine))


def client_of(channel: WeComChannel) -> httpx.AsyncClient:
    app = Starlette(routes=[Route("/wecom", channel.webhook, methods=["GET", "POST"])])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bot")


async def post(client: httpx.AsyncClient, pushed: Pushed) -> httpx.Response:
    # WeCom sends msg_signature only.
    params = {name: value for name, value in pushed.params.items() if name not in ("signature", "encrypt_type")}
    return await client.post("/wecom", params=params, content=pushed.content)


def run(bench: Bench, work: Callable[[WeComChannel, httpx.AsyncClient], Awaitable[Any]], *keys: str) -> Any:
    async def scene() -> Any:
        channel = bench.channel(*keys)
        await channel.start(bench.gateway.receive)
        async with client_of(channel) as client:
            try:
                return await work(channel, client)
            finally:
                await channel.stop()

    return asyncio.run(scene())


def pushed(bench: Bench, *pushes: Pushed, keys: tuple[str, ...] = ()) -> list[Inbound]:
    async def work(_: WeComChannel, client: httpx.AsyncClient) -> None:
        for one in pushes:
            response = await post(client, one)
            assert (response.status_code, response.content) == (200, b"")

    run(bench, work, *keys)
    return bench.gateway.got


def send(bench: Bench, *messages: Outbound) -> list[str]:
    async def work(channel: WeComChannel, _: httpx.AsyncClient) -> list[str]:
        return [await channel.send(message) for message in messages]

    sent: list[str] = run(bench, work)
    return sent


# --- in --------------------------------------------------------------------------------------------------------------


def test_the_address_check_is_opened_and_sent_back(bench: Bench) -> None:
    sender = bench.sender()
    sealed, stamp = sender._sealed("1616140317555161061", "n", str(sender.now)), str(sender.now)
    query = {"msg_signature": signed(stamp, "n", sealed), "timestamp": stamp, "nonce": "n", "echostr": sealed}
    work = lambda _, client: client.get("/wecom", params=query)  # noqa: E731
    response = run(bench, work)
    assert (response.status_code, response.text) == (200, "1616140317555161061")
    query["msg_signature"] = "0" * 40
    assert run(bench, work).status_code == 403


def test_every_kind_of_message(bench: Bench) -> None:
    sender = bench.sender()
    bench.server.media = {"m-photo": Kept(b"\xff\xd8photo"), "m-voice": Kept(b"#!AMR\n", "audio/amr")}
    text, photo, voice, place, pressed, menu, joined = pushed(
        bench,
        sender.text(USER, f"{LEAK} ]]>", AgentID=str(AGENT_ID)),
        sender.message(USER, "image", MediaId="m-photo", PicUrl="http://nowhere.invalid"),
        sender.message(USER, "voice", MediaId="m-voice", Format="amr"),
        sender.message(USER, "location", Location_X="30.27", Location_Y="120.15", Scale="16", Label="3栋"),
        sender.event(USER, "click", EventKey="say:我的单", AgentID=str(AGENT_ID)),
        sender.event(USER, "click", EventKey="/today"),
        sender.event(USER, "subscribe", AgentID=str(AGENT_ID)),
        sender.event(USER, "enter_agent", EventKey="", AgentID=str(AGENT_ID)),
        sender.event(USER, "LOCATION", Latitude="1", Longitude="2"),
    )
    assert (text.text, text.sender_id, text.channel) == (f"{LEAK} ]]>", USER, "wecom")
    assert photo.media[0].data == b"\xff\xd8photo"
    assert (voice.media[0].kind, voice.media[0].data) == ("voice", b"#!AMR\n")
    assert place.location is not None
    assert place.location.label == "3栋"
    assert (pressed.button, menu.text, joined.text) == ("say:我的单", "/today", "/start")


def test_repeats_are_one_and_what_could_not_be_stored_comes_again(bench: Bench) -> None:
    bench.gateway.fail = 1
    one = bench.sender().text(USER, LEAK)

    async def work(_: WeComChannel, client: httpx.AsyncClient) -> list[int]:
        return [(await post(client, one)).status_code for _ in range(3)]

    assert run(bench, work) == [503, 200, 200]
    assert len(bench.gateway.got) == 1


def test_forged_old_plain_and_foreign_pushes_are_refused(bench: Bench) -> None:
    sender = bench.sender()

    def status(one: Pushed, *keys: str) -> int:
        return int(run(bench, lambda _, client: post(client, one), *keys).status_code)

    forged = sender.text(USER, LEAK)
    forged.params["msg_signature"] = "0" * 40
    assert status(forged) == 403
    plain = Sender(CORP_ID, sender.now, to=CORP_ID).text(USER, LEAK)
    plain.params["msg_signature"] = plain.params["signature"]
    assert status(plain) == 403
    assert status(Sender("ww0", sender.now, "wechatpy").text(USER, LEAK)) == 400
    assert status(bench.sender(key=OTHER_KEY).text(USER, LEAK)) == 400
    assert status(bench.sender(key=OTHER_KEY).text(USER, LEAK), AES_KEY, OTHER_KEY) == 200
    old = sender.text(USER, LEAK)
    bench.now += timedelta(minutes=6)
    assert status(old) == 403
    assert len(bench.gateway.got) == 1


def test_a_member_taken_from_the_app_is_unreachable(bench: Bench) -> None:
    bench.sent_already("wecom", USER, 0, START)
    pushed(bench, bench.sender().event(USER, "unsubscribe"))
    with bench.sessions() as session:
        assert not session.scalars(select(Conversation.reachable).where(Conversation.channel == "wecom")).one()


# --- out -------------------------------------------------------------------------------------------------------------


def test_an_app_message_with_choices(bench: Bench) -> None:
    buttons = (Button("accept:1", "接单"), Button("decline:1", "拒单"))
    assert send(bench, Outbound(USER, "有新任务", "k", buttons)) == ["wecom-1001"]
    assert [words for words in bench.server.told(USER) if words] == ["有新任务\n1 接单\n2 拒单"]
    text, card = bench.server.called("/cgi-bin/message/send")
    assert text.body["agentid"] == card.body["agentid"] == AGENT_ID
    shown = card.body["template_card"]
    assert shown["main_title"] == {"title": "有新任务"}
    assert [(one["text"], one["key"]) for one in shown["button_list"]] == [("接单", "accept:1"), ("拒单", "decline:1")]


def test_a_pressed_card_is_a_press_and_cannot_be_pressed_again(bench: Bench) -> None:
    press = bench.sender().event(
        USER,
        "template_card_event",
        EventKey="accept:17",
        TaskId="t1",
        CardType="button_interaction",
        ResponseCode="once",
    )
    got = pushed(bench, press, press)
    assert [(one.button, one.text, one.sender_id) for one in got] == [("accept:17", "", USER)]
    assert bench.server.settled == {"once": "已收到"}


def test_a_card_that_is_not_taken_loses_nothing(bench: Bench) -> None:
    """The numbers stand above it; the message counts as sent and is not sent again."""
    bench.server.fail("/cgi-bin/message/send", None, Fault(code=42045))
    message = Outbound(USER, "有新任务", "k", (Button("accept:1", "接单"),))
    assert send(bench, message) == ["wecom-1001"]
    assert len(bench.server.called("/cgi-bin/message/send")) == 2


def test_many_choices_are_numbers_only(bench: Bench) -> None:
    buttons = tuple(Button(f"say:{number}", f"第{number}项") for number in range(7))
    send(bench, Outbound(USER, "哪一张", "k", buttons))
    assert len(bench.server.called("/cgi-bin/message/send")) == 1


def test_a_long_message_is_cut_in_bytes(bench: Bench) -> None:
    words = "\n".join("一二三四五六七八九十" for _ in range(150))
    send(bench, Outbound(USER, words, "k"))
    told = bench.server.told(USER)
    assert "\n".join(told) == words
    assert all(len(piece.encode()) <= 2048 for piece in told)


def test_a_picture_follows_its_words(bench: Bench, tmp_path: Any) -> None:
    picture = tmp_path / "a.jpg"
    picture.write_bytes(b"jpeg")
    send(bench, Outbound(USER, "看图", "k", image_path=str(picture), image_name="a.jpg"))
    text, image = (call.body for call in bench.server.called("/cgi-bin/message/send"))
    assert text["text"]["content"] == "看图"
    assert bench.server.media[image["image"]["media_id"]].data == b"jpeg"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (81013, Unreachable),
        (60111, Unreachable),
        (45009, RetryLater),
        (60020, RetryLater),
        (40056, RetryLater),
        (-1, RetryLater),
        (40058, Refused),
    ],
)
def test_error_codes_say_what_to_do(bench: Bench, code: int, error: type[Exception]) -> None:
    bench.server.fail("/cgi-bin/message/send", Fault(code))
    with pytest.raises(error):
        send(bench, Outbound(USER, "x", "k"))


def test_a_member_named_invalid_in_a_good_answer_is_unreachable(bench: Bench) -> None:
    bench.server.fail("/cgi-bin/message/send", Fault(raw=b'{"errcode":0,"msgid":"1","invaliduser":"x|ligong"}'))
    with pytest.raises(Unreachable):
        send(bench, Outbound(USER, "x", "k"))


def test_a_refused_token_is_renewed(bench: Bench) -> None:
    send(bench, Outbound(USER, "一", "k1"))
    bench.server.token_number += 1
    send(bench, Outbound(USER, "二", "k2"))
    assert bench.server.told(USER) == ["一", "二"]
    assert bench.server.tokens_given == 2


@pytest.mark.parametrize(("count", "span"), MEMBER_LIMITS)
def test_what_wecom_would_drop_waits(bench: Bench, count: int, span: timedelta) -> None:
    before = START - span / 2
    bench.sent_already("wecom", USER, count - 1, before)
    send(bench, Outbound(USER, "还可以", "k1"))
    bench.sent_already("wecom", USER, 1, before)
    with pytest.raises(RetryLater) as caught:
        send(bench, Outbound(USER, "太多", "k2"))
    assert caught.value.seconds == span.total_seconds() / 2
    send(bench, Outbound("Somebody", "别人不受影响", "k3"))
    bench.now += span
    send(bench, Outbound(USER, "太多", "k2"))
    assert bench.server.told(USER) == ["还可以", "太多"]


# --- the robot -------------------------------------------------------------------------------------------------------


def say(bench: Bench, *messages: Outbound) -> list[str]:
    async def scene() -> None:
        robot = bench.robot()
        try:
            for message in messages:
                await robot.send(message)
        finally:
            await robot.stop()

    asyncio.run(scene())
    return [call.body["markdown"]["content"] for call in bench.server.called("/cgi-bin/webhook/send")]


def test_the_robot_says_markdown_in_pieces(bench: Bench) -> None:
    words = "\n".join("今日登记12单，完成9单，超时1单。" for _ in range(200))
    said = say(bench, Outbound("dispatch", words, "k"))
    assert "\n".join(said) == words
    assert max(len(piece.encode()) for piece in said) <= MARKDOWN_BYTES


def test_residents_words_call_nobody_and_hide_no_address(bench: Bench) -> None:
    assert say(bench, Outbound("dispatch", "<@all> [点我](http://x.invalid) <font>", "k")) == [
        "＜@all> [点我] (http://x.invalid) ＜font>"
    ]


@given(st.text())
def test_no_markdown_of_residents_is_left(text: str) -> None:
    safe = harmless_markdown(text)
    assert "<" not in safe
    assert "](" not in safe


def test_the_robot_says_twenty_a_minute(bench: Bench) -> None:
    bench.sent_already("wecom_robot", "dispatch", 20, START)
    with pytest.raises(RetryLater) as caught:
        say(bench, Outbound("dispatch", "x", "k"))
    assert caught.value.seconds == 60
    bench.now += timedelta(minutes=1)
    assert say(bench, Outbound("dispatch", "x", "k")) == ["x"]


@pytest.mark.parametrize(
    ("code", "error"), [(45009, RetryLater), (93000, RetryLater), (40058, Refused), (-1, RetryLater)]
)
def test_the_robots_errors(bench: Bench, code: int, error: type[Exception]) -> None:
    bench.server.fail("/cgi-bin/webhook/send", Fault(code))
    with pytest.raises(error) as caught:
        say(bench, Outbound("dispatch", "x", "k"))
    assert ROBOT_KEY not in str(caught.value)


def test_the_robots_group_hears_of_jobs_and_is_made_once(bench: Bench) -> None:
    async def scene() -> None:
        for _ in range(2):
            robot = bench.robot()
            await robot.start(bench.gateway.receive)
            await robot.stop()

    asyncio.run(scene())
    with bench.sessions() as session:
        (chat,) = session.scalars(select(Conversation).where(Conversation.channel == "wecom_robot"))
        assert (chat.chat_id, chat.group, chat.hears_dispatch) == ("group", True, True)
        leader = chat.identity.staff
        assert leader is not None
        private = notify.conversation_of(session, leader)
        assert private is None or private.channel != "wecom_robot", "what is for one person never goes to the group"


# --- malformed pushes ------------------------------------------------------------------------------------------------


def test_no_mutated_push_breaks_the_channel(running_server: WeChatServer, new_sqlite: Callable[[], Engine]) -> None:
    """10,000 pushes: made-up fields, mutated before and after they are sealed."""
    running_server.reset()
    bench = Bench(running_server, sessions(new_sqlite()))
    statuses: set[int] = set()

    async def scene() -> None:
        channel = bench.channel()
        await channel.start(bench.gateway.receive)
        sender, client, loop = bench.sender(), client_of(channel), asyncio.get_running_loop()

        @settings(max_examples=DAMAGED, database=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(st.tuples(NAMES, VALUES), max_size=9), MUTATIONS, st.one_of(st.just([]), MUTATIONS))
        def attack(fields: list[tuple[str, str]], inside: Any, outside: Any) -> None:
            values = {
                "FromUserName": USER,
                "CreateTime": str(sender.now),
                "MsgType": "text",
                "MsgId": "7",
                **dict(fields),
            }
            one = sender.request(mutated(to_xml(values).encode(), inside).decode("utf-8", "replace"))
            one.content = mutated(one.content, outside)
            response = asyncio.run_coroutine_threadsafe(post(client, one), loop).result(20)
            statuses.add(response.status_code)
            assert response.status_code in (200, 400, 403)

        await asyncio.to_thread(attack)
        assert (await post(client, sender.text(USER, "还在吗"))).status_code == 200
        assert not len(channel._tasks)
        await client.aclose()
        await channel.stop()

    asyncio.run(scene())
    assert bench.gateway.got[-1].text == "还在吗"
    assert statuses == {200, 400, 403}
