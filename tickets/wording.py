"""What staff write is screened before a resident reads it: blame, brush-offs, rudeness, other people's numbers (domain.md §5.7)."""

from __future__ import annotations

import re
from functools import cache

import yaml
from sqlalchemy.orm import Session

from nlu.normalize import normalize
from nlu.slots import find_phone
from storage.models import Community
from tickets.errors import BadWording
from tickets.texts import DATA


@cache
def _not_relayed() -> re.Pattern[str]:
    data = yaml.safe_load((DATA / "catalog" / "wording.yml").read_text("utf-8"))
    return re.compile("|".join(data["not_relayed"]))


def check_wording(words: str, known: frozenset[str] = frozenset()) -> None:
    """Raises BadWording, naming what was found, if `words` cannot go to a resident as they are. Numbers of `known` may."""
    found = _not_relayed().search(normalize(words).text)
    if found:
        raise BadWording(found=found.group())
    left = words
    for number in sorted(known, key=len, reverse=True):
        left = left.replace(number, "")
    phone = find_phone(left)
    if phone:
        raise BadWording(found=phone)


def own_numbers(session: Session, community_id: int) -> frozenset[str]:
    """The community's public telephone numbers: the desk's, the duty's, the gas company's …"""
    settings = session.get_one(Community, community_id).settings
    return frozenset(str(value) for name, value in settings.items() if name.endswith("_phone") and value)
