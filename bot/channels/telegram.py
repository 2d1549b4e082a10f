"""The Telegram channel: Bot API updates in (long poll or webhook), messages, buttons and pictures out.

An update is acknowledged to Telegram (stored offset, or HTTP 200) only after `receive` has returned, so a crash makes
Telegram send it again and the gateway drops the repeat by its message id. Nothing here logs what people wrote, phone
numbers or the bot token; exception messages can hold all three, so only their types are logged.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import math
import re
import time
import unicodedata
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeVar, cast

import yaml
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from telegram import (
    Bot,
    BotCommand,
    BotCommandScopeAllGroupChats,
    BotCommandScopeChat,
    BotCommandScopeDefault,
    CallbackQuery,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    MaybeInaccessibleMessage,
    Message,
    Update,
)
from telegram.constants import ChatType
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    EndPointNotFound,
    Forbidden,
    InvalidToken,
    RetryAfter,
    TelegramError,
)
from telegram.request import HTTPXRequest

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
from bot.channels.pacing import Limits, Monotonic, Pacer, Sleep
from bot.channels.text import CODE_BYTES, Progress, check_buttons, clean, split_text

log = logging.getLogger(__name__)

TEXT_LIMIT = 4096
CAPTION_LIMIT = 1024
DOWNLOAD_LIMIT = 20 * 1024 * 1024
UPLOAD_LIMIT = 10 * 1024 * 1024
WEBHOOK_BODY_LIMIT = 1024 * 1024
ALLOWED_UPDATES = ["message", "edited_message", "callback_query"]
TEXTS = Path(__file__).resolve().parents[2] / "data" / "messages" / "telegram.yml"

_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_COMMAND = re.compile(r"(/\w+)@(\w+)")
_MAINLAND = re.compile(r"(?:00)?(?:86)?(1[3-9]\d{9})")
_SHORT_LABEL = 16  # columns; a Chinese character takes two
_LONGEST_BACK_OFF = 30.0
_UNSUPPORTED = ("sticker", "dice", "poll", "story", "game", "paid_media", "checklist")
_GONE = (
    "chat not found",
    "user not found",
    "peer_id_invalid",
    "not enough rights",
    "no rights",
    "chat_write_forbidden",
)

T = TypeVar("T")


class OffsetStore(Protocol):
    """Where the next `update_id` to ask for survives a restart (0: nothing stored yet)."""

    async def load(self) -> int: ...

    async def save(self, offset: int) -> None: ...


def _quieten_libraries() -> None:
    """httpx logs every URL at INFO, with the token in it; PTB logs payloads it cannot parse, with what people wrote."""
    for name in ("httpx", "httpcore", "telegram"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("telegram.request.BaseRequest").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", message="Please use 'Bot.getUpdates'")
    warnings.filterwarnings("ignore", message=".*attribute `retry_after` will be of type")


# --- what Telegram says -> Inbound ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _File:
    """A file Telegram holds for us, not downloaded yet."""

    kind: str
    file_id: str
    size: int
    filename: str = ""
    mime: str = ""


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError("an id is not a whole number")
    return value


def normalise_phone(raw: str) -> str:
    """The 11 digits of a mainland mobile number without +86; of any other number all its digits."""
    digits = "".join(char for char in unicodedata.normalize("NFKC", raw) if char.isascii() and char.isdigit())
    mainland = _MAINLAND.fullmatch(digits)
    return mainland.group(1) if mainland else digits


def _strip_bot_name(text: str, username: str, group: bool) -> str | None:
    """`/status@our_bot 0012` -> `/status 0012`; None for another bot's command in a group."""
    match = _COMMAND.match(text)
    if match is None:
        return text
    if not username or match.group(2).lower() == username.lower():
        return match.group(1) + text[match.end() :]
    return None if group else text


def _sender(message: Message) -> tuple[int, str] | None:
    """Who wrote it. An anonymous group admin is the group itself: all of them share one user id."""
    if message.sender_chat is not None:
        return _whole(message.sender_chat.id), message.sender_chat.effective_name or ""
    if message.from_user is None:
        return None
    return _whole(message.from_user.id), message.from_user.full_name


def _photo(message: Message) -> _File | None:
    if not message.photo:
        return None
    fitting = [size for size in message.photo if (size.file_size or 0) <= DOWNLOAD_LIMIT] or list(message.photo)
    best = max(fitting, key=lambda size: size.width * size.height)
    return _File("image", best.file_id, best.file_size or 0, mime="image/jpeg")


