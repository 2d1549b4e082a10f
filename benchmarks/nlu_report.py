"""How well messages are understood: `python benchmarks/nlu_report.py [--folds 5] [--wrong]`.

Two judges. Cross-validation: the training messages in folds, each read by a model that never saw it. Held out: the files of
tests/nlu/held_out, written by writers who have not read the training messages. Prints intent and category scores, spans,
several faults in one message, emergencies and near emergencies, calibration, and the pairs that are confused most.
docs/nlu.md quotes it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bot import training  # noqa: E402
from bot.demo import demo_register  # noqa: E402
from bot.understanding import Reader, load_trained  # noqa: E402
from nlu import spans  # noqa: E402
from nlu.classifier import (  # noqa: E402
    COMPLAINT,
    NO_DANGER,
    REPAIR,
    Example,
    Material,
    Model,
    divide,
    fit,
    gather,
    read_examples,
    read_several,
)
from nlu.emergency import detect, suspect  # noqa: E402
from nlu.spans import Tagger  # noqa: E402

HELD_OUT = ROOT / "tests" / "nlu" / "held_out"
MODELS = (ROOT / "var" / "models", ROOT / ".cache" / "models")
"""Where the product and its tests keep what they have trained."""
NOW = datetime(2025, 6, 12, 9, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
LABELS = ("location", "symptom")
BINS = (0.0, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 1.01)

SPAN_FOLDS = 1
"""In so many folds spans are judged too: their model alone takes a third of the learning."""

FILES = ("repair", "complaint", "question", "dialogue", "out_of_scope")
ELSEWHERE = ("chat", "plain", "talk", "letters", "public")
"""As people chat, the commonest plain messages, what they say within a talk, and how they write to authorities and on public boards: longer, with side matters."""

Spans = set[tuple[int, int, str]]


def held_out(name: str) -> list[dict[str, Any]]:
    lines = (HELD_OUT / f"{name}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines if line]


# --- counting -----------------------------------------------------------------------------------------------------------


def f1_table(pairs: Sequence[tuple[str, str]]) -> dict[str, tuple[float, float, float, int]]:
    """Precision, recall, F1 and support of every wanted label, from (wanted, said)."""
    right = Counter(wanted for wanted, said in pairs if wanted == said)
    wanted, said = Counter(one for one, _ in pairs), Counter(one for _, one in pairs)
    table = {}
    for label, count in sorted(wanted.items()):
        precision = right[label] / said[label] if said[label] else 0.0
        recall = right[label] / count
        total = precision + recall
        table[label] = (precision, recall, 2 * precision * recall / total if total else 0.0, count)
    return table


def macro(table: dict[str, tuple[float, float, float, int]]) -> float:
    return sum(row[2] for row in table.values()) / len(table)


class SpanCount:
    """Exact spans, spans that touch one of the same label, and characters."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def add(self, wanted: Spans, said: Spans) -> None:
        for label in LABELS:
            a, b = [s for s in wanted if s[2] == label], [s for s in said if s[2] == label]
            self.counts[label, "wanted"] += len(a)
            self.counts[label, "said"] += len(b)
            self.counts[label, "exact"] += len(set(a) & set(b))
            self.counts[label, "wanted touched"] += sum(any(_touch(x, y) for y in b) for x in a)
            self.counts[label, "said touched"] += sum(any(_touch(x, y) for y in a) for x in b)
            chars_a, chars_b = _chars(a), _chars(b)
            self.counts[label, "chars wanted"] += len(chars_a)
            self.counts[label, "chars said"] += len(chars_b)
            self.counts[label, "chars both"] += len(chars_a & chars_b)

    def show(self, where: str) -> None:
        for label in LABELS:
            count = {name: self.counts[label, name] for _, name in self.counts}
            exact = 2 * count["exact"] / max(count["wanted"] + count["said"], 1)
            precision = count["said touched"] / max(count["said"], 1)
            recall = count["wanted touched"] / max(count["wanted"], 1)
            overlap = 2 * precision * recall / max(precision + recall, 1e-9)
            chars = 2 * count["chars both"] / max(count["chars wanted"] + count["chars said"], 1)
            print(f"| {where} | {label} | {exact:.3f} | {overlap:.3f} | {chars:.3f} | {count['wanted']} |")


