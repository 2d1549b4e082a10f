"""投诉: listen, ask at most what helps, name the handler and the time of the answer."""

from __future__ import annotations

from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.events import FollowupAction, SlotSet
from sqlalchemy import select

from actions import drafts
from actions.context import Desk, DeskAction, Events
from actions.progress import about
from nlu.slots import find_people, find_phone
from storage.models import Draft, Staff, Ticket
from tickets import finding, notify, questions, verbs
from tickets.catalog import category
from tickets.places import read_place
from tickets.texts import has_text, say
from tickets.verbs import Report
from tickets.words import bare_request, drops_draft, gives_up, is_angry, is_grave, shouts

# Each has a rule in data/rules/forms.yml.
INTERRUPTIONS = frozenset({"greet", "ask_question", "ask_progress", "bot_challenge", "cancel", "handoff"})
FAILED_REPAIR = "T02"
LEAK_QUARREL, LEAK = "T18", "W03"
MAX_QUESTIONS = 2
ENOUGH_WORDS = 26


class ValidateComplaintForm(DeskAction):
    """What it is about, and the one question of its category; an angry or long message is asked nothing (domain.md S54)."""

    def name(self) -> str:
        return "validate_complaint_form"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        if drafts.interrupted(desk, tracker, INTERRUPTIONS):
            return []
        draft = drafts.begin(desk, "TS")
        data = dict(draft.data)
        if data.get("words") and desk.intent == "report_repair" and desk.faults:
            # A new problem: the complaint is registered as far as it was told, the fault gets its own ticket.
            data = {**data, "seen": [*data["seen"], desk.key], "faults": desk.faults, "complete": True}
            drafts.save(desk, draft, data)
        elif desk.key not in data.get("seen", []):
            unsure = drafts.take_unsure(desk, draft, "file_complaint")
            data = {**draft.data, "seen": [*data.get("seen", []), desk.key]}
            words = unsure or ("" if bare_request(desk.text) else desk.text)
            data["words"] = " ".join(filter(None, (data.get("words", ""), words)))
            if not data.get("code") and words:
                data["code"] = desk.category if desk.category.startswith("T") else "T99"
            data["angry"] = bool(data.get("angry")) or is_angry(desk.text) or shouts(desk.text) or is_grave(desk.text)
            data["faults"] = [*data.get("faults", []), *desk.faults]
            drafts.save(desk, draft, data)
        wanted = _next_slot(desk, draft)
        return [
            SlotSet("matter", data.get("words") or (None if wanted == "matter" else "-")),
            SlotSet("detail", None if wanted else "-"),
            SlotSet("requested_slot", wanted),
        ]


def _next_slot(desk: Desk, draft: Draft) -> str | None:
    data = draft.data
    if data.get("asked", 0) >= MAX_QUESTIONS or gives_up(desk.text) or data.get("angry") or data.get("complete"):
        return None
    if not data.get("words"):
        return "matter"
    if _failed_repair(desk, data.get("code", ""), data["words"]):
        return None
    return None if len(data["words"]) >= ENOUGH_WORDS or data.get("detail_asked") else "detail"


def _failed_repair(desk: Desk, code: str, words: str) -> Ticket | None:
    """The open repair that a complaint of this kind is about; everything worth asking is known from it."""
    if code != FAILED_REPAIR:
        return None
    mine = finding.open_of(desk.session, desk.actor, kinds=("BX",))
    return next(iter(about(mine, words) or mine), None)


def _question(code: str) -> str:
    key = f"ask.{category(code).ask}"
    return say(key if has_text(key) else "ask.when_where")


class AskMatter(DeskAction):
    def name(self) -> str:
        return "action_ask_matter"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        draft = drafts.begin(desk, "TS")
        drafts.save(desk, draft, {**draft.data, "asked": draft.data.get("asked", 0) + 1})
        desk.say("reply.ask_matter")
        return []


class AskDetail(DeskAction):
    def name(self) -> str:
        return "action_ask_detail"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        draft = drafts.begin(desk, "TS")
        drafts.save(desk, draft, {**draft.data, "asked": draft.data.get("asked", 0) + 1, "detail_asked": True})
        row = category(draft.data.get("code", "T99"))
        desk.say("reply.complaint_heard", what=row.name, question=_question(row.code))
        return []


