"""The command line and the composition root: the only place that reads settings and wires things."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import sys
import time
from pathlib import Path

import httpx
import typer
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from bot import training
from bot.clock import system_clock
from bot.settings import Settings, SettingsError, load_settings
from nlu.register import Register

app = typer.Typer(no_args_is_help=True, add_completion=False, help="管家: the property-desk chatbot.")
nlu_app = typer.Typer(no_args_is_help=True, help="Improve the understanding from use.")
import_app = typer.Typer(no_args_is_help=True, help="Take in the company's own lists, CSV or Excel.")
community_app = typer.Typer(no_args_is_help=True, help="Set up a community.")
knowledge_app = typer.Typer(no_args_is_help=True, help="The written answers to residents' questions.")
app.add_typer(nlu_app, name="nlu")
app.add_typer(knowledge_app, name="knowledge")
app.add_typer(import_app, name="import")
app.add_typer(community_app, name="community")
wechat_app = typer.Typer(no_args_is_help=True, help="The WeChat Official Account.")
app.add_typer(wechat_app, name="wechat")


def _settings() -> Settings:
    try:
        return load_settings(root=training.ROOT)
    except SettingsError as error:
        typer.echo(f"Settings: {error}", err=True)
        raise typer.Exit(2) from error


def _secret(settings: Settings) -> str:
    """The key behind links and between our processes: a setting, else made once and kept in the data directory."""
    if settings.secret:
        return settings.secret
    file = settings.data_dir / "secret"
    if not file.is_file():
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(32), "utf-8")
    return file.read_text("utf-8").strip()


def _models(settings: Settings) -> Path:
    return settings.data_dir / "models"


@app.command()
def run() -> None:
    """Start everything: train if needed, migrate, load the demo on the first run, then rasa + actions + bot."""
    from bot import processes

    settings = _settings()
    busy = processes.busy_ports(settings)
    if busy:
        for name, port in busy:
            typer.echo(
                f"Port {port} is in use by another program. Stop it, or choose another port with {name}=…", err=True
            )
        raise typer.Exit(1)
    _train_if_needed(settings, force=False)
    _migrate(settings)
    if settings.community == "demo":
        _load_demo(settings)
    typer.echo("Starting rasa, actions and bot …")
    started = time.monotonic()

    def ready() -> None:
        typer.echo(f"Ready after {time.monotonic() - started:.0f} s.  Open {settings.address}/")
        if settings.demo:
            typer.echo(f"Three phones side by side: {settings.address}/?view=three   (Ctrl-C stops)")

    processes.supervise(processes.children(settings, _secret(settings)), typer.echo, ready)


@app.command()
def train(force: bool = typer.Option(False, help="Train even if nothing changed.")) -> None:
    """Train the language model (skipped when language data did not change)."""
    settings = _settings()
    _train_if_needed(settings, force=force)
    if training.swap(settings.rasa_url, _secret(settings), training.model_path(_models(settings))):
        typer.echo("The running product uses this model from now on.")


def _train_if_needed(settings: Settings, *, force: bool) -> None:
    if not force and training.is_current(_models(settings)):
        typer.echo("Language model is up to date.")
        return
    typer.echo("Training the language model (about two minutes) …")
    started = time.monotonic()
    training.train(_models(settings), force=force)
    typer.echo(f"Trained in {time.monotonic() - started:.0f} s.")


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    _migrate(_settings())


def _migrate(settings: Settings) -> None:
    from storage.database import connect
    from storage.database import migrate as bring_up

    settings.data_dir.mkdir(parents=True, exist_ok=True)
    bring_up(connect(settings.database_url))
    typer.echo("Database is ready.")


@app.command("demo-data")
def demo_data() -> None:
    """Load the demo community 云栖花园 (does nothing if it is there)."""
    settings = _settings()
    _migrate(settings)
    _load_demo(settings)


def _load_demo(settings: Settings) -> None:
    from bot.demo import load_demo
    from storage.database import connect, sessions

    with sessions(connect(settings.database_url)).begin() as session:
        community = load_demo(session, settings.community, system_clock())
        typer.echo(f"Community: {community.name}")


@app.command()
def serve() -> None:
    """Run the bot process alone (`run` starts it together with rasa and actions)."""
    import uvicorn

    from bot.app import Bot

    settings = _settings()
    _quiet_logs(settings.log_level)
    bot = Bot(settings, _secret(settings))
    uvicorn.run(
        bot.app,
        host=settings.host,
        port=settings.port,
        log_level=settings.log_level.lower(),
        access_log=False,
        ws="none",
        timeout_graceful_shutdown=5,
    )


def _quiet_logs(level: str) -> None:
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # httpx writes whole addresses, which hold tokens; APScheduler every run.
    for name in ("httpx", "httpcore", "apscheduler", "telegram"):
        logging.getLogger(name).setLevel(logging.WARNING)


@app.command()
def parse(
    text: str = typer.Argument("", help="The message; with --jsonl messages come line by line on standard input."),
    jsonl: bool = typer.Option(False, help="One JSON object per line of standard input, in its order."),
    community: str = typer.Option("", help="Whose register places are checked against; `none` reads by grammar alone."),
) -> None:
    """Show what the trained model and the parsers read in a message; nothing has to be running."""
    from bot.understanding import Reader, load_trained

    settings = _settings()
    archive = training.model_path(_models(settings))
    if not archive.is_file():
        typer.echo("There is no language model yet. Run: guanjia train", err=True)
        raise typer.Exit(1)
    reader = Reader(*load_trained(archive), _register(settings, community or settings.community))
    if not jsonl:
        typer.echo(json.dumps(reader.read(text, system_clock()), ensure_ascii=False, indent=2))
        return
    for line in sys.stdin.buffer:
        message = line.decode("utf-8", "replace").rstrip("\r\n")
        typer.echo(json.dumps(reader.read(message, system_clock()), ensure_ascii=False))


@nlu_app.command("review")
def nlu_review(show: bool = typer.Option(False, "--list", help="Only list what waits.")) -> None:
    """Label messages that were not understood, one after another; then `guanjia train` learns them."""
    from bot import nlu_review as reviewing
    from storage import reviews
    from storage.database import connect, sessions
    from storage.models import Community

    settings = _settings()
    with sessions(connect(settings.database_url))() as session:
        community = session.scalar(select(Community.id).where(Community.code == settings.community))
        waiting = reviews.waiting(session, community) if community else []
        typer.echo(f"{len(waiting)} messages wait for a label.")
        if show or community is None:
            for item in waiting:
                typer.echo(reviewing.shown(item))
            return
        session.rollback()
        data = training.ROOT / "data" / "nlu"
        added = reviewing.review(session, community, data, system_clock(), input, typer.echo)
    typer.echo(
        f"{added} added to data/nlu/{reviewing.FILE}. `guanjia train` learns them." if added else "Nothing added."
    )


@knowledge_app.command("review")
def knowledge_review(show: bool = typer.Option(False, "--list", help="Only list what waits.")) -> None:
    """Decide which answers of colleagues become written answers; a running product uses them from then on."""
    from bot import knowledge_review as reviewing
    from storage import candidates
    from storage.database import connect, sessions
    from storage.models import Community

    settings = _settings()
    with sessions(connect(settings.database_url))() as session:
        community = session.scalar(select(Community.id).where(Community.code == settings.community))
        waiting = candidates.waiting(session, community) if community else []
        typer.echo(f"{len(waiting)} answers wait for a decision.")
        if show or community is None:
            for row in waiting:
                typer.echo(reviewing.shown(row))
            return
        session.rollback()
        folder = training.ROOT / "data" / "knowledge"
        taken = reviewing.review(session, community, folder, system_clock(), input, typer.echo)
    typer.echo(f"{taken} added to data/knowledge/{reviewing.FILE}." if taken else "Nothing added.")


@wechat_app.command("setup")
def wechat_setup() -> None:
    """Put the custom menu on the WeChat account, make and check its template messages."""
    from bot.channels.base import ChannelError
    from bot.channels.tencent import set_up, wechat_api
    from bot.channels.wechat_api import ApiFault
    from storage.database import connect, sessions

    settings = _settings()
    _quiet_logs(settings.log_level)
    if not settings.wechat_app_id:
        typer.echo("WECHAT_APP_ID is not set.", err=True)
        raise typer.Exit(2)
    # The token of the account is kept in the database.
    _migrate(settings)

    async def work() -> bool:
        api = wechat_api(settings, sessions(connect(settings.database_url)))
        try:
            return await set_up(api, settings.wechat_templates, typer.echo)
        finally:
            await api.close()

    try:
        good = asyncio.run(work())
    except (ApiFault, ChannelError) as error:
        typer.echo(f"WeChat did not take it: {error}", err=True)
        raise typer.Exit(1) from error
    raise typer.Exit(0 if good else 1)


def _register(settings: Settings, code: str) -> Register | None:
    """The register of a community in the database; the demo's comes from its file while there is no database."""
    from bot.demo import demo_register
    from storage.database import connect, is_there, read_sessions
    from storage.models import Community
    from tickets.places import register_of

    if code == "none":
        return None
    try:
        if is_there(settings.database_url):
            with read_sessions(connect(settings.database_url))() as session:
                found = session.scalar(select(Community.id).where(Community.code == code))
                if found is not None:
                    return register_of(session, found)
    except SQLAlchemyError as error:
        typer.echo(f"The database cannot be used ({type(error).__name__}).", err=True)
    if code == "demo":
        return demo_register()
    typer.echo(f"There is no community {code!r}. `--community none` reads places by grammar alone.", err=True)
    raise typer.Exit(1)


