"""A person when wanted: who takes a talk, what each side reads of it, how it ends (domain.md §5.3).

The desk passes the words on, so that neither side learns the other's number and it does not matter which channels they use. A
talk waits until a colleague takes it, and every wait has a promised time that `sweep` watches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache

import yaml
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nlu.slots import find_phone, mask_text
from storage.files import is_voice
from storage.models import Community, Conversation, InboxMessage, Resident, Staff, Talk, TalkLine, Ticket
from tickets import finding, lifecycle, notify, quiet_hours, verbs
from tickets.errors import NoChat, NoTalk, NotAllowed, TalkTaken, TooEarly
from tickets.people import SYSTEM, Actor, each_once, hides_name_from, is_accused, leaders, managers, on_shift, relations
from tickets.places import who_and_where
from tickets.sla import in_desk_hours, next_desk_opening
from tickets.texts import DATA, clock, say
from tickets.wording import check_wording, own_numbers
from tickets.words import bare_request

SHOWN = 200
ROLES = frozenset({"desk", "supervisor", "manager"})


@dataclass(frozen=True)
class Rules:
    """data/catalog/talks.yml."""

    answer: timedelta
    remind: timedelta
    unanswered: timedelta
    silent: timedelta
    recent: int
    recent_within: timedelta
    staff_keep: frozenset[str]


@cache
def rules() -> Rules:
    data = yaml.safe_load((DATA / "catalog" / "talks.yml").read_text("utf-8"))
    spans = {name: timedelta(minutes=data[name]) for name in ("answer", "remind", "unanswered", "silent")}
    within = timedelta(minutes=data["recent_within"])
    return Rules(recent=data["recent"], recent_within=within, staff_keep=frozenset(data["staff_keep"]), **spans)


# --- finding ----------------------------------------------------------------------------------------------------------


def of_resident(session: Session, resident: Resident) -> Talk | None:
    """The talk this resident waits for or is in, locked."""
    query = select(Talk).where(Talk.resident_id == resident.id, Talk.state != "ended")
    return session.scalar(query.with_for_update(of=Talk))


def is_talking(session: Session, resident: Resident) -> bool:
    """Whether a person speaks with this resident right now."""
    query = select(Talk.id).where(Talk.resident_id == resident.id, Talk.state == "active")
    return session.scalar(query) is not None


def active_of(session: Session, staff: Staff) -> list[Talk]:
    """The talks a colleague is in, oldest first."""
    query = select(Talk).where(Talk.staff_id == staff.id, Talk.state == "active")
    return list(session.scalars(query.order_by(Talk.taken_at, Talk.id)))


def open_ones(session: Session, community_id: int) -> list[Talk]:
    """Everybody who waits for a person or speaks with one, the longest wait first."""
    query = select(Talk).where(Talk.community_id == community_id, Talk.state != "ended")
    return list(session.scalars(query.order_by(Talk.state.desc(), Talk.asked_at, Talk.id)))


def load(session: Session, talk_id: int, staff: Staff) -> Talk:
    """The talk with this number in the colleague's community, locked. Raises NoTalk."""
    query = select(Talk).where(Talk.id == talk_id, Talk.community_id == staff.community_id)
    talk = session.scalar(query.with_for_update(of=Talk).execution_options(populate_existing=True))
    if talk is None or not _may_join(talk, staff):
        raise NoTalk()
    return talk


def _may_join(talk: Talk, staff: Staff) -> bool:
    """The desk and its leaders; not whom the matter is about, nor from whom its reporter's name is kept."""
    ticket = talk.ticket
    kept_away = ticket is not None and (is_accused(ticket, staff) or hides_name_from(ticket, staff))
    return staff.active and staff.role in ROLES and staff.community_id == talk.community_id and not kept_away


def short_who(talk: Talk) -> str:
    """王女士, or 居民 with the talk's number for somebody without a name."""
    resident = talk.resident
    return resident.salutation or resident.name or say("talk.unnamed", id=talk.id)


# --- asking for a person ----------------------------------------------------------------------------------------------


