"""投诉: listen, ask at most what helps, name the handler and the time of the answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.events import FollowupAction, SlotSet

from actions import details, drafts
from actions.context import Desk, DeskAction, Events
from actions.inquiry import answer_beside, answered_surely
from actions.progress import about_complaint, complaint_spoken_of, pressed_again
from storage.models import Draft, Ticket
from tickets import complaints, emergencies, finding, hearing, inquiries, notify, questions, verbs
from tickets.catalog import category
from tickets.places import problem_text, read_place
from tickets.texts import has_text, say
from tickets.words import (
    bare_request,
    drops_draft,
    failed_repair,
    gives_up,
    goes_on,
    hurt_by_animal,
    is_angry,
    is_grave,
    mocks,
    only_presses,
    only_scolds,
    plainly_asks,
    plainly_praises,
    points_in,
    says_praise,
    scolds_handling,
    shouts,
    things_in,
)

# Each has a rule in data/rules/forms.yml.
INTERRUPTIONS = frozenset({"greet", "ask_question", "ask_progress", "bot_challenge", "cancel", "handoff"})
LEAK_QUARREL, LEAK = "T18", "W03"
MAX_QUESTIONS = 2
SURE = 0.8
# Their names are the desk's own and say nothing to whoever complains.
NAMED_NOTHING = frozenset({"T22", "T26", "T27", "T29", "T99"})
ENOUGH_WORDS = 26
GOES_ON = timedelta(days=14)


class ValidateComplaintForm(DeskAction):
    """What it is about, and the one question of its category; an angry or long message is asked nothing (domain.md S54)."""

    def name(self) -> str:
        return "validate_complaint_form"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        if drafts.interrupted(desk, tracker, INTERRUPTIONS):
            return []
        if desk.actor.staff:
            # 「这家业主素质太差了 骂人」 of a worker is a word about the job on hand; for residents there is 代报.
            details.unknown(desk)
            return self.give_way(desk)
        if drafts.find(desk, "TS") is None and (about_complaint(desk) or _only_asks(desk)):
            return self.give_way(desk)
        if _praised(desk):
            return self.give_way(desk)
        draft = drafts.begin(desk, "TS")
        data = dict(draft.data)
        if desk.intent == "report_repair" and desk.faults and data.get("seen") and not data.get("words"):
            # 「你们还管不管事了」, asked what has happened: 「我家水槽堵了」.
            drafts.drop(desk)
            return [*self.give_way(desk), FollowupAction("repair_form")]
        if data.get("words") and desk.intent == "report_repair" and desk.faults:
            # A new problem: the complaint is registered as far as it was told, the fault gets its own ticket.
            data = {**data, "seen": [*data["seen"], desk.key], "faults": desk.faults, "complete": True}
            drafts.save(desk, draft, data)
        elif desk.key not in data.get("seen", []):
            data = _taken_in(desk, draft)
        wanted = None if _pressed(desk, draft.data) else _next_slot(desk, draft)
        return [
            SlotSet("matter", data.get("words") or (None if wanted == "matter" else "-")),
            SlotSet("detail", None if wanted else "-"),
            SlotSet("requested_slot", wanted),
        ]

    def give_way(self, desk: Desk) -> Events:
        """The form ends; what was told before this message is registered."""
        return [SlotSet("matter", "-"), SlotSet("detail", "-"), SlotSet("requested_slot", None)]


def _taken_in(desk: Desk, draft: Draft) -> dict[str, Any]:
    """The draft with this message in it."""
    if desk.intent == "file_complaint":
        answer_beside(desk)
    unsure = drafts.take_unsure(desk, draft, "file_complaint")
    data = {**draft.data, "seen": [*draft.data.get("seen", []), desk.key]}
    empty = bare_request(desk.text) or _off_the_point(desk) or _nothing_told(desk)
    words = unsure or ("" if empty else desk.text)
    data["words"] = " ".join(filter(None, (_with_right_place(desk, str(data.get("words", ""))), words)))
    if not data.get("code") and words:
        data["code"] = desk.category if desk.category.startswith("T") else "T99"
    data["angry"] = bool(data.get("angry")) or is_angry(desk.text) or shouts(desk.text) or is_grave(desk.text)
    data["faults"] = [*data.get("faults", []), *desk.faults]
    drafts.save(desk, draft, data)
    return data


def _with_right_place(desk: Desk, told: str) -> str:
    """What was told, with the place that the register does not have put right by this message (「是8栋」 behind 「88栋」)."""
    wrong, right = (read_place(desk.session, desk.community_id, one) for one in (told, desk.text))
    typed = str(wrong.problem.get("typed", "")) if wrong.action == "invalid" else ""
    if not typed or right.action in ("none", "invalid", "conflict") or not right.spans:
        return told
    start, end = right.spans[0]
    return told.replace(typed, desk.text[start:end])


def _off_the_point(desk: Desk) -> bool:
    """「明天油价涨不涨」 in the middle of a complaint is no part of it."""
    return any(name == "out_of_scope" and confidence >= SURE for name, confidence in desk.readings[:1])


def _nothing_told(desk: Desk) -> bool:
    """「你们还管不管事了」 of somebody with nothing open: no matter yet, so it is asked what has happened."""
    return only_scolds(desk.text) and not finding.open_of(desk.session, desk.actor)


def _next_slot(desk: Desk, draft: Draft) -> str | None:
    data = draft.data
    if data.get("asked", 0) >= MAX_QUESTIONS or gives_up(desk.text):
        return None
    if not data.get("words"):
        return "matter"
    if data.get("angry") or data.get("complete"):
        return None
    if complaints.failed_repair(desk.session, desk.actor, data.get("code", ""), data["words"]):
        return None
    if data.get("detail_asked"):
        return None
    if _place_problem(desk, data["words"]):
        return "detail"
    if hurt_by_animal(data["words"]) or _lacks_place(desk, data):
        return "detail"
    short = len(data["words"]) < ENOUGH_WORDS
    return "detail" if short and _question(desk, data) else None


def _lacks_place(desk: Desk, data: dict[str, Any]) -> bool:
    """Whether a complaint of this kind is of no use without a place, and these words name none."""
    code, words = str(data.get("code", "")), str(data["words"])
    if code not in complaints.NEEDS_PLACE:
        return False
    found = complaints.place_of_complaint(desk.session, desk.actor, desk.community_id, words, code=code)
    return not found[1]


def _question(desk: Desk, data: dict[str, Any]) -> str:
    """What is still worth knowing about a complaint in these words: how somebody hurt is, before anything that is wished; where it
    is; where and when, where its category asks nothing of its own."""
    words = str(data.get("words", ""))
    if hurt_by_animal(words):
        return say("ask.hurt")
    about = category(str(data.get("code") or "T99"))
    if _lacks_place(desk, data):
        return say("ask.noise_place" if about.ask == "noise" else "ask.complaint_place")
    if not has_text(f"ask.{about.ask}"):
        about = replace(about, ask="when_where", ask_if="")
    key = about.question(words)
    return say(key) if key else ""


class AskMatter(DeskAction):
    def name(self) -> str:
        return "action_ask_matter"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        draft = drafts.begin(desk, "TS")
        drafts.save(desk, draft, {**draft.data, "asked": draft.data.get("asked", 0) + 1})
        desk.say("reply.ask_matter_sorry" if only_scolds(desk.text) else "reply.ask_matter")
        return []


class AskDetail(DeskAction):
    def name(self) -> str:
        return "action_ask_detail"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        draft = drafts.begin(desk, "TS")
        drafts.save(desk, draft, {**draft.data, "asked": draft.data.get("asked", 0) + 1, "detail_asked": True})
        row = category(draft.data.get("code", "T99"))
        question = _place_problem(desk, str(draft.data.get("words", ""))) or _question(desk, draft.data)
        key = "reply.complaint_heard_plain" if row.code in NAMED_NOTHING else "reply.complaint_heard"
        desk.say(key, what=row.name, question=question)
        return []


class OpenComplaint(DeskAction):
    def name(self) -> str:
        return "action_open_complaint"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        draft = drafts.find(desk, "TS")
        cleared: Events = [SlotSet("matter", None), SlotSet("detail", None)]
        if draft is None and _answered_already(desk):
            desk.done()
            return cleared
        words = draft.data.get("words", "") if draft else ""
        if drops_draft(desk.text) or not words:
            drafts.drop(desk)
            desk.say("reply.draft_dropped")
            return cleared
        assert draft is not None
        if pressed := _pressed(desk, draft.data):
            drafts.drop(desk)
            _press(desk, pressed, words, angry=bool(draft.data.get("angry")))
            return cleared
        angry = bool(draft.data.get("angry"))
        ticket = open_complaint(desk, words, draft.data.get("code") or "T99")
        faults = _unregistered(desk, _faults_beside(draft, words))
        drafts.drop(desk)
        # The form of the fault beside it asks for the place as well.
        tell_opened(desk, ticket, angry=angry, asked=bool(draft.data.get("detail_asked") or faults))
        if faults:
            # 「垃圾物业，电梯又坏了」: the complaint is for the leader, but somebody must also mend the lift.
            drafts.begin_with(*_point_by_point(desk, faults), ticket if desk.actor.resident else None)
            return [*cleared, FollowupAction("repair_form")]
        if not angry:
            ask_phone(desk, ticket)
        return cleared


def _answered_already(desk: Desk) -> bool:
    """As a danger, a question, praise, a worker's word about a job, or a word about the complaint told before."""
    told = desk.actor.staff or complaint_spoken_of(desk) or _taken_up(desk)
    return bool(told or _was_asked(desk) or _was_praise(desk))


