"""Pictures, voice notes and papers become part of a ticket (domain.md S39): taken in from a chat, shown to whoever works on it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.models import Attachment, Conversation, OpenQuestion, Staff, Ticket
from tickets import finding, lifecycle, notify, questions
from tickets.errors import NotAllowed
from tickets.people import Actor, relations
from tickets.texts import say
from tickets.verbs.steps import record, staff_of

# What shows the fault and its mending, as `purpose` of a picture.
PHOTOS = ("", "before", "after")
# The four papers of a repair; what they are called is `paper.*` in data/messages/labels.yml.
PAPERS = ("slip_report", "slip_order", "slip_check", "slip_buy")
# A picture sent just before its name was said.
JUST_SENT = timedelta(minutes=5)
# The next page of a paper follows soon, or it is another picture.
NEXT_PAGE = timedelta(minutes=2)


def take_in(
    session: Session, actor: Actor, keys: Sequence[str], chat: int, now: datetime, matter: Ticket | None = None
) -> Ticket | None:
    """Files of a chat belong to the one open matter of their sender (of a colleague: the paper or part just asked for, else
    the one job on hand); with several or none they wait in the chat. Whoever works on it sees what a resident sent.
    `matter`: the one that was open when they came, if it may have been closed since."""
    wanted = _wanted(session, actor, now)
    ticket = wanted.ticket if wanted else matter or matter_on_hand(session, actor)
    if ticket is None:
        return None
    query = select(Attachment).where(
        Attachment.key.in_(keys), Attachment.conversation_id == chat, Attachment.ticket_id.is_(None)
    )
    files = list(session.scalars(query.order_by(Attachment.id)))
    for file in files:
        if belong(session, file, ticket, _purpose(ticket, actor, wanted)) is file and actor.resident:
            _show(session, ticket, actor, file, now)
    if wanted and any(file.purpose != "voice" for file in files):
        _came(wanted, now)
    return ticket


def belong(session: Session, file: Attachment, ticket: Ticket, purpose: str) -> Attachment:
    """Make a waiting file part of a ticket. The same one sent twice is kept once: the first is returned, the second goes."""
    same = select(Attachment).where(
        Attachment.key == file.key,
        Attachment.conversation_id == file.conversation_id,
        Attachment.ticket_id == ticket.id,
        Attachment.id != file.id,
    )
    if kept := session.scalar(same):
        session.delete(file)
        return kept
    file.ticket_id, file.purpose = ticket.id, file.purpose or purpose
    return file


def _came(wanted: OpenQuestion, now: datetime) -> None:
    if wanted.kind == "part_photo":
        questions.answered(wanted, "", now)
    else:
        wanted.expires_at = now + NEXT_PAGE


def _wanted(session: Session, actor: Actor, now: datetime) -> OpenQuestion | None:
    """The picture of a new part, or of a paper, that comes next."""
    waiting = questions.waiting(session, actor.staff, now) if actor.staff else []
    return next((one for one in waiting if one.kind in ("part_photo", "paper")), None)


def matter_on_hand(session: Session, actor: Actor) -> Ticket | None:
    """The job a colleague works on, if it is one; the open matter a resident spoke of last."""
    if actor.staff:
        jobs = finding.jobs_of(session, actor.staff, "in_progress")
        return jobs[0] if len(jobs) == 1 else None
    mine = finding.open_of(session, actor, kinds=("BX", "TS"))
    return mine[0] if mine else None


def _purpose(ticket: Ticket, actor: Actor, wanted: OpenQuestion | None) -> str:
    if wanted is not None:
        return "part" if wanted.kind == "part_photo" else str(wanted.data["paper"])
    return "after" if actor.staff and ticket.arrived_at else "before"


def _show(session: Session, ticket: Ticket, actor: Actor, file: Attachment, now: datetime) -> None:
    """What a resident adds goes to whoever works on it; a voice may say a number, so only to who may know it."""
    voice = file.purpose == "voice"
    event = record(session, ticket, actor, "voice_added" if voice else "photo_added", now)
    staff = ticket.handler or ticket.owner
    if staff and not voice:
        notify.tell_staff(session, staff, ticket, event, "push.photo_staff", now, image_key=file.key)
    elif staff and notify.has_accepted(ticket, staff):
        notify.tell_staff(session, staff, ticket, event, "push.voice_staff", now, image_key=file.key)


def newest(session: Session, ticket: Ticket, purpose: str) -> str:
    """The key of the newest picture or voice note of a ticket with this purpose; "" if there is none."""
    query = select(Attachment.key).where(Attachment.ticket_id == ticket.id, Attachment.purpose == purpose)
    return session.scalar(query.order_by(Attachment.id.desc()).limit(1)) or ""


def file_paper(session: Session, ticket: Ticket, actor: Actor, paper: str, chat: Conversation, now: datetime) -> int:
    """归档: the picture just sent is this paper of the ticket; more pages may follow. Returns how many pictures it has now."""
    if not relations(session, ticket, actor) & {lifecycle.HANDLER, lifecycle.DESK, lifecycle.SUPERVISOR}:
        raise NotAllowed(action="paper")
    staff = staff_of(actor)
    last = session.scalar(
        select(Attachment)
        .where(Attachment.conversation_id == chat.id, Attachment.mime.startswith("image/"))
        .where(
            Attachment.created_at > now - JUST_SENT,
            Attachment.ticket_id.in_((ticket.id,)) | Attachment.ticket_id.is_(None),
        )
        .order_by(Attachment.id.desc())
        .limit(1)
    )
    if last is not None and last.purpose not in PAPERS:
        belong(session, last, ticket, paper).purpose = paper
    record(session, ticket, actor, "paper", now, note=say(f"paper.{paper}"))
    _ask_for_pages(session, ticket, staff, paper, now)
    return len(pictures(session, ticket, paper))


def _ask_for_pages(session: Session, ticket: Ticket, staff: Staff, paper: str, now: datetime) -> None:
    asked = questions.ask(session, staff, "paper", now, ticket=ticket, paper=paper)
    if pictures(session, ticket, paper):
        asked.expires_at = now + NEXT_PAGE


def pictures(session: Session, ticket: Ticket, *purposes: str) -> list[Attachment]:
    """The ticket's files with one of these purposes, in the order they came."""
    query = select(Attachment).where(Attachment.ticket_id == ticket.id, Attachment.purpose.in_(purposes))
    return list(session.scalars(query.order_by(Attachment.id)))
