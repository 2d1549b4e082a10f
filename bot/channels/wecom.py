"""WeCom (企业微信): the self-built app through which staff and supervisors write and are written to, and the group robot.

What one member is sent beyond 30 a minute or 1,000 an hour, and what a robot says beyond 20 a minute, WeCom drops or refuses.
Both are counted in the outbox, which all our processes share.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from datetime import timedelta
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from bot.channels.base import (
    ChannelError,
    Inbound,
    Outbound,
    Receive,
    Refused,
    RetryLater,
    Unreachable,
    read_body,
)
from bot.channels.tasks import Tasks
from bot.channels.text import Progress, check_buttons, clean, numbered, split_text, utf8
from bot.channels.wechat import Patience, Received, chosen, read_push, uploaded, with_file
from bot.channels.wechat_api import TOKEN_CODES, ApiFault, PlatformApi, answer_of, code_of, token_in
from bot.channels.wechat_wire import BODY_LIMIT, BadPush, Envelope, Push
from bot.clock import Clock, system_clock
from storage import platforms
from storage.database import Sessions
from tickets.texts import say

log = logging.getLogger(__name__)

TEXT_LIMIT = 2048
MARKDOWN_LIMIT = 4096
# A third of WeCom's own 30 and 1,000: words, picture and card are three messages, and what is over is dropped without a word.
MEMBER_LIMITS = ((10, timedelta(minutes=1)), (330, timedelta(hours=1)))
CARD_BUTTONS, CARD_TITLE = 6, 26
ROBOT_CHAT = "group"
ROBOT_LIMITS = ((20, timedelta(minutes=1)),)

GONE = frozenset({81013, 60111, 82001, 40031})
# Limits, and what an operator has to put right (address not allowed, app not visible to the member, wrong agent id or key).
WAIT = {45009: 60.0, 45033: 5.0, 60020: 300.0, 48002: 300.0, 301002: 300.0, 40056: 300.0, 40013: 300.0, 93000: 300.0}


class WeComApi(PlatformApi):
    """qyapi.weixin.qq.com of one self-built app."""

    def __init__(
        self, corp_id: str, secret: str, agent_id: str, base_url: str, sessions: Sessions, clock: Clock = system_clock
    ) -> None:
        super().__init__(f"wecom:{corp_id}:{agent_id}", base_url, sessions, clock)
        self._corp_id, self._secret, self.agent_id = corp_id, secret, agent_id

    async def take_token(self, force: bool) -> tuple[str, int]:
        """WeCom gives the same token until it ends; there is nothing to force."""
        secrets = {"corpid": self._corp_id, "corpsecret": self._secret}
        answer = answer_of(await self.plain("GET", "/cgi-bin/gettoken", params=secrets))
        if code := answer.get("errcode"):
            log.error("wecom.no_token errcode=%s", code)
            raise RetryLater(WAIT.get(code, 60.0), f"no token: errcode {code}")
        return token_in(answer)


class _Counted:
    """How much a chat was sent lately, read from the outbox."""

    def __init__(
        self, channel: str, limits: tuple[tuple[int, timedelta], ...], sessions: Sessions, clock: Clock
    ) -> None:
        self._channel, self._limits, self._sessions, self._clock = channel, limits, sessions, clock

    async def check(self, chat_id: str) -> None:
        """Raises RetryLater with the time until the platform takes the next message."""
        wait = await asyncio.to_thread(self._wait, chat_id)
        if wait > 0:
            raise RetryLater(wait, "this chat has had its messages for now")

    def _wait(self, chat_id: str) -> float:
        now = self._clock()
        with self._sessions() as session:
            ends = [
                oldest + span
                for count, span in self._limits
                if (oldest := platforms.nth_newest_sent(session, self._channel, chat_id, count)) is not None
            ]
        return max((end - now).total_seconds() for end in ends) if ends else 0.0


class WeComChannel:
    """One self-built app; `webhook` must be routed for GET and POST. `desk_clock` is the clock of the outbox."""

    name = "wecom"

    def __init__(
        self,
        api: WeComApi,
        envelope: Envelope,
        sessions: Sessions,
        *,
        desk_clock: Clock,
        clock: Clock = system_clock,
        patience: Patience | None = None,
    ) -> None:
        self._api, self._envelope, self._sessions, self._clock = api, envelope, sessions, clock
        self._patience = patience or Patience()
        self._counted = _Counted(self.name, MEMBER_LIMITS, sessions, desk_clock)
        self._receive: Receive | None = None
        self._stopping = False
        self._tasks, self._progress = Tasks(), Progress()

    # -- life

    async def start(self, receive: Receive) -> None:
        self._receive, self._stopping = receive, False

    async def stop(self) -> None:
        self._stopping = True
        await self._tasks.stop(self._patience.stop)
        self._receive = None
        await self._api.close()

    # -- in

    async def webhook(self, request: Request) -> Response:
        """GET checks our address (WeCom seals what it wants back), POST is a push."""
        now = self._clock()
        try:
            if request.method == "GET":
                echo = self._envelope.echo(request.query_params, now, sealed=True)
                return Response(echo, media_type="text/plain", headers={"X-Content-Type-Options": "nosniff"})
            body = await read_body(request, BODY_LIMIT)
            if body is None:
                return Response(status_code=413)
            push = self._envelope.open(body, request.query_params, now)
        except BadPush as error:
            log.warning("wecom.push_refused why=%s", error)
            return Response(status_code=error.answer)
        except ClientDisconnect:
            return Response(status_code=400)
        if self._receive is None or self._stopping:
            return Response(status_code=503)
        return Response(status_code=200 if await self._stored(push) else 503)

    async def _stored(self, push: Push) -> bool:
        """An empty 200 means that nothing is answered on this connection; answers are app messages."""
        try:
            received = read_push(push.fields, self.name)
        except (ValueError, OverflowError, OSError) as error:
            # It will not become readable by being sent again.
            log.warning("wecom.unreadable: %s", type(error).__name__)
            return True
        if received is None:
            return True
        try:
            await asyncio.shield(self._tasks.once(received.inbound.message_id, lambda: self._store(received)))
        except Exception as error:
            log.error("wecom.store failed: %s", type(error).__name__)
            return False
        return True

    async def _store(self, received: Received) -> None:
        assert self._receive is not None
        inbound = received.inbound
        if received.left:
            await asyncio.to_thread(self._gone, inbound.chat_id)
            return
        choices = await asyncio.to_thread(self._choices, inbound.chat_id)
        inbound = chosen(inbound, choices)
        if received.file:
            inbound = await with_file(self._api, inbound, *received.file, patience=self._patience.download)
        await self._receive(inbound)
        if inbound.extra.get("response_code"):
            self._tasks.once(f"card:{inbound.message_id}", lambda: self._settle_card(inbound))

    def _choices(self, chat_id: str) -> list[list[str]]:
        with self._sessions() as session:
            return platforms.choices(session, self.name, chat_id)

    def _gone(self, chat_id: str) -> None:
        with self._sessions.begin() as session:
            platforms.mark_unreachable(session, self.name, chat_id)

    # -- out

    async def send(self, message: Outbound) -> str:
        """As app messages to one member; choices are numbered, and below them stands a card to press."""
        check_buttons(message.buttons)
        text = numbered(clean(message.text), message.buttons)
        parts: list[dict[str, Any]] = [
            {"msgtype": "text", "text": {"content": piece}} for piece in split_text(text, TEXT_LIMIT, measure=utf8)
        ]
        if message.image_path:
            parts.append({"msgtype": "image"})
        if not parts:
            raise Refused("nothing to send")
        await self._counted.check(message.chat_id)
        sent = self._progress.of(message.key)
        for part in parts[len(sent) :]:
            sent.append(await self._send_part(message, part))
        if 1 <= len(message.buttons) <= CARD_BUTTONS:
            await self._send_card(message)
        self._progress.done(message.key)
        return sent[-1]

    async def _send_card(self, message: Outbound) -> None:
        """The choices as buttons. The numbers above say the same, so a card that WeCom does not take is no failure."""
        try:
            await self._send_part(message, {"msgtype": "template_card", "template_card": card_of(message)})
        except ChannelError as error:
            log.info("wecom.card not sent: %s", error)

    async def _settle_card(self, inbound: Inbound) -> None:
        """A pressed card cannot be pressed again, and says that it was. Best effort: the verbs refuse a second press anyway."""
        body = {
            "userids": [inbound.sender_id],
            "agentid": int(self._api.agent_id),
            "response_code": inbound.extra["response_code"],
            "button": {"replace_name": say("button.received")},
        }
        try:
            await self._api.call("POST", "/cgi-bin/message/update_template_card", json=body)
        except (ApiFault, ChannelError) as error:
            log.info("wecom.card not settled: %s", type(error).__name__)

    async def _send_part(self, message: Outbound, part: dict[str, Any]) -> str:
        try:
            if part["msgtype"] == "image":
                part = {**part, "image": {"media_id": await uploaded(self._api, message)}}
            body = {"touser": message.chat_id, "agentid": int(self._api.agent_id), **part}
            answer = await self._api.call("POST", "/cgi-bin/message/send", json=body)
        except ApiFault as fault:
            raise channel_error(fault.code) from None
        # Somebody who left the company, or whom the app is not shown to, is named in a good answer.
        if message.chat_id.lower() in str(answer.get("invaliduser") or "").lower().split("|"):
            raise Unreachable("WeCom does not know this member")
        return str(answer.get("msgid", ""))


def card_of(message: Outbound) -> dict[str, Any]:
    """The buttons of a message as a card; its task id is stable over retries, and WeCom takes each only once."""
    title = next((line.strip() for line in clean(message.text).splitlines() if line.strip()), "")
    return {
        "card_type": "button_interaction",
        "main_title": {"title": title[:CARD_TITLE]},
        "task_id": hashlib.sha256(message.key.encode()).hexdigest(),
        "button_list": [{"text": one.label, "style": 1, "key": one.code} for one in message.buttons],
    }


def channel_error(code: int) -> ChannelError:
    """What to do about an error code."""
    reason = f"errcode {code}"
    if code in GONE:
        return Unreachable(reason)
    if code in WAIT or code in TOKEN_CODES:
        log.error("wecom.api errcode=%s", code)
        return RetryLater(WAIT.get(code, 60.0), reason)
    return Refused(reason)


class WeComRobot:
    """A group robot: says what the group should know, as markdown, and hears nothing. Its key is its secret."""

    name = "wecom_robot"

    def __init__(self, key: str, base_url: str, sessions: Sessions, *, desk_clock: Clock, community_id: int) -> None:
        self._key, self._sessions, self._community_id = key, sessions, community_id
        # A robot needs no token, so nothing is kept for it.
        self._api = PlatformApi(self.name, base_url, sessions)
        self._counted = _Counted(self.name, ROBOT_LIMITS, sessions, desk_clock)
        self._progress = Progress()

    async def start(self, receive: Receive) -> None:
        """Nobody writes to a robot; its group hears of jobs from now on."""
        if not await asyncio.to_thread(self._known):
            log.warning("wecom.robot has no leader to stand for; start again when there is one")

    def _known(self) -> bool:
        with self._sessions.begin() as session:
            return platforms.dispatch_group(session, self.name, ROBOT_CHAT, self._community_id)

    async def stop(self) -> None:
        await self._api.close()

    async def send(self, message: Outbound) -> str:
        """Without buttons: nobody can press them in a group."""
        pieces = split_text(harmless_markdown(clean(message.text)), MARKDOWN_LIMIT, measure=utf8)
        if not pieces:
            raise Refused("nothing to send")
        await self._counted.check(message.chat_id)
        sent = self._progress.of(message.key)
        for piece in pieces[len(sent) :]:
            body = {"msgtype": "markdown", "markdown": {"content": piece}}
            response = await self._api.plain("POST", "/cgi-bin/webhook/send", params={"key": self._key}, json=body)
            if code := code_of(response):
                raise channel_error(code)
            sent.append("sent")
        self._progress.done(message.key)
        return ""


def harmless_markdown(text: str) -> str:
    """Words of residents must neither call people (`<@name>`), colour, nor hide an address behind a word."""
    return text.replace("<", "＜").replace("](", "] (")