@app.command()
def chat(person: str = typer.Option("resident:1", help="Who speaks (demo mode), e.g. resident:1 or staff:1.")) -> None:
    """Talk to the running bot in the terminal. An empty line ends."""
    settings = _settings()
    with httpx.Client(base_url=settings.address, timeout=30) as client:
        login = client.post("/api/session", json={"person": person})
        if login.status_code != 200:
            typer.echo(login.json()["error"]["message"], err=True)
            raise typer.Exit(1)
        client.headers["Authorization"] = f"Bearer {login.json()['token']}"
        seen = client.get("/api/messages", params={"limit": 1}).json()["last"]
        for number, line in enumerate(iter(lambda: input("> ").strip(), "")):
            client.post("/api/messages", json={"id": f"cli-{time.time_ns()}-{number}", "text": line})
            seen = _print_answers(client, seen)


def _print_answers(client: httpx.Client, seen: int) -> int:
    """Everything that arrives until it has been quiet for a moment."""
    wait = 12
    while True:
        page = client.get("/api/messages", params={"after": seen, "wait": wait}).json()
        if not page["messages"]:
            return seen
        for message in page["messages"]:
            seen = message["seq"]
            if message["from"] == "desk":
                typer.echo(message["text"])
                for button in message.get("buttons", []):
                    typer.echo(f"  [{button['label']}]")
                wait = 1


