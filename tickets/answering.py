"""A reply to something that was asked: read it, do what it says, or hand the text on to the dialogue (architecture.md §7).

Works from the database alone, so it does not matter which process, channel or restart lies between question and answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from nlu.address import NONE, Address
from nlu.answers import CANCEL, STILL_FAULTY, Answer, read_answer
from nlu.emergency import detect
from nlu.expected_time import Window, format_window, parse_window
from nlu.slots import Scores, find_phone, find_salutation, find_scores
from storage.models import Conversation, Draft, Follower, OpenQuestion, Resident, Ticket
from tickets import complaints, emergencies, finding, hearing, inquiries, notify, questions, talks, verbs, visit_words
from tickets.catalog import category
from tickets.errors import DeskError
from tickets.lifecycle import OPEN
from tickets.people import Actor, leaders
from tickets.places import part_of, read_place
from tickets.texts import say, span
from tickets.verbs.dispatching import trade_of
from tickets.words import (
    about_visit,
    all_at_once,
    all_meant,
    all_of_them,
    asked_instead,
    asks,
    asks_about_worker,
    asks_if_done,
    asks_if_safe_again,
    asks_in_danger,
    asks_of_help,
    asks_of_told,
    asks_own_tickets,
    asks_person,
    asks_to_ask,
    asks_what_is_noted,
    asks_what_to_do,
    asks_who_comes,
    asks_whose_side,
    at_gate,
    begins_with_yes,
    begun_phone,
    both_meant,
    calls_off,
    chased_for,
    corrects,
    declines_phone,
    deletes_this,
    doubts_person,
    dropped,
    failed_repair,
    gives_up,
    has_called_help,
    hesitates,
    hides_name,
    hours_told,
    is_also,
    is_angry,
    is_assent,
    is_broken,
    is_grave,
    is_greeting,
    is_medical,
    is_over,
    is_restored,
    joins,
    leaves_topic,
    left_open,
    may_name,
    needs_no_answer,
    never_said,
    no_cancel,
    no_complaint,
    none_but,
    nothing_wrong,
    only_place,
    opens_another,
    opens_suggestion_box,
    plainly_off,
    protests_cancelling,
    puts_tail_right,
    resumes_draft,
    says_smoke,
    self_check_yes,
    sent_in_error,
    shouts,
    signs_praise,
    sounds_like,
    spoken_phone,
    stops_help,
    taken_back,
    things_in,
    to_mend,
    told_beside,
    waits_in_vain,
    wanted_still,
    wants_complaint,
    wants_fence,
    wants_it_after_all,
    went_away,
    worker_is_there,
    yes_cancel,
)

FRESH_DETAIL = timedelta(minutes=15)
AFTER_ALL = timedelta(days=1)
JUST_CANCELLED = timedelta(hours=1)
# 「马桶」「堵了」「没有」: too short to be a matter of its own.
NO_MATTER = 4
SHORT = 20
BRIEF = 40
READERS = frozenset(
    {"acceptance", "score", "appointment", "consent", "confirm_address", "detail", "solved", "safety", "phone"}
)
# What is asked about a ticket that is over.
AFTERWARDS = frozenset({"score", "callback", "referred", "restored", "praise_name"})
# The reader's name for question kinds that are answered the same way.
SAME_AS = {"callback": "acceptance"}


@dataclass(frozen=True)
class Outcome:
    """What remains to be done after an answer was taken: words to say, and text that is still for the dialogue."""

    reply: str = ""
    buttons: tuple[tuple[str, str], ...] = ()
    resume: str = ""
    restart_dialogue: bool = False


@dataclass(frozen=True)
class Turn:
    session: Session
    conversation: Conversation
    actor: Actor
    text: str
    now: datetime
    key: str


Handler = Callable[[Turn, OpenQuestion, Answer], Outcome | None]


def try_answer(turn: Turn) -> Outcome | None:
    """Take `turn.text` as the answer to the newest open question it fits; None if it fits none."""
    person = turn.actor.resident or turn.actor.staff
    if person is None or (asks_person(turn.text) and not about_visit(turn.text)):
        return None
    waiting = questions.waiting(turn.session, person, turn.now)
    heard = _heard_out(turn, waiting) or _not_taken_back(turn) or _unsaid(turn, waiting) or _of_ticket(turn, waiting)
    if heard is not None:
        return heard
    given_up = _drop_draft(turn, waiting[0].asked_at if waiting else None) or _aside(turn, waiting)
    if given_up is not None:
        return given_up
    left = _left_to_us(turn, waiting)
    if left is not None:
        return left
    home = _home_again(turn, waiting)
    if home is not None:
        return home
    for question in waiting:
        outcome = _emergency(turn, question) if question.kind == "emergency" else _ordinary(turn, question)
        if outcome is not None:
            return outcome
    late = _told_despite(turn, waiting) or _after_all(turn) or _visit_note(turn)
    return late or _chases_untold(turn) or _after_answer(turn)


def _home_again(turn: Turn, waiting: list[OpenQuestion]) -> Outcome | None:
    """「我到家了 来吧」「晚上七点在家」 of somebody for whom work waits because nobody was at home: it goes on, now or at that time."""
    if turn.actor.resident is None or any(one.kind in ("safety", "emergency", "call") for one in waiting):
        return None
    if not (sounds_like("home", turn.text) or sounds_like("home_then", turn.text)):
        return None
    held = [one for one in finding.open_of(turn.session, turn.actor, kinds=("BX",)) if verbs.waits_for_resident(one)]
    window = parse_window(turn.text, turn.now) if held else None
    if not held or not _will_be_home(turn, window):
        return None
    meant = [verbs.load(turn.session, one.id) for one in finding.about(held, turn.text) or held]
    for ticket in meant:
        if window and window.is_visit and not _at_once(window, turn.now):
            set_window(turn, ticket, window)
        else:
            verbs.home_again(turn.session, ticket, turn.actor, turn.text, turn.now)
    known = "".join(finding.told_of(one) for one in meant)
    # 「我到家了 马桶也堵了」 tells of something else as well; how to knock is for whoever comes.
    told_more = (is_also(turn.text) or opens_another(turn.text)) and things_in(turn.text) - things_in(known)
    return Outcome(resume=turn.text if told_more else "")


AT_ONCE = timedelta(minutes=30)


def _at_once(window: Window, now: datetime) -> bool:
    """「十分钟到家」: soon, and no stretch of hours to choose from."""
    return window.start <= now + AT_ONCE and (window.end is None or window.end - window.start <= 2 * AT_ONCE)


def _will_be_home(turn: Turn, window: Window | None) -> bool:
    if sounds_like("away", turn.text) or (window and window.avoid) or len(turn.text) > BRIEF:
        return False
    return sounds_like("home", turn.text) or bool(window and sounds_like("home_then", turn.text))


def _after_all(turn: Turn) -> Outcome | None:
    """「还是修吧 推不上去」 of somebody who took it back within a day: registered again, with what is new."""
    more = wants_it_after_all(turn.text)
    gone = finding.cancelled_since(turn.session, turn.actor, turn.now - AFTER_ALL)
    if more is None or not gone:
        return None
    meant = (finding.named(gone, turn.text) or gone)[:1]
    return Outcome(_registered_again(turn, meant, more), restart_dialogue=True)


def _not_taken_back(turn: Turn) -> Outcome | None:
    """「我没说取消啊」「谁让你取消了 两个灯都要修的」 right after a cancellation: what was taken for one is registered again."""
    if not protests_cancelling(turn.text):
        return None
    gone = finding.cancelled_since(turn.session, turn.actor, turn.now - JUST_CANCELLED)
    if not gone:
        return None
    meant = gone if all_meant(turn.text) else finding.named(gone, turn.text) or gone[:1]
    return Outcome(_registered_again(turn, meant, ""), restart_dialogue=True)


def _unsaid(turn: Turn, waiting: list[OpenQuestion]) -> Outcome | None:
    """「什么电梯？我没说电梯」「这条删了」 right behind a registration: what the reporter's own words never named is taken back,
    anything else only after asking."""
    what = never_said(turn.text)
    if (what is None and not deletes_this(turn.text)) or turn.actor.resident is None:
        return None
    if any(one.kind in ("safety", "emergency", "call") for one in waiting):
        return None
    mine = finding.open_of(turn.session, turn.actor, kinds=("BX",))
    fresh = [one for one in mine if one.reporter_id == turn.actor.resident.id and _just_registered(turn, one)]
    meant = finding.about(fresh, what) if what else finding.about(fresh, turn.text)[:1] or fresh[:1]
    if len(meant) != 1:
        return None
    ticket = verbs.load(turn.session, meant[0].id)
    if what and not ticket.on_the_way_at and not things_in(ticket.symptom):
        verbs.cancel(turn.session, ticket, turn.actor, turn.text, turn.now)
        return Outcome()
    return cancel_asked(turn, ticket)


def _of_ticket(turn: Turn, waiting: list[OpenQuestion]) -> Outcome | None:
    """What is said of a registered matter and is no answer: that its number was noted wrong, that it shall not be done after all,
    or what stands in it so far."""
    if turn.actor.resident is None or any(one.kind in ("safety", "emergency", "call") for one in waiting):
        return None
    mine = finding.open_of(turn.session, turn.actor, kinds=("BX", "TS"))
    mine = [one for one in mine if one.reporter_id == turn.actor.resident.id]
    if not mine or _open_draft(turn) is not None:
        return None
    if asks_what_is_noted(turn.text):
        return Outcome(visit_words.noted_so_far(turn.session, mine[0], turn.now))
    chosen = any(one.kind == "cancel_which" for one in waiting)
    return _tail_put_right(turn, mine[0]) or (None if chosen else _one_withdrawn(turn, mine))


def _tail_put_right(turn: Turn, ticket: Ticket) -> Outcome | None:
    """「尾号不对 是7756」 of a number just noted: four digits are no room and no number, so the whole number is asked for."""
    tail = puts_tail_right(turn.text)
    resident = turn.actor.resident
    if not tail or find_phone(turn.text) or resident is None or not ticket.contact_phone:
        return None
    if resident.phone.endswith(tail) and not ticket.contact_phone.endswith(tail):
        return None
    if ticket.contact_phone.endswith(tail):
        return Outcome(say("reply.phone_noted", tail=tail))
    questions.ask(turn.session, resident, "phone", turn.now, ticket=ticket)
    return Outcome(say("reply.phone_whole"))


def _one_withdrawn(turn: Turn, mine: list[Ticket]) -> Outcome | None:
    """「白天没人 周末来 窗户那个不急 先撤了吧」: the time is for the others, and whether that one goes is asked."""
    found = visit_words.withdrawn(mine, turn.text)
    if found is None:
        return None
    gone, rest = found
    if gone.public_area or (not rest and plainly_off(turn.text)):
        # In so many words, and nothing beside it: the dialogue takes it so.
        return None
    window = parse_window(hours_told(rest), turn.now, asked=True)
    if window is not None and window.is_visit:
        for one in mine:
            if one.id != gone.id and one.kind == "BX" and not one.public_area:
                set_window(turn, verbs.load(turn.session, one.id), window)
    elif rest:
        return None
    return cancel_asked(turn, gone)


def _just_registered(turn: Turn, ticket: Ticket) -> bool:
    return turn.now - ticket.created_at <= FRESH_DETAIL and ticket.level != "U0"


def cancel_asked(turn: Turn, ticket: Ticket) -> Outcome:
    """Whether a resident's ticket is to be called off is asked, with the two answers as buttons."""
    assert turn.actor.resident is not None
    labels = [say("reply.cancel_that", no=ticket.ticket_no), say("reply.cancel_no")]
    person = turn.actor.resident
    questions.ask(turn.session, person, "cancel_which", turn.now, tickets=[ticket.id], text=turn.text, cancel=True)
    sure = say("reply.cancel_sure", **notify.facts(ticket, turn.now))
    return Outcome(sure, tuple(("say:" + one, one) for one in labels))


