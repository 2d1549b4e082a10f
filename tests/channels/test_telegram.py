"""The Telegram channel against a Bot API stand-in, over real HTTP on loopback."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import telegram
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.applications import Starlette
from starlette.routing import Route

from bot.channels.base import Button, Channel, Inbound, Outbound, Refused, RetryLater, Unreachable
from bot.channels.pacing import Pacer
from bot.channels.telegram import (
    CAPTION_LIMIT,
    EVERYONE,
    TEXT_LIMIT,
    Patience,
    TelegramChannel,
    Texts,
    limits_of,
    normalise_phone,
)
from bot.channels.text import split_text
from tests.channels.telegram_server import SENT_AT, TOKEN, USERNAME, Fault, Served, TelegramServer

SECRET = "s3cret_Token-1"
ALICE = {"id": 42, "is_bot": False, "first_name": "Alice", "last_name": "Wang"}
PRIVATE = {"id": 42, "type": "private", "first_name": "Alice"}
GROUP = {"id": -100200, "type": "supergroup", "title": "Block 3"}
LEAK = "\u53a8\u623f\u6f0f\u6c34 3-2-1502"
PHOTO = [
    {"file_id": "small", "file_unique_id": "a", "width": 90, "height": 60, "file_size": 900},
    {"file_id": "large", "file_unique_id": "b", "width": 900, "height": 600, "file_size": 9000},
    {"file_id": "huge", "file_unique_id": "c", "width": 9000, "height": 6000, "file_size": 21 * 1024 * 1024},
]


def message(**content: Any) -> dict[str, Any]:
    return {"message_id": 7, "date": SENT_AT, "chat": PRIVATE, "from": ALICE, **content}


def callback(data: str | None, chat: dict[str, Any] = PRIVATE, card: int = 501) -> dict[str, Any]:
    pressed = {"message_id": card, "date": SENT_AT, "chat": chat, "text": "card"}
    query = {"id": "987", "from": ALICE, "chat_instance": "x", "message": pressed}
    return query | ({"data": data} if data is not None else {})


@dataclass
class Offsets:
    value: int = 0
    saved: list[int] = field(default_factory=list)
    fail: int = 0

    async def load(self) -> int:
        return self.value

    async def save(self, offset: int) -> None:
        if self.fail > 0:
            self.fail -= 1
            raise OSError("the database is away")
        self.value = offset
        self.saved.append(offset)


@dataclass
class Clock:
    """Time passes only by sleeping."""

    now: float = 100.0
    slept: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def monotonic(self) -> float:
        return self.now


@dataclass
class Gateway:
    """Keeps what was received; `fail` makes the next calls crash before anything is stored."""

    got: list[Inbound] = field(default_factory=list)
    fail: int = 0
    attempts: list[str] = field(default_factory=list)

    async def receive(self, inbound: Inbound) -> None:
        self.attempts.append(inbound.message_id)
        if self.fail > 0:
            self.fail -= 1
            raise OSError("the database is away")
        self.got.append(inbound)


@pytest.fixture(scope="module")
def running_server() -> Iterator[TelegramServer]:
    with TelegramServer() as running:
        yield running


@pytest.fixture
def server(running_server: TelegramServer) -> TelegramServer:
    running_server.reset()
    return running_server


def channel_for(server: TelegramServer, offsets: Offsets | None = None, **options: Any) -> TelegramChannel:
    clock = options.pop("clock", None) or Clock()
    options.setdefault("patience", Patience(poll=20, request=5.0, download=5.0, stop=5.0))
    return TelegramChannel(
        TOKEN,
        base_url=server.url,
        offset_store=offsets or Offsets(),
        sleep=clock.sleep,
        monotonic=clock.monotonic,
        **options,
    )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def polling(
    server: TelegramServer, gateway: Gateway, offsets: Offsets | None = None, **options: Any
) -> AsyncIterator[TelegramChannel]:
    channel = channel_for(server, offsets, **options)
    await channel.start(gateway.receive)
    try:
        yield channel
    finally:
        await channel.stop()


def received(
    server: TelegramServer, *updates: dict[str, Any], count: int | None = None, **options: Any
) -> list[Inbound]:
    """Push the updates, poll until all are acknowledged, return what the gateway got."""

    async def run() -> list[Inbound]:
        gateway, offsets = Gateway(), Offsets()
        last = [server.push(**update) for update in updates][-1]
        async with polling(server, gateway, offsets, **options):
            await until(lambda: offsets.value == last + 1)
        return gateway.got

    got = asyncio.run(run())
    assert len(got) == (len(updates) if count is None else count)
    return got


def sending(server: TelegramServer, *outbound: Outbound, **options: Any) -> list[str]:
    async def run() -> list[str]:
        channel = channel_for(server, **options)
        try:
            return [await channel.send(each) for each in outbound]
        finally:
            await channel.stop()

    return asyncio.run(run())


# --- the stand-in itself ------------------------------------------------------------------------------------------


def test_stand_in_agrees_with_python_telegram_bot(server: TelegramServer, tmp_path: Path) -> None:
    async def run() -> None:
        server.files["f1"] = b"jpeg"
        first = server.push(message=message(text="hi"))
        async with telegram.Bot(TOKEN, f"{server.url}/bot", f"{server.url}/file/bot") as bot:
            assert bot.username == USERNAME
            assert [update.update_id for update in await bot.get_updates(timeout=0)] == [first]
            assert await bot.get_updates(offset=first + 1, timeout=0) == ()
            sent = await bot.send_message(42, "hello")
            assert (await bot.send_photo(42, b"png", caption="c")).message_id == sent.message_id + 1
            assert bytes(await (await bot.get_file("f1")).download_as_bytearray()) == b"jpeg"
            with pytest.raises(telegram.error.BadRequest):
                await bot.send_message(42, "x" * 4097)

    asyncio.run(run())


def test_stand_in_agrees_with_aiogram(server: TelegramServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISABLE_UVLOOP", "1")  # importing it would change the event loop of every later test
    aiogram = pytest.importorskip("aiogram")
    api = pytest.importorskip("aiogram.bot.api")

    async def run() -> None:
        server.files["f1"] = b"jpeg"
        first = server.push(message=message(text="hi"))
        bot = aiogram.Bot(TOKEN, server=api.TelegramAPIServer.from_base(server.url))
        try:
            assert (await bot.get_me()).username == USERNAME
            assert [update.message.text for update in await bot.get_updates(timeout=0)] == ["hi"]
            assert await bot.get_updates(offset=first + 1, timeout=0) == []
            markup = {"inline_keyboard": [[{"text": "ok", "callback_data": "ok"}]]}
            sent = await bot.send_message(42, "hello", reply_markup=markup)
            assert server.keyboards[sent.message_id] == markup
            assert (await bot.send_photo(42, b"png", caption="c")).caption == "c"
            assert (await bot.download_file_by_id("f1")).read() == b"jpeg"
            assert await bot.answer_callback_query("987")
            assert await bot.set_my_commands([aiogram.types.BotCommand("help", "h")])
            server.fail(
                "sendMessage", Fault(429, "Too Many Requests", {"retry_after": 3}), Fault(403, "Forbidden: gone")
            )
            with pytest.raises(aiogram.exceptions.RetryAfter):
                await bot.send_message(42, "hello")
            with pytest.raises(aiogram.exceptions.Unauthorized):
                await bot.send_message(42, "hello")
        finally:
            await bot.session.close()

    asyncio.run(run())


# --- what comes in ------------------------------------------------------------------------------------------------


def test_text(server: TelegramServer) -> None:
    (got,) = received(server, {"message": message(text=LEAK)})
    assert (got.channel, got.message_id, got.sender_id, got.chat_id) == ("telegram", "42:7", "42", "42")
    assert (got.text, got.sender_name, got.group, got.edited, got.media) == (LEAK, "Alice Wang", False, False, ())
    assert got.sent_at is not None
    assert got.sent_at.timestamp() == SENT_AT
    assert got.sent_at.tzinfo is not None


def test_commands_keep_slash_and_payload(server: TelegramServer) -> None:
    texts = ["/status 0012", "/start bind_77", "/secret{}"]
    assert [got.text for got in received(server, *({"message": message(text=text)} for text in texts))] == texts


def test_text_no_database_takes_is_cleaned(server: TelegramServer) -> None:
    (got,) = received(server, {"message": message(text="a\x00b\ud83d!")})
    assert got.text == "ab?!"


def test_album_photos_come_one_by_one_with_the_largest_allowed_size(server: TelegramServer) -> None:
    server.files |= {"large": b"big picture", "small": b"small picture"}
    first = message(photo=PHOTO, caption=LEAK, media_group_id="g1")
    second = message(photo=PHOTO[:1], media_group_id="g1", message_id=8)
    one, two = received(server, {"message": first}, {"message": second})
    assert (one.text, two.text, two.message_id) == (LEAK, "", "42:8")
    assert [(m.kind, m.data, m.mime) for m in one.media + two.media] == [
        ("image", b"big picture", "image/jpeg"),
        ("image", b"small picture", "image/jpeg"),
    ]
    assert one.media[0].filename == "large.jpg"
    assert one.extra == two.extra == {"album": "g1"}


def test_voice(server: TelegramServer) -> None:
    server.files["v"] = b"OggS"
    voice = {"file_id": "v", "file_unique_id": "v", "duration": 3, "mime_type": "audio/ogg", "file_size": 4}
    (got,) = received(server, {"message": message(voice=voice)})
    assert (got.text, got.media[0].kind, got.media[0].data, got.media[0].mime) == ("", "voice", b"OggS", "audio/ogg")


@pytest.mark.parametrize(("mime", "kind"), [("image/png", "image"), ("application/pdf", "file")])
def test_documents_lose_any_path_in_their_name(server: TelegramServer, mime: str, kind: str) -> None:
    server.files["d"] = b"data"
    document = {"file_id": "d", "file_unique_id": "d", "file_name": "../../etc\\x.png", "mime_type": mime}
    (got,) = received(server, {"message": message(document=document)})
    assert (got.media[0].kind, got.media[0].filename) == (kind, "x.png")


@pytest.mark.parametrize("method", ["getFile", "download"])
def test_failing_download_keeps_the_words(server: TelegramServer, method: str) -> None:
    server.files["large"] = b"picture"
    server.fail(method, Fault(500))
    (got,) = received(server, {"message": message(photo=PHOTO, caption=LEAK)})
    assert (got.text, got.media, got.extra) == (LEAK, (), {"media_missing": "image"})


def test_hanging_download_is_given_up(server: TelegramServer) -> None:
    server.fail("download", Fault(hang=True))
    server.files["large"] = b"picture"
    hurry = Patience(poll=20, download=0.05)
    (got,) = received(server, {"message": message(photo=PHOTO, caption=LEAK)}, patience=hurry)
    assert (got.text, got.media) == (LEAK, ())


def test_too_large_photo_is_not_asked_for(server: TelegramServer) -> None:
    (got,) = received(server, {"message": message(photo=PHOTO[2:])})
    assert got.extra == {"media_missing": "image"}
    assert server.called("getFile") == []


def test_location_and_venue(server: TelegramServer) -> None:
    place = {"latitude": 39.9, "longitude": 116.4}
    venue = {"location": place, "title": "Gate 2", "address": "Road 1"}
    plain, labelled = received(
        server, {"message": message(location=place)}, {"message": message(location=place, venue=venue, message_id=8)}
    )
    assert plain.location is not None
    assert (plain.location.latitude, plain.location.longitude, plain.location.label) == (39.9, 116.4, "")
    assert labelled.location is not None
    assert labelled.location.label == "Gate 2 Road 1"


@pytest.mark.parametrize(("owner", "phone"), [(42, "13800001502"), (43, ""), (None, "")])
def test_contact_counts_only_when_it_is_the_senders_own(server: TelegramServer, owner: int | None, phone: str) -> None:
    contact: dict[str, Any] = {"phone_number": "+86 138-0000-1502", "first_name": "A"}
    if owner is not None:
        contact["user_id"] = owner
    (got,) = received(server, {"message": message(contact=contact)})
    assert (got.contact_phone, got.text) == (phone, "")


@pytest.mark.parametrize(
    ("raw", "digits"),
    [
        ("+8613800001502", "13800001502"),
        ("008613800001502", "13800001502"),
        ("13800001502", "13800001502"),
        ("\uff0b\uff18\uff1613800001502", "13800001502"),
        ("+1 (555) 010-9999", "15550109999"),
        ("86-10-12345678", "861012345678"),
    ],
)
def test_phone_numbers(raw: str, digits: str) -> None:
    assert normalise_phone(raw) == digits


def test_button(server: TelegramServer) -> None:
    server.keyboards[501] = {"inline_keyboard": []}

    async def run() -> Inbound:
        gateway = Gateway()
        server.push(callback_query=callback("accept:0012"))
        async with polling(server, gateway):
            await until(lambda: server.keyboards[501] is None)
        return gateway.got[0]

    got = asyncio.run(run())
    assert (got.message_id, got.button, got.text, got.chat_id, got.sender_id) == (
        "cb:987",
        "accept:0012",
        "",
        "42",
        "42",
    )
    assert got.extra == {"card": "501", "card_text": "card"}
    assert [call.params["callback_query_id"] for call in server.called("answerCallbackQuery")] == ["987"]
    assert server.called("answerCallbackQuery")[0].params["text"] == Texts.load().button_received


def test_button_in_a_group_leaves_the_card_to_the_gateway(server: TelegramServer) -> None:
    (got,) = received(server, {"callback_query": callback("grab:12", GROUP)})
    assert (got.group, got.chat_id, got.sender_id) == (True, "-100200", "42")
    assert len(server.called("answerCallbackQuery")) == 1
    assert server.called("editMessageReplyMarkup") == []


@pytest.mark.parametrize("data", [None, "\u4e00" * 22])
def test_button_without_a_usable_code_is_answered_and_dropped(server: TelegramServer, data: str | None) -> None:
    received(server, {"callback_query": callback(data)}, count=0)
    assert len(server.called("answerCallbackQuery")) == 1


def test_failing_answer_to_a_button_disturbs_nothing(server: TelegramServer) -> None:
    server.fail("answerCallbackQuery", Fault(400, "Bad Request: query is too old"))
    server.fail("editMessageReplyMarkup", Fault(500))
    received(server, {"callback_query": callback("a")}, {"message": message(text="b")})


def test_edit_is_a_message_of_its_own(server: TelegramServer) -> None:
    (got,) = received(server, {"edited_message": message(text="3-2-1503", edit_date=SENT_AT + 60)})
    assert (got.message_id, got.edited, got.text) == (f"42:7:e{SENT_AT + 60}", True, "3-2-1503")


def test_live_location_track_is_not_a_correction(server: TelegramServer) -> None:
    place = {"latitude": 39.9, "longitude": 116.4, "live_period": 900}
    received(server, {"edited_message": message(location=place, edit_date=SENT_AT + 60)}, count=0)


@pytest.mark.parametrize(
    ("text", "read"),
    [(f"/status@{USERNAME} 0012", "/status 0012"), ("/my@GUANJIA_TEST_BOT", "/my"), ("@someone hi", "@someone hi")],
)
def test_group(server: TelegramServer, text: str, read: str) -> None:
    (got,) = received(server, {"message": message(chat=GROUP, text=text)})
    assert (got.group, got.chat_id, got.sender_id, got.text) == (True, "-100200", "42", read)
    assert got.message_id == "-100200:7"


def test_other_bots_command_in_a_group_is_not_ours(server: TelegramServer) -> None:
    received(server, {"message": message(chat=GROUP, text="/status@other_bot 1")}, count=0)


def test_anonymous_admin_is_the_group_and_nobody_else(server: TelegramServer) -> None:
    anonymous = {"id": 1087968824, "is_bot": True, "first_name": "Group"}
    update = message(chat=GROUP, text="hi", sender_chat=GROUP) | {"from": anonymous}
    (got,) = received(server, {"message": update})
    assert got.sender_id == "-100200"


def test_sticker_is_handed_over_so_that_it_gets_an_answer(server: TelegramServer) -> None:
    dice = {"emoji": "x", "value": 3}
    (got,) = received(server, {"message": message(dice=dice)})
    assert got.extra == {"unsupported": "dice"}


def test_unknown_kinds_are_passed_over(server: TelegramServer) -> None:
    updates: list[dict[str, Any]] = [
        {"my_chat_member": {"broken": True}},
        {"from_the_future": {"x": 1}},
        {"channel_post": {"message_id": 1, "date": 1, "chat": {"id": -5, "type": "channel"}, "text": "x"}},
        {"message": message(new_chat_members=[ALICE])},
        {"message": message(pinned_message=message(text="x"))},
        {"message": {"message_id": "seven"}},
        {"message": message(text="at last")},
    ]
    assert [got.text for got in received(server, *updates, count=1)] == ["at last"]


# --- polling: nothing lost, nothing skipped -----------------------------------------------------------------------


def test_offset_is_stored_only_after_receive_returned(server: TelegramServer) -> None:
    async def run() -> None:
        offsets, gate, entered = Offsets(), asyncio.Event(), asyncio.Event()

        async def receive(inbound: Inbound) -> None:
            entered.set()
            await gate.wait()

        update = server.push(message=message(text="a"))
        channel = channel_for(server, offsets)
        await channel.start(receive)
        await entered.wait()
        assert offsets.saved == []
        gate.set()
        await until(lambda: offsets.saved == [update + 1])
        await until(lambda: not server.updates)
        await channel.stop()

    asyncio.run(run())


def test_crash_in_receive_brings_the_same_update_again(server: TelegramServer) -> None:
    async def run() -> None:
        gateway, offsets, clock = Gateway(fail=2), Offsets(), Clock()
        update = server.push(message=message(text="a"))
        async with polling(server, gateway, offsets, clock=clock):
            await until(lambda: offsets.value == update + 1)
        assert gateway.attempts == ["42:7"] * 3
        assert [got.text for got in gateway.got] == ["a"]
        assert clock.slept == [1.0, 2.0]

    asyncio.run(run())


def test_dying_between_receive_and_the_offset_brings_the_same_update_again(server: TelegramServer) -> None:
    async def run() -> None:
        gateway, offsets = Gateway(), Offsets(fail=1)
        update = server.push(message=message(text="a"))
        async with polling(server, gateway, offsets):
            await until(lambda: offsets.value == update + 1)
        assert gateway.attempts == ["42:7", "42:7"]

    asyncio.run(run())


def test_one_failing_chat_does_not_hold_up_the_others(server: TelegramServer) -> None:
    async def run() -> None:
        stored: list[str] = []
        healed = False

        async def receive(inbound: Inbound) -> None:
            if inbound.chat_id == "42" and not healed:
                raise OSError("refused")
            stored.append(inbound.text)

        server.push(message=message(text="a"))
        server.push(message=message(text="b", message_id=8))
        last = server.push(message=message(text="fire", chat={"id": 77, "type": "private"}, message_id=1))
        offsets = Offsets()
        channel = channel_for(server, offsets)
        await channel.start(receive)
        await until(lambda: "fire" in stored)
        assert offsets.saved == []
        healed = True
        await until(lambda: offsets.value == last + 1)
        await channel.stop()
        assert [text for text in stored if text != "fire"] == ["a", "b"]

    asyncio.run(run())


@pytest.mark.parametrize(
    "fault",
    [
        Fault(409, "Conflict: terminated by other getUpdates request"),
        Fault(502, raw=b"<html>bad gateway</html>"),
        Fault(200, raw=b'{"ok":true,"result":[{"no":"id"}]}'),
        Fault(200, raw=b'{"ok":true,"result":'),
        Fault(401, "Unauthorized"),
    ],
)
def test_poller_backs_off_and_goes_on(server: TelegramServer, fault: Fault, caplog: pytest.LogCaptureFixture) -> None:
    server.fail("getUpdates", fault, fault, fault)
    clock = Clock()
    with caplog.at_level(logging.DEBUG, "bot"):
        received(server, {"message": message(text=LEAK)}, clock=clock)
    assert clock.slept == ([60.0] * 3 if fault.status == 401 else [1.0, 2.0, 4.0])
    assert TOKEN not in caplog.text


def test_flood_control_while_polling_is_obeyed(server: TelegramServer) -> None:
    server.fail("getUpdates", Fault(429, "Too Many Requests: retry after 17", {"retry_after": 17}))
    clock = Clock()
    received(server, {"message": message(text="a")}, clock=clock)
    assert clock.slept == [17.0]


def test_telegram_away_at_start_is_waited_for(server: TelegramServer) -> None:
    server.fail("getMe", Fault(500), Fault(502))
    server.fail("deleteWebhook", Fault(500))
    received(server, {"message": message(text="a")})
    assert len(server.called("deleteWebhook")) == 2


def test_stop_ends_the_long_poll_at_once_and_start_works_again(server: TelegramServer) -> None:
    async def run() -> None:
        gateway, offsets = Gateway(), Offsets()
        channel = channel_for(server, offsets, patience=Patience(poll=600, stop=600))
        for text in ("a", "b"):
            await channel.start(gateway.receive)
            before = server.polling
            await until(lambda seen=before: server.polling > seen)  # type: ignore[misc]
            server.push(message=message(text=text))
            await until(lambda wanted=text: [got.text for got in gateway.got][-1:] == [wanted])  # type: ignore[misc]
            async with asyncio.timeout(5):
                await channel.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


def test_stop_finishes_what_is_under_way(server: TelegramServer) -> None:
    async def run() -> None:
        offsets, gate, entered = Offsets(), asyncio.Event(), asyncio.Event()

        async def receive(inbound: Inbound) -> None:
            entered.set()
            await gate.wait()

        update = server.push(message=message(text="a"))
        channel = channel_for(server, offsets)
        await channel.start(receive)
        await entered.wait()
        stopping = asyncio.ensure_future(channel.stop())
        await asyncio.sleep(0)
        gate.set()
        await stopping
        assert offsets.saved == [update + 1]

    asyncio.run(run())


def test_stop_cuts_off_what_never_ends_and_acknowledges_nothing(server: TelegramServer) -> None:
    async def run() -> None:
        offsets, entered = Offsets(), asyncio.Event()

        async def receive(inbound: Inbound) -> None:
            entered.set()
            await asyncio.Event().wait()

        server.push(message=message(text="a"))
        channel = channel_for(server, offsets, patience=Patience(poll=20, stop=0.02))
        await channel.start(receive)
        await entered.wait()
        await channel.stop()
        assert offsets.saved == []
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


def test_it_is_a_channel(server: TelegramServer) -> None:
    channel: Channel = channel_for(server)
    assert channel.name == "telegram"


def test_stop_before_start_and_while_setting_up(server: TelegramServer) -> None:
    async def run() -> None:
        await channel_for(server).stop()
        server.fail("getMe", Fault(hang=True))
        channel = channel_for(server, patience=Patience(stop=600))
        await channel.start(Gateway().receive)
        await until(lambda: len(server.called("getMe")) == 1)
        async with asyncio.timeout(5):
            await channel.stop()

    asyncio.run(run())


# --- webhook ------------------------------------------------------------------------------------------------------


@dataclass
class Hook:
    url: str
    gateway: Gateway
    channel: TelegramChannel

    def post(self, body: bytes | dict[str, Any], secret: str | bytes | None = SECRET) -> int:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"X-Telegram-Bot-Api-Secret-Token": secret} if secret is not None else {}
        return self.client.post(f"{self.url}/hook", content=content, headers=headers).status_code  # type: ignore[arg-type]

    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=10))


@pytest.fixture(scope="module")
def shared_server() -> Iterator[TelegramServer]:
    with TelegramServer() as running:
        yield running


@pytest.fixture(scope="module")
def hook(shared_server: TelegramServer) -> Iterator[Hook]:
    gateway = Gateway()
    where = "https://bot.example.com/hook"
    channel = channel_for(shared_server, webhook_secret=SECRET, webhook_url=where)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await channel.start(gateway.receive)
        await until(lambda: bool(shared_server.commands))
        yield
        await channel.stop()

    app = Starlette(routes=[Route("/hook", channel.webhook, methods=["POST"])], lifespan=lifespan)
    with Served(app) as served:
        hook = Hook(served.url, gateway, channel)
        yield hook
        hook.client.close()


@pytest.fixture
def fresh(hook: Hook) -> Hook:
    hook.gateway.got.clear()
    hook.gateway.fail = 0
    return hook


def test_webhook_is_registered_with_its_secret(hook: Hook, shared_server: TelegramServer) -> None:
    params = shared_server.called("setWebhook")[0].params
    assert (params["url"], params["secret_token"]) == ("https://bot.example.com/hook", SECRET)
    assert params["allowed_updates"] == ["message", "edited_message", "callback_query"]
    assert shared_server.called("deleteWebhook") == shared_server.called("getUpdates") == []


def test_webhook_answers_200_once_stored_and_passes_repeats_to_the_gateway(fresh: Hook) -> None:
    update = {"update_id": 1, "message": message(text=LEAK)}
    assert [fresh.post(update), fresh.post(update)] == [200, 200]
    assert [got.message_id for got in fresh.gateway.got] == ["42:7", "42:7"]
    assert fresh.gateway.got[0].text == LEAK


def test_webhook_not_stored_is_not_acknowledged(fresh: Hook) -> None:
    fresh.gateway.fail = 1
    update = {"update_id": 1, "message": message(text="a")}
    assert [fresh.post(update), fresh.post(update)] == [503, 200]
    assert [got.text for got in fresh.gateway.got] == ["a"]


@pytest.mark.parametrize("secret", [None, "", "wrong", SECRET + "x", SECRET[:-1], b"\xe4\xb8\xad"])
def test_webhook_wrong_secret(fresh: Hook, secret: str | bytes | None) -> None:
    assert fresh.post({"update_id": 1, "message": message(text="a")}, secret) == 401
    assert fresh.gateway.got == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"7", b"\xff\xfe\xff", b"[" * 200_000, b"9" * 9000])
def test_webhook_bad_json(fresh: Hook, body: bytes) -> None:
    assert fresh.post(body) == 400


def test_webhook_body_limit(fresh: Hook) -> None:
    body = json.dumps({"update_id": 1, "message": message(text="a")}).encode()
    assert fresh.post(body + b" " * (1024 * 1024 - len(body))) == 200
    assert fresh.post(body + b" " * (1024 * 1024 - len(body) + 1)) == 413


def test_webhook_outside_its_life_asks_for_a_repeat(server: TelegramServer) -> None:
    channel = channel_for(server, webhook_secret=SECRET, webhook_url="https://bot.example.com/hook")
    with Served(Starlette(routes=[Route("/hook", channel.webhook, methods=["POST"])])) as served:
        hook = Hook(served.url, Gateway(), channel)
        assert hook.post({"update_id": 1, "message": message(text="a")}) == 503
        hook.client.close()


@pytest.mark.parametrize("secret", ["", "has space", "x" * 257, "\u4e2d"])
def test_webhook_needs_a_usable_secret(server: TelegramServer, secret: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        channel_for(server, webhook_secret=secret, webhook_url="https://bot.example.com/hook")


SEEDS: list[dict[str, Any]] = [
    {"update_id": 1, "message": message(text="/status@guanjia_test_bot 0012", entities=[{"type": "url"}])},
    {"update_id": 2, "message": message(photo=PHOTO, caption="c", media_group_id="1")},
    {"update_id": 3, "message": message(voice={"file_id": "v", "file_unique_id": "v", "duration": 1})},
    {"update_id": 4, "message": message(location={"latitude": 1.5, "longitude": 2.5}, chat=GROUP)},
    {"update_id": 5, "message": message(contact={"phone_number": "1", "first_name": "a", "user_id": 42})},
    {"update_id": 6, "callback_query": callback("accept:1")},
    {"update_id": 7, "edited_message": message(text="x", edit_date=SENT_AT)},
    {"update_id": 8, "message": message(document={"file_id": "d", "file_unique_id": "d", "file_name": "n"})},
]
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["\x00", "\ud800", "../..", "1e999"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)


def _places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path] * bool(path) + [place for key, value in inner for place in _places(value, (*path, key))]


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A real update with one to three of its fields replaced by junk or taken away."""
    update = copy.deepcopy(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 3))):
        places = _places(update)
        if not places:
            break
        *way, last = draw(st.sampled_from(places))
        node = update
        for step in way:
            node = node[step]
        if draw(st.booleans()):
            node[last] = draw(JUNK)
        else:
            del node[last]
    return cast("dict[str, Any]", update)


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(update=mutated())
def test_webhook_takes_any_mutated_update(hook: Hook, update: dict[str, Any]) -> None:
    hook.gateway.got.clear()
    assert hook.post(update) == 200
    for got in hook.gateway.got:
        for text in (got.text, got.button, got.sender_name, got.message_id, got.contact_phone, *got.extra.values()):
            assert "\x00" not in text
            text.encode("utf-8")
        assert str(int(got.sender_id)) == got.sender_id
        assert str(int(got.chat_id)) == got.chat_id


