"""Short commands of staff and leaders (domain.md §5.6): read the words, find the ticket, run one verb, say what happened.

The words are data (data/catalog/commands.yml); who may do it is decided inside the verbs, from the database.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

import yaml
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import known, leading, matters, papers, talking
from bot.speech import Command, Context, Reply, place_in_list
from bot.speech import find_ticket as _ticket
from nlu.address import NONE
from nlu.expected_time import parse_until, parse_window
from nlu.normalize import normalize
from nlu.slots import find_money_fen
from nlu.words import pattern as word_pattern
from storage import mailbox
from storage.models import InboxMessage, OpenQuestion, Ticket
from tickets import asking, audit, desk_lists, emergencies, finding, notify, questions, roster, talks, verbs, working
from tickets.catalog import decline_reasons, hold_reason, hold_reasons, outside_units, survey_fields
from tickets.errors import DeskError, NotAllowed, NoTicket, ReasonNeeded, SelfCheckNeeded, WhichTicket, WrongStatus
from tickets.notify import facts, has_accepted
from tickets.people import is_accused, leaders, staff_named
from tickets.texts import DATA, clock, has_text, say, span
from tickets.wording import check_wording, own_numbers
from tickets.words import is_assent, says_done, self_checked, things_in

DEFAULT_HOLD = timedelta(hours=24)
ASKED_LATELY = timedelta(minutes=15)


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((DATA / "catalog" / "commands.yml").read_text("utf-8"))
    return data


@cache
def _grammar() -> list[tuple[str, str, re.Pattern[str]]]:
    data = _data()
    return [(row["name"], row["who"], _compile(row["pattern"], data["number"])) for row in data["commands"]]


def _compile(pattern: str, number: str) -> re.Pattern[str]:
    for name, words in {
        **asking.parts(),
        "WHEN": _data()["when"],
        "SOON": _data()["soon"],
        "PRICE": _data()["priced"],
    }.items():
        pattern = pattern.replace(name, f"(?:{words})")
    parts = pattern.split("NO")
    numbered = "".join(part + number.replace("noK", f"no{index}") for index, part in enumerate(parts[:-1])) + parts[-1]
    return re.compile(numbered, re.DOTALL)


@cache
def _bare_number() -> re.Pattern[str]:
    return _compile("NO", _data()["number"])


def _words(text: str) -> str:
    """Normalised, but with the spaces a typist puts between the parts of a command."""
    return " ".join(normalize(part).text for part in text.split()).strip("。！!~ ")


def _plain(words: str) -> str:
    """As it is written: 到咯 is 到了, 出发啦哈 is 出发了."""
    for spoken, written in _data()["particles"].items():
        words = re.sub(spoken, written, words)
    return words


def parse(text: str, role: str) -> Command | None:
    """The command in a staff member's text, else None (then it is ordinary talk)."""
    words = _words(text)
    for said in dict.fromkeys((words, _plain(words), _without_that_one(words))):
        for name, who, pattern in _grammar():
            if (who == "workers" and role != "worker") or (who == "leaders" and role == "worker"):
                continue
            if found := pattern.fullmatch(said):
                return _asked_or_told(Command(name, _caught(found), said))
    if role == "worker" and find_money_fen(words) is not None:
        return _of_money(words)
    return None


def _without_that_one(words: str) -> str:
    """「0102那个到了」 as 「0102 到了」."""
    numbered = re.match(_data()["number_that_one"], words)
    return f"{numbered['no']} {words[numbered.end() :].strip('，, ')}" if numbered else words


def _asked_or_told(command: Command) -> Command | None:
    """「0122结了没」「0127是误报吧？」: who asks whether something was done is told how it stands, and nothing is done."""
    data = _data()
    if command.name not in data["acts"] or not re.search(data["asks_whether"], command.words):
        return command
    return Command("status", command.values, command.words) if command.values["no"] else None


def _of_money(words: str) -> Command:
    """A sum among words that are no command: of work that is done (「0002我弄完了 收了30」) it belongs to its report, else it is a
    plan to agree to."""
    if not says_done(words):
        return Command("quote", {"plan": words, "no": ""}, words)
    numbered = re.match(_data()["begins_with_number"], words)
    note = words[numbered.end("no") :] if numbered else words
    return Command("finish", {"no": numbered["no"] if numbered else "", "note": note.strip("，,:： ")}, words)


WORK = frozenset(
    [
        "accept",
        "decline",
        "not_mine",
        "transfer",
        "appointment",
        "set_out",
        "arrive",
        "not_home",
        "hold",
        "resume",
        "quote",
        "change",
        "part",
        "finish",
        "checked",
        "control",
    ]
)
"""What workers do to jobs."""


def misunderstood(context: Context, text: str) -> Reply | None:
    """What to say to a colleague whose words are no command but are about a ticket: how it could be said. It is never read as a
    report of their own or as more about another ticket. None for other talk. Raises NotFound for a number that nobody has."""
    words = _words(text)
    if found := re.match(_data()["begins_with_number"], words):
        ticket = finding.by_number(context.session, context.staff.community_id, found["no"], context.actor)
        if context.staff.role == "worker":
            return Reply(*working.about(ticket, words[found.end("no") :].strip("，,:： "), context.now))
        shown = desk_lists.timeline(context.session, ticket, context.now, context.staff)
        return Reply(f"{shown}\n{say('staff.unknown_about_leader', no=ticket.tail)}")
    offers = _offers(context) if is_assent(words) else []
    if len(offers) == 1:
        # 好 to the one card that waits for an answer: refusing takes a word of its own.
        return run(context, Command("accept", {"no": ""}, words, offers[0].id))
    if offers:
        return Reply(say("staff.accept_how", no=offers[0].tail))
    role = "worker" if context.staff.role == "worker" else "leader"
    if role == "leader" and (re.search(_data()["asks_how_far"], words) or asks_of_known(words)):
        return Reply(desk_lists.about(context.session, context.staff, words, context.now))
    if not re.search(_data()["among_colleagues"], words):
        return known.pointed_at(context, words)
    asked = working.asked_back(context.session, context.staff, words, context.now)
    return Reply(*asked) if asked else known.pointed_at(context, words) or Reply(say(f"staff.unknown_{role}"))


