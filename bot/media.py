"""Pictures, voice notes and places that people send: what they belong to, and what is said where no words stand beside them.

A resident's files belong to what is being told: to the words sent in the same breath, to the report whose question is still
open, else to the one open matter. A colleague's belong to the job on hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.models import Draft, InboxMessage, OutboxMessage, Ticket
from tickets import finding, talks, verbs
from tickets.answering import Outcome, Turn, try_answer
from tickets.people import Actor
from tickets.texts import say

KINDS = ("photos", "voices")


def goes_with_words(session: Session, actor: Actor, row: InboxMessage, rows: Sequence[InboxMessage]) -> bool:
    """Whether a resident's files without words came in one breath with words, which tell what they show; what is sent to a person
    is passed on as it comes."""
    if actor.resident is None or talks.is_talking(session, actor.resident):
        return False
    silent = not row.text and not row.button and bool(_keys(row))
    return silent and any(other.text and not other.button for other in rows)


def on_hand(session: Session, actor: Actor, rows: Sequence[InboxMessage]) -> Ticket | None:
    """The matter that what these messages bring belongs to, if nothing new is told: looked up before their words close it."""
    return verbs.matter_on_hand(session, actor) if any(map(_keys, rows)) else None


def file(
    session: Session, actor: Actor, row: InboxMessage, now: datetime, matter: Ticket | None = None
) -> Ticket | None:
    """Give the files of a message to the matter they belong to, which is returned; in the middle of a report they wait for it.
    `matter`: what `on_hand` said before the words beside them were read."""
    keys = _keys(row)
    if not keys or (actor.resident and _being_told(session, actor, row.conversation_id)):
        return None
    return verbs.take_in(session, actor, keys, row.conversation_id, now, matter)


def _being_told(session: Session, actor: Actor, conversation_id: int) -> bool:
    """Whether a report is in the middle; one that a picture began, and that was registered since, is not."""
    draft = finding.open_draft(session, conversation_id)
    if draft is None or _tells(draft):
        return draft is not None
    newest = verbs.matter_on_hand(session, actor)
    return newest is None or newest.created_at < draft.updated_at


def _tells(draft: Draft) -> bool:
    """Whether more than a picture has been told."""
    return bool(draft.data.get("faults") or draft.data.get("words"))


def _keys(row: InboxMessage) -> list[str]:
    return [one[0] for kind in KINDS for one in row.payload.get(kind, [])]


def without_words(turn: Turn, row: InboxMessage) -> Outcome:
    """The answer to a picture, voice note, place or contact card that came alone."""
    session, actor = turn.session, turn.actor
    if row.payload.get("phone") and actor.resident:
        told = Turn(session, turn.conversation, actor, row.payload["phone"], turn.now, row.message_id)
        return try_answer(told) or Outcome(resume=row.payload["phone"])
    if place := row.payload.get("location"):
        return Outcome(resume=place[2]) if place[2] else _kept(turn, "reply.location_only", "reply.location_beside")
    ticket = file(session, actor, row, turn.now)
    if row.payload.get("photos"):
        return _photo(turn, ticket)
    if row.payload.get("other_media") == "voice":
        saved = "staff.voice_saved" if actor.staff else "reply.voice_saved"
        return (
            Outcome(say(saved, no=ticket.ticket_no))
            if ticket
            else _kept(turn, "reply.voice_only", "reply.voice_beside")
        )
    return Outcome(say("reply.unreadable"))


def _photo(turn: Turn, ticket: Ticket | None) -> Outcome:
    if ticket:
        return Outcome(say("staff.photo_saved", no=ticket.ticket_no))
    if turn.actor.staff:
        return Outcome(say("staff.photo_kept"))
    verbs.begin_with_photo(turn.session, turn.conversation, turn.now)
    return _kept(turn, "reply.photo_only", "reply.photo_beside")


def _kept(turn: Turn, alone: str, beside: str) -> Outcome:
    """In the middle of a report what was asked last is still open, and is asked again."""
    draft = finding.open_draft(turn.session, turn.conversation.id)
    asked = _asked_last(turn) if draft and _tells(draft) else None
    if asked is None:
        return Outcome(say(alone))
    return Outcome(say(beside, question=asked.text), tuple((key, label) for key, label in asked.buttons))


def _asked_last(turn: Turn) -> OutboxMessage | None:
    """The newest words of the dialogue in this conversation."""
    query = select(OutboxMessage).where(
        OutboxMessage.conversation_id == turn.conversation.id, OutboxMessage.dedupe_key.like("turn:%")
    )
    return turn.session.scalar(query.order_by(OutboxMessage.id.desc()).limit(1))
