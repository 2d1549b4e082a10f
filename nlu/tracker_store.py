"""Where Rasa keeps conversations: one SQLite file that stays fast however long somebody chats.

Every event is kept on disk. A conversation that grows gets a *head*: the slot values at a quiet moment, after which the
live part begins. Loading reads the head and what came after it, so the cost of a turn does not grow with the past.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from rasa.core.brokers.broker import EventBroker
from rasa.core.tracker_store import TrackerStore
from rasa.shared.core.constants import ACTION_LISTEN_NAME
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecuted, Event, SessionStarted, SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker

PATH_VARIABLE = "GUANJIA_TRACKER_DB"
DEFAULT_PATH = "var/tracker.db"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sender_id TEXT NOT NULL,
    type_name TEXT NOT NULL,
    timestamp REAL,
    data TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS event_by_sender ON event (sender_id, id);
CREATE TABLE IF NOT EXISTS head (
    sender_id TEXT PRIMARY KEY,
    first_id INTEGER NOT NULL,
    data TEXT NOT NULL
);
"""
_SET_UP_TRIES, _SET_UP_PAUSE = 50, 0.1
_MARK = "_guanjia_stored"
"""Set on a tracker: how many of its first events are already on disk, and the newest id there when it was read."""

_BUSY_SECONDS = 10.0
_QUIET_STEP = 20
"""While no quiet moment is found (a long form), look again only after so many more events."""


@cache
def _event_class(type_name: str) -> Any:
    return Event.resolve_by_type(type_name)


def _decode(data: str) -> Event:
    parameters = json.loads(data)
    return _event_class(parameters["event"])._from_parameters(parameters)


