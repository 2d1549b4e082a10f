"""The tables. No rules live here beyond what the database itself can hold as a constraint.

Times end in `_at` or `_by` and are aware UTC; money is integer 分 (`_fen`); a place is a register key such as `P1/3/2/1502`.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Date,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from storage.types import UtcDateTime

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[Any]: JSON, date: Date}  # noqa: RUF012


# --- the register -----------------------------------------------------------------------------------------------------


class Community(Base):
    """A 小区. `register_spec` is the compact register the address parser is built from; the tables below are its expansion."""

    __tablename__ = "communities"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    register_spec: Mapped[dict[str, Any]]
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Phase(Base):
    __tablename__ = "phases"
    __table_args__ = (UniqueConstraint("community_id", "code"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("communities.id"))
    code: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(40))


class Building(Base):
    __tablename__ = "buildings"
    __table_args__ = (UniqueConstraint("phase_id", "code"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    phase_id: Mapped[int] = mapped_column(ForeignKey("phases.id"))
    code: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(40))


class Unit(Base):
    __tablename__ = "units"
    __table_args__ = (UniqueConstraint("building_id", "code"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    building_id: Mapped[int] = mapped_column(ForeignKey("buildings.id"))
    code: Mapped[str] = mapped_column(String(20))


class Household(Base):
    """A flat, villa, shop or car space: one key of the register."""

    __tablename__ = "households"
    __table_args__ = (UniqueConstraint("community_id", "key"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("communities.id"))
    unit_id: Mapped[int | None] = mapped_column(ForeignKey("units.id"))
    key: Mapped[str] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(10))
    display: Mapped[str] = mapped_column(String(60))


class PublicArea(Base):
    __tablename__ = "public_areas"
    __table_args__ = (UniqueConstraint("community_id", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("communities.id"))
    name: Mapped[str] = mapped_column(String(40))


# --- people -----------------------------------------------------------------------------------------------------------


class Resident(Base):
    """Anyone on the residents' side, also a stranger who only ever wrote once (then without a home)."""

    __tablename__ = "residents"
    id: Mapped[int] = mapped_column(primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("communities.id"))
    name: Mapped[str] = mapped_column(String(60), default="")
    salutation: Mapped[str] = mapped_column(String(30), default="")
    phone: Mapped[str] = mapped_column(String(20), default="")
    notices: Mapped[bool] = mapped_column(default=True)
    # The manager agreed to forget this person; from then on what need not stay goes, the last of it after their open tickets.
    forget_at: Mapped[datetime | None] = mapped_column(index=True)
    homes: Mapped[list[Residency]] = relationship(back_populates="resident")


class Residency(Base):
    """A resident's tie to one household; the role is per household (domain.md §0.3)."""

    __tablename__ = "residencies"
    __table_args__ = (UniqueConstraint("resident_id", "household_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    resident_id: Mapped[int] = mapped_column(ForeignKey("residents.id"), index=True)
    household_id: Mapped[int] = mapped_column(ForeignKey("households.id"), index=True)
    relation: Mapped[str] = mapped_column(String(10))
    verified_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    resident: Mapped[Resident] = relationship(back_populates="homes")
    household: Mapped[Household] = relationship(lazy="joined")


class Staff(Base):
    __tablename__ = "staff"
    id: Mapped[int] = mapped_column(primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("communities.id"))
    name: Mapped[str] = mapped_column(String(40))
    badge: Mapped[str] = mapped_column(String(20), default="")
    role: Mapped[str] = mapped_column(String(12))
    department: Mapped[str] = mapped_column(String(12))
    trades: Mapped[list[Any]] = mapped_column(default=list)
    licences: Mapped[list[Any]] = mapped_column(default=list)
    areas: Mapped[list[Any]] = mapped_column(default=list)
    phone: Mapped[str] = mapped_column(String(20), default="")
    cap: Mapped[int] = mapped_column(default=6)
    active: Mapped[bool] = mapped_column(default=True)
    shifts: Mapped[list[Shift]] = relationship(lazy="selectin")
    leaves: Mapped[list[Leave]] = relationship(lazy="selectin")
    __table_args__ = (
        CheckConstraint("role in ('worker','desk','supervisor','manager')", name="role"),
        UniqueConstraint("community_id", "name"),
    )


class Shift(Base):
    """A weekly duty span in local minutes of the day; `end_minute` above 1440 runs past midnight."""

    __tablename__ = "shifts"
    id: Mapped[int] = mapped_column(primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), index=True)
    weekday: Mapped[int]
    start_minute: Mapped[int]
    end_minute: Mapped[int]


class Leave(Base):
    """A time in which a colleague is away, whatever the weekly spans say."""

    __tablename__ = "leaves"
    id: Mapped[int] = mapped_column(primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), index=True)
    start_at: Mapped[datetime]
    end_at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(String(60), default="")


