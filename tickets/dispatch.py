"""Whom to send: trade → licence → shift → area → cap → load (domain.md S18). Pure; the caller reads the rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

AUTO, ROTATION, GRAB, BY_HAND = "auto", "rotation", "grab", "by_hand"


@dataclass(frozen=True)
class Candidate:
    """A worker as dispatch sees them; `load` = open jobs, `areas` = place-key prefixes (empty: everywhere)."""

    staff_id: int
    name: str
    trades: tuple[str, ...]
    licences: tuple[str, ...]
    on_shift: bool
    areas: tuple[str, ...]
    cap: int
    load: int
    last_offer: datetime | None = None


@dataclass(frozen=True)
class Need:
    trades: tuple[str, ...]
    place_key: str
    urgent: bool = False
    exclude: frozenset[int] = frozenset()
    prefer: int | None = None
    rotation: bool = False


# Electric work goes only to a licensed electrician (domain.md §0.3).
LICENCE_FOR = {"electrician": "electrician"}


def rank(need: Need, staff: Iterable[Candidate]) -> list[tuple[Candidate, list[str]]]:
    """Fitting workers, best first, each with the reasons (keys `why.*` of data/messages/labels.yml)."""
    pool = [one for one in staff if one.staff_id not in need.exclude]
    for trade in need.trades:
        fits = [one for one in pool if _fits(one, trade, need)]
        if fits:
            fits.sort(key=_turn if need.rotation else lambda one: _order(one, need))
            return [(one, _why(one, trade, need)) for one in fits]
    return []


def _order(one: Candidate, need: Need) -> tuple[bool, bool, int, int]:
    return one.staff_id != need.prefer, not _in_area(one, need.place_key), one.load, one.staff_id


def _turn(one: Candidate) -> tuple[float, int]:
    """轮训: whoever was never asked, then whoever waits longest."""
    return one.last_offer.timestamp() if one.last_offer else 0.0, one.staff_id


def passed_over(need: Need, staff: Iterable[Candidate]) -> list[tuple[str, str]]:
    """Who has one of the trades and cannot be asked: (name, what stands against it, a key `against.*`)."""
    found = []
    for one in staff:
        trade = next((trade for trade in need.trades if trade in one.trades), None)
        reason = trade and ("tried" if one.staff_id in need.exclude else _against(one, trade, need))
        if reason:
            found.append((one.name, reason))
    return found


def _fits(one: Candidate, trade: str, need: Need) -> bool:
    return trade in one.trades and not _against(one, trade, need)


def _against(one: Candidate, trade: str, need: Need) -> str:
    """What keeps somebody with this trade from being asked; "" if nothing does."""
    licence = LICENCE_FOR.get(trade)
    if licence and licence not in one.licences:
        return "licence"
    if not one.on_shift:
        return "shift"
    if one.areas and _is_known(need.place_key) and not _in_area(one, need.place_key):
        return "area"
    # A full worker still gets an emergency: someone must go now.
    return "" if need.urgent or one.load < one.cap else "full"


def _is_known(place_key: str) -> bool:
    """Whether a place is clear enough to hold somebody's area against it; an unclear one keeps nobody out."""
    bare = place_key.removeprefix("PUB:")
    return bool(bare) and bare[0] not in "?-" and " or " not in bare and bare != "unknown"


def _in_area(one: Candidate, place_key: str) -> bool:
    bare = place_key.removeprefix("PUB:")
    return any(bare.startswith(area) for area in one.areas)


def _why(one: Candidate, trade: str, need: Need) -> list[str]:
    reasons = [f"trade.{trade}", "shift"]
    if LICENCE_FOR.get(trade):
        reasons.append("licence")
    if _in_area(one, need.place_key):
        reasons.append("area")
    if one.staff_id == need.prefer:
        reasons.append("same_worker")
    if need.rotation:
        reasons.append("turn")
    return [*reasons, f"load:{one.load}"]


def fits_trade(trades: Sequence[str], licences: Sequence[str], needed: Sequence[str]) -> bool:
    """Whether someone with these trades and licences may take a job that needs one of `needed`."""
    return any(trade in trades and (trade not in LICENCE_FOR or LICENCE_FOR[trade] in licences) for trade in needed)