def _only_asks(desk: Desk) -> bool:
    """「那他装修拆墙也行？」, taken for a complaint: told if an answer is written that surely means it."""
    return plainly_asks(desk.text) and answered_surely(desk)


def _praised(desk: Desk) -> bool:
    """「你们绿化搞得倒是挺好的」, taken for a complaint: passed on as praise. What was being told stays, unless it was praise as well
    (「是夸你们呢 听不出来啊」). Whether it was so."""
    draft = drafts.find(desk, "TS")
    told = draft is not None and draft.data.get("words")
    if desk.actor.resident is None or mocks(desk.text) or not (says_praise(desk.text) or _only_praise(desk, draft)):
        return False
    words = str(draft.data["words"]) if draft is not None and told else desk.text
    drafts.drop(desk)
    told_praise(desk, words)
    return True


def _was_praise(desk: Desk) -> bool:
    """Whether the form of this message has passed it on as praise."""
    newest = finding.last_of(desk.session, desk.actor)
    return newest is not None and newest.kind == "BY" and newest.source_key == f"{desk.key}:c"


def _only_praise(desk: Desk, draft: Draft | None) -> bool:
    return draft is None and plainly_praises(desk.text)


def told_praise(desk: Desk, words: str) -> None:
    """Praise goes on to whom it is meant for; a resident is asked whether to be named."""
    said = hearing.praise(desk.session, desk.actor, desk.conversation, words, f"{desk.key}:c", desk.now)
    yes, no = say("button.name_me"), say("button.no_name")
    named = desk.actor.resident and questions.asked_since(desk.session, desk.actor.resident, ("praise_name",), desk.now)
    desk.tell(said, [("say:" + yes, yes), ("say:" + no, no)] if named else ())


