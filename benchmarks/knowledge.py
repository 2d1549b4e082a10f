"""How well questions find their written answer: `python benchmarks/knowledge.py [--wrong]`.

The judges are the lists of tests/nlu/held_out/knowledge.yml: questions written apart from the wordings of the base, and messages it
has no answer to. Prints recall at one, how much is answered outright, answered or offered, confident answers that are wrong, and
offers to messages without an answer. docs/nlu.md quotes it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from nlu.knowledge import PLACEHOLDERS, Hit, KnowledgeBase  # noqa: E402

HELD_OUT = ROOT / "tests" / "nlu" / "held_out" / "knowledge.yml"
# Every value there is, so that no answer is missing for want of a setting.
CONFIGURED = {name: f"<{name}>" for name in PLACEHOLDERS}
LISTS = (("answered", "unanswered"), ("last_answered", "last_unanswered"))


def offered(hit: Hit | None) -> list[str]:
    """The entries a resident is shown: the sure one, else the choices."""
    if hit is None:
        return []
    return [hit.entry.id] if hit.sure else [entry.id for entry in hit.choices]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wrong", action="store_true", help="show what was answered wrongly or not found")
    show = parser.parse_args().wrong
    base = KnowledgeBase.load()
    lists = yaml.safe_load(HELD_OUT.read_text("utf-8"))
    print(f"{len(base.entries)} entries, {sum(len(entry.wordings) for entry in base.entries)} wordings\n")
    print(
        "| list | questions | recall@1 | answered outright | answered or offered | wrong and sure | offered without an answer |"
    )
    print("|---|---|---|---|---|---|---|")
    for answered, unanswered in LISTS:
        asked = [(set(ids.split("|")), text) for ids, texts in lists[answered].items() for text in texts]
        found = [(ids, text, base.find(text, "", CONFIGURED)) for ids, text in asked]
        silent = [(text, base.find(text, "", CONFIGURED)) for text in lists[unanswered]]
        first = sum(hit is not None and hit.entry.id in ids for ids, _, hit in found)
        outright = sum(hit is not None and hit.sure and hit.entry.id in ids for ids, _, hit in found)
        reached = sum(bool(ids & set(offered(hit))) for ids, _, hit in found)
        wrong = [(text, hit.entry.id) for ids, text, hit in found if hit and hit.sure and hit.entry.id not in ids]
        wrong += [(text, hit.entry.id) for text, hit in silent if hit and hit.sure]
        asked_back = sum(bool(hit and not hit.sure and hit.choices) for _, hit in silent)
        count, total = len(asked), len(asked) + len(silent)
        print(
            f"| {answered} | {count} + {len(silent)} | {first / count:.3f} | {outright / count:.3f} | {reached / count:.3f} "
            f"| {len(wrong)} of {total} ({len(wrong) / total:.1%}) | {asked_back} of {len(silent)} |"
        )
        if show:
            for text, entry in wrong:
                print(f"wrong: {text} → {entry}")
            for ids, text, hit in found:
                if hit is None or hit.entry.id not in ids:
                    print(f"missed: {text} → {hit.entry.id if hit else '-'}, wanted {' '.join(ids)}")


if __name__ == "__main__":
    main()
