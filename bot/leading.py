"""Leaders' questions and acts in chat (domain.md §6.4, §7.4): read the words, ask tickets/, answer shortly, with buttons."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from bot import logins, making
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
    report_text,
    reports,
    rights,
    verbs,
)
from tickets.catalog import category
from tickets.desk_lists import Page
from tickets.errors import NotAllowed
from tickets.ledger import scope_of
from tickets.people import helps, is_accused, staff_named
from tickets.periods import Period, period, read_period
from tickets.texts import LOCAL, clock, say
from tickets.wording import check_wording

MAX_PICTURE = 5_000_000
BUTTONS_OF_A_LIST = 5
ASKED_PAUSE = timedelta(hours=24)

BUTTONS = {
    "nudge": "nudge",
    "why": "why",
    "approve_hold": "approve_hold",
    "home_yes": "home_yes",
    "home_no": "home_no",
    "right_yes": "right_yes",
    "right_no": "right_no",
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
    return Reply(desk_lists.load(context.session, colleague, context.now, context.staff))


def _on_duty(context: Context, command: Command) -> Reply:
    return Reply(desk_lists.on_duty(context.session, context.staff, context.now))


def _count(context: Context, command: Command) -> Reply:
    return _page(asking.count(context.session, context.staff, command.values["words"], context.now), context.now)


def _compare(context: Context, command: Command) -> Reply:
    return Reply(asking.compare(context.session, context.staff, command.values["words"], context.now))


def _top(context: Context, command: Command) -> Reply:
    return Reply(asking.top(context.session, context.staff, command.values["words"], context.now))


def _figure(context: Context, command: Command) -> Reply:
    return Reply(asking.figure(context.session, context.staff, command.values["words"], context.now))


def _status(context: Context, command: Command) -> Reply:
    """Where a ticket stands, with what its reader may do next."""
    ticket = find_ticket(context, command, lambda: finding.jobs_of(context.session, context.staff))
    if not desk_lists.visible(context.session, ticket, context.actor) or others_complaint(context, ticket):
        raise NotAllowed(action="status")
    if ticket.handler_id != context.staff.id:
        # Whoever asks who saw their data hears of it (domain.md §9.5).
        audit.note(
            context.session, context.staff.community_id, context.actor, audit.LOOK, context.now,
            target=ticket.ticket_no, allowed=True,
        )  # fmt: skip
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


NUDGED = 3
"""So many jobs a colleague is asked about at once."""


def _nudge_worker(context: Context, command: Command) -> Reply:
    """催一下赵师傅: about what he is late with, else about what is due next."""
    colleague = staff_named(context.session, context.staff.community_id, command.values["person"])
    jobs = finding.jobs_of(context.session, colleague, "assigned", "in_progress", "rework", "survey")
    jobs = sorted((one for one in jobs if not is_accused(one, context.staff)), key=due_next)
    late = [one for one in jobs if due_next(one) < context.now]
    asked = (late or jobs)[: NUDGED if late else 1]
    for ticket in asked:
        leading.nudge(context.session, verbs.load(context.session, ticket.id), context.actor, context.now)
    if not asked:
        return Reply(say("staff.nudged_none", name=colleague.name))
    head = say("staff.nudged_late" if late else "staff.nudged_next", name=colleague.name, count=len(late))
    return Reply(f"{head}\n{desk_lists.lines(asked, context.now)}")


def due_next(ticket: Ticket) -> datetime:
    """By when something about a job has to happen: to be taken, to be reached, to be finished."""
    coming = ticket.accept_by if ticket.accepted_at is None else None
    due = coming or (None if ticket.arrived_at else ticket.arrive_by) or ticket.finish_by
    return due or ticket.created_at + NO_LIMIT


NO_LIMIT = timedelta(days=365)


def _level(context: Context, command: Command) -> Reply:
    """升级 and 降级, to the class named or by one step."""
    ticket = find_ticket(context, command, list)
    level = command.values.get("level", "").upper() or _next_level(ticket.level, command.values["direction"])
    reason = command.values.get("reason", "").strip("，, ")
    verbs.change_level(context.session, ticket, context.actor, level, reason, context.now)
    return Reply(say("staff.level_changed", no=ticket.ticket_no, level_code=level))


def _next_level(level: str, direction: str) -> str:
    step = 1 if direction.startswith(say("words.lower")) else -1
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


def _right(agreed: bool) -> Callable[[Context, Command], Reply]:
    """A resident's wish about their own data: 同意改电话 ZX…, 不同意删除 ZX… 原因."""

    def runner(context: Context, command: Command) -> Reply:
        ticket = find_ticket(context, command, list)
        reason = command.values.get("reason", "").strip("，, ")
        if not agreed and not reason:
            return Reply(say("rights_desk.reason_wanted", no=ticket.ticket_no))
        check_wording(reason)
        rights.decide(context.session, ticket, context.actor, agreed, reason, context.now)
        return Reply(say("staff.answered", no=ticket.ticket_no))

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


