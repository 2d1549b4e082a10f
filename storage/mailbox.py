"""Inbox, outbox and conversations: storing before acknowledging, claiming before sending. No rules of the trade."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import dataclass
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
# How long a message to somebody unreachable is worth sending once they write again.
MISSED_LASTS = timedelta(hours=24)
# What `error` of a row begins with when its person could not be reached.
UNREACHABLE = "Unreachable"


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
    if not conversation.reachable:
        _revive(session, conversation, now)
    conversation.last_inbound_at = now
    conversation.reachable = True
    return row


def _revive(session: Session, conversation: Conversation, now: datetime) -> None:
    """Somebody who could not be reached writes again: what they missed within a day is sent after all."""
    session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.conversation_id == conversation.id, OutboxMessage.status == "dead")
        .where(OutboxMessage.error.startswith(UNREACHABLE), OutboxMessage.created_at > now - MISSED_LASTS)
        .values(status="pending", attempts=0, due_at=now, reported_at=None)
    )


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


SAID_BEFORE = 6


def said_before(session: Session, key: str, since: datetime) -> list[str]:
    """What was written in the same conversation before a message (`channel:message_id`), not longer ago than `since`, newest
    first."""
    channel, _, message_id = key.partition(":")
    here = select(InboxMessage).where(InboxMessage.channel == channel, InboxMessage.message_id == message_id)
    row = session.scalar(here)
    if row is None:
        return []
    before = (InboxMessage.conversation_id == row.conversation_id) & (InboxMessage.id < row.id)
    query = select(InboxMessage.text).where(before, InboxMessage.received_at >= since, InboxMessage.text != "")
    return list(session.scalars(query.order_by(InboxMessage.id.desc()).limit(SAID_BEFORE)))


def newest_outbox(session: Session, conversation_id: int) -> int:
    """Id of the newest row for this conversation, 0 if none: tells whether a turn has said something."""
    query = select(func.max(OutboxMessage.id)).where(OutboxMessage.conversation_id == conversation_id)
    return session.scalar(query) or 0


URGENT = 0


@dataclass(frozen=True)
class Room:
    """What a sender can take on now: channels it must leave alone, chats that have just had a message, how many rows."""

    closed: frozenset[str] = frozenset()
    resting: frozenset[int] = frozenset()
    limit: int = 50


def claim_due(session: Session, now: datetime, real_now: datetime, room: Room = Room()) -> list[OutboxMessage]:
    """Due rows for this process to send, each conversation strictly in its own order, emergencies first.

    Per conversation only the oldest waiting row is taken. A row that waits for another try holds its conversation back, so
    nothing overtakes it; one that waits for its hour does not. An emergency makes its whole conversation urgent. A dead
    sender's claim runs out.
    """
    begun = or_(OutboxMessage.due_at <= now, OutboxMessage.attempts > 0)
    waiting = (
        select(func.min(OutboxMessage.id).label("first"), func.min(OutboxMessage.priority).label("urgency"))
        .where(OutboxMessage.status == "pending", OutboxMessage.conversation_id.is_not(None), begun)
        .group_by(OutboxMessage.conversation_id)
        .subquery()
    )
    query = (
        select(OutboxMessage)
        .join(waiting, OutboxMessage.id == waiting.c.first)
        .join(Conversation, Conversation.id == OutboxMessage.conversation_id)
        .where(
            OutboxMessage.due_at <= now,
            or_(OutboxMessage.claimed_until.is_(None), OutboxMessage.claimed_until < real_now),
            Conversation.channel.not_in(room.closed),
            Conversation.id.not_in(room.resting),
        )
        .order_by(waiting.c.urgency, OutboxMessage.attempts, OutboxMessage.id)
        .limit(room.limit)
        .with_for_update(of=OutboxMessage, skip_locked=True)
    )
    rows = list(session.scalars(query))
    for row in rows:
        row.claimed_until = real_now + CLAIM_LASTS
    return rows


def held_together(session: Session, row: OutboxMessage, now: datetime, most: int) -> list[OutboxMessage]:
    """`row` and what waited for the same hour behind it in its conversation, up to the first row that did not wait."""
    query = (
        select(OutboxMessage)
        .where(OutboxMessage.conversation_id == row.conversation_id, OutboxMessage.status == "pending")
        .where(OutboxMessage.due_at <= now, OutboxMessage.id >= row.id)
        .order_by(OutboxMessage.id)
        .limit(most)
    )
    return list(itertools.takewhile(was_held, session.scalars(query)))


def was_held(row: OutboxMessage) -> bool:
    """Whether this row waited for its hour and was not tried yet."""
    return not row.attempts and not row.error and row.due_at > row.created_at and not row.image_key


def urgent_behind(session: Session, row: OutboxMessage) -> bool:
    """Whether something urgent waits in this row's conversation, the row itself included."""
    query = select(OutboxMessage.id).where(
        OutboxMessage.conversation_id == row.conversation_id,
        OutboxMessage.status == "pending",
        OutboxMessage.priority == URGENT,
    )
    return session.scalar(query.limit(1)) is not None


def hurry(session: Session, conversation_id: int, now: datetime) -> None:
    """Something urgent was queued here: what stands in front of it is tried again at once."""
    session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.conversation_id == conversation_id, OutboxMessage.status == "pending")
        .where(OutboxMessage.attempts > 0, OutboxMessage.due_at > now)
        .values(due_at=now)
    )


def other_chat(session: Session, chat: Conversation, closed: Collection[str] = ()) -> Conversation | None:
    """Where else this person can be written to: a private chat in another channel in which they have written themselves."""
    if chat.group:
        return None
    mine, theirs = chat.identity, Identity
    same = theirs.staff_id == mine.staff_id if mine.staff_id else theirs.resident_id == mine.resident_id
    query = (
        select(Conversation)
        .join(Identity)
        .where(same, Conversation.channel != chat.channel, Conversation.channel.not_in(closed))
        .where(Conversation.group.is_(False), Conversation.reachable, Conversation.last_inbound_at.is_not(None))
        .order_by(Conversation.last_inbound_at.desc(), Conversation.id)
    )
    return session.scalars(query).first()


def move_waiting(session: Session, chat: Conversation, other: Conversation, now: datetime) -> None:
    """Everything that waits in one chat of a person goes out in another one, in its order."""
    query = select(OutboxMessage).where(OutboxMessage.conversation_id == chat.id, OutboxMessage.status == "pending")
    for row in session.scalars(query.order_by(OutboxMessage.id)):
        row.conversation_id = other.id
        if row.attempts:
            row.attempts, row.due_at, row.claimed_until = 0, min(row.due_at, now), None


def keep_claims(session: Session, row_ids: list[int], real_now: datetime) -> None:
    """Rows still being sent stay claimed."""
    session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id.in_(row_ids), OutboxMessage.status == "pending")
        .values(claimed_until=real_now + CLAIM_LASTS)
    )
