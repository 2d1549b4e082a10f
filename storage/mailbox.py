"""Inbox, outbox and conversations: storing before acknowledging, claiming before sending. No rules of the trade."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from storage.models import Conversation, Identity, InboxMessage, OutboxMessage, Resident

# A claim is renewed while its holder lives, and runs out soon after it was killed.
TURN_LASTS = timedelta(seconds=12)
CLAIM_LASTS = timedelta(seconds=12)
RENEW_EVERY = timedelta(seconds=4)


def identity_of(session: Session, channel: str, external_id: str, community_id: int, name: str = "") -> Identity:
    """The account; an unknown one becomes a stranger on the residents' side, with no rights beyond that."""
    query = select(Identity).where(Identity.channel == channel, Identity.external_id == external_id)
    known = session.scalar(query)
    if known:
        return known
    try:
        with session.begin_nested():
            identity = Identity(
                channel=channel, external_id=external_id, resident=Resident(community_id=community_id, name=name[:60])
            )
            session.add(identity)
        return identity
    except IntegrityError:
        return session.scalars(query).one()


def conversation_of(session: Session, identity: Identity, chat_id: str, *, group: bool = False) -> Conversation:
    query = select(Conversation).where(
        Conversation.channel == identity.channel,
        Conversation.chat_id == chat_id,
        Conversation.identity_id == identity.id,
    )
    known = session.scalar(query)
    if known:
        return known
    try:
        with session.begin_nested():
            conversation = Conversation(channel=identity.channel, chat_id=chat_id, identity=identity, group=group)
            session.add(conversation)
        return conversation
    except IntegrityError:
        return session.scalars(query).one()


def store_inbound(
    session: Session,
    conversation: Conversation,
    message_id: str,
    text: str,
    button: str,
    payload: dict[str, Any],
    now: datetime,
) -> InboxMessage | None:
    """The message as a row, or None if this (channel, message id) was stored before."""
    row = InboxMessage(
        channel=conversation.channel,
        message_id=message_id,
        conversation_id=conversation.id,
        text=text,
        button=button,
        payload=payload,
        received_at=now,
    )
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return None
    conversation.last_inbound_at = now
    conversation.reachable = True
    return row


def waiting_inbound(session: Session, conversation_id: int, now: datetime) -> list[InboxMessage]:
    """Unanswered messages of one conversation in order; none while the oldest waits for its retry time."""
    query = select(InboxMessage).where(InboxMessage.conversation_id == conversation_id, InboxMessage.done_at.is_(None))
    rows = list(session.scalars(query.order_by(InboxMessage.id)))
    return [] if rows and rows[0].retry_at and rows[0].retry_at > now else rows


def conversations_waiting(session: Session, now: datetime) -> list[int]:
    """Conversations with something unanswered that is due."""
    query = (
        select(InboxMessage.conversation_id)
        .where(InboxMessage.done_at.is_(None), or_(InboxMessage.retry_at.is_(None), InboxMessage.retry_at <= now))
        .distinct()
    )
    return list(session.scalars(query))


def claim_turn(session: Session, conversation_id: int, owner: str, real_now: datetime) -> bool:
    """Take the conversation for one turn; False if another process has it. A dead owner's claim runs out."""
    free = or_(Conversation.turn_owner.is_(None), Conversation.turn_until < real_now, Conversation.turn_owner == owner)
    taken = session.execute(
        update(Conversation)
        .where(Conversation.id == conversation_id, free)
        .values(turn_owner=owner, turn_until=real_now + TURN_LASTS)
    )
    return bool(taken.rowcount)  # type: ignore[attr-defined]


def release_turn(session: Session, conversation_id: int, owner: str) -> None:
    session.execute(
        update(Conversation)
        .where(Conversation.id == conversation_id, Conversation.turn_owner == owner)
        .values(turn_owner=None, turn_until=None)
    )


def note_acted(session: Session, key: str, said: list[dict[str, Any]]) -> None:
    """Keep with a message (`channel:message_id`) what an action said, in the transaction of what it did: should the turn be
    cut off before the answer is in the outbox, the answer is still known and nothing has to be done again."""
    channel, _, message_id = key.partition(":")
    query = select(InboxMessage).where(InboxMessage.channel == channel, InboxMessage.message_id == message_id)
    row = session.scalar(query)
    if row is not None and row.done_at is None:
        row.payload = {**row.payload, "acted": [*row.payload.get("acted", []), *said]}


def newest_outbox(session: Session, conversation_id: int) -> int:
    """Id of the newest row for this conversation, 0 if none: tells whether a turn has said something."""
    query = select(func.max(OutboxMessage.id)).where(OutboxMessage.conversation_id == conversation_id)
    return session.scalar(query) or 0


def claim_due(session: Session, now: datetime, real_now: datetime, limit: int = 50) -> list[OutboxMessage]:
    """Due rows for this process to send, emergencies first, each conversation in its own order.

    Per conversation only the oldest waiting row is taken, so nothing overtakes; a dead sender's claim runs out.
    """
    first = (
        select(func.min(OutboxMessage.id))
        .where(OutboxMessage.status == "pending", OutboxMessage.due_at <= now)
        .group_by(OutboxMessage.conversation_id)
    )
    query = (
        select(OutboxMessage)
        .where(
            OutboxMessage.id.in_(first),
            OutboxMessage.status == "pending",
            or_(OutboxMessage.claimed_until.is_(None), OutboxMessage.claimed_until < real_now),
        )
        .order_by(OutboxMessage.priority, OutboxMessage.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = list(session.scalars(query))
    for row in rows:
        row.claimed_until = real_now + CLAIM_LASTS
    return rows


def keep_claims(session: Session, row_ids: list[int], real_now: datetime) -> None:
    """Rows still being sent stay claimed."""
    session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id.in_(row_ids), OutboxMessage.status == "pending")
        .values(claimed_until=real_now + CLAIM_LASTS)
    )
