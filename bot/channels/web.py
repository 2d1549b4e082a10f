"""Our own web chat: the HTTP API of docs/http-api.md and the page that uses it.

Who speaks is decided by the session token alone. Demo mode hands tokens out freely; otherwise a signed link or a one-time code is needed.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from bot import logins
from bot.channels.base import Inbound, Location, Media, Outbound, Receive, Refused, RetryLater
from bot.channels.tasks import Tasks
from bot.channels.text import check_buttons
from bot.clock import Clock
from bot.gateway import clean
from nlu.slots import mask_identity
from storage import mailbox
from storage.database import Sessions
from storage.files import NotAPhoto, NotAVoice, PhotoTooLarge, is_voice, save_photo, save_voice, stored_file
from storage.models import Attachment, Community, Conversation, Identity, OutboxMessage, Ticket, WebMessage
from tickets.people import actor_of, may_see
from tickets.texts import LOCAL, say

log = logging.getLogger(__name__)

PAGE = Path(__file__).resolve().parent.parent / "web"
MAX_CHARS = 2000
MAX_JSON_BYTES = 64 * 1024
MAX_ID = 80
KEEPALIVE_SECONDS = 15.0
MAX_WAIT_SECONDS = 25.0
STOP_SECONDS = 10.0
MAX_SECONDS = 3600
CSP = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob: data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors "
)


class ApiError(HTTPException):
    """A 4xx with a code and a Chinese text (`error.<code>` in data/messages/errors.yml)."""

    def __init__(self, status: int, code: str, **values: object) -> None:
        super().__init__(status)
        self.code, self.message = code, say(f"error.{code}", **values)


def error_response(_request: Request, error: Exception) -> Response:
    """Every failure as the JSON of docs/http-api.md, never a stack trace."""
    if isinstance(error, ApiError):
        body, status = {"code": error.code, "message": error.message}, error.status_code
    elif isinstance(error, HTTPException):
        code = "not_here" if error.status_code == 404 else "bad_request"
        body, status = {"code": code, "message": say(f"error.{code}")}, error.status_code
    else:
        log.error("web.server_error kind=%s", type(error).__name__, exc_info=error)
        body, status = {"code": "server_error", "message": say("error.server_error")}, 500
    return JSONResponse({"error": body}, status)


class Bell:
    """Wakes whoever waits for news of a conversation; what is new is read from the database, so a lost ring loses nothing."""

    def __init__(self) -> None:
        self._waiting: dict[int, set[asyncio.Event]] = defaultdict(set)
        self.typing: set[int] = set()

    def ring(self, conversation_id: int) -> None:
        for event in self._waiting.get(conversation_id, ()):
            event.set()

    async def wait(self, conversation_id: int, seconds: float) -> None:
        event = asyncio.Event()
        self._waiting[conversation_id].add(event)
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            pass
        finally:
            self._waiting[conversation_id].discard(event)
            if not self._waiting[conversation_id]:
                del self._waiting[conversation_id]


class WebChannel:
    name = "web"

    def __init__(
        self,
        sessions: Sessions,
        reads: Sessions,
        clock: Clock,
        *,
        community_id: int,
        files: Path,
        secret: bytes,
        demo: bool,
        max_photo_mb: int,
        embed_origins: tuple[str, ...] = (),
    ) -> None:
        self._sessions, self._reads, self._clock = sessions, reads, clock
        self._community_id, self._files, self._secret, self._demo = community_id, files, secret, demo
        self._max_photo_mb = max_photo_mb
        self._headers = headers_for(embed_origins)
        self._receive: Receive | None = None
        self._guesses = logins.Guesses()
        self._stopping = False
        self._tasks = Tasks()
        self.bell = Bell()

    # --- channel ------------------------------------------------------------------------------------------------------

    async def start(self, receive: Receive) -> None:
        self._receive = receive

    async def stop(self) -> None:
        self._stopping, self._receive = True, None
        for conversation_id in list(self.bell._waiting):
            self.bell.ring(conversation_id)
        await self._tasks.stop(STOP_SECONDS)

    async def send(self, message: Outbound) -> str:
        """Put the message on the person's timeline; the same key again changes nothing."""
        check_buttons(message.buttons)
        message = replace(message, text=clean(message.text))
        if not message.text and not message.image_name:
            raise Refused("nothing to send")
        conversation_id, seq = await asyncio.to_thread(self._put, message)
        self.bell.typing.discard(conversation_id)
        self.bell.ring(conversation_id)
        return str(seq)

    def _put(self, message: Outbound) -> tuple[int, int]:
        with self._sessions.begin() as session:
            chat = session.scalar(
                select(Conversation).where(Conversation.channel == "web", Conversation.chat_id == message.chat_id)
            )
            if chat is None:
                raise RetryLater(60.0, "no web chat")
            row, _ = _append(
                session,
                chat,
                mine=False,
                key=message.key,
                at=self._clock(),
                text=message.text,
                buttons=[[button.code, button.label] for button in message.buttons],
                image_key=message.image_name,
            )
            return chat.id, row.id

    def typing(self, conversation_id: int, on: bool) -> None:
        (self.bell.typing.add if on else self.bell.typing.discard)(conversation_id)
        self.bell.ring(conversation_id)

    # --- routes -------------------------------------------------------------------------------------------------------

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/", self._page),
            Mount("/static", _Static(self._headers)),
            Route("/api/config", self._config),
            Route("/api/demo/people", self._people),
            Route("/api/session", self._login, methods=["POST"]),
            Route("/api/session", self._logout, methods=["DELETE"]),
            Route("/api/messages", self._post_message, methods=["POST"]),
            Route("/api/messages", self._get_messages),
            Route("/api/photos", self._post_photo, methods=["POST"]),
            Route("/api/voices", self._post_voice, methods=["POST"]),
            Route("/api/events", self._events),
            Route("/api/files/{key}", self._file),
        ]

    async def _page(self, _request: Request) -> Response:
        return FileResponse(PAGE / "index.html", headers={**self._headers, "Cache-Control": "no-cache"})

    async def _config(self, _request: Request) -> Response:
        def read() -> dict[str, Any]:
            with self._reads() as session:
                community = session.get_one(Community, self._community_id)
                return {
                    "demo": self._demo,
                    "community": community.name,
                    "max_photo_mb": self._max_photo_mb,
                    "duty_phone": community.settings.get("duty_phone", ""),
                }

        return _json(await asyncio.to_thread(read))

    async def _people(self, _request: Request) -> Response:
        if not self._demo:
            raise ApiError(404, "not_here")

        def read() -> list[dict[str, str]]:
            with self._reads() as session:
                return logins.demo_people(session, self._community_id)

        return _json({"people": await asyncio.to_thread(read)})

    async def _login(self, request: Request) -> Response:
        body = await _body(request)

        def login() -> tuple[str, dict[str, str]] | None:
            with self._sessions.begin() as session:
                identity = self._who(session, body)
                if identity is None:
                    return None
                mailbox.conversation_of(session, identity, identity.external_id)
                token = logins.new_session(session, identity, self._clock())
                return token, logins.describe(session, identity)

        if "person" in body and not self._demo:
            raise ApiError(403, "bad_login")
        sender, now = request.client.host if request.client else "", self._clock()
        if self._guesses.too_many(sender, now):
            raise ApiError(429, "too_many")
        found = await asyncio.to_thread(login)
        if found is None:
            self._guesses.failed(sender, now)
            raise ApiError(401, "bad_login")
        return _json({"token": found[0], "me": found[1]})

    def _who(self, session: Session, body: dict[str, Any]) -> Identity | None:
        now = self._clock()
        if "person" in body and self._demo:
            return logins.by_person(session, self._community_id, clean(str(body["person"])))
        if "link" in body:
            return logins.by_link(session, self._community_id, clean(str(body["link"])), self._secret, now)
        if "code" in body:
            return logins.by_code(session, clean(str(body["code"])), now)
        return None

    async def _logout(self, request: Request) -> Response:
        token = _token(request)

        def forget() -> None:
            with self._sessions.begin() as session:
                logins.end_session(session, token)

        await asyncio.to_thread(forget)
        return Response(status_code=204)

    async def _speaker(self, request: Request) -> tuple[int, str]:
        """(conversation, external id) of whoever holds the token."""
        token = _token(request)

        def read() -> tuple[int, str] | None:
            with self._reads() as session:
                identity = logins.by_token(session, token, self._clock())
                if identity is None:
                    return None
                chat = session.scalar(select(Conversation.id).where(Conversation.identity_id == identity.id))
                return (chat, identity.external_id) if chat else None

        found = await asyncio.to_thread(read)
        if found is None:
            raise ApiError(401, "bad_login")
        return found

    # --- messages in --------------------------------------------------------------------------------------------------

    async def _post_message(self, request: Request) -> Response:
        conversation_id, sender = await self._speaker(request)
        body = await _body(request)
        client_id = _client_id(body.get("id"))
        kind, text, button, place = _content(body)
        inbound = Inbound(
            "web",
            f"{sender}:{client_id}",
            sender,
            sender,
            text="" if button or place else text,
            button=button,
            location=place,
        )
        return await self._take(conversation_id, client_id, kind, text, inbound)

    async def _post_photo(self, request: Request) -> Response:
        conversation_id, sender = await self._speaker(request)
        client_id, text, data = await self._upload(request, "photo", "text")
        text = clean(text)[:MAX_CHARS]
        try:
            photo = await asyncio.to_thread(save_photo, self._files, data, self._max_bytes)
        except PhotoTooLarge as error:
            raise ApiError(413, "photo_too_large", limit=self._max_photo_mb) from error
        except NotAPhoto as error:
            raise ApiError(415, "not_a_photo") from error
        media = (Media("image", data, photo.key, photo.mime),)
        inbound = Inbound("web", f"{sender}:{client_id}", sender, sender, text=text, media=media)
        return await self._take(conversation_id, client_id, "image", text, inbound, photo.key)

    async def _post_voice(self, request: Request) -> Response:
        conversation_id, sender = await self._speaker(request)
        client_id, said, data = await self._upload(request, "voice", "seconds")
        try:
            voice = await asyncio.to_thread(save_voice, self._files, data, self._max_bytes)
        except PhotoTooLarge as error:
            raise ApiError(413, "voice_too_large", limit=self._max_photo_mb) from error
        except NotAVoice as error:
            raise ApiError(415, "not_a_voice") from error
        inbound = Inbound(
            "web", f"{sender}:{client_id}", sender, sender, media=(Media("voice", data, voice.key, voice.mime),)
        )
        # The bubble of a voice note has no words; its length stands there instead.
        seconds = min(_whole(said, 0), MAX_SECONDS)
        return await self._take(conversation_id, client_id, "voice", str(seconds or ""), inbound, voice.key)

    @property
    def _max_bytes(self) -> int:
        return self._max_photo_mb * 1024 * 1024

    async def _upload(self, request: Request, part: str, field: str) -> tuple[str, str, bytes]:
        """(id, value of `field`, content of the file `part`) of a form with one file."""
        limit = self._max_bytes
        # Browsers always say how much they send; without that a part would be spooled to disk without any limit.
        length = request.headers.get("content-length", "")
        if not length.isdecimal():
            raise ApiError(411, "bad_request")
        if int(length) > limit + MAX_JSON_BYTES:
            raise ApiError(413, f"{part}_too_large", limit=self._max_photo_mb)
        async with request.form(max_files=1, max_fields=4, max_part_size=limit + 1024) as form:
            upload = form.get(part)
            client_id, said = _client_id(form.get("id")), str(form.get(field) or "")
            if not isinstance(upload, UploadFile):
                raise ApiError(400, "bad_request")
            return client_id, said, await upload.read(limit + 1)

    async def _take(
        self, conversation_id: int, client_id: str, kind: str, text: str, inbound: Inbound, image_key: str = ""
    ) -> Response:
        receive = self._receive
        if receive is None:
            # Starting or stopping: the page keeps it and sends it again.
            raise ApiError(503, "server_error")
        seq, fresh = await asyncio.to_thread(self._mine, conversation_id, client_id, kind, text, image_key)
        # Also for a repeat: the first try may have died between the bubble and the inbox.
        await asyncio.shield(self._tasks.once(inbound.message_id, lambda: _stored(receive, inbound)))
        self.bell.ring(conversation_id)
        return _json({"seq": seq, "duplicate": not fresh}, 202 if fresh else 200)

    def _mine(self, conversation_id: int, client_id: str, kind: str, text: str, image_key: str) -> tuple[int, bool]:
        with self._sessions.begin() as session:
            chat = session.get_one(Conversation, conversation_id)
            row, fresh = _append(
                session,
                chat,
                mine=True,
                key=client_id,
                at=self._clock(),
                kind=kind,
                text=mask_identity(text),
                image_key=image_key,
            )
            return row.id, fresh

    # --- messages out -------------------------------------------------------------------------------------------------

    async def _get_messages(self, request: Request) -> Response:
        conversation_id, _ = await self._speaker(request)
        after, limit = _number(request, "after", 0), min(_number(request, "limit", 100), 200)
        wait = min(float(_number(request, "wait", 0)), MAX_WAIT_SECONDS)
        messages, last = await asyncio.to_thread(self._read, conversation_id, after, limit)
        loop = asyncio.get_running_loop()
        until = loop.time() + wait
        while not messages and loop.time() < until and not self._stopping:
            await self.bell.wait(conversation_id, min(1.0, until - loop.time()))
            messages, last = await asyncio.to_thread(self._read, conversation_id, after, limit)
        return _json({"messages": messages, "last": last})

    def _read(self, conversation_id: int, after: int, limit: int) -> tuple[list[dict[str, Any]], int]:
        with self._reads() as session:
            query = select(WebMessage).where(WebMessage.conversation_id == conversation_id)
            newest_first = query.order_by(WebMessage.id.desc()).limit(limit)
            rows = (
                list(session.scalars(query.where(WebMessage.id > after).order_by(WebMessage.id).limit(limit)))
                if after
                else list(session.scalars(newest_first))[::-1]
            )
            last = session.scalar(select(func.max(WebMessage.id)).where(WebMessage.conversation_id == conversation_id))
            sizes = _sizes(session, [row.image_key for row in rows if row.image_key])
            return [_shown(row, sizes) for row in rows], last or 0

    async def _events(self, request: Request) -> Response:
        conversation_id, _ = await self._speaker(request)
        header = request.headers.get("last-event-id", "")
        after = _whole(header, _number(request, "after", 0))
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", **_HEADERS}
        stream = self._stream(request, conversation_id, after)
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    async def _stream(self, request: Request, conversation_id: int, after: int) -> AsyncIterator[str]:
        yield ": hello\n\n"
        loop = asyncio.get_running_loop()
        spoke, typing = loop.time(), False
        while not self._stopping and not await request.is_disconnected():
            messages, _ = await asyncio.to_thread(self._read, conversation_id, after, 100)
            for message in messages:
                after = message["seq"]
                yield f"event: message\nid: {after}\ndata: {json.dumps(message, ensure_ascii=False)}\n\n"
            now_typing = conversation_id in self.bell.typing
            if now_typing != typing:
                typing = now_typing
                yield f"event: typing\ndata: {json.dumps({'on': typing})}\n\n"
            if messages:
                spoke = loop.time()
            elif loop.time() - spoke > KEEPALIVE_SECONDS:
                spoke = loop.time()
                yield ": still here\n\n"
            await self.bell.wait(conversation_id, 1.0)

    async def _file(self, request: Request) -> Response:
        conversation_id, _ = await self._speaker(request)
        key = str(request.path_params["key"])

        def allowed() -> bool:
            with self._reads() as session:
                return _may_open(session, conversation_id, key)

        try:
            path, mime = stored_file(self._files, key, thumb="thumb" in request.query_params)
        except NotAPhoto as error:
            raise ApiError(404, "not_here") from error
        if not await asyncio.to_thread(allowed) or not path.is_file():
            raise ApiError(404, "not_here")
        return FileResponse(path, media_type=mime, headers={**_HEADERS, "Cache-Control": "private, max-age=86400"})


