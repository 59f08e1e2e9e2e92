from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class SigningKey(models.Model):
    """A key that signs tokens. Published before it is used and after: clients keep the key set for a while.

    The private key is encrypted under a key of the settings: the database alone signs nothing.
    """

    kid = models.CharField(max_length=64, unique=True)
    alg = models.CharField(max_length=8)
    #: The public key, as a JWK.
    public = models.JSONField()
    #: The private key, as a JWK, encrypted.
    private_sealed = models.TextField(editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    #: From when on it signs: the newest that has begun does.
    signs_from = models.DateTimeField(default=timezone.now)
    #: Until when it is published; ``None``: it has no successor yet.
    published_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("signing key")
        verbose_name_plural = _("signing keys")

    def __str__(self) -> str:
        return f"{self.alg} {self.kid}"
