"""kill -9 of anything at any moment, parts that stay down, and restarts: nothing is lost, nothing is done twice."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from e2e.harness import Person, Stack
from sqlalchemy import select, update

from nlu.emergency import playbook
from storage import mailbox
from storage.database import connect, sessions
from storage.models import Conversation, Draft, InboxMessage, OpenQuestion, OutboxMessage, Resident, Staff, Ticket
from tickets import notify

pytestmark = pytest.mark.e2e

CHILDREN = ("rasa", "actions", "bot")
DELAY = "恢复了就回答您"
PATIENCE = 120.0
GAS = playbook("GAS").advice(gas_phone="0571-5555-0177", duty_phone="0571-5555-0100")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Stack]:
    running = Stack(tmp_path_factory.mktemp("failures"), models).start()
    # Many reports and nobody who finishes one: the hands of the workers are never full here.
    engine = connect(running.database_url)
    with sessions(engine).begin() as session:
        session.execute(update(Staff).values(cap=99))
    engine.dispose()
    yield running
    running.stop()


@contextlib.contextmanager
def ticking(stack: Stack) -> Iterator[None]:
    """The stack's clock runs, four times as fast as the real one, so that retries fall due."""
    stop = threading.Event()

    def tick() -> None:
        while not stop.wait(0.5):
            stack.forward(seconds=2)

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def kept_down(stack: Stack, child: str) -> Iterator[None]:
    """The child is killed again as often as its parent starts it."""
    stop = threading.Event()

    def keep_killing() -> None:
        while not stop.wait(0.2):
            with contextlib.suppress(ProcessLookupError):
                stack.kill(child)

    thread = threading.Thread(target=keep_killing)
    thread.start()
    try:
        until = time.monotonic() + 20
        while stack.health()[child] != "down" and time.monotonic() < until:
            time.sleep(0.1)
        yield
    finally:
        stop.set()
        thread.join()


def of(stack: Stack, person: str) -> list[Ticket]:
    """The tickets of one stranger's chat."""
    with stack.session() as session:
        chat = session.scalars(select(Conversation.id).where(Conversation.chat_id == person)).one()
        return list(session.scalars(select(Ticket).where(Ticket.conversation_id == chat)))


def all_answered(stack: Stack) -> bool:
    with stack.session() as session:
        return session.scalar(select(InboxMessage.id).where(InboxMessage.done_at.is_(None)).limit(1)) is None


def heard_from_now_on(person: Person, *wanted: str) -> list[str]:
    """Every single message until all of `wanted` were said."""
    before = len(person.heard)
    person.hear(*wanted, patience=PATIENCE, quiet=2.0)
    return [message["text"] for message in person.heard[before:]]


# --- killed -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", [0.0, 0.45, 0.6])
@pytest.mark.parametrize("child", CHILDREN)
def test_killed_in_the_middle_of_a_conversation(desk: Stack, child: str, moment: float) -> None:
    number = 200 + 10 * CHILDREN.index(child) + int(moment * 10)
    room = 101 + 100 * (number % 17)
    person = desk.person(f"stranger:{number}")
    person.say("厨房水管漏水", "几栋")
    killed = desk.pid(child)
    person.send(f"一期{1 + number % 4}栋1单元{room}")
    time.sleep(moment)
    desk.kill(child)
    with ticking(desk):
        time.sleep(0.5)
        desk.wait_healthy(PATIENCE)
        heard = heard_from_now_on(person, "BX")
    assert desk.pid(child) != killed, "the parent has started another one"
    [ticket] = of(desk, f"stranger:{number}")
    assert str(room) in ticket.place_text
    assert sum(text.count("已登记") for text in heard) == 1
    assert sum(text.count(DELAY) for text in heard) <= 1
    assert [event.action for event in desk.history(ticket)].count("open") == 1
    with desk.session() as session:
        chat = session.scalars(select(Conversation).where(Conversation.chat_id == f"stranger:{number}")).one()
        assert session.scalar(select(Draft.id).where(Draft.conversation_id == chat.id)) is None
        cards = session.scalars(select(OutboxMessage).where(OutboxMessage.ticket_id == ticket.id)).all()
        assert len({row.dedupe_key for row in cards}) == len(cards)
    person.say("你好")
    assert len(of(desk, f"stranger:{number}")) == 1


def test_a_push_goes_out_once_when_the_bot_dies_while_sending(desk: Stack) -> None:
    resident, plumber = desk.person("赵女士"), desk.person("王师傅")
    resident.say("3栋2单元302厨房水管漏水", "BX")
    ticket = desk.tickets()[-1]
    plumber.send(f"接单 {ticket.tail}")
    desk.kill("bot")
    with ticking(desk):
        time.sleep(0.5)
        desk.wait_healthy(PATIENCE)
        assert sum("已接单" in text for text in heard_from_now_on(resident, "已接单")) == 1
        assert sum("已接单" in text for text in heard_from_now_on(plumber, "已接单")) == 1
    assert len([event for event in desk.history(ticket) if event.action in ("accept", "grab", "take_over")]) == 1


