"""`guanjia nlu review`: a person labels what was not understood, and the language data learns it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import yaml
from sqlalchemy.orm import Session

from nlu.classifier import CATEGORY_INTENTS, read_examples
from nlu.data_check import known_codes
from storage import reviews
from storage.models import ReviewItem

FILE = "from_use.yml"
HEAD = (
    "# Messages from use, labelled by a person with `guanjia nlu review`. Numbers that name somebody are starred out.\n"
)


class LabelError(ValueError):
    """The label names no intent or category that exists."""


def read_label(words: str, data: Path) -> tuple[str, str]:
    """「report_repair W02」 as (intent, category). Raises LabelError with what would be right."""
    intent, _, category = words.strip().partition(" ")
    category = category.strip().upper()
    known = sorted({one.intent for one in read_examples(data)})
    if intent not in known:
        raise LabelError(f"{intent!r} is no intent. Intents: {', '.join(known)}")
    codes = known_codes().get(intent, frozenset())
    if intent in CATEGORY_INTENTS and category not in codes:
        raise LabelError(f"{intent} needs a category. Categories: {', '.join(sorted(codes))}")
    if intent not in CATEGORY_INTENTS and category:
        raise LabelError(f"{intent} has no categories.")
    return intent, category


def add_example(data: Path, intent: str, category: str, text: str) -> None:
    """Append one message to data/nlu/from_use.yml; one that is there already, or nothing but marks, changes nothing."""
    line = " ".join(text.translate(str.maketrans("[]{}", "（）（）")).split())
    path = data / FILE
    stored = yaml.safe_load(path.read_text("utf-8")) if path.is_file() else {"nlu": []}
    blocks = {(one["intent"], (one.get("metadata") or {}).get("category", "")): one for one in stored["nlu"]}
    block = blocks.setdefault((intent, category), {"intent": intent, "examples": ""})
    if category:
        block["metadata"] = {"category": category}
    lines = [one for one in str(block["examples"]).splitlines() if one]
    if line and f"- {line}" not in lines:
        lines.append(f"- {line}")
    block["examples"] = "\n".join(lines) + "\n"
    path.write_text(
        HEAD + "".join(['version: "3.1"\nnlu:\n', *(_written(blocks[key]) for key in sorted(blocks))]), "utf-8"
    )


def _written(block: dict[str, object]) -> str:
    metadata = block.get("metadata")
    head = f"- intent: {block['intent']}\n"
    if isinstance(metadata, dict):
        head += f"  metadata:\n    category: {metadata['category']}\n"
    return head + "  examples: |\n" + "".join(f"    {one}\n" for one in str(block["examples"]).splitlines())


def review(
    session: Session,
    community_id: int,
    data: Path,
    now: datetime,
    ask: Callable[[str], str],
    tell: Callable[[str], None],
) -> int:
    """Go through the list; returns how many messages were added to the data.

    For each message the person types a label, nothing to take the suggestion (or to leave it for later), `-` to drop it,
    `q` to stop.
    """
    added = 0
    for item in reviews.waiting(session, community_id):
        tell(shown(item))
        answer = _asked(item, data, ask, tell)
        if answer == "q":
            break
        if answer == "-":
            reviews.settle(item, "", now)
        elif isinstance(answer, tuple):
            add_example(data, *answer, item.text)
            reviews.settle(item, " ".join(filter(None, answer)), now)
            added += 1
        session.commit()
    return added


def shown(item: ReviewItem) -> str:
    """One waiting message and how it was read."""
    read = f"{item.intent} {item.category}".strip()
    hint = f", suggested: {item.suggested}" if item.suggested else ""
    return f"{item.id}. {item.text}\n   read as {read} ({item.confidence:.0%}, {item.why}{hint})"


def _asked(
    item: ReviewItem, data: Path, ask: Callable[[str], str], tell: Callable[[str], None]
) -> str | tuple[str, str]:
    """The person's label, asked again until it can be used, or one of the other answers."""
    while True:
        words = ask("   label> ").strip() or item.suggested
        if words in ("", "-", "q"):
            return words
        try:
            return read_label(words, data)
        except LabelError as error:
            tell(f"   {error}")
            # A suggestion without its category has to be completed by hand.
            item.suggested = ""
