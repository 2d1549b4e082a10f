"""What only looks like an address: times, money, counts, phones, plates, order numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from nlu.address.folding import either, folded_words
from nlu.register import wording

HOLE = "\x00"
# what a correction took back; unlike other noise, what follows it is an answer
STRUCK = "\x01"


class _Noise:
    """Blanks times, money, counts, plates, order numbers and the like; finds the phone that is glued to an address."""

    PHONE = re.compile(r"(?<!\d)(?P<room>\d{3,4})?(?P<phone>1[3-9]\d{9})(?!\d)")
    ROOM = re.compile(r"(?<!\d)\d{3,4}(?!\d)")
    SPACED_PHONE = re.compile(r"(?<![\d-])1[3-9]\d[ -]\d{4}[ -]\d{4}(?![\d-])")

    def __init__(self) -> None:
        words, marks = wording()["not_address"], wording()["marks"]
        to = either(folded_words(marks["to"]))
        parts = (
            words["wondered"],
            words["rows_of"],
            words["facing"],
            words["likened"],
            words["passed"],
            self._codes(words),
            self._dates(words, to),
            self._streets(marks),
            self._counts(words, to),
        )
        self.pattern = re.compile("|".join(parts))
        self.above_or_below = re.compile(words["above_or_below"])

    @staticmethod
    def _codes(words: Mapping[str, Any]) -> str:
        """Links, mail, ticket numbers, chat names, plates, order numbers, landlines."""
        return "|".join(
            (
                r"(?:HTTPS?://|WWW\.)[!-~]{1,200}",
                r"(?<![A-Z0-9])[A-Z0-9._%+-]{1,40}@[A-Z0-9.-]{1,60}",
                r"(?<![A-Z0-9])[A-Z]{2}\d{6,8}(?:-?\d{3,4})?(?!\d)",
                rf"(?:{either(words['chat_ids'])})[号:是 ]{{0,3}}[A-Z0-9][A-Z0-9-]{{4,30}}",
                r"(?<![A-Z0-9])[A-Z]{3,20}(?=[A-Z-]{0,20}\d)[A-Z0-9-]{1,40}",
                rf"[{words['provinces']}][A-Z][ .·•]?[A-Z0-9]{{4,6}}(?![A-Z0-9])",
                r"\d{5,}(?:-\d{1,12})?",
                r"(?<![\d-])(?:0\d{2,3}|400)-\d{3,4}-?\d{3,5}(?!\d)",
            )
        )

    @staticmethod
    def _counts(words: Mapping[str, Any], to: str) -> str:
        """Ordinals, money and quantities; big numbers need a surer counter because rooms are big numbers too."""
        latin = rf"(?:{either(words['latin_units'])})(?![A-Z])"
        not_counted, approx = either(words["not_counted"]), rf"(?:{either(words['approx'])})?"
        few, many = either(folded_words(words["counters"])), either(folded_words(words["counters_of_many"]))
        return "|".join(
            (
                rf"第\d{{1,3}}(?:{either(words['ordinal_after'])})",
                r"\d{1,2}梯\d{1,2}户",
                rf"(?<![\dA-Z#\-负])\d{{1,2}}(?:\.\d{{1,2}})?(?:(?:{to})\d{{1,4}}(?:\.\d{{1,2}})?)?"
                rf"{approx} ?(?:(?:{few})(?!{not_counted})|{latin})",
                rf"(?<![\dA-Z#\-{words['marks_before_room']}])\d{{3,4}}(?:\.\d{{1,2}})?(?:(?:{to})\d{{1,4}})?"
                rf"{approx} ?(?:(?:{many})(?!{not_counted})|{latin})",
                r"[¥￥$] ?\d{1,4}(?:\.\d{1,2})?",
                rf"\d{{1,2}}(?={either(words['number_words'])})",
                r"(?<!\d)\d{1,3}\.\d{1,3}(?![\d.])",
            )
        )

    @staticmethod
    def _dates(words: Mapping[str, Any], to: str) -> str:
        day = rf"(?<![\d{words['marks_before_number']}\-])\d{{1,2}}[号日]"
        half = "半|[1-3]刻|\\d{1,2}分?"
        return "|".join(
            (
                r"(?<!\d)(?:19|20)\d{2}[-/.年]\d{1,2}(?:[-/.月]\d{1,2}[号日]?)?(?!\d)",
                r"(?<![\d-])\d{1,2}[/.]\d{1,2}[/.](?:19|20)\d{2}(?!\d)",
                rf"\d{{1,2}}月(?:\d{{1,2}}(?:(?:{to})\d{{1,2}})?[号日]?)?份?",
                rf"\d{{1,2}}[点时]?(?:{to})\d{{1,2}}[点时](?:{half})?",
                rf"(?<!\d)\d{{1,2}}(?:点钟?|时)(?:{half})?",
                r"(?<![\d:])\d{1,2}:\d{2}(?![\d:])",
                rf"{day}?(?:{to}){day}(?={either(words['am_pm'])})",
                rf"{day}(?= ?(?:{either(folded_words(words['am_pm']))}))",
                rf"(?:{either(folded_words(words['date_before']))})的?\d{{1,2}}号(?!楼|梯|门|房|\d|大楼|[楼院]|商|车)",
                r"(?<!\d)\d{1,2}日",
                rf"(?:{either(words['weekday'])})\d",
                r"\d{2,4}年(?!久)",
            )
        )

    @staticmethod
    def _streets(marks: Mapping[str, Any]) -> str:
        named = rf"[^\d ,.。，;；!！?？:：]{{0,8}}\d?(?:{either(marks['street'])})"
        return rf"{named}\d{{1,5}}(?:{marks['house_number']}(?!楼)|{marks['lane']})"

    def blank(self, text: str) -> tuple[str, str]:
        """The text with noise blanked out, same length, and the first phone number."""
        phone = ""
        for found in self.SPACED_PHONE.finditer(text):
            phone = phone or re.sub(r"\D", "", found[0])
        text = self.SPACED_PHONE.sub(lambda m: HOLE * len(m[0]), text)
        found_phone = self.PHONE.search(text)
        phone = phone or (found_phone["phone"] if found_phone else "")
        text = self.PHONE.sub(lambda m: (m["room"] or "") + HOLE * len(m["phone"]), text)
        text = self.pattern.sub(lambda m: HOLE * len(m[0]), text)
        without = self.above_or_below.sub(lambda m: HOLE * len(m[0]), text)
        return (without if self.ROOM.search(without) else text), phone


@cache
def noise() -> _Noise:
    """The patterns, made once."""
    return _Noise()