def _was_asked(desk: Desk) -> bool:
    """Whether the form of this message has answered it as a question."""
    asked = inquiries.last_asked(desk.session, desk.actor.resident, desk.now) if desk.actor.resident else None
    return asked is not None and asked.asked_at == desk.now and plainly_asks(desk.text)


def _taken_up(desk: Desk) -> bool:
    return emergencies.taken_up(desk.session, desk.actor, desk.now)


def _pressed(desk: Desk, data: dict[str, Any]) -> Ticket | None:
    """The complaint still open that these words press, or say to go on (「昨天又闹到两点」): it is not told a second time."""
    words = str(data.get("words", ""))
    own = finding.open_of(desk.session, desk.actor, kinds=("TS",))
    presses = only_presses(words) or _scolds_on(desk, own, words)
    if not presses and (not goes_on(words) or _names_place(desk)):
        return None
    same = [one for one in own if one.code == data.get("code") and desk.now - one.created_at <= GOES_ON]
    meant = own if presses else same
    return verbs.load(desk.session, meant[0].id) if meant else None


def _scolds_on(desk: Desk, own: list[Ticket], words: str) -> bool:
    """「都说了多少回了 你们就会协调」, minutes after the newest of one's `own` complaints: about that one."""
    just_told = any(desk.now - one.created_at <= drafts.THIS_TALK for one in own[:1])
    return just_told and scolds_handling(words) and not things_in(words)


def _place_problem(desk: Desk, words: str) -> str:
    """What is wrong with the place these words name (「88栋半夜装修」), "" if the register has it or none is named."""
    place = read_place(desk.session, desk.community_id, words, resident=desk.actor.resident)
    return problem_text(place.problem) if place.action == "invalid" else ""


def _names_place(desk: Desk) -> bool:
    return read_place(desk.session, desk.community_id, desk.text).action != "none"


def still_goes_on(desk: Desk) -> bool:
    """「昨晚又搞到一点」, which sounds like a repair that failed: presses the complaint of this fortnight; whether there was one."""
    own = finding.open_of(desk.session, desk.actor, kinds=("TS",))
    fresh = [one for one in own if desk.now - one.created_at <= GOES_ON]
    broken = failed_repair(desk.text) or things_in(desk.text)
    told_on = goes_on(desk.text) or only_presses(desk.text)
    if not fresh or broken or not told_on or _names_place(desk):
        return False
    _press(desk, verbs.load(desk.session, fresh[0].id), desk.text, angry=is_angry(desk.text))
    return True


