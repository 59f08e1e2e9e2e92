from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .. import derivation
from ..identifiers import Identifier, mask
from .compiled import CompiledSelect, CompiledUpdate, insert_written_once

#: How long whoever holds a row may take to hand it over before others may take it. Longer than every time-out of a
#: channel, so that a slow provider is not a second message.
LEASE: Final = timedelta(seconds=30)
#: Entries of a history: the newest stay.
HISTORY: Final = 20


class Step(NamedTuple):
    """One entry of a message's history: what it was from then on, who said so, and why."""

    at: datetime
    state: Delivery.State
    by: str
    detail: str


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def due(self, *, now: datetime) -> DeliveryQuerySet:
        """What nobody holds and nobody has sent, oldest first."""
        return self.filter(state=Delivery.State.QUEUED, available_at__lte=now).order_by("available_at")

    def claim(self, pk: int, *, now: datetime) -> datetime | None:
        """Take one due row. Returns when the lease ends, to exactly one of any number of workers."""
        lease = now + LEASE
        return lease if self.due(now=now).filter(pk=pk).order_by().update(available_at=lease) == 1 else None

    def asking(self, *, now: datetime) -> DeliveryQuerySet:
        """Those whose provider waits to hear what became of the code, and that nobody is telling it."""
        free = Q(outcome_at__lte=now) | Q(outcome_at__lte=F("challenge__expires_at"))
        return self.filter(free).select_related("challenge")

    def claim_outcome(self, delivery: Delivery, *, ends_at: datetime, now: datetime) -> bool:
        """Take it on to tell the provider, before or after the code's time ``ends_at``. True for one of any number of
        workers."""
        free = max(now, ends_at)
        waiting = self.filter(outcome_at__lte=free).like(delivery)
        return waiting.update(outcome_at=free + LEASE) > 0

    def like(self, delivery: Delivery) -> DeliveryQuerySet:
        """All that are one message to the provider: a code that was sent again."""
        return self.filter(
            challenge=delivery.challenge_id, provider=delivery.provider, provider_id=delivery.provider_id
        )

    def postpone(self, delivery: Delivery, *, until: datetime, error: str, now: datetime) -> None:
        """Whoever holds the row writes its history: a report from elsewhere ends ``queued``, and so comes before this
        or not at all."""
        self.filter(pk=delivery.pk, state=Delivery.State.QUEUED).update(
            attempts=F("attempts") + 1,
            available_at=until,
            error=error[:255],
            history=delivery.history_with(now, Delivery.State.QUEUED, by=delivery.channel, detail=error),
        )

    def fail(self, delivery: Delivery, *, error: str, now: datetime) -> None:
        self.filter(pk=delivery.pk, state=Delivery.State.QUEUED).update(
            state=Delivery.State.FAILED,
            attempts=F("attempts") + 1,
            error=error[:255],
            history=delivery.history_with(now, Delivery.State.FAILED, by=delivery.channel, detail=error),
        )

    def of_provider(self, provider: str, *, provider_id: str, public_id: str) -> Delivery | None:
        """The message that a provider tells about, by its own id for it or by ours, which it was given.

        SECURITY: only of a message that this provider has: who can speak for one can't speak for the others.
        """
        by_theirs = self.filter(provider=provider, provider_id=provider_id) if provider_id else self.none()
        by_ours = self.filter(provider__in=(provider, ""), public_id=public_id) if public_id else self.none()
        # Ours first: to some providers a message that is sent again is the same one.
        return by_ours.first() or by_theirs.order_by("-pk").first()

    def report(
        self,
        delivery: Delivery,
        state: Delivery.State,
        *,
        at: datetime,
        provider: str,
        provider_id: str = "",
        detail: str = "",
        cost: Decimal | None = None,
        currency: str = "",
    ) -> bool:
        """Write down what a provider tells of a message; to be called inside a transaction. True when that is its state
        from now on.

        Reports come late, twice and in any order. All are in the history, once; none takes the row back. ``at`` is no
        earlier than what we know ourselves: providers count whole seconds, by a clock of their own.
        """
        row = self.select_for_update().filter(pk=delivery.pk).first()
        if row is None:
            return False
        at = max(at, row.handed_over_at or row.created_at)
        changes: dict[str, Any] = {}
        told = any((step.state, step.detail) == (state, detail[:255]) for step in row.reports())
        if not told and state != Delivery.State.HANDED_OVER:  # of which ``handed_over_at`` tells
            changes["history"] = row.history_with(at, state, by=provider, detail=detail)
        moves = Delivery.ORDER[state] > Delivery.ORDER[Delivery.State(row.state)]
        if moves:
            changes["state"] = state
            changes["error"] = detail[:255] if state in Delivery.TROUBLE else ""
            changes["handed_over_at"] = row.handed_over_at or at
            changes["provider"] = row.provider or provider[:64]
            changes["provider_id"] = row.provider_id or provider_id[:255]
        if cost is not None:
            changes |= {"cost": cost, "currency": currency[:3]}
        if changes:
            self.filter(pk=row.pk).update(**changes)
        return moves


