"""SMS pumping: whoever shares what text messages to some numbers earn asks for as many of them as they get.

Budgets by prefix, network and in all, and a ceiling on the day's money, hold from the first message on. A breaker looks
at what the messages were for: where people sign in, most codes are typed; where somebody earns by them, hardly any are.

SECURITY: a browser that has signed in to an account before has the budgets of its own number alone, and a quarter of
the day's money apart. So an attack stops strangers, and not the people who are known here.
"""

from __future__ import annotations

import logging
import math
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db import transaction
from django.db.models import Count, Min, Q
from django.db.models.functions import Substr, TruncHour
from django.utils import timezone

from .. import throttling
from ..conf import settings
from ..exceptions import TextsPaused, TooManyRequests
from ..identifiers import Identifier
from ..models import Challenge
from ..models.event import announce, record
from ..requester import Operator, Requester
from ..throttling import Bucket, Limit

logger = logging.getLogger("passwordless_auth")

#: Seconds of the past that the breaker looks at, and between two looks of one process.
LOOKS_BACK: Final = 3600
LOOKS_EVERY: Final = 60
#: The share of the day's money that is kept for browsers that have signed in before.
KEPT_FOR_KNOWN: Final = Decimal("0.25")

#: Blocks of numbers that the admin lists in one country.
BLOCKS_SHOWN: Final = 20
#: Characters of the longest name of a country or a block.
LONGEST_NAME: Final = 9

_DAY: Final = 86400
#: Money is counted in thousandths of the currency's unit.
_PARTS: Final = 1000
#: As many characters of a number hold its country and prefix: "+", up to three digits, and five.
_HEAD: Final = 9


# -- budgets


def budgets(identifier: Identifier, requester: Requester, *, known: bool) -> list[Bucket]:
    """What one more text message to this number counts in, beside the number's own budget; nothing for e-mail."""
    if identifier.kind != "phone":
        return []
    money = _money(identifier, known=known)
    if known:
        return money
    return [
        Bucket("sms_prefix", f"prefix {identifier.prefix}", throttling.parse(settings.SMS_LIMIT_PER_PREFIX)),
        Bucket("sms_network", requester.wide_network or "unknown", throttling.parse(settings.SMS_LIMIT_PER_NETWORK)),
        Bucket("sms_ip", requester.network or "unknown", throttling.parse(settings.SMS_LIMIT_PER_IP)),
        Bucket("sms_total", "all", throttling.parse(settings.SMS_LIMIT_TOTAL)),
        *money,
    ]


def _money(identifier: Identifier, *, known: bool) -> list[Bucket]:
    ceiling = settings.SMS_CEILING_PER_DAY
    if ceiling is None:
        return []
    share = ceiling * (KEPT_FOR_KNOWN if known else 1 - KEPT_FOR_KNOWN)
    limit = Limit(int(share * _PARTS), _DAY)
    return [Bucket("sms_money_known" if known else "sms_money", "all", [limit], weight=_parts(identifier.country))]


def affords_notice(identifier: Identifier, *, now: datetime) -> bool:
    """Count a notice to this address; False where the number's own budget, or the day's money for strangers, is spent.
    E-mail is free. To be called inside the transaction of what the notice tells of.

    SECURITY: or whoever pumps would sign up with a number once, and change the account back and forth.
    """
    if identifier.kind != "phone":
        return True
    notices = Bucket("sms_notices", identifier.canonical, throttling.parse(settings.SMS_LIMIT_NOTICES))
    try:
        with transaction.atomic():
            throttling.hit([notices, *_money(identifier, known=False)], now=now)
    except TooManyRequests as refusal:
        announce("notice_not_sent", masked=identifier.masked, scope=refusal.scope)
        return False
    return True


def price_of(country: str) -> Decimal:
    """What a text message to this country is reckoned at."""
    prices = settings.SMS_PRICES
    return prices.get(country, prices.get("*", Decimal(0)))


def _parts(country: str) -> int:
    return math.ceil(price_of(country) * _PARTS)


def pauses(identifier: Identifier, *, known: bool) -> list[Bucket]:
    """What the breaker fills when it pauses text messages to this number."""
    if identifier.kind != "phone" or known:
        return []
    return [_pause("country", identifier.country), _pause("prefix", identifier.prefix)]


def _pause(what: str, name: str) -> Bucket:
    return Bucket(f"sms_paused_{what}", name, [Limit(1, settings.SMS_BREAKER_PAUSE)])


def refusal_of(refusal: TooManyRequests) -> TooManyRequests:
    """The refusal that a person is shown: that another way is open now, where the budget is not their own."""
    if not refusal.scope.startswith("sms_") or refusal.scope == "sms_ip":
        return refusal
    return TextsPaused(retry_after=refusal.retry_after, scope=refusal.scope)


def refuse_paused(full: dict[str, int]) -> None:
    """Raise TextsPaused where one of these actions, as ``throttling.used_up`` gives them, is a pause."""
    paused = {action: seconds for action, seconds in full.items() if action.startswith("sms_paused_")}
    if paused:
        action = max(paused, key=lambda each: paused[each])
        raise TextsPaused(retry_after=paused[action], scope=action)


# -- the breaker


@dataclass
class Use:
    """What became of the codes of a country or a prefix: how many were sent, and how many of them were typed."""

    sent: int = 0
    used: int = 0
    prefixes: dict[str, Use] = field(default_factory=dict)

    @property
    def unused(self) -> float:
        """The share that nobody typed, from 0 to 1."""
        return 1 - self.used / self.sent if self.sent else 0.0

    @property
    def is_suspicious(self) -> bool:
        return self.sent >= settings.SMS_BREAKER_MESSAGES and self.unused >= settings.SMS_BREAKER_UNUSED


