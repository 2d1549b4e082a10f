"""Questions: a written answer or a ticket with a promised time, never both for one thing; bills only to who pays; what leans on an answer."""

from __future__ import annotations

import re
from typing import Any

import pytest
from deskhelp import NOW, at
from deskhelp import Desk as Community
from sqlalchemy import func, select

from actions import drafts
from actions.context import Desk, DeskAction
from actions.inquiry import answer_beside, answer_question
from actions.progress import Progress
from actions.service import Unsure
from storage.models import Conversation, Identity, Residency, Ticket
from tickets import notify
from tickets.answering import Turn, try_answer
from tickets.people import Actor
from tickets.texts import say

TICKET_NO = re.compile(r"ZX\d{8}-\d{4}")


class Asker:
    """One person who asks; says what the desk answered."""

    def __init__(self, desk: Community, actor: Actor) -> None:
        self.desk, self.actor, self.count, self.now = desk, actor, 0, NOW
        person = actor.resident or actor.staff
        assert person is not None
        column = Identity.resident_id if actor.resident else Identity.staff_id
        chat = desk.session.scalar(select(Conversation).join(Identity).where(column == person.id))
        if chat is None:
            identity = Identity(channel="web", external_id=f"asker:{person.id}", resident=actor.resident)
            chat = Conversation(channel="web", chat_id=f"asker:{person.id}", identity=identity)
            desk.session.add(chat)
            desk.session.flush()
        self.chat = chat

    def ask(self, text: str, *, category: str = "", questions: tuple[str, ...] = ()) -> str:
        """What is heard for a message the model read as a question."""
        self.count += 1
        key = f"web:ask{self.count}"
        turn = Turn(self.desk.session, self.chat, self.actor, text, self.now, key)
        outcome = try_answer(turn)
        if outcome is not None and not outcome.resume:
            return outcome.reply
        message: dict[str, Any] = {"entities": [{"entity": "category", "value": category}] if category else []}
        message["questions"] = [{"text": one} for one in questions]
        words = outcome.resume if outcome else text
        found = Desk(self.desk.session, self.chat, self.actor, self.now, key, words, message)
        answer_question(found, words)
        return "\n---\n".join(said for said, _ in found.answers)

    @property
    def tickets(self) -> list[Ticket]:
        query = select(Ticket).where(Ticket.conversation_id == self.chat.id, Ticket.kind == "ZX").order_by(Ticket.id)
        return list(self.desk.session.scalars(query))


@pytest.fixture
def owner(desk: Community) -> Asker:
    return Asker(desk, desk.actor("王芳"))


@pytest.fixture
def tenant(desk: Community) -> Asker:
    return Asker(desk, desk.actor("周涛"))


@pytest.fixture
def stranger(desk: Community) -> Asker:
    return Asker(desk, desk.stranger())


# --- an answer or a ticket -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "question",
    [
        "水费怎么交",
        "手机上怎么缴水费",
        "物业费怎么交",
        "换个龙头多少钱",
        "物业能停我家水吗",
        "水电各是什么单价",
        "房子空着没人住要交物业费吗",
    ],
)
def test_an_answer_that_says_everything_makes_no_ticket(owner: Asker, question: str) -> None:
    said = owner.ask(question)
    if "哪一个" in said:
        said = owner.ask("水费电费燃气费在哪里交")
    assert "来源：" in said
    assert "登记Z" not in said and "我去问清楚" not in said
    assert owner.tickets == []


@pytest.mark.parametrize("question", ["小区里能不能停直升机", "你们用的拖把是什么牌子"])
def test_what_is_not_written_is_promised_by_a_clock_time(owner: Asker, question: str) -> None:
    said = owner.ask(question)
    [ticket] = owner.tickets
    assert f"已登记{ticket.ticket_no}，最迟明天（6月13日）12:00前由客服小周" in said
    assert "来源" not in said
    assert ticket.finish_by == at("12:00", 13)


def test_an_answer_that_passes_the_rest_on_says_so_once(tenant: Asker) -> None:
    said = tenant.ask("想在车位装充电桩怎么办")
    [ticket] = tenant.tickets
    assert "供电公司" in said and ticket.ticket_no in said and "12:00前" in said
    assert "我去问清楚" not in said and "---" not in said
    assert not re.search(r"\d+元", said)


def test_money_and_policy_have_three_working_days(owner: Asker) -> None:
    owner.ask("我家的物业费能不能用公积金抵扣呢", category="Q01")
    [ticket] = owner.tickets
    assert ticket.finish_by == at("12:00", 17), "Friday, Monday, Tuesday"


