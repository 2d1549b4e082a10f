"""APScheduler wiring: the sweeps of tickets/clocks.py and the inbox recovery, every few seconds, in one process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy import text
from sqlalchemy.orm import Session

from bot import bulletins
from bot.clock import Clock
from storage.database import Sessions
from storage.files import remove_file
from tickets import clocks, forgetting, leading, retention

log = logging.getLogger(__name__)

SWEEP_SECONDS = 2
PURGE_SECONDS = 3600
RECOVER_SECONDS = 2
# Any number all processes agree on; PostgreSQL keeps the others out while one sweeps.
LEADER_LOCK = 7301


class Jobs:
    def __init__(
        self,
        sessions: Sessions,
        reads: Sessions,
        clock: Clock,
        recover: Callable[[], Awaitable[None]],
        on_outbox: Callable[[], None],
        files: Path,
    ) -> None:
        self._sessions, self._reads, self._clock = sessions, reads, clock
        self._recover, self._on_outbox = recover, on_outbox
        self._files = files
        self._scheduler = AsyncIOScheduler()

    def start(self) -> None:
        options = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        self._scheduler.add_job(self._sweep, "interval", seconds=SWEEP_SECONDS, **options)
        self._scheduler.add_job(self._take_up, "interval", seconds=RECOVER_SECONDS, **options)
        self._scheduler.add_job(self._purge, "interval", seconds=PURGE_SECONDS, **options)
        self._scheduler.start()

    def stop(self) -> None:
        self._scheduler.shutdown(wait=False)

    async def _sweep(self) -> None:
        try:
            await asyncio.to_thread(self.sweep_once)
        except Exception:
            log.exception("jobs.sweep_failed")
        try:
            await asyncio.to_thread(self.tell_leaders)
        except Exception:
            log.exception("jobs.tell_leaders_failed")
        self._on_outbox()

    async def _take_up(self) -> None:
        try:
            await self._recover()
        except Exception:
            log.exception("jobs.recover_failed")

    async def _purge(self) -> None:
        try:
            await asyncio.to_thread(self.purge_once)
        except Exception:
            log.exception("jobs.purge_failed")

    def purge_once(self) -> None:
        """Pictures and voice notes whose time is over go, in as many short transactions as it takes."""
        while True:
            with self._sessions.begin() as session:
                if not _leads(session):
                    return
                if not retention.purge(session, self._clock(), lambda key: remove_file(self._files, key)):
                    return

    def sweep_once(self) -> bool:
        """All clocks, in as many short transactions as it takes; False if another process is the leader."""
        now = self._clock()
        while True:
            with self._sessions.begin() as session:
                if not _leads(session):
                    return False
                if not clocks.sweep(session, now):
                    return True

    def tell_leaders(self) -> None:
        """Reports and reminders of 整改单, apart from the clocks: a report that cannot be made holds up no promise, and while one
        is made nobody waits to write."""
        now = self._clock()
        with self._sessions.begin() as session:
            if not _leads(session):
                return
            leading.remind(session, now)
            forgetting.carry_out(session, self._files, now)
        with self._reads() as session:
            made = bulletins.make_due(session, self._files, now)
        if made:
            with self._sessions.begin() as session:
                if _leads(session):
                    bulletins.send_made(session, made, now)


def _leads(session: Session) -> bool:
    """Whether this process sweeps: with PostgreSQL one at a time, until its transaction ends."""
    if session.get_bind().dialect.name != "postgresql":
        return True
    return bool(session.scalar(text("select pg_try_advisory_xact_lock(:key)"), {"key": LEADER_LOCK}))
