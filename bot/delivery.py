"""Outbox → channel: at least once, in order per conversation, emergencies first, with retry and an end (architecture.md §2.1)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from bot.channels.base import Button, Channel, ChannelError, Outbound, Refused, RetryLater, Unreachable
from bot.clock import Clock, system_clock
from storage.database import Sessions
from storage.files import photo_path
from storage.mailbox import RENEW_EVERY, claim_due, keep_claims
from storage.models import Conversation, OutboxMessage

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 8
BACKOFF = (1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 900.0)
SWEEP_SECONDS = 0.5


class Delivery:
    """Sends what is due as soon as it is told of it, and looks by itself twice a second (other processes write too)."""

    def __init__(self, sessions: Sessions, channels: Mapping[str, Channel], clock: Clock, files: Path) -> None:
        self._sessions, self._channels, self._clock, self._files = sessions, channels, clock, files
        self._wake = asyncio.Event()
        self._stopping = False
        self._sending: set[int] = set()

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Deliver until `stop`."""
        while not self._stopping:
            try:
                busy = await self.deliver_due()
            except Exception:
                log.exception("delivery.sweep_failed")
                busy = False
            if not busy:
                await self._pause()

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), SWEEP_SECONDS)
        self._wake.clear()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    async def deliver_due(self) -> bool:
        """One round; whether anything was sent."""
        batch = await asyncio.to_thread(self._claim)
        if not batch:
            return False
        self._sending = {row_id for row_id, _, _ in batch}
        keeping = asyncio.create_task(self._keep())
        try:
            await asyncio.gather(*(self._deliver(row_id, channel, message) for row_id, channel, message in batch))
        finally:
            keeping.cancel()
        return True

    async def _keep(self) -> None:
        """Renew the claims of what is still being sent, so that nobody else sends it too."""
        while True:
            await asyncio.sleep(RENEW_EVERY.total_seconds())
            await asyncio.to_thread(self._renew, list(self._sending))

    def _renew(self, row_ids: list[int]) -> None:
        with self._sessions.begin() as session:
            keep_claims(session, row_ids, system_clock())

    def _claim(self) -> list[tuple[int, str, Outbound]]:
        with self._sessions.begin() as session:
            batch = []
            for row in claim_due(session, self._clock(), system_clock()):
                chat = session.get_one(Conversation, row.conversation_id)
                batch.append((row.id, chat.channel, self._outbound(row, chat)))
            return batch

    def _outbound(self, row: OutboxMessage, chat: Conversation) -> Outbound:
        return Outbound(
            chat_id=chat.chat_id,
            text=row.text,
            key=row.dedupe_key,
            buttons=tuple(Button(code, label) for code, label in row.buttons),
            image_path=str(photo_path(self._files, row.image_key)) if row.image_key else "",
            image_name=row.image_key,
        )

    async def _deliver(self, row_id: int, channel_name: str, message: Outbound) -> None:
        channel = self._channels.get(channel_name)
        try:
            if channel is None:
                raise RetryLater(60.0, "channel off")
            await channel.send(message)
        except ChannelError as error:
            await asyncio.to_thread(self._failed, row_id, error)
        except Exception as error:
            log.exception("delivery.send_failed channel=%s", channel_name)
            await asyncio.to_thread(self._failed, row_id, RetryLater(BACKOFF[0], type(error).__name__))
        else:
            await asyncio.to_thread(self._sent, row_id)
        finally:
            self._sending.discard(row_id)

    def _sent(self, row_id: int) -> None:
        with self._sessions.begin() as session:
            row = session.get_one(OutboxMessage, row_id)
            row.status, row.sent_at, row.claimed_until = "sent", self._clock(), None

    def _failed(self, row_id: int, error: ChannelError) -> None:
        """Try again later, or give up: what nobody can deliver is a dead letter that leaders see."""
        with self._sessions.begin() as session:
            row = session.get_one(OutboxMessage, row_id)
            row.attempts += 1
            row.claimed_until = None
            row.error = f"{type(error).__name__}: {error}"[:200]
            if isinstance(error, Unreachable):
                session.get_one(Conversation, row.conversation_id).reachable = False
            if isinstance(error, (Unreachable, Refused)) or row.attempts >= MAX_ATTEMPTS:
                row.status = "dead"
                log.warning("delivery.dead outbox=%s attempts=%s", row.id, row.attempts)
                return
            wait = error.seconds if isinstance(error, RetryLater) else 0.0
            row.due_at = self._clock() + timedelta(seconds=max(wait, BACKOFF[min(row.attempts, len(BACKOFF)) - 1]))
