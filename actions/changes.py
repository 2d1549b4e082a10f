"""取消、改期、更正, and bare pieces of information: what a later message changes about an earlier one (domain.md §5.5)."""

from __future__ import annotations

from datetime import timedelta

from rasa_sdk import Tracker
from rasa_sdk.events import FollowupAction

from actions import drafts
from actions.context import Desk, DeskAction, Events
from actions.inquiry import answer_question
from actions.progress import meant
from nlu.address import Address
from nlu.expected_time import format_window, parse_window
from nlu.slots import find_phone
from storage.models import Resident, Ticket
from tickets import finding, lifecycle, notify, questions, verbs
from tickets.errors import NoTicket
from tickets.places import read_place
from tickets.texts import say

CORRECTABLE = timedelta(days=2)


class Cancel(DeskAction):
    """A draft goes at once; a ticket only if it is clear which one (domain.md §7.4)."""

    def name(self) -> str:
        return "action_cancel"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        if drafts.drop(desk):
            desk.say("reply.draft_dropped")
            _rest_of(desk)
            return []
        tickets = [one for one in meant(desk) if one.status in lifecycle.OPEN]
        if not tickets:
            desk.say("reply.nothing_to_cancel")
            return []
        if len(tickets) > 1:
            buttons = [("say:" + say("reply.cancel_that", no=one.ticket_no), one.ticket_no) for one in tickets[:4]]
            desk.say("reply.which", buttons, choices=finding.choices(tickets, desk.now))
            return []
        ticket = verbs.load(desk.session, tickets[0].id)
        verbs.cancel(desk.session, ticket, desk.actor, desk.text, desk.now)
        desk.done()
        return []


def _rest_of(desk: Desk) -> None:
    """「算了不报了 我想问下物业费怎么交」: the second half is answered too (SC03)."""
    ranking = {
        str(one.get("name")): float(one.get("confidence", 0)) for one in desk.message.get("intent_ranking") or []
    }
    rest = desk.text.replace("，", " ").split()
    if ranking.get("ask_question", 0) > 0.1 and len(rest) > 1:
        answer_question(desk, rest[-1])


class Reschedule(DeskAction):
    def name(self) -> str:
        return "action_reschedule"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        tickets = [one for one in meant(desk, kinds=("BX",)) if one.status != "done"]
        if not tickets:
            raise NoTicket
        ticket = verbs.load(desk.session, finding.the_one(tickets, desk.now).id)
        window = parse_window(desk.text, desk.now)
        if window is None or window.avoid:
            if desk.actor.resident:
                questions.ask(desk.session, desk.actor.resident, "appointment", desk.now, ticket=ticket)
            if ticket.on_the_way_at and ticket.handler:
                event = verbs.comment(desk.session, ticket, desk.actor, desk.text, desk.now)
                notify.tell_staff(
                    desk.session, ticket.handler, ticket, event, "push.detail_staff", desk.now, words=desk.text
                )
            desk.say("reply.change_when")
            return []
        end = window.end or window.start + timedelta(hours=2)
        label = format_window(window, desk.now)
        verbs.change_appointment(desk.session, ticket, desk.actor, window.start, end, label, desk.now)
        desk.done()
        return []


class Correct(DeskAction):
    """「不是1502是1503」「打错了 是1单元」「电话换成…」, before and after the ticket exists."""

    def name(self) -> str:
        return "action_correct"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        if not correct_latest(desk):
            desk.say("reply.correct_what")
        return []


def correct_latest(desk: Desk) -> bool:
    """Apply a correction to the newest matter of this person; whether the message held one."""
    ticket = _correctable(desk)
    if ticket is None:
        return False
    phone = find_phone(desk.text)
    if phone and phone != ticket.contact_phone:
        verbs.correct(desk.session, ticket, desk.actor, desk.now, contact_phone=phone)
        desk.say("reply.phone_noted", tail=phone[-4:])
        return True
    place = read_place(desk.session, desk.community_id, desk.text, resident=desk.actor.resident, draft=ticket.place_key)
    if place.action in ("invalid", "conflict"):
        from actions.repair import place_question

        desk.tell(place_question({"problem": dict(place.problem), "options": [list(one) for one in place.options]}))
        return True
    if place.action not in drafts.SETTLED or place.key == ticket.place_key:
        return False
    _move(desk, ticket, place)
    return True


def _correctable(desk: Desk) -> Ticket | None:
    mine = [one for one in finding.open_of(desk.session, desk.actor) if one.kind in ("BX", "TS")]
    mine = [one for one in mine if desk.now - one.created_at < CORRECTABLE and one.status != "done"]
    return verbs.load(desk.session, mine[0].id) if mine else None


def _move(desk: Desk, ticket: Ticket, place: Address) -> None:
    verbs.correct(
        desk.session,
        ticket,
        desk.actor,
        desk.now,
        place_key=place.key,
        place_text=place.display,
        public_area=place.public,
    )
    resident = desk.actor.resident
    if place.action == "confirm" and resident:
        buttons = [("say:" + say(key), say(key)) for key in ("button.right", "button.wrong")]
        desk.say("reply.place_confirm", buttons, place=place.display)
        questions.ask(desk.session, resident, "confirm_address", desk.now, ticket=ticket)
        return
    desk.say("reply.place_corrected", place=place.display)
    if _somebody_elses(desk, place, resident):
        desk.say("reply.contact_there")


def _somebody_elses(desk: Desk, place: Address, resident: Resident | None) -> bool:
    if resident is None or place.public:
        return False
    return verbs.home_differs(desk.session, resident, place.key)


class Inform(DeskAction):
    """A bare place, time or phone with no form running: a correction or an addition to what is open, else a question back."""

    def name(self) -> str:
        return "action_inform"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        if correct_latest(desk):
            return []
        ticket = _correctable(desk)
        window = parse_window(desk.text, desk.now, asked=True)
        if ticket is not None and window and window.end and not window.avoid and desk.actor.resident:
            label = format_window(window, desk.now)
            verbs.change_appointment(desk.session, ticket, desk.actor, window.start, window.end, label, desk.now)
            desk.done()
            return []
        if ticket is not None:
            verbs.add_detail(desk.session, ticket, desk.actor, desk.text, desk.now)
            desk.say("reply.detail_thanks")
            return []
        place = read_place(desk.session, desk.community_id, desk.text, resident=desk.actor.resident)
        if place.action == "none":
            desk.say("reply.say_more")
            return []
        return [FollowupAction("repair_form")]