# --- down -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("child", ["rasa", "actions"])
def test_while_a_part_is_down(desk: Stack, child: str) -> None:
    endangered, other = f"stranger:{300 + len(child)}", f"stranger:{310 + len(child)}"
    in_danger, patient = desk.person(endangered), desk.person(other)
    building = CHILDREN.index(child) + 1
    with kept_down(desk, child):
        assert desk.health()[child] == "down"
        began = time.monotonic()
        in_danger.send(f"二期{building}栋501厨房煤气味很大")
        in_danger.hear("正在通知", quiet=0.1)
        took = time.monotonic() - began
        assert in_danger.heard[0]["text"] == GAS
        assert desk.health()[child] == "down", f"still down after the advice ({took:.1f} s)"
        [ticket] = of(desk, endangered)
        assert (ticket.code, ticket.level) == ("G01", "U0")

        patient.say(f"二期{building}栋601厨房灯不亮", DELAY)
        with ticking(desk):
            patient.send("已经好几天了")
            time.sleep(6)
        patient.silent()
        assert desk.health()[child] == "down"
        assert of(desk, other) == []
    with ticking(desk):
        desk.wait_healthy(PATIENCE)
        heard = heard_from_now_on(patient, "BX")
    assert DELAY not in "".join(heard)
    [ticket] = of(desk, other)
    assert "601" in ticket.place_text
    assert [event.action for event in desk.history(ticket)].count("open") == 1
    assert all_answered(desk)


def test_the_delay_text_does_not_promise_what_it_cannot(desk: Stack) -> None:
    patient = desk.person("stranger:320")
    with kept_down(desk, "rasa"):
        text = patient.say("厨房水管漏水", DELAY, "0571-5555-0100")
        assert "马上" not in text
    with ticking(desk):
        desk.wait_healthy(PATIENCE)
        patient.hear("几栋", patience=PATIENCE)


# --- restarts ---------------------------------------------------------------------------------------------------------


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z"


def ports(stack: Stack) -> list[int]:
    return [int(stack.env[f"GUANJIA_{name}PORT"]) for name in ("", "RASA_", "ACTIONS_")]


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def wait_until(what: str, true: object, seconds: float = 20.0) -> None:
    assert callable(true)
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, what
        time.sleep(0.1)


def test_a_restart_of_everything_loses_nothing_and_leaves_nothing_behind(stack: Stack) -> None:
    half, resident, plumber = stack.person("stranger:1"), stack.person("王女士"), stack.person("王师傅")
    half.say("厨房水管漏水", "几栋")
    resident.say("3栋2单元1502卫生间水管漏水", "BX20250612-0001")
    plumber.say("接单 0001")
    plumber.say("完工 换了软管 已自检已清场", "等验收")
    resident.hear("没问题回复1")

    assert stack.process is not None
    before = [stack.pid(child) for child in CHILDREN]
    stack.process.send_signal(signal.SIGKILL)
    stack.process.wait()
    wait_until("children die with their parent", lambda: all(gone(pid) for pid in before))
    wait_until("ports are free", lambda: all(is_free(port) for port in ports(stack)))
    _while_it_was_down(stack)

    stack.start()
    resident.hear("停水通知")
    with ticking(stack):
        assert sum("几栋" in text for text in heard_from_now_on(half, "几栋")) == 1
    with stack.session() as session:
        assert session.scalars(select(Draft)).one().data["faults"][0]["words"]
        assert session.scalars(select(OpenQuestion.kind).where(OpenQuestion.state == "open")).all() != []
    half.say("一期2栋1单元101", "BX20250612-0002")
    resident.say("1", "打个分")
    assert stack.ticket(tail="0001").status == "closed"
    assert len(stack.tickets()) == 2
    assert all_answered(stack)

    after = [stack.pid(child) for child in CHILDREN]
    assert stack.stop() == 0
    assert all(gone(pid) for pid in after)
    assert all(is_free(port) for port in ports(stack))
    # The fixture stops it once more.
    stack.start()


def _while_it_was_down(stack: Stack) -> None:
    """What a kill may leave behind: a message stored and not answered, a push written and not sent, claims of the dead."""
    with sessions(connect(stack.database_url)).begin() as session:
        now = stack.now()
        chat = session.scalars(select(Conversation).where(Conversation.chat_id == "stranger:1")).one()
        assert mailbox.store_inbound(session, chat, "stranger:1:left", "就是厨房 水池下面", "", {}, now)
        session.flush()
        resident = session.scalars(select(Resident).where(Resident.name == "王芳")).one()
        notify.push(session, resident, "停水通知：明天8:00–10:00", key="left-behind", now=now)
        session.flush()
        for row in session.scalars(select(OutboxMessage).where(OutboxMessage.status == "pending")):
            row.claimed_until = _real_now() + timedelta(seconds=3)
        chat.turn_owner, chat.turn_until = "a dead process", _real_now() + timedelta(seconds=3)


def _real_now():  # type: ignore[no-untyped-def]
    from bot.clock import system_clock

    return system_clock()


@pytest.mark.parametrize("name", ["GUANJIA_PORT", "GUANJIA_RASA_PORT", "GUANJIA_ACTIONS_PORT"])
def test_a_busy_port_is_named(tmp_path: Path, models: Path, name: str) -> None:
    stack = Stack(tmp_path, models)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(stack.env[name])))
        taken.listen()
        ended = stack.run_command("run")
    assert ended.returncode == 1
    assert stack.env[name] in ended.stderr
    assert name in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "run").exists(), "nothing was started"
