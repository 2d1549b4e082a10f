"""转人工、表扬、建议、退订, and the two steps of not understanding."""

from __future__ import annotations

from rasa_sdk import Tracker
from rasa_sdk.events import FollowupAction

from actions import details, drafts
from actions.changes import correct_latest, more_of_complaint, time_for_latest
from actions.complaint import open_complaint, still_goes_on, tell_opened, told_praise
from actions.context import Desk, DeskAction, Events
from actions.inquiry import answer_question, answered_surely
from actions.progress import about_complaint, about_worker, when_it_comes
from storage.models import Draft
from tickets import complaints, inquiries, notify, talks, verbs
from tickets.texts import has_text, say
from tickets.verbs import Report
from tickets.words import asks_money_back, asks_who_pays, form_asked_for, is_courtesy, mocks, things_in

LIKELY = 0.08
SHORT_WISH = 12
SURELY_TALK = 0.8
# Whether asked calmly or not: how far their matter is.
WAITS = frozenset({"urge", "ask_progress"})
# What a written answer may be meant by although the message was not understood.
ASKED = frozenset({"out_of_scope", "ask_question"})
# Not sure of it, but likely one of these: a piece of information about what was just reported, if something was.
MORE = frozenset({"inform", "affirm", "deny", "report_repair", "reschedule"})
COMPLAINS = "file_complaint"


class Handoff(DeskAction):
    """A person, always: the desk is told at once, and the resident by when somebody is back (domain.md §5.3)."""

    def name(self) -> str:
        return "action_handoff"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        hand_over(desk)
        return []


def hand_over(desk: Desk) -> None:
    """Ask for a person and say by when one is there; what was being told is registered as far as it goes."""
    resident = desk.actor.resident
    if resident is None:
        desk.say("staff.unknown")
        return
    if desk.conversation.group:
        desk.say("reply.person_in_private")
        return
    kept = talks.keep_draft(desk.session, desk.conversation, resident, desk.now)
    first = kept[0] if kept else None
    talk = talks.ask(desk.session, desk.conversation, resident, desk.text, desk.now, ticket=first)
    desk.tell(talks.promise(desk.session, talk, desk.now))
    if kept:
        desk.say("reply.draft_kept", no=say("list.comma").join(one.ticket_no for one in kept))


class Praise(DeskAction):
    faults_beside = True

    def name(self) -> str:
        return "action_praise"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        if desk.actor.staff:
            # 「王师傅的活转给孙师傅，他手快」 praises nobody.
            details.unknown(desk)
            return []
        if mocks(desk.text):
            return [FollowupAction("complaint_form")]
        told_praise(desk, desk.text)
        return []


class Suggest(DeskAction):
    def name(self) -> str:
        return "action_suggest"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        if desk.actor.staff:
            details.unknown(desk)
            return []
        if about_complaint(desk) or _wish_of_complaint(desk):
            return []
        ticket = open_complaint(desk, desk.text, "J01", kind="JY")
        desk.say("reply.suggestion", **notify.facts(ticket, desk.now))
        if (ticket.detail or {}).get("hidden"):
            desk.say(complaints.hidden_key(ticket))
        return []


def _wish_of_complaint(desk: Desk) -> bool:
    """「能不能关小点」 right behind a complaint is what is wished for it."""
    matter = inquiries.matter_before(desk.session, desk.actor.resident, desk.now)
    if matter is None or matter.kind != "TS" or len(desk.text) > SHORT_WISH or things_in(desk.text):
        return False
    details.add(desk, matter, desk.text)
    desk.say(notify.detail_thanks(matter))
    return True


class OptOut(DeskAction):
    """退订 stops greetings, activities and surveys; never safety or the resident's own tickets (domain.md §7.3)."""

    def name(self) -> str:
        return "action_opt_out"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        if desk.actor.resident is None:
            details.unknown(desk)
            return []
        desk.actor.resident.notices = False
        desk.say("reply.opted_out")
        return []


