"""报修: the repair form and what its end does."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.events import FollowupAction, SlotSet

from actions import details, drafts
from actions.changes import correct_latest
from actions.context import Desk, DeskAction, Events
from actions.inquiry import answer_beside, answer_question
from storage.models import Draft, Ticket
from tickets import emergencies, finding, inquiries, notify, questions, talks, verbs
from tickets.answering import FRESH_DETAIL
from tickets.catalog import category
from tickets.people import follows
from tickets.places import is_exact, of_kind, part_of, problem_text, read_place
from tickets.texts import has_text, say
from tickets.urgency import is_danger
from tickets.verbs import Report
from tickets.verbs.dispatching import trade_of
from tickets.words import (
    adds,
    at_home,
    bare_request,
    drops_draft,
    gives_up,
    instead_of,
    is_also,
    is_angry,
    no_hurry,
    opens_another,
    same_things,
    smells_nothing,
    spots_in,
    things_in,
    told_already,
    what_of,
)

GRIEVANCE = "T02"
# The question about a fault of which a yes is a danger.
GAS_SMELL = "gas_smell"
# How long somebody may think about whether a neighbour's report is the same as theirs.
JOIN_WAIT = timedelta(minutes=10)
SAME_TELLING = timedelta(hours=2)
BRIEF = 12
# Who is locked out stands before the door: no day is asked.
AT_ONCE = frozenset({"D01"})
# Each has a rule in data/rules/forms.yml.
INTERRUPTIONS = frozenset(
    {
        "greet",
        "ask_question",
        "ask_progress",
        "bot_challenge",
        "urge",
        "cancel",
        "handoff",
        "file_complaint",
        "praise",
        "suggest",
    }
)


# Each has a response in data/responses/.
PARTING = frozenset({"thanks", "goodbye"})


class ValidateRepairForm(DeskAction):
    """Takes each message into the draft and says which of the two slots is asked next, if any."""

    def name(self) -> str:
        return "validate_repair_form"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        if drafts.interrupted(desk, tracker, INTERRUPTIONS):
            return _ended() if drafts.chased(desk) else []
        draft = None if _told_more(desk) else _taken_in(desk)
        if draft is None or _parting(desk, draft):
            return _ended()
        data = dict(draft.data)
        wanted = _next_slot(desk, draft)
        if wanted and (_enough_asked(draft) or gives_up(desk.text) or is_angry(desk.text)):
            # Enough asked: the ticket is made with what is known, a person finds out the rest (domain.md §5.3).
            drafts.save(desk, draft, {**data, "handover": True})
            wanted = None
        symptom = "; ".join(fault["words"] for fault in data.get("faults", [])) or None
        settled = bool(data.get("faults")) and not drafts.open_places(draft)
        return [
            SlotSet("symptom", symptom or ("-" if wanted is None else None)),
            SlotSet("location", "-" if settled or wanted is None else None),
            SlotSet("requested_slot", wanted),
        ]

    def give_way(self, desk: Desk) -> Events:
        """What was told so far waits for the answer."""
        draft = drafts.find(desk, "BX")
        if draft is not None:
            drafts.save(desk, draft, {**draft.data, "held": True})
        return _ended()


def _enough_asked(draft: Draft) -> bool:
    """Whether nobody may be asked any more; a choice of what the last answer leaves open (1单元 or 2单元) is one tap, and comes on
    top."""
    asked, open_places = draft.data.get("asked", 0), drafts.open_places(draft)
    choice = bool(open_places and open_places[0].get("options"))
    news = choice and place_question(open_places[0]) != draft.data.get("place_question")
    return bool(asked >= drafts.MAX_QUESTIONS + int(news))


def _ended() -> Events:
    """The form asks nothing more."""
    return [SlotSet("symptom", "-"), SlotSet("location", "-"), SlotSet("requested_slot", None)]


def _parting(desk: Desk, draft: Draft) -> bool:
    """「行吧 谢了」 of somebody who has told no fault: there is nothing to register."""
    return desk.intent in PARTING and not draft.data.get("faults")


def _told_more(desk: Desk) -> bool:
    """Nothing new: more about what was just reported, or where it is. The form ends and opens nothing for this message."""
    if not (
        _puts_right(desk)
        or _names_nothing(desk)
        or details.taken(desk)
        or _only_where(desk)
        or _can_wait(desk)
        or _what_of(desk)
    ):
        return False
    drafts.save(desk, drafts.begin(desk, "BX"), {"told": desk.key})
    return True


def _names_nothing(desk: Desk) -> bool:
    """「她说今天就在家 明天要去医院拿药 你看着办」 behind an open report, taken for a fault: no thing, no trouble and no place is
    named, so it is a word to whoever comes. Whether it was so."""
    if desk.intent != "report_repair" or desk.confidence >= details.CERTAIN or drafts.find(desk, "BX") is not None:
        return False
    if desk.entity("symptom") or things_in(desk.text) or adds(desk.text) or opens_another(desk.text):
        return False
    place = read_place(desk.session, desk.community_id, desk.text, resident=desk.actor.resident)
    own = finding.open_of(desk.session, desk.actor, kinds=("BX",)) if desk.actor.resident else []
    if not own or place.action != "none" or bare_request(desk.text) or own[0].status == "done":
        return False
    ticket = verbs.load(desk.session, own[0].id)
    details.add(desk, ticket, desk.text)
    desk.say(notify.detail_thanks(ticket))
    return True


def _puts_right(desk: Desk) -> bool:
    """「不是电梯进水 是车位顶上管子滴水」 right behind a report of that trade: how it was understood is put right, and no other fault is
    told. Whether it was so."""
    if desk.intent != "report_repair" or drafts.find(desk, "BX") is not None:
        return False
    wrong = instead_of(desk.text)
    fresh = drafts.just_reported(desk, FRESH_DETAIL)[:1] if wrong else []
    if not fresh or not things_in(wrong) & things_in(f"{finding.told_of(fresh[0])} {fresh[0].place_text}"):
        return False
    told = category(desk.category or fresh[0].code)
    if (told.trades or ("",))[0] != trade_of(fresh[0]):
        # Somebody else's work: a job of its own.
        return False
    ticket = verbs.load(desk.session, fresh[0].id)
    details.add(desk, ticket, desk.text)
    if not correct_latest(desk):
        desk.say(notify.detail_thanks(ticket))
    return True


def _only_where(desk: Desk) -> bool:
    """「地库二号桩」 just after a charging point was reported: that one's place, and no other fault. Whether it was put right."""
    if desk.intent != "report_repair" or desk.entity("symptom") or drafts.find(desk, "BX") is not None:
        return False
    own = finding.open_of(desk.session, desk.actor, kinds=("BX",))
    fresh = [one for one in own[:1] if one.code == desk.category and desk.now - one.created_at <= FRESH_DETAIL]
    return bool(fresh) and correct_latest(desk)


