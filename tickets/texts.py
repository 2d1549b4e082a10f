"""Every sentence the desk says, read from data/messages/*.yml; Python only fills the places.

A text is a string or a list of variants by situation is not needed: one key, one sentence. Missing values are our bug and
raise `KeyError` in tests; braces inside a value are never read as a place.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml

DATA = Path(__file__).resolve().parent.parent / "data"
LOCAL = ZoneInfo("Asia/Shanghai")


@cache
def _texts() -> dict[str, str]:
    texts: dict[str, str] = {}
    for name in ("pushes", "errors", "replies", "labels", "staff", "reports", "setup", "rights"):
        for key, value in (yaml.safe_load((DATA / "messages" / f"{name}.yml").read_text("utf-8")) or {}).items():
            if isinstance(value, dict):
                texts.update({f"{key}.{inner}": str(text).strip() for inner, text in value.items()})
            else:
                texts[key] = str(value).strip()
    return texts


def say(key: str, **values: object) -> str:
    """The sentence under `key` with its places filled."""
    return _texts()[key].format(**values)


def has_text(key: str) -> bool:
    return key in _texts()


def clock(moment: datetime | None, now: datetime) -> str:
    """A moment as people say it: 14:30 today, 明天 09:00, 6月15日 09:00. Empty for None."""
    if moment is None:
        return ""
    local, today = moment.astimezone(LOCAL), now.astimezone(LOCAL).date()
    days = (local.date() - today).days
    at = f"{local:%H:%M}"
    if days == 0:
        return say("clock.today", at=at)
    if days == 1:
        return say("clock.tomorrow", at=at, month=local.month, day=local.day)
    return say("clock.date", at=at, month=local.month, day=local.day)


def span(start: datetime, end: datetime | None, now: datetime) -> str:
    """A visit window: 今天15:00–16:00, 今天08:30–12月1日 20:30."""
    if end is None:
        return clock(start, now)
    same_day = start.astimezone(LOCAL).date() == end.astimezone(LOCAL).date()
    return f"{clock(start, now)}–" + (f"{end.astimezone(LOCAL):%H:%M}" if same_day else clock(end, now))
