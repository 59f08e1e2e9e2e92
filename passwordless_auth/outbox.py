"""The outbox's worker side: claim a Delivery, hand it over, write down what happened.

Most deliveries are messages, which a channel takes. What else an app of ours must send is a kind of its own, see
``register``.

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
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Literal

from django.db import connections, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from . import channels, derivation
from .conf import settings
from .messages import compose
from .models import Challenge, Delivery
from .models.delivery import LEASE, delivery_with_challenge, hand_over
from .models.event import announce

logger = logging.getLogger("passwordless_auth")

#: Seconds before the second, third … attempt; the last repeats until the message has outlived its use.
BACK_OFF: Final = (2, 5, 15, 30, 60)
#: Seconds between two looks for what other processes left behind.
SWEEP_EVERY: Final = 10
#: Deliveries taken over in one look.
SWEEP_SIZE: Final = 50
#: How long after a code's time its provider is still told of it.
TELL_FOR: Final = timedelta(minutes=5)
#: Codes that were typed and that a process has still to tell of; ``drain`` finds those beyond.
OUTCOMES_KEPT: Final = 1000

#: Messages have threads of their own: whoever else does not answer must not keep a code from its person.
Lane = Literal["messages", "others"]
LANES: Final[tuple[Lane, ...]] = ("messages", "others")


@dataclass(frozen=True)
class _Kind:
    hand_over: Callable[[Delivery], channels.Receipt]
    back_off: Sequence[int]


_KINDS: Final[dict[str, _Kind]] = {}


def register(
    kind: str, hand_over: Callable[[Delivery], channels.Receipt], *, back_off: Sequence[int] = BACK_OFF
) -> None:
    """Say who hands over the deliveries of this ``kind``, which are no messages to an address; to be called in an app's
    ``ready()``.

    The app makes rows with ``payload`` (JSON: what ``hand_over`` needs, and under ``"to"`` what an administrator is
    shown), in the transaction of what they tell of, and then calls ``post``. ``hand_over`` is called with the row,
    maybe more than once, and outside any transaction; it is done within seconds, and raises ``channels.Retryable`` or
    ``channels.Rejected``. ``back_off``: seconds before the second, third … attempt; the last repeats until the row
    expires.
    """
    _KINDS[kind] = _Kind(hand_over, back_off)


def kinds() -> list[str]:
    """The kinds of deliveries that are no messages."""
    return list(_KINDS)


def deliver(pk: int, *, lease: datetime) -> bool:
    """Send the Delivery ``pk`` under the lease that the caller holds. True when it was handed over.

    Does nothing when the lease has run out before its turn came: somebody else may have the row by now.
    """
    now = timezone.now()
    delivery = delivery_with_challenge(pk=pk)
    if delivery is None or delivery.state != Delivery.State.QUEUED or delivery.available_at != lease or lease <= now:
        return False
    unwanted = _unwanted(delivery, now=now)
    if unwanted:
        Delivery.objects.fail(delivery, error=unwanted, now=now)
        return False
    try:
        receipt = _hand_over(delivery)
    except channels.Rejected as refusal:
        Delivery.objects.fail(delivery, error=str(refusal), now=timezone.now())
        announce("delivery_failed", masked=delivery.masked, error=str(refusal))
        return False
    except Exception as error:  # noqa: BLE001 (whatever it was, the message must not be lost)
        _postpone(delivery, error)
        return False
    hand_over(
        delivery,
        now=timezone.now(),
        provider=receipt.provider or delivery.channel,
        provider_id=receipt.provider_id,
        cost=receipt.cost,
        currency=receipt.currency,
        outcome_at=delivery.challenge.expires_at if delivery.challenge and receipt.asks_outcome else None,
    )
    announce("delivery_handed_over", masked=delivery.masked, message=delivery.kind, channel=delivery.channel)
    return True


def _unwanted(delivery: Delivery, *, now: datetime) -> str:
    """Why a Delivery is not even tried; "" to go on."""
    if delivery.expires_at <= now:
        return delivery.error or "too late: the message is of no use any more"
    challenge = delivery.challenge
    if challenge is not None and challenge.state != challenge.State.OPEN:
        return "not sent: no longer wanted"
    # SECURITY: also where the countries were changed since it was asked for.
    if delivery.kind not in _KINDS and not delivery.identifier.is_reachable:
        return "not sent: not one of SMS_COUNTRIES"
    return ""


def _hand_over(delivery: Delivery) -> channels.Receipt:
    own = _KINDS.get(delivery.kind)
    if own is not None:
        return own.hand_over(delivery)
    channel = channels.channel(delivery.channel)
    _close_earlier(delivery, now=timezone.now())
    return channel.send(compose(delivery, medium=channel.medium))


def _postpone(delivery: Delivery, error: Exception) -> None:
    """Try later, while the message is still of use. Anything unforeseen is retried too: the row must not be lost."""
    known = isinstance(error, channels.Retryable)
    text = str(error) if known else type(error).__name__
    if known or isinstance(error, derivation.UnknownKey):
        logger.warning("Delivery %s failed and will be retried: %s", delivery.public_id, text)
    else:
        # The traceback shows where; its variables are marked sensitive where they hold a code.
        logger.error("Delivery %s failed and will be retried: %s", delivery.public_id, text, exc_info=error)
    back_off = _KINDS[delivery.kind].back_off if delivery.kind in _KINDS else BACK_OFF
    wait = back_off[min(delivery.attempts, len(back_off) - 1)]
    now = timezone.now()
    until = now + timedelta(seconds=wait)
    if until >= delivery.expires_at:
        Delivery.objects.fail(delivery, error=text, now=now)
        announce("delivery_failed", masked=delivery.masked, error=text)
    else:
        Delivery.objects.postpone(delivery, until=until, error=text, now=now)


def drain(*, limit: int | None = None, lanes: Sequence[Lane] = LANES) -> int:
    """Send whatever is due and held by nobody, messages first; and with ``others``, tell providers what became of codes
    whose time is over. Returns how many were handed over."""
    left, sent = limit or SWEEP_SIZE, 0
    for lane in lanes:
        pks = list(_due(lane).values_list("pk", flat=True)[:left])
        left -= len(pks)
        for pk in pks:
            lease = Delivery.objects.claim(pk, now=timezone.now())
            if lease and deliver(pk, lease=lease):
                sent += 1
    if "others" in lanes and channels.outcomes_are_heard():
        tell_outcomes(_over().values_list("challenge_id", flat=True)[: limit or SWEEP_SIZE])
    return sent


def _due(lane: Lane) -> QuerySet[Delivery]:
    due = Delivery.objects.due(now=timezone.now())
    return due.filter(kind__in=kinds()) if lane == "others" else due.exclude(kind__in=kinds())


def _others_wait() -> bool:
    return bool(_KINDS and _due("others").exists()) or (channels.outcomes_are_heard() and _over().exists())


# -- what became of a code, for providers that ask


def post_outcome(challenge: Challenge) -> None:
    """See to it that the provider that carried the code hears that it was typed.

    Costs no statement here. Whatever prevents it (the process dies; ``SENDER`` is ``"inline"``), ``drain`` tells it
    when the code's time is over.
    """
    if not channels.outcomes_are_heard():
        return
    if settings.SENDER == "tasks":
        enqueue = import_string("passwordless_auth.tasks.enqueue_outcome")
        transaction.on_commit(lambda: enqueue(challenge.pk), robust=True)
    elif settings.SENDER == "thread":
        transaction.on_commit(lambda: others.post_outcome(challenge.pk), robust=True)


def _over() -> QuerySet[Delivery]:
    """Codes whose time is over, and whose provider was told nothing yet."""
    return Delivery.objects.filter(outcome_at__lte=timezone.now()).order_by("outcome_at")


def tell_outcomes(challenges: Iterable[int]) -> None:
    """Tell of these challenges what became of their codes, if anything has and nobody told it. Stops at the first
    provider that does not answer: the rest waits for its time."""
    for pk in dict.fromkeys(challenges):
        now = timezone.now()
        for delivery in Delivery.objects.asking(now=now).filter(challenge=pk).order_by("-pk"):
            challenge = delivery.challenge
            if challenge is None or (challenge.state == challenge.State.OPEN and challenge.expires_at > now):
                break
            if not _tell(delivery, challenge, now=now):
                return


def _close_earlier(delivery: Delivery, *, now: datetime) -> None:
    """Before a number gets another code: a provider may keep the one that it has, and send that once more.

    Ours works on where it was asked for, since nobody but us checks it.
    """
    if delivery.identifier.kind != "phone" or not channels.outcomes_are_heard():
        return
    earlier = Delivery.objects.asking(now=now).filter(canonical=delivery.canonical)
    newest = earlier.exclude(challenge=delivery.challenge_id).order_by("-pk").first()
    if newest is not None and newest.challenge is not None:
        _tell(newest, newest.challenge, now=now)


def _tell(delivery: Delivery, challenge: Challenge, *, now: datetime) -> bool:
    """False when the provider did not answer."""
    if not Delivery.objects.claim_outcome(delivery, ends_at=challenge.expires_at, now=now):
        return True
    used = challenge.state == challenge.State.SPENT and challenge.spent_by == "one_time_code"
    heard, again_at = True, None
    try:
        channels.channel(delivery.provider).tell(delivery.provider_id, used=used)
    except channels.Rejected:
        pass
    except Exception as error:  # noqa: BLE001 (the message has arrived: nothing that anybody waits for)
        text = str(error) if isinstance(error, channels.Retryable) else type(error).__name__
        logger.warning("%s was not told what became of delivery %s: %s", delivery.provider, delivery.public_id, text)
        heard = False
        again_at = max(now + LEASE, challenge.expires_at) if now < challenge.expires_at + TELL_FOR else None
    Delivery.objects.like(delivery).update(outcome_at=again_at)
    return heard


# -- who sends


def post(delivery: Delivery) -> None:
    """See to it that a Delivery of the current transaction is sent once it is committed."""
    transaction.on_commit(lambda: _send_with(settings.SENDER, delivery), robust=True)


def leased_until(*, now: datetime) -> datetime:
    """What a new Delivery begins with: held by its maker, who sends it after the commit.

    A task queue is nobody's process: there the row is free at once and the task claims it.
    """
    return now if settings.SENDER == "tasks" else now + LEASE


class BackgroundSender:
    """Threads of this process that send what is of one lane: started by the first of it, ended with the process.

    Several, so that one mail server that hangs does not hold up the messages of everybody else. Daemons with short
    database connections of their own. What is not sent when the process ends is in the table, for the next one.
    """

    THREADS: Final = 4

    def __init__(self, lane: Lane = "messages") -> None:
        self.lane: Final = lane
        self.start_over()

    def start_over(self) -> None:
        """Begin anew in the child of a fork: it inherits the queue and the lock, held or not, and none of the
        threads."""
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[tuple[int, datetime]] = queue.SimpleQueue()
        self._outcomes: deque[int] = deque(maxlen=OUTCOMES_KEPT)
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._sweeping = False
        self._swept_at = 0.0

    def post(self, pk: int, lease: datetime) -> None:
        with self._lock:
            self._busy += 1
            self._queue.put((pk, lease))
            self._start_threads(self._busy + self._sweeping)

    def wake(self) -> None:
        """Somebody else has left something of this lane: see to it that a thread looks for it."""
        with self._lock:
            self._start_threads(1)

    def post_outcome(self, challenge: int) -> None:
        """For whoever looks next."""
        self._outcomes.append(challenge)
        self.wake()

    def _start_threads(self, wanted: int) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if len(self._threads) < min(self.THREADS, wanted):
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
            drain(lanes=[self.lane])
            tell_outcomes([self._outcomes.popleft() for _each in range(len(self._outcomes))])
            if self.lane == "messages" and _others_wait():
                others.wake()
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


def _send_with(kind: str, delivery: Delivery) -> None:
    if kind == "inline":
        deliver(delivery.pk, lease=delivery.available_at)
    elif kind == "tasks":
        # By name: the module asks Django's TASKS setting when it is loaded, which other hosts need not have.
        import_string("passwordless_auth.tasks.enqueue")(delivery.pk)
    else:
        (others if delivery.kind in _KINDS else sender).post(delivery.pk, delivery.available_at)


sender: Final = BackgroundSender()
others: Final = BackgroundSender("others")
for each in (sender, others):
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=each.start_over)
    # Give what is on its way a moment when the process ends in good order.
    atexit.register(each.join, 5)