def _file(message: Message) -> _File | None:
    if photo := _photo(message):
        return photo
    if voice := message.voice:
        return _File("voice", voice.file_id, voice.file_size or 0, mime=voice.mime_type or "audio/ogg")
    if note := message.video_note:
        return _File("file", note.file_id, note.file_size or 0, mime="video/mp4")
    other = message.document or message.video or message.audio or message.animation
    if other is None:
        return None
    mime = other.mime_type or ""
    name = PurePosixPath(clean(other.file_name or "").replace("\\", "/")).name
    return _File("image" if mime.startswith("image/") else "file", other.file_id, other.file_size or 0, name, mime)


def _location(message: Message) -> Location | None:
    place = message.location
    if place is None:
        return None
    latitude, longitude = float(place.latitude), float(place.longitude)
    if not (math.isfinite(latitude) and math.isfinite(longitude)):
        raise ValueError("not a place on earth")
    label = f"{message.venue.title} {message.venue.address}".strip() if message.venue else ""
    return Location(latitude, longitude, clean(label))


def _own_phone(message: Message) -> str:
    contact = message.contact
    if contact is None or message.from_user is None or contact.user_id != message.from_user.id:
        return ""
    return normalise_phone(contact.phone_number)


def _extra(message: Message) -> dict[str, str]:
    album = clean(str(message.media_group_id or ""))
    extra = {"album": album} if album else {}
    unsupported = next((kind for kind in _UNSUPPORTED if getattr(message, kind, None)), "")
    return extra | ({"unsupported": unsupported} if unsupported else {})


def _has_content(message: Message, file: _File | None, extra: Mapping[str, str]) -> bool:
    """Joins, pins, titles and the like are messages without content; nobody waits for an answer to them."""
    return bool(
        message.text or message.caption or file or message.location or message.contact or "unsupported" in extra
    )


def _from_message(message: Message, username: str, edited: bool) -> tuple[Inbound, _File | None] | None:
    sender, file, extra = _sender(message), _file(message), _extra(message)
    live_track = edited and message.location is not None
    if sender is None or live_track or not _has_content(message, file, extra):
        return None
    group = message.chat.type != ChatType.PRIVATE
    text = _strip_bot_name(clean(message.text or message.caption or ""), username, group)
    if text is None:
        return None
    chat_id, at = _whole(message.chat.id), message.edit_date if edited else message.date
    if edited:
        extra = {**extra, "edits": f"{chat_id}:{_whole(message.message_id)}"}
    suffix = f":e{int(at.timestamp()) if at else 0}" if edited else ""
    inbound = Inbound(
        channel=TelegramChannel.name,
        message_id=f"{chat_id}:{_whole(message.message_id)}{suffix}",
        sender_id=str(sender[0]),
        chat_id=str(chat_id),
        text=text,
        location=_location(message),
        contact_phone=_own_phone(message),
        sender_name=clean(sender[1]),
        group=group,
        edited=edited,
        sent_at=at or message.date,
        extra=extra,
    )
    return inbound, file


def _card(card: MaybeInaccessibleMessage | None) -> dict[str, str]:
    """Which message was pressed, and what it says (Telegram tells that of young messages only)."""
    if card is None:
        return {}
    words = (card.text or card.caption or "") if isinstance(card, Message) else ""
    return {"card": str(_whole(card.message_id)), **({"card_text": clean(words)} if clean(words) else {})}


def _from_callback(query: CallbackQuery) -> Inbound | None:
    """The pressed card's message id and words go along, so that the gateway can say on it who took the job."""
    code, sender = clean(query.data or ""), _whole(query.from_user.id)
    if not code or len(code.encode()) > CODE_BYTES:
        return None
    card = query.message
    return Inbound(
        channel=TelegramChannel.name,
        message_id=f"cb:{clean(str(query.id))}",
        sender_id=str(sender),
        chat_id=str(_whole(card.chat.id) if card else sender),
        button=code,
        sender_name=clean(query.from_user.full_name),
        group=card is not None and card.chat.type != ChatType.PRIVATE,
        extra=_card(card),
    )


def to_inbound(update: Update, username: str) -> tuple[Inbound, _File | None] | None:
    """What a person did, and the file still to be fetched for it; None for kinds of update we do not read."""
    if update.callback_query is not None:
        pressed = _from_callback(update.callback_query)
        return (pressed, None) if pressed else None
    if update.message is not None:
        return _from_message(update.message, username, edited=False)
    if update.edited_message is not None:
        return _from_message(update.edited_message, username, edited=True)
    return None