def _chases_untold(turn: Turn) -> Outcome | None:
    """「约了孙师傅通下水道，说两点到现在都没到」 of somebody for whom nothing is registered: the fault in it is."""
    if turn.actor.resident is None or not waits_in_vain(turn.text) or wants_complaint(turn.text):
        return None
    if _open_draft(turn) is not None:
        return None
    told = chased_for(turn.text)
    mine = [*finding.open_of(turn.session, turn.actor), *finding.followed(turn.session, turn.actor)]
    last = finding.last_of(turn.session, turn.actor)
    if not told or mine or (last is not None and finding.about([last], told)):
        return None
    return Outcome(say("reply.not_registered_yet"), resume=say("reply.report_of", words=told))


def _visit_note(turn: Turn) -> Outcome | None:
    """「来之前给我打个电话」「让我妈在家等 她姓陈」 of somebody with an open job at home: whoever comes reads it, and whom to ring."""
    if not about_visit(turn.text) or asks(turn.text) or opens_another(turn.text) or len(turn.text) > BRIEF:
        return None
    mine = finding.open_of(turn.session, turn.actor, kinds=("BX",)) if turn.actor.resident else []
    mine = [one for one in mine if not one.public_area and one.status != "done"]
    if not mine:
        return None
    ticket = verbs.load(turn.session, mine[0].id)
    found = {"contact_phone": find_phone(turn.text), "contact_name": visit_words.name_in(turn.text)}
    changed = {field: value for field, value in found.items() if value}
    if changed:
        verbs.correct(turn.session, ticket, turn.actor, turn.now, **changed)
    verbs.add_detail(turn.session, ticket, turn.actor, turn.text, turn.now, flags={})
    return Outcome(say("reply.contact_noted" if changed else notify.detail_thanks(ticket)))


def _registered_again(turn: Turn, gone: Sequence[Ticket], more: str) -> str:
    """A new ticket for each that was cancelled, with its place, its number to ring and its time if that is still to come."""
    cards = [say("reply.registered_again")]
    for index, old in enumerate(gone):
        window = parse_window(turn.text, turn.now)
        added = more if more and window is None and len(more) <= SHORT else ""
        report = verbs.Report(
            kind=old.kind,
            code=old.code,
            symptom=say("list.comma").join(filter(None, (old.symptom, added))),
            source_key=f"{turn.key}:again{index}",
            place_key=old.place_key,
            place_text=old.place_text,
            public_area=old.public_area,
            reporter=turn.actor.resident,
            conversation=turn.conversation,
            contact_phone=old.contact_phone,
        )
        ticket, _ = verbs.open_ticket(turn.session, old.community_id, report, turn.now)
        wish = window if window and window.is_visit else _time_still_fits(turn, old)
        if wish:
            set_window(turn, verbs.load(turn.session, ticket.id), wish)
        cards.append(notify.card(ticket, turn.now))
    return "\n".join(cards)


def _time_still_fits(turn: Turn, ticket: Ticket) -> Window | None:
    """The visit time that was wished for a job, if it is still to come."""
    start, end = ticket.wanted_start_at, ticket.wanted_end_at
    return Window(start, end, ticket.wanted_label) if start and end and start > turn.now else None


def _after_answer(turn: Turn) -> Outcome | None:
    """What is said right after a question: that the answer did not help, a question that leans on it, or more for who asks for us."""
    topic = inquiries.last_asked(turn.session, turn.actor.resident, turn.now)
    if topic is None:
        return None
    asked, inquiry = str(topic.data["text"]), inquiries.open_inquiry(turn.session, topic)
    if left_open(turn.text) or asks_to_ask(turn.text):
        if inquiry is not None:
            return _told_inquiry(turn, inquiry)
        words = inquiries.joined(asked, turn.text) if asks_to_ask(turn.text) else asked
        args = (turn.session, turn.conversation, turn.actor, words, str(topic.data["code"]), turn.key, turn.now)
        return Outcome(say("reply.question_recorded", **notify.facts(inquiries.record(*args), turn.now)))
    if inquiries.leaning_part(asked, turn.text):
        return Outcome(resume=inquiries.joined(asked, turn.text))
    if inquiry is not None and only_place(turn.text) and _open_draft(turn) is None:
        return _told_inquiry(turn, inquiry)
    return _nothing_more(turn, inquiry)


