"""Calls to the servers of WeChat and WeCom: one token for all our processes, kept in the database, and errors by code."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import httpx

from bot.channels.base import RetryLater
from bot.clock import Clock, system_clock
from storage import platforms
from storage.database import Sessions

log = logging.getLogger(__name__)

TOKEN_CODES = frozenset({40001, 40014, 41001, 42001})
BUSY = -1
MEDIA_LIMIT = 20 * 1024 * 1024
RENEW_EARLY = timedelta(minutes=5)
# WeChat allows twenty forced renewals a day.
FORCE_EVERY = timedelta(minutes=5)
_UNREACHABLE_SECONDS = 5.0

FetchToken = Callable[[bool], Awaitable[tuple[str, int]]]


class ApiFault(Exception):
    """The platform answered with an error code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"errcode {code}")
        self.code = code


class PlatformApi:
    """The API of one account. `take_token(force)` on the subclass asks the platform for (token, seconds it lasts)."""

    def __init__(self, name: str, base_url: str, sessions: Sessions, clock: Clock = system_clock) -> None:
        self._name, self._sessions, self._clock = name, sessions, clock
        self.http = httpx.AsyncClient(base_url=base_url.rstrip("/"), timeout=httpx.Timeout(10.0, connect=5.0))
        self._renewing = asyncio.Lock()

    async def close(self) -> None:
        await self.http.aclose()

    async def take_token(self, force: bool) -> tuple[str, int]:
        """A new token from the platform and how many seconds it lasts."""
        raise NotImplementedError

    # -- calls

    async def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The platform's JSON answer. Raises ApiFault for an error code, RetryLater when there is no sensible answer."""
        response = await self._with_token(method, path, options)
        return _checked(response)

    async def download(self, path: str, **params: str) -> tuple[bytes, str]:
        """Bytes and media type of a file the platform keeps for three days. Raises ApiFault and RetryLater."""
        response = await self._with_token("GET", path, {"params": params})
        if "json" in response.headers.get("content-type", "") or response.content[:1] == b"{":
            _checked(response)
            raise ApiFault(40007)
        if not response.content or len(response.content) > MEDIA_LIMIT:
            raise ApiFault(40007)
        return response.content, response.headers.get("content-type", "").partition(";")[0].strip()

    async def _with_token(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        """The answer, asked again once with a new token if the platform refused the old one."""
        token = await self._token()
        response = await self.plain(method, path, token=token, **options)
        if code_of(response) in TOKEN_CODES:
            token = await self._renewed(token)
            response = await self.plain(method, path, token=token, **options)
        return response

    async def plain(self, method: str, path: str, *, token: str = "", **options: Any) -> httpx.Response:
        """One HTTP call; addresses hold tokens, so nothing of an exception's text is passed on."""
        params = {**({"access_token": token} if token else {}), **options.pop("params", {})}
        try:
            response = await self.http.request(method, path, params=params, **options)
        except httpx.HTTPError as error:
            raise RetryLater(_UNREACHABLE_SECONDS, f"{self._name}: {type(error).__name__}") from None
        if response.status_code != 200:
            raise RetryLater(_UNREACHABLE_SECONDS, f"{self._name}: HTTP {response.status_code}")
        return response

    # -- token

    async def _token(self) -> str:
        kept = await asyncio.to_thread(self._kept)
        return kept or await self._renewed("")

    def _kept(self) -> str:
        with self._sessions() as session:
            return platforms.token(session, self._name, self._clock() + RENEW_EARLY)

    async def _renewed(self, refused: str) -> str:
        """A token other than the refused one: another process may have it already, else the platform gives one."""
        async with self._renewing:
            kept = await asyncio.to_thread(self._kept)
            if kept and kept != refused:
                return kept
            token, lasts = await self.take_token(False)
            forced = bool(refused) and token == refused
            if forced:
                if not await asyncio.to_thread(self._may_force):
                    raise RetryLater(FORCE_EVERY.total_seconds(), f"{self._name}: token refused")
                token, lasts = await self.take_token(True)
            await asyncio.to_thread(self._keep, token, self._clock() + timedelta(seconds=lasts))
            return token

    def _may_force(self) -> bool:
        with self._sessions.begin() as session:
            return platforms.may_force(session, self._name, self._clock(), FORCE_EVERY)

    def _keep(self, token: str, until: datetime) -> None:
        with self._sessions.begin() as session:
            platforms.keep_token(session, self._name, token, until)


def token_in(answer: dict[str, Any]) -> tuple[str, int]:
    """(token, seconds) of a platform's answer. Raises RetryLater if it is none."""
    token, lasts = answer.get("access_token"), answer.get("expires_in")
    if not isinstance(token, str) or not token or not isinstance(lasts, int):
        raise RetryLater(60.0, "no token in the answer")
    return token, lasts


def answer_of(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer, whatever the platform calls its media type. Raises RetryLater."""
    try:
        answer = json.loads(response.content)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise RetryLater(_UNREACHABLE_SECONDS, "an answer that is no JSON object")
    return answer


def code_of(response: httpx.Response) -> int:
    """errcode of an answer, 0 for a good one and for a file. Raises RetryLater when the platform says that it is busy."""
    if response.content[:1] != b"{":
        return 0
    try:
        code = json.loads(response.content).get("errcode", 0)
    except ValueError:
        return 0
    if code == BUSY:
        raise RetryLater(2.0, "the platform is busy")
    return code if isinstance(code, int) else 0


def _checked(response: httpx.Response) -> dict[str, Any]:
    answer = answer_of(response)
    if code := code_of(response):
        raise ApiFault(code)
    if not isinstance(answer.get("errcode", 0), int):
        raise RetryLater(_UNREACHABLE_SECONDS, "an error code that is no number")
    return answer
