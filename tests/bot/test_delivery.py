"""Delivery against a peer on the loopback: in order per person, nothing twice, nothing lost, however the peer behaves.

The desk's clock and the count of seconds are given, so an hour of failures takes no hour. The channel is a small HTTP client like
the real ones; only the peer's silence costs real time, and its patience is short.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from channels.telegram_server import Served
from deskhelp import NOW, Desk, at
from sqlalchemy import Engine, select
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from bot.channels.base import Outbound, Receive, Refused, RetryLater, Unreachable
from bot.delivery import FALLBACK, GIVE_UP, MAX_ATTEMPTS, Delivery
from storage.database import Sessions, sessions
from storage.models import Community, Conversation, Identity, OutboxMessage, Resident
from tickets import notify

# How long the channel waits for an answer; short only while no answer is to be had anyway.
PATIENCE, NO_PATIENCE = 20.0, 0.05
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class Peer:
    """The platform's side: remembers what it took, and fails as it is told."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str]] = []
        self.calls: Counter[str] = Counter()
        self.fault: Callable[[str], str] = lambda _chat: "ok"
        self._served = Served(Starlette(routes=[Route("/send", self._send, methods=["POST"])]))

    def __enter__(self) -> Peer:
        self._served.__enter__()
        self.url = self._served.url
        return self

    def __exit__(self, *_: object) -> None:
        self._served.__exit__()

    async def _send(self, request: Request) -> Response:
        body = await request.json()
        fault = self.fault(body["chat"])
        self.calls[fault] += 1
        if fault == "silent":
            await asyncio.sleep(4 * NO_PATIENCE)
            return Response(status_code=504)
        if fault == "reset":
            # Less than announced: the server cuts the connection.
            return StreamingResponse(iter([b"{"]), headers={"content-length": "9"})
        if fault == "429":
            return JSONResponse({"retry_after": 30}, 429)
        if fault in ("500", "403", "400"):
            return Response(status_code=int(fault))
        self.taken.append((body["chat"], body["text"]))
        return JSONResponse({})

    def texts(self, chat: str) -> list[str]:
        return [text for to, text in self.taken if to == chat]


class Post:
    """A channel that posts to the peer and says what its answers mean, as Telegram's and WeChat's do."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.patience = PATIENCE
        self._http = httpx.AsyncClient(base_url=url, trust_env=False)

    async def start(self, receive: Receive) -> None:
        """Takes nothing."""

    async def stop(self) -> None:
        await self._http.aclose()

    async def send(self, message: Outbound) -> str:
        try:
            body = {"chat": message.chat_id, "text": message.text}
            answer = await self._http.post("/send", json=body, timeout=self.patience)
        except httpx.HTTPError as error:
            raise RetryLater(1.0, type(error).__name__) from error
        if answer.status_code == 429:
            raise RetryLater(float(answer.json()["retry_after"]), "flood")
        if answer.status_code == 403:
            raise Unreachable("blocked")
        if answer.status_code == 400:
            raise Refused("malformed")
        if answer.status_code >= 500:
            raise RetryLater(1.0, str(answer.status_code))
        return ""


@pytest.fixture(scope="module")
def platform() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


@pytest.fixture
def peer(platform: Peer) -> Peer:
    platform.taken.clear()
    platform.calls.clear()
    platform.fault = lambda _chat: "ok"
    return platform


class PostOffice:
    """A delivery with its own clock, and people in two channels."""

    def __init__(self, maker: Sessions, peer: Peer, files: Path) -> None:
        self.maker, self.now = maker, NOW
        self.channels = {name: Post(name, peer.url) for name in ("telegram", "wechat")}
        self._made = itertools.count(1)
        self.delivery = Delivery(maker, dict(self.channels), lambda: self.now, files, lambda: self.now.timestamp())

    def person(self, *channels: str) -> list[int]:
        """Somebody with an account in each of these channels; the conversations' ids. The chat is called `CHANNEL-N`."""
        with self.maker.begin() as session:
            community = session.scalars(select(Community)).one()
            number = next(self._made)
            resident = Resident(community_id=community.id, name=f"住户{number}", phone="13800000000")
            chats = []
            for channel in channels:
                identity = Identity(channel=channel, external_id=f"{channel}-{number}", resident=resident)
                chats.append(
                    Conversation(channel=channel, chat_id=f"{channel}-{number}", identity=identity, last_inbound_at=NOW)
                )
            session.add_all(chats)
            session.flush()
            return [chat.id for chat in chats]

    def queue(self, chat: int, *texts: str, **more: Any) -> None:
        with self.maker.begin() as session:
            conversation = session.get_one(Conversation, chat)
            for text in texts:
                key = f"test:{next(self._made)}"
                person = conversation.identity.resident
                notify.push(session, person, text, key=key, now=self.now, conversation_id=chat, **more)

    async def round(self) -> bool:
        return await self.delivery.deliver_due()

    async def run_until(self, end: datetime, step: timedelta) -> None:
        """The clock goes on in steps; at each, everything that is due goes out."""
        while self.now < end:
            self.now += step
            while await self.round():
                pass

    def rows(self, *status: str) -> list[OutboxMessage]:
        with self.maker() as session:
            return list(session.scalars(select(OutboxMessage).where(OutboxMessage.status.in_(status))))


