"""Pushes: in the transaction of their cause, once per event, to reachable chats, and never a full phone too early."""

from __future__ import annotations

from datetime import timedelta

import pytest
from deskhelp import NOW, Desk, at, key_of
from sqlalchemy import Engine, func, select

from storage.database import sessions
from storage.models import Community, Conversation, Identity, OutboxMessage, Ticket
from tickets import notify, verbs
from tickets.people import Actor

PHONE = "13800005678"
OTHER_PHONE = "13911112222"


def test_what_is_rolled_back_leaves_no_push_no_ticket_and_no_number(engine: Engine) -> None:
    with sessions(engine)() as session:
        desk = Desk(session, session.scalars(select(Community)).one())
        desk.report("W01")
        assert desk.pushes()
        session.rollback()
    with sessions(engine)() as session:
        assert session.scalar(select(func.count()).select_from(OutboxMessage)) == 0
        assert session.scalar(select(func.count()).select_from(Ticket)) == 0
        assert Desk(session, session.scalars(select(Community)).one()).report().tail == "0001"


def test_a_refused_verb_in_a_savepoint_leaves_the_rest_of_the_turn(desk: Desk) -> None:
    ticket = desk.report()
    before = desk.snapshot()
    with pytest.raises(Exception), desk.session.begin_nested():  # noqa: B017
        verbs.finish(desk.session, ticket, desk.handler(ticket), "", at("09:10"), self_checked=False)
    assert desk.snapshot() == before


def test_one_push_per_person_event_and_text(desk: Desk) -> None:
    ticket = desk.closed("W01")
    verbs.rate(desk.session, ticket, desk.actor("王芳"), 1, 1, "", at("10:00"))
    desk.sweep_through(at("10:00"), at("12:00", 13), verbs.ACCEPTANCE_REMINDER)
    keys = [row.dedupe_key for row in desk.pushes()]
    assert len(keys) == len(set(keys)) > 8


def test_the_same_key_is_queued_once(desk: Desk) -> None:
    for text in ("一", "二"):
        notify.push(desk.session, desk.resident("王芳"), text, key="same", now=NOW)
    assert [row.text for row in desk.pushes()] == ["一"]


def test_nothing_is_told_twice_in_one_turn(desk: Desk) -> None:
    desk.chat("王芳")
    desk.seen()
    for key, now in (("one", NOW), ("two", NOW), ("later", NOW + timedelta(minutes=5))):
        notify.push(desk.session, desk.resident("王芳"), "好的，已记下", key=key, now=now)
    told = desk.session.scalars(select(OutboxMessage.status).where(OutboxMessage.text == "好的，已记下"))
    assert sorted(told) == ["pending", "pending", "withdrawn"]


def test_who_has_no_chat_is_listed_as_not_reached(desk: Desk) -> None:
    stranger = desk.stranger()
    assert stranger.resident is not None
    notify.push(desk.session, stranger.resident, "您好", key="k", now=NOW)
    (row,) = desk.pushes()
    assert (row.status, row.error, row.conversation_id) == ("dead", "no_chat", None)


def test_pushes_go_to_the_chat_where_the_person_was_heard_last(desk: Desk) -> None:
    session, resident = desk.session, desk.resident("王芳")
    identity = Identity(channel="telegram", external_id="77", resident=resident)
    telegram = Conversation(channel="telegram", chat_id="77", identity=identity, last_inbound_at=NOW)
    group = Conversation(channel="telegram", chat_id="-5", identity=identity, last_inbound_at=at("10:00"), group=True)
    session.add_all([telegram, group])
    session.flush()
    assert notify.conversation_of(session, resident) == telegram
    telegram.reachable = False
    session.flush()
    assert notify.conversation_of(session, resident) == desk_web(desk)


def desk_web(desk: Desk) -> Conversation:
    query = select(Conversation).join(Identity).where(Identity.resident_id == desk.resident("王芳").id)
    return desk.session.scalars(query.where(Conversation.channel == "web")).one()


def test_the_reporter_is_told_in_the_chat_the_report_came_from(desk: Desk) -> None:
    identity = Identity(channel="telegram", external_id="77", resident=desk.resident("王芳"))
    telegram = Conversation(channel="telegram", chat_id="77", identity=identity, last_inbound_at=at("09:30"))
    desk.session.add(telegram)
    ticket = desk.report(conversation=desk_web(desk))
    verbs.accept(desk.session, ticket, desk.handler(ticket), at("09:40"))
    assert {row.conversation_id for row in desk.pushes("王芳")} == {desk_web(desk).id}
    desk_web(desk).reachable = False
    desk.seen()
    verbs.arrive(desk.session, ticket, desk.handler(ticket), at("09:50"))
    assert {row.conversation_id for row in desk.fresh("王芳")} == {telegram.id}