async def _stored(receive: Receive, inbound: Inbound) -> None:
    await receive(inbound)


def headers_for(embed_origins: tuple[str, ...]) -> dict[str, str]:
    """What the page is served with; it may stand in frames of these sites and of its own."""
    return {
        "Content-Security-Policy": CSP + " ".join(("'self'", *embed_origins)),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }


# Everything but the page: no site has a reason to frame it.
_HEADERS = headers_for(())


class _Static(StaticFiles):
    def __init__(self, headers: dict[str, str]) -> None:
        super().__init__(directory=PAGE)
        self._headers = headers

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update({**self._headers, "Cache-Control": "no-cache"})
        return response


def _json(body: dict[str, Any], status: int = 200) -> JSONResponse:
    return JSONResponse(body, status, headers={**_HEADERS, "Cache-Control": "no-store"})


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token
    # <img> and <audio> cannot send a header; only reads of files come this way.
    if request.url.path.startswith("/api/files/") and request.query_params.get("token"):
        return request.query_params["token"]
    raise ApiError(401, "bad_login")


async def _body(request: Request) -> dict[str, Any]:
    """A JSON object of at most 64 KiB; anything else is a clear 4xx."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_JSON_BYTES * 2:
            raise ApiError(413, "too_long")
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "bad_request") from error
    if not isinstance(body, dict):
        raise ApiError(400, "bad_request")
    return body


def _client_id(value: object) -> str:
    text = clean(str(value)) if isinstance(value, (str, int)) else ""
    if not text or len(text) > MAX_ID:
        raise ApiError(400, "bad_request")
    return text


def _content(body: dict[str, Any]) -> tuple[str, str, str, Location | None]:
    """(kind, text of the bubble, button code, location) of a message body."""
    if body.get("button"):
        code = clean(str(body["button"]))
        if not code or len(code.encode()) > 64:
            raise ApiError(400, "bad_request")
        return "text", clean(str(body.get("label") or ""))[:60] or code, code, None
    if body.get("location"):
        return _place(body["location"])
    text = body.get("text")
    if not isinstance(text, str) or not clean(text):
        raise ApiError(400, "empty")
    if len(text) > MAX_CHARS:
        raise ApiError(413, "too_long")
    return "text", clean(text), "", None


def _place(value: Any) -> tuple[str, str, str, Location | None]:
    try:
        label = clean(str(value.get("label") or ""))[:200]
        place = Location(float(value["latitude"]), float(value["longitude"]), label)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise ApiError(400, "bad_request") from error
    if not (-90 <= place.latitude <= 90 and -180 <= place.longitude <= 180):
        raise ApiError(400, "bad_request")
    return "location", label, "", place


def _number(request: Request, name: str, default: int) -> int:
    return _whole(request.query_params.get(name, ""), default)


def _whole(text: str, default: int) -> int:
    """A whole number of zero or more that the database can hold; anything else is the default."""
    return min(int(text), 2**62) if text.isascii() and text.isdecimal() and len(text) < 20 else default


def _append(
    session: Session, chat: Conversation, *, mine: bool, key: str, at: datetime, **columns: Any
) -> tuple[WebMessage, bool]:
    """One bubble, once per key, and whether it is new. The conversation row is locked first, so that numbers become visible in their order."""
    session.execute(select(Conversation.id).where(Conversation.id == chat.id).with_for_update())
    query = select(WebMessage).where(
        WebMessage.conversation_id == chat.id, WebMessage.mine == mine, WebMessage.key == key
    )
    known = session.scalar(query)
    if known:
        return known, False
    row = WebMessage(conversation_id=chat.id, mine=mine, key=key, at=at, **columns)
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return session.scalars(query).one(), False
    return row, True


def _sizes(session: Session, keys: list[str]) -> dict[str, tuple[int, int]]:
    query = select(Attachment.key, Attachment.width, Attachment.height).where(Attachment.key.in_(keys))
    return {key: (width, height) for key, width, height in session.execute(query)} if keys else {}


def _shown(row: WebMessage, sizes: dict[str, tuple[int, int]]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "seq": row.id,
        "id": row.key if row.mine else f"d{row.id}",
        "from": "me" if row.mine else "desk",
        "kind": row.kind,
        "text": row.text,
        "at": row.at.astimezone(LOCAL).isoformat(),
    }
    if row.buttons:
        shown["buttons"] = [{"code": code, "label": label} for code, label in row.buttons]
    if row.image_key and is_voice(row.image_key):
        seconds = _whole(row.text, 0) if row.kind == "voice" else 0
        shown["voice"] = {"url": f"/api/files/{row.image_key}", "seconds": seconds}
        shown["text"] = "" if row.kind == "voice" else row.text
    elif row.image_key:
        width, height = sizes.get(row.image_key, (0, 0))
        url = f"/api/files/{row.image_key}"
        shown["image"] = {"url": url, "thumb": f"{url}?thumb=1", "width": width, "height": height}
    return shown


def _may_open(session: Session, conversation_id: int, key: str) -> bool:
    """A picture or voice note is open to the chat it was sent or shown in, and to those who may see its ticket."""
    mine = select(WebMessage.id).where(WebMessage.conversation_id == conversation_id, WebMessage.image_key == key)
    if session.scalar(mine.limit(1)):
        return True
    chat = session.get_one(Conversation, conversation_id)
    tickets = select(Ticket).join(Attachment, Attachment.ticket_id == Ticket.id).where(Attachment.key == key)
    return any(may_see(session, ticket, actor_of(chat.identity)) for ticket in session.scalars(tickets))


def queued(session: Session) -> int:
    """How many messages wait to be delivered (for /metrics)."""
    return session.scalar(select(func.count()).where(OutboxMessage.status == "pending")) or 0
