"""Work of a channel that no connection may cut in half."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Tasks:
    """Tasks of one channel, kept until they end (the loop keeps only weak references), so that `stop` can wait for them."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self._named: dict[str, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return len(self._running)

    def once(self, key: str, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        """The task under this key, begun now if none is running: a repeated push waits for the first one's."""
        task = self._named.get(key)
        if task is None:
            task = self._named[key] = asyncio.ensure_future(work())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            task.add_done_callback(lambda _: self._named.pop(key, None))
        return task

    async def stop(self, grace: float) -> None:
        """Finish what ends within the grace; what is cut off was not acknowledged and comes again."""
        if self._running:
            await asyncio.wait(set(self._running), timeout=grace)
        left = set(self._running)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
