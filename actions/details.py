"""What is told right after a report, while its question is still open: more about it, or a matter of its own."""

from __future__ import annotations

from sqlalchemy import select

from actions import drafts
from actions.context import Desk
from storage.models import Draft
from tickets.answering import Turn, try_detail

CERTAIN = 0.95


def taken(desk: Desk) -> bool:
    """Add the message to the report it belongs to and say so; False if it has to be read for itself."""
    drafting = select(Draft.id).where(Draft.conversation_id == desk.conversation.id)
    if len(desk.faults) > 1 or desk.session.scalar(drafting) is not None:
        return False
    turn = Turn(desk.session, desk.conversation, desk.actor, desk.text, desk.now, desk.key)
    code = desk.category if desk.intent == "report_repair" else ""
    outcome = try_detail(turn, code, sure=desk.confidence >= drafts.SURE, certain=desk.confidence >= CERTAIN)
    if outcome is None:
        return False
    if outcome.reply:
        desk.tell(outcome.reply, outcome.buttons)
    else:
        desk.done()
    return True