def use_by_country(*, since: datetime, until: datetime) -> dict[str, Use]:
    """What became of the codes whose time ended then, by country, and in each by prefix. One statement.

    Those that browsers asked for which have signed in before are left out: they are not what is paused.
    """
    rows = (
        Challenge.objects.filter(kind="phone", accepts_code=True, from_known_browser=False)
        .filter(expires_at__gt=since, expires_at__lte=until)
        .annotate(head=Substr("canonical", 1, _HEAD))
        .values("head")
        .order_by("head")
        .annotate(sent=Count("pk"), used=Count("pk", filter=Q(state=Challenge.State.SPENT)), one=Min("canonical"))
    )
    countries: dict[str, Use] = defaultdict(Use)
    for row in rows:
        identifier = Identifier("phone", row["one"])
        country = countries[identifier.country]
        for use in (country, country.prefixes.setdefault(identifier.prefix, Use())):
            use.sent += row["sent"]
            use.used += row["used"]
    return dict(countries)


def look(*, now: datetime | None = None) -> list[Bucket]:
    """Pause text messages where hardly any code of the last hour was typed. Returns what was paused now.

    A prefix is paused before its country: where the rest of the country signs in, the rest goes on.
    """
    now = now or timezone.now()
    tripped = []
    for country, use in use_by_country(since=now - timedelta(seconds=LOOKS_BACK), until=now).items():
        suspicious = {prefix: each for prefix, each in use.prefixes.items() if each.is_suspicious}
        for prefix, each in suspicious.items():
            tripped += _trip("prefix", prefix, each, now=now)
        rest = Use(
            sent=use.sent - sum(each.sent for each in suspicious.values()),
            used=use.used - sum(each.used for each in suspicious.values()),
        )
        if rest.is_suspicious:
            tripped += _trip("country", country, rest, now=now)
    return tripped


def _trip(what: str, name: str, use: Use, *, now: datetime) -> list[Bucket]:
    pause = _pause(what, name)
    if throttling.used_up([pause], now=now):
        return []
    try:
        throttling.hit([pause], now=now)
    except TooManyRequests:  # another process was first
        return []
    record("sms_paused", now=now, what=what, where=name, sent=use.sent, used=use.used)
    logger.warning("Text messages to %s %s are paused: %d sent, %d used", what, name, use.sent, use.used)
    return [pause]


def resume(what: str, name: str, *, operator: Operator, requester: Requester) -> None:
    """Send text messages again to a ``"country"`` or ``"prefix"`` that was paused."""
    with transaction.atomic():
        throttling.forget([_pause(what, name)])
        record("sms_resumed", requester=requester, now=timezone.now(), what=what, where=name, **operator.facts())


# -- for people


@dataclass(frozen=True)
class Hour:
    """An hour of a chart: what was sent and typed, and both as shares of the busiest hour, from 0 to 100."""

    start: datetime
    sent: int
    used: int
    busiest: int

    @property
    def height_sent(self) -> int:
        return round(100 * self.sent / self.busiest) if self.busiest else 0

    @property
    def height_used(self) -> int:
        return round(100 * self.used / self.busiest) if self.busiest else 0

    @property
    def top_sent(self) -> int:
        return 100 - self.height_sent

    @property
    def top_used(self) -> int:
        return 100 - self.height_used


def use_by_hour(*, until: datetime, hours: int) -> list[Hour]:
    """The last hours, oldest first, each from a full hour on: one statement."""
    last = until.replace(minute=0, second=0, microsecond=0)
    starts = [last - timedelta(hours=ago) for ago in range(hours - 1, -1, -1)]
    rows = (
        Challenge.objects.filter(kind="phone", accepts_code=True, from_known_browser=False)
        .filter(expires_at__gt=starts[0], created_at__gte=starts[0])
        .annotate(hour=TruncHour("created_at", tzinfo=until.tzinfo))
        .values("hour")
        .order_by("hour")
        .annotate(sent=Count("pk"), used=Count("pk", filter=Q(state=Challenge.State.SPENT)))
    )
    found = {row["hour"]: row for row in rows}
    busiest = max((row["sent"] for row in found.values()), default=0)
    none = {"sent": 0, "used": 0}
    return [Hour(start, found.get(start, none)["sent"], found.get(start, none)["used"], busiest) for start in starts]


def paused_until(names: Iterable[tuple[str, str]], *, now: datetime) -> dict[tuple[str, str], int]:
    """Which of these countries and prefixes are paused, with the seconds until they are not: one statement."""
    windows = {window: (what, name) for what, name in names for window in _pause(what, name).windows()}
    buckets = [_pause(what, name) for what, name in windows.values()]
    return {windows[window]: seconds for window, seconds in throttling.full(buckets, now=now).items()}


_looked_at = time.monotonic()


def look_now_and_then(*, kind: str, data: dict[str, str], **_kwargs: object) -> None:
    """Receiver of ``security_event``: after a text message has left, on the thread that sends, once in a while."""
    global _looked_at  # noqa: PLW0603 (of this process)
    if kind != "delivery_handed_over" or data.get("channel") != "sms" or time.monotonic() - _looked_at < LOOKS_EVERY:
        return
    _looked_at = time.monotonic()
    look()
