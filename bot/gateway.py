"""The front door: inbox → emergency → button, command or answer → dialogue → outbox; one turn at a time per conversation.

What a channel hands over is stored, and screened for danger, in one transaction before the channel acknowledges it. Everything
after that can be lost and is done again from the inbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import commands, logins, making, media, talking
from bot.channels.base import Inbound, Media
from bot.clock import Clock, system_clock
from bot.making import Made
from bot.rasa_client import RasaClient, RasaDown, Said, joined
from bot.residents import press
from bot.speech import Command, Context
from nlu.emergency import Emergency, Fear, detect
from nlu.slots import mask_identity, mentions_id_number
from storage import mailbox
from storage.database import Sessions
from storage.files import NotAPhoto, NotAVoice, PhotoTooLarge, StoredVoice, save_photo, save_voice
from storage.models import Attachment, Community, Conversation, InboxMessage, Staff, Ticket
from tickets import audit, binding, emergencies, finding, notify, questions, rights, talks
from tickets.answering import Outcome, Turn, try_answer
from tickets.errors import DeskError, NotAllowed
from tickets.people import Actor, actor_of, prefer
from tickets.texts import say
from tickets.words import asks_of_dangers, is_greeting, told_beside

log = logging.getLogger(__name__)

MAX_TEXT = 4000
DIALOGUE_TEXT = 1000
RETRY = (2, 5, 10, 20, 30)
GIVE_UP_AFTER = 6
IMMEDIATE_CHARS = 16
LEADERS = ("desk", "supervisor", "manager")


@dataclass
class Burst:
    """A conversation's messages on their way to one turn."""

    last: float = 0.0
    first: float = 0.0
    at_once: bool = False
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


@dataclass(frozen=True)
class ForDialogue:
    """What the local part of a turn leaves to the dialogue engine."""

    sender: str
    text: str
    rows: list[int]
    metadata: dict[str, Any]
    said_before: int
    restart: bool = False


