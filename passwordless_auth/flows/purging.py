"""Rows that only age leave in time: bounded batches, found by index."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Q, QuerySet
from django.utils import timezone

from ..conf import settings
from ..models import Challenge, Counter, Delivery, Event, KnownBrowser, SignIn

#: Rows a statement: short locks, whatever has piled up.
BATCH: Final = 1000


def purge(*, batch: int = BATCH, now: datetime | None = None) -> dict[str, int]:
    """Delete what has outlived its retention, and end sign-ins whose sessions have run out. Returns how many rows of
    each kind."""
    now = now or timezone.now()
    challenges = now - timedelta(seconds=settings.RETENTION_CHALLENGES)
    requesters = now - timedelta(seconds=settings.RETENTION_REQUESTERS)
    browsers = now - timedelta(seconds=settings.RETENTION_KNOWN_BROWSERS)
    events = now - timedelta(seconds=settings.RETENTION_EVENTS)
    return {
        "deliveries": _delete(Delivery.objects.filter(expires_at__lt=challenges), batch),
        "challenges": _delete(Challenge.objects.filter(expires_at__lt=challenges), batch),
        "counters": _delete(Counter.objects.filter(resets_at__lt=now), batch),
        "sign_ins_ended": _run_out(batch, now),
        "sign_ins": _delete(SignIn.objects.filter(ended_at__lt=requesters), batch),
        "known_browsers": _delete(KnownBrowser.objects.filter(last_used_at__lt=browsers), batch),
        "events": _delete(Event.objects.filter(created_at__lt=events), batch),
        "requesters": _anonymise(requesters, batch),
    }


def _run_out(batch: int, now: datetime) -> int:
    """Sessions end by themselves when nobody comes; their SignIn learns it here."""
    idle = now - timedelta(seconds=settings.SESSION_IDLE + 600)
    oldest = now - timedelta(seconds=settings.SESSION_LIFETIME)
    over = SignIn.objects.live().filter(Q(last_seen_at__lt=idle) | Q(created_at__lt=oldest))
    return _in_batches(over, batch, lambda rows: rows.end(now=now, reason="run_out"))


def _anonymise(before: datetime, batch: int) -> int:
    """IP addresses and user agents of what itself stays longer."""
    old = Event.objects.filter(created_at__lt=before).exclude(ip=None, user_agent="")
    events = _in_batches(old, batch, lambda rows: rows.update(ip=None, user_agent=""))
    long_lived = SignIn.objects.filter(created_at__lt=before).exclude(ip=None, user_agent="")
    return events + _in_batches(long_lived, batch, lambda rows: rows.update(ip=None, user_agent=""))


def _delete(rows: QuerySet[Any], batch: int) -> int:
    # The rows alone: what hangs on them runs out before they do, or goes with them by its own line above.
    return _in_batches(rows, batch, lambda chunk: chunk.delete()[0])


def _in_batches(rows: QuerySet[Any], batch: int, work: Callable[[Any], int]) -> int:
    done = 0
    while True:
        pks = list(rows.order_by("pk").values_list("pk", flat=True)[:batch])
        if not pks:
            return done
        work(rows.model._default_manager.filter(pk__in=pks))
        done += len(pks)
