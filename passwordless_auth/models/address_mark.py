from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext_lazy as _

from ..identifiers import mask


class AddressMarkQuerySet(models.QuerySet["AddressMark"]):
    def mark(self, canonical: str, *, reason: str, provider: str, detail: str, now: datetime) -> bool:
        """Note that messages to this address lead to nothing. True when that is new."""
        row, made = self.select_for_update().get_or_create(
            canonical=canonical, defaults={"reason": reason, "marked_at": now}
        )
        if row.reason != AddressMark.Reason.COMPLAINED:  # which outweighs the others: see ``lift_after``
            row.reason = reason
        row.provider, row.detail, row.marked_at = provider[:64], detail[:255], now
        row.save()
        return made

    def lift_after(self, canonical: str, *, asked_at: datetime) -> bool:
        """A message that was asked for at this time was delivered: what came back before counts no more. A complaint
        stays: that the mailbox takes mail was never in doubt."""
        behind = self.filter(canonical=canonical, marked_at__lt=asked_at)
        return bool(behind.exclude(reason=AddressMark.Reason.COMPLAINED).delete()[0])


class AddressMark(models.Model):
    """An address whose messages came back, were refused, or were reported as spam.

    By the address, and not by its owner: whoever asks is told the same, whether it has an account or not.
    """

    class Reason(models.TextChoices):
        REJECTED = "rejected", _("refused by the provider")
        BOUNCED = "bounced", _("came back")
        COMPLAINED = "complained", _("reported as spam")

    canonical = models.CharField(_("address"), max_length=254, unique=True)
    reason = models.CharField(_("reason"), max_length=10, choices=Reason.choices)
    provider = models.CharField(_("provider"), max_length=64, blank=True, default="")
    detail = models.CharField(_("detail"), max_length=255, blank=True, default="")
    marked_at = models.DateTimeField(_("marked"), db_index=True)

    objects = AddressMarkQuerySet.as_manager()

    class Meta:
        verbose_name = _("marked address")
        verbose_name_plural = _("marked addresses")

    def __str__(self) -> str:
        return self.masked

    @property
    def masked(self) -> str:
        return mask(self.canonical)


def is_marked() -> Exists:
    """For an annotation of rows with a ``canonical``: whether their address is marked."""
    return Exists(AddressMark.objects.filter(canonical=OuterRef("canonical")))
