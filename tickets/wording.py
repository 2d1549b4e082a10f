"""What staff write is screened before a resident reads it: blame, brush-offs, rudeness, other people's numbers (domain.md §5.7)."""

from __future__ import annotations

import re
from functools import cache

import yaml

from nlu.normalize import normalize
from nlu.slots import find_phone
from tickets.errors import BadWording
from tickets.texts import DATA


@cache
def _not_relayed() -> re.Pattern[str]:
    data = yaml.safe_load((DATA / "catalog" / "wording.yml").read_text("utf-8"))
    return re.compile("|".join(data["not_relayed"]))


def check_wording(words: str) -> None:
    """Raises BadWording, naming what was found, if `words` cannot go to a resident as they are."""
    found = _not_relayed().search(normalize(words).text)
    if found:
        raise BadWording(found=found.group())
    phone = find_phone(words)
    if phone:
        raise BadWording(found=phone)
