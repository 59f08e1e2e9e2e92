"""Limits: how often something may happen for a key.

A limit is written ``"1/60s,5/15m,10/d"``: counts over windows of seconds, minutes, hours or days; ``""`` is off. A
window begins with its first action. The database counts by default, exactly: the rows are written in the
transaction of what they limit. A Redis cache may count instead (``LIMIT_STORE``); when it is down the database
takes over, so a dead cache never opens a door (CWE-636).
"""

from __future__ import annotations

import hashlib
import logging
import math
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from django.core.cache import BaseCache, caches
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from .conf import settings
from .exceptions import TooManyRequests
from .identifiers import Identifier, is_address, mask
from .models import Counter
from .models.counter import Window
from .models.event import announce, record
from .requester import Requester

logger = logging.getLogger("passwordless_auth")

#: Cache backends whose increment is known to be atomic and to keep its time-out. (DatabaseCache loses most of its
#: parallel increments, and LocMemCache counts once per process.)
CACHES_THAT_COUNT: Final = (
    "django.core.cache.backends.redis.RedisCache",
    "django_redis.cache.RedisCache",
)

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LIMIT: Final = re.compile(r"\s*(\d+)\s*/\s*(\d*)\s*([smhd])\s*")


@dataclass(frozen=True)
class Limit:
    """At most ``count`` in ``period`` seconds."""

    count: int
    period: int


@dataclass(frozen=True)
class Bucket:
    """What is limited: ``action`` for ``key``, by all of ``limits``. ``weight``: how much one time counts."""

    action: str
    key: str
    limits: Sequence[Limit]
    weight: int = 1

    def windows(self) -> dict[Window, Limit]:
        return {Window(self.action, self.key, limit.period): limit for limit in self.limits}


@lru_cache(maxsize=128)
def parse(text: str) -> tuple[Limit, ...]:
    """The limits that a setting names. Raises ``ImproperlyConfigured`` when it can't be read."""
    limits = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        match = _LIMIT.fullmatch(part)
        if not match or not int(match[1]) or match[2] == "0":
            raise ImproperlyConfigured(f"{part!r} is not a limit such as '5/15m'.")
        limits.append(Limit(int(match[1]), int(match[2] or 1) * _UNITS[match[3]]))
    if len({limit.period for limit in limits}) < len(limits):
        raise ImproperlyConfigured(f"{text!r} names one window twice.")
    return tuple(limits)


def sends(identifier: Identifier, *, known_browser: str) -> Bucket:
    """Messages to an address. SECURITY: a browser that has signed in to it has a budget of its own, so strangers who
    use up theirs lock nobody out."""
    phone = identifier.kind == "phone"
    if known_browser:
        known = settings.SMS_LIMIT_PER_KNOWN_BROWSER if phone else settings.LIMIT_SENDS_PER_KNOWN_BROWSER
        return Bucket("sends_known", f"{identifier.canonical} {known_browser}", parse(known))
    limit = settings.SMS_LIMIT_PER_NUMBER if phone else settings.LIMIT_SENDS_PER_ADDRESS
    return Bucket("sends", identifier.canonical, parse(limit))


def starts(requester: Requester) -> Bucket:
    return per_network("starts", requester, settings.LIMIT_STARTS_PER_IP)


def failures_of_network(requester: Requester) -> Bucket:
    return per_network("failures", requester, settings.LIMIT_FAILURES_PER_IP)


def per_network(action: str, requester: Requester, limit: str) -> Bucket:
    """What is counted by where it comes from: an IPv4 address, or an IPv6 /64."""
    return Bucket(action, _network_of(requester), parse(limit))


def _network_of(requester: Requester) -> str:
    """SECURITY: who has no address is counted, too. Behind a Unix socket that is everybody until TRUSTED_PROXY_COUNT
    says which header to read: noticed at once, and not a limit that is silently off."""
    if not requester.network:
        logger.warning("A request has no IP address: set PASSWORDLESS_AUTH_TRUSTED_PROXY_COUNT")
    return requester.network or "unknown"


def passkey_starts(requester: Requester) -> Bucket:
    return per_network("passkey_starts", requester, settings.LIMIT_PASSKEY_STARTS_PER_IP)


def recovery_failures(canonical: str, *, known_browser: str) -> Bucket:
    """Wrong recovery codes for an address, whether it has an account or not. A browser that has signed in to it has a
    budget of its own, of the same size."""
    limits = parse(settings.LIMIT_RECOVERY_FAILURES_PER_ACCOUNT)
    if known_browser:
        return Bucket("failures_recovery_known", f"{canonical} {known_browser}", limits)
    return Bucket("failures_recovery", canonical, limits)


def totp_failures(user: Any, *, known_browser: str) -> Bucket:
    """Wrong codes of an authenticator app; whoever gets to type one has proven another factor before. SECURITY: a
    browser that has signed in to the account has a budget of its own, or who has a mailbox or an open session would
    lock its owner out."""
    limits = parse(settings.LIMIT_TOTP_FAILURES_PER_ACCOUNT)
    if known_browser:
        return Bucket("failures_totp_known", f"user {user.pk} {known_browser}", limits)
    return Bucket("failures_totp", f"user {user.pk}", limits)


def failures_of_account(canonical: str, *, known_browser: str) -> Bucket:
    """Wrong codes for an address. A browser that has signed in to it has a budget of its own, of the same size."""
    limits = parse(settings.LIMIT_FAILURES_PER_ACCOUNT)
    if known_browser:
        return Bucket("failures_known", f"{canonical} {known_browser}", limits)
    return Bucket("failures_account", canonical, limits)


