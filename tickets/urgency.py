"""The class of a repair: category default, then what was said (domain.md §3.5). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from nlu.answers import read_answer
from tickets.catalog import category
from tickets.sla import raise_level
from tickets.words import apart_from_lamps, has_stopped, is_vulnerable, no_hurry, only_drips

# Facts of an answer that raise a class by one, with the category families they say anything about ("" = all).
RAISING = {
    "overflowing": "W",
    "only_toilet": "W",
    "cannot_shut": "W",
    "spreading": "",
    "neighbours_too": "WEHG",
    "vulnerable": "",
}
# Leaks that wait a little once the water is shut off.
SHUT_OFF = frozenset({"W01", "W03", "H01"})
# Water or electricity where they must not be: life safety.
HAZARDS = {"near_socket": "W", "smell": "E"}


def level_for(code: str, flags: Mapping[str, bool], *, urgent_said: bool = False) -> str:
    """The class of a fault of category `code` with the facts `flags` known so far.

    「急」 alone raises at most U3 to U2; U0 is reached only by a hazard, never by adding modifiers up.
    """
    level = category(code).level or "U3"
    for flag, family in HAZARDS.items():
        if flags.get(flag) and code.startswith(family):
            return "U0"
    if flags.get("no_hurry"):
        # 「小孩把积木冲下去了 不急」: who can wait needs no help sooner.
        flags = {**flags, "vulnerable": False}
    if any(flags.get(flag) and (not families or code[0] in families) for flag, families in RAISING.items()):
        return raise_level(level)
    if urgent_said and level == "U3":
        return "U2"
    if flags.get("no_hurry") and level == "U2":
        return "U3"
    if flags.get("stopped") and level == "U1" and code in SHUT_OFF:
        return "U2"
    return level


def is_danger(code: str) -> bool:
    """Whether a fault of category `code` is life safety by itself (domain.md §3.2): a gas leak, somebody in a stuck lift."""
    return category(code).level == "U0" if code else False


def facts_in(text: str, now: datetime) -> dict[str, bool]:
    """What a message says that changes the class of its fault: overflowing, cannot_shut, vulnerable, no_hurry … (§3.5)."""
    answer = read_answer("detail", apart_from_lamps(text), now)
    found = dict(answer.flags) if answer else {}
    if is_vulnerable(text):
        found["vulnerable"] = True
    if no_hurry(text):
        found["no_hurry"] = True
    if has_stopped(text):
        found["stopped"] = True
    if only_drips(text):
        # That a dripping tap does not close is the fault itself, nothing worse.
        found.pop("cannot_shut", None)
    return found
