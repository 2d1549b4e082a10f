"""How long one resident turn takes through the HTTP API, and where the time goes.

    .venv/bin/python benchmarks/turn.py [turns]

Starts the product on free ports with a burst window of 0. Two small proxies stand between bot and rasa and between rasa and
the action server, so that each part's share is seen from outside, without touching the product. Compare shares, not machines.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from e2e.harness import Stack, free_ports  # noqa: E402
from trained import trained_models  # noqa: E402

from bot import processes  # noqa: E402
from bot.settings import load_settings  # noqa: E402

MESSAGES = ("在吗", "我的报修怎么样了", "物业费怎么交", "厨房水龙头滴水", "谢谢", "怎么还没来")


class Proxy:
    """Passes TCP on to `target` and adds up how long each exchange kept its caller waiting."""

    def __init__(self, target: int) -> None:
        self.target, self.seconds = target, 0.0
        self.port = free_ports(1)[0]

    async def start(self) -> None:
        await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except ConnectionRefusedError:
            # Not up yet: whoever asked hears the same.
            writer.close()
            return
        asked: list[float] = []

        async def there() -> None:
            while data := await reader.read(65536):
                if not asked:
                    asked.append(time.perf_counter())
                back_writer.write(data)
            back_writer.close()

        async def back() -> None:
            while data := await back_reader.read(65536):
                if asked:
                    self.seconds += time.perf_counter() - asked.pop()
                writer.write(data)
            writer.close()

        await asyncio.gather(there(), back(), return_exceptions=True)


async def measure(folder: Path, turns: int) -> None:
    stack = Stack(folder, trained_models(), burst="0", GUANJIA_CLOCK_FILE="")
    # The children read their settings from the environment.
    os.environ.update(stack.env)
    settings = load_settings(stack.env, ROOT)
    for command in ("migrate", "demo-data"):
        subprocess.run([sys.executable, "-m", "bot", command], env=stack.env, cwd=ROOT, check=True)
    to_rasa, to_actions = Proxy(settings.rasa_port), Proxy(settings.actions_port)
    await to_rasa.start()
    await to_actions.start()
    parts = processes.children(settings, "benchmark")
    parts[1].env = {**parts[1].env, "ACTIONS_PORT": str(to_actions.port)}
    parts[2].env = {**parts[2].env, "GUANJIA_RASA_PORT": str(to_rasa.port), "GUANJIA_BURST_QUIET_SECONDS": "0"}
    for part in parts:
        part.start()
    try:
        while not all([await asyncio.to_thread(part.answers) for part in parts]):
            await asyncio.sleep(0.3)
        await asyncio.sleep(2)
        times = await asyncio.to_thread(_talk, stack.url, turns, (to_rasa, to_actions))
        _report(times, to_rasa.seconds, to_actions.seconds)
    finally:
        for part in reversed(parts):
            part.stop()


def _talk(url: str, turns: int, proxies: tuple[Proxy, Proxy]) -> list[float]:
    """Seconds from posting a message to reading the first answer, one turn after the other."""
    times = []
    with httpx.Client(base_url=url, timeout=60) as client:
        token = client.post("/api/session", json={"person": "resident:1"}).json()["token"]
        client.headers["Authorization"] = f"Bearer {token}"
        for number in range(-len(MESSAGES), turns):
            if number == 0:
                for proxy in proxies:
                    proxy.seconds = 0.0
            started = time.perf_counter()
            seq = client.post(
                "/api/messages", json={"id": uuid.uuid4().hex, "text": MESSAGES[number % len(MESSAGES)]}
            ).json()["seq"]
            while not _answered(client, seq):
                pass
            if number >= 0:
                times.append(time.perf_counter() - started)
            time.sleep(0.05)
    return times


def _answered(client: httpx.Client, seq: int) -> bool:
    page = client.get("/api/messages", params={"after": seq, "wait": 10}).json()
    return any(message["from"] == "desk" for message in page["messages"])


def _report(times: list[float], rasa: float, actions: float) -> None:
    total = sum(times)
    ranked = sorted(times)
    print(f"turns {len(times)}   one resident, burst window 0, SQLite")
    print(
        f"median {statistics.median(times) * 1000:6.1f} ms   p99 {ranked[int(len(ranked) * 0.99) - 1] * 1000:6.1f} ms"
    )
    shares = {"bot": total - rasa, "rasa": rasa - actions, "actions": actions}
    print("share of the time   " + "   ".join(f"{name} {part / total:4.0%}" for name, part in shares.items()))


def main() -> None:
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), turns))


if __name__ == "__main__":
    main()