class Gateway:
    def __init__(
        self,
        sessions: Sessions,
        clock: Clock,
        rasa: RasaClient,
        *,
        community_id: int,
        files: Path,
        max_photo_bytes: int,
        quiet_seconds: float,
        max_seconds: float,
        on_outbox: Callable[[], None],
        on_typing: Callable[[int, bool], None],
        on_bound: Callable[[str, str, str], None] = lambda _channel, _chat, _role: None,
        address: str = "",
        on_used: Callable[[str, str, str, str], None] = lambda _channel, _chat, _card, _words: None,
        reads: Sessions | None = None,
        fear: Fear | None = None,
    ) -> None:
        self._sessions, self._clock, self._rasa, self._fear = sessions, clock, rasa, fear
        self._reads = reads or sessions
        self._made: dict[int, dict[int, Made]] = {}
        self._reports_asked: set[int] = set()
        self._community_id, self._files, self._max_photo_bytes = community_id, files, max_photo_bytes
        self._quiet, self._max = quiet_seconds, max_seconds
        self._on_outbox, self._on_typing, self._on_bound, self._on_used = on_outbox, on_typing, on_bound, on_used
        self._address, self._owner = address, uuid.uuid4().hex
        self._guesses = logins.Guesses()
        self._bursts: dict[int, Burst] = {}
        self._restarts: set[asyncio.Task[None]] = set()

    # --- taking messages ----------------------------------------------------------------------------------------------

    async def receive(self, inbound: Inbound) -> None:
        """Store (and screen) one message; returns once nothing about it can get lost."""
        stored = await asyncio.to_thread(self._store, inbound)
        if stored is None:
            return
        conversation_id, done, at_once = stored
        self._on_outbox()
        if not done:
            self._schedule(conversation_id, at_once)
            return
        # A form that was running would ask on about a fault that has become an emergency.
        task = asyncio.create_task(self._rasa.restart(f"{inbound.channel}:{conversation_id}"))
        self._restarts.add(task)
        task.add_done_callback(self._restarts.discard)

    def _store(self, inbound: Inbound) -> tuple[int, bool, bool] | None:
        now = self._clock()
        with self._sessions.begin() as session:
            identity = mailbox.identity_of(
                session, inbound.channel, inbound.sender_id, self._community_id, inbound.sender_name
            )
            chat = mailbox.conversation_of(session, identity, inbound.chat_id, group=inbound.group)
            text, button = words_and_button(inbound)
            payload = self._payload(inbound)
            if identity.resident and mentions_id_number(text):
                # Not even stored: nobody here needs it (domain.md §9.2).
                text, payload["id_number"] = mask_identity(text), True
            row = mailbox.store_inbound(session, chat, inbound.message_id, text, button, payload, now)
            if row is None:
                return None
            self._keep_files(session, chat, payload)
            actor = actor_of(identity)
            self._screen(session, chat, actor, row)
            if actor.staff and self._report_asked(actor.staff, row.text):
                self._reports_asked.add(chat.id)
            danger = row.done_at is not None
            if inbound.edited:
                self._edit(session, chat, row, inbound.extra.get("edits", ""))
            at_once = bool(inbound.button) or self._answers_now(session, actor, row)
            return chat.id, danger, at_once

    def _payload(self, inbound: Inbound) -> dict[str, Any]:
        payload: dict[str, Any] = {}
        photos = []
        for sent in inbound.media:
            if sent.kind != "image":
                payload["other_media"] = sent.kind
                if voice := self._voice(sent):
                    payload.setdefault("voices", []).append([voice.key, voice.mime, voice.size])
                continue
            try:
                photo = save_photo(self._files, sent.data, self._max_photo_bytes)
            except (NotAPhoto, PhotoTooLarge):
                payload["bad_photo"] = True
                continue
            photos.append([photo.key, photo.mime, photo.size, photo.width, photo.height])
        if photos:
            payload["photos"] = photos
        if inbound.location:
            payload["location"] = [inbound.location.latitude, inbound.location.longitude, inbound.location.label]
        if inbound.contact_phone:
            payload["phone"] = inbound.contact_phone
        if inbound.edited:
            payload["edited"] = True
        payload |= {name: inbound.extra[name] for name in ("card", "card_text") if inbound.extra.get(name)}
        return payload

    def _voice(self, sent: Media) -> StoredVoice | None:
        """A voice note nobody could turn into words is kept for the desk to listen to."""
        try:
            return save_voice(self._files, sent.data, self._max_photo_bytes) if sent.kind == "voice" else None
        except (NotAVoice, PhotoTooLarge):
            return None

    def _keep_files(self, session: Session, chat: Conversation, payload: dict[str, Any]) -> None:
        for key, mime, size in payload.get("voices", []):
            session.add(
                Attachment(
                    key=key,
                    mime=mime,
                    size=size,
                    purpose="voice",
                    conversation_id=chat.id,
                    created_at=self._clock(),
                )
            )
        for key, mime, size, width, height in payload.get("photos", []):
            session.add(
                Attachment(
                    key=key,
                    mime=mime,
                    size=size,
                    width=width,
                    height=height,
                    conversation_id=chat.id,
                    created_at=self._clock(),
                )
            )

    def _screen(self, session: Session, chat: Conversation, actor: Actor, row: InboxMessage) -> None:
        """Danger first, in the same transaction: by words, weighed by the trained model where there is one (domain.md §3.1)."""
        if not row.text or (actor.staff and self._is_no_report(self._context(session, chat, actor, row), row.text)):
            return
        found = detect(row.text, fear=self._fear)
        if found is None:
            return
        key = f"{row.channel}:{row.message_id}"
        if found.verdict != "alarm" and self._already_asked(session, actor):
            return
        if emergencies.screen(session, chat, actor, found, row.text, key, self._clock()):
            row.screened_at = row.done_at = self._clock()
            row.payload = {**row.payload, "emergency": found.kind}
            self._keep_beside(row, found)
            talking.overhear(session, actor, row, self._clock())

    def _keep_beside(self, row: InboxMessage, found: Emergency) -> None:
        """Another fault told with a danger (「另外客厅灯也不亮」) is read by the dialogue once the alarm is out."""
        beside = told_beside(row.text) if found.verdict == "alarm" else ""
        if beside and detect(beside, fear=self._fear) is None:
            row.done_at = None
            row.payload = {**row.payload, "left": beside, "restart": True}

    def _is_no_report(self, context: Context, text: str) -> bool:
        """A command, a question about dangers (「今天有人打架吗」), or a word to a resident (「您那边还有煤气味吗」): no danger a
        colleague tells of. 「到了，已经报警」 belongs to the danger he was sent to; without one it may tell of a new one."""
        session, staff = context.session, context.staff
        if (
            asks_of_dangers(text)
            or commands.ends_danger(text)
            or commands.asks_of_known(text)
            or talks.active_of(session, staff)
        ):
            return True
        command = commands.parse(text, staff.role)
        if command and command.name == "arrive" and command.values.get("note"):
            return bool(emergencies.jobs_of(session, staff))
        if command and commands.may_tell_danger(command, text):
            return commands.tells_of_known_job(context, text)
        return command is not None or commands.tells_of_known_job(context, text)

    def _edit(self, session: Session, chat: Conversation, row: InboxMessage, edits: str) -> None:
        """What nobody has read yet is read as it stands now; what was answered is corrected by a message of its own."""
        query = select(InboxMessage).where(InboxMessage.channel == row.channel, InboxMessage.message_id == edits)
        original = session.scalar(query)
        if original is None:
            return
        unread = original.done_at is None and chat.turn_owner is None and "left" not in original.payload
        if row.done_at:
            # The edit was a danger and is answered; the words before it would only be asked about.
            original.done_at = original.done_at or row.done_at
        elif original.text == row.text:
            row.done_at = row.received_at
        elif unread:
            original.text, row.done_at = row.text, row.received_at
        else:
            row.payload = {**row.payload, "corrects": True}

    def _already_asked(self, session: Session, actor: Actor) -> bool:
        person = actor.resident or actor.staff
        waiting = questions.waiting(session, person, self._clock()) if person else []
        return any(question.kind == "safety" for question in waiting)

    def _answers_now(self, session: Session, actor: Actor, row: InboxMessage) -> bool:
        """Staff, what is said to a person, and short answers to a question do not wait for the rest of a burst (nor do buttons)."""
        if actor.staff or (actor.resident and talks.is_talking(session, actor.resident)):
            return True
        short = len(row.text) <= IMMEDIATE_CHARS
        return short and bool(actor.resident and questions.waiting(session, actor.resident, self._clock()))

    # --- turns --------------------------------------------------------------------------------------------------------

    def _schedule(self, conversation_id: int, at_once: bool) -> None:
        loop = asyncio.get_running_loop()
        burst = self._bursts.setdefault(conversation_id, Burst())
        burst.last = loop.time()
        burst.first = burst.first or burst.last
        burst.at_once = burst.at_once or at_once
        burst.wake.set()
        if burst.task is None or burst.task.done():
            burst.task = loop.create_task(self._run(conversation_id, burst))

    async def _run(self, conversation_id: int, burst: Burst) -> None:
        """Wait for the end of the burst, answer it, and again while more came in meanwhile."""
        while True:
            await self._quieten(burst)
            burst.first, burst.at_once = 0.0, False
            burst.wake.clear()
            try:
                await self._turn(conversation_id)
            except Exception:
                log.exception("gateway.turn_failed conversation=%s", conversation_id)
                await self._turn_failed(conversation_id)
            self._on_outbox()
            if not burst.wake.is_set():
                self._bursts.pop(conversation_id, None)
                return

    async def _turn_failed(self, conversation_id: int) -> None:
        """Our own failure is no reason for silence: the messages are tried again, and in the end given to a person."""
        try:
            rows = await asyncio.to_thread(self._unanswered, conversation_id)
            if rows:
                await asyncio.to_thread(self._postpone, conversation_id, rows, "failed")
        except Exception:
            # No database: nothing can be said or noted, the messages stay where they are.
            log.exception("gateway.postpone_failed conversation=%s", conversation_id)

    def _unanswered(self, conversation_id: int) -> list[int]:
        with self._sessions() as session:
            return [row.id for row in mailbox.waiting_inbound(session, conversation_id, self._clock())]

    async def _quieten(self, burst: Burst) -> None:
        loop = asyncio.get_running_loop()
        while not burst.at_once:
            until = min(burst.last + self._quiet, burst.first + self._max)
            if loop.time() >= until:
                return
            burst.wake.clear()
            try:
                await asyncio.wait_for(burst.wake.wait(), max(0.0, until - loop.time()))
            except TimeoutError:
                continue

    async def recover(self) -> None:
        """Take up what is unanswered in the inbox: after a restart, or when a retry is due."""
        waiting = await asyncio.to_thread(self._waiting)
        for conversation_id in waiting:
            if conversation_id not in self._bursts:
                self._schedule(conversation_id, at_once=True)

    def _waiting(self) -> list[int]:
        with self._sessions() as session:
            return mailbox.conversations_waiting(session, self._clock())

    async def _turn(self, conversation_id: int) -> None:
        if not await asyncio.to_thread(self._claim, conversation_id):
            return
        keeping = asyncio.create_task(self._keep(conversation_id))
        try:
            if conversation_id in self._reports_asked:
                self._reports_asked.discard(conversation_id)
                await asyncio.to_thread(self._make_reports, conversation_id)
            task = await asyncio.to_thread(self._local, conversation_id)
            self._on_outbox()
            if task is not None:
                await self._dialogue(conversation_id, task)
        finally:
            keeping.cancel()
            self._made.pop(conversation_id, None)
            await asyncio.to_thread(self._release, conversation_id)

    async def _keep(self, conversation_id: int) -> None:
        """Renew the claim while the turn runs; a killed process renews nothing, so another soon takes over."""
        while True:
            await asyncio.sleep(mailbox.RENEW_EVERY.total_seconds())
            await asyncio.to_thread(self._claim, conversation_id)

    def _claim(self, conversation_id: int) -> bool:
        with self._sessions.begin() as session:
            return mailbox.claim_turn(session, conversation_id, self._owner, system_clock())

    def _release(self, conversation_id: int) -> None:
        with self._sessions.begin() as session:
            mailbox.release_turn(session, conversation_id, self._owner)

    async def _dialogue(self, conversation_id: int, task: ForDialogue) -> None:
        self._on_typing(conversation_id, True)
        try:
            if task.restart:
                await self._rasa.restart(task.sender)
            if not task.text:
                return
            said = await self._rasa.say(task.sender, task.text, task.metadata)
            if not await asyncio.to_thread(self._answered, conversation_id, task, said):
                why = "failed" if await self._rasa.actions_up() else "down"
                await asyncio.to_thread(self._postpone, conversation_id, task.rows, why)
        except RasaDown as error:
            log.warning("gateway.rasa_down reason=%s", error)
            await asyncio.to_thread(self._postpone, conversation_id, task.rows, "down")
        finally:
            self._on_typing(conversation_id, False)

    def _answered(self, conversation_id: int, task: ForDialogue, said: Said) -> bool:
        """Write the answer down; False if there is none: an action that raised leaves an empty list behind."""
        with self._sessions.begin() as session:
            spoke = mailbox.newest_outbox(session, conversation_id) > task.said_before
            if not said.handled and not spoke:
                return False
            chat = session.get_one(Conversation, conversation_id)
            if said.text:
                self._say(session, chat, said.text, f"turn:{task.rows[-1]}", said.buttons)
            self._finish(session, chat, session.scalars(select(InboxMessage).where(InboxMessage.id.in_(task.rows))))
            return True

    def _finish(
        self, session: Session, chat: Conversation, rows: Iterable[InboxMessage], matter: Ticket | None = None
    ) -> None:
        """Messages that are answered: what they brought and no new matter took belongs to the one that was open."""
        for row in rows:
            media.file(session, actor_of(chat.identity), row, self._clock(), matter)
            row.done_at = self._clock()

    def _postpone(self, conversation_id: int, row_ids: list[int], why: str) -> None:
        """Keep the messages, tell the resident honestly once, try again.

        While something is down that goes on until it is back; what fails with everything up is given to a person.
        """
        now = self._clock()
        with self._sessions.begin() as session:
            chat = session.get_one(Conversation, conversation_id)
            rows = list(session.scalars(select(InboxMessage).where(InboxMessage.id.in_(row_ids))))
            head = rows[0]
            head.attempts += 1
            if not head.notice_sent:
                head.notice_sent = True
                self._say(session, chat, self._delay_text(session), f"delay:{head.id}")
            if why == "failed" and head.attempts >= GIVE_UP_AFTER:
                self._give_to_person(session, chat, rows)
                return
            wait = RETRY[min(head.attempts, len(RETRY)) - 1]
            for row in rows:
                row.retry_at = now + timedelta(seconds=wait)

    def _give_to_person(self, session: Session, chat: Conversation, rows: list[InboxMessage]) -> None:
        now, resident = self._clock(), chat.identity.resident
        words = " ".join(row.text or row.button for row in rows)
        if resident:
            talk = talks.ask(session, chat, resident, words, now, why="failed")
            self._say(session, chat, talks.promise(session, talk, now), f"person:{rows[0].id}")
        else:
            self._say(session, chat, say("staff.unknown"), f"person:{rows[0].id}")
        self._close_rows(session, [row.id for row in rows])

    def _delay_text(self, session: Session) -> str:
        return say("reply.delayed", duty_phone=self._duty_phone(session))

    def _duty_phone(self, session: Session) -> str:
        settings = session.get_one(Community, self._community_id).settings
        return str(settings.get("duty_phone") or say("reply.no_duty_phone"))

    def _close_rows(self, session: Session, row_ids: list[int]) -> None:
        for row in session.scalars(select(InboxMessage).where(InboxMessage.id.in_(row_ids))):
            row.done_at = self._clock()

    def _say(
        self, session: Session, chat: Conversation, text: str, key: str, buttons: tuple[tuple[str, str], ...] = ()
    ) -> None:
        person = chat.identity.resident or chat.identity.staff
        notify.push(session, person, text, key=key, now=self._clock(), conversation_id=chat.id, buttons=buttons)

    def _report_asked(self, staff: Staff, text: str) -> Command | None:
        command = commands.parse(text, staff.role)
        return command if command and command.name in making.NAMES else None

    def _make_reports(self, conversation_id: int) -> None:
        """Reports and workbooks that are asked for are read and drawn before anything is written: nobody waits for them."""
        now = self._clock()
        with self._reads() as session:
            staff = session.get_one(Conversation, conversation_id).identity.staff
            if staff is None:
                return
            for row in mailbox.waiting_inbound(session, conversation_id, now):
                if command := self._report_asked(staff, row.text):
                    with contextlib.suppress(DeskError):
                        # Refused here, it is refused (and noted) again in the turn.
                        self._made.setdefault(conversation_id, {})[row.id] = making.make(session, staff, command, now)

    # --- the local part of a turn -------------------------------------------------------------------------------------

    def _local(self, conversation_id: int) -> ForDialogue | None:
        """Everything that needs no dialogue engine, in one transaction; what is left over is returned."""
        now = self._clock()
        with self._sessions.begin() as session:
            chat = session.get_one(Conversation, conversation_id)
            waiting = mailbox.waiting_inbound(session, conversation_id, now)
            rows = self._finish_cut_off(session, chat, waiting)
            left: list[tuple[InboxMessage, str]] = []
            matter = media.on_hand(session, actor_of(chat.identity), rows)
            # After a turn that was cut off, the dialogue engine may believe in a form that has been filled.
            restart = len(rows) < len(waiting) and finding.open_draft(session, conversation_id) is None
            if self._screen_together(session, chat, rows):
                return ForDialogue(sender_of(chat), "", [], {}, 0, True)
            for row in rows:
                if media.goes_with_words(session, actor_of(chat.identity), row, rows):
                    left.append((row, ""))
                    continue
                if row.payload.get("id_number"):
                    self._say(session, chat, say("reply.id_not_needed"), f"id:{row.id}")
                outcome = self._handle_once(session, chat, row)
                if outcome.reply:
                    self._say(session, chat, outcome.reply, f"row:{row.id}", outcome.buttons)
                restart = restart or outcome.restart_dialogue
                if outcome.resume:
                    left.append((row, outcome.resume))
                else:
                    row.done_at = now
            if not any(text for _, text in left):
                self._finish(session, chat, [row for row, _ in left], matter)
                left = []
            return self._for_dialogue(session, chat, left, restart)

    def _finish_cut_off(self, session: Session, chat: Conversation, rows: list[InboxMessage]) -> list[InboxMessage]:
        """A turn that ended after its actions took effect and before its answer was stored (a process was killed) is not
        taken again: what the actions said is said now. Returns the messages that are still to be handled."""
        acted = [row for row in rows if "acted" in row.payload]
        if not acted:
            return rows
        for row in acted:
            said = joined(row.payload["acted"])
            if said.text:
                self._say(session, chat, said.text, f"turn:{row.id}", said.buttons)
        last = acted[-1].id
        self._close_rows(session, [row.id for row in rows if row.id <= last])
        return [row for row in rows if row.id > last]

    def _handle_once(self, session: Session, chat: Conversation, row: InboxMessage) -> Outcome:
        """A message that waits for the dialogue engine is not read as an answer a second time."""
        if "left" in row.payload:
            return Outcome(resume=row.payload["left"], restart_dialogue=row.payload["restart"])
        outcome = self._handle(session, chat, row)
        if outcome.resume:
            row.payload = {**row.payload, "left": outcome.resume, "restart": outcome.restart_dialogue}
        return outcome

    def _screen_together(self, session: Session, chat: Conversation, rows: list[InboxMessage]) -> bool:
        """「煤气」「味好大」 in two messages is one danger: a burst is also screened as a whole."""
        actor = actor_of(chat.identity)
        texts = [row.text for row in rows if row.text and not row.button and "left" not in row.payload]
        if len(texts) < 2 or actor.staff:
            return False
        joined = "，".join(texts)
        found = detect(joined, fear=self._fear)
        if found is None or found.verdict != "alarm":
            return False
        key = f"{rows[-1].channel}:{rows[-1].message_id}:burst"
        emergencies.screen(session, chat, actor, found, joined, key, self._clock())
        self._close_rows(session, [row.id for row in rows])
        return True

    def _for_dialogue(
        self, session: Session, chat: Conversation, left: list[tuple[InboxMessage, str]], restart: bool
    ) -> ForDialogue | None:
        if not left:
            return ForDialogue(sender_of(chat), "", [], {}, 0, True) if restart else None
        texts = [text for _, text in left if text]
        spoken = [text for text in texts if not is_greeting(text)] or texts[-1:]
        row = left[-1][0]
        metadata = {
            "conversation": chat.id,
            "key": f"{row.channel}:{row.message_id}",
            "now": self._clock().isoformat(),
        }
        ids = [row.id for row, _ in left]
        return ForDialogue(
            sender_of(chat),
            harmless("，".join(spoken))[:DIALOGUE_TEXT],
            ids,
            metadata,
            mailbox.newest_outbox(session, chat.id),
            restart,
        )

    def _handle(self, session: Session, chat: Conversation, row: InboxMessage) -> Outcome:
        """One message; `resume` in the outcome is what the dialogue engine has to read."""
        actor = actor_of(chat.identity)
        try:
            with session.begin_nested():
                return self._handle_unsafe(session, chat, actor, row)
        except DeskError as error:
            audit.refused(session, self._community_id, actor, error, self._clock())
            return Outcome(commands.refusal(error), self._choices(error))

    def _choices(self, error: DeskError) -> tuple[tuple[str, str], ...]:
        return tuple(error.facts.get("buttons", ()))  # type: ignore[arg-type]

    def _handle_unsafe(self, session: Session, chat: Conversation, actor: Actor, row: InboxMessage) -> Outcome:
        now = self._clock()
        if row.button:
            outcome = self._button(session, chat, actor, row)
            self._card_pressed(session, chat, row)
            return outcome
        turn = Turn(session, chat, actor, row.text, now, f"{row.channel}:{row.message_id}")
        if not row.text:
            return self._in_talk(session, chat, actor, row, turn) or media.without_words(turn, row)
        return self._account(session, chat, actor, row) or self._words(session, chat, actor, row, turn)

    def _account(self, session: Session, chat: Conversation, actor: Actor, row: InboxMessage) -> Outcome | None:
        """What is about the account and not about any matter: codes, homes, where to write."""
        if code := commands.binding_code(row.text):
            return self._bind(session, chat, code)
        if said := self._where_to_write(session, chat, actor, row.text):
            return Outcome(said)
        if actor.resident and (home := commands.home_to_bind(commands.resident_menu(row.text))):
            return Outcome(binding.claim(session, actor.resident, home, self._clock()))
        return None

    def _words(self, session: Session, chat: Conversation, actor: Actor, row: InboxMessage, turn: Turn) -> Outcome:
        """A command of staff, a word to a person, an answer to a question, else something for the dialogue."""
        if actor.resident:
            row.text = commands.resident_menu(row.text)
            if row.payload.get("corrects"):
                row.text = say("words.edited", words=row.text)
        turn = replace(turn, text=row.text)
        context = self._context(session, chat, actor, row) if actor.staff else None
        if context is not None:
            command = commands.understood(context, row.text)
            if command and talking.is_for_desk(session, context.staff, command):
                return self._command(context, command)
        if talked := self._in_talk(session, chat, actor, row, turn):
            return talked
        if own := rights.claimed(turn, self._address):
            return own
        if action := commands.beyond(row.text, actor.role):
            raise NotAllowed(action=action)
        matter = media.on_hand(session, actor, [row])
        if actor.staff:
            media.file(session, actor, row, turn.now)
        if answered := try_answer(turn):
            media.file(session, actor, row, turn.now, matter)
            return answered
        if context is not None and (hint := commands.misunderstood(context, row.text)):
            return Outcome(hint.text, hint.buttons)
        return Outcome(resume=row.text)

    def _in_talk(
        self, session: Session, chat: Conversation, actor: Actor, row: InboxMessage, turn: Turn
    ) -> Outcome | None:
        """What people say to people; the bot is silent then."""
        if actor.staff:
            return None if chat.group else talking.staff_turn(session, actor.staff, row, turn.now)
        return talking.resident_turn(session, chat, row, turn)

    def _card_pressed(self, session: Session, chat: Conversation, row: InboxMessage) -> None:
        """A card says who took its job. Not before the verb: whoever pressed first in a group may have had no right to, and
        the others would find no button."""
        card, words = row.payload.get("card"), str(row.payload.get("card_text", ""))
        taken = commands.taken(session, row.button, self._clock())
        if card and (chat.group or taken):
            self._on_used(chat.channel, chat.chat_id, card, f"{words}\n{taken}" if words and taken else "")

    def _where_to_write(self, session: Session, chat: Conversation, actor: Actor, text: str) -> str:
        """「以后发这里」 in a private chat, 「本群派单」 by a leader in a group; the answer, "" for anything else."""
        if chat.group:
            choice = commands.group_choice(text) if actor.role in LEADERS else None
            if choice is None:
                return ""
            chat.hears_dispatch = choice
            return say("staff.group_on" if choice else "staff.group_off")
        choice = commands.preference(text)
        if choice is None:
            return ""
        prefer(session, chat.identity, choice)
        return say("reply.preferred" if choice else "reply.preferred_no_more")

    def _bind(self, session: Session, chat: Conversation, code: str) -> Outcome:
        """A one-time code ties this account to a registered resident or a colleague."""
        sender, now = f"{chat.channel}:{chat.identity.external_id}", self._clock()
        if self._guesses.too_many(sender, now):
            return Outcome(say("error.too_many"))
        if tie := binding.enter_code(session, chat.identity.resident, code, now):
            return Outcome(say("binding.done", home=tie.household.display))
        if not logins.bind(session, chat.identity, code, now):
            self._guesses.failed(sender, now)
            return Outcome(say("error.bad_login"))
        actor = actor_of(chat.identity)
        self._on_bound(chat.channel, chat.chat_id, actor.role)
        return Outcome(say("reply.bound", name=actor.name))

    def _button(self, session: Session, chat: Conversation, actor: Actor, row: InboxMessage) -> Outcome:
        if actor.staff:
            command = commands.from_button(row.button)
            context = self._context(session, chat, actor, row)
            return self._command(context, command) if command else Outcome(say("error.bad_input"))
        turn = Turn(session, chat, actor, "", self._clock(), f"{row.channel}:{row.message_id}")
        return press(turn, row.button)

    def _command(self, context: Context, command: Command) -> Outcome:
        reply = commands.run(context, command)
        # Who acts on a job tells no report any more: a form would take his next words.
        ended = command.name in commands.WORK and self._end_draft(context.session, context.conversation)
        return Outcome(reply.text, reply.buttons, resume=reply.forward, restart_dialogue=ended)

    def _end_draft(self, session: Session, chat: Conversation) -> bool:
        draft = finding.open_draft(session, chat.id)
        if draft is not None:
            session.delete(draft)
        return draft is not None

    def _context(self, session: Session, chat: Conversation, actor: Actor, row: InboxMessage) -> Context:
        assert actor.staff is not None
        key = f"{row.channel}:{row.message_id}"
        made = self._made.get(chat.id, {}).get(row.id)
        return Context(session, chat, actor, actor.staff, self._clock(), key, self._files, self._address, made)


def sender_of(chat: Conversation) -> str:
    """Rasa's name of a conversation; ids are global there, so the channel stands in front (architecture.md §7)."""
    return f"{chat.channel}:{chat.id}"


def words_and_button(inbound: Inbound) -> tuple[str, str]:
    """A quick reply (`say:…`) is a way of typing: it is screened for danger and read like typed words."""
    button = clean(inbound.button)
    if button.startswith("say:"):
        return button.removeprefix("say:"), ""
    return clean(inbound.text)[:MAX_TEXT], button


def clean(text: str) -> str:
    """What no database column and no page can hold goes: NUL, lone surrogates, other control characters."""
    kept = (
        char
        for char in text
        if char in "\n\t" or (ord(char) >= 32 and not 0xD800 <= ord(char) <= 0xDFFF and ord(char) != 127)
    )
    return "".join(kept).strip()


def harmless(text: str) -> str:
    """A typed `/intent{...}` would be obeyed by Rasa: the slash goes (architecture.md §2.4)."""
    stripped = text.lstrip("/ \t\n　／")
    return stripped or "？"