def test_the_department_that_knows_is_asked_beside_the_desk(desk: Community, tenant: Asker) -> None:
    desk.seen()
    tenant.ask("想在车位装充电桩怎么办", category="Q22")
    told = desk.told()
    assert "desk_ZX" in told["客服小周"]
    assert "ask_department" in told["李工"]
    [card] = [row.text for row in desk.fresh("李工")]
    assert "请工程部帮忙核实" in card and "客服小周" in card and "回复 ZX" in card


def test_two_questions_are_two_answers(owner: Asker) -> None:
    both = ("门禁卡丢了怎么补办", "大件垃圾旧家具怎么扔")
    said = owner.ask("门禁卡丢了怎么补办", questions=both)
    assert said.count("来源：") == 2
    assert owner.tickets == []


def test_only_the_question_without_an_answer_becomes_a_ticket(owner: Asker) -> None:
    both = ("门禁卡丢了怎么补办", "还有物业公司的法人代表是谁")
    said = owner.ask("门禁卡丢了怎么补办", questions=both)
    [ticket] = owner.tickets
    assert said.count("来源：") == 1
    assert ticket.symptom == both[1]
    assert f"“{both[1]}”这一点已登记{ticket.ticket_no}" in said


# --- whose data -------------------------------------------------------------------------------------------------------


def test_a_bill_is_looked_up_for_the_owner(owner: Asker) -> None:
    said = owner.ask("我家物业费交到几月、欠多少")
    [ticket] = owner.tickets
    assert "结果只发给您本人" in said and ticket.ticket_no in said
    assert not re.search(r"\d+元", said)


def test_a_tenant_and_a_stranger_hear_how_to_prove_it_and_nothing_is_registered(tenant: Asker, stranger: Asker) -> None:
    for asker in (tenant, stranger):
        said = asker.ask("我家物业费交到几月、欠多少")
        assert "绑定" in said and "业主本人" in said
        assert asker.tickets == []


def test_an_owner_whose_claim_is_not_verified_is_told_nothing_either(desk: Community) -> None:
    actor = desk.family("冒名", "P1/3/2/1502", verified=False)
    tie = desk.session.scalars(select(Residency).where(Residency.resident_id == actor.resident.id)).one()  # type: ignore[union-attr]
    tie.relation = "owner"
    asker = Asker(desk, actor)
    assert "绑定" in asker.ask("查询本户欠费情况")
    assert asker.tickets == []


# --- what leans on an answer -----------------------------------------------------------------------------------------


def test_a_short_question_after_an_answer_is_about_the_same_thing(owner: Asker) -> None:
    owner.ask("还有车位可以租吗")
    before = len(owner.tickets)
    said = owner.ask("多少钱一个月啊")
    assert "每月350元" in said
    assert len(owner.tickets) == before


@pytest.mark.parametrize("words", ["中午呢", "周末呢", "那过年呢"])
def test_what_the_answer_holds_for_as_well_is_told_again(owner: Asker, words: str) -> None:
    told = owner.ask("物业几点上班")
    assert owner.ask(words) == told and not owner.tickets


def test_what_the_answer_does_not_say_is_asked_of_a_person(owner: Asker) -> None:
    owner.ask("门禁卡丢了怎么补办")
    said = owner.ask("多少钱")
    [ticket] = owner.tickets
    assert ticket.symptom == "门禁卡丢了怎么补办，多少钱"
    assert "来源" not in said and ticket.ticket_no in said


def test_the_same_words_much_later_stand_alone(owner: Asker) -> None:
    owner.ask("还有车位可以租吗")
    owner.now = at("09:30")
    assert "350" not in owner.ask("多少钱一个月啊")


def test_a_fault_after_an_answer_does_not_lean_on_it(owner: Asker) -> None:
    owner.ask("还有车位可以租吗")
    turn = Turn(owner.desk.session, owner.chat, owner.actor, "灯坏了怎么办", NOW, "web:x")
    assert try_answer(turn) is None


@pytest.mark.parametrize("words", ["没解决", "不是问这个", "答非所问", "还是不明白"])
def test_an_answer_that_did_not_help_goes_to_a_person(owner: Asker, words: str) -> None:
    owner.ask("门禁卡丢了怎么补办")
    said = owner.ask(words)
    [ticket] = owner.tickets
    assert ticket.symptom == "门禁卡丢了怎么补办"
    assert "12:00前" in said


