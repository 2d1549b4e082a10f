"""Replies to what was asked: read from the database alone, done through the verbs, else left to the dialogue."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from deskhelp import NOW, Desk, at
from sqlalchemy import select

from storage.models import Draft, Ticket
from tickets import aftercare, answering, questions, verbs
from tickets.answering import Outcome, Turn, try_answer
from tickets.people import Actor
from tickets.texts import say
from tickets.words import is_over


def answer(desk: Desk, text: str, now: datetime, *, by: str = "王芳") -> Outcome | None:
    turn = Turn(desk.session, desk.chat(by), desk.actor(by), text, now, f"test:{text}")
    return try_answer(turn)


# --- acceptance and scores --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["1", "好了", "修好了，谢谢", "没问题", "可以了"])
def test_fixed_closes_and_asks_for_scores_without_filling_any(desk: Desk, text: str) -> None:
    ticket = desk.done()
    assert answer(desk, text, at("10:00")) is not None
    assert (ticket.status, ticket.score_attitude, ticket.score_quality) == ("closed", None, None)
    assert desk.question(ticket, "score") is not None


@pytest.mark.parametrize("text", ["2", "没修好，还在滴", "又坏了", "修是修好了 但是还有点滴 地上弄得都是泥"])
def test_anything_left_is_the_next_round(desk: Desk, text: str) -> None:
    ticket = desk.done()
    assert answer(desk, text, at("10:00")) is not None
    assert (ticket.status, ticket.round) == ("rework", 2)


def test_nobody_came_goes_to_the_supervisor_at_once(desk: Desk) -> None:
    ticket = desk.done()
    desk.seen()
    answer(desk, "没人来过啊", at("10:00"))
    assert ticket.status == "rework"
    assert "false_completion" in desk.told()["李工"]


def test_a_yes_with_scores_is_both(desk: Desk) -> None:
    ticket = desk.done()
    answer(desk, "1 5 4", at("10:00"))
    assert (ticket.status, ticket.score_attitude, ticket.score_quality) == ("closed", 5, 4)
    assert desk.question(ticket, "score") is None


@pytest.mark.parametrize("text", ["谢谢", "谢谢师傅"])
def test_bare_thanks_close_nothing(desk: Desk, text: str) -> None:
    ticket = desk.done()
    answer(desk, text, at("10:00"))
    assert ticket.status == "done"
    assert desk.question(ticket, "acceptance") is not None


def test_lukewarm_is_asked_again(desk: Desk) -> None:
    ticket = desk.done()
    outcome = answer(desk, "还行吧", at("10:00"))
    assert outcome is not None
    assert outcome.reply == say("reply.acceptance_unclear")
    assert ticket.status == "done"


@pytest.mark.parametrize(
    ("text", "pair"),
    [("5 4", (5, 4)), ("5", (5, 5)), ("五星", (5, 5)), ("4分", (4, 4)), ("态度5分质量3分", (5, 3)), ("2", (2, 2))],
)
def test_scores_are_taken_as_given(desk: Desk, text: str, pair: tuple[int, int]) -> None:
    ticket = desk.closed()
    assert answer(desk, text, at("10:00")) is not None
    assert (ticket.score_attitude, ticket.score_quality) == pair
    assert desk.question(ticket, "score") is None


@pytest.mark.parametrize("text", ["没修好还在滴", "又坏了", "5分 但是还在滴水"])
def test_still_broken_is_no_score_but_the_next_round(desk: Desk, text: str) -> None:
    ticket = desk.closed()
    assert answer(desk, text, at("10:00")) is not None
    assert (ticket.status, ticket.round) == ("rework", 2)
    assert ticket.score_quality == (5 if "5" in text else None)


def test_a_mark_in_lukewarm_words_accepts_with_that_mark(desk: Desk) -> None:
    ticket = desk.done()
    answer(desk, "还行吧给4分", at("10:00"))
    assert (ticket.status, ticket.score_attitude, ticket.score_quality) == ("closed", 4, 4)


def test_content_but_dirty_is_accepted_and_followed_up(desk: Desk) -> None:
    ticket = desk.done()
    desk.seen()
    answer(desk, "满意但是厨房有点脏", at("10:00"))
    assert (ticket.status, ticket.score_quality) == ("closed", None)
    assert "脏" in ticket.remark
    assert "remark" in desk.told()["李工"] and "remark" in desk.told()["王师傅"]


def test_a_friendly_word_is_no_matter_for_the_supervisor(desk: Desk) -> None:
    desk.done()
    desk.seen()
    answer(desk, "好了 师傅很专业", at("10:00"))
    assert "李工" not in desk.told()


@pytest.mark.parametrize("text", ["谢谢", "谢谢师傅", "太感谢了"])
def test_thanks_neither_closes_nor_reopens(desk: Desk, text: str) -> None:
    closed, other = desk.closed(), desk.done("E04", symptom="厨房灯不亮")
    for minute in ("10:00", "10:01"):
        answer(desk, text, at(minute))
    assert (closed.status, closed.score_quality, other.status) == ("closed", None, "done")
    assert desk.question(closed, "score") is not None


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("acceptance", "好了 另外卫生间灯也不亮了"),
        ("score", "5 4 对了卫生间灯不亮了"),
        ("appointment", "可以 另外卫生间灯也不亮了"),
        ("consent", "同意 还有卫生间灯也不亮了"),
    ],
)
def test_another_fault_in_an_answer_is_handed_on(desk: Desk, kind: str, text: str) -> None:
    ticket = desk.done() if kind == "acceptance" else desk.closed() if kind == "score" else desk.accepted()
    if kind == "appointment":
        verbs.propose_appointment(desk.session, ticket, desk.handler(ticket), at("15:00"), at("16:00"), at("09:10"))
    if kind == "consent":
        verbs.quote(desk.session, ticket, desk.handler(ticket), "换角阀", 3500, at("09:30"))
    outcome = answer(desk, text, at("10:00"))
    assert outcome is not None
    assert "卫生间灯" in outcome.resume
    assert desk.question(ticket, kind) is None, "and the question is answered"


def test_who_will_not_score_is_left_in_peace(desk: Desk) -> None:
    ticket = desk.closed()
    outcome = answer(desk, "不打分了", at("10:00"))
    assert outcome is not None
    assert outcome.reply == say("reply.score_skipped")
    assert (ticket.score_attitude, desk.question(ticket, "score")) == (None, None)


def test_a_vague_word_gets_the_numbers_with_none_marked(desk: Desk) -> None:
    ticket = desk.closed()
    outcome = answer(desk, "还行吧", at("10:00"))
    assert outcome is not None
    assert [label for _, label in outcome.buttons] == ["1分", "2分", "3分", "4分", "5分"]
    assert ticket.score_attitude is None


def test_the_newest_question_is_answered_first(desk: Desk) -> None:
    older = desk.done("W02", now=at("09:00"))
    newer = desk.done("E04", now=at("09:30"), symptom="厨房灯不亮", place_key="P1/3/2/1502")
    answer(desk, "1", at("10:00"))
    assert (older.status, newer.status) == ("done", "closed")


def test_an_answer_after_the_question_ran_out_is_for_the_dialogue(desk: Desk) -> None:
    ticket = desk.closed()
    assert answer(desk, "5 4", at("10:00", 15)) is None
    assert ticket.score_attitude is None


def test_the_callback_is_answered_like_an_acceptance(desk: Desk) -> None:
    good, bad = desk.closed("W01"), desk.closed("W01", by="李强", place_key="P1/3/2/1402")
    aftercare.callbacks(desk.session, at("10:00", 13))
    outcome = answer(desk, "好用", at("10:10", 13))
    assert outcome is not None
    assert outcome.reply == say("reply.callback_ok")
    assert good.status == "closed"
    assert desk.history(good, "callback")
    answer(desk, "还在漏", at("10:10", 13), by="李强")
    assert (bad.status, bad.round) == ("rework", 2)


def test_asking_for_a_person_is_never_an_answer(desk: Desk) -> None:
    ticket = desk.done()
    assert answer(desk, "转人工", at("10:00")) is None
    assert ticket.status == "done"


# --- the visit --------------------------------------------------------------------------------------------------------


def proposed(desk: Desk) -> Ticket:
    ticket = desk.accepted()
    verbs.propose_appointment(desk.session, ticket, desk.handler(ticket), at("15:00"), at("16:00"), at("09:10"))
    return ticket


@pytest.mark.parametrize("text", ["可以", "行", "好的", "没问题"])
def test_a_yes_agrees_to_the_window(desk: Desk, text: str) -> None:
    ticket = proposed(desk)
    desk.seen()
    assert answer(desk, text, at("09:15")) is not None
    assert desk.told() == {"王芳": ["appointment_fixed"], "王师傅": ["appointment_agreed"]}
    assert ticket.appointment_start_at == at("15:00")


def test_another_time_is_taken_and_pushed(desk: Desk) -> None:
    ticket = proposed(desk)
    desk.seen()
    answer(desk, "改明天上午", at("09:15"))
    assert ticket.appointment_start_at is not None
    assert ticket.appointment_start_at.astimezone(NOW.tzinfo).date() == at("09:00", 13).date()
    assert ticket.arrive_by == ticket.appointment_end_at
    assert desk.told() == {"王师傅": ["time_changed_staff"], "王芳": ["time_changed"]}


def test_a_no_without_a_time_asks_when(desk: Desk) -> None:
    ticket = proposed(desk)
    outcome = answer(desk, "不行，那时候不在家", at("09:15"))
    assert outcome is not None
    assert outcome.reply == say("reply.change_when")
    assert desk.question(ticket, "appointment") is not None


def test_not_needed_any_more_cancels(desk: Desk) -> None:
    ticket = proposed(desk)
    answer(desk, "不用来了，我自己修好了", at("09:15"))
    assert ticket.status == "cancelled"


def quoted(desk: Desk) -> Ticket:
    ticket = desk.accepted()
    verbs.quote(desk.session, ticket, desk.handler(ticket), "换角阀", 3500, at("09:30"))
    return ticket


@pytest.mark.parametrize(
    ("text", "agreed"), [("同意", True), ("可以，换吧", True), ("不同意", False), ("太贵了不换", False)]
)
def test_consent_is_a_plain_yes_or_no(desk: Desk, text: str, agreed: bool) -> None:
    ticket = quoted(desk)
    assert answer(desk, text, at("09:35")) is not None
    assert ticket.detail["quote"]["consent"] is agreed


def test_a_question_about_the_price_is_no_consent(desk: Desk) -> None:
    ticket = quoted(desk)
    desk.seen()
    outcome = answer(desk, "怎么这么贵？", at("09:35"))
    assert outcome is not None
    assert outcome.reply == say("reply.consent_ask")
    assert ticket.detail["quote"]["consent"] is None
    assert desk.told() == {"王师傅": ["detail_staff"]}


# --- details, phone, solved -------------------------------------------------------------------------------------------


def asked_detail(desk: Desk, code: str = "W04", symptom: str = "马桶堵了") -> Ticket:
    ticket = desk.report(code, symptom=symptom)
    questions.ask(desk.session, desk.resident("王芳"), "detail", NOW, ticket=ticket)
    return ticket


def test_a_detail_can_raise_the_class(desk: Desk) -> None:
    ticket = asked_detail(desk)
    outcome = answer(desk, "没溢 就一个卫生间", at("09:01"))
    assert outcome is not None
    assert ticket.level == "U1"
    assert "今天09:31" in outcome.reply


def test_a_detail_is_noted_and_passed_on(desk: Desk) -> None:
    ticket = asked_detail(desk)
    desk.seen()
    outcome = answer(desk, "家里有两个卫生间", at("09:01"))
    assert outcome is not None
    assert ticket.level == "U2"
    assert desk.told() == {"王师傅": ["detail_staff"]}


def test_a_time_in_the_answer_becomes_the_window(desk: Desk) -> None:
    ticket = asked_detail(desk)
    answer(desk, "没溢，明天下午来吧", at("09:01"))
    assert ticket.wanted_end_at is not None
    assert ticket.wanted_end_at.astimezone(NOW.tzinfo).date() == at("09:00", 13).date()


def test_the_same_trouble_in_another_flat_is_no_detail(desk: Desk) -> None:
    ticket = asked_detail(desk)
    assert answer(desk, "5栋1203马桶也堵了，水溢出来了", at("09:01")) is None
    assert "1203" not in ticket.symptom


def test_another_matter_is_no_detail(desk: Desk) -> None:
    ticket = asked_detail(desk)
    assert answer(desk, "对咯还有个事体 隔壁天天半夜吼 墙都在抖 你们管伐", at("09:01")) is None
    assert "隔壁" not in ticket.symptom


def test_an_old_detail_question_explains_nothing_any_more(desk: Desk) -> None:
    asked_detail(desk)
    assert answer(desk, "家里有两个卫生间", NOW + answering.FRESH_DETAIL + timedelta(minutes=1)) is None


def more(desk: Desk, text: str, code: str = "", *, sure: bool = True, certain: bool = False) -> Outcome | None:
    """`text` as the dialogue hands it back: a piece of information, or a fault of category `code`."""
    turn = Turn(desk.session, desk.chat("王芳"), desk.actor("王芳"), text, at("09:01"), f"test:{text}")
    return answering.try_detail(turn, code, sure=sure, certain=certain)


def test_what_is_certainly_of_another_kind_is_a_report_of_its_own_also_for_the_same_worker(desk: Desk) -> None:
    asked_detail(desk, "Z01", symptom="晾衣杆摇不下来了")
    assert more(desk, "卫生间门反锁了打不开", "D03") is not None
    assert more(desk, "卫生间门反锁了打不开", "D03", certain=True) is None


def test_words_alone_do_not_make_a_longer_text_a_detail(desk: Desk) -> None:
    ticket = asked_detail(desk)
    for text in ("昨晚有人在楼下烧纸，灰飘到我阳台", "明天股票涨不涨", "停车位被人占了"):
        assert answer(desk, text, at("09:01")) is None
    assert ticket.wanted_label == ""
    assert answer(desk, "马桶", at("09:01")) is not None


@pytest.mark.parametrize(
    ("text", "code", "sure"),
    [
        ("师傅带个梯子来吧", "", True),
        ("冲不下去水还往上冒", "W05", True),
        ("小心点地上滑", "C05", True),
        ("我家狗丢了", "M04", False),
    ],
)
def test_what_names_no_other_thing_is_more_about_the_ticket(desk: Desk, text: str, code: str, sure: bool) -> None:
    ticket = asked_detail(desk)
    desk.seen()
    assert more(desk, text, code, sure=sure) is not None
    assert desk.told() == {"王师傅": ["detail_staff"]}
    assert ticket.status == "assigned"


@pytest.mark.parametrize(
    ("text", "code"), [("快递柜打不开", "K04"), ("楼道的灯坏了", "E07"), ("厨房龙头也滴水", "W02")]
)
def test_another_thing_is_a_report_of_its_own(desk: Desk, text: str, code: str) -> None:
    asked_detail(desk, "E04", symptom="客厅灯不亮") if code == "E07" else asked_detail(desk)
    assert more(desk, text, code) is None


def test_a_time_read_by_the_model_becomes_the_window(desk: Desk) -> None:
    ticket = asked_detail(desk)
    assert more(desk, "明天下午三点以后在家") is not None
    assert ticket.wanted_label


def test_a_wrong_time_is_put_right_for_everything_told_with_it(desk: Desk) -> None:
    lamp = desk.report("E04", symptom="客厅灯不亮", source_key="web:9:0", wanted_label="明天上午")
    drain = desk.report("W04", symptom="马桶堵了", source_key="web:9:1", wanted_label="明天上午")
    other = desk.report("D03", symptom="门锁松了", source_key="web:7:0", wanted_label="明天上午")
    questions.ask(desk.session, desk.resident("王芳"), "detail", NOW, ticket=lamp)
    assert more(desk, "不是 后天上午") is not None
    assert lamp.wanted_label == drain.wanted_label != other.wanted_label == "明天上午"
    assert "08:30" in lamp.wanted_label


def test_nothing_is_a_detail_where_nothing_was_asked(desk: Desk) -> None:
    desk.report("W04", symptom="马桶堵了")
    assert more(desk, "师傅带个梯子来吧") is None


def test_a_phone_is_stored_and_echoed_by_its_tail(desk: Desk) -> None:
    desk.resident("王芳").phone = ""
    ticket = desk.report()
    questions.ask(desk.session, desk.resident("王芳"), "phone", NOW, ticket=ticket)
    outcome = answer(desk, "13900001111", at("09:02"))
    assert outcome is not None
    assert (ticket.contact_phone, desk.resident("王芳").phone) == ("13900001111", "13900001111")
    assert "1111" in outcome.reply
    assert "13900001111" not in outcome.reply


def test_the_registered_number_will_do(desk: Desk) -> None:
    ticket = desk.report(contact_phone="13900001111")
    questions.ask(desk.session, desk.resident("王芳"), "phone", NOW, ticket=ticket)
    assert answer(desk, "就用登记的", at("09:02")) is not None
    assert ticket.contact_phone == "13800005678"


def answered_question(desk: Desk) -> Ticket:
    ticket = desk.report("Q22", kind="ZX", symptom="装充电桩要业主同意吗")
    verbs.answer_matter(desk.session, ticket, desk.actor("客服小周"), "需要", at("10:00"))
    return ticket


def test_solved_closes_unsolved_goes_on(desk: Desk) -> None:
    ticket = answered_question(desk)
    answer(desk, "解决了", at("10:05"))
    assert ticket.status == "closed"
    again = answered_question(desk)
    answer(desk, "没解决，不太明白", at("10:05"))
    assert (again.status, again.round) == ("rework", 2)


# --- safety -----------------------------------------------------------------------------------------------------------


def asked_safety(desk: Desk) -> None:
    questions.ask(
        desk.session,
        desk.resident("王芳"),
        "safety",
        NOW,
        remind_at=NOW + timedelta(minutes=2),
        danger="GAS",
        code="G01",
        level="U0",
        text="厨房好像有股味道",
        knowledge=False,
        conversation=desk.chat("王芳").id,
    )


def tickets(desk: Desk) -> list[Ticket]:
    return list(desk.session.scalars(select(Ticket)))


@pytest.mark.parametrize(
    ("text", "read"), [("没有", "厨房好像有股味道"), ("没有 灶关了 就修灯吧", "厨房好像有股味道，没有 灶关了 就修灯吧")]
)
def test_a_no_that_names_things_is_read_with_what_was_told(desk: Desk, text: str, read: str) -> None:
    asked_safety(desk)
    outcome = answer(desk, text, at("09:01"))
    assert outcome is not None
    assert (outcome.resume, tickets(desk)) == (read, [])


@pytest.mark.parametrize(
    ("text", "alarm"),
    [
        ("对了 卧室门吸也掉了", False),
        ("呃 明天有事 改周一", False),
        ("还有个反光镜碎了", False),
        ("是的 煤气灶那边", True),
        ("有 味道更大了", True),
    ],
)
def test_another_thing_is_no_yes(desk: Desk, text: str, alarm: bool) -> None:
    asked_safety(desk)
    (question,) = questions.waiting(desk.session, desk.resident("王芳"), NOW)
    question.data = {**question.data, "passed": True}
    assert (answer(desk, text, at("09:01")) is not None) is alarm
    assert bool(tickets(desk)) is alarm


def test_what_is_not_wanted_any_more_was_no_danger(desk: Desk) -> None:
    asked_safety(desk)
    (question,) = questions.waiting(desk.session, desk.resident("王芳"), NOW)
    outcome = answer(desk, "灶那个先别修了", at("09:01"))
    assert outcome is not None and outcome.resume
    assert question.data["denied"] and tickets(desk) == []


@pytest.mark.parametrize(("words", "kept"), [("还是修吧", True), ("还是修吧 后天上午来", False)])
def test_the_time_of_a_repair_taken_back_is_kept(desk: Desk, words: str, kept: bool) -> None:
    ticket = desk.report("W04", symptom="马桶堵了")
    verbs.wish(ticket, at("14:00", 13), at("16:00", 13), "明天下午")
    verbs.cancel(desk.session, ticket, desk.actor("王芳"), "不用了", at("09:01"))
    outcome = answer(desk, words, at("09:05"))
    assert outcome is not None and ("14:00–16:00" in outcome.reply) is kept


def test_the_repair_taken_back_last_is_wanted_after_all(desk: Desk) -> None:
    lamp, lock = desk.report("E04", symptom="客厅灯不亮"), desk.report("D03", symptom="门锁转不动")
    verbs.cancel(desk.session, lamp, desk.actor("王芳"), "不用了", NOW)
    outcome = answer(desk, "还是修吧 换了也不亮", at("09:05"))
    assert outcome is not None and "换了也不亮" in tickets(desk)[-1].symptom
    assert lock.status == "assigned"


def test_stars_are_no_detail_of_the_next_fault(desk: Desk) -> None:
    closed = desk.closed()
    desk.report("E04", symptom="厨房灯闪")
    assert answer(desk, "五星", NOW + timedelta(minutes=1)) is not None
    assert (closed.score_attitude, closed.score_quality) == (5, 5)


@pytest.mark.parametrize(
    ("text", "taken"), [("还有 1栋1单元一楼进门那个灯也不亮", False), ("就是这一盏不亮 别的都亮", True)]
)
def test_the_same_thing_in_another_building_is_no_detail(desk: Desk, text: str, taken: bool) -> None:
    lamp = desk.report("E07", symptom="楼梯的灯坏了", place_key="PUB:P1/2/1/F3/楼梯", public_area=True)
    questions.ask(desk.session, desk.resident("王芳"), "detail", NOW, ticket=lamp)
    turn = Turn(desk.session, desk.chat("王芳"), desk.actor("王芳"), text, at("09:01"), "test:1")
    assert (answering.try_detail(turn, "E07") is not None) is taken


@pytest.mark.parametrize(
    ("text", "kind", "over"),
    [("没人生病 我说保安翻白眼", "MED", True), ("没人受伤 但是火还大", "FIRE", False), ("没人受伤", "FIRE", False)],
)
def test_nobody_is_ill_ends_what_was_taken_for_illness(text: str, kind: str, over: bool) -> None:
    assert is_over(text, kind) is over


def test_a_time_put_right_is_no_word_about_danger(desk: Desk) -> None:
    asked_safety(desk)
    (question,) = questions.waiting(desk.session, desk.resident("王芳"), NOW)
    question.data = {**question.data, "passed": True}
    assert answer(desk, "不是 后天上午", at("09:01")) is None
    assert question.state == "open"
    assert answer(desk, "没有", at("09:02")) is not None


@pytest.mark.parametrize("text", ["有", "是的有煤气味", "不确定，好像有"])
def test_anything_but_a_clear_no_is_an_alarm(desk: Desk, text: str) -> None:
    asked_safety(desk)
    assert answer(desk, text, at("09:01")) is not None
    (ticket,) = tickets(desk)
    assert (ticket.code, ticket.level, ticket.reporter) == ("G01", "U0", desk.resident("王芳"))
    assert "厨房好像有股味道" in ticket.symptom
    assert "alarm" in {key for keys in desk.told().values() for key in keys}


def test_a_clear_no_hands_the_first_message_to_the_dialogue(desk: Desk) -> None:
    asked_safety(desk)
    outcome = answer(desk, "没有", at("09:01"))
    assert outcome is not None
    assert outcome.resume == "厨房好像有股味道"
    assert tickets(desk) == []
    desk.seen()
    desk.sweep(at("09:03"))
    assert desk.fresh() == []


# --- drafts and the worker's self-check -------------------------------------------------------------------------------


def parked(desk: Desk) -> Draft:
    kept = Draft(
        conversation_id=desk.chat("王芳").id, kind="TS", data={"words": "楼上装修太吵"}, parked=True, updated_at=NOW
    )
    desk.session.add(kept)
    desk.session.flush()
    return kept


@pytest.mark.parametrize("text", ["要的", "还要登记", "要", "嗯", "还是登记吧", "对"])
def test_after_the_emergency_the_half_told_complaint_is_offered_and_taken_up(desk: Desk, text: str) -> None:
    parked(desk)
    ticket = desk.report("G01", conversation=desk.chat("王芳"))
    desk.seen()
    verbs.resolve(desk.session, ticket, desk.actor("李工"), "燃气公司处理完", at("10:00"))
    assert desk.told()["王芳"] == ["resolved", "resume_draft"]
    outcome = answer(desk, text, at("10:01"))
    assert outcome == Outcome(resume="楼上装修太吵", restart_dialogue=True)


@pytest.mark.parametrize("text", ["不用了", "算了", "不要了", "不需要", "不用登记了"])
def test_or_dropped(desk: Desk, text: str) -> None:
    questions.ask(desk.session, desk.resident("王芳"), "resume_draft", NOW, draft=parked(desk).id)
    outcome = answer(desk, text, at("09:05"))
    assert outcome is not None
    assert outcome.reply == say("reply.draft_dropped")
    desk.session.flush()
    assert desk.session.scalar(select(Draft)) is None


def test_or_left_alone_by_other_talk(desk: Desk) -> None:
    questions.ask(desk.session, desk.resident("王芳"), "resume_draft", NOW, draft=parked(desk).id)
    assert answer(desk, "厨房灯也不亮了", at("09:05")) is None
    assert desk.session.scalar(select(Draft)) is not None


def test_the_self_check_finishes_the_job(desk: Desk) -> None:
    ticket = desk.accepted()
    questions.ask(desk.session, desk.staff("王师傅"), "self_check", at("10:00"), ticket=ticket, note="换了角阀")
    assert answer(desk, "都没做完", at("10:01"), by="王师傅") is None
    assert ticket.status == "in_progress"
    assert answer(desk, "都做好了", at("10:02"), by="王师傅") is not None
    assert ticket.status == "done"
    assert "换了角阀" in desk.pushes("王芳")[-1].text


def test_questions_are_replaced_not_piled_up(desk: Desk) -> None:
    ticket = desk.accepted()
    for start in ("14:00", "15:00"):
        verbs.propose_appointment(desk.session, ticket, desk.handler(ticket), at(start), at("17:00"), at("09:10"))
    waiting = questions.waiting(desk.session, desk.resident("王芳"), at("09:11"))
    assert [question.data["start"] for question in waiting] == [at("15:00").isoformat()]


def test_an_answer_about_a_ticket_that_is_over_is_for_the_dialogue(desk: Desk) -> None:
    ticket = proposed(desk)
    question = desk.question(ticket, "appointment")
    assert question is not None
    verbs.cancel(desk.session, ticket, desk.actor("客服小周"), "重复", at("09:12"))
    question.state = "open"
    assert answer(desk, "可以", at("09:15")) is None
    assert question.state == "withdrawn"


def confirmed_place(desk: Desk, *, phone: str = "") -> Ticket:
    stranger = desk.stranger("路人甲")
    ticket = desk.report(by=stranger, contact_phone=phone)
    assert stranger.resident is not None
    questions.ask(desk.session, stranger.resident, "confirm_address", at("09:01"), ticket=ticket)
    return ticket


def answer_of(desk: Desk, ticket: Ticket, text: str, now: datetime) -> Outcome | None:
    actor = Actor(resident=ticket.reporter)
    return try_answer(Turn(desk.session, desk.chat("王芳"), actor, text, now, f"test:{text}"))


def test_phone_and_time_are_asked_for_in_one_question_and_then_no_more(desk: Desk) -> None:
    ticket = confirmed_place(desk)
    outcome = answer_of(desk, ticket, "对", at("09:02"))
    assert outcome is not None
    assert say("reply.ask_phone_and_time") in outcome.reply
    desk.seen()
    left = answer_of(desk, ticket, "你们看着办", at("09:03"))
    assert left is not None and "？" not in left.reply
    assert desk.question(ticket, "phone") is None and desk.question(ticket, "detail") is None
    assert desk.told() == {"周主管": ["find_out"]}


def test_who_can_be_reached_is_asked_nothing(desk: Desk) -> None:
    ticket = confirmed_place(desk, phone="13900001111")
    outcome = answer_of(desk, ticket, "对", at("09:02"))
    assert outcome is not None and outcome.reply == say("reply.place_confirmed")


@pytest.mark.parametrize(
    "text",
    [
        *("还是修吧", "算了 还是要修", "那还是麻烦师傅来一趟吧", "想了想还是找人弄一下", "还是你们来吧"),
        "不行 他不开门 还是你们去说吧",
    ],
)
def test_what_was_cancelled_is_wanted_after_all(desk: Desk, text: str) -> None:
    assert answer(desk, text, at("09:04")) is None
    ticket = desk.report("W02", symptom="厨房水龙头滴水")
    verbs.cancel(desk.session, ticket, desk.actor("王芳"), "不用修了", at("09:05"))
    assert answer(desk, "还是你们修得好", at("09:06")) is None
    outcome = answer(desk, text, at("09:10"))
    again = tickets(desk)[-1]
    assert outcome is not None and again.ticket_no in outcome.reply
    assert (again.symptom, again.place_key, again.status) == (ticket.symptom, ticket.place_key, "assigned")
    assert answer(desk, text, at("09:10", 14)) is None


@pytest.mark.parametrize(
    ("text", "phone"),
    [
        ("来之前给我打个电话哈", ""),
        ("明天我不一定在 让我妈在家等 她姓陈 电话13777880011", "13777880011"),
        ("家里有狗 到门口了打我电话", ""),
    ],
)
def test_what_the_visitor_has_to_know_is_on_the_job(desk: Desk, text: str, phone: str) -> None:
    assert answer(desk, text, at("09:01")) is None
    ticket = desk.report("W02", symptom="厨房水龙头滴水")
    desk.seen()
    for question in questions.waiting(desk.session, desk.resident("王芳"), NOW):
        question.state = "withdrawn"
    assert answer(desk, text, at("09:30")) is not None
    assert text in [event.note for event in desk.history(ticket)]
    assert not phone or ticket.contact_phone == phone


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("谁让你取消了 灯要修的", ["E04"]),
        ("怎么都给我取消了 两个都要修", ["E04", "W02"]),
        ("别取消啊", ["W02"]),
        ("恢复一下", ["W02"]),
        ("什么时候恢复供水", []),
        ("那个会议取消了", []),
    ],
)
def test_what_nobody_wanted_cancelled_stands_again(desk: Desk, text: str, back: list[str]) -> None:
    lamp, tap = desk.report("E04", symptom="客厅灯不亮"), desk.report("W02", symptom="水龙头滴水")
    for minute, one in enumerate((lamp, tap), 1):
        verbs.cancel(desk.session, one, desk.actor("王芳"), "不用修了", at(f"09:0{minute}"))
    answer(desk, text, at("09:05"))
    assert sorted(one.code for one in tickets(desk) if one.status == "assigned") == back