def _what_of(desk: Desk) -> bool:
    """「那地锁呢」 right behind an answer asks on, and reports no lock. Whether it was so."""
    asked = inquiries.last_asked(desk.session, desk.actor.resident, desk.now) if what_of(desk.text) else None
    if asked is None or drafts.find(desk, "BX") is not None:
        return False
    answer_question(desk, desk.text)
    return True


def _can_wait(desk: Desk) -> bool:
    """「射灯那个不急」 of one of the faults just told: a word about it, and no other fault. Whether it was so."""
    if not no_hurry(desk.text) or len(desk.text) > BRIEF or drafts.find(desk, "BX") is not None:
        return False
    meant = finding.about(drafts.just_reported(desk, FRESH_DETAIL), desk.text)
    for one in meant[:1]:
        ticket = verbs.load(desk.session, one.id)
        verbs.add_detail(desk.session, ticket, desk.actor, desk.text, desk.now, flags={"no_hurry": True})
        desk.say(notify.detail_thanks(ticket))
    return bool(meant)


def _taken_in(desk: Desk) -> Draft | None:
    """The draft with this message in it; None if nothing of it is left for the form."""
    draft = drafts.begin(desk, "BX")
    _words_of_unsure(desk, draft)
    if desk.intent == "report_repair" and desk.key not in draft.data.get("seen", []):
        answer_beside(desk)
    drafts.merge_fault(desk, draft)
    told = draft.data
    grave = [fault for fault in told.get("faults", []) if is_danger(fault["code"])]
    return _alarmed(desk, told, grave) if grave else draft


