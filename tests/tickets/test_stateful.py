"""Any sequence of verbs by anybody at any time keeps the invariants of design.md §6."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from deskhelp import HOME, NOW, Desk
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, select

from storage.database import sessions
from storage.models import Assignment, Community, OpenQuestion, OutboxMessage, Ticket, TicketEvent
from tickets import clocks, lifecycle, verbs
from tickets.errors import DeskError
from tickets.people import Actor

RESIDENTS = ("王芳", "李强", "陌生人")
STAFF = ("王师傅", "赵师傅", "陈师傅", "钱师傅", "客服小周", "林管家", "李工", "刘队", "马经理")
CODES = ("W01", "W02", "W04", "E01", "E04", "E07", "D03", "L01", "X00")
MATTERS = (("TS", "T02"), ("TS", "T14"), ("ZX", "Q22"), ("JY", "J01"), ("BY", "B01"))
WORDS = ("还在滴", "手上有急单", "待配件", "不会", "", "{place} 13911112222")
HOURS = timedelta(hours=1)

people = st.sampled_from(RESIDENTS + STAFF)
workers = st.sampled_from(STAFF)
words = st.sampled_from(WORDS)
which = st.integers(0, 30)
later = st.sampled_from([timedelta(0), timedelta(minutes=3), timedelta(minutes=40), 5 * HOURS, 26 * HOURS])
levels = st.sampled_from(["U0", "U1", "U2", "U3", "U4", "C1", "C3", "Z9"])

ONE_ARGUMENT: dict[str, Callable[..., object]] = {
    "accept": verbs.accept,
    "grab": verbs.grab,
    "agree": verbs.agree_appointment,
    "set_out": verbs.set_out,
    "arrive": verbs.arrive,
    "approve": verbs.approve_hold,
    "resume": verbs.resume,
    "confirm": verbs.confirm,
}
WITH_WORDS: dict[str, Callable[..., object]] = {
    "decline": verbs.decline,
    "urge": verbs.urge,
    "cancel": verbs.cancel,
    "reopen": verbs.reopen,
    "not_fixed": verbs.not_fixed,
    "resolve": verbs.resolve,
    "answer": verbs.answer_matter,
    "detail": verbs.add_detail,
    "comment": verbs.comment,
    "help": verbs.ask_help,
}


class DeskMachine(RuleBasedStateMachine):
    """Drives one desk; a refused verb must have changed nothing."""

    make_engine: Callable[[], Engine]

    @initialize()
    def start(self) -> None:
        self.engine = self.make_engine()
        self.session = sessions(self.engine)()
        self.desk = Desk(self.session, self.session.scalars(select(Community)).one())
        self.desk.worker("钱师傅", ["plumber", "general"], cap=1)
        self.people = {name: self.desk.actor(name) for name in RESIDENTS[:2] + STAFF}
        self.people["陌生人"] = self.desk.stranger()
        self.now = NOW
        self.tickets: list[Ticket] = []

    def teardown(self) -> None:
        if hasattr(self, "session"):
            self.session.close()
            self.engine.dispose()

    def do(self, verb: Callable[[], object]) -> None:
        before = self.desk.snapshot()
        try:
            verb()
        except DeskError:
            assert self.desk.snapshot() == before
        self.session.flush()

    def ticket(self, number: int) -> Ticket:
        return self.tickets[number % len(self.tickets)]

    # --- what people do

    @rule(code=st.sampled_from(CODES), by=st.sampled_from(("王芳", "李强", "王师傅")), public=st.booleans())
    def report(self, code: str, by: str, public: bool) -> None:
        self.tickets.append(self.desk.report(code, by=by, public_area=public, place_key=HOME, now=self.now))

    @rule(matter=st.sampled_from(MATTERS))
    def raise_matter(self, matter: tuple[str, str]) -> None:
        kind, code = matter
        self.tickets.append(self.desk.report(code, kind=kind, now=self.now))

    @precondition(lambda self: self.tickets)
    @rule(number=which, name=st.sampled_from(sorted(ONE_ARGUMENT)), by=people)
    def act(self, number: int, name: str, by: str) -> None:
        self.do(lambda: ONE_ARGUMENT[name](self.session, self.ticket(number), self.people[by], self.now))

    @precondition(lambda self: self.tickets)
    @rule(number=which, name=st.sampled_from(sorted(WITH_WORDS)), by=people, said=words)
    def speak(self, number: int, name: str, by: str, said: str) -> None:
        self.do(lambda: WITH_WORDS[name](self.session, self.ticket(number), self.people[by], said, self.now))

    @precondition(lambda self: self.tickets)
    @rule(number=which, to=workers, by=people, hand=st.booleans())
    def pass_on(self, number: int, to: str, by: str, hand: bool) -> None:
        staff = self.people[to].staff
        assert staff is not None
        if hand:
            self.do(
                lambda: verbs.assign(self.session, self.ticket(number), staff, self.people[by], self.now, reason="人手")
            )
        else:
            self.do(lambda: verbs.transfer(self.session, self.ticket(number), staff, self.people[by], self.now))

    @precondition(lambda self: self.tickets)
    @rule(number=which, wait=later)
    def handler_works_on(self, number: int, wait: timedelta) -> None:
        """The one who has it goes on, so that tickets also get to their end."""
        ticket = self.ticket(number)
        if ticket.handler is None:
            return
        self.now += wait
        self.do(
            lambda: verbs.finish(self.session, ticket, Actor(staff=ticket.handler), "好了", self.now, self_checked=True)
        )

    @precondition(lambda self: self.tickets)
    @rule(number=which, by=people, start=later, reason=words)
    def pause(self, number: int, by: str, start: timedelta, reason: str) -> None:
        self.do(
            lambda: verbs.hold(self.session, self.ticket(number), self.people[by], reason, self.now + start, self.now)
        )

    @precondition(lambda self: self.tickets)
    @rule(number=which, by=people, start=later)
    def propose(self, number: int, by: str, start: timedelta) -> None:
        begin, actor = self.now + start, self.people[by]
        verb = verbs.change_appointment if actor.resident else verbs.propose_appointment
        extra = ("改时间",) if actor.resident else ()
        self.do(lambda: verb(self.session, self.ticket(number), actor, begin, begin + HOURS, *extra, self.now))  # type: ignore[arg-type]

    @precondition(lambda self: self.tickets)
    @rule(number=which, by=people, agreed=st.booleans())
    def offer_and_answer(self, number: int, by: str, agreed: bool) -> None:
        ticket = self.ticket(number)
        self.do(lambda: verbs.quote(self.session, ticket, self.people[by], "换件", 1000, self.now))
        self.do(lambda: verbs.consent(self.session, ticket, self.people["王芳"], agreed, "", self.now))

    @precondition(lambda self: self.tickets)
    @rule(number=which, by=people, level=levels, reason=words)
    def set_level(self, number: int, by: str, level: str, reason: str) -> None:
        self.do(lambda: verbs.change_level(self.session, self.ticket(number), self.people[by], level, reason, self.now))

    @precondition(lambda self: self.tickets)
    @rule(number=which, by=people, score=st.integers(0, 6))
    def rate(self, number: int, by: str, score: int) -> None:
        self.do(lambda: verbs.rate(self.session, self.ticket(number), self.people[by], score, score, "", self.now))

    @rule(wait=later)
    def time_passes(self, wait: timedelta) -> None:
        self.now += wait
        clocks.sweep(self.session, self.now)
        before = self.desk.snapshot()
        clocks.sweep(self.session, self.now)
        assert self.desk.snapshot() == before

    # --- what always holds

    @invariant()
    def statuses_are_known_and_owned(self) -> None:
        for ticket in getattr(self, "tickets", ()):
            assert ticket.status in lifecycle.LABELS
            assert (ticket.status in lifecycle.FINAL) == (ticket.closed_at is not None)
            if ticket.status in lifecycle.OWNED:
                assert ticket.handler_id is not None
            if ticket.status == "new":
                assert ticket.handler_id is None
            assert (ticket.status == "on_hold") == bool(ticket.hold_reason and ticket.wake_at) or (
                ticket.status in lifecycle.FINAL
            )

    @invariant()
    def every_change_of_status_is_one_line_of_history(self) -> None:
        for ticket in getattr(self, "tickets", ()):
            query = select(TicketEvent).where(TicketEvent.ticket_id == ticket.id, TicketEvent.to_status != "")
            status = ""
            for event in self.session.scalars(query.order_by(TicketEvent.id)):
                assert event.from_status == status
                if status:
                    assert lifecycle.TABLE[status, event.action].to == event.to_status
                status = event.to_status
            assert status == ticket.status

    @invariant()
    def at_most_one_holds_it_and_nobody_what_is_over(self) -> None:
        for ticket in getattr(self, "tickets", ()):
            query = select(Assignment).where(Assignment.ticket_id == ticket.id)
            live = [one for one in self.session.scalars(query) if one.state in ("offered", "accepted")]
            held = [one.staff_id for one in live if one.state == "accepted"]
            assert len(held) <= 1
            if held and ticket.status in lifecycle.OWNED:
                assert held == [ticket.handler_id]
            if ticket.status in ("assigned", "rework"):
                assert ticket.handler_id in [one.staff_id for one in live]
            if ticket.status in lifecycle.FINAL or ticket.status == "new":
                assert live == []

    @invariant()
    def nothing_is_asked_about_what_is_over(self) -> None:
        if not hasattr(self, "session"):
            return
        query = select(OpenQuestion).where(OpenQuestion.state == "open").join(Ticket)
        for question in self.session.scalars(query):
            assert question.ticket is not None
            assert question.ticket.status in lifecycle.OPEN or question.kind in ("score", "callback")

    @invariant()
    def no_push_twice_and_none_with_a_place_left_open(self) -> None:
        if not hasattr(self, "session"):
            return
        rows = self.session.execute(select(OutboxMessage.dedupe_key, OutboxMessage.text)).all()
        assert len({key for key, _ in rows}) == len(rows)


def test_any_sequence_keeps_the_invariants(new_sqlite: Callable[[], Engine]) -> None:
    DeskMachine.make_engine = staticmethod(new_sqlite)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        DeskMachine,
        settings=settings(
            max_examples=14,
            stateful_step_count=30,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
