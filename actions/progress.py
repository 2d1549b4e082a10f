"""进度与催单: the true state and the next time, never 「请耐心等待」."""

from __future__ import annotations

from datetime import timedelta

from rasa_sdk import Tracker
from rasa_sdk.events import FollowupAction
from sqlalchemy import select

from actions import details, drafts
from actions.context import Desk, DeskAction, Events
from storage.models import OpenQuestion, Staff, Ticket
from tickets import asking, complaints, desk_lists, finding, hearing, inquiries, notify, talks, verbs
from tickets.history import count_of
from tickets.people import each_once, leaders, managers, staff_named
from tickets.texts import clock, has_text, say
from tickets.words import (
    adds_to_complaint,
    asks_about_worker,
    asks_day_totals,
    asks_most,
    asks_what_is_in_it,
    asks_when_it_comes,
    asks_who_is_on_duty,
    asks_who_waits,
    bare_threat,
    disputes_visit,
    list_named,
    speaks_of_visit,
    things_in,
    wants_complaint,
    wants_it_now,
)

SHOWN = 4
SURE = 0.8
JUST_NOW = timedelta(minutes=1)


def meant(desk: Desk, *, kinds: tuple[str, ...] = ()) -> list[Ticket]:
    """The tickets a message is about: the numbered one, else the open ones of its category, else all open ones."""
    number = desk.entity("ticket_no")
    if number:
        return [finding.by_number(desk.session, desk.community_id, number, desk.actor)]
    if picked := _picked(desk):
        return [picked]
    mine = finding.open_of(desk.session, desk.actor, kinds=kinds)
    if not kinds:
        mine += finding.followed(desk.session, desk.actor)
    of_kind = [one for one in mine if desk.category and one.code == desk.category]
    # 「到底哪天来修」 of somebody with a lamp and a complaint is about the lamp.
    visits = [one for one in mine if one.kind == "BX"] if speaks_of_visit(desk.text) else []
    return of_kind or finding.named(mine, desk.text) or visits or mine


def _picked(desk: Desk) -> Ticket | None:
    """The ticket just chosen for these words in answer to 「您是说哪一张」."""
    if desk.actor.resident is None:
        return None
    query = select(OpenQuestion).where(
        OpenQuestion.resident_id == desk.actor.resident.id,
        OpenQuestion.kind == "cancel_which",
        OpenQuestion.answered_at >= desk.now - JUST_NOW,
    )
    for question in desk.session.scalars(query.order_by(OpenQuestion.id.desc())):
        if question.data.get("picked") and question.data["text"] == desk.text:
            return verbs.load(desk.session, question.data["picked"])
    return None


def _half_told(desk: Desk) -> bool:
    """「你们咋还没来人呐」 while the report is still being told: nothing is registered yet, and the form asks on for what is
    missing. Whether it was so."""
    for kind, key in (("BX", "reply.draft_unfinished"), ("TS", "reply.draft_unfinished_complaint")):
        draft = drafts.find(desk, kind)
        if draft is not None and (draft.data.get("faults") or draft.data.get("words")):
            if not drafts.chased(desk):
                desk.say(key)
            return True
    return False


NOW_WANTED = timedelta(hours=12)


def complaint_spoken_of(desk: Desk) -> Ticket | None:
    """The complaint told before that a message is about: that somebody go now, that something be written into it, or what stands in
    it; None for any other message."""
    mine = finding.open_of(desk.session, desk.actor) if desk.actor.resident else []
    told = next((one for one in mine if one.kind == "TS"), None)
    if told is None or drafts.find(desk, "BX") or drafts.find(desk, "TS"):
        return None
    now = mine[0] is told and wants_it_now(desk.text) and desk.now - told.created_at <= NOW_WANTED
    meant = now or asks_what_is_in_it(desk.text) or adds_to_complaint(desk.text)
    return verbs.load(desk.session, told.id) if meant else None


def about_complaint(desk: Desk) -> bool:
    """Do and say what a message wants of the complaint told before; whether it was about that."""
    ticket = complaint_spoken_of(desk)
    if ticket is None:
        return False
    if asks_what_is_in_it(desk.text):
        said = complaints.said_so_far(desk.session, ticket)
        desk.say("reply.complaint_holds", words=say("list.pause").join(said), no=ticket.ticket_no)
    elif adds_to_complaint(desk.text):
        verbs.add_detail(desk.session, ticket, desk.actor, desk.text, desk.now)
        desk.say("reply.complaint_added", **notify.facts(ticket, desk.now))
    else:
        _now_wanted(desk, ticket)
    return True


