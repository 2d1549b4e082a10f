"""What the gateway makes of things only messengers do: edits, groups, voice notes, accounts of one person in several channels."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from deskhelp import NOW, Desk
from sqlalchemy import Engine, select

from bot import commands
from bot.channels.base import Inbound, Media
from bot.gateway import ForDialogue, Gateway
from bot.logins import make_code
from bot.rasa_client import RasaClient
from storage.database import Sessions, sessions
from storage.models import (
    Attachment,
    Community,
    Conversation,
    Identity,
    InboxMessage,
    OutboxMessage,
    Resident,
    Staff,
    Ticket,
)
from tickets import notify


@dataclass
class Door:
    """A gateway whose dialogue engine is away: what a turn would hand to it is looked at instead."""

    gateway: Gateway
    sessions: Sessions

    def take(self, *messages: Inbound) -> None:
        """Store them as they come, without any turn."""
        for message in messages:
            self.gateway._store(message)

    def local(self, channel: str, sender: str, *, group: bool = False) -> ForDialogue | None:
        """The local part of the turn for this person's chat."""
        with self.sessions() as session:
            query = select(Conversation.id).join(Identity).where(Identity.external_id == sender)
            query = query.where(Conversation.group.is_(group))
            chat = session.scalars(query.where(Conversation.channel == channel)).one()
        return self.gateway._local(chat)

    def said(self, channel: str) -> list[str]:
        with self.sessions() as session:
            query = select(OutboxMessage.text).join(Conversation, Conversation.id == OutboxMessage.conversation_id)
            return list(session.scalars(query.where(Conversation.channel == channel).order_by(OutboxMessage.id)))

    def bind(self, channel: str, sender: str, kind: type[Resident] | type[Staff], name: str) -> None:
        with self.sessions.begin() as session:
            person = session.scalars(select(kind).where(kind.name == name)).one()
            code = make_code(session, person, NOW)
        self.take(message(f"绑定 {code}", channel=channel, sender=sender, number=f"bind-{channel}-{sender}"))
        self.local(channel, sender)


def message(
    text: str = "", *, channel: str = "telegram", sender: str = "42", number: str = "1", chat: str = "", edits: str = ""
) -> Inbound:
    return Inbound(
        channel,
        f"{sender}:{number}",
        sender,
        chat or sender,
        text=text,
        group=bool(chat),
        edited=bool(edits),
        extra={"edits": f"{sender}:{edits}"} if edits else {},
    )


@pytest.fixture
def door(engine: Engine, tmp_path: Path) -> Iterator[Door]:
    maker = sessions(engine)
    with maker() as session:
        community = session.scalars(select(Community.id)).one()
    rasa = RasaClient("http://127.0.0.1:9", "secret", "http://127.0.0.1:9")
    gateway = Gateway(
        maker,
        lambda: NOW,
        rasa,
        community_id=community,
        files=tmp_path,
        max_photo_bytes=10**6,
        quiet_seconds=0,
        max_seconds=0,
        on_outbox=lambda: None,
        on_typing=lambda _chat, _on: None,
    )
    yield Door(gateway, maker)
    asyncio.run(rasa.close())


# --- edits -----------------------------------------------------------------------------------------------------------


def test_an_edit_of_what_nobody_has_read_yet_takes_its_place(door: Door) -> None:
    door.take(message("厨房漏水"), message("卫生间漏水", number="1:e1", edits="1"))
    handed = door.local("telegram", "42")
    assert handed is not None
    assert handed.text == "卫生间漏水"


def test_an_edit_of_what_was_handed_on_is_a_correction(door: Door) -> None:
    door.take(message("厨房漏水"))
    first = door.local("telegram", "42")
    assert first is not None
    door.gateway._answered(first.metadata["conversation"], first, _Said("好的"))  # type: ignore[arg-type]
    door.take(message("卫生间漏水", number="1:e1", edits="1"))
    second = door.local("telegram", "42")
    assert second is not None
    assert second.text == "刚才写错了，是卫生间漏水"


def test_an_edit_that_changes_no_word_is_not_answered(door: Door) -> None:
    door.take(message("厨房漏水"))
    door.local("telegram", "42")
    door.take(message("厨房漏水", number="1:e1", edits="1"))
    with door.sessions() as session:
        rows = {row.message_id: row for row in session.scalars(select(InboxMessage))}
    assert rows["42:1:e1"].done_at is not None


