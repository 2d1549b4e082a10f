"""One message of somebody as the dialogue's actions take it: what the model read in it is given, what they say comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from deskhelp import NOW
from deskhelp import Desk as Community

from actions.context import Desk, DeskAction


def hear(
    desk: Community,
    text: str,
    intent: str,
    *actions: DeskAction,
    by: str = "王芳",
    category: str = "",
    faults: Mapping[str, str] | None = None,
    anew: Sequence[Mapping[str, Any]] = (),
) -> list[str]:
    """The answers of these actions, in order; `faults`: words and category; `anew`: what is wrong although it was mended."""
    message: dict[str, Any] = {
        "intent": {"name": intent, "confidence": 0.9},
        "faults": [{"text": words, "category": code, "confidence": 0.9} for words, code in (faults or {}).items()],
        "category_ranking": [{"name": category, "confidence": 0.9}] if category else [],
        "anew": list(anew),
        "entities": [{"entity": "category", "value": category}] if category else [],
    }
    tracker: Any = SimpleNamespace(get_slot=lambda _name: None, active_loop=None)
    told: list[str] = []
    for action in actions:
        found = Desk(desk.session, desk.chat(by), desk.actor(by), NOW, f"web:{text}", text, message)
        action.act(found, tracker)
        told += [words for words, *_ in found.answers]
    return told
