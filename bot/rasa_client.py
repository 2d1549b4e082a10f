"""The dialogue engine over HTTP, on loopback, with a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx


class RasaDown(Exception):
    """Rasa (or its action server behind it) cannot be reached or failed: the message stays in the inbox."""


@dataclass(frozen=True)
class Said:
    """What the dialogue answered: one text (several are joined) and the buttons of the last part."""

    text: str
    buttons: tuple[tuple[str, str], ...]
    handled: bool


class RasaClient:
    def __init__(self, base_url: str, token: str, actions_url: str, timeout: float = 25.0) -> None:
        self._token, self._actions_url = token, actions_url
        self._http = httpx.AsyncClient(base_url=base_url, timeout=httpx.Timeout(timeout, connect=2.0))

    async def say(self, sender: str, text: str, metadata: dict[str, Any]) -> Said:
        """One turn. Raises RasaDown on any failure, also on an answer that is not the dialogue's."""
        body = {"sender": sender, "message": text, "metadata": metadata}
        try:
            response = await self._http.post("/webhooks/rest/webhook", json=body, params={"token": self._token})
            response.raise_for_status()
            parts = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise RasaDown(type(error).__name__) from error
        if not isinstance(parts, list):
            raise RasaDown("no list")
        return joined(parts)

    async def restart(self, sender: str) -> None:
        """Forget the running form of a conversation; what was said stays in the ticket. Best effort."""
        events = [{"event": "active_loop", "name": None}, {"event": "restart"}]
        try:
            await self._http.post(f"/conversations/{sender}/tracker/events", json=events, params={"token": self._token})
        except httpx.HTTPError:
            return

    async def up(self) -> bool:
        try:
            return (await self._http.get("/version", timeout=2.0)).status_code == 200
        except httpx.HTTPError:
            return False

    async def actions_up(self) -> bool:
        """Whether the action server behind Rasa answers; without it Rasa's own answer to most messages is empty."""
        try:
            return (await self._http.get(f"{self._actions_url}/health", timeout=2.0)).status_code == 200
        except httpx.HTTPError:
            return False

    async def close(self) -> None:
        await self._http.aclose()


def joined(parts: list[Any]) -> Said:
    """The parts of an answer as one message."""
    texts: list[str] = []
    buttons: tuple[tuple[str, str], ...] = ()
    handled = False
    for part in parts:
        if not isinstance(part, dict):
            continue
        if part.get("text"):
            texts.append(str(part["text"]).strip())
        if part.get("buttons"):
            buttons = tuple((str(one["payload"]), str(one["title"])) for one in part["buttons"])
        handled = handled or bool((part.get("custom") or {}).get("handled"))
    return Said("\n".join(filter(None, texts)), buttons, handled or bool(texts))
