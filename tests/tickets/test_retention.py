"""Pictures and voice notes go when their time is over (domain.md §9.4): by the clock passed in, once, and never too early."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from deskhelp import NOW, Desk
from sqlalchemy import Engine, select

from bot.jobs import Jobs
from storage.database import sessions
from storage.models import AccessLog, Attachment, Ticket
from tickets import retention, verbs

DAY = timedelta(days=1)


def keep(desk: Desk, key: str, ticket: Ticket | None = None, *, purpose: str = "after", at: datetime = NOW) -> None:
    mime = "audio/ogg" if purpose == "voice" else "image/jpeg"
    chat = None if ticket else desk.chat("王芳").id
    desk.session.add(
        Attachment(
            key=key, mime=mime, size=1, purpose=purpose, ticket_id=ticket.id if ticket else None, conversation_id=chat,
            created_at=at,
        )
    )  # fmt: skip
    desk.session.flush()


def purge(desk: Desk, now: datetime) -> list[str]:
    """Keys of the files taken away."""
    gone: list[str] = []
    retention.purge(desk.session, now, gone.append)
    desk.session.flush()
    return sorted(gone)


def left(desk: Desk) -> set[str]:
    return set(desk.session.scalars(select(Attachment.key)))


def test_a_voice_goes_after_thirty_days_also_of_an_open_matter(desk: Desk) -> None:
    keep(desk, "talk", desk.accepted(), purpose="voice")
    assert purge(desk, NOW + 30 * DAY - timedelta(seconds=1)) == []
    assert purge(desk, NOW + 30 * DAY) == ["talk"]
    assert left(desk) == set()


def test_a_picture_goes_a_year_after_its_matter_ended(desk: Desk) -> None:
    ticket = desk.closed()
    assert ticket.closed_at is not None
    keep(desk, "drip", ticket)
    assert purge(desk, ticket.closed_at + 365 * DAY - timedelta(seconds=1)) == []
    assert purge(desk, ticket.closed_at + 365 * DAY) == ["drip"]


def test_an_open_matter_keeps_its_pictures_however_old(desk: Desk) -> None:
    keep(desk, "drip", desk.accepted())
    assert purge(desk, NOW + 4000 * DAY) == []


@pytest.mark.parametrize(
    ("code", "level", "purpose", "days"),
    [
        ("S01", "U2", "after", 1096),
        ("M01", "U2", "after", 1096),
        ("W02", "C1", "after", 1096),
        ("W02", "U3", "slip_check", 1096),
        ("W02", "U3", "after", 365),
    ],
)
def test_what_may_be_disputed_is_kept_for_three_years(
    desk: Desk, code: str, level: str, purpose: str, days: int
) -> None:
    ticket = desk.closed()
    ticket.code, ticket.level = code, level
    assert ticket.closed_at is not None
    keep(desk, "proof", ticket, purpose=purpose)
    assert purge(desk, ticket.closed_at + days * DAY - timedelta(seconds=1)) == []
    assert purge(desk, ticket.closed_at + days * DAY) == ["proof"]


def test_vouchers_are_left_to_the_accounts(desk: Desk) -> None:
    keep(desk, "voucher", desk.closed(), purpose="slip_buy")
    assert purge(desk, NOW + 4000 * DAY) == []


def test_a_picture_of_no_matter_goes_with_the_chat(desk: Desk) -> None:
    keep(desk, "stray", purpose="")
    assert purge(desk, NOW + 179 * DAY) == []
    assert purge(desk, NOW + 180 * DAY) == ["stray"]


def test_one_content_in_two_matters_stays_until_both_are_over(desk: Desk) -> None:
    first, second = desk.closed(), desk.closed()
    keep(desk, "same", first)
    keep(desk, "same", second)
    assert first.closed_at
    second.closed_at = first.closed_at + 10 * DAY
    assert purge(desk, first.closed_at + 366 * DAY) == []
    assert len(list(desk.session.scalars(select(Attachment.id)))) == 1
    assert purge(desk, first.closed_at + 375 * DAY) == ["same"]


def test_opened_again_it_is_kept_again(desk: Desk) -> None:
    ticket = desk.closed()
    keep(desk, "drip", ticket)
    verbs.reopen(desk.session, ticket, desk.actor("王芳"), "又漏了", NOW + DAY)
    assert purge(desk, NOW + 400 * DAY) == []


def test_the_sweep_twice_does_nothing_more_and_says_what_it_did(desk: Desk) -> None:
    ticket = desk.closed()
    for number in range(3):
        keep(desk, f"drip{number}", ticket)
    later = NOW + 400 * DAY
    assert purge(desk, later) == ["drip0", "drip1", "drip2"]
    assert purge(desk, later) == []
    lines = desk.session.scalars(select(AccessLog).where(AccessLog.action == "purge"))
    assert [(line.actor, line.target) for line in lines] == [("system", ticket.ticket_no)]


def test_more_than_one_round_is_swept_to_the_end_and_files_are_gone(
    desk: Desk, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    ticket = desk.closed()
    keys = [f"{number:064x}.jpg" for number in range(5)]
    for key in keys:
        keep(desk, key, ticket)
        for name in (key, key.replace(".", "_thumb.")):
            path = tmp_path / "files" / key[:2] / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
    # one is missing already: a sweep was killed between the file and its row
    (tmp_path / "files" / "00" / keys[0]).unlink()
    desk.session.commit()

    async def nothing() -> None:
        return

    maker = sessions(engine)
    Jobs(maker, maker, lambda: NOW + 400 * DAY, nothing, lambda: None, tmp_path).purge_once()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    desk.session.expire_all()
    assert left(desk) == set()
