"""取消、改期、更正, and bare pieces of information: what a later message changes about an earlier one (domain.md §5.5)."""

from __future__ import annotations

import re
from datetime import timedelta

from rasa_sdk import Tracker
from rasa_sdk.events import FollowupAction

from actions import details, drafts
from actions.context import Desk, DeskAction, Events
from actions.inquiry import answer_question, answer_rest, asked_on, more_told, who_hears
from actions.progress import about_worker, meant
from nlu.address import Address
from nlu.expected_time import parse_window
from nlu.slots import find_phone, find_salutation
from storage.models import Resident, Ticket
from tickets import finding, inquiries, lifecycle, notify, questions, verbs
from tickets.answering import FRESH_DETAIL, cancel_asked, set_window, told_together
from tickets.errors import NoTicket
from tickets.people import homes_of
from tickets.places import is_exact, part_of, read_place
from tickets.texts import say
from tickets.words import (
    all_at_once,
    asked_instead,
    asks_why_then,
    clauses_about,
    corrects,
    denies_place,
    does_it_alone,
    dropped,
    form_asked_for,
    hesitates,
    hides_name,
    hours_told,
    is_courtesy,
    keeps_job,
    no_cancel,
    not_wanted,
    only_asked,
    only_correcting,
    plainly_cancels,
    points_at,
    put_right,
    says_cancel,
    speaks_of_ticket,
    states_room,
    taken_back,
    telling_where,
    things_in,
    too_late,
    wanted_still,
)

CORRECTABLE = timedelta(days=2)


class Cancel(DeskAction):
    """A draft goes at once; a ticket only if it is clear which one (domain.md §7.4)."""

    def name(self) -> str:
        return "action_cancel"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        if form := form_asked_for(desk.text):
            return [FollowupAction(form)]
        if _names_a_day(desk):
            return Reschedule().act(desk, tracker)
        if hides_name(desk.text) and who_hears(desk, desk.text):
            return []
        half_told = drafts.find(desk, "BX")
        if half_told and (gone := drafts.take_back(desk, half_told)):
            desk.say("reply.fault_dropped", what=gone)
            return [FollowupAction("repair_form")]
        if _half_told(desk) and drafts.drop(desk):
            desk.say("reply.draft_dropped")
            _rest_of(desk)
            _ticket_too(desk)
            return []
        if desk.actor.staff and not desk.entity("ticket_no"):
            # What a colleague has in hand is somebody else's report: it is named, or it stays.
            details.unknown(desk)
            return []
        if says_cancel(desk.text) or not (_times_apart(desk) or details.taken(desk)):
            _cancel_named(desk)
            answer_rest(desk, "" if desk.entity("ticket_no") else dropped(desk.text) or "")
        return []


def _ticket_too(desk: Desk) -> None:
    """「那个单子取消」 while something is half told: what was registered in this talk may be meant as well, and is asked about."""
    mine = finding.open_of(desk.session, desk.actor) if desk.actor.resident and speaks_of_ticket(desk.text) else []
    fresh = [one for one in mine if desk.now - one.created_at < drafts.THIS_TALK]
    meant_ones = finding.named(fresh, desk.text) or fresh
    if len(meant_ones) == 1 and meant_ones[0].public_area:
        # Nobody calls that off; it is looked at all the same.
        desk.say("error.public_area", no=meant_ones[0].ticket_no)
    elif len(meant_ones) == 1:
        _ask_cancel(desk, meant_ones[0])
    elif meant_ones:
        desk.which(meant_ones, cancel=True)


def _cancel_named(desk: Desk) -> None:
    tickets = _taken_back(desk)
    tickets = [one for one in tickets if not one.public_area] or tickets
    if no_cancel(not_wanted(desk.text)):
        desk.say("reply.nothing_changed")
    elif not desk.entity("ticket_no") and _speaks_of_others(desk, tickets):
        desk.say("reply.not_yours")
    elif not tickets:
        kept = wanted_still(desk.text) and finding.open_of(desk.session, desk.actor)
        desk.say("reply.nothing_changed" if kept else "reply.nothing_to_cancel")
    elif len(tickets) > 1:
        desk.which(tickets, cancel=True)
    else:
        _cancel_one(desk, verbs.load(desk.session, tickets[0].id))