def _now_wanted(desk: Desk, ticket: Ticket) -> None:
    """「你们现在就上去敲门」: who has it hears it at once; who must have somebody there now is told whom to ring."""
    if pressed_again(desk, ticket, desk.text):
        return
    phone = desk.settings.get("duty_phone") or say("reply.no_duty_phone")
    line = progress_line(desk, ticket)
    desk.say("reply.now_wanted", line=line, duty_phone=phone, **notify.facts(ticket, desk.now))


class Progress(DeskAction):
    faults_beside = True

    def name(self) -> str:
        return "action_progress"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        if desk.actor.resident and wants_complaint(desk.text):
            return [FollowupAction("complaint_form")]
        if inquiries.leans_on_last(desk.session, desk.actor.resident, desk.text, desk.now):
            return [FollowupAction("action_answer_question")]
        if about_complaint(desk):
            return []
        if desk.actor.staff and desk.actor.staff.role != "worker":
            desk.tell(desk_lists.about(desk.session, desk.actor.staff, desk.text, desk.now))
            return []
        # 「师傅来的时候带个梯子」 speaks of the visit and asks nothing.
        if desk.confidence < SURE and details.taken(desk):
            return []
        tickets = meant(desk)
        if not tickets:
            if _half_told(desk):
                return []
            last = finding.last_of(desk.session, desk.actor)
            if last is None and desk.actor.resident and things_in(desk.text) and not desk.faults:
                _ask_where(desk)
            elif last is None:
                desk.say("reply.no_ticket")
            else:
                desk.say("reply.last_closed", **notify.facts(last, desk.now))
            return []
        _tell_progress(desk, tickets)
        return []


def _ask_where(desk: Desk) -> None:
    """「上礼拜报的楼道灯到底啥时候修」 of somebody with nothing registered: where it is, so that it is registered now."""
    draft = drafts.begin(desk, "BX")
    drafts.save(desk, draft, {**draft.data, "unsure": desk.text, "unsure_key": desk.key})
    desk.say("reply.no_ticket_of_thing")


def progress_line(desk: Desk, ticket: Ticket) -> str:
    """One ticket as its reporter reads it: what, where it stands, who, until when."""
    key = f"progress.{ticket.kind}_{ticket.status}"
    key = key if has_text(key) else f"progress.{ticket.status}"
    if ticket.status == "in_progress" and ticket.kind == "BX":
        key = (
            "progress.arrived"
            if ticket.arrived_at
            else "progress.set_out"
            if ticket.on_the_way_at
            else "progress.accepted"
        )
    return say(key, reason=ticket.hold_reason, wake=clock(ticket.wake_at, desk.now), **notify.facts(ticket, desk.now))


def _tell_progress(desk: Desk, tickets: list[Ticket]) -> None:
    desk.tell("\n".join(progress_line(desk, one) for one in tickets[:SHOWN]))


def tell_open(desk: Desk, head: str) -> bool:
    """Where everything open stands, below a line of its own; whether anything is."""
    mine = finding.open_of(desk.session, desk.actor)
    if mine:
        desk.say(head)
        _tell_progress(desk, mine)
    return bool(mine)


def about_worker(desk: Desk) -> bool:
    """「来的师傅叫啥」「靠谱不」: who comes for what is open, and how to know them; whether the message asked that."""
    if desk.actor.resident is None or not asks_about_worker(desk.text):
        return False
    mine = meant(desk, kinds=("BX",))
    coming = [one for one in mine if one.handler and one.status in ("assigned", "in_progress")]
    if mine:
        _tell_progress(desk, coming or mine)
    if coming:
        desk.say("reply.worker_known_by")
    return bool(mine)


def when_it_comes(desk: Desk) -> bool:
    """「几点来啊」 of somebody with something open, and no written answer just before: where it stands; whether it was so."""
    if desk.actor.resident is None or not asks_when_it_comes(desk.text):
        return False
    mine = meant(desk)
    if not mine or inquiries.last_told(desk.session, desk.actor.resident, desk.now) is not None:
        return False
    _tell_progress(desk, mine)
    return True


# The line in the timeline that a threat said again went further up.
THREAT_AGAIN = "push.urged_leader"


def pressed_again(desk: Desk, ticket: Ticket, words: str) -> bool:
    """Chase a ticket with these words. Who threatens a second time about an open complaint is heard by all leaders, once, and
    hears whom to ring; whether it was so."""
    again = ticket.kind == "TS" and complaints.threatened_again(desk.session, ticket, words)
    before = ticket.urge_count
    verbs.urge(desk.session, ticket, desk.actor, words, desk.now)
    if not again:
        return False
    if not count_of(desk.session, ticket, "escalate", THREAT_AGAIN):
        told = leaders(desk.session, ticket.community_id, ticket.department) if before == 0 else []
        told += managers(desk.session, ticket.community_id) if before <= 1 else []
        # From the second chaser on the supervisor has just been told, from the third on the manager too.
        count = ticket.urge_count
        verbs.escalate(desk.session, ticket, desk.now, THREAT_AGAIN, each_once(told), count=count, words=words)
    desk.tell(complaints.repeated(desk.session, ticket, desk.now, robot=False))
    return True