def _report(context: Context, command: Command) -> Reply:
    """报表 本月: the text, and the picture as a message of its own."""
    made = context.made or making.make(context.session, context.staff, command, context.now)
    if made.span is None:
        return Reply(made.text)
    if made.picture is not None:
        stored = save_photo(context.files, made.picture, MAX_PICTURE)
        notify.push(
            context.session, context.staff, made.title, key=f"{context.key}:picture", now=context.now,
            conversation_id=context.conversation.id, image_key=stored.key,
        )  # fmt: skip
    return Reply(made.text, _export_button(context, made.span))


def _export_button(context: Context, span_: Period) -> tuple[tuple[str, str], ...]:
    if not audit.may_export(context.staff):
        return ()
    return ((f"say:{say('words.export')} {span_.name}", say("button.export")),)


def _export(context: Context, command: Command) -> Reply:
    """导出 超时, 导出 本月: a workbook behind a link that lasts a day."""
    made = context.made or making.make(context.session, context.staff, command, context.now)
    if not made.workbook:
        return Reply(say("lead.export_what"))
    stamp = context.now.astimezone(LOCAL).strftime("%Y%m%d-%H%M")
    name = f"{made.title} {stamp}.xlsx"
    token = audit.keep_export(context.session, context.staff, name, made.workbook, context.now)
    until = clock(context.now + audit.LINK_LASTS, context.now)
    link = f"{context.address}/api/exports/{token}"
    return Reply(say("lead.export", title=made.title, count=made.count, link=link, until=until))


RUNNERS: dict[str, Callable[[Context, Command], Reply]] = {
    "today": _today,
    "unassigned": _list("unassigned"),
    "unaccepted": _list("unaccepted"),
    "overdue": _list("overdue"),
    "due_soon": _list("due_soon"),
    "open_complaints": _list("open_complaints"),
    "compare": _compare,
    "waiting": _list("waiting"),
    "open_jobs": _list("open_jobs"),
    "on_hold": _list("on_hold"),
    "urgent": _list("urgent"),
    "low_scores": _list("low_scores"),
    "on_duty": _on_duty,
    "load": _load,
    "count": _count,
    "top": _top,
    "figure": _figure,
    "status": _status,
    "why": _why,
    "preventive": _preventive,
    "nudge": _nudge,
    "nudge_worker": _nudge_worker,
    "level": _level,
    "check_list": _check_list,
    "check_again": _check_again,
    "rectify": _rectify,
    "rectified": _rectified,
    "rectifications": _rectifications,
    "invite": _invite,
    "home_yes": _home(True),
    "home_no": _home(False),
    "right_yes": _right(True),
    "right_no": _right(False),
    "undelivered": _undelivered,
    "own": _own,
    "report": _report,
    "export": _export,
}

# What these answer names flats and people: never into a group (domain.md §9.3).
PRIVATE = frozenset(RUNNERS) - {
    "nudge",
    "level",
    "check_again",
    "rectify",
    "rectified",
    "home_yes",
    "home_no",
    "right_yes",
    "right_no",
}