def test_nothing_a_stranger_sent_stands_in_the_log(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    who = {"id": "nobody", "is_bot": False, "first_name": "a"}
    with caplog.at_level("INFO"):
        for part in ({"message": message(text="a", date="when")}, {"message": {**message(text="a"), "from": who}}):
            assert hook.post({"update_id": "\ud800secret", **part}) == 200
    assert caplog.text.count("unreadable") == 2 and "secret" not in caplog.text


# --- what goes out ------------------------------------------------------------------------------------------------


def test_text_with_buttons(server: TelegramServer) -> None:
    buttons = tuple(
        Button(f"b{n}", label) for n, label in enumerate(["yes", "no", "later", "a rather long label", "ok"])
    )
    (sent,) = sending(server, Outbound("42", LEAK, "k1", buttons))
    (call,) = server.called("sendMessage")
    assert (call.params["chat_id"], call.params["text"]) == ("42", LEAK)
    assert "parse_mode" not in call.params
    rows = server.keyboards[int(sent)]["inline_keyboard"]
    assert [[button["callback_data"] for button in row] for row in rows] == [["b0", "b1"], ["b2"], ["b3"], ["b4"]]


@pytest.mark.parametrize("code", ["x" * 65, "\u4e00" * 22, ""])
def test_button_code_over_64_bytes_is_refused_before_anything_goes_out(server: TelegramServer, code: str) -> None:
    with pytest.raises(Refused):
        sending(server, Outbound("42", "x" * 5000, "k1", (Button(code, "l"),)))
    assert server.calls == []


def test_button_code_of_64_bytes_is_taken(server: TelegramServer) -> None:
    sending(server, Outbound("42", "t", "k1", (Button("\u4e00" * 21 + "x", "l"),)))


def test_long_text_is_split_at_line_ends_with_the_buttons_last(server: TelegramServer) -> None:
    line = "\u6f0f" * 99
    (sent,) = sending(server, Outbound("42", "\n".join([line] * 100), "k1", (Button("a", "l"),)))
    calls = server.called("sendMessage")
    assert len(calls) == 3
    assert all(set(call.params["text"].split("\n")) == {line} for call in calls)
    assert sum(call.params["text"].count(line) for call in calls) == 100
    assert ["reply_markup" in call.params for call in calls] == [False, False, True]
    assert server.keyboards[int(sent)] is not None


@given(
    text=st.text(st.sampled_from("ab\n \u6f0f\U0001f6b0"), max_size=200),
    limit=st.integers(2, 40),
    first=st.none() | st.integers(2, 10),
)
def test_split_keeps_every_character(text: str, limit: int, first: int | None) -> None:
    pieces = split_text(text, limit, first)
    assert all(piece.strip() for piece in pieces)
    for index, piece in enumerate(pieces):
        assert len(piece.encode("utf-16-le")) // 2 <= (first if first and index == 0 else limit)
    assert "".join("".join(pieces).split()) == "".join(text.split())


def test_text_at_the_limit_stays_whole() -> None:
    assert split_text("x" * TEXT_LIMIT, TEXT_LIMIT) == ["x" * TEXT_LIMIT]
    assert [len(piece) for piece in split_text("x" * (TEXT_LIMIT + 1), TEXT_LIMIT)] == [TEXT_LIMIT, 1]


def test_image_with_caption(server: TelegramServer, tmp_path: Path) -> None:
    path = tmp_path / "chart.png"
    path.write_bytes(b"png bytes")
    sending(server, Outbound("42", "caption", "k1", (Button("a", "l"),), str(path), "today.png"))
    (call,) = server.called("sendPhoto")
    assert call.params["caption"] == "caption"
    assert list(call.files.values()) == [b"png bytes"]
    assert "reply_markup" in call.params
    assert server.called("sendMessage") == []


def test_image_with_long_text_puts_the_rest_after_it(server: TelegramServer, tmp_path: Path) -> None:
    path = tmp_path / "chart.png"
    path.write_bytes(b"png bytes")
    text = "\n".join(["y" * 99] * 30)
    sending(server, Outbound("42", text, "k1", (), str(path)))
    caption, rest = server.called("sendPhoto")[0].params["caption"], server.called("sendMessage")[0].params["text"]
    assert len(caption) <= CAPTION_LIMIT
    assert f"{caption}\n{rest}" == text


def test_image_without_text(server: TelegramServer, tmp_path: Path) -> None:
    path = tmp_path / "chart.png"
    path.write_bytes(b"png bytes")
    sending(server, Outbound("42", "", "k1", (), str(path)))
    assert "caption" not in server.called("sendPhoto")[0].params


def test_words_go_out_when_the_picture_cannot(server: TelegramServer, tmp_path: Path) -> None:
    path = tmp_path / "odd.png"
    path.write_bytes(b"png bytes")
    server.fail("sendPhoto", Fault(400, "Bad Request: PHOTO_INVALID_DIMENSIONS"))
    missing = str(tmp_path / "missing.png")
    sending(server, Outbound("42", "one", "k1", (), missing), Outbound("42", "two", "k2", (), str(path)))
    assert [call.params["text"] for call in server.called("sendMessage")] == ["one", "two"]
    with pytest.raises(Refused):
        sending(server, Outbound("42", "", "k3", (), missing))


@pytest.mark.parametrize("text", ["", " \n", "\x00"])
def test_nothing_to_send_is_refused(server: TelegramServer, text: str) -> None:
    with pytest.raises(Refused):
        sending(server, Outbound("42", text, "k1"))


def test_flood_control_tells_when_to_come_back(server: TelegramServer) -> None:
    server.fail("sendMessage", Fault(429, "Too Many Requests: retry after 35", {"retry_after": 35}))
    with pytest.raises(RetryLater) as caught:
        sending(server, Outbound("42", "t", "k1"))
    assert caught.value.seconds == 35


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(403, "Forbidden: bot was blocked by the user"), Unreachable),
        (Fault(403, "Forbidden: user is deactivated"), Unreachable),
        (Fault(400, "Bad Request: chat not found"), Unreachable),
        (Fault(400, "Bad Request: not enough rights to send text messages to the chat"), Unreachable),
        (Fault(400, "Bad Request: message is too long"), Refused),
        (Fault(500), RetryLater),
        (Fault(502, raw=b"<html>"), RetryLater),
        (Fault(200, raw=b"not json"), RetryLater),
        (Fault(401, "Unauthorized"), RetryLater),
        (Fault(hang=True), RetryLater),
    ],
)
def test_errors_say_what_to_do(server: TelegramServer, fault: Fault, expected: type[Exception]) -> None:
    server.fail("sendMessage", fault)
    with pytest.raises(expected) as caught:
        sending(server, Outbound("42", "t", "k1"), patience=Patience(request=0.2 if fault.hang else 5.0))
    assert TOKEN not in str(caught.value)
    assert caught.value.__suppress_context__


