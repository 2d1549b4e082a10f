"""What every channel is to the gateway: messages come in as `Inbound`, go out as `Outbound`.

A channel verifies, normalises and hands over; it decides nothing about the trade. The gateway stores an `Inbound`
before the channel acknowledges it to the platform, and drops a repeated `message_id` itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from starlette.requests import Request


@dataclass(frozen=True)
class Media:
    """A picture, voice note or file already downloaded from the platform."""

    kind: str  # "image" | "voice" | "file"
    data: bytes
    filename: str = ""
    mime: str = ""


@dataclass(frozen=True)
class Location:
    latitude: float
    longitude: float
    label: str = ""


@dataclass(frozen=True)
class Inbound:
    """One thing a person did in a channel.

    `channel` + `message_id` is unique for ever; `sender_id` is the channel's own id of the person (verified by the channel,
    never taken from text), `chat_id` where an answer goes (equal to sender_id in private chats).
    """

    channel: str
    message_id: str
    sender_id: str
    chat_id: str
    text: str = ""
    button: str = ""  # code of a pressed button, at most 64 bytes
    media: tuple[Media, ...] = ()
    location: Location | None = None
    contact_phone: str = ""  # a contact card, only when it is the sender's own number
    sender_name: str = ""
    group: bool = False
    edited: bool = False  # a later edit of the message `extra["edits"]`: read as a correction
    sent_at: datetime | None = None
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Button:
    code: str  # at most 64 bytes
    label: str


@dataclass(frozen=True)
class Outbound:
    """One message to one chat, already worded. `key` is stable over retries (the outbox row's dedupe key)."""

    chat_id: str
    text: str
    key: str
    buttons: tuple[Button, ...] = ()
    image_path: str = ""
    image_name: str = ""  # key of the picture; of a voice note when there is no path


class ChannelError(Exception):
    """Sending failed."""


class RetryLater(ChannelError):
    """The platform is busy or unreachable: try the same message again after `seconds`."""

    def __init__(self, seconds: float, reason: str) -> None:
        super().__init__(reason)
        self.seconds = seconds


class Unreachable(ChannelError):
    """This person cannot be reached on this channel any more (blocked the bot, left, window closed)."""


class Refused(ChannelError):
    """The platform will never take this message (too long, malformed): our bug, not worth a retry."""


Receive = Callable[[Inbound], Awaitable[None]]


class Channel(Protocol):
    name: str

    async def start(self, receive: Receive) -> None:
        """Begin to take messages; `receive` returns once the message is stored for good."""

    async def stop(self) -> None:
        """Take nothing more and finish what is under way."""

    async def send(self, message: Outbound) -> str:
        """Send and return the platform's id of the sent message ("" if it has none). Raises a ChannelError."""


async def read_body(request: Request, limit: int) -> bytes | None:
    """The body of a push; None as soon as it is known to be too large, without reading the rest."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)