def _told_inquiry(turn: Turn, inquiry: Ticket) -> Outcome:
    """More for the colleague who finds an answer."""
    verbs.add_detail(turn.session, inquiry, turn.actor, turn.text, turn.now)
    return Outcome(say("reply.question_told_more", **notify.facts(inquiry, turn.now)))


def _nothing_more(turn: Turn, inquiry: Ticket | None) -> Outcome | None:
    """「算了 不用了」 about a question: nobody need answer it. With anything else under way it may mean that; a bare 「算了」 is
    asked about where somebody is on it."""
    if not (needs_no_answer(turn.text) if inquiry is not None else hesitates(turn.text)):
        return None
    others = [one for one in finding.open_of(turn.session, turn.actor) if inquiry is None or one.id != inquiry.id]
    if others or _open_draft(turn) is not None:
        return None
    if inquiry is not None:
        verbs.cancel(turn.session, inquiry, turn.actor, turn.text, turn.now)
        return Outcome()
    return Outcome(say("reply.question_dropped"))


def _heard_out(turn: Turn, waiting: list[OpenQuestion]) -> Outcome | None:
    """What leaves no doubt and is taken before any form or question: anger about a repair that failed, a wish not to be named,
    the suggestion box (domain.md S54)."""
    resident = turn.actor.resident
    if resident is None or any(one.kind in ("safety", "emergency") for one in waiting):
        return None
    if wish := _not_named(turn, waiting):
        return wish
    if any(one.kind == "call" for one in waiting):
        return None
    if opens_suggestion_box(turn.text):
        questions.ask(turn.session, resident, "suggestion", turn.now)
        return Outcome(say("reply.suggestion_box"))
    if not (is_angry(turn.text) or is_grave(turn.text)) or not failed_repair(turn.text):
        return None
    code = complaints.FAILED_REPAIR
    if complaints.failed_repair(turn.session, turn.actor, code, turn.text) is None:
        return None
    ticket = hearing.hear(turn.session, turn.actor, turn.conversation, turn.text, code, f"{turn.key}:c", turn.now)
    return Outcome(hearing.answer_anger(turn.session, ticket, turn.now), restart_dialogue=True)


def _not_named(turn: Turn, waiting: list[OpenQuestion]) -> Outcome | None:
    """「别写我」「真别告诉他啊」: kept with the complaint that is being told, or was told last. Whoever says so has taken nothing
    back, so that a question whether to cancel goes with it."""
    if not hides_name(turn.text) or len(turn.text) > SHORT:
        return None
    draft = _open_draft(turn)
    if draft is not None and draft.kind == "TS" and draft.data.get("words"):
        draft.data = {**draft.data, "words": f"{draft.data['words']} {turn.text}"}
        return Outcome(say("reply.name_hidden"))
    mine = _open_complaint(turn)
    if mine is None:
        return None
    for question in waiting:
        if question.kind == "cancel_which" and question.data.get("cancel"):
            questions.answered(question, turn.text, turn.now)
    verbs.hide_name(turn.session, mine, turn.actor, turn.text, turn.now)
    return Outcome(say(complaints.hidden_key(mine)))


def _open_complaint(turn: Turn) -> Ticket | None:
    """The complaint or suggestion this person told last and is not over."""
    mine = finding.open_of(turn.session, turn.actor, kinds=("TS", "JY"))
    return verbs.load(turn.session, mine[0].id) if mine else None


# What only makes a report more complete; nobody has to answer it.
MERELY_ASKED = frozenset({"detail", "phone", "confirm_address"})


def _aside(turn: Turn, waiting: list[OpenQuestion]) -> Outcome | None:
    """What is no answer to anything and plain by itself, while no danger is open."""
    if turn.actor.resident is None or any(one.kind in ("safety", "emergency") for one in waiting):
        return None
    if asks_own_tickets(turn.text):
        return Outcome(resume=say("reading.ask_progress"))
    return _nothing_meant(turn) or _gone_away(turn) or _whose_side(turn)


def _nothing_meant(turn: Turn) -> Outcome | None:
    """「没啥事 就想问下…」, 「不是投诉」 of a complaint that is being told: it goes, and what is asked is read on. 「发错了」 of what has
    just been registered is asked about; of anything half told it may be a slip of the pen."""
    draft = _open_draft(turn)
    if draft is not None and draft.kind == "TS" and (nothing_wrong(turn.text) or no_complaint(turn.text)):
        turn.session.delete(draft)
        rest = turn.text if nothing_wrong(turn.text) else ""
        return Outcome(say("reply.draft_dropped"), resume=rest, restart_dialogue=True)
    if draft is not None or not (sent_in_error(turn.text) or no_complaint(turn.text)):
        return None
    kinds = ("TS",) if no_complaint(turn.text) else ("TS", "BX")
    mine = finding.open_of(turn.session, turn.actor, kinds=kinds)
    fresh = [one for one in mine if one.reporter == turn.actor.resident and _just_registered(turn, one)]
    return cancel_asked(turn, fresh[0]) if fresh else Outcome(say("reply.nothing_meant"))


# What somebody who stands or parks in the way takes with them when they go.
IN_THE_WAY = frozenset({"P01", "P02", "T08", "T12"})


def _gone_away(turn: Turn) -> Outcome | None:
    """「诶他走了」 of a car in the way: whether it is to be closed is asked; in a place all share whoever has it makes sure."""
    newest = finding.open_of(turn.session, turn.actor)[:1] if went_away(turn.text) else []
    meant = [one for one in newest if one.code in IN_THE_WAY and not one.arrived_at]
    if not meant:
        return None
    if not meant[0].public_area:
        return cancel_asked(turn, meant[0])
    verbs.add_detail(turn.session, verbs.load(turn.session, meant[0].id), turn.actor, turn.text, turn.now)
    return Outcome(say("reply.gone_noted", no=meant[0].ticket_no))


def _whose_side(turn: Turn) -> Outcome | None:
    """「你那个何姐不会就是她领导吧」: who has the complaint, and that whom it is about reads nothing of it."""
    mine = _open_complaint(turn) if asks_whose_side(turn.text) else None
    if mine is None or mine.handler is None or mine.handler.name not in turn.text:
        return None
    key = "reply.accused_sees_not" if (mine.detail or {}).get("accused") else "reply.handler_is"
    return Outcome(say(key, **notify.facts(mine, turn.now)))


def _left_to_us(turn: Turn, waiting: list[OpenQuestion]) -> Outcome | None:
    """「你们看着办」 after the ticket exists: no further question; what is missing the desk finds out by telephone (SC07)."""
    asked = [one for one in waiting if one.kind in MERELY_ASKED and turn.now - one.asked_at <= FRESH_DETAIL]
    if not asked or turn.actor.resident is None or not gives_up(turn.text):
        return None
    for question in asked:
        questions.answered(question, turn.text, turn.now)
    ticket = _ticket(turn, asked[0])
    event = verbs.comment(turn.session, ticket, turn.actor, turn.text, turn.now)
    for staff in leaders(turn.session, ticket.community_id, "desk"):
        notify.tell_staff(turn.session, staff, ticket, event, "push.find_out", turn.now)
    return Outcome(say("reply.left_to_us", **notify.facts(ticket, turn.now)))


def _told_despite(turn: Turn, waiting: list[OpenQuestion]) -> Outcome | None:
    """What made us ask whether it is dangerous was a report too: talk that is no answer takes it up, so that it is not lost.

    The question stays open: nobody said that it is safe.
    """
    for question in waiting:
        data = question.data
        if question.kind == "safety" and not (data.get("knowledge") or data.get("passed") or is_greeting(turn.text)):
            question.data = {**data, "passed": True}
            if things_in(taken_back(turn.text)):
                # 「门把手先别修了」 of who was asked whether somebody is shut in: nobody is.
                question.data = {**data, "denied": True}
                questions.answered(question, turn.text, turn.now)
            # Two sentences: a place behind a comma would be read as all there is.
            return Outcome(resume=f"{data['text']}。{turn.text}")
    return None


