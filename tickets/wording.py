"""What staff write is screened before a resident reads it: blame, brush-offs, rudeness, other people's numbers (domain.md §5.7)."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import yaml
from sqlalchemy.orm import Session

from nlu.normalize import normalize
from nlu.slots import find_phone
from storage.models import Community
from tickets.errors import BadWording
from tickets.texts import DATA


@cache
def _not_relayed() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(row["words"]), row["instead"]) for row in _data()["not_relayed"])


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((DATA / "catalog" / "wording.yml").read_text("utf-8"))
    return data


def check_wording(words: str, known: frozenset[str] = frozenset()) -> None:
    """Raises BadWording, naming what was found and what to say instead, if `words` cannot go to a resident as they are.
    Numbers of `known` may."""
    text = normalize(words).text
    for pattern, instead in _not_relayed():
        if found := pattern.search(text):
            raise BadWording(found=found.group(), instead=instead)
    left = words
    for number in sorted(known, key=len, reverse=True):
        left = left.replace(number, "")
    if phone := find_phone(left):
        raise BadWording(found=phone, instead=_data()["phone_instead"])


def own_numbers(session: Session, community_id: int) -> frozenset[str]:
    """The community's public telephone numbers: the desk's, the duty's, the gas company's …"""
    settings = session.get_one(Community, community_id).settings
    return frozenset(str(value) for name, value in settings.items() if name.endswith("_phone") and value)