class Delivery(models.Model):
    """One message on its way: the transactional outbox.

    The row is committed together with what it tells of and is sent afterwards, at least once. It holds no code, no link
    and no token: these are derived, or signed, in the moment of sending.
    """

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        HANDED_OVER = "handed_over", _("handed over")
        FAILED = "failed", _("failed")
        SENT = "sent", _("sent on by the provider")
        DEFERRED = "deferred", _("put off by the receiver")
        DELIVERED = "delivered", _("delivered")
        REJECTED = "rejected", _("refused by the provider")
        BOUNCED = "bounced", _("came back")
        COMPLAINED = "complained", _("reported as spam")

    #: How far each state is: a row moves up only. What was delivered may still come back, or be reported as spam.
    ORDER: Final = {
        State.QUEUED: 0,
        State.FAILED: 1,
        State.HANDED_OVER: 2,
        State.SENT: 3,
        State.DEFERRED: 4,
        State.DELIVERED: 5,
        State.REJECTED: 6,
        State.BOUNCED: 6,
        State.COMPLAINED: 7,
    }
    #: What we say of a message before any provider has it.
    OURS: Final = (State.QUEUED, State.FAILED)
    #: What ``error`` explains.
    TROUBLE: Final = frozenset({State.FAILED, State.DEFERRED, State.REJECTED, State.BOUNCED, State.COMPLAINED})

    public_id = models.CharField(_("public id"), max_length=22, default=derivation.new_public_id, editable=False)
    kind = models.CharField(_("kind"), max_length=32)
    channel = models.CharField(_("channel"), max_length=32, default="email")
    canonical = models.CharField(_("address"), max_length=254, blank=True, default="")
    challenge = models.ForeignKey(
        "passwordless_auth.Challenge",
        models.CASCADE,
        null=True,
        blank=True,
        related_name="deliveries",
        verbose_name=_("challenge"),
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("user")
    )
    #: Of a kind that is no message (``outbox.register``): what its sender needs. ``"to"`` says where it goes.
    payload = models.JSONField(default=dict, blank=True, editable=False)
    language = models.CharField(_("language"), max_length=16, blank=True, default="")
    state = models.CharField(_("state"), max_length=12, choices=State.choices, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    available_at = models.DateTimeField(_("available at"), default=timezone.now)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(_("expires at"), db_index=True)
    handed_over_at = models.DateTimeField(null=True, blank=True)
    #: Who has it: the name of the mail service, or the channel's alias.
    provider = models.CharField(_("provider"), max_length=64, blank=True, default="")
    provider_id = models.CharField(_("provider’s id"), max_length=255, blank=True, default="")
    cost = models.DecimalField(_("cost"), max_digits=12, decimal_places=6, null=True, blank=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True, default="")
    #: When its provider is told at the latest whether the code was typed; ``None`` where it did not ask, or knows.
    outcome_at = models.DateTimeField(null=True, blank=True, db_index=True, editable=False)
    #: What happened on the way, oldest first: ``{"at", "state", "by", "detail"}``, see ``steps``.
    history = models.JSONField(default=list, blank=True, editable=False)
    error = models.CharField(_("error"), max_length=255, blank=True, default="")

    objects = DeliveryQuerySet.as_manager()
    _do_insert = insert_written_once

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        # As at Challenge: once each.
        constraints = (models.UniqueConstraint(fields=["public_id"], name="passwordless_delivery_public_id"),)
        indexes = (
            models.Index(fields=["state", "available_at"], name="passwordless_delivery_due"),
            models.Index(fields=["canonical"], name="passwordless_delivery_address"),
            models.Index(fields=["provider_id"], name="passwordless_delivery_provider"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.masked}"

    @property
    def identifier(self) -> Identifier:
        return Identifier("email" if "@" in self.canonical else "phone", self.canonical)

    @property
    def masked(self) -> str:
        """Where it goes: an address, masked; of what is no message, as its sender says it."""
        return mask(self.canonical) if self.canonical else str(self.payload.get("to", ""))

    def history_with(self, at: datetime, state: State, *, by: str, detail: str) -> list[dict[str, str]]:
        """The history and one more entry, no longer than ``HISTORY``. ``detail`` holds no address and no code."""
        entry = {"at": at.astimezone(UTC).isoformat(), "state": str(state), "by": by[:64], "detail": detail[:255]}
        return [*self.history, entry][-HISTORY:]

    def reports(self) -> Iterator[Step]:
        """The entries of the history."""
        for entry in self.history:
            state = Delivery.State(entry["state"])
            yield Step(datetime.fromisoformat(entry["at"]), state, entry["by"], entry["detail"])

    @property
    def since(self) -> datetime:
        """When it came to be what it is."""
        return next((step.at for step in reversed(self.steps()) if step.state == self.state), self.created_at)

    def steps(self) -> list[Step]:
        """All that happened, in the order of its time: with the beginning, and with the moment of handing over."""
        found = [Step(self.created_at, Delivery.State.QUEUED, "", ""), *self.reports()]
        if self.handed_over_at is not None:
            found.append(Step(self.handed_over_at, Delivery.State.HANDED_OVER, self.provider, self.provider_id))
        return sorted(found, key=lambda step: (step.at, Delivery.ORDER[step.state]))


#: A message by its key, with the challenge that it is about; ``None`` without one.
delivery_with_challenge = CompiledSelect(lambda pk: Delivery.objects.select_related("challenge").filter(pk=pk), pk=int)

_HAND_OVER: Final = CompiledUpdate(
    lambda pk, **_: Delivery.objects.filter(pk=pk),
    lambda now, provider, provider_id, cost, currency, outcome_at, **_: {
        "state": Case(When(state__in=Delivery.OURS, then=Value(Delivery.State.HANDED_OVER)), default=F("state")),
        "error": Case(When(state__in=Delivery.OURS, then=Value("")), default=F("error")),
        "attempts": F("attempts") + 1,
        # News that were quicker than this note: it was handed over before them.
        "handed_over_at": Coalesce("handed_over_at", now),
        "provider": provider,
        "provider_id": provider_id,
        "cost": cost,
        "currency": currency,
        "outcome_at": outcome_at,
    },
    pk=int,
    now=datetime,
    provider=str,
    provider_id=str,
    cost=Delivery._meta.get_field("cost"),
    currency=str,
    outcome_at=Delivery._meta.get_field("outcome_at"),
)


def hand_over(
    delivery: Delivery,
    *,
    now: datetime,
    provider: str,
    provider_id: str,
    cost: Decimal | None = None,
    currency: str = "",
    outcome_at: datetime | None = None,
) -> None:
    """The channel has taken the message. A row that was cancelled meanwhile still says that it went out; one whose
    provider has told more already keeps that. ``outcome_at``: by when the provider wants to hear of the code."""
    _HAND_OVER(
        pk=delivery.pk,
        now=now,
        provider=provider[:64],
        provider_id=provider_id[:255],
        cost=cost,
        currency=currency[:3],
        outcome_at=outcome_at,
    )
