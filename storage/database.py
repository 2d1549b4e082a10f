"""The engine and its sessions: SQLite in WAL mode by default, PostgreSQL by its address."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.orm import Session, sessionmaker

MIGRATIONS = Path(__file__).parent / "migrations"
Sessions = sessionmaker[Session]


def connect(url: str) -> Engine:
    """An engine for `url` (`sqlite:///…` or `postgresql+psycopg://…`)."""
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=10, max_overflow=20, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": 30, "check_same_thread": False})
    event.listen(engine, "connect", _tune_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def is_there(url: str) -> bool:
    """False for a SQLite file that does not exist yet, which connecting would make."""
    path = make_url(url).database
    return not url.startswith("sqlite") or bool(path and Path(path).is_file())


def _begin_sqlite(connection: Connection) -> None:
    # pysqlite's own BEGIN comes too late for a read-then-write transaction: two workers would both read "still free".
    reading = connection.get_execution_options().get("read_only")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _tune_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    # The cache keeps the indexes of a large database in memory: 16 MB for each connection.
    pragmas = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=30000", "cache_size=-16000")
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")


def sessions(engine: Engine) -> Sessions:
    """Sessions that write: on SQLite one at a time, so never keep one open over a network call."""
    return sessionmaker(engine, expire_on_commit=False)


def read_sessions(engine: Engine) -> Sessions:
    """Sessions that only read and never wait for a writer."""
    return sessionmaker(engine.execution_options(read_only=True), expire_on_commit=False)


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest version; a schema that is already there is left alone."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