def test_an_edit_that_tells_of_a_danger_is_one(door: Door) -> None:
    door.take(message("厨房有味道"), message("厨房煤气味很大", number="1:e1", edits="1"))
    assert any("燃气" in text or "煤气" in text for text in door.said("telegram"))
    assert door.local("telegram", "42") is None


def test_an_edit_of_a_message_we_never_had_is_a_message(door: Door) -> None:
    door.take(message("厨房漏水", number="9:e1", edits="9"))
    handed = door.local("telegram", "42")
    assert handed is not None
    assert handed.text == "厨房漏水"


class _Said:
    handled = True
    buttons = ()

    def __init__(self, text: str) -> None:
        self.text = text


# --- groups ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "name", "hears"), [("本群派单", "李工", True), ("/here", "李工", True), ("本群派单", "王师傅", False)]
)
def test_a_leader_names_the_group_that_hears_of_jobs(door: Door, words: str, name: str, hears: bool) -> None:
    door.bind("telegram", "42", Staff, name)
    door.take(message(words, chat="-100", number="2"))
    with door.sessions() as session:
        chat = session.scalars(select(Conversation).where(Conversation.chat_id == "-100")).one()
    door.gateway._local(chat.id)
    with door.sessions() as session:
        assert session.get_one(Conversation, chat.id).hears_dispatch is hears


def test_a_group_can_be_left_alone_again_and_a_private_chat_is_no_group(door: Door) -> None:
    door.bind("telegram", "42", Staff, "李工")
    for number, words in enumerate(("本群派单", "本群停止派单"), 2):
        door.take(message(words, chat="-100", number=str(number)), message(words, number=f"p{number}"))
        with door.sessions() as session:
            chats = list(session.scalars(select(Conversation.id)))
        for chat in chats:
            door.gateway._local(chat)
    with door.sessions() as session:
        assert not list(session.scalars(select(Conversation).where(Conversation.hears_dispatch)))


def test_who_may_takes_the_job_and_the_card_loses_its_buttons(door: Door) -> None:
    used: list[tuple[str, ...]] = []
    door.gateway._on_used = lambda *card: used.append(card)
    door.bind("telegram", "42", Staff, "李工")
    door.bind("telegram", "43", Staff, "王师傅")
    door.bind("telegram", "44", Staff, "赵师傅")
    with door.sessions.begin() as session:
        desk = Desk(session, session.scalars(select(Community)).one())
        ticket = desk.report(now=NOW)
        session.flush()
        number = ticket.id
    for sender, taken in (("99", 0), ("44", 0), ("43", 1)):
        press = Inbound(
            "telegram",
            f"cb:{sender}",
            sender,
            "-100",
            button=f"accept:{number}",
            group=True,
            extra={"card": "7", "card_text": "BX0001 待接单"},
        )
        door.take(press)
        door.local("telegram", sender, group=True)
        assert [card[:3] for card in used] == [("telegram", "-100", "7")] * taken
    assert used[0][3].startswith("BX0001 待接单\n")
    assert "已由王师傅" in used[0][3]
    with door.sessions() as session:
        handler = session.get_one(Ticket, number).handler
        assert handler is not None
        assert handler.name == "王师傅"


# --- voice -----------------------------------------------------------------------------------------------------------


def test_a_voice_note_is_kept_and_words_are_asked_for(door: Door) -> None:
    note = Inbound("wechat", "v1", "o1", "o1", media=(Media("voice", b"#!AMR\n\x3c", "", "audio/amr"),))
    junk = Inbound("wechat", "v2", "o1", "o1", media=(Media("voice", b"<html>", "", "audio/amr"),))
    door.take(note, junk)
    assert door.local("wechat", "o1") is None
    assert all("打字" in text for text in door.said("wechat"))
    with door.sessions() as session:
        kept = session.scalars(select(Attachment)).all()
    assert [(one.mime, one.purpose) for one in kept] == [("audio/amr", "voice")]


# --- one person, several channels ------------------------------------------------------------------------------------


