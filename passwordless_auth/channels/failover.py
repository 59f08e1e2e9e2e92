from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from ..conf import settings
from ..models import Counter
from ..models.counter import Window
from ..models.event import record
from . import channel
from .base import Channel, Medium, Message, Receipt, Rejected, Retryable

logger = logging.getLogger("passwordless_auth")

#: So many failures of a provider within so many seconds pause it.
FAILURES: Final = 3
FAILURES_WITHIN: Final = 60
#: Seconds of a pause, and seconds after its begin in which a single failure is a reason for the next one.
PAUSE: Final = 30
PROBATION: Final = 600
#: Seconds for which a process believes what it last read of a provider.
BELIEVED: Final = 5
#: No further provider is begun so many seconds after the first: whoever sends holds the message for 30.
TIME_FOR_ALL: Final = 15


_OWN: Final = "passwordless_auth.channels.failover.FailoverChannel"


class FailoverChannel(Channel):
    """Several channels in one: the first takes the message, or else the next.

    Options: ``channels``, aliases of ``CHANNELS`` in the order in which they are asked; ``routes``, other orders by the
    beginning of the address, ``{"+49": ["seven", "twilio"]}``, of which the longest that fits counts.

    What a provider refuses for good stays refused: somebody who has opted out at one is not written to through another.
    One that does not answer, or is busy, is passed over, and after three failures within a minute no process asks it
    for half a minute: a circuit breaker, whose state is in the database. When all are paused, all are asked.
    """

    def __init__(self, *, channels: Sequence[str], routes: Mapping[str, Sequence[str]] | None = None) -> None:
        self.channels = channels
        self.routes = routes or {}
        if not channels or not all(self.routes.values()):
            raise ImproperlyConfigured("FailoverChannel needs at least one channel, and one for each route.")
        aliases = {*channels, *(each for order in self.routes.values() for each in order)}
        for alias in aliases:
            if settings.CHANNELS.get(alias, {}).get("BACKEND", _OWN) == _OWN:
                raise ImproperlyConfigured(
                    f"FailoverChannel can't use {alias!r}: it is not there, or of the same kind."
                )

        media: set[Medium] = {channel(alias).medium for alias in aliases}
        if len(media) > 1:
            raise ImproperlyConfigured("FailoverChannel writes a message once: its channels must take the same medium.")
        (self.medium,) = media

    @sensitive_variables("message")
    def send(self, message: Message) -> Receipt:
        """Hand the message to the first that takes it. Raises Retryable when none does, Rejected when one refuses."""
        order = self._order(message.to)
        running = [alias for alias in order if not breaker.is_open(alias)]
        begun = time.monotonic()
        failed = []
        for alias in running or order:
            if time.monotonic() - begun > TIME_FOR_ALL:
                break
            try:
                receipt = channel(alias).send(message)
            except Rejected:
                raise
            except Exception as error:
                text = str(error) if isinstance(error, Retryable) else type(error).__name__
                if not isinstance(error, Retryable):
                    logger.error("The channel %s failed: %s", alias, text, exc_info=error)
                failed.append(f"{alias}: {text}")
                breaker.failed(alias)
            else:
                return receipt if receipt.provider else replace(receipt, provider=alias)
        raise Retryable("; ".join(failed))

    def _order(self, to: str) -> Sequence[str]:
        fitting = [beginning for beginning in self.routes if to.startswith(beginning)]
        return self.routes[max(fitting, key=len)] if fitting else self.channels


@dataclass(frozen=True)
class _State:
    """What the database said of a provider. ``read_at``: by this process' own clock."""

    read_at: float
    paused_until: datetime | None
    probation_until: datetime | None


class Breaker:
    """Which providers are paused: counted in the database, so that all processes learn from each failure."""

    def __init__(self) -> None:
        self._states: dict[str, _State] = {}

    def is_open(self, alias: str) -> bool:
        """Whether the provider is paused. One SELECT every few seconds, and none in between."""
        paused_until = self._state(alias).paused_until
        return paused_until is not None and paused_until > timezone.now()

    def failed(self, alias: str) -> None:
        """Count a failure, and pause the provider where it is one too many."""
        now = timezone.now()
        probation_until = self._state(alias).probation_until
        failures = Window("provider_failures", alias, FAILURES_WITHIN)
        number = Counter.objects.add({failures: 1}, now=now)[failures].number
        if number < FAILURES and not (probation_until and probation_until > now):
            return
        if self.is_open(alias):
            return  # all were paused, or another thread was first
        Counter.objects.add({_pause(alias): 1, _probation(alias): 1}, now=now)
        record("provider_paused", now=now, channel=alias)
        self._states.pop(alias, None)

    def _state(self, alias: str) -> _State:
        known = self._states.get(alias)
        if known is None or time.monotonic() - known.read_at > BELIEVED:
            rows = Counter.objects.read([_pause(alias), _probation(alias)], now=timezone.now())
            pause, probation = rows.get(_pause(alias)), rows.get(_probation(alias))
            known = _State(
                read_at=time.monotonic(),
                paused_until=pause.resets_at if pause else None,
                probation_until=probation.resets_at if probation else None,
            )
            self._states[alias] = known
        return known


def _pause(alias: str) -> Window:
    return Window("provider_paused", alias, PAUSE)


def _probation(alias: str) -> Window:
    return Window("provider_probation", alias, PROBATION)


breaker: Final = Breaker()
