"""Rows that only age leave in time: bounded batches, found by index. Another app adds its own by ``register``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import QuerySet
from django.utils import timezone

from .. import sessions
from ..conf import settings
from ..models import AddressMark, Challenge, Counter, Delivery, Event, KnownBrowser, SignIn, Totp
from ..models.sign_in import RUN_OUT

#: Rows a statement: short locks, whatever has piled up.
BATCH: Final = 1000

_OTHERS: Final[dict[str, Callable[[int, datetime], int]]] = {}


def register(name: str, work: Callable[[int, datetime], int]) -> None:
    """Let ``purge`` do this ``work``, too: a function of batch size and present time that returns how many rows it
    deleted (see ``delete_aged``). To be called in an app's ``ready()``."""
    _OTHERS[name] = work


def purge(*, batch: int = BATCH, now: datetime | None = None) -> dict[str, int]:
    """Delete what has outlived its retention, and end sign-ins whose sessions have run out. Returns how many rows of
    each kind."""
    now = now or timezone.now()
    challenges = now - timedelta(seconds=settings.RETENTION_CHALLENGES)
    marks = now - timedelta(seconds=settings.RETENTION_ADDRESS_MARKS)
    requesters = now - timedelta(seconds=settings.RETENTION_REQUESTERS)
    browsers = now - timedelta(seconds=settings.RETENTION_KNOWN_BROWSERS)
    unfinished = Totp.objects.unfinished().filter(created_at__lt=challenges)
    events = now - timedelta(seconds=settings.RETENTION_EVENTS)
    return {
        "deliveries": delete_aged(Delivery.objects.filter(expires_at__lt=challenges), "expires_at", batch),
        "challenges": delete_aged(Challenge.objects.filter(expires_at__lt=challenges), "expires_at", batch),
        "address_marks": delete_aged(AddressMark.objects.filter(marked_at__lt=marks), "marked_at", batch),
        "counters": delete_aged(Counter.objects.filter(resets_at__lt=now), "resets_at", batch),
        "sign_ins_ended": _run_out(batch, now),
        "sign_ins": delete_aged(SignIn.objects.filter(ended_at__lt=requesters), "ended_at", batch),
        "totp_unfinished": delete_aged(unfinished, "created_at", batch),
        "known_browsers": delete_aged(KnownBrowser.objects.filter(last_used_at__lt=browsers), "last_used_at", batch),
        "events": delete_aged(Event.objects.filter(created_at__lt=events), "created_at", batch),
        "requesters": _anonymise(requesters, batch),
        **{name: work(batch, now) for name, work in _OTHERS.items()},
    }


def _run_out(batch: int, now: datetime) -> int:
    """Sessions end by themselves when nobody comes; their SignIn learns it here, and is really ended: a shorter
    SESSION_IDLE finds sessions that would live on by themselves. So does what waited in vain for another step."""
    idle = now - timedelta(seconds=settings.SESSION_IDLE + 600)
    oldest = now - timedelta(seconds=settings.SESSION_LIFETIME)

    def end(rows: QuerySet[SignIn]) -> int:
        return sessions.end(rows.select_related("user"), reason=RUN_OUT, now=now)

    live, begun = SignIn.objects.live(), SignIn.objects.begun()
    return (
        in_batches(live.filter(last_seen_at__lt=idle), "last_seen_at", batch, end)
        + in_batches(live.filter(created_at__lt=oldest), "created_at", batch, end)
        + in_batches(begun.filter(pending_until__lt=now), "pending_until", batch, end)
    )


def _anonymise(before: datetime, batch: int) -> int:
    """IP addresses and user agents of what itself stays longer."""

    def forget(rows: QuerySet[Any]) -> int:
        return rows.update(ip=None, user_agent="")

    return sum(
        in_batches(
            model._default_manager.filter(created_at__lt=before).exclude(ip=None, user_agent=""),
            "created_at",
            batch,
            forget,
        )
        for model in (Event, SignIn)
    )


def delete_aged(rows: QuerySet[Any], age: str, batch: int) -> int:
    """Delete these rows, oldest first by the indexed column ``age``, ``batch`` in a statement. Returns how many."""
    return in_batches(rows, age, batch, lambda chunk: chunk.delete()[0])


def in_batches(rows: QuerySet[Any], age: str, batch: int, work: Callable[[Any], object]) -> int:
    """Call ``work`` with ``batch`` rows at a time, oldest first by the indexed column ``age``, until none is left; it
    deletes them, or changes them so that they are none of these any more. Returns how many there were."""
    done = 0
    while True:
        pks = list(rows.order_by(age).values_list("pk", flat=True)[:batch])
        if not pks:
            return done
        work(rows.model._default_manager.filter(pk__in=pks))
        done += len(pks)
