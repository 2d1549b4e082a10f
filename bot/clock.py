"""The one place where the time of day is read (architecture.md §2.7)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from tickets.texts import LOCAL

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Now, in the community's time zone: residents' words such as 明天下午 are read in it."""
    return datetime.now(LOCAL)


def file_clock(path: Path) -> Clock:
    """A clock for tests: it stands at the ISO moment written in `path` until the file says another."""

    def now() -> datetime:
        moment = datetime.fromisoformat(path.read_text("utf-8").strip())
        if moment.tzinfo is None:
            raise ValueError(f"{path}: the moment needs a time zone")
        return moment.astimezone(LOCAL)

    return now
