"""What words and the trained model say together about danger: `python benchmarks/danger_weights.py [--folds 5]`.

Fits `weighing` of data/catalog/emergency.yml. Every training message of which it is known whether it reports a danger is read by a
model of the other folds; a logistic regression then learns how much to trust that model beside each sort of words. Prints the
weights to write down, and what the weights that are written down now make of the same messages. docs/nlu.md quotes it.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from nlu.classifier import NO_DANGER, Example, danger_of, read_examples, train  # noqa: E402
from nlu.emergency import Emergency, detect, load_rules, odds, suspect, told_by_words, words_of  # noqa: E402

WORDS = tuple(load_rules().weighing.words)


@dataclass(frozen=True)
class Read:
    """One message, read by a model that had not seen it."""

    text: str
    danger: bool
    fear: dict[str, float]
    hits: tuple[Emergency, ...]

    def row(self) -> list[float]:
        """The surest words, or none, and what the model fears."""
        surest = (one for one in self.hits if one.verdict == self.hits[0].verdict)
        hit = max(surest, key=lambda one: self.fear.get(one.kind, 0.0), default=None)
        kind = self.fear.get(hit.kind, 0.0) if hit else max(self.fear.values())
        sort = words_of(hit) if hit else ""
        return [odds(sum(self.fear.values())), odds(kind), *(float(sort == one) for one in WORDS)]

    def verdict(self) -> str:
        found = detect(self.text, fear=lambda _text: self.fear) or suspect(self.fear, self.text)
        return found.verdict if found else "nothing"


def read_fold(known: Sequence[Example], fold: int, folds: int) -> list[Read]:
    os.environ["LOKY_MAX_CPU_COUNT"] = "1"
    model = train([one for at, one in enumerate(known) if at % folds != fold])
    judged = [one for one in known[fold::folds] if danger_of(one)]
    print(f"fold {fold + 1} of {folds} read", file=sys.stderr)
    return [
        Read(one.text, danger_of(one) != NO_DANGER, model.fear(one.text), tuple(told_by_words(one.text)))
        for one in judged
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", type=int, default=5)
    folds = parser.parse_args().folds
    known = sorted(set(read_examples(ROOT / "data" / "nlu")), key=lambda one: (one.text, one.intent, one.category))
    random.Random(1).shuffle(known)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        read = [one for part in pool.map(partial(read_fold, known, folds=folds), range(folds)) for one in part]
    print(f"{len(read)} messages, {sum(one.danger for one in read)} of them report a danger")

    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=10, max_iter=3000).fit([one.row() for one in read], [one.danger for one in read])
    any_danger, this_kind, *words = fitted.coef_[0]
    print(
        f"\nweighing:\n  start: {fitted.intercept_[0]:.2f}\n  any_danger: {any_danger:.2f}\n  this_kind: {this_kind:.2f}"
    )
    print(f"  words: {{{', '.join(f'{name}: {weight:.2f}' for name, weight in zip(WORDS, words, strict=True))}}}")

    said = Counter((one.verdict(), one.danger) for one in read)
    print("\n| weights as written down | dangers | others |\n|---|---|---|")
    for verdict in ("alarm", "check", "advise", "nothing"):
        print(f"| {verdict} | {said[verdict, True]} | {said[verdict, False]} |")


if __name__ == "__main__":
    main()
