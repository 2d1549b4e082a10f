"""A resident and a colleague in a talk (tickets/talks.py): which message is for whom, and the colleagues' words around it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session

from bot.speech import Command, Context, Reply, find_ticket
from storage.models import Conversation, Draft, InboxMessage, OpenQuestion, Resident, Staff, Talk
from tickets import questions, talks
from tickets.answering import Outcome, Turn, try_answer
from tickets.errors import NoTalk
from tickets.people import Actor
from tickets.texts import say
from tickets.words import (
    asked_while_leaving,
    gives_up_waiting,
    is_angry,
    is_grave,
    leaves_person,
    person_and_nothing_else,
    where_is_person,
)

SHOWN = 6
# Said within a danger, or in answer to whether there is one: these come before any talk.
DANGER = ("safety", "emergency")


# --- the resident's side ----------------------------------------------------------------------------------------------


def resident_turn(session: Session, chat: Conversation, row: InboxMessage, turn: Turn) -> Outcome | None:
    """Passed on if a person talks; a person is called if one is wanted; None if it is for the bot."""
    resident = turn.actor.resident
    if resident is None or chat.group:
        return None
    talk = talks.of_resident(session, resident)
    if talk and talk.state == "active":
        return _pass_on(session, chat, row, talk, turn)
    if talk and (leaves_person(turn.text) or gives_up_waiting(turn.text)):
        talks.end(session, talk, turn.actor, "resident", turn.now)
        return Outcome(say("reply.person_not_wanted"), resume=asked_while_leaving(turn.text))
    if talk and where_is_person(turn.text):
        talk.ring_at = turn.now
        return Outcome(talks.promise(session, talk, turn.now))
    if not person_and_nothing_else(turn.text) or is_grave(turn.text):
        return None
    return _call(session, chat, resident, turn)


def _pass_on(session: Session, chat: Conversation, row: InboxMessage, talk: Talk, turn: Turn) -> Outcome:
    text = row.text or say(f"talk.media_{_media(row)}")
    files = _files(row)
    talks.from_resident(session, talk, row.text if files else text, files, turn.now, chat=chat)
    if leaves_person(row.text):
        talks.end(session, talk, turn.actor, "resident", turn.now)
        return Outcome()
    assert turn.actor.resident is not None
    waiting = questions.waiting(session, turn.actor.resident, turn.now)
    if row.text and any(one.kind in DANGER for one in waiting):
        return try_answer(turn) or Outcome()
    return Outcome()


def _files(row: InboxMessage) -> list[str]:
    """Keys of the pictures and voice notes of a message."""
    return [file[0] for kind in ("photos", "voices") for file in row.payload.get(kind, [])]


def _media(row: InboxMessage) -> str:
    if row.payload.get("location"):
        return "location"
    return "voice" if row.payload.get("other_media") == "voice" else "other"


def _call(session: Session, chat: Conversation, resident: Resident, turn: Turn) -> Outcome:
    """转人工, in the middle of whatever was being told (domain.md §5.3)."""
    had_draft = session.query(Draft.id).filter(Draft.conversation_id == chat.id).first() is not None
    kept = talks.keep_draft(session, chat, resident, turn.now)
    why = "angry" if is_angry(turn.text) else "asked"
    talk = talks.ask(session, chat, resident, turn.text, turn.now, why=why, ticket=kept[0] if kept else None)
    lines = [talks.promise(session, talk, turn.now)]
    if kept:
        lines.append(say("reply.draft_kept", no=say("list.comma").join(one.ticket_no for one in kept)))
    return Outcome("\n".join(lines), restart_dialogue=had_draft)


def overhear(session: Session, actor: Actor, row: InboxMessage, now: datetime) -> None:
    """A danger told in the middle of a talk has its advice already; the colleague in it must know as well."""
    talk = talks.of_resident(session, actor.resident) if actor.resident else None
    if talk and talk.state == "active":
        talks.from_resident(session, talk, row.text, (), now)


# --- the colleague's side ---------------------------------------------------------------------------------------------


def staff_turn(session: Session, staff: Staff, row: InboxMessage, now: datetime) -> Outcome | None:
    """Passed on to the resident the colleague speaks with; with several it is asked with whom. None outside any talk."""
    if not talks.active_of(session, staff):
        return None
    photos = _files(row)
    if chosen := _chosen(session, staff, row.text, now):
        return chosen
    talk = talks.asked_again(session, staff)
    if talk is None:
        return _ask_which(session, staff, row.text, photos, now)
    talks.from_staff(session, talk, staff, row.text, photos, now)
    return Outcome()


def is_for_desk(session: Session, staff: Staff, command: Command) -> bool:
    """Whether a command is meant as one: in a talk only those that name a ticket, and the few of data/catalog/talks.yml."""
    if command.name in talks.rules().staff_keep or command.values.get("no"):
        return True
    return not talks.active_of(session, staff)


def _ask_which(session: Session, staff: Staff, text: str, photos: list[str], now: datetime) -> Outcome:
    there = talks.active_of(session, staff)[:SHOWN]
    questions.ask(session, staff, "which_talk", now, text=text, photos=photos, talks=[one.id for one in there])
    labels = [say("talk.choice", n=n, who=talks.short_who(one)) for n, one in enumerate(there, 1)]
    buttons = tuple((f"to_talk:{one.id}", label) for one, label in zip(there, labels, strict=True))
    return Outcome(say("staff.which_talk", choices="\n".join(labels)), buttons)


def _chosen(session: Session, staff: Staff, text: str, now: datetime) -> Outcome | None:
    """「2」 in answer to 「这句发给谁」."""
    question = _open_choice(session, staff, now)
    number = text.strip()
    if question is None or not (number.isascii() and number.isdecimal()):
        return None
    ids = question.data["talks"]
    if not 1 <= int(number) <= len(ids):
        return None
    return Outcome(_send_waiting(session, staff, talks.load(session, ids[int(number) - 1], staff), now))


def _open_choice(session: Session, staff: Staff, now: datetime) -> OpenQuestion | None:
    return next((one for one in questions.waiting(session, staff, now) if one.kind == "which_talk"), None)


def _send_waiting(session: Session, staff: Staff, talk: Talk, now: datetime) -> str:
    """From now on words go into `talk`, beginning with those that were waiting for the choice."""
    if talk.staff_id != staff.id or talk.state != "active":
        raise NoTalk()
    talks.choose(session, talk)
    question = _open_choice(session, staff, now)
    if question is not None:
        questions.answered(question, str(talk.id), now)
        talks.from_staff(session, talk, staff, question.data["text"], question.data["photos"], now)
    return say("staff.talk_to", who=talks.short_who(talk))


# --- commands ---------------------------------------------------------------------------------------------------------


def _numbered(context: Context, command: Command) -> Talk | None:
    number = command.ticket_id or int(command.values.get("id") or 0)
    return talks.load(context.session, number, context.staff) if number else None


def _talk(context: Context, command: Command) -> Reply:
    """接待: the one named, or whoever has waited longest."""
    talk = _numbered(context, command)
    if talk is None:
        waiting = [
            one for one in talks.open_ones(context.session, context.staff.community_id) if one.state == "waiting"
        ]
        if not waiting:
            return Reply(say("staff.no_talk_waiting"))
        talk = talks.load(context.session, waiting[0].id, context.staff)
    return Reply(talks.take(context.session, talk, context.staff, context.now), (_end_button(talk),))


def _contact(context: Context, command: Command) -> Reply:
    """联系 0012: speaks to whoever told it."""
    ticket = find_ticket(context, command, list)
    talk, text = talks.begin(context.session, ticket, context.staff, context.now)
    return Reply(text, (_end_button(talk),))


def _end_button(talk: Talk) -> tuple[str, str]:
    return (f"end_talk:{talk.id}", say("button.end_talk"))


def _end_talk(context: Context, command: Command) -> Reply:
    talk = _numbered(context, command) or talks.asked_again(context.session, context.staff)
    mine = talks.active_of(context.session, context.staff)
    if talk is None and mine:
        return Reply(
            say("staff.end_which"), tuple((f"end_talk:{one.id}", talks.short_who(one)) for one in mine[:SHOWN])
        )
    if talk is None or talk.staff_id != context.staff.id or talk.state != "active":
        raise NoTalk()
    talks.end(context.session, talk, context.actor, "staff", context.now)
    return Reply(say("staff.talk_ended", who=talks.short_who(talk)))


def _to_talk(context: Context, command: Command) -> Reply:
    talk = _numbered(context, command)
    if talk is None:
        raise NoTalk()
    return Reply(_send_waiting(context.session, context.staff, talk, context.now))


def _talks(context: Context, command: Command) -> Reply:
    """对话: who waits and who speaks; 对话 12: what was said."""
    talk = _numbered(context, command)
    if talk is not None:
        return Reply(talks.transcript(context.session, talk, context.now))
    there = talks.open_ones(context.session, context.staff.community_id)
    buttons = tuple((f"talk:{one.id}", talks.short_who(one)) for one in there if one.state == "waiting")
    return Reply(talks.listing(there, context.now), buttons[:SHOWN])


RUNNERS: dict[str, Callable[[Context, Command], Reply]] = {
    "talk": _talk,
    "contact": _contact,
    "end_talk": _end_talk,
    "to_talk": _to_talk,
    "talks": _talks,
}
BUTTONS = {"talk": "talk", "end_talk": "end_talk", "to_talk": "to_talk"}
