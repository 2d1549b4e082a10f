"""What colleagues say about tickets that exist: it is a word about that ticket, and never a new report or a new alarm.

Which words these are is data (data/catalog/known.yml); what they do is a command of bot/commands.py, or it is asked what was meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import yaml

from bot import leading
from bot.speech import Command, Context, Reply, find_ticket
from nlu.emergency import detect
from storage.models import Ticket
from tickets import desk_lists, emergencies, finding, notify, verbs, working
from tickets.catalog import category
from tickets.errors import DeskError, NotAllowed
from tickets.people import each_once, leaders, managers
from tickets.texts import DATA, say

Read = Callable[[str], Command | None]
DANGERS = ("U0", "U1")


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((DATA / "catalog" / "known.yml").read_text("utf-8"))
    return data


# --- by number --------------------------------------------------------------------------------------------------------


def numbered(context: Context, words: str) -> str:
    """The number of an existing ticket in a colleague's words, "" without one."""
    for hit in re.finditer(_data()["number"], words):
        if _exists(context, hit["no"]):
            return hit["no"]
    return ""


def is_no_number(context: Context, number: str) -> bool:
    """Whether four digits that were read as a number are those of no ticket, as a room's may be."""
    return number.isdecimal() and number.isascii() and not _exists(context, number)


def _exists(context: Context, number: str) -> bool:
    try:
        finding.by_number(context.session, context.staff.community_id, number, context.actor)
    except DeskError:
        return False
    return True


def of_number(context: Context, words: str, read: Read) -> Command | None:
    """The command in words around a number (「0032插座冒火的 赵师傅去」), else the question what was meant; None without a number."""
    number = numbered(context, words)
    if not number:
        return None
    for said, told in _readings(words, number):
        command = read(said)
        if command and command.values.get("no") == number and (not told or _may_stand_behind(command, words)):
            return _in_full(command, told)
    return Command("about_number", {"no": number}, words)


def _readings(words: str, number: str) -> Iterator[tuple[str, str]]:
    """The words with the number in front and without what only says what the job is; with it all that was told, where clauses
    are left out."""
    before, _, after = (part.strip("，,:： ") for part in words.partition(number))
    if re.search(_data()["not_of_it"], before):
        return
    if before:
        yield f"{number} {after or before}", ""
    named = [hit.end() for hit in re.finditer(_data()["name_ends"], after) if hit.end() <= _data()["longest_name"]]
    for cut in named:
        yield f"{number} {after[cut:]}", ""
    for hit in re.finditer(_data()["clause"], after):
        yield f"{number} {after[hit.end() :]}", after


def _may_stand_behind(command: Command, words: str) -> bool:
    finished = command.name in ("finish", "quote")
    return command.name in _data()["behind"] and not (finished and re.search(_data()["open_end"], words))


TOLD_IN = {"finish": "note", "decline": "reason", "hold": "rest"}
"""Where what was told besides goes."""


def _in_full(command: Command, told: str) -> Command:
    field = TOLD_IN.get(command.name)
    return replace(command, values={**command.values, field: told}, words=told) if told and field else command


def short_tail(context: Context, words: str, read: Read) -> Command | None:
    """「21 门锁我接」「29也是我的 下午3点去」 of a worker: the one ticket in his hands, or in nobody's, whose number ends so."""
    found = re.match(_data()["short_tail"], words) if context.staff.role == "worker" else None
    if found is None:
        return None
    hand = finding.on_hand(context.session, context.staff)
    pool = dict.fromkeys([*hand, *finding.nobodys(context.session, context.staff)])
    fitting = [one for one in pool if one.tail.endswith(found["digits"])]
    if len(fitting) != 1:
        return None
    number, rest = fitting[0].ticket_no, words[found.end() :].strip()
    for said, _ in ((f"{number} {rest}", ""), *_readings(f"{number} {rest}", number)):
        command = read(said)
        if command and command.values.get("no") == number:
            return command
    return None


# --- by place, thing or 这单 --------------------------------------------------------------------------------------------


def is_of_ticket(context: Context, words: str) -> bool:
    """Whether a danger in a colleague's words is that of an existing ticket: by its number, by 这单, or by 那个 and its place or thing.
    What happens again, or grows, is told anew."""
    if numbered(context, words):
        return True
    if re.search(_data()["anew"], words):
        return False
    hand = finding.on_hand(context.session, context.staff) if context.staff.role == "worker" else _open(context)
    if hand and re.search(_data()["this_job"], words):
        return True
    if not re.search(f"{_data()['that_one']}|{_data()['of_work']}", words):
        return False
    return any(_tells_same(one, words) for one in finding.spoken_of(hand, words))


