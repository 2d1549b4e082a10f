"""Reports that come by themselves: 日报 08:30 and 18:30, 周报 on Monday, 月报 on the first working day (domain.md §6.4).

A counter per community and kind remembers the last one sent, in the transaction that queues it, so that a restart sends none twice.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

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


def send_due(session: Session, files: Path, now: datetime) -> None:
    """Queue what has become due since the last time, for every leader what their role may see."""
    for community in session.scalars(select(Community.id).order_by(Community.id)).all():
        for kind in ("daily", "weekly", "monthly"):
            due = last_due(kind, now)
            if _is_new(session, f"bulletin:{community}:{kind}", due, now):
                _send(session, community, kind, due, files, now)
                if kind == "daily":
                    _tell_groups(session, community, due, now)


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


def _send(session: Session, community_id: int, kind: str, due: datetime, files: Path, now: datetime) -> None:
    query = select(Staff).where(Staff.community_id == community_id, Staff.active, Staff.role.in_(ROLES))
    made: dict[Scope, tuple[str, str]] = {}
    for staff in session.scalars(query.order_by(Staff.id)):
        scope = scope_of(staff)
        if scope not in made:
            made[scope] = _daily(session, scope, now) if kind == "daily" else _longer(session, scope, kind, files, now)
        text, image = made[scope]
        key = f"bulletin:{kind}:{int(due.timestamp())}:staff:{staff.id}"
        notify.push(session, staff, text, key=key, now=now)
        if image:
            # Apart, because words under a picture have to be short in some channels.
            notify.push(session, staff, say("report.picture_of"), key=f"{key}:picture", now=now, image_key=image)


def _tell_groups(session: Session, community_id: int, due: datetime, now: datetime) -> None:
    """The groups of staff hear the numbers of the whole estate; places and names are for leaders."""
    standing = reports.standing(session, Scope(community_id), period("today", now), now)
    key = f"bulletin:daily:{int(due.timestamp())}"
    notify.say_in_groups(session, community_id, report_text.counts_text(standing), key=key, now=now)


def _daily(session: Session, scope: Scope, now: datetime) -> tuple[str, str]:
    return report_text.daily_text(session, reports.standing(session, scope, period("today", now), now)), ""


def _longer(session: Session, scope: Scope, kind: str, files: Path, now: datetime) -> tuple[str, str]:
    report = reports.build(session, scope, period("last_week" if kind == "weekly" else "last_month", now), now)
    # Drawing loads a library of its own, which a bot that draws nothing does without.
    from tickets.report_picture import picture

    drawn = picture(report)
    text = report_text.period_text(report, session)
    if drawn is None:
        return f"{text}\n{say('report.no_font')}", ""
    return text, save_photo(files, drawn, MAX_PICTURE).key
