"""What the documents say is what there is: settings, commands, routes, citations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
import typer.main
import yaml
from starlette.routing import BaseRoute, Mount, Route

from bot import commands
from bot.__main__ import app as command_line
from bot.app import Bot
from bot.channels.web import WebChannel
from bot.demo import load_demo
from bot.settings import ENV_NAMES, load_settings
from storage.database import connect, migrate, sessions
from tickets import lifecycle
from tickets.texts import say

ROOT = Path(__file__).resolve().parents[1]
SETTING = re.compile(r"(?:GUANJIA|DATABASE|TELEGRAM)_[A-Z_]+")
# Answers the page itself; docs/http-api.md is about the calls the page makes.
PAGE = {("GET", "/"), ("GET", "/static")}
# Served but not written down in docs/http-api.md yet. May only shrink.
UNDOCUMENTED = {("DELETE", "/api/session")}


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def section(name: str, heading: str) -> str:
    """The part of a document under `## heading`."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text(name), re.DOTALL | re.MULTILINE)
    assert found, f"{name} has no section {heading!r}"
    return found[1]


def table(part: str) -> list[list[str]]:
    """Rows of the Markdown tables in `part`, without headings; cells as written."""
    lines = [line for line in part.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    rules = {at for at, row in enumerate(rows) if set("".join(row)) <= set("-: ")}
    return [row for at, row in enumerate(rows) if at not in rules and at + 1 not in rules]


def first_code(row: list[str]) -> str:
    found = re.match(r"`([^`]+)`", row[0])
    assert found, f"the first cell must be `code`: {row}"
    return found[1]


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "heading"), [("README.md", "Settings"), ("README.zh-CN.md", "设置")])
def test_every_setting_is_in_the_table_and_nothing_else(name: str, heading: str) -> None:
    listed = [first_code(row) for row in table(section(name, heading))]
    assert sorted(listed) == sorted(ENV_NAMES)


def test_every_setting_is_in_the_example_and_nothing_else() -> None:
    listed = re.findall(r"^#?([A-Z_]+)=", text(".env.example"), re.MULTILINE)
    assert sorted(listed) == sorted(ENV_NAMES)


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md", "docs/architecture.md", "docs/operations.md"])
def test_no_document_names_a_setting_that_is_not_there(name: str) -> None:
    # For the tests, not for the program.
    assert set(SETTING.findall(text(name))) - set(ENV_NAMES) <= {"GUANJIA_BROWSER_REQUIRED"}


def test_the_example_is_the_defaults(tmp_path: Path) -> None:
    """Taking every comment sign away from .env.example changes nothing."""
    lines = re.sub(r"^#([A-Z_]+=)", r"\1", text(".env.example"), flags=re.MULTILINE)
    (tmp_path / ".env").write_text(lines, "utf-8")
    shown, plain = load_settings({}, tmp_path), load_settings({}, tmp_path / "none")
    same = {name for name in vars(shown) if getattr(shown, name) == getattr(plain, name)}
    assert set(vars(shown)) - same <= {"data_dir", "database_url"}


# --- command line -----------------------------------------------------------------------------------------------------


def test_every_command_is_documented_and_nothing_else() -> None:
    group = typer.main.get_command(command_line)
    listed = [first_code(row).split()[1] for row in table(section("README.md", "Command line"))]
    assert sorted(listed) == sorted(group.commands)  # type: ignore[attr-defined]


def test_every_make_target_is_documented() -> None:
    targets = re.findall(r"^([a-z-]+):.*## ", text("Makefile"), re.MULTILINE)
    readme = text("README.md") + text("CONTRIBUTING.md")
    assert [target for target in targets if f"make {target}" not in readme] == []


# --- staff commands ---------------------------------------------------------------------------------------------------

CATALOG = yaml.safe_load(text("data/catalog/commands.yml"))["commands"]
EXAMPLES = [tuple(cell.strip("`") for cell in row[:3]) for row in table(text("docs/commands.md"))]
ROLES = {"workers": ["worker"], "leaders": ["desk", "supervisor", "manager"]}
ROLES["all"] = ROLES["workers"] + ROLES["leaders"]


def test_every_staff_command_is_documented_for_whom_it_is() -> None:
    assert {(name, who) for name, who, _ in EXAMPLES} == {(row["name"], row["who"]) for row in CATALOG}


@pytest.mark.parametrize(("name", "who", "example"), EXAMPLES)
def test_the_example_is_understood(name: str, who: str, example: str) -> None:
    for role in ROLES[who]:
        found = commands.parse(example, role)
        assert found is not None
        assert found.name == name


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_what_staff_type_in_the_readme_is_understood(name: str) -> None:
    """Lines of the walk-through that begin with 师傅/worker or 主管/supervisor."""
    spoken = re.findall(r"^\| (师傅|主管|worker|supervisor)[^|]*\| `([^`]+)`", text(name), re.MULTILINE)
    assert spoken
    for who, sentence in spoken:
        assert commands.parse(sentence, "worker" if who in ("师傅", "worker") else "supervisor"), sentence


# --- HTTP -------------------------------------------------------------------------------------------------------------


def served(routes: list[BaseRoute]) -> Iterator[tuple[str, str]]:
    for route in routes:
        if isinstance(route, Route):
            for method in (route.methods or {"GET"}) - {"HEAD"}:
                yield method, re.sub(r"\{.*?\}", "*", route.path)
        elif isinstance(route, Mount):
            yield "GET", route.path