class BoundedTrackerStore(TrackerStore):  # type: ignore[misc]
    """All events on disk, a bounded part of them alive."""

    def __init__(
        self,
        domain: Domain | None = None,
        event_broker: EventBroker | None = None,
        host: str | None = None,
        path: str | None = None,
        max_live_events: int = 120,
        kept_events: int = 40,
        cached_trackers: int = 256,
        **_: Any,
    ) -> None:
        super().__init__(domain, event_broker)
        self._limit = max_live_events
        self._kept = kept_events
        self._cache: OrderedDict[str, DialogueStateTracker] = OrderedDict()
        self._cached_trackers = cached_trackers
        self._database = _connect(Path(path or os.environ.get(PATH_VARIABLE) or DEFAULT_PATH))

    @property
    def domain(self) -> Domain:
        return self._domain

    @domain.setter
    def domain(self, domain: Domain | None) -> None:
        self._domain = domain or Domain.empty()
        # Another domain means other slots: a live tracker would carry the old ones.
        self._cache.clear()

    def close(self) -> None:
        self._database.close()

    # --- reading ---------------------------------------------------------------------------------------------------

    async def keys(self) -> Iterable[str]:
        return [sender for (sender,) in self._database.execute("SELECT DISTINCT sender_id FROM event")]

    async def exists(self, conversation_id: str) -> bool:
        return self._newest(conversation_id) > 0

    async def retrieve(self, sender_id: str) -> DialogueStateTracker | None:
        """The live part of the latest session. A cached tracker is handed out once: its next owner must save it."""
        tracker = self._cache.pop(sender_id, None)
        if tracker is not None and _mark_of(tracker) == (len(tracker.events), self._newest(sender_id)):
            return tracker
        head = self._database.execute("SELECT first_id, data FROM head WHERE sender_id = ?", (sender_id,)).fetchone()
        first, prefix = (head[0], json.loads(head[1])) if head else (0, [])
        return self._build(sender_id, prefix, first)

    async def retrieve_full_tracker(self, conversation_id: str) -> DialogueStateTracker | None:
        """Everything ever said, for reading back."""
        return self._build(conversation_id, [], 0)

    def _build(self, sender_id: str, prefix: list[str], first: int) -> DialogueStateTracker | None:
        rows = self._database.execute(
            "SELECT id, data FROM event WHERE sender_id = ? AND id >= ? ORDER BY id", (sender_id, first)
        ).fetchall()
        if not rows:
            return None
        events = [_decode(data) for data in (*prefix, *(data for _, data in rows))]
        tracker = DialogueStateTracker.from_events(sender_id, events, self.domain.slots, self.max_event_history)
        _set_mark(tracker, len(tracker.events), rows[-1][0])
        return tracker

    def _newest(self, sender_id: str) -> int:
        row = self._database.execute("SELECT MAX(id) FROM event WHERE sender_id = ?", (sender_id,)).fetchone()
        return row[0] or 0

    # --- writing ---------------------------------------------------------------------------------------------------

    async def save(self, tracker: DialogueStateTracker) -> None:
        """Append what is new and cut the live part when it has grown past its limit, in one transaction.

        A tracker that did not come from this store replaces the live conversation; the past stays on disk.
        """
        known, seen = _mark_of(tracker) or (0, 0)
        fresh = list(tracker.events)[known:]
        rows = [(tracker.sender_id, event.type_name, event.timestamp, json.dumps(event.as_dict())) for event in fresh]
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            alone = self._newest(tracker.sender_id) == seen
            ids = [self._insert(row) for row in rows]
            starts = [number for number, event in zip(ids, fresh, strict=True) if isinstance(event, SessionStarted)]
            if starts:
                self._put_head(tracker.sender_id, starts[-1], [])
            elif ids and not known:
                self._put_head(tracker.sender_id, ids[0], [])
            as_reloaded = alone and not starts and not self._cut(tracker, len(fresh), alone)
        if ids:
            _set_mark(tracker, len(tracker.events), ids[-1])
        self._remember(tracker, as_reloaded)
        if self.event_broker is not None:
            await self._stream_new_events(self.event_broker, fresh, tracker.sender_id)

    def _insert(self, row: tuple[Any, ...]) -> int:
        cursor = self._database.execute(
            "INSERT INTO event (sender_id, type_name, timestamp, data) VALUES (?, ?, ?, ?)", row
        )
        return int(cursor.lastrowid or 0)

    def _put_head(self, sender_id: str, first: int, events: Sequence[Event]) -> None:
        data = json.dumps([json.dumps(event.as_dict()) for event in events])
        self._database.execute("INSERT OR REPLACE INTO head VALUES (?, ?, ?)", (sender_id, first, data))

    def _remember(self, tracker: DialogueStateTracker, as_reloaded: bool) -> None:
        """Keep the live tracker for the next turn if a reload would give the same."""
        self._cache.pop(tracker.sender_id, None)
        if as_reloaded:
            self._cache[tracker.sender_id] = tracker
        if len(self._cache) > self._cached_trackers:
            self._cache.popitem(last=False)

    def _cut(self, tracker: DialogueStateTracker, fresh: int, alone: bool) -> bool:
        """Begin the live part at a later quiet moment, if it has grown too long and there is one."""
        events = list(tracker.events)
        over = len(events) - self._limit
        due = over > 0 and (fresh >= over or over // _QUIET_STEP > (over - fresh) // _QUIET_STEP)
        # With another writer's events in between, places in this tracker are not places on disk.
        if not due or not alone:
            return False
        for place in _turn_ends(events, len(events) - self._kept):
            past = DialogueStateTracker.from_events(tracker.sender_id, events[: place + 1], self.domain.slots)
            if past.active_loop is None and not past.is_paused():
                first = self._id_from_end(tracker.sender_id, len(events) - place - 1)
                self._put_head(tracker.sender_id, first, _head_events(past))
                return True
        return False

    def _id_from_end(self, sender_id: str, count: int) -> int:
        """The id of the event that is `count` from the end."""
        row = self._database.execute(
            "SELECT id FROM event WHERE sender_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?", (sender_id, count - 1)
        ).fetchone()
        return int(row[0])


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    for attempt in range(_SET_UP_TRIES):
        try:
            with closing(database.cursor()) as cursor:
                cursor.execute("PRAGMA journal_mode = WAL")
                cursor.execute("PRAGMA synchronous = NORMAL")
                cursor.executescript(_SCHEMA)
            break
        except sqlite3.OperationalError:
            # Two processes that open a new file together: changing its journal does not wait for the other one.
            if attempt == _SET_UP_TRIES - 1:
                raise
            time.sleep(_SET_UP_PAUSE)
    return database


def _mark_of(tracker: DialogueStateTracker) -> tuple[int, int] | None:
    found: tuple[int, int] | None = getattr(tracker, _MARK, None)
    return found


def _set_mark(tracker: DialogueStateTracker, count: int, newest: int) -> None:
    setattr(tracker, _MARK, (count, newest))


def _turn_ends(events: Sequence[Event], latest: int) -> Iterable[int]:
    """Places up to `latest`, last first, where the bot listens and a resident speaks next."""
    for place in range(min(latest, len(events) - 2), -1, -1):
        event = events[place]
        listens = isinstance(event, ActionExecuted) and event.action_name == ACTION_LISTEN_NAME
        if listens and isinstance(events[place + 1], UserUttered):
            yield place


def _head_events(past: DialogueStateTracker) -> list[Event]:
    """A session that begins with the slots as they stood."""
    at = past.events[-1].timestamp
    slots = [
        SlotSet(name, slot.value, timestamp=at) for name, slot in past.slots.items() if slot.value != slot.initial_value
    ]
    return [SessionStarted(timestamp=at), *slots, ActionExecuted(ACTION_LISTEN_NAME, timestamp=at)]
