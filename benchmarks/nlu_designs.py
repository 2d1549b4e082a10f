"""Compare ways to understand a message: `python benchmarks/nlu_designs.py [--cv] [design …]`.

Every design learns from data/nlu and is judged on messages it never saw: tests/nlu/held_out (written without reading the training messages)
and, with --cv, three folds of the training messages. The table of docs/nlu.md comes from here.
"""

from __future__ import annotations

import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.sparse import csr_matrix, diags, hstack

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from nlu import classifier as c  # noqa: E402
from nlu import features as f  # noqa: E402
from nlu.spans import train_tagger  # noqa: E402
from nlu.words import DIGITS, cut, find_concepts, mask_digits  # noqa: E402

HELD_OUT = ROOT / "tests" / "nlu" / "held_out"
SETS = {
    "desk": ("repair", "complaint", "question", "dialogue", "out_of_scope"),
    "chat": ("chat",),
    "letters": ("letters",),
}
THRESHOLD = float(yaml.safe_load((ROOT / "config.yml").read_text("utf-8"))["pipeline"][0]["threshold"])

Case = tuple[str, str, str]
Names = Callable[[str], Iterator[str]]
Fit = Callable[[Any, Any, int], tuple[Any, Any]]


def held_out(name: str) -> list[Case]:
    lines = [line for file in SETS[name] for line in (HELD_OUT / f"{file}.jsonl").read_text("utf-8").splitlines()]
    rows = [json.loads(line) for line in lines]
    return [(row["text"], row["intent"], row.get("category", "")) for row in rows]


# --- features that were tried -----------------------------------------------------------------------------------------

HAND = {
    "question": r"[吗么呢嘛？]|怎么|多少|几点|什么|啥|哪|谁|能不能|是不是|有没有|如何|请问",
    "fault": r"坏|漏|堵|停[水电]|没[水电]|不亮|不热|跳闸|裂|掉|断|松|破|锈|响|臭|满|打不开|没反应|故障|渗|冒|爆",
    "blame": r"没人|不管|不作为|推[诿脱]|态度|投诉|举报|凭什么|乱收|敷衍|扰民|吵|噪音|违[规法章建]|多次反映",
    "negation": r"不|没|别|无|未|冇|莫",
    "finished": r"修好|弄好|搞定|完工|好了|解决了|又[坏漏堵停]|没修好",
    "time": r"今天|明天|后天|上午|下午|晚上|周[一二三四五六日]|改天",
    "person": r"师傅|经理|保安|保洁|阿姨|管家|主任|客服",
    "formal": r"尊敬的|领导|反映|恳请|有关部门|诉求|来电人|市民",
}
_HAND = {f"h:{name}": re.compile(pattern) for name, pattern in HAND.items()}


def words(text: str) -> Iterator[str]:
    previous = "^"
    for word in cut(text):
        yield f"w:{word}"
        yield f"b:{previous}|{word}"
        previous = word
    yield f"b:{previous}|$"


def hand(text: str) -> Iterator[str]:
    yield f"h:length{sum(len(text) > step for step in (1, 2, 4, 6, 9, 13, 18, 25, 40, 80, 160))}"
    if text.isdigit():
        yield "h:digits-only"
    yield from (name for name, pattern in _HAND.items() if pattern.search(text))


def concepts(text: str) -> Iterator[str]:
    found = [concept for _, _, concept in find_concepts(text)]
    yield from (f"k:{concept}" for concept in found)
    each = sorted(set(found))
    if len(each) <= f._MAX_PAIRED_CONCEPTS:
        yield from (f"k:{first}+{second}" for first, second in combinations(each, 2))


def size(text: str) -> Iterator[str]:
    yield f"h:{sum(len(text) > step for step in f._SIZE_STEPS)}"


def ngrams(text: str, longest: int = 3) -> Iterator[str]:
    marked = f"\x02{text}\x03"
    for length in range(1, longest + 1):
        yield from (marked[start : start + length] for start in range(len(marked) - length + 1))


def long_ngrams(text: str) -> Iterator[str]:
    return ngrams(text, 5)