def documented() -> set[tuple[str, str]]:
    calls = re.findall(r"`(GET|POST|PUT|DELETE) (/[^`\s?]*)", text("docs/http-api.md"))
    return {(method, re.sub(r"/[A-Z]+$", "/*", path)) for method, path in calls}


def test_routes_of_the_web_chat_are_documented(tmp_path: Path) -> None:
    maker = sessions(connect("sqlite://"))
    channel = WebChannel(
        maker,
        maker,
        lambda: datetime(2025, 6, 12, tzinfo=UTC),
        community_id=1,
        files=tmp_path,
        secret=b"key",
        demo=True,
        max_photo_mb=1,
    )
    assert set(served(channel.routes())) - PAGE - UNDOCUMENTED <= documented()


def test_http_api_is_what_the_application_serves(tmp_path: Path) -> None:
    settings = load_settings({"GUANJIA_DATA_DIR": str(tmp_path)}, tmp_path)
    engine = connect(settings.database_url)
    migrate(engine)
    with sessions(engine).begin() as session:
        load_demo(session, settings.community, datetime(2025, 6, 12, tzinfo=UTC))
    routes = set(served(Bot(settings, "key").app.routes))
    assert routes - PAGE - documented() == UNDOCUMENTED
    assert documented() - routes == set()


# --- tables of the rules ----------------------------------------------------------------------------------------------


def test_the_lifecycle_table_is_the_code() -> None:
    rows = [row for row in table(section("docs/architecture.md", "6. Ticket lifecycle")) if len(row) == 4]
    written = {
        (source, action): (to, {who.split()[0] for who in whos.split(", ")})
        for action, sources, to, whos in rows
        for source in sources.split(", ")
    }
    assert written == {at: (step.to, set(step.who)) for at, step in lifecycle.TABLE.items()}
    labels = {
        first_code(row): row[1]
        for row in table(section("docs/architecture.md", "6. Ticket lifecycle"))
        if len(row) == 3
    }
    assert labels == {status: say(label) for status, label in lifecycle.LABELS.items()}


MINUTES = {"min": 1, "h": 60, "days": 1440}


def test_the_limits_are_the_catalog() -> None:
    """Where docs/domain.md names a plain limit it is the one of data/catalog/sla.yml."""
    classes = yaml.safe_load(text("data/catalog/sla.yml"))["classes"]
    rows = [row for row in table(section("docs/domain.md", "2. Kinds, limits, categories")) if len(row) == 5]
    assert [row[0].split()[0] for row in rows] == list(classes)
    for row in rows:
        for name, written in zip(("accept", "arrive", "finish"), row[2:], strict=True):
            if found := re.fullmatch(r"(\d+) (min|h|days)", written):
                assert int(found[1]) * MINUTES[found[2]] == classes[row[0].split()[0]][name], (row[0], name)


# --- citations --------------------------------------------------------------------------------------------------------

CITED = re.compile(
    r"(domain|architecture|design)\.md((?:,? ?(?:and )?(?:§ ?[\d.]+(?:[-–]§?[\d.]+)?|S\d+|SC\d+|Appendix [A-Z](?:\.\d)?))+)"
)


@cache
def anchors(name: str) -> frozenset[str]:
    """Section numbers of a document's headings, and the S and SC numbers its tables define."""
    body = text(f"docs/{name}.md")
    numbers = set(re.findall(r"^#{2,4} (\d+(?:\.\d+)*)\b", body, re.MULTILINE))
    numbers |= set(re.findall(r"^#{2,4} Appendix ([A-Z](?:\.\d)?)", body, re.MULTILINE))
    numbers |= set(re.findall(r"^\| (SC?\d+) \|", body, re.MULTILINE))
    # Numbered rules count as parts: §2.4 is rule 4 of section 2.
    for found in re.finditer(r"^## (\d+)\.? .*?\n(.*?)(?=^## |\Z)", body, re.MULTILINE | re.DOTALL):
        numbers |= {f"{found[1]}.{rule}" for rule in re.findall(r"^(\d+)\. ", found[2], re.MULTILINE)}
    return frozenset(numbers)


def citations() -> Iterator[tuple[str, str, str]]:
    folders = ("bot", "actions", "tickets", "storage", "nlu", "data", "tests")
    files = [file for folder in folders for suffix in ("*.py", "*.yml") for file in (ROOT / folder).rglob(suffix)]
    for file in sorted(files):
        for found in CITED.finditer(file.read_text("utf-8")):
            for part in re.findall(r"\d+(?:\.\d+)*|SC?\d+|[A-Z]\.\d|(?<=Appendix )[A-Z]", found[2]):
                yield file.relative_to(ROOT).as_posix(), found[1].replace("design", "architecture"), part.rstrip(".")


def test_what_comments_cite_can_be_looked_up() -> None:
    cited = list(citations())
    assert cited
    assert sorted({f"{file}: {name}.md {part}" for file, name, part in cited if part not in anchors(name)}) == []


# --- links ------------------------------------------------------------------------------------------------------------

# Screenshots are added with a release.
TO_COME = {"docs/images/three-phones.png", "docs/images/phone.png"}
DOCUMENTS = ["README.md", "README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md", *sorted(
    file.relative_to(ROOT).as_posix() for file in (ROOT / "docs").glob("*.md")
)]  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text(name))
    targets = [(ROOT / name).parent.joinpath(link).resolve() for link in links]
    missing = [target.relative_to(ROOT).as_posix() for target in targets if not target.exists()]
    assert set(missing) - TO_COME == set()