def _half_told(desk: Desk) -> bool:
    """Whether anything was being told; with nothing told yet, what is open already is meant."""
    told = drafts.find(desk, "BX") or drafts.find(desk, "TS")
    if told is None or told.data.get("faults") or told.data.get("words"):
        return True
    if "place" in told.data and not told.data.get("asked"):
        # 「3栋1单元204」 kept for whatever may follow is nothing to take back where something is registered.
        return not (desk.actor.resident and finding.open_of(desk.session, desk.actor))
    return not _visits(desk)


def _names_a_day(desk: Desk) -> bool:
    """「那算了周一吧」: another day, and no cancellation."""
    window = parse_window(hours_told(desk.text), desk.now)
    return window is not None and window.is_visit and not plainly_cancels(desk.text)


def _taken_back(desk: Desk) -> list[Ticket]:
    """What a message takes back: 「水槽那个我自己弄好了 就修插座吧」 what it names, but not what it wants all the same."""
    kept, gone = wanted_still(desk.text), taken_back(desk.text)
    numbered = bool(desk.entity("ticket_no"))
    mine = [] if numbered else finding.open_of(desk.session, desk.actor)
    if gone and (named := finding.named(mine, gone)):
        # 「保洁那个算了 狗的事你们得跟楼上说说」: what the other clauses name stays.
        return named
    if numbered or not kept:
        return [one for one in meant(desk) if one.status in lifecycle.OPEN]
    if len(mine) == 1:
        # 「算了不用看脚 把架子重新装好就行」: the one matter there is stays.
        return []
    rest = not_wanted(desk.text)
    stay = {one.id for one in finding.named(mine, kept)}
    left = [one for one in mine if one.id not in stay]
    return finding.named(left, rest) or ([] if things_in(rest) else left)


def _cancel_one(desk: Desk, ticket: Ticket) -> None:
    """At once when it is plain; a light word, or a worker on the way, is asked back (domain.md §5.5)."""
    resident = desk.actor.resident
    said = says_cancel(desk.text)
    unsure = hesitates(desk.text) or ticket.on_the_way_at or not _means_it(desk, ticket)
    if resident and (not said or (unsure and not ticket.public_area)):
        _ask_cancel(desk, ticket)
        return
    verbs.cancel(desk.session, ticket, desk.actor, desk.text, desk.now)
    desk.done()


def _ask_cancel(desk: Desk, ticket: Ticket) -> None:
    asked = cancel_asked(details.turn_of(desk), ticket)
    desk.tell(asked.reply, asked.buttons)


def _means_it(desk: Desk, ticket: Ticket) -> bool:
    """Whether the words take back this job: in so many words, by its thing or number, or because it has just been told."""
    if keeps_job(desk.text):
        return False
    if plainly_cancels(desk.text) or desk.entity("ticket_no") or desk.now - ticket.created_at < drafts.THIS_TALK:
        return True
    return bool(finding.about([ticket], desk.text))


def _speaks_of_others(desk: Desk, tickets: list[Ticket]) -> bool:
    """「把1402的报修取消」 by somebody who has nothing registered there."""
    resident = desk.actor.resident
    if resident is None:
        return False
    name = find_salutation(desk.text)
    if name and resident.salutation and name != resident.salutation:
        return True
    known = " ".join(f"{one.place_text} {one.tail}" for one in tickets)
    home = " ".join(row.household.display for row in homes_of(desk.session, resident))
    return any(number not in f"{known} {home}" for number in _ROOM.findall(desk.text))


_ROOM = re.compile(r"(?<![\d:.])\d{3,4}(?![\d:.])")


def _rest_of(desk: Desk) -> None:
    """「算了不报了 我想问下物业费怎么交」: the second half is answered too (SC03)."""
    rest = desk.text.replace("，", " ").split()
    if dict(desk.readings).get("ask_question", 0) > 0.1 and len(rest) > 1:
        answer_question(desk, rest[-1])