class Features:
    """Blocks of features, each tf-idf weighted and of a length of its own."""

    def __init__(self, texts: Sequence[str], blocks: Sequence[tuple[Names, float]]) -> None:
        self._blocks = []
        for names, weight in blocks:
            seen: Counter[str] = Counter()
            for text in texts:
                seen.update(set(names(text)))
            kept = sorted(name for name, count in seen.items() if count >= 2)
            idf = np.array([np.log((1 + len(texts)) / (1 + seen[name])) + 1 for name in kept])
            self._blocks.append((names, weight, {name: at for at, name in enumerate(kept)}, idf))

    def __call__(self, texts: Sequence[str]) -> Any:
        return hstack([self._block(texts, *block) for block in self._blocks]).tocsr()

    def _block(self, texts: Sequence[str], names: Names, weight: float, index: dict[str, int], idf: Any) -> Any:
        columns, values, starts = [], [], [0]
        for text in texts:
            counts = [(index[name], count) for name, count in Counter(names(text)).items() if name in index]
            row = np.array([(1 + np.log(count)) * idf[at] for at, count in counts])
            values.append(row * (weight / np.sqrt(row @ row)) if len(row) else row)
            columns += [at for at, _ in counts]
            starts.append(len(columns))
        return csr_matrix((np.concatenate(values), columns, starts), shape=(len(texts), len(index)))


# --- ways to fit --------------------------------------------------------------------------------------------------------


def support_vectors(table: Any, wanted: Any, size: int) -> tuple[Any, Any]:
    return c.fit_linear(table, wanted, size)


def logistic(table: Any, wanted: Any, size: int) -> tuple[Any, Any]:
    """One against rest; the joint (softmax) form took more than eight minutes and was given up."""
    from sklearn.linear_model import LogisticRegression

    made = LogisticRegression(C=20, solver="liblinear", random_state=1).fit(table, wanted)
    weights, bias = np.zeros((table.shape[1], size)), np.full(size, -9.0)
    weights[:, made.classes_], bias[made.classes_] = made.coef_.T, made.intercept_
    return weights, bias


def naive_bayes_vectors(table: Any, wanted: Any, size: int) -> tuple[Any, Any]:
    """NB-SVM: features scaled by their log-count ratio."""
    from sklearn.svm import LinearSVC

    present = (table > 0).astype(float)
    total = np.asarray(present.sum(0)).ravel()
    weights, bias = np.zeros((table.shape[1], size)), np.full(size, -1.0)
    for label in np.unique(wanted):
        inside = np.asarray(present[wanted == label].sum(0)).ravel() + 1
        outside = total - inside + 2
        ratio = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
        made = LinearSVC(C=0.2, random_state=1).fit(table @ diags(ratio), wanted == label)
        weights[:, label], bias[label] = made.coef_[0] * ratio, made.intercept_[0]
    return weights, bias


def pairwise(table: Any, wanted: Any, size: int) -> tuple[Any, Any]:
    """Every class against every other; the mean margin is linear, so it folds into one table."""
    from sklearn.svm import LinearSVC

    weights, bias = np.zeros((table.shape[1], size)), np.zeros(size)
    labels = np.unique(wanted)
    for at, first in enumerate(labels):
        for second in labels[at + 1 :]:
            rows = (wanted == first) | (wanted == second)
            made = LinearSVC(C=2, random_state=1).fit(table[rows], wanted[rows] == first)
            for label, sign in ((first, 1), (second, -1)):
                weights[:, label] += sign * made.coef_[0] / size
                bias[label] += sign * made.intercept_[0] / size
    return weights, bias


# --- designs ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Design:
    fit: Fit = support_vectors
    blocks: tuple[tuple[Names, float], ...] = ((ngrams, 1.0),)
    views: tuple[str, ...] = ("steps",)
    clauses: bool = False
    essence: bool = False


WORDY = ((ngrams, 1.0), (words, 0.7), (hand, 0.35))
CONCEPTS = tuple(zip((size, concepts, ngrams), f._BLOCK_WEIGHTS, strict=True))
SHIPPED = "… + concepts + word vectors (shipped)"
BOTH = ("steps", "flat")
DESIGNS = {
    "LR, characters": Design(logistic),
    "SVM, characters": Design(),
    "SVM, characters 1–5": Design(blocks=((long_ngrams, 1.0),)),
    "NB-SVM, characters": Design(naive_bayes_vectors),
    "pairwise SVM, characters": Design(pairwise),
    "LR, characters + words + hand": Design(logistic, WORDY),
    "SVM, characters + words + hand": Design(blocks=WORDY),
    "SVM, flat codes": Design(views=("flat",)),
    "average of steps and flat": Design(views=BOTH),
    "… + clauses": Design(views=BOTH, clauses=True),
    "… + essence": Design(views=BOTH, clauses=True, essence=True),
    "… + concepts": Design(blocks=CONCEPTS, views=BOTH, clauses=True, essence=True),
    "… + concepts + words": Design(blocks=(*CONCEPTS, (words, 0.5)), views=BOTH, clauses=True, essence=True),
}


