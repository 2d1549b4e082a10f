"""Leaders' questions and acts in chat (domain.md §6.4, §7.4): read the words, ask tickets/, answer shortly, with buttons."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from bot import logins
from bot.speech import Command, Context, Reply, find_ticket
from nlu.expected_time import parse_until
from storage.files import save_photo
from storage.models import Ticket
from tickets import (
    asking,
    audit,
    binding,
    desk_lists,
    finding,
    leading,
    notify,
    report_book,
    report_text,
    reports,
    verbs,
)
from tickets.catalog import category
from tickets.desk_lists import Page
from tickets.errors import NotAllowed
from tickets.ledger import scope_of
from tickets.people import helps, staff_named
from tickets.periods import Period, period, read_period
from tickets.texts import LOCAL, clock, say

MAX_PICTURE = 5_000_000
BUTTONS_OF_A_LIST = 5
ASKED_PAUSE = timedelta(hours=24)

BUTTONS = {
    "nudge": "nudge",
    "why": "why",
    "approve_hold": "approve_hold",
    "home_yes": "home_yes",
    "home_no": "home_no",
}


# --- lists ------------------------------------------------------------------------------------------------------------


def _page(page: Page, now: datetime) -> Reply:
    """A list with a button for each of its first tickets, and one for the next page."""
    buttons = [(f"status:{one.id}", desk_lists.short_no(one, now)) for one in page.tickets[:BUTTONS_OF_A_LIST]]
    if page.next_words and len(page.next_words.encode()) <= 60:
        buttons.append((f"say:{page.next_words}", say("button.next_page")))
    return Reply(page.text, tuple(buttons))


def _list(name: str) -> Callable[[Context, Command], Reply]:
    def runner(context: Context, command: Command) -> Reply:
        page = max(1, int(command.values.get("page") or 1))
        return _page(desk_lists.page_of(context.session, context.staff, name, page, context.now), context.now)

    return runner


def _today(context: Context, command: Command) -> Reply:
    shown = tuple((f"say:{words}", words) for words in say("words.after_today").split())
    return Reply(desk_lists.today(context.session, context.staff, context.now), shown)


def _load(context: Context, command: Command) -> Reply:
    colleague = staff_named(context.session, context.staff.community_id, command.values["person"])
    return Reply(desk_lists.load(context.session, colleague, context.now))


def _count(context: Context, command: Command) -> Reply:
    return _page(asking.count(context.session, context.staff, command.values["words"], context.now), context.now)


def _top(context: Context, command: Command) -> Reply:
    return Reply(asking.top(context.session, context.staff, command.values["words"], context.now))


def _figure(context: Context, command: Command) -> Reply:
    return Reply(asking.figure(context.session, context.staff, command.values["words"], context.now))


def _status(context: Context, command: Command) -> Reply:
    """Where a ticket stands, with what its reader may do next."""
    ticket = find_ticket(context, command, lambda: finding.jobs_of(context.session, context.staff))
    if not desk_lists.visible(context.session, ticket, context.actor) or others_complaint(context, ticket):
        raise NotAllowed(action="status")
    text = desk_lists.timeline(context.session, ticket, context.now, context.staff)
    return Reply(text, _acts(context, ticket) if context.staff.role != "worker" else ())


def others_complaint(context: Context, ticket: Ticket) -> bool:
    """Words and identity of a complaint are for its handler, the desk, its department and the manager (domain.md §9.3)."""
    if ticket.kind != "TS" or context.staff.role != "supervisor" or ticket.handler_id == context.staff.id:
        return False
    if helps(context.session, ticket, context.staff):
        return False
    scope = scope_of(context.staff)
    return bool(scope.department and ticket.department != scope.department)


def _acts(context: Context, ticket: Ticket) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    if ticket.closed_at is None and ticket.handler_id not in (None, context.staff.id):
        found.append((f"nudge:{ticket.id}", say("button.nudge")))
    if ticket.handler_id is not None:
        found.append((f"why:{ticket.id}", say("button.why")))
    if ticket.status == "on_hold" and ticket.wake_at and ticket.wake_at - context.now > ASKED_PAUSE:
        found.append((f"approve_hold:{ticket.id}", say("button.approve_hold")))
    if ticket.status == "done" and ticket.public_area and ticket.handler_id != context.staff.id:
        found += [(f"confirm:{ticket.id}", say("button.pass")), (f"not_fixed:{ticket.id}", say("button.fail"))]
    return tuple(found)


def _why(context: Context, command: Command) -> Reply:
    """为什么派给他: of the ticket named, else of the one dispatched last."""
    ticket = find_ticket(context, command, lambda: _last_dispatched(context))
    return Reply(leading.why(context.session, ticket, context.actor, context.now))


def _last_dispatched(context: Context) -> list[Ticket]:
    found = desk_lists.chosen(context.session, context.staff, "open_jobs", context.now)
    held = [one for one in found if one.handler_id is not None and one.kind in ("BX", "YH")]
    return [max(held, key=lambda one: one.id)] if held else []


def _preventive(context: Context, command: Command) -> Reply:
    spots = reports.preventive(context.session, scope_of(context.staff), context.now)
    lines = [
        say(
            "report.hot_spot",
            place=report_text.place_of(context.session, context.staff.community_id, spot.place_key),
            what=category(spot.code).name,
            count=spot.times,
        )
        for spot in spots[: desk_lists.PAGE]
    ]
    head = say("lead.preventive_head", count=len(spots))
    return Reply("\n".join([head, *lines]) if lines else head + say("staff.nothing"))


# --- acts -------------------------------------------------------------------------------------------------------------


def _nudge(context: Context, command: Command) -> Reply:
    ticket = find_ticket(context, command, list)
    asked = leading.nudge(context.session, ticket, context.actor, context.now)
    return Reply(say("lead.nudged", no=ticket.ticket_no, name=asked.name))


def _level(context: Context, command: Command) -> Reply:
    """升级 and 降级, to the class named or by one step."""
    ticket = find_ticket(context, command, list)
    level = command.values.get("level", "").upper() or _next_level(ticket.level, command.values["direction"])
    reason = command.values.get("reason", "").strip("，, ")
    verbs.change_level(context.session, ticket, context.actor, level, reason, context.now)
    return Reply(say("staff.level_changed", no=ticket.ticket_no, level_code=level))


def _next_level(level: str, direction: str) -> str:
    step = -1 if direction == say("words.raise") else 1
    return f"{level[0]}{int(level[1]) + step}"


def _check_list(context: Context, command: Command) -> Reply:
    """抽查: a tenth of what was closed, with what a leader has looked at already."""
    span_ = read_period(command.values.get("words", ""), context.now) or period("last_week", context.now)
    tickets = reports.spot_check(context.session, scope_of(context.staff), span_)
    seen = leading.checked_again(context.session, tickets)
    lines = [
        say("staff.line", **{**notify.facts(one, context.now), "tail": one.ticket_no})
        + (say("lead.checked") if one.id in seen else "")
        for one in tickets
    ]
    head = say("lead.check_head", period=span_.label, count=len(tickets))
    buttons = tuple((f"status:{one.id}", one.ticket_no) for one in tickets[:BUTTONS_OF_A_LIST])
    return Reply("\n".join([head, *lines, say("lead.check_how")]) if lines else head + say("staff.nothing"), buttons)


def _check_again(context: Context, command: Command) -> Reply:
    ticket = find_ticket(context, command, list)
    good = command.values["verdict"] not in say("words.inspect_fail").split()
    leading.check_again(context.session, ticket, context.actor, good, command.values["note"].strip("，, "), context.now)
    return Reply(say("lead.check_good" if good else "lead.check_bad", no=ticket.ticket_no))


def _rectify(context: Context, command: Command) -> Reply:
    """整改 0012 @李工 6月20日 换立管: the date is in the words, the rest is what to do."""
    ticket = find_ticket(context, command, list) if command.values["no"] else None
    owner = staff_named(context.session, context.staff.community_id, command.values["person"])
    due = parse_until(command.values["what"], context.now)
    if due is None:
        return Reply(say("lead.rectify_when"))
    row = leading.rectify(
        context.session, context.actor, owner, command.values["what"], due, context.now, ticket=ticket
    )
    return Reply(leading.rectification_line(row, context.now))


def _rectified(context: Context, command: Command) -> Reply:
    number, note = int(command.values["id"]), command.values["note"].strip("，, ")
    row = leading.rectified(context.session, context.actor, number, note, context.now)
    return Reply(say("lead.rectified", id=row.id, what=row.what))


def _rectifications(context: Context, command: Command) -> Reply:
    rows = leading.open_rectifications(context.session, context.staff)
    head = say("lead.rectifications_head", count=len(rows))
    lines = [leading.rectification_line(row, context.now) for row in rows[: desk_lists.PAGE]]
    return Reply("\n".join([head, *lines]) if lines else head + say("staff.nothing"))


def _invite(context: Context, command: Command) -> Reply:
    """A one-time code for a colleague who joins; only leaders give codes, and none above themselves."""
    colleague = staff_named(context.session, context.staff.community_id, command.values["person"])
    ranks = ("worker", "desk", "supervisor", "manager")
    if context.staff.role not in ("supervisor", "manager") or ranks.index(colleague.role) > ranks.index(
        context.staff.role
    ):
        raise NotAllowed(action="invite")
    code = logins.make_code(context.session, colleague, context.now)
    audit.note(
        context.session, context.staff.community_id, context.actor, "invite", context.now,
        target=f"staff:{colleague.id}", allowed=True,
    )  # fmt: skip
    return Reply(say("lead.invite", name=colleague.name, code=code))


def _home(agreed: bool) -> Callable[[Context, Command], Reply]:
    def runner(context: Context, command: Command) -> Reply:
        number = command.ticket_id if command.ticket_id is not None else int(command.values["id"])
        tie = binding.decide(context.session, context.actor, number, agreed, context.now)
        name = tie.resident.salutation or tie.resident.name or say("person.unnamed")
        key = "bind_desk.agreed" if agreed else "bind_desk.refused"
        return Reply(say(key, home=tie.household.display, name=name))

    return runner


def _undelivered(context: Context, command: Command) -> Reply:
    """谁没收到: whom no message reached, and has to be telephoned."""
    rows = leading.undelivered(context.session, context.staff.community_id, context.now)
    lines = [
        say(
            "lead.undelivered",
            name=one.name,
            home=one.home,
            phone=one.phone,
            count=one.count,
            tails=" ".join(one.tails),
        )
        for one in rows[: desk_lists.PAGE]
    ]
    if len(rows) > desk_lists.PAGE:
        lines.append(say("report.rest", count=len(rows) - desk_lists.PAGE))
    head = say("lead.undelivered_head", count=len(rows))
    return Reply("\n".join([head, *lines]) if lines else say("lead.undelivered_none"))


def _own(context: Context, command: Command) -> Reply:
    return Reply(asking.own(context.session, context.staff, context.now))


# --- reports ----------------------------------------------------------------------------------------------------------


def span_named(words: str, context: Context) -> Period:
    """The span a report is asked about; 月报 and 周报 without more mean the last whole one, 日报 today."""
    named = read_period(words, context.now)
    if named is not None:
        return named
    for word, key in (("week", "last_week"), ("month", "last_month"), ("day", "today")):
        if re.search(say(f"words.report_{word}"), words):
            return period(key, context.now)
    return period("this_month", context.now)


def _report(context: Context, command: Command) -> Reply:
    """报表 本月: the text, and the picture as a message of its own."""
    if context.staff.role == "worker":
        raise NotAllowed(action="report")
    span_ = span_named(command.values.get("words", ""), context)
    scope = scope_of(context.staff)
    if span_.days == 1:
        return Reply(
            report_text.daily_text(context.session, reports.standing(context.session, scope, span_, context.now))
        )
    report = reports.build(context.session, scope, span_, context.now)
    text = report_text.period_text(report, context.session)
    # Drawing loads a library of its own, which a bot that draws nothing does without.
    from tickets.report_picture import picture

    drawn = picture(report)
    if drawn is None:
        return Reply(f"{text}\n{say('report.no_font')}", _export_button(context, span_))
    stored = save_photo(context.files, drawn, MAX_PICTURE)
    notify.push(
        context.session, context.staff, report.title, key=f"{context.key}:picture", now=context.now,
        conversation_id=context.conversation.id, image_key=stored.key,
    )  # fmt: skip
    return Reply(text, _export_button(context, span_))


def _export_button(context: Context, span_: Period) -> tuple[tuple[str, str], ...]:
    if not audit.may_export(context.staff):
        return ()
    return ((f"say:{say('words.export')} {span_.name}", say("button.export")),)


LISTS = {
    "overdue": "overdue",
    "unaccepted": "unaccepted",
    "waiting": "waiting",
    "on_hold": "on_hold",
    "open": "open_jobs",
}


def _export(context: Context, command: Command) -> Reply:
    """导出 超时, 导出 本月: a workbook behind a link that lasts a day."""
    if not audit.may_export(context.staff):
        raise NotAllowed(action="export")
    words = command.values.get("words") or command.values.get("also", "")
    found = next((key for key in LISTS if re.search(say(f"words.list_{key}"), words)), "")
    if found:
        tickets: Sequence[Ticket] = desk_lists.chosen(context.session, context.staff, LISTS[found], context.now)
        title = say(f"lead.list_{found}")
        content = report_book.ticket_book(title, tickets)
    else:
        span_ = read_period(words, context.now)
        if span_ is None:
            return Reply(say("lead.export_what"))
        scope = scope_of(context.staff)
        report = reports.build(context.session, scope, span_, context.now)
        tickets = reports.tickets_of(context.session, scope, span_)
        title, content = report.title, report_book.workbook(context.session, report, tickets)
    stamp = context.now.astimezone(LOCAL).strftime("%Y%m%d-%H%M")
    token = audit.keep_export(context.session, context.staff, f"{title} {stamp}.xlsx", content, context.now)
    until = clock(context.now + audit.LINK_LASTS, context.now)
    return Reply(
        say("lead.export", title=title, count=len(tickets), link=f"{context.address}/api/exports/{token}", until=until)
    )


RUNNERS: dict[str, Callable[[Context, Command], Reply]] = {
    "today": _today,
    "unaccepted": _list("unaccepted"),
    "overdue": _list("overdue"),
    "waiting": _list("waiting"),
    "open_jobs": _list("open_jobs"),
    "on_hold": _list("on_hold"),
    "load": _load,
    "count": _count,
    "top": _top,
    "figure": _figure,
    "status": _status,
    "why": _why,
    "preventive": _preventive,
    "nudge": _nudge,
    "level": _level,
    "check_list": _check_list,
    "check_again": _check_again,
    "rectify": _rectify,
    "rectified": _rectified,
    "rectifications": _rectifications,
    "invite": _invite,
    "home_yes": _home(True),
    "home_no": _home(False),
    "undelivered": _undelivered,
    "own": _own,
    "report": _report,
    "export": _export,
}

# What these answer names flats and people: never into a group (domain.md §9.3).
PRIVATE = frozenset(RUNNERS) - {"nudge", "level", "check_again", "rectify", "rectified", "home_yes", "home_no"}