def asks_of_known(text: str) -> bool:
    """「电梯困人那个现在啥情况」: a question about what is known, and no new danger."""
    return bool(re.search(_data()["asks_of_known"], _words(text)))


def ends_danger(text: str) -> bool:
    """「电梯困人那单解除了」 of a colleague: said of a danger that is known, and no new one."""
    return bool(re.search(_data()["ends_danger"], _words(text)))


def beyond(text: str, role: str) -> str:
    """The leaders' command in the text of somebody who is none, else "": it is refused, not read as talk."""
    names = _data()["refused"].get("worker" if role == "worker" else "resident", ())
    command = parse(text, "manager") if role in ("worker", "resident") else None
    if command is None or command.name not in names:
        return ""
    return command.name if command.name in ("export", "report", "invite") or command.values["no"] else ""


def _caught(found: re.Match[str]) -> dict[str, str]:
    caught = {key: (value or "").strip() for key, value in found.groupdict().items()}
    numbers = [value for key, value in caught.items() if re.fullmatch(r"no\d", key) and value]
    return {**caught, "no": numbers[0] if numbers else ""}


def resident_menu(text: str) -> str:
    """The words behind a resident's menu command (`/report`), any other text as it is."""
    word = text.strip().partition("@")[0].removeprefix("/")
    return str(_data()["resident_menu"].get(word, text)) if text.startswith("/") else text


def binding_code(text: str) -> str:
    """The one-time code in 「绑定 123456」 or `/start 123456`, else ""."""
    found = re.fullmatch(_data()["bind"], text.strip())
    return found.group(1) if found else ""


def home_to_bind(text: str) -> str:
    """The home in a resident's 「绑定 3-2-1502」, else ""."""
    found = re.fullmatch(_data()["bind_home"], text.strip())
    return found["place"].strip() if found else ""


def group_choice(text: str) -> bool | None:
    """Whether a group is to hear of jobs from now on (True), no longer (False), or nothing of the kind was said."""
    return _choice(text, "group_on", "group_off")


def preference(text: str) -> bool | None:
    """Whether somebody wants to be written to here from now on, no longer, or said nothing of the kind."""
    return _choice(text, "prefer_here", "prefer_any")


def _choice(text: str, yes: str, no: str) -> bool | None:
    for name, choice in ((yes, True), (no, False)):
        if re.fullmatch(_data()[name], text.strip()):
            return choice
    return None


def is_row_id(text: str) -> bool:
    """Whether a button's number can be the id of a row: anything longer no database column holds."""
    return text.isascii() and text.isdecimal() and len(text) <= 9


def from_button(code: str) -> Command | None:
    """A pressed button of a card: `accept:17`, `decline:17:手上有急单`, `checked:17`."""
    name, _, rest = code.partition(":")
    number, _, value = rest.partition(":")
    if name not in BUTTONS or not is_row_id(number):
        return None
    return Command(BUTTONS[name], {"no": "", "reason": value, "verdict": name}, "", int(number))


def taken(session: Session, code: str, now: datetime) -> str:
    """Who has the job of a pressed 接单, in words; "" for other buttons, or while nobody has it."""
    command = from_button(code)
    ticket = session.get(Ticket, command.ticket_id) if command and command.name == "accept" else None
    if ticket is None or ticket.handler is None or not has_accepted(ticket, ticket.handler):
        return ""
    return say("push.group_taken", **facts(ticket, now))


BUTTONS = {
    "accept": "accept",
    "decline": "decline",
    "arrive": "arrive",
    "finish": "finish",
    "confirm": "inspect_pass",
    "not_fixed": "inspect_fail",
    "checked": "checked",
    "unchecked": "unchecked",
    "status": "status",
    "broadcast": "broadcast",
    **leading.BUTTONS,
    **talking.BUTTONS,
}


def run(context: Context, command: Command) -> Reply:
    """Do it. A refusal of the desk comes back as its text, with the choices where some help."""
    private = leading.PRIVATE | papers.PRIVATE | known.PRIVATE | talking.RUNNERS.keys()
    if context.conversation.group and command.name in private:
        return Reply(say("staff.in_private"))
    _withdraw_choice(context)
    try:
        return RUNNERS[command.name](context, command)
    except ReasonNeeded as error:
        if command.name not in REASONED:
            raise
        _ask_reason(context, command)
        return Reply(refusal(error))
    except WhichTicket as error:
        shown = [code.partition(":")[2] for code, _ in error.facts["buttons"]]  # type: ignore[attr-defined]
        questions.ask(context.session, context.staff, "which_job", context.now, text=command.words, shown=shown)
        none_there = command.among == () and bool(command.values.get("there"))
        text = say("staff.none_there", choices=error.facts["choices"]) if none_there else refusal(error)
        return Reply(text, error.facts["buttons"])  # type: ignore[arg-type]


REASONED = {"assign": "reason", "level": "reason", "resolve": "note", "decline": "reason", "not_mine": "reason"}
"""What may need a reason, and where it goes."""


def _ask_reason(context: Context, command: Command) -> None:
    """The next words are the reason of what was wanted (for 「0041派给孙师傅」: of somebody off duty)."""
    ticket = _ticket(context, command, lambda: [one for one in [looked_at(context)] if one])
    told: dict[str, Any] = {"reason_for": command.name, "values": command.values, "about": ticket.id}
    questions.ask(context.session, context.staff, "which_job", context.now, text=command.words, **told)


def understood(context: Context, text: str) -> Command | None:
    """The command in a colleague's words, with what was said and looked at before; None for ordinary talk."""
    readers = (
        chosen,
        reasoned,
        _at_his_room,
        several,
        _parsed,
        _of_known_ticket,
        of_named_job,
        after_a_look,
        nudges_colleague,
    )
    return next((command for read in readers if (command := read(context, text))), None)


def several(context: Context, text: str) -> Command | None:
    """「0070和0122取消」「0012修好了，0013没人在家」: a command for each of the tickets; None where a part is none, or where both numbers
    belong to one command (并单)."""
    role = context.staff.role
    each = _each_of_list(_words(text), role) or _each_clause(_words(text), role)
    return Command("several", {"no": each[0].values["no"]}, _words(text), each=each) if each else None


