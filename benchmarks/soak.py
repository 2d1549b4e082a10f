"""The long run: many more random steps through the lifecycle, then many more kills under load.

    .venv/bin/python benchmarks/soak.py [--steps 200000] [--kills 120]

The steps are those of tests/tickets/test_stateful.py (the tests take fewer); the kills those of benchmarks/crash.py. Ends with 1
if an invariant broke, or anything was lost or done twice.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--kills", type=int, default=120)
    wanted = parser.parse_args()
    walk = [sys.executable, "-m", "pytest", "-q", "tests/tickets/test_stateful.py"]
    kill = [sys.executable, "benchmarks/crash.py", "--kills", str(wanted.kills)]
    for command, env in ((walk, {"STEPS": str(wanted.steps)}), (kill, {})):
        print("==", *command, flush=True)
        if subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, check=False).returncode:
            sys.exit(1)


if __name__ == "__main__":
    main()
