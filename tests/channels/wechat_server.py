"""A loopback stand-in of api.weixin.qq.com and qyapi.weixin.qq.com: the calls our channels make, with the platforms' error codes.

`test_wechat_peers.py` lets foreign clients (wechatpy, co-wechat-api) agree with it before our code is tested.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Any

from channels.telegram_server import Served
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

APP_ID, SECRET = "wx49f0ab532d5d035a", "0123456789abcdef0123456789abcdef"
CORP_ID, CORP_SECRET, AGENT_ID = "ww5823bf96d3bd56c7", "corp-secret", 1000002
ROBOT_KEY = "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa"
TEXT_BYTES, MARKDOWN_BYTES = 2048, 4096
TEMPLATE_LIMITS = {"thing": 20, "character_string": 32, "phrase": 5, "name": 10, "number": 32}


@dataclass(frozen=True)
class Call:
    path: str
    query: dict[str, str]
    body: Any
    raw: bytes = b""


@dataclass(frozen=True)
class Fault:
    """What a path answers instead of doing its work; `hang` answers nothing until the server is closed."""

    code: int = -1
    status: int = 200
    raw: bytes = b""
    hang: bool = False


class Refusal(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


@dataclass
class Kept:
    """A media file: WeChat keeps it for three days."""

    data: bytes
    mime: str = "image/jpeg"


class WeChatServer:
    """The platform's side of one Official Account and one WeCom app. Tests read the lists; only this server changes them."""

    def __init__(self) -> None:
        self._age, self._closing = 0, False
        routes = [Route("/{age:int}/{path:path}", self._api, methods=["GET", "POST"])]
        self._served = Served(Starlette(routes=routes))
        self.reset()

    def __enter__(self) -> WeChatServer:
        self._served.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._served.__exit__()

    # -- what a test tells it

    def reset(self) -> None:
        """As new, at a new address, so that requests of before are strangers."""
        self._age += 1
        self.url = f"{self._served.url}/{self._age}"
        self.calls: list[Call] = []
        self.media: dict[str, Kept] = {}
        self.cards: dict[str, Any] = {}
        self.settled: dict[str, str] = {}
        self.left: dict[str, int] = {}
        self.closed: set[str] = set()
        self.gone: set[str] = set()
        self.templates: dict[str, str] = {}
        self.menu: dict[str, Any] = {}
        self.menus_allowed = True
        self.token_number, self.tokens_given = 1, 0
        self._faults: dict[str, deque[Fault | None]] = defaultdict(deque)
        self._next = 1000

    @property
    def token(self) -> str:
        return f"token-{self.token_number}"

    def fail(self, path: str, *faults: Fault | None) -> None:
        """What the next calls of this path run into, one each; None lets a call through."""
        self._faults[path].extend(faults)

    def called(self, path: str) -> list[Call]:
        return [call for call in self.calls if call.path == path]

    def told(self, who: str) -> list[str]:
        """The words that reached a person by a push, in order."""
        words = []
        for call in self.calls:
            if isinstance(call.body, dict) and call.body.get("touser") == who and call.body.get("_ok"):
                words.append(_words(call.body))
        return words

    # -- HTTP

    async def _api(self, request: Request) -> Response:
        if request.path_params["age"] != self._age:
            return Response(status_code=404)
        path, query = "/" + request.path_params["path"], dict(request.query_params)
        raw = await request.body()
        body = await self._body(request, raw)
        self.calls.append(Call(path, query, body, raw))
        if self._faults[path] and (fault := self._faults[path].popleft()):
            return await self._faulty(fault)
        try:
            if path not in ("/cgi-bin/token", "/cgi-bin/stable_token", "/cgi-bin/gettoken", "/cgi-bin/webhook/send"):
                self._check_token(query)
            if b"\\u" in raw:
                raise Refusal(40033)
            name = "_do_" + path.removeprefix("/cgi-bin/").replace("/", "_")
            answer = getattr(self, name)(query, body)
            if isinstance(answer, Response):
                return answer
            if isinstance(body, dict):
                body["_ok"] = True
            return JSONResponse({"errcode": 0, "errmsg": "ok", **answer})
        except Refusal as error:
            return JSONResponse({"errcode": error.code, "errmsg": "refused"})

    async def _body(self, request: Request, raw: bytes) -> Any:
        if request.headers.get("content-type", "").startswith("multipart/"):
            async with request.form() as form:
                return {key: await part.read() for key, part in form.items() if isinstance(part, UploadFile)}
        return json.loads(raw) if raw else {}

    async def _faulty(self, fault: Fault) -> Response:
        age = self._age
        while fault.hang and age == self._age and not self._closing:
            await asyncio.sleep(0.01)
        if fault.raw:
            return Response(fault.raw, fault.status)
        return JSONResponse({"errcode": fault.code, "errmsg": "fault"}, fault.status)

    def _check_token(self, query: dict[str, str]) -> None:
        if query.get("access_token") != self.token:
            raise Refusal(40001 if query.get("access_token") else 41001)

    def _new_id(self) -> int:
        self._next += 1
        return self._next

    # -- tokens

    def _do_token(self, query: dict[str, str], body: Any) -> dict[str, Any]:
        if (query.get("appid"), query.get("secret")) != (APP_ID, SECRET):
            raise Refusal(40125)
        self.token_number += 1
        return {"access_token": self.token, "expires_in": 7200}

    def _do_stable_token(self, query: dict[str, str], body: Any) -> dict[str, Any]:
        if (body.get("appid"), body.get("secret")) != (APP_ID, SECRET):
            raise Refusal(40125)
        self.tokens_given += 1
        self.token_number += 1 if body.get("force_refresh") else 0
        return {"access_token": self.token, "expires_in": 7200}

    def _do_gettoken(self, query: dict[str, str], body: Any) -> dict[str, Any]:
        if (query.get("corpid"), query.get("corpsecret")) != (CORP_ID, CORP_SECRET):
            raise Refusal(40001)
        self.tokens_given += 1
        return {"access_token": self.token, "expires_in": 7200}

    # -- Official Account

    def _do_message_custom_send(self, query: dict[str, str], body: Any) -> dict[str, Any]:
        who, kind = body["touser"], body["msgtype"]
        if who in self.gone:
            raise Refusal(43004)
        if who in self.closed:
            raise Refusal(45015)
        if self.left.get(who, 1) < 1:
            raise Refusal(45047)
        if kind == "msgmenu" and not self.menus_allowed:
            raise Refusal(40200)
        if kind == "image" and body["image"]["media_id"] not in self.media:
            raise Refusal(40007)
        if kind not in ("text", "msgmenu", "image") or not (_words(body) or kind == "image"):
            raise Refusal(40008)
        if kind == "text" and len(_words(body).encode()) > TEXT_BYTES:
            raise Refusal(45002)
        if who in self.left:
            self.left[who] -= 1
        return {}

    def _do_message_template_send(self, query: dict[str, str], body: Any) -> dict[str, Any]:
        if body["touser"] in self.gone:
            raise Refusal(43004)
        if body["template_id"] not in self.templates:
            raise Refusal(40037)
        for name, value in body["data"].items():
            limit = TEMPLATE_LIMITS.get(name.rstrip("0123456789"), 20)
            if (
                f"{{{{{name}.DATA}}}}" not in self.templates[body["template_id"]]
                or not 1 <= len(value["value"]) <= limit
            ):
                raise Refusal(47003)
        return {"msgid": self._new_id()}

    def _do_media_upload(self, query: dict[str, str], body: Any) -> dict[str, Any]:
        if not body.get("media"):
            raise Refusal(41005)
        media_id = f"media-{self._new_id()}"
        self.media[media_id] = Kept(body["media"])
        return {"type": query["type"], "media_id": media_id, "created_at": 1}

    def _do_media_get(self, query: dict[str, str], body: Any) -> Response:
        kept = self.media.get(query.get("media_id", ""))
        if kept is None:
            raise Refusal(40007)
        return Response(kept.data, media_type=kept.mime)

    def _do_menu_create(self, query: dict[str, str], body: Any) -> dict[str, Any]:
        if not 1 <= len(body["button"]) <= 3 or any(len(one.get("sub_button", [])) > 5 for one in body["button"]):
            raise Refusal(40017)
        self.menu = body
        return {}

    def _do_menu_get(self, query: dict[str, str], body: Any) -> dict[str, Any]:
        return {"menu": self.menu}

    def _do_template_get_all_private_template(self, query: dict[str, str], body: Any) -> dict[str, Any]:
        return {"template_list": [{"template_id": key, "content": text} for key, text in self.templates.items()]}

    def _do_template_api_add_template(self, query: dict[str, str], body: Any) -> dict[str, Any]:
        template_id = f"made-from-{body['template_id_short']}"
        self.templates[template_id] = "\n".join(
            f"{word}:{{{{thing{n}.DATA}}}}" for n, word in enumerate(body["keyword_name_list"], 1)
        )
        return {"template_id": template_id}

    # -- WeCom

    def _do_message_send(self, query: dict[str, str], body: Any) -> dict[str, Any]:
        if str(body["agentid"]) != str(AGENT_ID):
            raise Refusal(40056)
        if body["msgtype"] == "text" and not 1 <= len(_words(body).encode()) <= TEXT_BYTES:
            raise Refusal(40058)
        if body["msgtype"] == "image" and body["image"]["media_id"] not in self.media:
            raise Refusal(40007)
        if body["touser"] in self.gone:
            raise Refusal(81013)
        if body["msgtype"] == "template_card":
            self._card(body["template_card"])
        return {"msgid": f"wecom-{self._new_id()}", "invaliduser": ""}

    def _card(self, card: dict[str, Any]) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_@-]{1,128}", card["task_id"]) or card["task_id"] in self.cards:
            raise Refusal(42014)
        if card["card_type"] != "button_interaction" or not card["main_title"]["title"]:
            raise Refusal(42045)
        if not 1 <= len(card["button_list"]) <= 6 or not all(one["text"] and one["key"] for one in card["button_list"]):
            raise Refusal(42045)
        self.cards[card["task_id"]] = card

    def _do_message_update_template_card(self, query: dict[str, str], body: Any) -> dict[str, Any]:
        """Each code of a press changes its card once."""
        if body["response_code"] in self.settled:
            raise Refusal(42014)
        self.settled[body["response_code"]] = body["button"]["replace_name"]
        return {"invaliduser": []}

    def _do_webhook_send(self, query: dict[str, str], body: Any) -> dict[str, Any]:
        if query.get("key") != ROBOT_KEY:
            raise Refusal(93000)
        if body["msgtype"] == "markdown" and len(body["markdown"]["content"].encode()) > MARKDOWN_BYTES:
            raise Refusal(40058)
        return {}


def _words(body: dict[str, Any]) -> str:
    kind = body.get("msgtype", "template")
    if kind == "text":
        return str(body["text"]["content"])
    if kind == "msgmenu":
        menu = body["msgmenu"]
        return "\n".join([menu["head_content"], *(item["content"] for item in menu["list"])])
    if kind == "template":
        return "\n".join(value["value"] for value in body.get("data", {}).values())
    return ""