class Urge(DeskAction):
    faults_beside = True

    def name(self) -> str:
        return "action_urge"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        staff = desk.actor.staff
        numbered = bool(desk.entity("ticket_no"))
        if staff and staff.role == "worker" and not numbered:
            details.unknown(desk)
            return []
        if staff and not numbered:
            # 「王师傅那几个拖几天了」 of a leader asks.
            person = desk.entity("person")
            return QueryTickets().act(desk, tracker) if person else Progress().act(desk, tracker)
        if about_complaint(desk):
            return []
        tickets = [one for one in meant(desk) if one.status != "done"]
        if not tickets:
            if not _half_told(desk):
                desk.say("reply.no_ticket")
            return []
        ticket = min(tickets, key=lambda one: (one.level[1:], one.finish_by or desk.now))
        ticket = verbs.load(desk.session, ticket.id)
        _chase(desk, ticket)
        return []


def was_there(desk: Desk, ticket: Ticket) -> bool:
    """「谁说没人 我一天都在家」 of a job that waits because nobody was at home: it goes on, and the leaders read that the visit is
    disputed; whether it was so."""
    if not (verbs.waits_for_resident(ticket) and disputes_visit(desk.text)):
        return False
    verbs.urge(desk.session, ticket, desk.actor, desk.text, desk.now)
    verbs.home_again(desk.session, ticket, desk.actor, desk.text, desk.now)
    desk.done()
    return True


def _chase(desk: Desk, ticket: Ticket) -> None:
    if was_there(desk, ticket):
        return
    before = ticket.urge_count
    if pressed_again(desk, ticket, desk.text):
        return
    if ticket.kind == "TS" and bare_threat(desk.text):
        # Taken for chasing or for a complaint, a threat about a complaint gets the same answer.
        desk.tell(hearing.answer_anger(desk.session, ticket, desk.now))
        return
    line = progress_line(desk, ticket)
    overdue = bool(ticket.arrive_by and ticket.arrive_by < desk.now and not ticket.arrived_at)
    key = "reply.urged_again" if before else "reply.urged_late" if overdue else "reply.urged"
    by = clock(verbs.answer_urge_by(desk.now), desk.now)
    desk.say(key, line=line, by=by, **notify.facts(ticket, desk.now))


class QueryTickets(DeskAction):
    """A leader's question in plain words; the short commands answer the rest. A resident only ever reads their own."""

    def name(self) -> str:
        return "action_query_tickets"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        staff = desk.actor.staff
        if staff is None:
            return Progress().act(desk, tracker)
        if staff.role == "worker":
            desk.tell(desk_lists.load(desk.session, staff, desk.now, staff))
            return []
        number = desk.entity("ticket_no")
        if number:
            ticket = finding.by_number(desk.session, desk.community_id, number, desk.actor)
            desk.tell(desk_lists.timeline(desk.session, ticket, desk.now, staff))
            return []
        person = desk.entity("person")
        if person:
            colleague = staff_named(desk.session, desk.community_id, person)
            desk.tell(desk_lists.load(desk.session, colleague, desk.now, staff))
            return []
        desk.tell(self._answered(desk, staff))
        return []

    def _answered(self, desk: Desk, staff: Staff) -> str:
        """Who waits for a person, what occurs most, who is on duty, a list, else a figure or a count."""
        if asks_who_waits(desk.text):
            return talks.listing(talks.open_ones(desk.session, desk.community_id), desk.now)
        if asks_most(desk.text) and not asks_who_is_on_duty(desk.text):
            return asking.top(desk.session, staff, desk.text, desk.now)
        if name := list_named(desk.text):
            return desk_lists.listing(desk.session, staff, name, 1, desk.now)
        if asks_who_is_on_duty(desk.text):
            return desk_lists.on_duty(desk.session, staff, desk.now)
        return self._counted(desk, staff)

    def _counted(self, desk: Desk, staff: Staff) -> str:
        """A figure, a count of what was named, else the day's counts, which may not be what was meant."""
        if asking.figure_named(desk.text):
            return asking.figure(desk.session, staff, desk.text, desk.now)
        if asking.read_question(desk.session, staff, desk.text, desk.now).narrowed:
            return asking.count(desk.session, staff, desk.text, desk.now).text
        today = desk_lists.today(desk.session, staff, desk.now)
        return today if asks_day_totals(desk.text) else f"{say('staff.perhaps_today')}\n{today}"