@app.command()
def link(person: str) -> None:
    """Print a signed link that opens the web chat as `person` (resident:1, staff:3) for a week."""
    from bot.logins import make_link

    settings = _settings()
    value = make_link(person, _secret(settings).encode(), system_clock())
    typer.echo(f"{settings.links_address}/?link={value}")


@app.command()
def code(person: str) -> None:
    """Print a one-time code for `person`: for the web chat's code box, or as 「绑定 123456」 in a messenger."""
    from bot.logins import make_code
    from storage.database import connect, sessions
    from storage.models import Resident, Staff

    settings = _settings()
    kind, _, number = person.partition(":")
    with sessions(connect(settings.database_url)).begin() as session:
        found: Resident | Staff | None = None
        if number.isdigit() and kind == "resident":
            found = session.get(Resident, int(number))
        elif number.isdigit() and kind == "staff":
            found = session.get(Staff, int(number))
        if found is None:
            typer.echo(f"There is no {person!r}. Say resident:NUMBER or staff:NUMBER.", err=True)
            raise typer.Exit(1)
        typer.echo(make_code(session, found, system_clock()))


DRY_RUN = typer.Option(False, "--dry-run", help="Check everything and write nothing.")
COMMUNITY = typer.Option("", help="Code of the community (default: GUANJIA_COMMUNITY).")


