"""The WeChat Official Account channel: pushes in, and out by the cheapest way that is still open.

An answer that is ready within the platform's five seconds goes back on the same connection and costs nothing. Later ones are
customer-service messages, of which a person's message allows five in 48 hours; when these are used up, a template message.
Nothing here logs what people wrote, who they are, or a token.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from bot.channels.base import (
    Button,
    ChannelError,
    Inbound,
    Location,
    Media,
    Outbound,
    Receive,
    Refused,
    RetryLater,
    Unreachable,
    read_body,
)
from bot.channels.tasks import Tasks
from bot.channels.text import CODE_BYTES, Progress, check_buttons, clean, numbered, split_text, utf8
from bot.channels.wechat_api import TOKEN_CODES, ApiFault, PlatformApi, answer_of, token_in
from bot.channels.wechat_wire import BODY_LIMIT, BadPush, Envelope, Fields, Push, to_xml
from bot.clock import Clock, system_clock
from storage import platforms
from storage.database import Sessions
from storage.models import OutboxMessage, Ticket
from tickets import notify

log = logging.getLogger(__name__)

TEXT_LIMIT = 2048
MESSAGE_WINDOW, MESSAGE_QUOTA = timedelta(hours=48), 5
EVENT_WINDOW, EVENT_QUOTA = timedelta(minutes=1), 3
SUCCESS = "success"

CLOSED = frozenset({45015, 45047, 48001})
NO_MENU = 40200
GONE = frozenset({40003, 43004, 43019, 43101})
# Limits, and what an operator has to put right (address not allowed, wrong secret): the message keeps.
WAIT = {45009: 60.0, 45011: 10.0, 50002: 300.0, 40164: 300.0, 40125: 300.0, 40013: 300.0, 61004: 300.0}
_REMEMBERED = 1000
_BINDING = re.compile(r"\d{6}")
_SILENT_EVENTS = frozenset({"VIEW", "view", "LOCATION", "view_miniprogram", "enter_agent"})


class WeChatApi(PlatformApi):
    """api.weixin.qq.com of one Official Account."""

    def __init__(
        self, app_id: str, secret: str, base_url: str, sessions: Sessions, clock: Clock = system_clock
    ) -> None:
        super().__init__(f"wechat:{app_id}", base_url, sessions, clock)
        self._app_id, self._secret = app_id, secret

    async def take_token(self, force: bool) -> tuple[str, int]:
        """`stable_token`: asked again it gives the same token, so that processes do not end each other's."""
        body = {
            "grant_type": "client_credential",
            "appid": self._app_id,
            "secret": self._secret,
            "force_refresh": force,
        }
        answer = answer_of(await self.plain("POST", "/cgi-bin/stable_token", json=body))
        if code := answer.get("errcode"):
            log.error("wechat.no_token errcode=%s", code)
            raise RetryLater(WAIT.get(code, 60.0), f"no token: errcode {code}")
        return token_in(answer)


# --- what WeChat says -> Inbound -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Received:
    """A push, read: the message, a file still to be fetched, which window it opens, and whether the person left."""

    inbound: Inbound
    file: tuple[str, str] | None = None  # kind, media id
    opens: str = ""  # "message", "event" or ""
    left: bool = False


def _number(text: str) -> float:
    value = float(text)
    if not -180 <= value <= 180:
        raise ValueError("not a place on earth")
    return value


def event_id(fields: Fields) -> str:
    """Events carry no id. Two of one person in the same second differ by kind and key."""
    parts = (fields.get(name, "") for name in ("FromUserName", "CreateTime", "Event", "EventKey", "TaskId"))
    return "e:" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]


