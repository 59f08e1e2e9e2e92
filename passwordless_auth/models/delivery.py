from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import models
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .. import derivation
from ..identifiers import mask
from .compiled import CompiledSelect

#: How long whoever holds a row may take to hand it over before others may take it. Longer than every time-out of a
#: channel, so that a slow provider is not a second message.
LEASE: Final = timedelta(seconds=30)


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def due(self, *, now: datetime) -> DeliveryQuerySet:
        """What nobody holds and nobody has sent, oldest first."""
        return self.filter(state=Delivery.State.QUEUED, available_at__lte=now).order_by("available_at")

    def claim(self, pk: int, *, now: datetime) -> datetime | None:
        """Take one due row. Returns when the lease ends, to exactly one of any number of workers."""
        lease = now + LEASE
        return lease if self.due(now=now).filter(pk=pk).order_by().update(available_at=lease) == 1 else None

    def hand_over(self, delivery: Delivery, *, now: datetime, provider_id: str) -> None:
        """The channel has taken the message. A row that was cancelled meanwhile still says that it went out."""
        self.filter(pk=delivery.pk).update(
            state=Delivery.State.HANDED_OVER,
            attempts=F("attempts") + 1,
            handed_over_at=now,
            provider_id=provider_id[:255],
            error="",
        )

    def postpone(self, delivery: Delivery, *, until: datetime, error: str) -> None:
        self.filter(pk=delivery.pk, state=Delivery.State.QUEUED).update(
            attempts=F("attempts") + 1, available_at=until, error=error[:255]
        )

    def fail(self, delivery: Delivery, *, error: str) -> None:
        self.filter(pk=delivery.pk, state=Delivery.State.QUEUED).update(
            state=Delivery.State.FAILED, attempts=F("attempts") + 1, error=error[:255]
        )


class Delivery(models.Model):
    """One message on its way: the transactional outbox.

    The row is committed together with what it tells of and is sent afterwards, at least once. It holds no code and
    no link: these are derived from the Challenge in the moment of sending.
    """

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        HANDED_OVER = "handed_over", _("handed over")
        FAILED = "failed", _("failed")

    public_id = models.CharField(max_length=22, unique=True, default=derivation.new_public_id, editable=False)
    kind = models.CharField(max_length=32)
    channel = models.CharField(max_length=32, default="email")
    canonical = models.CharField(_("address"), max_length=254, db_index=True)
    challenge = models.ForeignKey(
        "passwordless_auth.Challenge", models.CASCADE, null=True, blank=True, related_name="deliveries"
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="+")
    language = models.CharField(max_length=16, blank=True, default="")
    state = models.CharField(max_length=12, choices=State.choices, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    available_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(db_index=True)
    handed_over_at = models.DateTimeField(null=True, blank=True)
    provider_id = models.CharField(max_length=255, blank=True, default="")
    error = models.CharField(max_length=255, blank=True, default="")

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        indexes = (models.Index(fields=["state", "available_at"], name="passwordless_delivery_due"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.masked}"

    @property
    def masked(self) -> str:
        return mask(self.canonical)


#: A message by its key, with the challenge that it is about; ``None`` without one.
delivery_with_challenge = CompiledSelect(lambda pk: Delivery.objects.select_related("challenge").filter(pk=pk), pk=int)
