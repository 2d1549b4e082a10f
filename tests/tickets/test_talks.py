"""A talk has one resident, one colleague and one end, whoever is quicker (tickets/talks.py)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import pytest
from deskhelp import Desk, at
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import IntegrityError

from storage.database import sessions
from storage.models import Community, Resident, Staff, Talk
from tickets import talks
from tickets.errors import NoTalk, NotAllowed, TalkTaken, TooEarly
from tickets.people import Actor


def waiting(desk: Desk, name: str = "王芳") -> Talk:
    return talks.ask(desk.session, desk.chat(name), desk.resident(name), "转人工", at("10:00"))


def test_of_two_who_take_it_one_wins(engine: Engine) -> None:
    with sessions(engine).begin() as session:
        desk = Desk(session, session.scalars(select(Community)).one())
        number = waiting(desk).id
        people = [desk.staff(name).id for name in ("客服小周", "林管家", "周主管", "马经理")]
    start = Barrier(len(people))

    def take(staff_id: int) -> str:
        start.wait()
        try:
            with sessions(engine).begin() as session:
                staff = session.get_one(Staff, staff_id)
                talks.take(session, talks.load(session, number, staff), staff, at("10:01"))
                return "won"
        except TalkTaken as refused:
            return str(refused.facts["name"])

    with ThreadPoolExecutor(len(people)) as pool:
        results = list(pool.map(take, people))
    assert results.count("won") == 1
    with sessions(engine)() as session:
        owner = session.scalars(select(Talk)).one().staff
        assert owner is not None
        assert set(results) == {"won", owner.name}


def test_asking_in_two_channels_at_once_waits_once(engine: Engine) -> None:
    with sessions(engine).begin() as session:
        desk = Desk(session, session.scalars(select(Community)).one())
        resident, chat = desk.resident("王芳").id, desk.chat("王芳").id
    start = Barrier(2)

    def ask(words: str) -> str:
        start.wait()
        try:
            with sessions(engine).begin() as session:
                from storage.models import Conversation

                person = session.get_one(Resident, resident)
                talks.ask(session, session.get_one(Conversation, chat), person, words, at("10:00"))
                return "asked"
        except IntegrityError:
            # The turn is taken again, and finds the wait that is there.
            return "again"

    with ThreadPoolExecutor(2) as pool:
        assert "asked" in list(pool.map(partial(ask), ("转人工", "找人工")))
    with sessions(engine)() as session:
        assert session.scalar(select(func.count()).select_from(Talk)) == 1


def test_who_is_complained_about_neither_takes_nor_reads_the_talk_about_it(desk: Desk) -> None:
    accused = desk.staff("客服小周")
    ticket = desk.report("T01", kind="TS", accused=accused, symptom="小周态度差")
    talk = talks.ask(desk.session, desk.chat("王芳"), desk.resident("王芳"), "转人工", at("10:00"), ticket=ticket)
    assert talk.staff == desk.staff("林管家")
    with pytest.raises(NoTalk):
        talks.load(desk.session, talk.id, accused)
    with pytest.raises(NotAllowed):
        talks.take(desk.session, talk, accused, at("10:01"))


def test_nobody_of_another_community_reads_it(desk: Desk) -> None:
    talk = waiting(desk)
    elsewhere = Community(code="other", name="别处", register_spec={})
    desk.session.add(elsewhere)
    desk.session.flush()
    stranger = Staff(community_id=elsewhere.id, name="外人", role="manager", department="manager")
    desk.session.add(stranger)
    desk.session.flush()
    with pytest.raises(NoTalk):
        talks.load(desk.session, talk.id, stranger)


def test_whoever_has_a_matter_speaks_to_who_told_it_without_numbers(desk: Desk) -> None:
    ticket = desk.report("T06", kind="TS", symptom="楼道太脏")
    desk.seen()
    talk, text = talks.begin(desk.session, ticket, desk.staff("何姐"), at("10:00"))
    assert (talk.state, talk.staff, talk.ticket) == ("active", desk.staff("何姐"), ticket)
    assert "138****5678" in text and "13800005678" not in text
    talks.from_staff(desk.session, talk, desk.staff("何姐"), "您说的是几楼", (), at("10:01"))
    assert [row.text for row in desk.fresh("王芳")] == [
        "何姐来了，接下来由真人跟您说，直接说就行。",
        "何姐：您说的是几楼",
    ]


def test_nobody_else_begins_one_and_nobody_at_night_or_with_the_anonymous(desk: Desk) -> None:
    ticket = desk.report("T06", kind="TS", symptom="楼道太脏")
    for name in ("王师傅", "小刘"):
        with pytest.raises(NotAllowed):
            talks.begin(desk.session, ticket, desk.staff(name), at("10:00"))
    with pytest.raises(TooEarly):
        talks.begin(desk.session, ticket, desk.staff("何姐"), at("23:00"))
    hidden = desk.report("T06", kind="TS", symptom="匿名 楼道太脏")
    with pytest.raises(NotAllowed):
        talks.begin(desk.session, hidden, desk.staff("何姐"), at("10:00"))
    with pytest.raises(NotAllowed):
        talks.begin(desk.session, hidden, desk.staff("周主管"), at("10:00"))
    assert desk.session.scalar(select(func.count()).select_from(Talk)) == 0
    talk, _ = talks.begin(desk.session, hidden, desk.staff("林管家"), at("10:00"))
    assert talk.staff == desk.staff("林管家")


def test_who_waits_already_is_taken_and_who_speaks_with_another_is_not_disturbed(desk: Desk) -> None:
    ticket, talk = desk.report("T06", kind="TS"), waiting(desk)
    found, _ = talks.begin(desk.session, ticket, desk.staff("何姐"), at("10:00"))
    assert found.id == talk.id
    with pytest.raises(TalkTaken):
        talks.begin(desk.session, ticket, desk.staff("周主管"), at("10:01"))


def test_an_ended_talk_takes_no_more_words(desk: Desk) -> None:
    talk, staff = waiting(desk), desk.staff("客服小周")
    talks.take(desk.session, talk, staff, at("10:01"))
    talks.end(desk.session, talk, Actor(staff=staff), "staff", at("10:02"))
    before = len(desk.pushes("王芳"))
    with pytest.raises(NoTalk):
        talks.from_staff(desk.session, talk, staff, "还在吗", (), at("10:03"))
    talks.end(desk.session, talk, Actor(staff=staff), "staff", at("10:03"))
    assert len(desk.pushes("王芳")) == before
    # The next wish for a person is a talk of its own.
    assert waiting(desk).id != talk.id