def test_nobody_listening_is_retry_later(server: TelegramServer) -> None:
    async def run() -> None:
        channel = TelegramChannel(TOKEN, base_url="http://127.0.0.1:9", offset_store=Offsets())
        with pytest.raises(RetryLater):
            await channel.send(Outbound("42", "t", "k1"))
        await channel.stop()

    asyncio.run(run())


def test_retry_of_a_long_message_goes_on_where_it_failed(server: TelegramServer) -> None:
    async def run() -> None:
        channel = channel_for(server)
        long = Outbound("42", "a" * 4096 + "b" * 4096, "k1")
        server.fail("sendMessage", Fault(500), None, Fault(500))
        for _ in range(2):
            with pytest.raises(RetryLater):
                await channel.send(long)
        await channel.send(long)
        await channel.stop()

    asyncio.run(run())
    assert [call.params["text"][0] for call in server.called("sendMessage")] == ["a", "a", "b", "b"]


def test_group_that_became_a_supergroup_is_followed(server: TelegramServer) -> None:
    server.fail("sendMessage", Fault(400, "Bad Request: upgraded", {"migrate_to_chat_id": -1009}))

    async def run() -> None:
        channel = channel_for(server)
        with pytest.raises(RetryLater):
            await channel.send(Outbound("-9", "t", "k1"))
        await channel.send(Outbound("-9", "t", "k1"))
        await channel.stop()

    asyncio.run(run())
    assert [call.params["chat_id"] for call in server.called("sendMessage")] == ["-9", "-1009"]


