"""The understanding of a running product: read line by line, doubts kept for review, the model swapped in the middle of a talk."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest
from e2e.harness import ROOT, Stack
from sqlalchemy import select

from bot import training
from nlu.emergency import detect, load_rules, playbook
from storage.models import OutboxMessage, ReviewItem
from tickets.emergencies import is_told

pytestmark = pytest.mark.e2e

LINES = [
    "3栋2单元1502厨房水管漏水",
    "",
    "物业费怎么交",
    "/restart",
    "厨房好大一股煤气味",
    "💧" * 40,
    "\u0000\ud7ff坏\u200b了",
]


def parse(stack: Stack, *options: str, lines: list[str]) -> list[dict[str, object]]:
    """`guanjia parse --jsonl`."""
    command = [sys.executable, "-m", "bot", "parse", "--jsonl", *options]
    told = "".join(line + "\n" for line in lines).encode()
    done = subprocess.run(command, cwd=ROOT, env=stack.env, input=told, capture_output=True, timeout=120, check=True)
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def test_lines_come_back_in_order(stack: Stack) -> None:
    for options in ((), ("--community", "none")):
        found = parse(stack, *options, lines=LINES)
        assert [one["text"] for one in found] == LINES
        assert found[0]["intent"] == "report_repair"
        assert found[0]["place"]["room"] == "1502"  # type: ignore[index]
        assert found[2]["category"] == "Q01"
        assert found[4]["emergency"] == "GAS"
    shown = stack.run_command("parse", "马桶堵了", "--community", "nowhere")
    assert shown.returncode == 1
    assert "nowhere" in shown.stderr


def test_doubts_are_kept_masked_and_a_choice_says_what_was_meant(stack: Stack) -> None:
    person = stack.person("stranger:501")
    first = person.say("搞不懂 13812345678 给弄弄", "您是想")
    assert "转人工" in str(person.heard[-1])
    person.say("我要报修")
    with stack.session() as session:
        [item] = session.scalars(select(ReviewItem)).all()
    assert (item.why, item.suggested, item.state) == ("corrected", "report_repair", "open")
    assert "13812345678" not in item.text
    assert "138****5678" in item.text
    listed = stack.run_command("nlu", "review", "--list")
    assert "1 messages wait" in listed.stdout
    assert item.text in listed.stdout
    assert first


def feared(stack: Stack, alarm: bool) -> str:
    """A danger that no word of `data/catalog/emergency.yml` gives away and that the model fears, out of those that nobody
    learned from."""
    held_out = (ROOT / "tests" / "nlu" / "held_out" / "emergencies.jsonl").read_text("utf-8").splitlines()
    texts = [str(json.loads(line)["text"]) for line in held_out]
    read = parse(stack, lines=[text for text in texts if detect(text) is None])
    return next(str(one["text"]) for one in read if (one["emergency"] if alarm else one["safety_question"]))


def test_what_no_word_gives_away_the_model_fears(stack: Stack) -> None:
    sure, unsure = feared(stack, alarm=True), feared(stack, alarm=False)
    stack.person("stranger:520").say(sure)
    [ticket] = stack.tickets()
    levels = {kind.name: kind.level for kind in load_rules().kinds}
    assert ticket.level == levels[ticket.detail["danger"]]
    numbers = {"gas_phone": "0571-5555-0177", "duty_phone": "0571-5555-0100"}
    advice = playbook(ticket.detail["danger"]).advice(sure, place_known=is_told(ticket), **numbers)
    with stack.session() as session:
        assert advice in session.scalars(select(OutboxMessage.text)).all()
    person = stack.person("stranger:521")
    asked = person.say(unsure)
    assert len(stack.tickets()) == 1, asked
    person.press("是")
    alarmed = stack.tickets()[-1]
    assert len(stack.tickets()) == 2
    assert alarmed.level == levels[alarmed.detail["danger"]]
    assert unsure in alarmed.symptom


def test_words_that_are_often_harmless_raise_no_alarm_against_the_model(stack: Stack) -> None:
    """A plunger that 捅, read by words alone, would page everybody on duty; a clerk who 翻白眼 is none to begin with."""
    blocked, rude = "二期3栋801马桶堵了 拿皮搋子捅了半天还是不下水 13900001234", "前台那个女的翻白眼给谁看啊 我要投诉她"
    found = detect(blocked)
    assert found is not None and (found.verdict, found.loose) == ("alarm", True)
    assert detect(rude) is None
    stack.person("stranger:540").say(blocked, "已登记")
    stack.person("stranger:541").say(rude)
    assert [(one.kind, one.level) for one in stack.tickets(kind="BX")] == [("BX", "U2")]
    with stack.session() as session:
        keys = session.scalars(select(OutboxMessage.dedupe_key)).all()
    assert not [key for key in keys if ":push.alarm" in key]


def test_a_threat_after_a_complaint_presses_it_and_opens_no_second(stack: Stack) -> None:
    person = stack.person("李先生")
    person.say("东门保安态度很差 昨晚骂我老公 希望道歉", "已登记投诉")
    person.say("昨晚九点 东门岗亭 高个子那个")
    [before] = stack.tickets(kind="TS")
    person.say("你们管不管 不管我打12345了", "马经理")
    [after] = stack.tickets(kind="TS")
    assert (before.level, after.level, after.urge_count) == ("C2", "C1", 1)


def test_another_fault_told_with_a_danger_has_a_ticket_of_its_own(stack: Stack) -> None:
    person = stack.person("王女士")
    person.say("厨房煤气味好大，另外客厅灯也坏了", "家里灯")
    gas, lamp = stack.tickets()
    assert (gas.code, gas.level, lamp.code, lamp.place_key) == ("G01", "U0", "E04", gas.place_key)
    person.say("对了家里马桶堵了下不去水", "马桶")
    assert [one.code for one in stack.tickets()][2:] == ["W04"]


def test_what_follows_a_report_is_read_for_itself(stack: Stack) -> None:
    """More about the fault goes to its ticket; a grievance, a question or another fault does not (nobody saw these words)."""
    person = stack.person("stranger:530")
    person.say("二期3栋801马桶堵了 13900001234", "已登记")
    assert "已补充" in person.say("师傅来的时候带把长一点的疏通器")
    assert "已补充" in person.say("冲了好几回都下不去")
    [ticket] = stack.tickets(kind="BX")
    assert any("疏通器" in event.note for event in stack.history(ticket))
    assert "已补充" not in person.say("明天股票涨不涨")
    person.say("昨晚又有人在楼下烧纸，灰都飘到我家阳台上，你们保安也不管")
    assert [one.kind for one in stack.tickets()] == ["BX", "TS"]
    assert stack.tickets(kind="BX")[0].wanted_label == ""


def test_a_new_model_takes_over_while_people_talk(stack: Stack) -> None:
    swapped: list[bool] = []
    model = training.model_path(stack.folder / "models")
    rasa = f"http://127.0.0.1:{stack.env['GUANJIA_RASA_PORT']}"
    secret = (stack.folder / "secret").read_text("utf-8").strip()
    swap = threading.Thread(target=lambda: swapped.append(training.swap(rasa, secret, model)))
    people = [stack.person(f"stranger:{510 + number}") for number in range(6)]
    swap.start()
    for number, person in enumerate(people):
        person.send(f"二期1栋{number + 5}01厨房水龙头滴水 13900001111")
    for person in people:
        assert "已登记" in person.hear("BX", patience=60)
    swap.join(120)
    assert swapped == [True]
    assert len(stack.tickets(kind="BX")) == len(people)
    people[0].say("在吗", "请说")