def _open(context: Context) -> list[Ticket]:
    dangers = desk_lists.emergencies(context.session, context.staff)
    return [*dangers, *desk_lists.chosen(context.session, context.staff, "open_jobs", context.now)]


def _tells_same(ticket: Ticket, words: str) -> bool:
    """Whether the danger in some words is the one a ticket tells of."""
    found, known = detect(words), detect(ticket.symptom)
    if found is None:
        return True
    kinds = {emergencies.danger(ticket), known.kind if known else ""}
    return found.code == ticket.code or found.kind in kinds


def pointed_at(context: Context, words: str) -> Reply | None:
    """What is said of 那个 with the place or thing of an open ticket, or asked about one on the way, when it is no command."""
    if re.search(_data()["anew"], words):
        return None
    worker = context.staff.role == "worker"
    if worker and re.search(_data()["asks_to_go"], words):
        there = desk_lists.open_at(context.session, context.staff, words)
        return _whose(context, there[0]) if len(there) == 1 else None
    pointing = re.search(_data()["that_one"], words)
    if not pointing or (worker and not finding.place_named(words)):
        return None
    pool = finding.on_hand(context.session, context.staff) if worker else _open(context)
    meant = list(dict.fromkeys(finding.spoken_of(pool, words)))
    if not meant:
        return None
    if worker and len(meant) > 1:
        return Reply(*working.which(meant, words, context.now))
    if worker:
        return Reply(*working.about(meant[0], words, context.now))
    return _for_leader(context, meant[0], words) if len(meant) == 1 else Reply(desk_lists.lines(meant, context.now))


# --- what is said then ------------------------------------------------------------------------------------------------


def _about_number(context: Context, command: Command) -> Reply:
    """No command, but about this ticket: how it stands, or what could have been meant."""
    ticket = find_ticket(context, command, list)
    rest = re.sub(_data()["number"], "", command.words).strip("，,:： ")
    if context.staff.role != "worker":
        return _for_leader(context, ticket, rest)
    mine = ticket.handler_id in (None, context.staff.id) or ticket in finding.offers_to(context.session, context.staff)
    reply = Reply(*working.about(ticket, rest, context.now)) if mine else _whose(context, ticket)
    return replace(reply, text=reply.text + _if_danger(rest))


def _for_leader(context: Context, ticket: Ticket, words: str) -> Reply:
    if leading.others_complaint(context, ticket):
        raise NotAllowed(action="status")
    if re.search(_data()["asks"], words):
        return leading.RUNNERS["status"](context, Command("status", {"no": ""}, words, ticket.id))
    shown = desk_lists.timeline(context.session, ticket, context.now, context.staff)
    how = "staff.recode_how" if re.search(_data()["recode"], words) else "staff.unknown_about_leader"
    return Reply(f"{shown}\n{say(how, no=ticket.tail)}{_if_danger(words)}")


def _if_danger(words: str) -> str:
    found = detect(words)
    return "\n" + say("staff.new_danger") if found and found.verdict == "alarm" else ""


def _whose(context: Context, ticket: Ticket) -> Reply:
    """Of a job that another has: whose it is, and how it changes hands."""
    if not ticket.handler or ticket.handler_id == context.staff.id:
        return Reply(*working.about(ticket, "", context.now))
    return Reply(say("staff.whose", me=context.staff.name, **notify.facts(ticket, context.now)))


def _take_back(context: Context, command: Command) -> Reply:
    """「0067是我说的不去 不是报修 撤掉」: what he told himself, by mistake; of a danger everybody who was alarmed hears so."""
    ticket = find_ticket(context, command, list)
    if ticket.reporter_staff_id != context.staff.id or ticket.reporter_id is not None:
        key = "staff.take_back_not_yours_worker" if context.staff.role == "worker" else "staff.take_back_not_yours"
        return Reply(say(key, no=ticket.tail))
    crew = emergencies.crew(context.session, ticket) if ticket.level in DANGERS else []
    handler = ticket.handler
    verbs.cancel(context.session, ticket, context.actor, command.values["reason"], context.now)
    if ticket.level in DANGERS:
        chiefs = [
            *leaders(context.session, ticket.community_id, ticket.department),
            *managers(context.session, ticket.community_id),
        ]
        for one in each_once([*crew, *chiefs]):
            if one not in (handler, context.staff):
                text = say("push.cancelled_staff", no=ticket.ticket_no, reason=command.values["reason"])
                notify.push(
                    context.session, one, text, key=f"{context.key}:back:{one.id}", now=context.now, ticket=ticket
                )
    return Reply(say("staff.taken_back", no=ticket.ticket_no))