# --- spacing ------------------------------------------------------------------------------------------------------


def starts(*chats: str) -> list[float]:
    """When each of these messages, asked for one after the other, may go; the clock starts at 0."""

    async def run() -> list[float]:
        clock = Clock(now=0.0)
        pacer = Pacer(EVERYONE, limits_of, clock.sleep, clock.monotonic)
        times = []
        for chat in chats:
            await pacer.wait(chat)
            times.append(clock.now)
        return times

    return asyncio.run(run())


def test_one_message_a_second_per_private_chat() -> None:
    assert starts("42", "42", "43", "42") == [0.0, 1.0, 1.0, 2.0]


def test_twenty_a_minute_per_group() -> None:
    with pytest.raises(RetryLater) as caught:
        starts(*["-1"] * 21)
    assert caught.value.seconds == 60.0
    assert starts(*["-1"] * 20, *["42"] * 41, "-1")[-1] == 60.0


def test_thirty_a_second_in_all() -> None:
    assert starts(*[str(n) for n in range(61)]) == [0.0] * 30 + [1.0] * 30 + [2.0]


def test_waiting_in_line_keeps_the_spacing() -> None:
    async def run() -> None:
        clock, waits = Clock(now=0.0), []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)

        pacer = Pacer(EVERYONE, limits_of, sleep, clock.monotonic)
        await asyncio.gather(*(pacer.wait("42") for _ in range(4)))
        assert waits == [1.0, 2.0, 3.0]

    asyncio.run(run())


