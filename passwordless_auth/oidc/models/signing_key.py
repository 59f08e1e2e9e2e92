from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class SigningKeyQuerySet(models.QuerySet["SigningKey"]):
    def published(self, now: datetime) -> SigningKeyQuerySet:
        """What verifies signatures, the newest first."""
        return self.filter(Q(published_until=None) | Q(published_until__gt=now)).order_by("-pk")

    def retire(self, alg: str, *, published_until: datetime) -> int:
        """Make room for a successor of the newest key. 1 for exactly one of any number of parallel calls."""
        return self.filter(newest_of=alg).update(newest_of=None, published_until=published_until)

    def withdraw(self, *, now: datetime) -> int:
        """Publish none of these any more. Returns how many were."""
        return self.published(now).update(newest_of=None, published_until=now)


class SigningKey(models.Model):
    """A key that signs tokens. Published before it is used and after: clients keep the key set for a while.

    The private key is encrypted under a key of the settings: the database alone signs nothing.
    """

    #: Its thumbprint (RFC 7638).
    kid = models.CharField(max_length=64, unique=True)
    alg = models.CharField(max_length=8)
    #: Its algorithm once more, while it has no successor: of two processes that make the first one, or the next one,
    #: at the same time, the database refuses one.
    newest_of = models.CharField(max_length=8, unique=True, null=True, blank=True, editable=False)
    #: The public key as the key set has it: a JWK.
    public = models.JSONField()
    #: The private key, as a JWK, encrypted.
    private_sealed = models.TextField(editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    #: From when on it signs: of those that have begun, the newest row does.
    signs_from = models.DateTimeField(default=timezone.now)
    #: Until when it is published; ``None``: it has no successor yet.
    published_until = models.DateTimeField(null=True, blank=True)

    objects = SigningKeyQuerySet.as_manager()

    class Meta:
        verbose_name = _("signing key")
        verbose_name_plural = _("signing keys")

    def __str__(self) -> str:
        return f"{self.alg} {self.kid}"
