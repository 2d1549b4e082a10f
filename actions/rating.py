"""评价与返修 outside an open question: 「给个好评」 later, 「又坏了」 days after."""

from __future__ import annotations

from datetime import timedelta

from rasa_sdk import Tracker
from rasa_sdk.events import FollowupAction

from actions import complaint, details, progress
from actions.context import Desk, DeskAction, Events
from nlu.answers import read_answer
from nlu.slots import NO_SCORES, Scores, find_scores
from storage.models import Ticket
from tickets import finding, verbs
from tickets.words import supposes

RATEABLE = timedelta(days=7)


class Rate(DeskAction):
    def name(self) -> str:
        return "action_rate"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        ticket = finding.last_of(desk.session, desk.actor)
        if ticket is not None and ticket.kind == "BX" and ticket.status == "done" and not ticket.public_area:
            # 「差是不差啦 就是没试水」 of work that waits to be tried out.
            desk.say("reply.acceptance_try", no=ticket.ticket_no)
            return []
        fresh = ticket is not None and ticket.closed_at is not None and desk.now - ticket.closed_at < RATEABLE
        if ticket is None or not fresh or ticket.kind != "BX":
            desk.say("reply.say_more" if desk.text.strip().isdigit() else "reply.nothing_to_rate")
            return []
        scores = find_scores(desk.text) or _in_words(desk)
        marks = scores.marks
        if not marks:
            desk.say("reply.score_number", verbs.score_buttons(ticket))
            return []
        pair = (scores.attitude or marks[0], scores.quality or marks[-1])
        verbs.rate(desk.session, verbs.load(desk.session, ticket.id), desk.actor, *pair, desk.text, desk.now)
        desk.done()
        return []


def _in_words(desk: Desk) -> Scores:
    """「太差了」「态度挺好 修得一般」: a score that is said and not numbered."""
    answer = read_answer("score", desk.text, desk.now)
    return answer.scores if answer else NO_SCORES


class NotFixed(DeskAction):
    """The same fault again within seven days reopens the old ticket; otherwise it is a new report."""

    def name(self) -> str:
        return "action_not_fixed"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        if desk.actor.staff:
            # 「空开换完了 业主说还跳」 is a worker's word about a job; with a place it is a colleague's new report.
            return [] if details.taken(desk) else [FollowupAction("repair_form")]
        if supposes(desk.text):
            return [FollowupAction("action_answer_question")]
        ticket = _meant(desk)
        if ticket is None:
            return [] if complaint.still_goes_on(desk) else [FollowupAction("repair_form")]
        ticket = verbs.load(desk.session, ticket.id)
        if ticket.status == "closed":
            verbs.reopen(desk.session, ticket, desk.actor, desk.text, desk.now)
        elif ticket.status in ("done", "callback"):
            verbs.not_fixed(desk.session, ticket, desk.actor, desk.text, desk.now)
        elif not progress.was_there(desk, ticket):
            verbs.urge(desk.session, ticket, desk.actor, desk.text, desk.now, for_leaders=True)
            desk.say("reply.noted_open", no=ticket.ticket_no)
            return []
        desk.done()
        return []


def _meant(desk: Desk) -> Ticket | None:
    for ticket in finding.open_of(desk.session, desk.actor, kinds=("BX",)):
        return ticket
    last = finding.last_of(desk.session, desk.actor)
    if last is None or last.kind != "BX" or last.status != "closed" or last.closed_at is None:
        return None
    return last if desk.now - last.closed_at <= verbs.REOPEN_DAYS and last.handler_id else None
