"""Inbox, turns and outbox: nothing lost, nothing twice, emergencies first, each conversation in its own order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier

import pytest
from deskhelp import NOW, Desk
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session

from storage import mailbox
from storage.database import sessions
from storage.models import Conversation, Identity, InboxMessage, OutboxMessage, Resident

SECOND = timedelta(seconds=1)


@pytest.fixture
def chat(desk: Desk) -> Conversation:
    return desk.chat("王芳")


def store(session: Session, chat: Conversation, message_id: str, text: str = "在吗", now: datetime = NOW) -> object:
    return mailbox.store_inbound(session, chat, message_id, text, "", {}, now)


# --- accounts ---------------------------------------------------------------------------------------------------------


def test_an_unknown_account_becomes_a_stranger_once(desk: Desk) -> None:
    first = mailbox.identity_of(desk.session, "telegram", "77", desk.community.id, "张三" * 40)
    again = mailbox.identity_of(desk.session, "telegram", "77", desk.community.id, "别名")
    assert first is again
    assert first.resident is not None
    assert (first.staff, first.resident.homes, first.resident.phone) == (None, [], "")
    assert len(first.resident.name) == 60


def test_the_same_number_in_two_channels_is_two_accounts(desk: Desk) -> None:
    found = [mailbox.identity_of(desk.session, channel, "77", desk.community.id) for channel in ("telegram", "wecom")]
    assert found[0].id != found[1].id


def test_one_conversation_per_chat(desk: Desk) -> None:
    identity = mailbox.identity_of(desk.session, "telegram", "77", desk.community.id)
    private = mailbox.conversation_of(desk.session, identity, "77")
    assert mailbox.conversation_of(desk.session, identity, "77") is private
    assert mailbox.conversation_of(desk.session, identity, "-5", group=True).id != private.id


def test_first_contact_from_many_processes_at_once_makes_one_stranger(engine: Engine) -> None:
    start = Barrier(8)

    def contact(_: int) -> tuple[int, int]:
        start.wait()
        with sessions(engine).begin() as session:
            identity = mailbox.identity_of(session, "telegram", "77", 1)
            return identity.id, mailbox.conversation_of(session, identity, "77").id

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(contact, range(8)))
    assert len(found) == 1
    with sessions(engine)() as session:
        accounts = select(func.count()).select_from(Identity).where(Identity.channel == "telegram")
        assert session.scalar(accounts) == 1
        nameless = select(func.count()).select_from(Resident).where(Resident.name == "")
        assert session.scalar(nameless) == 1


# --- inbox ------------------------------------------------------------------------------------------------------------


def test_the_same_message_is_stored_once(desk: Desk, chat: Conversation) -> None:
    assert store(desk.session, chat, "m1") is not None
    assert store(desk.session, chat, "m1", "另一段话") is None
    assert [row.text for row in desk.session.scalars(select(InboxMessage))] == ["在吗"]


def test_the_same_number_from_another_channel_is_another_message(desk: Desk, chat: Conversation) -> None:
    identity = mailbox.identity_of(desk.session, "telegram", "77", desk.community.id)
    other = mailbox.conversation_of(desk.session, identity, "77")
    assert store(desk.session, chat, "m1") is not None
    assert store(desk.session, other, "m1") is not None


def test_hearing_from_someone_makes_them_reachable(desk: Desk, chat: Conversation) -> None:
    chat.reachable = False
    store(desk.session, chat, "m1", now=NOW)
    assert (chat.reachable, chat.last_inbound_at) == (True, NOW)


def test_a_repeated_delivery_from_many_processes_is_one_row(engine: Engine) -> None:
    start = Barrier(8)

    def deliver(_: int) -> bool:
        start.wait()
        with sessions(engine).begin() as session:
            chat = session.scalars(select(Conversation).order_by(Conversation.id)).first()
            assert chat is not None
            return store(session, chat, "m1") is not None

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(deliver, range(8))) == [False] * 7 + [True]


def test_unanswered_messages_come_in_order_until_done(desk: Desk, chat: Conversation) -> None:
    for number, words in enumerate(("我家漏水了", "3栋", "1502")):
        store(desk.session, chat, f"m{number}", words)
    waiting = mailbox.waiting_inbound(desk.session, chat.id, NOW)
    assert [row.text for row in waiting] == ["我家漏水了", "3栋", "1502"]
    waiting[0].done_at = NOW
    assert [row.text for row in mailbox.waiting_inbound(desk.session, chat.id, NOW)] == ["3栋", "1502"]
    assert mailbox.conversations_waiting(desk.session, NOW) == [chat.id]


def test_a_message_that_waits_for_its_retry_holds_back_its_conversation_only(desk: Desk, chat: Conversation) -> None:
    other = desk.chat("李强")
    row = store(desk.session, chat, "m1")
    assert isinstance(row, InboxMessage)
    row.retry_at = NOW + SECOND
    store(desk.session, other, "m2")
    assert mailbox.waiting_inbound(desk.session, chat.id, NOW) == []
    assert mailbox.conversations_waiting(desk.session, NOW) == [other.id]
    assert mailbox.waiting_inbound(desk.session, chat.id, NOW + SECOND) == [row]
    assert set(mailbox.conversations_waiting(desk.session, NOW + SECOND)) == {chat.id, other.id}


# --- turns ------------------------------------------------------------------------------------------------------------


def test_one_turn_at_a_time(desk: Desk, chat: Conversation) -> None:
    assert mailbox.claim_turn(desk.session, chat.id, "one", NOW)
    assert not mailbox.claim_turn(desk.session, chat.id, "two", NOW + SECOND)
    assert mailbox.claim_turn(desk.session, chat.id, "one", NOW + SECOND)
    assert mailbox.claim_turn(desk.session, desk.chat("李强").id, "two", NOW)


def test_only_the_owner_gives_it_back(desk: Desk, chat: Conversation) -> None:
    mailbox.claim_turn(desk.session, chat.id, "one", NOW)
    mailbox.release_turn(desk.session, chat.id, "two")
    assert not mailbox.claim_turn(desk.session, chat.id, "two", NOW)
    mailbox.release_turn(desk.session, chat.id, "one")
    assert mailbox.claim_turn(desk.session, chat.id, "two", NOW)


def test_a_dead_owners_turn_runs_out(desk: Desk, chat: Conversation) -> None:
    mailbox.claim_turn(desk.session, chat.id, "dead", NOW)
    assert not mailbox.claim_turn(desk.session, chat.id, "two", NOW + mailbox.TURN_LASTS)
    assert mailbox.claim_turn(desk.session, chat.id, "two", NOW + mailbox.TURN_LASTS + SECOND)


def test_of_many_claims_at_once_one_succeeds(engine: Engine) -> None:
    start = Barrier(8)

    def claim(owner: int) -> bool:
        start.wait()
        with sessions(engine).begin() as session:
            return mailbox.claim_turn(session, 1, f"owner{owner}", NOW)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(claim, range(8))) == [False] * 7 + [True]


# --- outbox -----------------------------------------------------------------------------------------------------------


def queue(session: Session, chat: Conversation, text: str, **more: object) -> OutboxMessage:
    fields: dict[str, object] = {"created_at": NOW, "due_at": NOW, "dedupe_key": text, **more}
    row = OutboxMessage(conversation_id=chat.id, text=text, **fields)
    session.add(row)
    session.flush()
    return row


def claimed(session: Session, now: datetime = NOW, real_now: datetime = NOW, limit: int = 50) -> list[str]:
    return [row.text for row in mailbox.claim_due(session, now, real_now, mailbox.Room(limit=limit))]


def test_each_conversation_sends_in_its_own_order_one_at_a_time(desk: Desk, chat: Conversation) -> None:
    first = queue(desk.session, chat, "一")
    queue(desk.session, chat, "二", priority=0)
    queue(desk.session, desk.chat("李强"), "甲")
    assert claimed(desk.session) == ["一", "甲"]
    assert claimed(desk.session) == []
    first.status = "sent"
    assert claimed(desk.session) == ["二"]


def test_emergencies_go_first(desk: Desk) -> None:
    for name, priority in (("王芳", 5), ("李强", 8), ("陈静", 0), ("赵敏", 5)):
        queue(desk.session, desk.chat(name), name, priority=priority)
    assert claimed(desk.session) == ["陈静", "王芳", "赵敏", "李强"]


def test_only_what_is_due_pending_and_has_a_chat(desk: Desk, chat: Conversation) -> None:
    queue(desk.session, chat, "later", due_at=NOW + SECOND)
    for number, status in enumerate(("sent", "dead", "withdrawn")):
        queue(desk.session, desk.chat("李强"), f"gone{number}", status=status)
    assert claimed(desk.session) == []
    assert claimed(desk.session, now=NOW + SECOND) == ["later"]


def test_what_is_not_due_yet_holds_nothing_back(desk: Desk, chat: Conversation) -> None:
    queue(desk.session, chat, "later", due_at=NOW + timedelta(hours=1))
    queue(desk.session, chat, "now")
    assert claimed(desk.session) == ["now"]


def test_a_dead_senders_claim_runs_out(desk: Desk, chat: Conversation) -> None:
    queue(desk.session, chat, "一")
    assert claimed(desk.session) == ["一"]
    assert claimed(desk.session, real_now=NOW + mailbox.CLAIM_LASTS) == []
    assert claimed(desk.session, real_now=NOW + mailbox.CLAIM_LASTS + SECOND) == ["一"]


def test_the_limit_is_kept(desk: Desk) -> None:
    for name in ("王芳", "李强", "陈静"):
        queue(desk.session, desk.chat(name), name)
    assert claimed(desk.session, limit=2) == ["王芳", "李强"]
    assert claimed(desk.session, limit=2) == ["陈静"]


def test_two_senders_never_take_the_same_row(engine: Engine) -> None:
    with sessions(engine).begin() as session:
        for chat in session.scalars(select(Conversation)):
            queue(session, chat, f"c{chat.id}")
    start = Barrier(4)

    def send(_: int) -> list[str]:
        start.wait()
        with sessions(engine).begin() as session:
            return claimed(session, limit=8)

    with ThreadPoolExecutor(4) as pool:
        taken = [text for batch in pool.map(send, range(4)) for text in batch]
    assert len(taken) == len(set(taken))
    with sessions(engine).begin() as session:
        rest = claimed(session)
    assert len(taken) + len(rest) == 20


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_what_another_sender_holds_is_skipped_not_waited_for(engine: Engine) -> None:
    """SQLite has one writer at a time; there the claim alone keeps the second one off."""
    with sessions(engine).begin() as session:
        for chat in session.scalars(select(Conversation).order_by(Conversation.id).limit(3)):
            queue(session, chat, f"c{chat.id}")
    with sessions(engine)() as first, sessions(engine)() as second:
        held = claimed(first, limit=2)
        second.execute(text("set local lock_timeout = '5s'"))
        assert claimed(second) == ["c3"]
        assert held == ["c1", "c2"]
        first.rollback()
        second.commit()


def test_the_newest_row_tells_whether_something_was_said(desk: Desk, chat: Conversation) -> None:
    assert mailbox.newest_outbox(desk.session, chat.id) == 0
    row = queue(desk.session, chat, "一")
    queue(desk.session, desk.chat("李强"), "甲")
    assert mailbox.newest_outbox(desk.session, chat.id) == row.id