def test_channel_sends_through_the_pacer(server: TelegramServer) -> None:
    clock = Clock()
    sending(server, *(Outbound("42", "t", f"k{n}") for n in range(3)), clock=clock)
    assert clock.slept == [1.0, 1.0]


def test_pacer_forgets_idle_chats() -> None:
    async def run() -> int:
        clock = Clock(now=0.0)
        pacer = Pacer(EVERYONE, limits_of, clock.sleep, clock.monotonic)
        for chat in range(3000):
            clock.now += 1
            await pacer.wait(str(chat))
        return len(pacer._chats)

    assert asyncio.run(run()) <= 1002


# --- menus and small print ----------------------------------------------------------------------------------------


def test_menus_by_role(server: TelegramServer) -> None:
    async def run() -> None:
        channel = channel_for(server)
        await channel.set_menus({"7": "worker"})
        assert await channel.set_role_menu("8", "supervisor")
        assert await channel.set_role_menu("9", "manager")
        assert await channel.set_role_menu("7", "resident")
        server.fail("setMyCommands", Fault(400, "Bad Request: chat not found"))
        assert not await channel.set_role_menu("10", "worker")
        await channel.stop()

    asyncio.run(run())
    names = {scope: [command["command"] for command in menu] for scope, menu in server.commands.items()}
    resident = ["report", "complain", "progress", "human", "help"]
    supervisor = ["status", "today", "unaccepted", "overdue", "help"]
    assert names == {
        "default": resident,
        "all_group_chats": ["here", "away"],
        "chat7": resident,
        "chat8": supervisor,
        "chat9": supervisor,
    }
    worker = [command.command for command in Texts.load().menu("worker")]
    assert worker == ["my", "accept", "arrive", "done", "help"]
    assert all(any("\u4e00" <= c <= "\u9fff" for c in each["description"]) for each in server.commands["default"])


