"""One parent for rasa, actions and bot: starts them, restarts one that dies, stops all on Ctrl-C or SIGTERM."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bot.settings import Settings
from bot.training import ROOT, model_path

STOP_SECONDS = 10.0
# From linux/prctl.h.
PR_SET_PDEATHSIG = 1
BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
# A child that lived this long had started well: its next death counts as a first one.
STEADY_SECONDS = 30.0


def _dies_with_parent() -> None:
    """Linux ends a child whose parent was killed; orphans would hold the ports and answer beside their successors."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Child:
    name: str
    command: list[str]
    env: Mapping[str, str]
    log: Path
    ready_url: str
    process: subprocess.Popen[bytes] | None = None
    deaths: int = 0
    started: float = 0.0
    next_start: float = 0.0
    ready: bool = field(default=False)

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            # A session of its own: Ctrl-C reaches the parent only, which then stops the children in order.
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=dict(self.env),
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=_dies_with_parent,
            )
        self.started, self.ready = time.monotonic(), False
        pid_file = self.log.parent.parent / "run" / f"{self.name}.pid"
        # In one step, so that nobody reads half a number.
        partial = pid_file.with_suffix(".new")
        partial.write_text(str(self.process.pid))
        partial.replace(pid_file)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.ready_url, timeout=2) as response:
                return bool(response.status == 200)
        except urllib.error.HTTPError as error:
            return error.code == 503
        except (OSError, ValueError):
            return False

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def busy_ports(settings: Settings) -> list[tuple[str, int]]:
    """Which of our ports somebody else listens on: (name, port)."""
    wanted = (
        ("GUANJIA_PORT", settings.host, settings.port),
        ("GUANJIA_RASA_PORT", "127.0.0.1", settings.rasa_port),
        ("GUANJIA_ACTIONS_PORT", "127.0.0.1", settings.actions_port),
    )
    busy = []
    for name, host, port in wanted:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                busy.append((name, port))
    return busy


def children(settings: Settings, secret: str) -> list[Child]:
    """The three processes; Rasa and the action server listen on loopback only."""
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
        "RASA_TELEMETRY_ENABLED": "false",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
        "SANIC_HOST": "127.0.0.1",
        "ACTIONS_PORT": str(settings.actions_port),
        "DATABASE_URL": settings.database_url,
        "GUANJIA_DATA_DIR": str(settings.data_dir),
        "GUANJIA_SECRET": secret,
        "GUANJIA_TRACKER_DB": str(settings.data_dir / "tracker.db"),
        "LOG_LEVEL": settings.log_level,
    }
    logs = settings.data_dir / "logs"
    (settings.data_dir / "run").mkdir(parents=True, exist_ok=True)
    python = sys.executable
    rasa = [python, "-m", "rasa", "run", "--model", str(model_path(settings.data_dir / "models"))]
    rasa += ["--endpoints", "endpoints.yml", "--credentials", "credentials.yml", "--enable-api"]
    rasa += [f"--auth-token={secret}", "-i", "127.0.0.1", "-p", str(settings.rasa_port)]  # a secret may begin with "-"
    actions = [python, "-m", "rasa_sdk", "--actions", "actions", "-p", str(settings.actions_port)]
    bot = [python, "-m", "bot", "serve"]
    return [
        Child("actions", actions, env, logs / "actions.log", f"{settings.actions_url}/health"),
        Child("rasa", rasa, env, logs / "rasa.log", f"{settings.rasa_url}/version"),
        Child("bot", bot, env, logs / "bot.log", f"http://127.0.0.1:{settings.port}/healthz"),
    ]


def supervise(parts: list[Child], say: Callable[[str], None], on_ready: Callable[[], None]) -> None:
    """Run until told to stop. A child that dies is started again, sooner the first times than the later ones."""
    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda signum, _frame: stopping.append(signum))
    for child in parts:
        child.start()
    announced = False
    try:
        while not stopping:
            for child in parts:
                _look_after(child, say)
            if not announced and all(child.ready for child in parts):
                announced = True
                on_ready()
            time.sleep(0.2)
    finally:
        say("stopping")
        for child in reversed(parts):
            child.stop()


def _look_after(child: Child, say: Callable[[str], None]) -> None:
    now = time.monotonic()
    assert child.process is not None
    if child.process.poll() is None:
        if not child.ready and child.answers():
            child.ready = True
            say(f"{child.name} is ready ({now - child.started:.0f} s)")
        return
    if not child.next_start:
        child.deaths = 1 if now - child.started > STEADY_SECONDS else child.deaths + 1
        child.next_start = now + BACKOFF[min(child.deaths, len(BACKOFF)) - 1]
        say(f"{child.name} ended with code {child.process.returncode}; starting it again (log: {child.log})")
    elif now >= child.next_start:
        child.next_start = 0.0
        child.start()
