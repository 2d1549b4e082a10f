"""What staff write is screened before a resident reads it: blame, brush-offs, rudeness, other people's numbers (domain.md §5.7)."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import yaml

from nlu.normalize import normalize
from nlu.slots import find_phone
from tickets.errors import BadWording
from tickets.texts import DATA


@cache
def _not_relayed() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(row["words"]), row["instead"]) for row in _data()["not_relayed"])


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((DATA / "catalog" / "wording.yml").read_text("utf-8"))
    return data


def check_wording(words: str) -> None:
    """Raises BadWording, naming what was found and what to say instead, if `words` cannot go to a resident as they are."""
    text = normalize(words).text
    for pattern, instead in _not_relayed():
        if found := pattern.search(text):
            raise BadWording(found=found.group(), instead=instead)
    if phone := find_phone(words):
        raise BadWording(found=phone, instead=_data()["phone_instead"])