def ask(
    session: Session,
    chat: Conversation,
    resident: Resident,
    words: str,
    now: datetime,
    *,
    why: str = "asked",
    ticket: Ticket | None = None,
) -> Talk:
    """A person is wanted: somebody on duty is asked at once, out of hours when the desk opens. Asking again makes no second
    wait."""
    if chat.group:
        # What is said to one person is not said before many.
        chat = notify.conversation_of(session, resident) or chat
    talk = of_resident(session, resident)
    if talk is None:
        talk = Talk(community_id=resident.community_id, resident=resident, conversation=chat, state="waiting", why=why)
        talk.words, talk.asked_at, talk.rung, talk.ticket = mask_text(words)[:SHOWN], now, 0, ticket
        talk.answer_by = _promise(now)
        session.add(talk)
        session.flush()
        _offer(session, talk, now)
    elif talk.state == "waiting" and (talk.answer_by <= now or not in_desk_hours(now)):
        talk.answer_by = _promise(now)
    talk.conversation = chat
    if words:
        _line(session, talk, Actor(resident=resident), words, now)
    return talk


def _promise(now: datetime) -> datetime:
    return (now if in_desk_hours(now) else next_desk_opening(now)) + rules().answer


def _people(session: Session, talk: Talk, now: datetime) -> list[Staff]:
    """Who could take it, those with fewest talks first: the desk on duty, else its supervisor, else the managers."""
    query = select(Staff).where(Staff.community_id == talk.community_id, Staff.role == "desk", Staff.active)
    desk = [one for one in session.scalars(query.order_by(Staff.id)) if on_shift(one, now)]
    heads = leaders(session, talk.community_id, "desk")
    for pool in (desk, heads, managers(session, talk.community_id)):
        fitting = [one for one in pool if _may_join(talk, one)]
        if fitting:
            return sorted(fitting, key=lambda one: _load_of(session, one))
    return []


def _load_of(session: Session, staff: Staff) -> int:
    query = select(func.count()).where(Talk.staff_id == staff.id, Talk.state != "ended")
    return session.scalar(query) or 0


def _offer(session: Session, talk: Talk, now: datetime) -> None:
    """Ask one colleague; out of hours nobody, until the desk opens."""
    if not in_desk_hours(now):
        talk.staff, talk.ring_at = None, next_desk_opening(now)
        return
    people = _people(session, talk, now)
    fresh = [one for one in people if one.id != talk.staff_id]
    chosen = next(iter(fresh or people), None)
    talk.staff, talk.ring_at = chosen, now + rules().remind
    if chosen:
        _ring(session, talk, [chosen], "push.handoff", now)


def _ring(session: Session, talk: Talk, told: Sequence[Staff], key: str, now: datetime) -> None:
    words = talk.words or say("talk.no_words")
    values = {
        "who": who_and_where(session, talk.resident),
        "words": words,
        "id": talk.id,
        "by": clock(talk.answer_by, now),
    }
    for staff in each_once(one for one in told if _may_join(talk, one)):
        _push(
            session, talk, staff, say(key, **values), f"{key}:{talk.rung}:{now.isoformat()}", now, buttons=_take(talk)
        )


def _take(talk: Talk) -> list[tuple[str, str]]:
    return [(f"talk:{talk.id}", say("button.talk"))]


def _push(
    session: Session,
    talk: Talk,
    person: Resident | Staff,
    text: str,
    name: str,
    now: datetime,
    *,
    buttons: notify.Buttons = (),
    image_key: str = "",
) -> None:
    own = isinstance(person, Resident)
    notify.push(
        session,
        person,
        text,
        key=f"talk:{talk.id}:{name}:{'r' if own else 's'}{person.id}"[:160],
        now=now,
        conversation_id=talk.conversation_id if own and talk.conversation.reachable else None,
        buttons=buttons,
        priority=notify.URGENT,
        image_key=image_key,
        ticket=talk.ticket,
    )


