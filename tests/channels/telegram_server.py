"""A loopback stand-in of the Telegram Bot API: the methods our channel uses, with Telegram's own limits and answers.

`test_telegram.py` lets two foreign clients (python-telegram-bot and aiogram) agree with it before our code is tested.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
USERNAME = "guanjia_test_bot"
SENT_AT = 1763865000


class Served:
    """Any ASGI app on a free loopback port, in a thread with its own event loop."""

    def __init__(self, app: ASGIApp) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(app, ws="none", log_level="error", timeout_graceful_shutdown=2, lifespan="on")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    def __enter__(self) -> Served:
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError("the server did not start")
            time.sleep(0.005)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()


@dataclass(frozen=True)
class Call:
    method: str
    params: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """What a method answers instead of doing its work; `hang` answers nothing until the server is closed."""

    status: int = 500
    description: str = "Internal Server Error"
    parameters: dict[str, Any] = field(default_factory=dict)
    hang: bool = False
    raw: bytes = b""


class Refusal(Exception):
    def __init__(self, status: int, description: str) -> None:
        super().__init__(description)
        self.status = status


class TelegramServer:
    """One bot's side of api.telegram.org. The test thread reads the lists; only this server's loop changes them."""

    def __init__(self) -> None:
        self.polling = 0
        self._age = 0
        self._closing = False
        routes = [
            Route("/{age:int}/bot{token}/{method}", self._api, methods=["GET", "POST"]),
            Route("/{age:int}/file/bot{token}/{path:path}", self._download),
        ]
        self._served = Served(Starlette(routes=routes))
        self.reset()

    def __enter__(self) -> TelegramServer:
        self._served.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._served.__exit__()

    # -- what a test tells it

    def reset(self) -> None:
        """As new, without the price of a new server. A new address, so that requests of before are strangers."""
        self._age += 1
        self.url = f"{self._served.url}/{self._age}"
        self.calls: list[Call] = []
        self.updates: deque[dict[str, Any]] = deque()
        self.files: dict[str, bytes] = {}
        self.commands: dict[str, list[dict[str, str]]] = {}
        self.keyboards: dict[int, Any] = {}
        self.words: dict[int, dict[str, str]] = {}
        self.webhook: dict[str, Any] = {}
        self._faults: dict[str, deque[Fault | None]] = defaultdict(deque)
        self._next_update, self._next_message = 1000, 500

    def push(self, **kind: Any) -> int:
        """Queue one update: `push(message=...)`. Returns its update_id."""
        self._next_update += 1
        self.updates.append({"update_id": self._next_update, **kind})
        return self._next_update

    def fail(self, method: str, *faults: Fault | None) -> None:
        """What the next calls of this method run into, one each; None lets a call through."""
        self._faults[method].extend(faults)

    def called(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method]

    # -- HTTP

    async def _api(self, request: Request) -> Response:
        method = request.path_params["method"]
        params, files = await _read(request)
        if request.path_params["age"] != self._age:
            return _error(404, "Not Found", {})
        self.calls.append(Call(method, params, files))
        if request.path_params["token"] != TOKEN:
            return _error(401, "Unauthorized", {})
        if self._faults[method] and (answer := await self._faulty(self._faults[method].popleft())):
            return answer
        handler: Callable[[dict[str, Any]], Any] | None = getattr(self, f"_do_{_snake(method)}", None)
        if handler is None:
            return _error(404, "Not Found", {})
        try:
            if method in ("sendPhoto", "sendMessage"):
                params = {**params, "_files": files}
            body = json.dumps({"ok": True, "result": await handler(params)})  # ASCII, so that lone surrogates pass
            return Response(body, media_type="application/json")
        except Refusal as error:
            return _error(error.status, str(error), {})

    async def _faulty(self, fault: Fault | None) -> Response | None:
        if fault is None:
            return None
        age = self._age
        while fault.hang and age == self._age and not self._closing:
            await asyncio.sleep(0.01)
        if fault.raw:
            return Response(fault.raw, fault.status)
        return _error(fault.status, fault.description, fault.parameters)

    async def _download(self, request: Request) -> Response:
        self.calls.append(Call("download", {"path": request.path_params["path"]}))
        if self._faults["download"] and (answer := await self._faulty(self._faults["download"].popleft())):
            return answer
        name = request.path_params["path"].rpartition("/")[2].partition(".")[0]
        if request.path_params["token"] != TOKEN or name not in self.files:
            return _error(404, "Not Found", {})
        return Response(self.files[name])

    # -- methods

    async def _do_get_me(self, params: dict[str, Any]) -> Any:
        return {"id": int(TOKEN.partition(":")[0]), "is_bot": True, "first_name": "Guanjia", "username": USERNAME}

    async def _do_get_updates(self, params: dict[str, Any]) -> Any:
        if self.webhook.get("url"):
            raise Refusal(409, "Conflict: can't use getUpdates method while webhook is active")
        self.polling += 1
        mine, age, offset = self.polling, self._age, int(params.get("offset") or 0)
        while self.updates and self.updates[0]["update_id"] < offset:
            self.updates.popleft()
        deadline = time.monotonic() + float(params.get("timeout") or 0)
        while not self.updates and time.monotonic() < deadline and age == self._age and not self._closing:
            if mine != self.polling:
                raise Refusal(409, "Conflict: terminated by other getUpdates request")
            await asyncio.sleep(0.005)
        return list(self.updates)[: int(params.get("limit") or 100)]

    async def _do_set_webhook(self, params: dict[str, Any]) -> Any:
        self.webhook = params
        return True

    async def _do_delete_webhook(self, params: dict[str, Any]) -> Any:
        self.webhook = {}
        return True

    async def _do_send_message(self, params: dict[str, Any]) -> Any:
        text = str(params.get("text") or "")
        if not text.strip():
            raise Refusal(400, "Bad Request: message text is empty")
        if len(text.encode("utf-16-le")) // 2 > 4096:
            raise Refusal(400, "Bad Request: message is too long")
        return self._sent(params, {"text": text})

    async def _do_send_photo(self, params: dict[str, Any]) -> Any:
        caption = str(params.get("caption") or "")
        if len(caption.encode("utf-16-le")) // 2 > 1024:
            raise Refusal(400, "Bad Request: message caption is too long")
        if not any(params["_files"].values()):
            raise Refusal(400, "Bad Request: there is no photo in the request")
        photo = [{"file_id": "sent", "file_unique_id": "s", "width": 1, "height": 1}]
        return self._sent(params, {"photo": photo, "caption": caption})

    def _sent(self, params: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
        markup = params.get("reply_markup")
        for button in [button for row in (markup or {}).get("inline_keyboard", []) for button in row]:
            if not 1 <= len(button["callback_data"].encode()) <= 64:
                raise Refusal(400, "Bad Request: BUTTON_DATA_INVALID")
        self._next_message += 1
        self.keyboards[self._next_message] = markup
        self.words[self._next_message] = {name: content[name] for name in ("text", "caption") if content.get(name)}
        chat_id = int(params["chat_id"])
        chat = {"id": chat_id, "type": "private" if chat_id > 0 else "group"}
        return {"message_id": self._next_message, "date": SENT_AT, "chat": chat, **content}

    async def _do_edit_message_reply_markup(self, params: dict[str, Any]) -> Any:
        message_id = int(params["message_id"])
        if message_id not in self.keyboards:
            raise Refusal(400, "Bad Request: message to edit not found")
        self.keyboards[message_id] = params.get("reply_markup")
        chat = {"id": int(params["chat_id"]), "type": "private"}
        return {"message_id": message_id, "date": SENT_AT, "chat": chat, "text": "edited"}

    async def _do_edit_message_text(self, params: dict[str, Any]) -> Any:
        return await self._edit(params, "text")

    async def _do_edit_message_caption(self, params: dict[str, Any]) -> Any:
        return await self._edit(params, "caption")

    async def _edit(self, params: dict[str, Any], what: str) -> Any:
        """New words, and the keyboard given with them or none. A picture has no text, a text no caption."""
        message_id = int(params["message_id"])
        if message_id not in self.words:
            raise Refusal(400, "Bad Request: message to edit not found")
        if what not in self.words[message_id]:
            raise Refusal(400, f"Bad Request: there is no {what} in the message to edit")
        self.words[message_id], self.keyboards[message_id] = {what: params[what]}, params.get("reply_markup")
        chat = {"id": int(params["chat_id"]), "type": "private"}
        return {"message_id": message_id, "date": SENT_AT, "chat": chat, what: params[what]}

    async def _do_answer_callback_query(self, params: dict[str, Any]) -> Any:
        if not params.get("callback_query_id"):
            raise Refusal(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        return True

    async def _do_set_my_commands(self, params: dict[str, Any]) -> Any:
        for command in params["commands"]:
            if not re.fullmatch(r"[a-z0-9_]{1,32}", command["command"]) or not 1 <= len(command["description"]) <= 256:
                raise Refusal(400, "Bad Request: BOT_COMMAND_INVALID")
        scope = params.get("scope") or {"type": "default"}
        self.commands[f"{scope['type']}{scope.get('chat_id', '')}"] = params["commands"]
        return True

    async def _do_get_file(self, params: dict[str, Any]) -> Any:
        file_id = str(params.get("file_id"))
        if file_id not in self.files:
            raise Refusal(400, "Bad Request: invalid file_id")
        size = len(self.files[file_id])
        return {"file_id": file_id, "file_unique_id": "u", "file_size": size, "file_path": f"photos/{file_id}.jpg"}


async def _read(request: Request) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Parameters come as a query, a form, a multipart form or JSON; objects inside a form are JSON text."""
    if request.headers.get("content-type", "").startswith("application/json"):
        return await request.json(), {}
    async with request.form() as form:
        files = {key: await value.read() for key, value in form.items() if isinstance(value, UploadFile)}
        params = {key: _decoded(str(value)) for key, value in form.items() if key not in files}
    return {**request.query_params, **params}, files


def _decoded(value: str) -> Any:
    if value[:1] not in ("{", "["):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _error(status: int, description: str, parameters: dict[str, Any]) -> Response:
    body = {"ok": False, "error_code": status, "description": description}
    return JSONResponse(body | ({"parameters": parameters} if parameters else {}), status)


def _snake(method: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", method).lower()
