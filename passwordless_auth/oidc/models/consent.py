from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from oauth2_provider.settings import oauth2_settings


class Consent(models.Model):
    """What a person has allowed a Client, so that they are asked only for more."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="passwordless_consents")
    application = models.ForeignKey(oauth2_settings.APPLICATION_MODEL, models.CASCADE, related_name="+")
    #: Space-separated, sorted.
    scope = models.TextField(blank=True, default="")
    granted_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("consent")
        verbose_name_plural = _("consents")
        constraints = (models.UniqueConstraint(fields=["user", "application"], name="passwordless_one_consent"),)

    def __str__(self) -> str:
        return self.scope

    @property
    def scopes(self) -> frozenset[str]:
        return frozenset(self.scope.split())