def _drop_draft(turn: Turn, asked_at: datetime | None) -> Outcome | None:
    """「算了不报了」 in front: what was being told goes, and only the rest of the sentence is read on (SC03)."""
    rest = dropped(turn.text)
    if rest is None or gives_up(turn.text):
        return None
    draft = _open_draft(turn)
    if draft is None or (asked_at and asked_at > draft.updated_at):
        return None
    turn.session.delete(draft)
    return Outcome(say("reply.draft_dropped"), resume=rest, restart_dialogue=True)


def _ordinary(turn: Turn, question: OpenQuestion) -> Outcome | None:
    if question.ticket and question.ticket.status not in OPEN and question.kind not in AFTERWARDS:
        question.state = "withdrawn"
        return None
    if question.kind == "detail" and turn.now - question.asked_at > FRESH_DETAIL:
        return None
    own = OWN_READERS.get(question.kind)
    if own is not None:
        return own(turn, question)
    if question.kind == "phone" and question.data.get("contact"):
        return _contact(turn, question)
    if question.kind == "phone" and (half := _phone_begun(turn, question)):
        return half
    kind = SAME_AS.get(question.kind, question.kind)
    handler = HANDLERS.get(question.kind)
    if handler is None or kind not in READERS:
        return None
    answer = read_answer(
        kind,  # type: ignore[arg-type]
        hours_told(turn.text),
        turn.now,
        about=question.ticket.symptom if question.ticket else "",
        proposed=_proposed(question, turn.now),
    )
    if kind == "phone" and (spoken := spoken_phone(turn.text)):
        answer = Answer("phone", "given", phone=spoken)
    return handler(turn, question, answer) if answer else None


def _proposed(question: OpenQuestion, now: datetime) -> Window | None:
    start, end = question.data.get("start"), question.data.get("end")
    if not start or not end:
        return None
    begins, ends = datetime.fromisoformat(start), datetime.fromisoformat(end)
    return Window(begins, ends, span(begins, ends, now))


# --- during an emergency ----------------------------------------------------------------------------------------------


def _emergency(turn: Turn, question: OpenQuestion) -> Outcome | None:
    """While it lasts every word goes to the people on it; the place is asked once and taken whenever it comes."""
    ticket = question.ticket
    if ticket is None or ticket.status not in OPEN or turn.actor.resident is None:
        return None
    if is_over(turn.text, emergencies.danger(ticket)):
        question.data = {**question.data, "over": True}
        return _over(turn, ticket)
    if emergencies.is_none(ticket, turn.text):
        return _none(turn, ticket)
    if taken := _other_draft(turn, ticket) or _time_afterwards(turn, question, ticket):
        return taken
    if leaves_topic(turn.text) or _past_danger(turn, question, ticket) or _says_where_else(turn, question):
        return None
    return None if _on_another(turn, ticket) else _told_on(turn, ticket)


def _told_on(turn: Turn, ticket: Ticket) -> Outcome:
    """More about the danger: passed on, and answered by what needs an answer most."""
    phone = find_phone(turn.text)
    if phone and not ticket.contact_phone:
        note_phone(turn, phone)
        questions.withdraw(turn.session, ticket, "phone")
    place = _place_in_danger(turn, ticket)
    clearer = emergencies.add_words(turn.session, ticket, turn.actor, place, turn.text, turn.now)
    if answered := _asked_in_danger(turn, ticket):
        noted = say("reply.phone_noted", tail=phone[-4:]) if phone else ""
        return Outcome("\n".join(filter(None, (answered, noted, _placed(turn, ticket, place, clearer=clearer)))))
    if beside := told_beside(turn.text, ticket.symptom):
        # Another fault waits for its own ticket, not for the end of the danger.
        return Outcome(emergencies.noted_text(turn.session, turn.actor, ticket, place), resume=beside)
    if clearer and not emergencies.is_formless(ticket):
        return Outcome(_placed(turn, ticket, place, clearer=True))
    if phone and not clearer:
        return Outcome(say("reply.phone_noted", tail=phone[-4:]))
    noted = emergencies.noted_text(turn.session, turn.actor, ticket, place, turn.text)
    return Outcome("\n".join(filter(None, (emergencies.if_worse(ticket, turn.text), noted))))


def _placed(turn: Turn, ticket: Ticket, place: Address, *, clearer: bool) -> str:
    """What there is to say about the place told in a message: where the crew goes now, or what of it is still missing."""
    if not clearer or emergencies.is_formless(ticket):
        return emergencies.missing_place(ticket, place)
    wanted = emergencies.ask_phone(turn.session, turn.actor, ticket, turn.now)
    text = say("reply.emergency_registered", **notify.facts(ticket, turn.now))
    return "\n".join(filter(None, (text, wanted)))


def _past_danger(turn: Turn, question: OpenQuestion, ticket: Ticket) -> bool:
    """Who has said that it is over speaks of other things, unless it begins again."""
    if not question.data.get("over"):
        return False
    if _belongs_to_it(turn, ticket):
        return False
    if not (is_medical(turn.text) or emergencies.if_worse(ticket, turn.text)):
        return True
    question.data = {name: value for name, value in question.data.items() if name != "over"}
    emergencies.begins_again(ticket)
    return False


def _belongs_to_it(turn: Turn, ticket: Ticket) -> bool:
    """「那我能上楼了不」「110还用打吗」「是8栋1单元5楼」 after the danger: nobody waits until tomorrow for that, and no inquiry is opened."""
    if asks_if_safe_again(turn.text) or asks_of_help(turn.text) or stops_help(turn.text):
        return True
    missing = not emergencies.is_told(ticket) and (only_place(turn.text) or corrects(turn.text))
    return missing and read_place(turn.session, ticket.community_id, turn.text).action != "none"


def _none(turn: Turn, ticket: Ticket) -> Outcome:
    """There was no danger: those who lead ring to check, and what was meant instead is read on if it names a thing of its own."""
    said = emergencies.taken_for_none(turn.session, ticket, turn.actor, turn.text, turn.now)
    meant = things_in(turn.text) - things_in(ticket.symptom)
    return Outcome(said, resume=turn.text if meant and is_broken(turn.text) else "")


def _other_draft(turn: Turn, ticket: Ticket) -> Outcome | None:
    """「灯还修不修啊」: what was being told when the danger broke in, and is something else, is taken up again."""
    query = select(Draft).where(Draft.conversation_id == turn.conversation.id, Draft.parked, Draft.kind == "BX")
    draft = turn.session.scalar(query)
    if draft is None or not asks_if_done(turn.text) or _of_danger(turn, ticket):
        return None
    words = str(draft.data.get("words", ""))
    if not things_in(turn.text) & things_in(words):
        return None
    turn.session.delete(draft)
    return Outcome(resume=words, restart_dialogue=True)


def _on_another(turn: Turn, ticket: Ticket) -> bool:
    """「那个投诉呢 你记了没」「所以楼道到底谁来拖」 while a danger is open: about something else that was told, so no word for the crew."""
    if _of_danger(turn, ticket):
        return False
    if asks_of_told(turn.text):
        return True
    mine = finding.open_of(turn.session, turn.actor) if asks_if_done(turn.text) else []
    others = [one for one in mine if one.id != ticket.id and not emergencies.danger(one)]
    return bool(finding.about(others, turn.text)) and not finding.about([ticket], turn.text)


def _of_danger(turn: Turn, ticket: Ticket) -> bool:
    """Whether there is anything in a message that the danger may be about: then it stays with it."""
    text = turn.text
    if asks_in_danger(text) or says_smoke(text) or is_medical(text) or emergencies.if_worse(ticket, text):
        return True
    return bool(emergencies.advice_on(ticket, text)) or detect(text) is not None


def _time_afterwards(turn: Turn, question: OpenQuestion, ticket: Ticket) -> Outcome | None:
    """「不急 明天下午来 138…」 of who said that it is over: those who ring to check hear the time; nothing else is promised."""
    window = parse_window(turn.text, turn.now) if question.data.get("over") else None
    others = things_in(turn.text) - things_in(ticket.symptom)
    if window is None or not window.is_visit or others or asks(turn.text) or asks_of_told(turn.text):
        return None
    if not emergencies.is_told_over(ticket) or ticket.public_area or ticket.arrived_at:
        return None
    if _open_draft(turn) is not None or leaves_topic(turn.text):
        return None
    if phone := find_phone(turn.text):
        note_phone(turn, phone)
        questions.withdraw(turn.session, ticket, "phone")
    emergencies.add_words(turn.session, ticket, turn.actor, NONE, turn.text, turn.now)
    noted = say("reply.phone_noted", tail=phone[-4:]) if phone else ""
    return Outcome("\n".join(filter(None, (say("reply.emergency_time"), noted))))