@import_app.command("households")
def import_households(file: Path, community: str = COMMUNITY, dry_run: bool = DRY_RUN) -> None:
    """Homes: 分期, 楼栋, 单元, 楼层, 房号, 类型. Restart the bot afterwards, so that it reads the new register."""
    _import("households", file, community, dry_run)


@import_app.command("residents")
def import_residents(file: Path, community: str = COMMUNITY, dry_run: bool = DRY_RUN) -> None:
    """People and their homes: 姓名, 称呼, 电话, 房屋, 关系."""
    _import("residents", file, community, dry_run)


@import_app.command("staff")
def import_staff(file: Path, community: str = COMMUNITY, dry_run: bool = DRY_RUN) -> None:
    """Colleagues: 姓名, 工号, 岗位, 部门, 工种, 持证, 片区, 电话, 最多接单, 班次, 在职."""
    _import("staff", file, community, dry_run)


def _import(what: str, file: Path, code: str, dry_run: bool) -> None:
    from bot import importing

    settings = _settings()
    try:
        said, bad = importing.run(
            settings.database_url, code or settings.community, what, file, system_clock(), dry_run
        )
    except importing.UnreadableFile as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    for line in said:
        typer.echo(line)
    if bad:
        raise typer.Exit(1)


@community_app.command("new")
def community_new(code: str, name: str, duty_phone: str = typer.Option("", help="Telephone for emergencies.")) -> None:
    """Make an empty community; its homes come with `guanjia import households`."""
    from bot import importing

    settings = _settings()
    _migrate(settings)
    try:
        typer.echo(importing.new_community(settings.database_url, code, name, duty_phone))
    except importing.UnreadableFile as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error


@app.command()
def doctor() -> None:
    """Check settings, database, model and ports, and say in plain words what is wrong."""
    settings = _settings()
    problems = [problem for check in (_check_model, _check_database, _check_ports) if (problem := check(settings))]
    for problem in problems:
        typer.echo(f"✗ {problem}")
    if notice := _check_font():
        typer.echo(f"! {notice}")
    if problems:
        raise typer.Exit(1)
    typer.echo("✓ Settings, model, database and ports are in order.")


def _check_font() -> str:
    from tickets.report_picture import find_font

    if find_font():
        return ""
    return (
        "No font with Chinese letters: reports come without their picture. Install one, e.g. apt install fonts-noto-cjk"
    )


def _check_model(settings: Settings) -> str:
    if training.is_current(_models(settings)):
        return ""
    if training.model_path(_models(settings)).is_file():
        return "The language model is older than the language data. Run: guanjia train"
    return "There is no language model yet. Run: guanjia train"


def _check_database(settings: Settings) -> str:
    from storage.database import connect
    from storage.models import Community

    try:
        with connect(settings.database_url).connect() as connection:
            found = connection.execute(select(Community.id).where(Community.code == settings.community)).first()
    except SQLAlchemyError as error:
        return f"The database cannot be used ({type(error).__name__}). Check DATABASE_URL, then run: guanjia migrate"
    if found:
        return ""
    return f"The database has no community {settings.community!r}. Run: guanjia demo-data"


def _check_ports(settings: Settings) -> str:
    from bot.processes import busy_ports

    busy = busy_ports(settings)
    if not busy:
        return ""
    try:
        health = httpx.get(f"{settings.address}/healthz", timeout=3).json()
        return "" if health.get("status") == "ok" else f"The bot is running, but not everything is up: {health}"
    except (httpx.HTTPError, ValueError):
        listed = ", ".join(f"{port} ({name})" for name, port in busy)
        return f"Ports in use by another program: {listed}"


def main() -> None:
    """Entry point of `guanjia`."""
    app()


if __name__ == "__main__":
    main()