def _each_of_list(words: str, role: str) -> tuple[Command, ...]:
    """「把0012、0013转给孙师傅」: the same of each ticket of a list."""
    listed = re.search(_data()["number_list"], words)
    one = parse(words, role)
    if listed is None or (one and one.name == "merge"):
        return ()
    numbers = dict.fromkeys(found["no"] for found in re.finditer(_data()["number_of_list"], listed.group()))
    before, after = words[: listed.start()], re.sub(_data()["together"], "", words[listed.end() :])
    found = [parse(f"{before}{number}{after}", role) for number in numbers]
    return _if_all(found)


def _each_clause(words: str, role: str) -> tuple[Command, ...]:
    """「0012修好了 0013没人在家」: each clause begins with a number of its own."""
    starts = [hit.start("no") for hit in re.finditer(_data()["number_begins_clause"], words)]
    if len(starts) < 2 or starts[0] != 0:
        return ()
    ends = [*starts[1:], len(words)]
    return _if_all([parse(words[start:end].strip("，,；; "), role) for start, end in zip(starts, ends, strict=True)])


def _if_all(found: list[Command | None]) -> tuple[Command, ...]:
    """Those of a list of readings, if each is a command that may be given for several tickets at once."""
    fit = [one for one in found if one and one.values["no"] and one.name in FOR_SEVERAL]
    return tuple(fit) if len(fit) == len(found) > 1 else ()


FOR_SEVERAL = WORK - {"checked"} | {
    "assign",
    "cancel",
    "nudge",
    "status",
    "level",
    "ack",
    "resolve",
    "false_alarm",
    "approve_hold",
}
"""What somebody may do to several tickets in one breath."""


def _several(context: Context, command: Command) -> Reply:
    """Each by itself: what is refused is told by its number and stops none of the others."""
    said: list[str] = []
    buttons: list[tuple[str, str]] = []
    for one in command.each:
        try:
            with context.session.begin_nested():
                reply = RUNNERS[one.name](context, one)
            said.append(reply.text or say("staff.done", no=one.values["no"]))
            buttons += reply.buttons if one.name != "status" else ()
        except DeskError as error:
            audit.refused(context.session, context.staff.community_id, context.actor, error, context.now)
            said.append(say("staff.each_refused", no=one.values["no"], why=refusal(error)))
    return Reply("\n".join(said), tuple(buttons))


def _parsed(context: Context, text: str) -> Command | None:
    """The command in the text, about the ticket whose number stands anywhere in it: 「水管爆裂0015接不了 换个人」."""
    command = parse(text, context.staff.role)
    number = known.numbered(context, _words(text))
    if command and number and known.is_no_number(context, command.values.get("no", "")):
        # 「1502那家柜门的单怎么成外墙脱落了 0060改一下」: the room is no ticket.
        return None
    if command is None or command.values.get("no") or command.name not in WORK | {"card", "remark", "help_wanted"}:
        return command
    return replace(command, values={**command.values, "no": number})


def _of_known_ticket(context: Context, text: str) -> Command | None:
    """What is said of a ticket by its number, by the end of its number, or by its place, in no form of a command."""
    words, role = _words(text), context.staff.role

    def read(said: str) -> Command | None:
        return parse(said, role)

    command = known.short_tail(context, words, read) or known.agrees(context, words)
    command = command or known.merges_there(context, words) or known.of_number(context, words, read)
    if command is None or command.name != "about_number":
        return command
    # What is refused is refused, and what a resident in a talk is told is for the resident.
    refused = beyond(text, role) or talks.active_of(context.session, context.staff)
    return None if refused else command


def _at_his_room(context: Context, text: str) -> Command | None:
    """「1203到了」 of a worker with a job in room 1203: no ticket has such a number."""
    if context.staff.role != "worker" or not re.match(_data()["begins_with_room"], _words(text)):
        return None
    command = of_named_job(context, text)
    return command if command and command.among != () else None


def chosen(context: Context, text: str) -> Command | None:
    """The command that left open which ticket it is about, once nothing but a number is said."""
    number = _bare_number().fullmatch(_words(text))
    asked = _withdraw_choice(context) if number else None
    command = parse(str(asked.data["text"]), context.staff.role) if asked else None
    if asked and asked.data.get("reason_for"):
        return None
    if asked is None or command is None or number is None:
        return None
    shown, nth = asked.data.get("shown", ()), place_in_list(number["no0"])
    meant = shown[nth - 1] if 0 < nth <= len(shown) else number["no0"]
    return replace(command, values={**command.values, "no": meant})


def of_named_job(context: Context, text: str) -> Command | None:
    """「4栋602那个我接了」「3栋1单元8楼那个灯换好了」: the command about the one job with that place and thing, else the question which.
    None where the words name no job, or say nothing that a command does."""
    words = _words(text)
    for cut, end in _cuts(words):
        command = parse(words[cut:].lstrip("，,:： "), context.staff.role)
        if command and not command.values.get("no") and (context.staff.role == "worker" or command.name in NAMING):
            return _about_named(context, command, words[:cut], words[:end])
    return None


NAMING = ("assign", "nudge", "why")
"""What leaders do to a job that they name by its thing."""


def _cuts(words: str) -> list[tuple[int, int]]:
    """Where the name of a job may end and the command begin, and where that clause ends; in the first clause before later ones,
    the longest name first."""
    data = _data()
    firm = {hit.end() for name in ("that_one", "place_part") for hit in re.finditer(data[name], words)}
    loose = {hit.end() for hit in re.finditer(word_pattern("thing"), words)}
    loose |= {hit.start() for hit in re.finditer(data["i_do"], words)}
    # 「602换了角阀收80」: behind a word of an act nothing names the job any more.
    firm |= {
        cut for cut in loose if not re.search(data["act_begins"], words[max((0, *(f for f in firm if f <= cut))) : cut])
    }
    ends = [hit.start() for hit in re.finditer("[，, ]|$", words)]
    cuts = [(cut, next(end for end in ends if end >= cut)) for cut in firm if 0 < cut <= LONGEST_NAME]
    return sorted(cuts, key=lambda cut: (cut[1], -cut[0]))