def _says_where_else(turn: Turn, question: OpenQuestion) -> bool:
    """「4栋1单元602」 to a form that asks where another fault is, which was told after the alarm."""
    draft = _open_draft(turn)
    asked = draft is not None and draft.kind == "BX" and draft.updated_at > question.asked_at
    if not asked or corrects(turn.text) or question.ticket is None:
        return False
    return read_place(turn.session, question.ticket.community_id, turn.text).action != "none"


def _open_draft(turn: Turn) -> Draft | None:
    return finding.open_draft(turn.session, turn.conversation.id)


def _place_in_danger(turn: Turn, ticket: Ticket) -> Address:
    """「人抬到北门了，门开着」: once the place was told only a correction sends the crew elsewhere; they hear the rest, as they hear
    「谁负责门岗的」."""
    resident, community = turn.actor.resident, ticket.community_id
    place = read_place(turn.session, community, at_gate(turn.text), resident=resident, draft=ticket.place_key)
    elsewhere = emergencies.is_told(ticket) and _elsewhere(turn, ticket)
    if elsewhere or (place.public and asks(turn.text)):
        return NONE
    return emergencies.beside(turn.session, community, place, emergencies.danger(ticket), turn.text)


def _asked_in_danger(turn: Turn, ticket: Ticket) -> str:
    """The answer to somebody who asks what they may do, feels ill, asks what is allowed again or who comes, or tells what needs a
    word at once; "" to any other words."""
    if emergencies.becomes_witness(ticket, turn.text):
        return emergencies.advice_again(turn.session, turn.actor, ticket)
    if asks_if_safe_again(turn.text):
        key = "reply.emergency_safe_told_over" if emergencies.is_told_over(ticket) else "reply.emergency_not_yet"
        return say(key, duty_line=emergencies.duty_line(turn.session, turn.actor))
    if emergencies.is_told_over(ticket) and (afterwards := _help_afterwards(turn)):
        return afterwards
    ill = emergencies.someone_is_ill(ticket) if is_medical(turn.text) else ""
    if line := emergencies.advice_now(turn.session, turn.actor, ticket, turn.text):
        return "\n".join(filter(None, (line, ill)))
    if ill:
        return ill
    if wants_fence(turn.text):
        return say("reply.emergency_fence")
    if has_called_help(turn.text):
        return "\n".join(filter(None, (say("reply.emergency_help_called"), emergencies.missing_place(ticket, NONE))))
    if asks_who_comes(turn.text):
        return emergencies.under_way(turn.session, turn.actor, ticket, turn.now)
    if asks_what_to_do(turn.text):
        return emergencies.advice_again(turn.session, turn.actor, ticket)
    return emergencies.to_be_safe(turn.session, turn.actor, ticket, turn.text)


def _help_afterwards(turn: Turn) -> str:
    """Whether 110, 119 or 120 is still to be rung, or not any more."""
    if asks_of_help(turn.text):
        return say("reply.emergency_help_still")
    return say("reply.emergency_ended") if stops_help(turn.text) else ""


def _over(turn: Turn, ticket: Ticket) -> Outcome:
    """「人出来了 没事了」 goes to the people on it, who look or ring; a wish that nobody come is checked by telephone first
    (domain.md §3.1 step 5)."""
    assert turn.actor.resident is not None
    told = ticket.reporter_id == turn.actor.resident.id and not worker_is_there(turn.text)
    said = emergencies.tell_over(turn.session, ticket, turn.actor, turn.text, turn.now)
    if told and not ticket.public_area and not ticket.arrived_at:
        if calls_off(turn.text):
            verbs.cancel(turn.session, ticket, turn.actor, turn.text, turn.now)
            return Outcome()
        # Who says that it is over has not said that nobody need come.
        verbs.have_rung(turn.session, ticket, turn.actor, "over_told", "push.verify_over", turn.now)
    broken = to_mend(turn.text) if emergencies.danger(ticket) in emergencies.OF_PEOPLE else ""
    return Outcome(said, resume=broken)


def _gone_on(turn: Turn, question: OpenQuestion, answer: Answer) -> bool:
    """「不是 后天上午」 puts a time right, 「对了 卧室门吸也掉了」 tells of another thing: no word about the danger."""
    timed = parse_window(turn.text, turn.now) is not None
    if answer.verdict == "no":
        return timed
    other = bool(things_in(turn.text) - things_in(str(question.data["text"])))
    return not begins_with_yes(turn.text) and (timed or other)


def _safety(turn: Turn, question: OpenQuestion, answer: Answer) -> Outcome | None:
    """Only a clear no ends it: a false alarm costs a phone call, a miss can cost a life (domain.md §3.1). Whoever has gone on to
    other matters is taken at a clear word only; the duty people hear of the doubt anyway."""
    if question.data.get("passed") and (answer.verdict == "unclear" or _gone_on(turn, question, answer)):
        return None
    questions.answered(question, turn.text, turn.now)
    if not emergencies.denies(question.data, turn.text, answer.verdict):
        emergencies.confirmed(turn.session, turn.conversation, turn.actor, question.data, turn.text, turn.now)
        return Outcome()
    question.data = {**question.data, "denied": True}
    if question.data.get("passed"):
        mine = finding.open_of(turn.session, turn.actor, kinds=("BX",))
        registered = any(one.created_at >= question.asked_at for one in mine)
        return Outcome(say("reply.safety_good" if registered else "reply.safety_good_untold"))
    if question.data.get("knowledge"):
        return Outcome(say("reply.safety_clear"))
    # 「没有 水槽那个好了 就弄插座吧」 also says what is wanted of what was told.
    told = str(question.data["text"])
    more = taken_back(turn.text) or wanted_still(turn.text) or things_in(turn.text) - things_in(told)
    if is_over(told, str(question.data["danger"])) and not more:
        # 「儿子头卡栏杆里了哈哈 刚自己拔出来了」: nothing is left to be registered.
        return Outcome(say("reply.safety_clear"))
    return Outcome(resume=f"{told}，{turn.text}" if more else told)


# --- acceptance and scores --------------------------------------------------------------------------------------------


def _acceptance(turn: Turn, question: OpenQuestion, answer: Answer) -> Outcome | None:
    ticket = _ticket(turn, question)
    if answer.verdict == "unclear":
        return Outcome(say("reply.acceptance_unclear"))
    if answer.verdict == "thanks":
        return None
    questions.answered(question, turn.text, turn.now)
    if answer.verdict == "ok":
        if question.kind == "callback":
            verbs.callback_ok(turn.session, ticket, turn.actor, turn.text, turn.now)
            return Outcome(say("reply.callback_ok"), resume=answer.fresh)
        verbs.confirm(turn.session, ticket, turn.actor, turn.now, remark=answer.remark)
        _scores_with(turn, ticket, answer.scores, answer.remark)
        return Outcome(resume=answer.fresh)
    left = answer.remark or turn.text
    if question.kind == "callback":
        verbs.reopen(turn.session, ticket, turn.actor, left, turn.now)
    else:
        verbs.not_fixed(turn.session, ticket, turn.actor, left, turn.now, half=answer.verdict == "half")
    if answer.verdict == "false_completion":
        _false_completion(turn, ticket)
    return Outcome(resume=answer.fresh)


def _false_completion(turn: Turn, ticket: Ticket) -> None:
    """「没人来过」 after 完工: the supervisor at once (domain.md §7.1)."""
    told = leaders(turn.session, ticket.community_id, ticket.department)
    verbs.escalate(turn.session, ticket, turn.now, "push.false_completion", told)