# --- Outbound -> what Telegram takes -------------------------------------------------------------------------------


def _columns(label: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in label)


def keyboard(buttons: Sequence[Button]) -> InlineKeyboardMarkup | None:
    """Two neighbouring short labels share a row."""
    check_buttons(buttons)
    rows: list[list[Button]] = []
    for button in buttons:
        short = _columns(button.label) <= _SHORT_LABEL
        if short and rows and len(rows[-1]) == 1 and _columns(rows[-1][0].label) <= _SHORT_LABEL:
            rows[-1].append(button)
        else:
            rows.append([button])
    if not rows:
        return None
    return InlineKeyboardMarkup([[InlineKeyboardButton(b.label, callback_data=b.code) for b in row] for row in rows])


def _channel_error(error: TelegramError, token: str) -> ChannelError:
    """BadRequest is a kind of NetworkError in PTB, so the order matters."""
    reason = f"{type(error).__name__}: {error.message}".replace(token, "***")[:200]
    if isinstance(error, RetryAfter):
        wait = error.retry_after
        return RetryLater(float(wait) if isinstance(wait, int | float) else wait.total_seconds(), "flood control")
    if isinstance(error, Forbidden) or _is_gone(error):
        return Unreachable(reason)
    if isinstance(error, BadRequest):
        return Refused(reason)
    if isinstance(error, InvalidToken | EndPointNotFound | Conflict):
        return RetryLater(60.0, type(error).__name__)
    return RetryLater(1.0 if isinstance(error, ChatMigrated) else 5.0, reason)


def _is_gone(error: TelegramError) -> bool:
    return isinstance(error, BadRequest) and any(sign in error.message.lower() for sign in _GONE)


# --- spacing -------------------------------------------------------------------------------------------------------


def limits_of(chat_id: str) -> Limits:
    """Telegram's published limits of one chat: 1 a second in private, 20 a minute in a group."""
    return ((20, 60.0),) if chat_id.startswith(("-", "@")) else ((1, 1.0),)


EVERYONE: Limits = ((30, 1.0),)


# --- the channel ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Texts:
    """What the channel itself says, from data/messages/telegram.yml."""

    menus: Mapping[str, Mapping[str, str]]
    button_received: str = ""

    @classmethod
    def load(cls, path: Path = TEXTS) -> Texts:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))["telegram"]
        return cls(menus=data["menus"], button_received=data["button_received"])

    def menu(self, role: str) -> list[BotCommand]:
        """Dispatchers and managers ask the supervisor's questions."""
        known = "supervisor" if role in ("dispatcher", "manager") else role
        return [BotCommand(name, words) for name, words in self.menus.get(known, self.menus["resident"]).items()]


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds. `poll` is Telegram's long-poll time, `stop` the grace for work under way."""

    poll: int = 25
    request: float = 10.0
    download: float = 15.0
    stop: float = 10.0