def test_the_same_message_twice_opens_one_ticket(owner: Asker) -> None:
    for _ in range(2):
        owner.count = 0
        owner.ask("小区里能不能停直升机")
    assert owner.desk.session.scalar(select(func.count()).select_from(Ticket)) == 1


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("门禁卡丢了怎么补办", "那要多少钱"),
        ("居住证明可以开吗", "要带啥"),
        ("怎么绑定房屋", "要带啥"),
        ("可以封阳台装防盗网吗", "多久批下来"),
        ("可以封阳台装防盗网吗", "要交钱不"),
        ("搬家放行条怎么办", "不是说到晚上8点吗 那9点就不行了呗"),
        ("暖气费怎么交、能不能报停", "什么时候之前申请"),
        ("狗证怎么办", "不办会咋样"),
    ],
)
def test_what_the_answer_leaves_open_is_passed_on_with_the_question(owner: Asker, first: str, then: str) -> None:
    """No price of repairs, no papers of another matter, no 「没有查到」."""
    owner.ask(first)
    said = owner.ask(then)
    [ticket] = owner.tickets
    assert ticket.symptom == f"{first}，{then}"
    assert "来源" not in said and ticket.ticket_no in said


def test_what_is_asked_on_about_an_open_inquiry_is_added_to_it(desk: Community, owner: Asker) -> None:
    owner.ask("小区里能不能停直升机")
    said = owner.ask("那要多少钱")
    [ticket] = owner.tickets
    assert said == say("reply.question_added", **notify.facts(ticket, NOW))
    assert [one.note for one in desk.history(ticket, "comment")] == ["那要多少钱"]


@pytest.mark.parametrize("words", ["大概几天有信", "多久给我", "几号能回复我"])
def test_when_the_answer_comes_is_told(owner: Asker, words: str) -> None:
    owner.ask("小区里能不能停直升机")
    said = owner.ask(words)
    [ticket] = owner.tickets
    assert ticket.ticket_no in said and "正在问清楚" in said


def test_an_answer_given_again_opens_no_second_inquiry(owner: Asker) -> None:
    owner.ask("还有车位可以租吗")
    said = owner.ask("现在能租到车位不")
    [ticket] = owner.tickets
    assert ticket.ticket_no in said


def test_a_question_that_names_its_own_matter_stands_alone(owner: Asker) -> None:
    owner.ask("门禁卡丢了怎么补办")
    for words in ("狗证怎么办", "物业几点上班", "那装修垃圾怎么扔", "周日你们上班吗", "周末上班吗"):
        assert "来源：" in owner.ask(words)
    assert owner.tickets == []


def test_when_the_desk_is_open_is_not_added_to_another_question(desk: Community, owner: Asker) -> None:
    owner.ask("小区里能不能停直升机")
    assert "办公时间" in owner.ask("周日你们上班吗")
    [ticket] = owner.tickets
    assert desk.history(ticket, "comment") == []
    owner.ask("周末也能办吗")


def test_asking_on_instead_of_choosing_goes_to_a_person_with_the_question(owner: Asker) -> None:
    assert "哪一个" in owner.ask("能便宜点不")
    owner.ask("在哪办")
    assert [one.symptom for one in owner.tickets] == ["能便宜点不，在哪办"]


@pytest.mark.parametrize("words", ["那你帮我问问呗 4栋1单元1201", "4栋1单元1201"])
def test_a_home_told_to_who_asks_for_us_reaches_the_inquiry(desk: Community, owner: Asker, words: str) -> None:
    owner.ask("小区里能不能停直升机")
    said = owner.ask(words)
    [ticket] = owner.tickets
    assert said == say("reply.question_told_more", **notify.facts(ticket, NOW))
    assert [one.note for one in desk.history(ticket, "comment")] == [words]


def test_an_inquiry_that_is_not_needed_is_over(owner: Asker) -> None:
    owner.ask("小区里能不能停直升机")
    owner.ask("算了不用了")
    assert [one.status for one in owner.tickets] == ["cancelled"]


def test_a_bare_never_mind_closes_no_inquiry_and_ends_an_answer(owner: Asker) -> None:
    owner.ask("门禁卡丢了怎么补办")
    assert owner.ask("算了") == say("reply.question_dropped")
    owner.ask("小区里能不能停直升机")
    turn = Turn(owner.desk.session, owner.chat, owner.actor, "先这样", NOW, "web:n")
    assert try_answer(turn) is None
    assert [one.status for one in owner.tickets] == ["assigned"]


def test_never_mind_with_a_repair_open_is_not_taken_for_the_question(desk: Community, owner: Asker) -> None:
    desk.report("W02", symptom="水龙头滴水")
    owner.ask("门禁卡丢了怎么补办")
    turn = Turn(owner.desk.session, owner.chat, owner.actor, "算了", NOW, "web:n")
    assert try_answer(turn) is None