def _calm(context: Context, command: Command) -> Reply:
    """「0060撤销危急 就修个柜门」: no danger, and still a job; its class falls to that of the same thing without danger."""
    ticket = find_ticket(context, command, list)
    if ticket.level not in DANGERS:
        return Reply(say("staff.no_danger_level", no=ticket.ticket_no, level_code=ticket.level))
    level = category(category(ticket.code).milder).level if category(ticket.code).milder else "U3"
    level = max(level or "U3", "U2")
    reason = command.values.get("reason") or command.words
    verbs.change_level(context.session, ticket, context.actor, level, reason, context.now)
    return Reply(say("staff.calmed", no=ticket.ticket_no, tail=ticket.tail, level_code=level))


def _recode(context: Context, command: Command) -> Reply:
    """「0060改成橱柜」: the category stays, but whoever goes reads the words."""
    ticket = find_ticket(context, command, list)
    words = command.values["words"]
    event = verbs.comment(context.session, ticket, context.actor, words, context.now)
    if ticket.handler and ticket.handler_id != context.staff.id:
        notify.tell_staff(
            context.session, ticket.handler, ticket, event, "staff.colleague_says", context.now,
            by=context.staff.name, words=words,
        )  # fmt: skip
    return Reply(say("staff.recode_noted", no=ticket.ticket_no) + "\n" + say("staff.recode_how", no=ticket.tail))


# --- leaders without a number -----------------------------------------------------------------------------------------


def agrees(context: Context, words: str) -> Command | None:
    """同意 alone, of a leader who was asked for consent to a longer pause: of that one, of several it is asked which."""
    if context.staff.role not in ("supervisor", "manager") or not re.fullmatch(_data()["agrees"], words):
        return None
    held = desk_lists.chosen(context.session, context.staff, "on_hold", context.now)
    asked = [one for one in held if ((one.detail or {}).get("hold") or {}).get("wished")]
    if not asked:
        return None
    only = asked[0].id if len(asked) == 1 else None
    return Command("approve_hold", {"no": ""}, words, only, None if only else tuple(one.id for one in asked))


def merges_there(context: Context, words: str) -> Command | None:
    """「7栋1单元垃圾的那两张一回事 并一起」 of a leader: the two open tickets of that place and thing."""
    if context.staff.role == "worker" or not re.search(_data()["merges"], words):
        return None
    if numbered(context, words) or not finding.place_named(words):
        return None
    there = finding.spoken_of(desk_lists.chosen(context.session, context.staff, "open_jobs", context.now), words)
    return Command("merge_there", {"no": ""}, words, among=tuple(one.id for one in there))


def _merge_there(context: Context, command: Command) -> Reply:
    found = sorted((verbs.load(context.session, one) for one in command.among or ()), key=lambda one: one.id)
    if len(found) != 2:
        shown = desk_lists.lines(found, context.now) if found else say("staff.none_about")
        return Reply(f"{shown}\n{say('staff.merge_how')}")
    parent, child = found
    verbs.merge(context.session, child, parent, context.actor, context.now)
    return Reply(say("staff.merged", no=child.ticket_no, other=parent.ticket_no))


def _tell_whom(context: Context, command: Command) -> Reply:
    """「回他一声微信明天恢复」 without a number: nobody is written to until it is said which matter it is."""
    open_ones = desk_lists.chosen(context.session, context.staff, "open_jobs", context.now)
    asked = [one for one in open_ones if one.kind in ("ZX", "TS", "JY")]
    shown = desk_lists.lines(asked[: finding.CHOICES], context.now)
    return Reply("\n".join(filter(None, (say("staff.tell_whom"), shown))))


def _saying(key: str) -> Callable[[Context, Command], Reply]:
    return lambda _context, _command: Reply(say(key))


RUNNERS: dict[str, Callable[[Context, Command], Reply]] = {
    "about_number": _about_number,
    "take_back": _take_back,
    "calm": _calm,
    "recode": _recode,
    "merge_there": _merge_there,
    "tell_whom": _tell_whom,
    "notice_how": _saying("staff.notice_how"),
    "not_counted": _saying("staff.not_counted"),
}
# What these show names flats and people: never into a group (domain.md §9.3).
PRIVATE = frozenset({"about_number", "merge_there", "tell_whom"})


def has_arrived(words: str) -> bool:
    """「到他家了 锁芯坏了」: he is there."""
    return bool(re.search(_data()["has_arrived"], words))
