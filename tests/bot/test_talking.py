"""转人工 through the front door: who hears what, while the dialogue engine is away (domain.md §5.3)."""

from __future__ import annotations

import pytest
from deskhelp import at
from doorhelp import Door
from sqlalchemy import select

from storage.models import Draft, OutboxMessage, Talk, TalkLine, Ticket
from tickets import verbs
from tickets.texts import say


def talking(door: Door, resident: str = "王芳", staff: str = "客服小周") -> None:
    door.say(resident, "转人工")
    door.say(staff, "接待")


# --- calling somebody -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["转人工", "我要找人工客服", "不要机器人", "叫你们经理", "打电话给我"])
def test_a_person_is_called_without_the_dialogue(door: Door, words: str) -> None:
    (answer,) = door.say("王芳", words)
    assert door.left is None
    assert "客服小周" in answer
    assert "今天10:10前" in answer
    (told,) = door.heard("客服小周")
    assert "居民要求人工" in told and "138****5678" in told and "13800005678" not in told


@pytest.mark.parametrize(
    "words", ["厨房漏水，来之前给我打个电话", "师傅到了打电话给我", "再不来人我打12345转人工也没用"]
)
def test_a_call_before_a_visit_or_a_threat_is_for_the_dialogue(door: Door, words: str) -> None:
    door.say("王芳", words)
    assert door.left is not None
    with door.sessions() as session:
        assert session.scalars(select(Talk)).all() == []


def test_who_waits_for_a_person_is_told_again_or_lets_it_be(door: Door) -> None:
    door.say("王芳", "转人工")
    for words in ("人呢", "等了半天了", "有没有活人"):
        assert "客服小周" in door.say("王芳", words)[0]
    assert door.talk().state == "waiting"
    assert door.say("王芳", "不用找真人了") == [say("reply.person_not_wanted")]
    door.say("王芳", "转人工")
    assert door.say("王芳", "算了不用了") == [say("reply.person_not_wanted")]
    assert door.talk().state == "ended"


@pytest.mark.parametrize("words", ["客服咋还不回我", "客服到底回不回我"])
def test_who_asks_why_nobody_answers_hears_how_far_it_is(door: Door, words: str) -> None:
    door.say("王芳", "转人工")
    assert "客服小周" in door.say("王芳", words)[0]
    assert door.talk().state == "waiting"


@pytest.mark.parametrize(
    ("words", "asked"), [("我说不用人工打给我了", ""), ("算了不用人工了 我自己去前台 你们几点下班", "你们几点下班")]
)
def test_who_does_not_want_the_person_any_more_is_let_be(door: Door, words: str, asked: str) -> None:
    door.say("王芳", "转人工")
    assert door.say("王芳", words)[0] == say("reply.person_not_wanted")
    assert door.talk().state == "ended"
    assert (door.left.text if door.left else "") == asked


@pytest.mark.parametrize("words", ["不用修了", "师傅咋还不来", "别让人进我家"])
def test_words_about_a_repair_do_not_end_the_wait(door: Door, words: str) -> None:
    door.say("王芳", "转人工")
    door.say("王芳", words)
    assert door.talk().state == "waiting"


def test_a_stranger_gets_a_person_too(door: Door) -> None:
    assert "客服小周" in door.say("stranger1", "转人工")[0]
    door.say("客服小周", "接待")
    assert door.say("stranger1", "我住哪栋还没登记") == []
    assert "我住哪栋还没登记" in door.heard("客服小周")[-1]


def test_after_hours_it_says_when_the_desk_opens_and_then_calls(door: Door) -> None:
    door.now = at("22:00")
    (answer,) = door.say("王芳", "转人工")
    assert "下班" in answer and "明天（6月13日）08:30" in answer and "0571-5555-0100" in answer
    assert door.heard("客服小周") == []
    door.sweep(at("08:00", 13))
    assert door.heard("客服小周") == []
    door.sweep(at("08:30", 13))
    assert "居民要求人工" in door.heard("客服小周")[-1]