def _scores_with(turn: Turn, ticket: Ticket, scores: Scores, remark: str) -> None:
    pair = _pair(scores)
    if pair:
        verbs.rate(turn.session, ticket, turn.actor, *pair, "", turn.now)


def _pair(scores: Scores) -> tuple[int, int] | None:
    """Attitude and quality; one number stands for both, nothing is ever filled up."""
    if scores.attitude and scores.quality:
        return scores.attitude, scores.quality
    one = scores.both or scores.attitude or scores.quality
    return (one, one) if one else None


def _score(turn: Turn, question: OpenQuestion, answer: Answer) -> Outcome | None:
    ticket = _ticket(turn, question)
    if answer.verdict == "declined":
        questions.answered(question, turn.text, turn.now)
        return Outcome(say("reply.score_skipped"), resume=answer.fresh)
    pair = _pair(answer.scores)
    if answer.flags.get(STILL_FAULTY) and ticket.status == "closed":
        # 「没修好还在滴」 in answer to 「请打个分」: the score as given, and the next round.
        questions.answered(question, turn.text, turn.now)
        if pair:
            verbs.rate(turn.session, ticket, turn.actor, *pair, answer.remark, turn.now)
        verbs.reopen(turn.session, ticket, turn.actor, turn.text, turn.now)
        return Outcome(resume=answer.fresh)
    if pair is None:
        return Outcome(say("reply.score_number"), tuple(verbs.score_buttons(ticket)))
    questions.answered(question, turn.text, turn.now)
    verbs.rate(turn.session, ticket, turn.actor, *pair, answer.remark, turn.now)
    return Outcome(resume=answer.fresh)


# --- the visit --------------------------------------------------------------------------------------------------------


def _appointment(turn: Turn, question: OpenQuestion, answer: Answer) -> Outcome | None:
    ticket = _ticket(turn, question)
    if answer.verdict == "agree":
        questions.answered(question, turn.text, turn.now)
        verbs.agree_appointment(turn.session, ticket, turn.actor, turn.now)
        return Outcome(resume=answer.fresh)
    if answer.flags.get(CANCEL):
        questions.answered(question, turn.text, turn.now)
        verbs.cancel(turn.session, ticket, turn.actor, turn.text, turn.now)
        return Outcome()
    if answer.window is None or answer.window.avoid:
        return Outcome(say("reply.change_when"))
    questions.answered(question, turn.text, turn.now)
    set_window(turn, ticket, answer.window)
    return Outcome(resume=answer.fresh)


def set_window(turn: Turn, ticket: Ticket, window: Window) -> None:
    """The resident's own window for the visit."""
    end = window.end or window.start + timedelta(hours=2)
    verbs.change_appointment(
        turn.session, ticket, turn.actor, window.start, end, format_window(window, turn.now), turn.now
    )
    visit_words.keep(turn.session, ticket, turn.actor, turn.text, turn.now)


def _consent(turn: Turn, question: OpenQuestion, answer: Answer) -> Outcome | None:
    ticket = _ticket(turn, question)
    if answer.verdict == "ask":
        event = verbs.comment(turn.session, ticket, turn.actor, turn.text, turn.now)
        if ticket.handler:
            notify.tell_staff(
                turn.session, ticket.handler, ticket, event, "push.detail_staff", turn.now, words=turn.text
            )
        return Outcome(say("reply.consent_ask"))
    questions.answered(question, turn.text, turn.now)
    verbs.consent(turn.session, ticket, turn.actor, answer.verdict == "agree", turn.text, turn.now)
    return Outcome(resume=answer.fresh)


# --- details ----------------------------------------------------------------------------------------------------------


def _elsewhere(turn: Turn, ticket: Ticket) -> bool:
    """The message names another home outright, and something broken there: a report of its own."""
    if corrects(turn.text) or not things_in(turn.text):
        return False
    place = read_place(turn.session, ticket.community_id, turn.text)
    here, there = part_of(ticket.place_key, "building"), part_of(place.key, "building")
    return (place.action == "ok" and place.key != ticket.place_key) or bool(here and there and here != there)


def _detail(turn: Turn, question: OpenQuestion, answer: Answer) -> Outcome | None:
    """What leaves no doubt about being a detail. Anything longer may as well be a new matter, which words alone do not tell:
    the dialogue reads it first and comes back through `try_detail`."""
    doubtless = answer.flags or answer.phone or answer.fresh or len(turn.text) <= NO_MATTER
    return _note_detail(turn, question, answer) if doubtless else None


def try_detail(turn: Turn, code: str = "", *, sure: bool = True, certain: bool = False) -> Outcome | None:
    """Take a message that the model understood as a piece of information, or (`sure`, or even `certain`) as a fault of category
    `code`, as more about the ticket whose detail was just asked; None if nothing was, or if it is a matter of its own."""
    if turn.actor.resident is None:
        return None
    for question in questions.waiting(turn.session, turn.actor.resident, turn.now):
        if question.kind != "detail" or turn.now - question.asked_at > FRESH_DETAIL:
            continue
        ticket = _ticket(turn, question)
        answer = read_answer("detail", hours_told(turn.text), turn.now, about=ticket.symptom)
        if ticket.status in OPEN and answer and not (code and sure and _another_matter(turn, ticket, code, certain)):
            return _note_detail(turn, question, answer)
    return None


def _another_matter(turn: Turn, ticket: Ticket, code: str, certain: bool) -> bool:
    """「快递柜打不开」 after a blocked toilet: names a thing of its own, and another trade, a place all share, or 也; or is certainly
    a fault of quite another kind."""
    named, told = things_in(turn.text), category(code)
    if not named or code == ticket.code:
        return False
    if told.common and not ticket.public_area:
        place = read_place(turn.session, ticket.community_id, turn.text, resident=turn.actor.resident)
        if place.public:
            return True
    other_trade = (told.trades or ("",))[0] != trade_of(ticket)
    other_kind = certain and code[:1] != ticket.code[:1]
    return not named & things_in(ticket.symptom) and (other_trade or other_kind or is_also(turn.text))


def _note_detail(turn: Turn, question: OpenQuestion, answer: Answer) -> Outcome | None:
    ticket = _ticket(turn, question)
    if opens_another(turn.text) or _elsewhere(turn, ticket) or find_scores(turn.text).marks:
        return None
    if is_assent(turn.text) or asks_about_worker(turn.text):
        return None
    plain = answer.window is None and not answer.flags and not answer.phone
    if plain and (ticket.accepted_at or corrects(turn.text) or asks(turn.text) or leaves_topic(turn.text)):
        return None
    if plain and not question.data.get("heard"):
        # 「马桶」「堵了」「没有 两个卫生间」: the answer may still come.
        question.data = {**question.data, "heard": True}
    else:
        questions.answered(question, turn.text, turn.now)
    if emergencies.locks_in(ticket.code, ticket.symptom, turn.text):
        words, key = f"{ticket.symptom} {turn.text}", f"{turn.key}:u"
        emergencies.reported(turn.session, turn.conversation, turn.actor, emergencies.LOCKED_IN, words, key, turn.now)
        return Outcome()
    if answer.phone:
        verbs.correct(turn.session, ticket, turn.actor, turn.now, contact_phone=answer.phone)
    raised = verbs.add_detail(turn.session, ticket, turn.actor, turn.text, turn.now, flags=dict(answer.flags))
    noted = say("reply.phone_noted", tail=answer.phone[-4:]) if answer.phone else ""
    if answer.window and answer.window.is_visit:
        for one in told_together(turn, ticket, timed=corrects(turn.text)):
            set_window(turn, one, answer.window)
        return Outcome(noted, resume=answer.fresh)
    if raised:
        noted = say("reply.detail_raised", **notify.facts(ticket, turn.now))
    return Outcome(noted or say(notify.detail_thanks(ticket)), resume=answer.fresh)