def _alarmed(desk: Desk, told: dict[str, Any], grave: list[dict[str, Any]]) -> Draft | None:
    """A fault that is itself a danger waits for no form (domain.md §3.4). What was told beside it is registered as it stands: nobody
    is asked about a lamp now."""
    for number, fault in enumerate(grave):
        words = fault["words"] if len(told["faults"]) > 1 else told["words"]
        args = (desk.session, desk.conversation, desk.actor, fault["code"], words, f"{desk.key}:u{number}", desk.now)
        emergencies.reported(*args)
    drafts.drop(desk)
    draft, rest = drafts.begin(desk, "BX"), [fault for fault in told["faults"] if fault not in grave]
    drafts.save(desk, draft, {**told, "faults": rest, "handover": True} if rest else {"told": desk.key})
    return draft if rest else None


def _held(desk: Desk, draft: Draft | None) -> bool:
    """Whether this turn has become a matter of safety, so that the form opens nothing now."""
    if draft is None:
        return emergencies.taken_up(desk.session, desk.actor, desk.now)
    if draft.data.get("held"):
        drafts.save(desk, draft, {name: value for name, value in draft.data.items() if name != "held"})
        return True
    return False


def _words_of_unsure(desk: Desk, draft: Draft) -> None:
    """What was said before 「您是要报修吗」 is the fault, not the word 报修 that answered it."""
    words = drafts.take_unsure(desk, draft, "report_repair")
    if words:
        desk.text, desk.message = (
            words,
            {**desk.message, "text": words, "faults": [], "intent": {"name": "report_repair"}},
        )


def _next_slot(desk: Desk, draft: Draft) -> str | None:
    if not draft.data.get("faults"):
        return "symptom"
    return "location" if drafts.open_places(draft) else None


class AskSymptom(DeskAction):
    def name(self) -> str:
        return "action_ask_symptom"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        draft = drafts.begin(desk, "BX")
        _count_question(desk, draft)
        desk.say("reply.ask_symptom_again" if draft.data["asked"] > 1 else "reply.ask_symptom")
        return []


class AskLocation(DeskAction):
    """Only the level that is missing, with the real options; the one useful question about the fault rides along."""

    def name(self) -> str:
        return "action_ask_location"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        draft = drafts.begin(desk, "BX")
        _count_question(desk, draft)
        fault = drafts.open_places(draft)[0]
        text = place_question(fault)
        if text == draft.data.get("place_question"):
            text = say("reply.ask_place_more", question=text)
        else:
            drafts.save(desk, draft, {**draft.data, "place_question": text})
        key = category(fault["code"]).question(fault["words"])
        # Whether it smells of gas is asked alone: its answer is not looked for among numbers of houses.
        rides = has_text(key) and category(fault["code"]).ask != GAS_SMELL and not _answered(draft, fault["code"])
        if rides and not draft.data.get("fault_asked") and not draft.data.get("flags"):
            text = f"{text}\n{say(key)}"
            drafts.save(desk, draft, {**draft.data, "fault_asked": True})
        buttons = [("say:" + label, label) for label, _ in fault.get("options", [])]
        desk.tell(text, buttons)
        return []


def _answered(draft: Draft, code: str) -> bool:
    """Whether the words told so far answer what is asked about their one fault: 「次卧插座没电，别的都好的」."""
    words = str(draft.data.get("words", ""))
    one = len(draft.data.get("faults", [])) == 1
    return one and (told_already(category(code).ask, words) or not category(code).question(words))


def _count_question(desk: Desk, draft: Draft) -> None:
    drafts.save(desk, draft, {**draft.data, "asked": draft.data.get("asked", 0) + 1})


def place_question(fault: dict[str, Any]) -> str:
    """Words for what is wrong with, or missing from, the place told so far."""
    problem = fault.get("problem") or {}
    if problem:
        return problem_text(problem)
    options = [label for label, _ in fault.get("options", [])]
    if options:
        return say("reply.ask_place_options", options=say("list.comma").join(options))
    code = fault.get("code") or "X00"
    shared = category(code).common and not at_home(fault.get("words", ""))
    anywhere = code[0] if has_text(f"reply.ask_place_{code[0]}") else "common" if shared else "all"
    missing = fault.get("missing") or anywhere
    return say(f"reply.ask_place_{missing}") if has_text(f"reply.ask_place_{missing}") else say("reply.ask_place_all")