def test_half_told_faults_are_registered_and_the_form_is_over(door: Door) -> None:
    with door.sessions.begin() as session:
        chat = door.desk(session).chat("王芳")
        fault = {
            "code": "W02",
            "words": "厨房水龙头滴水",
            "place_key": "P1/3/2/1502",
            "place_text": "一期3栋2单元1502室",
        }
        session.add(Draft(conversation_id=chat.id, kind="BX", data={"faults": [fault]}, updated_at=door.now))
    answer = door.say("王芳", "烦死了 转人工")[0]
    with door.sessions() as session:
        ticket = session.scalars(select(Ticket)).one()
        assert (ticket.code, ticket.place_key, ticket.symptom) == ("W02", "P1/3/2/1502", "厨房水龙头滴水")
        assert session.scalars(select(Draft)).all() == []
    assert ticket.ticket_no in answer
    assert door.left is not None and door.left.restart and not door.left.text


def test_in_the_middle_of_an_acceptance_it_is_no_answer(door: Door) -> None:
    with door.sessions.begin() as session:
        ticket = door.desk(session).done().id
    assert "客服小周" in door.say("王芳", "转人工")[0]
    with door.sessions() as session:
        assert session.get_one(Ticket, ticket).status == "done"


def test_in_an_emergency_it_works_and_the_emergency_goes_on(door: Door) -> None:
    door.say("王芳", "厨房煤气味好大")
    assert "客服小周" in door.say("王芳", "转人工")[0]
    with door.sessions() as session:
        ticket = session.scalars(select(Ticket)).one()
        assert (ticket.code, ticket.level, ticket.status != "closed") == ("G01", "U0", True)


def test_asking_again_makes_no_second_wait(door: Door) -> None:
    door.say("王芳", "转人工")
    door.now = at("10:03")
    assert "今天10:10前" in door.say("王芳", "人工呢 转人工")[0]
    with door.sessions() as session:
        assert len(session.scalars(select(Talk)).all()) == 1


def test_waiting_residents_are_shared_out_and_told_how_many_are_before(door: Door) -> None:
    assert "客服小周" in door.say("王芳", "转人工")[0]
    assert "林管家" in door.say("李强", "转人工")[0]
    third = door.say("陈静", "转人工")[0]
    assert "客服小周" in third and "前面还有1位" in third


def test_anger_about_a_failed_repair_is_answered_while_the_dialogue_is_away(door: Door) -> None:
    with door.sessions.begin() as session:
        desk = door.desk(session)
        repair = desk.accepted("W03", now=at("08:00"))
        verbs.arrive(session, repair, desk.handler(repair), at("08:30"))
    door.now = at("14:10")
    (answer,) = door.say("王芳", "你们死人吗 漏了半个月还没修好 我打12345")
    assert "马经理今天14:40前打电话给您" in answer and "？" not in answer
    assert door.left is not None and door.left.restart and not door.left.text
    assert "不是真人" in door.say("王芳", "你是机器人吧")[0]


# --- speaking ---------------------------------------------------------------------------------------------------------


def test_words_and_pictures_go_both_ways_and_numbers_do_not(door: Door) -> None:
    talking(door)
    assert door.heard("王芳")[-1] == "客服小周来了，接下来由真人跟您说，直接说就行。"
    assert door.say("王芳", "我电话13912345678，厨房漏水") == []
    assert door.left is None
    assert "139****5678" in door.heard("客服小周")[-1]
    assert "13912345678" not in "".join(door.heard("客服小周"))
    assert door.say("客服小周", "好的，您把水阀先关一下") == []
    assert door.heard("王芳")[-1] == "客服小周：好的，您把水阀先关一下"
    (refused,) = door.say("客服小周", "您打我手机13811110002")
    assert "换个说法" in refused
    assert "13811110002" not in "".join(door.heard("王芳"))
    door.say("客服小周", "也可以打前台电话0571-5555-0101")
    assert "0571-5555-0101" in door.heard("王芳")[-1]
    door.say("王芳", photo=True)
    door.say("客服小周", photo=True)
    with door.sessions() as session:
        seen = [row.image_key for row in session.scalars(select(OutboxMessage)) if row.image_key]
        lines = [(one.actor_name, one.text) for one in session.scalars(select(TalkLine).order_by(TalkLine.id))]
    assert len(seen) == 2
    assert ("王女士", "我电话139****5678，厨房漏水") in lines
    assert ("客服小周", "好的，您把水阀先关一下") in lines


