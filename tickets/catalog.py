"""Categories, SLA classes and their lookups, read from data/catalog/ (source of the numbers: domain.md §2.2–2.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any

import yaml

from tickets.texts import DATA


@dataclass(frozen=True)
class Category:
    """One row of the taxonomy. `trades` in the order they are tried; `zone` private (户), common (公) or judged on site (判).
    `shared`: the codes of the same fault in what all share, inside a building and outside of any. `milder`: what a danger is where
    nobody is in danger. `confidential`: not everybody on duty hears of it."""

    code: str
    name: str
    department: str
    level: str
    trades: tuple[str, ...] = ()
    zone: str = ""
    shared: tuple[str, ...] = ()
    ask: str = ""
    ask_if: str = ""
    survey: bool = False
    asks: str = ""
    answer_days: int = 1
    milder: str = ""
    confidential: bool = False

    @property
    def common(self) -> bool:
        """Whether it is usually a fault of what everybody shares."""
        return self.zone == "common"

    def may_ask(self, words: str) -> bool:
        """Whether what this category asks belongs to a report in these words."""
        return bool(re.search(self.ask_if, words))

    def question(self, words: str) -> str:
        """The key of what is asked about a report in these words, unless they tell it already; it may have no text."""
        told = _told().get(self.ask)
        asked = self.may_ask(words) and not (told and re.search(told, words))
        return f"ask.{self.ask}" if asked else ""


@dataclass(frozen=True)
class SurveyField:
    """What a survey finds out, under the words people write in front of it."""

    label: str
    words: tuple[str, ...]
    must: bool


@dataclass(frozen=True)
class Outside:
    """A unit outside the company that is responsible for some faults; its number is a setting of the community."""

    name: str
    words: tuple[str, ...]
    phone: str


@dataclass(frozen=True)
class Family:
    """Faults that are one fault when several homes have them: which codes, as what, and in which part of a building."""

    name: str
    codes: tuple[str, ...]
    incident: str
    scope: str
    absorbs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Patterns:
    """When several reports are one matter (domain.md §2.8)."""

    minutes: int
    homes: int
    alert_homes: int
    repeat_days: int
    hazard_times: int
    families: tuple[Family, ...]


@dataclass(frozen=True)
class PhotoRule:
    """Which pictures a job needs before it may be finished."""

    after_public: bool
    after_rework: bool
    before_rework: bool


@dataclass(frozen=True)
class SlaClass:
    """Limits of one class, counted from intake; None = agreed individually. The words of data/catalog/sla.yml."""

    accept: timedelta
    arrive: timedelta | None
    finish: timedelta
    accept_steps: tuple[timedelta, ...]
    finish_steps: tuple[tuple[int, str], ...]
    repeat: timedelta
    progress: dict[str, int]
    held: dict[str, int]
    in_desk_hours: bool
    rank: int


def _load(name: str) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((DATA / "catalog" / f"{name}.yml").read_text("utf-8"))
    return data


@cache
def _told() -> dict[str, str]:
    """For a question, what in a report answers it beforehand."""
    return {name: str(pattern) for name, pattern in _load("told").items()}


@cache
def categories() -> dict[str, Category]:
    found = {}
    for group in _load("categories").values():
        for code, row in group.items():
            lists = {name: tuple(row.get(name, ())) for name in ("trades", "shared")}
            found[code] = Category(code, **{**row, "level": row.get("level", ""), **lists})
    return found


def category(code: str) -> Category:
    """The category of `code`; an unknown one is X00, 待客服了解."""
    return categories().get(code) or categories()["X00"]


@cache
def sla_versions() -> tuple[tuple[date, dict[str, SlaClass]], ...]:
    """Every version of the limits with the day from which it counts, oldest first."""
    data = _load("sla")
    rows = data["classes"]
    versions = [(data["effective"], _sla_classes(rows))]
    for later in sorted(data["later"], key=lambda one: one["effective"]):
        rows = {level: {**row, **later["classes"].get(level, {})} for level, row in rows.items()}
        versions.append((later["effective"], _sla_classes(rows)))
    return tuple(versions)


def sla_classes(day: date | None = None) -> dict[str, SlaClass]:
    """The limits that count for what comes in on `day`; without one, the newest."""
    versions = sla_versions()
    known = [classes for effective, classes in versions if day is None or effective <= day]
    return known[-1] if known else versions[0][1]


def _sla_classes(rows: dict[str, Any]) -> dict[str, SlaClass]:
    def minutes(value: int | None) -> timedelta | None:
        return None if value is None else timedelta(minutes=value)

    classes = {}
    for rank, (level, row) in enumerate(rows.items()):
        accept, arrive, finish = (minutes(row[key]) for key in ("accept", "arrive", "finish"))
        if accept is None or finish is None:
            raise ValueError(f"SLA class {level} needs accept and finish")
        classes[level] = SlaClass(
            accept,
            arrive,
            finish,
            tuple(timedelta(minutes=step) for step in row["accept_steps"]),
            tuple(row["finish_steps"].items()),
            timedelta(minutes=row["repeat"]),
            row["progress"],
            row["held"],
            row["hours"] == "desk",
            rank,
        )
    return classes


@dataclass(frozen=True)
class DispatchRules:
    """data/catalog/dispatch.yml."""

    default: str
    modes: dict[str, str]
    safety_reasons: tuple[str, ...]

    def mode_of(self, code: str) -> str:
        return self.modes.get(code, self.default)


@cache
def dispatch_rules() -> DispatchRules:
    data = _load("dispatch")
    modes = {code: mode for mode, codes in data["modes"].items() for code in codes}
    return DispatchRules(data["default"], modes, tuple(data["safety_reasons"]))


@cache
def hold_reasons() -> tuple[str, ...]:
    return tuple(_load("reasons")["hold"])


@cache
def _hold_words() -> dict[str, re.Pattern[str]]:
    return {reason: re.compile(words) for reason, words in _load("reasons")["hold_words"].items()}


def hold_reason(words: str) -> str:
    """The listed reason for a pause that a worker's words tell: by name, else by what they speak of, else 待配件."""
    named = (reason for reason in hold_reasons() if reason in words)
    told = (reason for reason, spoken_of in _hold_words().items() if spoken_of.search(words))
    return next(named, None) or next(told, hold_reasons()[0])