def read_push(fields: Fields, channel: str) -> Received | None:
    """What a person did; None for what nobody waits an answer to. Raises ValueError for what cannot be read."""
    sender, kind = clean(fields.get("FromUserName", "")), fields.get("MsgType", "")
    if not 1 <= len(sender) <= 80:
        raise ValueError("no sender")
    event = fields.get("Event", "") if kind == "event" else ""
    number = fields.get("MsgId", "")
    blank = Inbound(
        channel,
        number if not event and 1 <= len(number) <= 100 else event_id(fields),
        sender,
        sender,
        sent_at=datetime.fromtimestamp(int(fields.get("CreateTime", "")[:11]), UTC),
    )
    return _read_event(blank, event, fields) if kind == "event" else _read_message(blank, kind, fields)


def _read_message(blank: Inbound, kind: str, fields: Fields) -> Received:
    media_id = fields.get("MediaId", "")
    if kind == "text":
        return Received(
            _words(blank, clean(fields.get("Content", "")), fields.get("bizmsgmenuid", "")), opens="message"
        )
    if kind == "image" and media_id:
        return Received(blank, ("image", media_id), "message")
    if kind == "voice" and fields.get("Recognition", "").strip():
        return Received(replace(blank, text=clean(fields["Recognition"])), opens="message")
    if kind == "voice" and media_id:
        return Received(blank, ("voice", media_id), "message")
    if kind == "location":
        place = Location(
            _number(fields.get("Location_X", "")), _number(fields.get("Location_Y", "")), clean(fields.get("Label", ""))
        )
        return Received(replace(blank, location=place), opens="message")
    if kind == "link":
        words = "\n".join(filter(None, (clean(fields.get(name, "")).strip() for name in ("Title", "Description"))))
        return Received(replace(blank, text=words, extra={"link": fields.get("Url", "")}), opens="message")
    return Received(replace(blank, extra={"unsupported": kind}), opens="message")


def _words(blank: Inbound, text: str, code: str) -> Inbound:
    """Typed words, or a pressed item of a menu message, which WeChat sends as words with the item's id."""
    if code and len(code.encode()) <= CODE_BYTES:
        return replace(blank, button=clean(code))
    return replace(blank, text=text)


def _read_event(blank: Inbound, event: str, fields: Fields) -> Received | None:
    key = clean(fields.get("EventKey", ""))
    if event in ("subscribe", "SCAN"):
        scene = key.removeprefix("qrscene_")
        words = f"/start {scene}" if _BINDING.fullmatch(scene) else "/start"
        return Received(replace(blank, text=words, extra={"scene": scene}), opens="event")
    if event == "unsubscribe":
        return Received(blank, left=True)
    if event in ("CLICK", "click"):
        return Received(_words(blank, key, "" if key.startswith("/") else key), opens="event")
    if event == "template_card_event":
        # WeCom only: a pressed card, and the one-time code with which it can be changed afterwards.
        return Received(replace(_words(blank, "", key), extra={"response_code": fields.get("ResponseCode", "")}))
    if event == "TEMPLATESENDJOBFINISH":
        status = fields.get("Status", "")
        log.log(logging.INFO if status == SUCCESS else logging.WARNING, "wechat.template status=%.40s", status)
        return Received(blank, left=True) if "user block" in status else None
    if event not in _SILENT_EVENTS:
        log.info("wechat.event_ignored kind=%.40s", event)
    return None


# --- template messages ---------------------------------------------------------------------------------------------

# How long WeChat lets a field be, by the beginning of its name.
FIELD_LIMITS = {
    "thing": 20,
    "character_string": 32,
    "number": 32,
    "letter": 32,
    "symbol": 5,
    "phrase": 5,
    "name": 10,
    "phone_number": 17,
    "car_number": 8,
    "const": 20,
    "time": 40,
    "date": 40,
    "amount": 20,
}
_LATIN_FIELDS = ("character_string", "number", "letter")
_NAMED = re.compile(r":([a-z_]+\.\w+)(?::|$)")


@dataclass(frozen=True)
class Template:
    """One template of the account: its id, or the library number it is made from, and what its fields say."""

    fields: Mapping[str, str]
    id: str = ""
    library: str = ""
    keywords: tuple[str, ...] = ()