def promise(session: Session, talk: Talk, now: datetime) -> str:
    """What the resident is told about the wait: who, by when, how many are before them."""
    settings = session.get_one(Community, talk.community_id).settings
    phone = settings.get("duty_phone") or say("reply.no_duty_phone")
    name, by = talk.staff.name if talk.staff else say("role.desk"), clock(talk.answer_by, now)
    if talk.state == "active":
        return say("reply.talk_on", who=name)
    if not in_desk_hours(now):
        return say("reply.person_after_hours", by=by, opens=clock(next_desk_opening(now), now), duty_phone=phone)
    if ahead := _ahead(session, talk):
        return say("reply.person_queue", who=name, by=by, ahead=ahead, duty_phone=phone)
    return say("reply.person_requested", who=name, by=by, duty_phone=phone)


def _ahead(session: Session, talk: Talk) -> int:
    """How many ask the same colleague and came before."""
    query = select(func.count()).where(Talk.staff_id == talk.staff_id, Talk.state == "waiting", Talk.id < talk.id)
    return session.scalar(query) or 0


def keep_draft(session: Session, chat: Conversation, resident: Resident, now: datetime) -> list[Ticket]:
    """What was being told when the person was wanted is registered as far as it is known; the rest the desk finds out."""
    draft = finding.open_draft(session, chat.id)
    if draft is None:
        return []
    data, kind = draft.data, draft.kind
    told = list(data.get("faults", [])) if kind == "BX" else []
    if not told and data.get("words") and not bare_request(data["words"]):
        told = [{"code": data.get("code") or ("X00" if kind == "BX" else "T99"), "words": data["words"]}]
    several = len(told) > 1
    reports = [
        replace(
            verbs.drafted(kind, data, one, several=several),
            source_key=f"draft:{draft.id}:{now.isoformat()}:{at}",
            reporter=resident,
            conversation=chat,
        )
        for at, one in enumerate(told)
    ]
    found = [verbs.open_ticket(session, resident.community_id, report, now)[0] for report in reports]
    session.delete(draft)
    session.flush()
    return found


# --- taking it and speaking -------------------------------------------------------------------------------------------


def take(session: Session, talk: Talk, staff: Staff, now: datetime) -> str:
    """接待: from now on the bot is silent for this resident. Of two who take it one wins; returns what was said before."""
    if not _may_join(talk, staff):
        raise NotAllowed(action="talk")
    if talk.state == "ended":
        raise NoTalk()
    if talk.state == "active" and talk.staff_id != staff.id:
        raise TalkTaken(name=talk.staff.name if talk.staff else "")
    if talk.state == "waiting":
        talk.state, talk.staff, talk.taken_at, talk.rung = "active", staff, now, 0
        talk.ring_at = now + rules().silent
        session.flush()
        _push(session, talk, talk.resident, say("push.talk_begins", who=staff.name), "begins", now)
        _line(session, talk, Actor(staff=staff), say("talk.taken"), now)
        if talk.ticket:
            verbs.record(session, talk.ticket, Actor(staff=staff), "talk", now, note=say("talk.taken"))
    choose(session, talk)
    return say("staff.talk_taken", who=who_and_where(session, talk.resident), recent=_recent(session, talk, now))


def lines_of(session: Session, talk: Talk) -> list[TalkLine]:
    """Everything that was said, in order."""
    return list(session.scalars(select(TalkLine).where(TalkLine.talk_id == talk.id).order_by(TalkLine.id)))


def choose(session: Session, talk: Talk) -> None:
    """What its colleague types from now on goes into this talk."""
    assert talk.staff is not None
    for one in active_of(session, talk.staff):
        one.current = one.id == talk.id


def _recent(session: Session, talk: Talk, now: datetime) -> str:
    query = (
        select(InboxMessage.text)
        .join(Conversation, Conversation.id == InboxMessage.conversation_id)
        .where(InboxMessage.conversation_id == talk.conversation_id, InboxMessage.text != "")
        .where(InboxMessage.received_at >= now - rules().recent_within)
        .order_by(InboxMessage.id.desc())
        .limit(rules().recent)
    )
    said = [mask_text(" ".join(text.split()))[:SHOWN] for text in session.scalars(query)]
    return "\n".join(say("talk.said", text=text) for text in reversed(said)) or say("talk.no_words")


