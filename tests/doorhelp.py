"""The gateway as a channel meets it, without a dialogue engine."""

from __future__ import annotations

import io
import itertools
from datetime import datetime
from pathlib import Path
from typing import Any

from deskhelp import Desk, at
from PIL import Image
from sqlalchemy import Engine, select

from bot.channels.base import Inbound, Location, Media
from bot.gateway import ForDialogue, Gateway
from bot.rasa_client import RasaClient, Said
from storage.database import sessions
from storage.models import Community, Conversation, Identity, OutboxMessage, Talk
from tickets import clocks

PICTURE = io.BytesIO()
Image.new("RGB", (8, 8), "red").save(PICTURE, "PNG")


class Door:
    """The gateway with a clock that stands where it is put, and everybody's chat behind it."""

    def __init__(self, engine: Engine, files: Path, rasa: RasaClient) -> None:
        self.sessions, self.now = sessions(engine), at("10:00")
        self._numbers = itertools.count(1)
        with self.sessions() as session:
            self.community = session.scalars(select(Community.id)).one()
        self.gateway = Gateway(
            self.sessions, lambda: self.now, rasa, community_id=self.community, files=files, max_photo_bytes=10**6,
            quiet_seconds=0, max_seconds=0, on_outbox=lambda: None, on_typing=lambda _chat, _on: None,
        )  # fmt: skip

    def desk(self, session: object) -> Desk:
        community = session.get_one(Community, self.community)  # type: ignore[attr-defined]
        return Desk(session, community)  # type: ignore[arg-type]

    def account(self, name: str) -> tuple[str, str]:
        with self.sessions() as session:
            if name.startswith("stranger"):
                return "telegram", name
            chat = self.desk(session).chat(name)
            return chat.channel, chat.identity.external_id

    def say(
        self, name: str, text: str = "", *, button: str = "", photo: bool = False, voice: bytes = b"",
        place: Location | None = None,
    ) -> list[str]:  # fmt: skip
        """Send one message and return what its sender reads at once; what is left for the dialogue is in `left`."""
        return self.together(name, {"text": text, "button": button, "photo": photo, "voice": voice, "place": place})

    def together(self, name: str, *messages: dict[str, Any]) -> list[str]:
        """The same with several messages of one burst."""
        channel, sender = self.account(name)
        before = self.last()
        for one in messages:
            media = (Media("image", PICTURE.getvalue(), "image/png"),) if one.get("photo") else ()
            media += (Media("voice", one["voice"], "audio/ogg"),) if one.get("voice") else ()
            told = {"text": one.get("text", ""), "button": one.get("button", ""), "location": one.get("place")}
            self.gateway._store(Inbound(channel, f"m{next(self._numbers)}", sender, sender, media=media, **told))
        with self.sessions() as session:
            query = select(Conversation.id).join(Identity).where(Identity.external_id == sender)
            chat = session.scalars(query.where(Conversation.channel == channel)).one()
        self.left: ForDialogue | None = self.gateway._local(chat)
        with self.sessions() as session:
            query = select(OutboxMessage.text).where(OutboxMessage.conversation_id == chat, OutboxMessage.id > before)
            return list(session.scalars(query.order_by(OutboxMessage.id)))

    def answers(self, name: str, text: str, buttons: tuple[tuple[str, str], ...] = ()) -> None:
        """What the dialogue would say to what is `left`."""
        assert self.left is not None
        with self.sessions() as session:
            chat = self.desk(session).chat(name).id
        self.gateway._answered(chat, self.left, Said(text, buttons, True))

    def last(self) -> int:
        with self.sessions() as session:
            return max(session.scalars(select(OutboxMessage.id)), default=0)

    def heard(self, name: str, after: int = 0) -> list[str]:
        with self.sessions() as session:
            person = self.desk(session).chat(name).id
            query = select(OutboxMessage.text).where(OutboxMessage.conversation_id == person, OutboxMessage.id > after)
            return list(session.scalars(query.order_by(OutboxMessage.id)))

    def buttons(self, name: str) -> list[Any]:
        """Of the newest message."""
        with self.sessions() as session:
            chat = self.desk(session).chat(name).id
            query = select(OutboxMessage.buttons).where(OutboxMessage.conversation_id == chat)
            return session.scalars(query.order_by(OutboxMessage.id.desc())).first() or []

    def sweep(self, now: datetime) -> None:
        self.now = now
        with self.sessions.begin() as session:
            clocks.sweep(session, now)

    def talk(self) -> Talk:
        with self.sessions() as session:
            return session.scalars(select(Talk).order_by(Talk.id.desc())).first()  # type: ignore[return-value]