class Reschedule(DeskAction):
    faults_beside = True

    def name(self) -> str:
        return "action_reschedule"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        if _times_apart(desk) or details.taken(desk):
            return []
        tickets = [one for one in meant(desk, kinds=("BX",)) if one.status != "done"]
        if all_at_once(desk.text) and _timed_together(desk, tickets):
            return []
        if not tickets:
            return _of_no_job(desk)
        if len(tickets) > 1:
            desk.which(tickets)
            return []
        ticket = verbs.load(desk.session, tickets[0].id)
        window = parse_window(hours_told(desk.text), desk.now, asked=True)
        if window is None and _time_stands(desk, ticket):
            return []
        if window is None and too_late(desk.text):
            return [FollowupAction("action_urge")]
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
        set_window(details.turn_of(desk), ticket, window)
        desk.done()
        return []


def _time_stands(desk: Desk, ticket: Ticket) -> bool:
    """「我约的周二 你今天四点半来干嘛」: a reproach and no other time; whoever comes reads it. Whether it was so."""
    if not asks_why_then(desk.text) or not (ticket.wanted_label or ticket.appointment_start_at):
        return False
    details.add(desk, ticket, desk.text)
    desk.say("reply.time_stands", **notify.facts(ticket, desk.now))
    return True


def _of_no_job(desk: Desk) -> Events:
    """A fault told with its time; or 「我家老人要洗澡 能不能晚点停」, behind a question about the water: of that, and of no visit. Raises
    NoTicket where nothing was asked either."""
    if drafts.begin_untold(desk):
        return [FollowupAction("repair_form")]
    if not inquiries.last_asked(desk.session, desk.actor.resident, desk.now):
        raise NoTicket
    answer_question(desk, desk.text)
    return []


def _times_apart(desk: Desk) -> bool:
    """「地漏后天再弄 跳闸今天晚上来」: a time of its own for each of several jobs; whether the message held such."""
    jobs = _visits(desk)
    clauses = clauses_about(desk.text, [finding.told_of(one) for one in jobs])
    windows = {index: parse_window(words, desk.now, asked=True) for index, words in clauses.items()}
    timed = {index: window for index, window in windows.items() if window and window.is_visit}
    if len(timed) < 2 or desk.actor.resident is None:
        return False
    for index, window in timed.items():
        set_window(details.turn_of(desk), verbs.load(desk.session, jobs[index].id), window)
    desk.done()
    return True


def _visits(desk: Desk) -> list[Ticket]:
    mine = finding.open_of(desk.session, desk.actor, kinds=("BX",)) if desk.actor.resident else []
    return [one for one in mine if one.status != "done" and not one.public_area]


def _timed_together(desk: Desk, tickets: list[Ticket]) -> bool:
    """「后天晚上七点 两个一起弄」: the same time for all; whether a time was named."""
    window = parse_window(hours_told(desk.text), desk.now, asked=True)
    if window is None or window.avoid or desk.actor.resident is None:
        return False
    for one in tickets:
        set_window(details.turn_of(desk), verbs.load(desk.session, one.id), window)
    desk.done()
    return bool(tickets)


class Deny(DeskAction):
    """「不对 4栋」: a no that brings what is right is a correction."""

    def name(self) -> str:
        return "action_deny"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        if hides_name(desk.text) and who_hears(desk, desk.text):
            return []
        if only_asked(desk.text) and _just_told(desk):
            # 「不用登记 我就问问」, a moment after it was registered.
            return Cancel().act(desk, tracker)
        if says_cancel(desk.text) and does_it_alone(desk.text) and _visits(desk):
            # 「不用了我自己换」 calls off the visit that was to do it.
            return Cancel().act(desk, tracker)
        if details.taken(desk) or correct_latest(desk):
            return []
        if place := _told_before(desk):
            desk.say("reply.place_noted", place=place)
        elif _only_photo(desk):
            desk.say("reply.photo_only")
        elif wanted := _asked_instead(desk):
            answer_question(desk, wanted)
        else:
            desk.say("reply.denied")
        return []


