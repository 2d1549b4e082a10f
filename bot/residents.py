"""Buttons on a resident's side: a pressed code is only a way of speaking, the verbs decide whether it is allowed."""

from __future__ import annotations

from bot.commands import is_row_id
from tickets import questions, verbs
from tickets.answering import Outcome, Turn
from tickets.errors import BadInput
from tickets.texts import say

# Which buttons there are, and what may stand behind the ticket's id.
VALUES: dict[str, tuple[str, ...]] = {
    "agree": ("",),
    "change": ("",),
    "confirm": ("",),
    "not_fixed": ("",),
    "consent": ("yes", "no"),
    "score": ("1", "2", "3", "4", "5"),
}


def press(turn: Turn, code: str) -> Outcome:
    """Do what the button of an earlier message stands for. Raises a DeskError."""
    name, _, rest = code.partition(":")
    number, _, value = rest.partition(":")
    if value not in VALUES.get(name, ()) or not is_row_id(number):
        raise BadInput(code=name)
    session, actor, now = turn.session, turn.actor, turn.now
    ticket = verbs.load(session, int(number))
    if name == "agree":
        verbs.agree_appointment(session, ticket, actor, now)
    elif name == "change":
        assert actor.resident is not None
        verbs.require_reporter(session, ticket, actor)
        questions.ask(session, actor.resident, "appointment", now, ticket=ticket)
        return Outcome(say("reply.change_when"))
    elif name == "consent":
        verbs.consent(session, ticket, actor, value == "yes", "", now)
    elif name == "confirm":
        verbs.confirm(session, ticket, actor, now)
    elif name == "not_fixed":
        verbs.not_fixed(session, ticket, actor, say("reply.button_not_fixed"), now)
    else:
        verbs.rate(session, ticket, actor, int(value), int(value), "", now)
    return Outcome()
