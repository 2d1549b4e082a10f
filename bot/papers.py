"""A ticket's archive by chat: what is in it, as one PDF, and papers put into it (domain.md S39)."""

from __future__ import annotations

from collections.abc import Callable

from bot.leading import others_complaint
from bot.speech import Command, Context, Reply, find_ticket
from storage.models import Ticket
from tickets import archive, audit, finding, lifecycle, verbs
from tickets.errors import NotAllowed
from tickets.people import relations
from tickets.texts import clock, say


def _archive(context: Context, command: Command) -> Reply:
    """档案 0012: for those who lead or tend the matter, and every look is noted."""
    ticket = find_ticket(context, command, list)
    tends = relations(context.session, ticket, context.actor) & {lifecycle.DESK, lifecycle.SUPERVISOR}
    if not tends or others_complaint(context, ticket):
        raise NotAllowed(action="archive", no=ticket.ticket_no)
    text = archive.listing(context.session, ticket, context.now)
    return Reply("\n".join((text, _link(context, ticket), say("paper.how", tail=ticket.tail))))


def _link(context: Context, ticket: Ticket) -> str:
    # Drawing loads libraries of its own, which a bot that draws nothing does without.
    from tickets.archive_paper import paper

    made = paper(context.session, ticket, context.files, context.now)
    if made is None:
        return say("paper.no_font")
    name = say("paper.file_name", no=ticket.ticket_no) + audit.PAPERS
    token = audit.keep_export(context.session, context.staff, name, made, context.now)
    until = clock(context.now + audit.LINK_LASTS, context.now)
    return say("paper.link", link=f"{context.address}/api/exports/{token}", until=until)


def _paper(context: Context, command: Command) -> Reply:
    """采购凭证 0012: the picture just sent is that paper, or the next one will be."""
    ticket = find_ticket(
        context, command, lambda: finding.jobs_of(context.session, context.staff, "in_progress", "done")
    )
    name = command.values["paper"] or command.values["also"]
    paper = next(one for one in verbs.PAPERS if say(f"paper.{one}").endswith(name))
    count = verbs.file_paper(context.session, ticket, context.actor, paper, context.conversation, context.now)
    key = "paper.filed" if count else "paper.wanted"
    return Reply(say(key, no=ticket.ticket_no, name=say(f"paper.{paper}"), count=count))


RUNNERS: dict[str, Callable[[Context, Command], Reply]] = {"archive": _archive, "paper": _paper}

# Names homes and people: never into a group.
PRIVATE = frozenset(RUNNERS)