@pytest.fixture
def office(engine: Engine, peer: Peer, tmp_path: Path) -> PostOffice:
    return PostOffice(sessions(engine), peer, tmp_path)


async def closed(office: PostOffice) -> None:
    for channel in office.channels.values():
        await channel.stop()


def run(office: PostOffice, work: Any) -> None:
    async def all_of_it() -> None:
        try:
            await work
        finally:
            await closed(office)

    asyncio.run(all_of_it())


# --- the hour ---------------------------------------------------------------------------------------------------------

FAULTS = ("500", "429", "reset", "silent")


@pytest.mark.parametrize(
    ("engine", "fault"),
    [*(("sqlite", fault) for fault in FAULTS), ("sqlite", "mixed"), ("postgresql", "mixed")],
    indirect=["engine"],
)
def test_a_channel_down_for_an_hour_loses_and_repeats_nothing(office: PostOffice, peer: Peer, fault: str) -> None:
    chats = [office.person("telegram")[0] for _ in range(4)]
    turns = itertools.cycle(FAULTS)

    async def hour() -> None:
        for chat in chats:
            office.queue(chat, "一")
        await office.round()
        peer.fault = lambda _chat: next(turns) if fault == "mixed" else fault
        office.channels["telegram"].patience = NO_PATIENCE
        for minute in range(60):
            for chat in chats[minute % 2 :: 2]:
                office.queue(chat, f"第{minute}分")
            await office.run_until(office.now + MINUTE, timedelta(seconds=20))
        assert [text for _, text in peer.taken] == ["一"] * 4
        # A platform that fails is tried, not hammered: one message now and then, however many wait.
        assert sum(peer.calls.values()) - 4 < 4 * 60
        peer.fault = lambda _chat: "ok"
        office.channels["telegram"].patience = PATIENCE
        await office.run_until(office.now + 3 * MINUTE, SECOND)

    run(office, hour())
    for number in range(4):
        expected = ["一", *(f"第{minute}分" for minute in range(number % 2, 60, 2))]
        assert peer.texts(f"telegram-{number + 1}") == expected
    assert office.rows("pending", "dead") == []


def test_a_minute_after_the_platform_is_back_everything_is_on_its_way(office: PostOffice, peer: Peer) -> None:
    chats = [office.person("telegram")[0] for _ in range(8)]

    async def work() -> None:
        peer.fault = lambda _chat: "500"
        for chat in chats:
            office.queue(chat, "通知")
        await office.run_until(office.now + 60 * MINUTE, timedelta(seconds=30))
        peer.fault = lambda _chat: "ok"
        await office.run_until(office.now + 2 * MINUTE, SECOND * 5)

    run(office, work())
    assert len(peer.taken) == 8


# --- order and urgency ------------------------------------------------------------------------------------------------