class Identity(Base):
    """An account in a channel and the one person behind it."""

    __tablename__ = "identities"
    __table_args__ = (
        UniqueConstraint("channel", "external_id"),
        CheckConstraint("(resident_id is null) <> (staff_id is null)", name="one_person"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(String(12))
    external_id: Mapped[str] = mapped_column(String(80))
    resident_id: Mapped[int | None] = mapped_column(ForeignKey("residents.id"), index=True)
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"), index=True)
    # The person asked to be written to here, wherever they spoke last.
    preferred: Mapped[bool] = mapped_column(default=False)
    resident: Mapped[Resident | None] = relationship()
    staff: Mapped[Staff | None] = relationship()


# --- conversations ----------------------------------------------------------------------------------------------------


class Conversation(Base):
    """One chat of one identity. `turn_owner` holds it while a turn runs, so that two processes never answer at once."""

    __tablename__ = "conversations"
    __table_args__ = (UniqueConstraint("channel", "chat_id", "identity_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(String(12))
    chat_id: Mapped[str] = mapped_column(String(80))
    identity_id: Mapped[int] = mapped_column(ForeignKey("identities.id"), index=True)
    group: Mapped[bool] = mapped_column("is_group", default=False)
    # A group of staff (or its robot) that is told which jobs nobody has.
    hears_dispatch: Mapped[bool] = mapped_column(default=False)
    reachable: Mapped[bool] = mapped_column(default=True)
    last_inbound_at: Mapped[datetime | None]
    turn_owner: Mapped[str | None] = mapped_column(String(40))
    turn_until: Mapped[datetime | None]
    identity: Mapped[Identity] = relationship(lazy="joined")


class InboxMessage(Base):
    """What came in, stored before it was acknowledged. `done_at` is set in the transaction that writes the answer."""

    __tablename__ = "inbox"
    __table_args__ = (UniqueConstraint("channel", "message_id"), Index("ix_inbox_open", "done_at", "conversation_id"))
    id: Mapped[int] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(String(12))
    message_id: Mapped[str] = mapped_column(String(120))
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id"))
    text: Mapped[str] = mapped_column(Text, default="")
    button: Mapped[str] = mapped_column(String(80), default="")
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
    received_at: Mapped[datetime]
    screened_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    retry_at: Mapped[datetime | None]
    notice_sent: Mapped[bool] = mapped_column(default=False)


class OutboxMessage(Base):
    """What must go out, written in the transaction of the change that caused it. `dedupe_key` makes it once only."""

    __tablename__ = "outbox"
    __table_args__ = (
        # What still has to go out, by conversation: as short as the queue, however long the past is.
        Index(
            "ix_outbox_waiting",
            "conversation_id",
            "id",
            sqlite_where=text("status = 'pending'"),
            postgresql_where=text("status = 'pending'"),
        ),
        Index(
            "ix_outbox_unreported",
            "id",
            sqlite_where=text("status = 'dead' and reported_at is null"),
            postgresql_where=text("status = 'dead' and reported_at is null"),
        ),
        CheckConstraint("status in ('pending','sent','dead','withdrawn')", name="status"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    dedupe_key: Mapped[str] = mapped_column(String(160), unique=True)
    conversation_id: Mapped[int | None] = mapped_column(ForeignKey("conversations.id"), index=True)
    resident_id: Mapped[int | None] = mapped_column(ForeignKey("residents.id"))
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("tickets.id"), index=True)
    text: Mapped[str] = mapped_column(Text)
    buttons: Mapped[list[Any]] = mapped_column(default=list)
    image_key: Mapped[str] = mapped_column(String(80), default="")
    priority: Mapped[int] = mapped_column(default=5)
    status: Mapped[str] = mapped_column(String(10), default="pending")
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    claimed_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(String(200), default="")
    # When the leaders were told that this person has to be telephoned.
    reported_at: Mapped[datetime | None]


class WebMessage(Base):
    """The web chat's own timeline: what its page shows. `id` is the `seq` of docs/http-api.md."""

    __tablename__ = "web_messages"
    __table_args__ = (UniqueConstraint("conversation_id", "mine", "key"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id"), index=True)
    mine: Mapped[bool]
    key: Mapped[str] = mapped_column(String(160))
    kind: Mapped[str] = mapped_column(String(10), default="text")
    text: Mapped[str] = mapped_column(Text, default="")
    buttons: Mapped[list[Any]] = mapped_column(default=list)
    image_key: Mapped[str] = mapped_column(String(80), default="")
    at: Mapped[datetime]


class WebSession(Base):
    """A web chat login; only the token's hash is kept."""

    __tablename__ = "web_sessions"
    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    identity_id: Mapped[int] = mapped_column(ForeignKey("identities.id"))
    expires_at: Mapped[datetime]


class LoginCode(Base):
    """A one-time code that lets a person open the web chat as themselves, or proves a claim to a home (`residency_id`)."""

    __tablename__ = "login_codes"
    id: Mapped[int] = mapped_column(primary_key=True)
    code_hash: Mapped[str] = mapped_column(String(64), unique=True)
    resident_id: Mapped[int | None] = mapped_column(ForeignKey("residents.id"))
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    residency_id: Mapped[int | None] = mapped_column(ForeignKey("residencies.id"))
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


# --- tickets ----------------------------------------------------------------------------------------------------------


class Ticket(Base):
    """The only thing with a status. Due times are columns so that a restart loses no promise."""

    __tablename__ = "tickets"
    __table_args__ = (
        CheckConstraint("status not in ('assigned','in_progress','rework') or handler_id is not null", name="handled"),
        CheckConstraint("status <> 'new' or handler_id is null", name="new_unowned"),
        CheckConstraint(
            "status not in ('closed','cancelled','referred','merged') or closed_at is not null", name="final_has_time"
        ),
        CheckConstraint("status <> 'on_hold' or (hold_reason <> '' and wake_at is not null)", name="hold_has_reason"),
        CheckConstraint("status <> 'merged' or parent_id is not null", name="merged_has_parent"),
        UniqueConstraint("community_id", "source_key"),
        Index("ix_tickets_place", "community_id", "place_key", "code"),
        Index("ix_tickets_open", "community_id", "status"),
        # The same fault elsewhere lately: neighbours of one power cut, the third broken door closer of a building.
        Index("ix_tickets_like", "community_id", "code", "created_at"),
        Index("ix_tickets_created", "community_id", "created_at"),
        Index("ix_tickets_finished", "community_id", "finished_at"),
        Index("ix_tickets_closed", "community_id", "closed_at"),
        Index("ix_tickets_callback", "community_id", "callback_at"),
        Index("ix_tickets_handler", "handler_id", "status"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("communities.id"))
    ticket_no: Mapped[str] = mapped_column(String(24), unique=True)
    tail: Mapped[str] = mapped_column(String(6), index=True)
    kind: Mapped[str] = mapped_column(String(2))
    status: Mapped[str] = mapped_column(String(12))
    code: Mapped[str] = mapped_column(String(4))
    level: Mapped[str] = mapped_column(String(2))
    urgent_said: Mapped[bool] = mapped_column(default=False)
    place_key: Mapped[str] = mapped_column(String(160), default="")
    place_text: Mapped[str] = mapped_column(String(200), default="")
    public_area: Mapped[bool] = mapped_column(default=False)
    symptom: Mapped[str] = mapped_column(Text, default="")
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
    source: Mapped[str] = mapped_column(String(12), default="chat")
    source_key: Mapped[str | None] = mapped_column(String(160))
    reporter_id: Mapped[int | None] = mapped_column(ForeignKey("residents.id"), index=True)
    reporter_staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    conversation_id: Mapped[int | None] = mapped_column(ForeignKey("conversations.id"))
    contact_name: Mapped[str] = mapped_column(String(60), default="")
    contact_phone: Mapped[str] = mapped_column(String(20), default="")
    handler_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    department: Mapped[str] = mapped_column(String(12), default="")
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("tickets.id"))
    linked_id: Mapped[int | None] = mapped_column(ForeignKey("tickets.id"))
    round: Mapped[int] = mapped_column(default=1)
    wanted_label: Mapped[str] = mapped_column(String(60), default="")
    wanted_start_at: Mapped[datetime | None]
    wanted_end_at: Mapped[datetime | None]
    accept_by: Mapped[datetime | None]
    arrive_by: Mapped[datetime | None]
    finish_by: Mapped[datetime | None]
    appointment_start_at: Mapped[datetime | None]
    appointment_end_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    on_the_way_at: Mapped[datetime | None]
    arrived_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    hold_reason: Mapped[str] = mapped_column(String(60), default="")
    wake_at: Mapped[datetime | None]
    warned_step: Mapped[int] = mapped_column(default=0)
    accept_step: Mapped[int] = mapped_column(default=0)
    arrive_step: Mapped[int] = mapped_column(default=0)
    urge_count: Mapped[int] = mapped_column(default=0)
    score_attitude: Mapped[int | None]
    score_quality: Mapped[int | None]
    remark: Mapped[str] = mapped_column(Text, default="")
    default_accepted: Mapped[bool] = mapped_column(default=False)
    callback_at: Mapped[datetime | None] = mapped_column(index=True)
    contact_at: Mapped[datetime | None]
    # When the clocks have to look at this ticket next; `repeat_at` when an unanswered alarm rings again.
    look_at: Mapped[datetime | None] = mapped_column(index=True)
    repeat_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=0)
    reporter: Mapped[Resident | None] = relationship()
    reporter_staff: Mapped[Staff | None] = relationship(foreign_keys=[reporter_staff_id])
    handler: Mapped[Staff | None] = relationship(foreign_keys=[handler_id])
    owner: Mapped[Staff | None] = relationship(foreign_keys=[owner_id])
    history: Mapped[list[TicketEvent]] = relationship(order_by="TicketEvent.id")
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class TicketEvent(Base):
    """One line of the timeline: who did what when, from which status to which."""

    __tablename__ = "ticket_history"
    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"), index=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(40))
    actor_name: Mapped[str] = mapped_column(String(60))
    action: Mapped[str] = mapped_column(String(24))
    from_status: Mapped[str] = mapped_column(String(12), default="")
    to_status: Mapped[str] = mapped_column(String(12), default="")
    note: Mapped[str] = mapped_column(Text, default="")
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Follower(Base):
    """Somebody besides the reporter who has the same matter: hears what the reporter would hear, and is asked for their own
    place at the end. `child_id` is the ticket of their own that was merged, if they had one."""

    __tablename__ = "followers"
    __table_args__ = (UniqueConstraint("ticket_id", "resident_id"), UniqueConstraint("ticket_id", "staff_id"))
    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"), index=True)
    resident_id: Mapped[int | None] = mapped_column(ForeignKey("residents.id"), index=True)
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    conversation_id: Mapped[int | None] = mapped_column(ForeignKey("conversations.id"))
    child_id: Mapped[int | None] = mapped_column(ForeignKey("tickets.id"))
    place_key: Mapped[str] = mapped_column(String(160), default="")
    place_text: Mapped[str] = mapped_column(String(200), default="")
    at: Mapped[datetime]
    resident: Mapped[Resident | None] = relationship()
    staff: Mapped[Staff | None] = relationship()


class CoHandler(Base):
    """协办: a colleague who helps with a matter whose handler stays responsible for it."""

    __tablename__ = "co_handlers"
    __table_args__ = (UniqueConstraint("ticket_id", "staff_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), index=True)
    at: Mapped[datetime]
    staff: Mapped[Staff] = relationship()


# --- people talking to people -----------------------------------------------------------------------------------------


class Talk(Base):
    """A resident and a colleague speaking through the desk; neither learns the other's number."""

    __tablename__ = "talks"
    __table_args__ = (
        CheckConstraint("state in ('waiting','active','ended')", name="state"),
        CheckConstraint("state <> 'active' or staff_id is not null", name="active_has_staff"),
        # Nobody waits twice at once, whichever channel they ask in.
        Index(
            "uq_talks_open",
            "resident_id",
            unique=True,
            sqlite_where=text("state <> 'ended'"),
            postgresql_where=text("state <> 'ended'"),
        ),
        Index("ix_talks_ring", "state", "ring_at"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("communities.id"))
    resident_id: Mapped[int] = mapped_column(ForeignKey("residents.id"))
    # Where the resident was heard last.
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id"))
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("tickets.id"), index=True)
    # Who was asked last while it waits, who has it once it is taken.
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"), index=True)
    state: Mapped[str] = mapped_column(String(8), default="waiting")
    why: Mapped[str] = mapped_column(String(12))
    words: Mapped[str] = mapped_column(Text, default="")
    # What the colleague types without saying for whom goes here.
    current: Mapped[bool] = mapped_column(default=False)
    asked_at: Mapped[datetime]
    answer_by: Mapped[datetime]
    ring_at: Mapped[datetime | None]
    rung: Mapped[int] = mapped_column(default=0)
    taken_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ended_as: Mapped[str] = mapped_column(String(10), default="")
    resident: Mapped[Resident] = relationship()
    conversation: Mapped[Conversation] = relationship()
    staff: Mapped[Staff | None] = relationship()
    ticket: Mapped[Ticket | None] = relationship()


class TalkLine(Base):
    """One thing said in a talk, as the other side read it."""

    __tablename__ = "talk_lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    talk_id: Mapped[int] = mapped_column(ForeignKey("talks.id"), index=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(40))
    actor_name: Mapped[str] = mapped_column(String(60))
    text: Mapped[str] = mapped_column(Text, default="")
    image_key: Mapped[str] = mapped_column(String(80), default="")


class Assignment(Base):
    """One worker's hold on a ticket, from the offer to its end."""

    __tablename__ = "assignments"
    __table_args__ = (
        CheckConstraint("state in ('offered','accepted','declined','timed_out','withdrawn','done')", name="state"),
        Index("ix_assignments_staff", "staff_id", "state"),
        Index("ix_assignments_turn", "staff_id", "offered_at"),
        # At most one worker holds a ticket; a transfer may be offered to a second one meanwhile.
        Index(
            "uq_assignments_held",
            "ticket_id",
            unique=True,
            sqlite_where=text("state = 'accepted'"),
            postgresql_where=text("state = 'accepted'"),
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"), index=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    state: Mapped[str] = mapped_column(String(10))
    offered_at: Mapped[datetime]
    accept_by: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(String(200), default="")
    why: Mapped[list[Any]] = mapped_column(default=list)
    staff: Mapped[Staff] = relationship()


class Attachment(Base):
    """A picture or file, kept by content hash under the data directory."""

    __tablename__ = "attachments"
    __table_args__ = (UniqueConstraint("key", "conversation_id", "ticket_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(80), index=True)
    mime: Mapped[str] = mapped_column(String(40))
    size: Mapped[int]
    width: Mapped[int] = mapped_column(default=0)
    height: Mapped[int] = mapped_column(default=0)
    purpose: Mapped[str] = mapped_column(String(12), default="")
    conversation_id: Mapped[int | None] = mapped_column(ForeignKey("conversations.id"), index=True)
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("tickets.id"), index=True)
    created_at: Mapped[datetime]


class OpenQuestion(Base):
    """A push that expects an answer, remembered so that free text answers it whichever process or channel receives it."""

    __tablename__ = "open_questions"
    __table_args__ = (
        CheckConstraint("state in ('open','answered','expired','withdrawn')", name="state"),
        Index("ix_open_questions_open", "state", "resident_id"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("tickets.id"), index=True)
    resident_id: Mapped[int | None] = mapped_column(ForeignKey("residents.id"))
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(String(10), default="open")
    asked_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    remind_at: Mapped[datetime | None]
    reminders: Mapped[int] = mapped_column(default=0)
    answered_at: Mapped[datetime | None]
    answer: Mapped[str] = mapped_column(Text, default="")
    ticket: Mapped[Ticket | None] = relationship()


class Draft(Base):
    """What a conversation is still collecting before a ticket exists; kept 24 h (domain.md §2.1 收集中)."""

    __tablename__ = "drafts"
    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id"), unique=True)
    kind: Mapped[str] = mapped_column(String(2))
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    parked: Mapped[bool] = mapped_column(default=False)
    updated_at: Mapped[datetime]
    reminded_at: Mapped[datetime | None]


class Counter(Base):
    """Named numbers that only grow: the day's ticket number, a channel's read position."""

    __tablename__ = "counters"
    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    value: Mapped[int] = mapped_column(default=0)


class PlatformToken(Base):
    """The access token of a platform account, one for all processes: taking a second one could end the first."""

    __tablename__ = "platform_tokens"
    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    token: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime | None]
    forced_at: Mapped[datetime | None]


class ReplyWindow(Base):
    """How many messages a platform still lets us send to a person of its own accord, and until when (by kind of occasion)."""

    __tablename__ = "reply_windows"
    channel: Mapped[str] = mapped_column(String(12), primary_key=True)
    chat_id: Mapped[str] = mapped_column(String(80), primary_key=True)
    kind: Mapped[str] = mapped_column(String(12), primary_key=True)
    until_at: Mapped[datetime]
    left: Mapped[int]


class ReviewItem(Base):
    """A message the model was not sure of, or got wrong, kept (masked) until a person says what it means."""

    __tablename__ = "review_items"
    __table_args__ = (
        UniqueConstraint("community_id", "source_key"),
        CheckConstraint("state in ('open','labelled','dropped')", name="state"),
        CheckConstraint("why in ('unsure','corrected')", name="why"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("communities.id"))
    source_key: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime]
    text: Mapped[str] = mapped_column(Text)
    why: Mapped[str] = mapped_column(String(10))
    intent: Mapped[str] = mapped_column(String(40))
    category: Mapped[str] = mapped_column(String(4), default="")
    confidence: Mapped[float]
    suggested: Mapped[str] = mapped_column(String(40), default="")
    state: Mapped[str] = mapped_column(String(10), default="open", index=True)
    label: Mapped[str] = mapped_column(String(40), default="")
    labelled_at: Mapped[datetime | None]


class KnowledgeCandidate(Base):
    """A colleague's answer to a resident's question (both masked), kept until a person makes it a written answer or not."""

    __tablename__ = "knowledge_candidates"
    __table_args__ = (CheckConstraint("state in ('open','accepted','dropped')", name="state"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("communities.id"), index=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"), unique=True)
    code: Mapped[str] = mapped_column(String(4))
    question: Mapped[str] = mapped_column(Text)
    answer: Mapped[str] = mapped_column(Text)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(10), default="open")
    entry: Mapped[str] = mapped_column(String(60), default="")
    settled_at: Mapped[datetime | None]
    ticket: Mapped[Ticket] = relationship()


# --- leading ----------------------------------------------------------------------------------------------------------


class Rectification(Base):
    """整改单: something a named colleague puts right by a date; reminded until it is done."""

    __tablename__ = "rectifications"
    id: Mapped[int] = mapped_column(primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("communities.id"), index=True)
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("tickets.id"))
    what: Mapped[str] = mapped_column(Text)
    owner_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), index=True)
    asked_by_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    remind_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    result: Mapped[str] = mapped_column(Text, default="")
    owner: Mapped[Staff] = relationship(foreign_keys=[owner_id])
    asked_by: Mapped[Staff] = relationship(foreign_keys=[asked_by_id])


class AccessLog(Base):
    """Who was refused, and who took data out: kept, so that it can be asked (domain.md §9.1)."""

    __tablename__ = "access_log"
    id: Mapped[int] = mapped_column(primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("communities.id"))
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(String(40))
    action: Mapped[str] = mapped_column(String(40))
    target: Mapped[str] = mapped_column(String(60), default="")
    allowed: Mapped[bool]


class Export(Base):
    """A workbook made for one leader, or a resident's own file, fetched by a link that only they were sent; only the
    token's hash is kept."""

    __tablename__ = "exports"
    __table_args__ = (CheckConstraint("(resident_id is null) <> (staff_id is null)", name="one_person"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    resident_id: Mapped[int | None] = mapped_column(ForeignKey("residents.id"))
    file_name: Mapped[str] = mapped_column(String(120))
    content: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
