"""Settings: one frozen dataclass from the environment (and `.env`), validated, with clear errors.

Every name is documented in README's settings table; a test holds the two together.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

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
    public_url: str
    demo: bool
    community: str
    burst_quiet_seconds: float
    burst_max_seconds: float
    max_photo_mb: int
    embed_origins: tuple[str, ...]
    secret: str
    clock_file: str
    log_level: str
    telegram_bot_token: str
    telegram_base_url: str
    telegram_webhook_url: str
    telegram_webhook_secret: str
    wechat_app_id: str
    wechat_app_secret: str
    wechat_token: str
    wechat_aes_key: str
    wechat_aes_key_previous: str
    wechat_base_url: str
    wechat_templates: dict[str, Any]
    wecom_corp_id: str
    wecom_secret: str
    wecom_agent_id: str
    wecom_token: str
    wecom_aes_key: str
    wecom_aes_key_previous: str
    wecom_base_url: str
    wecom_robot_key: str

    @property
    def wechat_aes_keys(self) -> tuple[str, ...]:
        """The keys a push may come under, the newest first; none: pushes come plain."""
        return tuple(filter(None, (self.wechat_aes_key, self.wechat_aes_key_previous)))

    @property
    def wecom_aes_keys(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.wecom_aes_key, self.wecom_aes_key_previous)))

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

    @property
    def links_address(self) -> str:
        """What links in messages begin with: the address people reach the bot by, else that of this machine."""
        return self.public_url or self.address


# Fields named after somebody else's product have its name in the environment too; the others are ours: GUANJIA_<FIELD>.
PLAIN_NAMES = ("database_url", "telegram_", "wechat_", "wecom_")


def env_name(field: str) -> str:
    return field.upper() if field.startswith(PLAIN_NAMES) else f"GUANJIA_{field.upper()}"


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
        public_url=_web_address("public_url", value("public_url", "")),
        demo=demo == "on" or (demo == "auto" and host in LOOPBACK),
        community=value("community", "demo"),
        burst_quiet_seconds=_number("burst_quiet_seconds", value("burst_quiet_seconds", "3")),
        burst_max_seconds=_number("burst_max_seconds", value("burst_max_seconds", "8")),
        max_photo_mb=_whole("max_photo_mb", value("max_photo_mb", "10")),
        embed_origins=_origins(value("embed_origins", "")),
        secret=value("secret", ""),
        clock_file=value("clock_file", ""),
        log_level=_level(value("log_level", "INFO").upper()),
        telegram_bot_token=value("telegram_bot_token", ""),
        telegram_base_url=value("telegram_base_url", "https://api.telegram.org"),
        telegram_webhook_url=value("telegram_webhook_url", ""),
        telegram_webhook_secret=value("telegram_webhook_secret", ""),
        **_wechat(value),
        **_wecom(value),
    )


def _wechat(value: Callable[[str, str], str]) -> dict[str, Any]:
    names = ("app_id", "app_secret", "token", "aes_key", "aes_key_previous")
    found: dict[str, Any] = {f"wechat_{name}": value(f"wechat_{name}", "") for name in names}
    _all_or_none(found, "wechat_app_id", "wechat_app_secret", "wechat_token")
    _aes_keys(found, "wechat_aes_key", "wechat_aes_key_previous")
    found["wechat_base_url"] = value("wechat_base_url", "https://api.weixin.qq.com")
    found["wechat_templates"] = _templates(value("wechat_templates", "{}"))
    return found


def _wecom(value: Callable[[str, str], str]) -> dict[str, Any]:
    names = ("corp_id", "secret", "agent_id", "token", "aes_key", "aes_key_previous", "robot_key")
    found: dict[str, Any] = {f"wecom_{name}": value(f"wecom_{name}", "") for name in names}
    # WeCom seals every push, so a key is not a choice.
    _all_or_none(found, "wecom_corp_id", "wecom_secret", "wecom_agent_id", "wecom_token", "wecom_aes_key")
    _aes_keys(found, "wecom_aes_key", "wecom_aes_key_previous")
    if found["wecom_agent_id"] and not found["wecom_agent_id"].isdecimal():
        raise SettingsError("WECOM_AGENT_ID must be a number, as the app's page shows it")
    found["wecom_base_url"] = value("wecom_base_url", "https://qyapi.weixin.qq.com")
    return found


def _all_or_none(found: Mapping[str, str], *names: str) -> None:
    missing = [env_name(name) for name in names if not found[name]]
    if 0 < len(missing) < len(names):
        raise SettingsError(
            f"{', '.join(missing)} must be set too, or none of these: {', '.join(map(env_name, names))}"
        )


def _aes_keys(found: Mapping[str, str], current: str, previous: str) -> None:
    for name in (current, previous):
        if found[name] and not re.fullmatch(r"[A-Za-z0-9+/]{43}", found[name]):
            raise SettingsError(f"{env_name(name)} must be the 43 characters of the EncodingAESKey")
    if found[previous] and not found[current]:
        raise SettingsError(f"{env_name(previous)} is of no use without {env_name(current)}")


def _templates(text: str) -> dict[str, Any]:
    """Name of a text → {"id" or "library", "fields": {field: words with {places}}}."""
    try:
        written = json.loads(text)
    except ValueError:
        written = None
    if not isinstance(written, dict):
        raise SettingsError("WECHAT_TEMPLATES must be a JSON object (docs/operations.md shows one)")
    for name, entry in written.items():
        good = isinstance(entry, dict) and (entry.get("id") or entry.get("library"))
        if not good or not isinstance(entry.get("fields"), dict) or not entry["fields"]:
            raise SettingsError(f'WECHAT_TEMPLATES: {name!r} needs "fields", and "id" or "library"')
    return written


def _database_url(url: str) -> str:
    if url.startswith("postgresql://"):
        return "postgresql+psycopg://" + url.removeprefix("postgresql://")
    if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise SettingsError("DATABASE_URL must start with sqlite:/// or postgresql+psycopg://")
    return url


def _web_address(field: str, text: str) -> str:
    """`https://desk.example` without a slash at its end; "" stays ""."""
    if text and not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", text):
        raise SettingsError(f"{env_name(field)} must be an address such as https://desk.example, not {text!r}")
    return text.rstrip("/")


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


def _origins(text: str) -> tuple[str, ...]:
    """Sites whose pages may show the web chat in a frame; they end up in a header, so nothing else may be in there."""
    origins = tuple(filter(None, re.split(r"[,\s]+", text)))
    for one in origins:
        if not re.fullmatch(r"https?://(?:\*\.)?[A-Za-z0-9.-]+(?::\d{1,5})?", one):
            raise SettingsError(f"GUANJIA_EMBED_ORIGINS must be origins such as https://www.example.com, not {one!r}")
    return origins


def _level(text: str) -> str:
    if text not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise SettingsError(f"GUANJIA_LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, not {text!r}")
    return text