def test_what_waits_for_another_try_is_not_overtaken(office: PostOffice, peer: Peer) -> None:
    (chat,) = office.person("telegram")

    async def work() -> None:
        peer.fault = lambda _chat: "500"
        office.queue(chat, "先")
        await office.round()
        peer.fault = lambda _chat: "ok"
        office.queue(chat, "后")
        await office.round()
        assert peer.taken == []
        await office.run_until(office.now + MINUTE, SECOND)

    run(office, work())
    assert peer.texts("telegram-1") == ["先", "后"]


def test_an_emergency_does_not_wait_for_the_backoff_of_what_stands_before_it(office: PostOffice, peer: Peer) -> None:
    (chat,) = office.person("telegram")

    async def work() -> None:
        peer.fault = lambda _chat: "500"
        office.queue(chat, "普通")
        await office.run_until(office.now + 3 * MINUTE, SECOND * 5)
        peer.fault = lambda _chat: "ok"
        office.queue(chat, "请先离开", priority=notify.URGENT)
        await office.run_until(office.now + 2 * SECOND, SECOND)

    run(office, work())
    assert peer.texts("telegram-1") == ["普通", "请先离开"]


def test_one_silent_platform_holds_up_no_other(office: PostOffice, peer: Peer) -> None:
    slow, fast = office.person("telegram")[0], office.person("wechat")[0]

    async def work() -> None:
        peer.fault = lambda chat: "silent" if chat.startswith("telegram") else "ok"
        office.queue(slow, "慢")
        office.queue(fast, "一", "二", "三")
        running = asyncio.create_task(office.delivery.run())
        while len(peer.texts("wechat-2")) < 3:
            assert not running.done()
            await asyncio.sleep(0)
        office.delivery.stop()
        await running

    run(office, work())
    assert peer.texts("wechat-2") == ["一", "二", "三"]


def test_a_person_is_written_to_once_a_second_where_the_platform_wants_that(office: PostOffice, peer: Peer) -> None:
    (chat,) = office.person("telegram")

    async def work() -> None:
        office.queue(chat, "一", "二", "三")
        for expected in (1, 1, 2, 2, 3):
            await office.round()
            await office.round()
            assert len(peer.taken) == expected
            office.now += SECOND / 2

    run(office, work())


# --- another way, and the end -----------------------------------------------------------------------------------------


def test_whoever_blocked_one_channel_gets_it_in_the_other_in_order(office: PostOffice, peer: Peer) -> None:
    telegram, _ = office.person("telegram", "wechat")

    async def work() -> None:
        peer.fault = lambda chat: "403" if chat.startswith("telegram") else "ok"
        office.queue(telegram, "一", "二")
        await office.run_until(office.now + MINUTE, SECOND)

    run(office, work())
    assert peer.texts("wechat-1") == ["一", "二"]
    assert office.rows("pending", "dead") == []


def test_a_channel_that_stays_down_is_given_up_for_the_other_one(office: PostOffice, peer: Peer) -> None:
    telegram, _ = office.person("telegram", "wechat")

    async def work() -> None:
        peer.fault = lambda chat: "500" if chat.startswith("telegram") else "ok"
        office.queue(telegram, "一", "二")
        await office.run_until(office.now + FALLBACK - MINUTE, timedelta(seconds=30))
        assert peer.taken == []
        office.queue(telegram, "马上离开", priority=notify.URGENT)
        await office.run_until(office.now + 2 * MINUTE, SECOND * 5)

    run(office, work())
    assert peer.texts("wechat-1") == ["一", "二", "马上离开"]


