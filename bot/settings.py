"""Settings: one frozen dataclass from the environment (and `.env`), validated, with clear errors.

Every name is documented in README's settings table; a test holds the two together.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class SettingsError(Exception):
    """A setting has a value that cannot be used; the message names it and says what is expected."""


@dataclass(frozen=True)
class Settings:
    """Field names are the environment names in lower case without `GUANJIA_`."""

    data_dir: Path
    database_url: str
    host: str
    port: int
    rasa_port: int
    actions_port: int
    demo: bool
    community: str
    burst_quiet_seconds: float
    burst_max_seconds: float
    max_photo_mb: int
    secret: str
    clock_file: str
    log_level: str
    telegram_bot_token: str
    telegram_base_url: str
    telegram_webhook_url: str
    telegram_webhook_secret: str

    @property
    def rasa_url(self) -> str:
        return f"http://127.0.0.1:{self.rasa_port}"

    @property
    def actions_url(self) -> str:
        return f"http://127.0.0.1:{self.actions_port}"

    @property
    def address(self) -> str:
        """Where a browser on this machine finds the web chat."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


# Environment name of each field where it is not GUANJIA_<FIELD>.
PLAIN_NAMES = {
    "database_url": "DATABASE_URL",
    "telegram_bot_token": "TELEGRAM_BOT_TOKEN",
    "telegram_base_url": "TELEGRAM_BASE_URL",
    "telegram_webhook_url": "TELEGRAM_WEBHOOK_URL",
    "telegram_webhook_secret": "TELEGRAM_WEBHOOK_SECRET",
}


def env_name(field: str) -> str:
    return PLAIN_NAMES.get(field, f"GUANJIA_{field.upper()}")


ENV_NAMES = tuple(env_name(field.name) for field in fields(Settings))


def read_dotenv(path: Path) -> dict[str, str]:
    """NAME=value lines; `#` starts a comment line, quotes around a value are dropped."""
    if not path.is_file():
        return {}
    pairs = (
        line.split("=", 1) for line in path.read_text("utf-8").splitlines() if "=" in line and line.strip()[0] != "#"
    )
    return {name.strip(): value.strip().strip("\"'") for name, value in pairs}


def load_settings(environ: Mapping[str, str] | None = None, root: Path | None = None) -> Settings:
    """Settings from `environ` over `.env` over the defaults. Raises SettingsError."""
    root = root or Path.cwd()
    given = {**read_dotenv(root / ".env"), **(os.environ if environ is None else environ)}

    def value(field: str, default: str) -> str:
        return given.get(env_name(field), "").strip() or default

    data_dir = (root / value("data_dir", "var")).resolve()
    host = value("host", "127.0.0.1")
    demo = value("demo", "auto")
    if demo not in ("auto", "on", "off"):
        raise SettingsError(f"GUANJIA_DEMO must be auto, on or off, not {demo!r}")
    return Settings(
        data_dir=data_dir,
        database_url=_database_url(value("database_url", f"sqlite:///{data_dir / 'guanjia.db'}")),
        host=host,
        port=_port("port", value("port", "8080")),
        rasa_port=_port("rasa_port", value("rasa_port", "5005")),
        actions_port=_port("actions_port", value("actions_port", "5055")),
        demo=demo == "on" or (demo == "auto" and host in LOOPBACK),
        community=value("community", "demo"),
        burst_quiet_seconds=_number("burst_quiet_seconds", value("burst_quiet_seconds", "3")),
        burst_max_seconds=_number("burst_max_seconds", value("burst_max_seconds", "8")),
        max_photo_mb=_whole("max_photo_mb", value("max_photo_mb", "10")),
        secret=value("secret", ""),
        clock_file=value("clock_file", ""),
        log_level=_level(value("log_level", "INFO").upper()),
        telegram_bot_token=value("telegram_bot_token", ""),
        telegram_base_url=value("telegram_base_url", "https://api.telegram.org"),
        telegram_webhook_url=value("telegram_webhook_url", ""),
        telegram_webhook_secret=value("telegram_webhook_secret", ""),
    )


def _database_url(url: str) -> str:
    if url.startswith("postgresql://"):
        return "postgresql+psycopg://" + url.removeprefix("postgresql://")
    if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise SettingsError("DATABASE_URL must start with sqlite:/// or postgresql+psycopg://")
    return url


def _port(field: str, text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise SettingsError(f"{env_name(field)} must be a port number from 1 to 65535, not {text!r}")
    return int(text)


def _number(field: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e6:
        raise SettingsError(f"{env_name(field)} must be a number, zero or more, not {text!r}")
    return number


def _whole(field: str, text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 100:
        raise SettingsError(f"{env_name(field)} must be a whole number from 1 to 100, not {text!r}")
    return int(text)


def _level(text: str) -> str:
    if text not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise SettingsError(f"GUANJIA_LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, not {text!r}")
    return text