def from_resident(
    session: Session, talk: Talk, text: str, photos: Sequence[str], now: datetime, *, chat: Conversation | None = None
) -> None:
    """Pass on what the resident says, numbers starred out; a number is kept for the desk all the same."""
    assert talk.staff is not None
    phone = find_phone(text)
    if phone and not talk.resident.phone:
        talk.resident.phone = phone
    if chat is not None:
        talk.conversation = chat
    if not talk.current:
        # Another one speaks up: what the colleague types next is for nobody in particular.
        for one in active_of(session, talk.staff):
            one.current = False
    _pass_on(session, talk, Actor(resident=talk.resident), talk.staff, mask_text(text), photos, short_who(talk), now)
    talk.ring_at, talk.rung = now + rules().unanswered, 0


def from_staff(session: Session, talk: Talk, staff: Staff, text: str, photos: Sequence[str], now: datetime) -> None:
    """Pass on what the colleague says. Raises BadWording for what no resident should read, and for private numbers."""
    if talk.staff_id != staff.id or talk.state != "active":
        raise NoTalk()
    check_wording(text, own_numbers(session, staff.community_id))
    _pass_on(session, talk, Actor(staff=staff), talk.resident, text, photos, staff.name, now)
    talk.ring_at, talk.rung = now + rules().silent, 0


def _pass_on(
    session: Session,
    talk: Talk,
    actor: Actor,
    to: Resident | Staff,
    text: str,
    photos: Sequence[str],
    name: str,
    now: datetime,
) -> None:
    if text:
        line = _line(session, talk, actor, text, now)
        _push(session, talk, to, say("talk.line", who=name, text=text), f"line:{line.id}", now)
    for key in photos:
        line = _line(session, talk, actor, "", now, image_key=key)
        words = say("talk.voice" if is_voice(key) else "talk.photo", who=name)
        _push(session, talk, to, words, f"line:{line.id}", now, image_key=key)


def _line(session: Session, talk: Talk, actor: Actor, text: str, now: datetime, *, image_key: str = "") -> TalkLine:
    line = TalkLine(talk_id=talk.id, at=now, actor=actor.key, actor_name=actor.name, text=mask_text(text))
    line.image_key = image_key
    session.add(line)
    session.flush()
    return line


def asked_again(session: Session, staff: Staff) -> Talk | None:
    """Whom the colleague's next words are for: the only talk, or the one chosen last; None if they have to say."""
    talks = active_of(session, staff)
    if len(talks) == 1:
        return talks[0]
    return next((one for one in talks if one.current), None)


def begin(session: Session, ticket: Ticket, staff: Staff, now: datetime) -> tuple[Talk, str]:
    """联系: a colleague who has a matter speaks to whoever told it, here and without numbers. Not in the hours in which people
    sleep, unless they have just written; not with somebody whose name is kept from the colleague (domain.md §7.3, §9.3)."""
    actor, resident = Actor(staff=staff), ticket.reporter
    found = relations(session, ticket, actor)
    ours = found & {lifecycle.HANDLER, lifecycle.DESK, lifecycle.SUPERVISOR} and staff.role in ROLES
    if resident is None or not ours or hides_name_from(ticket, staff):
        raise NotAllowed(action="contact")
    talk = of_resident(session, resident)
    if talk is not None:
        return talk, take(session, talk, staff, now)
    chat = notify.conversation_of(session, resident)
    if chat is None:
        raise NoChat(no=ticket.ticket_no)
    allowed = quiet_hours.allowed_at("acceptance", now)
    if allowed > now and not quiet_hours.awake(chat.last_inbound_at, now):
        raise TooEarly(when=clock(allowed, now))
    talk = Talk(community_id=ticket.community_id, resident=resident, conversation=chat, state="waiting", why="contact")
    talk.asked_at, talk.answer_by, talk.rung, talk.ticket = now, now, 0, ticket
    session.add(talk)
    session.flush()
    return talk, take(session, talk, staff, now)


# --- ending -----------------------------------------------------------------------------------------------------------


