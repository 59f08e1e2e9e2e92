"""Rows that only age leave in time: bounded batches, found by index."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import QuerySet
from django.utils import timezone

from .. import sessions
from ..conf import settings
from ..models import AddressMark, Challenge, Counter, Delivery, Event, KnownBrowser, SignIn, Totp

#: Rows a statement: short locks, whatever has piled up.
BATCH: Final = 1000


def purge(*, batch: int = BATCH, now: datetime | None = None) -> dict[str, int]:
    """Delete what has outlived its retention, and end sign-ins whose sessions have run out. Returns how many rows of
    each kind."""
    now = now or timezone.now()
    challenges = now - timedelta(seconds=settings.RETENTION_CHALLENGES)
    marks = now - timedelta(seconds=settings.RETENTION_ADDRESS_MARKS)
    requesters = now - timedelta(seconds=settings.RETENTION_REQUESTERS)
    browsers = now - timedelta(seconds=settings.RETENTION_KNOWN_BROWSERS)
    events = now - timedelta(seconds=settings.RETENTION_EVENTS)
    return {
        "deliveries": _delete(Delivery.objects.filter(expires_at__lt=challenges), "expires_at", batch),
        "challenges": _delete(Challenge.objects.filter(expires_at__lt=challenges), "expires_at", batch),
        "address_marks": _delete(AddressMark.objects.filter(marked_at__lt=marks), "marked_at", batch),
        "counters": _delete(Counter.objects.filter(resets_at__lt=now), "resets_at", batch),
        "sign_ins_ended": _run_out(batch, now),
        "sign_ins": _delete(SignIn.objects.filter(ended_at__lt=requesters), "ended_at", batch),
        "totp_unfinished": _delete(Totp.objects.unfinished().filter(created_at__lt=challenges), "created_at", batch),
        "known_browsers": _delete(KnownBrowser.objects.filter(last_used_at__lt=browsers), "last_used_at", batch),
        "events": _delete(Event.objects.filter(created_at__lt=events), "created_at", batch),
        "requesters": _anonymise(requesters, batch),
    }


def _run_out(batch: int, now: datetime) -> int:
    """Sessions end by themselves when nobody comes; their SignIn learns it here, and is really ended: a shorter
    SESSION_IDLE finds sessions that would live on by themselves. So does what waited in vain for another step."""
    idle = now - timedelta(seconds=settings.SESSION_IDLE + 600)
    oldest = now - timedelta(seconds=settings.SESSION_LIFETIME)

    def end(rows: QuerySet[SignIn]) -> int:
        return sessions.end(rows.select_related("user"), reason="run_out", now=now)

    live, begun = SignIn.objects.live(), SignIn.objects.begun()
    return (
        _in_batches(live.filter(last_seen_at__lt=idle), "last_seen_at", batch, end)
        + _in_batches(live.filter(created_at__lt=oldest), "created_at", batch, end)
        + _in_batches(begun.filter(pending_until__lt=now), "pending_until", batch, end)
    )


def _anonymise(before: datetime, batch: int) -> int:
    """IP addresses and user agents of what itself stays longer."""

    def forget(rows: QuerySet[Any]) -> int:
        return rows.update(ip=None, user_agent="")

    return sum(
        _in_batches(
            model._default_manager.filter(created_at__lt=before).exclude(ip=None, user_agent=""),
            "created_at",
            batch,
            forget,
        )
        for model in (Event, SignIn)
    )


def _delete(rows: QuerySet[Any], age: str, batch: int) -> int:
    return _in_batches(rows, age, batch, lambda chunk: chunk.delete()[0])


def _in_batches(rows: QuerySet[Any], age: str, batch: int, work: Callable[[Any], int]) -> int:
    """``work`` on the rows, oldest first by the indexed column ``age``, until none is left."""
    done = 0
    while True:
        pks = list(rows.order_by(age).values_list("pk", flat=True)[:batch])
        if not pks:
            return done
        work(rows.model._default_manager.filter(pk__in=pks))
        done += len(pks)
