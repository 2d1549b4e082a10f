"""SC05 (anger) and a person when wanted, with the whole product running (domain.md §10)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from e2e.harness import PATIENCE, THURSDAY, Person, Stack
from sqlalchemy.orm import Session

from storage.database import connect
from storage.models import Draft, OutboxMessage, Staff, Ticket

pytestmark = pytest.mark.e2e

TUESDAY, FRIDAY = THURSDAY - timedelta(days=2), THURSDAY + timedelta(days=1)
ANGER = "你们是死人吗！！漏了半个月来了两次都没修好，物业费养猪呢 再不解决我打12345"
NEVER = ("冷静", "注意言辞", "赔", "免费", "先别急", "不要投诉", "？", "工单", "派工")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Stack]:
    running = Stack(tmp_path_factory.mktemp("anger"), models)
    running.at("09:00", day=TUESDAY)
    running.start()
    # Somebody above the manager, who hears when he does not act.
    with Session(connect(running.database_url)) as session:
        community = session.query(Staff).filter(Staff.name == "马经理").one().community_id
        session.add(Staff(community_id=community, name="吴总监", role="manager", department="company"))
        session.commit()
    yield running
    running.stop()


def until(condition: Callable[[], bool]) -> None:
    """Wait for a sweep to have done its work."""
    patience = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < patience
        time.sleep(0.2)


def told(stack: Stack, ticket: Ticket, key: str) -> set[str]:
    """Names of the colleagues for whom the text `key` about a ticket was written."""
    with stack.session() as session:
        rows = session.query(OutboxMessage).filter(OutboxMessage.ticket_id == ticket.id).all()
        found = [row for row in rows if f":{key}:" in row.dedupe_key and row.staff_id]
        return {session.get_one(Staff, row.staff_id).name for row in found}


def handler(stack: Stack, ticket: Ticket) -> str:
    with stack.session() as session:
        return session.get_one(Staff, ticket.handler_id).name


def visited_in_vain(stack: Stack, resident: Person) -> Ticket:
    """Two visits, one of them after 没修好; nothing more happens until it is overdue."""
    plumber = stack.person("王师傅")
    stack.at("09:05", day=TUESDAY)
    resident.say("卧室天花板一直往下滴水", "BX20250610")
    plumber.hear("接单")
    plumber.say("接单", "已接单")
    stack.at("10:00", day=TUESDAY)
    plumber.say("到场", "到场")
    stack.at("11:00", day=TUESDAY)
    plumber.say("完工 打了胶 已自检已清场", "完工")
    resident.hear("试用")
    stack.at("12:00", day=TUESDAY)
    resident.say("没修好 还在滴", "第2次")
    plumber.say("接单", "已接单")
    stack.at("14:00", day=TUESDAY)
    plumber.say("到场", "到场")
    repair = stack.ticket(kind="BX")
    assert (repair.code, repair.round, repair.status) == ("W03", 2, "in_progress")
    return repair


def test_anger_from_the_first_word_to_the_closed_file(stack: Stack) -> None:
    resident, manager, chief = stack.person("王女士"), stack.person("马经理"), stack.person("李工")
    repair = visited_in_vain(stack, resident)

    stack.at("14:10")
    until(lambda: "late_told" in [event.action for event in stack.history(repair)])
    resident.hear("超过了答应您的时间")
    answer = resident.say(ANGER, "马经理今天14:40前打电话给您")
    assert "来了2次还没修好，也过了答应您的时间" in answer
    assert answer.count("没做到位") == 1
    assert not [wrong for wrong in NEVER if wrong in answer]
    complaint = stack.ticket(kind="TS")
    assert (complaint.code, complaint.level, complaint.linked_id) == ("T02", "C1", repair.id)
    assert complaint.symptom == ANGER
    repair = stack.ticket(kind="BX")
    assert (repair.round, repair.status) == (3, "rework")
    assert handler(stack, repair) == "孙师傅"
    card = manager.hear("重大投诉", "经过", "没修好", "已电话")
    assert card.count("到场") >= 2
    chief.hear(complaint.ticket_no, "请您到现场一起处理")

    stack.at("14:11")
    robot = resident.say("别跟我说这些 你是机器人吧", "不是真人", "今天14:40前打电话给您")
    assert "？" not in robot
    stack.at("14:12")
    rude = resident.say("滚 你们他妈都是骗子", "0571-5555-0108", "今天14:40前")
    assert not [wrong for wrong in (*NEVER, "拉黑", "报警") if wrong in rude]
    assert stack.ticket(kind="TS").id == complaint.id

    stack.at("14:38:30")
    late = resident.hear("今天15:10前打给您")
    assert late.count("没做到位") == 1
    until(lambda: told(stack, complaint, "push.call_late_leader") >= {"吴总监", "马经理"})

    stack.at("15:05")
    manager.say("已电话 明早9点带新师傅来", "明天（6月13日）09:00")
    resident.hear("马经理刚跟您通过电话：明早9点带新师傅来", "明天（6月13日）09:00上门")
    repair = stack.ticket(kind="BX")
    assert repair.appointment_start_at == FRIDAY.replace(hour=9)
    stack.at("15:20")
    assert stack.ticket(kind="TS").detail["call"]["made"]

    put_right(stack, resident)
    close(stack, resident, stack.ticket(kind="TS"))


def put_right(stack: Stack, resident: Person) -> None:
    """The next morning another worker comes, and it is accepted."""
    plumber = stack.person("孙师傅")
    # Before its time is up: in the night the job would go to another, if a sweep came before these words.
    plumber.say(f"接单 {stack.ticket(kind='BX').ticket_no}", "已接单")
    stack.at("09:00", day=FRIDAY)
    plumber.say("到场", "到场")
    for _ in range(2):
        plumber.photo("照片")
    stack.at("10:00", day=FRIDAY)
    plumber.say("完工 重做了接口 已自检已清场", "完工")
    resident.hear("试用")
    resident.say("1", "打个分")
    assert stack.ticket(kind="BX").status == "closed"


def close(stack: Stack, resident: Person, complaint: Ticket) -> None:
    manager, chief = stack.person("马经理"), stack.person("李工")
    no = complaint.ticket_no
    chief.say(f"回复 {no} 你自己弄坏的关我们什么事", "换个说法")
    chief.say(f"回复 {no} 孙师傅已重做接口，试水两小时不再漏，七天后再上门看一次。", "已回复")
    resident.hear("试水两小时不再漏", "您觉得可以吗")
    resident.say("可以")
    assert stack.ticket(kind="TS").status == "callback"
    chief.hear("原因", "预防")
    manager.hear("电话回访")
    assert "回访" in chief.say(f"关闭 {no} 已处理") or "还差" in texts(chief)[-1]
    chief.say(f"原因 {no} 头两次只打胶没换件", "还差预防措施")
    chief.say(f"预防 {no} 渗漏一律先查接口再封，主管复看", "已记下")
    assert stack.ticket(kind="TS").closed_at is None, "the manager has not called back"
    chief.say(f"回访 {no} 满意", "权限")
    assert stack.ticket(kind="TS").closed_at is None
    manager.say(f"回访 {no} 满意 说会再看七天", "满意")
    closed = stack.ticket(kind="TS")
    assert closed.status == "closed"
    assert (closed.detail["cause"], closed.detail["prevention"]) == (
        "头两次只打胶没换件",
        "渗漏一律先查接口再封，主管复看",
    )
    callback = next(event for event in stack.history(closed) if event.action == "callback")
    assert callback.actor_name == "马经理"
    stack.at("12:00", day=FRIDAY + timedelta(days=2))
    time.sleep(6)
    assert "callback_asked" not in [event.action for event in stack.history(closed)]


def texts(person: Person) -> list[str]:
    return [message["text"] for message in person.heard]


# --- a person -------------------------------------------------------------------------------------------------------------


def test_a_person_in_the_middle_of_a_complaint_and_back_to_the_bot(stack: Stack) -> None:
    resident, clerk = stack.person("李先生"), stack.person("客服小周")
    stack.at("10:00", day=FRIDAY)
    resident.say("我要投诉楼上装修", "？")
    called = resident.say("不跟机器人说，转人工", "客服小周", "10:10前")
    assert "TS20250613" in called
    with stack.session() as session:
        assert session.query(Draft).count() == 0
    clerk.hear("居民要求人工", "李先生")
    clerk.press("接待")
    resident.hear("接下来由真人跟您说")

    resident.send("从早上七点一直在砸 我电话13700001402")
    heard = clerk.hear("从早上七点一直在砸", "137****1402")
    assert "13700001402" not in heard
    resident.silent()
    clerk.send("收到，我让刘队现在上去看，十点半前给您回话")
    resident.hear("客服小周：收到，我让刘队现在上去看，十点半前给您回话")
    clerk.send("我手机13811110002")
    clerk.hear("换个说法")
    resident.silent()

    clerk.say("结束", "已结束")
    resident.hear("对话先到这里")
    resident.say("在吗", "请说")
    history = stack.history(stack.tickets(kind="TS")[-1])
    assert [event.note for event in history if event.action == "talk"] == ["开始接待", "结束对话"]
