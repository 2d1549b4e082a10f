"""Speaking to the desk as a colleague does: words in, reply out, through the commands themselves."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from deskhelp import Desk, at

from bot import commands
from bot.speech import Context, Reply
from storage.models import Ticket


def ask(desk: Desk, words: str, by: str, now: datetime, files: Path = Path("/nonexistent")) -> Reply:
    """What `by` is told for a typed sentence or a pressed button; the sentence must be a command of theirs."""
    staff = desk.staff(by)
    command = commands.from_button(words) or commands.parse(words.removeprefix("say:"), staff.role)
    assert command is not None, words
    context = Context(
        desk.session, desk.chat(by), desk.actor(by), staff, now, f"test:{by}:{words}:{now}", files, "http://desk"
    )
    return commands.run(context, command)


TEN = at("10:00")


def listening(desk: Desk, name: str, now: datetime = TEN, key: str = "test:1") -> Context:
    return Context(desk.session, desk.chat("王芳"), desk.actor(name), desk.staff(name), now, key)


def told(desk: Desk, name: str, text: str, now: datetime = TEN) -> Reply:
    """What a colleague reads, through everything that reads his free words."""
    context = listening(desk, name, now)
    command = commands.understood(context, text)
    assert command is not None, text
    return commands.run(context, command)


def kitchen(desk: Desk, *, accepted: bool = False) -> Ticket:
    make = desk.accepted if accepted else desk.report
    return make("W03", symptom="厨房水槽滴水")


def hall(desk: Desk) -> Ticket:
    return desk.accepted("W03", symptom="楼道水管漏水", place_key="PUB:P1/3/1/F8/楼道", public_area=True)