@pytest.mark.parametrize(("fault", "error"), [("403", "Unreachable"), ("400", "Refused")])
def test_what_nobody_can_deliver_is_the_leaders_to_telephone(
    office: PostOffice, peer: Peer, fault: str, error: str
) -> None:
    (chat,) = office.person("telegram")

    async def work() -> None:
        peer.fault = lambda _chat: fault
        office.queue(chat, "明天停水")
        await office.round()

    run(office, work())
    (row,) = office.rows("dead")
    assert row.error.startswith(error)
    with office.maker.begin() as session:
        desk = Desk(session, session.scalars(select(Community)).one())
        desk.seen()
        desk.sweep(office.now)
        desk.sweep(office.now + MINUTE)
        (told,) = desk.fresh("周主管")
        assert "住户1" in told.text
        assert "明天停水" in told.text
        assert desk.fresh() == [told]


def test_they_write_again_and_get_what_they_missed(office: PostOffice, peer: Peer) -> None:
    from storage import mailbox

    (chat,) = office.person("telegram")

    async def work() -> None:
        peer.fault = lambda _chat: "403"
        office.queue(chat, "师傅14:00到")
        await office.round()
        peer.fault = lambda _chat: "ok"
        with office.maker.begin() as session:
            row = session.get_one(Conversation, chat)
            assert not row.reachable
            mailbox.store_inbound(session, row, "m1", "在吗", "", {}, office.now)
        await office.run_until(office.now + 2 * SECOND, SECOND)

    run(office, work())
    assert peer.texts("telegram-1") == ["师傅14:00到"]


def test_one_message_that_always_fails_is_given_up_while_others_get_through(office: PostOffice, peer: Peer) -> None:
    bad, good = office.person("telegram")[0], office.person("telegram")[0]

    async def work() -> None:
        peer.fault = lambda chat: "500" if chat == "telegram-1" else "ok"
        office.queue(bad, "坏", "好")
        for _ in range(2 * MAX_ATTEMPTS):
            if office.rows("dead"):
                break
            office.queue(good, "别人的")
            await office.run_until(office.now + MINUTE, timedelta(seconds=15))
        assert peer.texts("telegram-1") == []
        peer.fault = lambda _chat: "ok"
        await office.run_until(office.now + MINUTE, SECOND * 5)

    run(office, work())
    assert peer.texts("telegram-1") == ["好"]
    assert [row.text for row in office.rows("dead")] == ["坏"]


def test_after_a_day_a_platform_that_never_came_back_is_given_up(office: PostOffice, peer: Peer) -> None:
    (chat,) = office.person("telegram")

    async def work() -> None:
        peer.fault = lambda _chat: "500"
        office.queue(chat, "一")
        await office.run_until(NOW + GIVE_UP - timedelta(hours=1), timedelta(hours=1))
        assert office.rows("dead") == []
        await office.run_until(NOW + GIVE_UP + timedelta(hours=1), timedelta(hours=1))

    run(office, work())
    assert [row.text for row in office.rows("dead")] == ["一"]


# --- the morning ------------------------------------------------------------------------------------------------------


def test_what_waited_for_the_morning_is_one_message(office: PostOffice, peer: Peer) -> None:
    (chat,) = office.person("telegram")

    async def work() -> None:
        office.now = at("22:00")
        morning = at("08:30", 13)
        office.queue(chat, "甲", "乙", due_at=morning, buttons=[("confirm:7", "修好了")])
        office.queue(chat, "丙", due_at=morning)
        await office.run_until(at("08:00", 13), timedelta(hours=1))
        assert peer.taken == []
        office.now = at("08:31", 13)
        office.queue(chat, "丁")
        await office.run_until(at("08:40", 13), MINUTE)

    run(office, work())
    first, second = peer.texts("telegram-1")
    assert first.splitlines()[1:] == ["1. 甲", "2. 乙", "3. 丙"]
    assert second == "丁"
    assert sorted(row.status for row in office.rows("sent", "withdrawn")) == ["sent", "sent", "withdrawn", "withdrawn"]


def test_a_single_one_is_sent_as_it_is(office: PostOffice, peer: Peer) -> None:
    (chat,) = office.person("telegram")

    async def work() -> None:
        office.now = at("22:00")
        office.queue(chat, "甲", due_at=at("08:30", 13))
        await office.run_until(at("09:00", 13), timedelta(minutes=15))

    run(office, work())
    assert peer.texts("telegram-1") == ["甲"]