def _told_before(desk: Desk) -> str:
    """「不是说过了吗 7-1-902」: where the newest matter is, or will be if its fault is still to be told; "" if no place is
    spelt out, as in 「不用来我家了」."""
    if not any(char.isnumeric() for char in desk.text):
        return ""
    place = read_place(desk.session, desk.community_id, telling_where(desk.text), resident=desk.actor.resident)
    if place.action not in drafts.SETTLED or denies_place(desk.text):
        return ""
    ticket = _correctable(desk)
    if ticket is None:
        drafts.keep_place(desk)
    return place.display if ticket is None or ticket.place_key == place.key else ""


def _only_photo(desk: Desk) -> bool:
    """「这个」 behind a picture, of which nothing else is told: no refusal."""
    draft = drafts.find(desk, "BX")
    shown = draft is not None and draft.data.get("photo") and not draft.data.get("faults")
    return bool(shown) and points_at(desk.text)


def _asked_instead(desk: Desk) -> str:
    """「都不是，我问你多少钱一个」: the question in a message that refuses something, with what was asked before it; "" if none."""
    wanted = asked_instead(desk.text) if desk.actor.resident else ""
    before = inquiries.last_asked(desk.session, desk.actor.resident, desk.now) if wanted else None
    return inquiries.joined(str(before.data["text"]), wanted) if before else wanted


def _just_told(desk: Desk) -> bool:
    mine = finding.open_of(desk.session, desk.actor) if desk.actor.resident else []
    return bool(mine) and desk.now - mine[0].created_at < drafts.THIS_TALK


class Correct(DeskAction):
    """「不是1502是1503」「打错了 是1单元」「电话换成…」, before and after the ticket exists."""

    def name(self) -> str:
        return "action_correct"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        if _times_apart(desk) or correct_latest(desk) or _retimed(desk):
            return []
        ticket = _correctable(desk)
        if ticket is None and desk.actor.staff:
            details.unknown(desk)
            return []
        if ticket is None or only_correcting(desk.text):
            desk.say("reply.correct_what")
            return []
        desk.note_for_review("corrected", ticket.symptom, str(ticket.source_key or desk.key))
        # 「不是马桶 是地漏」: nothing the register or a phone could hold, so the worker reads it as it was said.
        verbs.add_detail(desk.session, ticket, desk.actor, desk.text, desk.now)
        desk.say(notify.detail_thanks(ticket))
        if _not_there(desk, ticket):
            desk.say("reply.place_again")
        return []


def _not_there(desk: Desk, ticket: Ticket) -> bool:
    """「是露台 不是泳池」 where the ticket has the pool: where it is instead the register does not know."""
    if not denies_place(desk.text) or ticket.status == "done":
        return False
    said = read_place(desk.session, desk.community_id, desk.text, resident=desk.actor.resident)
    return said.action in drafts.SETTLED and said.key == ticket.place_key


def correct_latest(desk: Desk) -> bool:
    """Apply a correction to the newest matter of this person; whether the message held one."""
    ticket = _correctable(desk)
    if ticket is None:
        return False
    phone = find_phone(desk.text)
    if phone and phone != ticket.contact_phone:
        verbs.correct(desk.session, ticket, desk.actor, desk.now, contact_phone=phone)
        desk.say("reply.phone_noted", tail=phone[-4:])
        _retimed(desk, anew=True)
        return True
    place = drafts.affected(desk, _place_named(desk, ticket))
    if not corrects(desk.text) and _lives_there(ticket, place):
        return False
    if place.action in ("invalid", "conflict"):
        from actions.repair import place_question

        desk.tell(place_question({"problem": dict(place.problem), "options": [list(one) for one in place.options]}))
        return True
    known = place.action in drafts.SETTLED or (corrects(desk.text) and _building_will_do(ticket, place))
    if not known or place.key == ticket.place_key:
        return False
    if place.display in ticket.place_text and not corrects(desk.text):
        # 「就是岗亭顶上那个」 after 东门岗亭 says less than is known.
        return False
    _move(desk, ticket, place)
    return True


