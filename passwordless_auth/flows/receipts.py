"""A provider tells what became of a message: sent on, delivered, come back.

Providers tell it late, twice and in any order. Every door for such news (``receivers``, a provider's webhook) ends in
``record``, which knows no provider.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from ..identifiers import PUBLIC_ID
from ..models import AddressMark, Challenge, Delivery
from ..models import event as events
from ..models.address_mark import is_marked
from ..requester import Operator, Requester

State = Delivery.State


def record(
    provider: str,
    provider_id: str,
    state: Delivery.State | str,
    *,
    key: str = "",
    at: datetime | None = None,
    detail: str = "",
    of_address: bool = False,
    cost: Decimal | None = None,
    currency: str = "",
    now: datetime | None = None,
) -> Delivery | None:
    """Write down what ``provider`` (the name in the channel's ``Receipt``) says of its message ``provider_id``.

    ``key``: our own id of it (``Message.idempotency_key``), where the provider gives it back: with it a report counts
    that is quicker than our own note. ``at``: when it happened, by the provider's clock. ``detail``: why, without the
    address. ``of_address``: the next message to this address would fail as well (a hard bounce). ``cost``: a positive
    amount of ``currency`` (ISO 4217).

    Such an address is marked, and so is one that complains; a message of later that is delivered lifts the mark of a
    bounce. Returns the Delivery if this is its state from now on. ``None`` for a message that is not ours, a
    repetition, and news that are older than what is known: nothing that whoever told it should hear of.
    """
    now = now or timezone.now()
    provider_id = provider_id if provider_id.isprintable() and len(provider_id) <= 255 else ""
    key = key if PUBLIC_ID.fullmatch(key) else ""
    detail = _plain(detail)
    delivery = Delivery.objects.of_provider(provider, provider_id=provider_id, public_id=key)
    if delivery is None:
        return None
    state = State(state)
    with transaction.atomic():
        moved = Delivery.objects.report(
            delivery,
            state,
            at=min(at, now) if at is not None and timezone.is_aware(at) else now,
            provider=provider,
            provider_id=provider_id,
            detail=detail,
            cost=cost,
            currency=currency,
        )
        if not moved:
            return None
        events.announce(
            f"delivery_{state}", masked=delivery.masked, message=delivery.kind, provider=provider, error=detail
        )
        if state == State.COMPLAINED or (of_address and state in {State.BOUNCED, State.REJECTED}):
            _mark(delivery, state, provider=provider, detail=detail, now=now)
        elif state == State.DELIVERED and AddressMark.objects.lift_after(
            delivery.canonical, asked_at=delivery.created_at
        ):
            events.record("address_mark_lifted", masked=delivery.masked, now=now, provider=provider)
    delivery.refresh_from_db()
    return delivery


def _mark(delivery: Delivery, state: Delivery.State, *, provider: str, detail: str, now: datetime) -> None:
    new = AddressMark.objects.mark(delivery.canonical, reason=state, provider=provider, detail=detail, now=now)
    if new:
        events.record(
            "address_marked", masked=delivery.masked, now=now, reason=str(state), provider=provider, error=detail
        )


def lift(mark: AddressMark, *, operator: Operator, requester: Requester, now: datetime | None = None) -> bool:
    """An administrator knows that messages arrive again. False when the mark was gone already."""
    with transaction.atomic():
        if not AddressMark.objects.filter(pk=mark.pk).delete()[0]:
            return False
        events.record("address_mark_lifted", masked=mark.masked, requester=requester, now=now, **operator.facts())
    return True


# -- what who waits is told

#: How long a message may be on its way before another way is offered.
SLOW: Final = timedelta(seconds=30)

#: States that a person need not tell apart.
_SHOWN: Final = {
    State.SENT: "handed_over",
    # It is in the mailbox; and whoever asked, a stranger perhaps, is not told what its owner thinks of it.
    State.COMPLAINED: "delivered",
    State.REJECTED: "undeliverable",
    State.BOUNCED: "undeliverable",
}


@dataclass(frozen=True)
class Progress:
    """The message of a challenge, for who waits for it.

    ``state``: ``queued``, ``handed_over``, ``deferred``, ``delivered``, ``undeliverable`` (the provider or the mailbox
    refused it) or ``failed`` (it did not leave). ``at``: since when, once it has left. ``trouble``: earlier messages to
    this address led to nothing. ``other_way``: it is time to offer one.
    """

    state: str
    at: datetime | None = None
    trouble: bool = False
    other_way: bool = False

    def seconds(self, now: datetime) -> int | None:
        """Seconds since ``at``."""
        return None if self.at is None else max(0, int((now - self.at).total_seconds()))


def progress(challenge: Challenge, *, now: datetime) -> Progress:
    """How its newest message is. SECURITY: one statement, and the same words, whoever has this address."""
    messages = Delivery.objects.filter(challenge=challenge).annotate(marked=is_marked())
    newest: Any = messages.order_by("-pk").first()
    if newest is None:  # purged
        return Progress(State.QUEUED)
    state = _SHOWN.get(State(newest.state), str(newest.state))
    lost = state in {State.FAILED, "undeliverable"}
    open_yet = not lost and state != State.DELIVERED
    trouble = open_yet and newest.marked
    late = open_yet and newest.created_at + SLOW <= now
    return Progress(
        state=state,
        at=None if state == State.QUEUED else newest.since,
        trouble=trouble,
        other_way=lost or trouble or late,
    )


def _plain(text: str) -> str:
    """What comes from outside, as every database can keep it."""
    return "".join(char for char in text if char.isprintable())[:255]
