"""Outbox → channel: at least once, in order per conversation, emergencies first, with retry and an end (architecture.md §2.1)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import yaml
from sqlalchemy.exc import SQLAlchemyError

from bot.channels.base import Button, Channel, ChannelError, Outbound, Refused, RetryLater, Unreachable
from bot.clock import Clock, system_clock
from storage import mailbox
from storage.database import Sessions
from storage.files import is_voice, photo_path
from storage.mailbox import RENEW_EVERY, Room
from storage.models import Conversation, OutboxMessage
from tickets import quiet_hours
from tickets.texts import DATA

log = logging.getLogger(__name__)

SWEEP_SECONDS = 0.5
# Our own waits between two tries. The gate of a channel keeps a broken platform from being hammered, so they may be short:
# a minute after it is back everything is on its way.
BACKOFF = (1.0, 2.0, 5.0, 15.0, 60.0)
URGENT_BACKOFF = 5.0
# A message that fails so often while others get through is itself the problem.
MAX_ATTEMPTS = 8
WORKING = timedelta(minutes=5)
GIVE_UP = timedelta(hours=24)
# After so long another channel of the same person is taken.
FALLBACK = timedelta(minutes=30)
URGENT_FALLBACK = timedelta(minutes=2)
URGENT_TRIES = 3
# So many chats failing in a row are the platform's failure.
FAILURES = 3
LONGEST_REST = 300.0


@dataclass(frozen=True)
class Pace:
    """How fast a channel may be used (data/catalog/delivery.yml)."""

    per_second: float
    at_once: int
    chat_seconds: float


@cache
def paces() -> dict[str, Pace]:
    rows = yaml.safe_load((DATA / "catalog" / "delivery.yml").read_text("utf-8"))["channels"]
    return {name: Pace(**row) for name, row in rows.items()}


@dataclass
class Gate:
    """What one channel can take now. Closed for a while when the platform fails or says it is too much; then one message
    is sent to try it, and a success opens it again."""

    pace: Pace
    under_way: int = 0
    failed: set[int] = field(default_factory=set)
    failures: int = 0
    closed_until: datetime | None = None
    worked_at: datetime | None = None
    tokens: float = 1.0
    filled_at: float = 0.0

    def room(self, now: datetime, tick: float) -> int:
        """How many messages may be begun now. `tick` is a running count of seconds, because platforms count real ones."""
        self.tokens = min(self.pace.per_second, self.tokens + (tick - self.filled_at) * self.pace.per_second)
        self.filled_at = tick
        if self.closed_until is not None:
            return 1 if now >= self.closed_until and not self.under_way else 0
        return max(0, min(int(self.tokens), self.pace.at_once - self.under_way))

    def sent(self, now: datetime) -> None:
        self.failures, self.closed_until, self.worked_at = 0, None, now
        self.failed.clear()

    def failed_with(self, conversation_id: int, seconds: float, now: datetime) -> None:
        self.failed.add(conversation_id)
        if len(self.failed) < FAILURES and self.closed_until is None:
            return
        rest = max(seconds, BACKOFF[min(self.failures, len(BACKOFF) - 1)])
        self.failures += 1
        self.closed_until = now + timedelta(seconds=min(rest, LONGEST_REST))

    def works(self, now: datetime) -> bool:
        return self.closed_until is None and self.worked_at is not None and now - self.worked_at <= WORKING


@dataclass(frozen=True)
class Job:
    """One row under way."""

    row_id: int
    conversation_id: int
    channel: str
    message: Outbound


class Delivery:
    """Sends what is due as soon as it is told of it, and looks by itself twice a second (other processes write too).

    A slow channel holds up nobody else: each send is a task of its own, and each conversation has one at a time.
    """

    def __init__(
        self,
        sessions: Sessions,
        channels: Mapping[str, Channel],
        clock: Clock,
        files: Path,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sessions, self._channels, self._clock, self._files, self._ticks = sessions, channels, clock, files, ticks
        self._wake = asyncio.Event()
        self._stopping = False
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._gates: dict[str, Gate] = {}
        self._resting: dict[int, float] = {}

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Deliver until `stop`."""
        keeping = asyncio.create_task(self._keep())
        try:
            while not self._stopping:
                try:
                    busy = await self._start_due()
                except Exception:
                    log.exception("delivery.sweep_failed")
                    busy = False
                if not busy:
                    await self._pause()
            await self._settle()
        finally:
            keeping.cancel()

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), SWEEP_SECONDS)
        self._wake.clear()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    async def deliver_due(self) -> bool:
        """One round to its end; whether anything was tried."""
        started = await self._start_due()
        await self._settle()
        return started

    async def _settle(self) -> None:
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _start_due(self) -> bool:
        jobs = await asyncio.to_thread(self._claim)
        for job in jobs:
            task = asyncio.create_task(self._deliver(job))
            self._tasks[job.row_id] = task
            task.add_done_callback(lambda _task, row_id=job.row_id: self._ended(row_id))  # type: ignore[misc]
        return bool(jobs)

    def _ended(self, row_id: int) -> None:
        self._tasks.pop(row_id, None)
        # The next one of this conversation can go.
        self._wake.set()

    async def _keep(self) -> None:
        """Renew the claims of what is still being sent, so that nobody else sends it too."""
        while True:
            await asyncio.sleep(RENEW_EVERY.total_seconds())
            with contextlib.suppress(SQLAlchemyError):
                await asyncio.to_thread(self._renew, list(self._tasks))

    def _renew(self, row_ids: list[int]) -> None:
        with self._sessions.begin() as session:
            mailbox.keep_claims(session, row_ids, system_clock())

    # --- claiming -----------------------------------------------------------------------------------------------------

    def _gate(self, channel: str) -> Gate:
        if channel not in self._gates:
            pace = paces().get(channel, paces()["other"])
            self._gates[channel] = Gate(pace, tokens=pace.per_second, filled_at=self._ticks())
        return self._gates[channel]

    def _claim(self) -> list[Job]:
        now, tick = self._clock(), self._ticks()
        left = {name: self._gate(name).room(now, tick) for name in {*self._channels, *self._gates}}
        self._resting = {chat: until for chat, until in self._resting.items() if until > tick}
        # Nothing that is still under way, here or because a claim ran out meanwhile, is sent beside itself.
        with self._sessions.begin() as session:
            room = Room(frozenset(name for name, count in left.items() if not count), frozenset(self._resting))
            jobs = []
            for row in mailbox.claim_due(session, now, system_clock(), room):
                chat = session.get_one(Conversation, row.conversation_id)
                if row.id in self._tasks or left.setdefault(chat.channel, self._gate(chat.channel).room(now, tick)) < 1:
                    row.claimed_until = row.claimed_until if row.id in self._tasks else None
                    continue
                left[chat.channel] -= 1
                if mailbox.was_held(row):
                    quiet_hours.merge(mailbox.held_together(session, row, now, quiet_hours.rules().merge_most))
                jobs.append(Job(row.id, chat.id, chat.channel, self._outbound(row, chat)))
        for job in jobs:
            self._begin(job, tick)
        return jobs

    def _begin(self, job: Job, tick: float) -> None:
        gate = self._gate(job.channel)
        gate.under_way += 1
        gate.tokens -= 1
        if gate.pace.chat_seconds:
            self._resting[job.conversation_id] = tick + gate.pace.chat_seconds

    def _outbound(self, row: OutboxMessage, chat: Conversation) -> Outbound:
        return Outbound(
            chat_id=chat.chat_id,
            text=row.text,
            key=row.dedupe_key,
            buttons=tuple(Button(code, label) for code, label in row.buttons),
            # A voice note is played by the web chat alone; the words say so to the others.
            image_path=""
            if not row.image_key or is_voice(row.image_key)
            else str(photo_path(self._files, row.image_key)),
            image_name=row.image_key,
        )

    # --- sending ------------------------------------------------------------------------------------------------------

    async def _deliver(self, job: Job) -> None:
        channel, gate = self._channels.get(job.channel), self._gate(job.channel)
        failure: ChannelError | None = None
        try:
            if channel is None:
                raise RetryLater(BACKOFF[-1], "channel off")
            await channel.send(job.message)
        except ChannelError as error:
            failure = error
        except Exception as error:
            log.exception("delivery.send_failed channel=%s", job.channel)
            failure = RetryLater(BACKOFF[0], type(error).__name__)
        finally:
            gate.under_way -= 1
        if failure is None:
            gate.sent(self._clock())
        elif isinstance(failure, RetryLater):
            gate.failed_with(job.conversation_id, failure.seconds, self._clock())
        await self._write_down(job, failure)

    async def _write_down(self, job: Job, failure: ChannelError | None) -> None:
        """What became of it. While the database is away it is kept here: what was sent must not be sent again."""
        while True:
            try:
                if failure:
                    await asyncio.to_thread(self._failed, job, failure)
                else:
                    await asyncio.to_thread(self._sent, job)
                return
            except SQLAlchemyError:
                log.exception("delivery.not_written outbox=%s", job.row_id)
                if self._stopping:
                    return
                await asyncio.sleep(SWEEP_SECONDS)

    def _sent(self, job: Job) -> None:
        with self._sessions.begin() as session:
            row = session.get_one(OutboxMessage, job.row_id)
            row.status, row.sent_at, row.claimed_until, row.error = "sent", self._clock(), None, ""

    def _failed(self, job: Job, error: ChannelError) -> None:
        """Try again later, elsewhere, or give up: what nobody can deliver is a dead letter that leaders see."""
        now = self._clock()
        with self._sessions.begin() as session:
            row = session.get_one(OutboxMessage, job.row_id)
            chat = session.get_one(Conversation, job.conversation_id)
            row.attempts += 1
            row.claimed_until = None
            row.error = f"{type(error).__name__}: {error}"[:200]
            urgent = mailbox.urgent_behind(session, row)
            if isinstance(error, Unreachable):
                chat.reachable = False
            if isinstance(error, Unreachable) or self._worth_another_way(row, job.channel, urgent, now):
                other = mailbox.other_chat(session, chat, self._not_working(now))
                if other:
                    mailbox.move_waiting(session, chat, other, now)
                    return
            if self._is_hopeless(row, error, job.channel, now):
                row.status = "dead"
                log.warning("delivery.dead outbox=%s attempts=%s", row.id, row.attempts)
                return
            row.due_at = now + timedelta(seconds=_wait(row, error, urgent))

    def _worth_another_way(self, row: OutboxMessage, channel: str, urgent: bool, now: datetime) -> bool:
        tried, long = (URGENT_TRIES, URGENT_FALLBACK) if urgent else (MAX_ATTEMPTS, FALLBACK)
        return channel not in self._channels or (row.attempts >= tried and now - row.created_at >= long)

    def _not_working(self, now: datetime) -> list[str]:
        return [name for name, gate in self._gates.items() if gate.closed_until is not None and gate.closed_until > now]

    def _is_hopeless(self, row: OutboxMessage, error: ChannelError, channel: str, now: datetime) -> bool:
        if isinstance(error, (Unreachable, Refused)) or now - row.created_at >= GIVE_UP:
            return True
        return row.attempts >= MAX_ATTEMPTS and self._gate(channel).works(now)


def _wait(row: OutboxMessage, error: ChannelError, urgent: bool) -> float:
    """Seconds until the next try: what the platform asked for, at least our own wait, which urgency shortens."""
    own = BACKOFF[min(row.attempts, len(BACKOFF)) - 1]
    return max(error.seconds if isinstance(error, RetryLater) else 0.0, min(own, URGENT_BACKOFF) if urgent else own)