def softmax(scores: Any) -> Any:
    grown = np.exp(scores - scores.max(axis=1, keepdims=True))
    return grown / grown.sum(axis=1, keepdims=True)


class Trained:
    def __init__(self, design: Design, examples: Sequence[c.Example]) -> None:
        self.design = design
        rows = list(c._rows(sorted(set(examples), key=lambda one: (one.text, one.intent, one.category, one.spans))))
        rows = [row for row in rows if design.clauses or row.whole]
        self._features = Features([row.prepared for row in rows if row.whole], design.blocks)
        table = self._features([row.prepared for row in rows])
        self.intents = sorted({row.intent for row in rows})
        self._heads: dict[str, Any] = {}
        if "flat" in design.views:
            self._add("flat", table, rows, [row.pair for row in rows])
        if "steps" in design.views:
            whole = [at for at, row in enumerate(rows) if row.whole]
            self._add("intent", table[whole], [rows[at] for at in whole], [rows[at].intent for at in whole])
            for intent in c.CATEGORY_INTENTS:
                own = [at for at, row in enumerate(rows) if row.intent == intent and row.category]
                self._add(intent, table[own], [rows[at] for at in own], [rows[at].category for at in own])

    def _add(self, name: str, table: Any, rows: Sequence[c._Row], labels: Sequence[str]) -> None:
        names = sorted(set(labels))
        wanted = np.array([names.index(label) for label in labels])
        weights, bias = self.design.fit(table, wanted, len(names))
        fold = np.array([row.group % 3 for row in rows])
        whole = np.array([row.whole for row in rows])
        held, (part, start) = fold == 0, self.design.fit(table[fold != 0], wanted[fold != 0], len(names))
        scores = (table[held] @ part + start)[whole[held]]
        gold = wanted[held][whole[held]]
        best = min(c._TEMPERATURES, key=lambda temperature: c._log_loss(scores / temperature, gold))
        self._heads[name] = (names, weights / best, bias / best)

    def chances(self, texts: Sequence[str]) -> tuple[Any, dict[str, tuple[list[str], Any]]]:
        table = self._features([c.prepare(text) for text in texts])
        found = {name: (names, softmax(table @ w + b)) for name, (names, w, b) in self._heads.items()}
        views = [getattr(self, f"_{view}")(found) for view in self.design.views]
        intents = sum(view[0] for view in views) / len(views)
        codes = {
            intent: (views[0][1][intent][0], sum(view[1][intent][1] for view in views) / len(views))
            for intent in c.CATEGORY_INTENTS
        }
        return intents, codes

    def _steps(self, found: Any) -> Any:
        return found["intent"][1], {intent: found[intent] for intent in c.CATEGORY_INTENTS}

    def _flat(self, found: Any) -> Any:
        pairs, chances = found["flat"]
        intents = np.zeros((len(chances), len(self.intents)))
        for at, pair in enumerate(pairs):
            intents[:, self.intents.index(pair.partition("/")[0])] += chances[:, at]
        codes = {}
        for intent in c.CATEGORY_INTENTS:
            own = [at for at, pair in enumerate(pairs) if pair.startswith(f"{intent}/") and not pair.endswith("/")]
            part = chances[:, own]
            codes[intent] = ([pairs[at].partition("/")[2] for at in own], part / part.sum(axis=1, keepdims=True))
        return intents, codes


class Shipped:
    """What the product trains: the last design above with the vectors of words beside its features."""

    def __init__(self, examples: Sequence[c.Example]) -> None:
        self._model = c.train(examples)
        self.intents = list(self._model.intents)

    def chances(self, texts: Sequence[str]) -> tuple[Any, dict[str, tuple[list[str], Any]]]:
        read = self._model._read([c.prepare(text) for text in texts])
        chances = self._model._category_chances
        codes = {
            intent: (list(self._model.heads[intent].labels), np.array([chances(intent, one) for one in read]))
            for intent in c.CATEGORY_INTENTS
        }
        return np.array([one.intents for one in read]), codes