LONGEST_NAME = 24


def _about_named(context: Context, command: Command, name: str, clause: str) -> Command | None:
    """The command with the job it is about: by the name alone, else with what the rest of its clause says of the thing."""
    known = bool(re.search(_data()["that_one"], name))
    if known and not re.sub(f"{_data()['that_one']}|[，, ]", "", name):
        return command
    pointed = bool(finding.place_named(name) or things_in(name))
    if not (known or pointed):
        return None
    pool = _nameable(context, command)
    meant = finding.spoken_of(pool, name) or ([] if finding.place_named(name) else finding.named(pool, name))
    meant = finding.spoken_of(meant, clause) or meant
    if len(meant) > 1:
        meant = _likeliest(context, command, meant)
    # One that nobody offered him is taken only when he says so again.
    if len(meant) == 1 and (command.name != "accept" or meant[0] in finding.on_hand(context.session, context.staff)):
        return replace(command, ticket_id=meant[0].id)
    if not meant and not (known or finding.place_named(name)):
        return None
    if not meant and not pointed and command.name in ("finish", "arrive", "set_out"):
        # 「上午那个弄完了」 names nothing: as if it were not said.
        return command
    there = "1" if pointed else ""
    return replace(command, among=tuple(one.id for one in meant), values={**command.values, "there": there})


def _nameable(context: Context, command: Command) -> list[Ticket]:
    """What somebody may name: a worker his own jobs, and to take it one that nobody has; a leader what is open."""
    if context.staff.role != "worker":
        return desk_lists.chosen(context.session, context.staff, "open_jobs", context.now)
    hand = finding.on_hand(context.session, context.staff)
    free = finding.nobodys(context.session, context.staff) if command.name == "accept" else []
    return list(dict.fromkeys([*hand, *free]))


def _likeliest(context: Context, command: Command, meant: list[Ticket]) -> list[Ticket]:
    """Of several jobs in one place: a card that waits is taken, and work is told of what is being worked on."""
    offers = {one.id for one in _offers(context)}
    taking = command.name in ("accept", "ack", "decline")
    fitting = [one for one in meant if (one.id in offers if taking else one.status == "in_progress")]
    return fitting or meant


def tells_of_known_job(context: Context, text: str) -> bool:
    """「1502那个我到了」: words about a job on hand that is named outright, which tell of no new danger."""
    if known.is_of_ticket(context, _words(text)):
        return True
    command = of_named_job(context, text) if re.search(_data()["that_one"], text) else None
    return command is not None and command.among is None


def may_tell_danger(command: Command, text: str) -> bool:
    """「现在3栋着火了 过不去」「告诉他们快跑 3栋着火了」: words that are read as a command, and may tell of a danger all the same."""
    if command.values.get("no"):
        return False
    refuses = command.name in ("decline", "transfer") and bool(finding.place_named(_words(text)))
    return refuses or command.name in ("tell_whom", "notice_how", "not_counted")


def after_a_look(context: Context, text: str) -> Command | None:
    """「催一下」「取消掉」 of a leader right after a ticket was looked at: of that ticket. Without one it is no command."""
    words = _words(text)
    rows = _data()["after_a_look"] if context.staff.role != "worker" else {}
    for name, pattern in rows.items():
        found = re.fullmatch(pattern, words)
        if found and (ticket := looked_at(context)):
            return Command(name, {"no": "", **_caught(found)}, words, ticket.id)
    return None


def nudges_colleague(context: Context, text: str) -> Command | None:
    """「催一下李明」 of a leader: a colleague by the bare name, which only the register tells from other words."""
    found = re.fullmatch(_data()["nudges_colleague"], _words(text)) if context.staff.role != "worker" else None
    try:
        colleague = staff_named(context.session, context.staff.community_id, found["person"]) if found else None
    except DeskError:
        return None
    return Command("nudge_worker", {"no": "", "person": colleague.name}, _words(text)) if colleague else None


def looked_at(context: Context) -> Ticket | None:
    """The one ticket that the message before this one was about, by its number or by its place and thing."""
    said = mailbox.said_before(context.session, context.key, context.now - ASKED_LATELY)
    words = _words(said[0]) if said else ""
    if found := re.search(_data()["number_within"], words):
        try:
            return finding.by_number(context.session, context.staff.community_id, found["no"], context.actor)
        except DeskError:
            return None
    if not re.search(_data()["that_one"], words):
        # 「今天灯坏了几个」 looks at none.
        return None
    named = desk_lists.spoken_of(context.session, context.staff, words, context.now)
    return named[0] if len(named) == 1 else None


def reasoned(context: Context, text: str) -> Command | None:
    """What is said after 「请说明原因」 is the reason, unless it is a command of its own."""
    waiting = questions.waiting(context.session, context.staff, context.now)
    asked = next((one for one in waiting if one.kind == "which_job" and one.data.get("reason_for")), None)
    if asked is None or parse(text, context.staff.role) or re.search(_data()["number_within"], _words(text)):
        return None
    asked.state = "withdrawn"
    if not re.search(r"\w", text):
        return None
    name, values = str(asked.data["reason_for"]), dict(asked.data["values"])
    return Command(name, {**values, REASONED[name]: _words(text)}, _words(text), int(asked.data["about"]))


def _withdraw_choice(context: Context) -> OpenQuestion | None:
    """The open question which ticket was meant, which whatever is said now answers or passes over."""
    waiting = questions.waiting(context.session, context.staff, context.now)
    asked = next((one for one in waiting if one.kind == "which_job"), None)
    if asked is not None:
        asked.state = "withdrawn"
    return asked


# --- finding the ticket -----------------------------------------------------------------------------------------------


def _offers(context: Context) -> list[Ticket]:
    return finding.offers_to(context.session, context.staff)


def _jobs(context: Context) -> list[Ticket]:
    """The job on hand: the one being worked on before those only offered."""
    for statuses in (("in_progress",), ("assigned", "rework"), ("on_hold",)):
        jobs = finding.jobs_of(context.session, context.staff, *statuses)
        if jobs:
            return jobs
    return []


