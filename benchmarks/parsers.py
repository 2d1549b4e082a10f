"""What the pure parsers cost: `python benchmarks/parsers.py`.

For each parser the time of an ordinary message, and how the time grows when a pasted text is four times as long (a linear
parser: about 4). docs/nlu.md quotes the table.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bot.demo import demo_register  # noqa: E402
from nlu.address import resolve  # noqa: E402
from nlu.answers import read_answer  # noqa: E402
from nlu.emergency import detect  # noqa: E402
from nlu.expected_time import parse_window  # noqa: E402
from nlu.knowledge import KnowledgeBase  # noqa: E402
from nlu.normalize import normalize  # noqa: E402
from nlu.slots import find_phone, mask_text  # noqa: E402

NOW = datetime(2025, 6, 12, 9, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
ORDINARY = "卧室灯不亮了麻烦明天下午三点派个师傅来看一下三栋二单元1502"
LONG = ("3栋2单元1502，明天下午，", "还在漏 ", "没有着火", "零", "好的138")
ROUNDS = 5


def best(call: Callable[[], object], times: int) -> float:
    """Seconds of one call on a text not met before, the best of a few rounds."""
    found = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(times):
            # It remembers the last texts; a new message is none of them.
            normalize.cache_clear()
            call()
        found = min(found, (time.perf_counter() - started) / times)
    return found


def main() -> None:
    register, base = demo_register(), KnowledgeBase.load()
    parsers: dict[str, Callable[[str], object]] = {
        "normalize": normalize,
        "emergency": detect,
        "address": lambda text: resolve(text, register, bound="P1/3/2/1502"),
        "expected time": lambda text: parse_window(text, NOW),
        "answer to a question": lambda text: read_answer("detail", text, NOW),
        "phone and masking": lambda text: (find_phone(text), mask_text(text)),
        "knowledge base": lambda text: base.find(text[:200], "", {}),
    }
    print("| parser | ordinary message, ms | 8,000 : 2,000 characters, worst of the pastes |\n|---|---|---|")
    for name, parse in parsers.items():
        parse(ORDINARY)
        usual = best(lambda parse=parse: parse(ORDINARY), 50) * 1e3
        growth = max(
            best(lambda parse=parse, text=(unit * 8000)[:8000]: parse(text), 1)
            / max(best(lambda parse=parse, text=(unit * 2000)[:2000]: parse(text), 1), 1e-6)
            for unit in LONG
        )
        print(f"| {name} | {usual:.2f} | {growth:.1f} |")


if __name__ == "__main__":
    main()
