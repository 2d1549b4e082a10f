"""What is told right after a report, while its question is still open: more about it, or a matter of its own."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from actions import drafts
from actions.context import Desk
from nlu.answers import read_answer
from storage.models import Draft, Staff, Ticket
from tickets import verbs, working
from tickets.answering import Turn, try_detail
from tickets.places import told_in

CERTAIN = 0.95
# Beside any other wish a fault is another one.
REPORTS = frozenset({"report_repair", "file_complaint"})
STILL_TELLING = timedelta(hours=1)


def taken(desk: Desk) -> bool:
    """Add the message to the report it belongs to and say so, or ask a worker what it says of the job on hand; False if it has
    to be read for itself."""
    draft = desk.session.scalar(select(Draft).where(Draft.conversation_id == desk.conversation.id))
    if desk.actor.staff:
        return not _reporting(desk, draft) and _asked_back(desk, desk.actor.staff)
    if draft is not None or len(desk.faults) > 1 or (desk.faults and desk.intent not in REPORTS):
        return False
    turn = turn_of(desk)
    code = desk.category if desk.intent == "report_repair" else ""
    outcome = try_detail(turn, code, sure=desk.confidence >= drafts.SURE, certain=desk.confidence >= CERTAIN)
    if outcome is None:
        return False
    if outcome.reply:
        desk.tell(outcome.reply, outcome.buttons)
    else:
        desk.done()
    return True


def add(desk: Desk, ticket: Ticket, words: str) -> bool:
    """Add words to a report with the facts they hold; whether these made it more urgent."""
    answer = read_answer("detail", words, desk.now, about=ticket.symptom)
    return verbs.add_detail(
        desk.session, ticket, desk.actor, words, desk.now, flags=dict(answer.flags) if answer else {}
    )


def turn_of(desk: Desk) -> Turn:
    """The message as what reads answers to our questions takes it."""
    return Turn(desk.session, desk.conversation, desk.actor, desk.text, desk.now, desk.key)


def _reporting(desk: Desk, draft: Draft | None) -> bool:
    """Whether a colleague is telling a report that says where: without a place, or an hour later, it was or is a word about a
    job."""
    if draft is None or desk.now - draft.updated_at > STILL_TELLING:
        return False
    return any(one.get("place_key") or one.get("options") for one in told_in(draft))


def _asked_back(desk: Desk, staff: Staff) -> bool:
    asked = working.asked_back(desk.session, staff, desk.text, desk.now)
    if asked is not None:
        drafts.drop(desk)
        desk.tell(*asked)
    return asked is not None


def unknown(desk: Desk) -> None:
    """Words of a colleague that mean nothing here."""
    if not taken(desk):
        desk.say("staff.unknown")
