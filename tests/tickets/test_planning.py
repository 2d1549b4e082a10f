"""Before and beside the work: survey, plan and consent, surprises, parts, pictures, waiting, what belongs to somebody else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from deskhelp import NOW, Desk, at

from storage.models import Attachment
from tickets import aftercare, verbs
from tickets.errors import BadInput, NotAllowed, PhotoNeeded, ReasonNeeded, SelfCheckNeeded, WrongStatus
from tickets.verbs.planning import parts_of

FOUND = {"cause": "防水老化", "scope": "卫生间地面", "materials": "防水涂料", "people": "2"}


# --- survey -----------------------------------------------------------------------------------------------------------


def test_what_needs_a_look_is_looked_at_first(desk: Desk) -> None:
    ticket = desk.report("S09", symptom="卫生间地面渗水")
    assert (ticket.status, ticket.handler) == ("survey", desk.staff("陈师傅"))
    # Planned work: the second working day (domain.md §2.2); Thursday, so Monday.
    assert ticket.arrive_by == at("18:00", 16)
    assert desk.told() == {"王芳": ["survey"], "陈师傅": ["survey_staff"]}
    assert "6月16日 18:00" in desk.fresh("王芳")[0].text
    assert desk.assignments(ticket) == [("陈师傅", "accepted")]


def test_a_survey_is_not_left_without_its_findings(desk: Desk) -> None:
    ticket = desk.report("S09")
    for name in FOUND:
        part = {key: value for key, value in FOUND.items() if key != name}
        before = desk.snapshot()
        with pytest.raises(ReasonNeeded):
            verbs.survey_done(desk.session, ticket, desk.handler(ticket), part, None, at("10:00"))
        assert desk.snapshot() == before
    with pytest.raises(NotAllowed):
        verbs.survey_done(desk.session, ticket, desk.actor("王师傅"), FOUND, None, at("10:00"))


def test_findings_make_the_plan_and_the_order(desk: Desk) -> None:
    ticket = desk.report("S09")
    desk.seen()
    verbs.survey_done(desk.session, ticket, desk.handler(ticket), FOUND, 80000, at("10:00"))
    assert ticket.status == "assigned"
    assert ticket.detail["survey"] == FOUND
    assert desk.told() == {"陈师傅": ["card"], "王芳": ["quote"]}
    told = desk.fresh("王芳")[0].text
    for piece in ("原因：防水老化", "物料：防水涂料", "800元", "同意吗"):
        assert piece in told
    assert desk.question(ticket, "consent") is not None
    verbs.accept(desk.session, ticket, desk.actor("陈师傅"), at("10:10"))
    with pytest.raises(WrongStatus):
        verbs.finish(desk.session, ticket, desk.actor("陈师傅"), "做好了", at("15:00"), self_checked=True)
    verbs.consent(desk.session, ticket, desk.actor("王芳"), True, "同意", at("15:05"))
    verbs.finish(desk.session, ticket, desk.actor("陈师傅"), "做好了", at("15:10"), self_checked=True)
    assert ticket.status == "done"


def test_a_leader_sends_somebody_to_look_before_anybody_works(desk: Desk) -> None:
    ticket = desk.report()
    desk.seen()
    with pytest.raises(NotAllowed):
        verbs.need_survey(desk.session, ticket, desk.staff("陈师傅"), desk.actor("王师傅"), at("09:05"))
    verbs.need_survey(desk.session, ticket, desk.staff("陈师傅"), desk.actor("李工"), at("09:05"), reason="原因不明")
    assert (ticket.status, ticket.handler) == ("survey", desk.staff("陈师傅"))
    assert desk.told() == {"王芳": ["survey"], "陈师傅": ["survey_staff"], "王师傅": ["withdrawn"]}
    assert desk.assignments(ticket) == [("王师傅", "withdrawn"), ("陈师傅", "accepted")]


def test_a_survey_that_is_late_is_owned_up_to(desk: Desk) -> None:
    ticket = desk.report("S04")
    assert ticket.arrive_by == NOW + timedelta(hours=24)
    desk.seen()
    desk.sweep(at("09:00", 13))
    assert any("late_arrival" in key for key in desk.told()["王芳"])


# --- plan, consent, change --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "fen", "needs"),
    [
        ("换角阀", 3500, ["paid", "parts"]),
        ("关立管半小时", None, ["outage"]),
        ("墙上开槽走管", None, ["drilling"]),
        ("紧一紧接头", None, []),
        ("更换锁芯", 0, ["parts"]),
    ],
)
def test_what_needs_consent_is_not_finished_without_it(
    desk: Desk, plan: str, fen: int | None, needs: list[str]
) -> None:
    ticket = desk.accepted()
    verbs.quote(desk.session, ticket, desk.handler(ticket), plan, fen, at("10:00"))
    assert ticket.detail["quote"]["needs"] == needs
    told = desk.fresh("王芳")[-1].text
    assert "免费" not in told and "不收费" not in told
    if needs:
        with pytest.raises(WrongStatus):
            verbs.finish(desk.session, ticket, desk.handler(ticket), "", at("10:30"), self_checked=True)
        verbs.consent(desk.session, ticket, desk.actor("王芳"), True, "同意", at("10:35"))
    verbs.finish(desk.session, ticket, desk.handler(ticket), "", at("10:40"), self_checked=True)
    assert ticket.status == "done"


def test_cutting_the_water_is_known_to_the_supervisor_before(desk: Desk) -> None:
    ticket = desk.accepted()
    desk.seen()
    verbs.quote(desk.session, ticket, desk.handler(ticket), "停水半小时换阀", None, at("10:00"))
    assert desk.told() == {"王芳": ["quote"], "李工": ["plan_leader"]}


def test_another_plan_after_the_consent_is_a_change_for_both(desk: Desk) -> None:
    ticket = desk.accepted()
    worker = desk.handler(ticket)
    verbs.quote(desk.session, ticket, worker, "换角阀", 3500, at("10:00"))
    verbs.consent(desk.session, ticket, desk.actor("王芳"), True, "同意", at("10:05"))
    desk.seen()
    verbs.quote(desk.session, ticket, worker, "换整段软管", 9000, at("10:20"))
    assert desk.told() == {"王芳": ["quote_changed"], "李工": ["plan_leader"]}
    with pytest.raises(WrongStatus):
        verbs.finish(desk.session, ticket, worker, "", at("10:30"), self_checked=True)


def test_a_later_date_counts_when_the_supervisor_agrees(desk: Desk) -> None:
    ticket = desk.accepted()
    worker, due = desk.handler(ticket), ticket.finish_by
    desk.seen()
    verbs.change_plan(desk.session, ticket, worker, "墙里管子也裂了", at("12:00", 17), at("10:00"))
    assert ticket.finish_by == due
    assert desk.told() == {"王芳": ["plan_changed_date"], "李工": ["change_approve"]}
    assert "17" not in desk.fresh("王芳")[0].text.replace("20250612", "")
    with pytest.raises(NotAllowed):
        verbs.approve_change(desk.session, ticket, worker, at("10:05"))
    desk.seen()
    verbs.approve_change(desk.session, ticket, desk.actor("李工"), at("10:05"))
    assert ticket.finish_by == at("12:00", 17)
    assert desk.told() == {"王芳": ["new_finish"], "王师傅": ["change_approved"]}
    with pytest.raises(WrongStatus):
        verbs.approve_change(desk.session, ticket, desk.actor("李工"), at("10:06"))


def test_a_date_nobody_decides_on_goes_to_the_manager_and_the_resident_is_not_left_waiting(desk: Desk) -> None:
    ticket = desk.accepted()
    verbs.change_plan(desk.session, ticket, desk.handler(ticket), "墙里管子也裂了", at("12:00", 17), at("10:00"))
    assert "12:00前" in desk.fresh("王芳")[-1].text, "a promise, so it is watched"
    desk.seen()
    aftercare.sweep(desk.session, at("11:59"))
    assert desk.told() == {}
    for clock in ("12:00", "12:01", "14:00"):
        aftercare.sweep(desk.session, at(clock))
    assert desk.told() == {"王芳": ["change_late"] * 2, "马经理": ["change_approve"] * 2}
    verbs.approve_change(desk.session, ticket, desk.actor("马经理"), at("14:05"))
    desk.seen()
    aftercare.sweep(desk.session, at("18:00"))
    assert desk.told() == {}


def test_a_surprise_without_a_date_is_told_to_both(desk: Desk) -> None:
    ticket = desk.accepted()
    desk.seen()
    verbs.change_plan(desk.session, ticket, desk.handler(ticket), "要多拆一块砖", None, at("10:00"))
    assert desk.told() == {"王芳": ["plan_changed"], "李工": ["change_leader"]}
    with pytest.raises(BadInput):
        verbs.change_plan(desk.session, ticket, desk.handler(ticket), "晚了", at("09:00"), at("10:00"))


# --- parts ------------------------------------------------------------------------------------------------------------


def test_a_part_has_name_price_and_is_shown_to_the_resident(desk: Desk) -> None:
    ticket = desk.accepted()
    worker = desk.handler(ticket)
    desk.seen()
    verbs.use_part(desk.session, ticket, worker, "角阀", 3500, at("10:00"))
    assert [(one["name"], one["fen"]) for one in parts_of(ticket)] == [("角阀", 3500)]
    # What costs something is put to the resident first.
    assert desk.told() == {"王芳": ["quote"]}
    assert desk.question(ticket, "part_photo") is not None
    verbs.consent(desk.session, ticket, desk.actor("王芳"), True, "同意", at("10:05"))
    verbs.use_part(desk.session, ticket, worker, "生料带", None, at("10:10"))
    verbs.finish(desk.session, ticket, worker, "换件完成", at("10:30"), self_checked=True)
    told = desk.fresh("王芳")[-1].text
    assert "更换：角阀（35元）、生料带" in told
    assert "part_wanted" not in desk.told().get("王师傅", [])


def test_replacing_without_naming_is_asked_about_once_and_may_follow(desk: Desk) -> None:
    ticket = desk.accepted()
    desk.seen()
    verbs.finish(desk.session, ticket, desk.handler(ticket), "换件1", at("10:30"), self_checked=True)
    assert desk.told()["王师傅"] == ["part_wanted"]
    verbs.use_part(desk.session, ticket, desk.handler(ticket), "闭门器", 6000, at("10:40"))
    assert [one["name"] for one in parts_of(ticket)] == ["闭门器"]
    assert ticket.status == "done"


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_a_public_area_needs_a_picture_or_the_reason_why_not(desk: Desk) -> None:
    ticket = desk.accepted("E07", public_area=True)
    worker = desk.handler(ticket)
    before = desk.snapshot()
    with pytest.raises(PhotoNeeded):
        verbs.finish(desk.session, ticket, worker, "换了灯管", at("10:00"), self_checked=True)
    assert desk.snapshot() == before
    verbs.finish(desk.session, ticket, worker, "换了灯管 拍不了 太暗", at("10:05"), self_checked=True)
    assert ticket.status == "done"
    with_photo = desk.accepted("E07", public_area=True, place_key="PUB:P1/3/1/-/楼道")
    desk.photo(with_photo, at("10:10"))
    verbs.finish(desk.session, with_photo, desk.handler(with_photo), "换了灯管", at("10:15"), self_checked=True)
    assert with_photo.status == "done"


def test_a_second_round_needs_one_before_and_one_after(desk: Desk) -> None:
    ticket = desk.done()
    desk.photo(ticket, at("09:30"), count=3)  # of the first round: they prove nothing about the second
    verbs.not_fixed(desk.session, ticket, desk.actor("王芳"), "还在滴", at("10:00"))
    worker = desk.handler(ticket)
    for count in (2, 1):
        with pytest.raises(PhotoNeeded) as refused:
            verbs.finish(desk.session, ticket, worker, "重做", at("11:00"), self_checked=True)
        assert refused.value.facts["count"] == count
        desk.photo(ticket, at("11:05"))
    verbs.finish(desk.session, ticket, worker, "重做", at("11:10"), self_checked=True)
    assert ticket.status == "done"


def test_pictures_still_in_the_workers_chat_count(desk: Desk) -> None:
    ticket = desk.accepted("E07", public_area=True)
    worker = desk.handler(ticket)
    from storage.models import Conversation, Identity

    identity = Identity(channel="web", external_id="worker", staff_id=worker.staff.id if worker.staff else None)
    desk.session.add(identity)
    desk.session.flush()
    chat = Conversation(channel="web", chat_id="worker", identity_id=identity.id, last_inbound_at=at("09:30"))
    desk.session.add(chat)
    desk.session.flush()
    photo = Attachment(key="in-chat.jpg", mime="image/jpeg", size=1, conversation_id=chat.id, created_at=at("09:40"))
    desk.session.add(photo)
    desk.session.flush()
    verbs.finish(desk.session, ticket, worker, "换了灯管", at("10:00"), self_checked=True)
    assert (photo.ticket_id, photo.purpose) == (ticket.id, "after")


def test_a_refused_finish_of_an_offered_job_accepts_nothing(desk: Desk) -> None:
    ticket = desk.report()
    before = desk.snapshot()
    with pytest.raises(SelfCheckNeeded):
        verbs.finish(desk.session, ticket, desk.handler(ticket), "", at("09:30"), self_checked=False)
    assert desk.snapshot() == before


def test_the_cause_is_read_from_the_note(desk: Desk) -> None:
    ticket = desk.accepted()
    verbs.finish(desk.session, ticket, desk.handler(ticket), "接头没拧紧 已处理", at("09:30"), self_checked=True)
    assert ticket.detail["cause"] == "松动"
    assert desk.history(ticket, "finish")[0].data["cause"] == "松动"


# --- waiting ----------------------------------------------------------------------------------------------------------


def test_a_long_pause_begins_with_the_supervisors_word(desk: Desk) -> None:
    ticket = desk.accepted()
    desk.seen()
    verbs.hold(desk.session, ticket, desk.handler(ticket), "待配件", at("10:00", 17), at("10:00"))
    assert ticket.wake_at == at("10:00", 13)
    assert "6月17日" not in desk.fresh("王芳")[0].text
    assert "6月17日" in desk.fresh("李工")[0].text
    desk.seen()
    verbs.approve_hold(desk.session, ticket, desk.actor("李工"), at("11:00"))
    assert ticket.wake_at == at("10:00", 17)
    assert desk.told() == {"王芳": ["hold"], "王师傅": ["hold_approved"]}
    with pytest.raises(WrongStatus):
        verbs.approve_hold(desk.session, ticket, desk.actor("李工"), at("11:01"))


def test_without_it_the_job_wakes_after_a_day(desk: Desk) -> None:
    ticket = desk.accepted()
    verbs.hold(desk.session, ticket, desk.handler(ticket), "待资金", at("10:00", 17), at("10:00"))
    desk.sweep(at("10:00", 13))
    assert ticket.status == "in_progress"


def test_a_supervisor_needs_nobodys_word(desk: Desk) -> None:
    ticket = desk.accepted()
    verbs.hold(desk.session, ticket, desk.actor("李工"), "待天气", at("10:00", 17), at("10:00"))
    assert ticket.wake_at == at("10:00", 17)


def test_nobody_home_waits_two_days_and_then_ends_open_to_one_word(desk: Desk) -> None:
    ticket = desk.accepted()
    desk.seen()
    until = at("10:00") + verbs.NOT_HOME_WAIT
    verbs.hold(desk.session, ticket, desk.handler(ticket), "待业主", until, at("10:00"), nobody_home=True)
    assert desk.told() == {"王芳": ["hold_not_home"]}
    assert ticket.wake_at == until
    desk.seen()
    desk.sweep(until)
    assert ticket.status == "closed"
    assert desk.told() == {"王芳": ["unreachable"], "王师傅": ["unreachable_staff"], "李工": ["unreachable_staff"]}
    verbs.reopen(desk.session, ticket, desk.actor("王芳"), "今天在家", until + timedelta(hours=3))
    assert (ticket.status, ticket.hold_reason, ticket.wake_at) == ("rework", "", None)


def test_a_word_meanwhile_keeps_it_open(desk: Desk) -> None:
    ticket = desk.accepted()
    until = at("10:00") + verbs.NOT_HOME_WAIT
    verbs.hold(desk.session, ticket, desk.handler(ticket), "待业主", until, at("10:00"), nobody_home=True)
    verbs.change_appointment(
        desk.session, ticket, desk.actor("王芳"), at("09:00", 16), at("10:00", 16), "周一上午", at("20:00")
    )
    desk.sweep(until)
    assert ticket.status == "in_progress"


# --- somebody else's, and nothing at all ------------------------------------------------------------------------------


def test_what_somebody_outside_is_responsible_for_is_followed_up(desk: Desk) -> None:
    ticket = desk.accepted("W09")
    unit = verbs.unit_named("由自来水公司处理")
    assert unit is not None
    with pytest.raises(NotAllowed):
        verbs.refer(desk.session, ticket, desk.handler(ticket), unit, "", at("10:00"))
    desk.seen()
    verbs.refer(desk.session, ticket, desk.actor("李工"), unit, "水压低", at("10:00"))
    assert (ticket.status, ticket.callback_at) == ("referred", at("10:00", 13))
    assert desk.told() == {"王芳": ["referred"], "王师傅": ["referred_staff"]}
    told = desk.fresh("王芳")[0].text
    assert "自来水公司" in told and "0571-5555-0188" in told and "10:00" in told
    desk.seen()
    desk.sweep(at("10:00", 13))
    assert desk.told() == {"王芳": ["referral"]}
    assert desk.question(ticket, "referred") is not None
    desk.seen()
    desk.sweep(at("12:00", 14))
    assert desk.told() == {}, "once"


def test_a_false_alarm_counts_nowhere_and_needs_a_leader(desk: Desk) -> None:
    ticket = desk.report("W01")
    with pytest.raises(NotAllowed):
        verbs.false_alarm(desk.session, ticket, desk.handler(ticket), "", at("09:10"))
    verbs.false_alarm(desk.session, ticket, desk.actor("李工"), "洗衣机排水", at("09:10"))
    assert (ticket.status, ticket.detail["false_alarm"]) == ("closed", True)
    again = desk.report("W01")
    assert "repeat" not in again.detail, "and is no repeat"
