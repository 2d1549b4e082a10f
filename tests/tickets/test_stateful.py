"""Any sequence of verbs by anybody at any time keeps the invariants of architecture.md §6.

`make test` takes 20,000 steps, `STEPS=200000 pytest tests/tickets/test_stateful.py` (part of `make soak`) as many as it is told.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta

from deskhelp import NOW, Desk
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from storage.database import sessions
from storage.models import Community, Conversation, Identity, OutboxMessage, Ticket, TicketEvent
from tickets import clocks, lifecycle, verbs
from tickets.answering import AFTERWARDS, Turn, try_answer
from tickets.errors import DeskError
from tickets.people import SYSTEM, Actor

STEPS = int(os.environ.get("STEPS", "20000"))
STEPS_EACH = 50
# An example takes more steps than rules, because one rule tries several verbs.
STEPS_OF_EXAMPLE = 120
MOST_TICKETS = 5
SWEEP_AFTER = 30

RESIDENTS = ("王芳", "李强", "陈静", "陌生人")
STAFF = ("王师傅", "赵师傅", "陈师傅", "钱师傅", "客服小周", "林管家", "李工", "刘队", "马经理")
# Whoever it is at that moment, so that tickets also get to their end.
PARTS = ("handler", "handler", "reporter", "leader", "system")
CODES = ("W01", "W02", "W04", "E01", "E02", "E05", "E07", "D03", "L01", "S09", "X00")
HOMES = {"王芳": "P1/3/2/1502", "李强": "P1/3/2/1402", "陈静": "P1/3/2/801"}
HALL = "PUB:P1/3/2/F15/楼道"
MATTERS = (("TS", "T02"), ("TS", "T14"), ("ZX", "Q22"), ("JY", "J01"), ("BY", "B01"))
WORDS = ("还在滴", "手上有急单", "待配件", "不会", "", "{place} 13911112222", "停水换阀", "拍不了 已自检", "误报")
SAID = ("1", "2", "好了", "没修好还在滴", "还行吧给4分", "五星", "5 4", "谢谢", "可以", "改明天上午", "同意", "不同意")
SAID += (
    "有了",
    "没有",
    "解决了",
    "还没解决",
    "满意但是厨房有点脏",
    "另外厨房灯坏了",
    "算了",
    "13900001111",
    "不是同一个",
)
WAITS = [timedelta(0), *(timedelta(minutes=m) for m in (3, 40)), *(timedelta(hours=h) for h in (5, 26, 90))]
LEVELS = ("U0", "U1", "U2", "U3", "U4", "C1", "C3", "Z9")
FOUND = {"cause": "老化", "scope": "地面", "materials": "涂料", "people": "2"}
HOUR = timedelta(hours=1)

numbers = st.integers(0, 11)
people = st.sampled_from(RESIDENTS + STAFF + PARTS)
waits = st.sampled_from(WAITS)


Verb = Callable[["DeskMachine", Ticket, Actor, str, int], object]


def _staff(machine: DeskMachine, more: int) -> object:
    return machine.people[STAFF[more % len(STAFF)]].staff


def _appointment(machine: DeskMachine, ticket: Ticket, actor: Actor, said: str, more: int) -> object:
    start = machine.now + more * HOUR
    if actor.resident:
        return verbs.change_appointment(machine.session, ticket, actor, start, start + HOUR, "改时间", machine.now)
    return verbs.propose_appointment(machine.session, ticket, actor, start, start + HOUR, machine.now)


def _refer(machine: DeskMachine, ticket: Ticket, actor: Actor, said: str, more: int) -> object:
    unit = verbs.unit_named("燃气公司")
    assert unit is not None
    return verbs.refer(machine.session, ticket, actor, unit, said, machine.now)


def _plain(verb: Callable[..., object]) -> Verb:
    return lambda machine, ticket, actor, said, more: verb(machine.session, ticket, actor, machine.now)


def _worded(verb: Callable[..., object]) -> Verb:
    return lambda machine, ticket, actor, said, more: verb(machine.session, ticket, actor, said, machine.now)


VERBS: dict[str, Verb] = {
    "accept": _plain(verbs.accept),
    "grab": _plain(verbs.grab),
    "agree": _plain(verbs.agree_appointment),
    "set_out": _plain(verbs.set_out),
    "arrive": _plain(verbs.arrive),
    "approve_hold": _plain(verbs.approve_hold),
    "approve_change": _plain(verbs.approve_change),
    "resume": _plain(verbs.resume),
    "confirm": _plain(verbs.confirm),
    "broadcast": _plain(verbs.broadcast),
    "decline": _worded(verbs.decline),
    "urge": _worded(verbs.urge),
    "cancel": _worded(verbs.cancel),
    "reopen": _worded(verbs.reopen),
    "not_fixed": _worded(verbs.not_fixed),
    "resolve": _worded(verbs.resolve),
    "false_alarm": _worded(verbs.false_alarm),
    "answer": _worded(verbs.answer_matter),
    "detail": _worded(verbs.add_detail),
    "comment": _worded(verbs.comment),
    "help": _worded(verbs.ask_help),
    "join": _worded(verbs.join),
    "appointment": _appointment,
    "refer": _refer,
    "assign": lambda m, t, a, said, more: verbs.assign(m.session, t, _staff(m, more), a, m.now, reason=said),  # type: ignore[arg-type]
    "transfer": lambda m, t, a, said, more: verbs.transfer(m.session, t, _staff(m, more), a, m.now),  # type: ignore[arg-type]
    "survey": lambda m, t, a, said, more: verbs.need_survey(m.session, t, _staff(m, more), a, m.now),  # type: ignore[arg-type]
    "survey_done": lambda m, t, a, said, more: verbs.survey_done(
        m.session, t, a, FOUND if more % 3 else {}, more * 100, m.now
    ),
    "finish": lambda m, t, a, said, more: verbs.finish(m.session, t, a, said, m.now, self_checked=more % 4 > 0),
    "hold": lambda m, t, a, said, more: verbs.hold(
        m.session, t, a, said, m.now + (more - 1) * 9 * HOUR, m.now, nobody_home=more % 5 == 0
    ),
    "quote": lambda m, t, a, said, more: verbs.quote(m.session, t, a, said, more * 100 or None, m.now),
    "consent": lambda m, t, a, said, more: verbs.consent(m.session, t, a, more % 3 > 0, said, m.now),
    "change": lambda m, t, a, said, more: verbs.change_plan(
        m.session, t, a, said, m.now + (more - 1) * HOUR if more % 2 else None, m.now
    ),
    "part": lambda m, t, a, said, more: verbs.use_part(m.session, t, a, said, more * 100 or None, m.now),
    "merge": lambda m, t, a, said, more: verbs.merge(m.session, t, m.ticket(more), a, m.now, reason=said),
    "level": lambda m, t, a, said, more: verbs.change_level(m.session, t, a, LEVELS[more % len(LEVELS)], said, m.now),
    "rate": lambda m, t, a, said, more: verbs.rate(m.session, t, a, more % 7, more % 6, said, m.now),
    "photo": lambda m, t, a, said, more: m.desk.photo(t, m.now),
}


# One attempt: which ticket, what, by whom, with which words and number.
tries = st.tuples(numbers, st.sampled_from(sorted(VERBS)), people, st.sampled_from(WORDS), numbers)


class DeskMachine(RuleBasedStateMachine):
    """Drives one desk in one transaction; a refused verb must have changed nothing."""

    session: Session
    steps = 0

    @initialize()
    def start(self) -> None:
        self.desk = Desk(self.session, self.session.scalars(select(Community)).one())
        self.desk.worker("钱师傅", ["plumber", "general"], cap=1)
        self.people = {name: self.desk.actor(name) for name in RESIDENTS[:3] + STAFF}
        self.people["陌生人"] = self.desk.stranger()
        self.chats = {name: self._chat(name) for name in RESIDENTS}
        self.now = NOW
        self.count = self.since_sweep = self.checked = 0
        self.statuses: dict[int, str] = {}
        self.seen = {TicketEvent: 0, OutboxMessage: 0}

    def _chat(self, name: str) -> Conversation:
        person = self.people[name].resident
        assert person is not None
        chat = self.session.scalar(select(Conversation).join(Identity).where(Identity.resident_id == person.id))
        if chat is None:
            identity = Identity(channel="web", external_id=f"machine:{name}", resident_id=person.id)
            self.session.add(identity)
            self.session.flush()
            chat = Conversation(channel="web", chat_id=f"machine:{name}", identity_id=identity.id)
            self.session.add(chat)
            self.session.flush()
        return chat

    def teardown(self) -> None:
        self.session.rollback()

    # --- helpers

    def changes(self) -> int:
        """How many rows this connection has written so far, flushed."""
        self.session.flush()
        return int(self.session.connection().connection.driver_connection.total_changes)  # type: ignore[union-attr]

    def do(self, verb: Callable[[], object]) -> None:
        type(self).steps += 1
        self.since_sweep += 1
        before = self.changes()
        try:
            verb()
        except DeskError:
            assert self.changes() == before, "a refused verb has changed something"
        self.session.flush()

    def ticket(self, number: int) -> Ticket:
        known = sorted(self.statuses)
        return self.session.get_one(Ticket, known[number % len(known)])

    def actor(self, by: str, ticket: Ticket) -> Actor:
        if by == "handler":
            return Actor(staff=ticket.handler) if ticket.handler else self.people["王师傅"]
        if by == "reporter":
            return Actor(resident=ticket.reporter) if ticket.reporter else self.people["李工"]
        return {"leader": self.people["李工"], "system": SYSTEM}.get(by) or self.people[by]

    # --- what people do

    @precondition(lambda self: self.count < MOST_TICKETS)
    @rule(code=st.sampled_from(CODES), by=st.sampled_from(tuple(HOMES)), public=st.booleans())
    def report(self, code: str, by: str, public: bool) -> None:
        place = HALL if public else HOMES[by]
        self.do(lambda: self.desk.report(code, by=by, public_area=public, place_key=place, now=self.now))
        self.count += 1

    @precondition(lambda self: self.count < MOST_TICKETS)
    @rule(matter=st.sampled_from(MATTERS))
    def raise_matter(self, matter: tuple[str, str]) -> None:
        self.do(lambda: self.desk.report(matter[1], kind=matter[0], now=self.now))
        self.count += 1

    @precondition(lambda self: self.count)
    @rule(tries=st.lists(tries, min_size=8, max_size=30))
    def act(self, tries: list[tuple[int, str, str, str, int]]) -> None:
        for number, name, by, said, more in tries:
            ticket = self.ticket(number)
            actor = self.actor(by, ticket)
            self.do(lambda: VERBS[name](self, ticket, actor, said, more))  # noqa: B023
            self.check()

    @precondition(lambda self: self.count)
    @rule(number=numbers, name=st.sampled_from(("accept", "finish", "finish", "confirm", "survey_done", "consent")))
    def go_on(self, number: int, name: str) -> None:
        """The one whose turn it is does it, so that tickets also get to their end."""
        ticket = self.ticket(number)
        by = "handler" if name in ("accept", "finish", "survey_done") else "reporter"
        self.do(lambda: VERBS[name](self, ticket, self.actor(by, ticket), "拍不了 已自检", number))

    @rule(by=st.sampled_from(RESIDENTS), said=st.sampled_from(SAID))
    def write(self, by: str, said: str) -> None:
        turn = Turn(self.session, self.chats[by], self.people[by], said, self.now, f"said:{self.steps}")
        self.do(lambda: try_answer(turn))

    @precondition(lambda self: self.since_sweep >= SWEEP_AFTER)
    @rule(wait=waits)
    def time_passes(self, wait: timedelta) -> None:
        type(self).steps += 1
        self.since_sweep = 0
        self.now += wait
        clocks.sweep(self.session, self.now)
        before = self.changes()
        clocks.sweep(self.session, self.now)
        assert self.changes() == before, "a second sweep had an effect"

    # --- what always holds

    @invariant()
    def check(self) -> None:
        """After every step that wrote something."""
        if not hasattr(self, "desk") or self.changes() == self.checked:
            return
        self.checked = self.changes()
        self.no_row_breaks_a_rule()
        self.every_change_of_status_is_one_line_of_history()
        self.every_push_about_a_ticket_belongs_to_a_line_of_its_history()

    def no_row_breaks_a_rule(self) -> None:
        assert self.session.execute(EVERY_BREACH).all() == []

    def every_change_of_status_is_one_line_of_history(self) -> None:
        for line in self._fresh(TicketEvent):
            if line.to_status:
                before = self.statuses.get(line.ticket_id, "")
                assert line.from_status == before
                if before:
                    assert lifecycle.TABLE[before, line.action].to == line.to_status
                self.statuses[line.ticket_id] = line.to_status

    def every_push_about_a_ticket_belongs_to_a_line_of_its_history(self) -> None:
        for row in self._fresh(OutboxMessage):
            ticket, _, rest = row.dedupe_key.partition(":e")
            if row.ticket_id and rest[:1].isdigit():
                line = self.session.get(TicketEvent, int(rest.partition(":")[0]))
                assert line is not None and f"t{line.ticket_id}" == ticket
            assert "{" not in row.text.replace("{place}", ""), row.text

    def _fresh(self, model: type[TicketEvent] | type[OutboxMessage]) -> list[TicketEvent | OutboxMessage]:
        rows = list(self.session.scalars(select(model).where(model.id > self.seen[model]).order_by(model.id)))
        if rows:
            self.seen[model] = rows[-1].id
        return rows  # type: ignore[return-value]


def _one_of(names: frozenset[str] | tuple[str, ...]) -> str:
    return "(" + ",".join(f"'{name}'" for name in sorted(names)) + ")"


LIVE = "exists (select 1 from assignments a where a.ticket_id = t.id and a.state in ('offered', 'accepted')"
# Queries that find what must never be (architecture.md §6).
BROKEN = {
    "unknown status": f"select id from tickets where status not in {_one_of(tuple(lifecycle.LABELS))}",
    "final without a closing time, or the other way round": f"select id from tickets where "
    f"(status in {_one_of(lifecycle.FINAL)}) <> (closed_at is not null)",
    "work without a handler": f"select id from tickets where handler_id is null "
    f"and status in {_one_of(lifecycle.OWNED | {'survey'})}",
    "new with a handler": "select id from tickets where status = 'new' and handler_id is not null",
    "a pause without reason and date, or those without a pause": f"select id from tickets where status not in "
    f"{_one_of(lifecycle.FINAL)} and (status = 'on_hold') <> (hold_reason <> '' and wake_at is not null)",
    "merged without a parent": "select id from tickets where status = 'merged' and parent_id is null",
    "its own parent": "select id from tickets where parent_id = id",
    "nobody responsible": f"select id from tickets where status in {_one_of(lifecycle.OPEN)} "
    "and handler_id is null and owner_id is null",
    "no timer": f"select id from tickets where status in {_one_of(lifecycle.OPEN)} and finish_by is null",
    "several hold it": "select ticket_id as id from assignments where state = 'accepted' group by ticket_id having count(*) > 1",
    "held by another than the handler": "select t.id from tickets t join assignments a on a.ticket_id = t.id "
    f"where a.state = 'accepted' and t.status in {_one_of(lifecycle.OWNED)} and a.staff_id <> t.handler_id",
    "offered to nobody": f"select t.id from tickets t where t.status in ('assigned', 'rework') "
    f"and not {LIVE} and a.staff_id = t.handler_id)",
    "still offered although it is over": f"select t.id from tickets t where t.status in "
    f"{_one_of(lifecycle.FINAL | {'new'})} and {LIVE})",
    "asked about what is over": "select q.id from open_questions q join tickets t on t.id = q.ticket_id "
    f"where q.state = 'open' and t.status in {_one_of(lifecycle.FINAL)} and q.kind not in {_one_of(AFTERWARDS)}",
    "satisfied by silence": "select id from tickets where default_accepted and score_quality is not null "
    "and id not in (select ticket_id from ticket_history where action = 'score')",
    "another status than the last line of its history": "select t.id from tickets t where t.status <> (select to_status "
    "from ticket_history h where h.ticket_id = t.id and to_status <> '' order by h.id desc limit 1)",
    "a follower of what they reported": "select f.id from followers f join tickets t on t.id = f.ticket_id "
    "where f.resident_id = t.reporter_id",
}


EVERY_BREACH = text(
    " union all ".join(f"select '{name}' as breach, id from ({query})" for name, query in BROKEN.items())
)


def test_any_sequence_keeps_the_invariants(new_sqlite: Callable[[], Engine]) -> None:
    engine = new_sqlite()
    with sessions(engine)() as session:
        DeskMachine.session, DeskMachine.steps = session, 0
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            DeskMachine,
            settings=settings(
                max_examples=STEPS // STEPS_OF_EXAMPLE + 1,
                stateful_step_count=STEPS_EACH,
                phases=[Phase.generate],
                derandomize=True,
                suppress_health_check=list(HealthCheck),
                database=None,
            ),
        )
    engine.dispose()
    assert DeskMachine.steps >= STEPS
