"""What is said right behind a complaint or a report, or within one: short questions, who hears who told it, threats, letters."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from actionhelp import hear
from deskhelp import NOW
from deskhelp import Desk as Community
from sqlalchemy import select

from actions import drafts
from actions.changes import Inform, Reschedule
from actions.complaint import AskDetail, OpenComplaint, ValidateComplaintForm
from actions.context import Desk
from actions.inquiry import AnswerQuestion
from actions.progress import Urge
from actions.rating import Rate
from actions.repair import ValidateRepairForm
from actions.service import Unsure
from storage.models import Draft, Ticket
from tickets import inquiries, notify
from tickets.errors import NoTicket
from tickets.texts import say
from tickets.words import (
    about_visit,
    asks_cost,
    asks_how_long,
    asks_if_named,
    asks_who_has_it,
    hides_name,
    is_courtesy,
    points_in,
    what_of,
)

DEPOSIT, NOISE = "装修押金咋还不退", "楼上天天半夜蹦"


def asked(desk: Community, text: str) -> str:
    return "\n".join(hear(desk, text, "ask_question", AnswerQuestion()))


def inquiry_words(desk: Community) -> list[str]:
    return list(desk.session.scalars(select(Ticket.symptom).where(Ticket.kind == "ZX").order_by(Ticket.id)))


# --- short questions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["要带啥", "那要多少钱", "要准备些啥", "周末也能办吗"])
def test_what_is_asked_on_behind_a_complaint_goes_to_who_has_it(desk: Community, text: str) -> None:
    ticket = desk.report("T09", kind="TS", symptom=NOISE)
    assert asked(desk, text) == say("reply.matter_asked", **notify.facts(ticket, NOW))
    assert [one.note for one in desk.history(ticket, "comment")] == [text]
    assert inquiry_words(desk) == []


def test_papers_for_another_matter_are_no_answer(desk: Community) -> None:
    desk.report("T03", kind="TS", symptom=DEPOSIT)
    assert "押金" in asked(desk, "要带啥") or "来源" not in asked(desk, "要带啥")


@pytest.mark.parametrize("text", ["多久", "要几天有结果", "找谁", "谁在跟进"])
@pytest.mark.parametrize("kind", ["TS", "BX"])
def test_how_long_and_who_is_told_of_what_was_told(desk: Community, kind: str, text: str) -> None:
    ticket = desk.report("T09" if kind == "TS" else "W02", kind=kind)
    assert ticket.ticket_no in asked(desk, text)
    assert inquiry_words(desk) == [] and desk.history(ticket, "comment") == []


def test_not_understood_it_is_still_about_what_was_told(desk: Community) -> None:
    ticket = desk.report("T09", kind="TS", symptom=NOISE)
    message = {"intent_ranking": [{"name": "out_of_scope", "confidence": 0.5}]}
    found = Desk(desk.session, desk.chat("王芳"), desk.actor("王芳"), NOW, "web:o", "找谁", message)
    Unsure().act(found, None)  # type: ignore[arg-type]
    assert ticket.ticket_no in found.answers[0][0]


def test_behind_a_report_what_is_not_written_goes_to_the_desk(desk: Community) -> None:
    desk.report("W02")
    asked(desk, "要带啥")
    assert inquiry_words(desk) == ["厨房水管滴水，要带啥"]


@pytest.mark.parametrize("text", ["狗证怎么办", "物业几点上班", "门禁卡丢了怎么补办", "周日你们上班吗"])
def test_a_question_of_its_own_does_not_lean_on_a_complaint(desk: Community, text: str) -> None:
    ticket = desk.report("T09", kind="TS", symptom=NOISE)
    assert "来源" in asked(desk, text)
    assert desk.history(ticket, "comment") == []


def test_long_after_it_or_with_nothing_before_it_is_no_sure_answer_either(desk: Community) -> None:
    desk.report("T09", kind="TS", symptom=NOISE, now=NOW - timedelta(hours=1))
    assert "来源" not in asked(desk, "要带啥")


def test_a_complaint_told_after_a_question_is_what_is_asked_about(desk: Community) -> None:
    resident = desk.resident("王芳")
    inquiries.note_told(desk.session, resident, "门禁卡丢了怎么补办", "", "Q05", NOW - timedelta(minutes=5))
    assert inquiries.last_asked(desk.session, resident, NOW) is not None
    desk.report("T09", kind="TS", symptom=NOISE)
    assert inquiries.last_asked(desk.session, resident, NOW) is None


@pytest.mark.parametrize("text", ["多久批下来", "几点停水", "找谁办居住证", "多久修一次"])
def test_what_names_more_is_not_only_how_long_or_who(text: str) -> None:
    assert not asks_how_long(text) and not asks_who_has_it(text)


# --- what a repair costs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["上门要钱吗", "换一个多少钱", "要不要收费", "免费的吗"])
def test_what_it_costs_is_told_within_a_report_of_the_home(desk: Community, text: str) -> None:
    told = Desk(desk.session, desk.chat("王芳"), desk.actor("王芳"), NOW, "web:f", "门铃不响了", {})
    drafts.save(told, drafts.begin(told, "BX"), {"faults": [{"words": "门铃不响了", "code": "E01"}]})
    assert "现场报价" in asked(desk, text)
    assert drafts.find(told, "BX") is not None and inquiry_words(desk) == []


def test_no_price_is_told_of_what_all_share(desk: Community) -> None:
    desk.report("E07", symptom="楼道灯不亮", place_key="PUB:P1/3/2/F15/楼道", public_area=True)
    assert "现场报价" not in asked(desk, "换一个多少钱")


@pytest.mark.parametrize("text", ["物业费多少钱", "装修押金多少钱", "停车收费吗", "补卡要多少钱", "谁赔"])
def test_other_money_is_no_price_of_a_repair(text: str) -> None:
    assert not asks_cost(text)


# --- who hears who told it --------------------------------------------------------------------------------------------

FEARS = [
    "会不会说是我报的",
    "他会知道是我说的吗",
    "对方会知道是我投诉的吗",
    "楼上知道是我举报的不",
    "你们不会跟他说是我吧",
    "会暴露我吗",
    "他能查到是谁投诉的吗",
    "保安会晓得是我告的吗",
    "不会告诉他我是谁吧",
    "会不会让人家知道是我",
    "会报我名字吗",
    "他不会知道是我吧",
]
NO_FEARS = [
    "你怎么知道是我报的修",
    "师傅知道我家在哪吗",
    "会不会说话",
    "我报的那个会不会修",
    "他说是我弄坏的",
    "会不会是我家漏的",
    "你知道我是谁吗",
    "师傅能看到我电话吗",
    "会不会泄露我电话",
    "你们会说是我弄坏的吗",
    "楼下会说是我漏的水吗",
    "能查到是谁停的车吗",
]


@pytest.mark.parametrize("text", FEARS)
def test_who_hears_of_it_is_told_as_it_is(desk: Community, text: str) -> None:
    ticket = desk.report("T09", kind="TS", symptom=NOISE)
    assert asked(desk, text) == say("reply.not_named")
    assert not (ticket.detail or {}).get("hidden"), "asked, and not wished"


@pytest.mark.parametrize("text", NO_FEARS)
def test_other_words_ask_nothing_of_the_kind(text: str) -> None:
    assert not asks_if_named(text)


@pytest.mark.parametrize("kind", ["TS", "public", "home"])
def test_the_wish_not_to_be_named_is_kept(desk: Community, kind: str) -> None:
    ticket = desk.report("T09", kind="TS") if kind == "TS" else desk.report("W02", public_area=kind == "public")
    said = asked(desk, "别说是我投诉的")
    assert said == say("reply.not_named_repair" if kind == "home" else "reply.name_hidden")
    assert bool((ticket.detail or {}).get("hidden")) is (kind != "home")
    assert bool(desk.history(ticket, "comment")) is (kind == "home")


def test_whether_one_may_complain_without_a_name_is_answered(desk: Community) -> None:
    ticket = desk.report("E07", public_area=True)
    assert "可以匿名反映" in asked(desk, "可以匿名投诉吗")
    assert not (ticket.detail or {}).get("hidden")


def test_the_wish_said_while_complaining_goes_with_it(desk: Community) -> None:
    told = Desk(desk.session, desk.chat("王芳"), desk.actor("王芳"), NOW, "web:c", NOISE, {})
    drafts.save(told, drafts.begin(told, "TS"), {"words": NOISE, "code": "T09", "seen": ["web:c"]})
    assert asked(desk, "别告诉他是我说的啊") == say("reply.name_hidden")
    hear(desk, "昨晚十二点 3栋2单元1602", "inform", ValidateComplaintForm(), OpenComplaint())
    ticket = desk.session.scalars(select(Ticket).where(Ticket.kind == "TS")).one()
    assert ticket.detail["hidden"]


# --- places, threats, letters -----------------------------------------------------------------------------------------


def test_a_building_that_is_not_there_is_asked_back_once(desk: Community) -> None:
    actions = (ValidateComplaintForm(), OpenComplaint())
    said = hear(
        desk, "我要投诉88栋半夜装修，吵得全家都睡不着觉，忍无可忍！！", "file_complaint", *actions, category="T10"
    )
    ticket = desk.session.scalars(select(Ticket).where(Ticket.kind == "TS")).one()
    assert ticket.place_key == "" and any("没有查到88栋" in one for one in said)


def test_a_building_that_is_not_there_is_the_question_of_a_calm_complaint(desk: Community) -> None:
    words = "88栋的住户天天晚上十一点以后还在装修，吵得一家老小都睡不着觉"
    hear(desk, words, "file_complaint", ValidateComplaintForm(), category="T10")
    [asked_back] = hear(desk, words, "file_complaint", AskDetail())
    assert "没有查到88栋" in asked_back
    said = hear(desk, "写错了 是4栋", "inform", ValidateComplaintForm(), OpenComplaint())
    ticket = desk.session.scalars(select(Ticket).where(Ticket.kind == "TS")).one()
    assert not any("没有查到" in one for one in said) and "88" not in ticket.symptom and "/4/" in ticket.place_key


def test_a_threat_said_again_goes_up_once(desk: Community) -> None:
    hear(
        desk, "保安天天睡觉 再不管我打12345", "file_complaint", ValidateComplaintForm(), OpenComplaint(), category="T05"
    )
    ticket = desk.session.scalars(select(Ticket).where(Ticket.kind == "TS")).one()
    assert ticket.level == "C1"
    desk.seen()
    [said] = hear(desk, "再不管我找媒体了", "urge", Urge())
    assert "经理电话" in said and ticket.ticket_no in said
    told = desk.told()
    assert [name for name, keys in told.items() if "urged_leader" in keys]
    desk.seen()
    hear(desk, "我真打12345了", "file_complaint", ValidateComplaintForm(), OpenComplaint())
    assert len(desk.history(ticket, "escalate")) == 1
    assert desk.session.scalar(select(Ticket.id).where(Ticket.kind == "TS", Ticket.id != ticket.id)) is None


def test_the_first_threat_and_mere_chasing_go_up_as_ever(desk: Community) -> None:
    ticket = desk.report("T09", kind="TS", symptom=NOISE)
    hear(desk, "怎么还没处理", "urge", Urge())
    hear(desk, "再不管我打12345", "urge", Urge())
    assert ticket.level == "C1" and desk.history(ticket, "escalate") == []


LETTER = "投诉几个问题 1、3栋1单元电梯按钮坏了 2、保安晚上睡觉 3、5栋1单元门关不上"


def test_each_fault_of_a_letter_is_taken_with_its_own_place(desk: Community) -> None:
    faults = {"1、3栋1单元电梯按钮坏了": "L06", "3、5栋1单元门关不上": "D06"}
    hear(desk, LETTER, "file_complaint", ValidateComplaintForm(), OpenComplaint(), category="T05", faults=faults)
    ticket = desk.session.scalars(select(Ticket).where(Ticket.kind == "TS")).one()
    assert ticket.symptom == LETTER, "every point is kept"
    told = desk.session.scalars(select(Draft)).one().data["faults"]
    assert [one["words"] for one in told] == ["3栋1单元电梯按钮坏了", "5栋1单元门关不上"]
    assert ["/3/1/" in one["place_key"] for one in told] == [True, False]
    assert "/5/" in told[1]["place_key"]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1. 灯坏了 2. 保安睡觉 3. 地库漏水", 3),
        ("1.电梯经常坏2.绿化死了3.客服不接电话", 3),
        ("一、道闸坏了；二、保安恶劣；三、垃圾桶满了", 3),
        ("(1)灯不亮 (2)门坏了", 2),
        ("负2、3楼和1、2栋电梯坏", 0),
        ("1、2、3栋电梯都坏了", 0),
        ("水费2.5元一吨 1.2米", 0),
        ("周一、周二都没人", 0),
        ("1楼灯坏了 2楼也坏", 0),
    ],
)
def test_what_is_a_letter_with_points(text: str, count: int) -> None:
    assert len(points_in(text)) == count


# --- scores in words --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "scores"), [("太差了", (1, 1)), ("都挺满意", (4, 4)), ("态度挺好修得一般", (4, 3)), ("还行吧", None)]
)
def test_a_score_in_words_later_is_taken_or_asked(desk: Community, text: str, scores: tuple[int, int] | None) -> None:
    ticket = desk.closed()
    said = hear(desk, text, "rate", Rate())
    assert (ticket.score_attitude, ticket.score_quality) == (scores or (None, None))
    assert (said == []) is (scores is not None)


# --- courtesy, and who fears to be found ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["麻烦喽", "辛苦师傅跑一趟", "有劳了", "好的 麻烦你们了", "真是麻烦您嘞"])
def test_a_courtesy_that_was_not_understood_is_one(text: str) -> None:
    assert is_courtesy(text)


@pytest.mark.parametrize("text", ["麻烦快点", "麻烦修一下", "谢谢 还在漏", "麻烦大了", "辛苦费是啥", "这事真麻烦"])
def test_other_words_are_no_courtesy(text: str) -> None:
    assert not is_courtesy(text)


@pytest.mark.parametrize("text", ["会不会找到我头上", "他不会来找我麻烦吧", "怕报复", "会不会怪到我头上"])
def test_who_fears_to_be_found_asks_who_hears_of_it(text: str) -> None:
    assert asks_if_named(text)


@pytest.mark.parametrize("text", ["会不会找到漏点", "师傅会来找我吗", "能找到原因吗", "会不会怪味"])
def test_other_questions_are_not_about_being_named(text: str) -> None:
    assert not asks_if_named(text)


def test_a_wish_for_another_time_behind_a_question_is_about_that(desk: Community) -> None:
    asked(desk, "你们群里说的那个冲洗管网 是啥意思")
    said = hear(desk, "我家老人要洗澡 能不能晚点停", "reschedule", Reschedule())
    assert "ZX" in "".join(said)


def test_without_a_question_there_is_nothing_to_move(desk: Community) -> None:
    with pytest.raises(NoTicket):
        hear(desk, "能不能晚点来", "reschedule", Reschedule())


def test_a_courtesy_read_as_a_piece_of_information_adds_none(desk: Community) -> None:
    ticket = desk.report("W02")
    assert hear(desk, "麻烦喽", "inform", Inform()) == []
    assert desk.history(ticket, "comment") == []


def test_a_time_is_for_the_job_in_the_home_and_not_for_the_corridor(desk: Community) -> None:
    hood = desk.report("Z01", symptom="抽油烟机止回阀响")
    desk.report("F05", symptom="走廊鞋柜绊了我", place_key="PUB:P1/3/2/F15/走廊", public_area=True)
    hear(desk, "后天上午", "inform", Inform())
    assert hood.wanted_start_at is not None


# --- found by talking to it -------------------------------------------------------------------------------------------


def unsure(desk: Community, text: str, ranking: list[dict[str, Any]]) -> list[str]:
    """What is said to words that were not understood; `ranking`: the likeliest readings."""
    heard = Desk(
        desk.session, desk.chat("王芳"), desk.actor("王芳"), NOW, f"web:{text}", text, {"intent_ranking": ranking}
    )
    Unsure().act(heard, None)  # type: ignore[arg-type]
    return [words for words, *_ in heard.answers]


def faults_in(desk: Community) -> list[str]:
    draft = desk.session.scalars(select(Draft).where(Draft.kind == "BX")).one()
    return [fault["code"] for fault in draft.data["faults"]]


@pytest.mark.parametrize(
    ("text", "faults", "codes"),
    [
        ("闭门器坏了 一关门咣当一声 感应灯也不亮", {"闭门器坏了": "D06", "一关门咣当一声": "L02", "感应灯也不亮": "E07"}, ["D06", "E07"]),
        ("单元门坏了 电梯也咣当响", {"单元门坏了": "D06", "电梯也咣当响": "L02"}, ["D06", "L02"]),
        ("一关门就咣当一声", {"一关门就咣当一声": "L02"}, ["L02"]),
    ],
)  # fmt: skip
def test_beside_other_faults_a_lift_that_nobody_names_is_none(
    desk: Community, text: str, faults: dict[str, str], codes: list[str]
) -> None:
    hear(desk, text, "report_repair", ValidateRepairForm(), faults=faults)
    assert faults_in(desk) == codes


def test_what_of_another_thing_asks_on_and_reports_nothing(desk: Community) -> None:
    asked(desk, "装宽带要物业同意吗")
    hear(desk, "那地锁呢", "report_repair", ValidateRepairForm(), category="P03")
    told = desk.session.scalars(select(Draft).where(Draft.kind == "BX")).all()
    assert not [one for one in told if one.data.get("faults")], "no lock is reported"


@pytest.mark.parametrize("text", ["那地锁坏了", "那个灯呢 还是不亮", "那我家漏水呢 什么时候来人啊"])
def test_other_words_report_all_the_same(text: str) -> None:
    assert not what_of(text)


def test_not_understood_behind_a_complaint_it_is_more_of_that(desk: Community) -> None:
    ticket = desk.report("T03", kind="TS", symptom="我要退物业费 空置房")
    read = [{"name": "file_complaint", "confidence": 0.34}, {"name": "inform", "confidence": 0.2}]
    said = unsure(desk, "都空了两年了 一分没少交 凭啥", read)
    assert [one.note for one in desk.history(ticket, "comment")] == ["都空了两年了 一分没少交 凭啥"]
    assert say("reply.unsure") not in said


def test_without_a_complaint_before_it_is_asked_what_is_meant(desk: Community) -> None:
    read = [{"name": "file_complaint", "confidence": 0.34}, {"name": "inform", "confidence": 0.2}]
    assert say("reply.unsure") in unsure(desk, "都空了两年了 凭啥", read)


@pytest.mark.parametrize("text", ["我耳朵背啊你们打电话大点声", "敲门大声点 我听力不好"])
def test_how_to_be_heard_is_for_whoever_comes(text: str) -> None:
    assert about_visit(text)


@pytest.mark.parametrize("text", ["烧烤那个莫说是我讲的哈", "甭告诉他是我报的", "别跟楼上说是我投诉的"])
def test_who_does_not_want_to_be_named_says_so_in_every_region(text: str) -> None:
    assert hides_name(text)


def test_what_nobody_shall_tell_the_teller_hides_no_name() -> None:
    assert not hides_name("别跟我说是我弄坏的")