class TelegramChannel:
    """One bot. Long polling unless `webhook_url` is given; then `webhook` must be routed under that URL."""

    name = "telegram"

    def __init__(
        self,
        token: str,
        *,
        base_url: str = "https://api.telegram.org",
        webhook_secret: str = "",
        webhook_url: str = "",
        offset_store: OffsetStore,
        texts: Texts | None = None,
        clear_pressed: bool = True,
        patience: Patience | None = None,
        sleep: Sleep = asyncio.sleep,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        _quieten_libraries()
        if (webhook_url or webhook_secret) and not _SECRET.fullmatch(webhook_secret):
            raise ValueError("a Telegram webhook needs a secret of 1-256 characters A-Z a-z 0-9 _ -")
        self._patience, base = patience or Patience(), base_url.rstrip("/")
        self._requests = [_request(self._patience.request, pool) for pool in (1, 64)]
        self._bot = Bot(token, f"{base}/bot", f"{base}/file/bot", self._requests[1], self._requests[0])
        self._token, self._secret, self._webhook_url = token, webhook_secret, webhook_url
        self._offsets, self._texts, self._clear_pressed = offset_store, texts or Texts.load(), clear_pressed
        self._sleep, self._pacer = sleep, Pacer(EVERYONE, limits_of, sleep, monotonic)
        self._receive: Receive | None = None
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._progress = Progress()
        self._moved: dict[str, str] = {}
        self._username = ""

    # -- life

    async def start(self, receive: Receive) -> None:
        """Returns at once: Telegram being unreachable must not keep the other channels from starting."""
        self._receive = receive
        self._stopping = asyncio.Event()
        self._spawn(self._run())

    async def stop(self) -> None:
        """Updates under way are finished within the grace; what is cut off was not acknowledged and comes again."""
        self._stopping.set()
        try:
            async with asyncio.timeout(self._patience.stop):
                while self._tasks:
                    await asyncio.wait(set(self._tasks))
        except TimeoutError:
            log.warning("telegram.stop cut off %d tasks", len(self._tasks))
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(set(self._tasks))
        self._receive = None
        await self._bot.shutdown()
        for request in self._requests:  # PTB leaves them open when it never got as far as getMe
            await request.shutdown()

    async def _run(self) -> None:
        if await self._keep_trying(self._set_up, "set_up") and not self._webhook_url:
            while not self._stopping.is_set():
                await self._keep_trying(self._poll, "poll")

    async def _keep_trying(self, step: Callable[[], Awaitable[None]], what: str) -> bool:
        """False when the channel was stopped first. Another poller (409), a dead network or database: wait, go on."""
        failures = 0
        while not self._stopping.is_set():
            try:
                await step()
                return True
            except Exception as error:
                failures += 1
                delay = self._back_off(error, failures)
                log.warning("telegram.%s failed: %s; again in %.0f s", what, type(error).__name__, delay)
                await self._unless_stopping(self._sleep(delay))
        return False

    def _back_off(self, error: Exception, failures: int) -> float:
        delay = min(2.0 ** min(failures - 1, 10), _LONGEST_BACK_OFF)
        if isinstance(error, RetryAfter | InvalidToken | EndPointNotFound):
            told = _channel_error(error, self._token)
            return max(delay, told.seconds) if isinstance(told, RetryLater) else delay
        return delay

    async def _unless_stopping(self, work: Awaitable[T]) -> T | None:
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            stop.cancel()
            task.cancel()
            await asyncio.gather(task, stop, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """The loop keeps only weak references to tasks; `stop` waits for these."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _set_up(self) -> None:
        await self._unless_stopping(self._introduce())

    async def _introduce(self) -> None:
        await self._bot.initialize()
        self._username = self._bot.username
        if self._webhook_url:
            secret = self._secret
            await self._bot.set_webhook(self._webhook_url, secret_token=secret, allowed_updates=ALLOWED_UPDATES)
        else:
            await self._bot.delete_webhook(drop_pending_updates=False)
        log.info("telegram.ready mode=%s", "webhook" if self._webhook_url else "polling")
        await self.set_menus()

    # -- in

    async def _poll(self) -> None:
        batch = await self._unless_stopping(self._fetch(await self._offsets.load()))
        if batch:
            await self._take(batch)

    async def _fetch(self, offset: int) -> list[dict[str, Any]]:
        """Raw updates: PTB's own get_updates drops (and logs) a whole batch when one update in it cannot be parsed."""
        asked = {"offset": offset, "timeout": self._patience.poll, "limit": 100, "allowed_updates": ALLOWED_UPDATES}
        patience = self._patience.poll + self._patience.request
        result = await self._bot.do_api_request("getUpdates", api_kwargs=asked, read_timeout=patience)
        if not isinstance(result, list) or any(type(raw.get("update_id")) is not int for raw in result):
            raise TelegramError("malformed getUpdates answer")
        return cast("list[dict[str, Any]]", result)

    async def _take(self, batch: Sequence[dict[str, Any]]) -> None:
        """Chats run side by side, so that one slow picture or failing message does not hold up an emergency elsewhere;
        within a chat the order stays. The offset moves up only over updates that are all stored."""
        tails: dict[object, asyncio.Task[None]] = {}
        tasks = []
        for raw in batch:
            chat = _chat_key(raw)
            tails[chat] = self._spawn(self._handle_after(tails.get(chat), raw))
            tasks.append(tails[chat])
        try:
            for raw, task in zip(batch, tasks, strict=True):
                await asyncio.shield(task)
                await self._offsets.save(raw["update_id"] + 1)
        finally:
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _handle_after(self, previous: asyncio.Task[None] | None, raw: dict[str, Any]) -> None:
        if previous is not None:
            await asyncio.shield(previous)
        await self._handle(raw)

    async def _handle(self, raw: dict[str, Any]) -> None:
        """Raises only what `receive` raises: an update we cannot read will not become readable by being sent again."""
        if self._receive is None:
            raise RuntimeError("the channel is not started")
        update = self._parse(raw)
        if update is None:
            return
        inbound = await self._inbound(update)
        if inbound is not None:
            await self._receive(inbound)
        if update.callback_query is not None:
            self._spawn(self._close_callback(update.callback_query))

    def _parse(self, raw: dict[str, Any]) -> Update | None:
        try:
            return Update.de_json(raw, self._bot)
        except Exception as error:
            log.warning("telegram.unreadable update=%s: %s", _update_id(raw), type(error).__name__)
            return None

    async def _inbound(self, update: Update) -> Inbound | None:
        try:
            read = to_inbound(update, self._username)
        except Exception as error:
            log.warning("telegram.unreadable update=%s: %s", _number(update.update_id), type(error).__name__)
            return None
        if read is None:
            return None
        inbound, file = read
        if file is None:
            return inbound
        media = await self._download(file)
        if media is None:
            return replace(inbound, extra=inbound.extra | {"media_missing": file.kind})
        return replace(inbound, media=(media,))

    async def _download(self, file: _File) -> Media | None:
        """A picture that cannot be had is told to the gateway, never a reason to lose the words that came with it."""
        try:
            if file.size > DOWNLOAD_LIMIT:
                raise ValueError("too large")
            async with asyncio.timeout(self._patience.download):
                held = await self._bot.get_file(file.file_id)
                data = bytes(await held.download_as_bytearray())
            if not data or len(data) > DOWNLOAD_LIMIT:
                raise ValueError("empty or too large")
        except Exception as error:
            log.warning("telegram.download failed kind=%s: %s", file.kind, type(error).__name__)
            return None
        name = file.filename or clean(PurePosixPath(held.file_path or "").name)
        return Media(file.kind, data, name, file.mime)

    async def _close_callback(self, query: CallbackQuery) -> None:
        """The phone shows a spinner until the query is answered. Cards in groups keep their buttons until the gateway
        calls `close_card`: whoever pressed first may have had no right to."""
        await self._best_effort("answer", self._bot.answer_callback_query(query.id, text=self._texts.button_received))
        card = query.message
        if self._clear_pressed and card is not None and card.chat.type == ChatType.PRIVATE:
            await self.clear_buttons(str(card.chat.id), str(card.message_id))

    async def webhook(self, request: Request) -> Response:
        """POST target of Telegram. The store runs in its own task: a hung-up connection must not cut it in half."""
        given = request.headers.get("x-telegram-bot-api-secret-token", "")
        if not self._secret or not hmac.compare_digest(given.encode(), self._secret.encode()):
            return Response(status_code=401)
        try:
            body = await read_body(request, WEBHOOK_BODY_LIMIT)
            raw = _parse_body(body) if body is not None else None
        except (ValueError, RecursionError, ClientDisconnect):
            return Response(status_code=400)
        if raw is None:
            return Response(status_code=413)
        if self._receive is None or self._stopping.is_set():
            return Response(status_code=503)
        stored = await asyncio.shield(self._spawn(self._stored(raw)))
        return Response(status_code=200 if stored else 503)

    async def _stored(self, raw: dict[str, Any]) -> bool:
        try:
            await self._handle(raw)
        except Exception as error:
            log.error("telegram.store failed update=%s: %s", _update_id(raw), type(error).__name__)
            return False
        return True

    # -- out

    async def send(self, message: Outbound) -> str:
        """Returns the message id of the last part, the one that carries the buttons."""
        text = clean(message.text)
        pieces = split_text(text, TEXT_LIMIT, CAPTION_LIMIT if message.image_path else None)
        if not pieces and not message.image_path:
            raise Refused("nothing to send")
        markup, pieces = keyboard(message.buttons), pieces or [""]
        sent = self._progress.of(message.key)
        for index in range(len(sent), len(pieces)):
            image = message if message.image_path and index == 0 else None
            on_last = markup if index == len(pieces) - 1 else None
            sent.append(await self._send_part(message.chat_id, pieces[index], image, on_last))
        self._progress.done(message.key)
        return sent[-1]

    async def _send_part(
        self, chat_id: str, text: str, image: Outbound | None, markup: InlineKeyboardMarkup | None
    ) -> str:
        chat = self._moved.get(chat_id, chat_id)
        await self._pacer.wait(chat)
        try:
            if image is not None and (sent := await self._send_image(chat, text, image, markup)):
                return sent
            plain = LinkPreviewOptions(is_disabled=True)
            reply = await self._bot.send_message(chat, text, reply_markup=markup, link_preview_options=plain)
            return str(reply.message_id)
        except TelegramError as error:
            if isinstance(error, ChatMigrated):
                self._moved[chat_id] = str(error.new_chat_id)
            raise _channel_error(error, self._token) from None

    async def _send_image(
        self, chat: str, caption: str, image: Outbound, markup: InlineKeyboardMarkup | None
    ) -> str | None:
        """None when the picture cannot go but the words still can: a dispatch card matters more than its photo."""
        data = await asyncio.to_thread(_read_image, image.image_path)
        if data is None and not caption:
            raise Refused("the picture cannot be read")
        if data is None:
            log.warning("telegram.image unreadable or too large; text only")
            return None
        name = image.image_name or Path(image.image_path).name
        try:
            sent = await self._bot.send_photo(chat, data, caption=caption or None, reply_markup=markup, filename=name)
            return str(sent.message_id)
        except BadRequest:
            if not caption:
                raise
            log.warning("telegram.image refused; text only")
            return None

    async def clear_buttons(self, chat_id: str, message_id: str) -> None:
        """Take the keyboard off a card. Best effort: the verbs refuse a second press anyway."""
        if message_id.isdecimal():
            edit = self._bot.edit_message_reply_markup(chat_id, message_id=int(message_id), reply_markup=None)
            await self._best_effort("clear_buttons", edit)

    async def close_card(self, chat_id: str, message_id: str, words: str = "") -> None:
        """A card that has done its work: its buttons go, and it says `words` from now on (as caption, below a picture)."""
        if words and message_id.isdecimal():
            number = int(message_id)
            text = self._bot.edit_message_text(words, chat_id, number)
            if await self._best_effort("close_card", text):
                return
            caption = self._bot.edit_message_caption(chat_id, number, caption=words)
            if await self._best_effort("close_card", caption):
                return
        await self.clear_buttons(chat_id, message_id)

    # -- menus

    async def set_menus(self, staff: Mapping[str, str] | None = None) -> None:
        """Everyone sees the resident menu, groups what a group is told, the given chats (chat id -> role) their own. Display only, never a right."""
        commands = self._bot.set_my_commands(self._texts.menu("resident"), scope=BotCommandScopeDefault())
        await self._best_effort("set_menus", commands)
        groups = self._bot.set_my_commands(self._texts.menu("group"), scope=BotCommandScopeAllGroupChats())
        await self._best_effort("set_menus", groups)
        for chat_id, role in (staff or {}).items():
            await self.set_role_menu(chat_id, role)

    async def set_role_menu(self, chat_id: str, role: str) -> bool:
        """False when Telegram did not take it, which is normal for staff who have not opened the bot yet."""
        commands = self._bot.set_my_commands(self._texts.menu(role), scope=BotCommandScopeChat(chat_id))
        return await self._best_effort("set_role_menu", commands)

    async def _best_effort(self, what: str, call: Coroutine[Any, Any, object]) -> bool:
        try:
            await call
        except Exception as error:
            log.info("telegram.%s not done: %s", what, type(error).__name__)
            return False
        return True


def _request(timeout: float, pool: int) -> HTTPXRequest:
    return HTTPXRequest(
        pool, read_timeout=timeout, write_timeout=timeout, connect_timeout=timeout, pool_timeout=timeout
    )


def _read_image(path: str) -> bytes | None:
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError):
        return None
    return data if 0 < len(data) <= UPLOAD_LIMIT else None


def _update_id(raw: Mapping[str, Any]) -> int | None:
    return _number(raw.get("update_id"))


def _number(value: object) -> int | None:
    """What may be written into a log: nothing else that a stranger sent."""
    return value if type(value) is int else None


def _chat_key(raw: Mapping[str, Any]) -> int | None:
    """The chat an update belongs to, read without trusting its shape."""
    for kind in ALLOWED_UPDATES:
        part = raw.get(kind)
        if isinstance(part, dict) and kind == "callback_query":
            part = part.get("message")
        chat = part.get("chat") if isinstance(part, dict) else None
        if isinstance(chat, dict) and type(chat.get("id")) is int:
            return cast("int", chat["id"])
    return None


def _parse_body(body: bytes) -> dict[str, Any]:
    raw = json.loads(body)
    if not isinstance(raw, dict):
        raise ValueError("an update is an object")
    return raw