def _fitting(jobs: list[Ticket], *, arrived: bool) -> list[Ticket]:
    """Of several jobs being worked on the one that is in the right state: 到了 is said of one not reached yet, 好了 of one that is.
    All of them where several are, or none; of those not reached the one on the way comes first."""
    fit = [one for one in jobs if one.status == "in_progress" and bool(one.arrived_at) == arrived]
    under_way = [] if arrived else [one for one in fit if one.on_the_way_at]
    return next((some for some in (under_way, fit) if len(some) == 1), jobs)


def _done(ticket: Ticket) -> Reply:
    return Reply(say("staff.done", no=ticket.ticket_no))


# --- workers ----------------------------------------------------------------------------------------------------------


def _accept(context: Context, command: Command) -> Reply:
    when, offers = command.values.get("when"), _offers(context)
    if when and not (offers or command.values["no"] or command.ticket_id):
        # 「好的，下午两点去」 about a job he has already.
        return _appointment(context, command)
    ticket = _ticket(context, command, lambda: offers)
    verbs.accept(context.session, ticket, context.actor, context.now)
    return _appointment(context, replace(command, ticket_id=ticket.id)) if when else Reply("")


def _decline(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, lambda: _offers(context) or _jobs(context))
    if ticket.status not in ("assigned", "rework"):
        # No reason is asked for what cannot be given back.
        raise WrongStatus(status=ticket.status, action="decline")
    reason = command.values.get("reason", "")
    if not verbs.match_reason(reason, decline_reasons()) and re.search(_data()["away"], reason):
        reason = f"{decline_reasons()[0]} {reason}"
    if not verbs.match_reason(reason, decline_reasons()):
        questions.ask(context.session, context.staff, "decline_reason", context.now, ticket=ticket)
        _ask_reason(context, replace(command, ticket_id=ticket.id))
        buttons = tuple((f"decline:{ticket.id}:{why}", why) for why in decline_reasons())
        return Reply(say("error.reason_needed", reasons=say("list.comma").join(decline_reasons())), buttons)
    verbs.decline(context.session, ticket, context.actor, reason, context.now)
    questions.withdraw(context.session, ticket, "decline_reason")
    return Reply(say("staff.declined", no=ticket.ticket_no, reason=reason))


def _not_mine(context: Context, command: Command) -> Reply:
    wrong_trade = decline_reasons()[2]
    values = {**command.values, "reason": wrong_trade}
    return _decline(context, Command("decline", values, command.words, command.ticket_id))


def _transfer(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, lambda: _jobs(context))
    colleague = staff_named(context.session, context.staff.community_id, command.values["person"])
    verbs.transfer(context.session, ticket, colleague, context.actor, context.now)
    return Reply(say("staff.transfer_sent", no=ticket.ticket_no, name=colleague.name))


def _appointment(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, lambda: _jobs(context))
    window = parse_window(command.values["when"], context.now, asked=True)
    if window is None:
        return Reply(say("staff.appointment_when", tail=ticket.tail))
    end = window.end or window.start + timedelta(hours=1)
    verbs.propose_appointment(context.session, ticket, context.actor, window.start, end, context.now)
    return Reply(say("staff.appointment_sent", no=ticket.ticket_no, window=span(window.start, end, context.now)))


def _set_out(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, lambda: _jobs(context) or _offers(context))
    verbs.set_out(context.session, ticket, context.actor, context.now)
    return _done(ticket)


def _arrive(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, lambda: _fitting(_jobs(context), arrived=False) or _offers(context))
    _go_on(context, ticket)
    verbs.arrive(context.session, ticket, context.actor, context.now)
    said = Reply(say("staff.arrived", no=ticket.ticket_no, at=clock(ticket.arrived_at, context.now)))
    note = command.values.get("note", "")
    if note and emergencies.danger(ticket):
        emergencies.add_words(context.session, ticket, context.actor, NONE, note, context.now)
        return said
    return _found_there(context, ticket, note, said) if note else said


def _found_there(context: Context, ticket: Ticket, note: str, said: Reply) -> Reply:
    """What somebody found on arriving: a wait for a part (「到了 导靴磨了 配件三天到」) or a price is one, the rest is noted."""
    further = parse(note, "worker")
    if further is None or further.name not in ("hold", "quote"):
        verbs.comment(context.session, ticket, context.actor, note, context.now)
        return said
    then = RUNNERS[further.name](context, replace(further, values={**further.values, "no": ""}, ticket_id=ticket.id))
    return Reply(f"{said.text}\n{then.text}", then.buttons)


def _go_on(context: Context, ticket: Ticket) -> None:
    """Whoever arrives at a job that waits, or has done it, does not wait any more."""
    if ticket.status == "on_hold" and ticket.handler_id == context.staff.id:
        verbs.resume(context.session, ticket, context.actor, context.now)


def _finish(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, lambda: _fitting(_jobs(context), arrived=True))
    _go_on(context, ticket)
    note = command.values.get("note", "")
    return _finish_with(context, ticket, note, checked=self_checked(note))


def _finish_with(context: Context, ticket: Ticket, note: str, *, checked: bool) -> Reply:
    try:
        verbs.finish(context.session, ticket, context.actor, note, context.now, self_checked=checked)
    except SelfCheckNeeded:
        questions.ask(context.session, context.staff, "self_check", context.now, ticket=ticket, note=note)
        buttons = (
            (f"checked:{ticket.id}", say("button.checked")),
            (f"unchecked:{ticket.id}", say("button.not_checked")),
        )
        return Reply(say("error.self_check_needed", no=ticket.ticket_no), buttons)
    return Reply(say("staff.finished", no=ticket.ticket_no))


def _checked(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, lambda: _jobs(context))
    asked = verbs.open_question(context.session, ticket, "self_check")
    note = str(asked.data.get("note", "")) if asked else ""
    return _finish_with(context, ticket, note, checked=True)


def _unchecked(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, lambda: _jobs(context))
    questions.withdraw(context.session, ticket, "self_check")
    return Reply(say("staff.check_first", no=ticket.ticket_no))


