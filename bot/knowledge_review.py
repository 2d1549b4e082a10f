"""`guanjia knowledge review`: a person decides which answers of colleagues become written ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy.orm import Session

from nlu.normalize import normalize
from storage import candidates
from storage.models import KnowledgeCandidate
from tickets.catalog import categories
from tickets.errors import BadWording
from tickets.texts import LOCAL, say
from tickets.wording import check_wording

FILE = "from_use.yml"
HEAD = "# Answers of colleagues that a person accepted with `guanjia knowledge review`. Numbers that name somebody are starred out.\n"
LONGEST = 120
_STARRED = re.compile(r"\*{2,}")


class AnswerError(ValueError):
    """The words cannot become a written answer; the message says why."""


def review(
    session: Session,
    community_id: int,
    folder: Path,
    now: datetime,
    ask: Callable[[str], str],
    tell: Callable[[str], None],
) -> int:
    """Go through the list; returns how many answers were taken into the base.

    For each the person types the question as residents would ask it (nothing: leave it for later, `=`: as it was asked, `-`:
    drop it, `q`: stop), then the answer (nothing: as it was given).
    """
    taken = 0
    for row in candidates.waiting(session, community_id):
        tell(shown(row))
        words = ask("   question> ").strip()
        if words == "q":
            break
        if words == "-":
            candidates.settle(row, "", now)
        elif words:
            question = row.question if words == "=" else words
            entry = _taken(row, question, folder, ask, tell)
            candidates.settle(row, entry, now)
            taken += 1
        session.commit()
    return taken


def shown(row: KnowledgeCandidate) -> str:
    """One waiting answer, with the question it was given to and what became of that."""
    status = say(f"status.{row.ticket.status}")
    name = categories()[row.code].name
    return f"{row.id}. [{row.code} {name}] {row.ticket.ticket_no} {status}\n   Q: {row.question}\n   A: {row.answer}"


def _taken(
    row: KnowledgeCandidate, question: str, folder: Path, ask: Callable[[str], str], tell: Callable[[str], None]
) -> str:
    """The answer is asked for again until it can stand in the base; returns the id of the entry."""
    while True:
        words = ask("   answer> ").strip() or row.answer
        try:
            return add_entry(folder, row, question, words)
        except AnswerError as error:
            tell(f"   {error}")


def add_entry(folder: Path, row: KnowledgeCandidate, question: str, answer: str) -> str:
    """Append one written answer to data/knowledge/from_use.yml; returns its id. Raises AnswerError."""
    check_answer(answer)
    path = folder / FILE
    stored = yaml.safe_load(path.read_text("utf-8")) if path.is_file() else {"entries": []}
    number = "use_" + row.ticket.ticket_no.lower().replace("-", "_")
    asked = [text for text in (question, row.question) if not _STARRED.search(text)]
    known = {normalize(text).text: text for text in reversed(asked)}
    entry: dict[str, Any] = {
        "id": number,
        "category": row.code,
        "question": question,
        "variants": [text for text in known.values() if text != question],
        "answer": answer,
        "source": say("knowledge.source"),
        "date": row.at.astimezone(LOCAL).date().isoformat(),
    }
    entries = [one for one in stored["entries"] if one["id"] != number] + [entry]
    written = yaml.safe_dump({"entries": entries}, allow_unicode=True, sort_keys=False, width=200)
    path.write_text(HEAD + written, "utf-8")
    return number


def check_answer(answer: str) -> None:
    """What a resident reads again and again has to keep the rules of domain.md §5.7. Raises AnswerError."""
    if len(answer) > LONGEST:
        raise AnswerError(f"{len(answer)} characters; {LONGEST} at most.")
    if re.search("[{}]", answer):
        raise AnswerError("Braces stand for settings and cannot be part of an answer.")
    if _STARRED.search(answer):
        raise AnswerError("The starred number has to go: what names a person is not for everybody.")
    try:
        check_wording(answer)
    except BadWording as error:
        raise AnswerError(f"Not to be said to residents: {error.facts['found']}") from error