def end(session: Session, talk: Talk, actor: Actor, how: str, now: datetime) -> None:
    """结束: the bot answers again, and both sides know it."""
    if talk.state == "ended":
        return
    was, staff = talk.state, talk.staff
    talk.state, talk.ended_at, talk.ended_as, talk.current, talk.ring_at = "ended", now, how, False, None
    _line(session, talk, actor, say("talk.ended"), now)
    if was == "active" and staff:
        _push(session, talk, talk.resident, say("push.talk_over", who=staff.name), "over", now)
        if actor.staff is not staff:
            _push(session, talk, staff, say("push.talk_over_staff", who=short_who(talk)), "over", now)
    if talk.ticket:
        verbs.record(session, talk.ticket, actor, "talk", now, note=say("talk.ended"))


def transcript(session: Session, talk: Talk, now: datetime) -> str:
    """What was said, as it is kept."""
    rows = [
        say("talk.row", at=clock(one.at, now), who=one.actor_name, text=one.text or say("talk.picture"))
        for one in lines_of(session, talk)
    ]
    return "\n".join([say("talk.head", id=talk.id, who=short_who(talk)), *rows])


def listing(there: list[Talk], now: datetime) -> str:
    """Who waits for a person and who speaks with one (`open_ones`), a line each."""
    head = say("staff.talks_head", count=len(there))
    return "\n".join([head, *(list_line(one, now) for one in there)]) if there else head + say("staff.nothing")


def list_line(talk: Talk, now: datetime) -> str:
    """One talk in a list: who, since when, with whom or until when."""
    key = "staff.talk_line_active" if talk.state == "active" else "staff.talk_line_waiting"
    name = talk.staff.name if talk.staff else say("person.nobody")
    at, by = clock(talk.taken_at or talk.asked_at, now), clock(talk.answer_by, now)
    return say(key, id=talk.id, who=short_who(talk), name=name, at=at, by=by)


# --- the clock --------------------------------------------------------------------------------------------------------


def sweep(session: Session, now: datetime) -> None:
    """Nobody waits past a promised time unheard, and no talk stays open for ever."""
    query = select(Talk).where(Talk.state != "ended", Talk.ring_at <= now).order_by(Talk.id)
    for talk in session.scalars(query.with_for_update(of=Talk, skip_locked=True)):
        (_still_waiting if talk.state == "waiting" else _gone_quiet)(session, talk, now)
    session.flush()


def _still_waiting(session: Session, talk: Talk, now: datetime) -> None:
    """The next colleague is asked; at the promised time the resident hears a new one, and the leaders know."""
    if not in_desk_hours(now):
        talk.answer_by = _promise(now)
        talk.staff, talk.ring_at = None, next_desk_opening(now)
        _push(session, talk, talk.resident, promise(session, talk, now), f"closed:{now.isoformat()}", now)
        return
    talk.rung += 1
    if talk.answer_by > now:
        _offer(session, talk, now)
        talk.ring_at = min(talk.ring_at or talk.answer_by, talk.answer_by)
        return
    talk.answer_by = talk.ring_at = now + rules().answer
    late = say("push.talk_late", by=clock(talk.answer_by, now))
    _push(session, talk, talk.resident, late, f"late:{talk.rung}", now)
    heads = [*leaders(session, talk.community_id, "desk"), *managers(session, talk.community_id)]
    _ring(session, talk, [*_people(session, talk, now), *heads], "push.talk_waits", now)


def _gone_quiet(session: Session, talk: Talk, now: datetime) -> None:
    """The resident waits for a word: the colleague is reminded, then somebody else is asked. Nobody has said a word: it ends."""
    last = next(iter(reversed(lines_of(session, talk))), None)
    waits = last is not None and last.actor.startswith("resident:")
    assert talk.staff is not None
    if not waits:
        end(session, talk, SYSTEM, "silence", now)
    elif talk.rung == 0:
        talk.rung, talk.ring_at = 1, now + rules().unanswered
        text = say("push.talk_unanswered", who=short_who(talk), words=last.text[:60] if last else "")
        _push(session, talk, talk.staff, text, f"unanswered:{last.id if last else 0}", now)
    else:
        talk.state, talk.current, talk.answer_by, talk.taken_at = "waiting", False, _promise(now), None
        _offer(session, talk, now)
        _push(session, talk, talk.resident, promise(session, talk, now), f"again:{now.isoformat()}", now)