def hit(buckets: Sequence[Bucket], *, now: datetime, keep: bool = True) -> None:
    """Count one in each bucket, or raise :class:`~passwordless_auth.exceptions.TooManyRequests`.

    To be called inside the transaction that does what is limited: refusing rolls back, so refused requests don't
    count. ``keep=False``: take a place as everybody does, after who is being counted at this moment and refused where
    there is none left, and leave it free for the next.
    """
    wanted = {window: limit for bucket in buckets for window, limit in bucket.windows().items()}
    counts = _count(_weights(buckets), now=now, keep=keep)
    over = {window: counts[window] for window, limit in wanted.items() if counts[window][0] > limit.count}
    if over or not keep:
        refund(buckets)
    if over:
        worst = max(over, key=lambda window: over[window][1])
        wait = math.ceil(over[worst][1] - now.timestamp())
        raise TooManyRequests(retry_after=wait, scope=worst.action)


def used_up(buckets: Sequence[Bucket], *, now: datetime) -> dict[str, int]:
    """The actions whose limit is reached, with the seconds until it is free again. Counts nothing."""
    actions: dict[str, int] = {}
    for window, wait in full(buckets, now=now).items():
        actions[window.action] = max(wait, actions.get(window.action, 0))
    return actions


def full(buckets: Sequence[Bucket], *, now: datetime) -> dict[Window, int]:
    """The windows of these buckets whose limit is reached, with the seconds until it is free again."""
    wanted = {window: limit for bucket in buckets for window, limit in bucket.windows().items()}
    return {
        window: max(1, math.ceil(resets_at - now.timestamp()))
        for window, (number, resets_at) in _read(wanted, now=now).items()
        if number >= wanted[window].count
    }


def refund(buckets: Iterable[Bucket]) -> None:
    """Take back one hit where a rollback does not: in a cache."""
    cache = _cache()
    if cache is None:
        return
    for bucket in buckets:
        for window in bucket.windows():
            try:
                cache.decr(_cache_key(window), bucket.weight)
            except Exception:  # the window is over, or the cache is down: nothing to take back
                logger.debug("A limit could not be refunded", exc_info=True)


def forget(buckets: Iterable[Bucket]) -> None:
    """Begin anew: what was counted in these buckets counts no more."""
    windows = [window for bucket in buckets for window in bucket.windows()]
    if (cache := _cache()) is not None:
        cache.delete_many([_cache_key(window) for window in windows])
    Counter.objects.forget(windows)


def note_refusal(refusal: TooManyRequests, buckets: Iterable[Bucket], *, requester: Requester, now: datetime) -> None:
    """Leave a trace of a request that was turned away: a number on the counter, and one event per window, so that
    an attacker can't fill the event table."""
    reached = [bucket for bucket in buckets if bucket.action == refusal.scope]
    windows = [window for bucket in reached for window in bucket.windows()]
    # Whose messages stopped: "I got no mail" is answered by this event. A key is an address, or begins with one.
    masked = next((mask(bucket.key.partition(" ")[0]) for bucket in reached if is_address(bucket.key)), "")
    with transaction.atomic():
        if settings.LIMIT_STORE == "database" and Counter.objects.note_refusal(windows, now=now):
            record("limit_reached", masked=masked, requester=requester, now=now, scope=refusal.scope)
        else:
            announce("limit_reached", masked=masked, requester=requester, scope=refusal.scope)


# -- the two stores: {window: (count, end of the window in seconds since 1970)}


def _weights(buckets: Iterable[Bucket]) -> dict[Window, int]:
    return {window: bucket.weight for bucket in buckets for window in bucket.windows()}


def _count(windows: Mapping[Window, int], *, now: datetime, keep: bool) -> dict[Window, tuple[int, float]]:
    """The counts with this one. The database adds nothing for one that is not kept, and locks the rows all the same; a
    cache has no lock, so there it is added and taken back."""
    cache = _cache()
    if cache is not None:
        try:
            found = {}
            for window, weight in windows.items():
                key = _cache_key(window)
                # The key names its window and outlives it, so the increment can't meet a key that has just run out
                # (it would come back without a time-out and count for ever).
                cache.add(key, 0, timeout=2 * window.period)
                found[window] = (cache.incr(key, weight), _window_end(window))
            return found
        except Exception:
            logger.exception("The cache that counts limits does not answer; the database counts")
    counted = Counter.objects.add(windows if keep else dict.fromkeys(windows, 0), now=now)
    more = dict.fromkeys(windows, 0) if keep else windows
    return {window: (row.number + more[window], row.resets_at.timestamp()) for window, row in counted.items()}


def _read(windows: Iterable[Window], *, now: datetime) -> dict[Window, tuple[int, float]]:
    windows = list(windows)
    cache = _cache()
    if cache is not None:
        try:
            numbers = cache.get_many([_cache_key(window) for window in windows])
            keys = {_cache_key(window): window for window in windows}
            return {keys[key]: (int(number), _window_end(keys[key])) for key, number in numbers.items()}
        except Exception:
            logger.exception("The cache that counts limits does not answer; the database counts")
    rows = Counter.objects.read(windows, now=now)
    return {window: (row.number, row.resets_at.timestamp()) for window, row in rows.items()}


def _cache() -> BaseCache | None:
    return None if settings.LIMIT_STORE == "database" else caches[settings.LIMIT_STORE]


def _cache_key(window: Window) -> str:
    number = int(time.time() // window.period)
    digest = hashlib.sha256(window.key.encode()).hexdigest()
    return f"passwordless_auth:{window.action}:{digest}:{window.period}:{number}"


def _window_end(window: Window) -> float:
    return (time.time() // window.period + 1) * window.period
