"""The figures of the desk (domain.md §6): pure functions over rows, so that chat, picture and workbook can only show the same.

A ratio always carries its counts. A score that was not given is nothing, never a five; a pause that was not allowed is no pause.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median
from typing import Any

SATISFIED, DISSATISFIED = 4, 2
# Fewer cases are shown as counts, and people are not ranked by them.
ENOUGH = 10


@dataclass(frozen=True)
class Ratio:
    """So many of so many."""

    hits: int
    of: int

    @property
    def percent(self) -> float | None:
        """Rounded as it is shown; None when there was nothing to count."""
        return round(100 * self.hits / self.of, 1) if self.of else None

    def __str__(self) -> str:
        return f"{self.percent:.1f}% ({self.hits}/{self.of})" if self.of else "–"


@dataclass(frozen=True)
class Job:
    """One repair or hazard as the figures see it. Limits are the ones that applied to it; times None did not happen.

    `due_at` is the limit before pauses. `accepted_as`: resident, default (nobody answered), inspector, or "" (not accepted yet).
    """

    no: str
    level: str
    code: str
    created_at: datetime
    place_key: str = ""
    public_area: bool = False
    excluded: bool = False
    worker: str = ""
    accept_by: datetime | None = None
    accepted_at: datetime | None = None
    arrive_by: datetime | None = None
    arrived_at: datetime | None = None
    needs_visit: bool = True
    due_at: datetime | None = None
    paused: timedelta = timedelta()
    finished_at: datetime | None = None
    rounds: int = 1
    accepted_as: str = ""
    same_fault: bool = False
    callback_due: bool = False
    called_back: bool = False
    answered: bool = False
    scores: tuple[int, ...] = ()
    urged: int = 0
    handed_on: int = 0
    offers: int = 1
    escalated: bool = False
    paid: bool = False
    consented: bool = False


@dataclass(frozen=True)
class Matter:
    """One complaint, question, suggestion or praise as the figures see it."""

    no: str
    kind: str
    level: str
    code: str
    created_at: datetime
    excluded: bool = False
    answer_by: datetime | None = None
    answered_at: datetime | None = None
    settled: bool = False
    closed: bool = False
    explained: bool = False
    again: bool = False
    rounds: int = 1


@dataclass(frozen=True)
class Talk:
    """What no single ticket tells: conversations, messages, contacts of our own accord, measures. The empty one counts nothing."""

    handed_over: Ratio = Ratio(0, 0)
    unanswered: int | None = None
    care_reached: Ratio = Ratio(0, 0)
    rectified: Ratio = Ratio(0, 0)


@dataclass(frozen=True)
class Figures:
    """All figures of one period, in the order they are shown."""

    jobs: int
    accept_in_time: Ratio
    arrive_in_time: Ratio
    finish_in_time: Ratio
    first_time_right: Ratio
    reworked: Ratio
    called_back: Ratio
    reached: Ratio
    satisfied: Ratio
    not_dissatisfied: Ratio
    rated: Ratio
    average: float | None
    hours_to_finish: float | None
    urged: Ratio
    handed_on: Ratio
    escalated: int
    inspected: Ratio
    told_price_first: Ratio
    complaints: int
    complaints_in_time: Ratio
    complaints_settled: Ratio
    complaints_explained: Ratio
    complaints_again: Ratio
    answered_at_once: Ratio
    promises_kept: Ratio
    handed_over: Ratio
    unanswered: int | None
    care_reached: Ratio
    rectified: Ratio

    def items(self) -> list[tuple[str, object]]:
        return list(vars(self).items())


def _ratio(rows: Iterable[Job], counts: Callable[[Job], bool | None]) -> Ratio:
    """`counts` says yes, no, or None for a row that does not belong to the base."""
    known = [found for row in rows if (found := counts(row)) is not None]
    return Ratio(sum(known), len(known))


def base(jobs: Iterable[Job]) -> list[Job]:
    """What counts: finished, and not called off, merged, a false alarm or a test."""
    return [job for job in jobs if not job.excluded and job.finished_at is not None]


def accepted_in_time(job: Job) -> bool | None:
    if job.accept_by is None:
        return None
    if job.accepted_at is None:
        return None if (job.finished_at or job.accept_by) <= job.accept_by else False
    return job.accepted_at <= job.accept_by


def arrived_in_time(job: Job) -> bool | None:
    if not job.needs_visit or job.arrive_by is None or job.arrived_at is None:
        return None
    return job.arrived_at <= job.arrive_by


def finished_in_time(job: Job) -> bool | None:
    if job.finished_at is None or job.due_at is None:
        return None
    return job.finished_at - job.paused <= job.due_at


def right_first_time(job: Job) -> bool | None:
    """Accepted in the first round (silence counts: nothing was sent back) and not broken again within 30 days."""
    return job.rounds == 1 and not job.same_fault if job.accepted_as else None


def came_back(job: Job) -> bool | None:
    return job.rounds > 1 or job.same_fault if job.accepted_as else None


def score_of(row: Job) -> float | None:
    """The mean of the scores given; None when none was."""
    return sum(row.scores) / len(row.scores) if row.scores else None


def is_satisfied(job: Job) -> bool | None:
    """Every score given is a four or a five."""
    return min(job.scores) >= SATISFIED if job.scores else None


def is_not_dissatisfied(job: Job) -> bool | None:
    return min(job.scores) > DISSATISFIED if job.scores else None


def figures(jobs: Sequence[Job], matters: Sequence[Matter] = (), talk: Talk = Talk()) -> Figures:
    """The figures of the jobs finished, the matters answered or due, and the talk of one period (domain.md §6)."""
    rows = base(jobs)
    given = [score for row in rows if (score := score_of(row)) is not None]
    told = [matter for matter in matters if not matter.excluded]
    return Figures(
        jobs=len(rows),
        accept_in_time=_ratio(rows, accepted_in_time),
        arrive_in_time=_ratio(rows, arrived_in_time),
        finish_in_time=_ratio(rows, finished_in_time),
        first_time_right=_ratio(rows, right_first_time),
        reworked=_ratio(rows, came_back),
        called_back=_ratio(rows, lambda row: row.called_back if row.callback_due else None),
        reached=_ratio(rows, lambda row: row.answered if row.callback_due else None),
        satisfied=_ratio(rows, is_satisfied),
        not_dissatisfied=_ratio(rows, is_not_dissatisfied),
        rated=_ratio(rows, lambda row: bool(row.scores) if row.callback_due else None),
        average=round(sum(given) / len(given), 2) if given else None,
        hours_to_finish=_hours(rows),
        urged=_ratio(rows, lambda row: row.urged > 0),
        handed_on=Ratio(sum(row.handed_on for row in rows), sum(row.offers for row in rows)),
        escalated=sum(row.escalated for row in rows),
        inspected=_ratio(rows, lambda row: row.accepted_as == "inspector" if row.public_area else None),
        told_price_first=_ratio(rows, lambda row: row.consented if row.paid else None),
        **_of_matters(told),
        **vars(talk),
    )


def _hours(rows: Sequence[Job]) -> float | None:
    """Median hours from report to finish, without the pauses."""
    spent = [(row.finished_at - row.created_at - row.paused) / timedelta(hours=1) for row in rows if row.finished_at]
    return round(median(spent), 1) if spent else None


def _of_matters(told: Sequence[Matter]) -> dict[str, Any]:
    complaints = [one for one in told if one.kind == "TS"]
    questions = [one for one in told if one.kind == "ZX" and one.closed]
    closed = [one for one in complaints if one.closed]
    promised = [one for one in told if one.answer_by is not None]
    return {
        "complaints": len(complaints),
        "complaints_in_time": Ratio(sum(map(kept, complaints)), len(complaints)),
        "complaints_settled": Ratio(sum(one.settled for one in complaints), len(complaints)),
        "complaints_explained": Ratio(sum(one.explained for one in closed), len(closed)),
        "complaints_again": Ratio(sum(one.again for one in closed), len(closed)),
        "answered_at_once": Ratio(sum(one.rounds == 1 and one.settled for one in questions), len(questions)),
        "promises_kept": Ratio(sum(map(kept, promised)), len(promised)),
    }


def kept(matter: Matter) -> bool:
    """Whether the answer came by the time that was promised."""
    return matter.answered_at is not None and (matter.answer_by is None or matter.answered_at <= matter.answer_by)


# --- what occurs most -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HotSpot:
    """The same fault at the same place, again and again: something to mend for good."""

    place_key: str
    code: str
    times: int
    numbers: tuple[str, ...] = field(default=())


def most(values: Iterable[str], limit: int = 5) -> list[tuple[str, int]]:
    """The commonest values that are not empty, the name deciding between equals."""
    counted = Counter(value for value in values if value)
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:limit]


def hot_spots(jobs: Iterable[Job], at_least: int = 2) -> list[HotSpot]:
    """Places with the same fault at least so many times, the worst first (domain.md §6.4 预防性维护)."""
    found: dict[tuple[str, str], list[str]] = {}
    for job in jobs:
        if job.place_key and not job.excluded:
            found.setdefault((job.place_key, job.code), []).append(job.no)
    spots = [HotSpot(*key, len(numbers), tuple(numbers)) for key, numbers in found.items() if len(numbers) >= at_least]
    return sorted(spots, key=lambda spot: (-spot.times, spot.place_key, spot.code))


def building_of(place_key: str) -> str:
    """`P1/3` of `P1/3/2/1502` or `PUB:P1/3/2/-/电梯`; "" where no building is known."""
    parts = place_key.removeprefix("PUB:").split(" ")[0].split("/")
    phase, building = (*parts, "", "")[:2]
    return "" if building in ("", "-", "?") or phase in ("", "-") else f"{phase}/{building}"