def _hold(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, lambda: _jobs(context))
    _go_on(context, ticket)
    if known.has_arrived(command.words) and ticket.status == "in_progress" and not ticket.arrived_at:
        verbs.arrive(context.session, ticket, context.actor, context.now)
    rest = command.values.get("rest", "")
    if re.search(_data()["resident_out"], rest) and parse_until(rest, context.now) is None:
        return _not_home(context, replace(command, ticket_id=ticket.id))
    return _hold_until(context, ticket, hold_reason(command.words), parse_until(rest, context.now), command.words)


def _hold_until(context: Context, ticket: Ticket, reason: str, wake: datetime | None, note: str) -> Reply:
    wake = wake or context.now + DEFAULT_HOLD
    verbs.hold(context.session, ticket, context.actor, reason, wake, context.now, note=note)
    key = "staff.hold_until" if ticket.wake_at == wake else "staff.hold_asked"
    until = {"wake": clock(ticket.wake_at, context.now), "wished": clock(wake, context.now)}
    return Reply(say(key, no=ticket.ticket_no, reason=reason, **until))


def _not_home(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, lambda: _jobs(context))
    wake, reason = context.now + verbs.NOT_HOME_WAIT, hold_reasons()[1]
    # 「按半天门铃」 is how long he rang, and no time to come back.
    if back := parse_until(re.sub(_data()["in_vain"], "", command.values.get("note", "")), context.now):
        # 「人不在 晚上八点回来」: the job goes on then, and nobody is given up for lost.
        return _hold_until(context, ticket, reason, back, command.words)
    verbs.hold(context.session, ticket, context.actor, reason, wake, context.now, note=command.words, nobody_home=True)
    return Reply(say("staff.hold_until", no=ticket.ticket_no, reason=reason, wake=clock(wake, context.now)))


def _resume(context: Context, command: Command) -> Reply:
    paused = finding.jobs_of(context.session, context.staff, "on_hold")
    if not paused and not command.values["no"]:
        # 「恢复」 of the electrician in the middle of a power cut: the power is back.
        mended = [one for one in _jobs(context) if verbs.is_incident(one)]
        if len(mended) == 1:
            ticket = verbs.load(context.session, mended[0].id)
            return _finish_with(context, ticket, command.words, checked=False)
    worker = context.staff.role == "worker"
    ticket = _ticket(context, command, lambda: paused or (_jobs(context) if worker else []))
    if worker and ticket.status != "on_hold":
        # 「货到了 我现在去装」 about a job nobody had paused.
        return _set_out(context, command)
    verbs.resume(context.session, ticket, context.actor, context.now)
    return _done(ticket)


def _help_wanted(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, lambda: _jobs(context))
    verbs.ask_help(context.session, ticket, context.actor, command.words, context.now)
    return _done(ticket)


def _card(context: Context, command: Command) -> Reply:
    """What a worker has to know of a job again; the number only when it is his (domain.md §9.3)."""
    ticket = _ticket(context, command, lambda: _jobs(context))
    if not desk_lists.visible(context.session, ticket, context.actor):
        raise NotAllowed(action="status")
    full = has_accepted(ticket, context.staff)
    phone = ticket.contact_phone or say("phone.missing") if full else say("phone.after_accept")
    return Reply(say("staff.job_card", phone=phone, **facts(ticket, context.now)))


def _remark(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, lambda: _jobs(context))
    words = command.values.get("note", "") or _said_before(context)
    if not words:
        return Reply(say("staff.remark_empty", no=ticket.tail))
    verbs.remark(context.session, ticket, context.actor, words, context.now)
    return Reply(say("staff.remarked", no=ticket.ticket_no))


def _said_before(context: Context) -> str:
    """What was typed before the button of the question what it means was pressed."""
    query = select(InboxMessage.text).where(InboxMessage.conversation_id == context.conversation.id)
    newest = context.session.scalars(query.order_by(InboxMessage.id.desc()).limit(2)).all()
    return newest[1] if len(newest) > 1 else ""


def _photo_word(context: Context, command: Command) -> Reply:
    return Reply(say("staff.photo_wanted"))


def _quote(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, lambda: _jobs(context))
    plan = command.values["plan"]
    if verbs.waits_for_resident(ticket):
        # 「门开了 管子得换一截 材料80」: whom it waited for is there.
        _go_on(context, ticket)
    if ticket.status == "on_hold" and ticket.handler_id == context.staff.id:
        return Reply(say("staff.quote_on_hold", no=ticket.ticket_no, tail=ticket.tail))
    verbs.quote(context.session, ticket, context.actor, plan, _sum_in(command.words), context.now)
    return Reply(say("staff.quoted", no=ticket.ticket_no))


def _sum_in(words: str) -> int | None:
    """The sum of a plan in 分, also without its 元 (收80), and of several prices all of them (锁芯280 手工50)."""
    bare = re.search(_data()["sum"], words)
    prices = [int(price["yuan"]) for price in re.finditer(_data()["price"], words)]
    if bare:
        return int(bare["yuan"]) * 100
    if len(prices) > 1 and not re.search(_data()["no_sum"], words):
        return sum(prices) * 100
    return find_money_fen(words) or sum(prices[:1]) * 100 or None


def _change(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, lambda: _jobs(context))
    words = command.values["words"]
    until = parse_until(words, context.now)
    check_wording(words)
    verbs.change_plan(context.session, ticket, context.actor, words, until, context.now)
    return Reply(say("staff.changed_until" if until else "staff.changed", no=ticket.ticket_no))


def _part(context: Context, command: Command) -> Reply:
    done = finding.jobs_of(context.session, context.staff, "done")
    ticket = _ticket(context, command, lambda: _jobs(context) or done)
    price = command.values.get("price")
    fen = round(float(price) * 100) if price else None
    verbs.use_part(context.session, ticket, context.actor, command.values["part"], fen, context.now)
    return Reply(say("staff.part", no=ticket.ticket_no, part=command.values["part"]))


def _survey_done(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, lambda: finding.jobs_of(context.session, context.staff, "survey"))
    found = _findings(command.values["findings"])
    fee = find_money_fen(command.values["findings"])
    verbs.survey_done(context.session, ticket, context.actor, found, fee, context.now)
    return Reply(say("staff.survey_done", no=ticket.ticket_no))


