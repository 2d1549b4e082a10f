"""The bot process put together: channels, gateway, delivery and jobs around one Starlette application."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import httpx
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from sqlalchemy import func, select, text
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bot.channels.base import Channel
from bot.channels.telegram import TelegramChannel
from bot.channels.tencent import channels_of
from bot.channels.web import WebChannel, error_response
from bot.clock import Clock, file_clock, system_clock
from bot.delivery import Delivery
from bot.gateway import Gateway
from bot.jobs import Jobs
from bot.rasa_client import RasaClient
from bot.settings import Settings
from bot.training import model_path
from bot.understanding import TrainedFear
from storage.database import Sessions, connect, read_sessions, sessions
from storage.models import Community, Counter, InboxMessage, OutboxMessage, Ticket
from tickets import audit, lifecycle

log = logging.getLogger(__name__)

TYPES = {
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".pdf": "application/pdf",
}


class Bot:
    """Everything of the bot process; `app` is what uvicorn serves."""

    def __init__(self, settings: Settings, secret: str) -> None:
        self.settings = settings
        engine = connect(settings.database_url)
        self.sessions, self.reads = sessions(engine), read_sessions(engine)
        self.clock: Clock = file_clock(Path(settings.clock_file)) if settings.clock_file else system_clock
        community_id = _community_id(self.reads, settings.community)
        self.rasa = RasaClient(settings.rasa_url, secret, settings.actions_url)
        self.web = WebChannel(
            self.sessions,
            self.reads,
            self.clock,
            community_id=community_id,
            files=settings.data_dir,
            secret=secret.encode(),
            demo=settings.demo,
            max_photo_mb=settings.max_photo_mb,
            embed_origins=settings.embed_origins,
        )
        self.channels: dict[str, Channel] = {"web": self.web}
        self._loop: asyncio.AbstractEventLoop | None = None
        self.telegram = self._telegram()
        if self.telegram:
            self.channels["telegram"] = self.telegram
        others, self._others_routes = channels_of(settings, self.sessions, self.clock, community_id)
        self.channels.update({channel.name: channel for channel in others})
        self.fear = TrainedFear(model_path(settings.data_dir / "models"))
        self.delivery = Delivery(self.sessions, self.channels, self.clock, settings.data_dir)
        self.gateway = Gateway(
            self.sessions,
            self.clock,
            self.rasa,
            community_id=community_id,
            files=settings.data_dir,
            max_photo_bytes=settings.max_photo_mb * 1024 * 1024,
            quiet_seconds=settings.burst_quiet_seconds,
            max_seconds=settings.burst_max_seconds,
            on_outbox=self.delivery.wake,
            on_typing=self.web.typing,
            on_bound=self._bound,
            address=settings.links_address,
            on_used=self._used,
            reads=self.reads,
            fear=self.fear,
        )
        self.jobs = Jobs(
            self.sessions, self.reads, self.clock, self.gateway.recover, self.delivery.wake, settings.data_dir
        )
        self.app = Starlette(
            routes=self._routes(),
            lifespan=self._lifespan,
            exception_handlers={
                Exception: error_response,
                HTTPException: error_response,
            },
        )

    def _telegram(self) -> TelegramChannel | None:
        settings = self.settings
        if not settings.telegram_bot_token:
            return None
        return TelegramChannel(
            settings.telegram_bot_token,
            base_url=settings.telegram_base_url,
            webhook_secret=settings.telegram_webhook_secret,
            webhook_url=settings.telegram_webhook_url,
            offset_store=CounterOffset(self.sessions, "telegram.offset"),
        )

    def _bound(self, channel: str, chat_id: str, role: str) -> None:
        """A newly bound colleague gets the menu of their role (called from a worker thread)."""
        if self.telegram and channel == "telegram" and self._loop:
            asyncio.run_coroutine_threadsafe(self.telegram.set_role_menu(chat_id, role), self._loop)

    def _used(self, channel: str, chat_id: str, card: str, words: str) -> None:
        """A card has done its work: its buttons go, and it says who took the job (called from a worker thread)."""
        if self.telegram and channel == "telegram" and self._loop:
            asyncio.run_coroutine_threadsafe(self.telegram.close_card(chat_id, card, words), self._loop)

    def _routes(self) -> list[BaseRoute]:
        routes: list[BaseRoute] = [Route("/healthz", self._health), Route("/metrics", self._metrics)]
        routes.append(Route("/api/exports/{token}", self._export))
        if self.telegram and self.settings.telegram_webhook_url:
            path = httpx.URL(self.settings.telegram_webhook_url).path
            routes.append(Route(path, self.telegram.webhook, methods=["POST"]))
        return [*routes, *self._others_routes, *self.web.routes()]

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        # Read now, not when the first doubtful message is being stored.
        await asyncio.to_thread(self.fear, "")
        delivering = asyncio.create_task(self.delivery.run())
        for channel in self.channels.values():
            await channel.start(self.gateway.receive)
        self.jobs.start()
        try:
            yield
        finally:
            self.jobs.stop()
            self.delivery.stop()
            await delivering
            for channel in self.channels.values():
                await channel.stop()
            await self.rasa.close()

    async def _health(self, _request: Request) -> Response:
        rasa, actions, database = await asyncio.gather(
            self.rasa.up(), self.rasa.actions_up(), asyncio.to_thread(self._database_up)
        )
        body = {
            "status": "ok" if rasa and actions and database else "degraded",
            "rasa": "up" if rasa else "down",
            "actions": "up" if actions else "down",
            "database": "up" if database else "down",
        }
        return JSONResponse(body, 200 if database else 503)

    def _database_up(self) -> bool:
        try:
            with self.reads() as session:
                session.execute(text("select 1"))
            return True
        except Exception:
            log.exception("health.database")
            return False

    async def _export(self, request: Request) -> Response:
        """A workbook or a ticket's papers that a leader asked for in chat, by the link they were sent (tickets/audit.py)."""
        found = await asyncio.to_thread(self._fetch_export, request.path_params["token"])
        if found is None:
            raise HTTPException(404)
        name, content = found
        headers = {
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(content, media_type=TYPES[Path(name).suffix], headers=headers)

    def _fetch_export(self, token: str) -> tuple[str, bytes] | None:
        with self.sessions.begin() as session:
            row = audit.fetch_export(session, token, self.clock())
            return (row.file_name, row.content) if row else None

    async def _metrics(self, _request: Request) -> Response:
        return Response(await asyncio.to_thread(self._measure), media_type=CONTENT_TYPE_LATEST)

    def _measure(self) -> bytes:
        registry = CollectorRegistry()
        with self.reads() as session:
            counts = {
                "guanjia_inbox_unanswered": select(func.count()).where(InboxMessage.done_at.is_(None)),
                "guanjia_outbox_pending": select(func.count()).where(OutboxMessage.status == "pending"),
                "guanjia_outbox_dead": select(func.count()).where(OutboxMessage.status == "dead"),
                "guanjia_tickets_open": select(func.count()).where(Ticket.status.in_(lifecycle.OPEN)),
            }
            for name, query in counts.items():
                Gauge(name, name.replace("_", " "), registry=registry).set(session.scalar(query) or 0)
        return generate_latest(registry)


def _community_id(reads: Sessions, code: str) -> int:
    with reads() as session:
        found = session.scalar(select(Community.id).where(Community.code == code))
    if found is None:
        raise LookupError(code)
    return found


class CounterOffset:
    """A channel's read position, kept in the database (`counters`)."""

    def __init__(self, sessions_: Sessions, name: str) -> None:
        self._sessions, self._name = sessions_, name

    async def load(self) -> int:
        return await asyncio.to_thread(self._load)

    def _load(self) -> int:
        with self._sessions() as session:
            row = session.get(Counter, self._name)
            return row.value if row else 0

    async def save(self, offset: int) -> None:
        await asyncio.to_thread(self._save, offset)

    def _save(self, offset: int) -> None:
        with self._sessions.begin() as session:
            session.merge(Counter(name=self._name, value=offset))