class OpenRepair(DeskAction):
    """登记: one ticket for each fault, one answer for all of them (domain.md §2.8, §5.5)."""

    def name(self) -> str:
        return "action_open_repair"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        draft = drafts.find(desk, "BX")
        if _held(desk, draft):
            desk.done()
            return _cleared()
        if draft is None:
            desk.say("reply.ask_symptom")
            return _cleared()
        if draft.data.get("told") == desk.key:
            drafts.drop(desk)
            desk.done()
            return _cleared()
        if drops_draft(desk.text) and not draft.data.get("faults"):
            drafts.drop(desk)
            desk.say("reply.draft_dropped")
            return _cleared()
        if _parting(desk, draft):
            drafts.drop(desk)
            return [*_cleared(), FollowupAction(f"utter_{desk.intent}")]
        tickets = _open_all(desk, draft)
        _lend_home(desk, draft, tickets)
        if desk.message.get("grievance"):
            _open_beside(desk, tickets[0], GRIEVANCE, desk.text, "ts")
        for number, beside in enumerate(draft.data.get("complaints", [])):
            _open_beside(desk, tickets[0], beside["code"], beside["words"], f"ts{number}")
        drafts.drop(desk)
        return _cleared()


def _open_all(desk: Desk, draft: Draft) -> list[Ticket]:
    """A ticket for every fault that is not already somebody else's, and the answer; returns what each fault became."""
    own: list[Ticket] = []
    tickets: list[Ticket] = []
    for index, fault in enumerate(_faults(draft)):
        ticket = _told_again(desk, fault) or _shared(desk, draft, fault, index)
        if ticket is None:
            ticket = _open(desk, draft, fault, index)
            if ticket.status == "merged":
                _told_merged(desk, ticket)
            else:
                own.append(ticket)
        tickets.append(ticket)
    if own:
        _answer(desk, draft, own)
    return tickets


def _lend_home(desk: Desk, draft: Draft, tickets: list[Ticket]) -> None:
    """「楼上天天闹 我家1203马桶也堵了」, asked for its building because of the toilet: the complaint before it happens there too."""
    home = next((one for one in tickets if not one.public_area and is_exact(one.place_key)), None)
    if home is None or "complaint" not in draft.data:
        return
    complaint = verbs.load(desk.session, int(draft.data["complaint"]))
    where = _own_place(desk, complaint.symptom, home)
    if complaint.reporter_id == home.reporter_id and not is_exact(complaint.place_key):
        verbs.correct(desk.session, complaint, desk.actor, desk.now, place_key=where.key, place_text=where.text)


def _own_place(desk: Desk, words: str, told: Ticket) -> drafts.Where:
    """Where the words of a complaint say that it is, near the fault told with it; where that fault is if they do not say."""
    near = told.place_key if is_exact(told.place_key) and " + " not in told.place_key else ""
    place = read_place(desk.session, desk.community_id, words, resident=desk.actor.resident, draft=near)
    place = of_kind(desk.session, desk.community_id, drafts.affected(desk, place), public=True)
    if place.action in drafts.SETTLED:
        return drafts.Where(place.key, place.display, place.public)
    return drafts.Where(told.place_key, told.place_text, told.public_area)


def _cleared() -> Events:
    return [SlotSet("symptom", None), SlotSet("location", None)]


def _faults(draft: Draft) -> list[dict[str, Any]]:
    known = list(draft.data.get("faults", []))
    return known or [{"code": "X00", "words": draft.data.get("words", "")}]


def _open(desk: Desk, draft: Draft, fault: dict[str, Any], index: int) -> Ticket:
    told = verbs.drafted("BX", draft.data, fault, several=len(_faults(draft)) > 1)
    report = replace(
        told,
        source_key=f"{desk.key}:{index}",
        reporter=desk.actor.resident,
        reporter_staff=desk.actor.staff,
        conversation=desk.conversation,
        source="chat" if desk.actor.resident else "patrol",
    )
    ticket, _ = verbs.open_ticket(desk.session, desk.community_id, report, desk.now)
    return ticket


def _told_again(desk: Desk, fault: dict[str, Any]) -> Ticket | None:
    """The ticket of this person's own that a fault told a second time belongs to."""
    if desk.actor.resident is None:
        return None
    for own in finding.open_of(desk.session, desk.actor, kinds=("BX",)):
        before = not str(own.source_key).startswith(f"{desk.key}:") and desk.now - own.created_at <= SAME_TELLING
        if before and (_same_shared(own, fault) or _same_at_home(own, fault)):
            ticket = verbs.load(desk.session, own.id)
            details.add(desk, ticket, str(fault["words"]))
            desk.say("reply.told_again", **notify.facts(ticket, desk.now))
            return ticket
    return None


