"""转人工、表扬、建议、退订, and the two steps of not understanding."""

from __future__ import annotations

from rasa_sdk import Tracker
from rasa_sdk.events import FollowupAction

from actions import drafts
from actions.changes import correct_latest, time_for_latest
from actions.complaint import open_complaint
from actions.context import Desk, DeskAction, Events
from storage.models import Draft
from tickets import notify, verbs
from tickets.sla import in_desk_hours, next_desk_opening
from tickets.texts import clock, has_text, say
from tickets.verbs import Report
from tickets.words import form_asked_for

LIKELY = 0.08


class Handoff(DeskAction):
    """A person, always: the desk is told at once, and the resident by when somebody is back (domain.md §5.3)."""

    def name(self) -> str:
        return "action_handoff"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        drafts.drop(desk)
        hand_over(desk)
        return []


def hand_over(desk: Desk) -> None:
    staff = notify.hand_to_desk(desk.session, desk.conversation, desk.actor, desk.text, desk.now)
    open_now = in_desk_hours(desk.now)
    by = verbs.answer_urge_by(desk.now) if open_now else next_desk_opening(desk.now)
    phone = desk.settings.get("duty_phone") or say("reply.no_duty_phone")
    key = "reply.person_requested" if open_now else "reply.person_after_hours"
    desk.say(key, who=staff.name if staff else say("role.desk"), by=clock(by, desk.now), duty_phone=phone)


class Praise(DeskAction):
    def name(self) -> str:
        return "action_praise"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        ticket = open_complaint(desk, desk.text, "B01", kind="BY")
        desk.say("reply.praise", **notify.facts(ticket, desk.now))
        return []


class Suggest(DeskAction):
    def name(self) -> str:
        return "action_suggest"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        ticket = open_complaint(desk, desk.text, "J01", kind="JY")
        desk.say("reply.suggestion", **notify.facts(ticket, desk.now))
        return []


class OptOut(DeskAction):
    """退订 stops greetings, activities and surveys; never safety or the resident's own tickets (domain.md §7.3)."""

    def name(self) -> str:
        return "action_opt_out"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        if desk.actor.resident:
            desk.actor.resident.notices = False
        desk.say("reply.opted_out")
        return []


class Unsure(DeskAction):
    """Not understood: first the two likeliest readings as buttons, the second time a person with a ticket; never a loop."""

    def name(self) -> str:
        return "action_unsure"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        if desk.actor.staff:
            desk.say("staff.unknown")
            return []
        if form := form_asked_for(desk.text):
            return [FollowupAction(form)]
        if correct_latest(desk) or time_for_latest(desk):
            return []
        readings = [
            str(one["name"]) for one in desk.message.get("intent_ranking") or [] if float(one["confidence"]) > LIKELY
        ]
        readings = [name for name in readings if name != "nlu_fallback"]
        if readings[:1] == ["out_of_scope"]:
            desk.say("reply.out_of_scope")
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
        desk.say("reply.unsure_person", **notify.facts(ticket, desk.now))