def _findings(words: str) -> dict[str, str]:
    """「原因:防水老化 范围:卫生间 物料:涂料 人数:2」 by its labels, in the order of data/catalog/work.yml."""
    labels = {label: name for name, one in survey_fields().items() for label in one.words}
    pieces = re.split(rf"({'|'.join(labels)})[:： ]+", words)
    said = {labels[label]: value.strip("，,;； ") for label, value in zip(pieces[1::2], pieces[2::2], strict=False)}
    return {name: said[name] for name in survey_fields() if said.get(name)}


def _my_jobs(context: Context, command: Command) -> Reply:
    jobs = finding.jobs_of(context.session, context.staff)
    helped = finding.helped_by(context.session, context.staff)
    parts = [desk_lists.lines(jobs, context.now)] if jobs else []
    if helped:
        parts.append(say("staff.helped_head") + "\n" + desk_lists.lines(helped, context.now))
    return Reply("\n".join(parts) or say("staff.none_open"))


# --- leaders ----------------------------------------------------------------------------------------------------------


def _leave(context: Context, command: Command) -> Reply:
    """Whole days, unless hours were named; 到 names the last one."""
    colleague = staff_named(context.session, context.staff.community_id, command.values["person"])
    window = parse_window(command.values["when"], context.now, asked=True)
    if window is None:
        return Reply(say("staff.leave_when"))
    until = parse_until(command.values["when"], context.now) or window.end or window.start
    start, end = roster.span_of_leave(window.start, max(until, window.end or until))
    found = roster.grant_leave(context.session, colleague, start, end, "", context.actor, context.now)
    text = say("staff.leave_noted", name=colleague.name, start=clock(start, context.now), end=clock(end, context.now))
    return Reply("\n".join([text, *_handed_over(context, found)]))


def _handed_over(context: Context, found: roster.Handover) -> list[str]:
    """Which jobs of somebody on leave went to whom, and which stay with him."""
    lines = []
    if found.moved:
        facts_of = [{**facts(one, context.now), "name": one.handler.name if one.handler else ""} for one in found.moved]
        lines += [say("staff.leave_moved", count=len(facts_of))]
        lines += [say("staff.leave_moved_line", **one) for one in facts_of]
    if offered := [one for one in found.offered if not is_accused(one, context.staff)]:
        lines += [say("staff.leave_offered", numbers=say("list.comma").join(one.tail for one in offered))]
    kept = [one for one in found.kept if not is_accused(one, context.staff)]
    if kept:
        lines += [say("staff.leave_jobs", count=len(kept)), desk_lists.lines(kept, context.now)]
    if found.nobody:
        numbers = say("list.comma").join(one.tail for one in found.nobody)
        lines += [say("staff.leave_nobody", numbers=numbers)]
    return lines


def _leave_wish(context: Context, command: Command) -> Reply:
    """A worker's own 「我明天请假」: the leaders hear of it in his words, and only they grant it."""
    chiefs = leaders(context.session, context.staff.community_id, context.staff.department)
    for chief in chiefs:
        text = say("staff.leave_asked", name=context.staff.name, words=command.words)
        notify.push(context.session, chief, text, key=f"{context.key}:leave:{chief.id}", now=context.now)
    return Reply(say("staff.leave_passed_on", names=say("list.comma").join(one.name for one in chiefs)))


def _assign(context: Context, command: Command) -> Reply:
    """Without a number (「刚才那张派给王师傅」) the one just looked at is meant, else the one that has nobody."""
    nobodys = partial(desk_lists.chosen, context.session, context.staff, "unassigned", context.now)
    seen = looked_at(context) if command.ticket_id is None and not command.values["no"] else None
    ticket = _ticket(context, command, lambda: [seen] if seen else nobodys())
    colleague = staff_named(context.session, context.staff.community_id, command.values["person"])
    verbs.assign(
        context.session, ticket, colleague, context.actor, context.now, reason=command.values.get("reason", "")
    )
    if ticket.handler is not colleague:
        worker = ticket.handler.name if ticket.handler else say("person.nobody")
        return Reply(say("staff.handing_on", no=ticket.ticket_no, name=colleague.name, worker=worker))
    window = parse_window(command.values.get("reason", ""), context.now)
    if window:
        verbs.wish(ticket, window.start, window.end or window.start, span(window.start, window.end, context.now))
    by = clock(ticket.accept_by, context.now)
    return Reply(say("staff.assigned", no=ticket.ticket_no, name=colleague.name, accept_by=by))


def _survey(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, list)
    colleague = staff_named(context.session, context.staff.community_id, command.values["person"])
    reason = command.values.get("reason", "")
    verbs.need_survey(context.session, ticket, colleague, context.actor, context.now, reason=reason)
    by = clock(ticket.arrive_by, context.now)
    return Reply(say("staff.survey_sent", no=ticket.ticket_no, name=colleague.name, by=by))


def _refer(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, list)
    unit = verbs.unit_named(command.values["words"])
    if unit is None:
        units = say("list.comma").join(one.name for one in outside_units())
        return Reply(say("staff.which_unit", tail=ticket.tail, units=units))
    verbs.refer(context.session, ticket, context.actor, unit, command.values["words"], context.now)
    return Reply(say("staff.referred", no=ticket.ticket_no, unit=unit.name))


def _merge(context: Context, command: Command) -> Reply:
    session, community = context.session, context.staff.community_id
    child, parent = (
        verbs.load(session, finding.by_number(session, community, command.values[key], context.actor).id)
        for key in ("no0", "no1")
    )
    verbs.merge(session, child, parent, context.actor, context.now, reason=command.values.get("reason", ""))
    return Reply(say("staff.merged", no=child.ticket_no, other=parent.ticket_no))


def _broadcast(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, list)
    count = verbs.broadcast(context.session, ticket, context.actor, context.now)
    return Reply(say("staff.broadcast", no=ticket.ticket_no, count=count))


def _false_alarm(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, lambda: _gravest(context))
    verbs.false_alarm(context.session, ticket, context.actor, command.values.get("note", ""), context.now)
    return Reply(say("staff.resolved", no=ticket.ticket_no))


