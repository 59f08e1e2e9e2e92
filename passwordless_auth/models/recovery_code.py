from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from .. import derivation


class RecoveryCodeQuerySet(models.QuerySet["RecoveryCode"]):
    def unused(self, user: Any) -> RecoveryCodeQuerySet:
        return self.filter(user=user, used_at=None)

    @sensitive_variables()
    def matching(self, code: str, *, user_id: object) -> RecoveryCode | None:
        """The row of this code of this user, used or not, or ``None``. The digest, 256 bits under a key, is compared by
        the database. One statement, the same for a ``user_id`` that nobody has."""
        return self.filter(digest__in=derivation.recovery_digests(code, user_id=user_id)).first()

    def spend(self, row: RecoveryCode, *, now: datetime) -> bool:
        """Use a code up. True for exactly one of any number of parallel calls."""
        return self.filter(pk=row.pk, used_at=None).update(used_at=now) == 1


class RecoveryCode(models.Model):
    """One of the codes that a person keeps on paper for the day when nothing else is left.

    A plain row and no django-otp Device: it must never open what ``is_verified()`` guards. It holds a digest under a
    key that is outside the database (NIST SP 800-63B-4 §3.1.2.2), never the code.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="recovery_codes")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    key_id = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    used_at = models.DateTimeField(null=True, blank=True)

    objects = RecoveryCodeQuerySet.as_manager()

    class Meta:
        verbose_name = _("recovery code")
        verbose_name_plural = _("recovery codes")

    def __str__(self) -> str:
        return "used" if self.used_at else "unused"
