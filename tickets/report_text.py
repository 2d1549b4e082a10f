"""Reports as short messages. The numbers are those of tickets/reports.py; nothing is counted here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy.orm import Session

from storage.models import Ticket
from tickets.catalog import category
from tickets.kpi import ENOUGH, Figures, Ratio, building_of
from tickets.notify import facts
from tickets.places import place_display
from tickets.reports import Count, Report, Standing, building_name, late_reason
from tickets.texts import clock, say

LIST_LINES = 5
# What a week is judged by; the month shows all of them (domain.md §6.4).
WEEKLY = (
    "accept_in_time",
    "arrive_in_time",
    "finish_in_time",
    "first_time_right",
    "reworked",
    "satisfied",
    "rated",
    "complaints_in_time",
    "promises_kept",
)
ORDER = ("BX", "TS", "ZX", "JY", "BY", "YH")


def value_of(figures: Figures, name: str) -> str:
    """A figure as it is shown everywhere: with its counts, a dash when there was nothing to count."""
    value = getattr(figures, name)
    return "–" if value is None else str(value)


def figure_line(figures: Figures, name: str, last: Figures | None = None) -> str:
    before = getattr(last, name) if last else None
    known = before is not None and (not isinstance(before, Ratio) or before.of > 0)
    change = say("report.change", value=_short(before)) if known else ""
    return say("report.figure_line", name=say(f"figure.{name}"), value=value_of(figures, name), change=change)


def _short(value: object) -> str:
    return f"{value.percent:.1f}%" if isinstance(value, Ratio) else str(value)


def period_text(report: Report, session: Session) -> str:
    """周报 and 月报: the figures against the last period, what occurs most, what breaks again and again."""
    figures, month = report.figures, report.period.unit in ("month", "year")
    lines = [
        say("report.head", title=report.title, scope=report.scope, period=report.period.label),
        say("report.intake", new=report.taken_in, done=report.finished, open=report.still_open, overdue=report.overdue),
    ]
    if not (report.taken_in or report.finished):
        return "\n".join([*lines, say("report.all_none")])
    if figures.jobs < ENOUGH:
        lines[-1] += say("report.too_few")
    names = [name for name, _ in figures.items()] if month else list(WEEKLY)
    lines += [figure_line(figures, name, report.last) for name in names if value_of(figures, name) != "–"]
    for key in ("faults", "buildings", "complaints", "slowest"):
        lines += top_line(key, getattr(report, key))
    lines += hot_spot_lines(report, session)
    if report.quotes:
        lines += [say("report.quotes") + say("list.colon"), *report.quotes]
    return "\n".join(lines)


def top_line(key: str, counts: Sequence[Count]) -> list[str]:
    shown = [say("report.item", name=one.name, count=one.value) for one in counts if one.value]
    return [say("report.top", name=say(f"report.{key}"), items=say("list.comma").join(shown))] if shown else []


def hot_spot_lines(report: Report, session: Session) -> list[str]:
    found = [
        say(
            "report.hot_spot",
            place=place_of(session, report.community_id, spot.place_key),
            what=category(spot.code).name,
            count=spot.times,
        )
        for spot in report.hot_spots[:3]
    ]
    return [say("report.top", name=say("report.hot_spots"), items=say("list.comma").join(found))] if found else []


def counts_text(now_is: Standing) -> str:
    """New, finished, open and overdue: in all, by kind, by class."""
    total = {name: sum(getattr(now_is, name).values()) for name in ("taken_in", "finished", "open")}
    lines = [
        say(
            "report.counts_head",
            name=now_is.day.label,
            scope=now_is.scope,
            at=clock(now_is.now, now_is.now),
            new=total["taken_in"],
            done=total["finished"],
            open=total["open"],
            overdue=len(now_is.overdue),
        )
    ]
    lines += [
        say(
            "report.kind_line",
            kind=say(f"kind.{kind}"),
            new=now_is.taken_in.get(kind, 0),
            done=now_is.finished.get(kind, 0),
            open=now_is.open.get(kind, 0),
        )
        for kind in ORDER
        if any(kind in counts for counts in (now_is.taken_in, now_is.finished, now_is.open))
    ]
    levels = [say("report.level_count", level=one, count=now_is.open_levels[one]) for one in sorted(now_is.open_levels)]
    if levels:
        lines.append(say("report.levels", levels=say("list.comma").join(levels)))
    return "\n".join(lines)


def daily_text(session: Session, now_is: Standing) -> str:
    """日报: the hand-over of a shift, each list cut to a phone's screen."""
    return "\n".join([counts_text(now_is), *_sections(session, now_is)])


def _sections(session: Session, now_is: Standing) -> list[str]:
    now = now_is.now
    lines: list[str] = []

    def section(name: str, tickets: Sequence[Ticket], line: str, more: Callable[[Ticket], dict[str, object]]) -> None:
        if not tickets:
            return
        lines.append(say(f"report.section_{name}", count=len(tickets)))
        for ticket in tickets[:LIST_LINES]:
            who = ticket.handler.name if ticket.handler else say("person.nobody")
            lines.append(say(f"report.{line}", **{**facts(ticket, now), "who": who, **more(ticket)}))
        if len(tickets) > LIST_LINES:
            lines.append(say("report.rest", count=len(tickets) - LIST_LINES))

    section("overdue", now_is.overdue, "overdue_line", lambda one: {"why": late_reason(session, one)})
    section(
        "hold",
        now_is.on_hold,
        "hold_line",
        lambda one: {"reason": one.hold_reason, "wake": clock(one.wake_at, now)},
    )
    section("waiting", now_is.waiting_long, "plain_line", lambda _: {})
    section("promises", now_is.promises, "promise_line", lambda one: {"at": clock(one.finish_by, now)})
    section("emergencies", now_is.emergencies, "plain_line", lambda _: {})
    if now_is.callbacks:
        lines.append(say("report.callbacks", count=now_is.callbacks))
    return lines


def place_of(session: Session, community_id: int, key: str) -> str:
    """A place as people say it: a home by the register, a public area as the building and what it is."""
    if not key.startswith("PUB:"):
        return place_display(session, community_id, key)
    *_, area = key.split("/")
    building = building_of(key)
    return (building_name(session, community_id, building) if building else "") + area