def _same_shared(own: Ticket, fault: dict[str, Any]) -> bool:
    """The same fault in the same public place; a lift is the same on every floor."""
    key = fault.get("place_key", "")
    part = part_of(key, "unit")
    lift = category(own.code).trades[:1] == ("lift",) and part and part_of(own.place_key, "unit") == part
    return bool(own.public_area and own.code == fault["code"] and (lift or own.place_key == key))


def _same_at_home(own: Ticket, fault: dict[str, Any]) -> bool:
    """「马桶还是堵的 水快漫出来了」 of the flat whose toilet was told: the same thing, in no other room, and not 也 or 另外."""
    words = str(fault["words"])
    if own.public_area or not is_exact(own.place_key) or own.place_key != fault.get("place_key"):
        return False
    if own.status == "done" or is_also(words) or adds(words) or own.code[:1] != fault["code"][:1]:
        return False
    return same_things(words, own.symptom) and spots_in(words) <= spots_in(own.symptom)


def _shared(desk: Desk, draft: Draft, fault: dict[str, Any], index: int) -> Ticket | None:
    """The running ticket this fault belongs to, if others have told it: an incident takes the report in at once, another
    neighbour's report of the same place only if the resident says that it is the same (domain.md §2.8)."""
    resident, key = desk.actor.resident, fault.get("place_key", "")
    known = resident and verbs.running_like(desk.session, desk.community_id, fault["code"], key, resident)
    if resident is None or known is None or draft.data.get("handover"):
        return None
    ticket = verbs.load(desk.session, known.id)
    place = (key, fault.get("place_text") or "")
    if verbs.is_incident(ticket):
        verbs.join(
            desk.session, ticket, desk.actor, fault["words"], desk.now, conversation=desk.conversation, place=place
        )
        desk.say("reply.incident_known", **notify.facts(ticket, desk.now))
        return ticket
    if follows(desk.session, ticket, resident):
        desk.say("reply.joined", **notify.facts(ticket, desk.now))
        return ticket
    buttons = [("say:" + say(name), say(name)) for name in ("button.join", "button.join_apart")]
    desk.say("reply.join_ask", buttons, **notify.facts(ticket, desk.now))
    told = {"code": fault["code"], "symptom": fault["words"], "place_key": key, "place_text": place[1]}
    told |= {"source_key": f"{desk.key}:{index}", "conversation": desk.conversation.id}
    wait = desk.now + JOIN_WAIT
    questions.ask(desk.session, resident, "join", desk.now, ticket=ticket, remind_at=wait, **told)
    return ticket


def _told_merged(desk: Desk, ticket: Ticket) -> None:
    """A verb has told the resident that several homes have it; what is left to ask is whether somebody needs help."""
    desk.done()
    parent = desk.session.get(Ticket, ticket.parent_id)
    key = category(parent.code).question(parent.symptom) if parent else ""
    if parent is None or desk.actor.resident is None or not has_text(key):
        return
    desk.say(key)
    questions.ask(desk.session, desk.actor.resident, "detail", desk.now, ticket=parent)


def _answer(desk: Desk, draft: Draft, tickets: list[Ticket]) -> None:
    """The card (or a line for each of several), then at most one follow-up with what is still worth knowing."""
    lines = [notify.card(tickets[0], desk.now)] if len(tickets) == 1 else [_short_cards(desk, tickets)]
    buttons: list[tuple[str, str]] = []
    unsure = {fault["code"] for fault in _faults(draft) if fault.get("confirm")}
    fuzzy = next((one for one in tickets if one.code in unsure), None)
    if draft.data.get("handover"):
        lines.append(_person_called(desk, draft, tickets[0]))
        lines += _phone_wanted(desk, tickets[0])
    elif fuzzy and desk.actor.resident:
        lines.append(say("reply.place_right", place=fuzzy.place_text))
        buttons = [("say:" + say(key), say(key)) for key in ("button.right", "button.wrong")]
        questions.ask(desk.session, desk.actor.resident, "confirm_address", desk.now, ticket=fuzzy)
    else:
        lines += _follow_up(desk, draft, tickets)
    if desk.actor.staff:
        lines = lines[:1]
    desk.tell("\n".join(lines), buttons)


