"""A provider tells what became of a message: sent on, delivered, come back.

Providers tell it late, twice and in any order. Every door for such news (``receivers``, a provider's webhook) ends in
``record``, which knows no provider.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from ..identifiers import PUBLIC_ID
from ..models import Delivery
from ..models.event import announce

State = Delivery.State


def record(
    provider: str,
    provider_id: str,
    state: Delivery.State | str,
    *,
    key: str = "",
    at: datetime | None = None,
    detail: str = "",
    cost: Decimal | None = None,
    currency: str = "",
    now: datetime | None = None,
) -> Delivery | None:
    """Write down what ``provider`` (the name in the channel's ``Receipt``) says of its message ``provider_id``.

    ``key``: our own id of it (``Message.idempotency_key``), where the provider gives it back: with it a report counts
    that is quicker than our own note. ``at``: when it happened, by the provider's clock. ``detail``: why, without the
    address. ``cost``: a positive amount of ``currency`` (ISO 4217).

    Returns the Delivery if this is its state from now on. ``None`` for a message that is not ours, a repetition, and
    news that are older than what is known: nothing that whoever told it should hear of.
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
        announce(f"delivery_{state}", masked=delivery.masked, message=delivery.kind, provider=provider, error=detail)
    delivery.refresh_from_db()
    return delivery


def _plain(text: str) -> str:
    """What comes from outside, as every database can keep it."""
    return "".join(char for char in text if char.isprintable())[:255]
