"""Messages that were not understood well, waiting for a person's label (docs/nlu.md). Texts come in masked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.models import ReviewItem


def note(session: Session, item: ReviewItem) -> None:
    """Keep a message for review; the same message is kept once, and a later correction says more than a doubt."""
    known = session.scalar(
        select(ReviewItem).where(ReviewItem.community_id == item.community_id, ReviewItem.source_key == item.source_key)
    )
    if known is None:
        session.add(item)
    elif known.state == "open" and item.why == "corrected":
        known.why, known.suggested = item.why, item.suggested or known.suggested


def waiting(session: Session, community_id: int) -> Sequence[ReviewItem]:
    """What nobody has labelled yet, oldest first."""
    query = select(ReviewItem).where(ReviewItem.community_id == community_id, ReviewItem.state == "open")
    return session.scalars(query.order_by(ReviewItem.id)).all()


def settle(item: ReviewItem, label: str, now: datetime) -> None:
    """A person's word on it: a label (`report_repair W02`), or "" for nothing to learn here."""
    item.state, item.label, item.labelled_at = ("labelled" if label else "dropped"), label, now
