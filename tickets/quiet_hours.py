"""When somebody may be written to, and how what waited becomes one message (domain.md §7.3). Pure: the moment is an argument."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cache

import yaml

from storage.models import OutboxMessage
from tickets.texts import DATA, LOCAL, say

ANY = "any"


@dataclass(frozen=True)
class Rules:
    """data/catalog/quiet.yml."""

    hours: dict[str, tuple[tuple[time, time], ...]]
    resume: dict[str, tuple[time, ...]]
    awake: timedelta
    kinds: dict[str, str]
    staff_any: frozenset[str]
    merge_most: int


@cache
def rules() -> Rules:
    data = yaml.safe_load((DATA / "catalog" / "quiet.yml").read_text("utf-8"))
    windows = data["windows"]
    return Rules(
        {
            kind: tuple((time.fromisoformat(start), time.fromisoformat(end)) for start, end in row["hours"])
            for kind, row in windows.items()
        },
        {kind: tuple(map(time.fromisoformat, row["next"])) for kind, row in windows.items()},
        timedelta(minutes=data["awake_minutes"]),
        {name: kind for kind, names in data["texts"].items() for name in names},
        frozenset(data["staff_any"]),
        data["merge_most"],
    )


def kind_of(key: str) -> str:
    """The hours a text keeps, by its name in data/messages/pushes.yml."""
    return rules().kinds.get(key.removeprefix("push."), "status")


def allowed_at(kind: str, now: datetime) -> datetime:
    """`now` if a message of this kind may be sent, else the next moment when it may."""
    if kind == ANY:
        return now
    local = now.astimezone(LOCAL)
    if any(start <= local.time() < end for start, end in rules().hours[kind]):
        return now
    days = (local.date(), local.date() + timedelta(days=1))
    starts = (datetime.combine(day, at, LOCAL) for day in days for at in rules().resume[kind])
    return min(start for start in starts if start > now)


def awake(last_heard: datetime | None, now: datetime) -> bool:
    """Whether somebody has just written, so that an answer disturbs nobody."""
    return last_heard is not None and now - last_heard <= rules().awake


def merge(rows: Sequence[OutboxMessage]) -> None:
    """What waited for the same hour becomes one message: the first row says it all, the others are taken back."""
    first, *rest = rows
    if not rest:
        return
    parts = [say("push.together_item", n=n, text=row.text) for n, row in enumerate(rows, 1)]
    first.text = say("push.together", count=len(rows)) + "\n" + "\n".join(parts)
    first.buttons = [
        [code, say("push.together_item", n=n, text=label)]
        for n, row in enumerate(rows, 1)
        for code, label in row.buttons
    ]
    first.priority = min(row.priority for row in rows)
    for row in rest:
        _take_back(row, first)


def _take_back(row: OutboxMessage, into: OutboxMessage) -> None:
    row.status, row.error = "withdrawn", f"merged:{into.id}"