@pytest.mark.parametrize(
    "words",
    [
        "楼上太吵了你们管不管",
        "师傅几点来",
        "家里没水了咋办",
        "怎么还不来",
        "我家进贼了咋办",
        "暖气怎么还不热",
        "修好了没",
        "转人工",
        "好吧",
        "知道了没",
    ],
)
def test_another_matter_does_not_lean_on_a_question(owner: Asker, words: str) -> None:
    owner.ask("门禁卡丢了怎么补办")
    turn = Turn(owner.desk.session, owner.chat, owner.actor, words, NOW, "web:x")
    outcome = try_answer(turn)
    assert outcome is None or not outcome.resume


@pytest.mark.parametrize("action", [Progress(), Unsure()])
def test_what_asks_on_is_never_answered_as_a_matter_of_progress(owner: Asker, action: DeskAction) -> None:
    owner.ask("可以封阳台装防盗网吗")
    found = Desk(owner.desk.session, owner.chat, owner.actor, NOW, "web:p", "多久批下来", {})
    tracker: Any = None
    assert [one["name"] for one in action.act(found, tracker)] == ["action_answer_question"]
    assert found.answers == []


@pytest.mark.parametrize(
    ("words", "reading", "answered"),
    [
        ("我的车被你们锁了 凭啥锁", "out_of_scope", True),
        ("交费的公众号叫啥", "ask_question", True),
        ("小区门口那个公交 几点末班啊", "out_of_scope", False),
        ("我手机屏幕碎了你们能修不", "out_of_scope", False),
        ("我家孩子上学划片是哪个小学啊", "out_of_scope", False),
        ("今天股票涨了没", "out_of_scope", False),
    ],
)
def test_what_is_surely_written_is_not_refused(owner: Asker, words: str, reading: str, answered: bool) -> None:
    message = {"intent_ranking": [{"name": reading, "confidence": 0.6}]}
    found = Desk(owner.desk.session, owner.chat, owner.actor, NOW, "web:o", words, message)
    tracker: Any = None
    Unsure().act(found, tracker)
    [(said, _)] = found.answers
    assert ("来源：" in said) is answered
    assert answered or said == say("reply.out_of_scope")


# --- beside a fault --------------------------------------------------------------------------------------------------


def test_what_is_asked_beside_a_fault_is_answered_or_passed_on(owner: Asker) -> None:
    clauses = [("那个啥", "Q99"), ("装修几点能开工", "Q06"), ("楼下面包店的会员卡物业能代充吗", "Q99")]
    message = {"questions": [{"text": words, "category": code} for words, code in clauses]}
    found = Desk(owner.desk.session, owner.chat, owner.actor, NOW, "web:beside", "灯坏了", message)
    answer_beside(found)
    written, passed_on = (said for said, _ in found.answers)
    assert "8:00" in written
    assert not TICKET_NO.search(written)
    assert TICKET_NO.search(passed_on)
    assert [one.symptom for one in owner.tickets] == ["楼下面包店的会员卡物业能代充吗"]


def test_what_asks_on_in_the_same_message_is_no_question_of_its_own(owner: Asker) -> None:
    said = owner.ask("群里说明天停水 几点停啊", category="Q14", questions=("群里说明天停水", "几点停啊"))
    assert "停水" in said
    assert "供暖" not in said


@pytest.mark.parametrize(
    ("fault", "then", "answered"),
    [
        ("家里有蟑螂 你们能来打药吗", "收费不", True),
        ("我家门铃不响了", "大概多少钱", True),
        ("我家门铃不响了", "要等几天", False),
    ],
)
def test_what_is_asked_within_a_report_is_asked_about_it(owner: Asker, fault: str, then: str, answered: bool) -> None:
    told = Desk(owner.desk.session, owner.chat, owner.actor, NOW, "web:f", fault, {})
    drafts.save(told, drafts.begin(told, "BX"), {"faults": [{"words": fault, "code": "E01"}]})
    said = owner.ask(then)
    assert ("来源：" in said) is answered
    assert [one.symptom for one in owner.tickets] == ([] if answered else [f"{fault} {then}"])


def test_who_pays_is_asked_of_what_is_open(desk: Community) -> None:
    """「谁赔」 after a report about a car is no question about a leak from above."""
    asker = Asker(desk, desk.actor("王芳"))
    alone = asker.ask("谁赔")
    desk.report("A04", symptom="出口杆子砸我车上了", public_area=True)
    assert "漏水" in alone
    assert "漏水" not in asker.ask("谁赔")