class OpenComplaint(DeskAction):
    def name(self) -> str:
        return "action_open_complaint"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        draft = drafts.find(desk, "TS")
        cleared: Events = [SlotSet("matter", None), SlotSet("detail", None)]
        words = draft.data.get("words", "") if draft else ""
        if drops_draft(desk.text) or not words:
            drafts.drop(desk)
            desk.say("reply.draft_dropped")
            return cleared
        assert draft is not None
        ticket = open_complaint(desk, words, draft.data.get("code") or "T99", angry=bool(draft.data.get("angry")))
        faults = _unregistered(desk, _faults_beside(draft, words))
        drafts.drop(desk)
        key = "reply.grievance" if ticket.linked_id else "reply.complaint_opened"
        key = "reply.complaint_opened_grave" if ticket.level == "C1" else key
        desk.say(key, core=_core(words), **notify.facts(ticket, desk.now))
        if faults:
            # 「垃圾物业，电梯又坏了」: the complaint is for the leader, but somebody must also mend the lift.
            drafts.begin_with(desk, faults)
            return [*cleared, FollowupAction("repair_form")]
        ask_phone(desk, ticket)
        return cleared


class NoteComplaint(DeskAction):
    """A complaint told while a repair is being taken down: registered as it stands, the repair goes on (fact 12)."""

    def name(self) -> str:
        return "action_note_complaint"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        code = desk.category if desk.category.startswith("T") else "T99"
        ticket = open_complaint(desk, desk.text, code, angry=is_angry(desk.text))
        desk.say("reply.complaint_opened", core=_core(desk.text), **notify.facts(ticket, desk.now))
        return []


def ask_phone(desk: Desk, ticket: Ticket) -> None:
    """A stranger without a number is asked for one, so that somebody can call."""
    if desk.actor.resident and not ticket.contact_phone:
        desk.say("reply.phone_wanted_call")
        questions.ask(desk.session, desk.actor.resident, "phone", desk.now, ticket=ticket)


def _faults_beside(draft: Draft, words: str) -> list[dict[str, Any]]:
    """What has to be mended beside the complaint; a quarrel about a leak is always a leak too."""
    told = list(draft.data.get("faults", []))
    return told or ([{"category": LEAK, "text": words}] if draft.data.get("code") == LEAK_QUARREL else [])


def _unregistered(desk: Desk, faults: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Faults named beside a complaint for which this person has no open ticket yet."""
    open_ones = finding.open_of(desk.session, desk.actor, kinds=("BX",))
    known = {one.code for one in open_ones}
    return [one for one in faults if one["category"] not in known and not about(open_ones, str(one["text"]))]


def open_complaint(desk: Desk, words: str, code: str, *, angry: bool = False, kind: str = "TS") -> Ticket:
    """Register it with the person named in it kept away from it; threats and injuries make it C1 (domain.md §2.2)."""
    place = drafts.affected(desk, read_place(desk.session, desk.community_id, words, resident=desk.actor.resident))
    told = place.action not in ("none", "invalid", "conflict")
    linked = _failed_repair(desk, code, words)
    report = Report(
        kind=kind,
        code=code,
        symptom=words,
        source_key=f"{desk.key}:c",
        place_key=place.key if told else linked.place_key if linked else "",
        place_text=place.display if told else linked.place_text if linked else "",
        reporter=desk.actor.resident,
        reporter_staff=desk.actor.staff,
        conversation=desk.conversation,
        contact_phone=find_phone(words) or "",
        level="C1" if kind == "TS" and is_grave(words) else "",
        linked=linked,
        accused=_accused(desk, words),
    )
    return verbs.open_ticket(desk.session, desk.community_id, report, desk.now)[0]


def _accused(desk: Desk, words: str) -> Staff | None:
    staff = desk.session.scalars(select(Staff).where(Staff.community_id == desk.community_id)).all()
    named = find_people(words, [one.name for one in staff])
    return next((one for one in staff if one.name in named), None)


def _core(words: str) -> str:
    words = " ".join(words.split())
    return words if len(words) <= 40 else words[:39] + "…"