def _to_inspect(context: Context) -> list[Ticket]:
    return desk_lists.waiting_for_inspection(context.session, context.staff)


def _inspect(context: Context, command: Command) -> Reply:
    refused = command.values["verdict"] in say("words.inspect_fail").split()
    return (_inspect_fail if refused else _inspect_pass)(context, command)


def _inspect_pass(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, lambda: _to_inspect(context))
    verbs.confirm(context.session, ticket, context.actor, context.now, remark=command.values.get("note", ""))
    return _done(ticket)


def _inspect_fail(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, lambda: _to_inspect(context))
    verbs.not_fixed(context.session, ticket, context.actor, command.values.get("note") or command.words, context.now)
    return _done(ticket)


def _answer(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, list)
    check_wording(command.values["words"], own_numbers(context.session, context.staff.community_id))
    verbs.answer_matter(context.session, ticket, context.actor, command.values["words"], context.now)
    return Reply(say("staff.answered", no=ticket.ticket_no))


def _resolve(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, lambda: _gravest(context))
    emergencies.stand_down(context.session, ticket, context.actor, command.values.get("note", ""), context.now)
    return Reply(say("staff.resolved", no=ticket.ticket_no))


def _control(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, lambda: emergencies.jobs_of(context.session, context.staff))
    emergencies.under_control(context.session, ticket, context.actor, command.values["words"], context.now)
    return _done(ticket)


def _gravest(context: Context) -> list[Ticket]:
    """The open emergencies of the gravest class there is: with one danger to life running, that is meant."""
    found = desk_lists.emergencies(context.session, context.staff)
    return [one for one in found if one.level == found[0].level]


def _cancel(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, list)
    verbs.cancel(context.session, ticket, context.actor, command.values.get("reason", ""), context.now)
    return _done(ticket)


def _ack(context: Context, command: Command) -> Reply:
    """收到: takes an offer that is waiting; otherwise only notes that the alarm was read."""
    offers = _offers(context)
    named = bool(command.values.get("no"))
    if command.values.get("later") and not named:
        return _will_see_to_it(context)
    if offers and context.staff.role == "worker" and not named:
        return _accept(context, command)
    try:
        ticket = _ticket(context, command, lambda: desk_lists.emergencies(context.session, context.staff))
    except NoTicket:
        return Reply(say("staff.ack_plain"))
    if named and ticket in offers:
        return _accept(context, command)
    verbs.record(context.session, ticket, context.actor, "ack", context.now)
    return Reply(say("staff.ack", no=ticket.ticket_no))


def _will_see_to_it(context: Context) -> Reply:
    """「收到 我晚点打电话给他」 is about the complaint he has, and takes note of no alarm."""
    mine = [one for one in finding.jobs_of(context.session, context.staff) if one.kind == "TS"]
    if len(mine) != 1:
        return Reply(say("staff.ack_plain"))
    verbs.record(context.session, mine[0], context.actor, "ack", context.now)
    return Reply(say("staff.ack", no=mine[0].ticket_no))


def _approve_hold(context: Context, command: Command) -> Reply:
    ticket = _ticket(context, command, list)
    approve = verbs.approve_hold if ticket.status == "on_hold" else verbs.approve_change
    approve(context.session, ticket, context.actor, context.now)
    return _done(ticket)


def _follow_up(context: Context, command: Command) -> Reply:
    """「上周呢」 after 「3栋这个月报了多少次漏水」: the last question again, about what is named now."""
    named = [command.values["words"]]
    for words in mailbox.said_before(context.session, context.key, context.now - ASKED_LATELY):
        before = parse(words, context.staff.role)
        if before is None or before.name != "follow_up":
            question = say("words.how_many") if before and before.name == "today" else words
            break
        named.append(before.values["words"])
    else:
        question = say("words.how_many")
    for one in reversed(named):
        question = asking.again(question, one)
    found = parse(question, context.staff.role)
    return run(context, found) if found and found.name != "follow_up" else Reply(forward=question)


def _report_for(context: Context, command: Command) -> Reply:
    return Reply(forward=command.values["text"])


def _help(context: Context, command: Command) -> Reply:
    role = {"worker": "worker", "desk": "desk"}.get(context.staff.role, "leader")
    return Reply(say(f"staff.help_{role}"))


RUNNERS: dict[str, Callable[[Context, Command], Reply]] = {
    "accept": _accept,
    "decline": _decline,
    "not_mine": _not_mine,
    "transfer": _transfer,
    "appointment": _appointment,
    "set_out": _set_out,
    "arrive": _arrive,
    "finish": _finish,
    "checked": _checked,
    "unchecked": _unchecked,
    "hold": _hold,
    "not_home": _not_home,
    "resume": _resume,
    "help_wanted": _help_wanted,
    "card": _card,
    "remark": _remark,
    "photo_word": _photo_word,
    "quote": _quote,
    "change": _change,
    "part": _part,
    "survey": _survey,
    "survey_done": _survey_done,
    "refer": _refer,
    "merge": _merge,
    "broadcast": _broadcast,
    "false_alarm": _false_alarm,
    "my_jobs": _my_jobs,
    "leave": _leave,
    "leave_wish": _leave_wish,
    "assign": _assign,
    "inspect": _inspect,
    "inspect_pass": _inspect_pass,
    "inspect_fail": _inspect_fail,
    "answer": _answer,
    "resolve": _resolve,
    "control": _control,
    "cancel": _cancel,
    "ack": _ack,
    "approve_hold": _approve_hold,
    "follow_up": _follow_up,
    "report_for": _report_for,
    "several": _several,
    "help": _help,
    **known.RUNNERS,
    **leading.RUNNERS,
    **talking.RUNNERS,
    **matters.RUNNERS,
    **papers.RUNNERS,
}


def refusal(error: DeskError) -> str:
    """The user-facing text of a refusal; of a worker's step that comes too early it says what comes first."""
    step = "refused.{action}_{status}".format(action=error.facts.get("action"), status=error.facts.get("status"))
    if has_text(step):
        return say(step)
    return say(f"error.{error.code}", **error.facts)
