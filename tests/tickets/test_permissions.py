"""Who may see and do what (domain.md §9.3): everything from the database, nothing from the message."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from deskhelp import HOME, Desk, at

from storage.models import Ticket
from tickets import desk_lists, finding, verbs
from tickets.errors import DeskError, NotAllowed, NotFound, UnknownPerson, WhichTicket
from tickets.people import Actor, may_see, staff_named

Verb = Callable[[Desk, Ticket, Actor], object]

RESIDENTS_VERBS: dict[str, Verb] = {
    "urge": lambda desk, ticket, actor: verbs.urge(desk.session, ticket, actor, "人呢", at("09:30")),
    "cancel": lambda desk, ticket, actor: verbs.cancel(desk.session, ticket, actor, "", at("09:30")),
    "correct": lambda desk, ticket, actor: verbs.correct(desk.session, ticket, actor, at("09:30"), place_text="别处"),
    "detail": lambda desk, ticket, actor: verbs.add_detail(desk.session, ticket, actor, "还在滴", at("09:30")),
    "change": lambda desk, ticket, actor: verbs.change_appointment(
        desk.session, ticket, actor, at("14:00"), at("15:00"), "下午", at("09:30")
    ),
    "rate": lambda desk, ticket, actor: verbs.rate(desk.session, ticket, actor, 5, 5, "", at("09:30")),
    "consent": lambda desk, ticket, actor: verbs.consent(desk.session, ticket, actor, True, "", at("09:30")),
    "agree": lambda desk, ticket, actor: verbs.agree_appointment(desk.session, ticket, actor, at("09:30")),
}
WORKERS_VERBS: dict[str, Verb] = {
    "set_out": lambda desk, ticket, actor: verbs.set_out(desk.session, ticket, actor, at("09:30")),
    "arrive": lambda desk, ticket, actor: verbs.arrive(desk.session, ticket, actor, at("09:30")),
    "propose": lambda desk, ticket, actor: verbs.propose_appointment(
        desk.session, ticket, actor, at("14:00"), at("15:00"), at("09:30")
    ),
    "quote": lambda desk, ticket, actor: verbs.quote(desk.session, ticket, actor, "换件", 100, at("09:30")),
    "hold": lambda desk, ticket, actor: verbs.hold(desk.session, ticket, actor, "待配件", at("14:00"), at("09:30")),
    "finish": lambda desk, ticket, actor: verbs.finish(desk.session, ticket, actor, "", at("09:30"), self_checked=True),
    "transfer": lambda desk, ticket, actor: verbs.transfer(
        desk.session, ticket, desk.staff("孙师傅"), actor, at("09:30")
    ),
    "help": lambda desk, ticket, actor: verbs.ask_help(desk.session, ticket, actor, "帮手", at("09:30")),
}


@pytest.mark.parametrize("verb", RESIDENTS_VERBS)
def test_neighbours_strangers_and_unverified_people_do_nothing_with_a_flats_ticket(desk: Desk, verb: str) -> None:
    ticket = desk.accepted()
    outsiders = [desk.actor("李强"), desk.stranger(), desk.family("冒充者", HOME, verified=False)]
    before = desk.snapshot()
    for outsider in outsiders:
        with pytest.raises(NotAllowed):
            RESIDENTS_VERBS[verb](desk, ticket, outsider)
    assert desk.snapshot() == before


def test_family_in_the_same_flat_may(desk: Desk) -> None:
    ticket = desk.report()
    verbs.cancel(desk.session, ticket, desk.family("王小宝", HOME), "修好了", at("09:30"))
    assert ticket.status == "cancelled"


def test_who_moved_out_may_not(desk: Desk) -> None:
    ticket = desk.report(by="李强")
    resident = desk.resident("王芳")
    assert not may_see(desk.session, desk.report(by=None, place_key="P1/3/2/801"), desk.actor("王芳"))
    theirs = desk.report(by=desk.family("王小宝", HOME))
    assert may_see(desk.session, theirs, desk.actor("王芳"))
    resident.homes[0].ended_at = at("09:00")
    desk.session.flush()
    assert not may_see(desk.session, theirs, desk.actor("王芳"))
    # What they reported themselves stays theirs.
    resident.homes[0].ended_at = None
    assert may_see(desk.session, ticket, desk.actor("李强"))


@pytest.mark.parametrize("verb", WORKERS_VERBS)
def test_nobody_but_the_handler_does_the_workers_part(desk: Desk, verb: str) -> None:
    ticket = desk.accepted()
    before = desk.snapshot()
    for name in ("赵师傅", "客服小周", "王芳", "李强"):
        with pytest.raises(DeskError):
            WORKERS_VERBS[verb](desk, ticket, desk.actor(name))
        assert desk.snapshot() == before, name


def test_a_worker_who_left_or_belongs_elsewhere_does_nothing(desk: Desk) -> None:
    from storage.models import Community, Staff

    ticket = desk.accepted()
    elsewhere = Community(code="other", name="别处", register_spec={})
    desk.session.add(elsewhere)
    desk.session.flush()
    stranger = Staff(community_id=elsewhere.id, name="外人", role="manager", department="manager")
    desk.session.add(stranger)
    desk.session.flush()
    assert not may_see(desk.session, ticket, Actor(staff=stranger))
    with pytest.raises(NotAllowed):
        verbs.resolve(desk.session, ticket, Actor(staff=stranger), "好了", at("10:00"))
    actor = desk.handler(ticket)
    desk.staff("王师傅").active = False
    with pytest.raises(DeskError):
        verbs.arrive(desk.session, ticket, actor, at("10:00"))
    with pytest.raises(DeskError):
        verbs.finish(desk.session, ticket, actor, "", at("10:00"), self_checked=True)


def test_residents_hold_no_staff_verb_and_staff_no_residents_verb(desk: Desk) -> None:
    ticket = desk.done()
    for name in ("王师傅", "李工", "客服小周"):
        with pytest.raises(NotAllowed):
            verbs.rate(desk.session, ticket, desk.actor(name), 5, 5, "", at("10:00"))
    offered = desk.report()
    with pytest.raises(NotAllowed):
        verbs.accept(desk.session, offered, desk.actor("王芳"), at("10:00"))


@pytest.mark.parametrize(
    ("name", "sees"),
    [
        ("王芳", True),
        ("李强", False),
        ("王师傅", True),
        ("赵师傅", False),
        ("客服小周", True),
        ("李工", True),
        ("何姐", True),
        ("马经理", True),
    ],
)
def test_who_sees_a_flats_ticket(desk: Desk, name: str, sees: bool) -> None:
    assert may_see(desk.session, desk.accepted(), desk.actor(name)) is sees


def test_the_patrol_worker_sees_what_he_reported(desk: Desk) -> None:
    ticket = desk.report("E07", by="小刘", public_area=True, source="patrol")
    assert may_see(desk.session, ticket, desk.actor("小刘"))
    assert not may_see(desk.session, ticket, desk.actor("李明"))


# --- finding ----------------------------------------------------------------------------------------------------------


def test_found_by_number_tail_and_kind(desk: Desk) -> None:
    ticket = desk.report()
    other = desk.report("Q22", kind="ZX")
    actor, community = desk.actor("王芳"), desk.community.id
    for said in (ticket.ticket_no, ticket.ticket_no.lower(), "0001", "#0001", "BX1", " 1"):
        assert finding.by_number(desk.session, community, said, actor) == ticket, said
    assert finding.by_number(desk.session, community, "ZX2", actor) == other


@pytest.mark.parametrize("said", ["0009", "BX20250612-0009", "TS1", "99999", "", "没有"])
def test_an_unknown_number_is_not_found(desk: Desk, said: str) -> None:
    desk.report()
    with pytest.raises(NotFound):
        finding.by_number(desk.session, desk.community.id, said, desk.actor("王芳"))


def test_a_neighbours_number_does_not_even_exist(desk: Desk) -> None:
    ticket = desk.report()
    with pytest.raises(NotFound):
        finding.by_number(desk.session, desk.community.id, ticket.ticket_no, desk.actor("李强"))


def test_the_newest_with_a_tail_is_meant(desk: Desk) -> None:
    desk.report()
    newer = desk.report(now=at("09:00", 13))
    assert finding.by_number(desk.session, desk.community.id, "0001", desk.actor("王芳")) == newer


def test_open_tickets_are_mine_and_my_flats_repairs(desk: Desk) -> None:
    mine = desk.report()
    flat = desk.report(by=desk.family("王小宝", HOME))
    desk.report("T02", kind="TS", by=desk.family("王大宝", HOME))
    desk.report(by="李强", place_key="P1/3/2/1402")
    desk.closed()
    assert finding.open_of(desk.session, desk.actor("王芳")) == [flat, mine]


def test_several_that_fit_are_listed_to_choose_from(desk: Desk, now: object) -> None:
    tickets = [desk.report(), desk.report("W04")]
    with pytest.raises(WhichTicket) as asked:
        finding.the_one(tickets, at("09:30"))
    assert [ticket.tail in str(asked.value.facts["choices"]) for ticket in tickets] == [True, True]


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("王师傅", "王师傅"),
        ("@王师傅", "王师傅"),
        ("老赵", "赵师傅"),
        ("李工", "李工"),
        ("小周", "客服小周"),
        ("马经理", "马经理"),
    ],
)
def test_colleagues_are_found_as_people_call_them(desk: Desk, said: str, name: str) -> None:
    assert staff_named(desk.session, desk.community.id, said).name == name


@pytest.mark.parametrize("said", ["李", "张师傅", "", "师傅"])
def test_a_name_that_fits_nobody_or_several_is_asked_back(desk: Desk, said: str) -> None:
    with pytest.raises(UnknownPerson):
        staff_named(desk.session, desk.community.id, said)


# --- what leaders read ------------------------------------------------------------------------------------------------


def test_lists_and_figures_count_what_is_there(desk: Desk) -> None:
    desk.report("W04")
    desk.accepted("W02")
    desk.done("W02", place_key="P1/3/2/1402")
    desk.closed("W02", place_key="P1/3/2/801")
    supervisor = desk.staff("李工")
    noon = at("14:30")
    assert "1" in desk_lists.listing(desk.session, supervisor, "unaccepted", 1, noon).splitlines()[0]
    overdue = desk_lists.listing(desk.session, supervisor, "overdue", 1, noon).splitlines()
    assert len(overdue) == 2
    assert "0001" in overdue[1]
    assert "0003" in desk_lists.listing(desk.session, supervisor, "waiting", 1, noon)
    today = desk_lists.today(desk.session, supervisor, noon)
    for part in ("新增4", "完成2", "未完3", "超时1"):
        assert part in today


def test_a_long_list_is_paged(desk: Desk) -> None:
    for room in range(11):
        desk.report("W04", place_key=f"P1/3/2/{101 + room}")
    first = desk_lists.listing(desk.session, desk.staff("李工"), "open_jobs", 1, at("09:10"))
    second = desk_lists.listing(desk.session, desk.staff("李工"), "open_jobs", 2, at("09:10"))
    assert len(first.splitlines()) == 1 + 8 + 1
    assert "3" in first.splitlines()[-1]
    assert len(second.splitlines()) == 1 + 3


def test_the_timeline_has_every_step_and_no_full_phone(desk: Desk) -> None:
    ticket = desk.accepted()
    verbs.correct(desk.session, ticket, desk.actor("王芳"), at("09:05"), contact_phone="13911112222")
    verbs.comment(desk.session, ticket, desk.actor("王芳"), "打13911112222", at("09:06"))
    text = desk_lists.timeline(desk.session, ticket, at("09:10"))
    for word in ("登记", "安排", "接单", "更正", "补充"):
        assert word in text
    assert "13911112222" not in text
    assert "2222" in text