def _person_called(desk: Desk, draft: Draft, ticket: Ticket) -> str:
    """No further question: a person finds out what is missing, in this chat or by telephone."""
    resident = desk.actor.resident
    words = str(draft.data.get("words", ""))
    talk = (
        talks.ask(desk.session, desk.conversation, resident, words, desk.now, why="gave_up", ticket=ticket)
        if resident
        else None
    )
    name = talk.staff.name if talk and talk.staff else say("role.desk")
    return say("reply.handover_missing", who=name)


def _short_cards(desk: Desk, tickets: list[Ticket]) -> str:
    """A line each; where two would read the same, with the words that tell them apart."""
    alike = Counter((one.code, one.place_key) for one in tickets)
    lines = [say("reply.several_head", count=len(tickets))]
    for one in tickets:
        key = "reply.several_line_words" if alike[one.code, one.place_key] > 1 else "reply.several_line"
        lines.append(say(key, **notify.facts(one, desk.now)))
    return "\n".join(lines)


def _follow_up(desk: Desk, draft: Draft, tickets: list[Ticket]) -> list[str]:
    """The category's question (asked once), the wished time for a visit at home, a phone if there is none."""
    resident = desk.actor.resident
    if resident is None:
        return []
    asked: list[str] = []
    pressing = sorted(tickets, key=lambda one: (one.public_area, one.level))
    ticket = next((one for one in pressing if _question(desk, draft, one)), None)
    if ticket:
        asked.append(say(_question(desk, draft, ticket)))
        questions.ask(desk.session, resident, "detail", desk.now, ticket=ticket)
        if category(ticket.code).ask == GAS_SMELL:
            emergencies.beside_report(desk.session, desk.conversation, resident, "GAS", ticket.symptom, desk.now)
    elif _needs_time(tickets[-1]):
        asked.append(say("reply.ask_time"))
        questions.ask(desk.session, resident, "detail", desk.now, ticket=tickets[-1])
    return asked + _phone_wanted(desk, tickets[0])


def _phone_wanted(desk: Desk, ticket: Ticket) -> list[str]:
    if desk.actor.resident is None or ticket.contact_phone:
        return []
    questions.ask(desk.session, desk.actor.resident, "phone", desk.now, ticket=ticket)
    return [say("reply.phone_wanted")]


def _question(desk: Desk, draft: Draft, ticket: Ticket) -> str:
    """The category's question, unless it was asked or the message told too much for one; whether it smells of gas is left out only
    where the resident has just said that there is no danger, or no smell."""
    key = category(ticket.code).question(ticket.symptom)
    already = draft.data.get("fault_asked") or draft.data.get("flags") or draft.data.get("asked", 0) > 1
    already = already or _answered(draft, ticket.code)
    if category(ticket.code).ask == GAS_SMELL and desk.actor.resident:
        already = drafts.just_denied(desk, "GAS") or smells_nothing(draft.data.get("words", ""))
    return key if has_text(key) and not already and ticket.level != "U0" else ""


def _needs_time(ticket: Ticket) -> bool:
    late = ticket.level in ("U2", "U3", "U4") and ticket.code not in AT_ONCE
    return late and not ticket.public_area and not ticket.wanted_label


def _open_beside(desk: Desk, linked: Ticket, code: str, words: str, mark: str) -> None:
    """Blame beside a fault, or another matter told with it, becomes a complaint linked to the repair (domain.md §2.8)."""
    where = _own_place(desk, words, linked) if code != GRIEVANCE else drafts.Where(linked.place_key, linked.place_text)
    report = Report(
        kind="TS",
        code=code,
        symptom=words,
        source_key=f"{desk.key}:{mark}",
        place_key=where.key,
        place_text=where.text,
        reporter=desk.actor.resident,
        reporter_staff=desk.actor.staff,
        conversation=desk.conversation,
        linked=linked,
    )
    ticket, _ = verbs.open_ticket(desk.session, desk.community_id, report, desk.now)
    key = "reply.grievance" if code == GRIEVANCE else "reply.complaint_beside"
    desk.say(key, **notify.facts(ticket, desk.now))
