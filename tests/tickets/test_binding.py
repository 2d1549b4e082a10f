"""Tying a chat to a home: by a code that only the registered people see, or by the desk (domain.md §9.3)."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from deskhelp import HOME, Desk, at
from sqlalchemy import select
from staffhelp import ask

from bot import commands, logins
from storage.models import AccessLog, Identity, LoginCode, Residency, Resident
from tickets import binding
from tickets.errors import BadInput, NotAllowed, NotFound, TooManyClaims
from tickets.people import Actor, home_key, lives_at

NOW = at("10:00")


@pytest.fixture
def newcomer(desk: Desk) -> Resident:
    person = desk.stranger("王小宝").resident
    assert person is not None
    return person


def claims(desk: Desk, person: Resident) -> list[Residency]:
    return list(desk.session.scalars(select(Residency).where(Residency.resident_id == person.id)))


def code_told(desk: Desk, name: str) -> str:
    found = re.search(r"验证码 (\d{6})", desk.fresh(name)[-1].text)
    assert found
    return found[1]


def test_the_registered_people_pass_the_code_on(desk: Desk, newcomer: Resident) -> None:
    desk.seen()
    said = binding.claim(desk.session, newcomer, "3-2-1502", NOW)
    assert "一期3栋2单元1502室" in said
    assert "王" not in said
    assert not lives_at(desk.session, newcomer, HOME)
    code = code_told(desk, "王芳")
    assert code not in str(claims(desk, newcomer)[0].__dict__)
    assert binding.enter_code(desk.session, newcomer, code, NOW + timedelta(minutes=5)) is not None
    assert lives_at(desk.session, newcomer, HOME)
    assert home_key(desk.session, newcomer) == HOME
    assert binding.enter_code(desk.session, newcomer, code, NOW) is None


def test_a_claim_alone_gives_nothing(desk: Desk, newcomer: Resident) -> None:
    ticket = desk.accepted()
    binding.claim(desk.session, newcomer, "3-2-1502", NOW)
    from tickets.people import may_see

    assert not may_see(desk.session, ticket, Actor(resident=newcomer))
    assert home_key(desk.session, newcomer) is None


def test_the_code_is_no_use_to_anybody_else_and_ends(desk: Desk, newcomer: Resident) -> None:
    desk.seen()
    binding.claim(desk.session, newcomer, "3-2-1502", NOW)
    code = code_told(desk, "王芳")
    assert binding.enter_code(desk.session, desk.resident("李强"), code, NOW) is None
    assert binding.enter_code(desk.session, None, code, NOW) is None
    assert binding.enter_code(desk.session, newcomer, "000000" if code != "000000" else "1", NOW) is None
    assert binding.enter_code(desk.session, newcomer, code, NOW + timedelta(minutes=31)) is None
    assert not lives_at(desk.session, newcomer, HOME)


def test_the_code_of_a_claim_opens_nobodys_account(desk: Desk, newcomer: Resident) -> None:
    desk.seen()
    binding.claim(desk.session, newcomer, "3-2-1502", NOW)
    code = code_told(desk, "王芳")
    identity = Identity(channel="telegram", external_id="9", resident=desk.resident("李强"))
    desk.session.add(identity)
    desk.session.flush()
    assert not logins.bind(desk.session, identity, code, NOW)
    assert logins.by_code(desk.session, code, NOW) is None


def test_the_desk_agrees_with_a_button(desk: Desk, newcomer: Resident) -> None:
    desk.seen()
    binding.claim(desk.session, newcomer, "3-2-1502", NOW)
    asked = desk.fresh("客服小周")[-1]
    yes = next(code for code, _ in asked.buttons if code.startswith("home_yes"))
    assert "王小宝" in ask(desk, yes, "客服小周", NOW).text
    assert lives_at(desk.session, newcomer, HOME)
    with pytest.raises(BadInput):
        ask(desk, yes, "客服小周", NOW)
    noted = [(row.action, row.allowed) for row in desk.session.scalars(select(AccessLog).order_by(AccessLog.id))]
    assert noted == [("claim", True), ("binding", True)]


def test_the_desk_refuses_by_words_and_the_claim_is_over(desk: Desk, newcomer: Resident) -> None:
    binding.claim(desk.session, newcomer, "3-2-1502", NOW)
    (tie,) = claims(desk, newcomer)
    ask(desk, f"拒绝绑定 {tie.id}", "客服小周", NOW)
    assert not lives_at(desk.session, newcomer, HOME)
    with pytest.raises(BadInput):
        ask(desk, f"同意绑定 {tie.id}", "客服小周", NOW)


def test_workers_and_other_communities_decide_nothing(desk: Desk, newcomer: Resident) -> None:
    binding.claim(desk.session, newcomer, "3-2-1502", NOW)
    (tie,) = claims(desk, newcomer)
    for actor in (desk.actor("王师傅"), desk.actor("王芳"), Actor(resident=newcomer)):
        with pytest.raises(NotAllowed):
            binding.decide(desk.session, actor, tie.id, True, NOW)
    with pytest.raises(NotFound):
        binding.decide(desk.session, desk.actor("客服小周"), 99999, True, NOW)
    assert not lives_at(desk.session, newcomer, HOME)


def test_a_home_where_nobody_is_registered_is_the_desks(desk: Desk, newcomer: Resident) -> None:
    desk.seen()
    said = binding.claim(desk.session, newcomer, "3-2-1601", NOW)
    assert list(desk.session.scalars(select(LoginCode))) == []
    assert desk.fresh("客服小周")
    # Whoever asks does not learn from the answer whether somebody is registered there.
    other = desk.stranger("某人").resident
    assert other is not None
    assert binding.claim(desk.session, other, "3-2-1502", NOW) == said.replace("1601", "1502")


def test_a_place_that_is_no_home_is_asked_again(desk: Desk, newcomer: Resident) -> None:
    for words in ("99栋101", "3栋", "北门", "1501"):
        assert "写全" in binding.claim(desk.session, newcomer, words, NOW), words
    assert claims(desk, newcomer) == []


def test_not_more_than_three_claims_a_day(desk: Desk, newcomer: Resident) -> None:
    for room in ("1601", "1602", "1603"):
        binding.claim(desk.session, newcomer, f"3-2-{room}", NOW)
    with pytest.raises(TooManyClaims):
        binding.claim(desk.session, newcomer, "3-2-1604", NOW)
    binding.claim(desk.session, newcomer, "3-2-1604", NOW + timedelta(hours=25))


def test_who_lives_there_is_told_so(desk: Desk) -> None:
    assert "已经绑定" in binding.claim(desk.session, desk.resident("王芳"), "3-2-1502", NOW)


@pytest.mark.parametrize(
    ("text", "home"),
    [("绑定 3-2-1502", "3-2-1502"), ("绑定一期3栋2单元1502", "一期3栋2单元1502"), ("我要绑定房屋：3-2-1502", "3-2-1502"),
     ("认证房屋 3-2-1502", "3-2-1502"), ("绑定手机怎么弄", ""), ("厨房漏水3天了", ""), ("绑定", "")],
)  # fmt: skip
def test_how_residents_say_it(text: str, home: str) -> None:
    assert commands.home_to_bind(text) == home


# --- who was not reached ----------------------------------------------------------------------------------------------


def test_whom_nothing_reached_is_listed_with_a_masked_phone(desk: Desk) -> None:
    ticket = desk.report(by="李强", place_key="P1/3/2/1402")
    for row in desk.pushes("李强"):
        row.status = "dead"
    count = len(desk.pushes("李强"))
    if not count:
        desk.pushes("王师傅")[0].status = "dead"
    text = ask(desk, "谁没收到消息", "马经理", NOW).text
    assert "1 人" in text
    assert ticket.tail in text
    assert not re.search(r"\d{11}", text)


def test_when_everybody_was_reached_the_list_is_empty(desk: Desk) -> None:
    desk.report()
    assert "都送到了" in ask(desk, "谁没收到消息", "马经理", at("09:01")).text