@cache
def decline_reasons() -> tuple[str, ...]:
    return tuple(_load("reasons")["decline"])


@cache
def survey_fields() -> dict[str, SurveyField]:
    rows = _load("work")["survey"]
    return {
        name: SurveyField(row["words"][0], tuple(row["words"]), row.get("must", False)) for name, row in rows.items()
    }


@cache
def outside_units() -> tuple[Outside, ...]:
    return tuple(Outside(row["name"], tuple(row["words"]), row.get("phone", "")) for row in _load("work")["outside"])


@cache
def photo_rule() -> PhotoRule:
    return PhotoRule(**_load("work")["photos"])


@cache
def reopen_within() -> timedelta:
    """How long after its end a job that was not right is taken up again on the resident's word."""
    return timedelta(days=_load("work")["reopen_days"])


@cache
def causes() -> dict[str, tuple[str, ...]]:
    """Cause of a fault → words by which a worker's note names it."""
    return {name: tuple(words) for name, words in _load("work")["causes"].items()}


@dataclass(frozen=True)
class ComplaintRules:
    """data/catalog/complaints.yml."""

    grave: dict[str, str]
    vague: frozenset[str]
    group_homes: int
    group: timedelta
    group_not: frozenset[str]
    open_for: timedelta
    told_times: int
    told_within: timedelta
    faulty_code: str
    call: timedelta
    call_again: timedelta
    own_up: timedelta
    attitude: str
    departments: dict[str, str]
    person_now: frozenset[str]


@cache
def complaint_rules() -> ComplaintRules:
    data = _load("complaints")
    return ComplaintRules(
        {name: row["code"] for name, row in data["grave"].items()},
        frozenset(data["vague"]),
        data["group_homes"],
        timedelta(hours=data["group_hours"]),
        frozenset(data["group_not"]),
        timedelta(days=data["open_days"]),
        data["told_times"],
        timedelta(days=data["told_days"]),
        data["faulty_code"],
        timedelta(minutes=data["call_minutes"]),
        timedelta(minutes=data["call_again_minutes"]),
        timedelta(minutes=data["own_up_minutes"]),
        data["attitude"],
        dict(data["departments"]),
        frozenset(data["person_now"]),
    )


@cache
def patterns() -> Patterns:
    rows = _load("patterns")
    families = tuple(
        Family(name, tuple(row["codes"]), row["incident"], row["scope"], tuple(row.get("absorbs", ())))
        for name, row in rows["families"].items()
    )
    return Patterns(**{**rows, "families": families})
