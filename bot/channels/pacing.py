"""How fast a platform may be written to: starts are spaced out before they are refused."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

from bot.channels.base import RetryLater

Sleep = Callable[[float], Awaitable[None]]
Monotonic = Callable[[], float]
Limits = tuple[tuple[int, float], ...]

_LONGEST_WAIT = 30.0
_REMEMBERED = 1000


class Window:
    """At most `count` starts in any `seconds`; a reservation is taken at once and waited for afterwards."""

    def __init__(self, count: int, seconds: float) -> None:
        self._starts: deque[float] = deque(maxlen=count)
        self._seconds = seconds

    def delay(self, now: float) -> float:
        """Seconds until the next start is allowed."""
        full = len(self._starts) == self._starts.maxlen
        earliest = self._starts[0] + self._seconds if full else now
        return max(0.0, earliest - now)

    def reserve(self, at: float) -> None:
        """Note a start at this moment."""
        self._starts.append(at)

    def idle(self, now: float) -> bool:
        """Whether nothing of the past counts any more."""
        return not self._starts or self._starts[-1] + self._seconds <= now


class Pacer:
    """Limits for each chat (`of_chat` names them) and one for everybody together."""

    def __init__(
        self,
        everyone: Limits,
        of_chat: Callable[[str], Limits],
        sleep: Sleep = asyncio.sleep,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        self._sleep, self._monotonic, self._of_chat = sleep, monotonic, of_chat
        self._everyone = [Window(*limit) for limit in everyone]
        self._chats: dict[str, list[Window]] = {}

    async def wait(self, chat_id: str) -> None:
        """The chat's turn first, then everyone's: a busy group must not hold up the other chats. Raises RetryLater."""
        now = self._monotonic()
        windows = self._windows(chat_id, now)
        delay = max((window.delay(now) for window in windows), default=0.0)
        if delay > _LONGEST_WAIT:
            raise RetryLater(delay, "this chat has had its messages for now")
        await self._pause(windows, delay, now)
        now = self._monotonic()
        await self._pause(self._everyone, max((one.delay(now) for one in self._everyone), default=0.0), now)

    async def _pause(self, windows: list[Window], delay: float, now: float) -> None:
        for window in windows:
            window.reserve(now + delay)
        if delay > 0:
            await self._sleep(delay)

    def _windows(self, chat_id: str, now: float) -> list[Window]:
        if len(self._chats) > _REMEMBERED and chat_id not in self._chats:
            busy = {key: kept for key, kept in self._chats.items() if not all(window.idle(now) for window in kept)}
            self._chats = busy
        return self._chats.setdefault(chat_id, [Window(*limit) for limit in self._of_chat(chat_id)])
