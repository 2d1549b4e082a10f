"""Questions asked in the middle of a danger: one reviewed line for what is asked (data/catalog/danger_questions.yml)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from nlu.normalize import normalize
from tickets.texts import DATA


@dataclass(frozen=True, slots=True)
class Row:
    """One line, and the words of a message (`when`), and of what was reported (`about`), that it answers."""

    kinds: frozenset[str]
    when: re.Pattern[str]
    about: re.Pattern[str] | None
    told: bool
    """Also said to who asks nothing."""
    say: str

    def fits(self, said: str, reported: str, *, asked: bool) -> bool:
        if not (asked or self.told) or not self.when.search(said):
            return False
        return self.about is None or bool(self.about.search(reported) or self.about.search(said))


@cache
def _read() -> Mapping[str, Any]:
    raw = yaml.safe_load((DATA / "catalog" / "danger_questions.yml").read_text("utf-8"))
    assert isinstance(raw, dict)
    return raw


@cache
def rows(kind: str) -> tuple[Row, ...]:
    """The rows that hold in one kind of danger, in the order in which they are tried; none for a kind nobody acts in."""
    if kind not in _read()["unsure"] and not any(kind in row.get("kinds", ()) for row in _read()["rows"]):
        return ()
    return tuple(_row(raw) for raw in _read()["rows"] if kind in raw.get("kinds", (kind,)))


def _row(raw: Mapping[str, Any]) -> Row:
    about = re.compile(raw["about"]) if "about" in raw else None
    kinds = frozenset(raw.get("kinds", ()))
    return Row(kinds, re.compile(raw["when"]), about, bool(raw.get("told")), raw["say"])


def line_for(kind: str, text: str, reported: str, *, asked: bool) -> str:
    """What is known about it in a danger of this kind, first `reported` in those words; "" where no row fits."""
    said, first = normalize(text).text, normalize(reported).text
    return next((row.say for row in rows(kind) if row.fits(said, first, asked=asked)), "")


@dataclass(frozen=True, slots=True)
class News:
    """What is told while a danger of these kinds lasts (of any, if none), and words beside which it is no such news."""

    kinds: frozenset[str]
    when: re.Pattern[str]
    unless: re.Pattern[str] | None

    def fits(self, kind: str, said: str) -> bool:
        if self.kinds and kind not in self.kinds:
            return False
        return bool(self.when.search(said)) and not (self.unless and self.unless.search(said))


@cache
def _news(name: str) -> tuple[News, ...]:
    return tuple(
        News(
            frozenset(raw.get("kinds", ())),
            re.compile(raw["when"]),
            re.compile(raw["unless"]) if "unless" in raw else None,
        )
        for raw in _read()["news"][name]
    )


def tells(name: str, kind: str, text: str) -> bool:
    """Whether `text`, in a danger of this kind, is the news of that name (`over`, `no_fire`, `breaks_out` …)."""
    said = normalize(text).text
    return any(one.fits(kind, said) for one in _news(name))


def unsure(kind: str) -> str:
    """What is said to a question about what to do that no row knows; "" in a danger in which nobody has to act."""
    return str(_read()["unsure"].get(kind, ""))
