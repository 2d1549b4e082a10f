"""Speaking to the desk as a colleague does: words in, reply out, through the commands themselves."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from deskhelp import Desk

from bot import commands
from bot.speech import Context, Reply


def ask(desk: Desk, words: str, by: str, now: datetime, files: Path = Path("/nonexistent")) -> Reply:
    """What `by` is told for a typed sentence or a pressed button; the sentence must be a command of theirs."""
    staff = desk.staff(by)
    command = commands.from_button(words) or commands.parse(words.removeprefix("say:"), staff.role)
    assert command is not None, words
    context = Context(
        desk.session, desk.chat(by), desk.actor(by), staff, now, f"test:{by}:{words}:{now}", files, "http://desk"
    )
    return commands.run(context, command)
