"""How long `guanjia import households` takes for 20,000 homes, one row in a hundred bad, and again with nothing to do.

python benchmarks/importing.py [SIZE]
"""

from __future__ import annotations

import csv
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from estate import HOMES, estate  # noqa: E402

from bot import importing  # noqa: E402
from storage.database import connect, migrate  # noqa: E402

NOW = datetime(2025, 6, 12, 1, 0, tzinfo=UTC)


def main(size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/guanjia.db"
        migrate(connect(url))
        importing.new_community(url, "big", "大苑", "")
        rows, bad = estate(size)
        file = Path(folder) / "homes.csv"
        with file.open("w", encoding="utf-8", newline="") as handle:
            csv.writer(handle).writerows([HOMES, *rows])
        for name in ("first", "again"):
            started = time.perf_counter()
            said, _ = importing.run(url, "big", "households", file, NOW, dry_run=False)
            print(
                f"{name}: {time.perf_counter() - started:.1f} s  {len(said) - 1} of {len(bad)} bad rows named  {said[-1]}"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