def _building_will_do(ticket: Ticket, place: Address) -> bool:
    """「说错了 是6栋」 of a corridor known by its building alone: the other building is all there is to know."""
    same_depth = ticket.public_area and not part_of(ticket.place_key, "unit").count("/") > 1
    return same_depth and place.public and drafts.enough_for(ticket.code, place)


def _place_named(desk: Desk, ticket: Ticket) -> Address:
    """The place a message names for a matter; 「不是那边 是我家」 takes nothing over from the shared place it was said to be."""
    own = read_place(desk.session, desk.community_id, telling_where(desk.text), resident=desk.actor.resident)
    if corrects(desk.text) and ticket.public_area and own.action in drafts.SETTLED and not own.public:
        return own
    behind = _in_place_of(desk, ticket, put_right(desk.text))
    return behind if behind.action in drafts.SETTLED else _in_place_of(desk, ticket, telling_where(desk.text))


def _in_place_of(desk: Desk, ticket: Ticket, words: str) -> Address:
    """The place that words name, completed from what is known of the ticket's."""
    return read_place(
        desk.session,
        desk.community_id,
        words,
        resident=desk.actor.resident,
        draft=ticket.place_key,
        about=ticket.symptom,
    )


def _lives_there(ticket: Ticket, place: Address) -> bool:
    """「8栋1单元3A」 behind a lamp at the north gate is where its reporter lives, 「就是702那家」 whom a complaint is about."""
    known = is_exact(ticket.place_key) and place.action not in ("invalid", "conflict")
    return known and (ticket.kind == "TS" or (ticket.public_area and not place.public))


def _retimed(desk: Desk, *, anew: bool = False) -> bool:
    """「不是 后天上午」: another visit time for what was told last and everything told with it; whether the message held one. `anew`:
    also where none was told before."""
    ticket, window = _correctable(desk, at_home=anew), parse_window(hours_told(desk.text), desk.now)
    if ticket is None or not (anew or ticket.wanted_label) or window is None or not window.is_visit:
        return False
    if desk.actor.resident is None or things_in(desk.text):
        return False
    turn = details.turn_of(desk)
    for one in told_together(turn, ticket, timed=True):
        set_window(turn, one, window)
    desk.done()
    return True


def time_for_latest(desk: Desk) -> bool:
    """Nothing but a time: when the visit for the newest matter shall be, in a home before what all share (for that nobody has to be
    there); whether the message held one."""
    newest = _correctable(desk)
    if newest is None or newest.kind != "BX" or desk.actor.resident is None:
        # 「就1点多到3点」 behind a complaint is when the noise is, and no visit.
        return False
    window = parse_window(hours_told(desk.text), desk.now, asked=True)
    if window is None or not window.is_visit:
        return False
    set_window(details.turn_of(desk), _correctable(desk, at_home=True) or newest, window)
    desk.done()
    return True


def more_of_complaint(desk: Desk) -> bool:
    """「都空了两年了 凭啥」, not understood by itself, right behind a complaint: more of that. Whether there was one."""
    told = inquiries.matter_before(desk.session, desk.actor.resident, desk.now)
    if told is None or told.kind != "TS":
        return False
    _add_detail(desk, verbs.load(desk.session, told.id))
    return True


def _add_detail(desk: Desk, ticket: Ticket) -> None:
    if details.add(desk, ticket, desk.text):
        desk.say("reply.detail_raised", **notify.facts(ticket, desk.now))
    else:
        desk.say(notify.detail_thanks(ticket))


def _correctable(desk: Desk, *, at_home: bool = False) -> Ticket | None:
    staff = desk.actor.staff
    told = finding.reported_by(desk.session, staff) if staff else finding.open_of(desk.session, desk.actor)
    mine = [one for one in told if one.kind == "BX" or (one.kind == "TS" and not at_home)]
    mine = [one for one in mine if not (at_home and one.public_area)]
    mine = [one for one in mine if desk.now - one.created_at < CORRECTABLE and one.status != "done"]
    return verbs.load(desk.session, mine[0].id) if mine else None


