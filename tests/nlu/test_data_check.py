"""The check of the language data finds what it is there to find, and finds nothing in ours."""

from __future__ import annotations

import pytest

from nlu import data_check
from nlu.classifier import Example, read_examples, read_several

CODES = {
    "report_repair": frozenset({"W02"}),
    "file_complaint": frozenset({"T01"}),
    "ask_question": frozenset({"Q01"}),
}


@pytest.mark.parametrize(
    ("examples", "said"),
    [
        ([Example("漏水", "report_repair", "W02"), Example("漏水！", "file_complaint", "T01")], "several labels"),
        ([Example("漏水", "report_repair", "W02"), Example("漏水", "report_repair", "W02")], "twice"),
        ([Example("漏水", "report_repair", "W99")], "W99"),
        ([Example("你好", "greet", "Q01")], "has no categories"),
        ([Example("厨房，漏水", "report_repair", "W02", ((0, 3, "location"),))], "begins or ends with a mark"),
        ([Example("厨房漏水", "report_repair", "W02", ((0, 2, "room"),))], "not known"),
        ([Example("[厨房漏水", "report_repair", "W02")], "markup"),
        ([Example("漏水", "report_repair", "W02")], "only 1 messages"),
        ([Example("马桶堵了灯不亮", "report_repair", spans=((0, 2, "W04"), (4, 7, "E99")))], "'E99' is not known"),
        ([Example("漏" * 301, "report_repair", "W02")], "longer than"),
    ],
)
def test_found(examples: list[Example], said: str) -> None:
    assert any(said in line for line in data_check.problems(examples, CODES))


def test_our_data_has_no_problems() -> None:
    examples, several = read_examples(data_check.DATA / "nlu"), read_several(data_check.DATA / "nlu")
    assert list(data_check.problems([*examples, *several], data_check.known_codes())) == []
    assert len(examples) >= 4000
    assert sum(one.intent == "out_of_scope" for one in examples) >= 400
