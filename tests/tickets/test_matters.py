"""Complaints, questions, suggestions and praise: a named colleague, a promised time, an answer that settles it or not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from deskhelp import Desk, at
from sqlalchemy import select

from storage.models import Staff
from tickets import finding, verbs
from tickets.errors import BadInput, NotAllowed, WrongStatus
from tickets.people import may_see


@pytest.mark.parametrize(
    ("code", "handler"),
    [
        ("T01", "周主管"),
        ("T02", "李工"),
        ("T03", "马经理"),
        ("T05", "刘队"),
        ("T06", "何姐"),
        ("T09", "周主管"),
        ("T14", "马经理"),
        ("T99", "周主管"),
    ],
)
def test_a_complaint_goes_to_the_leader_of_its_department(desk: Desk, code: str, handler: str) -> None:
    ticket = desk.report(code, kind="TS")
    assert (ticket.status, ticket.handler, ticket.owner) == ("assigned", desk.staff(handler), desk.staff(handler))
    assert "desk_TS" in desk.told()[handler]


def test_never_to_the_accused_who_hears_and_sees_nothing_of_it(desk: Desk) -> None:
    accused = desk.staff("李工")
    ticket = desk.report("T02", kind="TS", accused=accused, symptom="李工骂人")
    assert ticket.handler == desk.staff("马经理")
    verbs.urge(desk.session, ticket, desk.actor("王芳"), "没人管吗", at("09:30"))
    verbs.urge(desk.session, ticket, desk.actor("王芳"), "没人管吗", at("09:40"))
    desk.sweep_through(at("09:40"), at("20:00", 13), timedelta(hours=3))
    assert desk.pushes("李工") == []
    actor = desk.actor("李工")
    assert not may_see(desk.session, ticket, actor)
    for verb in (verbs.answer_matter, verbs.resolve, verbs.comment):
        with pytest.raises(NotAllowed):
            verb(desk.session, ticket, actor, "没有的事", at("10:00"))


def test_praise_naming_a_colleague_hides_nothing_from_anyone(desk: Desk) -> None:
    ticket = desk.report("B01", kind="BY", accused=desk.staff("李工"))
    assert may_see(desk.session, ticket, desk.actor("李工"))


def test_a_grave_complaint_tells_the_manager_at_once(desk: Desk) -> None:
    ticket = desk.report("T02", kind="TS", level="C1", symptom="再不修我打12345")
    assert desk.told() == {"李工": ["desk_TS"], "马经理": ["c1"]}
    assert (ticket.accept_by, ticket.finish_by) == (at("09:10"), at("09:00", 13))
    assert all(row.priority == 0 for row in desk.pushes("马经理"))


def test_an_ordinary_one_does_not(desk: Desk) -> None:
    desk.report("T02", kind="TS")
    assert "马经理" not in desk.told()


@pytest.mark.parametrize(
    ("opened", "due"),
    [
        (at("15:10"), at("12:00", 13)),
        # Friday afternoon and the weekend: Monday noon.
        (at("16:00", 13), at("12:00", 16)),
        (at("10:00", 14), at("12:00", 16)),
        (at("23:50", 15), at("12:00", 16)),
    ],
)
def test_a_question_is_promised_noon_of_the_next_working_day(desk: Desk, opened: object, due: object) -> None:
    ticket = desk.report("Q22", kind="ZX", now=opened)  # type: ignore[arg-type]
    assert ticket.finish_by == due
    assert ticket.handler == desk.staff("客服小周")


def test_the_answer_is_relayed_and_settles_it(desk: Desk) -> None:
    ticket = desk.report("Q22", kind="ZX", symptom="装充电桩要业主同意吗")
    desk.seen()
    verbs.answer_matter(desk.session, ticket, desk.actor("客服小周"), "需要，申请表在前台领", at("10:00"))
    assert (ticket.status, ticket.finished_at) == ("done", at("10:00"))
    # One message: the answer itself, without a "taken over" before it.
    assert desk.told() == {"王芳": ["answer_ZX"]}
    assert "需要，申请表在前台领" in desk.fresh("王芳")[0].text
    assert desk.question(ticket, "solved") is not None
    assert finding.offers_to(desk.session, desk.staff("客服小周")) == []
    verbs.confirm(desk.session, ticket, desk.actor("王芳"), at("10:05"))
    assert ticket.status == "closed"
    assert desk.assignments(ticket) == [("客服小周", "done")]


def test_a_leader_may_answer_instead_and_then_has_it(desk: Desk) -> None:
    ticket = desk.report("Q22", kind="ZX")
    verbs.answer_matter(desk.session, ticket, desk.actor("周主管"), "可以", at("10:00"))
    assert ticket.handler == desk.staff("周主管")
    assert desk.assignments(ticket) == [("客服小周", "withdrawn"), ("周主管", "accepted")]


def test_not_solved_goes_on_with_a_new_time(desk: Desk) -> None:
    ticket = desk.report("Q22", kind="ZX")
    verbs.answer_matter(desk.session, ticket, desk.actor("客服小周"), "需要", at("10:00"))
    desk.seen()
    verbs.not_fixed(desk.session, ticket, desk.actor("王芳"), "不太明白", at("10:05"))
    assert (ticket.status, ticket.round, ticket.handler) == ("rework", 2, desk.staff("客服小周"))
    assert ticket.finish_by == at("10:05", 13)
    assert "reworked_matter" in desk.told()["王芳"]
    verbs.answer_matter(desk.session, ticket, desk.actor("客服小周"), "到前台，我帮您填", at("10:20"))
    assert ticket.status == "done"


def test_workers_residents_and_silence_do_not_answer(desk: Desk) -> None:
    ticket = desk.report("Q22", kind="ZX")
    for name in ("王芳", "王师傅"):
        with pytest.raises(NotAllowed):
            verbs.answer_matter(desk.session, ticket, desk.actor(name), "可以", at("10:00"))
    with pytest.raises(BadInput):
        verbs.answer_matter(desk.session, ticket, desk.actor("客服小周"), "", at("10:00"))
    with pytest.raises(WrongStatus):
        verbs.answer_matter(desk.session, desk.report(), desk.actor("客服小周"), "可以", at("10:00"))
    assert ticket.status == "assigned"


def test_an_answer_given_twice_is_told_once(desk: Desk) -> None:
    ticket = desk.report("Q22", kind="ZX")
    verbs.answer_matter(desk.session, ticket, desk.actor("客服小周"), "可以", at("10:00"))
    before = desk.snapshot()
    with pytest.raises(WrongStatus):
        verbs.answer_matter(desk.session, ticket, desk.actor("客服小周"), "可以", at("10:00"))
    assert desk.snapshot() == before


def test_suggestions_and_praise_go_to_the_desk(desk: Desk) -> None:
    for kind, code in (("JY", "J01"), ("BY", "B01")):
        ticket = desk.report(code, kind=kind)
        assert ticket.handler == desk.staff("客服小周")


def test_a_neighbour_in_the_same_flat_cannot_settle_a_complaint_that_is_not_theirs(desk: Desk) -> None:
    ticket = desk.report("T02", kind="TS")
    verbs.answer_matter(desk.session, ticket, desk.actor("李工"), "已处理", at("10:00"))
    with pytest.raises(NotAllowed):
        verbs.confirm(desk.session, ticket, desk.family("王小宝", "P1/3/2/1502"), at("10:05"))


@pytest.mark.parametrize("verb", ["grab", "assign"])
def test_a_matter_nobody_has_can_be_taken(desk: Desk, verb: str) -> None:
    """Handler and status change in one step: the database must not see one without the other."""
    away = desk.session.scalars(select(Staff).where(Staff.role != "worker")).all()
    for one in away:
        one.active = False
    ticket = desk.report("B01", kind="BY")
    assert (ticket.status, ticket.handler_id) == ("new", None)
    for one in away:
        one.active = True
    if verb == "grab":
        verbs.grab(desk.session, ticket, desk.actor("王师傅"), at("09:10"))
    else:
        verbs.assign(desk.session, ticket, desk.staff("王师傅"), desk.actor("李工"), at("09:10"), reason="他在场")
    assert ticket.handler is not None and ticket.handler.name == "王师傅"
