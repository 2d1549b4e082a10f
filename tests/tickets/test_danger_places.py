"""Where a danger is that is not in the teller's own home, and what they may answer to the question about a danger."""

from __future__ import annotations

from datetime import timedelta

import pytest
from deskhelp import NOW, Desk
from sqlalchemy import select

from nlu.emergency import detect
from storage.models import Conversation, Identity, OutboxMessage, Ticket
from tickets import emergencies
from tickets.answering import Turn, try_answer
from tickets.people import Actor


def chat_of(desk: Desk, actor: Actor) -> Conversation:
    """The chat of somebody who is not in the register."""
    assert actor.resident is not None
    identity = Identity(channel="web", external_id="passer-by", resident_id=actor.resident.id)
    desk.session.add(identity)
    desk.session.flush()
    chat = Conversation(channel="web", chat_id="passer-by", identity_id=identity.id)
    desk.session.add(chat)
    desk.session.flush()
    return chat


def screened(desk: Desk, chat: Conversation, actor: Actor, text: str) -> list[OutboxMessage]:
    """What the sender is told to a message that tells of a danger."""
    found, before = detect(text), len(desk.pushes())
    assert found is not None
    emergencies.screen(desk.session, chat, actor, found, text, f"web:{text}", NOW)
    return [one for one in desk.pushes()[before:] if one.conversation_id == chat.id]


def hear(desk: Desk, chat: Conversation, actor: Actor, text: str, minute: int = 1) -> str:
    now = NOW + timedelta(minutes=minute)
    outcome = try_answer(Turn(desk.session, chat, actor, text, now, f"web:{text}:{minute}"))
    assert outcome is not None
    return outcome.reply


def dangers(desk: Desk) -> list[Ticket]:
    return [one for one in desk.session.scalars(select(Ticket).order_by(Ticket.id)) if emergencies.danger(one)]


@pytest.mark.parametrize(
    "text", ["隔壁有人喊救命", "楼上打架有人喊救命", "隔壁好像有人在喊救命 又没声了", "对门一直在喊救命"]
)
def test_a_cry_for_help_is_asked_where_it_is(desk: Desk, text: str) -> None:
    passer = desk.stranger()
    chat = chat_of(desk, passer)
    assert "在几栋几单元" in screened(desk, chat, passer, text)[-1].text
    hear(desk, chat, passer, "我住6栋2单元802 左边那家")
    assert dangers(desk)[0].place_key == "P1/6/2/802"


def test_a_cry_next_door_to_a_known_home_offers_the_flats_there(desk: Desk) -> None:
    chat, actor = desk.chat("王芳"), desk.actor("王芳")
    asked = screened(desk, chat, actor, "隔壁有人喊救命")[-1]
    assert "1503" in asked.text and "say:一期3栋2单元1503室" in [value for value, _ in asked.buttons]
    hear(desk, chat, actor, "一期3栋2单元1503室")
    assert dangers(desk)[0].place_key == "P1/3/2/1503"


@pytest.mark.parametrize(
    "text", ["捡到一个小孩 找不到大人", "有人掉湖里了", "听到有女的喊救命", "有个老太太滑到荷花池里去了"]
)
def test_what_is_not_at_home_is_not_looked_for_there(desk: Desk, text: str) -> None:
    said = screened(desk, desk.chat("王芳"), desk.actor("王芳"), text)[-1].text
    assert dangers(desk)[0].place_key == "" and "？" in said


@pytest.mark.parametrize("text", ["我家有人喊救命", "孩子头卡栏杆里了", "我爸晕倒了", "孩子掉浴缸里呛水了没呼吸"])
def test_what_may_be_at_home_is_looked_for_there(desk: Desk, text: str) -> None:
    screened(desk, desk.chat("王芳"), desk.actor("王芳"), text)
    assert dangers(desk)[0].place_key == "P1/3/2/1502"


def test_a_place_that_was_told_stands(desk: Desk) -> None:
    screened(desk, desk.chat("王芳"), desk.actor("王芳"), "捡到一个小孩 找不到大人 在6栋2单元门口")
    assert "P1/6/2" in dangers(desk)[0].place_key


@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        ("井盖松了", "是", "不是"),
        ("烟感乱叫", "有", "没有"),
        ("客厅的吊灯掉下来了", "是", "不是"),
        ("高空抛物", "在", "不在"),
    ],
)
def test_the_buttons_are_the_answers_that_the_question_offers(desk: Desk, text: str, yes: str, no: str) -> None:
    [asked] = screened(desk, desk.chat("王芳"), desk.actor("王芳"), text)
    assert [tuple(one) for one in asked.buttons] == [(f"say:{yes}", yes), (f"say:{no}", no)]


@pytest.mark.parametrize(("text", "danger"), [("没有", True), ("还没", True), ("没找到", True), ("找到了", False)])
def test_not_found_is_the_danger(desk: Desk, text: str, danger: bool) -> None:
    chat, actor = desk.chat("王芳"), desk.actor("王芳")
    screened(desk, chat, actor, "孩子走错单元了")
    hear(desk, chat, actor, text)
    assert bool(dangers(desk)) is danger