def told_together(turn: Turn, ticket: Ticket, *, timed: bool) -> list[Ticket]:
    """The faults at home that came with `ticket` in one message and have no time yet: one visit time is for all of them. `timed`:
    also those that have one, because it was wrong."""
    told, number = str(ticket.source_key or "").rpartition(":")[::2]
    at_once = all_at_once(turn.text)
    if not at_once and not (told and number.isdigit()):
        return [ticket]
    same = Ticket.reporter_id == ticket.reporter_id if at_once else Ticket.source_key.startswith(told + ":")
    query = select(Ticket).where(
        same,
        Ticket.community_id == ticket.community_id,
        Ticket.kind == "BX",
        Ticket.public_area.is_(False),
        Ticket.status.in_(OPEN),
        Ticket.id != ticket.id,
    )
    query = query if timed or at_once else query.where(Ticket.wanted_label == "")
    together = [ticket, *turn.session.scalars(query)]
    named = [one for one in together if things_in(turn.text) & things_in(one.symptom)]
    return [verbs.load(turn.session, one.id) for one in ([] if at_once else named) or together]


def _phone_begun(turn: Turn, question: OpenQuestion) -> Outcome | None:
    """「幺三九 五七幺 二三四 八八 哎我记不全」: the whole number is asked for, once."""
    if find_phone(turn.text) or not begun_phone(turn.text) or question.data.get("begun"):
        return None
    question.data = {**question.data, "begun": True}
    return Outcome(say("reply.phone_whole"))


def _phone(turn: Turn, question: OpenQuestion, answer: Answer) -> Outcome | None:
    ticket = _ticket(turn, question)
    resident = turn.actor.resident
    if resident is None:
        return None
    if answer.verdict == "declined" and declines_phone(turn.text):
        # 「不想留电话 你们去倒就行了」 takes nothing back.
        questions.answered(question, turn.text, turn.now)
        return Outcome(say("reply.no_phone_needed", no=ticket.ticket_no))
    if answer.verdict == "declined" or (answer.verdict == "profile" and not resident.phone):
        return None
    questions.answered(question, turn.text, turn.now)
    if not answer.phone:
        verbs.correct(turn.session, ticket, turn.actor, turn.now, contact_phone=resident.phone)
        return Outcome(say("reply.phone_profile"), resume=answer.fresh)
    note_phone(turn, answer.phone)
    noted = say("reply.phone_noted", tail=answer.phone[-4:])
    more = _said_beside(turn, ticket)
    return Outcome(f"{noted}\n{more}" if more not in ("", noted) else noted, resume=answer.fresh)


def _said_beside(turn: Turn, ticket: Ticket) -> str:
    """「13900001111 明天上午来」: the time, or a fact about the fault, in the same breath."""
    assert turn.actor.resident is not None
    for question in questions.waiting(turn.session, turn.actor.resident, turn.now):
        if question.kind == "detail" and question.ticket_id == ticket.id:
            answer = read_answer("detail", hours_told(turn.text), turn.now, about=ticket.symptom)
            if answer and (answer.window or answer.flags):
                outcome = _detail(turn, question, answer)
                return outcome.reply if outcome else ""
    window = parse_window(hours_told(turn.text), turn.now)
    if window and window.is_visit and ticket.kind == "BX" and not ticket.public_area:
        set_window(turn, ticket, window)
    return ""


def _contact(turn: Turn, question: OpenQuestion) -> Outcome | None:
    """Whom to meet in the flat somebody else reported for: only this ticket gets the name and the number."""
    phone, name = find_phone(turn.text), find_salutation(turn.text)
    if not phone and not name:
        return None
    ticket = _ticket(turn, question)
    questions.answered(question, turn.text, turn.now)
    found = {"contact_phone": phone, "contact_name": name}
    verbs.correct(
        turn.session, ticket, turn.actor, turn.now, **{field: value for field, value in found.items() if value}
    )
    return Outcome(say("reply.contact_noted"))


def note_phone(turn: Turn, phone: str) -> None:
    """A number given in chat: for every open ticket of this person that has none, and for the person if unknown."""
    resident = turn.actor.resident
    assert resident is not None
    resident.phone = resident.phone or phone
    open_ones = select(Ticket).where(Ticket.reporter_id == resident.id, Ticket.status.in_(OPEN))
    for ticket in turn.session.scalars(open_ones):
        if ticket.contact_phone != phone:
            verbs.correct(turn.session, ticket, turn.actor, turn.now, contact_phone=phone)


def _confirm_address(turn: Turn, question: OpenQuestion, answer: Answer) -> Outcome | None:
    if answer.verdict == "correct":
        return None
    questions.answered(question, turn.text, turn.now)
    if answer.verdict == "yes":
        missing = _still_missing(turn, _ticket(turn, question))
        confirmed = say("reply.place_confirmed")
        return Outcome(f"{confirmed}\n{missing}" if missing else confirmed, resume=answer.fresh)
    return Outcome(say("reply.place_again"))


def _still_missing(turn: Turn, ticket: Ticket) -> str:
    """Without a phone nobody can be reached: it is asked for together with the time, in one question (SC07)."""
    resident = turn.actor.resident
    if resident is None or ticket.contact_phone or ticket.status not in OPEN:
        return ""
    questions.ask(turn.session, resident, "phone", turn.now, ticket=ticket)
    if ticket.kind != "BX" or ticket.public_area or ticket.wanted_label or ticket.level in ("U0", "U1"):
        return say("reply.phone_wanted")
    questions.ask(turn.session, resident, "detail", turn.now, ticket=ticket)
    return say("reply.ask_phone_and_time")


def _solved(turn: Turn, question: OpenQuestion, answer: Answer) -> Outcome | None:
    ticket = _ticket(turn, question)
    if answer.verdict == "unclear":
        return Outcome(say("reply.solved_unclear"))
    questions.answered(question, turn.text, turn.now)
    if answer.verdict == "yes":
        verbs.confirm(turn.session, ticket, turn.actor, turn.now, remark=answer.remark)
    else:
        verbs.not_fixed(turn.session, ticket, turn.actor, turn.text, turn.now)
    return Outcome(resume=answer.fresh)


def _resume_draft(turn: Turn, question: OpenQuestion) -> Outcome | None:
    wanted = resumes_draft(turn.text)
    if wanted is None:
        return None
    draft = turn.session.get(Draft, question.data.get("draft", 0))
    questions.answered(question, turn.text, turn.now)
    if draft is None:
        return None
    if not wanted:
        turn.session.delete(draft)
        return Outcome(say("reply.draft_dropped"), restart_dialogue=True)
    draft.parked = False
    words = str(draft.data.get("words", ""))
    turn.session.delete(draft)
    return Outcome(resume=words, restart_dialogue=True)


def _self_check(turn: Turn, question: OpenQuestion) -> Outcome | None:
    """The worker's word that it works and is cleaned up; anything but a plain yes leaves the ticket as it is."""
    if not self_check_yes(turn.text):
        return None
    ticket = _ticket(turn, question)
    questions.answered(question, turn.text, turn.now)
    verbs.finish(turn.session, ticket, turn.actor, str(question.data.get("note", "")), turn.now, self_checked=True)
    return Outcome(say("staff.finished", no=ticket.ticket_no))


def _none_of_these(turn: Turn, question: OpenQuestion) -> Outcome | None:
    """None of the offered questions was meant: somebody answers the one that was asked, or what is said in its place is read on.
    Whoever means all of them is told all."""
    offered, rest = list(question.data.get("offered") or []), none_but(turn.text)
    if both_meant(turn.text) and offered:
        questions.answered(question, turn.text, turn.now)
        return Outcome(resume="".join(say("reply.asked", question=one) for one in offered))
    if rest is None or turn.actor.resident is None:
        return None
    questions.answered(question, turn.text, turn.now)
    asked, code = str(question.data["text"]), str(question.data.get("code") or "")
    if rest:
        # 「都不是 燃气」 means nothing without what was asked, 「都不是 我问在哪交」 does.
        return Outcome(resume=rest if asks(rest) or asked_instead(rest) else inquiries.joined(asked, rest))
    ticket = inquiries.record(turn.session, turn.conversation, turn.actor, asked, code, turn.key, turn.now)
    return Outcome(say("reply.question_recorded", **notify.facts(ticket, turn.now)))