def _just_reported(desk: Desk) -> bool:
    """Whether a colleague has just registered something: 「就是岗亭顶上那个」 is about that, and not about a job on hand."""
    ticket = _correctable(desk) if desk.actor.staff else None
    return ticket is not None and desk.now - ticket.created_at < FRESH_DETAIL


def _move(desk: Desk, ticket: Ticket, place: Address) -> None:
    first = not is_exact(ticket.place_key)
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
    desk.say(_moved_key(ticket, first=first), place=place.display)
    if (
        resident
        and ticket.kind == "BX"
        and _somebody_elses(desk, place, resident)
        and not _contact_asked(desk, resident, ticket)
    ):
        desk.say("reply.contact_there")
        questions.ask(desk.session, resident, "phone", desk.now, ticket=ticket, contact=True)


def _moved_key(ticket: Ticket, *, first: bool) -> str:
    if first:
        return "reply.place_noted"
    told = ticket.handler is not None and ticket.kind == "BX"
    return "reply.place_corrected" if told else "reply.place_corrected_unowned"


def _contact_asked(desk: Desk, resident: Resident, ticket: Ticket) -> bool:
    waiting = questions.waiting(desk.session, resident, desk.now)
    return any(one.kind == "phone" and one.ticket_id == ticket.id for one in waiting)


def _somebody_elses(desk: Desk, place: Address, resident: Resident | None) -> bool:
    if resident is None or place.public or not homes_of(desk.session, resident):
        return False
    return verbs.home_differs(desk.session, resident, place.key)


def _more_of_praise(desk: Desk) -> bool:
    """「3号楼那个阿姨」 right behind praise or a suggestion: more of it; whether it was so."""
    newest = finding.open_of(desk.session, desk.actor)[:1] if desk.actor.resident else []
    told = [one for one in newest if one.kind in ("BY", "JY") and desk.now - one.created_at < FRESH_DETAIL]
    for one in told:
        _add_detail(desk, verbs.load(desk.session, one.id))
    return bool(told)


def _for_inquiry(desk: Desk) -> bool:
    """「7栋楼下 昨晚八点多」 right behind a question that a person answers: they read it; whether there was one."""
    asked = inquiries.last_asked(desk.session, desk.actor.resident, desk.now)
    inquiry = inquiries.open_inquiry(desk.session, asked) if asked is not None else None
    if inquiry is None:
        return False
    verbs.add_detail(desk.session, verbs.load(desk.session, inquiry.id), desk.actor, desk.text, desk.now)
    desk.say("reply.question_told_more", **notify.facts(inquiry, desk.now))
    return True


class Inform(DeskAction):
    """A bare place, time or phone with no form running: a correction or an addition to what is open, else a question back."""

    def name(self) -> str:
        return "action_inform"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        if is_courtesy(desk.text):
            return [FollowupAction("utter_thanks")]
        if states_room(desk.text) and correct_latest(desk):
            # Also while something else is asked, of which a room is no answer.
            return []
        if _times_apart(desk) or about_worker(desk) or (not _just_reported(desk) and details.taken(desk)):
            return []
        if more_told(desk) or _for_inquiry(desk) or _more_of_praise(desk):
            return []
        if correct_latest(desk) or time_for_latest(desk):
            return []
        ticket = _correctable(desk)
        if ticket is not None:
            _add_detail(desk, ticket)
            return []
        place = read_place(desk.session, desk.community_id, desk.text, resident=desk.actor.resident)
        if place.action == "none":
            if not asked_on(desk):
                desk.say("reply.say_more")
            return []
        if inquiries.last_told(desk.session, desk.actor.resident, desk.now):
            # 「3栋2单元1203」 behind an answered question: nothing is broken so far.
            drafts.keep_place(desk)
            desk.say("reply.place_kept")
            return []
        return [FollowupAction("repair_form")]