def test_a_voice_goes_to_the_other_side_to_be_played(door: Door) -> None:
    talking(door)
    before = door.last()
    door.say("王芳", voice=b"OggS\x00\x02 one")
    door.say("客服小周", voice=b"OggS\x00\x02 two")
    with door.sessions() as session:
        query = select(OutboxMessage.text, OutboxMessage.image_key).where(OutboxMessage.id > before)
        told = [(text, key) for text, key in session.execute(query.order_by(OutboxMessage.id)) if key]
    assert [key.endswith(".ogg") for _, key in told] == [True, True]
    assert all("发来语音" in text for text, _ in told)


@pytest.mark.parametrize(
    "words", ["收到", "好的", "我来", "来了", "王师傅今天请假了", "您那边还有煤气味吗", "阀门先关闭"]
)
def test_in_a_talk_a_colleagues_short_words_are_for_the_resident(door: Door, words: str) -> None:
    talking(door)
    assert door.say("客服小周", words) == []
    assert door.heard("王芳")[-1] == f"客服小周：{words}"
    with door.sessions() as session:
        assert session.scalars(select(Ticket)).all() == []


def test_a_command_with_a_number_is_still_a_command(door: Door) -> None:
    with door.sessions.begin() as session:
        number = door.desk(session).report().ticket_no
    talking(door)
    before = door.last()
    assert number in door.say("客服小周", f"状态 {number}")[0]
    assert door.heard("王芳", before) == []


def test_with_two_talks_it_is_asked_for_whom(door: Door) -> None:
    talking(door)
    talking(door, "李强")
    # The one just taken is the one spoken to.
    door.say("客服小周", "李先生您好")
    assert "李先生您好" in door.heard("李强")[-1]
    door.say("王芳", "我这边还在漏")
    before = door.last()
    (asked,) = door.say("客服小周", "马上安排师傅")
    assert "1 王女士" in asked and "2 李先生" in asked
    assert door.heard("王芳", before) == [] and door.heard("李强", before) == []
    assert "王女士" in door.say("客服小周", "1")[0]
    assert door.heard("王芳")[-1] == "客服小周：马上安排师傅"
    assert door.heard("李强", before) == []
    door.say("客服小周", "十点半到")
    assert door.heard("王芳")[-1] == "客服小周：十点半到"


def test_a_danger_in_a_talk_still_gets_its_advice_and_the_colleague_knows(door: Door) -> None:
    talking(door)
    before = door.last()
    door.say("王芳", "等下 厨房怎么有股煤气味")
    heard = door.heard("王芳", before)
    assert "开窗" in heard[0] or "阀" in heard[0]
    assert any("等下 厨房怎么有股煤气味" in text for text in door.heard("客服小周", before))
    with door.sessions() as session:
        assert session.scalars(select(Ticket)).one().level == "U0"
    # What follows is for the people on the danger as well as for the colleague.
    before = door.last()
    door.say("王芳", "我出来了 在楼下")
    assert any("我出来了 在楼下" in text for text in door.heard("李工", before))
    assert any("我出来了 在楼下" in text for text in door.heard("客服小周", before))


def test_buttons_of_the_desk_work_in_a_talk(door: Door) -> None:
    with door.sessions.begin() as session:
        ticket = door.desk(session).done().id
    talking(door)
    door.say("王芳", button=f"confirm:{ticket}")
    with door.sessions() as session:
        assert session.get_one(Ticket, ticket).status == "closed"


# --- ending -----------------------------------------------------------------------------------------------------------


def test_handed_back_by_the_colleague(door: Door) -> None:
    talking(door)
    assert "王女士" in door.say("客服小周", "结束")[0]
    assert "转人工" in door.heard("王芳")[-1]
    door.say("王芳", "厨房灯不亮")
    assert door.left is not None and door.left.text == "厨房灯不亮"
    assert door.talk().ended_as == "staff"


def test_ended_by_the_resident(door: Door) -> None:
    talking(door)
    door.say("王芳", "不用人工了，谢谢")
    assert door.talk().ended_as == "resident"
    assert "已结束" in door.heard("客服小周")[-1]


def test_nobody_says_a_word_and_it_is_over_and_both_know(door: Door) -> None:
    talking(door)
    door.say("客服小周", "您还有别的事吗")
    before = door.last()
    door.sweep(at("10:29"))
    assert door.talk().state == "active"
    door.sweep(at("10:30"))
    assert door.talk().ended_as == "silence"
    assert len(door.heard("王芳", before)) == 1 and "已结束" in door.heard("客服小周", before)[0]
    door.sweep(at("10:31"))
    assert len(door.heard("王芳", before)) == 1


