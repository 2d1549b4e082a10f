"""Starts the whole product (`guanjia run`) on free ports and lets a test speak as its people."""

from __future__ import annotations

import io
import json
import os
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import uuid
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from PIL import Image
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from storage.database import connect
from storage.models import InboxMessage, OutboxMessage, Ticket, TicketEvent

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ZoneInfo("Asia/Shanghai")
THURSDAY = datetime(2025, 6, 12, 9, 0, tzinfo=LOCAL)
PATIENCE = 30.0
SETTLE = 0.4


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _tables(database: sqlite3.Connection, schema: str) -> list[str]:
    found = database.execute(f"select name from {schema}.sqlite_master where type = 'table'")
    return [str(name) for (name,) in found]


class Stack:
    """One running product with its own data directory, database and clock."""

    def __init__(self, folder: Path, models: Path, *, database_url: str = "", burst: str = "0.4", **env: str) -> None:
        self.folder = folder
        self.clock_file = folder / "clock"
        self.set_clock(THURSDAY)
        (folder / "models").symlink_to(models)
        port, rasa, actions = free_ports(3)
        self.url = f"http://127.0.0.1:{port}"
        self.database_url = database_url or f"sqlite:///{folder / 'guanjia.db'}"
        self.env = {
            **os.environ,
            "GUANJIA_DATA_DIR": str(folder),
            "GUANJIA_PORT": str(port),
            "GUANJIA_RASA_PORT": str(rasa),
            "GUANJIA_ACTIONS_PORT": str(actions),
            "GUANJIA_CLOCK_FILE": str(self.clock_file),
            "GUANJIA_BURST_QUIET_SECONDS": burst,
            "DATABASE_URL": self.database_url,
            **env,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self._engine: Engine | None = None

    def start(self) -> Stack:
        with (self.folder / "run.log").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bot", "run"], cwd=ROOT, env=self.env, stdout=out, stderr=out
            )
        self.wait_healthy(120)
        return self

    def run_command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`guanjia` with this product's settings."""
        command = [sys.executable, "-m", "bot", *words]
        return subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=120)

    def health(self) -> dict[str, str]:
        return dict(httpx.get(f"{self.url}/healthz", timeout=10).json())

    def wait_healthy(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "run.log").read_text()[-3000:]
            try:
                if httpx.get(f"{self.url}/healthz", timeout=5).json()["status"] == "ok":
                    return
            except (httpx.HTTPError, ValueError, KeyError):
                pass
            time.sleep(0.2)
        raise AssertionError("not healthy: " + (self.folder / "run.log").read_text()[-3000:])

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(40)

    # --- beginning again ----------------------------------------------------------------------------------------------

    def remember(self) -> None:
        """Keep the database as it is now, for `begin_again`. SQLite only."""
        first = sqlite3.connect(self.folder / "first.db")
        with closing(sqlite3.connect(self.folder / "guanjia.db")) as database, closing(first):
            database.backup(first)

    def begin_again(self) -> None:
        """Back to the first morning as `remember` saw it, without starting the processes again."""
        self._wait_quiet()
        self.set_clock(THURSDAY)
        with closing(sqlite3.connect(self.folder / "guanjia.db", timeout=20, isolation_level=None)) as database:
            database.execute("pragma foreign_keys = off")
            database.execute("attach ? as first", (str(self.folder / "first.db"),))
            database.execute("begin immediate")
            for table in _tables(database, "first"):
                database.execute(f'delete from main."{table}"')
                database.execute(f'insert into main."{table}" select * from first."{table}"')
            database.execute("commit")
        with closing(sqlite3.connect(self.folder / "tracker.db", timeout=20)) as dialogue, dialogue:
            for table in _tables(dialogue, "main"):
                dialogue.execute(f'delete from "{table}"')

    def _wait_quiet(self) -> None:
        """Until everything said is answered and every answer has gone out."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with self.session() as session:
                said = session.scalar(select(InboxMessage.id).where(InboxMessage.done_at.is_(None)))
                due = select(OutboxMessage.id).where(
                    OutboxMessage.status == "pending", OutboxMessage.due_at <= self.now()
                )
                if said is None and session.scalar(due) is None:
                    return
            time.sleep(0.1)

    def pid(self, child: str) -> int:
        return int((self.folder / "run" / f"{child}.pid").read_text())

    def kill(self, child: str) -> None:
        """kill -9 one of rasa, actions, bot."""
        os.kill(self.pid(child), signal.SIGKILL)

    # --- time ---------------------------------------------------------------------------------------------------------

    def set_clock(self, moment: datetime) -> None:
        partial = self.clock_file.with_suffix(".new")
        partial.write_text(moment.isoformat())
        partial.replace(self.clock_file)

    def at(self, clock: str, *, day: datetime = THURSDAY) -> None:
        """Set the time of day: "14:03" or "14:03:20"."""
        hour, minute, *second = (int(part) for part in clock.split(":"))
        self.set_clock(day.replace(hour=hour, minute=minute, second=second[0] if second else 0))

    def now(self) -> datetime:
        return datetime.fromisoformat(self.clock_file.read_text())

    def forward(self, **delta: float) -> None:
        self.set_clock(self.now() + timedelta(**delta))

    # --- looking at the database --------------------------------------------------------------------------------------

    def session(self) -> Session:
        self._engine = self._engine or connect(self.database_url)
        return Session(self._engine.execution_options(read_only=True), expire_on_commit=False)

    def tickets(self, **equal: Any) -> list[Ticket]:
        """Tickets in the order they were made, filtered by column values."""
        with self.session() as session:
            query = select(Ticket).order_by(Ticket.id)
            for name, value in equal.items():
                query = query.where(getattr(Ticket, name) == value)
            return list(session.scalars(query))

    def ticket(self, **equal: Any) -> Ticket:
        found = self.tickets(**equal)
        assert len(found) == 1, [(one.ticket_no, one.code, one.place_key, one.status) for one in found]
        return found[0]

    def history(self, ticket: Ticket) -> list[TicketEvent]:
        with self.session() as session:
            query = select(TicketEvent).where(TicketEvent.ticket_id == ticket.id).order_by(TicketEvent.id)
            return list(session.scalars(query))

    # --- people -------------------------------------------------------------------------------------------------------

    def person(self, name: str) -> Person:
        """A demo person by name (王女士, 王师傅, 李工 …) or `stranger:N`."""
        people = httpx.get(f"{self.url}/api/demo/people").json()["people"]
        return Person(self.url, next((one["id"] for one in people if one["name"] == name), name))


class Person:
    """One person with the web chat open."""

    def __init__(self, url: str, person_id: str, **login_with: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=40)
        login = self.http.post("/api/session", json=login_with or {"person": person_id})
        assert login.status_code == 200, login.text
        self.http.headers["Authorization"] = f"Bearer {login.json()['token']}"
        self.seen = self.http.get("/api/messages", params={"limit": 1}).json()["last"]
        self.heard: list[dict[str, Any]] = []

    def send(self, text: str, *, message_id: str = "") -> httpx.Response:
        body = {"id": message_id or uuid.uuid4().hex, "text": text}
        response = self.http.post("/api/messages", json=body)
        assert response.status_code in (200, 202), response.text
        return response

    def photo(self, *wanted: str) -> str:
        """Send a picture and return the answer."""
        out = io.BytesIO()
        # A picture of its own: the same bytes again are the same picture.
        Image.new("RGB", (8, 8), tuple(secrets.token_bytes(3))).save(out, "PNG")
        body, files = {"id": uuid.uuid4().hex}, {"photo": ("photo.png", out.getvalue(), "image/png")}
        response = self.http.post("/api/photos", data=body, files=files)
        assert response.status_code == 202, response.text
        return self.hear(*wanted)

    def press(self, label: str) -> str:
        """Press the newest button with this label; returns what was heard next."""
        for message in reversed(self.heard):
            for button in message.get("buttons", []):
                if button["label"] == label:
                    body = {"id": uuid.uuid4().hex, "button": button["code"], "label": label}
                    response = self.http.post("/api/messages", json=body)
                    assert response.status_code == 202, response.text
                    return self.hear()
        raise AssertionError(f"no button {label!r} in {json.dumps(self.heard[-3:], ensure_ascii=False)}")

    def hear(self, *wanted: str, quiet: float = 1.0, patience: float = PATIENCE) -> str:
        """What the desk says until every `wanted` piece was said (or, with none, until it has been quiet for a moment).

        Fails, with everything heard, if a wanted piece does not come.
        """
        texts: list[str] = []
        until = time.monotonic() + patience
        satisfied = False
        while time.monotonic() < until:
            if satisfied:
                # What belongs to the same answer follows within a moment.
                time.sleep(SETTLE)
            page = self.http.get("/api/messages", params={"after": self.seen, "wait": 0 if satisfied else 1}).json()
            for message in page["messages"]:
                self.seen = message["seq"]
                if message["from"] == "desk":
                    self.heard.append(message)
                    texts.append(message["text"])
            joined = "\n---\n".join(texts)
            if all(piece in joined for piece in wanted) and texts:
                if not page["messages"]:
                    return joined
                satisfied = bool(wanted)
            if page["messages"]:
                until = max(until, time.monotonic() + quiet)
        joined = "\n---\n".join(texts)
        missing = [piece for piece in wanted if piece not in joined]
        assert texts and not missing, f"missing {missing or 'any answer'} in: {joined or '(silence)'}"
        return joined

    def say(self, text: str, *wanted: str) -> str:
        """Say something and return the answer, which must hold every `wanted` piece."""
        self.send(text)
        return self.hear(*wanted)

    def silent(self, seconds: float = 2.0) -> None:
        """Nothing comes for a while."""
        page = self.http.get("/api/messages", params={"after": self.seen, "wait": int(seconds)}).json()
        heard = [message["text"] for message in page["messages"] if message["from"] == "desk"]
        assert not heard, heard