def field_kind(name: str) -> str:
    return name.rstrip("0123456789")


def fitted(name: str, value: str) -> str:
    """A value WeChat takes in this field: it refuses longer ones, blank ones, and Chinese where it wants letters."""
    kind, line = field_kind(name), " ".join(value.split())
    if kind in _LATIN_FIELDS:
        line = "".join(char for char in line if char.isascii() and char.isprintable())
    limit = FIELD_LIMITS.get(kind, 20)
    short = line if len(line) <= limit else line[: limit - 1] + ("-" if kind in _LATIN_FIELDS else "…")
    return short or "-"


class _Facts(dict[str, str]):
    def __missing__(self, _name: str) -> str:
        return ""


def template_data(template: Template, facts: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The `data` of a template message."""
    known = _Facts(facts)
    return {name: {"value": fitted(name, text.format_map(known))} for name, text in template.fields.items()}


# --- answering on the connection of the push -----------------------------------------------------------------------


class _Slot:
    """A connection WeChat holds open for an answer, `open` once its message is being stored. Whoever offers one learns
    whether it went out there."""

    OFFER_SECONDS = 2.0

    def __init__(self) -> None:
        self.open = False
        self._offered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._taken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def offer(self, text: str) -> bool:
        """False when nobody takes it soon: other people's messages must not wait for this connection."""
        if not self.open or self._offered.done() or self._taken.done():
            return False
        self._offered.set_result(text)
        await asyncio.wait({self._taken}, timeout=self.OFFER_SECONDS)
        return self.close(False)

    async def wait(self, seconds: float) -> str | None:
        """The first answer offered in time."""
        decided: set[asyncio.Future[Any]] = {self._offered, self._taken}
        await asyncio.wait(decided, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
        return self._offered.result() if self._offered.done() else None

    def close(self, taken: bool) -> bool:
        """Decide, if nobody has yet, whether the offered answer goes out here; what was decided."""
        if not self._taken.done():
            self._taken.set_result(taken)
        return self._taken.result()


@dataclass(frozen=True)
class Patience:
    """Seconds. `answer` is how long a push is held open (WeChat cuts it at five), `download` the time for a picture (two
    repeats of the push wait for it as well), `stop` the grace for work under way."""

    answer: float = 4.2
    download: float = 12.0
    stop: float = 10.0


class _Closed(Exception):
    """Customer-service messages to this person are used up, or their time is over."""


class WeChatChannel:
    """One Official Account; `webhook` must be routed for GET and POST."""

    name = "wechat"

    def __init__(
        self,
        api: WeChatApi,
        envelope: Envelope,
        sessions: Sessions,
        *,
        templates: Mapping[str, Template] | None = None,
        clock: Clock = system_clock,
        patience: Patience | None = None,
    ) -> None:
        self._api, self._envelope, self._sessions, self._clock = api, envelope, sessions, clock
        self._templates, self._patience = templates or {}, patience or Patience()
        self._receive: Receive | None = None
        self._stopping = False
        self._tasks = Tasks()
        self._slots: dict[str, list[_Slot]] = {}
        self._answered: OrderedDict[str, str] = OrderedDict()
        self._progress = Progress()
        self._menus = True

    # -- life

    async def start(self, receive: Receive) -> None:
        self._receive, self._stopping = receive, False

    async def stop(self) -> None:
        """Pushes under way are stored within the grace; what is cut off was not acknowledged and comes again."""
        self._stopping = True
        for slots in self._slots.values():
            for slot in slots:
                slot.close(False)
        await self._tasks.stop(self._patience.stop)
        self._receive = None
        await self._api.close()

    # -- in

    async def webhook(self, request: Request) -> Response:
        """GET checks our address, POST is a push."""
        try:
            if request.method == "GET":
                return _text(self._envelope.echo(request.query_params, self._clock(), sealed=False))
            body = await read_body(request, BODY_LIMIT)
            if body is None:
                return Response(status_code=413)
            push = self._envelope.open(body, request.query_params, self._clock())
        except BadPush as error:
            log.warning("wechat.push_refused why=%s", error)
            return Response(status_code=error.answer)
        except ClientDisconnect:
            return Response(status_code=400)
        if self._receive is None or self._stopping:
            return Response(status_code=503)
        return await self._answer(push, request)

    async def _answer(self, push: Push, request: Request) -> Response:
        try:
            received = read_push(push.fields, self.name)
        except (ValueError, OverflowError, OSError) as error:
            # It will not become readable by being sent again.
            log.warning("wechat.unreadable: %s", type(error).__name__)
            return _text(SUCCESS)
        if received is None:
            return _text(SUCCESS)
        key = received.inbound.message_id
        if key not in self._answered:
            stored, text = await self._stored_and_answered(received, request)
            if not stored:
                return Response(status_code=503)
            self._remember(key, text)
        # A repeat means that the first answer did not arrive: the same again, but never what went out as a push.
        text = self._answered[key]
        return self._passive(push, text) if text else _text(SUCCESS)

    async def _stored_and_answered(self, received: Received, request: Request) -> tuple[bool, str]:
        """(stored, answer that was ready in time). The store runs in its own task: hanging up must not cut it in half."""
        until = asyncio.get_running_loop().time() + self._patience.answer
        chat_id, slot = received.inbound.chat_id, _Slot()
        self._slots.setdefault(chat_id, []).append(slot)
        try:
            try:
                task = self._tasks.once(received.inbound.message_id, lambda: self._store(received))
                await asyncio.shield(task)
            except Exception as error:
                log.error("wechat.store failed: %s", type(error).__name__)
                return False, ""
            if received.left:
                return True, ""
            text = await slot.wait(until - asyncio.get_running_loop().time())
            out = text is not None and slot.close(not await request.is_disconnected())
            return True, (text or "") if out else ""
        finally:
            slot.close(False)
            self._close_slot(chat_id, slot)

    def _close_slot(self, chat_id: str, slot: _Slot) -> None:
        slots = self._slots.get(chat_id, [])
        if slot in slots:
            slots.remove(slot)
        if not slots:
            self._slots.pop(chat_id, None)

    def _remember(self, key: str, text: str) -> None:
        if text or key not in self._answered:
            self._answered[key] = text
        while len(self._answered) > _REMEMBERED:
            self._answered.popitem(last=False)

    def _passive(self, push: Push, text: str) -> Response:
        now = self._clock()
        answer: dict[str, str | int] = {
            "ToUserName": push.fields.get("FromUserName", ""),
            "FromUserName": push.fields.get("ToUserName", ""),
            "CreateTime": int(now.timestamp()),
            "MsgType": "text",
            "Content": text,
        }
        return Response(self._envelope.seal(to_xml(answer), push.key, now), media_type="application/xml")

    async def _store(self, received: Received) -> None:
        assert self._receive is not None
        inbound = await asyncio.to_thread(self._noted, received)
        if received.left:
            return
        if received.file:
            inbound = await with_file(self._api, inbound, *received.file, patience=self._patience.download)
        # From here on an answer can come, and it may be quicker than this task.
        for slot in self._slots.get(inbound.chat_id, ()):
            slot.open = True
        await self._receive(inbound)

    def _noted(self, received: Received) -> Inbound:
        """Open the window this occasion gives, and read a bare number as the choice it stands for."""
        inbound = received.inbound
        with self._sessions.begin() as session:
            if received.left:
                platforms.mark_unreachable(session, self.name, inbound.chat_id)
                return inbound
            lasts, quota = {
                "event": (EVENT_WINDOW, EVENT_QUOTA),
                "message": (MESSAGE_WINDOW, MESSAGE_QUOTA),
            }[received.opens]
            until = min(inbound.sent_at or self._clock(), self._clock()) + lasts
            platforms.open_window(session, self.name, inbound.chat_id, received.opens, until, quota)
            return chosen(inbound, platforms.choices(session, self.name, inbound.chat_id))

    # -- out

    async def send(self, message: Outbound) -> str:
        """On an open connection if there is one, else as customer-service message, else as template message."""
        check_buttons(message.buttons)
        whole = numbered(clean(message.text), message.buttons)
        if not whole.strip() and not message.image_path:
            raise Refused("nothing to send")
        fits = len(whole.encode()) <= TEXT_LIMIT and not message.image_path
        slots = self._slots.get(message.chat_id, []) if fits else []
        # The newest has the most time left, and an older one may be a connection WeChat has given up.
        for slot in reversed(list(slots)):
            if await slot.offer(whole):
                return ""
        try:
            return await self._customer_service(message)
        except _Closed:
            return await self._template(message)

    async def _customer_service(self, message: Outbound) -> str:
        sent = self._progress.of(message.key)
        while len(sent) < len(parts := await self._parts(message)):
            sent.append(await self._send_part(message, parts[len(sent)]))
        self._progress.done(message.key)
        return sent[-1]

    async def _parts(self, message: Outbound) -> list[dict[str, Any]]:
        """The messages one `Outbound` becomes: words first, they matter more than the picture."""
        text = clean(message.text)
        if message.buttons and self._menus and len(text.encode()) <= TEXT_LIMIT:
            items = [{"id": button.code, "content": button.label} for button in message.buttons]
            menu = {"head_content": text, "list": items, "tail_content": ""}
            parts: list[dict[str, Any]] = [{"msgtype": "msgmenu", "msgmenu": menu}]
        else:
            pieces = split_text(numbered(text, message.buttons), TEXT_LIMIT, measure=utf8)
            parts = [{"msgtype": "text", "text": {"content": piece}} for piece in pieces]
        if message.image_path:
            parts.append({"msgtype": "image"})
        return parts

    async def _send_part(self, message: Outbound, part: dict[str, Any]) -> str:
        kind = await asyncio.to_thread(self._take, message.chat_id)
        if not kind:
            raise _Closed
        try:
            if part["msgtype"] == "image":
                part = {**part, "image": {"media_id": await uploaded(self._api, message)}}
            body = {"touser": message.chat_id, **part}
            answer = await self._api.call("POST", "/cgi-bin/message/custom/send", json=body)
            return str(answer.get("msgid", ""))
        except ApiFault as fault:
            if fault.code in CLOSED:
                await asyncio.to_thread(self._close, message.chat_id)
                raise _Closed from None
            await asyncio.to_thread(self._give_back, message.chat_id, kind)
            if fault.code == NO_MENU and part["msgtype"] == "msgmenu":
                self._menus = False
                return await self._send_part(message, (await self._parts(message))[0])
            raise channel_error(fault) from None
        except RetryLater:
            # Should it have arrived all the same, the platform's own count corrects ours.
            await asyncio.to_thread(self._give_back, message.chat_id, kind)
            raise

    def _take(self, chat_id: str) -> str:
        with self._sessions.begin() as session:
            return platforms.take(session, self.name, chat_id, self._clock())

    def _give_back(self, chat_id: str, kind: str) -> None:
        with self._sessions.begin() as session:
            platforms.give_back(session, self.name, chat_id, kind)

    def _close(self, chat_id: str) -> None:
        with self._sessions.begin() as session:
            platforms.close_windows(session, self.name, chat_id)

    # -- the last resort

    async def _template(self, message: Outbound) -> str:
        """A service notice of the kind agreed with WeChat. Raises Unreachable when there is none for this message."""
        template = template_for(message.key, self._templates)
        if template is None or not template.id:
            raise Unreachable("the time to answer is over and there is no template for this message")
        facts = await asyncio.to_thread(self._facts, message)
        body = {
            "touser": message.chat_id,
            "template_id": template.id,
            # WeChat drops a repeat of this.
            "client_msg_id": hashlib.sha256(message.key.encode()).hexdigest()[:32],
            "data": template_data(template, facts),
        }
        try:
            answer = await self._api.call("POST", "/cgi-bin/message/template/send", json=body)
        except ApiFault as fault:
            raise channel_error(fault) from None
        return str(answer.get("msgid", ""))

    def _facts(self, message: Outbound) -> dict[str, str]:
        """What a template may mention: the words themselves, the moment, and what is known of the ticket."""
        now = self._clock()
        facts = {"text": message.text, "now": f"{now.year}年{now.month}月{now.day}日 {now:%H:%M}"}
        with self._sessions() as session:
            row = session.scalar(select(OutboxMessage).where(OutboxMessage.dedupe_key == message.key))
            if row is None or row.ticket_id is None:
                return facts
            known = notify.facts(session.get_one(Ticket, row.ticket_id), now)
        return {**{name: str(value) for name, value in known.items()}, **facts}


async def with_file(api: PlatformApi, inbound: Inbound, kind: str, media_id: str, *, patience: float) -> Inbound:
    """With the file, which the platform keeps for three days only. One that cannot be had is told to the gateway, never a
    reason to lose the message."""
    try:
        async with asyncio.timeout(patience):
            data, mime = await api.download("/cgi-bin/media/get", media_id=media_id)
    except (ApiFault, ChannelError, TimeoutError) as error:
        log.warning("%s.download failed kind=%s: %s", inbound.channel, kind, type(error).__name__)
        return replace(inbound, extra=inbound.extra | {"media_missing": kind})
    return replace(inbound, media=(Media(kind, data, "", mime),))


async def uploaded(api: PlatformApi, message: Outbound) -> str:
    """The platform's id of a message's picture. Raises ChannelError and ApiFault."""
    try:
        data = await asyncio.to_thread(Path(message.image_path).read_bytes)
    except OSError:
        raise Refused("the picture cannot be read") from None
    files = {"media": (message.image_name or "photo.jpg", data, "image/jpeg")}
    answer = await api.call("POST", "/cgi-bin/media/upload", params={"type": "image"}, files=files)
    return str(answer.get("media_id", ""))


def chosen(inbound: Inbound, choices: list[list[str]]) -> Inbound:
    """A bare number that stands for one of the choices offered last, as the press of that button."""
    text = inbound.text.strip()
    if inbound.button or not (text.isascii() and text.isdecimal() and len(text) <= 2):
        return inbound
    offered = [Button(code, label) for code, label in choices]
    own = [button for button in offered if re.match(rf"{text}(?!\d)", button.label)]
    # A label with a number of its own is meant by that number.
    picked = own or (offered[int(text) - 1 : int(text)] if int(text) else [])
    return replace(inbound, text="", button=picked[0].code) if picked else inbound


def template_for(key: str, templates: Mapping[str, Template]) -> Template | None:
    """By the name of the text in the message's key (`t12:e34:push.accepted:reporter`), else the one for everything."""
    named = _NAMED.search(key)
    return templates.get(named.group(1) if named else "", templates.get("*"))


def channel_error(fault: ApiFault) -> ChannelError:
    """What to do about an error code."""
    reason = str(fault)
    if fault.code in GONE:
        return Unreachable(reason)
    if fault.code in WAIT or fault.code in TOKEN_CODES:
        log.error("wechat.api errcode=%s", fault.code)
        return RetryLater(WAIT.get(fault.code, 60.0), reason)
    return Refused(reason)


def _text(text: str) -> Response:
    # The echo of the address check comes back as it is, and must never be read as a page.
    return Response(text, media_type="text/plain", headers={"X-Content-Type-Options": "nosniff"})
