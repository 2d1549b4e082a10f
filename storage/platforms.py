"""What messaging platforms make us remember for all processes together: access tokens, and how much may still be sent."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from storage.models import Conversation, Identity, OutboxMessage, PlatformToken, ReplyWindow, Staff


def token(session: Session, name: str, until: datetime) -> str:
    """The kept token if it lasts beyond `until`, else ""."""
    row = session.get(PlatformToken, name)
    return row.token if row and row.expires_at and row.expires_at > until else ""


def keep_token(session: Session, name: str, value: str, expires_at: datetime) -> None:
    row = _token_row(session, name)
    row.token, row.expires_at = value, expires_at


def may_force(session: Session, name: str, now: datetime, every: timedelta) -> bool:
    """Whether a forced renewal is allowed now; if so it counts as done (of several processes only one gets it)."""
    _token_row(session, name)
    due = or_(PlatformToken.forced_at.is_(None), PlatformToken.forced_at <= now - every)
    taken = session.execute(update(PlatformToken).where(PlatformToken.name == name, due).values(forced_at=now))
    return bool(taken.rowcount)  # type: ignore[attr-defined]


def _token_row(session: Session, name: str) -> PlatformToken:
    known = session.get(PlatformToken, name)
    if known:
        return known
    try:
        with session.begin_nested():
            row = PlatformToken(name=name, token="")
            session.add(row)
        return row
    except IntegrityError:
        return session.get_one(PlatformToken, name)


# --- reply windows ----------------------------------------------------------------------------------------------------


def open_window(session: Session, channel: str, chat_id: str, kind: str, until: datetime, left: int) -> None:
    """The person did something: until then `left` messages may be sent. A push that is repeated opens nothing anew."""
    query = select(ReplyWindow).where(
        ReplyWindow.channel == channel, ReplyWindow.chat_id == chat_id, ReplyWindow.kind == kind
    )
    row = session.scalar(query)
    if row is None:
        try:
            with session.begin_nested():
                session.add(ReplyWindow(channel=channel, chat_id=chat_id, kind=kind, until_at=until, left=left))
            return
        except IntegrityError:
            row = session.scalars(query).one()
    if until > row.until_at:
        row.until_at, row.left = until, left


def take(session: Session, channel: str, chat_id: str, now: datetime) -> str:
    """Count one message against the window that closes first; its kind, or "" when nothing may be sent."""
    query = (
        select(ReplyWindow)
        .where(ReplyWindow.channel == channel, ReplyWindow.chat_id == chat_id)
        .where(ReplyWindow.until_at > now, ReplyWindow.left > 0)
        .order_by(ReplyWindow.until_at)
        .limit(1)
        .with_for_update()
    )
    row = session.scalar(query)
    if row is None:
        return ""
    row.left -= 1
    return row.kind


def give_back(session: Session, channel: str, chat_id: str, kind: str) -> None:
    """The message counted by `take` was surely not delivered."""
    session.execute(
        update(ReplyWindow)
        .where(ReplyWindow.channel == channel, ReplyWindow.chat_id == chat_id, ReplyWindow.kind == kind)
        .values(left=ReplyWindow.left + 1)
    )


def close_windows(session: Session, channel: str, chat_id: str) -> None:
    """The platform says that nothing more may be sent."""
    session.execute(
        update(ReplyWindow).where(ReplyWindow.channel == channel, ReplyWindow.chat_id == chat_id).values(left=0)
    )


def mark_unreachable(session: Session, channel: str, chat_id: str) -> None:
    """The person left the channel; writing again makes the chat reachable (`mailbox.store_inbound`)."""
    session.execute(
        update(Conversation)
        .where(Conversation.channel == channel, Conversation.chat_id == chat_id)
        .values(reachable=False)
    )
    close_windows(session, channel, chat_id)


def nth_newest_sent(session: Session, channel: str, chat_id: str, count: int) -> datetime | None:
    """When the `count`-th newest message to this chat went out; None while there were fewer."""
    query = (
        select(OutboxMessage.sent_at)
        .join(Conversation, Conversation.id == OutboxMessage.conversation_id)
        .where(Conversation.channel == channel, Conversation.chat_id == chat_id, OutboxMessage.status == "sent")
        .order_by(OutboxMessage.sent_at.desc())
        .offset(count - 1)
        .limit(1)
    )
    return session.scalar(query)


# --- groups -----------------------------------------------------------------------------------------------------------


def dispatch_group(session: Session, channel: str, chat_id: str, community_id: int) -> bool:
    """Make sure there is a conversation for a group that hears of jobs and in which nobody writes (a robot's). It is kept
    under a leader's name, because every conversation is somebody's. False while the community has no leader."""
    query = select(Identity).where(Identity.channel == channel, Identity.external_id == chat_id)
    if session.scalar(query):
        return True
    leading = select(Staff).where(Staff.community_id == community_id, Staff.active, Staff.role != "worker")
    leader = session.scalars(leading.order_by(Staff.role, Staff.id)).first()
    if leader is None:
        return False
    identity = Identity(channel=channel, external_id=chat_id, staff=leader)
    session.add(Conversation(channel=channel, chat_id=chat_id, identity=identity, group=True, hears_dispatch=True))
    return True


# --- numbered choices -------------------------------------------------------------------------------------------------


def choices(session: Session, channel: str, chat_id: str) -> list[list[str]]:
    """[code, label] pairs a bare number from this chat can mean: the buttons of the one message with buttons that was sent since
    the person wrote last. Of several it cannot be known which one was meant, so then there are none."""
    chat = session.scalar(
        select(Conversation).where(
            Conversation.channel == channel, Conversation.chat_id == chat_id, Conversation.group.is_(False)
        )
    )
    if chat is None:
        return []
    query = select(OutboxMessage).where(OutboxMessage.conversation_id == chat.id, OutboxMessage.status == "sent")
    if chat.last_inbound_at:
        query = query.where(OutboxMessage.sent_at >= chat.last_inbound_at)
    recent = session.scalars(query.order_by(OutboxMessage.id.desc()).limit(20))
    having = [row.buttons for row in recent if row.buttons]
    return having[0] if len(having) == 1 else []