def test_clear_buttons_is_best_effort(server: TelegramServer) -> None:
    async def run() -> None:
        channel = channel_for(server)
        sent = await channel.send(Outbound("42", "card", "k1", (Button("a", "l"),)))
        for message_id in (sent, "9999", "not a number", ""):
            await channel.clear_buttons("42", message_id)
        assert server.keyboards[int(sent)] is None
        await channel.stop()

    asyncio.run(run())


def test_a_card_says_who_took_the_job_and_loses_its_buttons(server: TelegramServer, tmp_path: Path) -> None:
    photo = tmp_path / "drip.jpg"
    Image.new("RGB", (16, 16)).save(photo)

    async def run() -> list[int]:
        channel = channel_for(server)
        sent = [
            int(await channel.send(Outbound("42", "card", f"k{path}", (Button("a", "l"),), path)))
            for path in ("", str(photo))
        ]
        for card in sent:
            await channel.close_card("42", str(card), "card\n已由王师傅接单。")
        # one that is gone, and one nobody said anything about
        await channel.close_card("42", "9999", "gone")
        silent = int(await channel.send(Outbound("42", "card", "k3", (Button("a", "l"),))))
        await channel.close_card("42", str(silent))
        await channel.stop()
        return [*sent, silent]

    text, picture, silent = asyncio.run(run())
    assert server.words[text] == {"text": "card\n已由王师傅接单。"}
    assert server.words[picture] == {"caption": "card\n已由王师傅接单。"}
    assert server.words[silent] == {"text": "card"}
    assert [server.keyboards[one] for one in (text, picture, silent)] == [None, None, None]


def test_logs_hold_no_token_no_words_and_no_phone(server: TelegramServer, caplog: pytest.LogCaptureFixture) -> None:
    """Everything at the level the root logger is set to in production and below, failures included."""
    contact = {"phone_number": "+8613800001502", "first_name": "A", "user_id": 42}
    server.fail("getUpdates", Fault(200, raw=b'{"ok": true, "result": [{"text": "spoken words"'), Fault(500))
    server.fail("getFile", Fault(500))
    updates = [
        {"message": message(text="spoken words")},
        {"message": message(text="spoken words", date="spoken words")},
        {"message": message(contact=contact)},
        {"message": message(photo=PHOTO, caption="spoken words")},
    ]
    with caplog.at_level(logging.DEBUG):
        received(server, *updates, count=3)
        server.fail("sendMessage", Fault(502, raw=b"spoken words"))
        with pytest.raises(RetryLater):
            sending(server, Outbound("42", "spoken words", "k1"))
    assert "telegram.poll failed" in caplog.text
    for private in (TOKEN, TOKEN.partition(":")[2], "spoken words", "13800001502"):
        assert private not in caplog.text