def _touch(one: tuple[int, int, str], other: tuple[int, int, str]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _chars(spans: Iterable[tuple[int, int, str]]) -> set[int]:
    return {at for start, end, _ in spans for at in range(start, end)}


def marked(case: dict[str, Any]) -> Spans:
    """The spans of a held-out case; its substrings stand in the order of the text."""
    found: Spans = set()
    for label in LABELS:
        at = 0
        for piece in case.get(label, ()):
            start = case["text"].index(piece, at)
            at = start + len(piece)
            found.add((start, at, label))
    return found


def said_spans(read: dict[str, Any]) -> Spans:
    return {(one["start"], one["end"], label) for label in LABELS for one in read[label]}


# --- the parts of the report --------------------------------------------------------------------------------------------


def show_labels(title: str, pairs: Sequence[tuple[str, str]], *, rows: bool = True) -> None:
    table = f1_table(pairs)
    right = sum(wanted == said for wanted, said in pairs) / len(pairs)
    print(f"\n### {title}: accuracy {right:.3f}, macro-F1 {macro(table):.3f}, {len(pairs)} messages")
    if rows:
        print("\n| label | precision | recall | F1 | messages |\n|---|---|---|---|---|")
        for label, (precision, recall, f1, count) in table.items():
            print(f"| {label} | {precision:.2f} | {recall:.2f} | {f1:.2f} | {count} |")


def show_confused(pairs: Sequence[tuple[str, str]], most: int = 15) -> None:
    wrong = Counter((wanted, said) for wanted, said in pairs if wanted != said)
    print("\nConfused most (wanted → said): " + ", ".join(f"{a} → {b} {n}" for (a, b), n in wrong.most_common(most)))


def show_calibration(rows: Sequence[tuple[float, bool]]) -> None:
    print("\n| confidence | messages | mean confidence | right |\n|---|---|---|---|")
    for low, high in pairwise(BINS):
        inside = [row for row in rows if low <= row[0] < high]
        if inside:
            mean = sum(row[0] for row in inside) / len(inside)
            right = sum(row[1] for row in inside) / len(inside)
            print(f"| {low:.2f}–{min(high, 1):.2f} | {len(inside)} | {mean:.3f} | {right:.3f} |")


@dataclass
class Judged:
    """What models that had not seen the messages said of them: (wanted, said), (confidence, right), (a danger, verdict without words)."""

    intents: list[tuple[str, str]] = field(default_factory=list)
    codes: list[tuple[str, str]] = field(default_factory=list)
    sure: list[tuple[float, bool]] = field(default_factory=list)
    dangers: list[tuple[bool, str]] = field(default_factory=list)


def judge_fold(temperatures: Mapping[str, float], fold: int, folds: int) -> Judged:
    """Confidences are made honest once, by the model of all messages: a temperature is one number a head."""
    held_back = shuffled(_MATERIAL[0].examples)[fold::folds]
    model = fit(_MATERIAL[0].without(frozenset(held_back)), temperatures)
    judged = Judged()
    for one in held_back:
        said = model.classify(one.text)
        judged.intents.append((one.intent, said.intent))
        judged.sure.append((said.confidence, said.intent == one.intent))
        if one.category:
            judged.codes.append((one.category, said.category if said.intent == one.intent else "other intent"))
        if one.danger:
            feared = suspect(dict(said.dangers), one.text)
            judged.dangers.append((one.danger != NO_DANGER, feared.verdict if feared else ""))
    print(f"fold {fold + 1} of {folds} read", file=sys.stderr)
    return judged


def judge_spans(fold: int, folds: int) -> SpanCount:
    """Of messages whose intent is known: whether it is read right, the other table tells."""
    known = shuffled(_MATERIAL[0].examples)
    tagger = spans.train_tagger(one for at, one in enumerate(known) if at % folds != fold)
    count = SpanCount()
    for one in known[fold::folds]:
        if one.intent in (REPAIR, COMPLAINT):
            found = tagger.find(one.text, one.intent)
            count.add({*one.spans}, {(span.start, span.end, span.label) for span in found})
    print(f"spans of fold {fold + 1} read", file=sys.stderr)
    return count


def show_folds(found: Sequence[Judged], marked_too: Sequence[SpanCount], rows: bool) -> None:
    print(f"\n## {len(found)} folds of the training messages")
    show_labels("Intents", [pair for one in found for pair in one.intents], rows=rows)
    show_confused([pair for one in found for pair in one.intents])
    show_labels("Categories", [pair for one in found for pair in one.codes], rows=rows)
    show_confused([pair for one in found for pair in one.codes])
    show_calibration([pair for one in found for pair in one.sure])
    show_dangers([pair for one in found for pair in one.dangers])
    _span_head()
    count = SpanCount()
    for one in marked_too:
        count.counts.update(one.counts)
    count.show("folds")


def show_dangers(pairs: Sequence[tuple[bool, str]]) -> None:
    """Messages written about danger and near it: how many the model fears, without any word of the rules."""
    alarms, near = ([verdict for is_one, verdict in pairs if is_one is wanted] for wanted in (True, False))
    if alarms and near:
        print(f"\nDangers by the model alone, of {len(alarms)} messages about one and {len(near)} near one:")
        print(f"{sum(map(bool, alarms))} and {sum(map(bool, near))} at least asked about")
        print(f"{alarms.count('alarm')} and {near.count('alarm')} alarm")


def _span_head() -> None:
    print("\n| spans | | exact F1 | overlap F1 | character F1 | marked |\n|---|---|---|---|---|---|")


def judge_held_out(reader: Reader, rows: bool, wrong: bool) -> None:
    print("\n## Held out")
    intents: list[tuple[str, str]] = []
    codes: list[tuple[str, str]] = []
    urgent: list[tuple[str, str]] = []
    sure: list[tuple[float, bool]] = []
    count = SpanCount()
    for name in FILES:
        for case in held_out(name):
            read = reader.read(case["text"], NOW)
            intents.append((case["intent"], read["intent"]))
            sure.append((read["confidence"], read["intent"] == case["intent"]))
            if case.get("category"):
                said = read["category"] if read["intent"] == case["intent"] else "other intent"
                codes.append((case["category"], said or ""))
            if case.get("urgency"):
                urgent.append((case["urgency"], read["urgency"] or "none"))
            if name in ("repair", "complaint"):
                count.add(marked(case), said_spans(read))
            if wrong and (read["intent"], read["category"] or "") != (case["intent"], case.get("category", "")):
                print(
                    f"{case['intent']} {case.get('category', '')} ≠ {read['intent']} {read['category']}: {case['text']}"
                )
    show_labels("Intents", intents, rows=rows)
    show_confused(intents)
    show_labels("Categories", codes, rows=rows)
    show_confused(codes)
    show_labels("Urgency of repairs", urgent)
    show_calibration(sure)
    _span_head()
    count.show("held out")


def judge_elsewhere(reader: Reader, wrong: bool) -> None:
    """A case may name a second reading that could be defended as well (`or`)."""
    print(
        "\n| held out | messages | intents | with category | dangers: alarm | false alarms |\n|---|---|---|---|---|---|"
    )
    for name in ELSEWHERE:
        cases = [(case, reader.read(case["text"], NOW)) for case in held_out(name)]
        accepted = [[(case["intent"], case.get("category")), *map(tuple, case.get("or", ()))] for case, _ in cases]
        said = [(read["intent"], read["category"]) for _, read in cases]
        intents = sum(one[0] in {intent for intent, _ in well} for one, well in zip(said, accepted, strict=True))
        pairs = sum(one in well for one, well in zip(said, accepted, strict=True))
        share = f"{intents / len(cases):.3f} | {pairs / len(cases):.3f}"
        print(f"| {name} | {len(cases)} | {share} | {_alarms(cases)} |")
        if wrong:
            for (case, _), one, well in zip(cases, said, accepted, strict=True):
                if one not in well:
                    print(f"{well} ≠ {one}: {case['text']}")


def _alarms(cases: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> str:
    """Two columns, empty for a file that does not say where a danger is."""
    found = [(bool(case.get("emergency")), bool(read["emergency"])) for case, read in cases]
    dangers = sum(is_one for is_one, _ in found)
    return f"{found.count((True, True))} of {dangers} | {found.count((False, True))}" if dangers else "– | –"


def judge_faults(reader: Reader, name: str, wrong: bool) -> None:
    """Every fault, and every complaint beside them, is wanted with its category."""
    cases = held_out(name)
    right = same = 0
    for case in cases:
        read = reader.read(case["text"], NOW)
        own = [read] if read["intent"] == "file_complaint" else []
        said = sorted(one["category"] for one in (*own, *read["faults"], *read["complaints"]))
        wanted = sorted([fault["category"] for fault in case["faults"]] + case.get("complaints", []))
        same += len(said) == len(wanted)
        right += said == wanted
        if wrong and said != wanted:
            print(f"{wanted} ≠ {said}: {case['text']}")
    print(
        f"\nSeveral faults ({name}): as many as wanted in {same}/{len(cases)}, all categories too in {right}/{len(cases)}"
    )


def judge_emergencies(title: str, verdict: Callable[[str], str], wrong: bool) -> None:
    """`verdict` of a text: "alarm", "ask", or "" for nothing."""
    alarms, near = held_out("emergencies"), held_out("near_emergencies")
    missed = [case for case in alarms if verdict(case["text"]) != "alarm"]
    silent = [case for case in missed if not verdict(case["text"])]
    false = [case for case in near if verdict(case["text"]) == "alarm"]
    asked = [case for case in near if not case.get("ask") and verdict(case["text"]) == "ask"]
    print(f"\nEmergencies {title}: {len(alarms) - len(missed)}/{len(alarms)} raise the alarm,")
    print(f"{len(missed) - len(silent)} ask first, {len(silent)} are missed.")
    print(f"Near emergencies: {len(false)}/{len(near)} raise a false alarm (precision")
    hits = len(alarms) - len(missed)
    print(f"{hits / max(hits + len(false), 1):.3f}), {len(asked)} are asked about for nothing.")
    if wrong:
        for title, cases in (("not an alarm", missed), ("missed", silent), ("false alarm", false), ("asked", asked)):
            for case in cases:
                print(f"{title} {case.get('emergency') or ''}: {case['text']}")


def judge_ordinary(title: str, verdict: Callable[[str], str], wrong: bool) -> None:
    """False alarms where nobody went looking for them: everything held out but the urgent repairs."""
    cases = [case for name in FILES for case in held_out(name) if case.get("urgency") not in ("U0", "U1")]
    said = [(verdict(case["text"]), case["text"]) for case in cases]
    alarms = [text for what, text in said if what == "alarm"]
    asked = sum(what == "ask" for what, _ in said)
    print(f"\nOrdinary messages {title}: {len(alarms)} of {len(cases)} raise a false alarm, {asked} are asked about.")
    if wrong:
        print("\n".join(f"false alarm: {text}" for text in alarms))


def by_words(text: str) -> str:
    found = detect(text)
    return "" if found is None else "alarm" if found.verdict == "alarm" else "ask"


def by_both_nets(reader: Reader, text: str) -> str:
    read = reader.read(text, NOW)
    return "alarm" if read["emergency"] else "ask" if read["safety_question"] else ""


_MATERIAL: list[Material] = []
"""The training messages, which every process has from the start: reading their features takes as long as a small head."""


def shuffled(examples: Iterable[Example]) -> list[Example]:
    """In an order of its own that is always the same."""
    known = sorted(examples, key=lambda one: (one.text, one.intent, one.category))
    random.Random(1).shuffle(known)
    return known


def _alone(material: Material) -> None:
    """A fold has one core; the heads of its model are fitted one after the other."""
    os.environ["LOKY_MAX_CPU_COUNT"] = "1"
    _MATERIAL.append(material)


def _trained() -> tuple[Model, Tagger] | None:
    """What the product or its tests have already trained from exactly these messages and this code, if they have."""
    current = (models for models in MODELS if training.is_current(models))
    return next((load_trained(training.model_path(models)) for models in current), None)


def _train(pool: ProcessPoolExecutor, material: Material) -> tuple[Model, Tagger]:
    tagger = pool.submit(spans.train_tagger, material.examples)
    return divide(fit(material), read_several(ROOT / "data" / "nlu")), tagger.result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", type=int, default=5, help="0 leaves cross-validation out")
    parser.add_argument("--wrong", action="store_true", help="print every held-out message that was read wrongly")
    parser.add_argument("--short", action="store_true", help="totals only")
    options = parser.parse_args()
    examples = read_examples(ROOT / "data" / "nlu")
    print(f"{len(examples)} training messages")
    material = gather(examples)
    # A process that is forked has the material at once; one that starts anew would be sent it.
    apart = get_context("fork")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=apart, initializer=_alone, initargs=(material,)) as pool:
        model, tagger = _trained() or _train(pool, material)
        temperatures = {name: head.temperature for name, head in model.heads.items()}
        # The longest first: no core shall wait for the last one.
        tagged = [pool.submit(judge_spans, fold, options.folds) for fold in range(SPAN_FOLDS) if options.folds]
        folds = [pool.submit(judge_fold, temperatures, fold, options.folds) for fold in range(options.folds)]
        reader = Reader(model, tagger, demo_register())
        judge_held_out(reader, not options.short, options.wrong)
        judge_elsewhere(reader, options.wrong)
        for name in ("faults", "several"):
            judge_faults(reader, name, options.wrong)
        for title, verdict in (("by words alone", by_words), ("with the model", partial(by_both_nets, reader))):
            judge_emergencies(title, verdict, options.wrong)
            judge_ordinary(title, verdict, options.wrong)
        if folds:
            show_folds([one.result() for one in folds], [one.result() for one in tagged], not options.short)


if __name__ == "__main__":
    main()