def test_emergencies_overtake(desk: Desk) -> None:
    desk.report("W02")
    assert {row.priority for row in desk.pushes()} == {notify.NORMAL}
    desk.seen()
    desk.report("W01")
    assert {row.priority for row in desk.fresh()} == {notify.URGENT}


# --- phones -----------------------------------------------------------------------------------------------------------


def test_the_full_number_only_after_accepting_and_only_to_that_worker(desk: Desk) -> None:
    ticket = desk.report(symptom=f"水管漏了，电话{OTHER_PHONE}")
    helper = desk.worker("钱师傅", ["plumber"])
    verbs.add_detail(desk.session, ticket, desk.actor("王芳"), f"急，打{PHONE}", at("09:02"))
    verbs.correct(desk.session, ticket, desk.actor("王芳"), at("09:03"), contact_phone=OTHER_PHONE)
    for row in desk.pushes():
        assert PHONE not in row.text, row.text
        assert OTHER_PHONE not in row.text, row.text
    desk.seen()
    verbs.accept(desk.session, ticket, desk.handler(ticket), at("09:10"))
    assert [OTHER_PHONE in row.text for row in desk.fresh("王师傅")] == [True]
    assert not any(OTHER_PHONE in row.text for row in desk.fresh("王芳"))
    verbs.correct(desk.session, ticket, desk.actor("王芳"), at("09:11"), contact_phone=PHONE)
    assert PHONE in desk.fresh("王师傅")[-1].text

    # A new worker starts without it, although somebody had accepted before.
    desk.seen()
    verbs.assign(desk.session, ticket, helper, desk.actor("李工"), at("09:20"))
    verbs.correct(desk.session, ticket, desk.actor("王芳"), at("09:21"), contact_phone=OTHER_PHONE)
    verbs.add_detail(desk.session, ticket, desk.actor("王芳"), f"还是打{PHONE}", at("09:22"))
    texts = [row.text for row in desk.fresh()]
    assert len(texts) >= 4
    assert not any(number in text for number in (PHONE, OTHER_PHONE) for text in texts)


def test_the_next_rounds_worker_has_to_accept_first(desk: Desk) -> None:
    desk.worker("钱师傅", ["plumber"])
    ticket = desk.done()
    verbs.not_fixed(desk.session, ticket, desk.actor("王芳"), "没好", at("10:00"))
    desk.photo(ticket, at("10:30"), count=2)
    verbs.finish(desk.session, ticket, desk.handler(ticket), "", at("11:00"), self_checked=True)
    desk.seen()
    verbs.not_fixed(desk.session, ticket, desk.actor("王芳"), f"没好，打{OTHER_PHONE}", at("12:00"))
    verbs.correct(desk.session, ticket, desk.actor("王芳"), at("12:05"), contact_phone=OTHER_PHONE)
    assert desk.fresh("钱师傅")
    assert not any(OTHER_PHONE in row.text for row in desk.fresh())


@pytest.mark.parametrize(("code", "kind"), [("W01", "BX"), ("E01", "BX"), ("T02", "TS"), ("Q22", "ZX")])
def test_no_text_to_anyone_has_a_colleagues_or_residents_full_number_before_acceptance(
    desk: Desk, code: str, kind: str
) -> None:
    ticket = desk.report(code, kind=kind, symptom=f"说了几次了 电话{OTHER_PHONE}")
    desk.sweep_through(NOW, at("10:00"), timedelta(minutes=10))
    desk.sweep_through(at("12:00"), at("12:00", 13), timedelta(hours=4))
    assert desk.pushes(ticket=ticket)
    for row in desk.pushes():
        assert PHONE not in row.text, key_of(row)
        assert OTHER_PHONE not in row.text, key_of(row)
        assert "1381111" not in row.text, key_of(row)


def test_texts_to_residents_never_name_a_neighbour(desk: Desk) -> None:
    ticket = desk.report("E05", public_area=True, place_text="一期3栋2单元")
    verbs.comment(desk.session, ticket, Actor(staff=desk.staff("客服小周")), "1402李先生也报了", at("09:10"))
    verbs.accept(desk.session, ticket, desk.handler(ticket), at("09:11"))
    assert not any("李先生" in row.text or "1402" in row.text for row in desk.pushes("王芳"))
