from __future__ import annotations

from django.db import models
from oauth2_provider.settings import oauth2_settings

from ...models.compiled import insert_written_once


class AccessTokenOrigin(models.Model):
    """Which Authorization an access token came of, and which refresh token came with it."""

    access_token = models.OneToOneField(
        oauth2_settings.ACCESS_TOKEN_MODEL, models.CASCADE, primary_key=True, related_name="origin"
    )
    refresh_token = models.OneToOneField(
        oauth2_settings.REFRESH_TOKEN_MODEL, models.SET_NULL, null=True, blank=True, related_name="origin"
    )
    authorization = models.ForeignKey("passwordless_auth_oidc.Authorization", models.CASCADE, related_name="tokens")

    _do_insert = insert_written_once

    def __str__(self) -> str:
        return str(self.authorization_id)