def _which(turn: Turn, question: OpenQuestion) -> Outcome | None:
    """The ticket that was left open: by its number, its thing or its place in the list; the first words are read again with it."""
    tickets = [verbs.load(turn.session, one) for one in question.data["tickets"]]
    labels = [say("reply.numbered", **notify.facts(one, turn.now)) for one in tickets]
    cancel = bool(question.data.get("cancel"))
    if cancel and no_cancel(turn.text):
        questions.answered(question, turn.text, turn.now)
        return Outcome(say("reply.cancel_kept", no=say("list.comma").join(one.ticket_no for one in tickets)))
    picked = [one for one in tickets if one.ticket_no in turn.text or one.tail == turn.text.strip()]
    if cancel and (all_of_them(turn.text) or (len(tickets) == 1 and yes_cancel(turn.text))):
        picked = tickets
    if not picked and len(tickets) > 1:
        answer = read_answer("choice", turn.text, turn.now, options=labels)
        picked = [tickets[answer.index]] if answer and answer.index is not None else []
    if not picked:
        return None
    questions.answered(question, turn.text, turn.now)
    if not cancel:
        # The first words are read again; actions/progress.py finds the choice beside them.
        question.data = {**question.data, "picked": picked[0].id}
        return Outcome(resume=question.data["text"])
    for ticket in picked:
        verbs.cancel(turn.session, ticket, turn.actor, question.data["text"], turn.now)
    return Outcome()


# --- complaints, suggestions, praise ----------------------------------------------------------------------------------


def _still_angry(turn: Turn, question: OpenQuestion) -> Outcome | None:
    """After the first answer to an angry resident: the same tone, the same promise and a number to ring; a person is called
    for whoever is not telephoned anyway (domain.md §5.3, §5.7)."""
    robot, angry = doubts_person(turn.text), is_angry(turn.text) or shouts(turn.text)
    if not (robot or angry):
        return None
    ticket = _ticket(turn, question)
    verbs.record(turn.session, ticket, turn.actor, "comment", turn.now, note=turn.text)
    if ticket.handler:
        event = verbs.record(turn.session, ticket, turn.actor, "still_angry", turn.now)
        notify.tell_staff(turn.session, ticket.handler, ticket, event, "push.detail_staff", turn.now, words=turn.text)
    resident = turn.actor.resident
    if angry and resident and not complaints.call_of(ticket):
        talk = talks.ask(turn.session, turn.conversation, resident, turn.text, turn.now, why="angry", ticket=ticket)
        return Outcome(talks.promise(turn.session, talk, turn.now))
    return Outcome(complaints.repeated(turn.session, ticket, turn.now, robot=robot))


def _suggestion(turn: Turn, question: OpenQuestion) -> Outcome | None:
    """What comes after 「意见箱」."""
    if is_greeting(turn.text) or turn.actor.resident is None:
        return None
    questions.answered(question, turn.text, turn.now)
    if dropped(turn.text) is not None:
        return Outcome(say("reply.draft_dropped"))
    ticket = hearing.hear(
        turn.session, turn.actor, turn.conversation, turn.text, "J01", f"{turn.key}:j", turn.now, kind="JY"
    )
    lines = [say("reply.suggestion", **notify.facts(ticket, turn.now))]
    if (ticket.detail or {}).get("hidden"):
        lines.append(say(complaints.hidden_key(ticket)))
    return Outcome("\n".join(lines))


def _praise_name(turn: Turn, question: OpenQuestion) -> Outcome | None:
    """「转告时可以写上您的称呼吗」: only a plain yes names anybody."""
    signed = signs_praise(turn.text)
    agreed = True if signed else may_name(turn.text)
    if agreed is None:
        return None
    questions.answered(question, turn.text, turn.now)
    if agreed:
        verbs.name_praiser(turn.session, _ticket(turn, question), turn.actor, turn.now, by=signed)
    return Outcome(say("reply.praise_named" if agreed else "reply.praise_unnamed"))


# --- shared and handed-over matters ------------------------------------------------------------------------------------


def _join(turn: Turn, question: OpenQuestion) -> Outcome | None:
    """「把您也记上，可以吗」: yes joins the neighbour's report, no makes one of their own, anything else leaves it open."""
    wanted = joins(turn.text)
    if wanted is None:
        return None
    questions.answered(question, turn.text, turn.now)
    if wanted:
        return Outcome(_join_now(turn.session, turn.actor, question, turn.now))
    data = question.data
    report = verbs.Report(
        kind="BX",
        code=data["code"],
        symptom=data["symptom"],
        source_key=data["source_key"],
        place_key=data["place_key"],
        place_text=data["place_text"],
        public_area=True,
        reporter=turn.actor.resident,
        conversation=turn.conversation,
    )
    assert turn.actor.resident is not None
    ticket, _ = verbs.open_ticket(turn.session, turn.actor.resident.community_id, report, turn.now)
    return Outcome(notify.card(ticket, turn.now))


def _join_now(session: Session, actor: Actor, question: OpenQuestion, now: datetime) -> str:
    ticket = verbs.load(session, question.ticket_id or 0)
    if ticket.status not in OPEN:
        return say("reply.join_over", **notify.facts(ticket, now))
    data = question.data
    chat = session.get(Conversation, data["conversation"])
    place = (data["place_key"], data["place_text"])
    verbs.join(session, ticket, actor, data["symptom"], now, conversation=chat, place=place)
    return say("reply.joined", **notify.facts(ticket, now))


def join_unanswered(session: Session, question: OpenQuestion, now: datetime) -> None:
    """Silence about the same matter as a neighbour's: it is noted there, and the resident hears so."""
    resident = session.get(Resident, question.resident_id or 0)
    if resident is None:
        return
    questions.answered(question, "", now)
    text = _join_now(session, Actor(resident=resident), question, now)
    key = f"joined:{question.id}"
    notify.push(session, resident, text, key=key, now=now, conversation_id=question.data["conversation"])


def _restored(turn: Turn, question: OpenQuestion) -> Outcome | None:
    """After a common fault each home answers for itself; a no goes on alone (SC10)."""
    good = is_restored(turn.text)
    follower = turn.session.get(Follower, question.data.get("follower", 0))
    if good is None or follower is None:
        return None
    incident = _ticket(turn, question)
    questions.answered(question, turn.text, turn.now)
    if good:
        verbs.restored(turn.session, incident, turn.actor, turn.text, turn.now)
        return Outcome(say("reply.restored"))
    fresh = verbs.still_broken(
        turn.session,
        incident,
        follower,
        turn.actor,
        turn.text,
        turn.now,
        source_key=turn.key,
        conversation=turn.conversation,
    )
    return Outcome(say("reply.not_restored", **notify.facts(fresh, turn.now)))


def _referred(turn: Turn, question: OpenQuestion) -> Outcome | None:
    """The day after a matter was handed to somebody outside: settled, or the desk takes it up again."""
    answer = read_answer("solved", turn.text, turn.now)
    if answer is None or answer.verdict not in ("yes", "no"):
        return None
    ticket = _ticket(turn, question)
    questions.answered(question, turn.text, turn.now)
    settled = answer.verdict == "yes"
    fresh = verbs.referral_answered(turn.session, ticket, turn.actor, settled, turn.text, turn.now)
    if fresh is None:
        return Outcome(say("reply.referral_ok"))
    return Outcome(say("reply.referral_open", **notify.facts(fresh, turn.now)))


def _ticket(turn: Turn, question: OpenQuestion) -> Ticket:
    if question.ticket_id is None:
        raise DeskError
    return verbs.load(turn.session, question.ticket_id)


# Questions read by their own words instead of by nlu/answers.py.
OWN_READERS: dict[str, Callable[[Turn, OpenQuestion], Outcome | None]] = {
    "self_check": _self_check,
    "resume_draft": _resume_draft,
    "which_question": _none_of_these,
    "cancel_which": _which,
    "join": _join,
    "restored": _restored,
    "referred": _referred,
    "call": _still_angry,
    "suggestion": _suggestion,
    "praise_name": _praise_name,
}
HANDLERS: dict[str, Handler] = {
    "safety": _safety,
    "acceptance": _acceptance,
    "callback": _acceptance,
    "score": _score,
    "appointment": _appointment,
    "consent": _consent,
    "detail": _detail,
    "phone": _phone,
    "confirm_address": _confirm_address,
    "solved": _solved,
}
