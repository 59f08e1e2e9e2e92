"""The outbox's worker side: claim a Delivery, hand it to a channel, write down what happened.

A Delivery is committed together with its Challenge and is born leased to the process that made it, which sends it
right after the commit: one SELECT and one UPDATE. If that process dies, the lease runs out and the next one takes
the row. The promise is at least once: a worker that dies between handing over and writing it down causes a second
copy, of the same message, with the same Message-ID and the same code. No transaction is open while a channel works.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.db import connections, transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from . import channels, derivation
from .conf import settings
from .messages import compose
from .models import Delivery
from .models.delivery import LEASE, delivery_with_challenge
from .models.event import announce

logger = logging.getLogger("passwordless_auth")

#: Seconds before the second, third … attempt; the last repeats until the message has outlived its use.
BACK_OFF: Final = (2, 5, 15, 30, 60)
#: Seconds between two looks for what other processes left behind.
SWEEP_EVERY: Final = 10
#: Messages taken over in one look.
SWEEP_SIZE: Final = 50


def deliver(pk: int, *, lease: datetime) -> bool:
    """Send the Delivery ``pk`` under the lease that the caller holds. True when it was handed over.

    Does nothing when the lease has run out before its turn came: somebody else may have the row by now.
    """
    now = timezone.now()
    delivery = delivery_with_challenge(pk=pk)
    if delivery is None or delivery.state != Delivery.State.QUEUED or delivery.available_at != lease or lease <= now:
        return False
    if delivery.expires_at <= now:
        Delivery.objects.fail(delivery, error=delivery.error or "too late: the message is of no use any more", now=now)
        return False
    challenge = delivery.challenge
    if challenge is not None and challenge.state != challenge.State.OPEN:
        Delivery.objects.fail(delivery, error="not sent: no longer wanted", now=now)
        return False
    if not delivery.identifier.is_reachable:  # SECURITY: also where the countries were changed since it was asked for
        Delivery.objects.fail(delivery, error="not sent: not one of SMS_COUNTRIES", now=now)
        return False
    try:
        channel = channels.channel(delivery.channel)
        receipt = channel.send(compose(delivery, medium=channel.medium))
    except channels.Rejected as refusal:
        Delivery.objects.fail(delivery, error=str(refusal), now=timezone.now())
        announce("delivery_failed", masked=delivery.masked, error=str(refusal))
        return False
    except Exception as error:  # noqa: BLE001 (whatever it was, the message must not be lost)
        _postpone(delivery, error)
        return False
    Delivery.objects.hand_over(
        delivery,
        now=timezone.now(),
        provider=receipt.provider or delivery.channel,
        provider_id=receipt.provider_id,
        cost=receipt.cost,
        currency=receipt.currency,
    )
    announce("delivery_handed_over", masked=delivery.masked, message=delivery.kind, channel=delivery.channel)
    return True


def _postpone(delivery: Delivery, error: Exception) -> None:
    """Try later, while the message is still of use. Anything unforeseen is retried too: the row must not be lost."""
    known = isinstance(error, channels.Retryable)
    text = str(error) if known else type(error).__name__
    if known or isinstance(error, derivation.UnknownKey):
        logger.warning("Delivery %s failed and will be retried: %s", delivery.public_id, text)
    else:
        # The traceback shows where; its variables are marked sensitive where they hold a code.
        logger.error("Delivery %s failed and will be retried: %s", delivery.public_id, text, exc_info=error)
    wait = BACK_OFF[min(delivery.attempts, len(BACK_OFF) - 1)]
    now = timezone.now()
    until = now + timedelta(seconds=wait)
    if until >= delivery.expires_at:
        Delivery.objects.fail(delivery, error=text, now=now)
        announce("delivery_failed", masked=delivery.masked, error=text)
    else:
        Delivery.objects.postpone(delivery, until=until, error=text, now=now)


def drain(*, limit: int | None = None) -> int:
    """Send whatever is due and held by nobody. Returns how many messages were handed over."""
    sent = 0
    for pk in _due(limit or SWEEP_SIZE):
        lease = Delivery.objects.claim(pk, now=timezone.now())
        if lease and deliver(pk, lease=lease):
            sent += 1
    return sent


def _due(limit: int) -> list[int]:
    return list(Delivery.objects.due(now=timezone.now()).values_list("pk", flat=True)[:limit])


def post(delivery: Delivery) -> None:
    """See to it that a Delivery of the current transaction is sent once it is committed."""
    transaction.on_commit(lambda: _send_with(settings.SENDER, delivery.pk, delivery.available_at), robust=True)


def leased_until(*, now: datetime) -> datetime:
    """What a new Delivery begins with: held by its maker, who sends it after the commit.

    A task queue is nobody's process: there the row is free at once and the task claims it.
    """
    return now if settings.SENDER == "tasks" else now + LEASE


class BackgroundSender:
    """Threads of this process that send: started by the first message, ended with the process.

    Several, so that one mail server that hangs does not hold up the messages of everybody else. Daemons with short
    database connections of their own. What is not sent when the process ends is in the table, for the next one.
    """

    THREADS: Final = 4

    def __init__(self) -> None:
        self.start_over()

    def start_over(self) -> None:
        """Begin anew in the child of a fork: it inherits the queue and the lock, held or not, and none of the
        threads."""
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[tuple[int, datetime]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._sweeping = False
        self._swept_at = 0.0

    def post(self, pk: int, lease: datetime) -> None:
        with self._lock:
            self._busy += 1
            self._queue.put((pk, lease))
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            if len(self._threads) < min(self.THREADS, self._busy + self._sweeping):
                thread = threading.Thread(target=self._work, name="passwordless-auth-sender", daemon=True)
                self._threads.append(thread)
                thread.start()

    def join(self, timeout: float) -> bool:
        """Wait until nothing is queued or being sent. False when ``timeout`` seconds were not enough."""
        end = time.monotonic() + timeout
        while self._busy and time.monotonic() < end:
            time.sleep(0.01)
        return not self._busy

    def _work(self) -> None:
        while True:
            try:
                pk, lease = self._queue.get(timeout=SWEEP_EVERY)
            except queue.Empty:
                if not self._needed():
                    return
                self._guarded(self._sweep)
                continue
            try:
                self._guarded(partial(deliver, pk, lease=lease))
            finally:
                with self._lock:
                    self._busy -= 1
            self._guarded(self._sweep)

    def _needed(self) -> bool:
        """One idle thread stays to look for retries; the others end, unless a message came just now."""
        with self._lock:
            if self._threads[0] is threading.current_thread() or not self._queue.empty():
                return True
            self._threads.remove(threading.current_thread())
            return False

    def _sweep(self) -> None:
        """Now and then, take over what is due: retries of ours, and what other processes left. One thread at a time:
        a backlog for a mail server that hangs must not keep all of them."""
        with self._lock:
            if self._sweeping or time.monotonic() - self._swept_at < SWEEP_EVERY / 5:
                return
            self._sweeping, self._swept_at = True, time.monotonic()
        try:
            drain()
        finally:
            self._sweeping = False

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception:
            # The database may be gone for a while; the row waits in it.
            logger.exception("The background sender could not do its work")
        finally:
            connections.close_all()  # this thread's


def _send_with(kind: str, pk: int, lease: datetime) -> None:
    if kind == "inline":
        deliver(pk, lease=lease)
    elif kind == "tasks":
        # By name: the module asks Django's TASKS setting when it is loaded, which other hosts need not have.
        import_string("passwordless_auth.tasks.enqueue")(pk)
    else:
        sender.post(pk, lease)


sender: Final = BackgroundSender()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=sender.start_over)

# Give what is on its way a moment when the process ends in good order.
atexit.register(sender.join, 5)
