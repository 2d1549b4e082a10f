"""A leader who asks in passing how something stands means the community's tickets, not their own."""

from __future__ import annotations

from datetime import timedelta

import pytest
from actionhelp import hear
from deskhelp import NOW
from deskhelp import Desk as Community

from actions.progress import Progress, QueryTickets, Urge
from actions.rating import NotFixed
from actions.repair import OpenRepair, ValidateRepairForm
from storage.models import Leave
from tickets import desk_lists, finding, working
from tickets.texts import say


def asked(desk: Community, text: str, by: str = "马经理") -> str:
    return "\n".join(hear(desk, text, "ask_progress", Progress(), by=by))


def queried(desk: Community, text: str) -> str:
    return "\n".join(hear(desk, text, "query_tickets", QueryTickets(), by="马经理"))


def test_the_one_ticket_about_it_is_shown_with_its_steps(desk: Community) -> None:
    lift = desk.report("L03", place_key="PUB:P1/3/2/-/LIFT", public_area=True, symptom="电梯不动")
    lamp = desk.report("E07", place_key="PUB:P1/3/2/11/STAIRS", public_area=True, symptom="楼道灯不亮")
    told = asked(desk, "电梯那个事谁在跟")
    assert lift.ticket_no in told and "\n" in told
    assert lamp.ticket_no not in told


def test_a_leader_who_presses_asks_and_a_worker_speaks_of_his_job(desk: Community) -> None:
    job = desk.accepted()
    (told,) = hear(desk, f"{job.symptom}怎么还没弄好", "urge", Urge(), by="马经理")
    assert job.tail in told
    (told,) = hear(desk, "配件怎么还不来", "urge", Urge(), by="王师傅")
    assert told == working.about(job, "", NOW)[0]
    report = {"text": "1栋2单元门禁刚修完又坏了", "category": "A01", "confidence": 0.9}
    form = (NotFixed(), ValidateRepairForm(), OpenRepair())
    hear(desk, report["text"], "not_fixed", *form, by="马经理", anew=[report])
    assert [one.code for one in finding.reported_by(desk.session, desk.staff("马经理"))] == ["A01"]
    (told,) = hear(desk, "空开换完了 业主说还跳", "not_fixed", NotFixed(), by="王师傅")
    assert told == working.about(job, "", NOW)[0]


@pytest.mark.parametrize(("text", "head"), [("谁手上最多", "当班"), ("今天有几个急的", "急"), ("都派出去没", "未派单")])
def test_short_questions_of_leaders(desk: Community, text: str, head: str) -> None:
    desk.report("E07", place_key="PUB:P1/3/2/11/STAIRS", public_area=True, symptom="楼道灯不亮")
    assert head in queried(desk, text)


def test_several_are_listed_and_nothing_named_gives_the_day(desk: Community) -> None:
    for floor in ("11", "12"):
        desk.report("E07", place_key=f"PUB:P1/3/2/{floor}/STAIRS", public_area=True, symptom="楼道灯不亮")
    assert len(asked(desk, "楼道灯的事怎么样了").splitlines()) == 2
    assert "未完2" in asked(desk, "那些事怎么样了")
    assert "没有这方面未完的单" in asked(desk, "电梯那个事谁在跟")


def test_a_question_that_names_no_figure_is_not_answered_with_one(desk: Community) -> None:
    desk.report("E07", place_key="PUB:P1/3/2/11/STAIRS", public_area=True, symptom="楼道灯不亮")
    assert queried(desk, "大家都忙得怎么样啊").startswith("今天") and "新增1" in queried(desk, "大家都忙得怎么样啊")
    assert queried(desk, "业主都满意伐").startswith(say("staff.perhaps_today"))
    assert "未派单" in queried(desk, "手头没派出去的都有啥")
    assert "满意率" in queried(desk, "这个月满意率咋样")


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("谁闲着能派一下", "当班"),
        ("哪个师傅手头空得出来", "当班"),
        ("有没有差评", "近30天低分"),
        ("急的有几张", "紧急"),
        ("卡在等配件的有哪些", "暂缓"),
        ("没人搭理的单子列一下", "未派单"),
        ("找人工的还没人接的有几个", "人工对话"),
        ("这个月哪栋最闹腾", "最多"),
    ],
)
def test_a_leader_asks_in_plain_words(desk: Community, text: str, head: str) -> None:
    desk.report("E07", place_key="PUB:P1/3/2/11/STAIRS", public_area=True, symptom="楼道灯不亮")
    assert head in queried(desk, text).splitlines()[0]


def test_urgent_ones_low_scores_and_who_is_on_duty(desk: Community) -> None:
    boss = desk.staff("马经理")
    urgent = desk.report("W05", symptom="马桶堵了")
    lamp = desk.report("E04", symptom="灯不亮", place_key="P1/3/1/301")
    lamp.finished_at, lamp.score_attitude, lamp.score_quality = NOW, 5, 2
    old = desk.report("E04", symptom="灯不亮", place_key="P1/3/1/302")
    old.finished_at, old.score_attitude, old.score_quality = NOW - timedelta(days=31), 1, 1
    desk.session.flush()
    assert desk_lists.chosen(desk.session, boss, "urgent", NOW) == [urgent]
    assert desk_lists.chosen(desk.session, boss, "low_scores", NOW) == [lamp]
    head, *rows = desk_lists.on_duty(desk.session, boss, NOW).splitlines()
    held = [int(row.split("手上")[1].removesuffix("单")) for row in rows]
    assert str(len(rows)) in head and held == sorted(held) and sum(held) == 3
    desk.staff("王师傅").leaves.append(Leave(start_at=NOW, end_at=NOW + timedelta(days=1)))
    assert "王师傅" not in desk_lists.on_duty(desk.session, boss, NOW)


def test_a_timeline_is_for_people(desk: Community) -> None:
    praise = desk.report("B01", kind="BY", symptom="保安帮忙抬轮椅")
    assert praise.arrive_by is None
    shown = desk_lists.timeline(desk.session, praise, NOW)
    assert "到场" not in shown and "最迟：完成" in shown
    job = desk.report("W02", symptom="龙头滴水")
    desk.sweep_through(NOW, NOW + timedelta(days=3), timedelta(hours=4))
    shown = desk_lists.timeline(desk.session, job, NOW + timedelta(days=3))
    assert "push." not in shown and len(shown.splitlines()) > len(
        desk_lists.timeline(desk.session, praise, NOW).splitlines()
    )