def test_who_does_not_answer_in_a_talk_is_reminded_and_then_replaced(door: Door) -> None:
    talking(door)
    door.say("王芳", "怎么办")
    door.sweep(at("10:05"))
    assert "怎么办" in door.heard("客服小周")[-1]
    door.sweep(at("10:10"))
    assert door.talk().state == "waiting"
    assert "林管家" in door.heard("王芳")[-1] and "今天10:20前" in door.heard("王芳")[-1]
    assert "居民要求人工" in door.heard("林管家")[-1]


def test_a_promise_nobody_kept_is_owned_up_to(door: Door) -> None:
    door.say("王芳", "转人工")
    door.sweep(at("10:05"))
    assert "居民要求人工" in door.heard("林管家")[-1]
    door.sweep(at("10:10"))
    assert "今天10:20前" in door.heard("王芳")[-1] and "耽误" in door.heard("王芳")[-1]
    for leader in ("周主管", "马经理"):
        assert "超时" in door.heard(leader)[-1]
    door.sweep(at("10:10"))
    assert len([text for text in door.heard("王芳") if "耽误" in text]) == 1
    door.say("马经理", "接待")
    assert door.heard("王芳")[-1].startswith("马经理来了")


# --- who may ----------------------------------------------------------------------------------------------------------


def test_a_worker_takes_no_talk_and_a_second_colleague_not_the_same(door: Door) -> None:
    door.say("王芳", "转人工")
    talk = door.talk()
    assert door.say("王师傅", button=f"talk:{talk.id}")
    assert door.talk().state == "waiting"
    door.say("客服小周", button=f"talk:{talk.id}")
    assert "客服小周" in door.say("林管家", button=f"talk:{talk.id}")[0]
    assert door.talk().staff_id == talk.staff_id
    assert "没有这个对话" in door.say("林管家", button=f"end_talk:{talk.id}")[0]
    assert "没有这个对话" in door.say("客服小周", button="talk:99999")[0]


def test_leaders_read_what_was_said(door: Door) -> None:
    talking(door)
    door.say("王芳", "你们什么时候来")
    door.say("客服小周", "今天下午三点前")
    listed = door.say("周主管", "对话")[0]
    assert "王女士" in listed and "客服小周" in listed
    said = door.say("周主管", f"对话 {door.talk().id}")[0]
    assert "你们什么时候来" in said and "今天下午三点前" in said


def test_a_talk_about_a_matter_is_in_its_history(door: Door) -> None:
    with door.sessions.begin() as session:
        chat = door.desk(session).chat("王芳")
        draft = Draft(
            conversation_id=chat.id, kind="TS", data={"words": "楼道太脏", "code": "T06"}, updated_at=door.now
        )
        session.add(draft)
    talking(door)
    door.say("客服小周", "结束")
    with door.sessions() as session:
        ticket = session.scalars(select(Ticket)).one()
        assert [one.note for one in ticket.history if one.action == "talk"] == ["开始接待", "结束对话"]
        assert ticket.kind == "TS"


# --- colleagues at the front door --------------------------------------------------------------------------------------


def test_whoever_acts_on_a_job_tells_no_report_any_more(door: Door) -> None:
    with door.sessions.begin() as session:
        desk = door.desk(session)
        ticket = desk.accepted("W03", symptom="厨房水槽滴水")
        chat = desk.chat("王师傅")
        session.add(
            Draft(conversation_id=chat.id, kind="BX", data={"place": {"options": ["P1/3"]}}, updated_at=door.now)
        )
        number = ticket.id
    door.say("王师傅", "3栋1502那个到了")
    with door.sessions() as session:
        assert session.get_one(Ticket, number).arrived_at is not None
        assert session.scalars(select(Draft)).all() == []
    assert door.left is not None and door.left.restart and not door.left.text


def test_a_colleagues_question_about_a_known_danger_raises_no_alarm(door: Door) -> None:
    with door.sessions.begin() as session:
        door.desk(session).report(
            "L01", place_key="PUB:P1/3/2/-/电梯", public_area=True, symptom="电梯困人", level="U0"
        )
    assert "0001" in " ".join(door.say("马经理", "电梯困人那个现在啥情况"))
    with door.sessions() as session:
        assert len(session.scalars(select(Ticket)).all()) == 1
    door.say("马经理", "6栋电梯困人了 快来人")
    with door.sessions() as session:
        assert len(session.scalars(select(Ticket)).all()) == 2