class Chitchat(DeskAction):
    """Small talk; an action and no response, so that the second net for dangers hangs under it too."""

    def name(self) -> str:
        return "action_chitchat"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        # 「昨天又闹到两点多 我小孩都睡不着」, right after a complaint about the noise.
        if desk.confidence >= SURELY_TALK or not details.taken(desk):
            desk.say("reply.chitchat")
        return []


def _answered_or_refused(desk: Desk, reading: str) -> bool:
    """What a written answer surely means is told; else what is none of ours is refused. Whether anything was said."""
    if answered_surely(desk):
        return True
    if reading == "out_of_scope":
        desk.say("reply.out_of_scope")
    return reading == "out_of_scope"


def _plainly_meant(desk: Desk) -> str:
    """What goes on when the words alone say what they are, whatever the model makes of them; "" if they do not."""
    if is_courtesy(desk.text):
        return "utter_thanks"
    leans = inquiries.leans_on_last(desk.session, desk.actor.resident, desk.text, desk.now)
    return form_asked_for(desk.text) or ("action_answer_question" if leans else "")


def _who_pays(desk: Desk) -> bool:
    if asked := asks_who_pays(desk.text):
        answer_question(desk, desk.text)
    return asked


def _money_back(desk: Desk) -> bool:
    """「我要退600块 你登记了没」, not understood by itself, right behind a fault: a complaint about what was charged; whether it was."""
    matter = inquiries.matter_before(desk.session, desk.actor.resident, desk.now)
    if matter is None or not asks_money_back(desk.text):
        return False
    if matter.kind == "TS":
        details.add(desk, matter, desk.text)
        desk.say("reply.complaint_added", **notify.facts(matter, desk.now))
        return True
    words = inquiries.joined(matter.symptom, desk.text)
    tell_opened(desk, open_complaint(desk, words, complaints.CHARGES), angry=False)
    return True


class Unsure(DeskAction):
    """Not understood: first the two likeliest readings as buttons, the second time a person with a ticket; never a loop."""

    def name(self) -> str:
        return "action_unsure"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        if desk.actor.staff:
            details.unknown(desk)
            return []
        if plain := _plainly_meant(desk):
            return [FollowupAction(plain)]
        if about_complaint(desk) or _money_back(desk):
            return []
        if about_worker(desk) or when_it_comes(desk) or still_goes_on(desk) or _who_pays(desk):
            return []
        readings = [name for name, confidence in desk.readings if confidence > LIKELY]
        if frozenset(readings[:2]) == WAITS:
            return [FollowupAction("action_progress")]
        if readings[:1] and readings[0] in ASKED and _answered_or_refused(desk, readings[0]):
            return []
        if readings[:1] and readings[0] in MORE and details.taken(desk):
            return []
        if (readings[:1] == [COMPLAINS] and more_of_complaint(desk)) or correct_latest(desk) or time_for_latest(desk):
            return []
        draft = drafts.begin(desk, "BX")
        if draft.data.get("unsure"):
            self._give_to_person(desk, draft)
            return []
        drafts.save(desk, draft, {**draft.data, "unsure": desk.text, "unsure_key": desk.key})
        offered = [name for name in readings if has_text(f"reading.{name}")][:2]
        buttons = [("say:" + say(f"reading.{name}"), say(f"reading.{name}")) for name in offered]
        buttons.append(("say:" + say("reading.handoff"), say("reading.handoff")))
        desk.say("reply.unsure", buttons)
        return []

    def _give_to_person(self, desk: Desk, draft: Draft) -> None:
        words = f"{draft.data['unsure']} {desk.text}"
        report = Report(
            kind="BX",
            code="X00",
            symptom=words,
            source_key=f"{desk.key}:x",
            reporter=desk.actor.resident,
            conversation=desk.conversation,
        )
        ticket, _ = verbs.open_ticket(desk.session, desk.community_id, report, desk.now)
        drafts.drop(desk)
        if desk.actor.resident:
            talks.ask(
                desk.session, desk.conversation, desk.actor.resident, words, desk.now, why="unsure", ticket=ticket
            )
        desk.say("reply.unsure_person", **notify.facts(ticket, desk.now))