def _press(desk: Desk, ticket: Ticket, words: str, *, angry: bool) -> None:
    if pressed_again(desk, ticket, words):
        return
    if angry or only_presses(words) or scolds_handling(words):
        desk.tell(hearing.answer_anger(desk.session, ticket, desk.now))
    else:
        desk.say("reply.complaint_goes_on", **notify.facts(ticket, desk.now))


def tell_opened(desk: Desk, ticket: Ticket, *, angry: bool, asked: bool = False) -> None:
    """An angry resident hears what the desk knows and who speaks to them by when; everybody else reads it back once. What was
    `asked` before is not asked again."""
    if angry or ticket.level == "C1":
        desk.tell(hearing.answer_anger(desk.session, ticket, desk.now))
    else:
        key = "reply.grievance" if ticket.linked_id else "reply.complaint_opened"
        detail = ticket.detail or {}
        wish = say("complaint.wish", wish=detail["wish"]) if detail.get("wish") else ""
        desk.say(key, core=detail.get("core", ""), wish=wish, **notify.facts(ticket, desk.now))
    if hurt_by_animal(ticket.symptom) and not asked:
        desk.say("ask.hurt")
    if problem := _place_problem(desk, ticket.symptom):
        desk.tell(problem)
    elif complaints.lacks_place(ticket) and not (angry or asked or ticket.level == "C1"):
        desk.say("reply.complaint_place")
    if (ticket.detail or {}).get("hidden"):
        desk.say(complaints.hidden_key(ticket))


class NoteComplaint(DeskAction):
    """A complaint told while a repair is being taken down: registered as it stands, the repair goes on (fact 12)."""

    def name(self) -> str:
        return "action_note_complaint"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        code = desk.category if desk.category.startswith("T") else "T99"
        tell_opened(desk, open_complaint(desk, desk.text, code), angry=is_angry(desk.text), asked=True)
        return []


def ask_phone(desk: Desk, ticket: Ticket) -> None:
    """A stranger without a number is asked for one, so that somebody can call; who is promised a word of the manager was asked
    with the promise."""
    hidden = (ticket.detail or {}).get("hidden")
    if desk.actor.resident and not ticket.contact_phone and not hidden and ticket.level != "C1":
        desk.say("reply.phone_wanted_call")
        questions.ask(desk.session, desk.actor.resident, "phone", desk.now, ticket=ticket)


def _faults_beside(draft: Draft, words: str) -> list[dict[str, Any]]:
    """What has to be mended beside the complaint; a quarrel about a leak is always a leak too."""
    told = list(draft.data.get("faults", []))
    return told or ([{"category": LEAK, "text": words}] if draft.data.get("code") == LEAK_QUARREL else [])


def _point_by_point(desk: Desk, faults: list[dict[str, Any]]) -> tuple[Desk, list[dict[str, Any]]]:
    """The faults of a letter with numbered points, each with the words of its point and no others: the place of one point is not
    where the thing of another stands, and 「1、3栋」 is one building. What is no fault stays in the complaint."""
    points = points_in(desk.text)
    found = [next((one for one in points if _told_in(str(fault["text"]), one)), "") for fault in faults]
    if not points or not all(found):
        return desk, faults
    told = [{**fault, "text": point} for fault, point in zip(faults, found, strict=True)]
    return replace(desk, text=say("list.pause").join(dict.fromkeys(found))), told


def _told_in(fault: str, point: str) -> bool:
    """Whether the words of a fault are told in this point; of words over several points the first that names a thing tells it."""
    return fault.strip(" ，,。；;") in point or (point in fault and bool(things_in(point)))


def _unregistered(desk: Desk, faults: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Faults named beside a complaint for which this person has no open ticket yet."""
    open_ones = finding.open_of(desk.session, desk.actor, kinds=("BX",))
    known = {one.code for one in open_ones}
    return [one for one in faults if one["category"] not in known and not finding.about(open_ones, str(one["text"]))]


def open_complaint(desk: Desk, words: str, code: str, *, kind: str = "TS") -> Ticket:
    """Register it, with the person named in it kept away from it (domain.md §2.4)."""
    return hearing.hear(desk.session, desk.actor, desk.conversation, words, code, f"{desk.key}:c", desk.now, kind=kind)