def judge(trained: Trained | Shipped, cases: Sequence[Case]) -> dict[str, float]:
    """Shares in percent; `loss` is the mean negative log of the chance given to the right intent."""
    from sklearn.metrics import f1_score

    intents, codes = trained.chances([text for text, _, _ in cases])
    said = [trained.intents[at] for at in intents.argmax(axis=1)]
    right = [intent for _, intent, _ in cases]
    fallback = (intents.max(axis=1) < THRESHOLD) | (np.array(said) == c.OUT_OF_SCOPE)
    outside = np.array(right) == c.OUT_OF_SCOPE
    first, third, coded = 0, 0, 0
    for at, (_, intent, code) in enumerate(cases):
        if code:
            names, chances = codes[intent]
            best = [names[place] for place in np.argsort(-chances[at], kind="stable")[:3]]
            coded += 1
            first += said[at] == intent and best[0] == code
            third += said[at] == intent and code in best
    given = [intents[at, trained.intents.index(intent)] for at, intent in enumerate(right)]
    return {
        "intent": 100 * float(np.mean(np.array(said) == np.array(right))),
        "macro-F1": 100 * f1_score(right, said, labels=sorted(set(right)), average="macro", zero_division=0),
        "loss": float(-np.log(np.maximum(given, 1e-9)).mean()),
        "OOS found": 100 * float(fallback[outside].mean()) if outside.any() else 0.0,
        "false fallback": 100 * float(fallback[~outside].mean()),
        "code@1": 100 * first / coded,
        "code@3": 100 * third / coded,
    }


def cross_validate(design: Design, examples: Sequence[c.Example]) -> dict[str, float]:
    known = sorted(set(examples), key=lambda one: (one.text, one.intent, one.category, one.spans))
    random.Random(1).shuffle(known)
    totals: Counter[str] = Counter()
    for fold in range(3):
        trained = Trained(design, [one for at, one in enumerate(known) if at % 3 != fold])
        cases = [(one.text, one.intent, one.category) for at, one in enumerate(known) if at % 3 == fold]
        for name, value in judge(trained, cases).items():
            totals[name] += value / 3  # type: ignore[assignment]
    return dict(totals)


def show(name: str, where: str, found: dict[str, float]) -> None:
    cells = [f"{value:.2f}" if key == "loss" else f"{value:.1f}" for key, value in found.items()]
    print(f"| {name} | {where} | {' | '.join(cells)} |", flush=True)


def compare(examples: Sequence[c.Example], wanted: Sequence[str], folds: bool) -> None:
    print("| design | on | intent | macro-F1 | loss | OOS found | false fallback | code@1 | code@3 |")
    print("|---|---|---|---|---|---|---|---|---|")
    essence = f.essence
    for name, design in DESIGNS.items():
        if wanted and not any(word in name for word in wanted):
            continue
        if not design.essence:
            f.essence = lambda text: DIGITS.sub(mask_digits, text.lower())
        try:
            trained = Trained(design, examples)
            for where in SETS:
                show(name, where, judge(trained, held_out(where)))
            if folds:
                show(name, "folds", cross_validate(design, examples))
        finally:
            f.essence = essence
    if not wanted or any(word in SHIPPED for word in wanted):
        model = Shipped(examples)
        for where in SETS:
            show(SHIPPED, where, judge(model, held_out(where)))


def latency(examples: Sequence[c.Example]) -> None:
    started = time.perf_counter()
    model = c.train(examples)
    print(f"\ntraining: {time.perf_counter() - started:.1f} s, {len(model.vocabulary)} features")
    started = time.perf_counter()
    tagger = train_tagger(examples)
    print(f"span tagger: {time.perf_counter() - started:.1f} s")
    for where in SETS:
        texts = [text for text, _, _ in held_out(where)]
        model.predict(texts[0])
        for name, read in (("predict", model.predict), ("spans", tagger.find)):
            times = []
            for text in texts:
                started = time.perf_counter()
                read(text)
                times.append((time.perf_counter() - started) * 1e3)
            print(f"{where} {name}: median {np.median(times):.2f} ms, 95th {np.percentile(times, 95):.2f} ms")


def main(arguments: Sequence[str]) -> None:
    examples = c.read_examples(ROOT / "data" / "nlu")
    print(f"{len(examples)} training messages, threshold {THRESHOLD}\n")
    compare(examples, [word for word in arguments if not word.startswith("-")], "--cv" in arguments)
    latency(examples)


if __name__ == "__main__":
    main(sys.argv[1:])
