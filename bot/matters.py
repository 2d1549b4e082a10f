"""What leaders type about complaints, suggestions and praise, between the card and the closed file (docs/commands.md)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from bot.speech import Command, Context, Reply, find_ticket
from nlu.expected_time import parse_window
from storage.models import Ticket
from tickets import finding, lifecycle, verbs
from tickets.complaints import call_of
from tickets.people import staff_named
from tickets.texts import say, span
from tickets.wording import check_wording, own_numbers

VISIT = timedelta(hours=2)


def _mine(context: Context) -> list[Ticket]:
    """The open complaints this colleague has, or owes a call for."""
    jobs = [one for one in finding.jobs_of(context.session, context.staff) if one.kind == "TS"]
    owed = finding.open_complaints(context.session, context.staff.community_id)
    calls = [one for one in owed if call_of(one).get("who") == str(context.staff.id)]
    return list({one.id: one for one in [*calls, *jobs]}.values())


def _owed(context: Context) -> list[Ticket]:
    return [one for one in _mine(context) if call_of(one)] or _mine(context)


def _screened(context: Context, words: str) -> str:
    check_wording(words, own_numbers(context.session, context.staff.community_id))
    return words


def _called(context: Context, command: Command) -> Reply:
    """已电话: what was agreed goes to the resident; a time in it is the visit of the repair behind the complaint."""
    ticket = find_ticket(context, command, lambda: _owed(context))
    words = _screened(context, command.values["words"])
    verbs.called(context.session, ticket, context.actor, words, context.now)
    repair = verbs.load(context.session, ticket.linked_id) if ticket.linked_id else None
    window = parse_window(words, context.now, asked=True) if repair and repair.status in lifecycle.OPEN else None
    if repair is None or window is None or window.avoid or window.start <= context.now:
        return Reply(say("staff.called", no=ticket.ticket_no))
    end = window.end or window.start + VISIT
    verbs.fix_visit(context.session, repair, context.actor, window.start, end, context.now)
    start = span(window.start, None, context.now)
    return Reply(say("staff.called_visit", no=ticket.ticket_no, repair=repair.ticket_no, start=start))


def _call_back(context: Context, command: Command) -> Reply:
    ticket = find_ticket(context, command, list)
    verdict, note = command.values["verdict"], command.values["note"].strip("，, ")
    satisfied = None
    if verdict not in say("words.not_reached").split():
        satisfied = verdict not in say("words.not_content").split()
    verbs.call_back(context.session, ticket, context.actor, satisfied, note, context.now)
    result = {True: "content", False: "not_content", None: "not_reached"}[satisfied]
    return Reply(say("staff.called_back", no=ticket.ticket_no, result=say(f"callback.{result}")))


def _cause(context: Context, command: Command) -> Reply:
    ticket = find_ticket(context, command, lambda: _mine(context))
    cause, prevention = (command.values.get(name, "").strip("，,。 ") for name in ("cause", "prevention"))
    left = verbs.give_cause(context.session, ticket, context.actor, cause, prevention, context.now)
    if left:
        return Reply(say("staff.cause_partly", no=ticket.ticket_no, missing=verbs.missing_text(ticket)))
    key = "staff.cause_closed" if ticket.status == "closed" else "staff.cause_noted"
    return Reply(say(key, no=ticket.ticket_no))


def _helper(context: Context, command: Command) -> Reply:
    ticket = find_ticket(context, command, list)
    colleague = staff_named(context.session, context.staff.community_id, command.values["person"])
    new = verbs.add_helper(context.session, ticket, colleague, context.actor, context.now)
    worker = ticket.handler.name if ticket.handler else say("person.nobody")
    key = "staff.helper_added" if new else "staff.helper_known"
    return Reply(say(key, no=ticket.ticket_no, name=colleague.name, worker=worker))


def _progress(context: Context, command: Command) -> Reply:
    ticket = find_ticket(context, command, list)
    words = _screened(context, command.values["words"])
    told = verbs.tell_progress(context.session, ticket, context.actor, words, context.now)
    return Reply(say("staff.progress_told" if told else "staff.progress_noted", no=ticket.ticket_no))


def _praise(context: Context, command: Command) -> Reply:
    ticket = find_ticket(context, command, list)
    colleague = staff_named(context.session, context.staff.community_id, command.values["person"])
    verbs.forward_praise(context.session, ticket, colleague, context.actor, context.now)
    return Reply(say("staff.praise_sent", no=ticket.ticket_no, name=colleague.name))


RUNNERS: dict[str, Callable[[Context, Command], Reply]] = {
    "called": _called,
    "call_back": _call_back,
    "cause": _cause,
    "helper": _helper,
    "progress": _progress,
    "praise": _praise,
}
