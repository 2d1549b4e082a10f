"""The long run: many more random steps through the lifecycle, many more damaged pushes, then many more kills under load.

    .venv/bin/python benchmarks/soak.py [--steps 200000] [--damaged 10000] [--kills 120]

The steps are those of tests/tickets/test_stateful.py and the damaged pushes, so many for each webhook, those of tests/channels (the
tests take fewer); the kills those of benchmarks/crash.py. Ends with 1 if an invariant broke, a push broke a channel, or anything was
lost or done twice.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--damaged", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=120)
    wanted = parser.parse_args()
    walk = [sys.executable, "-m", "pytest", "-q", "tests/tickets/test_stateful.py"]
    damage = [sys.executable, "-m", "pytest", "-q", "tests/channels", "-k", "mutated or damaged"]
    kill = [sys.executable, "benchmarks/crash.py", "--kills", str(wanted.kills)]
    runs = ((walk, {"STEPS": str(wanted.steps)}), (damage, {"DAMAGED": str(wanted.damaged)}), (kill, {}))
    for command, env in runs:
        started = time.monotonic()
        print("==", *command, flush=True)
        if subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, check=False).returncode:
            sys.exit(1)
        print(f"== {(time.monotonic() - started) / 60:.0f} min", flush=True)


if __name__ == "__main__":
    main()
