"""Reports that come by themselves: 日报 08:30 and 18:30, 周报 on Monday, 月报 on the first working day (domain.md §6.4).

They are made while only reading, and then queued in a short transaction. A counter per community and kind remembers the last one
sent, in that transaction, so that a restart sends none twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.making import drawn_report
from storage.files import save_photo
from storage.models import Community, Counter, Staff
from tickets import notify, report_text, reports
from tickets.ledger import Scope, scope_of
from tickets.periods import midnight, period
from tickets.texts import LOCAL, say
from tickets.workdays import is_working_day

DAILY, WEEKLY, MONTHLY = (time(8, 30), time(18, 30)), time(9, 0), time(9, 0)
MAX_PICTURE = 5_000_000
# Who gets them: leaders of the staff. The front desk asks when it wants one.
ROLES = ("supervisor", "manager")
# A report that could not go for so long (the bot was off) is not worth sending any more.
TOO_OLD = timedelta(hours=12)


def last_due(kind: str, now: datetime) -> datetime:
    """The latest moment not after `now` at which this report was due."""
    today = midnight(now)
    for back in range(40):
        day = today - timedelta(days=back)
        for at in reversed(_times(kind, day)):
            moment = datetime.combine(day.date(), at, LOCAL)
            if moment <= now:
                return moment
    raise AssertionError("a month has a working day")


def _times(kind: str, day: datetime) -> tuple[time, ...]:
    if kind == "daily":
        return DAILY
    if kind == "weekly":
        return (WEEKLY,) if day.weekday() == 0 else ()
    return (MONTHLY,) if _first_working_day(day) else ()


def _first_working_day(day: datetime) -> bool:
    earlier = (day.replace(day=number).date() for number in range(1, day.day))
    return is_working_day(day.date()) and not any(map(is_working_day, earlier))


@dataclass(frozen=True)
class Bulletin:
    """One report as it goes to one leader, or to the groups of staff (`staff_id` None)."""

    staff_id: int | None
    key: str
    text: str
    image: str = ""


@dataclass(frozen=True)
class Due:
    """A kind of report of one community whose time has come, with what is to be sent; the first one of an installation and one
    that is too old are only noted."""

    community_id: int
    kind: str
    at: datetime
    bulletins: tuple[Bulletin, ...] = ()


def make_due(session: Session, files: Path, now: datetime) -> list[Due]:
    """Make what has become due since the last time, for every leader what their role may see. Reads only; pictures are kept
    among the files."""
    found = []
    for community in session.scalars(select(Community.id).order_by(Community.id)).all():
        for kind in ("daily", "weekly", "monthly"):
            at = last_due(kind, now)
            last = session.get(Counter, _counter(community, kind))
            if last is None or last.value < int(at.timestamp()):
                wanted = last is not None and now - at <= TOO_OLD
                made = tuple(_made(session, community, kind, at, files, now)) if wanted else ()
                found.append(Due(community, kind, at, made))
    return found


def send_made(session: Session, due: Sequence[Due], now: datetime) -> None:
    """Queue what was made, unless another process has done so meanwhile."""
    for one in due:
        if _is_new(session, _counter(one.community_id, one.kind), one.at, now):
            for bulletin in one.bulletins:
                _push(session, one, bulletin, now)


def _counter(community_id: int, kind: str) -> str:
    return f"bulletin:{community_id}:{kind}"


def _push(session: Session, due: Due, bulletin: Bulletin, now: datetime) -> None:
    if bulletin.staff_id is None:
        notify.say_in_groups(session, due.community_id, bulletin.text, key=bulletin.key, now=now)
        return
    staff = session.get_one(Staff, bulletin.staff_id)
    notify.push(session, staff, bulletin.text, key=bulletin.key, now=now)
    if bulletin.image:
        # Apart, because words under a picture have to be short in some channels.
        text = say("report.picture_of")
        notify.push(session, staff, text, key=f"{bulletin.key}:picture", now=now, image_key=bulletin.image)


def _is_new(session: Session, name: str, due: datetime, now: datetime) -> bool:
    """Whether this one was not sent yet; a new installation begins with the next."""
    row = session.get(Counter, name)
    moment = int(due.timestamp())
    if row is None:
        session.add(Counter(name=name, value=moment))
        session.flush()
        return False
    if row.value >= moment:
        return False
    row.value = moment
    return now - due <= TOO_OLD


def _made(
    session: Session, community_id: int, kind: str, due: datetime, files: Path, now: datetime
) -> Iterator[Bulletin]:
    key = f"bulletin:{kind}:{int(due.timestamp())}"
    query = select(Staff).where(Staff.community_id == community_id, Staff.active, Staff.role.in_(ROLES))
    made: dict[Scope, tuple[str, str]] = {}
    for staff in session.scalars(query.order_by(Staff.id)):
        scope = scope_of(staff)
        if scope not in made:
            made[scope] = _daily(session, scope, now) if kind == "daily" else _longer(session, scope, kind, files, now)
        yield Bulletin(staff.id, f"{key}:staff:{staff.id}", *made[scope])
    if kind == "daily":
        # The groups of staff hear the numbers of the whole estate; places and names are for leaders.
        standing = reports.standing(session, Scope(community_id), period("today", now), now)
        yield Bulletin(None, key, report_text.counts_text(standing))


def _daily(session: Session, scope: Scope, now: datetime) -> tuple[str, str]:
    return report_text.daily_text(session, reports.standing(session, scope, period("today", now), now)), ""


def _longer(session: Session, scope: Scope, kind: str, files: Path, now: datetime) -> tuple[str, str]:
    report = reports.build(session, scope, period("last_week" if kind == "weekly" else "last_month", now), now)
    text, drawn = drawn_report(session, report)
    return text, save_photo(files, drawn, MAX_PICTURE).key if drawn else ""