def test_one_person_on_three_channels_hears_each_push_once_where_they_spoke_last(door: Door) -> None:
    for channel, sender in (("wechat", "o1"), ("telegram", "42"), ("web", "resident:1")):
        door.bind(channel, sender, Resident, "王芳")
    before = {channel: len(door.said(channel)) for channel in ("wechat", "telegram", "web")}
    with door.sessions.begin() as session:
        person = session.scalars(select(Resident).where(Resident.name == "王芳")).one()
        spoke = session.scalars(select(Conversation).where(Conversation.channel == "telegram")).one()
        spoke.last_inbound_at = NOW.replace(hour=23)
        for _ in range(2):
            notify.push(session, person, "明天上午来", key="once", now=NOW)
    after = {channel: len(door.said(channel)) - count for channel, count in before.items()}
    assert after == {"wechat": 0, "telegram": 1, "web": 0}


def test_who_wants_to_be_written_to_here_is_until_they_say_otherwise(door: Door) -> None:
    for channel, sender in (("wechat", "o1"), ("telegram", "42")):
        door.bind(channel, sender, Resident, "王芳")
    ticket_chat = _chat(door, "telegram")
    with door.sessions.begin() as session:
        session.get_one(Conversation, ticket_chat).last_inbound_at = NOW.replace(hour=23)

    def goes_to() -> str:
        with door.sessions() as session:
            person = session.scalars(select(Resident).where(Resident.name == "王芳")).one()
            chat = notify.conversation_of(session, person)
            assert chat is not None
            return chat.channel

    assert goes_to() == "telegram"
    door.take(message("以后的消息都发这里吧", channel="wechat", sender="o1", number="2"))
    door.local("wechat", "o1")
    assert goes_to() == "wechat"
    assert "不用固定发这里" in door.said("wechat")[-1]
    with door.sessions.begin() as session:
        session.get_one(Conversation, _chat(door, "wechat")).reachable = False
    assert goes_to() == "telegram", "who cannot be reached there is written to elsewhere"
    door.take(message("不用固定发这里", channel="wechat", sender="o1", number="3"))
    door.local("wechat", "o1")
    with door.sessions.begin() as session:
        session.get_one(Conversation, ticket_chat).last_inbound_at = NOW.replace(hour=23)
    assert goes_to() == "telegram"


def _chat(door: Door, channel: str) -> int:
    with door.sessions() as session:
        return session.scalars(select(Conversation.id).where(Conversation.channel == channel)).one()


@pytest.mark.parametrize("words", ["发这里", "以后发给我", "这里漏水", "以后再说", "以后都发这里漏水"])
def test_other_words_are_no_wish_of_where_to_write(words: str) -> None:
    assert commands.preference(words) is None


# --- another fault told with a danger --------------------------------------------------------------------------------


def test_another_fault_beside_a_danger_is_read_after_the_alarm(door: Door) -> None:
    door.bind("telegram", "42", Resident, "王芳")
    door.take(message("厨房煤气味好大，另外客厅灯也坏了"))
    assert any("燃气" in text or "煤气" in text for text in door.said("telegram"))
    handed = door.local("telegram", "42")
    assert handed is not None
    assert (handed.text, handed.restart) == ("客厅灯也坏了", True)


@pytest.mark.parametrize(
    "words",
    [
        "着火了 另外屋里还有老人",
        "煤气味好大 顺便说一句煤气灶也关了",
        "厨房煤气味好大，另外配电箱在冒烟",
        "煤气漏了 对了我在3栋2单元1502",
    ],
)
def test_what_belongs_to_the_danger_stays_with_it(door: Door, words: str) -> None:
    door.bind("telegram", "42", Resident, "王芳")
    door.take(message(words))
    assert door.local("telegram", "42") is None


def test_a_message_during_a_danger_may_open_another_matter(door: Door) -> None:
    door.bind("telegram", "42", Resident, "王芳")
    door.take(message("厨房煤气味好大"))
    door.take(message("阀门关了 窗也开了", number="2"))
    assert door.local("telegram", "42") is None
    door.take(message("对了楼道灯也不亮了", number="3"))
    handed = door.local("telegram", "42")
    assert handed is not None
    assert handed.text == "楼道灯也不亮了"
